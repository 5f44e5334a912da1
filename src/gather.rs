//! [`Gather`]: makes one batch of the batches of many threads.
//!
//! Blocks execute one after another on a thread each, and each asks a backend for its transactions alone. A device wants
//! thousands at once. So a thread that asks waits until half of the threads at work ask, too; the last of them executes all
//! that was asked for in one batch.

use isolane_spec::{Backend, Batch, ExecutionError, Outcome};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

type Results = Vec<Result<Outcome, ExecutionError>>;

/// Collects the batches of its members and executes them together.
pub struct Gather<'a> {
    backend: &'a dyn Backend,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Threads at work, those that wait included.
    members: usize,
    waiting: Vec<(u64, Batch)>,
    done: HashMap<u64, Results>,
    next: u64,
    /// Whether a batch is being executed.
    running: bool,
}

/// A thread at work: while it lives, the others may wait for what it asks.
pub struct Member<'a>(&'a Gather<'a>);

impl<'a> Gather<'a> {
    /// Batches go to that backend.
    #[must_use]
    pub fn new(backend: &'a dyn Backend) -> Self {
        Self { backend, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Counts a thread in, until the result is dropped. Only members may execute.
    #[must_use]
    pub fn member(&'a self) -> Member<'a> {
        self.lock().members += 1;
        Member(self)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Executes several batches as one.
    fn together(&self, tickets: Vec<(u64, Batch)>) -> Vec<(u64, Results)> {
        let mut all = Batch::default();
        let mut shares = Vec::with_capacity(tickets.len());
        for (ticket, batch) in tickets {
            let first = all.environments.len() as u32;
            shares.push((ticket, batch.transactions.len()));
            all.environments.extend(batch.environments);
            all.transactions.extend(batch.transactions.into_iter().map(|(at, transaction)| (first + at, transaction)));
        }
        let results = catch_unwind(AssertUnwindSafe(|| self.backend.execute(&all)));
        let mut results = match results {
            Ok(results) => results.into_iter(),
            Err(_) => Vec::new().into_iter(),
        };
        let missing = || Err(ExecutionError::Panic(format!("the backend {} lost its batch", self.backend.name())));
        shares
            .into_iter()
            .map(|(ticket, count)| (ticket, (0..count).map(|_| results.next().unwrap_or_else(missing)).collect()))
            .collect()
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.0.lock().members -= 1;
        // Those who wait may be enough now.
        self.0.changed.notify_all();
    }
}

impl Backend for Gather<'_> {
    fn name(&self) -> &'static str {
        self.backend.name()
    }

    fn execute(&self, batch: &Batch) -> Results {
        // The indices of environments change: one that is wrong must stay wrong.
        if batch.transactions.iter().any(|(at, _)| *at as usize >= batch.environments.len()) {
            return self.backend.execute(batch);
        }
        let mut state = self.lock();
        let ticket = state.next;
        state.next += 1;
        state.waiting.push((ticket, batch.clone()));
        // Those who wait may be enough now.
        self.changed.notify_all();
        loop {
            if let Some(results) = state.done.remove(&ticket) {
                return results;
            }
            if !state.running && !state.waiting.is_empty() && state.waiting.len() * 2 >= state.members {
                let tickets = std::mem::take(&mut state.waiting);
                state.running = true;
                drop(state);
                let done = self.together(tickets);
                state = self.lock();
                state.done.extend(done);
                state.running = false;
                self.changed.notify_all();
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_cpu::Reference;
    use isolane_spec::{
        AccountInfo, BlockContext, Bytes, Environment, Fork, H160, MemoryState, Rules, Transaction, U256,
    };
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The reference, and the largest batch that it was given.
    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Backend for Counted {
        fn name(&self) -> &'static str {
            "counted"
        }

        fn execute(&self, batch: &Batch) -> Results {
            self.0.fetch_max(batch.transactions.len(), Ordering::Relaxed);
            assert!(batch.transactions.iter().all(|(_, transaction)| transaction.gas_limit != 66_666), "a defect");
            Reference.execute(batch)
        }
    }

    fn payment(value: u64, gas_limit: u64) -> Batch {
        let mut state = MemoryState::default();
        let sender = H160::repeat_byte(1);
        state.insert(sender, AccountInfo { balance: U256::from(1_000), ..Default::default() }, Bytes::new(), []);
        let block = BlockContext { gas_limit: 30_000_000, ..Default::default() };
        let environment = Environment::new("a payment", Rules::new(Fork::Prague, 1), block, Arc::new(state));
        let to = Some(H160::repeat_byte(2));
        let payment = Transaction { sender, to, gas_limit, value: value.into(), ..Default::default() };
        Batch { environments: vec![environment], transactions: vec![(0, payment)] }
    }

    #[test]
    fn everyone_gets_what_is_theirs() {
        let counted = Counted::default();
        let gather = Gather::new(&counted);
        let members: Vec<_> = (0..8).map(|_| gather.member()).collect();
        std::thread::scope(|scope| {
            for (thread, member) in members.into_iter().enumerate() {
                let gather = &gather;
                scope.spawn(move || {
                    let _member = member;
                    // Some ask more often than others.
                    for round in 0..=thread as u64 {
                        let batch = payment(100 * thread as u64 + round, 21_000);
                        assert_eq!(gather.execute(&batch), Reference.execute(&batch));
                    }
                });
            }
        });
        assert!(counted.0.load(Ordering::Relaxed) >= 4, "nothing was gathered");
    }

    #[test]
    fn a_backend_that_fails_leaves_nobody_waiting() {
        let counted = Counted::default();
        let gather = Gather::new(&counted);
        let _member = gather.member();
        let results = gather.execute(&payment(1, 66_666));
        assert!(matches!(results.as_slice(), [Err(ExecutionError::Panic(_))]), "{results:?}");
        assert!(gather.execute(&payment(1, 21_000))[0].is_ok());
        let mut wrong = payment(1, 21_000);
        wrong.transactions[0].0 = 7;
        assert_eq!(gather.execute(&wrong), vec![Err(ExecutionError::NoEnvironment(7))]);
    }
}
