//! Reads RLP items field by field, and names the field and the offset of what is wrong.

use alloy_rlp::Header;
use isolane_spec::{Bytes, H160, H256, U256};
use std::fmt;

/// Malformed RLP: which field, where, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RlpError {
    /// The field that was being read.
    pub field: &'static str,
    /// Where it starts in the input.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for RlpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.field, self.offset, self.problem)
    }
}

impl std::error::Error for RlpError {}

/// A cursor over the items of a list.
pub(crate) struct Reader<'a> {
    whole: &'a Bytes,
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Starts at `offset` of the input.
    pub(crate) fn new(whole: &'a Bytes, offset: usize) -> Self {
        Self { whole, rest: whole.get(offset..).unwrap_or_default(), offset }
    }

    /// Where the next item starts.
    pub(crate) const fn offset(&self) -> usize {
        self.offset
    }

    /// Whether nothing is left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    pub(crate) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn error(&self, field: &'static str, problem: impl Into<String>) -> RlpError {
        RlpError { field, offset: self.offset, problem: problem.into() }
    }

    fn item(&mut self, field: &'static str, list: bool) -> Result<(usize, &'a [u8]), RlpError> {
        let mut rest = self.rest;
        let header = Header::decode(&mut rest).map_err(|error| self.error(field, error.to_string()))?;
        if header.list != list {
            let problem = if list { "expected a list, got a string" } else { "expected a string, got a list" };
            return Err(self.error(field, problem));
        }
        let start = self.offset + (self.rest.len() - rest.len());
        let Some((payload, rest)) = rest.split_at_checked(header.payload_length) else {
            return Err(self.error(field, "input too short"));
        };
        self.rest = rest;
        self.offset = start + payload.len();
        Ok((start, payload))
    }

    /// Enters a list.
    pub(crate) fn list(&mut self, field: &'static str) -> Result<Self, RlpError> {
        let (offset, rest) = self.item(field, true)?;
        Ok(Reader { whole: self.whole, rest, offset })
    }

    /// Checks that the list ended.
    pub(crate) fn end(&self, field: &'static str) -> Result<(), RlpError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.error(field, format!("expected the end of the list, got {} more bytes", self.rest.len())))
    }

    /// A byte string that shares the input's memory.
    pub(crate) fn bytes(&mut self, field: &'static str) -> Result<Bytes, RlpError> {
        let (start, payload) = self.item(field, false)?;
        Ok(self.whole.slice(start..start + payload.len()))
    }

    fn fixed<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], RlpError> {
        let before = self.offset;
        let (_, payload) = self.item(field, false)?;
        payload.try_into().map_err(|_| RlpError {
            field,
            offset: before,
            problem: format!("expected {N} bytes, got {}", payload.len()),
        })
    }

    pub(crate) fn address(&mut self, field: &'static str) -> Result<H160, RlpError> {
        self.fixed(field).map(H160)
    }

    pub(crate) fn hash(&mut self, field: &'static str) -> Result<H256, RlpError> {
        self.fixed(field).map(H256)
    }

    /// An address, or nothing: a creation.
    pub(crate) fn callee(&mut self, field: &'static str) -> Result<Option<H160>, RlpError> {
        if self.rest.first() == Some(&alloy_rlp::EMPTY_STRING_CODE) {
            self.item(field, false)?;
            return Ok(None);
        }
        self.address(field).map(Some)
    }

    fn integer(&mut self, field: &'static str, most: usize) -> Result<&'a [u8], RlpError> {
        let before = self.offset;
        let (_, payload) = self.item(field, false)?;
        let fail = |problem| Err(RlpError { field, offset: before, problem });
        if payload.first() == Some(&0) {
            return fail("an integer has a leading zero".to_owned());
        }
        if payload.len() > most {
            return fail(format!("expected an integer of at most {most} bytes, got {}", payload.len()));
        }
        Ok(payload)
    }

    pub(crate) fn word(&mut self, field: &'static str) -> Result<U256, RlpError> {
        self.integer(field, 32).map(U256::from_big_endian)
    }

    pub(crate) fn number(&mut self, field: &'static str) -> Result<u64, RlpError> {
        let payload = self.integer(field, 8)?;
        Ok(payload.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }
}
