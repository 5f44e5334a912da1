//! Small worlds and programs.

use isolane_cpu::crypto::keccak256;
use isolane_cpu::{Available, Machine, Observer};
use isolane_spec::opcode::op;
use isolane_spec::{
    AccountInfo, BlockContext, Bytes, Environment, Fork, H160, MemoryState, Outcome, Rules, Transaction, U256,
};
use std::sync::Arc;

pub const SENDER: H160 = H160([0xaa; 20]);
pub const CONTRACT: H160 = H160([0xc0; 20]);
pub const INNER: H160 = H160([0xc1; 20]);
pub const TARGET: H160 = H160([0xc2; 20]);
pub const DELEGATED: H160 = H160([0xc3; 20]);
pub const COINBASE: H160 = H160([0xcb; 20]);
pub const GAS: u64 = 1_000_000;
/// The variants of CALL.
pub const CALLS: [u8; 4] = [op::CALL, op::CALLCODE, op::DELEGATECALL, op::STATICCALL];

pub fn put(state: &mut MemoryState, address: H160, balance: u64, nonce: u64, code: &[u8]) {
    let code_hash = if code.is_empty() { isolane_spec::KECCAK_EMPTY } else { keccak256(code) };
    let info = AccountInfo { nonce, balance: U256::from(balance), code_hash };
    state.insert(address, info, Bytes::copy_from_slice(code), []);
}

pub fn push(code: &mut Vec<u8>, bytes: &[u8]) {
    code.push(op::PUSH1 + bytes.len() as u8 - 1);
    code.extend_from_slice(bytes);
}

/// Code that makes a call and returns its result as a word; and where the call is.
pub fn caller(variant: u8, target: H160, value: u8) -> (Vec<u8>, u32) {
    let mut code = Vec::new();
    for _ in 0..4 {
        push(&mut code, &[0]);
    }
    if [op::CALL, op::CALLCODE].contains(&variant) {
        push(&mut code, &[value]);
    }
    push(&mut code, &target.0);
    push(&mut code, &[0x01, 0x86, 0xa0]);
    let pc = code.len() as u32;
    code.push(variant);
    code.extend(return_top());
    (code, pc)
}

/// Code that creates a contract without code and returns whether it did; and where the creation is.
pub fn creator(opcode: u8, value: u8) -> (Vec<u8>, u32) {
    let mut code = Vec::new();
    if opcode == op::CREATE2 {
        push(&mut code, &[7]);
    }
    push(&mut code, &[0]);
    push(&mut code, &[0]);
    push(&mut code, &[value]);
    let pc = code.len() as u32;
    code.extend([opcode, op::ISZERO, op::ISZERO]);
    code.extend(return_top());
    (code, pc)
}

/// Returns the top of the stack.
pub fn return_top() -> Vec<u8> {
    vec![op::PUSH1, 0, op::MSTORE, op::PUSH1, 32, op::PUSH1, 0, op::RETURN]
}

/// What a delegation to an account looks like.
pub fn designator(target: H160) -> Vec<u8> {
    [&[0xef, 0x01, 0x00][..], &target.0].concat()
}

/// A world in which `code` is what a transaction calls.
pub fn state(code: &[u8]) -> MemoryState {
    let mut state = MemoryState::default();
    put(&mut state, SENDER, u64::MAX, 0, &[]);
    put(&mut state, CONTRACT, 1_000_000, 1, code);
    put(&mut state, TARGET, 5, 1, &[op::STOP]);
    put(&mut state, DELEGATED, 5, 1, &designator(TARGET));
    state
}

/// As [`state`], but a frame between calls `code`, which is at [`INNER`].
pub fn nested_state(code: &[u8]) -> MemoryState {
    let mut state = state(&caller(op::CALL, INNER, 0).0);
    put(&mut state, INNER, 1_000_000, 1, code);
    state
}

pub fn environment(fork: Fork, state: MemoryState) -> Environment {
    let block = BlockContext {
        number: 100,
        coinbase: COINBASE,
        gas_limit: 30_000_000,
        base_fee: U256::from(u64::from(fork >= Fork::London)),
        ..BlockContext::default()
    };
    Environment::new("test", Rules::new(fork, 1), block, Arc::new(state))
}

pub fn transaction() -> Transaction {
    Transaction {
        sender: SENDER,
        gas_limit: GAS,
        max_fee_per_gas: U256::from(10),
        max_priority_fee_per_gas: U256::from(2),
        to: Some(CONTRACT),
        ..Transaction::default()
    }
}

pub const AVAILABLE: Available = Available { gas: 30_000_000, blob_gas: 1 << 20 };

struct Watching;
impl Observer for Watching {}

/// Executes a transaction in the fast and in the checked form of the interpreter, which must agree.
pub fn run(environment: Environment, transaction: &Transaction) -> Outcome {
    let fast = Machine::new(environment.clone()).transact(transaction, AVAILABLE).expect("an outcome");
    let checked =
        Machine::new(environment).transact_observed(transaction, AVAILABLE, &mut Watching).expect("an outcome");
    assert_eq!(fast, checked, "the fast form and the checked form differ");
    fast
}

/// What the outermost frame returned.
pub fn returned(outcome: &Outcome) -> u64 {
    U256::from_big_endian(&outcome.output).low_u64()
}

/// Pseudo-random numbers (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
