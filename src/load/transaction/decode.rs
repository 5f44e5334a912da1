//! Consensus bytes to [`SignedTransaction`]: canonical RLP only.

use super::reader::{Reader, RlpError, RlpProblem};
use super::{Signature, SignedTransaction};
use crate::convert::keccak;
use isolane_spec::{AccessListItem, Authorization, Bytes, Transaction, TransactionType, U256};
use std::fmt;

/// Why bytes are no transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionDecodeError {
    /// There are none.
    Empty,
    /// The first byte names no envelope type (EIP-2718).
    UnknownType(u8),
    /// Malformed RLP, or a field out of its range.
    Rlp(RlpError),
    /// The transaction is over before the bytes are.
    TrailingBytes {
        /// How many bytes follow.
        count: usize,
    },
    /// `v` of a legacy transaction is neither 27, 28, nor 35 and above (EIP-155).
    InvalidV(U256),
    /// `y_parity` of a typed transaction is neither 0 nor 1.
    InvalidYParity(U256),
}

impl fmt::Display for TransactionDecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("transaction bytes: ")?;
        match self {
            Self::Empty => f.write_str("expected a transaction, got no bytes"),
            Self::UnknownType(byte) => {
                write!(f, "expected a list or an envelope type of 1 to 4, got {byte:#04x}")
            }
            Self::Rlp(error) => error.fmt(f),
            Self::TrailingBytes { count } => write!(f, "{count} bytes follow the end"),
            Self::InvalidV(v) => write!(f, "v: expected 27, 28, or 35 and above (EIP-155), got {v}"),
            Self::InvalidYParity(v) => write!(f, "y_parity: expected 0 or 1, got {v}"),
        }
    }
}

impl std::error::Error for TransactionDecodeError {}

impl From<RlpError> for TransactionDecodeError {
    fn from(error: RlpError) -> Self {
        Self::Rlp(error)
    }
}

/// Decodes the consensus bytes of a transaction: a list for a legacy one, a type byte and a list for the others. Blob
/// transactions with their sidecar (the form that only the network uses) are refused.
///
/// # Errors
/// When the bytes are not the canonical encoding of exactly one transaction.
pub fn decode_transaction(rlp: &[u8]) -> Result<SignedTransaction, TransactionDecodeError> {
    decode_shared(Bytes::copy_from_slice(rlp))
}

/// As [`decode_transaction`], without a copy.
pub(crate) fn decode_shared(encoded: Bytes) -> Result<SignedTransaction, TransactionDecodeError> {
    let kind = match encoded.first() {
        None => return Err(TransactionDecodeError::Empty),
        Some(0xc0..) => TransactionType::Legacy,
        Some(1) => TransactionType::AccessList,
        Some(2) => TransactionType::DynamicFee,
        Some(3) => TransactionType::Blob,
        Some(4) => TransactionType::SetCode,
        Some(byte) => return Err(TransactionDecodeError::UnknownType(*byte)),
    };
    let mut outer = Reader::new(&encoded, usize::from(kind != TransactionType::Legacy));
    let mut fields = outer.list("transaction")?;
    if !outer.is_empty() {
        return Err(TransactionDecodeError::TrailingBytes { count: outer.remaining() });
    }
    let start = fields.offset();
    let mut transaction = match kind {
        TransactionType::Legacy => legacy(&mut fields)?,
        _ => typed(kind, &mut fields)?,
    };
    let signed = start..fields.offset();
    let v = fields.word("v")?;
    let signature = Signature {
        odd_y: if kind == TransactionType::Legacy { legacy_parity(v, &mut transaction)? } else { typed_parity(v)? },
        r: fields.word("r")?,
        s: fields.word("s")?,
    };
    fields.end("transaction")?;
    let hash = keccak(&encoded);
    Ok(SignedTransaction { transaction, signature, hash, encoded, signed })
}

fn typed_parity(v: U256) -> Result<bool, TransactionDecodeError> {
    if v > U256::one() {
        return Err(TransactionDecodeError::InvalidYParity(v));
    }
    Ok(!v.is_zero())
}

