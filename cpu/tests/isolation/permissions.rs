//! Every permission, every way to ask for what it forbids.

use crate::world::*;
use isolane_cpu::{Available, Machine};
use isolane_spec::opcode::{OPCODES, op};
use isolane_spec::{
    AddressRule, Authorization, Denial, EXCHANGE_ADDRESS, Environment, EnvironmentId, Fork, H160, H256, Halt, Level,
    MemoryState, MessagePolicy, Messaging, OpcodeSet, Permissions, Precompile, PrecompileSet, Rule, Status, U256,
};
use std::sync::Arc;

fn with(permissions: Permissions, state: MemoryState) -> Environment {
    let mut environment = Environment { permissions, ..environment(Fork::Prague, state) };
    let id = EnvironmentId(H256::repeat_byte(1));
    environment.messaging = Some(Messaging {
        environment: id,
        environments: Arc::from([id]),
        manifest: H256::zero(),
        epoch: 1,
        policy: Arc::new(MessagePolicy::default()),
        reader: None,
    });
    environment
}

/// An operation at `pc` of `code` is denied wherever the code runs, before it does anything, and is allowed otherwise.
fn check(code: &[u8], pc: u32, rule: Rule, permissions: &Permissions) {
    let allowed = run(with(Permissions::default(), state(code)), &transaction());
    assert!(!matches!(allowed.status, Status::Halt(_)), "{rule:?}: {:?}", allowed.status);
    assert_eq!(allowed.denial, None);

    let denied = run(with(permissions.clone(), state(code)), &transaction());
    assert_eq!(denied.status, Status::Halt(Halt::Denied { rule, pc }));
    assert_eq!(denied.denial, Some(Denial { rule, address: CONTRACT, pc }));
    assert_eq!((denied.gas_used, denied.logs.len()), (GAS, 0), "all gas is spent");
    let changed: Vec<H160> = denied.diff.iter().map(|change| change.address).collect();
    assert_eq!(changed, [SENDER, COINBASE], "nothing but the fee");

    // Nested: the frame halts, its caller goes on, and the denial is on record.
    let mut permissions = permissions.clone();
    permissions.calls = true;
    if let Some(only) = &mut permissions.callees.only {
        only.insert(INNER);
    }
    if rule != Rule::Call {
        let nested = run(with(permissions, nested_state(code)), &transaction());
        assert_eq!((nested.status.clone(), returned(&nested)), (Status::Success, 0), "{rule:?}");
        assert_eq!(nested.denial, Some(Denial { rule, address: INNER, pc }));
        assert!(nested.gas_used < GAS);
        let changed: Vec<H160> = nested.diff.iter().map(|change| change.address).collect();
        assert_eq!(changed, [SENDER, COINBASE], "{rule:?}");
    }
}

#[test]
fn calls_of_every_variant() {
    let sha256 = Precompile::Sha256.address();
    let open = Permissions::default();
    let rules = [
        (Rule::Callee, TARGET, Permissions { callees: AddressRule::except([TARGET]), ..open.clone() }),
        (Rule::Callee, TARGET, Permissions { callees: AddressRule::only([CONTRACT]), ..open.clone() }),
        (Rule::Call, TARGET, Permissions { calls: false, ..open.clone() }),
        (Rule::Delegation, DELEGATED, Permissions { delegations: false, ..open.clone() }),
        // Both the account and what it delegates to have to be allowed.
        (Rule::Callee, DELEGATED, Permissions { callees: AddressRule::except([TARGET]), ..open.clone() }),
        (Rule::Callee, DELEGATED, Permissions { callees: AddressRule::except([DELEGATED]), ..open.clone() }),
        (Rule::Callee, DELEGATED, Permissions { callees: AddressRule::only([CONTRACT, DELEGATED]), ..open.clone() }),
        (
            Rule::Precompile,
            sha256,
            Permissions { denied_precompiles: PrecompileSet::EMPTY.with(Precompile::Sha256), ..open.clone() },
        ),
        (Rule::Message, EXCHANGE_ADDRESS, Permissions { messages: false, ..open.clone() }),
    ];
    for (rule, target, permissions) in &rules {
        for variant in CALLS {
            let (code, pc) = caller(variant, *target, 0);
            check(&code, pc, *rule, permissions);
        }
    }
    // Precompiles and the exchange are no accounts: other rules are not about them.
    let strict = Permissions { calls: false, callees: AddressRule::only([CONTRACT]), ..open };
    for variant in CALLS {
        let outcome = run(with(strict.clone(), state(&caller(variant, sha256, 0).0)), &transaction());
        assert_eq!((outcome.status.clone(), returned(&outcome), outcome.denial), (Status::Success, 1, None));
    }
}

