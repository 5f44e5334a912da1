//! Watches the transactions of a block for the tables that need it.

use super::Selection;
use crate::block::BlockObserver;
use crate::trace::{CallFrame, CallFrames, Profile};
use isolane_cpu::Observer;

/// Collects the calls and the gas of a block's transactions.
#[derive(Debug, Default)]
pub struct Collector {
    watching: (Option<CallFrames>, Option<Profile>),
    /// The calls of the transactions that ended, by index.
    ended: Vec<Vec<CallFrame>>,
    /// The transaction that runs.
    running: Option<usize>,
}

/// What was collected.
#[derive(Debug, Default)]
pub struct Collected {
    /// The calls of each transaction, by index.
    pub calls: Vec<Vec<CallFrame>>,
    /// Gas of all transactions, where it was watched.
    pub profile: Option<Profile>,
}

impl Collector {
    /// Collects what these tables need; `None` where they need nothing of the kind.
    #[must_use]
    pub fn new(selection: Selection) -> Option<Self> {
        let (calls, profile) = (selection.needs_calls(), selection.needs_profile());
        let watching = (calls.then(CallFrames::default), profile.then(Profile::default));
        (calls || profile).then(|| Self { watching, ..Self::default() })
    }

    fn end(&mut self) {
        let Some(index) = self.running.take() else { return };
        let calls = self.watching.0.as_mut().map(CallFrames::take).unwrap_or_default();
        self.ended.resize(index, Vec::new());
        self.ended.push(calls);
    }

    /// What was collected.
    #[must_use]
    pub fn finish(mut self) -> Collected {
        self.end();
        Collected { calls: self.ended, profile: self.watching.1 }
    }
}

impl BlockObserver for Collector {
    fn transaction(&mut self, index: usize) -> Option<&mut dyn Observer> {
        self.end();
        self.running = Some(index);
        Some(&mut self.watching)
    }
}
