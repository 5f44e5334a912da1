//! Groups against the reference, with every instruction set, on programs that lanes go through in their own ways.

use super::*;
use crate::Reference;
use crate::crypto::keccak256;
use isolane_spec::opcode::op;
use isolane_spec::{
    AccountInfo, BlockContext, Bytes, Fork, Halt, MemoryState, Rules, StateError, StateView, Status, U256,
};
use std::sync::Arc;

const SENDERS: u8 = 150;

pub(super) fn address(kind: u8, number: u8) -> H160 {
    let mut address = H160([kind; 20]);
    address.0[19] = number;
    address
}

/// Senders, and contracts at `c0…00`, `c0…01` and so on.
pub(super) fn state(codes: &[&[u8]]) -> MemoryState {
    let mut state = MemoryState::default();
    let rich = AccountInfo { balance: U256::from(10).pow(18.into()), ..AccountInfo::default() };
    for sender in 0..SENDERS {
        state.insert(address(0x5e, sender), rich, Bytes::new(), []);
    }
    for (number, code) in codes.iter().enumerate() {
        let info = AccountInfo { nonce: 1, code_hash: keccak256(code), balance: U256::from(1_000) };
        let slots = [(U256::zero(), U256::from(7)), (U256::one(), U256::from(9))];
        state.insert(address(0xc0, number as u8), info, Bytes::copy_from_slice(code), slots);
    }
    state
}

fn environment(state: impl StateView + 'static, fork: Fork) -> Environment {
    let block = BlockContext { gas_limit: 100_000_000, number: 500, timestamp: 7, ..BlockContext::default() };
    let environment = Environment::new("test", Rules::new(fork, 1), block, Arc::new(state));
    Environment { order: Order::Independent, ..environment }
}

/// One transaction a sender, the sender's number in its input.
pub(super) fn batch(state: impl StateView + 'static, fork: Fork, gas: impl Fn(u8) -> u64) -> Batch {
    let transaction = |number: u8| {
        let mut input = vec![0; 64];
        input[31] = number;
        input[62] = number.wrapping_mul(37);
        input[63] = number % 3;
        Transaction {
            sender: address(0x5e, number),
            gas_limit: gas(number),
            to: Some(address(0xc0, 0)),
            input: input.into(),
            ..Transaction::default()
        }
    };
    let transactions = (0..SENDERS).map(|number| (0, transaction(number))).collect();
    Batch { environments: vec![environment(state, fork)], transactions }
}

/// The same outcomes with every instruction set; returns what was counted with the last one.
pub(super) fn check(batch: &Batch) -> Statistics {
    let expected = Reference.execute(batch);
    let mut statistics = Statistics::default();
    for level in SimdLevel::ALL {
        let lockstep = Lockstep::with_simd(level);
        let got = lockstep.execute(batch);
        for (index, (expected, got)) in expected.iter().zip(&got).enumerate() {
            assert_eq!(expected, got, "{level:?}, transaction {index}");
        }
        statistics = lockstep.statistics();
        assert_eq!(statistics.transactions, batch.transactions.len() as u64);
        GROUP.with_borrow(|group| {
            if let Some(group) = group {
                assert_eq!(group.columns_in_use(), 0, "columns are given back");
            }
        });
    }
    statistics
}

fn success(batch: &Batch) -> usize {
    Reference.execute(batch).iter().flatten().filter(|outcome| outcome.status == Status::Success).count()
}

/// Pushes the word of the input at `offset`.
fn input(offset: u8) -> [u8; 3] {
    [op::PUSH1, offset, op::CALLDATALOAD]
}

#[test]
fn alike_from_start_to_end() {
    let mut code = Vec::new();
    code.extend(input(0));
    code.extend([op::PUSH1, 3, op::ADD, op::DUP1, op::PUSH1, 0, op::MSTORE, op::PUSH1, 32, op::PUSH1, 0]);
    code.extend([op::KECCAK256, op::SSTORE, op::PUSH1, 32, op::PUSH1, 0, op::RETURN]);
    let batch = batch(state(&[&code]), Fork::Prague, |_| 200_000);
    assert_eq!(success(&batch), usize::from(SENDERS));
    let statistics = check(&batch);
    assert_eq!((statistics.grouped, statistics.whole), (SENDERS.into(), SENDERS.into()));
    assert!(statistics.average_lanes() > 40.0, "{statistics}");
}

