//! KECCAK256.

use super::{Trap, charge, length};
use crate::hash_cache::HashCache;
use crate::memory::Memory;
use crate::stack::Stack;
use isolane_spec::U256;
use isolane_spec::gas::GasSchedule;

/// Charges for a hash; returns where in the memory its input lies.
#[inline(always)]
pub(crate) fn region(
    [offset, size]: [&U256; 2],
    memory: &mut Memory,
    schedule: &GasSchedule,
    gas: &mut u64,
) -> Result<(usize, usize), Trap> {
    let length = length(size)?;
    let mut rest = *gas;
    charge(&mut rest, length.div_ceil(32) * u64::from(schedule.keccak_word))?;
    let offset = memory.require(offset, length, &mut rest)?;
    *gas = rest;
    Ok((offset, length as usize))
}

#[inline(always)]
pub(crate) fn keccak256(
    stack: &mut Stack<'_>,
    memory: &mut Memory,
    hashes: &mut HashCache,
    schedule: &GasSchedule,
    gas: &mut u64,
) -> Result<(), Trap> {
    let (offset, length) = region([&stack.peek(0), &stack.peek(1)], memory, schedule, gas)?;
    let hash = hashes.keccak256(memory.slice(offset, length));
    stack.drop(1);
    stack.set(0, &hash);
    Ok(())
}
