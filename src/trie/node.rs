//! Encoded trie nodes: where they are kept, how they are taken apart, how a path is followed through them.

use super::H256;
use crate::convert::keccak;
use alloy_primitives::map::{HashMap, HashSet};
use alloy_rlp::{EMPTY_STRING_CODE, Header};
use alloy_trie::Nibbles;
use alloy_trie::nodes::{ExtensionNodeRef, LeafNodeRef, RlpNode};
use isolane_spec::Bytes;
use std::fmt;

/// Why a trie cannot be read or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrieError {
    /// The node of this hash is not at hand.
    NodeMissing {
        /// Its hash.
        hash: H256,
        /// Whether it is only needed because a deletion leaves its parent with one child.
        sibling: bool,
    },
    /// A node is no node of a state trie.
    Malformed(&'static str),
}

impl fmt::Display for TrieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeMissing { hash, sibling: false } => write!(f, "trie node missing: {hash:?}"),
            Self::NodeMissing { hash, sibling: true } => {
                write!(f, "trie node missing: {hash:?}, the sibling of a node that was deleted")
            }
            Self::Malformed(problem) => write!(f, "malformed trie node: {problem}"),
        }
    }
}

impl std::error::Error for TrieError {}

/// Encoded nodes by their hash. Whoever adds one has hashed it.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    pub(super) encoded: HashMap<H256, Bytes>,
    /// Nodes that are known to be branches, whether or not they are at hand: an extension has nothing else below it.
    branches: HashSet<H256>,
}

impl Nodes {
    pub(super) fn new(encoded: HashMap<H256, Bytes>) -> Self {
        Self { encoded, branches: HashSet::default() }
    }

    /// Finds out which nodes are branches.
    pub(super) fn note_branches(&mut self) {
        self.branches.extend(self.encoded.values().filter_map(|node| below_extension(node)));
    }

    pub(super) fn is_branch(&self, hash: &H256) -> bool {
        self.branches.contains(hash)
    }

    pub(super) fn get(&self, hash: &H256) -> Result<&[u8], TrieError> {
        match self.encoded.get(hash) {
            Some(bytes) => Ok(bytes),
            None => Err(TrieError::NodeMissing { hash: *hash, sibling: false }),
        }
    }

    /// The encoding behind a reference: a hash, or a node short enough to stand for itself.
    pub(super) fn resolve<'a>(&'a self, reference: &'a [u8]) -> Result<&'a [u8], TrieError> {
        match hash_of(reference) {
            Some(hash) => self.get(&hash),
            None => Ok(reference),
        }
    }
}

/// The hash of what an encoded extension has below it.
pub(super) fn below_extension(encoded: &[u8]) -> Option<H256> {
    match take_apart(encoded) {
        Ok(RawNode::Extension(_, child)) => hash_of(child),
        _ => None,
    }
}

/// The node of a hash whose path is the end of the path of this one: what it was before a branch above it went, which made its path
/// longer.
pub(super) fn shortened(encoded: &[u8], hash: H256) -> Option<Bytes> {
    let (path, child) = match take_apart(encoded).ok()? {
        RawNode::Leaf(path, _) => (path, None),
        RawNode::Extension(path, child) => (path, Some(RlpNode::from_raw(child)?)),
        RawNode::Branch(_) => return None,
    };
    // The path of an extension is never empty.
    let end = path.len() + usize::from(child.is_none());
    (1..end).find_map(|start| {
        let path = path.slice(start..);
        let mut node = Vec::new();
        match (&child, take_apart(encoded)) {
            (Some(child), _) => ExtensionNodeRef::new(&path, child).rlp(&mut node),
            (None, Ok(RawNode::Leaf(_, value))) => LeafNodeRef::new(&path, value).rlp(&mut node),
            _ => return None,
        };
        (keccak(&node) == hash).then(|| node.into())
    })
}

/// The hash in a reference, if it is one.
pub(super) fn hash_of(reference: &[u8]) -> Option<H256> {
    match reference {
        [0xa0, hash @ ..] => hash.try_into().ok().map(H256),
        _ => None,
    }
}

