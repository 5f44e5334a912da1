//! What a verification finds, and where.

use std::fmt;

/// A result that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The transaction's index and hash, for what belongs to one.
    pub transaction: Option<(usize, isolane_spec::H256)>,
    /// Which value differs, such as `gasUsed` or `poststate.0x….balance`.
    pub field: String,
    /// What the block or the pack says.
    pub expected: String,
    /// What the execution gave.
    pub got: String,
}

impl Mismatch {
    /// A mismatch of the whole block.
    #[must_use]
    pub fn of_block(field: impl Into<String>, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self { transaction: None, field: field.into(), expected: expected.to_string(), got: got.to_string() }
    }

    /// A mismatch of one transaction.
    #[must_use]
    pub fn of_transaction(
        transaction: (usize, isolane_spec::H256),
        field: impl Into<String>,
        expected: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        Self { transaction: Some(transaction), ..Self::of_block(field, expected, got) }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((index, hash)) = self.transaction {
            write!(f, "transaction {index} ({hash:?}): ")?;
        }
        write!(f, "{}: expected {}, got {}", self.field, self.expected, self.got)
    }
}

/// Bytes for a message: whole when short, otherwise the start and the length.
#[must_use]
pub fn show_bytes(bytes: &[u8]) -> String {
    const KEPT: usize = 40;
    match bytes.get(..KEPT) {
        Some(start) if bytes.len() > KEPT => {
            format!("0x{}… ({} bytes)", alloy_primitives::hex::encode(start), bytes.len())
        }
        _ => alloy_primitives::hex::encode_prefixed(bytes),
    }
}
