//! State spaces: what an environment has written, over a base that is shared and never written.
//!
//! All maps are persistent, so a clone of a space is a snapshot that costs nothing and that no later write reaches:
//! snapshots for data calls, roll-back of an epoch and environments that start from another's state are all clones.

use isolane_spec::{
    AccountDiff, AccountInfo, Bytes, H160, H256, KECCAK_EMPTY, MemoryState, StateError, StateView, U256,
};
use rpds::HashTrieMapSync;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a space is written over.
#[derive(Clone)]
pub enum Base {
    /// The whole state; a key that it lacks is empty, and a block hash that it lacks is zero.
    Complete(Arc<MemoryState>),
    /// A part of a state, as a block pack records it: a key that it lacks reads as empty.
    Recorded(Arc<MemoryState>),
    /// A state that answers for itself, such as a witness: a key that it lacks is an error.
    View(Arc<dyn StateView>),
}

impl Base {
    fn view(&self) -> &dyn StateView {
        match self {
            Self::Complete(state) | Self::Recorded(state) => &**state,
            Self::View(state) => &**state,
        }
    }
}

/// An account that was written.
#[derive(Clone, Debug, Default)]
struct Written {
    /// `None`: it does not exist.
    info: Option<AccountInfo>,
    /// Slots that were written; what is not here is the base's.
    storage: HashTrieMapSync<U256, U256>,
    /// The base's storage is gone.
    fresh: bool,
}

/// A state space: see the module.
#[derive(Clone)]
pub struct StateSpace {
    base: Base,
    accounts: HashTrieMapSync<H160, Written>,
    codes: HashTrieMapSync<H256, Bytes>,
    block_hashes: HashTrieMapSync<u64, H256>,
}

/// An account of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportedAccount {
    /// Nonce, balance, code hash.
    pub info: AccountInfo,
    /// Its code.
    pub code: Bytes,
    /// Slots that are not zero.
    pub storage: BTreeMap<U256, U256>,
}

/// A state written out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// Accounts that exist.
    pub accounts: BTreeMap<H160, ExportedAccount>,
    /// Whether this is the whole state. Of a recorded state it is what was recorded or written, of a witness what was
    /// written, with the slots that were written.
    pub complete: bool,
}

impl StateSpace {
    /// A space in which nothing is written yet.
    #[must_use]
    pub fn new(base: Base) -> Self {
        Self {
            base,
            accounts: HashTrieMapSync::default(),
            codes: HashTrieMapSync::default(),
            block_hashes: HashTrieMapSync::default(),
        }
    }

    /// What it is written over.
    #[must_use]
    pub const fn base(&self) -> &Base {
        &self.base
    }

    /// Accounts that were written.
    #[must_use]
    pub fn written(&self) -> usize {
        self.accounts.size()
    }

    /// Writes what an execution changed.
    pub fn apply(&mut self, diff: &[AccountDiff]) {
        for change in diff {
            let mut account = self.accounts.get(&change.address).cloned().unwrap_or_default();
            account.info = change.after;
            if change.storage_wiped || change.after.is_none() {
                account.storage = HashTrieMapSync::default();
                account.fresh = true;
            }
            for slot in &change.storage {
                account.storage.insert_mut(slot.key, slot.after);
            }
            if let (Some(code), Some(after)) = (&change.code, change.after) {
                self.codes.insert_mut(after.code_hash, code.clone());
            }
            self.accounts.insert_mut(change.address, account);
        }
    }

    /// Sets the hash of a block for BLOCKHASH.
    pub fn set_block_hash(&mut self, number: u64, hash: H256) {
        self.block_hashes.insert_mut(number, hash);
    }

    /// The whole state in memory, if the base is complete.
    #[must_use]
    pub fn to_memory(&self) -> Option<MemoryState> {
        let Base::Complete(base) = &self.base else { return None };
        Some(self.over(base))
    }

    fn over(&self, base: &MemoryState) -> MemoryState {
        let mut state = base.clone();
        for (address, written) in &self.accounts {
            let Some(info) = written.info else {
                state.accounts.remove(address);
                continue;
            };
            let account = state.accounts.entry(*address).or_default();
            account.info = info;
            if written.fresh {
                account.storage.clear();
            }
            for (key, value) in &written.storage {
                if value.is_zero() {
                    account.storage.remove(key);
                } else {
                    account.storage.insert(*key, *value);
                }
            }
        }
        state.codes.extend(self.codes.iter().map(|(hash, code)| (*hash, code.clone())));
        state.block_hashes.extend(self.block_hashes.iter().map(|(number, hash)| (*number, *hash)));
        state
    }

    /// The state, to be written out.
    ///
    /// # Errors
    /// When a code is not at hand.
    pub fn export(&self) -> Result<Export, StateError> {
        let complete = matches!(self.base, Base::Complete(_));
        let state = match &self.base {
            Base::Complete(base) | Base::Recorded(base) => self.over(base),
            Base::View(_) => self.over(&MemoryState::default()),
        };
        let mut accounts = BTreeMap::new();
        for (address, account) in state.accounts {
            let hash = account.info.code_hash;
            let code = if hash == KECCAK_EMPTY { Bytes::new() } else { self.code(&hash)? };
            let storage = account.storage.into_iter().filter(|(_, value)| !value.is_zero()).collect();
            accounts.insert(address, ExportedAccount { info: account.info, code, storage });
        }
        Ok(Export { accounts, complete })
    }

