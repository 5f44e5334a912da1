//! Lanes that run no code: transfers of value, which need neither a frame nor a journal.
//!
//! What such a lane comes to follows from three accounts. Whatever is out of the ordinary is left to the reference: a transaction
//! that is not valid, a state that cannot answer, an account that plays two parts, one that gets nothing.

use super::Told;
use crate::backend::{AHEAD, COLD, read_ahead};
use crate::journal::finish::in_order;
use crate::machine::Available;
use crate::precompile::Precompile;
use crate::state_gas::StateGas;
use crate::validation::{check_sender, gas_price, minus, plus, price, validate_form, validate_in_block};
use isolane_spec::gas::{GasSchedule, SCHEDULES};
use isolane_spec::{
    AccountDiff, AccountInfo, Batch, Bytes, Environment, ExecutionError, Fork, H160, KECCAK_EMPTY, MemoryState,
    Outcome, Status, Transaction, U256,
};
use rayon::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

/// Whether a transaction may be a plain transfer, as far as it decides that itself.
pub(super) fn may_be_plain(transaction: &Transaction) -> bool {
    transaction.authorization_list.is_empty() && transaction.blob_versioned_hashes.is_empty()
}

/// Executes transactions of a batch whose callees have no code, as far as they are plain transfers; returns the others.
pub(super) fn execute_all(batch: &Batch, indices: &[usize], sink: &Told<'_>) -> Vec<usize> {
    let others = Mutex::new(Vec::new());
    let cold = batch.transactions.len() >= COLD;
    indices.par_chunks(AHEAD).for_each(|indices| {
        let jobs: Vec<&(u32, Transaction)> =
            indices.iter().filter_map(|&index| batch.transactions.get(index)).collect();
        let mut left = indices.iter().zip(&jobs);
        while left.len() > 0 {
            let mut now = None;
            // A state that panics does so again for the reference, in its own environment.
            let done = catch_unwind(AssertUnwindSafe(|| {
                let mut common: Option<(u32, Option<Transfers<'_>>)> = None;
                for (&index, (number, transaction)) in left.by_ref() {
                    now = Some(index);
                    let transfers = match &common {
                        Some((of, transfers)) if of == number => transfers,
                        _ => {
                            let environment = batch.environments.get(*number as usize);
                            if let Some(environment) = environment.filter(|it| cold && it.state.is_near()) {
                                let same = jobs.iter().filter(|(other, _)| other == number);
                                let accounts = same.flat_map(|(_, it)| [Some(&it.sender), it.to.as_ref()]);
                                read_ahead(&*environment.state, accounts.flatten());
                            }
                            &common.insert((*number, environment.and_then(Transfers::of))).1
                        }
                    };
                    let executes = transfers.as_ref().is_some_and(|transfers| {
                        transfers.execute(transaction, |result| {
                            now = None;
                            sink(index, result, None);
                        })
                    });
                    if !executes {
                        others.lock().unwrap_or_else(PoisonError::into_inner).push(index);
                        now = None;
                    }
                }
            }));
            match (done, now) {
                (Ok(()), _) => {}
                (Err(_), Some(index)) => others.lock().unwrap_or_else(PoisonError::into_inner).push(index),
                // Whoever takes the results panicked.
                (Err(panic), None) => resume_unwind(panic),
            }
        }
    });
    others.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What the plain transfers of an environment have in common.
pub(super) struct Transfers<'a> {
    environment: &'a Environment,
    /// Its state, if that is in memory.
    memory: Option<&'a MemoryState>,
    schedule: &'static GasSchedule,
    prices: StateGas,
    available: Available,
    /// The beneficiary's account, if the environment keeps changes.
    beneficiary: Option<Option<AccountInfo>>,
}

impl<'a> Transfers<'a> {
    /// Those of an environment whose rules are the protocol's; `None` where the reference has to execute them.
    pub fn of(environment: &'a Environment) -> Option<Self> {
        let fork = environment.rules.fork;
        // From Amsterdam on transfers log (EIP-7708) and accounts cost state gas (EIP-8037).
        if fork >= Fork::Amsterdam {
            return None;
        }
        let schedule = &SCHEDULES[fork as usize];
        let beneficiary = match environment.keeps_changes() {
            true => Some(environment.state.account(&environment.block.coinbase).ok()?),
            false => None,
        };
        let prices = StateGas::new(schedule, environment.block.gas_limit);
        let (memory, available) = (environment.state.memory(), Available::of(environment));
        Some(Self { environment, memory, schedule, prices, available, beneficiary })
    }

    /// Hands on what a transaction comes to. Returns whether it did: or else the reference has to find out.
    #[inline(always)]
    pub fn execute(&self, transaction: &Transaction, sink: impl FnOnce(Result<Outcome, ExecutionError>)) -> bool {
        self.try_execute(transaction, sink).is_some()
    }

    #[inline(always)]
    fn try_execute(&self, transaction: &Transaction, sink: impl FnOnce(Result<Outcome, ExecutionError>)) -> Option<()> {
        let Self { environment, schedule, prices, available, .. } = self;
        let (sender, to, coinbase) = (&transaction.sender, transaction.to.as_ref()?, &environment.block.coinbase);
        let (from_key, to_key, coinbase_key) = (in_order(sender), in_order(to), in_order(coinbase));
        let doubled = from_key == to_key || from_key == coinbase_key || to_key == coinbase_key;
        if doubled || Precompile::at(*to, environment.rules.fork).is_some() {
            return None;
        }
        let intrinsic = validate_form(transaction, environment, schedule, prices).ok()?;
        validate_in_block(transaction, environment, schedule, &intrinsic, *available).ok()?;
        if transaction.gas_limit > environment.budget.gas {
            return None;
        }
        let (mut sender_place, mut to_place) = (None, None);
        let info = self.account(sender, &mut sender_place)??;
        check_sender(transaction, info, environment.validation).ok()?;
        if info.code_hash != KECCAK_EMPTY {
            return None;
        }
        let to_before = self.account(to, &mut to_place)?;
        if to_before.is_some_and(|it| it.code_hash != KECCAK_EMPTY) {
            // The state could not say so when it was asked before.
            return None;
        }
        let (tip, per_gas) = gas_price(transaction, &environment.block.base_fee);
        let gas_used = intrinsic.regular.max(intrinsic.floor);
        let (fee, value) = (price(&tip, gas_used)?, &transaction.value);
        // No more than the maximum cost, which the sender has.
        let cost = plus(&price(&per_gas, gas_used)?, value).0;
        if value.is_zero() || overflows(to_before, value) {
            return None;
        }
        let diff = match &self.beneficiary {
            None => Vec::new(),
            Some(beneficiary) => {
                if fee.is_zero() || overflows(beneficiary.as_ref(), &fee) {
                    return None;
                }
                let first = usize::from(to_key < from_key) + usize::from(coinbase_key < from_key);
                let second = usize::from(from_key < to_key) + usize::from(coinbase_key < to_key);
                let loss = minus(&U256::zero(), &cost).0;
                let paid = Part { address: coinbase, before: beneficiary.as_ref(), balance: &fee, nonce: 0 };
                let mut parts = [paid; 3];
                parts[first] = Part { address: sender, before: Some(info), balance: &loss, nonce: 1 };
                parts[second] = Part { address: to, before: to_before, balance: value, nonce: 0 };
                parts.iter().map(Part::difference).collect()
            }
        };
        sink(Ok(Outcome {
            status: Status::Success,
            gas_used,
            gas_refunded: 0,
            block_gas_used: gas_used,
            state_gas_used: 0,
            output: Bytes::new(),
            created: None,
            logs: Vec::new(),
            messages: Vec::new(),
            diff,
            steps: 0,
            denial: None,
        }));
        Some(())
    }

    /// An account, where it lies in a state in memory or else in this place; `None` where the state cannot answer.
    #[inline(always)]
    fn account<'p>(&'p self, address: &H160, place: &'p mut Option<AccountInfo>) -> Option<Option<&'p AccountInfo>> {
        if let Some(memory) = self.memory {
            return Some(memory.accounts.get(address).map(|account| &account.info));
        }
        *place = self.environment.state.account(address).ok()?;
        Some(place.as_ref())
    }
}

/// Whether an account cannot hold some wei more.
#[inline(always)]
fn overflows(account: Option<&AccountInfo>, value: &U256) -> bool {
    account.is_some_and(|info| plus(&info.balance, value).1)
}

/// An account and what is added to it, modulo 2^256 and 2^64.
#[derive(Clone, Copy)]
struct Part<'a> {
    address: &'a H160,
    before: Option<&'a AccountInfo>,
    balance: &'a U256,
    nonce: u64,
}

