//! Transactions of state tests that run together on a backend.

use super::runner::contained;
use super::{Event, Record, Verdict};
use isolane_spec::{Backend, Batch, Environment, ExecutionError, Outcome, Transaction};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Transactions of one batch: enough to fill lanes, few enough to hold their pre-states in memory.
const SIZE: usize = 4_096;

/// Judges what came of a transaction.
pub(super) type Judge = Box<dyn FnOnce(Result<Outcome, ExecutionError>) -> Verdict + Send>;

/// A transaction that waits for its batch.
pub(super) struct Pending {
    pub environment: Environment,
    pub transaction: Transaction,
    pub judge: Judge,
}

/// Collects transactions, and runs them whenever there are enough.
pub(super) struct Batches<'a> {
    backend: &'a dyn Backend,
    report: &'a (dyn Fn(Event) + Sync),
    waiting: Mutex<Vec<(Record, Pending)>>,
}

impl<'a> Batches<'a> {
    pub fn new(backend: &'a dyn Backend, report: &'a (dyn Fn(Event) + Sync)) -> Self {
        Self { backend, report, waiting: Mutex::new(Vec::new()) }
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
