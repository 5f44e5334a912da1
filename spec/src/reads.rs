//! What an execution read of its base state: what a parallel execution validates, and what backends can be compared by.

use crate::outcome::{AccountInfo, KECCAK_EMPTY};
use crate::{H160, H256, U256};

/// An account that a transaction looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountRead {
    /// The account.
    pub address: H160,
    /// As it was before the transaction; `None`: it did not exist.
    pub before: Option<AccountInfo>,
    /// Whether its code was looked at too.
    pub code: bool,
    /// Whether it was warm at the end of the transaction (EIP-2929); `false` before Berlin, and for what was only warm
    /// from the start (precompiles, the coinbase, the access list) and never accessed.
    pub warm: bool,
}

/// A storage slot that a transaction looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotRead {
    /// The account.
    pub address: H160,
    /// The slot.
    pub key: U256,
    /// Its value before the transaction.
    pub before: U256,
    /// Whether it was warm at the end of the transaction (EIP-2929); `false` before Berlin.
    pub warm: bool,
}

/// All that a transaction looked at, in the order of the first access. What frames that were undone looked at counts:
/// it decided what they did. Another execution of the transaction by the same rules, on a state that answers all of
/// this alike, has the same outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Accounts.
    pub accounts: Vec<AccountRead>,
    /// Storage slots.
    pub slots: Vec<SlotRead>,
    /// Numbers of the blocks whose hashes were read, ascending.
    pub block_hashes: Vec<u64>,
}

impl Reads {
    /// The hashes of the codes that were read, in the order of their accounts, each once.
    #[must_use]
    pub fn code_hashes(&self) -> Vec<H256> {
        let read = self.accounts.iter().filter(|account| account.code);
        let mut hashes: Vec<H256> = Vec::new();
        for hash in read.filter_map(|account| account.before).map(|info| info.code_hash) {
            if hash != KECCAK_EMPTY && !hashes.contains(&hash) {
                hashes.push(hash);
            }
        }
        hashes
    }

    /// Sorts by address and key, so that reads of implementations that look in other orders can be compared.
    pub fn sort(&mut self) {
        self.accounts.sort_unstable_by_key(|account| account.address);
        self.slots.sort_unstable_by_key(|slot| (slot.address, slot.key));
    }
}
