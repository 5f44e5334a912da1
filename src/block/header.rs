//! The rules of a block header, given its parent.

use super::dao;
use super::difficulty::{expected_difficulty, is_empty_ommers_hash};
use crate::chain::ChainSpec;
use crate::convert::{from_address, from_b256, from_word};
use alloy_consensus::Header;
use isolane_spec::{BlockContext, Fork, H256, Rules, U256, blob_base_fee};
use std::fmt;

/// Gas of one blob (EIP-4844).
pub const GAS_PER_BLOB: u64 = 1 << 17;
/// Execution gas that one blob must at least be worth (EIP-7918).
const BLOB_BASE_COST: u64 = 1 << 13;
/// Lowest gas limit of a block.
pub(super) const MINIMUM_GAS_LIMIT: u64 = 5000;
/// The first base fee, in wei (EIP-1559).
const INITIAL_BASE_FEE: u128 = 1_000_000_000;
const ELASTICITY_MULTIPLIER: u64 = 2;

/// The block that a header builds on.
#[derive(Clone, Copy, Debug)]
pub struct Parent<'a> {
    /// Its header.
    pub header: &'a Header,
    /// Its hash.
    pub hash: H256,
    /// The total difficulty up to and including it, where proof of work still matters.
    pub total_difficulty: Option<U256>,
}

/// The rule that a header breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidHeader {
    /// The parent is another block.
    ParentHash {
        /// The hash of the block that it was checked against.
        expected: H256,
        /// The parent hash in the header.
        got: H256,
    },
    /// The number is not the parent's plus one.
    Number {
        /// The parent's number plus one.
        expected: u64,
        /// The number in the header.
        got: u64,
    },
    /// The timestamp is not above the parent's.
    Timestamp {
        /// The parent's.
        parent: u64,
        /// The timestamp in the header.
        got: u64,
    },
    /// More than 32 bytes of extra data.
    ExtraDataTooLong(usize),
    /// The extra data around the DAO fork is not `dao-hard-fork` (EIP-779).
    DaoExtraData,
    /// The gas limit is below 5,000.
    GasLimitTooLow(u64),
    /// The gas limit moved by a 1,024th of the parent's or more.
    GasLimitChange {
        /// The parent's, doubled at London.
        parent: u64,
        /// The gas limit in the header.
        got: u64,
    },
    /// More gas used than the limit allows.
    GasUsedAboveLimit {
        /// The gas limit.
        limit: u64,
        /// The gas used.
        got: u64,
    },
    /// The difficulty is not what proof of work asks for.
    Difficulty {
        /// What the parent leads to.
        expected: U256,
        /// The difficulty in the header.
        got: U256,
    },
    /// A difficulty after The Merge (EIP-3675).
    DifficultyNotZero(U256),
    /// A nonce after The Merge (EIP-3675).
    NonceNotZero,
    /// Ommers after The Merge (EIP-3675).
    OmmersNotEmpty,
    /// The base fee is not what the parent leads to (EIP-1559).
    BaseFee {
        /// What the parent leads to.
        expected: u128,
        /// The base fee in the header.
        got: u64,
    },
    /// A field that the fork asks for is missing.
    FieldMissing {
        /// The field.
        field: &'static str,
        /// The fork.
        fork: Fork,
    },
    /// A field that the fork does not have.
    FieldUnexpected {
        /// The field.
        field: &'static str,
        /// The fork.
        fork: Fork,
    },
    /// The excess of blob gas is not what the parent leads to (EIP-4844).
    ExcessBlobGas {
        /// What the parent leads to.
        expected: u64,
        /// The excess in the header.
        got: u64,
    },
    /// The block is longer than EIP-7934 allows.
    BlockTooLong {
        /// The limit in bytes.
        limit: usize,
        /// The length.
        got: usize,
    },
}

