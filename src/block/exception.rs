//! The names that the official fixtures give to the reasons why a block or transaction is invalid: `BlockException.*`
//! and `TransactionException.*` of execution-specs, and the older free strings of ethereum/tests.
//!
//! A fixture may join several names with `|`: any one of them is expected.

use super::{BlockDecodeError, BlockError, HeaderField, InvalidHeader, InvalidOmmer, Mismatch};
use crate::load::transaction::{SignatureError, TransactionDecodeError};
use isolane_spec::{InvalidTransaction, TransactionType};

type Names = &'static [&'static str];

/// The fixtures' names for the rule that a transaction breaks.
#[must_use]
pub const fn transaction_exception_names(reason: &InvalidTransaction) -> Names {
    use InvalidTransaction as I;
    match reason {
        I::UnsupportedType(kind) => match kind {
            TransactionType::Legacy => &["TR_TypeNotSupported", "TransactionException.TYPE_NOT_SUPPORTED"],
            TransactionType::AccessList => &[
                "TR_TypeNotSupported",
                "TransactionException.TYPE_NOT_SUPPORTED",
                "TransactionException.TYPE_1_TX_PRE_FORK",
            ],
            TransactionType::DynamicFee => &[
                "TR_TypeNotSupported",
                "TransactionException.TYPE_NOT_SUPPORTED",
                "TransactionException.TYPE_2_TX_PRE_FORK",
            ],
            TransactionType::Blob => &[
                "TR_TypeNotSupported",
                "TR_TypeNotSupportedBlob",
                "TransactionException.TYPE_NOT_SUPPORTED",
                "TransactionException.TYPE_3_TX_PRE_FORK",
            ],
            TransactionType::SetCode => &[
                "TR_TypeNotSupported",
                "TransactionException.TYPE_NOT_SUPPORTED",
                "TransactionException.TYPE_4_TX_PRE_FORK",
            ],
        },
        I::WrongChainId { .. } => &["TransactionException.INVALID_CHAINID"],
        I::NonceTooLow { .. } => &["TR_NonceTooLow", "TransactionException.NONCE_MISMATCH_TOO_LOW"],
        I::NonceTooHigh { .. } => &["TR_NonceTooHigh", "TransactionException.NONCE_MISMATCH_TOO_HIGH"],
        I::NonceOverflow => {
            &["TR_NonceHasMaxValue", "TransactionException.NONCE_IS_MAX", "TransactionException.NONCE_TOO_BIG"]
        }
        I::SenderHasCode => &["SenderNotEOA", "TransactionException.SENDER_NOT_EOA"],
        I::IntrinsicGasTooLow { .. } => &[
            "TR_IntrinsicGas",
            "IntrinsicGas",
            "TR_NoFundsOrGas",
            "TransactionException.INTRINSIC_GAS_TOO_LOW",
            "TransactionException.INTRINSIC_GAS_BELOW_FLOOR_GAS_COST",
        ],
        // execution-specs checks both at once; some fixtures of Amsterdam name the one where the other is broken.
        I::FloorGasTooLow { .. } => {
            &["TransactionException.INTRINSIC_GAS_BELOW_FLOOR_GAS_COST", "TransactionException.INTRINSIC_GAS_TOO_LOW"]
        }
        I::GasLimitAboveCap { .. } => &["TransactionException.GAS_LIMIT_EXCEEDS_MAXIMUM"],
        I::BlockGasLimitExceeded { .. } => &["TR_GasLimitReached", "TransactionException.GAS_ALLOWANCE_EXCEEDED"],
        I::CostOverflow | I::InsufficientFunds { .. } => &[
            "TR_NoFunds",
            "TR_NoFundsX",
            "TR_NoFundsOrGas",
            "TR_FeeCapLessThanBlocksORNoFunds",
            "TransactionException.INSUFFICIENT_ACCOUNT_FUNDS",
            "TransactionException.GASPRICE_OVERFLOW",
            "TransactionException.GASLIMIT_PRICE_PRODUCT_OVERFLOW",
        ],
        I::FeeCapBelowBaseFee { .. } => &[
            "TR_FeeCapLessThanBlocks",
            "TR_FeeCapLessThanBlocksORNoFunds",
            "TR_FeeCapLessThanBlocksORGasLimitReached",
            "TransactionException.INSUFFICIENT_MAX_FEE_PER_GAS",
        ],
        I::PriorityFeeAboveFeeCap => &[
            "TR_TipGtFeeCap",
            "TransactionException.PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS",
            "TransactionException.PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS_2",
        ],
        I::InitcodeTooLarge { .. } => &["TR_InitCodeLimitExceeded", "TransactionException.INITCODE_SIZE_EXCEEDED"],
        I::NoBlobs => &["TR_EMPTYBLOB", "TransactionException.TYPE_3_TX_ZERO_BLOBS"],
        I::TooManyBlobs { .. } => &[
            "TR_BLOBLIST_OVERSIZE",
            "TransactionException.TYPE_3_TX_BLOB_COUNT_EXCEEDED",
            "TransactionException.TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED",
        ],
        I::BlobGasLimitExceeded { .. } => &[
            "TR_BLOBLIST_OVERSIZE",
            "TransactionException.TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED",
            // A single transaction with more blobs than a block may hold breaks both rules.
            "TransactionException.TYPE_3_TX_BLOB_COUNT_EXCEEDED",
            "BlockException.BLOB_GAS_USED_ABOVE_LIMIT",
        ],
        I::BlobVersion { .. } => {
            &["TR_BLOBVERSION_INVALID", "TransactionException.TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH"]
        }
        I::BlobFeeCapBelowBaseFee { .. } => &["TransactionException.INSUFFICIENT_MAX_FEE_PER_BLOB_GAS"],
        I::CreateNotAllowed(TransactionType::SetCode) => &["TransactionException.TYPE_4_TX_CONTRACT_CREATION"],
        I::CreateNotAllowed(_) => &["TR_BLOBCREATE", "TransactionException.TYPE_3_TX_CONTRACT_CREATION"],
        I::NoAuthorizations => &["TransactionException.TYPE_4_EMPTY_AUTHORIZATION_LIST"],
    }
}