/// Counts the input down, so that every lane leaves the loop in another round; adds up in memory and in a slot.
fn countdown() -> Vec<u8> {
    let mut code = Vec::new();
    code.extend(input(0));
    let top = code.len() as u8;
    code.extend([op::JUMPDEST, op::DUP1, op::ISZERO, op::PUSH1, 0, op::JUMPI]);
    let exit = code.len() - 2;
    code.extend([op::DUP1, op::PUSH1, 0, op::MLOAD, op::ADD, op::PUSH1, 0, op::MSTORE]);
    code.extend([op::PUSH1, 1, op::SWAP1, op::SUB, op::PUSH1, top, op::JUMP]);
    code[exit] = code.len() as u8;
    code.extend([op::JUMPDEST, op::PUSH1, 0, op::MLOAD, op::PUSH1, 5, op::SSTORE]);
    code.extend([op::PUSH1, 32, op::PUSH1, 0, op::RETURN]);
    code
}

#[test]
fn paths_part_and_join() {
    let batch = batch(state(&[&countdown()]), Fork::Prague, |_| 200_000);
    assert_eq!(success(&batch), usize::from(SENDERS));
    let statistics = check(&batch);
    assert_eq!((statistics.grouped, statistics.whole), (SENDERS.into(), SENDERS.into()), "{statistics}");
}

#[test]
fn lanes_run_out_of_gas_where_the_reference_does() {
    let batch = batch(state(&[&countdown()]), Fork::Prague, |number| 43_000 + u64::from(number) * 97);
    let succeeded = success(&batch);
    assert!(succeeded > 10 && succeeded < usize::from(SENDERS) - 10, "{succeeded}");
    let statistics = check(&batch);
    assert!(statistics.left(Leave::Halted) > 10, "{statistics}");
}

/// Calls the next contract, which counts down, twice; then counts down itself.
fn calling_twice() -> Vec<u8> {
    let mut code = vec![op::PUSH1, 32, op::PUSH1, 0, op::PUSH1, 0, op::CALLDATACOPY];
    for value in [0, 3] {
        code.extend([op::PUSH1, 32, op::PUSH1, 64, op::PUSH1, 32, op::PUSH1, 0, op::PUSH1, value, op::PUSH20]);
        code.extend(address(0xc0, 1).0);
        code.extend([op::GAS, op::CALL, op::POP]);
    }
    // What follows lies where the jumps of the countdown lead.
    let mut whole = vec![op::PUSH2, 0, 0, op::JUMP];
    let countdown = shifted(&countdown(), 5);
    whole.push(op::JUMPDEST);
    whole.extend(countdown);
    let start = whole.len() as u16;
    whole[1..3].copy_from_slice(&start.to_be_bytes());
    whole.push(op::JUMPDEST);
    whole.extend(code);
    whole.extend([op::PUSH1, 4, op::JUMP]);
    whole
}

/// The countdown, so many bytes further on.
fn shifted(code: &[u8], by: u8) -> Vec<u8> {
    let mut code = code.to_vec();
    let mut at = 0;
    while at < code.len() {
        let jumps = matches!(code.get(at + 2), Some(&op::JUMP | &op::JUMPI));
        if code[at] == op::PUSH1 && jumps {
            code[at + 1] += by;
        }
        at += if code[at] == op::PUSH1 { 2 } else { 1 };
    }
    code
}

