//! A sequence of transactions, each on the state that the one before it left, executed ahead in parallel where that pays.
//!
//! The transactions are taken in waves. Those of a wave that share a sender, or a callee that has led to conflicts before,
//! form a chain; chains run in parallel, each from the state before the wave, and their transactions are then taken in one by one. One whose reads
//! all still hold has the outcome that it has in order ([`Reads`]) and is kept; any other is executed again, in order. So
//! the results do not depend on threads or time. The fees of a beneficiary that a transaction does not look at are added
//! to what it has by then: or else every transaction would depend on the one before it.

use crate::machine::{Available, Machine};
use crate::overlay::Overlay;
use crate::pool::with_machine;
use crate::validation::GAS_PER_BLOB;
use hashbrown::{HashMap, HashSet};
use isolane_spec::{Environment, ExecutionError, H160, Outcome, Reads, StateView, Status, Transaction, U256};
use rayon::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a transaction came to before its turn.
struct Ahead {
    outcome: Outcome,
    reads: Reads,
    /// What it paid to a beneficiary that it did not look at.
    fee: Option<U256>,
    /// Its chain within the wave.
    chain: usize,
}

/// Transactions of a wave for each thread. A long wave keeps the threads busy, a short one holds fewer conflicts.
const WAVE: usize = 16;
/// Fewer calls and creations than this are not worth a wave.
const WORTHWHILE: usize = 4;
/// In percent: if more of a wave goes stale, the next ones are executed in order.
const STALE_LIMIT: usize = 30;
/// The most waves that are executed in order before the next attempt.
const MOST_PAUSE: u32 = 16;

/// How much of a sequence was executed ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceStats {
    /// Transactions that were executed ahead.
    pub ahead: u64,
    /// Those of them that were executed again, because what they had read had changed.
    pub stale: u64,
}

/// Executes the transactions of a machine's environment in order, and ahead of their turn where that pays.
pub struct Sequence<'t> {
    transactions: &'t [&'t Transaction],
    next: usize,
    wave_end: usize,
    parallel: bool,
    overlay: Option<Arc<Overlay>>,
    ahead: Vec<Option<Ahead>>,
    /// Of the current wave, by chain: whether a transaction of it was stale.
    broken: Vec<bool>,
    /// Callees of transactions that were stale: those that share one go into one chain from then on.
    hot: HashSet<H160>,
    wave: SequenceStats,
    pause: u32,
    paused: u32,
    stats: SequenceStats,
}

