//! States at hand.

use super::{Account, StateSource};
use isolane_spec::{Bytes, H160, H256, MemoryState, StateError, StateView, U256};
use std::sync::Arc;

/// Why a state at hand cannot answer.
pub type ViewError = StateError;

/// Any state at hand, such as a witness, as a source. Calls read it directly.
#[derive(Clone)]
pub struct ViewSource(Arc<dyn StateView>);

impl ViewSource {
    /// A source of that state.
    #[must_use]
    pub fn new(view: Arc<dyn StateView>) -> Self {
        Self(view)
    }
}

/// A state in memory as a source. What it does not list does not exist.
#[derive(Clone)]
pub struct MemorySource(Arc<MemoryState>);

impl MemorySource {
    /// A source of that state.
    #[must_use]
    pub fn new(state: impl Into<Arc<MemoryState>>) -> Self {
        Self(state.into())
    }
}

/// The methods that ask a state for each key in turn.
macro_rules! one_by_one {
    () => {
        type Error = ViewError;

        fn accounts(&self, addresses: &[H160]) -> Result<Vec<Option<Account>>, ViewError> {
            addresses.iter().map(|address| self.0.account(address)).collect()
        }

        fn slots(&self, keys: &[(H160, H256)]) -> Result<Vec<U256>, ViewError> {
            keys.iter().map(|(address, key)| self.0.storage(address, &U256::from_big_endian(&key.0))).collect()
        }

        fn codes(&self, hashes: &[H256]) -> Result<Vec<Bytes>, ViewError> {
            hashes.iter().map(|hash| self.0.code(hash)).collect()
        }

        fn block_hashes(&self, numbers: &[u64]) -> Result<Vec<H256>, ViewError> {
            numbers.iter().map(|number| self.0.block_hash(*number)).collect()
        }

        fn has_storage(&self, addresses: &[H160]) -> Result<Vec<bool>, ViewError> {
            addresses.iter().map(|address| self.0.has_storage(address)).collect()
        }

        fn view(&self) -> Option<Arc<dyn StateView>> {
            Some(Arc::clone(&self.0) as Arc<dyn StateView>)
        }
    };
}

impl StateSource for ViewSource {
    one_by_one!();
}

impl StateSource for MemorySource {
    one_by_one!();
}