impl InvalidHeader {
    /// The fixtures' names for this rule.
    #[must_use]
    pub fn exception_names(&self) -> Names {
        match self {
            Self::ParentHash { .. } => &[
                "UnknownParent",
                "UnknownParent2",
                "BlockException.UNKNOWN_PARENT",
                "BlockException.UNKNOWN_PARENT_ZERO",
            ],
            Self::Number { .. } => &["InvalidNumber", "BlockException.INVALID_BLOCK_NUMBER"],
            Self::Timestamp { .. } => &[
                "InvalidTimestamp",
                "InvalidTimestampOlderParent",
                "BlockException.INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT",
            ],
            Self::ExtraDataTooLong(_) => &["ExtraDataTooBig", "BlockException.EXTRA_DATA_TOO_BIG"],
            Self::DaoExtraData => &["ExtraDataIncorrectDAO", "BlockException.EXTRA_DATA_INVALID_DAO"],
            Self::GasLimitTooLow(_) | Self::GasLimitChange { .. } => {
                &["InvalidGasLimit", "InvalidGasLimit2", "BlockException.INVALID_GASLIMIT"]
            }
            // Any gas is above a limit that is itself too low: both rules are broken.
            Self::GasUsedAboveLimit { limit: ..super::header::MINIMUM_GAS_LIMIT, .. } => &[
                "TooMuchGasUsed",
                "InvalidGasLimit2",
                "BlockException.GAS_USED_OVERFLOW",
                "BlockException.INVALID_GASLIMIT",
            ],
            Self::GasUsedAboveLimit { .. } => &["TooMuchGasUsed", "BlockException.GAS_USED_OVERFLOW"],
            // A block of proof of stake has no difficulty.
            Self::Difficulty { got, .. } if got.is_zero() => &[
                "InvalidDifficulty",
                "3675PoSBlockRejected",
                "BlockException.INVALID_DIFFICULTY",
                "BlockException.IMPORT_IMPOSSIBLE_PARIS_WRONG_POS",
            ],
            Self::Difficulty { .. } => &["InvalidDifficulty", "BlockException.INVALID_DIFFICULTY"],
            Self::DifficultyNotZero(_) => &[
                "PostParisDifficultyIsNot0",
                "3675PreParis1559BlockRejected",
                "3675PoWBlockRejected",
                "BlockException.IMPORT_IMPOSSIBLE_DIFFICULTY_OVER_PARIS",
                "BlockException.IMPORT_IMPOSSIBLE_PARIS_WRONG_POW",
            ],
            Self::NonceNotZero => &["InvalidBlockNonce"],
            // To the oldest names, a block with ommers is one from before Paris.
            Self::OmmersNotEmpty => &[
                "PostParisUncleHashIsNotEmpty",
                "3675PreParis1559BlockRejected",
                "BlockException.IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS",
            ],
            Self::BaseFee { .. } => &["BlockException.INVALID_BASEFEE_PER_GAS"],
            Self::FieldMissing { field: "baseFeePerGas", .. } => &[
                "LegacyBlockImportImpossible",
                "BlockException.IMPORT_IMPOSSIBLE_LEGACY",
                "BlockException.INCORRECT_BLOCK_FORMAT",
            ],
            Self::FieldUnexpected { field: "baseFeePerGas", .. } => &[
                "1559BlockImportImpossible_HeaderIsLegacy",
                "BlockException.IMPORT_IMPOSSIBLE_LONDON_WRONG_PARENT",
                "BlockException.INCORRECT_BLOCK_FORMAT",
            ],
            Self::FieldMissing { field: "withdrawalsRoot", .. } => &[
                "ParisBlockImportImpossible",
                "BlockException.IMPORT_IMPOSSIBLE_PARIS_OVER_SHANGHAI",
                "BlockException.INCORRECT_BLOCK_FORMAT",
            ],
            Self::FieldUnexpected { field: "withdrawalsRoot", .. } => &[
                "ShanghaiBlockImportImpossible",
                "BlockException.IMPORT_IMPOSSIBLE_SHANGHAI",
                "BlockException.INCORRECT_BLOCK_FORMAT",
            ],
            Self::FieldMissing { .. } | Self::FieldUnexpected { .. } => &["BlockException.INCORRECT_BLOCK_FORMAT"],
            Self::ExcessBlobGas { .. } => &["BlockException.INCORRECT_EXCESS_BLOB_GAS"],
            Self::BlockTooLong { .. } => &["BlockException.RLP_BLOCK_LIMIT_EXCEEDED"],
        }
    }
}

