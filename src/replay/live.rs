//! How far a replay is, for those who watch it.

use crate::report::{InputReport, Verdict};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that threads count up and others read.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// The number now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Takes from it.
    pub fn take(&self, less: u64) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }
}

/// Counts of a replay under way. They are read while they change, so that their sums may be off by a block.
#[derive(Debug, Default)]
pub struct Live {
    /// Blocks, or single transactions, that are to be replayed.
    pub inputs: Count,
    /// Those that match.
    pub matches: Count,
    /// Those that do not.
    pub mismatches: Count,
    /// Those that could not be executed.
    pub failed: Count,
    /// Executed transactions.
    pub transactions: Count,
    /// Gas used.
    pub gas: Count,
    /// Executed instructions.
    pub steps: Count,
    /// Time of loading, recovering senders, executing, verifying and writing tables, summed over threads, in nanoseconds.
    pub stages: [Count; 5],
    /// Blocks at work.
    pub at_work: Count,
    /// Blocks that are done and wait for those before them.
    pub waiting: Count,
    /// Blocks that are done and wait for their rows to be written.
    pub unwritten: Count,
    /// Blocks of a node that wait to be executed.
    pub fetched_ahead: Count,
    /// Their bytes.
    pub fetched_ahead_bytes: Count,
    /// Blocks that a node gave.
    pub fetched: Count,
    /// Blocks out of the cache.
    pub cached: Count,
}

/// The names of [`Live::stages`].
pub const STAGES: [&str; 5] = ["load", "recover", "execute", "verify", "write"];

impl Live {
    /// Counts a report.
    pub(super) fn report(&self, report: &InputReport) {
        let ended = match report.verdict {
            Verdict::Match => &self.matches,
            Verdict::Mismatch(_) => &self.mismatches,
            Verdict::Failed(_) => &self.failed,
        };
        ended.add(1);
        self.transactions.add(report.transactions as u64);
        self.gas.add(report.gas_used);
        self.steps.add(report.steps);
        let times = &report.times;
        for (stage, time) in self.stages.iter().zip([times.load, times.recover, times.execute, times.verify]) {
            stage.add(nanoseconds(time));
        }
    }

    /// Counts time of writing tables.
    pub(crate) fn wrote(&self, time: Duration) {
        let [.., write] = &self.stages;
        write.add(nanoseconds(time));
    }

    /// Blocks that are done.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.matches.get() + self.mismatches.get() + self.failed.get()
    }

    /// How long the rest takes at the pace so far; `None` before the first block.
    #[must_use]
    pub fn left(&self, elapsed: Duration) -> Option<Duration> {
        let (done, all) = (self.done(), self.inputs.get());
        let left = all.saturating_sub(done);
        let nanoseconds = elapsed.as_nanos().checked_mul(u128::from(left))?.checked_div(u128::from(done))?;
        u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::typed::InputError;

    #[test]
    fn reports_are_counted_and_the_rest_is_estimated() {
        let live = Live::default();
        live.inputs.set(4);
        assert_eq!(live.left(Duration::from_secs(1)), None);
        let mut report = InputReport::failed("a", InputError::at("", ""));
        live.report(&report);
        (report.verdict, report.gas_used, report.transactions) = (Verdict::Match, 7, 2);
        report.times.execute = Duration::from_nanos(5);
        live.report(&report);
        assert_eq!((live.done(), live.failed.get(), live.matches.get()), (2, 1, 1));
        assert_eq!((live.gas.get(), live.transactions.get(), live.stages[2].get()), (7, 2, 5));
        assert_eq!(live.left(Duration::from_secs(3)), Some(Duration::from_secs(3)));
    }
}
