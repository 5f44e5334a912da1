//! Whether a transaction is valid, as far as its own form and its block decide (execution-specs `validate_transaction` and
//! `check_transaction`), and what it costs at least and at most.

use crate::machine::Available;
use crate::state_gas::StateGas;
use isolane_spec::gas::GasSchedule;
use isolane_spec::{
    AccountInfo, Environment, Fork, InvalidTransaction, Transaction, TransactionType, U256, Validation,
};

/// Gas of one blob (EIP-4844).
pub(crate) const GAS_PER_BLOB: u64 = 1 << 17;
/// The version that a blob's hash starts with (EIP-4844).
const VERSIONED_HASH_VERSION_KZG: u8 = 1;
/// Blobs that one transaction may carry from Osaka on (EIP-7594).
const MAX_BLOBS_PER_TRANSACTION: u64 = 6;

/// Gas that a transaction costs before anything runs.
pub(crate) struct IntrinsicGas {
    pub regular: u64,
    /// State gas (EIP-8037); 0 before Amsterdam.
    pub state: u64,
    /// The least that it pays in all (EIP-7623).
    pub floor: u64,
}

/// Zeros among some bytes: counted in small parts, which the compiler vectorises.
fn count_zeros(bytes: &[u8]) -> u64 {
    let part = |part: &[u8]| u64::from(part.iter().map(|byte| u8::from(*byte == 0)).sum::<u8>());
    bytes.chunks(128).map(part).sum()
}

pub(crate) fn intrinsic_gas(transaction: &Transaction, schedule: &GasSchedule, prices: &StateGas) -> IntrinsicGas {
    let gas = |number: u32| u64::from(number);
    let bytes = transaction.input.len() as u64;
    let zeros = count_zeros(&transaction.input);
    let nonzeros = bytes - zeros;
    let mut total = gas(schedule.transaction) + zeros * gas(schedule.data_zero) + nonzeros * gas(schedule.data_nonzero);
    let mut state = 0;
    if transaction.to.is_none() {
        state += prices.account;
        total += gas(schedule.transaction_create) + bytes.div_ceil(32) * gas(schedule.initcode_word);
    }
    let mut listed_tokens = 0;
    for item in &transaction.access_list {
        listed_tokens += gas(schedule.access_list_address_tokens)
            + item.storage_keys.len() as u64 * gas(schedule.access_list_slot_tokens);
        total += gas(schedule.access_list_address) + item.storage_keys.len() as u64 * gas(schedule.access_list_slot);
    }
    total += listed_tokens * gas(schedule.data_floor_token);
    let authorizations = transaction.authorization_list.len() as u64;
    total += authorizations * gas(schedule.authorization);
    let delegations = authorizations.saturating_mul(prices.account.saturating_add(prices.delegation));
    let state = delegations.saturating_add(state);
    let floor = match schedule.data_floor_token {
        0 => 0,
        token => {
            let tokens = gas(schedule.data_floor_zero) * zeros + 4 * nonzeros + listed_tokens;
            gas(schedule.transaction) + tokens * gas(token)
        }
    };
    IntrinsicGas { regular: total, state, floor }
}