impl InvalidOmmer {
    /// The fixtures' names for this rule; those of the header's rule where a header is invalid.
    #[must_use]
    pub fn exception_names(&self) -> Names {
        match self {
            Self::TooMany(_) => &["TooManyUncles", "BlockException.TOO_MANY_UNCLES"],
            Self::Duplicate => &["UncleInChain", "UncleIsBrother"],
            // The genesis block as an ommer has no parent that could be an ancestor.
            Self::IsAncestor(_) => &["UncleIsAncestor", "UncleInChain", "InvalidUncleParentHash"],
            Self::AlreadyIncluded(_) => &["UncleInChain"],
            Self::Age { .. } => &["UncleParentIsNotAncestor", "InvalidNumber"],
            Self::ParentNotAncestor(_) => &["UncleParentIsNotAncestor", "InvalidUncleParentHash", "UnknownParent"],
            Self::Sibling(_) => &["UncleIsBrother", "UncleParentIsNotAncestor", "InvalidUncleParentHash"],
            Self::Header(error) => error.exception_names(),
        }
    }
}

impl Mismatch {
    /// The fixtures' names for a header that lies about this field.
    #[must_use]
    pub const fn exception_names(&self) -> Names {
        match self.field {
            HeaderField::GasUsed => &["InvalidGasUsed", "BlockException.INVALID_GAS_USED"],
            HeaderField::BlobGasUsed => {
                &["BlockException.INCORRECT_BLOB_GAS_USED", "BlockException.BLOB_GAS_USED_ABOVE_LIMIT"]
            }
            HeaderField::LogsBloom => &["InvalidLogBloom", "BlockException.INVALID_LOG_BLOOM"],
            // The oldest fixtures are from before Byzantium, when receipts held the state root.
            HeaderField::ReceiptsRoot => {
                &["InvalidReceiptsStateRoot", "InvalidStateRoot", "BlockException.INVALID_RECEIPTS_ROOT"]
            }
            HeaderField::StateRoot => &["InvalidStateRoot", "BlockException.INVALID_STATE_ROOT"],
            HeaderField::TransactionsRoot => &["InvalidTransactionsRoot", "BlockException.INVALID_TRANSACTIONS_ROOT"],
            HeaderField::OmmersHash => &["InvalidUnclesHash", "BlockException.INVALID_UNCLES_HASH"],
            HeaderField::WithdrawalsRoot => &["InvalidWithdrawals", "BlockException.INVALID_WITHDRAWALS_ROOT"],
            HeaderField::RequestsHash => &["BlockException.INVALID_REQUESTS"],
        }
    }
}

