//! The states from before the transactions, as open-addressed tables that lanes read. The host keeps the same words and
//! sends what changed.

use crate::lanes::account_words;
use crate::pack::{address_limbs, limbs};
use isolane_spec::layout::{BLOCK_HASHES, NO_CODE, UNKNOWN_CODE, account, account_flag, base_account, base_slot, mix};
use isolane_spec::{AccountInfo, H160, KECCAK_EMPTY, U256};
use std::ops::Range;

/// One open-addressed table.
struct Table {
    words: Vec<u32>,
    /// Words of an entry; the first is its state's key, 0 for a free place.
    stride: usize,
    /// Where its key lies in an entry.
    key: Range<usize>,
    used: usize,
}

impl Table {
    fn new(stride: u32, key: Range<u32>, places: usize) -> Self {
        let stride = stride as usize;
        let key = key.start as usize..key.end as usize;
        Self { words: vec![0; stride * places.next_power_of_two().max(16)], stride, key, used: 0 }
    }

    fn places(&self) -> usize {
        self.words.len() / self.stride
    }

    /// The place of an entry: its own, or a free one.
    fn place(&self, state: u32, key: &[u32]) -> usize {
        let mask = self.places() - 1;
        let mut place = key.iter().fold(state, |hash, &word| mix(hash, word)) as usize & mask;
        loop {
            let at = place * self.stride;
            let there = self.words[at];
            if there == 0 || there == state && self.words[at + self.key.start..at + self.key.end] == *key {
                return at;
            }
            place = (place + 1) & mask;
        }
    }

    /// Writes an entry. Returns the words that changed, or `None` where everything moved.
    fn set(&mut self, entry: &[u32]) -> Option<Range<usize>> {
        let grown = self.reserve(1);
        let at = self.place(entry[0], &entry[self.key.clone()]);
        if self.words[at] == 0 {
            self.used += 1;
        }
        self.words[at..at + self.stride].copy_from_slice(entry);
        (!grown).then(|| at..at + self.stride)
    }

    fn get(&self, state: u32, key: &[u32]) -> Option<&[u32]> {
        let at = self.place(state, key);
        (self.words[at] != 0).then(|| &self.words[at..at + self.stride])
    }

    /// Makes room for more entries; whether that moved the others.
    fn reserve(&mut self, more: usize) -> bool {
        let places = ((self.used + more) * 2).next_power_of_two();
        if places <= self.places() {
            return false;
        }
        let old = std::mem::replace(&mut self.words, vec![0; places * self.stride]);
        for entry in old.chunks(self.stride).filter(|entry| entry[0] != 0) {
            let at = self.place(entry[0], &entry[self.key.clone()]);
            self.words[at..at + self.stride].copy_from_slice(entry);
        }
        true
    }
}

/// Accounts and slots of all states of a batch.
pub(crate) struct StateTables {
    accounts: Table,
    slots: Table,
    /// Words that the device does not have yet; `None`: all.
    dirty: Option<[Vec<Range<usize>>; 2]>,
}

impl StateTables {
    pub fn new() -> Self {
        let account_key = base_account::ENTRY + account::ADDRESS;
        Self {
            accounts: Table::new(base_account::SIZE, account_key..account_key + 5, 64),
            slots: Table::new(base_slot::SIZE, base_slot::ADDRESS..base_slot::ADDRESS + 13, 64),
            dirty: None,
        }
    }

    /// Makes room, so that what follows moves nothing.
    pub fn reserve(&mut self, accounts: usize, slots: usize) {
        if self.accounts.reserve(accounts) | self.slots.reserve(slots) {
            self.dirty = None;
        }
    }

    /// An account: `entry` as a lane's journal has it.
    pub fn set_account(&mut self, state: u32, entry: &[u32; account::SIZE as usize]) {
        let mut words = [0; base_account::SIZE as usize];
        words[0] = state + 1;
        words[base_account::ENTRY as usize..].copy_from_slice(entry);
        let changed = self.accounts.set(&words);
        self.note(0, changed);
    }

    /// An account that exists. `has_storage` and `code` are `None` where they are not known yet.
    pub fn set_state_account(
        &mut self,
        state: u32,
        address: &H160,
        info: &AccountInfo,
        has_storage: Option<bool>,
        code: Option<u32>,
    ) {
        let storage = match has_storage {
            Some(true) => account_flag::STORAGE_KNOWN | account_flag::HAS_STORAGE,
            Some(false) => account_flag::STORAGE_KNOWN,
            None => 0,
        };
        let code = if info.code_hash == KECCAK_EMPTY { NO_CODE } else { code.unwrap_or(UNKNOWN_CODE) };
        self.set_account(state, &account_words(address, info, account_flag::EXISTS | storage, code));
    }

