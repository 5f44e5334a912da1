//! Many changes, one after another, as one change.

use alloy_primitives::map::HashMap;
use isolane_spec::{AccountDiff, AccountInfo, Bytes, H160, SlotDiff, U256};
use std::collections::hash_map::Entry;

struct Merged {
    before: Option<AccountInfo>,
    after: Option<AccountInfo>,
    code: Option<Bytes>,
    wiped: bool,
    /// Slot to its values before the first and after the last change.
    storage: HashMap<U256, (U256, U256)>,
}

/// Merges the diffs of successive executions: each starts where the one before it ended.
#[derive(Default)]
pub struct DiffMerger {
    accounts: HashMap<H160, Merged>,
}

impl DiffMerger {
    /// Adds the next diff.
    pub fn add(&mut self, diff: &[AccountDiff]) {
        for change in diff {
            match self.accounts.entry(change.address) {
                Entry::Vacant(vacant) => {
                    let storage = change.storage.iter().map(|slot| (slot.key, (slot.before, slot.after))).collect();
                    vacant.insert(Merged {
                        before: change.before,
                        after: change.after,
                        code: change.code.clone(),
                        wiped: change.storage_wiped,
                        storage,
                    });
                }
                Entry::Occupied(occupied) => occupied.into_mut().follow(change),
            }
        }
    }

    /// All of it as one diff, sorted; what ended as it began is left out.
    #[must_use]
    pub fn finish(self) -> Vec<AccountDiff> {
        let mut diff: Vec<_> =
            self.accounts.into_iter().filter_map(|(address, merged)| merged.finish(address)).collect();
        diff.sort_unstable_by_key(|change| change.address);
        diff
    }
}

impl Merged {
    fn follow(&mut self, change: &AccountDiff) {
        self.after = change.after;
        if change.code.is_some() {
            self.code.clone_from(&change.code);
        }
        if change.storage_wiped {
            self.wiped = true;
            for value in self.storage.values_mut() {
                value.1 = U256::zero();
            }
        }
        for slot in &change.storage {
            self.storage.entry(slot.key).or_insert((slot.before, slot.after)).1 = slot.after;
        }
    }

    fn finish(self, address: H160) -> Option<AccountDiff> {
        if self.before.is_none() && self.after.is_none() {
            return None;
        }
        let mut storage: Vec<_> = self
            .storage
            .into_iter()
            // A wiped account lists what is there now, any other what differs.
            .filter(|(_, (before, after))| if self.wiped { !after.is_zero() } else { before != after })
            .map(|(key, (before, after))| SlotDiff { key, before, after })
            .collect();
        if self.before == self.after && !self.wiped && storage.is_empty() {
            return None;
        }
        storage.sort_unstable_by_key(|slot| slot.key);
        let hash = |info: Option<AccountInfo>| info.unwrap_or_default().code_hash;
        let changed = hash(self.before) != hash(self.after) && hash(self.after) != isolane_spec::KECCAK_EMPTY;
        let code = self.code.filter(|_| changed);
        Some(AccountDiff { address, before: self.before, after: self.after, code, storage_wiped: self.wiped, storage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(nonce: u64) -> Option<AccountInfo> {
        Some(AccountInfo { nonce, ..AccountInfo::default() })
    }

    fn change(
        before: Option<AccountInfo>,
        after: Option<AccountInfo>,
        wiped: bool,
        slots: &[(u64, u64, u64)],
    ) -> AccountDiff {
        let slot = |(key, before, after): &(u64, u64, u64)| SlotDiff {
            key: (*key).into(),
            before: (*before).into(),
            after: (*after).into(),
        };
        AccountDiff {
            address: H160::repeat_byte(7),
            before,
            after,
            code: None,
            storage_wiped: wiped,
            storage: slots.iter().map(slot).collect(),
        }
    }

    fn merge(diffs: &[AccountDiff]) -> Vec<AccountDiff> {
        let mut merger = DiffMerger::default();
        for diff in diffs {
            merger.add(std::slice::from_ref(diff));
        }
        merger.finish()
    }

    #[test]
    fn first_before_and_last_after_stay() {
        let merged = merge(&[
            change(info(1), info(2), false, &[(1, 10, 11), (2, 20, 21)]),
            change(info(2), info(3), false, &[(0, 0, 5), (1, 11, 10)]),
        ]);
        assert_eq!(merged, [change(info(1), info(3), false, &[(0, 0, 5), (2, 20, 21)])]);
    }

    #[test]
    fn what_ends_as_it_began_is_no_change() {
        assert_eq!(
            merge(&[change(info(1), info(2), false, &[(1, 3, 4)]), change(info(2), info(1), false, &[(1, 4, 3)])]),
            []
        );
        assert_eq!(merge(&[change(None, info(1), true, &[(1, 0, 4)]), change(info(1), None, true, &[])]), []);
    }

    #[test]
    fn a_wiped_account_lists_what_is_there_now() {
        let merged = merge(&[
            change(info(1), info(1), false, &[(1, 3, 4), (5, 6, 7)]),
            change(info(1), None, true, &[]),
            change(None, info(1), true, &[(1, 0, 9)]),
        ]);
        assert_eq!(merged, [change(info(1), info(1), true, &[(1, 3, 9)])]);
    }
}
