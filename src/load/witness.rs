//! Witness files: the result of `debug_executionWitness`.

use super::typed::{Hex, InputError, parse, read};
use crate::trie::{Witness, WitnessState};
use isolane_spec::{AccountInfo, Bytes, H160, H256, StateError, StateView, U256};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

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
    /// The method of a node that it was put together from, if it is not `debug_executionWitness`.
    pub method: Option<String>,
}

/// What [`WitnessFile::method`] says of proofs.
pub const PROOFS: &str = "eth_getProof";

impl WitnessFile {
    /// Reads a witness file.
    ///
    /// # Errors
    /// When it cannot be read or is no witness.
    pub fn read(path: &Path) -> Result<Self, InputError> {
        read(path).and_then(|document| parse(&document)).map_err(|error| error.in_file(&path.display().to_string()))
    }

    /// Whether it was put together from proofs of single keys.
    #[must_use]
    pub fn is_of_proofs(&self) -> bool {
        self.method.as_deref() == Some(PROOFS)
    }

    /// The state before a block, proven down from its parent's hash; or, where the source had no headers, from the
    /// state root that the file names, with the ancestors' hashes that the pack records.
    ///
    /// # Errors
    /// When the witness has no root to start from, or contradicts itself.
    pub fn into_state(self, parent_hash: H256, block_hashes: &[(u64, Hex<H256>)]) -> Result<WitnessState, InputError> {
        let unwrap = |list: Vec<Hex<Bytes>>| list.into_iter().map(|bytes| bytes.0).collect();
        let headers: Vec<Bytes> = unwrap(self.headers);
        let proofs = self.method.as_deref() == Some(PROOFS);
        let (without_headers, root) = (headers.is_empty(), self.pre_state_root);
        let witness = Witness { state: unwrap(self.state), codes: unwrap(self.codes), headers };
        let state = match root {
            Some(root) if without_headers => {
                WitnessState::with_root(&witness, root.0, block_hashes.iter().map(|(number, hash)| (*number, hash.0)))
            }
            _ => WitnessState::new(&witness, parent_hash),
        };
        let mut state = state.map_err(|error| InputError::at("", format!("{error}: record the witness again")))?;
        if proofs {
            state.note_branches();
        }
        if let Some(given) = root
            && given.0 != state.root()
        {
            let problem = format!("expected the parent's state root {:?}, got {:?}", state.root(), given.0);
            return Err(InputError::at("preStateRoot", problem));
        }
        Ok(state)
    }
}

/// A witness, and the hashes of ancestors whose headers it does not hold.
///
/// Those hashes are taken on trust: what they lead to is verified by the state root after the block.
pub struct WithBlockHashes {
    /// The witness.
    pub state: Arc<WitnessState>,
    /// Further hashes by number.
    pub block_hashes: HashMap<u64, H256>,
}

impl StateView for WithBlockHashes {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        self.state.account(address)
    }

    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        self.state.storage(address, key)
    }

    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        self.state.has_storage(address)
    }

    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        self.state.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        self.state.block_hash(number).or_else(|error| self.block_hashes.get(&number).copied().ok_or(error))
    }
}
