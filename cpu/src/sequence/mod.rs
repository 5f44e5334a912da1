//! A sequence of transactions, each on the state that the one before it left, executed ahead in parallel where that pays.
//!
//! One thread takes the transactions in order. Meanwhile others execute later ones ahead of their turn, each from what is
//! written so far. When the turn of such a transaction comes and all that it read is still so, it has the outcome that
//! it has in order ([`isolane_spec::Reads`]) and is kept; any other is executed again, in order. So the results do not depend on threads or
//! time. A transaction whose sender has an earlier one that is not done is not taken ahead, nor one whose callee has led to
//! conflicts or is being tried: those are left to the thread that takes them in order, which waits for others only where they are about
//! to execute the transaction whose turn it is, and only as long as most of what was executed ahead held. It keeps account of the time
//! that all this saves it and costs it, and ends it where the costs exceed a small share of the whole. The fees of a beneficiary that a transaction does not look at are added
//! to what it has by then: or else every transaction would depend on the one before it.

mod ahead;
mod forecast;

use crate::machine::{Available, Machine};
use crate::validation::GAS_PER_BLOB;
use ahead::{Ahead, Front, is_heavy};
use forecast::Forecast;
use isolane_spec::{ExecutionError, Outcome, StateView as _, Transaction};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Whether transactions of a sequence are executed ahead of their turn, on rayon's current pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InParallel {
    /// Never.
    Never,
    /// Where what is left of the sequence promises to be worth another thread's while: it takes long, and what came first
    /// did not depend on what was just before it.
    #[default]
    WhereItPays,
    /// From the first transaction on.
    Always,
}

/// So many of them are not judged by: they are slower than the rest, since nothing is at hand.
const FIRST: usize = 2;
/// Fewer calls and creations than this are not worth another thread's while.
const WORTHWHILE_CALLS: usize = 4;
/// Nor is a rest that seems to take less time than this.
const WORTHWHILE_REST: Duration = Duration::from_millis(8);

/// If more than one in so many went stale, nobody waits for one that is under way.
const WAIT_LIMIT: u64 = 4;
/// The longest that anybody waits for the first one that is under way; for later ones, as long as one took on average: whoever executes
/// it may have been interrupted.
const FIRST_WAIT: Duration = Duration::from_micros(100);
/// If more than one in so many went stale, no more are executed ahead; judged after [`ENOUGH`] of them.
const STOP_LIMIT: u64 = 2;
const ENOUGH: u64 = 4;
/// If executing ahead has cost more than it saved by one part in so many of the time that the sequence seems to take in all, it
/// ends.
const LOSS_LIMIT: u32 = 100;

/// How much of a sequence was executed ahead. It depends on the threads' timing; outcomes do not.
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
    parallel: InParallel,
    /// Where threads execute ahead, and the number of the first transaction of theirs.
    front: Option<(Arc<Front>, usize)>,
    /// How many of the transactions so far were likely to run code, and how many of the others are.
    heavy: usize,
    heavy_left: usize,
    stats: SequenceStats,
    began: Instant,
    /// The time of transactions that were executed in order and are likely to have run code, and their gas.
    in_order: (Duration, u64),
    forecast: Forecast,
    /// What executing ahead saved the thread that executes in order, and what it cost it.
    saved: Duration,
    cost: Duration,
}

