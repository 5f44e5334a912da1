//! The net effect of many executions: what a block changed, whatever happened in between.

use isolane_spec::{AccountDiff, AccountInfo, Bytes, H160, SlotDiff, StateView, U256};
use std::collections::HashMap;

/// What became of one account.
#[derive(Clone, Debug, Default)]
struct Net {
    before: Option<AccountInfo>,
    after: Option<AccountInfo>,
    code: Option<Bytes>,
    wiped: bool,
    storage: HashMap<U256, (U256, U256)>,
}

/// Accumulates diffs in the order of execution.
#[derive(Clone, Debug, Default)]
pub struct NetChanges(HashMap<H160, Net>);

impl NetChanges {
    /// Adds what an execution changed.
    pub fn add(&mut self, diff: &[AccountDiff]) {
        for change in diff {
            let net = self.0.entry(change.address).or_insert_with(|| Net { before: change.before, ..Net::default() });
            net.after = change.after;
            if change.after.is_none() || change.storage_wiped {
                net.wiped = true;
                for (_, after) in net.storage.values_mut() {
                    *after = U256::zero();
                }
            }
            if change.code.is_some() {
                net.code.clone_from(&change.code);
            }
            for slot in &change.storage {
                net.storage.entry(slot.key).or_insert((slot.before, slot.after)).1 = slot.after;
            }
        }
    }

    /// The net diff, sorted by address; accounts that ended as they began are left out. `base` is the state before all
    /// of it; it tells what a slot of a destroyed account held.
    #[must_use]
    pub fn finish(self, base: &dyn StateView) -> Vec<AccountDiff> {
        let mut list: Vec<AccountDiff> = self.0.into_iter().filter_map(|(address, net)| net.diff(address, base)).collect();
        list.sort_unstable_by_key(|change| change.address);
        list
    }
}

impl Net {
    fn diff(self, address: H160, base: &dyn StateView) -> Option<AccountDiff> {
        let mut storage: Vec<SlotDiff> = Vec::with_capacity(self.storage.len());
        for (key, (before, after)) in self.storage {
            // After a destruction the execution saw zero, not what the block began with.
            let before = if self.wiped { base.storage(&address, &key).unwrap_or(before) } else { before };
            if before != after {
                storage.push(SlotDiff { key, before, after });
            }
        }
        storage.sort_unstable_by_key(|slot| slot.key);
        let code_changed = self.before.map(|info| info.code_hash) != self.after.map(|info| info.code_hash);
        let code = self.code.filter(|_| code_changed);
        if self.before == self.after && storage.is_empty() && !self.wiped {
            return None;
        }
        Some(AccountDiff { address, before: self.before, after: self.after, code, storage_wiped: self.wiped, storage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_spec::{MemoryState, SlotDiff};

    fn info(nonce: u64) -> AccountInfo {
        AccountInfo { nonce, ..AccountInfo::default() }
    }

    fn diff(before: Option<u64>, after: Option<u64>, wiped: bool, slots: &[(u64, u64, u64)]) -> AccountDiff {
        AccountDiff {
            address: H160::repeat_byte(1),
            before: before.map(info),
            after: after.map(info),
            code: None,
            storage_wiped: wiped,
            storage: slots
                .iter()
                .map(|(key, before, after)| SlotDiff {
                    key: (*key).into(),
                    before: (*before).into(),
                    after: (*after).into(),
                })
                .collect(),
        }
    }

    #[test]
    fn what_is_undone_is_no_change() {
        let mut net = NetChanges::default();
        net.add(&[diff(Some(1), Some(2), false, &[(7, 1, 2), (8, 0, 5)])]);
        net.add(&[diff(Some(2), Some(1), false, &[(7, 2, 1)])]);
        let list = net.finish(&MemoryState::default());
        assert_eq!(list, [diff(Some(1), Some(1), false, &[(8, 0, 5)])]);
    }

    #[test]
    fn destroyed_and_created_anew() {
        let mut base = MemoryState::default();
        base.insert(H160::repeat_byte(1), info(1), Bytes::new(), [(7.into(), 9.into())]);
        let mut net = NetChanges::default();
        net.add(&[diff(Some(1), None, true, &[])]);
        net.add(&[diff(None, Some(1), true, &[(7, 0, 4)])]);
        assert_eq!(net.finish(&base), [diff(Some(1), Some(1), true, &[(7, 9, 4)])]);
    }
}
