//! The access list of a transaction, as `eth_createAccessList` makes it.

use isolane_cpu::Observer;
use isolane_cpu::observer::{Enter, Step};
use isolane_cpu::precompile::Precompile;
use isolane_spec::opcode::op;
use isolane_spec::{AccessListItem, Fork, H160, Transaction, U256, word};
use std::collections::{BTreeMap, BTreeSet};

/// Collects the accounts and slots whose access costs a cold price if the access list (EIP-2930) lacks them: not the
/// sender, the recipient and the target of its delegation, precompiles, the coinbase from Shanghai on, and accounts that
/// the transaction creates, unless slots of theirs are accessed.
#[derive(Clone, Debug)]
pub struct AccessList {
    fork: Fork,
    coinbase: H160,
    accessed: BTreeMap<H160, BTreeSet<U256>>,
    warm: BTreeSet<H160>,
}

impl AccessList {
    /// For transactions of a block.
    #[must_use]
    pub const fn new(fork: Fork, coinbase: H160) -> Self {
        Self { fork, coinbase, accessed: BTreeMap::new(), warm: BTreeSet::new() }
    }

    /// The list so far, sorted; starts anew.
    #[must_use]
    pub fn take(&mut self) -> Vec<AccessListItem> {
        let (accessed, warm) = (std::mem::take(&mut self.accessed), std::mem::take(&mut self.warm));
        let is_warm = |address: &H160| {
            warm.contains(address)
                || Precompile::at(*address, self.fork).is_some()
                || self.fork >= Fork::Shanghai && *address == self.coinbase
        };
        let needed = accessed.into_iter().filter(|(address, keys)| !keys.is_empty() || !is_warm(address));
        needed.map(|(address, keys)| AccessListItem { address, storage_keys: keys.into_iter().collect() }).collect()
    }
}

impl Observer for AccessList {
    fn transaction(&mut self, transaction: &Transaction) {
        self.warm.insert(transaction.sender);
    }

    fn step(&mut self, step: &Step<'_>) {
        // An instruction that lacks its operands accesses nothing.
        let item = |depth: usize| step.stack.len().checked_sub(depth + 1).and_then(|index| step.stack.get(index));
        let account = match step.opcode {
            op::SLOAD | op::SSTORE => {
                if let Some(key) = item(0) {
                    self.accessed.entry(step.address).or_default().insert(*key);
                }
                None
            }
            op::BALANCE | op::EXTCODESIZE | op::EXTCODECOPY | op::EXTCODEHASH | op::SELFDESTRUCT => item(0),
            op::CALL | op::CALLCODE | op::DELEGATECALL | op::STATICCALL => item(1),
            _ => None,
        };
        if let Some(address) = account {
            self.accessed.entry(word::to_address(address)).or_default();
        }
    }

    fn enter(&mut self, enter: &Enter<'_>) {
        if enter.depth == 1 {
            self.warm.extend([enter.to, enter.code_address]);
        } else if enter.kind.is_create() {
            self.warm.insert(enter.to);
        } else if enter.code_address != enter.to {
            // The target of a delegation is accessed too (EIP-7702).
            self.accessed.entry(enter.code_address).or_default();
        }
    }
}