#[test]
fn instructions_run_out_where_they_do_on_the_reference() {
    let mut halted = 0;
    let (caller, countdown) = (calling_twice(), countdown());
    for steps in [1, 2, 7, 40, 41, 42, 200, 700, 701, 702, 703, 1_500, 2_345, 4_000, 4_001, 4_002, 6_000, 100_000] {
        let mut batch = batch(state(&[&caller, &countdown]), Fork::Prague, |_| 400_000);
        let budget = Budget { steps, gas: 500_000, ..Budget::UNLIMITED };
        batch.environments[0].budget = budget;
        // Groups in which lanes have different budgets.
        let more = Environment { budget: Budget { steps: steps + 3, ..budget }, ..batch.environments[0].clone() };
        batch.environments.push(more);
        for (index, (number, _)) in batch.transactions.iter_mut().enumerate() {
            *number = (index % 3 == 2).into();
        }
        let results = Reference.execute(&batch);
        let cut = |result: &&Result<Outcome, ExecutionError>| {
            result.as_ref().is_ok_and(|outcome| matches!(outcome.status, Status::Halt(Halt::BudgetExceeded { .. })))
        };
        halted += results.iter().filter(cut).count();
        let statistics = check(&batch);
        assert_eq!(statistics.left(Leave::Restricted), 0);
        assert_eq!(statistics.grouped, SENDERS.into(), "{steps}: {statistics}");
        if steps == 100_000 {
            assert_eq!(success(&batch), usize::from(SENDERS));
        }
    }
    assert!(halted > 1_000, "{halted}");
    // What else a budget holds is for the reference.
    let mut batch = batch(state(&[&caller, &countdown]), Fork::Prague, |_| 400_000);
    batch.environments[0].budget = Budget { memory: 95, ..Budget::UNLIMITED };
    let statistics = check(&batch);
    assert_eq!(statistics.left(Leave::Restricted), SENDERS.into());
}

/// A multiway jump: to a place that the input decides, one of which is none.
#[test]
fn computed_jumps() {
    let mut code = Vec::new();
    code.extend(input(0));
    code.extend([op::PUSH1, 3, op::AND, op::PUSH1, 6, op::MUL, op::PUSH1, 14, op::ADD, op::JUMP]);
    code.push(op::STOP);
    assert_eq!(code.len(), 14);
    for way in 0..3 {
        code.extend([op::JUMPDEST, op::PUSH1, way, op::PUSH1, 35, op::JUMP]);
    }
    code.extend([op::STOP, op::STOP, op::STOP]);
    assert_eq!(code.len(), 35);
    code.extend([op::JUMPDEST, op::PUSH1, 0, op::SSTORE]);
    let batch = batch(state(&[&code]), Fork::Prague, |_| 100_000);
    let statistics = check(&batch);
    assert_eq!(success(&batch), (0..SENDERS).filter(|number| number & 3 != 3).count());
    assert!(statistics.left(Leave::Halted) > 0, "{statistics}");
}

/// Calls the contract `1 + input[32..] % 3`, of which the last has no code, and adds up what it returns.
fn caller(call: u8) -> Vec<u8> {
    let mut code = vec![op::PUSH1, 32, op::PUSH1, 0, op::PUSH1, 64, op::PUSH1, 0];
    code.extend([op::PUSH1, 64, op::PUSH1, 0, op::PUSH1, 0, op::CALLDATACOPY]);
    if matches!(call, op::CALL | op::CALLCODE) {
        code.extend([op::PUSH1, 0]);
    }
    code.extend(input(32));
    code.extend([op::PUSH1, 0xff, op::AND, op::PUSH20]);
    code.extend(address(0xc0, 1).0);
    code.extend([op::ADD, op::GAS, call, op::PUSH1, 0, op::MLOAD, op::ADD, op::PUSH1, 3, op::SSTORE]);
    code.extend([op::RETURNDATASIZE, op::PUSH1, 4, op::SSTORE]);
    code.extend([op::GAS, op::PUSH1, 0, op::MSTORE, op::PUSH1, 32, op::PUSH1, 0, op::RETURN]);
    code
}

#[test]
fn calls_of_the_same_code_stay_in_the_group() {
    let reverting = [op::PUSH1, 32, op::PUSH1, 0, op::REVERT];
    for call in [op::CALL, op::CALLCODE, op::DELEGATECALL, op::STATICCALL] {
        let (code, countdown) = (caller(call), countdown());
        let batch = batch(state(&[&code, &countdown, &reverting]), Fork::Prague, |_| 16_000_000);
        assert_eq!(success(&batch), usize::from(SENDERS));
        let statistics = check(&batch);
        assert_eq!(statistics.grouped, u64::from(SENDERS));
        if call != op::STATICCALL {
            assert_eq!(statistics.whole, u64::from(SENDERS), "{statistics}");
        }
    }
}