    /// Addresses of accounts that were written, sorted.
    #[must_use]
    pub fn written_addresses(&self) -> BTreeSet<H160> {
        self.accounts.keys().copied().collect()
    }
}

impl StateView for StateSpace {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        match self.accounts.get(address) {
            Some(written) => Ok(written.info),
            None => self.base.view().account(address),
        }
    }

    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        if let Some(written) = self.accounts.get(address) {
            if let Some(value) = written.storage.get(key) {
                return Ok(*value);
            }
            if written.fresh {
                return Ok(U256::zero());
            }
        }
        self.base.view().storage(address, key)
    }

    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        let Some(written) = self.accounts.get(address) else { return self.base.view().has_storage(address) };
        if written.storage.values().any(|value| !value.is_zero()) {
            return Ok(true);
        }
        if written.fresh {
            return Ok(false);
        }
        match &self.base {
            Base::Complete(state) | Base::Recorded(state) => Ok(state.accounts.get(address).is_some_and(|account| {
                account.storage.iter().any(|(key, value)| !value.is_zero() && !written.storage.contains_key(key))
            })),
            // Slots of a witness cannot be listed. Only an account that has code can have cleared some, and for one that
            // has code nobody asks.
            Base::View(state) => state.has_storage(address),
        }
    }

    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        match self.codes.get(code_hash) {
            Some(code) => Ok(code.clone()),
            None => self.base.view().code(code_hash),
        }
    }

    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        if let Some(hash) = self.block_hashes.get(&number) {
            return Ok(*hash);
        }
        match (self.base.view().block_hash(number), &self.base) {
            // A chain that starts from an alloc file has no blocks before its first.
            (Err(StateError::BlockHashMissing(_)), Base::Complete(_)) => Ok(H256::zero()),
            (answer, _) => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_spec::SlotDiff;

    fn address(byte: u8) -> H160 {
        H160::repeat_byte(byte)
    }

    fn info(balance: u64) -> AccountInfo {
        AccountInfo { balance: balance.into(), ..AccountInfo::default() }
    }

    fn base() -> MemoryState {
        let mut state = MemoryState::default();
        state.insert(address(1), info(10), Bytes::new(), [(1.into(), 11.into()), (2.into(), 22.into())]);
        state.insert(address(2), info(20), Bytes::new(), []);
        state
    }

    fn change(byte: u8, after: Option<AccountInfo>, wiped: bool, slots: &[(u64, u64)]) -> AccountDiff {
        let slot =
            |(key, after): &(u64, u64)| SlotDiff { key: (*key).into(), before: U256::zero(), after: (*after).into() };
        AccountDiff {
            address: address(byte),
            before: None,
            after,
            code: None,
            storage_wiped: wiped,
            storage: slots.iter().map(slot).collect(),
        }
    }

    /// A space and a state in memory follow the same diffs and stay equal, key for key.
    #[test]
    fn it_reads_as_a_state_in_memory_does() {
        let steps = [
            vec![change(1, Some(info(5)), false, &[(1, 0), (3, 33)])],
            vec![change(2, None, true, &[]), change(3, Some(info(1)), true, &[(1, 9)])],
            vec![change(1, Some(info(6)), true, &[(7, 70)])],
            vec![change(2, Some(info(2)), false, &[(4, 44)])],
            vec![change(1, None, true, &[])],
            vec![change(1, Some(info(1)), false, &[])],
        ];
        let mut memory = base();
        let mut space = StateSpace::new(Base::Complete(Arc::new(base())));
        for diff in steps {
            space.apply(&diff);
            memory.apply(&diff);
            for byte in 1..5 {
                assert_eq!(space.account(&address(byte)), memory.account(&address(byte)));
                assert_eq!(space.has_storage(&address(byte)), memory.has_storage(&address(byte)), "{byte}");
                for key in 0..8 {
                    let key = U256::from(key);
                    assert_eq!(space.storage(&address(byte), &key), memory.storage(&address(byte), &key));
                }
            }
            assert_eq!(space.to_memory().expect("complete").accounts, memory.accounts);
        }
    }

    #[test]
    fn a_clone_is_a_snapshot() {
        let mut space = StateSpace::new(Base::Complete(Arc::new(base())));
        let before = space.clone();
        space.apply(&[change(1, Some(info(99)), false, &[(1, 98)])]);
        space.set_block_hash(4, H256::repeat_byte(4));
        assert_eq!(before.account(&address(1)), Ok(Some(info(10))));
        assert_eq!(before.storage(&address(1), &U256::one()), Ok(11.into()));
        assert_eq!(before.block_hash(4), Ok(H256::zero()));
        assert_eq!(space.account(&address(1)), Ok(Some(info(99))));
        assert_eq!(space.block_hash(4), Ok(H256::repeat_byte(4)));
    }

    #[test]
    fn an_incomplete_base_says_so() {
        let space = StateSpace::new(Base::Recorded(Arc::new(base())));
        assert_eq!(space.block_hash(4), Err(StateError::BlockHashMissing(4)));
        assert!(space.to_memory().is_none());
        let mut space = StateSpace::new(Base::View(Arc::new(base())));
        space.apply(&[change(1, Some(info(99)), false, &[(1, 98)])]);
        let export = space.export().expect("no code is needed");
        assert!(!export.complete);
        assert_eq!(export.accounts.len(), 1, "only what was written is known");
        assert!(space.has_storage(&address(1)).expect("known"));
    }
}
