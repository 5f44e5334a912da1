//! States and blocks that are other than they are.

use super::support::*;
use isolane::executor::{AccountOverride, Call, Executor, OverrideError, Want};
use isolane::spec::opcode::op;
use isolane::spec::{Bytes, Fork, H160, H256, Precompile, Rules, U256};
use isolane::{BlockOverrides, Snapshot, StateOverrides};
use std::sync::Arc;

const AT: H160 = H160([0x55; 20]);

fn setup() -> (Executor, Snapshot) {
    let executor = Executor::builder().threads(2).build().expect("an executor");
    let source = Arc::new(Counting::new(world(50)));
    let snapshot = executor.snapshot(&source, block(), rules());
    (executor, snapshot)
}

fn output(executor: &Executor, snapshot: &Snapshot, call: Call) -> Bytes {
    let outcome = executor.run(snapshot, &[call], Want::OUTPUT).remove(0).expect("an outcome");
    assert!(outcome.is_success(), "{}", outcome.status);
    outcome.output
}

fn number(executor: &Executor, snapshot: &Snapshot, call: Call) -> U256 {
    U256::from_big_endian(&output(executor, snapshot, call))
}

/// Returns what one opcode pushes.
fn shows(opcodes: &[u8]) -> Bytes {
    [opcodes, &[op::PUSH0, op::MSTORE, op::PUSH1, 32, op::PUSH0, op::RETURN]].concat().into()
}

fn with(snapshot: &Snapshot, address: H160, account: AccountOverride) -> Snapshot {
    snapshot.with_overrides(&StateOverrides::new().with(address, account)).expect("no contradiction")
}

#[test]
fn storage_can_be_changed_or_replaced() {
    let (executor, snapshot) = setup();
    let call = |index| Call::new(TOKEN, balance_of(holder(index)));
    let one = (balance_slot(holder(1)), U256::from(77));
    let changed = with(&snapshot, TOKEN, AccountOverride { state_diff: vec![one], ..Default::default() });
    let replaced = with(&snapshot, TOKEN, AccountOverride { state: Some(vec![one]), ..Default::default() });
    let balances = |snapshot: &Snapshot| [1, 2].map(|index| number(&executor, snapshot, call(index)).low_u64());
    assert_eq!(balances(&changed), [77, 20]);
    assert_eq!(balances(&replaced), [77, 0]);
    assert_eq!(balances(&snapshot), [10, 20], "the snapshot itself stays");
    // A second layer over the first.
    let two = (balance_slot(holder(2)), U256::from(88));
    let again = with(&replaced, TOKEN, AccountOverride { state_diff: vec![two], ..Default::default() });
    assert_eq!(balances(&again), [77, 88]);
}

#[test]
fn code_balance_and_nonce_can_be_set() {
    let (executor, snapshot) = setup();
    let code = shows(&[op::CALLER, op::BALANCE]);
    let overrides = StateOverrides::new()
        .with(AT, AccountOverride { code: Some(code), ..Default::default() })
        .with(holder(1), AccountOverride { balance: Some(5.into()), ..Default::default() });
    let other = snapshot.with_overrides(&overrides).expect("no contradiction");
    assert_eq!(number(&executor, &other, Call::new(AT, vec![]).sender(holder(1))), U256::from(5));
    assert_eq!(number(&executor, &other, Call::new(AT, vec![]).sender(holder(2))), U256::exp10(18) * 20);
    let nonce = with(&other, holder(1), AccountOverride { nonce: Some(9), ..Default::default() });
    let account = executor.account(&nonce, holder(1)).expect("an answer").expect("an account");
    assert_eq!((account.nonce, account.balance), (9, U256::from(5)));
    // An account that the source does not have comes into being.
    let rich = with(&snapshot, AT, AccountOverride { balance: Some(U256::MAX), ..Default::default() });
    assert_eq!(executor.balance(&rich, AT).expect("an answer"), U256::MAX);
    assert_eq!(executor.account(&snapshot, AT).expect("an answer"), None);
}

