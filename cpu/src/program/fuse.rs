//! What the decoder makes one instruction of: opcodes that compilers and people write next to each other.
//!
//! Going from one instruction to the next takes the interpreter about as long as a short instruction itself. None of this changes
//! what a block costs or needs, which is counted opcode by opcode, and an instruction that can fail has changed nothing when it
//! does: the checked form starts again at the first of its opcodes.

use super::entries::UNDECODED;
use super::{Choice, Instruction, Program, Rows, inner};
use crate::op::arithmetic::{wrapping_add, wrapping_sub};
use crate::op::bitwise::{both, shifted_left, shifted_right};
use isolane_spec::opcode::op;
use isolane_spec::{U256, word};

/// How deep the item lies that an instruction duplicates, if it is a DUP.
fn duplicated(instruction: Instruction) -> Option<u16> {
    matches!(instruction.op, op::DUP1..=op::DUP16).then(|| u16::from(instruction.op - op::DUP1))
}

/// How deep the item lies that an instruction exchanges with the top, if it is a SWAP.
fn swapped(instruction: Instruction) -> Option<u16> {
    matches!(instruction.op, op::SWAP1..=op::SWAP16).then(|| u16::from(instruction.op - op::SWAP1) + 1)
}

/// What an opcode with exchanged operands is.
fn turned(byte: u8) -> Option<u8> {
    match byte {
        op::ADD | op::MUL | op::AND | op::OR | op::XOR | op::EQ => Some(byte),
        op::LT => Some(op::GT),
        op::GT => Some(op::LT),
        op::SLT => Some(op::SGT),
        op::SGT => Some(op::SLT),
        _ => None,
    }
}

/// The opcodes that may become one instruction with what stands before them. Most code is decoded to be executed once: what need
/// not be looked at is told apart first.
pub(super) const MAY_FUSE: [bool; 256] = {
    let opcodes = [
        op::ADD,
        op::MUL,
        op::SUB,
        op::LT,
        op::GT,
        op::SLT,
        op::SGT,
        op::EQ,
        op::AND,
        op::OR,
        op::XOR,
        op::NOT,
        op::SHL,
        op::SHR,
        op::POP,
        op::MLOAD,
        op::MSTORE,
    ];
    let mut may = [false; 256];
    let mut i = 0;
    while i < opcodes.len() {
        may[opcodes[i] as usize] = true;
        i += 1;
    }
    may
};

/// Whether an instruction may be one of a pair.
fn may_pair(instruction: Instruction) -> bool {
    matches!(instruction.op, inner::PUSH_SMALL | op::DUP1..=op::DUP16 | op::SWAP1..=op::SWAP16)
}

/// What two instructions are together, if there is one that does what both do.
fn paired(one: Instruction, other: Instruction) -> Option<Instruction> {
    if !may_pair(one) || !may_pair(other) {
        return None;
    }
    match (one.op, other.op) {
        (inner::PUSH_SMALL, inner::PUSH_SMALL) => {
            let also = u16::try_from(other.arg).ok()?;
            Some(Instruction { op: inner::PUSH_PUSH, also, arg: one.arg })
        }
        (inner::PUSH_SMALL, op::SWAP1..=op::SWAP16) => {
            Some(Instruction { op: inner::PUSH_SWAP, also: swapped(other)?, arg: one.arg })
        }
        (inner::PUSH_SMALL, _) => Some(Instruction { op: inner::PUSH_DUP, also: duplicated(other)?, arg: one.arg }),
        (op::DUP1..=op::DUP16, inner::PUSH_SMALL) => {
            Some(Instruction { op: inner::DUP_PUSH, also: duplicated(one)?, arg: other.arg })
        }
        (op::DUP1..=op::DUP16, op::SWAP1..=op::SWAP16) => {
            Some(Instruction { op: inner::DUP_SWAP, also: swapped(other)?, arg: duplicated(one)?.into() })
        }
        (op::SWAP1..=op::SWAP16, op::SWAP1..=op::SWAP16) => {
            Some(Instruction { op: inner::SWAP_SWAP, also: swapped(other)?, arg: swapped(one)?.into() })
        }
        _ => Some(Instruction { op: inner::DUP_DUP, also: duplicated(other)?, arg: duplicated(one)?.into() }),
    }
}

impl Program {
    /// An instruction counted from the last one, which is 0.
    fn recent(&self, back: usize) -> Instruction {
        self.instructions.iter().nth_back(back).copied().unwrap_or(Instruction::new(inner::UNDEFINED, 0))
    }

    /// Takes the last instructions back. Returns where the first of them stands.
    fn take_back(&mut self, count: usize) -> usize {
        let first = self.instructions.len() - count;
        let position = self.position(first);
        self.instructions.truncate(first);
        self.positions.truncate(first);
        position
    }

