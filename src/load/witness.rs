//! Witness files: the result of `debug_executionWitness`.

use super::typed::Hex;
use isolane_spec::{Bytes, H256};
use serde::Deserialize;

/// The trie nodes, codes and ancestor headers that a block reads.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a witness object (debug_executionWitness)")]
pub struct WitnessFile {
    /// RLP of the state and storage tries' nodes.
    pub state: Vec<Hex<Bytes>>,
    /// Codes.
    pub codes: Vec<Hex<Bytes>>,
    /// RLP of ancestors' headers, the parent's among them.
    #[serde(default)]
    pub headers: Vec<Hex<Bytes>>,
    /// The state root before the block, where the source had no parent header.
    pub pre_state_root: Option<Hex<H256>>,
}
