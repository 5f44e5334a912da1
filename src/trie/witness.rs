//! A state that a witness proves (`debug_executionWitness`): every node is checked against the state root.

use super::node::{Nodes, TrieError, below_extension, shortened};
use super::state::{StateTrie, TrieAccount};
use super::{EMPTY_ROOT, H256};
use crate::convert::{from_b256, keccak};
use alloy_consensus::Header;
use alloy_primitives::map::HashMap;
use alloy_rlp::Decodable;
use isolane_spec::{AccountDiff, AccountInfo, Bytes, H160, KECCAK_EMPTY, StateError, StateView, U256};
use rayon::prelude::*;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// What a node gives of a block's state. Its `keys` are not needed.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    /// Encoded trie nodes, in any order.
    pub state: Vec<Bytes>,
    /// Codes, in any order.
    pub codes: Vec<Bytes>,
    /// Encoded headers of ancestors, in any order.
    pub headers: Vec<Bytes>,
}

/// Why a witness is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WitnessError {
    /// A header cannot be decoded.
    Header {
        /// Its index in the witness.
        index: usize,
        /// What is wrong.
        problem: String,
    },
    /// No header has the hash that the block says its parent has.
    ParentMissing(H256),
    /// The root node is missing.
    RootMissing(H256),
    /// The state after the block cannot be computed.
    Trie(TrieError),
}

impl fmt::Display for WitnessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("witness: ")?;
        match self {
            Self::Header { index, problem } => write!(f, "header {index}: {problem}"),
            Self::ParentMissing(hash) => write!(f, "no header with hash {hash:?}, the block's parent"),
            Self::RootMissing(root) => write!(f, "no node with hash {root:?}, the state root before the block"),
            Self::Trie(error) => error.fmt(f),
        }
    }
}

impl WitnessError {
    /// Whether all that is missing is a node beside one that was deleted.
    #[must_use]
    pub const fn is_of_a_sibling(&self) -> bool {
        self.missing_sibling().is_some()
    }

    /// The hash of the node that is missing beside one that was deleted.
    #[must_use]
    pub const fn missing_sibling(&self) -> Option<H256> {
        match self {
            Self::Trie(TrieError::NodeMissing { hash, sibling: true }) => Some(*hash),
            _ => None,
        }
    }
}

impl std::error::Error for WitnessError {}

impl From<TrieError> for WitnessError {
    fn from(error: TrieError) -> Self {
        Self::Trie(error)
    }
}

/// The part of a state that a witness proves. What it does not prove is an error, never zero.
#[derive(Debug)]
pub struct WitnessState {
    root: H256,
    trie: StateTrie,
    codes: HashMap<H256, Bytes>,
    block_hashes: HashMap<u64, H256>,
    parent: Option<Header>,
    /// Accounts that were asked for: their slots need the storage root.
    known: RwLock<HashMap<H160, Option<TrieAccount>>>,
}

impl WitnessState {
    /// The state before the block whose parent has this hash. The state root comes from the parent's header, and the
    /// hashes of older ancestors from headers that are linked to it, so that all is proven by the hash alone.
    ///
    /// # Errors
    /// When the parent's header or the root node is missing, or a header is malformed.
    pub fn new(witness: &Witness, parent_hash: H256) -> Result<Self, WitnessError> {
        let mut headers: HashMap<H256, Header> = HashMap::default();
        for (index, encoded) in witness.headers.iter().enumerate() {
            let mut rest = &encoded[..];
            let header = Header::decode(&mut rest)
                .map_err(|error| WitnessError::Header { index, problem: error.to_string() })?;
            if !rest.is_empty() {
                let problem = format!("{} bytes follow the end", rest.len());
                return Err(WitnessError::Header { index, problem });
            }
            headers.insert(keccak(encoded), header);
        }
        let parent = headers.get(&parent_hash).cloned().ok_or(WitnessError::ParentMissing(parent_hash))?;
        let mut block_hashes = HashMap::default();
        let mut hash = parent_hash;
        // Headers are found by their hash, so a chain of them cannot have a loop.
        while let Some(header) = headers.get(&hash) {
            block_hashes.insert(header.number, hash);
            hash = from_b256(header.parent_hash);
            if let Some(number) = header.number.checked_sub(1) {
                block_hashes.insert(number, hash);
            }
        }
        let root = from_b256(parent.state_root);
        Self::build(witness, root, block_hashes, Some(parent))
    }

    /// As [`WitnessState::new`], for a witness without headers: the state root and the ancestors' hashes are taken on
    /// trust.
    ///
    /// # Errors
    /// When the root node is missing.
    pub fn with_root(
        witness: &Witness,
        pre_state_root: H256,
        block_hashes: impl IntoIterator<Item = (u64, H256)>,
    ) -> Result<Self, WitnessError> {
        Self::build(witness, pre_state_root, block_hashes.into_iter().collect(), None)
    }

    fn build(
        witness: &Witness,
        root: H256,
        block_hashes: HashMap<u64, H256>,
        parent: Option<Header>,
    ) -> Result<Self, WitnessError> {
        let by_hash = |all: &[Bytes]| -> HashMap<H256, Bytes> {
            all.par_iter()
                .with_min_len(64)
                .map(|bytes| (keccak(bytes), bytes.clone()))
                .collect::<Vec<_>>()
                .into_iter()
                .collect()
        };
        let nodes = Nodes::new(by_hash(&witness.state));
        if root != EMPTY_ROOT && !nodes.encoded.contains_key(&root) {
            return Err(WitnessError::RootMissing(root));
        }
        Ok(Self {
            root,
            trie: StateTrie::at(Arc::new(nodes), root),
            codes: by_hash(&witness.codes),
            block_hashes,
            parent,
            known: RwLock::default(),
        })
    }

