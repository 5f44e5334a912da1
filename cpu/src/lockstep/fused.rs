//! Instructions that stand for several opcodes ([`crate::program::inner`]), for all lanes of a path: the opcodes one after another.

use super::path::{Path, Value};
use super::run::Runner;
use super::simd::{Mask, Simd};
use crate::op;
use crate::program::{Instruction, inner};

/// SWAP: the top and the item `depth` below it.
pub(super) fn swap(path: &mut Path, depth: usize) {
    let top = path.stack.len() - 1;
    path.stack.swap(top, top - depth);
}

impl Runner<'_> {
    /// Executes an instruction that stands for several opcodes, or has its operand with it, where it is one that can neither fail nor
    /// jump. Returns whether it is.
    pub(super) fn fused(&mut self, path: &mut Path, instruction: Instruction) -> bool {
        let Instruction { op, also, arg } = instruction;
        let depth = usize::from(also);
        match op {
            inner::PUSH_SMALL => path.stack.push(Value::small(arg)),
            inner::PUSH_CONSTANT => path.stack.push(Value::uniform(self.program.constants[arg as usize])),
            inner::ADD_SMALL => self.add_small(path, arg),
            inner::AND_CONSTANT => {
                path.stack.push(Value::uniform(self.program.constants[arg as usize]));
                self.binary(path, op::bitwise::and, |simd, a, b, out| simd.and(a, b, out));
            }
            inner::EQ_SMALL => self.eq_small(path, arg),
            inner::SHL_SMALL => {
                path.stack.push(Value::small(arg));
                self.shift(path, op::bitwise::shl, Simd::shift_left);
            }
            inner::SHR_SMALL => {
                path.stack.push(Value::small(arg));
                self.shift(path, op::bitwise::shr, Simd::shift_right);
            }
            inner::SWAP_POP => {
                swap(path, depth);
                self.drop(path, arg as usize);
            }
            inner::POPS => self.drop(path, arg as usize),
            inner::SUB_SMALL => {
                path.stack.push(Value::small(arg));
                self.subtract_top(path);
            }
            inner::SUB_TOP => self.subtract_top(path),
            inner::DUP_ADD => {
                self.dup(path, depth);
                self.add(path);
            }
            inner::DUP_ADD_SMALL => {
                self.dup(path, depth);
                self.add_small(path, arg);
            }
            inner::PUSH_PUSH => {
                path.stack.push(Value::small(arg));
                path.stack.push(Value::small(also));
            }
            inner::PUSH_DUP => {
                path.stack.push(Value::small(arg));
                self.dup(path, depth);
            }
            inner::DUP_DUP => {
                self.dup(path, arg as usize);
                self.dup(path, depth);
            }
            inner::DUP_PUSH => {
                self.dup(path, depth);
                path.stack.push(Value::small(arg));
            }
            inner::DUP_SWAP => {
                self.dup(path, arg as usize);
                swap(path, depth);
            }
            inner::PUSH_SWAP => {
                path.stack.push(Value::small(arg));
                swap(path, depth);
            }
            inner::SWAP_SWAP => {
                swap(path, arg as usize);
                swap(path, depth);
            }
            _ => return false,
        }
        true
    }

    fn add(&mut self, path: &mut Path) {
        self.binary(path, op::arithmetic::add, |simd, a, b, out| simd.add(a, b, out));
    }

    fn add_small(&mut self, path: &mut Path, number: u32) {
        path.stack.push(Value::small(number));
        self.add(path);
    }

    fn eq_small(&mut self, path: &mut Path, number: u32) {
        path.stack.push(Value::small(number));
        self.binary(path, op::comparison::eq, |simd, a, b, out| simd.eq(a, b, out));
        self.settle_top(path);
    }

    /// SWAP1 and SUB.
    fn subtract_top(&mut self, path: &mut Path) {
        swap(path, 1);
        self.binary(path, op::arithmetic::sub, |simd, a, b, out| simd.sub(a, b, out));
    }

    /// The lanes that a conditional jump takes. Its condition goes, if it is not a copy.
    pub(super) fn taken(&mut self, path: &mut Path, instruction: Instruction) -> Mask {
        let Instruction { op, also, arg } = instruction;
        match op {
            inner::DUP_JUMPI_TO | inner::DUP_JUMPI_TO_PC | inner::DUP_JUMPI_ZERO_TO | inner::DUP_JUMPI_ZERO_TO_PC => {
                self.dup(path, also.into());
            }
            inner::CHOOSE | inner::CHOOSE_PC => {
                let value = self.program.choices[arg as usize].value;
                self.dup(path, 0);
                self.eq_small(path, value);
            }
            _ => {}
        }
        let condition = path.peek(0);
        let nonzero = self.columns.nonzero(self.simd, &condition, path.lanes);
        self.drop(path, 1);
        match op {
            inner::JUMPI_ZERO_TO | inner::JUMPI_ZERO_TO_PC | inner::DUP_JUMPI_ZERO_TO | inner::DUP_JUMPI_ZERO_TO_PC => {
                path.lanes & !nonzero
            }
            _ => nonzero,
        }
    }
}
