//! Transactions of all envelope types, and why one is rejected.

use crate::{Bytes, H160, H256, U256};
use std::fmt;

/// The envelope type of a transaction (EIP-2718).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TransactionType {
    /// Untyped, with one gas price.
    #[default]
    Legacy = 0,
    /// EIP-2930: with an access list.
    AccessList = 1,
    /// EIP-1559: with a fee cap and a priority fee.
    DynamicFee = 2,
    /// EIP-4844: with blobs.
    Blob = 3,
    /// EIP-7702: with delegations.
    SetCode = 4,
}

/// One entry of an access list (EIP-2930).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessListItem {
    /// The account that is warm from the start.
    pub address: H160,
    /// Its slots that are warm from the start.
    pub storage_keys: Vec<U256>,
}

/// One delegation of an EIP-7702 transaction, as signed. The authority is recovered from the signature when the
/// transaction runs; a tuple that fails any check is skipped, it does not make the transaction invalid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Authorization {
    /// The chain it holds for; 0 holds for all.
    pub chain_id: U256,
    /// The account whose code is delegated to; zero clears the delegation.
    pub address: H160,
    /// The nonce that the authority must have.
    pub nonce: u64,
    /// Parity of the signature's y coordinate: valid when 0 or 1.
    pub y_parity: U256,
    /// Signature r.
    pub r: U256,
    /// Signature s.
    pub s: U256,
}

/// A transaction with its sender already known.
///
/// Fees are 256 bits wide so that a hostile value is rejected by validation and not by a parser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// The envelope type.
    pub transaction_type: TransactionType,
    /// The account that pays and whose nonce rises. Recovered from the signature by the loader.
    pub sender: H160,
    /// Must equal the sender's nonce.
    pub nonce: u64,
    /// Gas bought up front.
    pub gas_limit: u64,
    /// `gasPrice` of types 0 and 1, `maxFeePerGas` of the others, in wei.
    pub max_fee_per_gas: U256,
    /// `maxPriorityFeePerGas` in wei; equal to `max_fee_per_gas` for types 0 and 1.
    pub max_priority_fee_per_gas: U256,
    /// The callee; `None` creates a contract.
    pub to: Option<H160>,
    /// Wei sent along.
    pub value: U256,
    /// Call data, or initcode when `to` is `None`.
    pub input: Bytes,
    /// The chain that the signature is bound to (EIP-155), if any.
    pub chain_id: Option<u64>,
    /// EIP-2930 access list.
    pub access_list: Vec<AccessListItem>,
    /// EIP-4844 versioned hashes.
    pub blob_versioned_hashes: Vec<H256>,
    /// EIP-4844 cap on the price of blob gas, in wei.
    pub max_fee_per_blob_gas: U256,
    /// EIP-7702 delegations.
    pub authorization_list: Vec<Authorization>,
}