/// A node taken apart; the parts are still encoded.
pub(super) enum RawNode<'a> {
    /// Sixteen references; [`EMPTY_STRING_CODE`] alone is none.
    Branch([&'a [u8]; 16]),
    /// A shared path, never empty, and a reference.
    Extension(Nibbles, &'a [u8]),
    /// The rest of a path and a value.
    Leaf(Nibbles, &'a [u8]),
}

const fn malformed<T>(problem: &'static str) -> Result<T, TrieError> {
    Err(TrieError::Malformed(problem))
}

/// One RLP item: its payload, whether it is a list, and all its bytes.
fn item<'a>(rest: &mut &'a [u8]) -> Result<(Header, &'a [u8], &'a [u8]), TrieError> {
    let start = *rest;
    let Ok(header) = Header::decode(rest) else { return malformed("not canonical RLP") };
    let Some((payload, after)) = rest.split_at_checked(header.payload_length) else {
        return malformed("an item is longer than its node");
    };
    *rest = after;
    Ok((header, payload, start.get(..start.len() - after.len()).unwrap_or_default()))
}

pub(super) fn take_apart(mut encoded: &[u8]) -> Result<RawNode<'_>, TrieError> {
    let (header, mut payload, _) = item(&mut encoded)?;
    if !header.list || !encoded.is_empty() {
        return malformed("expected exactly one list");
    }
    let mut items: [&[u8]; 17] = [&[]; 17];
    let mut count = 0;
    while !payload.is_empty() {
        let (_, _, whole) = item(&mut payload)?;
        match items.get_mut(count) {
            Some(place) => *place = whole,
            None => return malformed("expected 2 or 17 items, got more"),
        }
        count += 1;
    }
    match (count, items) {
        (17, [children @ .., value]) => {
            if value != [EMPTY_STRING_CODE] {
                return malformed("a branch has a value");
            }
            for child in children {
                check_reference(child, true)?;
            }
            Ok(RawNode::Branch(children))
        }
        (2, [mut path, second, ..]) => {
            let (header, packed, _) = item(&mut path)?;
            if header.list {
                return malformed("a path is a list");
            }
            let (leaf, path) = unpack(packed)?;
            if !leaf {
                if path.is_empty() {
                    return malformed("an extension without a path");
                }
                check_reference(second, false)?;
                return Ok(RawNode::Extension(path, second));
            }
            let mut rest = second;
            let (header, value, _) = item(&mut rest)?;
            if header.list || value.is_empty() {
                return malformed("a leaf without a value");
            }
            Ok(RawNode::Leaf(path, value))
        }
        _ => malformed("expected 2 or 17 items"),
    }
}

/// A reference is a hash, or a list shorter than one; in a branch it may be empty.
fn check_reference(reference: &[u8], may_be_empty: bool) -> Result<(), TrieError> {
    match reference {
        [EMPTY_STRING_CODE] if may_be_empty => Ok(()),
        [0xa0, hash @ ..] if hash.len() == 32 => Ok(()),
        [first, ..] if *first >= 0xc0 && reference.len() < 32 => Ok(()),
        _ => malformed("a reference is neither a hash nor a short node"),
    }
}

/// A path with its flags ("hex prefix"): whether it ends in a leaf, and its nibbles.
fn unpack(packed: &[u8]) -> Result<(bool, Nibbles), TrieError> {
    let Some((first, rest)) = packed.split_first() else { return malformed("a path without its flags") };
    let (flags, nibble) = (first >> 4, first & 0xf);
    if flags > 3 || rest.len() > 32 || (flags & 1 == 1 && rest.len() > 31) || (flags & 1 == 0 && nibble != 0) {
        return malformed("a path with wrong flags or length");
    }
    let mut path = Nibbles::new();
    if flags & 1 == 1 {
        path.push(nibble);
    }
    path.extend(&Nibbles::unpack(rest));
    Ok((flags & 2 == 2, path))
}

/// The value at the end of a path, from an encoded reference on; `None` where the trie proves that there is none.
pub(super) fn find<'a>(nodes: &'a Nodes, reference: &'a [u8], path: Nibbles) -> Result<Option<&'a [u8]>, TrieError> {
    let mut encoded = nodes.resolve(reference)?;
    let mut path = path;
    // Each turn consumes at least one nibble, so there are at most 65.
    loop {
        let next = match take_apart(encoded)? {
            RawNode::Leaf(rest, value) => return Ok((rest == path).then_some(value)),
            RawNode::Extension(shared, child) => {
                if !path.starts_with(&shared) {
                    return Ok(None);
                }
                path = path.slice(shared.len()..);
                child
            }
            RawNode::Branch(children) => {
                let Some(child) = path.first().and_then(|nibble| children.get(usize::from(nibble)).copied()) else {
                    return malformed("a branch below the end of a path");
                };
                if child == [EMPTY_STRING_CODE] {
                    return Ok(None);
                }
                path = path.slice(1..);
                child
            }
        };
        encoded = nodes.resolve(next)?;
    }
}
