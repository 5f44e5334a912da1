//! What the checked form executes: the bytes themselves.

use crate::lane::Lane;
use crate::program::{Instruction, Program, stack_operands};
use crate::restriction::{denied, exceeded};
use crate::stack::{LIMIT, Stack};
use isolane_spec::opcode::op as opcode;
use isolane_spec::{BudgetKind, Halt};

/// The next instruction of the checked form: the bytes' own, with its stack and gas checked.
#[inline(always)]
pub(super) fn fetch_checked(
    lane: &mut Lane,
    program: &Program,
    pc: usize,
    stack: &Stack<'_>,
    gas: &mut u64,
) -> Result<Instruction, Halt> {
    let byte = program.code.get(pc).copied().unwrap_or(opcode::STOP);
    let row = lane.rows[usize::from(byte)];
    if lane.steps >= lane.limits.steps {
        return Err(exceeded(BudgetKind::Steps));
    }
    lane.steps += 1;
    if !row.defined {
        return Err(row.denied.map_or(Halt::UndefinedOpcode, denied));
    }
    let (pops, pushes) = (usize::from(row.pops), usize::from(row.pushes));
    if stack.len() < pops {
        return Err(Halt::StackUnderflow);
    }
    if stack.len() - pops + pushes > LIMIT {
        return Err(Halt::StackOverflow);
    }
    *gas = gas.checked_sub(u64::from(row.gas)).ok_or(Halt::OutOfGas)?;
    if let opcode::DUPN | opcode::SWAPN | opcode::EXCHANGE = byte {
        let operands = stack_operands(byte, program.byte(pc + 1)).ok_or(Halt::UndefinedOpcode)?;
        if stack.len() < operands.need {
            return Err(Halt::StackUnderflow);
        }
        return Ok(Instruction::new(byte, operands.arg));
    }
    Ok(Instruction::new(byte, pc as u32))
}
