//! Storage and transient storage in the journal.

use super::{AccountIndex, Journal, RECENT_SLOTS, SlotEntry, SlotIndex, Undo};
use isolane_spec::{StateError, StateView, U256};

/// What slots are told apart by at first.
#[inline(always)]
fn tag(account: AccountIndex, key: &U256) -> u32 {
    key.0[0] as u32 ^ account << 28
}

impl Journal {
    /// The index of a slot that was seen before.
    #[inline(always)]
    pub fn find_slot(&mut self, account: AccountIndex, key: &U256) -> Option<SlotIndex> {
        let is_it = |i: SlotIndex| {
            let slot = &self.slots[i as usize];
            slot.key == *key && slot.account == account
        };
        let many = !self.slot_index.is_few();
        let place = key.0[0] as usize % RECENT_SLOTS;
        let recent = self.recent_slots[place];
        let index = if many && (recent as usize) < self.slots.len() && is_it(recent) {
            recent
        } else {
            self.slot_index.find(tag(account, key), || self.hasher.slot(account, key), is_it)?
        };
        if many {
            self.recent_slots[place] = index;
        }
        let incarnation = self.accounts[account as usize].incarnation;
        let slot = &mut self.slots[index as usize];
        if slot.incarnation != incarnation {
            slot.incarnation = incarnation;
            slot.value = U256::zero();
        }
        if slot.transaction != self.transaction {
            self.renew_slot(index);
        }
        Some(index)
    }

    /// The first time in a transaction that a slot of an earlier one is seen.
    #[inline(never)]
    fn renew_slot(&mut self, index: SlotIndex) {
        self.slots_read.push(index);
        let slot = &mut self.slots[index as usize];
        slot.transaction = self.transaction;
        slot.original = slot.value;
        slot.warm = false;
        slot.listed = false;
        slot.written = false;
    }

    /// The index of a slot; reads the base where it was not seen before.
    pub fn load_slot(
        &mut self,
        account: AccountIndex,
        key: &U256,
        base: &dyn StateView,
    ) -> Result<SlotIndex, StateError> {
        match self.find_slot(account, key) {
            Some(slot) => Ok(slot),
            None => self.read_slot(account, key, base, None),
        }
    }

    /// The index of a slot that was not seen before. `ahead` is what the base has there, if that is known.
    pub fn read_slot(
        &mut self,
        account: AccountIndex,
        key: &U256,
        base: &dyn StateView,
        ahead: Option<U256>,
    ) -> Result<SlotIndex, StateError> {
        let entry = &self.accounts[account as usize];
        // What is created in this transaction has no storage in the base, and a witness need not prove that.
        let value = if entry.wiped || entry.created && entry.transaction == self.transaction || !entry.exists {
            U256::zero()
        } else {
            match ahead {
                Some(value) => value,
                None => base.storage(&entry.address, key)?,
            }
        };
        let index = self.slots.len() as SlotIndex;
        self.slots.push(SlotEntry {
            account,
            incarnation: entry.incarnation,
            key: *key,
            value,
            original: value,
            transaction: self.transaction,
            warm: false,
            listed: false,
            written: false,
        });
        self.slots_read.push(index);
        let Self { slot_index, slots, hasher, .. } = self;
        slot_index.push(tag(account, key), |i| {
            let slot = &slots[i as usize];
            hasher.slot(slot.account, &slot.key)
        });
        Ok(index)
    }

    #[inline(always)]
    pub fn slot_is_warm(&self, slot: SlotIndex) -> bool {
        self.slots[slot as usize].warm
    }

    #[inline(always)]
    pub fn warm_slot(&mut self, slot: SlotIndex) {
        let entry = &mut self.slots[slot as usize];
        if !entry.warm {
            entry.warm = true;
            self.undo.push(Undo::WarmSlot(slot));
        }
    }

    #[inline(always)]
    pub fn slot_value(&self, slot: SlotIndex) -> &U256 {
        &self.slots[slot as usize].value
    }

    /// The value before the transaction.
    #[inline(always)]
    pub fn slot_original(&self, slot: SlotIndex) -> &U256 {
        &self.slots[slot as usize].original
    }

    /// Whether the transaction ever gave the slot another value, undone or not.
    #[inline(always)]
    pub fn slot_is_written(&self, slot: SlotIndex) -> bool {
        self.slots[slot as usize].written
    }

    #[inline(always)]
    pub fn mark_written(&mut self, slot: SlotIndex) {
        self.slots[slot as usize].written = true;
    }

    #[inline(always)]
    pub fn set_slot(&mut self, slot: SlotIndex, value: U256) {
        let entry = &mut self.slots[slot as usize];
        let old = std::mem::replace(&mut entry.value, value);
        if old != value {
            if !entry.listed {
                entry.listed = true;
                let account = entry.account;
                self.changed_slots.push(slot);
                self.list(account);
            }
            self.undo.push(Undo::Slot(slot, old));
        }
    }

    /// TLOAD.
    pub fn transient(&self, account: AccountIndex, key: &U256) -> U256 {
        self.transient.get(&(account, *key)).copied().unwrap_or_default()
    }

    /// TSTORE.
    pub fn set_transient(&mut self, account: AccountIndex, key: U256, value: U256) {
        let old = self.transient.insert((account, key), value).unwrap_or_default();
        if old != value {
            self.undone_transient.push((key, old));
            self.undo.push(Undo::Transient(account));
        }
    }
}