/// The rules that need no state.
pub(crate) fn validate_form(
    transaction: &Transaction,
    environment: &Environment,
    schedule: &GasSchedule,
    prices: &StateGas,
) -> Result<IntrinsicGas, InvalidTransaction> {
    use InvalidTransaction as Invalid;
    let fork = environment.rules.fork;
    let since = match transaction.transaction_type {
        TransactionType::Legacy => Fork::Frontier,
        TransactionType::AccessList => Fork::Berlin,
        TransactionType::DynamicFee => Fork::London,
        TransactionType::Blob => Fork::Cancun,
        TransactionType::SetCode => Fork::Prague,
    };
    if fork < since {
        return Err(Invalid::UnsupportedType(transaction.transaction_type));
    }
    let expected = environment.rules.chain_id;
    if let Some(got) = transaction.chain_id.filter(|&got| got != expected) {
        return Err(Invalid::WrongChainId { expected, got });
    }
    let intrinsic = intrinsic_gas(transaction, schedule, prices);
    let got = transaction.gas_limit;
    let required = intrinsic.regular.saturating_add(intrinsic.state);
    if required > got {
        return Err(Invalid::IntrinsicGasTooLow { required, got });
    }
    if intrinsic.floor > got {
        return Err(Invalid::FloorGasTooLow { required: intrinsic.floor, got });
    }
    if transaction.nonce == u64::MAX {
        return Err(Invalid::NonceOverflow);
    }
    if transaction.to.is_none() && transaction.input.len() > schedule.max_initcode_size as usize {
        return Err(Invalid::InitcodeTooLarge {
            limit: schedule.max_initcode_size as usize,
            got: transaction.input.len(),
        });
    }
    if fork < Fork::Amsterdam && environment.validation == Validation::Call {
        return Ok(intrinsic);
    }
    // From EIP-8037 on the cap is on regular gas: all that is known of it here is the least.
    let capped = if fork >= Fork::Amsterdam { intrinsic.regular.max(intrinsic.floor) } else { got };
    if schedule.transaction_gas_cap != u32::MAX && capped > u64::from(schedule.transaction_gas_cap) {
        return Err(Invalid::GasLimitAboveCap { cap: u64::from(schedule.transaction_gas_cap), got: capped });
    }
    Ok(intrinsic)
}

/// The rules that depend on the block.
pub(crate) fn validate_in_block(
    transaction: &Transaction,
    environment: &Environment,
    schedule: &GasSchedule,
    intrinsic: &IntrinsicGas,
    available: Available,
) -> Result<(), InvalidTransaction> {
    use InvalidTransaction as Invalid;
    let block = &environment.block;
    let available = match environment.validation {
        Validation::Full => available,
        Validation::Call => Available { gas: u64::MAX, blob_gas: u64::MAX },
    };
    let kind = transaction.transaction_type;
    // From EIP-8037 on the block counts regular gas and state gas apart.
    let most_gas = if environment.rules.fork >= Fork::Amsterdam {
        (transaction.gas_limit - intrinsic.state).min(u64::from(schedule.transaction_gas_cap))
    } else {
        transaction.gas_limit
    };
    if most_gas > available.gas {
        return Err(Invalid::BlockGasLimitExceeded { available: available.gas, got: most_gas });
    }
    if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas {
        return Err(Invalid::PriorityFeeAboveFeeCap);
    }
    if transaction.max_fee_per_gas < block.base_fee {
        return Err(Invalid::FeeCapBelowBaseFee { base_fee: block.base_fee, got: transaction.max_fee_per_gas });
    }
    if matches!(kind, TransactionType::Blob | TransactionType::SetCode) && transaction.to.is_none() {
        return Err(Invalid::CreateNotAllowed(kind));
    }
    if kind == TransactionType::SetCode && transaction.authorization_list.is_empty() {
        return Err(Invalid::NoAuthorizations);
    }
    if kind == TransactionType::Blob {
        let blobs = transaction.blob_versioned_hashes.len() as u64;
        let most = environment.rules.blob_schedule.max;
        let limit = if environment.rules.fork >= Fork::Osaka { most.min(MAX_BLOBS_PER_TRANSACTION) } else { most };
        if blobs == 0 {
            return Err(Invalid::NoBlobs);
        }
        if blobs > limit {
            return Err(Invalid::TooManyBlobs { limit, got: blobs });
        }
        let wrong = |hash: &isolane_spec::H256| hash.0[0] != VERSIONED_HASH_VERSION_KZG;
        if let Some(index) = transaction.blob_versioned_hashes.iter().position(wrong) {
            return Err(Invalid::BlobVersion { index });
        }
        let got = blobs * GAS_PER_BLOB;
        if got > available.blob_gas {
            return Err(Invalid::BlobGasLimitExceeded { available: available.blob_gas, got });
        }
        if transaction.max_fee_per_blob_gas < block.blob_base_fee {
            return Err(Invalid::BlobFeeCapBelowBaseFee {
                blob_base_fee: block.blob_base_fee,
                got: transaction.max_fee_per_blob_gas,
            });
        }
    }
    Ok(())
}

