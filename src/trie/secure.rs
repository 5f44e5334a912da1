//! Tries of arbitrary keys that are hashed, as those of states are.

use super::node::{Nodes, TrieError};
use super::sparse::SparseTrie;
use crate::convert::keccak;
use isolane_spec::H256;

/// The root after writes and removals (`None`) in this order, each at the hash of its key.
///
/// # Errors
/// Never for a trie that is wholly in memory; kept for the trie's own checks.
pub fn secure_root<'a>(operations: impl IntoIterator<Item = (&'a [u8], Option<&'a [u8]>)>) -> Result<H256, TrieError> {
    let nodes = Nodes::default();
    let mut trie = SparseTrie::default();
    for (key, value) in operations {
        match value {
            Some(value) => trie.insert(&nodes, keccak(key), value.to_vec())?,
            None => trie.remove(&nodes, keccak(key))?,
        }
    }
    Ok(trie.root(false))
}
