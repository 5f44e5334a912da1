//! Writes the code of one contract: statements over expressions, with the height of the stack always known.

use super::random::Random;
use crate::diff::code::{Code, Label};
use isolane_spec::opcode::{BY_BYTE, OPCODES, Opcode, op, takes_immediate};
use isolane_spec::{Bytes, Fork, H160, U256};

/// What the code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The contract with this number: it mostly calls those behind it, so that calls end.
    Contract(usize),
    /// Initcode.
    Init,
    /// What initcode deploys: short.
    Deployed,
}

/// The code under construction.
pub(super) struct Writer<'a> {
    pub code: Code,
    pub random: &'a mut Random,
    pub fork: Fork,
    pub role: Role,
    /// Items on the stack here.
    pub height: usize,
    /// Items that belong to statements around this one.
    pub base: usize,
    /// Statements around this one.
    pub nesting: usize,
    /// Creations around this code.
    pub level: usize,
}

impl<'a> Writer<'a> {
    pub fn new(random: &'a mut Random, fork: Fork, role: Role, level: usize) -> Self {
        Self { code: Code::new(fork), random, fork, role, height: 0, base: 0, nesting: 0, level }
    }

    /// Whether the fork has the opcode.
    pub fn has(&self, byte: u8) -> bool {
        Opcode::of(byte, self.fork).is_some()
    }

    /// Appends an opcode and keeps account of the stack.
    pub fn op(&mut self, byte: u8) {
        self.code.op(byte);
        if let Some(row) = &BY_BYTE[usize::from(byte)] {
            self.height = self.height.saturating_sub(row.pops.into()) + usize::from(row.pushes);
        }
    }

    pub fn push(&mut self, value: impl Into<U256>) {
        self.code.push(value.into());
        self.height += 1;
    }

    pub fn push_address(&mut self, address: H160) {
        self.code.push_address(address);
        self.height += 1;
    }

    pub fn push_label(&mut self, label: Label) {
        self.code.push_label(label);
        self.height += 1;
    }

    /// Code of so many statements and an end.
    pub fn body(mut self, statements: usize) -> Bytes {
        for _ in 0..statements {
            self.statement();
        }
        self.end();
        self.code.finish()
    }

    /// A block of one or two statements that leaves the stack as it was.
    pub fn block(&mut self) {
        let outer = std::mem::replace(&mut self.base, self.height);
        let start = self.height;
        self.nesting += 1;
        for _ in 0..1 + self.random.below(2) {
            self.statement();
        }
        self.nesting -= 1;
        while self.height > start {
            self.op(op::POP);
        }
        self.base = outer;
    }

    pub fn statement(&mut self) {
        const WEIGHTS: [u32; 18] = [14, 3, 12, 4, 6, 8, 3, 6, 3, 10, 13, 4, 2, 2, 2, 4, 1, 12];
        match self.random.weighted(&WEIGHTS) {
            0 => self.store(op::MSTORE),
            1 => self.store(op::MSTORE8),
            2 => self.store_slot(op::SSTORE),
            3 if self.has(op::TSTORE) => self.store_slot(op::TSTORE),
            4 => self.log(),
            5 => self.call(),
            6 => self.create(),
            7 if self.nesting < 2 => self.branch(),
            8 if self.nesting < 2 => self.repeat(),
            9 => self.copy(),
            10 => self.shuffle(),
            11 => self.call_precompile(),
            12 => self.jump_over_data(),
            13 => self.hash(),
            14 => self.fail(),
            15 if matches!(self.role, Role::Contract(_)) => self.keep_result(),
            16 => self.anything(),
            17 => self.idiom(),
            _ => self.store(op::MSTORE),
        }
    }

    fn store(&mut self, byte: u8) {
        self.value(2);
        self.offset();
        self.op(byte);
    }

    fn store_slot(&mut self, byte: u8) {
        // Zero, one and what is there decide the price: original, current and new value.
        match self.random.below(4) {
            0 => self.push(0),
            1 => self.push_below(3),
            2 => {
                self.key();
                self.op(op::SLOAD);
            }
            _ => self.value(1),
        }
        self.key();
        self.op(byte);
    }