/// Limb by limb, given what becomes of two limbs and whether that carries. Each transaction needs a few of these, and those
/// of the crate are calls.
#[inline(always)]
fn ripple(a: &U256, b: &U256, step: impl Fn(u64, u64) -> (u64, bool)) -> (U256, bool) {
    let mut limbs = [0; 4];
    let mut carry = false;
    for (limb, (a, b)) in limbs.iter_mut().zip(a.0.into_iter().zip(b.0)) {
        let (part, first) = step(a, b);
        let (part, second) = step(part, u64::from(carry));
        carry = first | second;
        *limb = part;
    }
    (U256(limbs), carry)
}

/// The sum modulo 2^256, and whether it is 2^256 or more.
#[inline(always)]
pub(crate) fn plus(a: &U256, b: &U256) -> (U256, bool) {
    ripple(a, b, u64::overflowing_add)
}

/// The difference modulo 2^256, and whether it is negative.
#[inline(always)]
pub(crate) fn minus(a: &U256, b: &U256) -> (U256, bool) {
    ripple(a, b, u64::overflowing_sub)
}

/// What gas costs, in wei; `None` where that exceeds 256 bits.
#[inline(always)]
pub(crate) fn price(per_gas: &U256, gas: u64) -> Option<U256> {
    let mut carry = 0;
    let limbs = per_gas.0.map(|limb| {
        let product = u128::from(limb) * u128::from(gas) + carry;
        carry = product >> 64;
        product as u64
    });
    (carry == 0).then_some(U256(limbs))
}

/// What a transaction pays for gas beyond the base fee, which goes to the beneficiary, and in all (EIP-1559).
#[inline(always)]
pub(crate) fn gas_price(transaction: &Transaction, base_fee: &U256) -> (U256, U256) {
    let tip = transaction.max_priority_fee_per_gas.min(minus(&transaction.max_fee_per_gas, base_fee).0);
    (tip, plus(base_fee, &tip).0)
}

/// The rules that depend on the sender's nonce and balance.
#[inline(always)]
pub(crate) fn check_sender(
    transaction: &Transaction,
    info: &AccountInfo,
    validation: Validation,
) -> Result<(), InvalidTransaction> {
    use InvalidTransaction as Invalid;
    let simulated = validation == Validation::Call;
    if simulated && info.nonce == u64::MAX {
        return Err(Invalid::NonceOverflow);
    }
    let (expected, got) = (info.nonce, if simulated { info.nonce } else { transaction.nonce });
    if got < expected {
        return Err(Invalid::NonceTooLow { expected, got });
    }
    if got > expected {
        return Err(Invalid::NonceTooHigh { expected, got });
    }
    let Some(required) = maximum_cost(transaction) else { return Err(Invalid::CostOverflow) };
    if info.balance < required {
        return Err(Invalid::InsufficientFunds { required, got: info.balance });
    }
    Ok(())
}

/// The most that a transaction can cost, in wei.
fn maximum_cost(transaction: &Transaction) -> Option<U256> {
    let (cost, too_much) = plus(&price(&transaction.max_fee_per_gas, transaction.gas_limit)?, &transaction.value);
    if too_much {
        return None;
    }
    if transaction.blob_versioned_hashes.is_empty() {
        return Some(cost);
    }
    let blob_gas = transaction.blob_versioned_hashes.len() as u64 * GAS_PER_BLOB;
    cost.checked_add(price(&transaction.max_fee_per_blob_gas, blob_gas)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_differences_are_those_of_the_crate() {
        let words = [U256::zero(), U256::one(), U256([u64::MAX, 0, 0, 1]), U256([0, u64::MAX, u64::MAX, 0])];
        let words = words.into_iter().flat_map(|word| [word, !word, word << 128, (word << 64) + 1]);
        let words: Vec<U256> = words.collect();
        for a in &words {
            for b in &words {
                assert_eq!(plus(a, b), a.overflowing_add(*b));
                assert_eq!(minus(a, b), a.overflowing_sub(*b));
            }
        }
    }
}
