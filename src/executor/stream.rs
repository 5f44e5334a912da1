//! [`Stream`]: the outcomes of an iterator's calls.

use super::call::{Call, CallResult, Want};
use super::inner::Executor;
use super::queue::Ticket;
use super::snapshot::Snapshot;
use std::collections::VecDeque;
use std::vec::IntoIter;

/// Calls of one batch.
const BATCH: usize = 8_192;
/// Batches that are under way while outcomes of earlier ones are taken.
const AHEAD: usize = 2;

/// Outcomes in the order of their calls.
pub struct Stream<I> {
    executor: Executor,
    snapshot: Snapshot,
    calls: I,
    want: Want,
    under_way: VecDeque<Ticket>,
    ready: IntoIter<CallResult>,
    /// A batch that the queue did not take.
    refused: Option<Vec<Call>>,
    ended: bool,
}

impl<I: Iterator<Item = Call>> Stream<I> {
    pub(super) fn new(executor: Executor, snapshot: Snapshot, calls: I, want: Want) -> Self {
        let ready = Vec::new().into_iter();
        Self { executor, snapshot, calls, want, under_way: VecDeque::new(), ready, refused: None, ended: false }
    }

    fn batch(&mut self) -> Option<Vec<Call>> {
        if let Some(refused) = self.refused.take() {
            return Some(refused);
        }
        if self.ended {
            return None;
        }
        let batch: Vec<Call> = self.calls.by_ref().take(BATCH).collect();
        self.ended = batch.len() < BATCH;
        (!batch.is_empty()).then_some(batch)
    }

    fn submit_ahead(&mut self) {
        while self.under_way.len() <= AHEAD {
            let Some(batch) = self.batch() else { return };
            match self.executor.submit(&self.snapshot, batch, self.want) {
                Ok(ticket) => self.under_way.push_back(ticket),
                Err(full) => {
                    self.refused = Some(full.calls);
                    return;
                }
            }
        }
    }
}

impl<I: Iterator<Item = Call>> Iterator for Stream<I> {
    type Item = CallResult;

    fn next(&mut self) -> Option<CallResult> {
        loop {
            if let Some(result) = self.ready.next() {
                return Some(result);
            }
            self.submit_ahead();
            self.ready = match self.under_way.pop_front() {
                Some(ticket) => ticket.wait(),
                // Others fill the queue: this thread does the work.
                None => {
                    let batch = self.batch()?;
                    self.executor.run(&self.snapshot, &batch, self.want)
                }
            }
            .into_iter();
        }
    }
}
