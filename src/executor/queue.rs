//! Submissions that wait, and the tickets for them.

use super::call::{Call, CallResult, Want};
use super::error::{ExecutorError, Full, panic_text};
use super::inner::Inner;
use super::run;
use super::snapshot::Snapshot;
use isolane_spec::ExecutionError;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Submissions that are worked on at a time: while one waits for its source, others execute.
const WORKERS: usize = 4;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What became of a submission.
#[derive(Default)]
struct Place {
    results: Option<Vec<CallResult>>,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Desk {
    place: Mutex<Place>,
    done: Condvar,
}

impl Desk {
    fn finish(&self, results: Vec<CallResult>) {
        let mut place = lock(&self.place);
        place.results = Some(results);
        let waker = place.waker.take();
        drop(place);
        self.done.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A submission. Wait for it, or await it: it is a future of any runtime. A ticket that is dropped before its calls began cancels
/// them.
#[must_use = "calls whose ticket is dropped are not executed"]
pub struct Ticket(Arc<Desk>);

impl Ticket {
    /// Waits for the outcomes, in the order of the calls.
    #[must_use]
    pub fn wait(self) -> Vec<CallResult> {
        let mut place = lock(&self.0.place);
        loop {
            if let Some(results) = place.results.take() {
                return results;
            }
            place = self.0.done.wait(place).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for so long. The ticket comes back where that was not enough.
    ///
    /// # Errors
    /// The ticket, where the outcomes are not there yet.
    pub fn wait_for(self, longest: Duration) -> Result<Vec<CallResult>, Self> {
        let place = lock(&self.0.place);
        let waiting = self.0.done.wait_timeout_while(place, longest, |place| place.results.is_none());
        let (mut place, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        let results = place.results.take();
        drop(place);
        results.ok_or(self)
    }

    /// Whether the outcomes are there.
    #[must_use]
    pub fn is_done(&self) -> bool {
        lock(&self.0.place).results.is_some()
    }
}

impl Future for Ticket {
    type Output = Vec<CallResult>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut place = lock(&self.0.place);
        match place.results.take() {
            Some(results) => Poll::Ready(results),
            None => {
                place.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("done", &self.is_done()).finish()
    }
}

struct Submission {
    snapshot: Snapshot,
    calls: Vec<Call>,
    want: Want,
    desk: Weak<Desk>,
}

#[derive(Default)]
struct Waiting {
    submissions: VecDeque<Submission>,
    workers: usize,
    idle: usize,
    closed: bool,
}

#[derive(Default)]
struct Line {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// Submissions in order, and the threads that take them.
pub(super) struct Queue {
    inner: Arc<Inner>,
    line: Arc<Line>,
    limit: usize,
}

impl Queue {
    pub fn new(inner: Arc<Inner>, limit: usize) -> Self {
        Self { inner, line: Arc::default(), limit }
    }

    pub fn submit(&self, snapshot: &Snapshot, calls: Vec<Call>, want: Want) -> Result<Ticket, Full> {
        let mut waiting = lock(&self.line.waiting);
        // Those whose tickets were dropped hold nobody up.
        waiting.submissions.retain(|submission| submission.desk.strong_count() > 0);
        if waiting.submissions.len() >= self.limit {
            return Err(Full { calls, limit: self.limit });
        }
        if waiting.idle <= waiting.submissions.len() && waiting.workers < WORKERS {
            let (inner, line) = (Arc::clone(&self.inner), Arc::clone(&self.line));
            let name = format!("isolane-queue-{}", waiting.workers);
            // Where a thread cannot be had, those that run do the work; without any, the queue fills up and says so.
            if std::thread::Builder::new().name(name).spawn(move || work(&inner, &line)).is_ok() {
                waiting.workers += 1;
            }
        }
        if waiting.workers == 0 {
            return Err(Full { calls, limit: self.limit });
        }
        let desk = Arc::new(Desk::default());
        waiting.submissions.push_back(Submission {
            snapshot: snapshot.clone(),
            calls,
            want,
            desk: Arc::downgrade(&desk),
        });
        drop(waiting);
        self.line.changed.notify_one();
        Ok(Ticket(desk))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let mut waiting = lock(&self.line.waiting);
        waiting.closed = true;
        let left = std::mem::take(&mut waiting.submissions);
        drop(waiting);
        self.line.changed.notify_all();
        for submission in left {
            if let Some(desk) = submission.desk.upgrade() {
                desk.finish(submission.calls.iter().map(|_| Err(ExecutorError::Gone)).collect());
            }
        }
    }
}

fn work(inner: &Inner, line: &Line) {
    loop {
        let mut waiting = lock(&line.waiting);
        let submission = loop {
            if let Some(submission) = waiting.submissions.pop_front() {
                break submission;
            }
            if waiting.closed {
                return;
            }
            waiting.idle += 1;
            waiting = line.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            waiting.idle -= 1;
        };
        drop(waiting);
        let Submission { snapshot, calls, want, desk } = submission;
        if desk.strong_count() == 0 {
            continue;
        }
        let results = catch_unwind(AssertUnwindSafe(|| run::run(inner, &snapshot, &calls, want)));
        let results = results.unwrap_or_else(|panic| {
            let error = ExecutorError::from(ExecutionError::Panic(panic_text(&*panic)));
            calls.iter().map(|_| Err(error.clone())).collect()
        });
        if let Some(desk) = desk.upgrade() {
            desk.finish(results);
        }
    }
}
