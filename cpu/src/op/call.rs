//! CALL, CALLCODE, DELEGATECALL, STATICCALL: what the caller pays, and what the callee gets.

use super::{Trap, charge, length};
use crate::frame::Frame;
use crate::journal::AccountIndex;
use crate::lane::Lane;
use crate::restriction::denied;
use isolane_spec::opcode::op;
use isolane_spec::{Fork, H160, Halt, U256, word};

/// A call that the caller has paid for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallRequest {
    /// Whose code runs.
    pub code_address: H160,
    /// The account whose code runs (of a delegation: its target).
    pub code_account: AccountIndex,
    /// Whether the code is reached through a delegation: precompiles do not run through one.
    pub delegated: bool,
    /// Whose storage and balance it works on.
    pub target: AccountIndex,
    pub target_address: H160,
    pub caller: H160,
    /// Who pays the value.
    pub payer: AccountIndex,
    /// What CALLVALUE shows.
    pub value: U256,
    /// Whether the value moves from the caller to the target.
    pub transfers: bool,
    /// Whether the caller must own the value, though it moves to itself (CALLCODE).
    pub needs_balance: bool,
    pub is_static: bool,
    pub gas: u64,
    pub input: (usize, usize),
    pub output: (usize, usize),
}

/// One row for each of the four calls (Yellow Paper H.2; EIP-7, EIP-214).
struct Variant {
    /// Whether the stack holds a value.
    has_value: bool,
    /// Whether it works on the callee's account, and not on the caller's own.
    on_callee: bool,
    makes_static: bool,
}

const fn variant(opcode: u8) -> Variant {
    match opcode {
        op::CALL => Variant { has_value: true, on_callee: true, makes_static: false },
        op::CALLCODE => Variant { has_value: true, on_callee: false, makes_static: false },
        op::DELEGATECALL => Variant { has_value: false, on_callee: false, makes_static: false },
        _ => Variant { has_value: false, on_callee: true, makes_static: true },
    }
}

/// Stack items of a call.
pub(crate) const fn operands(opcode: u8) -> usize {
    if variant(opcode).has_value { 7 } else { 6 }
}

/// Charges for a call. `words` holds the stack's top items, the top first. The request is in the
/// lane then. Returns the gas left to the caller.
pub(crate) fn prepare(
    opcode: u8,
    lane: &mut Lane,
    frame: &mut Frame,
    words: &[U256; 7],
    gas: u64,
) -> Result<u64, Trap> {
    let Variant { has_value, on_callee, makes_static } = variant(opcode);
    let schedule = lane.schedule;
    let [requested, to, ..] = words;
    let (value, ranges) = if has_value { (words[2], &words[3..7]) } else { (U256::zero(), &words[2..6]) };
    let code_address = word::to_address(to);
    let sends_value = has_value && !value.is_zero();
    if sends_value && on_callee && frame.is_static {
        return Err(Halt::StaticViolation.into());
    }
    if let Some(rule) = lane.denied_call(&code_address, true, sends_value) {
        return Err(denied(rule).into());
    }

    // Memory: both ranges at once, charged now and grown at the very end.
    let (input_len, output_len) = (length(&ranges[1])?, length(&ranges[3])?);
    let end = |offset: &U256, len: u64| {
        if len == 0 { 0 } else { word::to_u64_saturating(offset).saturating_add(len) }
    };
    let end = end(&ranges[0], input_len).max(end(&ranges[2], output_len));
    let mut rest = if end > frame.memory.len() as u64 { frame.memory.check(end, gas)? } else { gas };

    let located = lane.locate(&code_address);
    if located.cold {
        charge(&mut rest, u64::from(schedule.cold_account))?;
    }
    if sends_value {
        charge(&mut rest, u64::from(schedule.call_value))?;
    }
    let callee = lane.load_located(&code_address, &located)?;
    // From Spurious Dragon on, only a call with value brings an account into being (EIP-161).
    let is_new = opcode == op::CALL && (sends_value || lane.fork < Fork::SpuriousDragon) && lane.journal.is_new(callee);
    if is_new {
        charge(&mut rest, u64::from(schedule.new_account))?;
    }

    // A delegation costs an access of its own (EIP-7702).
    let mut code_account = callee;
    let mut delegated = None;
    if let Some(target) = lane.delegation(callee)? {
        if let Some(rule) = lane.denied_delegation(&target) {
            return Err(denied(rule).into());
        }
        let located = lane.locate(&target);
        let cold = located.cold && target != code_address;
        charge(&mut rest, u64::from(schedule.call + if cold { schedule.cold_account } else { 0 }))?;
        code_account = lane.load_located(&target, &located)?;
        delegated = Some(code_account);
    }

    // Nothing that fails may follow: the state gas is taken at once.
    if is_new {
        lane.state_gas.charge(&mut frame.state_gas, lane.state_gas.account, &mut rest)?;
    }

    // All but one 64th (EIP-150); before it, exactly what was asked for.
    let given = if lane.fork >= Fork::TangerineWhistle {
        word::to_u64_saturating(requested).min(rest - rest / 64)
    } else {
        word::to_u64_saturating(requested)
    };
    charge(&mut rest, given)?;

    // Nothing can fail any more.
    let mut unlimited = u64::MAX;
    let input_offset = frame.memory.require(&ranges[0], input_len, &mut unlimited)?;
    let output_offset = frame.memory.require(&ranges[2], output_len, &mut unlimited)?;
    if lane.fork >= Fork::Berlin {
        lane.journal.warm(callee);
        if let Some(account) = delegated {
            lane.journal.warm(account);
        }
    }
    let stipend = if sends_value { u64::from(schedule.call_stipend) } else { 0 };
    let is_delegatecall = opcode == op::DELEGATECALL;
    lane.call = CallRequest {
        code_address,
        code_account,
        delegated: delegated.is_some(),
        target: if on_callee { callee } else { frame.account },
        target_address: if on_callee { code_address } else { frame.address },
        caller: if is_delegatecall { frame.caller } else { frame.address },
        payer: frame.account,
        value: if is_delegatecall { frame.value } else { value },
        transfers: opcode == op::CALL,
        needs_balance: has_value,
        is_static: frame.is_static || makes_static,
        gas: given + stipend,
        input: (input_offset, input_len as usize),
        output: (output_offset, output_len as usize),
    };
    Ok(rest)
}
