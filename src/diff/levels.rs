//! Lanes in lockstep at every level of instructions that this machine has, and strictly: a group that panics is a
//! difference, though its transactions are executed again one by one.

use super::run::Executed;
use isolane_cpu::Lockstep;
use isolane_cpu::lockstep::{Leave, SimdLevel};
use isolane_spec::{Backend, Batch, ExecutionError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Takes a result with the index of its transaction, and whether the group that it was in failed.
pub type Sink<'a> = dyn Fn(usize, Executed, bool) + Sync + 'a;

/// Executes a batch at one level.
pub type Level = Box<dyn Fn(&Batch, &Sink<'_>) + Send + Sync>;

/// Batches with at most this many transactions are executed at every level, and of the others one in [`TURN`].
const SMALL: usize = 256;
/// See [`SMALL`].
const TURN: u64 = 4;

/// All levels as one backend. Where they do not agree, the result is an error.
pub struct Levels {
    levels: Vec<Level>,
    batches: AtomicU64,
}

impl Levels {
    /// Of this machine, the highest first; only one where the environment variable `ISOLANE_SIMD` names it.
    #[must_use]
    pub fn found() -> Self {
        let level = |level| -> Level {
            let lockstep = Lockstep::with_simd(level);
            Box::new(move |batch, sink| {
                lockstep.execute_told(batch, &|index, result, left| {
                    sink(index, result, left == Some(Leave::Failed));
                });
            })
        };
        Self::new(Self::here().into_iter().map(level).collect())
    }

    /// The levels that this machine has, the highest first; only one where `ISOLANE_SIMD` names it.
    #[must_use]
    pub fn here() -> Vec<SimdLevel> {
        if SimdLevel::chosen() < SimdLevel::highest() {
            return vec![SimdLevel::chosen()];
        }
        SimdLevel::ALL.into_iter().rev().filter(|level| *level <= SimdLevel::highest()).collect()
    }

    /// Of these.
    #[must_use]
    pub fn new(levels: Vec<Level>) -> Self {
        Self { levels, batches: AtomicU64::new(0) }
    }
}

/// What one level makes of a batch.
fn execute(level: &Level, batch: &Batch) -> Vec<Executed> {
    let lost = || Err(ExecutionError::Panic("a transaction has no result".to_owned()));
    let results: Mutex<Vec<Executed>> = Mutex::new(batch.transactions.iter().map(|_| lost()).collect());
    level(batch, &|index, result, failed| {
        let result = match result {
            Ok(_) if failed => Err(ExecutionError::Panic("a group failed".to_owned())),
            result => result,
        };
        if let Some(place) = results.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
            *place = result;
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Backend for Levels {
    fn name(&self) -> &'static str {
        "lockstep"
    }

    fn execute(&self, batch: &Batch) -> Vec<Executed> {
        let Some((highest, others)) = self.levels.split_first() else { return Vec::new() };
        let mut results = execute(highest, batch);
        let turn = self.batches.fetch_add(1, Ordering::Relaxed).is_multiple_of(TURN);
        if turn || batch.transactions.len() <= SMALL {
            for level in others {
                for (result, other) in results.iter_mut().zip(execute(level, batch)) {
                    if *result != other {
                        // Which of them is right is not known here; an error equals nothing that the first backend says.
                        *result = Err(ExecutionError::Panic("levels of instructions differ".to_owned()));
                    }
                }
            }
        }
        results
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::alike;
    use crate::diff::case::{Case, batch};
    use crate::diff::generate::Generator;
    use isolane_cpu::Reference;
    use isolane_spec::Fork;

    /// The reference, wrong in one respect.
    fn level(wrong: impl Fn(usize, &mut Executed) -> bool + Send + Sync + 'static) -> Level {
        Box::new(move |batch, sink| {
            for (index, mut result) in Reference.execute(batch).into_iter().enumerate() {
                let failed = wrong(index, &mut result);
                sink(index, result, failed);
            }
        })
    }

    #[test]
    fn a_wrong_level_and_a_group_that_fails_show() {
        let generator = Generator::new(3, &[Fork::Osaka]);
        let cases: Vec<Case> = alike::copies(&generator, 3, 0);
        let batch = batch(&cases);
        let right = Reference.execute(&batch);
        let differ = |levels: Vec<Level>| {
            let results = Levels::new(levels).execute(&batch);
            let pairs = results.iter().zip(&right).enumerate();
            pairs.filter(|(_, (a, b))| a != b).map(|(index, _)| index).collect::<Vec<usize>>()
        };
        assert!(differ(vec![level(|_, _| false), level(|_, _| false)]).is_empty());
        let wrong = |index: usize, result: &mut Executed| {
            if let (3, Ok(outcome)) = (index, result) {
                outcome.gas_used += 1;
            }
            false
        };
        assert_eq!(differ(vec![level(wrong)]), [3]);
        assert_eq!(differ(vec![level(wrong), level(|_, _| false)]), [3]);
        assert_eq!(differ(vec![level(|_, _| false), level(wrong)]), [3]);
        assert_eq!(differ(vec![level(|index, _| index == 5)]), [5]);
    }
}
