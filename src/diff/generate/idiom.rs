//! Opcodes next to each other as compilers write them, of which a decoder may make one instruction.

use super::program::Writer;
use isolane_spec::opcode::op;

/// Opcodes of two operands, some of which may be exchanged.
const TURNED: [u8; 11] =
    [op::SUB, op::SUB, op::LT, op::GT, op::SLT, op::SGT, op::ADD, op::MUL, op::AND, op::OR, op::EQ];
/// Opcodes of two constants.
const FOLDED: [u8; 6] = [op::ADD, op::SUB, op::AND, op::OR, op::SHL, op::SHR];

impl Writer<'_> {
    /// One idiom, whose result mostly goes where it shows.
    pub fn idiom(&mut self) {
        match self.random.below(12) {
            0 => {
                self.value(1);
                self.constant();
                self.op(op::SWAP1);
                self.op(op::SUB);
            }
            1 => {
                let byte = self.random.pick(&TURNED);
                self.value(1);
                if self.random.chance(300) {
                    self.constant()
                } else {
                    self.value(1)
                }
                self.op(op::SWAP1);
                self.op(byte);
            }
            2 => self.sum_of_copy(),
            3 => {
                self.offset();
                self.value(0);
                self.op(op::DUP2);
                self.op(op::MLOAD);
            }
            4 => {
                self.offset();
                self.value(1);
                self.op(op::DUP2);
                self.op(op::MSTORE);
            }
            5 => {
                self.value(1);
                self.value(1);
                self.op(op::DUP2);
                self.offset();
                self.op(op::MSTORE);
            }
            6 => {
                self.constant();
                self.offset();
                self.op(op::MSTORE);
            }
            7 => self.function_end(),
            8 if self.nesting < 2 => self.guard(),
            9 => {
                let byte = self.random.pick(&FOLDED);
                self.constant();
                self.constant();
                self.op(if self.has(byte) { byte } else { op::ADD });
                if self.random.chance(200) {
                    self.op(op::NOT);
                }
            }
            10 => self.slot_around_call(),
            _ => self.pairs(),
        }
        if self.height > self.base && self.random.chance(700) {
            self.keep_result();
        }
    }

    /// Small, around 16, 32 and 64 bits, or any.
    fn constant(&mut self) {
        let constant = match self.random.below(8) {
            0 => self.random.between(0xffff, 0x1_0000).into(),
            1 => self.random.between(0xffff_ffff, 0x1_0000_0000).into(),
            2 => self.random.word(),
            3 => self.random.below(70_000).into(),
            _ => self.random.below(260).into(),
        };
        self.push(constant);
    }

    /// A copy of an item, and something added to it.
    fn sum_of_copy(&mut self) {
        self.value(1);
        self.value(1);
        let deepest = self.height.min(16);
        match self.random.below(3) {
            0 => {
                let depth = self.random.below(deepest);
                self.op(op::DUP1 + depth as u8);
            }
            1 => {
                let depth = self.random.below(deepest);
                self.op(op::DUP1 + depth as u8);
                self.constant();
            }
            _ => {
                self.constant();
                let depth = self.random.below(deepest.min(15));
                self.op(op::DUP1 + depth as u8);
            }
        }
        self.op(op::ADD);
    }

    /// A slot is read, something is called that may write it, and it is read again.
    fn slot_around_call(&mut self) {
        let key = self.random.below(3);
        self.push(key);
        self.op(op::SLOAD);
        self.keep_result();
        self.call();
        self.push(key);
        self.op(op::SLOAD);
    }

    /// What a function leaves goes below what it had.
    fn function_end(&mut self) {
        let had = 1 + self.random.below(5);
        (0..had + 1).for_each(|_| self.value(0));
        let depth = 1 + self.random.below(had);
        self.op(op::SWAP1 + depth as u8 - 1);
        (0..1 + self.random.below(had)).for_each(|_| self.op(op::POP));
    }

    /// A jump over a block by a condition that stays on the stack.
    fn guard(&mut self) {
        let behind = self.code.new_label();
        self.value(2);
        self.value(1);
        if self.random.chance(400) {
            let selector = self.random.below(4);
            if self.random.chance(700) {
                // What it is compared with, so that it is met at times.
                self.push_below(4);
            }
            self.op(op::DUP1);
            self.push(selector);
            self.op(op::EQ);
        } else {
            let depth = self.random.below(self.height.min(16));
            self.op(op::DUP1 + depth as u8);
        }
        (0..self.random.below(4)).for_each(|_| self.op(op::ISZERO));
        self.push_label(behind);
        self.op(op::JUMPI);
        self.block();
        self.code.place(behind);
    }

    /// Stack instructions in a row.
    fn pairs(&mut self) {
        (0..3).for_each(|_| self.value(0));
        for _ in 0..2 + self.random.below(4) {
            let items = (self.height - self.base).min(16);
            match self.random.below(5) {
                0 | 1 => self.constant(),
                2 | 3 => {
                    let depth = self.random.below(items.max(1));
                    self.op(op::DUP1 + depth as u8);
                }
                _ if items > 1 => {
                    let depth = 1 + self.random.below(items - 1);
                    self.op(op::SWAP1 + depth as u8 - 1);
                }
                _ => self.constant(),
            }
        }
    }
}
