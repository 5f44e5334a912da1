//! Kinds of lanes: well-behaved ones, and poisoned ones.

use crate::world::*;
use isolane_cpu::Reference;
use isolane_cpu::crypto::keccak256;
use isolane_spec::opcode::op;
use isolane_spec::{
    AccountInfo, Backend, Batch, Budget, BudgetKind, Bytes, Environment, ExecutionError, Fork, H160, H256, Halt,
    MemoryState, OpcodeSet, Order, Outcome, Permissions, Rule, StateError, StateView, Status, Transaction, U256,
};
use std::sync::{Arc, Once};

/// Silences the panics that are injected.
pub fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload().downcast_ref::<&str>().copied();
            let text = text.or_else(|| info.payload().downcast_ref::<String>().map(String::as_str));
            if !text.is_some_and(|text| text.contains("injected")) {
                before(info);
            }
        }));
    });
}

/// A state with a defect: of its storage, or, if `accounts`, of all that it has.
struct Defect {
    inner: MemoryState,
    accounts: bool,
}

impl StateView for Defect {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        assert!(!self.accounts, "injected: a defect of the accounts");
        self.inner.account(address)
    }
    fn storage(&self, _: &H160, _: &U256) -> Result<U256, StateError> {
        panic!("injected: a defect of the storage")
    }
    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        self.inner.has_storage(address)
    }
    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        self.inner.code(code_hash)
    }
    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        Err(StateError::BlockHashMissing(number))
    }
}

/// A kind of lane: an environment and a transaction in it, and what has to become of it.
pub struct Kind {
    pub environment: Environment,
    pub transaction: Transaction,
    pub poisoned: bool,
}

type Check = fn(&Result<Outcome, ExecutionError>) -> bool;

fn cut(kind: BudgetKind) -> impl Fn(&Result<Outcome, ExecutionError>) -> bool {
    move |result| {
        let status = result.as_ref().map(|outcome| &outcome.status);
        matches!(status, Ok(Status::Halt(Halt::BudgetExceeded { kind: got, .. })) if *got == kind)
    }
}

fn denied(rule: Rule) -> impl Fn(&Result<Outcome, ExecutionError>) -> bool {
    move |result| result.as_ref().is_ok_and(|outcome| outcome.denial.is_some_and(|denial| denial.rule == rule))
}

