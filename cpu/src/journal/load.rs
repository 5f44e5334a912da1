//! Accounts that the journal knows, and those that it reads from the base.

use super::{AccountEntry, AccountIndex, Journal};
use crate::mixer::same;
use isolane_spec::{AccountInfo, H160, KECCAK_EMPTY, StateError, StateView, U256};

/// What accounts are told apart by at first: their last bytes.
#[inline(always)]
fn tag(address: &H160) -> u32 {
    let [.., a, b, c, d] = address.0;
    u32::from_ne_bytes([a, b, c, d])
}

/// An account that is not there.
const BLANK: AccountEntry = AccountEntry {
    address: H160([0; 20]),
    info: AccountInfo { nonce: 0, balance: U256([0; 4]), code_hash: KECCAK_EMPTY },
    exists: false,
    new_code: None,
    program: u32::MAX,
    delegation: None,
    wiped: false,
    incarnation: 0,
    transaction: 0,
    warm: false,
    touched: false,
    created: false,
    destroyed: false,
    listed: false,
    stored: false,
    code_read: false,
    before: None,
};

impl Journal {
    /// The index of an account that was seen before.
    #[inline(always)]
    pub fn find(&self, address: &H160) -> Option<AccountIndex> {
        if let Some(entry) = self.accounts.get(self.recent as usize)
            && same(&entry.address, address)
        {
            return Some(self.recent);
        }
        let is_it = |i: AccountIndex| same(&self.accounts[i as usize].address, address);
        self.account_index.find(tag(address), || self.hasher.address(address), is_it)
    }

    /// The index of an account; reads the base where it was not seen before.
    #[inline]
    pub fn load(&mut self, address: &H160, base: &dyn StateView) -> Result<AccountIndex, StateError> {
        Ok(self.load_told(address, base)?.0)
    }

    /// The index of an account as [`Self::load`] returns it, and whether the transaction had looked at it before.
    #[inline]
    pub fn load_told(&mut self, address: &H160, base: &dyn StateView) -> Result<(AccountIndex, bool), StateError> {
        match self.find(address) {
            Some(account) => {
                let seen = self.account(account).transaction == self.transaction;
                self.enter(account);
                Ok((account, seen))
            }
            None => Ok((self.read(address, base)?, false)),
        }
    }

    /// Reads an account from the base.
    #[inline(never)]
    fn read(&mut self, address: &H160, base: &dyn StateView) -> Result<AccountIndex, StateError> {
        let told;
        let found = match base.memory() {
            // Copied from where it lies.
            Some(state) => state.accounts.get(address).map(|account| &account.info),
            None => {
                told = base.account(address)?;
                told.as_ref()
            }
        };
        let account = self.accounts.len() as AccountIndex;
        // A constant is copied to its place as it is; what is put together first would be copied from the stack.
        self.accounts.resize_with(account as usize + 1, || BLANK);
        let transaction = self.transaction;
        if let Some(entry) = self.accounts.last_mut() {
            entry.address = *address;
            entry.transaction = transaction;
            if let Some(info) = found {
                entry.exists = true;
                entry.info = *info;
                entry.before = Some(*info);
            }
        }
        self.accounts_read.push(account);
        let Self { account_index, accounts, hasher, .. } = self;
        account_index.push(tag(address), |i| hasher.address(&accounts[i as usize].address));
        self.recent = account;
        Ok(account)
    }
}