    /// An account that does not exist.
    pub fn remove_account(&mut self, state: u32, address: &H160) {
        let words = account_words(address, &AccountInfo::default(), account_flag::STORAGE_KNOWN, NO_CODE);
        self.set_account(state, &words);
    }

    /// All slots of an account become zero.
    pub fn wipe(&mut self, state: u32, address: &H160) {
        let address = address_limbs(address);
        let owner = base_slot::ADDRESS as usize..base_slot::ADDRESS as usize + 5;
        let mut changed = false;
        for entry in self.slots.words.chunks_mut(base_slot::SIZE as usize) {
            if entry[0] == state + 1 && entry[owner.clone()] == address {
                entry[base_slot::VALUE as usize..].fill(0);
                changed = true;
            }
        }
        if changed {
            self.dirty = None;
        }
    }

    /// The account, as a lane's journal has it.
    pub fn account(&self, state: u32, address: &H160) -> Option<[u32; account::SIZE as usize]> {
        let found = self.accounts.get(state + 1, &address_limbs(address))?;
        found.get(base_account::ENTRY as usize..)?.try_into().ok()
    }

    /// A storage slot.
    pub fn set_slot(&mut self, state: u32, address: &H160, key: &U256, value: &U256) {
        self.set(state, address_limbs(address), key, value);
    }

    /// The hash of a block, as a number.
    pub fn set_block_hash(&mut self, state: u32, number: &U256, hash: &U256) {
        self.set(state, BLOCK_HASHES, number, hash);
    }

    fn set(&mut self, state: u32, address: [u32; 5], key: &U256, value: &U256) {
        let mut words = [0; base_slot::SIZE as usize];
        words[0] = state + 1;
        words[base_slot::ADDRESS as usize..][..5].copy_from_slice(&address);
        words[base_slot::KEY as usize..][..8].copy_from_slice(&limbs(key));
        words[base_slot::VALUE as usize..][..8].copy_from_slice(&limbs(value));
        let changed = self.slots.set(&words);
        self.note(1, changed);
    }

    fn note(&mut self, table: usize, changed: Option<Range<usize>>) {
        match (&mut self.dirty, changed) {
            (Some(dirty), Some(range)) => dirty[table].push(range),
            _ => self.dirty = None,
        }
    }

    /// Whether each table can take one more entry without both becoming longer than `limit` words.
    pub fn has_room(&self, limit: usize) -> bool {
        let grown = |table: &Table| {
            let places = ((table.used + 1) * 2).next_power_of_two().max(table.places());
            places * table.stride
        };
        grown(&self.accounts) + grown(&self.slots) <= limit
    }

    /// Words of both tables.
    pub fn len(&self) -> usize {
        self.accounts.words.len() + self.slots.words.len()
    }

    /// Places of the tables less one.
    pub fn masks(&self) -> [u32; 2] {
        [self.accounts.places() as u32 - 1, self.slots.places() as u32 - 1]
    }

    /// Where the table of slots starts, in words.
    pub fn slots_at(&self) -> u32 {
        self.accounts.words.len() as u32
    }

    /// What the device does not have yet: where it goes, and the words. Long runs where everything changed.
    pub fn unsent(&mut self) -> Vec<(usize, &[u32])> {
        let base = self.accounts.words.len();
        let dirty = self.dirty.replace([Vec::new(), Vec::new()]);
        let Some([accounts, slots]) = dirty else {
            return vec![(0, &self.accounts.words), (base, &self.slots.words)];
        };
        let accounts = accounts.into_iter().map(|range| (range.start, &self.accounts.words[range]));
        let slots = slots.into_iter().map(|range| (base + range.start, &self.slots.words[range]));
        accounts.chain(slots).collect()
    }

    /// All words are to be sent again.
    pub fn resend(&mut self) {
        self.dirty = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_growth() {
        let mut tables = StateTables::new();
        let address = |i: u64| H160::from_low_u64_be(i);
        for i in 0..500 {
            let mut entry = [0; account::SIZE as usize];
            entry[..5].copy_from_slice(&address_limbs(&address(i)));
            entry[account::NONCE as usize] = i as u32;
            tables.set_account(i as u32 % 3, &entry);
            tables.set_slot(0, &address(i), &i.into(), &(i + 1).into());
        }
        for i in 0..500u64 {
            let entry = tables.account(i as u32 % 3, &address(i)).expect("it is there");
            assert_eq!(entry[account::NONCE as usize], i as u32);
            assert_eq!(tables.account((i as u32 + 1) % 3, &address(i)), None);
        }
        assert_eq!(tables.unsent().len(), 2, "all of it");
        tables.set_slot(0, &address(3), &3.into(), &9.into());
        assert_eq!(tables.unsent().len(), 1);
        assert!(tables.unsent().is_empty());
    }
}
