//! Tickets, back-pressure, streams.

use super::support::*;
use isolane::executor::{Executor, ExecutorError, Full, StateSource, Ticket, Want};
use isolane::spec::{AccountInfo, Bytes, H160, H256, StateError, U256};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A source that answers only once it is let.
struct Gated {
    inner: Counting,
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gated {
    fn new() -> Self {
        Self { inner: Counting::new(world(100)), open: Mutex::new(false), changed: Condvar::new() }
    }

    fn open(&self) {
        *self.open.lock().expect("a lock") = true;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let open = self.open.lock().expect("a lock");
        drop(self.changed.wait_while(open, |open| !*open).expect("a lock"));
    }
}

impl StateSource for Gated {
    type Error = StateError;
    fn accounts(&self, addresses: &[H160]) -> Result<Vec<Option<AccountInfo>>, StateError> {
        self.wait();
        self.inner.accounts(addresses)
    }
    fn slots(&self, keys: &[(H160, H256)]) -> Result<Vec<U256>, StateError> {
        self.inner.slots(keys)
    }
    fn codes(&self, hashes: &[H256]) -> Result<Vec<Bytes>, StateError> {
        self.inner.codes(hashes)
    }
    fn block_hashes(&self, numbers: &[u64]) -> Result<Vec<H256>, StateError> {
        self.inner.block_hashes(numbers)
    }
}

fn check(results: Vec<isolane::executor::CallResult>) {
    assert_eq!(results.len(), 100);
    for (index, result) in results.into_iter().enumerate() {
        assert_eq!(U256::from_big_endian(&result.expect("an outcome").output), U256::from(10 * index));
    }
}

#[test]
fn a_full_queue_gives_the_calls_back() {
    let executor = Executor::builder().threads(2).queue_limit(3).build().expect("an executor");
    let source = Arc::new(Gated::new());
    let snapshot = executor.snapshot(&source, block(), rules());
    let calls = balance_calls(TOKEN, 100);
    let mut tickets: Vec<Ticket> = Vec::new();
    let full: Full = loop {
        match executor.submit(&snapshot, calls.clone(), Want::OUTPUT) {
            Ok(ticket) => tickets.push(ticket),
            Err(full) => break full,
        }
        assert!(tickets.len() < 100, "the queue has no bound");
    };
    // As many wait as may, and some are worked on.
    assert!(tickets.len() >= 3, "{}", tickets.len());
    assert_eq!((full.calls.len(), full.limit), (100, 3));
    assert!(matches!(ExecutorError::from(full), ExecutorError::Full { limit: 3 }));
    let first = tickets.remove(0).wait_for(Duration::from_millis(1)).expect_err("the source is shut");
    assert!(!first.is_done());
    source.open();
    check(first.wait());
    // The others as futures.
    for ticket in tickets {
        check(pollster::block_on(ticket));
    }
    check(executor.submit(&snapshot, calls, Want::OUTPUT).expect("there is room again").wait());
}

#[test]
fn a_dropped_ticket_makes_room() {
    let executor = Executor::builder().threads(2).queue_limit(2).build().expect("an executor");
    let source = Arc::new(Gated::new());
    let snapshot = executor.snapshot(&source, block(), rules());
    let calls = balance_calls(TOKEN, 100);
    let mut tickets: Vec<Ticket> = Vec::new();
    while let Ok(ticket) = executor.submit(&snapshot, calls.clone(), Want::OUTPUT) {
        tickets.push(ticket);
        assert!(tickets.len() < 100, "the queue has no bound");
    }
    drop(tickets.pop());
    let ticket = executor.submit(&snapshot, calls, Want::OUTPUT).expect("the dropped one's place");
    source.open();
    check(ticket.wait());
}

#[test]
fn tickets_of_an_executor_that_is_gone_end() {
    let executor = Executor::builder().threads(1).queue_limit(8).build().expect("an executor");
    let source = Arc::new(Gated::new());
    let snapshot = executor.snapshot(&source, block(), rules());
    let submit = || executor.submit(&snapshot, balance_calls(TOKEN, 100), Want::OUTPUT);
    let tickets: Vec<Ticket> = std::iter::from_fn(|| submit().ok()).collect();
    drop(executor);
    source.open();
    let ends: Vec<bool> = tickets.into_iter().map(|ticket| ticket.wait().iter().all(Result::is_ok)).collect();
    assert!(!ends[ends.len() - 1], "what had not begun is over");
}

#[test]
fn a_stream_is_in_order_and_bounded() {
    let executor = Executor::builder().threads(2).build().expect("an executor");
    let source = Arc::new(Counting::new(world(1_000)));
    let snapshot = executor.snapshot(&source, block(), rules());
    let taken = AtomicUsize::new(0);
    let calls = (0..100_000u64).map(|index| {
        taken.fetch_add(1, Ordering::Relaxed);
        isolane::Call::new(TOKEN, balance_of(holder(index % 1_000)))
    });
    let mut stream = executor.stream(&snapshot, calls, Want::OUTPUT);
    for index in 0..1_000u64 {
        let outcome = stream.next().expect("one more").expect("an outcome");
        assert_eq!(U256::from_big_endian(&outcome.output), U256::from(10 * index));
    }
    let ahead = taken.load(Ordering::Relaxed);
    assert!(ahead < 60_000, "{ahead} calls were taken for 1,000 outcomes");
    assert_eq!(stream.count(), 99_000);
    assert_eq!(executor.stream(&snapshot, Vec::new(), Want::OUTPUT).count(), 0);
}

#[test]
fn a_stream_goes_on_when_others_fill_the_queue() {
    let executor = Executor::builder().threads(2).queue_limit(1).build().expect("an executor");
    let gated = Arc::new(Gated::new());
    let shut = executor.snapshot(&gated, block(), rules());
    let mut tickets = Vec::new();
    while let Ok(ticket) = executor.submit(&shut, balance_calls(TOKEN, 100), Want::OUTPUT) {
        tickets.push(ticket);
        assert!(tickets.len() < 100, "the queue has no bound");
    }
    let snapshot = executor.snapshot(&Arc::new(Counting::new(world(100))), block(), rules());
    check(executor.stream(&snapshot, balance_calls(TOKEN, 100), Want::OUTPUT).collect());
    gated.open();
    tickets.into_iter().for_each(|ticket| check(ticket.wait()));
}
