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
