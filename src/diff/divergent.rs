//! Programs for groups, in which nearly everything depends on the input: words, branches, jumps, places in memory, lengths
//! of hashes, slots, calls. What lanes of a group have in common, and where they part and meet, is then different all the
//! time.

use super::case::Case;
use super::code::Code;
use super::edge::BINARY;
use super::generate::random::Random;
use super::generate::world;
use crate::convert::keccak;
use isolane_spec::opcode::{Opcode, op};
use isolane_spec::{AccountInfo, Bytes, Fork, Transaction, U256};
use std::sync::Arc;

/// Words of the input.
const WORDS: usize = 6;
/// The highest stack.
const HIGH: usize = 12;
/// Words of memory that statements name.
const MEMORY: usize = 6;

/// Puts such a program in the place of the first contract, and calls it with random words.
pub fn replace(random: &mut Random, case: &mut Case) {
    let address = world::contract(0);
    let Some(original) = case.transactions.first().cloned() else { return };
    let transaction = Transaction {
        sender: original.sender,
        nonce: original.nonce,
        to: Some(address),
        gas_limit: 400_000,
        max_fee_per_gas: original.max_fee_per_gas.max(case.block.base_fee),
        max_priority_fee_per_gas: original.max_fee_per_gas.max(case.block.base_fee),
        input: input(random),
        ..Transaction::default()
    };
    let code = program(random, case.rules.fork);
    let state = Arc::make_mut(&mut case.state);
    let sender = state.accounts.entry(transaction.sender).or_default();
    sender.info.balance = sender.info.balance.max(U256::exp10(30));
    let info = AccountInfo { nonce: 1, balance: U256::exp10(9), code_hash: keccak(&code) };
    let storage: Vec<(U256, U256)> = (0..4u64).map(|key| (key.into(), random.word())).collect();
    state.insert(address, info, code, storage);
    if random.chance(500) {
        // One of the two that it calls keeps and returns its input.
        let code = echo(case.rules.fork);
        let info = AccountInfo { nonce: 1, code_hash: keccak(&code), ..AccountInfo::default() };
        state.insert(world::contract(2), info, code, []);
    }
    case.transactions = vec![transaction];
}

fn echo(fork: Fork) -> Bytes {
    let mut code = Code::new(fork);
    code.push(0.into()).op(op::CALLDATALOAD).op(op::CALLDATASIZE).op(op::SSTORE);
    code.op(op::CALLDATASIZE).push(0.into()).push(0.into()).op(op::CALLDATACOPY);
    code.op(op::CALLDATASIZE).push(0.into()).op(op::RETURN);
    code.finish()
}

/// Words as different as can be.
pub fn input(random: &mut Random) -> Bytes {
    (0..WORDS).flat_map(|_| random.word().to_big_endian()).collect::<Vec<u8>>().into()
}

fn program(random: &mut Random, fork: Fork) -> Bytes {
    let mut writer = Writer { random, code: Code::new(fork), fork, height: 0 };
    (0..4).for_each(|_| writer.word());
    let count = 10 + writer.random.below(16);
    writer.statements(count, 2);
    writer.end();
    writer.code.finish()
}

struct Writer<'a> {
    random: &'a mut Random,
    code: Code,
    fork: Fork,
    /// Items on the stack.
    height: usize,
}

