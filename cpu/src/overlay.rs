//! What a sequence of transactions has written so far, as a state that speculative executions start from.

use hashbrown::HashMap;
use isolane_spec::{AccountDiff, AccountInfo, Bytes, H160, H256, KECCAK_EMPTY, Reads, StateError, StateView, U256};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// An account that was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub info: Option<AccountInfo>,
    /// The base's storage is gone.
    pub wiped: bool,
    pub storage: HashMap<U256, U256>,
    pub code: Option<Bytes>,
    /// The version in which it was written last.
    pub version: u64,
    /// The version in which its storage was written last.
    pub storage_version: u64,
}

#[derive(Debug, Default)]
struct State {
    accounts: HashMap<H160, Written>,
    codes: HashMap<H256, Bytes>,
    /// How often it was written.
    version: u64,
}

/// A base state with what was written on top of it. Executions read it while it is written, so that what one of them reads may be
/// of several versions.
pub(crate) struct Overlay {
    base: Arc<dyn StateView>,
    state: RwLock<State>,
}

impl Overlay {
    pub fn new(base: Arc<dyn StateView>, written: impl IntoIterator<Item = (H160, Written)>) -> Self {
        let mut state = State::default();
        for (address, mut written) in written {
            if let (Some(code), Some(info)) = (written.code.take(), written.info) {
                state.codes.insert(info.code_hash, code);
            }
            state.accounts.insert(address, written);
        }
        Self { base, state: RwLock::new(state) }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        // A panic between two writes would have ended the sequence.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it was written so far.
    pub fn version(&self) -> u64 {
        self.read().version
    }

    /// Writes what a transaction changed.
    pub fn apply(&self, diff: &[AccountDiff]) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.version += 1;
        let State { accounts, codes, version } = &mut *state;
        for change in diff {
            let written = accounts.entry(change.address).or_default();
            written.version = *version;
            written.info = change.after;
            if let (Some(code), Some(after)) = (&change.code, change.after) {
                codes.insert(after.code_hash, code.clone());
            }
            if change.storage_wiped {
                written.wiped = true;
                written.storage.clear();
            }
            if change.storage_wiped || !change.storage.is_empty() {
                written.storage_version = *version;
            }
            written.storage.extend(change.storage.iter().map(|slot| (slot.key, slot.after)));
        }
    }

    /// Whether all that an execution read that began at a version is so now. The account `but` is left out.
    pub fn holds(&self, reads: &Reads, version: u64, but: Option<H160>) -> bool {
        let state = self.read();
        let same_account = |read: &isolane_spec::AccountRead| {
            let Some(written) = state.accounts.get(&read.address).filter(|written| written.version > version) else {
                return true;
            };
            // Whether an account has any storage decides whether a contract may be created there (EIP-7610).
            let could_be_created = read.before.is_none_or(|info| info.code_hash == KECCAK_EMPTY);
            written.info == read.before && !(could_be_created && written.storage_version > version)
        };
        let same_slot = |read: &isolane_spec::SlotRead| {
            let Some(written) = state.accounts.get(&read.address).filter(|it| it.storage_version > version) else {
                return true;
            };
            match written.storage.get(&read.key) {
                Some(value) => *value == read.before,
                None => !written.wiped || read.before.is_zero(),
            }
        };
        reads.accounts.iter().all(|read| Some(read.address) == but || same_account(read))
            && reads.slots.iter().all(same_slot)
    }
}

impl StateView for Overlay {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        match self.read().accounts.get(address) {
            Some(written) => Ok(written.info),
            None => self.base.account(address),
        }
    }

    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        if let Some(written) = self.read().accounts.get(address) {
            if let Some(value) = written.storage.get(key) {
                return Ok(*value);
            }
            if written.wiped {
                return Ok(U256::zero());
            }
        }
        self.base.storage(address, key)
    }

    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        if let Some(written) = self.read().accounts.get(address) {
            if written.storage.values().any(|value| !value.is_zero()) {
                return Ok(true);
            }
            if written.wiped {
                return Ok(false);
            }
        }
        self.base.has_storage(address)
    }

    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        if let Some(code) = self.read().codes.get(code_hash) {
            return Ok(code.clone());
        }
        self.base.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        self.base.block_hash(number)
    }
}