    fn log(&mut self) {
        let topics = self.random.below(5);
        (0..topics).for_each(|_| self.value(0));
        self.length();
        self.offset();
        self.op(op::LOG0 + topics as u8);
    }

    fn branch(&mut self) {
        let behind = self.code.new_label();
        self.value(2);
        self.push_label(behind);
        self.op(op::JUMPI);
        self.block();
        self.code.place(behind);
    }

    fn repeat(&mut self) {
        let start = self.code.new_label();
        let rounds = 1 + self.random.below(4);
        self.push(rounds);
        self.code.place(start);
        self.block();
        self.push(1);
        self.op(op::SWAP1);
        self.op(op::SUB);
        self.op(op::DUP1);
        self.push_label(start);
        self.op(op::JUMPI);
        self.op(op::POP);
    }

    fn copy(&mut self) {
        let byte = self.random.pick(&[
            op::CALLDATACOPY,
            op::CODECOPY,
            op::EXTCODECOPY,
            op::RETURNDATACOPY,
            op::RETURNDATACOPY,
            op::MCOPY,
        ]);
        if !self.has(byte) {
            return self.shuffle();
        }
        match byte {
            op::RETURNDATACOPY if self.random.chance(950) => {
                // Within bounds, from the start or behind the end by nothing.
                if self.random.chance(300) {
                    self.push(0);
                    self.op(op::RETURNDATASIZE);
                } else {
                    self.op(op::RETURNDATASIZE);
                    self.push(0);
                }
            }
            op::RETURNDATACOPY => {
                self.length();
                self.push_below(40);
            }
            _ => {
                self.length();
                self.offset();
            }
        }
        self.offset();
        if byte == op::EXTCODECOPY {
            self.account();
        }
        self.op(byte);
    }

    /// DUP, SWAP and POP over items that it pushes where there are too few.
    fn shuffle(&mut self) {
        let mut depth = 1 + self.random.below(16);
        if self.fork >= Fork::Amsterdam && self.random.chance(200) {
            depth = 17 + self.random.below(20);
        }
        while self.height < self.base + depth + 2 {
            let small = self.random.below(40);
            if small < 30 { self.push(small) } else { self.value(0) }
        }
        match depth {
            17.. => {
                let byte = self.random.pick(&[op::DUPN, op::SWAPN, op::EXCHANGE]);
                let immediate = match byte {
                    _ if self.random.chance(150) => self.random.number() as u8,
                    op::EXCHANGE => 0x80 | self.random.number() as u8,
                    // An index from 17 on that is on the stack, as EIP-8024 encodes it.
                    _ => (17 + self.random.below(depth - 16) as u8).wrapping_sub(145),
                };
                self.op(byte);
                self.code.op(immediate);
                if !takes_immediate(byte, immediate) {
                    // No immediate at all: what follows is an instruction, and the stack is anyone's guess.
                    self.height = self.base;
                } else if self.random.chance(700) {
                    self.keep_result();
                }
            }
            _ => match self.random.below(5) {
                0 | 1 => self.op(op::DUP1 + depth as u8 - 1),
                2 | 3 => self.op(op::SWAP1 + depth as u8 - 1),
                _ => (0..1 + depth / 2).for_each(|_| self.op(op::POP)),
            },
        }
    }

    /// Each of the first slots goes into a later one, so that it shows outside.
    pub fn copy_slots(&mut self, count: u64) {
        for key in 0..count {
            self.push(key);
            self.op(op::SLOAD);
            self.push(key + 8);
            self.op(op::SSTORE);
        }
    }

    fn jump_over_data(&mut self) {
        let behind = self.code.new_label();
        self.push_label(behind);
        self.op(op::JUMP);
        let len = self.random.below(12);
        let junk = self.random.bytes(len);
        self.code.raw(&junk);
        // A PUSH at the end of the junk must not swallow the destination.
        self.code.raw(&[op::STOP; 32]);
        self.code.place(behind);
    }

    fn hash(&mut self) {
        self.length();
        self.offset();
        self.op(op::KECCAK256);
        self.offset();
        self.op(op::MSTORE);
    }

