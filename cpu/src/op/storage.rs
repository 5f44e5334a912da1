//! SLOAD, SSTORE, TLOAD, TSTORE.

use super::{Trap, charge};
use crate::frame::Frame;
use crate::journal::{AccountIndex, SlotIndex};
use crate::lane::Lane;
use crate::restriction::exceeded;
use isolane_spec::gas::{SSTORE_ADDED, SSTORE_ADDED_DELETED, sstore_case};
use isolane_spec::{BudgetKind, Fork, Halt, U256};

/// The index of a slot, charged for if it is cold (EIP-2929) but not yet made warm. `ahead` is what the base state has there, if
/// that is known.
#[inline(always)]
fn access(
    lane: &mut Lane,
    account: AccountIndex,
    key: &U256,
    ahead: Option<U256>,
    cold_cost: u32,
    gas: &mut u64,
) -> Result<SlotIndex, Trap> {
    if let Some(slot) = lane.journal.find_slot(account, key) {
        if !lane.journal.slot_is_warm(slot) && lane.slot_is_unlisted(account, key) {
            charge(gas, u64::from(cold_cost))?;
        }
        return Ok(slot);
    }
    // Nothing is read where the gas does not suffice.
    if lane.slot_is_unlisted(account, key) {
        charge(gas, u64::from(cold_cost))?;
    }
    Ok(lane.journal.read_slot(account, key, &*lane.environment.state, ahead)?)
}

/// The value of the slot, and the gas that is left. `ahead` is what the base state has there, if that is known.
pub(crate) fn sload(
    lane: &mut Lane,
    account: AccountIndex,
    key: &U256,
    ahead: Option<U256>,
    mut gas: u64,
) -> Result<(U256, u64), Trap> {
    let slot = access(lane, account, key, ahead, lane.schedule.cold_slot, &mut gas)?;
    lane.journal.warm_slot(slot);
    Ok((*lane.journal.slot_value(slot), gas))
}

/// Writes the slot by the table of cases of the gas schedule; returns the gas that is left.
pub(crate) fn sstore(lane: &mut Lane, frame: &mut Frame, [key, value]: [&U256; 2], mut gas: u64) -> Result<u64, Trap> {
    if frame.is_static {
        return Err(Halt::StaticViolation.into());
    }
    let schedule = lane.schedule;
    if schedule.sstore_sentry > 0 && gas <= u64::from(schedule.sstore_sentry) {
        return Err(Halt::OutOfGas.into());
    }
    // A cold SSTORE pays the whole cold price, where SLOAD's static gas holds the warm part of it.
    let cold_cost = if lane.fork >= Fork::Berlin { schedule.cold_slot + schedule.sload } else { 0 };
    let slot = access(lane, frame.account, key, None, cold_cost, &mut gas)?;
    let case = sstore_case(lane.journal.slot_original(slot), lane.journal.slot_value(slot), value);
    charge(&mut gas, u64::from(schedule.sstore[case]))?;
    // Counted once a slot, when its value first changes.
    let counts = value != lane.journal.slot_value(slot) && !lane.journal.slot_is_written(slot);
    if counts && lane.used.slots >= lane.limits.slots {
        return Err(exceeded(BudgetKind::Slots).into());
    }
    if case == SSTORE_ADDED {
        lane.state_gas.charge(&mut frame.state_gas, lane.state_gas.slot, &mut gas)?;
    } else if case == SSTORE_ADDED_DELETED {
        lane.state_gas.credit(&mut frame.state_gas, lane.state_gas.slot);
    }
    if counts {
        lane.used.slots += 1;
        lane.journal.mark_written(slot);
    }
    lane.journal.warm_slot(slot);
    lane.journal.refund += i64::from(schedule.sstore_refund[case]);
    lane.journal.set_slot(slot, *value);
    Ok(gas)
}

/// EIP-1153.
pub(crate) fn tstore(
    lane: &mut Lane,
    account: AccountIndex,
    is_static: bool,
    [key, value]: [&U256; 2],
) -> Result<(), Trap> {
    if is_static {
        return Err(Halt::StaticViolation.into());
    }
    lane.journal.set_transient(account, *key, *value);
    Ok(())
}
