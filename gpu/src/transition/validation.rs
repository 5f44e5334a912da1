//! Whether a transaction is valid, and what it pays in any case (execution-specs `validate_transaction`,
//! `check_transaction`). Rules are asked in the order of the reference, so that a transaction that breaks two is rejected
//! for the same one.

use super::Available;
use super::accounts::Accounts;
use isolane_spec::InvalidTransaction as Invalid;
use isolane_spec::gas::{GasSchedule, SCHEDULES};
use isolane_spec::{
    BlockContext, Environment, Fork, KECCAK_EMPTY, Rules, StateError, Transaction, TransactionType, U256, Validation,
};

/// Gas of one blob (EIP-4844).
pub const GAS_PER_BLOB: u64 = 1 << 17;
/// The version that a blob's hash starts with (EIP-4844).
const VERSIONED_HASH_VERSION_KZG: u8 = 1;
/// Blobs that one transaction may carry from Osaka on (EIP-7594).
const MAX_BLOBS_PER_TRANSACTION: u64 = 6;

/// Gas that a transaction pays whatever its code does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntrinsicGas {
    /// Before anything runs.
    pub gas: u64,
    /// At least, in all (EIP-7623); 0 before Prague.
    pub floor: u64,
}

/// Asks all rules that need no state: the transaction's form and its block. Forks before Amsterdam only.
///
/// # Errors
/// The first rule that is broken.
pub fn validate(
    environment: &Environment,
    transaction: &Transaction,
    available: Available,
) -> Result<IntrinsicGas, Invalid> {
    let Environment { rules, block, .. } = environment;
    let schedule = &SCHEDULES[rules.fork as usize];
    let intrinsic = intrinsic_gas(transaction, schedule);
    let simulated = environment.validation == Validation::Call;
    let available = if simulated { Available { gas: u64::MAX, blob_gas: u64::MAX } } else { available };
    check_form(transaction, rules, schedule, intrinsic, simulated)?;
    check_fees(transaction, block, available)?;
    check_kind(transaction)?;
    if transaction.transaction_type == TransactionType::Blob {
        check_blobs(transaction, rules, block, available)?;
    }
    Ok(intrinsic)
}

fn intrinsic_gas(transaction: &Transaction, schedule: &GasSchedule) -> IntrinsicGas {
    let of = |count: usize, price: u32| count as u64 * u64::from(price);
    let length = transaction.input.len();
    let zeros = transaction.input.iter().filter(|byte| **byte == 0).count();
    let mut gas = u64::from(schedule.transaction);
    gas += of(zeros, schedule.data_zero) + of(length - zeros, schedule.data_nonzero);
    if transaction.to.is_none() {
        gas += u64::from(schedule.transaction_create) + of(length.div_ceil(32), schedule.initcode_word);
    }
    for item in &transaction.access_list {
        gas += u64::from(schedule.access_list_address) + of(item.storage_keys.len(), schedule.access_list_slot);
    }
    gas += of(transaction.authorization_list.len(), schedule.authorization);
    // A byte that is not zero counts four times (EIP-7623).
    let tokens = of(zeros, schedule.data_floor_zero) + of(length - zeros, 4);
    let floor = match u64::from(schedule.data_floor_token) {
        0 => 0,
        token => u64::from(schedule.transaction) + tokens * token,
    };
    IntrinsicGas { gas, floor }
}

fn check_form(
    transaction: &Transaction,
    rules: &Rules,
    schedule: &GasSchedule,
    intrinsic: IntrinsicGas,
    simulated: bool,
) -> Result<(), Invalid> {
    let since = match transaction.transaction_type {
        TransactionType::Legacy => Fork::Frontier,
        TransactionType::AccessList => Fork::Berlin,
        TransactionType::DynamicFee => Fork::London,
        TransactionType::Blob => Fork::Cancun,
        TransactionType::SetCode => Fork::Prague,
    };
    let got = transaction.gas_limit;
    let limit = schedule.max_initcode_size as usize;
    let cap = u64::from(schedule.transaction_gas_cap);
    if rules.fork < since {
        return Err(Invalid::UnsupportedType(transaction.transaction_type));
    }
    if let Some(got) = transaction.chain_id
        && got != rules.chain_id
    {
        return Err(Invalid::WrongChainId { expected: rules.chain_id, got });
    }
    if got < intrinsic.gas {
        return Err(Invalid::IntrinsicGasTooLow { required: intrinsic.gas, got });
    }
    if got < intrinsic.floor {
        return Err(Invalid::FloorGasTooLow { required: intrinsic.floor, got });
    }
    if transaction.nonce == u64::MAX {
        return Err(Invalid::NonceOverflow);
    }
    if transaction.to.is_none() && transaction.input.len() > limit {
        return Err(Invalid::InitcodeTooLarge { limit, got: transaction.input.len() });
    }
    if !simulated && schedule.transaction_gas_cap != u32::MAX && got > cap {
        return Err(Invalid::GasLimitAboveCap { cap, got });
    }
    Ok(())
}

