//! The rules of a block's ommers.

use super::header::{InvalidHeader, Parent, validate_header};
use crate::chain::ChainSpec;
use crate::convert::from_b256;
use alloy_consensus::Header;
use isolane_spec::{H256, U256};
use std::fmt;

/// How many generations back an ommer may be.
const MAX_DEPTH: u64 = 6;

/// A block that the block with the ommers builds on.
#[derive(Clone, Copy, Debug)]
pub struct Ancestor<'a> {
    /// Its header.
    pub header: &'a Header,
    /// Its hash.
    pub hash: H256,
    /// The hashes of its own ommers.
    pub ommers: &'a [H256],
    /// The total difficulty up to and including it, where known.
    pub total_difficulty: Option<U256>,
}

/// The rule that an ommer breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidOmmer {
    /// More than two.
    TooMany(usize),
    /// The same ommer twice.
    Duplicate,
    /// It is an ancestor of the block.
    IsAncestor(H256),
    /// An ancestor has it as an ommer already.
    AlreadyIncluded(H256),
    /// It is more than six generations back, or not older than the block.
    Age {
        /// The block's number.
        block: u64,
        /// The ommer's number.
        got: u64,
    },
    /// Its parent is not an ancestor of the block.
    ParentNotAncestor(H256),
    /// Its parent is the block's own parent.
    Sibling(H256),
    /// Its header is invalid.
    Header(InvalidHeader),
}

impl fmt::Display for InvalidOmmer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany(got) => write!(f, "ommers: expected at most 2, got {got}"),
            Self::Duplicate => f.write_str("ommers: the same one twice"),
            Self::IsAncestor(hash) => write!(f, "ommer {hash:?} is an ancestor of the block"),
            Self::AlreadyIncluded(hash) => write!(f, "ommer {hash:?} is an ommer of an ancestor already"),
            Self::Age { block, got } => {
                write!(f, "ommer: expected a number up to {MAX_DEPTH} below {block}, got {got}")
            }
            Self::ParentNotAncestor(hash) => write!(f, "ommer: its parent {hash:?} is not an ancestor of the block"),
            Self::Sibling(hash) => write!(f, "ommer: its parent {hash:?} is the block's own parent"),
            Self::Header(error) => write!(f, "ommer: {error}"),
        }
    }
}

impl std::error::Error for InvalidOmmer {}

/// Checks the ommers of a block. `ancestors` are the blocks before it, its parent first: seven of them, or all where the
/// chain is shorter.
///
/// # Errors
/// The first rule that an ommer breaks.
pub fn validate_ommers(
    header: &Header,
    ommers: &[Header],
    ancestors: &[Ancestor<'_>],
    chain: &ChainSpec,
) -> Result<(), InvalidOmmer> {
    if ommers.len() > 2 {
        return Err(InvalidOmmer::TooMany(ommers.len()));
    }
    if let [first, second] = ommers
        && first == second
    {
        return Err(InvalidOmmer::Duplicate);
    }
    let ancestors = ancestors.get(..=MAX_DEPTH as usize).unwrap_or(ancestors);
    for ommer in ommers {
        let hash = from_b256(ommer.hash_slow());
        if ancestors.iter().any(|ancestor| ancestor.hash == hash) {
            return Err(InvalidOmmer::IsAncestor(hash));
        }
        if ancestors.iter().any(|ancestor| ancestor.ommers.contains(&hash)) {
            return Err(InvalidOmmer::AlreadyIncluded(hash));
        }
        let parent_hash = from_b256(ommer.parent_hash);
        let parent = ancestors.iter().position(|ancestor| ancestor.hash == parent_hash);
        let Some((index, parent)) = parent.and_then(|index| Some((index, ancestors.get(index)?))) else {
            return Err(InvalidOmmer::ParentNotAncestor(parent_hash));
        };
        if index == 0 {
            return Err(InvalidOmmer::Sibling(parent_hash));
        }
        let parent = Parent { header: parent.header, hash: parent.hash, total_difficulty: parent.total_difficulty };
        validate_header(ommer, &parent, chain).map_err(InvalidOmmer::Header)?;
        let age = header.number.checked_sub(ommer.number);
        if !age.is_some_and(|age| (1..=MAX_DEPTH).contains(&age)) {
            return Err(InvalidOmmer::Age { block: header.number, got: ommer.number });
        }
    }
    Ok(())
}
