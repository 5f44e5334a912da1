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
                    self.accessed.entry(step.address).or_default().insert(key);
                }
                None
            }
            op::BALANCE | op::EXTCODESIZE | op::EXTCODECOPY | op::EXTCODEHASH | op::SELFDESTRUCT => item(0),
            op::CALL | op::CALLCODE | op::DELEGATECALL | op::STATICCALL => item(1),
            _ => None,
        };
        if let Some(address) = account {
            self.accessed.entry(word::to_address(&address)).or_default();
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

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_cpu::{Available, Machine};
    use isolane_spec::{AccountInfo, BlockContext, Bytes, Environment, MemoryState, Rules, TransactionType};
    use std::sync::Arc;

    const SENDER: H160 = H160([1; 20]);
    const CONTRACT: H160 = H160([2; 20]);
    const OTHER: H160 = H160([3; 20]);

    /// SLOAD of slot 5, BALANCE of another account, of the sender and of a precompile.
    fn environment() -> Environment {
        let mut code = vec![op::PUSH1, 5, op::SLOAD, op::PUSH20];
        code.extend(OTHER.0);
        code.extend([op::BALANCE, op::CALLER, op::BALANCE, op::PUSH1, 4, op::BALANCE]);
        let mut state = MemoryState::default();
        let rich = AccountInfo { balance: U256::exp10(18), ..AccountInfo::default() };
        state.insert(SENDER, rich, Bytes::new(), []);
        let info = AccountInfo { nonce: 1, code_hash: crate::convert::keccak(&code), ..AccountInfo::default() };
        state.insert(CONTRACT, info, code.into(), []);
        let block = BlockContext { gas_limit: 30_000_000, ..BlockContext::default() };
        Environment::new("an access list", Rules::new(Fork::Prague, 1), block, Arc::new(state))
    }

    fn run(access_list: Vec<AccessListItem>) -> (u64, Vec<AccessListItem>) {
        let transaction = Transaction {
            transaction_type: TransactionType::AccessList,
            chain_id: Some(1),
            sender: SENDER,
            to: Some(CONTRACT),
            gas_limit: 100_000,
            access_list,
            ..Transaction::default()
        };
        let available = Available { gas: 30_000_000, blob_gas: 0 };
        let mut list = AccessList::new(Fork::Prague, H160([9; 20]));
        let outcome = Machine::new(environment()).transact_observed(&transaction, available, &mut list);
        let outcome = outcome.expect("the state answers");
        assert!(outcome.status.is_success(), "{}", outcome.status);
        (outcome.gas_used, list.take())
    }

    #[test]
    fn the_list_makes_every_access_warm() {
        let (cold, list) = run(Vec::new());
        let slots = AccessListItem { address: CONTRACT, storage_keys: vec![U256::from(5)] };
        assert_eq!(list, [slots, AccessListItem { address: OTHER, storage_keys: Vec::new() }]);
        // The list itself costs 2 × 2,400 and 1,900; it saves 2,000 of a slot and 2,500 of an account.
        let (warm, again) = run(list.clone());
        assert_eq!(warm, cold + 2 * 2_400 + 1_900 - 2_000 - 2_500);
        assert_eq!(again, list);
    }
}