fn check_fees(transaction: &Transaction, block: &BlockContext, available: Available) -> Result<(), Invalid> {
    if transaction.gas_limit > available.gas {
        return Err(Invalid::BlockGasLimitExceeded { available: available.gas, got: transaction.gas_limit });
    }
    if transaction.max_fee_per_gas < transaction.max_priority_fee_per_gas {
        return Err(Invalid::PriorityFeeAboveFeeCap);
    }
    if block.base_fee > transaction.max_fee_per_gas {
        return Err(Invalid::FeeCapBelowBaseFee { base_fee: block.base_fee, got: transaction.max_fee_per_gas });
    }
    Ok(())
}

fn check_kind(transaction: &Transaction) -> Result<(), Invalid> {
    let kind = transaction.transaction_type;
    if transaction.to.is_none() && matches!(kind, TransactionType::Blob | TransactionType::SetCode) {
        return Err(Invalid::CreateNotAllowed(kind));
    }
    if transaction.authorization_list.is_empty() && kind == TransactionType::SetCode {
        return Err(Invalid::NoAuthorizations);
    }
    Ok(())
}

fn check_blobs(
    transaction: &Transaction,
    rules: &Rules,
    block: &BlockContext,
    available: Available,
) -> Result<(), Invalid> {
    let blobs = transaction.blob_versioned_hashes.len() as u64;
    let in_block = rules.blob_schedule.max;
    let limit = if rules.fork < Fork::Osaka { in_block } else { in_block.min(MAX_BLOBS_PER_TRANSACTION) };
    if blobs == 0 {
        return Err(Invalid::NoBlobs);
    }
    if blobs > limit {
        return Err(Invalid::TooManyBlobs { limit, got: blobs });
    }
    for (index, hash) in transaction.blob_versioned_hashes.iter().enumerate() {
        if !hash.0.starts_with(&[VERSIONED_HASH_VERSION_KZG]) {
            return Err(Invalid::BlobVersion { index });
        }
    }
    let got = blobs.saturating_mul(GAS_PER_BLOB);
    if got > available.blob_gas {
        return Err(Invalid::BlobGasLimitExceeded { available: available.blob_gas, got });
    }
    let got = transaction.max_fee_per_blob_gas;
    if block.blob_base_fee > got {
        return Err(Invalid::BlobFeeCapBelowBaseFee { blob_base_fee: block.blob_base_fee, got });
    }
    Ok(())
}

/// The most that a transaction can cost, in wei; `None` where that exceeds 256 bits.
fn maximum_cost(transaction: &Transaction) -> Option<U256> {
    let gas = transaction.max_fee_per_gas.checked_mul(transaction.gas_limit.into())?;
    let blobs = U256::from(transaction.blob_versioned_hashes.len()).checked_mul(GAS_PER_BLOB.into())?;
    gas.checked_add(transaction.value)?.checked_add(transaction.max_fee_per_blob_gas.checked_mul(blobs)?)
}

/// Asks the rules about the sender's account.
pub(super) fn validate_sender(
    transaction: &Transaction,
    accounts: &Accounts<'_>,
    sender: usize,
    validation: Validation,
) -> Result<Result<(), Invalid>, StateError> {
    let info = accounts.info(sender);
    let simulated = validation == Validation::Call;
    if simulated && info.nonce == u64::MAX {
        return Ok(Err(Invalid::NonceOverflow));
    }
    let (expected, got) = (info.nonce, if simulated { info.nonce } else { transaction.nonce });
    if expected > got {
        return Ok(Err(Invalid::NonceTooLow { expected, got }));
    }
    if expected < got {
        return Ok(Err(Invalid::NonceTooHigh { expected, got }));
    }
    let Some(required) = maximum_cost(transaction) else { return Ok(Err(Invalid::CostOverflow)) };
    if required > info.balance {
        return Ok(Err(Invalid::InsufficientFunds { required, got: info.balance }));
    }
    // A delegation is no code of the sender's own (EIP-7702).
    if !simulated && info.code_hash != KECCAK_EMPTY && accounts.delegation(sender)?.is_none() {
        return Ok(Err(Invalid::SenderHasCode));
    }
    Ok(Ok(()))
}