#[test]
fn creations_logs_and_selfdestructs() {
    // Deploys a contract whose code is one byte, calls it, writes a log, and destroys itself where the input says so.
    let mut code = vec![op::PUSH5, op::PUSH1, 1, op::PUSH1, 0, op::RETURN, op::PUSH1, 0, op::MSTORE];
    code.extend(input(0));
    code.extend([op::PUSH1, 5, op::PUSH1, 27]);
    code.extend(input(32));
    code.extend([op::CREATE2, op::DUP1, op::PUSH1, 2, op::SSTORE]);
    code.extend([op::PUSH1, 0, op::DUP1, op::DUP1, op::DUP1, op::DUP1, op::SWAP5, op::GAS, op::CALL]);
    code.extend(input(0));
    code.extend([op::PUSH1, 40, op::PUSH1, 3, op::LOG2]);
    code.extend(input(32));
    code.extend([op::PUSH1, 0xff, op::AND, op::PUSH1, 0, op::JUMPI]);
    let at = code.len() - 2;
    code.push(op::STOP);
    code[at] = code.len() as u8;
    code.push(op::JUMPDEST);
    code.extend(input(0));
    code.push(op::SELFDESTRUCT);
    for fork in [Fork::London, Fork::Prague, Fork::Amsterdam] {
        let batch = batch(state(&[&code]), fork, |_| 4_000_000);
        let statuses: Vec<_> = Reference.execute(&batch).into_iter().flatten().map(|outcome| outcome.status).collect();
        assert!(success(&batch) > 0, "{fork} {statuses:?}");
        check(&batch);
    }
}

/// A state that cannot answer for some accounts, or has a defect.
struct Broken {
    state: MemoryState,
    panics: bool,
}

impl StateView for Broken {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        self.state.account(address)
    }
    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        match key.low_u64() % 5 {
            4 if self.panics => panic!("a defect"),
            4 => Err(StateError::SlotMissing(*address, *key)),
            _ => self.state.storage(address, key),
        }
    }
    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        self.state.has_storage(address)
    }
    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        self.state.code(code_hash)
    }
    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        self.state.block_hash(number)
    }
}

#[test]
fn a_state_that_cannot_answer_ends_only_its_lanes() {
    let mut code = Vec::new();
    code.extend(input(0));
    code.extend([op::SLOAD]);
    code.extend(input(0));
    code.extend([op::PUSH1, 100, op::ADD, op::SSTORE]);
    for panics in [false, true] {
        let batch = batch(Broken { state: state(&[&code]), panics }, Fork::Prague, |_| 100_000);
        let results = Reference.execute(&batch);
        assert!(results.iter().any(Result::is_err) && results.iter().any(Result::is_ok));
        let statistics = check(&batch);
        assert_eq!(statistics.left(Leave::Failed) > 0, panics, "{statistics}");
    }
}

#[test]
fn what_is_not_alike_goes_to_the_reference() {
    let mut batch = batch(state(&[&countdown()]), Fork::Prague, |_| 200_000);
    batch.environments.push(Environment { order: Order::Sequential, ..batch.environments[0].clone() });
    let mut restricted = batch.environments[0].clone();
    restricted.budget.slots = 100;
    batch.environments.push(restricted);
    for (index, (environment, transaction)) in batch.transactions.iter_mut().enumerate() {
        match index {
            0..=3 => transaction.to = Some(address(0x5e, 77)),
            4..=6 => transaction.input = Bytes::new(),
            7..=9 => *environment = 1,
            10..=12 => *environment = 2,
            13 => *environment = 3,
            14..=20 => transaction.nonce = 5,
            _ => {}
        }
    }
    let statistics = check(&batch);
    let left = [Leave::NoCode, Leave::Few, Leave::Ordered, Leave::Restricted].map(|reason| statistics.left(reason));
    // 136 alike in groups of 64, and 8; four transfer nothing.
    assert_eq!(left, [4, 3, 3, 3], "{statistics}");
}

#[test]
fn deep_recursion() {
    // Calls itself with all gas while its input's word is not zero, and counts the returns.
    let mut code = vec![op::PUSH1, 0, op::DUP1, op::DUP1, op::DUP1, op::DUP1, op::ADDRESS, op::GAS, op::CALL];
    code.extend([op::PUSH1, 0, op::SLOAD, op::ADD, op::PUSH1, 0, op::SSTORE]);
    let batch = batch(state(&[&code]), Fork::Prague, |number| 5_000_000 + u64::from(number) * 1_000);
    assert_eq!(success(&batch), usize::from(SENDERS));
    let statistics = check(&batch);
    assert!(statistics.left(Leave::Callee) > 0, "{statistics}");
}

