//! CREATE and CREATE2: what the creator pays.

use super::{Trap, charge, length};
use crate::frame::Frame;
use crate::lane::Lane;
use isolane_spec::opcode::op;
use isolane_spec::{Fork, Halt, U256};

/// A creation that the creator has paid for.
#[derive(Debug)]
pub(crate) struct CreateRequest {
    pub value: U256,
    /// CREATE2's salt.
    pub salt: Option<U256>,
    pub gas: u64,
    pub init_code: (usize, usize),
}

/// Charges for a creation. `words` holds the stack's top items, the top first. Returns the request and the gas left to
/// the creator.
pub(crate) fn prepare(
    opcode: u8,
    lane: &Lane,
    frame: &mut Frame,
    words: [&U256; 4],
    gas: u64,
) -> Result<(CreateRequest, u64), Trap> {
    if frame.is_static {
        return Err(Halt::StaticViolation.into());
    }
    let schedule = lane.schedule;
    let [value, offset, size, salt] = words;
    let length = length(size)?;
    if length > u64::from(schedule.max_initcode_size) {
        return Err(Halt::InitcodeTooLarge.into());
    }
    let mut rest = gas;
    let word_cost =
        if opcode == op::CREATE2 { schedule.initcode_word + schedule.keccak_word } else { schedule.initcode_word };
    charge(&mut rest, length.div_ceil(32) * u64::from(word_cost))?;
    let offset = frame.memory.require(offset, length, &mut rest)?;
    // All but one 64th (EIP-150).
    let given = if lane.fork >= Fork::TangerineWhistle { rest - rest / 64 } else { rest };
    let request = CreateRequest {
        value: *value,
        salt: (opcode == op::CREATE2).then_some(*salt),
        gas: given,
        init_code: (offset, length as usize),
    };
    Ok((request, rest - given))
}
