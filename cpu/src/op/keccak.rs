//! KECCAK256.

use super::{Trap, charge, length};
use crate::crypto;
use crate::memory::Memory;
use crate::stack::Stack;
use isolane_spec::gas::GasSchedule;
use isolane_spec::word;

#[inline(always)]
pub(crate) fn keccak256(
    stack: &mut Stack<'_>,
    memory: &mut Memory,
    schedule: &GasSchedule,
    gas: &mut u64,
) -> Result<(), Trap> {
    let length = length(stack.peek(1))?;
    let mut rest = *gas;
    charge(&mut rest, length.div_ceil(32) * u64::from(schedule.keccak_word))?;
    let offset = memory.require(stack.peek(0), length, &mut rest)?;
    *gas = rest;
    let hash = crypto::keccak256(memory.slice(offset, length as usize));
    stack.drop(1);
    *stack.peek_mut(0) = word::from_hash(&hash);
    Ok(())
}