impl<'t> Sequence<'t> {
    /// A sequence that starts from what the machine stands at. Nothing else may change the machine until it is over.
    #[must_use]
    pub fn new(transactions: &'t [&'t Transaction], parallel: InParallel) -> Self {
        let parallel = if rayon::current_num_threads() > 1 { parallel } else { InParallel::Never };
        let heavy_left = match parallel {
            InParallel::Never => 0,
            _ => transactions.iter().filter(|transaction| is_heavy(transaction)).count(),
        };
        Self {
            transactions,
            next: 0,
            parallel,
            front: None,
            heavy: 0,
            heavy_left,
            stats: SequenceStats::default(),
            began: Instant::now(),
            in_order: (Duration::ZERO, 0),
            forecast: Forecast::default(),
            saved: Duration::ZERO,
            cost: Duration::ZERO,
        }
    }

    /// What was executed ahead so far.
    #[must_use]
    pub const fn stats(&self) -> SequenceStats {
        self.stats
    }

    /// Waits until everything that may be executed ahead now has been. How much is ahead depends on the threads' timing otherwise: this is
    /// for tests that want to be sure that something is.
    pub fn settle(&self) {
        if let Some((front, _)) = &self.front {
            front.settle();
        }
    }

    /// Executes the next transaction, as [`Machine::transact`] does; `None` when there is no more.
    ///
    /// # Errors
    /// When the state cannot answer; the machine is then as before the call.
    pub fn next(&mut self, machine: &mut Machine, available: Available) -> Option<Result<Outcome, ExecutionError>> {
        let transaction = *self.transactions.get(self.next)?;
        if self.pays() {
            let rest = self.transactions.get(self.next..).unwrap_or_default();
            let tries = self.parallel != InParallel::Always;
            let front = Front::new(rest, machine, rayon::current_num_threads(), tries);
            front.commit(0, rest);
            self.front = Some((front, self.next));
        }
        let index = self.next;
        self.next += 1;
        let outcome = match self.front.is_some() {
            true => self.next_ahead(index, machine, transaction, available),
            false => self.next_in_order(machine, transaction, available),
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => return Some(Err(error)),
        };
        if let Some((front, first)) = &self.front {
            let start = Instant::now();
            front.overlay.apply(&outcome.diff);
            let rest = self.transactions.get(*first..).unwrap_or_default();
            front.commit(self.next - first, rest);
            self.cost += start.elapsed();
        }
        if is_heavy(transaction) {
            self.heavy_left = self.heavy_left.saturating_sub(1);
            self.heavy += 1;
            if self.heavy == FIRST {
                self.began = Instant::now();
                self.in_order = (Duration::ZERO, 0);
            }
        }
        if self.front.is_some() && self.loses() {
            self.end_front();
        }
        Some(Ok(outcome))
    }

    /// Executes a transaction, or takes over what it came to ahead of its turn.
    fn next_ahead(
        &mut self,
        index: usize,
        machine: &mut Machine,
        transaction: &Transaction,
        available: Available,
    ) -> Result<Outcome, ExecutionError> {
        let start = Instant::now();
        let Some((outcome, took)) = self.take_ahead(index, machine, transaction, available) else {
            self.cost += start.elapsed();
            return self.next_in_order(machine, transaction, available);
        };
        machine.apply(&outcome.diff)?;
        self.cost += start.elapsed();
        // Another thread may have taken longer, since it had less at hand.
        let (time, gas) = self.in_order;
        let here = time.as_secs_f64() * (outcome.gas_used as f64 / gas.max(1) as f64);
        self.saved += Duration::try_from_secs_f64(here).map_or(took, |here| here.min(took));
        Ok(outcome)
    }

    fn next_in_order(
        &mut self,
        machine: &mut Machine,
        transaction: &Transaction,
        available: Available,
    ) -> Result<Outcome, ExecutionError> {
        if self.parallel == InParallel::Never || !is_heavy(transaction) {
            return machine.transact(transaction, available);
        }
        let start = Instant::now();
        let outcome = machine.transact(transaction, available)?;
        self.in_order = (self.in_order.0 + start.elapsed(), self.in_order.1.saturating_add(outcome.gas_used));
        if self.front.is_none() && self.promises() {
            let beneficiary = machine.environment().block.coinbase;
            self.forecast.observe(&machine.reads(), &outcome.diff, transaction.sender, beneficiary);
            if self.forecast.is_over() && !self.forecast.is_good() {
                self.parallel = InParallel::Never;
            }
        }
        Ok(outcome)
    }

    /// Whether executing ahead has cost too much for what it saved.
    fn loses(&self) -> bool {
        if self.parallel == InParallel::Always {
            return false;
        }
        self.cost > self.saved + (self.began.elapsed() + self.rest()) / LOSS_LIMIT
    }

    /// How long the rest seems to take: it is taken to be like what came before.
    fn rest(&self) -> Duration {
        self.began.elapsed() / self.heavy.saturating_sub(FIRST).max(1) as u32 * self.heavy_left as u32
    }

    fn end_front(&mut self) {
        if let Some((front, _)) = self.front.take() {
            front.stop();
            self.parallel = InParallel::Never;
        }
    }

    /// Whether threads are to begin to execute ahead now.
    fn pays(&self) -> bool {
        match self.parallel {
            _ if self.front.is_some() => false,
            InParallel::Never => false,
            InParallel::Always => true,
            InParallel::WhereItPays => self.forecast.is_good() && self.promises(),
        }
    }

    /// Whether what is left takes long enough, if executing ahead is not out of the question.
    fn promises(&self) -> bool {
        self.parallel == InParallel::WhereItPays
            && self.heavy > FIRST
            && self.heavy_left >= WORTHWHILE_CALLS
            && self.rest() >= WORTHWHILE_REST
    }

    /// The outcome of a transaction that was executed ahead, if it is what it has now.
    fn take_ahead(
        &mut self,
        index: usize,
        machine: &Machine,
        transaction: &Transaction,
        available: Available,
    ) -> Option<(Outcome, Duration)> {
        let (front, first) = self.front.as_ref()?;
        let place = index.checked_sub(*first)?;
        let SequenceStats { ahead, stale } = self.stats;
        let may_wait = self.parallel == InParallel::Always || stale * WAIT_LIMIT <= ahead;
        let mean = self.saved.checked_div((ahead - stale) as u32).unwrap_or(FIRST_WAIT);
        let patience = if may_wait { mean } else { Duration::ZERO };
        let Ahead { mut outcome, reads, fee, version, took } = *front.take(place, patience)?;
        self.stats.ahead += 1;
        let coinbase = machine.environment().block.coinbase;
        // What the block has left decides at most that it is rejected; then the order of the checks decides why.
        let blob_gas = (transaction.blob_versioned_hashes.len() as u64).saturating_mul(GAS_PER_BLOB);
        let fits = transaction.gas_limit <= available.gas && blob_gas <= available.blob_gas;
        let holds = fits && front.overlay.holds(&reads, version, fee.map(|_| coinbase));
        front.held(place, holds);
        if !holds {
            self.stats.stale += 1;
            let too_stale = self.stats.ahead >= ENOUGH && self.stats.stale * STOP_LIMIT > self.stats.ahead;
            if too_stale && self.parallel != InParallel::Always {
                self.end_front();
            }
            return None;
        }
        if let Some(fee) = fee {
            let now = front.overlay.account(&coinbase).ok()?;
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
        Some((outcome, took))
    }
}

impl Drop for Sequence<'_> {
    fn drop(&mut self) {
        self.end_front();
    }
}
