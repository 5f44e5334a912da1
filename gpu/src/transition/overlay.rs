//! A state with committed changes on top.

use hashbrown::HashMap;
use isolane_spec::{AccountDiff, AccountInfo, Bytes, H160, H256, StateError, StateView, U256};
use std::sync::Arc;

/// A base state, which is never written, and the changes of transactions that were committed: what the next transaction
/// of an environment with `Order::Sequential` starts from.
#[derive(Clone)]
pub struct Overlay {
    base: Arc<dyn StateView>,
    accounts: HashMap<H160, Changed>,
    codes: HashMap<H256, Bytes>,
}

/// An account that was changed.
#[derive(Clone, Default)]
struct Changed {
    info: Option<AccountInfo>,
    /// Nothing of the base's storage is there any more.
    wiped: bool,
    slots: HashMap<U256, U256>,
}

impl Overlay {
    /// A state without changes.
    #[must_use]
    pub fn new(base: Arc<dyn StateView>) -> Self {
        Self { base, accounts: HashMap::new(), codes: HashMap::new() }
    }

    /// Forgets all changes.
    pub fn clear(&mut self) {
        self.accounts.clear();
        self.codes.clear();
    }

    /// Commits what a transaction changed.
    pub fn apply(&mut self, diff: &[AccountDiff]) {
        for change in diff {
            let account = self.accounts.entry(change.address).or_default();
            account.info = change.after;
            if change.storage_wiped || change.after.is_none() {
                account.wiped = true;
                account.slots.clear();
            }
            account.slots.extend(change.storage.iter().map(|slot| (slot.key, slot.after)));
            if let (Some(after), Some(code)) = (&change.after, &change.code) {
                self.codes.insert(after.code_hash, code.clone());
            }
        }
    }
}

impl StateView for Overlay {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        match self.accounts.get(address) {
            Some(account) => Ok(account.info),
            None => self.base.account(address),
        }
    }

    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        match self.accounts.get(address) {
            Some(Changed { wiped, slots, .. }) if *wiped || slots.contains_key(key) => {
                Ok(slots.get(key).copied().unwrap_or_default())
            }
            _ => self.base.storage(address, key),
        }
    }

    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        match self.accounts.get(address) {
            Some(account) if account.slots.values().any(|value| !value.is_zero()) => Ok(true),
            Some(account) if account.wiped => Ok(false),
            // Slots that were cleared since are not looked for in the base: it cannot list them.
            _ => self.base.has_storage(address),
        }
    }

    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        match self.codes.get(code_hash) {
            Some(code) => Ok(code.clone()),
            None => self.base.code(code_hash),
        }
    }

    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        self.base.block_hash(number)
    }
}
