//! Transactions of state tests, and blockchain tests, that run together on a backend.

use super::runner::contained;
use super::{Event, Record, Verdict};
use crate::gather::Gather;
use isolane_spec::{Backend, Batch, Environment, ExecutionError, Outcome, Transaction};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Transactions of one batch: enough to fill lanes, few enough to hold their pre-states in memory.
const SIZE: usize = 4_096;
/// Blockchain tests at work at once, on a thread each.
const CHAINS: usize = 96;
/// Stack of such a thread.
const STACK: usize = 16 << 20;

/// Judges what came of a transaction.
pub(super) type Judge = Box<dyn FnOnce(Result<Outcome, ExecutionError>) -> Verdict + Send>;

/// A transaction that waits for its batch.
pub(super) struct Pending {
    pub environment: Environment,
    pub transaction: Transaction,
    pub judge: Judge,
}

/// A blockchain test, which runs its blocks one after another on the backend that it is given.
pub(super) type Chain = Box<dyn FnOnce(&dyn Backend) -> Verdict + Send>;

/// Collects transactions, and runs them whenever there are enough.
pub(super) struct Batches<'a> {
    backend: &'a dyn Backend,
    report: &'a (dyn Fn(Event) + Sync),
    waiting: Mutex<Vec<(Record, Pending)>>,
    chains: Mutex<Vec<(Record, Chain)>>,
}

impl<'a> Batches<'a> {
    pub fn new(backend: &'a dyn Backend, report: &'a (dyn Fn(Event) + Sync)) -> Self {
        Self { backend, report, waiting: Mutex::default(), chains: Mutex::default() }
    }

    /// Adds a transaction; runs the batch if it is full.
    pub fn add(&self, record: Record, pending: Pending) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push((record, pending));
        if waiting.len() >= SIZE {
            let full = std::mem::take(&mut *waiting);
            drop(waiting);
            self.run(full);
        }
    }

    /// Runs what waits.
    pub fn flush(&self) {
        let rest = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.run(rest);
        let rest = std::mem::take(&mut *self.chains.lock().unwrap_or_else(PoisonError::into_inner));
        self.run_chains(rest);
    }

    /// Adds a blockchain test; runs those that wait if there are enough.
    pub fn add_chain(&self, record: Record, chain: Chain) {
        let mut chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        chains.push((record, chain));
        if chains.len() >= CHAINS {
            let full = std::mem::take(&mut *chains);
            drop(chains);
            self.run_chains(full);
        }
    }

    /// Each test on a thread of its own; their blocks go to the backend together.
    fn run_chains(&self, chains: Vec<(Record, Chain)>) {
        let gather = Gather::new(self.backend);
        let jobs: Vec<_> = chains.into_iter().map(|job| (gather.member(), job)).collect();
        std::thread::scope(|scope| {
            for (member, (record, chain)) in jobs {
                let gather = &gather;
                let work = move || {
                    let member = member;
                    let start = Instant::now();
                    let verdict = contained(|| chain(gather)).in_file(&record.file);
                    drop(member);
                    (self.report)(Event::Case(Record { verdict, elapsed: start.elapsed(), ..record }));
                };
                let builder = std::thread::Builder::new().stack_size(STACK).name("chain".to_owned());
                if let Err(error) = builder.spawn_scoped(scope, work) {
                    panic!("cannot start a thread: {error}: use fewer --threads");
                }
            }
        });
    }

    fn run(&self, waiting: Vec<(Record, Pending)>) {
        if waiting.is_empty() {
            return;
        }
        let start = Instant::now();
        let mut batch = Batch::default();
        let mut judges = Vec::with_capacity(waiting.len());
        for (index, (record, pending)) in waiting.into_iter().enumerate() {
            batch.environments.push(pending.environment);
            batch.transactions.push((index as u32, pending.transaction));
            judges.push((record, pending.judge));
        }
        let outcomes = self.backend.execute(&batch);
        // Each case is said to have taken its share.
        let elapsed = start.elapsed() / judges.len().max(1) as u32;
        for ((record, judge), outcome) in judges.into_iter().zip(outcomes) {
            let verdict = contained(|| judge(outcome)).in_file(&record.file);
            (self.report)(Event::Case(Record { verdict, elapsed, ..record }));
        }
    }
}
