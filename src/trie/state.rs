//! A state trie with the storage tries of its accounts, changed diff by diff.

use super::node::{Nodes, TrieError};
use super::root::{account_into, slot_value};
use super::sparse::SparseTrie;
use super::{EMPTY_ROOT, H256};
use crate::block::StateRoots;
use crate::convert::keccak;
use alloy_primitives::map::HashMap;
use alloy_rlp::{Decodable, Header};
use isolane_spec::{AccountDiff, AccountInfo, Bytes, H160, MemoryState, U256};
use rayon::prelude::*;
use std::sync::Arc;

/// Below this many changed accounts, threads cost more than they save.
const PARALLEL: usize = 32;

/// A state as tries: of a complete state, or of the part that a witness proves. Knows its root after every diff at the
/// cost of what changed.
#[derive(Clone, Debug, Default)]
pub struct StateTrie {
    nodes: Arc<Nodes>,
    accounts: SparseTrie,
    /// Storage tries that were changed, by the hash of the account's address.
    storages: HashMap<H256, SparseTrie>,
    /// Accounts changed since the root was last asked for.
    changed: usize,
}

/// An account as the state trie has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TrieAccount {
    pub(super) info: AccountInfo,
    pub(super) storage_root: H256,
}

impl TrieAccount {
    pub(super) fn decode(mut value: &[u8]) -> Result<Self, TrieError> {
        let decode = || -> alloy_rlp::Result<Self> {
            let mut payload = Header::decode_bytes(&mut value, true)?;
            let nonce = u64::decode(&mut payload)?;
            let balance = alloy_primitives::U256::decode(&mut payload)?;
            let storage_root = alloy_primitives::B256::decode(&mut payload)?;
            let code_hash = alloy_primitives::B256::decode(&mut payload)?;
            if !payload.is_empty() || !value.is_empty() {
                return Err(alloy_rlp::Error::UnexpectedLength);
            }
            let info = AccountInfo { nonce, balance: U256(balance.into_limbs()), code_hash: H256(code_hash.0) };
            Ok(Self { info, storage_root: H256(storage_root.0) })
        };
        let mut decode = decode;
        decode().map_err(|_| TrieError::Malformed("expected an account: nonce, balance, storage root, code hash"))
    }
}

impl StateTrie {
    /// The tries of a complete state.
    ///
    /// # Errors
    /// Never for a state in memory; the signature is that of the tries.
    pub fn from_memory(state: &MemoryState) -> Result<Self, TrieError> {
        let mut trie = Self::default();
        for (address, account) in &state.accounts {
            let mut storage = SparseTrie::default();
            for (key, value) in account.storage.iter().filter(|(_, value)| !value.is_zero()) {
                storage.insert(&trie.nodes, keccak(key.to_big_endian()), slot_value(*value))?;
            }
            let hash = keccak(address.0);
            let mut value = Vec::with_capacity(112);
            account_into(&account.info, storage.root(false), &mut value);
            trie.storages.insert(hash, storage);
            trie.accounts.insert(&trie.nodes, hash, value)?;
            trie.changed += 1;
        }
        Ok(trie)
    }

    pub(super) fn at(nodes: Arc<Nodes>, root: H256) -> Self {
        Self { nodes, accounts: SparseTrie::at(root), ..Self::default() }
    }

    /// Adds nodes by their hashes.
    pub(super) fn add(&mut self, nodes: impl IntoIterator<Item = (H256, Bytes)>) {
        Arc::make_mut(&mut self.nodes).encoded.extend(nodes);
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Bytes> {
        self.nodes.encoded.values()
    }

    pub(super) fn note_branches(&mut self) {
        Arc::make_mut(&mut self.nodes).note_branches();
    }

    pub(super) fn account(&self, address: &H160) -> Result<Option<TrieAccount>, TrieError> {
        self.accounts.get(&self.nodes, keccak(address.0))?.map(TrieAccount::decode).transpose()
    }

    /// A slot of an account whose storage this trie did not change.
    pub(super) fn slot(&self, storage_root: H256, key: &U256) -> Result<U256, TrieError> {
        let storage = SparseTrie::at(storage_root);
        let Some(mut value) = storage.get(&self.nodes, keccak(key.to_big_endian()))? else {
            return Ok(U256::zero());
        };
        alloy_primitives::U256::decode(&mut value)
            .ok()
            .filter(|_| value.is_empty())
            .map(|word| U256(word.into_limbs()))
            .ok_or(TrieError::Malformed("expected a slot's value"))
    }

    /// Applies what an execution changed. After an error the tries are of no use.
    ///
    /// # Errors
    /// When a node that the change needs is not at hand.
    pub fn apply(&mut self, diff: &[AccountDiff]) -> Result<(), TrieError> {
        let mut work = Vec::with_capacity(diff.len());
        for change in diff {
            let hash = keccak(change.address.0);
            let Some(info) = change.after else {
                work.push((hash, change, None));
                self.storages.remove(&hash);
                continue;
            };
            let storage = match self.storages.remove(&hash) {
                _ if change.storage_wiped => SparseTrie::default(),
                Some(storage) => storage,
                None => {
                    let before = self.accounts.get(&self.nodes, hash)?.map(TrieAccount::decode).transpose()?;
                    SparseTrie::at(before.map_or(EMPTY_ROOT, |account| account.storage_root))
                }
            };
            work.push((hash, change, Some((info, storage))));
        }
        let nodes = &self.nodes;
        let update = |(_, change, after): &mut Work<'_>| match after {
            Some((_, storage)) => change_storage(storage, nodes, change),
            None => Ok(()),
        };
        if work.len() < PARALLEL {
            work.iter_mut().try_for_each(update)?;
        } else {
            work.par_iter_mut().with_min_len(4).try_for_each(update)?;
        }
        self.changed += work.len();
        // What goes comes last: a node that is left alone by it and then joined by another would be asked for in vain.
        let mut gone = Vec::new();
        for (hash, _, after) in work {
            let Some((info, mut storage)) = after else {
                gone.push(hash);
                continue;
            };
            let mut value = Vec::with_capacity(112);
            account_into(&info, storage.root(false), &mut value);
            self.accounts.insert(&self.nodes, hash, value)?;
            self.storages.insert(hash, storage);
        }
        gone.into_iter().try_for_each(|hash| self.accounts.remove(&self.nodes, hash))
    }

    /// The root of the state now.
    pub fn root(&mut self) -> H256 {
        let changed = std::mem::take(&mut self.changed);
        self.accounts.root(changed >= PARALLEL)
    }
}

type Work<'a> = (H256, &'a AccountDiff, Option<(AccountInfo, SparseTrie)>);

fn change_storage(storage: &mut SparseTrie, nodes: &Nodes, change: &AccountDiff) -> Result<(), TrieError> {
    for slot in change.storage.iter().filter(|slot| !slot.after.is_zero()) {
        storage.insert(nodes, keccak(slot.key.to_big_endian()), slot_value(slot.after))?;
    }
    for slot in change.storage.iter().filter(|slot| slot.after.is_zero()) {
        storage.remove(nodes, keccak(slot.key.to_big_endian()))?;
    }
    // Hashed here, where it may run on another thread; the root is kept.
    storage.root(false);
    Ok(())
}

impl StateRoots for StateTrie {
    fn apply(&mut self, diff: &[AccountDiff]) -> Result<(), String> {
        Self::apply(self, diff).map_err(|error| error.to_string())
    }

    fn root(&mut self) -> Result<H256, String> {
        Ok(Self::root(self))
    }
}