#[test]
fn memory_is_late_and_never_wrong() {
    // Whole words, then their neighbours byte by byte, out of step, copied, hashed in every way, and returned.
    let mut code = Vec::new();
    code.extend(input(0));
    code.extend([op::DUP1, op::PUSH1, 32, op::MSTORE, op::DUP1, op::PUSH1, 45, op::MSTORE8]);
    code.extend([
        op::PUSH1,
        32,
        op::MLOAD,
        op::PUSH1,
        64,
        op::MSTORE,
        op::PUSH1,
        51,
        op::MLOAD,
        op::PUSH1,
        96,
        op::MSTORE,
    ]);
    code.extend([op::DUP1, op::PUSH1, 71, op::MSTORE, op::PUSH1, 64, op::PUSH1, 32, op::KECCAK256]);
    code.extend([op::PUSH1, 128, op::MSTORE, op::PUSH1, 70, op::PUSH1, 33, op::PUSH1, 140, op::MCOPY]);
    code.extend([op::PUSH1, 32, op::PUSH1, 1, op::PUSH1, 96, op::CALLDATACOPY, op::MSIZE, op::PUSH1, 224, op::MSTORE]);
    // At a place of each lane's own, and a hash of a length of its own.
    code.extend([op::DUP1, op::DUP1, op::MSTORE, op::DUP1, op::PUSH1, 0, op::KECCAK256, op::PUSH1, 0, op::MSTORE]);
    code.extend([op::PUSH1, 128, op::PUSH1, 128, op::KECCAK256, op::PUSH1, 128, op::PUSH1, 128, op::KECCAK256]);
    code.extend([op::SUB, op::PUSH1, 192, op::MSTORE, op::MSIZE, op::PUSH1, 0, op::RETURN]);
    let batch = batch(state(&[&code]), Fork::Prague, |_| 100_000);
    assert_eq!(success(&batch), usize::from(SENDERS));
    assert_eq!(check(&batch).whole, u64::from(SENDERS));
}

#[test]
fn a_panic_of_whoever_takes_the_results_is_theirs() {
    let mut batch = batch(state(&[&[op::STOP]]), Fork::Prague, |_| 100_000);
    for (index, (_, transaction)) in batch.transactions.iter_mut().enumerate() {
        (transaction.max_fee_per_gas, transaction.max_priority_fee_per_gas) = (U256::one(), U256::one());
        if index >= 75 {
            (transaction.to, transaction.value) = (Some(address(0xee, 1)), U256::one());
        }
    }
    assert_eq!(check(&batch).transfers, 75);
    for at in [10, 100] {
        let taken = catch_unwind(AssertUnwindSafe(|| {
            Lockstep::new().execute_each(&batch, &|index, _| assert_ne!(index, at, "taken by a panic"));
        }));
        assert!(taken.is_err(), "{at}");
    }
}

/// Copies 4 KiB to `place` and back, 100 times, then hashes 16 KiB.
fn copying(place: [u8; 2]) -> Statistics {
    let mut code = vec![op::PUSH1, 100];
    code.extend(input(0));
    code.extend([op::PUSH1 + 1, 16, 0, op::MSTORE, op::JUMPDEST]);
    let top = code.len() as u8 - 1;
    code.extend([op::PUSH1 + 1, 16, 0, op::PUSH1 + 1, 16, 0, op::PUSH1 + 1, 32, 0, op::MCOPY]);
    code.extend([op::PUSH1 + 1, 16, 0, op::PUSH1 + 1, 32, 0, op::PUSH1 + 1, place[0], place[1], op::MCOPY]);
    code.extend([op::PUSH1, 1, op::SWAP1, op::SUB, op::DUP1, op::PUSH1, top, op::JUMPI]);
    code.extend([op::PUSH1 + 1, 64, 0, op::PUSH1, 0, op::KECCAK256, op::PUSH1, 0, op::SSTORE]);
    let batch = batch(state(&[&code]), Fork::Prague, |_| 1_000_000);
    assert_eq!(success(&batch), usize::from(SENDERS));
    check(&batch)
}

#[test]
fn lanes_that_mostly_copy_bytes_go_on_one_after_another() {
    let statistics = copying([16, 5]);
    assert_eq!(statistics.left(Leave::Copies), u64::from(SENDERS), "{statistics}");
}

#[test]
fn lanes_that_copy_known_words_stay_together() {
    let statistics = copying([16, 0]);
    assert_eq!((statistics.left(Leave::Copies), statistics.whole), (0, SENDERS.into()), "{statistics}");
}