    /// Emits an instruction in the place of the last `count`.
    fn replace(&mut self, count: usize, op: u8, also: u16, arg: u32) {
        let pc = self.take_back(count);
        self.instructions.push(Instruction { op, also, arg });
        self.positions.push(pc as u32);
    }

    /// Decodes a PUSH of so many bytes.
    pub(super) fn emit_immediate(&mut self, pc: usize, len: usize) {
        match self.code.get(pc + 1..).and_then(|bytes| bytes.first_chunk()) {
            // What is short, and not at the very end of the code, is had without a loop over its bytes.
            Some(bytes) if (1..=4).contains(&len) => {
                let value = u64::from_be_bytes(*bytes) >> (64 - 8 * len);
                self.emit(inner::PUSH_SMALL, value as u32, pc);
            }
            _ => self.emit_push(self.immediate(pc, len), pc),
        }
    }

    fn emit_push(&mut self, value: U256, pc: usize) {
        match word::to_u64(&value).and_then(|value| u32::try_from(value).ok()) {
            Some(small) => self.emit(inner::PUSH_SMALL, small, pc),
            None => {
                self.constants.push(value);
                self.emit(inner::PUSH_CONSTANT, self.constants.len() as u32 - 1, pc);
            }
        }
    }

    /// Makes one instruction of the last ones and an opcode where that pays. Returns whether it did.
    pub(super) fn fuse(&mut self, byte: u8) -> bool {
        let (mut byte, mut place) = (byte, None);
        // Code may have any number of them in a row.
        while self.recent(0).op == op::SWAP1
            && let Some(exchanged) = turned(byte)
        {
            place = Some(self.take_back(1));
            byte = exchanged;
        }
        if self.fold(byte) || self.join(byte) {
            return true;
        }
        if let Some(pc) = place {
            self.emit(byte, pc as u32, pc);
        }
        place.is_some()
    }

    /// Makes one instruction of the last one or two and an opcode.
    fn join(&mut self, byte: u8) -> bool {
        let (last, before) = (self.recent(0), self.recent(1));
        match (last.op, byte) {
            (op::SWAP1, op::SUB) if before.op == inner::PUSH_SMALL => self.replace(2, inner::SUB_SMALL, 0, before.arg),
            (op::SWAP1, op::SUB) => self.replace(1, inner::SUB_TOP, 0, 0),
            (inner::PUSH_SMALL, op::ADD) => match duplicated(before) {
                Some(depth) => self.replace(2, inner::DUP_ADD_SMALL, depth, last.arg),
                None => self.replace(1, inner::ADD_SMALL, 0, last.arg),
            },
            (inner::PUSH_SMALL, op::EQ) => self.replace(1, inner::EQ_SMALL, 0, last.arg),
            (inner::PUSH_SMALL, op::SHL) if last.arg < 256 => self.replace(1, inner::SHL_SMALL, 0, last.arg),
            (inner::PUSH_SMALL, op::SHR) if last.arg < 256 => self.replace(1, inner::SHR_SMALL, 0, last.arg),
            (inner::PUSH_SMALL, op::MLOAD) => self.replace(1, inner::MLOAD_SMALL, 0, last.arg),
            (inner::PUSH_SMALL, op::MSTORE) => match (before.op, u16::try_from(before.arg), duplicated(before)) {
                (inner::PUSH_SMALL, Ok(value), _) => self.replace(2, inner::PUSH_MSTORE_SMALL, value, last.arg),
                (.., Some(depth)) => self.replace(2, inner::DUP_MSTORE_SMALL, depth, last.arg),
                _ => self.replace(1, inner::MSTORE_SMALL, 0, last.arg),
            },
            (inner::PUSH_CONSTANT, op::AND) => self.replace(1, inner::AND_CONSTANT, 0, last.arg),
            (inner::PUSH_SMALL, op::AND) => {
                self.constants.push(U256::from(last.arg));
                self.replace(1, inner::AND_CONSTANT, 0, self.constants.len() as u32 - 1);
            }
            (op::DUP2..=op::DUP16, op::ADD) if before.op == inner::PUSH_SMALL => {
                let depth = u16::from(last.op - op::DUP2);
                self.replace(2, inner::DUP_ADD_SMALL, depth, before.arg);
            }
            (op::DUP1..=op::DUP16, op::ADD) => self.replace(1, inner::DUP_ADD, u16::from(last.op - op::DUP1), 0),
            (op::DUP1..=op::DUP16, op::MLOAD) => self.replace(1, inner::DUP_MLOAD, u16::from(last.op - op::DUP1), 0),
            (op::DUP1..=op::DUP16, op::MSTORE) => self.replace(1, inner::DUP_MSTORE, u16::from(last.op - op::DUP1), 0),
            (op::SWAP1..=op::SWAP16, op::POP) => {
                let depth = u16::from(last.op - op::SWAP1) + 1;
                self.replace(1, inner::SWAP_POP, depth, 1);
            }
            (inner::SWAP_POP | inner::POPS, op::POP) => self.replace(1, last.op, last.also, last.arg + 1),
            (op::POP, op::POP) => self.replace(1, inner::POPS, 0, 2),
            _ => return false,
        }
        true
    }

