//! The transactions of an environment that did not start yet.

use super::config::Submission;
use std::collections::{BTreeMap, VecDeque};

/// A submission in its queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Queued {
    /// Its number among all submissions to the environment, from 0.
    pub index: u64,
    pub submission: Submission,
    /// The round after which it was ready; set when it is.
    pub ready: u64,
}

/// Submissions by the epoch that they wait for, and those that are ready, in the order in which they became it.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    submitted: u64,
    later: BTreeMap<u64, VecDeque<Queued>>,
    ready: VecDeque<Queued>,
    /// How many were taken from the front and not put back.
    taken: u64,
}

impl Queue {
    /// Adds a submission, for this epoch at the earliest; returns its number.
    pub fn submit(&mut self, mut submission: Submission, epoch: u64) -> u64 {
        submission.epoch = submission.epoch.max(epoch);
        let index = self.submitted;
        self.submitted += 1;
        self.later.entry(submission.epoch).or_default().push_back(Queued { index, submission, ready: 0 });
        index
    }

    /// Makes ready what waits for that epoch or an earlier one.
    pub fn release(&mut self, epoch: u64, round: u64) {
        while let Some(entry) = self.later.first_entry()
            && *entry.key() <= epoch
        {
            self.ready.extend(entry.remove().into_iter().map(|queued| Queued { ready: round, ..queued }));
        }
    }

    pub fn front(&self) -> Option<&Queued> {
        self.ready.front()
    }

    pub fn take(&mut self) -> Option<Queued> {
        let queued = self.ready.pop_front()?;
        self.taken += 1;
        Some(queued)
    }

    /// Puts back what was taken last.
    pub fn put_back(&mut self, queued: Queued) {
        self.taken -= 1;
        self.ready.push_front(queued);
    }

    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Submissions that did not start.
    pub fn len(&self) -> usize {
        self.ready.len() + self.later.values().map(VecDeque::len).sum::<usize>()
    }

    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Forgets what a run had taken by the end of that epoch; `false` if there is less.
    pub fn skip(&mut self, taken: u64, epoch: u64, round: u64) -> bool {
        self.release(epoch, round);
        (self.taken..taken).all(|_| self.take().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_come_before_the_order_of_submission() {
        let mut queue = Queue::default();
        let at = |epoch| Submission { epoch, ..Submission::default() };
        for epoch in [2, 0, 1, 0] {
            queue.submit(at(epoch), 0);
        }
        let mut order = Vec::new();
        for epoch in 0..3 {
            queue.release(epoch, 7);
            while let Some(queued) = queue.take() {
                order.push((epoch, queued.index, queued.ready));
            }
        }
        assert_eq!(order, [(0, 1, 7), (0, 3, 7), (1, 2, 7), (2, 0, 7)]);
        assert_eq!((queue.taken(), queue.len()), (4, 0));
    }

    #[test]
    fn skipping_leaves_what_a_run_did_not_take() {
        let mut queue = Queue::default();
        for epoch in [1, 0, 0, 5] {
            queue.submit(Submission { epoch, ..Submission::default() }, 0);
        }
        let mut other = queue.clone();
        queue.release(1, 1);
        queue.take();
        let last = queue.take().expect("ready");
        queue.put_back(last);
        assert!(other.skip(queue.taken(), 1, 1));
        assert_eq!(other.front(), queue.front());
        assert_eq!(other.len(), 3);
        assert!(!other.skip(9, 1, 1));
    }
}
