//! A state that guesses what is not known, and remembers what that was.

use super::cache::CacheView;
use super::keys::Key;
use hashbrown::HashSet;
use isolane_spec::{AccountInfo, Bytes, H160, H256, StateError, StateView, U256};
use std::sync::{Mutex, PoisonError};

/// Keys that one execution may ask for on guesses.
const MOST: usize = 4_096;

/// What is known, and zero for the rest.
pub(super) struct Guess {
    known: CacheView,
    met: Mutex<HashSet<Key>>,
}

impl Guess {
    pub fn new(known: CacheView) -> Self {
        Self { known, met: Mutex::default() }
    }

    /// What was guessed.
    pub fn met(&self) -> Vec<Key> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    fn answer<T: Default>(&self, answer: Result<T, StateError>) -> Result<T, StateError> {
        let Err(error) = answer else { return answer };
        let Some(key) = Key::of(&error) else { return Err(error) };
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if met.len() >= MOST {
            return Err(error);
        }
        met.insert(key);
        Ok(T::default())
    }
}

impl StateView for Guess {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        self.answer(self.known.account(address))
    }

    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        self.answer(self.known.storage(address, key))
    }

    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        self.answer(self.known.has_storage(address))
    }

    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        // What a code does cannot be guessed.
        let code = self.known.code(code_hash);
        if let Err(error) = &code {
            let _ = self.answer::<Bytes>(Err(error.clone()));
        }
        code
    }

    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        self.answer(self.known.block_hash(number))
    }
}