impl<'t> Sequence<'t> {
    /// A sequence that starts from what the machine stands at. Nothing else may change the machine until it is over.
    /// `parallel`: on rayon's current pool.
    #[must_use]
    pub fn new(transactions: &'t [&'t Transaction], parallel: bool) -> Self {
        Self {
            transactions,
            next: 0,
            wave_end: 0,
            parallel: parallel && rayon::current_num_threads() > 1,
            overlay: None,
            ahead: Vec::new(),
            broken: Vec::new(),
            hot: HashSet::new(),
            wave: SequenceStats::default(),
            pause: 1,
            paused: 0,
            stats: SequenceStats::default(),
        }
    }

    /// What was executed ahead so far.
    #[must_use]
    pub const fn stats(&self) -> SequenceStats {
        self.stats
    }

    /// Executes the next transaction, as [`Machine::transact`] does; `None` when there is no more.
    ///
    /// # Errors
    /// When the state cannot answer; the machine is then as before the call.
    pub fn next(&mut self, machine: &mut Machine, available: Available) -> Option<Result<Outcome, ExecutionError>> {
        let transaction = *self.transactions.get(self.next)?;
        if self.next >= self.wave_end {
            self.begin_wave(machine);
        }
        let index = self.next;
        self.next += 1;
        let outcome = match self.take_ahead(index, machine, transaction, available) {
            Some(outcome) => match machine.apply(&outcome.diff) {
                Ok(()) => outcome,
                Err(error) => return Some(Err(error)),
            },
            None => match machine.transact(transaction, available) {
                Ok(outcome) => outcome,
                Err(error) => return Some(Err(error)),
            },
        };
        if let Some(overlay) = &self.overlay {
            overlay.apply(&outcome.diff);
        }
        Some(Ok(outcome))
    }

    /// The outcome of a transaction that was executed ahead, if it is what it has now.
    fn take_ahead(
        &mut self,
        index: usize,
        machine: &Machine,
        transaction: &Transaction,
        available: Available,
    ) -> Option<Outcome> {
        let place = index.checked_sub(self.wave_end.checked_sub(self.ahead.len())?)?;
        let Ahead { mut outcome, reads, fee, chain } = self.ahead.get_mut(place)?.take()?;
        let coinbase = machine.environment().block.coinbase;
        let overlay = self.overlay.as_ref()?;
        let broken = self.broken.get_mut(chain)?;
        // What the block has left decides at most that it is rejected; then the order of the checks decides why.
        let blob_gas = (transaction.blob_versioned_hashes.len() as u64).saturating_mul(GAS_PER_BLOB);
        let fits = transaction.gas_limit <= available.gas && blob_gas <= available.blob_gas;
        let but = fee.map(|_| coinbase);
        // What came after a stale one in its chain read what that one never wrote.
        if *broken || !fits || !overlay.holds(&reads, but) {
            *broken = true;
            self.hot.extend(transaction.to);
            self.wave.stale += 1;
            self.stats.stale += 1;
            return None;
        }
        if let Some(fee) = fee {
            let now = overlay.account(&coinbase).ok()?;
            let place = outcome.diff.binary_search_by_key(&coinbase, |change| change.address);
            match (place, machine.fee_diff(coinbase, now, fee)) {
                (Ok(place), Some(change)) => {
                    if let Some(there) = outcome.diff.get_mut(place) {
                        *there = change;
                    }
                }
                (Err(place), Some(change)) => outcome.diff.insert(place, change),
                (Ok(place), None) => {
                    outcome.diff.remove(place);
                }
                (Err(_), None) => {}
            }
        }
        Some(outcome)
    }

    /// Takes the next transactions, and executes them ahead if that promises to pay.
    fn begin_wave(&mut self, machine: &Machine) {
        self.ahead.clear();
        if !self.parallel {
            self.wave_end = self.transactions.len();
            return;
        }
        // Counted, never timed: the decision is the same in every run.
        let SequenceStats { ahead, stale } = std::mem::take(&mut self.wave);
        if ahead > 0 {
            let too_stale = stale * 100 > ahead * STALE_LIMIT as u64;
            self.pause = if too_stale { (self.pause * 2).min(MOST_PAUSE) } else { 1 };
            self.paused = if too_stale { self.pause } else { 0 };
        }
        let threads = rayon::current_num_threads();
        let end = (self.next + threads * WAVE).min(self.transactions.len());
        let Some(wave) = self.transactions.get(self.next..end) else { return };
        self.wave_end = end;
        if self.paused > 0 {
            self.paused -= 1;
            return;
        }
        if wave.len() < WORTHWHILE {
            return;
        }
        let chains = chains(wave, &self.hot);
        let weight = |chain: &Vec<usize>| chain.iter().filter(|index| wave.get(**index).is_some_and(is_heavy)).count();
        let (total, longest) = chains.iter().map(weight).fold((0, 0), |(sum, most), one| (sum + one, most.max(one)));
        if total < WORTHWHILE || longest * 10 > total * 7 {
            return;
        }
        let overlay = self.overlay.get_or_insert_with(|| Arc::new(machine.overlay()));
        overlay.begin_wave();
        let environment = Environment { state: Arc::clone(overlay) as _, ..machine.environment().clone() };
        let allowance = machine.allowance();
        let done: Vec<Vec<(usize, Ahead)>> = chains
            .par_iter()
            .enumerate()
            .map(|(number, chain)| {
                with_machine(environment.clone(), |ahead| {
                    ahead.set_allowance(allowance);
                    run_chain(ahead, wave, number, chain)
                })
            })
            .collect();
        self.broken.clear();
        self.broken.resize(chains.len(), false);
        self.ahead.resize_with(wave.len(), || None);
        for (index, ahead) in done.into_iter().flatten() {
            if let Some(place) = self.ahead.get_mut(index) {
                *place = Some(ahead);
                self.wave.ahead += 1;
                self.stats.ahead += 1;
            }
        }
    }
}

/// Whether a transaction is likely to run code.
fn is_heavy(transaction: &&Transaction) -> bool {
    transaction.to.is_none() || !transaction.input.is_empty()
}

/// The transactions of a wave, by index: together where they share a sender or a hot callee.
fn chains(wave: &[&Transaction], hot: &HashSet<H160>) -> Vec<Vec<usize>> {
    let mut chains: Vec<Vec<usize>> = Vec::new();
    let mut by_address: HashMap<H160, usize> = HashMap::new();
    for (index, transaction) in wave.iter().enumerate() {
        let callee = transaction.to.filter(|to| hot.contains(to));
        let keys = [Some(transaction.sender), callee];
        let known = keys.into_iter().flatten().filter_map(|address| by_address.get(&address).copied()).min();
        let chain = known.unwrap_or_else(|| {
            chains.push(Vec::new());
            chains.len() - 1
        });
        for address in keys.into_iter().flatten() {
            // Two chains that meet become one, in order.
            let other = *by_address.entry(address).or_insert(chain);
            if other != chain {
                let moved = chains.get_mut(other).map(std::mem::take).unwrap_or_default();
                if let Some(target) = chains.get_mut(chain) {
                    target.extend(moved);
                    target.sort_unstable();
                }
                by_address.values_mut().filter(|place| **place == other).for_each(|place| *place = chain);
            }
        }
        if let Some(target) = chains.get_mut(chain) {
            target.push(index);
        }
    }
    chains.retain(|chain| !chain.is_empty());
    chains
}

/// Executes a chain up to the first transaction without an outcome, which is then executed in its turn.
fn run_chain(machine: &mut Machine, wave: &[&Transaction], number: usize, chain: &[usize]) -> Vec<(usize, Ahead)> {
    let unlimited = Available { gas: u64::MAX, blob_gas: u64::MAX };
    let mut done = Vec::with_capacity(chain.len());
    for &index in chain {
        let Some(transaction) = wave.get(index) else { break };
        // A panic is a defect of the state or of isolane: it is met again in order, where it belongs.
        let Ok(Ok(outcome)) = catch_unwind(AssertUnwindSafe(|| machine.transact(transaction, unlimited))) else {
            break;
        };
        let fee = match outcome.status {
            Status::Rejected(_) => None,
            _ => machine.unseen_fee(),
        };
        done.push((index, Ahead { reads: machine.reads(), fee, outcome, chain: number }));
    }
    done
}