impl Part<'_> {
    /// The same for all of them and without a branch, so that it is written right where it belongs.
    #[inline(always)]
    fn difference(&self) -> AccountDiff {
        let info = self.before.unwrap_or(&NOBODY);
        let after = AccountInfo {
            nonce: info.nonce.wrapping_add(self.nonce),
            balance: plus(&info.balance, self.balance).0,
            code_hash: info.code_hash,
        };
        AccountDiff {
            address: *self.address,
            before: self.before.copied(),
            after: Some(after),
            code: None,
            storage_wiped: false,
            storage: Vec::new(),
        }
    }
}

/// An account that does not exist yet.
const NOBODY: AccountInfo = AccountInfo { nonce: 0, balance: U256::zero(), code_hash: KECCAK_EMPTY };

#[cfg(test)]
mod tests {
    use super::super::tests::{address, batch, check, state};
    use super::*;
    use crate::crypto::keccak256;
    use crate::{Lockstep, Reference};
    use isolane_spec::opcode::op;
    use isolane_spec::{Backend, H256, StateError, StateView, Validation};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn transfers_are_the_references() {
        let lowest = H160([0x02; 20]);
        for fork in Fork::ALL {
            let mut state = state(&[]);
            let full = AccountInfo { balance: U256::MAX - 5, ..AccountInfo::default() };
            state.insert(address(0xf0, 0), full, Bytes::new(), []);
            // From a fork without EIP-161.
            state.insert(address(0xe0, 0), AccountInfo::default(), Bytes::new(), []);
            let designator = Bytes::from([&[0xef, 0x01, 0x00][..], &[0x5e; 20]].concat());
            let delegated = AccountInfo { code_hash: keccak256(&designator), ..full };
            state.insert(address(0x5e, 1), delegated, designator, []);
            let mut batch = batch(state, fork, |number| 21_000 + u64::from(number) * 500);
            let plain = &mut batch.environments[0];
            (plain.block.base_fee, plain.block.coinbase) = (U256::from(3), address(0x77, 0));
            let with = |change: fn(&mut Environment)| {
                let mut environment = batch.environments[0].clone();
                change(&mut environment);
                environment
            };
            let others = [
                with(|it| it.block.coinbase = address(0x5e, 9)),
                with(|it| it.block.coinbase = address(0x5e, 20)),
                with(|it| it.budget.gas = 50_000),
                with(|it| it.diffs = false),
                with(|it| it.validation = Validation::Call),
            ];
            batch.environments.extend(others);
            let recipients = [address(0x5e, 20), address(0xee, 1), lowest, address(0xff, 1)];
            for (index, (environment, transaction)) in batch.transactions.iter_mut().enumerate() {
                let number = index % 30;
                *environment = (index / 30) as u32;
                transaction.to = Some(recipients[index % 4]);
                (transaction.value, transaction.input) = (U256::from(1_000 + index), Bytes::new());
                (transaction.max_fee_per_gas, transaction.max_priority_fee_per_gas) = (U256::from(9), U256::from(2));
                match number {
                    1 => transaction.input = vec![1; 300].into(),
                    2 => transaction.value = U256::zero(),
                    3 => transaction.max_priority_fee_per_gas = U256::zero(),
                    4 => transaction.to = Some(transaction.sender),
                    5 => transaction.to = Some(address(0x77, 0)),
                    6 => transaction.to = Some(H160::from_low_u64_be(4)),
                    7 => transaction.to = Some(address(0xf0, 0)),
                    8 => transaction.nonce = 1,
                    9 => transaction.value = U256::exp10(18),
                    10 => transaction.max_fee_per_gas = U256::from(2),
                    11 => (transaction.to, transaction.value) = (Some(address(0xe0, 0)), U256::zero()),
                    12 => (transaction.to, transaction.value) = (Some(address(0xed, 0)), U256::zero()),
                    13 => transaction.to = None,
                    14 => transaction.max_fee_per_gas = U256::MAX,
                    _ => {}
                }
            }
            let statistics = check(&batch);
            // From Amsterdam on they log.
            assert_eq!(statistics.transfers > 50, fork < Fork::Amsterdam, "{fork}: {statistics}");
        }
    }