pub fn kinds() -> Vec<Kind> {
    let succeeds: Check = |result| result.as_ref().is_ok_and(|outcome| outcome.status.is_success());
    let mut kinds: Vec<Kind> = Vec::new();
    let mut add =
        |environment: Environment, poisoned: bool, expected: &dyn Fn(&Result<Outcome, ExecutionError>) -> bool| {
            let transaction = Transaction { gas_limit: 200_000, ..transaction() };
            let alone = alone(&environment, &transaction);
            assert!(expected(&alone), "kind {}: {alone:?}", kinds.len());
            kinds.push(Kind { environment, transaction, poisoned });
        };
    let mut counter = vec![op::PUSH1, 0, op::SLOAD, op::PUSH1, 1, op::ADD, op::DUP1, op::PUSH1, 0, op::SSTORE];
    counter.extend(return_top());
    let mut hash = vec![op::CALLER, op::PUSH1, 0, op::MSTORE, op::PUSH1, 32, op::PUSH1, 0, op::KECCAK256];
    hash.extend(return_top());
    let logs = [op::PUSH1, 32, op::PUSH1, 0, op::LOG0, op::STOP];
    let well = [counter.clone(), hash, logs.to_vec(), caller(op::CALL, TARGET, 1).0, creator(op::CREATE, 0).0];
    for fork in [Fork::Homestead, Fork::Byzantium, Fork::London, Fork::Prague] {
        for code in &well {
            add(environment(fork, state(code)), false, &succeeds);
        }
    }
    let limited = |budget, code: &[u8]| Environment { budget, ..environment(Fork::Prague, state(code)) };
    let open = Budget::default();
    let endless = [op::JUMPDEST, op::PUSH1, 0, op::JUMP];
    add(limited(Budget { steps: 500, ..open }, &endless), true, &cut(BudgetKind::Steps));
    let flood = [op::JUMPDEST, op::MSIZE, op::MSIZE, op::MSTORE, op::PUSH1, 0, op::JUMP];
    add(limited(Budget { memory: 4_096, ..open }, &flood), true, &cut(BudgetKind::Memory));
    let mut deep = caller(op::CALL, CONTRACT, 0).0;
    deep.truncate(deep.len() - 9);
    deep.truncate(deep.len() - 4);
    deep.extend([op::GAS, op::CALL]);
    add(limited(Budget { call_depth: 6, ..open }, &deep), true, &cut(BudgetKind::CallDepth));
    let log_flood = [op::JUMPDEST, op::PUSH1, 64, op::PUSH1, 0, op::LOG0, op::PUSH1, 0, op::JUMP];
    add(limited(Budget { log_bytes: 640, ..open }, &log_flood), true, &cut(BudgetKind::LogBytes));
    let slot_flood = [op::JUMPDEST, op::PUSH1, 1, op::GAS, op::SSTORE, op::PUSH1, 0, op::JUMP];
    add(limited(Budget { slots: 3, ..open }, &slot_flood), true, &cut(BudgetKind::Slots));
    let permitted = |permissions, code: &[u8]| Environment { permissions, ..environment(Fork::Prague, state(code)) };
    let no_state = Permissions { state: false, ..Permissions::default() };
    add(permitted(no_state, &counter), true, &denied(Rule::State));
    let no_add = Permissions { denied_opcodes: OpcodeSet::EMPTY.with(op::ADD), ..Permissions::default() };
    add(permitted(no_add, &counter), true, &denied(Rule::Opcode));
    let no_value = Permissions { value: false, ..Permissions::default() };
    add(permitted(no_value, &caller(op::CALL, TARGET, 1).0), true, &denied(Rule::Value));
    let halts = |halt: Halt| {
        move |result: &Result<Outcome, ExecutionError>| {
            result.as_ref().is_ok_and(|outcome| outcome.status == Status::Halt(halt))
        }
    };
    add(environment(Fork::Prague, state(&[0x0c])), true, &halts(Halt::UndefinedOpcode));
    add(environment(Fork::Prague, state(&[op::ADD])), true, &halts(Halt::StackUnderflow));
    add(environment(Fork::Prague, state(&[op::PUSH1, 9, op::JUMP])), true, &halts(Halt::InvalidJump));
    for order in [Order::Sequential, Order::Independent] {
        for accounts in [false, true] {
            let broken = Environment { order, ..environment(Fork::Prague, MemoryState::default()) };
            let broken = Environment { state: Arc::new(Defect { inner: state(&counter), accounts }), ..broken };
            add(
                broken,
                true,
                &|result| matches!(result, Err(ExecutionError::Panic(text)) if text.contains("injected")),
            );
        }
    }
    // Other environments have the code that these lack: of the callee, and of whom it calls.
    for fork in [Fork::London, Fork::Prague] {
        let mut forgetful = state(&counter);
        forgetful.codes.clear();
        let mut half = state(&caller(op::CALL, TARGET, 0).0);
        put(&mut half, TARGET, 5, 1, &counter);
        half.codes.remove(&keccak256(&counter));
        for state in [forgetful, half] {
            add(environment(fork, state), true, &|result| {
                matches!(result, Err(ExecutionError::State(StateError::CodeMissing(_))))
            });
        }
    }
    kinds
}

pub fn alone(environment: &Environment, transaction: &Transaction) -> Result<Outcome, ExecutionError> {
    let batch = Batch { environments: vec![environment.clone()], transactions: vec![(0, transaction.clone())] };
    Reference.execute(&batch).remove(0)
}
