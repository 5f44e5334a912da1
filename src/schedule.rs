//! Deficit round-robin over environments by weight.
//!
//! In each round every environment that has work is credited `quantum * weight` units, and starts transactions while it
//! has credit left. What a transaction costs is known only after it ran, so it is charged what it may cost at most when
//! it starts, and is given back the rest when it ends; the last transaction of a round may overdraw the credit, and the
//! debt is paid by later rounds (Surplus Round Robin, after Shreedhar and Varghese's Deficit Round Robin). Two things
//! follow. An environment with `W` units of work is done within `ceil(W / (quantum * weight))` rounds, whatever the others do.
//! And what is served in a round is the shortest prefix of the queue that uses the credit up: neither the number of
//! lanes nor the order in which they end changes it, so a schedule is a function of the work alone.
//!
//! The module is pure: it knows no transactions, no clock and no threads.

use std::num::{NonZeroU32, NonZeroU64};

/// What an environment is entitled to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its part of the work under overload, relative to the other weights.
    pub weight: NonZeroU32,
    /// The most lanes that it may hold at once; the rest of a dispatch is left to others.
    pub max_lanes: NonZeroU32,
}

#[derive(Clone, Debug)]
struct Entry {
    share: Share,
    /// Credit left; negative after an overdraft.
    deficit: i128,
    /// What its running transactions may still cost.
    reserved: i128,
    in_flight: u32,
}

/// Says who may start a transaction next.
#[derive(Clone, Debug)]
pub struct Scheduler {
    quantum: NonZeroU64,
    lanes: NonZeroU32,
    entries: Vec<Entry>,
    in_flight: u32,
    round: u64,
}

impl Scheduler {
    /// A scheduler that credits `quantum` units a round and unit of weight, and fills at most `lanes` lanes at once.
    #[must_use]
    pub const fn new(quantum: NonZeroU64, lanes: NonZeroU32) -> Self {
        Self { quantum, lanes, entries: Vec::new(), in_flight: 0, round: 0 }
    }

    /// Adds an environment and returns its index.
    pub fn add(&mut self, share: Share) -> usize {
        self.entries.push(Entry { share, deficit: 0, reserved: 0, in_flight: 0 });
        self.entries.len() - 1
    }

    /// Rounds so far.
    #[must_use]
    pub const fn round(&self) -> u64 {
        self.round
    }

    /// The units that an environment is credited a round.
    #[must_use]
    pub fn credit(&self, index: usize) -> u128 {
        let weight = self.entries.get(index).map_or(0, |entry| entry.share.weight.get());
        u128::from(self.quantum.get()) * u128::from(weight)
    }

    /// Starts a round: credits everyone that has work. Whoever has none keeps its debt and loses its credit, which would
    /// otherwise pile up and starve the others later.
    pub fn begin_round(&mut self, has_work: impl Fn(usize) -> bool) {
        self.round += 1;
        let quantum = i128::from(self.quantum.get());
        for (index, entry) in self.entries.iter_mut().enumerate() {
            entry.deficit = entry.deficit.min(0);
            if has_work(index) {
                entry.deficit += quantum * i128::from(entry.share.weight.get());
            }
        }
    }

    /// All environments, another one first in each round, so that none is always first at the lanes.
    pub fn turns(&self) -> impl Iterator<Item = usize> + use<> {
        let count = self.entries.len();
        let first = self.round.checked_rem(count as u64).unwrap_or(0) as usize;
        (first..count).chain(0..first)
    }

    /// Whether the environment may start a transaction now.
    #[must_use]
    pub fn may_start(&self, index: usize) -> bool {
        self.in_flight < self.lanes.get()
            && self
                .entries
                .get(index)
                .is_some_and(|entry| entry.deficit > entry.reserved && entry.in_flight < entry.share.max_lanes.get())
    }

    /// Whether the environment has credit left in this round, though it may have to wait for a lane.
    #[must_use]
    pub fn has_credit(&self, index: usize) -> bool {
        self.entries.get(index).is_some_and(|entry| entry.deficit > entry.reserved)
    }

    /// A transaction that costs at most `most` takes a lane.
    pub fn start(&mut self, index: usize, most: u64) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.reserved += i128::from(most);
            entry.in_flight += 1;
            self.in_flight += 1;
        }
    }

    /// That transaction gave its lane back and cost `cost`. Nothing is free: a cost of zero counts as one.
    pub fn finish(&mut self, index: usize, most: u64, cost: u64) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.reserved -= i128::from(most);
            entry.deficit -= i128::from(cost.max(1));
            entry.in_flight -= 1;
            self.in_flight -= 1;
        }
    }

    /// That transaction gave its lane back and did not run after all: it starts again later.
    pub fn abandon(&mut self, index: usize, most: u64) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.reserved -= i128::from(most);
            entry.in_flight -= 1;
            self.in_flight -= 1;
        }
    }

    /// Charges work that was not scheduled, such as the delivery of messages.
    pub fn charge(&mut self, index: usize, cost: u64) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.deficit -= i128::from(cost);
        }
    }

    /// What an environment overdrew.
    #[must_use]
    pub fn debt(&self, index: usize) -> u128 {
        self.entries.get(index).map_or(0, |entry| (-entry.deficit).max(0).unsigned_abs())
    }

    /// Rounds within which the environment ends `work` units, its debt included, whatever the others do.
    #[must_use]
    pub fn starvation_bound(&self, index: usize, work: u128) -> u64 {
        let debt = self.debt(index);
        let credit = self.credit(index).max(1);
        u64::try_from((work.saturating_add(debt)).div_ceil(credit)).unwrap_or(u64::MAX)
    }

    /// What has to be kept to go on later: the round, and each environment's credit or debt.
    #[must_use]
    pub fn checkpoint(&self) -> (u64, Vec<i128>) {
        (self.round, self.entries.iter().map(|entry| entry.deficit).collect())
    }

    /// Goes on where a scheduler with the same environments stopped. Whatever has no counterpart is ignored.
    pub fn restore(&mut self, round: u64, deficits: &[i128]) {
        self.round = round;
        for (entry, deficit) in self.entries.iter_mut().zip(deficits) {
            entry.deficit = *deficit;
        }
    }
}

#[cfg(test)]
mod tests;
