//! LOG0 to LOG4.

use super::{Trap, charge, length};
use crate::frame::Frame;
use crate::lane::Lane;
use crate::restriction::exceeded;
use crate::stack::Stack;
use isolane_spec::{BudgetKind, Bytes, Halt, Log, word};

/// Records a log with `topics` topics; returns the gas that is left.
#[inline(always)]
pub(crate) fn log(
    lane: &mut Lane,
    frame: &mut Frame,
    [offset, size]: [isolane_spec::U256; 2],
    topics: &[isolane_spec::H256],
    gas: u64,
) -> Result<u64, Trap> {
    if frame.is_static {
        return Err(Halt::StaticViolation.into());
    }
    let length = length(&size)?;
    let mut rest = gas;
    charge(&mut rest, length * u64::from(lane.schedule.log_byte))?;
    // Checked first, since memory grows: a body that fails changes nothing.
    let end = if length == 0 { 0 } else { word::to_u64_saturating(&offset).saturating_add(length) };
    if end > frame.memory.len() as u64 {
        frame.memory.check(end, rest)?;
    }
    let log_bytes = lane.used.log_bytes.saturating_add(length);
    if log_bytes > lane.limits.log_bytes {
        return Err(exceeded(BudgetKind::LogBytes).into());
    }
    lane.used.log_bytes = log_bytes;
    let offset = frame.memory.require(&offset, length, &mut rest)?;
    let data = Bytes::copy_from_slice(frame.memory.slice(offset, length as usize));
    lane.journal.logs.push(Log { address: frame.address, topics: topics.to_vec(), data });
    Ok(rest)
}

/// The topics of a LOG, from the stack.
#[inline(always)]
pub(crate) fn topics(stack: &Stack<'_>) -> [isolane_spec::H256; 4] {
    std::array::from_fn(|i| word::to_hash(&stack.peek(i + 2)))
}