    /// A state that does not answer one question for an account: that after so many.
    struct Fitful(MemoryState, AtomicU64);

    impl StateView for Fitful {
        fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
            match self.1.fetch_sub(1, Ordering::Relaxed) {
                0 => Err(StateError::AccountMissing(*address)),
                _ => self.0.account(address),
            }
        }
        fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
            self.0.storage(address, key)
        }
        fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
            self.0.has_storage(address)
        }
        fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
            self.0.code(code_hash)
        }
        fn block_hash(&self, number: u64) -> Result<H256, StateError> {
            self.0.block_hash(number)
        }
    }

    #[test]
    fn a_contract_is_none_less_for_a_state_that_could_not_say_so() {
        let state = state(&[&[op::PUSH1, 1, op::PUSH1, 0, op::SSTORE]]);
        let mut batch = batch(state.clone(), Fork::Prague, |_| 100_000);
        batch.transactions.truncate(1);
        batch.transactions[0].1.value = U256::one();
        batch.transactions[0].1.max_fee_per_gas = U256::one();
        batch.transactions[0].1.max_priority_fee_per_gas = U256::one();
        let expected = Reference.execute(&batch);
        let mut right = 0;
        for questions in 0..8 {
            batch.environments[0].state = Arc::new(Fitful(state.clone(), AtomicU64::new(questions)));
            let got = Lockstep::new().execute(&batch);
            right += usize::from(got == expected);
            assert!(got == expected || got[0].is_err(), "{got:?}");
        }
        assert!((2..8).contains(&right), "{right}");
    }
}
