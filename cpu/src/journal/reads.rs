//! What the journal knows of what a transaction looked at.

use super::Journal;
use isolane_spec::{AccountRead, Fork, Reads, SlotRead};

impl Journal {
    /// How many accounts and slots the transaction has looked at so far.
    pub fn count_reads(&self) -> (usize, usize) {
        (self.accounts_read.len(), self.slots_read.len())
    }

    /// The account that the transaction looked at first after `index` others.
    pub fn account_read(&self, index: usize) -> Option<AccountRead> {
        let entry = self.account(*self.accounts_read.get(index)?);
        Some(AccountRead {
            address: entry.address,
            before: entry.before,
            code: entry.code_read,
            warm: entry.warm && self.fork >= Fork::Berlin,
        })
    }

    /// The slot that the transaction looked at first after `index` others.
    pub fn slot_read(&self, index: usize) -> Option<SlotRead> {
        let slot = self.slots.get(*self.slots_read.get(index)? as usize)?;
        Some(SlotRead {
            address: self.account(slot.account).address,
            key: slot.key,
            before: slot.original,
            warm: slot.warm && self.fork >= Fork::Berlin,
        })
    }

    /// All that the transaction looked at, in block `number`.
    pub fn reads(&self, number: u64) -> Reads {
        let (accounts, slots) = self.count_reads();
        let read = |back: &u64| {
            let bit = back - 1;
            self.block_hashes_read.get((bit / 64) as usize).is_some_and(|bits| bits >> (bit % 64) & 1 == 1)
        };
        Reads {
            accounts: (0..accounts).filter_map(|index| self.account_read(index)).collect(),
            slots: (0..slots).filter_map(|index| self.slot_read(index)).collect(),
            block_hashes: (1..=256).rev().filter(read).filter_map(|back| number.checked_sub(back)).collect(),
        }
    }
}
