//! Reading a snapshot's state without a call.

use super::error::ExecutorError;
use super::inner::Executor;
use super::keys::Key;
use super::snapshot::{Origin, Snapshot};
use isolane_spec::{AccountInfo, Bytes, ExecutionError, H160, H256, KECCAK_EMPTY, StateError, StateView, U256};

impl Executor {
    /// An account; `None` if it does not exist.
    ///
    /// # Errors
    /// When the source fails.
    pub fn account(&self, snapshot: &Snapshot, address: H160) -> Result<Option<AccountInfo>, ExecutorError> {
        self.read(snapshot, |state| state.account(&address))
    }

    /// The code of an account; empty if it has none.
    ///
    /// # Errors
    /// When the source fails.
    pub fn code(&self, snapshot: &Snapshot, address: H160) -> Result<Bytes, ExecutorError> {
        self.read(snapshot, |state| match state.account(&address)? {
            Some(account) if account.code_hash != KECCAK_EMPTY => state.code(&account.code_hash),
            _ => Ok(Bytes::new()),
        })
    }

    /// The value of a storage slot.
    ///
    /// # Errors
    /// When the source fails.
    pub fn storage(&self, snapshot: &Snapshot, address: H160, key: U256) -> Result<U256, ExecutorError> {
        self.read(snapshot, |state| state.storage(&address, &key))
    }

    /// The code of a hash that an account of the state has.
    ///
    /// # Errors
    /// When the source fails.
    pub fn code_by_hash(&self, snapshot: &Snapshot, hash: H256) -> Result<Bytes, ExecutorError> {
        self.read(snapshot, |state| if hash == KECCAK_EMPTY { Ok(Bytes::new()) } else { state.code(&hash) })
    }

    /// The hash of one of the last 256 blocks before the snapshot's.
    ///
    /// # Errors
    /// When the source fails.
    pub fn block_hash(&self, snapshot: &Snapshot, number: u64) -> Result<H256, ExecutorError> {
        self.read(snapshot, |state| state.block_hash(number))
    }

    fn read<T>(
        &self,
        snapshot: &Snapshot,
        look: impl Fn(&dyn StateView) -> Result<T, StateError>,
    ) -> Result<T, ExecutorError> {
        loop {
            let error = match look(&*snapshot.view()) {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let (Origin::Cached(cache), Some(key)) = (snapshot.origin(), Key::of(&error)) else {
                return Err(ExecutionError::State(error).into());
            };
            let failed = cache.fetch([key]);
            if let Some((_, error)) = failed.into_iter().next() {
                return Err(error);
            }
        }
    }
}
