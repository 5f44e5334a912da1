//! Edge values, and the sweep of all opcodes that compute over them.
//!
//! A lane carries one left operand and hundreds of right ones. Each opcode runs in two forms, since a backend may
//! treat them differently: with operands from memory in a loop, and with operands pushed in straight-line code; some also
//! the other way round in a loop. A lane returns all its results.

use super::case::{Case, Setting};
use super::code::Code;
use isolane_spec::opcode::{Opcode, op};
use isolane_spec::{AccountInfo, BlockContext, Bytes, Fork, H160, MemoryState, Rules, Transaction, U256};
use std::sync::{Arc, OnceLock};

/// Values at which arithmetic goes wrong: zero and one, the powers of two at limb, byte and shift borders with their
/// neighbours, their negatives, the signed extremes, small numbers, and patterns.
#[must_use]
pub fn values() -> &'static [U256] {
    static VALUES: OnceLock<Vec<U256>> = OnceLock::new();
    VALUES.get_or_init(|| {
        let one = U256::one();
        let mut values: Vec<U256> = (0..=34u64).map(U256::from).collect();
        for power in [
            6u32, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 95, 96, 127, 128, 129, 159, 160, 191, 192, 193, 223, 224, 247,
            248, 255,
        ] {
            let value = one << power;
            values.extend([value - one, value, value + one]);
        }
        // Shift amounts, byte indices and divisors around the width of a word.
        values.extend([100u64, 253, 254, 256, 257, 258, 511, 512, 1000, 0x5555_5555, 0xdead_beef].map(U256::from));
        // Negative numbers, down to the smallest.
        for small in [1u64, 2, 3, 5, 7, 8, 31, 32, 33, 127, 128, 129, 255, 256, 257] {
            values.push(U256::zero().overflowing_sub(small.into()).0);
        }
        let half = one << 255;
        values.extend([half - one, half, half + one, half + U256::from(2), U256::MAX - half]);
        for power in [32u32, 64, 96, 128, 160, 192, 224] {
            // Minus a power of two: ones above, zeros below.
            values.push(U256::MAX << power);
        }
        // Alternating patterns, single limbs, and limbs that borrow and carry through.
        let limbs = [
            [0x5555_5555_5555_5555; 4],
            [0xaaaa_aaaa_aaaa_aaaa; 4],
            [0x0101_0101_0101_0101; 4],
            [0x8080_8080_8080_8080; 4],
            [u64::MAX, 0, 0, 0],
            [0, u64::MAX, 0, 0],
            [0, 0, u64::MAX, 0],
            [0, 0, 0, u64::MAX],
            [u64::MAX, 0, u64::MAX, 0],
            [0, u64::MAX, 0, u64::MAX],
            [1, u64::MAX, u64::MAX, 0],
            [u64::MAX, u64::MAX, u64::MAX, 1],
            [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210, 0x0f1e_2d3c_4b5a_6978, 0x1122_3344_5566_7788],
            [0x8000_0000_0000_0000; 4],
            [1, 1, 1, 1],
        ];
        values.extend(limbs.map(U256));
        values.sort_unstable();
        values.dedup();
        values
    })
}

/// Opcodes of two operands that the sweep covers.
pub const BINARY: [u8; 21] = [
    op::ADD,
    op::MUL,
    op::SUB,
    op::DIV,
    op::SDIV,
    op::MOD,
    op::SMOD,
    op::EXP,
    op::SIGNEXTEND,
    op::LT,
    op::GT,
    op::SLT,
    op::SGT,
    op::EQ,
    op::AND,
    op::OR,
    op::XOR,
    op::BYTE,
    op::SHL,
    op::SHR,
    op::SAR,
];
/// Those of them that are also swept with the first operand common to all lanes: a backend that executes lanes together
/// may treat that differently.
const COMMON_FIRST: [u8; 10] =
    [op::SHL, op::SHR, op::SAR, op::BYTE, op::SIGNEXTEND, op::SUB, op::LT, op::GT, op::SLT, op::SGT];