impl fmt::Display for InvalidHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("header: ")?;
        match self {
            Self::ParentHash { expected, got } => write!(f, "parent hash: expected {expected:?}, got {got:?}"),
            Self::Number { expected, got } => write!(f, "number: expected {expected}, got {got}"),
            Self::Timestamp { parent, got } => write!(f, "timestamp: expected more than {parent}, got {got}"),
            Self::ExtraDataTooLong(got) => write!(f, "extra data: expected at most 32 bytes, got {got}"),
            Self::DaoExtraData => f.write_str("extra data: expected \"dao-hard-fork\" (EIP-779)"),
            Self::GasLimitTooLow(got) => write!(f, "gas limit: expected at least {MINIMUM_GAS_LIMIT}, got {got}"),
            Self::GasLimitChange { parent, got } => {
                write!(f, "gas limit: expected less than {} away from {parent}, got {got}", parent / 1024)
            }
            Self::GasUsedAboveLimit { limit, got } => write!(f, "gas used: expected at most {limit}, got {got}"),
            Self::Difficulty { expected, got } => write!(f, "difficulty: expected {expected}, got {got}"),
            Self::DifficultyNotZero(got) => write!(f, "difficulty: expected 0 after The Merge, got {got}"),
            Self::NonceNotZero => f.write_str("nonce: expected 0 after The Merge"),
            Self::OmmersNotEmpty => f.write_str("ommers: expected none after The Merge"),
            Self::BaseFee { expected, got } => write!(f, "base fee: expected {expected}, got {got}"),
            Self::FieldMissing { field, fork } => write!(f, "{field}: expected in {fork}, got none"),
            Self::FieldUnexpected { field, fork } => write!(f, "{field}: does not exist in {fork}"),
            Self::ExcessBlobGas { expected, got } => write!(f, "excess blob gas: expected {expected}, got {got}"),
            Self::BlockTooLong { limit, got } => {
                write!(f, "block: expected at most {limit} bytes (EIP-7934), got {got}")
            }
        }
    }
}

impl std::error::Error for InvalidHeader {}

/// Checks a header against its parent and yields the rules of its block. The proof of work itself is not checked.
///
/// # Errors
/// The first rule that it breaks.
pub fn validate_header(header: &Header, parent: &Parent<'_>, chain: &ChainSpec) -> Result<Rules, InvalidHeader> {
    let got = from_b256(header.parent_hash);
    if got != parent.hash {
        return Err(InvalidHeader::ParentHash { expected: parent.hash, got });
    }
    let number = parent.header.number.saturating_add(1);
    if header.number != number {
        return Err(InvalidHeader::Number { expected: number, got: header.number });
    }
    let rules = chain.rules_at(header.number, header.timestamp, parent.total_difficulty);
    if header.timestamp <= parent.header.timestamp {
        return Err(InvalidHeader::Timestamp { parent: parent.header.timestamp, got: header.timestamp });
    }
    check_extra_data(header, chain)?;
    check_consensus(header, parent.header, rules.fork)?;
    check_gas_limit(header, parent.header, rules.fork)?;
    check_fields(header, rules.fork)?;
    check_base_fee(header, parent.header)?;
    check_blob_gas(header, parent.header, &rules)?;
    Ok(rules)
}

/// Exactly the fields of the fork are there.
fn check_fields(header: &Header, fork: Fork) -> Result<(), InvalidHeader> {
    for (field, there, since) in [
        ("baseFeePerGas", header.base_fee_per_gas.is_some(), Fork::London),
        ("withdrawalsRoot", header.withdrawals_root.is_some(), Fork::Shanghai),
        ("blobGasUsed", header.blob_gas_used.is_some(), Fork::Cancun),
        ("excessBlobGas", header.excess_blob_gas.is_some(), Fork::Cancun),
        ("parentBeaconBlockRoot", header.parent_beacon_block_root.is_some(), Fork::Cancun),
        ("requestsHash", header.requests_hash.is_some(), Fork::Prague),
        ("blockAccessListHash", header.block_access_list_hash.is_some(), Fork::Amsterdam),
        ("slotNumber", header.slot_number.is_some(), Fork::Amsterdam),
    ] {
        match (there, fork >= since) {
            (false, true) => return Err(InvalidHeader::FieldMissing { field, fork }),
            (true, false) => return Err(InvalidHeader::FieldUnexpected { field, fork }),
            _ => {}
        }
    }
    Ok(())
}

fn check_extra_data(header: &Header, chain: &ChainSpec) -> Result<(), InvalidHeader> {
    if header.extra_data.len() > 32 {
        return Err(InvalidHeader::ExtraDataTooLong(header.extra_data.len()));
    }
    let since_dao = chain.dao_block().and_then(|block| header.number.checked_sub(block));
    if since_dao.is_some_and(|blocks| blocks < dao::EXTRA_DATA_BLOCKS) && *header.extra_data != *dao::EXTRA_DATA {
        return Err(InvalidHeader::DaoExtraData);
    }
    Ok(())
}

fn check_consensus(header: &Header, parent: &Header, fork: Fork) -> Result<(), InvalidHeader> {
    let got = from_word(header.difficulty);
    if fork < Fork::Paris {
        let expected = expected_difficulty(fork, header.number, header.timestamp, parent);
        return if got == expected { Ok(()) } else { Err(InvalidHeader::Difficulty { expected, got }) };
    }
    if !got.is_zero() {
        return Err(InvalidHeader::DifficultyNotZero(got));
    }
    if !header.nonce.is_zero() {
        return Err(InvalidHeader::NonceNotZero);
    }
    if !is_empty_ommers_hash(from_b256(header.ommers_hash)) {
        return Err(InvalidHeader::OmmersNotEmpty);
    }
    Ok(())
}

