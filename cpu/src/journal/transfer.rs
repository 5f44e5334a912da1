//! The journal's state, taken out and put in.

use super::Journal;
use crate::overlay::Written;
use hashbrown::HashMap;
use isolane_spec::{AccountDiff, AccountInfo, H160, StateError, StateView};

impl Journal {
    /// All accounts that the lane knows, as they stand between two transactions.
    pub fn export(&self) -> HashMap<H160, Written> {
        let mut accounts: HashMap<H160, Written> = self
            .accounts
            .iter()
            .map(|entry| {
                let written = Written {
                    info: entry.exists.then_some(entry.info),
                    wiped: entry.wiped,
                    code: entry.new_code.clone(),
                    ..Written::default()
                };
                (entry.address, written)
            })
            .collect();
        for slot in &self.slots {
            let Some(entry) = self.accounts.get(slot.account as usize) else { continue };
            // Slots of an earlier incarnation are zero, and the base's are gone.
            if slot.incarnation == entry.incarnation
                && let Some(written) = accounts.get_mut(&entry.address)
            {
                written.storage.insert(slot.key, slot.value);
            }
        }
        accounts
    }

    /// Takes over what another lane changed, as a transaction of its own.
    pub fn apply(&mut self, diff: &[AccountDiff], base: &dyn StateView) -> Result<(), StateError> {
        self.begin();
        for change in diff {
            let account = self.load(&change.address, base)?;
            let entry = self.entry(account);
            entry.exists = change.after.is_some();
            entry.info = change.after.unwrap_or_default();
            let code_changed = change.before.unwrap_or_default().code_hash != entry.info.code_hash;
            if code_changed {
                entry.new_code.clone_from(&change.code);
                entry.program = u32::MAX;
                entry.delegation = None;
            }
            if change.storage_wiped {
                entry.wiped = true;
                entry.incarnation += 1;
            }
            for slot in &change.storage {
                let index = self.load_slot(account, &slot.key, base)?;
                if let Some(entry) = self.slots.get_mut(index as usize) {
                    entry.value = slot.after;
                }
            }
        }
        self.begin();
        Ok(())
    }

    /// What a transaction that pays a fee to an account that it does not look at changes there: what [`Self::finish`]
    /// would tell if the account were as it is `now`.
    pub fn fee_diff(&self, address: H160, now: Option<AccountInfo>, fee: isolane_spec::U256) -> Option<AccountDiff> {
        let mut info = now.unwrap_or_default();
        info.balance = info.balance.overflowing_add(fee).0;
        let removed = self.fork >= isolane_spec::Fork::SpuriousDragon && info.is_empty();
        let after = (!removed).then_some(info);
        (after != now).then_some(AccountDiff {
            address,
            before: now,
            after,
            code: None,
            storage_wiped: removed,
            storage: Vec::new(),
        })
    }
}