#[test]
fn value_with_every_operation_that_sends_it() {
    let permissions = Permissions { value: false, ..Permissions::default() };
    for variant in CALLS {
        let (code, pc) = caller(variant, TARGET, 1);
        if [op::CALL, op::CALLCODE].contains(&variant) {
            check(&code, pc, Rule::Value, &permissions);
        }
        let outcome = run(with(permissions.clone(), state(&caller(variant, TARGET, 0).0)), &transaction());
        assert_eq!((returned(&outcome), outcome.denial), (1, None), "no value, no denial");
    }
    for opcode in [op::CREATE, op::CREATE2] {
        let (code, pc) = creator(opcode, 1);
        check(&code, pc, Rule::Value, &permissions);
        let outcome = run(with(permissions.clone(), state(&creator(opcode, 0).0)), &transaction());
        assert_eq!((returned(&outcome), outcome.denial), (1, None));
    }
    let mut selfdestruct = Vec::new();
    push(&mut selfdestruct, &TARGET.0);
    selfdestruct.push(op::SELFDESTRUCT);
    check(&selfdestruct, 21, Rule::Value, &permissions);
}

#[test]
fn creations() {
    let permissions = Permissions { create: false, ..Permissions::default() };
    for opcode in [op::CREATE, op::CREATE2] {
        let (code, pc) = creator(opcode, 0);
        check(&code, pc, Rule::Create, &permissions);
    }
}

#[test]
fn logs_and_state() {
    for count in 0..=4 {
        let mut code = [op::PUSH1, 0].repeat(2 + usize::from(count));
        let pc = code.len() as u32;
        code.push(op::LOG0 + count);
        check(&code, pc, Rule::Logs, &Permissions { logs: false, ..Permissions::default() });
        check(&code, pc, Rule::Logs, &Permissions::level(Level::ReadOnly));
    }
    let permissions = Permissions { state: false, ..Permissions::default() };
    check(&[op::PUSH1, 1, op::PUSH1, 1, op::SSTORE], 4, Rule::State, &permissions);
    check(&[op::PUSH1, 1, op::PUSH1, 1, op::TSTORE], 4, Rule::State, &permissions);
    check(&[op::PUSH1, 1, op::SELFDESTRUCT], 2, Rule::State, &permissions);
}

#[test]
fn every_opcode() {
    for row in OPCODES.iter().filter(|row| row.since <= Fork::Prague) {
        let mut code = [op::PUSH1, 0].repeat(usize::from(row.pops));
        let pc = code.len() as u32;
        code.push(row.byte);
        code.extend(vec![op::JUMPDEST; usize::from(row.immediate)]);
        code.push(op::STOP);
        let denied_opcodes = OpcodeSet::EMPTY.with(row.byte);
        let outcome = run(with(Permissions { denied_opcodes, ..Permissions::default() }, state(&code)), &transaction());
        // PUSH1 is what the operands come by.
        let pc = if row.byte == op::PUSH1 { 0 } else { pc };
        let expected = Status::Halt(Halt::Denied { rule: Rule::Opcode, pc });
        assert_eq!(outcome.status, expected, "{}", row.name);
        // What is data of a PUSH stays data.
        let data = [op::PUSH2, row.byte, row.byte, op::STOP];
        if row.byte != op::PUSH2 && row.byte != op::STOP {
            let permissions = Permissions { denied_opcodes, ..Permissions::default() };
            assert_eq!(run(with(permissions, state(&data)), &transaction()).status, Status::Success, "{}", row.name);
        }
    }
}

#[test]
fn senders_change_nothing_at_all() {
    for senders in [AddressRule::except([SENDER]), AddressRule::only([COINBASE])] {
        let permissions = Permissions { senders, ..Permissions::default() };
        let outcome = run(with(permissions, state(&[op::STOP])), &transaction());
        assert_eq!(outcome.status, Status::Halt(Halt::Denied { rule: Rule::Sender, pc: 0 }));
        assert_eq!(outcome.denial, Some(Denial { rule: Rule::Sender, address: SENDER, pc: 0 }));
        assert_eq!((outcome.gas_used, outcome.block_gas_used, outcome.diff.len()), (0, 0, 0));
    }
    let permissions = Permissions { senders: AddressRule::only([SENDER]), ..Permissions::default() };
    assert_eq!(run(with(permissions, state(&[op::STOP])), &transaction()).status, Status::Success);
}

