//! Blocks from their consensus bytes.

use crate::convert::keccak;
use crate::load::transaction::{SignedTransaction, TransactionDecodeError, decode_transaction};
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_rlp::{Decodable, Header as RlpHeader};
use isolane_spec::H256;
use std::fmt;

/// A block with its parts.
#[derive(Clone, Debug)]
pub struct DecodedBlock {
    /// The header.
    pub header: Header,
    /// The hash of the header's bytes.
    pub hash: H256,
    /// The transactions, senders not yet recovered.
    pub transactions: Vec<SignedTransaction>,
    /// The ommers.
    pub ommers: Vec<Header>,
    /// The withdrawals, if the block has a list of them.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// How long the block is (EIP-7934).
    pub length: usize,
}

/// Why bytes are no block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockDecodeError {
    /// Malformed RLP, or a field out of its range.
    Rlp {
        /// The part that was being read.
        part: &'static str,
        /// Where it starts.
        offset: usize,
        /// What is wrong.
        problem: String,
    },
    /// A transaction is malformed.
    Transaction {
        /// Its index.
        index: usize,
        /// What is wrong.
        error: TransactionDecodeError,
    },
}

impl fmt::Display for BlockDecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rlp { part, offset, problem } => write!(f, "block: {part} at byte {offset}: {problem}"),
            Self::Transaction { index, error } => write!(f, "block: transaction {index}: {error}"),
        }
    }
}

impl std::error::Error for BlockDecodeError {}

struct Cursor<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Cursor<'a> {
    fn fail(&self, part: &'static str, problem: impl ToString) -> BlockDecodeError {
        BlockDecodeError::Rlp { part, offset: self.length - self.rest.len(), problem: problem.to_string() }
    }

    fn list(&mut self, part: &'static str) -> Result<Self, BlockDecodeError> {
        let mut rest = self.rest;
        let payload = RlpHeader::decode_bytes(&mut rest, true).map_err(|error| self.fail(part, error))?;
        let end = self.length - rest.len();
        self.rest = rest;
        Ok(Cursor { rest: payload, length: end })
    }

    fn read<T: Decodable>(&mut self, part: &'static str) -> Result<(T, &'a [u8]), BlockDecodeError> {
        let mut rest = self.rest;
        let value = T::decode(&mut rest).map_err(|error| self.fail(part, error))?;
        let bytes = self.rest.get(..self.rest.len() - rest.len()).unwrap_or_default();
        self.rest = rest;
        Ok((value, bytes))
    }

    fn read_all<T: Decodable>(&mut self, part: &'static str) -> Result<Vec<T>, BlockDecodeError> {
        let mut list = self.list(part)?;
        let mut values = Vec::new();
        while !list.rest.is_empty() {
            values.push(list.read(part)?.0);
        }
        Ok(values)
    }

    /// The consensus bytes of the next transaction: a list itself, or a string that holds them.
    fn transaction(&mut self) -> Result<&'a [u8], BlockDecodeError> {
        let mut rest = self.rest;
        let header = RlpHeader::decode(&mut rest).map_err(|error| self.fail("transactions", error))?;
        let Some((payload, rest)) = rest.split_at_checked(header.payload_length) else {
            return Err(self.fail("transactions", "input too short"));
        };
        let whole = self.rest.get(..self.rest.len() - rest.len()).unwrap_or_default();
        self.rest = rest;
        if header.list {
            return Ok(whole);
        }
        // A legacy transaction is never wrapped in a string.
        if payload.first().is_none_or(|byte| *byte >= 0xc0) {
            return Err(self.fail("transactions", "expected a list or a typed transaction"));
        }
        Ok(payload)
    }
}

/// Decodes the consensus bytes of a block.
///
/// # Errors
/// When the bytes are not the canonical encoding of exactly one block.
pub fn decode_block(rlp: &[u8]) -> Result<DecodedBlock, BlockDecodeError> {
    let mut outer = Cursor { rest: rlp, length: rlp.len() };
    let mut block = outer.list("block")?;
    if !outer.rest.is_empty() {
        return Err(outer.fail("block", format!("{} bytes follow the end", outer.rest.len())));
    }
    let (header, header_bytes) = block.read::<Header>("header")?;
    let hash = keccak(header_bytes);
    let mut list = block.list("transactions")?;
    let mut transactions = Vec::new();
    while !list.rest.is_empty() {
        let index = transactions.len();
        let bytes = list.transaction()?;
        let transaction = decode_transaction(bytes).map_err(|error| BlockDecodeError::Transaction { index, error })?;
        transactions.push(transaction);
    }
    let ommers = block.read_all("ommers")?;
    let withdrawals = if block.rest.is_empty() { None } else { Some(block.read_all("withdrawals")?) };
    if !block.rest.is_empty() {
        return Err(block.fail("block", format!("expected the end of the list, got {} more bytes", block.rest.len())));
    }
    Ok(DecodedBlock { header, hash, transactions, ommers, withdrawals, length: rlp.len() })
}