#[test]
fn words_that_are_copied_stay_words() {
    let mcopy = |target, source, size| [op::PUSH1, size, op::PUSH1, source, op::PUSH1, target, op::MCOPY];
    let mut code = input(0).to_vec();
    code.extend([op::DUP1, op::PUSH1, 32, op::MSTORE, op::PUSH1, 7, op::PUSH1, 64, op::MSTORE]);
    // Upwards and downwards over themselves, nothing at all, what was never stored, and beyond the memory.
    let copies = [(64, 32, 96), (32, 64, 64), (32, 32, 0), (128, 0, 160), (0, 64, 192), (192, 96, 64), (96, 224, 96)];
    for (target, source, size) in copies {
        code.extend(mcopy(target, source, size));
    }
    let before = code.len();
    // A byte of a word that is blank and of one that is known, and what lanes copy themselves.
    code.extend([op::DUP1, op::PUSH1 + 1, 1, 65, op::MSTORE8, op::PUSH1, 45, op::MSTORE8]);
    code.extend(mcopy(0, 32, 192));
    code.extend([op::PUSH1, 70, op::PUSH1, 0, op::PUSH1, 96, op::CALLDATACOPY]);
    code.extend(mcopy(64, 96, 128));
    code.extend([op::PUSH1, 96, op::MLOAD, op::PUSH1 + 1, 2, 0, op::MLOAD, op::PUSH1 + 1, 1, 32, op::MLOAD]);
    code.extend([op::SUB, op::SUB, op::PUSH1 + 1, 1, 192, op::MSTORE]);
    code.extend(mcopy(224, 160, 96));
    let end = [op::MSIZE, op::PUSH1, 0, op::RETURN];
    for code in [[&code[..before], &end].concat(), [&code[..], &end].concat()] {
        let whole = batch(state(&[&code]), Fork::Cancun, |_| 100_000);
        assert_eq!(success(&whole), usize::from(SENDERS));
        assert_eq!(check(&whole).whole, u64::from(SENDERS));
        // Out of gas at all places.
        let most = Reference.execute(&whole).iter().flatten().map(|outcome| outcome.gas_used).max().unwrap();
        let short = batch(state(&[&code]), Fork::Cancun, |number| most + 100 - 3 * u64::from(number));
        assert!((10..140).contains(&success(&short)), "{}", success(&short));
        check(&short);
    }
    assert!(check(&batch(state(&[&code]), Fork::Shanghai, |_| 100_000)).left(Leave::Halted) > 0);
}

#[test]
fn storage_is_remembered_while_it_holds() {
    // Reads, writes through shared and own keys, calls itself once, and reads again.
    let mut code = vec![op::CALLDATASIZE, op::PUSH1, 0, op::JUMPI];
    code.extend([op::PUSH1, 0, op::SLOAD, op::PUSH1, 5, op::ADD, op::PUSH1, 0, op::SSTORE, op::STOP]);
    code[2] = code.len() as u8;
    code.extend([op::JUMPDEST, op::PUSH1, 0, op::SLOAD, op::PUSH1, 1, op::SLOAD, op::ADD, op::PUSH1, 2, op::SSTORE]);
    code.extend(input(0));
    code.extend([op::DUP1, op::PUSH1, 3, op::AND, op::SSTORE, op::PUSH1, 0, op::SLOAD, op::PUSH1, 9, op::SSTORE]);
    code.extend([op::PUSH1, 0, op::DUP1, op::DUP1, op::DUP1, op::DUP1, op::ADDRESS, op::GAS, op::CALL, op::POP]);
    code.extend([op::PUSH1, 0, op::SLOAD, op::PUSH1, 1, op::SLOAD, op::PUSH1, 2, op::SLOAD, op::ADD, op::ADD]);
    code.extend([
        op::PUSH1,
        8,
        op::SSTORE,
        op::PUSH1,
        65,
        op::SLOAD,
        op::PUSH1,
        1,
        op::SLOAD,
        op::PUSH1,
        7,
        op::SSTORE,
    ]);
    let batch = batch(state(&[&code]), Fork::Prague, |_| 400_000);
    assert_eq!(success(&batch), usize::from(SENDERS));
    assert_eq!(check(&batch).whole, u64::from(SENDERS));
}
