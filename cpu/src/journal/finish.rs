//! The end of a transaction in the journal: what changed.

use super::{AccountIndex, Journal, SlotEntry, SlotIndex};
use isolane_spec::{AccountDiff, Fork, H160, KECCAK_EMPTY, SlotDiff};

/// An address as numbers that compare as it does.
#[inline(always)]
pub(crate) fn in_order(address: &H160) -> (u128, u32) {
    let (high, low) = address.0.split_at(16);
    let mut numbers = ([0; 16], [0; 4]);
    numbers.0.copy_from_slice(high);
    numbers.1.copy_from_slice(low);
    (u128::from_be_bytes(numbers.0), u32::from_be_bytes(numbers.1))
}

/// Sorts by a key. Mostly there are three or four of them.
#[inline(always)]
fn sort_few<T: Copy, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    if items.len() > 8 {
        items.sort_unstable_by_key(key);
        return;
    }
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && key(&items[at]) < key(&items[at - 1]) {
            items.swap(at, at - 1);
            at -= 1;
        }
    }
}

impl Journal {
    /// Ends the transaction: removes what was destroyed and what is touched and empty, and returns what changed.
    pub fn finish(&mut self) -> Vec<AccountDiff> {
        self.forget_undo();
        let Self { changed, changed_slots: slots, slots: entries, accounts, .. } = self;
        let place = |slot: &SlotIndex| &entries[*slot as usize];
        slots.retain(|slot| place(slot).value != place(slot).original);
        for slot in slots.iter() {
            accounts[place(slot).account as usize].stored = true;
        }
        let clears_empty = self.fork >= Fork::SpuriousDragon;
        let (mut removed, mut gone) = (false, false);
        changed.retain(|&account| {
            let entry = &mut accounts[account as usize];
            if entry.destroyed || clears_empty && entry.touched && entry.info.is_empty() {
                removed = true;
                gone |= entry.before.is_some();
                entry.remove();
                return entry.before.is_some();
            }
            match &entry.before {
                Some(before) => entry.stored || !entry.exists || *before != entry.info,
                None => entry.stored || entry.exists,
            }
        });
        if removed {
            // One that the base does not have, either, is as it was.
            self.remade |= gone;
            slots.retain(|slot| accounts[place(slot).account as usize].exists);
        }
        let order = |account: AccountIndex| in_order(&accounts[account as usize].address);
        sort_few(changed, |&account| order(account));
        if slots.len() > 1 {
            slots.sort_unstable_by(|a, b| {
                let (a, b) = (place(a), place(b));
                if a.account == b.account { a.key.cmp(&b.key) } else { order(a.account).cmp(&order(b.account)) }
            });
        }
        let mut each_slot = slots.iter().map(place);
        let diff = changed.iter().map(|&account| {
            let entry = &accounts[account as usize];
            let count = each_slot.clone().take_while(|slot| slot.account == account).count();
            let slot_diff = |slot: &SlotEntry| SlotDiff { key: slot.key, before: slot.original, after: slot.value };
            let storage = match count {
                0 => Vec::new(),
                _ => each_slot.by_ref().take(count).map(slot_diff).collect(),
            };
            let code = match &entry.before {
                Some(before) if before.code_hash == entry.info.code_hash => None,
                _ if entry.info.code_hash == KECCAK_EMPTY => None,
                _ => entry.new_code.clone(),
            };
            AccountDiff {
                address: entry.address,
                before: entry.before,
                after: entry.exists.then_some(entry.info),
                code,
                // Only what is removed does not exist afterwards.
                storage_wiped: !entry.exists,
                storage,
            }
        });
        diff.collect()
    }
}