/// EIP-155: `v` is 35 + 2 * chain id + parity, or 27 + parity for a signature that holds on all chains.
fn legacy_parity(v: U256, transaction: &mut Transaction) -> Result<bool, TransactionDecodeError> {
    if v == U256::from(27) || v == U256::from(28) {
        return Ok(v == U256::from(28));
    }
    let Some(v35) = v.checked_sub(U256::from(35)) else { return Err(TransactionDecodeError::InvalidV(v)) };
    let chain_id = v35 >> 1;
    if chain_id > U256::from(u64::MAX) {
        return Err(TransactionDecodeError::InvalidV(v));
    }
    transaction.chain_id = Some(chain_id.low_u64());
    Ok(v35.bit(0))
}

fn legacy(fields: &mut Reader<'_>) -> Result<Transaction, RlpError> {
    let nonce = fields.number("nonce")?;
    let gas_price = fields.word("gasPrice")?;
    Ok(Transaction {
        transaction_type: TransactionType::Legacy,
        nonce,
        max_fee_per_gas: gas_price,
        max_priority_fee_per_gas: gas_price,
        gas_limit: fields.number("gas")?,
        to: fields.callee("to")?,
        value: fields.word("value")?,
        input: fields.bytes("input")?,
        ..Transaction::default()
    })
}

fn typed(kind: TransactionType, fields: &mut Reader<'_>) -> Result<Transaction, RlpError> {
    let chain_id = Some(fields.number("chainId")?);
    let nonce = fields.number("nonce")?;
    let (max_priority_fee_per_gas, max_fee_per_gas) = if kind == TransactionType::AccessList {
        let gas_price = fields.word("gasPrice")?;
        (gas_price, gas_price)
    } else {
        (fields.word("maxPriorityFeePerGas")?, fields.word("maxFeePerGas")?)
    };
    let mut transaction = Transaction {
        transaction_type: kind,
        chain_id,
        nonce,
        max_priority_fee_per_gas,
        max_fee_per_gas,
        gas_limit: fields.number("gas")?,
        // A blob or set-code transaction that creates is refused by validation, where the rule has its name.
        to: fields.callee("to")?,
        value: fields.word("value")?,
        input: fields.bytes("input")?,
        access_list: access_list(fields)?,
        ..Transaction::default()
    };
    if kind == TransactionType::Blob {
        transaction.max_fee_per_blob_gas = fields.word("maxFeePerBlobGas")?;
        let mut hashes = fields.list("blobVersionedHashes")?;
        while !hashes.is_empty() {
            transaction.blob_versioned_hashes.push(hashes.hash("blobVersionedHashes")?);
        }
    }
    if kind == TransactionType::SetCode {
        let mut list = fields.list("authorizationList")?;
        while !list.is_empty() {
            transaction.authorization_list.push(authorization(&mut list)?);
        }
    }
    Ok(transaction)
}

fn access_list(fields: &mut Reader<'_>) -> Result<Vec<AccessListItem>, RlpError> {
    let mut list = fields.list("accessList")?;
    let mut items = Vec::new();
    while !list.is_empty() {
        let mut item = list.list("accessList")?;
        let address = item.address("accessList.address")?;
        let mut keys = item.list("accessList.storageKeys")?;
        item.end("accessList")?;
        let mut storage_keys = Vec::with_capacity(keys.remaining() / 33);
        while !keys.is_empty() {
            storage_keys.push(U256::from_big_endian(&keys.hash("accessList.storageKeys")?.0));
        }
        items.push(AccessListItem { address, storage_keys });
    }
    Ok(items)
}

fn authorization(list: &mut Reader<'_>) -> Result<Authorization, RlpError> {
    let mut item = list.list("authorizationList")?;
    let chain_id = item.word("authorizationList.chainId")?;
    let address = item.address("authorizationList.address")?;
    let nonce = item.number("authorizationList.nonce")?;
    let parity_error = item.error("authorizationList.yParity", RlpProblem::TooLarge { limit: 1, got: 2 });
    let y_parity = item.word("authorizationList.yParity")?;
    if y_parity > U256::from(u8::MAX) {
        return Err(parity_error);
    }
    let r = item.word("authorizationList.r")?;
    let s = item.word("authorizationList.s")?;
    item.end("authorizationList")?;
    Ok(Authorization { chain_id, address, nonce, y_parity, r, s })
}