    /// Adds hashes of ancestors that the witness lacks, taken on trust. Those that are proven stay.
    #[must_use]
    pub fn with_block_hashes(mut self, hashes: impl IntoIterator<Item = (u64, H256)>) -> Self {
        for (number, hash) in hashes {
            self.block_hashes.entry(number).or_insert(hash);
        }
        self
    }

    /// A state of which nothing but the root is known yet: see [`WitnessState::add`].
    #[must_use]
    pub fn empty(root: H256) -> Self {
        Self {
            root,
            trie: StateTrie::at(Arc::default(), root),
            codes: HashMap::default(),
            block_hashes: HashMap::default(),
            parent: None,
            known: RwLock::default(),
        }
    }

    /// Adds nodes and codes. Those that do not belong to the state do no harm: everything is found by its hash.
    pub fn add(&mut self, nodes: Vec<Bytes>, codes: Vec<Bytes>) {
        self.trie.add(nodes.into_iter().map(|node| (keccak(&node), node)));
        self.codes.extend(codes.into_iter().map(|code| (keccak(&code), code)));
    }

    /// The nodes and codes that were added.
    #[must_use]
    pub fn parts(&self) -> Witness {
        let mut parts = Witness {
            state: self.trie.nodes().cloned().collect(),
            codes: self.codes.values().cloned().collect(),
            headers: Vec::new(),
        };
        parts.state.sort_unstable();
        parts.codes.sort_unstable();
        parts
    }

    /// Takes what lies below an extension for a branch even where that node is missing: then a deletion beside it needs
    /// no more to be known of it.
    pub fn note_branches(&mut self) {
        self.trie.note_branches();
    }

    /// Whether the code of this hash is at hand.
    #[must_use]
    pub fn has_code(&self, hash: &H256) -> bool {
        *hash == KECCAK_EMPTY || self.codes.contains_key(hash)
    }

    /// The root of an account's storage; `None` if the account does not exist.
    ///
    /// # Errors
    /// When the state does not prove it.
    pub fn storage_root(&self, address: &H160) -> Result<Option<H256>, StateError> {
        Ok(self.find(address)?.map(|account| account.storage_root))
    }

    /// Looks for a node that is missing beside one that was deleted in what nodes show of the state after the block, and
    /// adds what helps; whether something did.
    ///
    /// When a branch is left with one child, that child takes the branch's place, with a longer path. So what it was before has the
    /// end of that path; and where it is a branch, an extension above it names it.
    pub fn add_sibling(&mut self, hash: H256, after: &[Bytes]) -> bool {
        let found = after.iter().find_map(|node| {
            let names_it = below_extension(node) == Some(hash);
            if names_it { Some(node.clone()) } else { shortened(node, hash) }
        });
        let Some(found) = found else { return false };
        self.add(vec![found], Vec::new());
        self.note_branches();
        true
    }

    /// The state root that all of it is checked against.
    #[must_use]
    pub const fn root(&self) -> H256 {
        self.root
    }

    /// The header of the block's parent, if the state was made from it.
    #[must_use]
    pub const fn parent(&self) -> Option<&Header> {
        self.parent.as_ref()
    }

    /// The tries, to follow the state diff by diff.
    #[must_use]
    pub fn trie(&self) -> StateTrie {
        self.trie.clone()
    }

    /// The state root after a block that changed this.
    ///
    /// # Errors
    /// When a node that the change needs is missing.
    pub fn post_root(&self, diff: &[AccountDiff]) -> Result<H256, WitnessError> {
        let mut trie = self.trie();
        trie.apply(diff)?;
        Ok(trie.root())
    }

    fn find(&self, address: &H160) -> Result<Option<TrieAccount>, StateError> {
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(address) {
            return Ok(*known);
        }
        let account = self.trie.account(address).map_err(|error| match error {
            TrieError::NodeMissing { .. } => StateError::AccountMissing(*address),
            TrieError::Malformed(_) => StateError::Source(format!("account {address:?}: {error}")),
        })?;
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(*address, account);
        Ok(account)
    }
}

impl StateView for WitnessState {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        Ok(self.find(address)?.map(|account| account.info))
    }

    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        let Some(account) = self.find(address)? else { return Ok(U256::zero()) };
        self.trie.slot(account.storage_root, key).map_err(|error| match error {
            TrieError::NodeMissing { .. } => StateError::SlotMissing(*address, *key),
            TrieError::Malformed(_) => StateError::Source(format!("slot {key:#x} of {address:?}: {error}")),
        })
    }

    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        Ok(self.find(address)?.is_some_and(|account| account.storage_root != EMPTY_ROOT))
    }

    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        if *code_hash == KECCAK_EMPTY {
            return Ok(Bytes::new());
        }
        self.codes.get(code_hash).cloned().ok_or(StateError::CodeMissing(*code_hash))
    }

    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        self.block_hashes.get(&number).copied().ok_or(StateError::BlockHashMissing(number))
    }
}