fn check_gas_limit(header: &Header, parent: &Header, fork: Fork) -> Result<(), InvalidHeader> {
    if header.gas_used > header.gas_limit {
        return Err(InvalidHeader::GasUsedAboveLimit { limit: header.gas_limit, got: header.gas_used });
    }
    if header.gas_limit < MINIMUM_GAS_LIMIT {
        return Err(InvalidHeader::GasLimitTooLow(header.gas_limit));
    }
    // Only a London block can follow one without a base fee and have one.
    let first_of_london = fork >= Fork::London && parent.base_fee_per_gas.is_none();
    let parent_limit =
        if first_of_london { parent.gas_limit.saturating_mul(ELASTICITY_MULTIPLIER) } else { parent.gas_limit };
    if header.gas_limit.abs_diff(parent_limit) >= parent_limit / 1024 {
        return Err(InvalidHeader::GasLimitChange { parent: parent_limit, got: header.gas_limit });
    }
    Ok(())
}

fn check_base_fee(header: &Header, parent: &Header) -> Result<(), InvalidHeader> {
    if let Some(got) = header.base_fee_per_gas {
        let expected = expected_base_fee(parent);
        if u128::from(got) != expected {
            return Err(InvalidHeader::BaseFee { expected, got });
        }
    }
    Ok(())
}

/// The base fee that follows a parent (EIP-1559), in wei.
#[must_use]
pub fn expected_base_fee(parent: &Header) -> u128 {
    let Some(base_fee) = parent.base_fee_per_gas else { return INITIAL_BASE_FEE };
    let base_fee = u128::from(base_fee);
    let target = u128::from(parent.gas_limit / ELASTICITY_MULTIPLIER);
    let used = u128::from(parent.gas_used);
    if target == 0 || used == target {
        return base_fee;
    }
    let delta = base_fee * used.abs_diff(target) / target / 8;
    if used > target { base_fee + delta.max(1) } else { base_fee - delta }
}

/// The blob gas that the block uses is a result of its execution, where its limit is checked.
fn check_blob_gas(header: &Header, parent: &Header, rules: &Rules) -> Result<(), InvalidHeader> {
    let Some(got) = header.excess_blob_gas else { return Ok(()) };
    let expected = expected_excess_blob_gas(parent, rules);
    if got == expected { Ok(()) } else { Err(InvalidHeader::ExcessBlobGas { expected, got }) }
}

/// The excess of blob gas that follows a parent (EIP-4844, with the reserve price of EIP-7918 from Osaka on).
#[must_use]
pub fn expected_excess_blob_gas(parent: &Header, rules: &Rules) -> u64 {
    let excess = parent.excess_blob_gas.unwrap_or_default();
    let used = parent.blob_gas_used.unwrap_or_default();
    let total = excess.saturating_add(used);
    let schedule = rules.blob_schedule;
    let target = schedule.target.saturating_mul(GAS_PER_BLOB);
    if total < target {
        return 0;
    }
    if rules.fork >= Fork::Osaka {
        let reserve = U256::from(BLOB_BASE_COST) * U256::from(parent.base_fee_per_gas.unwrap_or_default());
        let price = blob_base_fee(excess, schedule.base_fee_update_fraction).saturating_mul(U256::from(GAS_PER_BLOB));
        if reserve > price {
            let share = u128::from(used) * u128::from(schedule.max.saturating_sub(schedule.target))
                / u128::from(schedule.max.max(1));
            return excess.saturating_add(u64::try_from(share).unwrap_or(u64::MAX));
        }
    }
    total - target
}

/// The context that the EVM sees in a block with this header.
#[must_use]
pub fn block_context(header: &Header, rules: &Rules) -> BlockContext {
    BlockContext {
        number: header.number,
        timestamp: header.timestamp,
        coinbase: from_address(header.beneficiary),
        gas_limit: header.gas_limit,
        base_fee: header.base_fee_per_gas.unwrap_or_default().into(),
        difficulty: from_word(header.difficulty),
        prev_randao: from_b256(header.mix_hash),
        blob_base_fee: header
            .excess_blob_gas
            .map_or_else(U256::zero, |excess| blob_base_fee(excess, rules.blob_schedule.base_fee_update_fraction)),
        slot_number: header.slot_number.unwrap_or_default(),
        ..BlockContext::default()
    }
}
