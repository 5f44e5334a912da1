//! What the statements of a contract are about: values, places, lengths, keys and accounts.

use super::program::Writer;
use super::world;
use isolane_spec::U256;
use isolane_spec::opcode::op;

/// Opcodes that push something about the surroundings.
const NULLARY: [u8; 22] = [
    op::ADDRESS,
    op::ORIGIN,
    op::CALLER,
    op::CALLVALUE,
    op::CALLDATASIZE,
    op::CODESIZE,
    op::GASPRICE,
    op::RETURNDATASIZE,
    op::COINBASE,
    op::TIMESTAMP,
    op::NUMBER,
    op::PREVRANDAO,
    op::GASLIMIT,
    op::CHAINID,
    op::SELFBALANCE,
    op::BASEFEE,
    op::BLOBBASEFEE,
    op::SLOTNUM,
    op::PC,
    op::MSIZE,
    op::GAS,
    op::GAS,
];

/// Opcodes without side effects that take operands of any value.
const UNARY: [u8; 8] =
    [op::ISZERO, op::NOT, op::CLZ, op::CALLDATALOAD, op::BALANCE, op::EXTCODESIZE, op::EXTCODEHASH, op::BLOBHASH];

impl Writer<'_> {
    /// Where in memory: near the start, seldom far, hardly ever beyond all gas.
    pub fn offset(&mut self) {
        let offset = match self.random.below(1000) {
            0 | 1 => self.random.word(),
            2 => self.random.between(0, 150_000).into(),
            3..=5 => self.random.between(0, 8_000).into(),
            6..=200 => self.random.between(0, 700).into(),
            _ => U256::from(32 * self.random.below(8)),
        };
        self.push(offset);
    }

    /// How much memory.
    pub fn length(&mut self) {
        let length = match self.random.below(1000) {
            0 | 1 => self.random.word(),
            2 => self.random.between(0, 50_000).into(),
            3..=150 => U256::zero(),
            151..=450 => 32.into(),
            _ => self.random.between(0, 200).into(),
        };
        self.push(length);
    }

    /// A storage key: the same few again and again.
    pub fn key(&mut self) {
        let key = match self.random.below(12) {
            0 => self.random.word(),
            1 => U256::MAX,
            _ => self.random.below(4).into(),
        };
        self.push(key);
    }

    /// Pushes one value.
    pub fn value(&mut self, level: usize) {
        let level = level.min(2);
        match self.random.below(100) {
            0..=24 => {
                let (word, width) = (self.random.word(), self.random.below(33));
                self.code.push_wide(word, width);
                self.height += 1;
            }
            25..=37 => {
                let byte = self.random.pick(&NULLARY);
                let byte = if self.has(byte) { byte } else { op::CALLER };
                self.op(byte);
            }
            38..=46 if self.height > 0 => {
                let depth = 1 + self.random.below(self.height.min(16));
                self.op(op::DUP1 + depth as u8 - 1);
            }
            47..=68 if level > 0 => {
                let byte = self.random.pick(&crate::diff::edge::BINARY);
                let byte = if self.has(byte) { byte } else { op::ADD };
                self.value(level - 1);
                self.value(level - 1);
                self.op(byte);
            }
            69..=75 if level > 0 => {
                let byte = self.random.pick(&UNARY);
                if !self.has(byte) {
                    return self.value(0);
                }
                match byte {
                    op::BALANCE | op::EXTCODESIZE | op::EXTCODEHASH => self.account(),
                    op::BLOBHASH => self.push_below(4),
                    op::CALLDATALOAD if self.random.chance(800) => self.push_below(200),
                    _ => self.value(level - 1),
                }
                self.op(byte);
            }
            76..=79 if level > 0 => {
                let byte = self.random.pick(&crate::diff::edge::TERNARY);
                (0..3).for_each(|_| self.value(level - 1));
                self.op(byte);
            }
            80..=83 => {
                self.offset();
                self.op(op::MLOAD);
            }
            84..=88 => {
                self.key();
                self.op(op::SLOAD);
            }
            89..=91 if self.has(op::TLOAD) => {
                self.key();
                self.op(op::TLOAD);
            }
            92 | 93 => {
                self.length();
                self.offset();
                self.op(op::KECCAK256);
            }
            94 => {
                self.push_below(300);
                self.op(op::NUMBER);
                self.op(op::SUB);
                self.op(op::BLOCKHASH);
            }
            _ => self.push_below(260),
        }
    }

    pub fn push_below(&mut self, end: usize) {
        let value = self.random.below(end);
        self.push(value);
    }

    /// Pushes an address.
    pub fn account(&mut self) {
        match self.random.below(12) {
            0 => self.op(op::ADDRESS),
            1 => self.op(op::CALLER),
            _ => {
                let address = world::address(self.random, self.fork);
                if self.random.chance(30) {
                    // Dirty high bytes, which every opcode has to ignore.
                    let dirt = U256::from(self.random.number()) << 160;
                    self.push(U256::from_big_endian(&address.0) | dirt);
                } else {
                    self.push_address(address);
                }
            }
        }
    }
}