#[test]
fn precompiles_move_and_make_way() {
    let (executor, snapshot) = setup();
    let sha = Precompile::Sha256.address();
    let data = b"abc".to_vec();
    let digest = output(&executor, &snapshot, Call::new(sha, data.clone()));
    assert_eq!(digest.len(), 32);
    let moved = with(
        &snapshot,
        sha,
        AccountOverride { move_precompile_to: Some(AT), code: Some(shows(&[op::PUSH1, 42])), ..Default::default() },
    );
    assert_eq!(output(&executor, &moved, Call::new(AT, data.clone())), digest);
    assert_eq!(number(&executor, &moved, Call::new(sha, data.clone())), U256::from(42));
    // Any override takes it away, as in geth.
    let gone = with(&snapshot, sha, AccountOverride { balance: Some(1.into()), ..Default::default() });
    assert!(output(&executor, &gone, Call::new(sha, data)).is_empty());
}

#[test]
fn contradictions_are_refused() {
    let (_, snapshot) = setup();
    let refused = |overrides: StateOverrides| snapshot.with_overrides(&overrides).expect_err("a contradiction");
    let slot = vec![(U256::one(), U256::one())];
    let both = AccountOverride { state: Some(slot.clone()), state_diff: slot, ..Default::default() };
    assert_eq!(refused(StateOverrides::new().with(AT, both)), OverrideError::StateTwice(AT));
    let moved = |to| AccountOverride { move_precompile_to: Some(to), ..Default::default() };
    assert_eq!(refused(StateOverrides::new().with(AT, moved(TOKEN))), OverrideError::NoPrecompile(AT));
    let sha = Precompile::Sha256.address();
    let other = AccountOverride { nonce: Some(1), ..Default::default() };
    let taken = StateOverrides::new().with(sha, moved(AT)).with(AT, other);
    assert_eq!(refused(taken), OverrideError::Occupied(AT));
}

#[test]
fn blocks_can_be_others() {
    let (executor, snapshot) = setup();
    let shown = |opcodes: &[u8], overrides: &BlockOverrides| {
        let code = AccountOverride { code: Some(shows(opcodes)), ..Default::default() };
        let snapshot = with(&snapshot.with_block_overrides(overrides), AT, code);
        number(&executor, &snapshot, Call::new(AT, vec![]))
    };
    let overrides = BlockOverrides {
        number: Some(300),
        time: Some(12),
        gas_limit: Some(1_000_000),
        coinbase: Some(H160([9; 20])),
        prev_randao: Some(H256([8; 32])),
        blob_base_fee: Some(3.into()),
        block_hashes: vec![(299, H256([7; 32]))],
        ..BlockOverrides::default()
    };
    assert_eq!(shown(&[op::NUMBER], &overrides), U256::from(300));
    assert_eq!(shown(&[op::TIMESTAMP], &overrides), U256::from(12));
    assert_eq!(shown(&[op::GASLIMIT], &overrides), U256::from(1_000_000));
    assert_eq!(shown(&[op::COINBASE], &overrides), U256::from_big_endian(&[9; 20]));
    assert_eq!(shown(&[op::PREVRANDAO], &overrides), U256::from_big_endian(&[8; 32]));
    assert_eq!(shown(&[op::BLOBBASEFEE], &overrides), U256::from(3));
    let hash = |number: u16| {
        let [high, low] = number.to_be_bytes();
        shown(&[op::PUSH1 + 1, high, low, op::BLOCKHASH], &overrides)
    };
    assert_eq!(hash(255), U256::from(255), "the source's");
    assert_eq!(hash(299), U256::from_big_endian(&[7; 32]), "the override's");
    assert_eq!(hash(298), U256::zero(), "a block that does not exist");
    assert_eq!(shown(&[op::NUMBER], &BlockOverrides::default()), U256::from(256));
}

#[test]
fn older_forks_have_older_rules() {
    let executor = Executor::builder().threads(1).build().expect("an executor");
    let source = Arc::new(Counting::new(world(4)));
    let snapshot = executor.snapshot(&source, block(), Rules::new(Fork::London, 1));
    let push0 = with(&snapshot, AT, AccountOverride { code: Some(vec![op::PUSH0].into()), ..Default::default() });
    let outcome = executor.run(&push0, &[Call::new(AT, vec![])], Want::OUTPUT).remove(0).expect("an outcome");
    assert!(outcome.halt().is_some());
}
