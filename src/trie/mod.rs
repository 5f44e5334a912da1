//! Merkle Patricia tries: roots of states and lists, and states that a witness proves.

mod list;
mod node;
mod root;
mod secure;
mod sparse;
mod state;
mod witness;

pub use list::{ordered_root, transactions_root, withdrawals_root};
pub use node::TrieError;
pub use root::{state_root, storage_root};
pub use secure::secure_root;
pub use state::StateTrie;
pub use witness::{Witness, WitnessError, WitnessState};

use isolane_spec::H256;

/// The root of an empty trie.
pub const EMPTY_ROOT: H256 = H256(alloy_trie::EMPTY_ROOT_HASH.0);

#[cfg(test)]
mod tests;