    /// What an instruction pushes, if that is a constant.
    fn constant(&self, instruction: Instruction) -> Option<U256> {
        match instruction.op {
            inner::PUSH_SMALL => Some(U256::from(instruction.arg)),
            inner::PUSH_CONSTANT => self.constants.get(instruction.arg as usize).copied(),
            _ => None,
        }
    }

    /// Pushes what an opcode makes of constants, where they are all that it needs. Returns whether it did.
    fn fold(&mut self, byte: u8) -> bool {
        let f: fn(&U256, &U256) -> U256 = match byte {
            op::NOT => |a, _| !*a,
            op::ADD => wrapping_add,
            op::SUB => wrapping_sub,
            op::AND => both,
            op::OR => |a, b| *a | *b,
            op::SHL => shifted_left,
            op::SHR => shifted_right,
            _ => return false,
        };
        let (operands, below) = if byte == op::NOT { (1, 0) } else { (2, 1) };
        let (Some(a), Some(b)) = (self.constant(self.recent(0)), self.constant(self.recent(below))) else {
            return false;
        };
        let pc = self.take_back(operands);
        self.emit_push(f(&a, &b), pc);
        true
    }

    /// A jump, fused with what is pushed right before it where that is known, and with its condition.
    pub(super) fn emit_jump(&mut self, byte: u8, pc: usize) {
        let target = match self.recent(0) {
            Instruction { op: inner::PUSH_SMALL, arg, .. } if self.is_jumpdest(arg as usize) => arg,
            _ => return self.emit(byte, pc as u32, pc),
        };
        if byte == op::JUMP {
            return self.replace(1, inner::JUMP_TO_PC, 0, target);
        }
        let mut zero = false;
        let mut parts = 1;
        while self.recent(parts).op == op::ISZERO {
            zero = !zero;
            parts += 1;
        }
        let condition = self.recent(parts);
        if condition.op == inner::EQ_SMALL && self.recent(parts + 1).op == op::DUP1 && !zero {
            self.choices.push(Choice { value: condition.arg, target });
            return self.replace(parts + 2, inner::CHOOSE_PC, 0, self.choices.len() as u32 - 1);
        }
        match (duplicated(condition), zero) {
            (Some(depth), false) => self.replace(parts + 1, inner::DUP_JUMPI_TO_PC, depth, target),
            (Some(depth), true) => self.replace(parts + 1, inner::DUP_JUMPI_ZERO_TO_PC, depth, target),
            (None, false) => self.replace(parts, inner::JUMPI_TO_PC, 0, target),
            (None, true) => self.replace(parts, inner::JUMPI_ZERO_TO_PC, 0, target),
        }
    }

    /// Makes pairs of what is left from an instruction on. Last, because what a pair has is not looked into.
    pub(super) fn pair(&mut self, first: usize) {
        let (mut from, mut to) = (first, first);
        while let Some(&one) = self.instructions.get(from) {
            let pair = self.instructions.get(from + 1).and_then(|&other| paired(one, other));
            self.instructions[to] = pair.unwrap_or(one);
            self.positions[to] = self.positions[from];
            from += if pair.is_some() { 2 } else { 1 };
            to += 1;
        }
        self.instructions.truncate(to);
        self.positions.truncate(to);
    }

    /// Decodes the target of a fused jump and makes the jump direct. Returns the target's instruction.
    #[cold]
    #[inline(never)]
    pub fn link(&mut self, instruction: usize, rows: &Rows) -> usize {
        let Instruction { op, also, arg } = self.instructions[instruction];
        let pc = if op == inner::CHOOSE_PC { self.choices[arg as usize].target } else { arg };
        let target = match self.entries.find(pc as usize) {
            UNDECODED => self.decode(pc as usize, rows),
            entry => entry,
        };
        let linked = match op {
            inner::JUMP_TO_PC => inner::GOTO,
            inner::JUMPI_TO_PC => inner::JUMPI_TO,
            inner::JUMPI_ZERO_TO_PC => inner::JUMPI_ZERO_TO,
            inner::DUP_JUMPI_TO_PC => inner::DUP_JUMPI_TO,
            inner::DUP_JUMPI_ZERO_TO_PC => inner::DUP_JUMPI_ZERO_TO,
            _ => {
                self.choices[arg as usize].target = target;
                self.instructions[instruction].op = inner::CHOOSE;
                return target as usize;
            }
        };
        self.instructions[instruction] = Instruction { op: linked, also, arg: target };
        target as usize
    }
}
