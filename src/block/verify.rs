//! Compares what a block says with what it holds and with what executing it yields.

use super::header::InvalidHeader;
use super::{BlockResult, DecodedBlock};
use crate::convert::{from_b256, keccak};
use crate::trie::{transactions_root, withdrawals_root};
use alloy_consensus::Header;
use isolane_spec::{Fork, H256, Rules};
use std::fmt;

/// A field of a header that commits to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeaderField {
    /// `gasUsed`.
    GasUsed,
    /// `blobGasUsed`.
    BlobGasUsed,
    /// `logsBloom`.
    LogsBloom,
    /// `receiptsRoot`.
    ReceiptsRoot,
    /// `stateRoot`.
    StateRoot,
    /// `transactionsRoot`.
    TransactionsRoot,
    /// `sha3Uncles`.
    OmmersHash,
    /// `withdrawalsRoot`.
    WithdrawalsRoot,
    /// `requestsHash`.
    RequestsHash,
}

impl HeaderField {
    /// Its name in JSON-RPC.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GasUsed => "gasUsed",
            Self::BlobGasUsed => "blobGasUsed",
            Self::LogsBloom => "logsBloom",
            Self::ReceiptsRoot => "receiptsRoot",
            Self::StateRoot => "stateRoot",
            Self::TransactionsRoot => "transactionsRoot",
            Self::OmmersHash => "sha3Uncles",
            Self::WithdrawalsRoot => "withdrawalsRoot",
            Self::RequestsHash => "requestsHash",
        }
    }
}

/// A header field that differs from what was computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The field.
    pub field: HeaderField,
    /// What the header says.
    pub expected: String,
    /// What was computed.
    pub got: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the header says {}, got {}", self.field.name(), self.expected, self.got)
    }
}

impl std::error::Error for Mismatch {}

fn compare<T: PartialEq + fmt::Debug>(field: HeaderField, expected: T, got: T) -> Result<(), Mismatch> {
    if expected == got {
        return Ok(());
    }
    Err(Mismatch { field, expected: format!("{expected:?}"), got: format!("{got:?}") })
}

impl Mismatch {
    /// Compares a state root with the header's.
    ///
    /// # Errors
    /// When they differ.
    pub fn check_state_root(header: &Header, got: H256) -> Result<(), Self> {
        compare(HeaderField::StateRoot, from_b256(header.state_root), got)
    }
}

/// Checks that the ommers are those of the header.
///
/// # Errors
/// When they are not.
pub fn verify_ommers_hash(header: &Header, ommers: &[Header]) -> Result<(), Mismatch> {
    let mut encoded = Vec::new();
    alloy_rlp::encode_list(ommers, &mut encoded);
    let got = keccak(encoded);
    compare(HeaderField::OmmersHash, from_b256(header.ommers_hash), got)
}

/// Checks all that the header commits to of the body, without executing it: ommers, transactions, withdrawals.
///
/// A block with an invalid transaction may fail this too. Where the reason matters, check the ommers alone before the
/// execution ([`verify_ommers_hash`]) and the rest after it ([`verify_result`]), as execution-specs does.
///
/// # Errors
/// The first field that differs.
pub fn verify_body(block: &DecodedBlock) -> Result<(), Mismatch> {
    let header = &block.header;
    verify_ommers_hash(header, &block.ommers)?;
    let transactions = transactions_root(&block.transactions);
    compare(HeaderField::TransactionsRoot, from_b256(header.transactions_root), transactions)?;
    let withdrawals = block.withdrawals.as_deref().map(withdrawals_root);
    compare(HeaderField::WithdrawalsRoot, header.withdrawals_root.map(from_b256), withdrawals)
}

/// EIP-7934: from Osaka on a block is at most 8 MiB long.
///
/// # Errors
/// When it is longer.
pub fn verify_length(length: usize, rules: &Rules) -> Result<(), InvalidHeader> {
    const LIMIT: usize = 10_485_760 - 2_097_152;
    if rules.fork >= Fork::Osaka && length > LIMIT {
        return Err(InvalidHeader::BlockTooLong { limit: LIMIT, got: length });
    }
    Ok(())
}

/// Compares what executing a block yielded with its header, all but the state root.
///
/// # Errors
/// The first field that differs.
pub fn verify_result(header: &Header, result: &BlockResult) -> Result<(), Mismatch> {
    compare(HeaderField::GasUsed, header.gas_used, result.gas_used)?;
    compare(HeaderField::TransactionsRoot, from_b256(header.transactions_root), result.transactions_root)?;
    if let Some(root) = result.receipts_root {
        compare(HeaderField::ReceiptsRoot, from_b256(header.receipts_root), root)?;
    }
    if header.logs_bloom.0.0 != result.logs_bloom.0 {
        return Err(Mismatch {
            field: HeaderField::LogsBloom,
            expected: header.logs_bloom.to_string(),
            got: format!("{:?}", result.logs_bloom),
        });
    }
    compare(HeaderField::WithdrawalsRoot, header.withdrawals_root.map(from_b256), result.withdrawals_root)?;
    if let Some(expected) = header.blob_gas_used {
        compare(HeaderField::BlobGasUsed, expected, result.blob_gas_used)?;
    }
    compare(HeaderField::RequestsHash, header.requests_hash.map(from_b256), result.requests_hash)
}
