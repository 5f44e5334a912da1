//! ADDRESS to EXTCODEHASH.

use super::memory::copy;
use super::{Trap, charge, length};
use crate::lane::Lane;
use crate::memory::Memory;
use isolane_spec::{Halt, U256, word};

/// The balance of the account, and the gas that is left.
pub(crate) fn balance(lane: &mut Lane, address: &U256, mut gas: u64) -> Result<(U256, u64), Trap> {
    let account = lane.access(&word::to_address(address), &mut gas)?;
    Ok((lane.journal.account(account).info.balance, gas))
}

/// 32 bytes of the input; zeros beyond its end.
#[inline(always)]
pub(crate) fn calldataload(input: &[u8], offset: &U256) -> U256 {
    let Some(offset) = word::to_u64(offset).and_then(|offset| usize::try_from(offset).ok()) else {
        return U256::zero();
    };
    let Some(rest) = input.get(offset..) else { return U256::zero() };
    match rest.first_chunk() {
        Some(chunk) => word::from_be(chunk),
        None => {
            let mut padded = [0; 32];
            padded[..rest.len()].copy_from_slice(rest);
            word::from_be(&padded)
        }
    }
}

/// The length of the account's code, and the gas that is left.
pub(crate) fn extcodesize(lane: &mut Lane, address: &U256, mut gas: u64) -> Result<(U256, u64), Trap> {
    let account = lane.access(&word::to_address(address), &mut gas)?;
    Ok((U256::from(lane.code(account)?.len() as u64), gas))
}

/// Copies the account's code to memory; returns the gas that is left.
pub(crate) fn extcodecopy(
    lane: &mut Lane,
    [address, target, from, size]: [&U256; 4],
    memory: &mut Memory,
    mut gas: u64,
) -> Result<u64, Trap> {
    let address = word::to_address(address);
    // The gas of the copy is checked before the account is read or warmed, since a body that fails changes nothing.
    let length = length(size)?;
    let mut dry = gas;
    if lane.locate(&address).cold {
        charge(&mut dry, u64::from(lane.schedule.cold_account))?;
    }
    charge(&mut dry, length.div_ceil(32) * u64::from(lane.schedule.copy_word))?;
    if length > 0 {
        memory.check(word::to_u64_saturating(target).saturating_add(length), dry)?;
    }
    let account = lane.access(&address, &mut gas)?;
    let code = lane.code(account)?;
    copy([target, from, size], &code, memory, lane.schedule, gas)
}

/// The hash of the account's code, 0 for a dead account (EIP-1052); and the gas that is left.
pub(crate) fn extcodehash(lane: &mut Lane, address: &U256, mut gas: u64) -> Result<(U256, u64), Trap> {
    let account = lane.access(&word::to_address(address), &mut gas)?;
    if lane.journal.is_dead(account) {
        return Ok((U256::zero(), gas));
    }
    Ok((word::from_hash(&lane.journal.account(account).info.code_hash), gas))
}

/// Unlike the other copies it halts beyond the end (EIP-211).
pub(crate) fn returndatacopy(
    lane: &Lane,
    [target, from, size]: [&U256; 3],
    return_data: &[u8],
    memory: &mut Memory,
    gas: u64,
) -> Result<u64, Trap> {
    let end = from.checked_add(*size);
    if end.is_none_or(|end| end > U256::from(return_data.len() as u64)) {
        return Err(Halt::ReturnDataOutOfBounds.into());
    }
    copy([target, from, size], return_data, memory, lane.schedule, gas)
}
