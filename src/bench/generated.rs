//! Workloads of our own making: loops whose instructions are known.

use crate::load::workload::Workload;
use isolane_spec::opcode::op;
use isolane_spec::{AccountInfo, Bytes, H160, KECCAK_EMPTY, MemoryState, Transaction, U256};
use std::sync::Arc;

/// Senders of a generated workload; it is widened beyond them.
const SENDERS: u64 = 64;
/// Gas of a transaction.
const GAS: u64 = 10_000_000;

/// A loop over the cheap opcodes of all kinds: arithmetic, comparison, bits, memory, stack and jumps.
#[must_use]
pub fn mixed_loop(rounds: u16) -> Workload {
    let body = [
        // Below the counter stays what the rounds compute.
        &[op::SWAP1, op::DUP2, op::PUSH1, 3, op::MUL, op::ADD, op::PUSH1, 7, op::XOR][..],
        &[op::DUP1, op::PUSH1, 0x20, op::MSTORE, op::PUSH1, 0x20, op::MLOAD, op::NOT, op::NOT],
        &[op::DUP1, op::PUSH1, 1, op::SHL, op::OR, op::DUP2, op::AND, op::DUP2, op::GT, op::ISZERO, op::ADD],
        &[op::SWAP1],
    ]
    .concat();
    looped("mixed_loop", rounds, &body)
}

/// A loop over additions, multiplications and bits, without memory.
#[must_use]
pub fn alu_loop(rounds: u16) -> Workload {
    let round = [op::DUP2, op::MUL, op::DUP2, op::ADD, op::DUP2, op::XOR, op::DUP2, op::SUB];
    looped("alu_loop", rounds, &[&[op::SWAP1][..], &round.repeat(3), &[op::SWAP1]].concat())
}

/// A contract that runs a body so many times: the counter lies on top of the stack, above a word of the body's own.
fn looped(name: &str, rounds: u16, body: &[u8]) -> Workload {
    let [high, low] = rounds.to_be_bytes();
    let start = [op::PUSH1, 1, op::PUSH2, high, low];
    let end = [op::PUSH1, 1, op::SWAP1, op::SUB, op::DUP1, op::PUSH1, start.len() as u8, op::JUMPI, op::STOP];
    let code = [&start[..], &[op::JUMPDEST], body, &end].concat();
    let hash = crate::convert::keccak(&code);
    let contract = H160::from_low_u64_be(0xc0de);
    let mut state = MemoryState::default();
    let info = AccountInfo { nonce: 1, code_hash: hash, ..AccountInfo::default() };
    state.insert(contract, info, Bytes::from(code), []);
    let transactions = (1..=SENDERS)
        .map(|sender| {
            let sender = H160::from_low_u64_be(sender << 32);
            let info = AccountInfo { balance: U256::from(10).pow(18.into()), nonce: 0, code_hash: KECCAK_EMPTY };
            state.insert(sender, info, Bytes::new(), []);
            let gas_price = U256::from(10);
            Transaction {
                sender,
                to: Some(contract),
                gas_limit: GAS,
                max_fee_per_gas: gas_price,
                max_priority_fee_per_gas: gas_price,
                ..Transaction::default()
            }
        })
        .collect();
    Workload { name: name.to_owned(), state: Arc::new(state), transactions }
}