impl BlockError {
    /// The fixtures' names for this reason; none where infrastructure failed.
    #[must_use]
    pub const fn exception_names(&self) -> Names {
        match self {
            Self::Transaction { reason, .. } => transaction_exception_names(reason),
            Self::Deposit { .. } => &["BlockException.INVALID_DEPOSIT_EVENT_LAYOUT"],
            Self::SystemContractMissing(_) => &["BlockException.SYSTEM_CONTRACT_EMPTY"],
            Self::SystemCallFailed { .. } => &["BlockException.SYSTEM_CONTRACT_CALL_FAILED"],
            Self::HeaderFieldMissing(_) => &["BlockException.INCORRECT_BLOCK_FORMAT"],
            Self::StateRoot { .. } | Self::Execution { .. } => &[],
        }
    }
}

impl BlockDecodeError {
    /// The fixtures' names for malformed blocks.
    #[must_use]
    pub const fn exception_names(&self) -> Names {
        match self {
            Self::Rlp { .. } => &[
                "INPUT_UNMARSHAL_ERROR",
                "BlockException.RLP_STRUCTURES_ENCODING",
                "BlockException.RLP_INVALID_FIELD_OVERFLOW_64",
                "BlockException.INCORRECT_BLOCK_FORMAT",
            ],
            Self::Transaction { error, .. } => error.exception_names(),
        }
    }
}

impl TransactionDecodeError {
    /// The fixtures' names for malformed transactions.
    #[must_use]
    pub const fn exception_names(&self) -> Names {
        match self {
            Self::UnknownType(_) => &[
                "TR_TypeNotSupported",
                "TransactionException.TYPE_NOT_SUPPORTED",
                "BlockException.RLP_STRUCTURES_ENCODING",
            ],
            Self::InvalidV(_) | Self::InvalidYParity(_) => &["TransactionException.INVALID_SIGNATURE_VRS"],
            Self::Empty | Self::Rlp(_) | Self::TrailingBytes { .. } => &[
                "INPUT_UNMARSHAL_ERROR",
                "BlockException.RLP_STRUCTURES_ENCODING",
                "TransactionException.TYPE_3_TX_WITH_FULL_BLOBS",
            ],
        }
    }
}

impl SignatureError {
    /// The fixtures' names for signatures that nobody can have made.
    #[must_use]
    pub const fn exception_names(&self) -> Names {
        match self {
            Self::HighS(_) => &["TransactionException.INVALID_SIGNATURE_VRS", "InvalidS"],
            _ => &["TransactionException.INVALID_SIGNATURE_VRS"],
        }
    }
}