/// Why a transaction is invalid: it has no effect at all and a block that holds it is invalid.
///
/// One variant per rule of execution-specs' `validate_transaction` and `check_transaction`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidTransaction {
    /// The envelope type does not exist in this fork.
    UnsupportedType(TransactionType),
    /// The signature is bound to another chain.
    WrongChainId {
        /// The environment's chain.
        expected: u64,
        /// The transaction's chain.
        got: u64,
    },
    /// The nonce is below the sender's.
    NonceTooLow {
        /// The sender's nonce.
        expected: u64,
        /// The transaction's nonce.
        got: u64,
    },
    /// The nonce is above the sender's.
    NonceTooHigh {
        /// The sender's nonce.
        expected: u64,
        /// The transaction's nonce.
        got: u64,
    },
    /// The nonce is 2^64 - 1 (EIP-2681).
    NonceOverflow,
    /// The sender has code that is not a delegation (EIP-3607).
    SenderHasCode,
    /// The gas limit is below the intrinsic cost.
    IntrinsicGasTooLow {
        /// The intrinsic cost.
        required: u64,
        /// The gas limit.
        got: u64,
    },
    /// The gas limit is below the floor cost of the call data (EIP-7623).
    FloorGasTooLow {
        /// The floor cost.
        required: u64,
        /// The gas limit.
        got: u64,
    },
    /// The gas limit is above the cap of a single transaction (EIP-7825).
    GasLimitAboveCap {
        /// The cap.
        cap: u64,
        /// The gas limit.
        got: u64,
    },
    /// The gas limit is above what is left in the block.
    BlockGasLimitExceeded {
        /// Gas left in the block.
        available: u64,
        /// The gas limit.
        got: u64,
    },
    /// `gas_limit * price + value` does not fit 256 bits.
    CostOverflow,
    /// The sender cannot pay gas and value.
    InsufficientFunds {
        /// The cost.
        required: U256,
        /// The sender's balance.
        got: U256,
    },
    /// The fee cap is below the block's base fee.
    FeeCapBelowBaseFee {
        /// The base fee.
        base_fee: U256,
        /// The fee cap.
        got: U256,
    },
    /// The priority fee is above the fee cap.
    PriorityFeeAboveFeeCap,
    /// The initcode is longer than EIP-3860 allows.
    InitcodeTooLarge {
        /// The limit in bytes.
        limit: usize,
        /// The length in bytes.
        got: usize,
    },
    /// A blob transaction without blobs.
    NoBlobs,
    /// More blobs than a transaction may carry.
    TooManyBlobs {
        /// The limit.
        limit: u64,
        /// The number of blobs.
        got: u64,
    },
    /// More blob gas than is left in the block.
    BlobGasLimitExceeded {
        /// Blob gas left in the block.
        available: u64,
        /// Blob gas of the transaction.
        got: u64,
    },
    /// A versioned hash does not start with 0x01.
    BlobVersion {
        /// Index of the hash.
        index: usize,
    },
    /// The cap on blob gas is below the block's price.
    BlobFeeCapBelowBaseFee {
        /// The block's price of blob gas.
        blob_base_fee: U256,
        /// The cap.
        got: U256,
    },
    /// Blob and set-code transactions cannot create contracts.
    CreateNotAllowed(TransactionType),
    /// A set-code transaction without authorizations.
    NoAuthorizations,
}

impl fmt::Display for InvalidTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedType(t) => write!(f, "transaction type {} does not exist in this fork", *t as u8),
            Self::WrongChainId { expected, got } => write!(f, "chain id: expected {expected}, got {got}"),
            Self::NonceTooLow { expected, got } => write!(f, "nonce too low: expected {expected}, got {got}"),
            Self::NonceTooHigh { expected, got } => write!(f, "nonce too high: expected {expected}, got {got}"),
            Self::NonceOverflow => f.write_str("nonce is 2^64 - 1 (EIP-2681)"),
            Self::SenderHasCode => f.write_str("the sender has code (EIP-3607)"),
            Self::IntrinsicGasTooLow { required, got } => {
                write!(f, "gas limit below the intrinsic cost: required {required}, got {got}")
            }
            Self::FloorGasTooLow { required, got } => {
                write!(f, "gas limit below the floor cost of the call data (EIP-7623): required {required}, got {got}")
            }
            Self::GasLimitAboveCap { cap, got } => {
                write!(f, "gas limit above the cap of a transaction (EIP-7825): at most {cap}, got {got}")
            }
            Self::BlockGasLimitExceeded { available, got } => {
                write!(f, "gas limit above what is left in the block: {available} left, got {got}")
            }
            Self::CostOverflow => f.write_str("gas limit * gas price + value exceeds 256 bits"),
            Self::InsufficientFunds { required, got } => {
                write!(f, "insufficient funds: required {required}, balance {got}")
            }
            Self::FeeCapBelowBaseFee { base_fee, got } => {
                write!(f, "fee cap below the base fee: base fee {base_fee}, got {got}")
            }
            Self::PriorityFeeAboveFeeCap => f.write_str("priority fee above the fee cap"),
            Self::InitcodeTooLarge { limit, got } => {
                write!(f, "initcode too large (EIP-3860): at most {limit} bytes, got {got}")
            }
            Self::NoBlobs => f.write_str("a blob transaction without blobs"),
            Self::TooManyBlobs { limit, got } => write!(f, "too many blobs: at most {limit}, got {got}"),
            Self::BlobGasLimitExceeded { available, got } => {
                write!(f, "blob gas above what is left in the block: {available} left, got {got}")
            }
            Self::BlobVersion { index } => write!(f, "versioned hash {index} does not start with 0x01"),
            Self::BlobFeeCapBelowBaseFee { blob_base_fee, got } => {
                write!(f, "blob fee cap below the price of blob gas: price {blob_base_fee}, got {got}")
            }
            Self::CreateNotAllowed(t) => write!(f, "a transaction of type {} cannot create a contract", *t as u8),
            Self::NoAuthorizations => f.write_str("a set-code transaction without authorizations"),
        }
    }
}

impl std::error::Error for InvalidTransaction {}
