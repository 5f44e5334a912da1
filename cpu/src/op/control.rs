//! RETURN, REVERT and SELFDESTRUCT; the jumps are the interpreter's own.

use super::{Trap, charge, length};
use crate::frame::Frame;
use crate::lane::Lane;
use crate::restriction::denied;
use isolane_spec::{Fork, Halt, Rule, U256, word};

/// The output of a frame, as a place in its memory.
pub(crate) fn output(frame: &mut Frame, [offset, size]: [&U256; 2], gas: u64) -> Result<(usize, usize, u64), Trap> {
    let length = length(size)?;
    let mut rest = gas;
    let offset = frame.memory.require(offset, length, &mut rest)?;
    Ok((offset, length as usize, rest))
}

/// Sends the whole balance to the beneficiary and marks the account for removal: from Cancun on only if it came into
/// being in this transaction (EIP-6780). Returns the gas that is left.
pub(crate) fn selfdestruct(lane: &mut Lane, frame: &mut Frame, beneficiary: &U256, gas: u64) -> Result<u64, Trap> {
    if frame.is_static {
        return Err(Halt::StaticViolation.into());
    }
    let beneficiary = word::to_address(beneficiary);
    let schedule = lane.schedule;
    let located = lane.locate(&beneficiary);
    let mut rest = gas;
    if located.cold {
        charge(&mut rest, u64::from(schedule.cold_beneficiary))?;
    }
    let target = lane.load_located(&beneficiary, &located)?;
    let balance = lane.journal.account(frame.account).info.balance;
    if !balance.is_zero() && lane.denies_value() {
        return Err(denied(Rule::Value).into());
    }
    let brings_value = lane.fork < Fork::SpuriousDragon || !balance.is_zero();
    let is_paid_for = schedule.self_destruct_new_account > 0 || lane.state_gas.account > 0;
    if is_paid_for && brings_value && lane.journal.is_new(target) {
        charge(&mut rest, u64::from(schedule.self_destruct_new_account))?;
        lane.state_gas.charge(&mut frame.state_gas, lane.state_gas.account, &mut rest)?;
    }
    if lane.fork >= Fork::Berlin {
        lane.journal.warm(target);
    }
    let removed = lane.fork < Fork::Cancun || lane.journal.is_created(frame.account);
    if target != frame.account {
        lane.log_transfer(frame.account, target, &balance);
        lane.journal.transfer(frame.account, target, &balance);
    } else if removed {
        // Ether sent to oneself goes with the account.
        lane.log_burn(frame.account, &balance);
        lane.journal.set_balance(frame.account, U256::zero());
    }
    if removed && lane.journal.destroy(frame.account) {
        lane.journal.refund += i64::from(schedule.self_destruct_refund);
    }
    Ok(rest)
}
