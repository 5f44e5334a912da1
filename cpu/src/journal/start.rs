//! Where transactions start: at the base, or at what those before them left.

use super::Journal;
use isolane_spec::Fork;

/// What is read of the base is kept from transaction to transaction ([`Journal::rewind`]) up to so many accounts or slots: a few of
/// them are the same each time, and where there are more they are looked for in a slower way.
const KEPT: usize = 5;

impl Journal {
    /// Forgets everything: back to the base, which may be another now.
    pub fn reset(&mut self, fork: Fork) {
        self.fork = fork;
        self.transaction = 1;
        self.accounts.clear();
        self.account_index.clear();
        self.slots.clear();
        self.slot_index.clear();
        self.begin();
        self.begun = 0;
        self.remade = false;
    }

    /// Back to the base, which is still the same: some of what was read of it is kept.
    pub fn rewind(&mut self) {
        if self.begun > 1 || self.remade || self.accounts.len() > KEPT || self.slots.len() > KEPT {
            self.reset(self.fork);
            return;
        }
        for &account in &self.changed {
            let entry = &mut self.accounts[account as usize];
            entry.exists = entry.before.is_some();
            entry.info = entry.before.unwrap_or_default();
        }
        for &slot in &self.changed_slots {
            let entry = &mut self.slots[slot as usize];
            entry.value = entry.original;
        }
        self.begun = 0;
    }

    /// Starts a transaction: nothing is warm, nothing can be undone.
    pub fn begin(&mut self) {
        self.transaction += 1;
        self.begun += 1;
        if !self.transient.is_empty() {
            self.transient.clear();
        }
        self.forget_undo();
        self.changed.clear();
        self.changed_slots.clear();
        self.logs.clear();
        self.messages.clear();
        self.refund = 0;
        self.accounts_read.clear();
        self.slots_read.clear();
        self.block_hashes_read = [0; 4];
    }
}