    /// Something from the stack into a slot, so that it shows outside.
    pub fn keep_result(&mut self) {
        if self.height > self.base {
            self.key();
            self.op(op::SSTORE);
        } else {
            self.store_slot(op::SSTORE);
        }
    }

    /// An exceptional halt, sometimes only where a value says so.
    fn fail(&mut self) {
        let behind = self.code.new_label();
        let conditional = self.random.chance(600);
        if conditional {
            self.value(1);
            self.push_label(behind);
            self.op(op::JUMPI);
        }
        let height = self.height;
        self.halt();
        self.height = height;
        if conditional {
            self.code.place(behind);
        }
    }

    fn halt(&mut self) {
        match self.random.below(8) {
            0 => self.code.op(op::INVALID),
            1 | 2 => {
                // One of a later fork rather than one of none.
                let later: Vec<u8> = OPCODES.iter().filter(|row| row.since > self.fork).map(|row| row.byte).collect();
                let byte = match self.random.chance(500) || later.is_empty() {
                    true => self.random.pick(&[0x0c, 0x0f, 0x21, 0x4f, 0xa5, 0xb0, 0xef, 0xf6, 0xfb, 0xfc]),
                    false => self.random.pick(&later),
                };
                self.code.op(byte)
            }
            3 => {
                let more = self.height + 1;
                self.code.raw(&vec![op::POP; more])
            }
            4 => {
                let start = self.code.new_label();
                self.code.place(start);
                self.code.push(1.into()).push(2.into()).push(3.into()).push(4.into()).push(5.into());
                self.code.push_label(start).op(op::JUMP)
            }
            5 => {
                let target = self.random.word();
                self.code.push(target).op(op::JUMP)
            }
            6 if self.has(op::RETURNDATACOPY) => {
                self.code.push(1.into()).op(op::RETURNDATASIZE).push(0.into()).op(op::RETURNDATACOPY)
            }
            _ => {
                // Into the data of a PUSH that looks like a destination.
                let at = self.code.len() + 4;
                self.code.raw(&[op::PUSH2, (at >> 8) as u8, at as u8, op::PUSH1, op::JUMPDEST, op::POP, op::JUMP])
            }
        };
    }

    /// Any opcode of the fork on whatever is there.
    fn anything(&mut self) {
        let row = self.random.pick(OPCODES);
        let stops = matches!(row.byte, op::STOP | op::RETURN | op::REVERT | op::SELFDESTRUCT | op::JUMP);
        if row.since > self.fork || stops || row.byte == op::INVALID || row.immediate > 0 {
            return self.shuffle();
        }
        (0..row.pops).for_each(|_| self.value(0));
        self.op(row.byte);
    }

    /// How the code ends.
    fn end(&mut self) {
        let entry = self.role == Role::Contract(0);
        match self.random.below(100) {
            0..=11 => self.op(op::STOP),
            12..=16 => {}
            17..=27 if self.has(op::REVERT) => {
                self.length();
                self.push(0);
                self.op(op::REVERT);
            }
            28..=34 if self.has(op::REVERT) && !entry => {
                self.push(32);
                self.push(0);
                self.op(op::REVERT);
            }
            35..=39 => {
                self.account();
                self.op(op::SELFDESTRUCT);
            }
            40 => self.halt(),
            41..=43 => {
                self.length();
                self.offset();
                self.op(op::RETURN);
            }
            _ => {
                let size = 32 * (1 + self.random.below(12));
                self.push(size);
                self.push(0);
                self.op(op::RETURN);
            }
        }
    }
}

/// Bytes that are mostly opcodes of the fork, in no order.
pub(super) fn noise(random: &mut Random, fork: Fork) -> Bytes {
    let len = 1 + random.below(120);
    let bytes: Vec<u8> = (0..len)
        .map(|_| match random.below(10) {
            0 => random.number() as u8,
            1..=3 => op::PUSH1,
            4 => random.below(40) as u8,
            _ => {
                let row = random.pick(OPCODES);
                if row.since <= fork { row.byte } else { op::PUSH1 }
            }
        })
        .collect();
    bytes.into()
}
