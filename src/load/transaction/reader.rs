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
    pub problem: RlpProblem,
}

/// What is wrong with an RLP item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RlpProblem {
    /// The header or its length is not canonical, or the input ends before the item does.
    Malformed(alloy_rlp::Error),
    /// A string, where a list belongs.
    NotAList,
    /// A list, where a string belongs.
    NotAString,
    /// More items than the list may have.
    TooManyItems {
        /// Bytes of the items that follow the last.
        bytes: usize,
    },
    /// A string of another length.
    Length {
        /// The length.
        expected: usize,
        /// The string's length.
        got: usize,
    },
    /// An integer with a leading zero byte.
    LeadingZero,
    /// An integer of too many bytes.
    TooLarge {
        /// The most bytes.
        limit: usize,
        /// The integer's bytes.
        got: usize,
    },
}

impl fmt::Display for RlpProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::NotAList => f.write_str("expected a list, got a string"),
            Self::NotAString => f.write_str("expected a string, got a list"),
            Self::TooManyItems { bytes } => write!(f, "expected the end of the list, got {bytes} more bytes"),
            Self::Length { expected, got } => write!(f, "expected {expected} bytes, got {got}"),
            Self::LeadingZero => f.write_str("an integer has a leading zero"),
            Self::TooLarge { limit, got } => write!(f, "expected an integer of at most {limit} bytes, got {got}"),
        }
    }
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

    pub(crate) fn error(&self, field: &'static str, problem: RlpProblem) -> RlpError {
        RlpError { field, offset: self.offset, problem }
    }

    fn item(&mut self, field: &'static str, list: bool) -> Result<(usize, &'a [u8]), RlpError> {
        let mut rest = self.rest;
        let header = Header::decode(&mut rest).map_err(|error| self.error(field, RlpProblem::Malformed(error)))?;
        if header.list != list {
            return Err(self.error(field, if list { RlpProblem::NotAList } else { RlpProblem::NotAString }));
        }
        let start = self.offset + (self.rest.len() - rest.len());
        let Some((payload, rest)) = rest.split_at_checked(header.payload_length) else {
            return Err(self.error(field, RlpProblem::Malformed(alloy_rlp::Error::InputTooShort)));
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
        Err(self.error(field, RlpProblem::TooManyItems { bytes: self.rest.len() }))
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
            problem: RlpProblem::Length { expected: N, got: payload.len() },
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
            return fail(RlpProblem::LeadingZero);
        }
        if payload.len() > most {
            return fail(RlpProblem::TooLarge { limit: most, got: payload.len() });
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