/// Of one.
pub const UNARY: [u8; 3] = [op::ISZERO, op::NOT, op::CLZ];
/// Of three.
pub const TERNARY: [u8; 2] = [op::ADDMOD, op::MULMOD];
/// Every how-many-th value is taken for two of the operands of the ternary opcodes; the third takes all.
const TERNARY_STRIDE: usize = 6;

/// Where the lane's code is.
const CONTRACT: H160 = H160([0xed; 20]);
/// Who calls it.
const SENDER: H160 = H160([0x5e; 20]);

/// One lane of the sweep and how many vectors it carries.
struct Lane {
    case: Case,
    vectors: u64,
}

/// The sweep of a fork: the cases, and the number of vectors in them.
#[must_use]
pub fn sweep(fork: Fork) -> (Vec<Case>, u64) {
    let lanes = lanes(fork);
    let vectors = lanes.iter().map(|lane| lane.vectors).sum();
    (lanes.into_iter().map(|lane| lane.case).collect(), vectors)
}

fn lanes(fork: Fork) -> Vec<Lane> {
    let all = values();
    let few: Vec<U256> = all.iter().step_by(TERNARY_STRIDE).copied().collect();
    let there = |opcodes: &[u8]| opcodes.iter().copied().filter(|byte| Opcode::of(*byte, fork).is_some()).collect();
    let (unary, binary, ternary): (Vec<u8>, Vec<u8>, Vec<u8>) = (there(&UNARY), there(&BINARY), there(&TERNARY));
    let mut lanes = Vec::new();
    for opcode in unary {
        let code = from_memory(fork, opcode, 1, all);
        lanes.push(lane(fork, opcode, code, &[], all.len()));
        lanes.push(lane(fork, opcode, pushed(fork, opcode, &[], all), &[], all.len()));
    }
    for opcode in binary {
        // One code for all left operands: a device runs its lanes in step.
        let code = from_memory(fork, opcode, 2, all);
        for left in all {
            lanes.push(lane(fork, opcode, code.clone(), &[*left], all.len()));
            lanes.push(lane(fork, opcode, pushed(fork, opcode, &[*left], all), &[], all.len()));
        }
    }
    for opcode in ternary {
        let code = from_memory(fork, opcode, 3, all);
        for first in &few {
            for second in &few {
                lanes.push(lane(fork, opcode, code.clone(), &[*first, *second], all.len()));
            }
        }
        // The modulus in the reduced set, and one of the summands over all.
        for modulus in &few {
            let code = pushed(fork, opcode, &[U256::MAX, *modulus], all);
            lanes.push(lane(fork, opcode, code, &[], all.len()));
        }
    }
    for opcode in there(&COMMON_FIRST) {
        let code = with_common_first(fork, opcode, all);
        lanes.extend(all.iter().map(|second| lane(fork, opcode, code.clone(), &[*second], all.len())));
    }
    lanes
}

fn lane(fork: Fork, opcode: u8, code: Bytes, input: &[U256], vectors: usize) -> Lane {
    let mut state = MemoryState::default();
    let rich = AccountInfo { balance: U256::from(1) << 100, ..AccountInfo::default() };
    state.insert(SENDER, rich, Bytes::new(), []);
    let info = AccountInfo { nonce: 1, code_hash: crate::convert::keccak(&code), ..AccountInfo::default() };
    state.insert(CONTRACT, info, code, []);
    let input: Vec<u8> = input.iter().flat_map(U256::to_big_endian).collect();
    let transaction = Transaction {
        sender: SENDER,
        to: Some(CONTRACT),
        gas_limit: 16_000_000,
        max_fee_per_gas: 10.into(),
        max_priority_fee_per_gas: 10.into(),
        input: input.into(),
        ..Transaction::default()
    };
    let block = BlockContext { number: 1, timestamp: 1, gas_limit: 30_000_000, ..BlockContext::default() };
    let name = Opcode::of(opcode, fork).map_or("", |row| row.name);
    let mut case = Case {
        name: format!("edge sweep, {name}, {fork}"),
        rules: Rules::new(fork, 1),
        block,
        excess_blob_gas: 0,
        state: Arc::new(state),
        formula: true,
        setting: Setting::default(),
        transactions: vec![transaction],
    };
    case.set_fork(fork);
    Lane { case, vectors: vectors as u64 }
}

