//! State before an execution: an immutable base that lanes read and never write.

use crate::outcome::{AccountDiff, AccountInfo, KECCAK_EMPTY};
use crate::{Bytes, H160, H256, U256};
use hashbrown::HashMap;
use std::fmt;

/// Why a state could not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateError {
    /// A witness does not prove this account: never read as zero.
    AccountMissing(H160),
    /// A witness does not prove this slot: never read as zero.
    SlotMissing(H160, U256),
    /// Whether this account has any storage is not known.
    StorageMissing(H160),
    /// The code of this hash is not at hand.
    CodeMissing(H256),
    /// The hash of this ancestor block is not at hand.
    BlockHashMissing(u64),
    /// The source itself failed.
    Source(String),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccountMissing(address) => write!(f, "witness missing: account {address:?}"),
            Self::SlotMissing(address, key) => write!(f, "witness missing: slot {key:#x} of account {address:?}"),
            Self::StorageMissing(address) => write!(f, "witness missing: whether account {address:?} has storage"),
            Self::CodeMissing(hash) => write!(f, "code missing: no code with hash {hash:?}"),
            Self::BlockHashMissing(number) => write!(f, "block hash missing: block {number}"),
            Self::Source(text) => write!(f, "state source: {text}"),
        }
    }
}

impl std::error::Error for StateError {}

/// An immutable state that executions start from. A lane asks for each key once.
pub trait StateView: Send + Sync {
    /// The account, or `None` if it does not exist.
    ///
    /// # Errors
    /// When the view cannot know: see [`StateError`].
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError>;
    /// The value of a slot; zero if it was never written.
    ///
    /// # Errors
    /// When the view cannot know: see [`StateError`].
    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError>;
    /// Whether any slot of the account is not zero (EIP-7610).
    ///
    /// # Errors
    /// When the view cannot know: see [`StateError`].
    fn has_storage(&self, address: &H160) -> Result<bool, StateError>;
    /// All that the state holds, where it knows: a backend may then send it ahead, and look accounts up in it instead of asking.
    /// `None` where it answers key by key.
    fn memory(&self) -> Option<&MemoryState> {
        None
    }
    /// Whether all answers come out of memory, so that a backend may ask more than once, only to have the answer in the processor's
    /// caches when it needs it.
    fn is_near(&self) -> bool {
        self.memory().is_some()
    }
    /// The code of that hash. Never asked for [`KECCAK_EMPTY`].
    ///
    /// # Errors
    /// [`StateError::CodeMissing`].
    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError>;
    /// The hash of an ancestor; only asked for the last 256 blocks.
    ///
    /// # Errors
    /// [`StateError::BlockHashMissing`].
    fn block_hash(&self, number: u64) -> Result<H256, StateError>;
}

/// An account of a [`MemoryState`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryAccount {
    /// Nonce, balance, code hash.
    pub info: AccountInfo,
    /// Slots that are not zero.
    pub storage: HashMap<U256, U256>,
}

/// A state held in memory: a complete pre-state, or the part of one that a block pack records (a missing key then
/// reads as empty, see [`StateView`]).
#[derive(Clone, Debug, Default)]
pub struct MemoryState {
    /// Accounts that exist.
    pub accounts: HashMap<H160, MemoryAccount>,
    /// Code by hash.
    pub codes: HashMap<H256, Bytes>,
    /// Hashes of ancestor blocks by number.
    pub block_hashes: HashMap<u64, H256>,
}

impl MemoryState {
    /// Adds or replaces an account. The caller computes `info.code_hash` and passes the code itself: an account with another hash has
    /// another code, and by default none.
    pub fn insert(
        &mut self,
        address: H160,
        info: AccountInfo,
        code: Bytes,
        storage: impl IntoIterator<Item = (U256, U256)>,
    ) {
        if !code.is_empty() {
            self.codes.insert(info.code_hash, code);
        }
        let slots = storage.into_iter();
        let mut storage = HashMap::with_capacity(slots.size_hint().0);
        storage.extend(slots.filter(|(_, value)| !value.is_zero()));
        self.accounts.insert(address, MemoryAccount { info, storage });
    }

    /// Writes what an execution changed.
    pub fn apply(&mut self, diff: &[AccountDiff]) {
        for change in diff {
            let Some(after) = change.after else {
                self.accounts.remove(&change.address);
                continue;
            };
            let account = self.accounts.entry(change.address).or_default();
            account.info = after;
            if let Some(code) = &change.code {
                self.codes.insert(after.code_hash, code.clone());
            }
            if change.storage_wiped {
                account.storage.clear();
            }
            for slot in &change.storage {
                if slot.after.is_zero() {
                    account.storage.remove(&slot.key);
                } else {
                    account.storage.insert(slot.key, slot.after);
                }
            }
        }
    }
}

impl StateView for MemoryState {
    fn memory(&self) -> Option<&MemoryState> {
        Some(self)
    }

    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        Ok(self.accounts.get(address).map(|account| account.info))
    }

    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        Ok(self.accounts.get(address).and_then(|account| account.storage.get(key)).copied().unwrap_or_default())
    }

    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        Ok(self.accounts.get(address).is_some_and(|account| !account.storage.is_empty()))
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
