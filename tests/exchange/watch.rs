//! Follows every message from its send to its end.

use isolane::exchange::{Entry, Event, Report};
use isolane::spec::{EnvironmentId, Failure, H256, Kind, Message};
use std::collections::BTreeMap;

/// What was seen of all messages.
#[derive(Clone, Default)]
pub struct Watch {
    /// Calls on their way.
    pub live: BTreeMap<H256, Message>,
    /// Calls that failed and are not yet refunded.
    pub failed: BTreeMap<H256, Message>,
    /// By destination, where the last delivery was in its order.
    pub last: BTreeMap<EnvironmentId, (u64, EnvironmentId, u8, u64)>,
    pub sent: u64,
    pub delivered: u64,
    pub refunded: u64,
    pub claimable: u64,
    pub deferred: u64,
    pub failures: BTreeMap<Failure, u64>,
    pub told: u64,
}

impl Watch {
    /// Takes in what an epoch shows.
    pub fn see(&mut self, report: &Report) {
        for entry in &report.entries {
            match entry.message.kind {
                Kind::Call => self.see_call(entry),
                Kind::Refund { id, .. } => self.see_refund(entry, id),
                Kind::State => self.told += u64::from(entry.event == Event::Delivered),
            }
            let Message { epoch, source, destination, nonce, .. } = entry.message;
            if entry.event == Event::Delivered {
                let place = (epoch, source, entry.message.kind.number(), nonce);
                let before = self.last.insert(destination, place);
                assert!(before.is_none_or(|before| before < place), "{destination}: {place:?} after {before:?}");
                assert!(epoch < report.epoch, "no delivery in the epoch of the send");
            }
        }
    }

    fn see_call(&mut self, entry: &Entry) {
        match entry.event {
            Event::Sent => {
                self.sent += 1;
                assert_eq!(self.live.insert(entry.id, entry.message.clone()), None, "sent twice");
            }
            Event::Delivered => {
                self.delivered += 1;
                assert_eq!(
                    self.live.remove(&entry.id).as_ref(),
                    Some(&entry.message),
                    "delivered twice, or never sent"
                );
            }
            Event::Failed(failure) => {
                *self.failures.entry(failure).or_default() += 1;
                if self.live.remove(&entry.id).is_none() {
                    // It did not even get into the queue.
                    self.sent += 1;
                }
                assert_eq!(self.failed.insert(entry.id, entry.message.clone()), None, "failed twice");
            }
            Event::Claimable | Event::Deferred => panic!("no call: {entry:?}"),
        }
    }

    fn see_refund(&mut self, entry: &Entry, id: H256) {
        match entry.event {
            Event::Delivered => self.refunded += 1,
            Event::Claimable => self.claimable += 1,
            Event::Deferred => {
                self.deferred += 1;
                assert!(self.failed.contains_key(&id));
                return;
            }
            Event::Sent | Event::Failed(_) => panic!("no refund: {entry:?}"),
        }
        let failed = self.failed.remove(&id).expect("refunded twice, or never failed");
        let Message { asset, value, to, destination, .. } = entry.message;
        assert_eq!((failed.asset, failed.value, failed.refund, failed.source), (asset, value, to, destination));
    }

    /// Whether every message that was sent got somewhere.
    pub fn assert_complete(&self) {
        let Self { live, failed, sent, delivered, refunded, claimable, failures, .. } = self;
        assert!(live.is_empty() && failed.is_empty(), "lost: {live:?} {failed:?}");
        assert_eq!(*sent, delivered + refunded + claimable);
        assert_eq!(failures.values().sum::<u64>(), refunded + claimable);
    }
}
