//! What is counted for reports. Nothing here decides a result.

use crate::exchange::{self, Event};
use isolane_spec::Kind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Waiting times in rounds, by powers of two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Transactions that started.
    pub count: u64,
    /// Their rounds in sum.
    pub total: u64,
    /// The longest.
    pub longest: u64,
    /// How many waited 1 round, 2, 3 to 4, 5 to 8, and so on. Starting in the first round that could be counts as 1.
    pub histogram: Vec<u64>,
}

impl Waiting {
    pub(super) fn add(&mut self, rounds: u64) {
        let rounds = rounds.max(1);
        self.count += 1;
        self.total += rounds;
        self.longest = self.longest.max(rounds);
        let bucket = (u64::BITS - (rounds - 1).leading_zeros()) as usize;
        if self.histogram.len() <= bucket {
            self.histogram.resize(bucket + 1, 0);
        }
        if let Some(count) = self.histogram.get_mut(bucket) {
            *count += 1;
        }
    }

    /// The mean in rounds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.total as f64 / self.count as f64 }
    }

    /// The rounds within which at least that part of the transactions started: the upper end of its power of two, and
    /// never more than the longest.
    #[must_use]
    pub fn within(&self, percent: u64) -> u64 {
        let needed = (self.count * percent).div_ceil(100);
        let mut sum = 0;
        for (bucket, count) in self.histogram.iter().enumerate() {
            sum += count;
            if sum >= needed {
                return self.longest.min(1u64.checked_shl(bucket as u32).unwrap_or(u64::MAX));
            }
        }
        self.longest
    }
}

/// What an environment used of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Gas.
    pub gas: u64,
    /// Instructions.
    pub steps: u64,
    /// Changed storage slots.
    pub slots: u64,
    /// Bytes of log data.
    pub log_bytes: u64,
}

impl Usage {
    pub(super) fn add(&mut self, other: &Self) {
        self.gas = self.gas.saturating_add(other.gas);
        self.steps = self.steps.saturating_add(other.steps);
        self.slots = self.slots.saturating_add(other.slots);
        self.log_bytes = self.log_bytes.saturating_add(other.log_bytes);
    }

    pub(super) fn max(&mut self, other: &Self) {
        self.gas = self.gas.max(other.gas);
        self.steps = self.steps.max(other.steps);
        self.slots = self.slots.max(other.slots);
        self.log_bytes = self.log_bytes.max(other.log_bytes);
    }
}

/// What an environment did in one epoch, for charts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochStats {
    /// Own transactions that ended.
    pub transactions: u64,
    /// What they used.
    pub usage: Usage,
    /// Deliveries.
    pub deliveries: u64,
    /// Messages sent.
    pub sent: u64,
    /// Whether it was rolled back.
    pub rolled_back: bool,
}

/// What an environment did in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Own transactions by how they ended.
    pub succeeded: u64,
    /// See above.
    pub reverted: u64,
    /// Exceptional halts, those of permissions and budgets among them.
    pub halted: u64,
    /// See above.
    pub rejected: u64,
    /// Transactions without an outcome: the state could not answer, or isolane has a defect.
    pub failed: u64,
    /// Denials by rule.
    pub denied: BTreeMap<String, u64>,
    /// Exceeded budgets by kind.
    pub exceeded: BTreeMap<String, u64>,
    /// Epochs that were rolled back.
    pub rolled_back_epochs: u64,
    /// Transactions in them, which are also counted by how they ended.
    pub rolled_back: u64,
    /// Times that a transaction did not fit what was left of an epoch.
    pub deferred: u64,
    /// What all transactions used.
    pub usage: Usage,
    /// The most that the transactions of one epoch used.
    pub peak: Usage,
    /// Deliveries whose call succeeded.
    pub delivered: u64,
    /// Deliveries whose call failed, or that were rolled back.
    pub undelivered: u64,
    /// Gas of deliveries.
    pub delivery_gas: u64,
    /// Messages sent.
    pub sent: u64,
    /// Scheduling cost of what it was served while at least one other environment was kept waiting as well.
    pub contested: u64,
    /// What it was due of that by its weight, in millionths.
    pub due: u128,
    /// How long its transactions waited.
    pub waiting: Waiting,
    /// The most rounds in an epoch in which it had work.
    pub busy_rounds: u64,
    /// Rounds within which that epoch's work had to end, by the bound of the scheduler.
    pub busy_bound: u64,
    /// Epochs in which the work took longer than the bound.
    pub late_epochs: u64,
    /// Epoch by epoch.
    #[serde(skip)]
    pub epochs: Vec<EpochStats>,
}

/// Messages from one environment to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Calls that were sent.
    pub sent: u64,
    /// Calls that arrived and succeeded.
    pub delivered: u64,
    /// Calls that failed, by why.
    pub failed: BTreeMap<String, u64>,
    /// Values of subscribed slots that arrived.
    pub state: u64,
    /// Refunds that arrived, by the source of the refund.
    pub refunds: u64,
    /// Refunds that became claimable.
    pub claimable: u64,
    /// Gas of the deliveries.
    pub gas: u64,
}

/// All messages of a run, by source and destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows(pub BTreeMap<String, BTreeMap<String, Flow>>);

impl Flows {
    pub(super) fn add(&mut self, report: &exchange::Report) {
        for entry in &report.entries {
            let message = &entry.message;
            let destinations = self.0.entry(message.source.to_string()).or_default();
            let flow = destinations.entry(message.destination.to_string()).or_default();
            flow.gas = flow.gas.saturating_add(entry.gas_used);
            match (message.kind, entry.event) {
                (Kind::Call, Event::Sent) => flow.sent += 1,
                (Kind::Call, Event::Delivered) => flow.delivered += 1,
                (Kind::Call, Event::Failed(failure)) => {
                    // What the barrier refused was sent all the same.
                    if message.epoch == report.epoch {
                        flow.sent += 1;
                    }
                    *flow.failed.entry(failure.name().to_owned()).or_default() += 1;
                }
                (Kind::State, Event::Delivered) => flow.state += 1,
                (Kind::Refund { .. }, Event::Delivered) => flow.refunds += 1,
                (_, Event::Claimable) => flow.claimable += 1,
                _ => {}
            }
        }
    }
}

impl Stats {
    /// Own transactions that ended.
    #[must_use]
    pub const fn executed(&self) -> u64 {
        self.succeeded + self.reverted + self.halted + self.rejected + self.failed
    }

    /// The share that it got under contention, against what its weight entitled it to: 1 is exact. `None` without
    /// contention.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub fn fairness(&self) -> Option<f64> {
        (self.due > 0).then(|| self.contested as f64 * 1e6 / self.due as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_counted_by_powers_of_two() {
        let mut waiting = Waiting::default();
        for rounds in [0, 1, 2, 3, 4, 5, 8, 9] {
            waiting.add(rounds);
        }
        assert_eq!(waiting.histogram, [2, 1, 2, 2, 1]);
        assert_eq!((waiting.count, waiting.total, waiting.longest), (8, 33, 9));
        assert_eq!(waiting.within(50), 4);
        assert_eq!(waiting.within(100), 9, "never more than the longest");
        assert_eq!(Waiting::default().within(50), 0);
    }
}
