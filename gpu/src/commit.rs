//! The end of transactions: what holds is committed in order, and what no lane can do goes to the fallback.

use crate::backend::{Gpu, MOST_GAS, Results};
use crate::check::{self, Mismatch, Witness};
use crate::course::{Course, Work, recall};
use crate::edition;
use crate::options::{Ran, Statistics};
use crate::report::escape_reason;
use crate::transition::{self, Available, GAS_PER_BLOB, Overlay, Prepared, Unsupported};
use isolane_spec::layout::escape;
use isolane_spec::{Batch, Environment, ExecutionError, Outcome, StateError, Status, Transaction};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

impl Gpu {
    /// Commits in order what holds; stops at the first transaction that has to run (again).
    pub(crate) fn commit(&self, course: &mut Course<'_>, results: &mut Results, statistics: &mut Statistics) {
        while let Some(mut item) = course.work.pop_front() {
            let result = match course.failed.clone() {
                Some(error) => Some((Ran::Host, Err(error))),
                None => self.settle(course, &mut item, statistics),
            };
            let Some((ran, result)) = result else {
                course.work.push_front(item);
                recall(course, statistics);
                return;
            };
            match &result {
                Ok(outcome) => {
                    course.available.gas = course.available.gas.saturating_sub(outcome.gas_used);
                    if !matches!(outcome.status, Status::Rejected(_)) {
                        let blobs = item.transaction.blob_versioned_hashes.len() as u64;
                        course.available.blob_gas = course.available.blob_gas.saturating_sub(blobs * GAS_PER_BLOB);
                    }
                    if !course.work.is_empty() && !outcome.diff.is_empty() {
                        Arc::make_mut(&mut course.state).apply(&outcome.diff);
                        course.commits.push(outcome.diff.clone());
                    }
                }
                Err(error) => course.failed = Some(error.clone()),
            }
            results[item.index] = (ran, result);
        }
    }

    /// The outcome of the next transaction of an environment; `None` if it has to run first.
    fn settle(
        &self,
        course: &Course<'_>,
        item: &mut Work<'_>,
        statistics: &mut Statistics,
    ) -> Option<(Ran, Result<Outcome, ExecutionError>)> {
        if let Some((start, ended, reads, commits)) = item.ran.take() {
            let stale = course.commits[commits..].iter().any(|diff| transition::conflicts(&reads, diff))
                || item.transaction.gas_limit > course.available.gas
                || item.transaction.blob_versioned_hashes.len() as u64 * GAS_PER_BLOB > course.available.blob_gas;
            if !stale {
                let finished = contained(|| transition::finish(&start, ended, &*course.state));
                let Some(finished) = finished else {
                    return Some((
                        Ran::Fallback,
                        self.escape(course, item.transaction, "state".to_owned(), statistics),
                    ));
                };
                statistics.device += 1;
                let result = finished.map_err(ExecutionError::State);
                self.check(course, item.transaction, &result, statistics);
                return Some((Ran::Device, result));
            }
            statistics.reruns += 1;
        }
        if let Some(reason) = item.escaped.take() {
            return Some((Ran::Fallback, self.escape(course, item.transaction, reason, statistics)));
        }
        if let Some(reason) = edition::unfit(course.environment) {
            return Some((Ran::Fallback, self.escape(course, item.transaction, reason.to_owned(), statistics)));
        }
        // A defect of the state is the fallback's to report; it stays in its environment.
        let Some(prepared) = self.prepare(course.environment, &course.state, item.transaction, course.available) else {
            return Some((Ran::Fallback, self.escape(course, item.transaction, "state".to_owned(), statistics)));
        };
        match prepared {
            Ok(Prepared::Run(start)) if start.gas > MOST_GAS => {
                Some((Ran::Fallback, self.escape(course, item.transaction, "gas".to_owned(), statistics)))
            }
            Ok(Prepared::Run(_)) => None,
            Ok(Prepared::Done(outcome)) => {
                statistics.host += 1;
                Some((Ran::Host, Ok(*outcome)))
            }
            Ok(Prepared::Unsupported(reason)) => {
                let reason = match reason {
                    Unsupported::Fork(fork) => format!("{fork} rules"),
                    Unsupported::Restricted => escape_reason(escape::RESTRICTED).to_owned(),
                };
                Some((Ran::Fallback, self.escape(course, item.transaction, reason, statistics)))
            }
            Err(error) => Some((Ran::Host, Err(error.into()))),
        }
    }

    /// Prepares a transaction; `None` where the state panics.
    pub(crate) fn prepare(
        &self,
        environment: &Environment,
        state: &Overlay,
        transaction: &Transaction,
        available: Available,
    ) -> Option<Result<Prepared, StateError>> {
        contained(|| transition::prepare(environment, state, transaction, available, &*self.services))
    }

    /// Executes a transaction on the fallback.
    fn escape(
        &self,
        course: &Course<'_>,
        transaction: &Transaction,
        reason: String,
        statistics: &mut Statistics,
    ) -> Result<Outcome, ExecutionError> {
        statistics.fallback += 1;
        *statistics.reasons.entry(reason).or_default() += 1;
        let start = Instant::now();
        let outcome = self.on_fallback(now(course), transaction);
        statistics.fallback_time += start.elapsed();
        outcome
    }

    /// Executes a transaction alone on the fallback.
    fn on_fallback(&self, environment: Environment, transaction: &Transaction) -> Result<Outcome, ExecutionError> {
        let batch = Batch { environments: vec![environment], transactions: vec![(0, transaction.clone())] };
        let outcome = self.fallback.execute(&batch).pop();
        outcome.unwrap_or_else(|| Err(ExecutionError::Panic("the fallback returned nothing".to_owned())))
    }

    /// Executes one transaction in so many on the fallback too. Where a lane came to anything else, the device is not to be trusted.
    fn check(
        &self,
        course: &Course<'_>,
        transaction: &Transaction,
        got: &Result<Outcome, ExecutionError>,
        statistics: &mut Statistics,
    ) {
        if self.is_distrusted() || !check::is_chosen(statistics.device, self.options.check_every) {
            return;
        }
        statistics.checked += 1;
        let start = Instant::now();
        let expected = self.on_fallback(now(course), transaction);
        // A state that cannot answer says nothing about the device.
        if let (Ok(cpu), Ok(lane)) = (&expected, got)
            && cpu != lane
        {
            let environment = now(course);
            let witness = Arc::new(Witness::of(environment.state.clone()));
            let watched = Environment { state: witness.clone(), ..environment.clone() };
            // Once more, to see what it reads: enough to find the difference again. Where the state does not say the same twice, the
            // device is not to blame.
            if self.on_fallback(watched, transaction) == expected {
                let environment = Environment { state: Arc::new(witness.read()), ..environment };
                self.distrust(Mismatch { environment, transaction: transaction.clone(), expected, got: got.clone() });
            }
        }
        statistics.check_time += start.elapsed();
    }
}

/// An environment as the transactions before have left it.
fn now(course: &Course<'_>) -> Environment {
    let mut environment = Environment { state: course.state.clone(), ..course.environment.clone() };
    // What they left of the block is left for the next one.
    let block = &mut environment.block;
    block.gas_used = block.gas_limit.saturating_sub(course.available.gas);
    block.blob_gas_used = blob_gas(course.environment).saturating_sub(course.available.blob_gas);
    environment
}

/// Blob gas of a whole block.
pub(crate) fn blob_gas(environment: &Environment) -> u64 {
    environment.rules.blob_schedule.max.saturating_mul(GAS_PER_BLOB)
}

/// What reads a state; `None` where that panics.
fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}
