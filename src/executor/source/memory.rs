//! States at hand.

use super::{Account, StateSource};
use crate::convert::keccak;
use crate::executor::AccountOverride;
use isolane_spec::{Bytes, H160, H256, KECCAK_EMPTY, MemoryState, StateError, StateView, U256};
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

/// A state in memory as a source. What it does not list does not exist. It can be collected from accounts.
#[derive(Clone)]
pub struct MemorySource(Arc<MemoryState>);

impl MemorySource {
    /// A source of that state.
    #[must_use]
    pub fn new(state: impl Into<Arc<MemoryState>>) -> Self {
        Self(state.into())
    }
}

impl FromIterator<(H160, AccountOverride)> for MemorySource {
    /// A state of these accounts, each as an override of one that does not exist. The hashes of codes are computed; where precompiles are
    /// is not a state's affair.
    ///
    /// ```
    /// use isolane::executor::{AccountOverride, MemorySource};
    /// use isolane::spec::{Bytes, H160, U256};
    ///
    /// let token = AccountOverride {
    ///     code: Some(Bytes::from_static(&[0x5f, 0x5f, 0xf3])),
    ///     state: Some(vec![(U256::zero(), U256::from(7))]),
    ///     ..Default::default()
    /// };
    /// let alice = AccountOverride { balance: Some(U256::from(1_000_000)), ..Default::default() };
    /// let source: MemorySource = [(H160::repeat_byte(1), token), (H160::repeat_byte(2), alice)].into_iter().collect();
    /// ```
    fn from_iter<T: IntoIterator<Item = (H160, AccountOverride)>>(accounts: T) -> Self {
        let mut state = MemoryState::default();
        for (address, account) in accounts {
            let code = account.code.unwrap_or_default();
            let code_hash = if code.is_empty() { KECCAK_EMPTY } else { keccak(&code) };
            let info = Account {
                nonce: account.nonce.unwrap_or_default(),
                balance: account.balance.unwrap_or_default(),
                code_hash,
            };
            let slots = account.state.unwrap_or_default().into_iter().chain(account.state_diff);
            state.insert(address, info, code, slots);
        }
        Self::new(state)
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