/// A loop over a table of last operands behind the code; the operands before come from the call data. Operand 1 is on
/// top of the stack.
fn from_memory(fork: Fork, opcode: u8, operands: u8, table: &[U256]) -> Bytes {
    table_loop(fork, opcode, table, |code| {
        code.op(op::DUP1).op(op::MLOAD);
        for operand in (1..operands).rev() {
            code.push(U256::from(32 * (operand - 1))).op(op::CALLDATALOAD);
        }
    })
}

/// The other way round: a table of first operands, and the second from the call data.
fn with_common_first(fork: Fork, opcode: u8, table: &[U256]) -> Bytes {
    table_loop(fork, opcode, table, |code| {
        code.push(0.into()).op(op::CALLDATALOAD).op(op::DUP1 + 1).op(op::MLOAD);
    })
}

/// A loop over a table behind the code. `operands` pushes them, where the offset of the table's word is on top.
fn table_loop(fork: Fork, opcode: u8, table: &[U256], operands: impl Fn(&mut Code)) -> Bytes {
    let mut code = Code::new(fork);
    let size = U256::from(32 * table.len());
    let data = code.add_data(table.iter().flat_map(U256::to_big_endian).collect());
    code.push(size).push_label(data).push(0.into()).op(op::CODECOPY);
    // The results overwrite the operands.
    code.push(0.into());
    let start = code.new_label();
    code.place(start);
    // [offset]
    operands(&mut code);
    code.op(opcode).op(op::DUP1 + 1).op(op::MSTORE);
    code.push(32.into()).op(op::ADD);
    code.op(op::DUP1).push(size).op(op::GT).push_label(start).op(op::JUMPI);
    code.push(0.into()).op(op::RETURN);
    code.finish()
}

/// Straight-line code with every operand pushed: `first` on top, then one of the table.
fn pushed(fork: Fork, opcode: u8, first: &[U256], table: &[U256]) -> Bytes {
    let mut code = Code::new(fork);
    for (index, last) in table.iter().enumerate() {
        code.push(*last);
        for operand in first.iter().rev() {
            code.push(*operand);
        }
        code.op(opcode).push(U256::from(32 * index)).op(op::MSTORE);
    }
    code.push(U256::from(32 * table.len())).push(0.into()).op(op::RETURN);
    code.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::case::batch;
    use isolane_cpu::Reference;
    use isolane_spec::Backend;

    #[test]
    fn the_sweep_is_as_large_as_promised() {
        assert!(values().len() >= 155, "{} values", values().len());
        let (_, vectors) = sweep(Fork::Osaka);
        assert!(vectors >= 700_000, "{vectors} vectors");
    }

    /// The lanes compute what they are meant to: the forms agree, and a few results are right.
    #[test]
    fn all_forms_return_every_result() {
        let all = values();
        let cases: Vec<Case> = lanes(Fork::Osaka).into_iter().map(|lane| lane.case).collect();
        let sub = cases.iter().filter(|case| case.name.contains(", SUB,")).cloned().collect::<Vec<_>>();
        assert_eq!(sub.len(), 3 * all.len());
        let (sub, common) = sub.split_at(2 * all.len());
        for (result, right) in Reference.execute(&batch(common)).iter().zip(all) {
            let expected: Vec<u8> =
                all.iter().flat_map(|left| left.overflowing_sub(*right).0.to_big_endian()).collect();
            assert_eq!(result.as_ref().expect("an outcome").output.as_ref(), expected.as_slice());
        }
        for (index, pair) in Reference.execute(&batch(sub)).chunks(2).enumerate() {
            let outputs: Vec<_> = pair.iter().map(|result| &result.as_ref().expect("an outcome").output).collect();
            assert_eq!(outputs[0], outputs[1]);
            let expected: Vec<u8> =
                all.iter().flat_map(|right| all[index].overflowing_sub(*right).0.to_big_endian()).collect();
            assert_eq!(outputs[0].as_ref(), expected.as_slice());
        }
    }
}
