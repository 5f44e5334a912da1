//! CREATE and CREATE2: what the creator pays.

use super::{Trap, charge, length};
use crate::frame::Frame;
use crate::lane::Lane;
use crate::restriction::denied;
use isolane_spec::opcode::op;
use isolane_spec::{Fork, Halt, Rule, U256, word};

/// A creation that the creator has paid for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CreateRequest {
    pub value: U256,
    /// CREATE2's salt.
    pub salt: Option<U256>,
    pub gas: u64,
    pub init_code: (usize, usize),
}

/// Charges for a creation. `words` holds the stack's top items, the top first. The request is in the
/// lane then. Returns the gas left to the creator.
pub(crate) fn prepare(
    opcode: u8,
    lane: &mut Lane,
    frame: &mut Frame,
    words: [&U256; 4],
    gas: u64,
) -> Result<u64, Trap> {
    if frame.is_static {
        return Err(Halt::StaticViolation.into());
    }
    let schedule = lane.schedule;
    let [value, offset, size, salt] = words;
    if !value.is_zero() && lane.denies_value() {
        return Err(denied(Rule::Value).into());
    }
    let length = length(size)?;
    if length > u64::from(schedule.max_initcode_size) {
        return Err(Halt::InitcodeTooLarge.into());
    }
    let mut rest = gas;
    let word_cost =
        if opcode == op::CREATE2 { schedule.initcode_word + schedule.keccak_word } else { schedule.initcode_word };
    charge(&mut rest, length.div_ceil(32) * u64::from(word_cost))?;
    let end = if length == 0 { 0 } else { word::to_u64_saturating(offset).saturating_add(length) };
    let mut rest = frame.memory.check(end, rest)?;
    // The account is paid for first, and given back where none comes into being (EIP-8037).
    lane.state_gas.charge(&mut frame.state_gas, lane.state_gas.account, &mut rest)?;
    let mut unlimited = u64::MAX;
    let offset = frame.memory.require(offset, length, &mut unlimited)?;
    // All but one 64th (EIP-150).
    let given = if lane.fork >= Fork::TangerineWhistle { rest - rest / 64 } else { rest };
    lane.creation = CreateRequest {
        value: *value,
        salt: (opcode == op::CREATE2).then_some(*salt),
        gas: given,
        init_code: (offset, length as usize),
    };
    Ok(rest - given)
}
