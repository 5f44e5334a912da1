//! Accounts that the journal knows, and those that it reads from the base.

use super::{AccountEntry, AccountIndex, Journal};
use crate::mixer::same;
use isolane_spec::{AccountInfo, H160, StateError, StateView};

impl Journal {
    /// The index of an account that was seen before; or the hash of its address.
    #[inline(always)]
    fn look_up(&self, address: &H160) -> Result<AccountIndex, u64> {
        if let Some(entry) = self.accounts.get(self.recent as usize)
            && same(&entry.address, address)
        {
            return Ok(self.recent);
        }
        let hash = self.hasher.address(address);
        self.account_table.find(hash, |&i| same(&self.accounts[i as usize].address, address)).copied().ok_or(hash)
    }

    /// The index of an account that was seen before.
    #[inline(always)]
    pub fn find(&self, address: &H160) -> Option<AccountIndex> {
        self.look_up(address).ok()
    }

    /// The index of an account; reads the base where it was not seen before.
    #[inline]
    pub fn load(&mut self, address: &H160, base: &dyn StateView) -> Result<AccountIndex, StateError> {
        Ok(self.load_told(address, base)?.0)
    }

    /// The index of an account as [`Self::load`] returns it, and whether the transaction had looked at it before.
    #[inline]
    pub fn load_told(&mut self, address: &H160, base: &dyn StateView) -> Result<(AccountIndex, bool), StateError> {
        match self.look_up(address) {
            Ok(account) => {
                let seen = self.account(account).transaction == self.transaction;
                self.enter(account);
                Ok((account, seen))
            }
            Err(hash) => Ok((self.read(address, hash, base)?, false)),
        }
    }

    /// Reads an account from the base.
    #[inline(never)]
    fn read(&mut self, address: &H160, hash: u64, base: &dyn StateView) -> Result<AccountIndex, StateError> {
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
        // Built in its place, where `push` would build it on the stack first.
        let transaction = self.transaction;
        self.accounts.resize_with(account as usize + 1, || AccountEntry {
            address: *address,
            info: AccountInfo::default(),
            exists: false,
            new_code: None,
            program: u32::MAX,
            delegation: None,
            wiped: false,
            incarnation: 0,
            transaction,
            warm: false,
            touched: false,
            created: false,
            destroyed: false,
            listed: false,
            stored: false,
            code_read: false,
            before: None,
        });
        if let (Some(entry), Some(info)) = (self.accounts.last_mut(), found) {
            entry.exists = true;
            entry.info = *info;
            entry.before = Some(*info);
        }
        self.accounts_read.push(account);
        let Self { account_table, accounts, hasher, .. } = self;
        account_table.insert_unique(hash, account, |&i| hasher.address(&accounts[i as usize].address));
        self.recent = account;
        Ok(account)
    }
}