#[test]
fn what_the_transaction_itself_asks_for() {
    let open = Permissions::default;
    let authorization = Authorization {
        chain_id: U256::one(),
        address: TARGET,
        nonce: 0,
        y_parity: U256::zero(),
        r: U256::one(),
        s: U256::one(),
    };
    let set_code = isolane_spec::Transaction {
        transaction_type: isolane_spec::TransactionType::SetCode,
        authorization_list: vec![authorization],
        ..transaction()
    };
    let to = |address: H160| isolane_spec::Transaction { to: Some(address), ..transaction() };
    let sha256 = PrecompileSet::EMPTY.with(Precompile::Sha256);
    let cases = [
        (Rule::Callee, to(TARGET), Permissions { callees: AddressRule::except([TARGET]), ..open() }),
        (Rule::Callee, to(DELEGATED), Permissions { callees: AddressRule::except([TARGET]), ..open() }),
        (Rule::Delegation, to(DELEGATED), Permissions { delegations: false, ..open() }),
        (Rule::Delegation, set_code, Permissions { delegations: false, ..open() }),
        (Rule::Precompile, to(Precompile::Sha256.address()), Permissions { denied_precompiles: sha256, ..open() }),
        (Rule::Message, to(EXCHANGE_ADDRESS), Permissions { messages: false, ..open() }),
        (
            Rule::Create,
            isolane_spec::Transaction { to: None, ..transaction() },
            Permissions { create: false, ..open() },
        ),
        (
            Rule::Value,
            isolane_spec::Transaction { value: U256::one(), ..transaction() },
            Permissions { value: false, ..open() },
        ),
        (
            Rule::Value,
            isolane_spec::Transaction { to: None, value: U256::one(), ..transaction() },
            Permissions { value: false, ..open() },
        ),
    ];
    for (rule, transaction, permissions) in cases {
        let allowed = run(with(open(), state(&[op::STOP])), &transaction);
        assert_eq!(allowed.denial, None, "{rule:?}");
        let outcome = run(with(permissions, state(&[op::STOP])), &transaction);
        assert_eq!(outcome.status, Status::Halt(Halt::Denied { rule, pc: 0 }));
        assert_eq!(outcome.denial, Some(Denial { rule, address: SENDER, pc: 0 }));
        assert_eq!((outcome.gas_used, outcome.steps), (GAS, 0));
        let changed: Vec<H160> = outcome.diff.iter().map(|change| change.address).collect();
        assert_eq!(changed, [SENDER, COINBASE], "{rule:?}");
        assert_eq!(outcome.diff[0].after.map(|info| info.nonce), Some(1), "the transaction took place");
    }
}

#[test]
fn levels_forbid_what_they_say() {
    let outcome = |level, code: &[u8]| run(with(Permissions::level(level), state(code)), &transaction());
    let rule = |level, code: &[u8]| outcome(level, code).denial.map(|denial| denial.rule);
    let store = [op::PUSH1, 1, op::PUSH1, 1, op::SSTORE];
    let read = [op::PUSH1, 1, op::SLOAD];
    let call = caller(op::CALL, TARGET, 0).0;
    let delegatecall = caller(op::DELEGATECALL, TARGET, 0).0;
    let precompile = caller(op::STATICCALL, Precompile::Identity.address(), 0).0;
    let create = creator(op::CREATE2, 0).0;
    let send = caller(op::CALL, EXCHANGE_ADDRESS, 0).0;
    for code in [&store[..], &read, &call, &delegatecall, &precompile, &create, &send] {
        assert_eq!(rule(Level::Open, code), None);
        let expected = (code == send).then_some(Rule::Message);
        assert_eq!(rule(Level::Standard, code), expected);
    }
    let compute = [None, None, Some(Rule::Call), Some(Rule::Call), None, Some(Rule::Create), Some(Rule::Message)];
    let codes = [&store[..], &read, &call, &delegatecall, &precompile, &create, &send];
    assert_eq!(codes.map(|code| rule(Level::ComputeOnly, code)), compute);
    let read_only = [Some(Rule::State), None, None, None, None, Some(Rule::Create), Some(Rule::Message)];
    assert_eq!(codes.map(|code| rule(Level::ReadOnly, code)), read_only);
}

#[test]
fn decoded_code_is_not_shared_between_rules() {
    // A loop that stores, so that its blocks are decoded, linked and kept.
    let code = [
        op::PUSH1,
        3,
        op::JUMPDEST,
        op::PUSH1,
        1,
        op::SWAP1,
        op::SUB,
        op::DUP1,
        op::DUP1,
        op::SSTORE,
        op::DUP1,
        op::PUSH1,
        2,
        op::JUMPI,
        op::STOP,
    ];
    let open = Permissions::default();
    let all = [
        open.clone(),
        Permissions { state: false, ..open.clone() },
        Permissions { denied_opcodes: OpcodeSet::EMPTY.with(op::SWAP1), ..open.clone() },
        Permissions { denied_opcodes: OpcodeSet::EMPTY.with(op::JUMPDEST), ..open.clone() },
        open,
    ];
    let mut kept = Machine::new(with(Permissions::default(), state(&code)));
    let mut statuses = Vec::new();
    for permissions in all.iter().chain(all.iter().rev()) {
        let environment = with(permissions.clone(), state(&code));
        kept.reset(environment.clone());
        let again = kept.transact(&transaction(), Available { ..AVAILABLE }).expect("an outcome");
        assert_eq!(again, run(environment, &transaction()));
        statuses.push(again.status);
    }
    statuses.dedup();
    assert!(statuses.len() > 6, "{statuses:?}");
}
