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

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_spec::{MemoryState, SlotDiff};

    const ACCOUNT: H160 = H160([7; 20]);

    fn slot(key: u64, before: u64, after: u64) -> SlotDiff {
        SlotDiff { key: key.into(), before: before.into(), after: after.into() }
    }

    fn change(after: Option<AccountInfo>, storage: Vec<SlotDiff>) -> AccountDiff {
        AccountDiff { address: ACCOUNT, before: None, after, code: None, storage_wiped: after.is_none(), storage }
    }

    fn seen(overlay: &Overlay) -> (Option<u64>, [u64; 3], bool) {
        let value = |key: u64| overlay.storage(&ACCOUNT, &key.into()).expect("a state in memory").low_u64();
        let account = overlay.account(&ACCOUNT).expect("a state in memory");
        let has_storage = overlay.has_storage(&ACCOUNT).expect("a state in memory");
        (account.map(|info| info.nonce), [value(1), value(2), value(3)], has_storage)
    }

    #[test]
    fn changes_cover_the_base() {
        let mut base = MemoryState::default();
        let info = |nonce| AccountInfo { nonce, ..AccountInfo::default() };
        let code = Bytes::from_static(&[1, 2, 3]);
        let code_hash = H256([9; 32]);
        base.insert(
            ACCOUNT,
            AccountInfo { code_hash, ..info(1) },
            code.clone(),
            [(1.into(), 10.into()), (2.into(), 20.into())],
        );
        base.block_hashes.insert(5, H256([5; 32]));
        let mut overlay = Overlay::new(Arc::new(base));
        assert_eq!(seen(&overlay), (Some(1), [10, 20, 0], true));
        assert_eq!(overlay.code(&code_hash), Ok(code));
        assert_eq!(overlay.block_hash(5), Ok(H256([5; 32])));

        overlay.apply(&[change(Some(info(2)), vec![slot(1, 10, 11), slot(3, 0, 30)])]);
        assert_eq!(seen(&overlay), (Some(2), [11, 20, 30], true));
        // What is gone does not come back with the account.
        overlay.apply(&[change(None, vec![])]);
        assert_eq!(seen(&overlay), (None, [0, 0, 0], false));
        overlay.apply(&[change(Some(info(1)), vec![])]);
        assert_eq!(seen(&overlay), (Some(1), [0, 0, 0], false));
        overlay.apply(&[change(Some(info(1)), vec![slot(2, 0, 21)])]);
        assert_eq!(seen(&overlay), (Some(1), [0, 21, 0], true));
        overlay.apply(&[change(Some(info(1)), vec![slot(2, 21, 0)])]);
        assert_eq!(seen(&overlay), (Some(1), [0, 0, 0], false));

        let deployed = Bytes::from_static(&[4]);
        let after = AccountInfo { code_hash: H256([4; 32]), ..info(1) };
        overlay.apply(&[AccountDiff { code: Some(deployed.clone()), ..change(Some(after), vec![]) }]);
        assert_eq!(overlay.code(&H256([4; 32])), Ok(deployed));
        assert_eq!(overlay.code(&H256([8; 32])), Err(StateError::CodeMissing(H256([8; 32]))));

        overlay.clear();
        assert_eq!(seen(&overlay), (Some(1), [10, 20, 0], true));
        assert_eq!(overlay.account(&H160([8; 20])), Ok(None));
    }
}
