//! MLOAD, MSTORE, MSTORE8, MSIZE, MCOPY, and what all copies share.

use super::{Trap, charge, length};
use crate::memory::Memory;
use crate::stack::Stack;
use isolane_spec::gas::GasSchedule;
use isolane_spec::{U256, word};

#[inline(always)]
pub(crate) fn mload(stack: &mut Stack<'_>, memory: &mut Memory, gas: &mut u64) -> Result<(), Trap> {
    let offset = memory.require(&stack.peek(0), 32, gas)?;
    stack.set(0, &memory.load(offset));
    Ok(())
}

#[inline(always)]
pub(crate) fn mstore(stack: &mut Stack<'_>, memory: &mut Memory, gas: &mut u64) -> Result<(), Trap> {
    let offset = memory.require(&stack.peek(0), 32, gas)?;
    memory.store(offset, &stack.peek(1));
    stack.drop(2);
    Ok(())
}

#[inline(always)]
pub(crate) fn mstore8(stack: &mut Stack<'_>, memory: &mut Memory, gas: &mut u64) -> Result<(), Trap> {
    let offset = memory.require(&stack.peek(0), 1, gas)?;
    memory.store_byte(offset, stack.peek(1).0[0] as u8);
    stack.drop(2);
    Ok(())
}

#[inline(always)]
pub(crate) fn msize(stack: &mut Stack<'_>, memory: &Memory) {
    stack.push(U256::from(memory.len() as u64));
}

/// EIP-5656.
pub(crate) fn mcopy(
    [target, source, size]: [&U256; 3],
    memory: &mut Memory,
    schedule: &GasSchedule,
    gas: u64,
) -> Result<u64, Trap> {
    let length = length(size)?;
    let mut rest = gas;
    charge(&mut rest, length.div_ceil(32) * u64::from(schedule.copy_word))?;
    // The higher of both places decides how far the memory grows.
    memory.require(target.max(source), length, &mut rest)?;
    if length > 0 {
        let at = |place: &U256| word::to_u64_saturating(place) as usize;
        memory.copy_within(at(target), at(source), length as usize);
    }
    Ok(rest)
}

/// CALLDATACOPY, CODECOPY and EXTCODECOPY: copies to memory; the source reads as zero beyond its end.
pub(crate) fn copy(
    [target, from, size]: [&U256; 3],
    source: &[u8],
    memory: &mut Memory,
    schedule: &GasSchedule,
    gas: u64,
) -> Result<u64, Trap> {
    let length = length(size)?;
    let mut rest = gas;
    charge(&mut rest, length.div_ceil(32) * u64::from(schedule.copy_word))?;
    let offset = memory.require(target, length, &mut rest)?;
    memory.copy_padded(offset, length as usize, source, from);
    Ok(rest)
}
