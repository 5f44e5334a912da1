//! What an outcome depended on, and whether that has changed.

use super::{Ended, Start};
use hashbrown::{HashMap, HashSet};
use isolane_spec::{AccountDiff, H160, U256};

/// What of the state the outcome of a transaction depended on. The fee does not make the coinbase one of the accounts:
/// it is added to whatever is there. Codes by hash and the hashes of ancestors are not listed, because nothing that a
/// transaction does changes one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Accounts whose nonce, balance, code or existence was read.
    pub accounts: HashSet<H160>,
    /// Slots that were read.
    pub slots: HashMap<H160, HashSet<U256>>,
    /// Accounts that were asked whether they have storage (EIP-7610).
    pub storage_asked: HashSet<H160>,
}

impl Reads {
    /// What a transaction that needed a lane has read.
    #[must_use]
    pub fn of(start: &Start, ended: &Ended) -> Self {
        let mut reads = Self::default();
        reads.accounts.extend(start.seeds.iter().map(|seed| seed.address));
        reads.accounts.extend(ended.accounts.iter().map(|account| account.address));
        for account in ended.accounts.iter().filter(|account| !account.slots.is_empty()) {
            let keys = account.slots.iter().map(|slot| slot.key);
            reads.slots.entry(account.address).or_default().extend(keys);
        }
        reads.storage_asked.extend(&ended.storage_asked);
        if start.kind == super::Kind::Create {
            reads.storage_asked.insert(start.target);
        }
        reads
    }
}

/// Whether a change concerns what was read: then the outcome may be another one, and the transaction runs again.
#[must_use]
pub fn conflicts(reads: &Reads, diff: &[AccountDiff]) -> bool {
    diff.iter().any(|change| {
        let address = &change.address;
        let slots = reads.slots.get(address);
        let account = change.before != change.after && reads.accounts.contains(address);
        let asked = (change.storage_wiped || !change.storage.is_empty()) && reads.storage_asked.contains(address);
        let wiped = change.storage_wiped && slots.is_some();
        account
            || asked
            || wiped
            || slots.is_some_and(|slots| change.storage.iter().any(|slot| slots.contains(&slot.key)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_spec::{AccountInfo, SlotDiff};

    const READ: H160 = H160([1; 20]);
    const OTHER: H160 = H160([2; 20]);

    fn info(nonce: u64) -> Option<AccountInfo> {
        Some(AccountInfo { nonce, ..AccountInfo::default() })
    }

    fn change(address: H160, after: Option<AccountInfo>, storage_wiped: bool, key: Option<u64>) -> AccountDiff {
        let slot = |key: u64| SlotDiff { key: key.into(), before: U256::zero(), after: U256::one() };
        let storage = key.map(slot).into_iter().collect();
        AccountDiff { address, before: info(1), after, code: None, storage_wiped, storage }
    }

    #[test]
    fn each_kind_of_read_meets_its_kind_of_change() {
        let account = Reads { accounts: [READ].into(), ..Reads::default() };
        let slot = Reads { slots: [(READ, [U256::from(5)].into())].into(), ..Reads::default() };
        let asked = Reads { storage_asked: [READ].into(), ..Reads::default() };
        // Change, and whether it concerns an account, a slot and a question for storage.
        let cases = [
            (change(READ, info(2), false, None), [true, false, false]),
            (change(READ, None, true, None), [true, true, true]),
            (change(READ, info(1), true, None), [false, true, true]),
            (change(READ, info(1), false, Some(5)), [false, true, true]),
            (change(READ, info(1), false, Some(6)), [false, false, true]),
            (change(OTHER, None, true, Some(5)), [false, false, false]),
        ];
        for (change, expected) in cases {
            let other = change_of_nothing();
            let found = [&account, &slot, &asked].map(|reads| conflicts(reads, &[other.clone(), change.clone()]));
            assert_eq!(found, expected, "{change:?}");
        }
        assert!(!conflicts(&account, &[]));
    }

    fn change_of_nothing() -> AccountDiff {
        change(OTHER, info(1), false, None)
    }
}