impl Writer<'_> {
    fn push(&mut self, value: usize) {
        self.code.push(value.into());
        self.height += 1;
    }

    /// An opcode that takes and leaves so many items.
    fn op(&mut self, byte: u8, pops: usize, pushes: usize) {
        self.code.op(byte);
        self.height = self.height.saturating_sub(pops) + pushes;
    }

    fn has(&self, byte: u8) -> bool {
        Opcode::of(byte, self.fork).is_some()
    }

    /// A word of the input.
    fn word(&mut self) {
        let word = self.random.below(WORDS);
        self.push(32 * word);
        self.op(op::CALLDATALOAD, 1, 1);
    }

    /// A small number that depends on the input.
    fn small(&mut self, mask: usize) {
        self.word();
        self.push(mask);
        self.op(op::AND, 2, 1);
    }

    /// A place in memory or a slot, or the length of something: the same in all lanes, or not.
    fn place(&mut self, unit: usize, most: usize) {
        if self.random.chance(650) {
            let place = unit * self.random.below(most);
            self.push(place);
        } else {
            self.small(unit * most.next_power_of_two() - 1);
        }
    }

    /// Brings the stack back to a height.
    fn level(&mut self, height: usize) {
        while self.height > height {
            self.op(op::POP, 1, 0);
        }
        while self.height < height {
            self.word();
        }
    }

    fn statements(&mut self, count: usize, depth: usize) {
        for _ in 0..count {
            if self.height > HIGH {
                self.level(HIGH / 2);
            }
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: usize) {
        let at_least = |writer: &mut Self, height: usize| {
            while writer.height < height {
                writer.word();
            }
        };
        match self.random.below(if depth > 0 { 25 } else { 18 }) {
            0 | 1 => self.word(),
            2..=4 => {
                at_least(self, 2);
                let byte = self.random.pick(&BINARY);
                let byte = if self.has(byte) { byte } else { op::ADD };
                self.op(byte, 2, 1);
            }
            5 => {
                at_least(self, 1);
                let count = self.random.below(256);
                let byte = self.random.pick(&[op::SHL, op::SHR, op::SAR]);
                if self.has(byte) {
                    self.push(count);
                    self.op(byte, 2, 1);
                }
            }
            6 => {
                at_least(self, 1);
                let byte = self.random.pick(&[op::NOT, op::ISZERO]);
                self.op(byte, 1, 1);
            }
            7 => {
                at_least(self, 3);
                let depth = self.random.below(self.height.min(8)) as u8;
                if self.random.chance(500) {
                    self.op(op::DUP1 + depth, 0, 1);
                } else {
                    self.op(op::SWAP1 + depth.min(self.height as u8 - 2), 0, 0);
                }
            }
            8 | 9 => {
                at_least(self, 1);
                self.op(op::DUP1, 0, 1);
                self.place(32, MEMORY);
                let byte = self.random.pick(&[op::MSTORE, op::MSTORE, op::MSTORE8]);
                self.op(byte, 2, 0);
            }
            10 => {
                self.place(32, MEMORY);
                self.op(op::MLOAD, 1, 1);
            }
            11 => {
                self.place(32, 5);
                self.place(32, MEMORY);
                self.op(op::KECCAK256, 2, 1);
            }
            12 => {
                self.place(1, 4);
                self.op(op::SLOAD, 1, 1);
            }
            13 => {
                at_least(self, 1);
                self.op(op::DUP1, 0, 1);
                self.place(1, 4);
                self.op(op::SSTORE, 2, 0);
            }
            14 => {
                let byte = self.random.pick(&[
                    op::MSIZE,
                    op::GAS,
                    op::CALLER,
                    op::ADDRESS,
                    op::CALLVALUE,
                    op::TIMESTAMP,
                    op::GASPRICE,
                ]);
                self.op(byte, 0, 1);
            }
            15 => {
                self.place(32, 3);
                self.place(32, MEMORY);
                self.op(op::LOG0, 2, 0);
            }
            16 if self.has(op::MCOPY) && self.random.chance(600) => self.copy(),
            16 => {
                self.place(32, 3);
                self.push(32);
                self.place(32, MEMORY);
                self.op(op::CALLDATACOPY, 3, 0);
            }
            18..=20 => self.branch(depth - 1),
            21 => self.jump(depth - 1),
            22 => self.turns(),
            23 | 24 => self.call(),
            // The hash of the top, as of a mapping's slot.
            _ => {
                at_least(self, 1);
                let word = 32 * self.random.below(2);
                self.op(op::DUP1, 0, 1);
                self.push(word);
                self.op(op::MSTORE, 2, 0);
                self.push(32);
                self.push(word);
                self.op(op::KECCAK256, 2, 1);
            }
        }
    }

    /// Two arms that leave as many items as there were, of which the top may be another one.
    fn branch(&mut self, depth: usize) {
        let height = self.height;
        let (other, end) = (self.code.new_label(), self.code.new_label());
        self.small(self.height % 3 + 1);
        self.code.push_label(other).op(op::JUMPI);
        self.height -= 1;
        self.arm(depth, height);
        self.code.push_label(end).op(op::JUMP);
        self.code.place(other);
        if self.random.chance(700) {
            self.arm(depth, height);
        }
        self.code.place(end);
    }

    fn arm(&mut self, depth: usize, height: usize) {
        let count = self.random.below(4);
        self.statements(count, depth);
        self.level(height);
    }

    /// To one of two places that the input chooses.
    fn jump(&mut self, depth: usize) {
        let height = self.height;
        let (one, other) = (self.code.new_label(), self.code.new_label());
        self.small(1);
        self.code.push_label(one).push_label(other).op(op::XOR).op(op::MUL).push_label(other).op(op::XOR).op(op::JUMP);
        self.height -= 1;
        self.code.place(one);
        self.arm(depth, height);
        self.code.place(other);
    }

    /// A loop that some lanes leave before others.
    fn turns(&mut self) {
        self.small(3);
        self.push(1);
        self.op(op::OR, 2, 1);
        let start = self.code.new_label();
        self.code.place(start);
        self.op(op::DUP1, 0, 1);
        self.place(32, MEMORY);
        self.op(op::MSTORE, 2, 0);
        self.push(1);
        self.op(op::SWAP1, 0, 0);
        self.op(op::SUB, 2, 1);
        self.op(op::DUP1, 0, 1);
        self.code.push_label(start).op(op::JUMPI);
        self.height -= 1;
        self.op(op::POP, 1, 0);
    }

    /// MCOPY, mostly of words that were just stored, and often over themselves.
    fn copy(&mut self) {
        let source = self.random.below(MEMORY);
        for word in [source, source + 1] {
            self.word();
            self.push(32 * word);
            self.op(op::MSTORE, 2, 0);
        }
        if self.random.chance(700) {
            let (words, target) = (1 + self.random.below(3), self.random.below(MEMORY));
            [32 * words, 32 * source, 32 * target].into_iter().for_each(|item| self.push(item));
        } else {
            [5, MEMORY, MEMORY].into_iter().for_each(|most| self.place(32, most));
        }
        self.op(op::MCOPY, 3, 0);
    }

    /// A call of one of two contracts or of the identity precompile, with some memory, to some memory.
    fn call(&mut self) {
        let kinds = [op::CALL, op::CALLCODE, op::DELEGATECALL, op::STATICCALL];
        let kind = self.random.pick(&kinds);
        let kind = if self.has(kind) { kind } else { op::CALL };
        self.place(32, 3);
        self.place(32, MEMORY);
        self.place(32, 3);
        self.place(32, MEMORY);
        let has_value = matches!(kind, op::CALL | op::CALLCODE);
        if has_value {
            self.small(1);
        }
        let [one, other] = [1, 2].map(|index| U256::from_big_endian(&world::contract(index).0));
        match self.random.below(4) {
            0 => self.push(4),
            1 => {
                let to = self.random.pick(&[one, other]);
                self.code.push(to);
                self.height += 1;
            }
            _ => {
                self.small(1);
                self.code.push(one ^ other).op(op::MUL).push(other).op(op::XOR);
            }
        }
        self.push(40_000);
        self.op(kind, if has_value { 7 } else { 6 }, 1);
        if self.random.chance(300) && self.has(op::RETURNDATASIZE) {
            self.op(op::RETURNDATASIZE, 0, 1);
        }
    }

    /// Returns or reverts with all that is on the stack and in memory.
    fn end(&mut self) {
        let items = self.height;
        for item in 0..items {
            self.push(32 * (MEMORY + 2 + item));
            self.op(op::MSTORE, 2, 0);
        }
        // A place that lanes reach with stacks of different heights.
        let skip = self.code.new_label();
        self.word();
        self.small(1);
        self.code.push_label(skip).op(op::JUMPI);
        self.height -= 1;
        self.word();
        self.code.place(skip);
        self.push(32 * (MEMORY + 1));
        self.op(op::MSTORE, 2, 0);
        let len = 32 * (MEMORY + 2 + items);
        let revert = self.code.new_label();
        self.small(7);
        self.code.push_label(revert).op(op::JUMPI);
        self.code.push(len.into()).push(0.into()).op(op::RETURN);
        self.code.place(revert);
        self.code.push(len.into()).push(0.into());
        self.code.op(if self.has(op::REVERT) { op::REVERT } else { op::RETURN });
    }
}
