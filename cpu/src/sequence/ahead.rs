//! Transactions of a sequence that other threads execute before their turn.

use crate::machine::{Available, Machine};
use crate::overlay::Overlay;
use crate::pool::with_machine;
use hashbrown::HashMap;
use isolane_spec::{Budget, Environment, H160, Outcome, Reads, Status, Transaction, U256};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// What a transaction came to before its turn.
pub(super) struct Ahead {
    pub outcome: Outcome,
    pub reads: Reads,
    /// What it paid to a beneficiary that it did not look at.
    pub fee: Option<U256>,
    /// What the overlay had when it began.
    pub version: u64,
    /// How long it took.
    pub took: Duration,
}

/// Nobody executes it yet.
const FREE: u8 = 0;
/// It is executed in its turn.
const IN_TURN: u8 = 1;
/// A thread executes it ahead of its turn.
const RUNNING: u8 = 2;
/// It was executed ahead of its turn.
const DONE: u8 = 3;

/// Whether transactions of one callee depend on one another is not known yet.
const UNKNOWN: u8 = 0;
/// One of them is executed ahead while an earlier one is not done, to find out.
const TRIED: u8 = 1;
/// They did not, so far.
const APART: u8 = 2;
/// They do.
const ENTANGLED: u8 = 3;

/// How far ahead of the transaction whose turn it is, for each thread. What is further ahead is stale more often.
const LOOKAHEAD: usize = 16;
/// How long a thread looks for work before it gives up. It is called again when there is some, which costs the one that executes in
/// order several microseconds.
const PATIENCE: Duration = Duration::from_micros(100);

/// Turns of a waiting thread between two looks, which take cache lines from the one that executes in order.
const SPINS: u32 = 16;

/// One transaction.
struct Slot {
    /// A copy, from when it may be executed ahead, if it is worth another thread's while.
    transaction: OnceLock<Box<Transaction>>,
    state: AtomicU8,
    ahead: Mutex<Option<Box<Ahead>>>,
    /// The transaction before it with the same sender, by its number plus one; 0 if there is none.
    same_sender: usize,
    /// The transaction before it with the same callee, likewise.
    same_callee: usize,
    /// The callee, by the number of the first transaction that has it.
    callee: usize,
    /// What is known of the callee whose first transaction this is.
    trial: AtomicU8,
}

/// What the threads that execute ahead share with the one that executes in order.
pub(super) struct Front {
    slots: Vec<Slot>,
    /// With the overlay as its state.
    environment: Environment,
    allowance: Budget,
    pub overlay: Arc<Overlay>,
    /// So many transactions are in the overlay.
    committed: AtomicUsize,
    stop: AtomicBool,
    /// Threads that are at work.
    active: AtomicUsize,
    most_active: usize,
}

/// Whether a transaction is likely to run code.
pub(super) fn is_heavy(transaction: &Transaction) -> bool {
    transaction.to.is_none() || !transaction.input.is_empty()
}

impl Front {
    /// For these transactions, from what the machine stands at. If it `tries`, one of a callee is executed ahead before others of
    /// it.
    pub fn new(transactions: &[&Transaction], machine: &Machine, threads: usize, tries: bool) -> Arc<Self> {
        let overlay = Arc::new(machine.overlay());
        let environment = Environment { state: Arc::clone(&overlay) as _, ..machine.environment().clone() };
        let (mut senders, mut callees) = (HashMap::<H160, usize>::new(), HashMap::<H160, (usize, usize)>::new());
        let slots = transactions.iter().enumerate().map(|(index, transaction)| {
            let same_sender = senders.insert(transaction.sender, index + 1).unwrap_or_default();
            let (callee, same_callee) = match transaction.to {
                Some(to) => {
                    let (first, last) = callees.entry(to).or_insert((index, 0));
                    (*first, std::mem::replace(last, index + 1))
                }
                None => (index, 0),
            };
            Slot {
                transaction: OnceLock::new(),
                state: AtomicU8::new(FREE),
                ahead: Mutex::new(None),
                same_sender,
                same_callee,
                callee,
                trial: AtomicU8::new(if tries { UNKNOWN } else { APART }),
            }
        });
        Arc::new(Self {
            slots: slots.collect(),
            environment,
            allowance: machine.allowance(),
            overlay,
            committed: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            most_active: threads.saturating_sub(1).max(1),
        })
    }

    /// Takes a transaction whose turn has come: what it came to, if it was executed ahead. Waits for a thread that is
    /// about to execute it, as long as its `patience` lasts.
    pub fn take(&self, index: usize, patience: Duration) -> Option<Box<Ahead>> {
        let slot = self.slots.get(index)?;
        if slot.state.compare_exchange(FREE, IN_TURN, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return None;
        }
        if slot.state.load(Ordering::Acquire) == RUNNING {
            let start = Instant::now();
            while slot.state.load(Ordering::Acquire) == RUNNING {
                if start.elapsed() >= patience {
                    // Nobody will look at what it comes to.
                    let _tried =
                        self.trial(slot).compare_exchange(TRIED, UNKNOWN, Ordering::Relaxed, Ordering::Relaxed);
                    return None;
                }
                std::hint::spin_loop();
            }
        }
        slot.ahead.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What a transaction had read held, or did not: that tells of those with the same callee.
    pub fn held(&self, index: usize, held: bool) {
        let callee = self.slots.get(index).and_then(|slot| self.slots.get(slot.callee));
        let Some(Slot { trial, .. }) = callee else { return };
        if !held {
            trial.store(ENTANGLED, Ordering::Relaxed);
        } else if trial.load(Ordering::Relaxed) == TRIED {
            trial.store(APART, Ordering::Relaxed);
        }
    }

    /// So many of the front's transactions are in the overlay now.
    pub fn commit(self: &Arc<Self>, count: usize, transactions: &[&Transaction]) {
        // Copied as they come into reach: a front often ends long before the last one.
        let (from, to) = match count {
            0 => (0, self.end_after(0)),
            _ => (self.end_after(count - 1), self.end_after(count)),
        };
        for (slot, transaction) in self.slots.iter().zip(transactions).take(to).skip(from) {
            if is_heavy(transaction) {
                let _first = slot.transaction.set(Box::new(Transaction::clone(transaction)));
            }
        }
        self.committed.store(count, Ordering::Release);
        self.call();
    }

    /// Calls another thread, if there is work for it. Returns whether there was.
    fn call(self: &Arc<Self>) -> bool {
        let active = self.active.load(Ordering::Acquire);
        let calls = active < self.most_active && !self.stop.load(Ordering::Relaxed) && self.find().is_some();
        if calls {
            self.active.fetch_add(1, Ordering::AcqRel);
            let front = Arc::clone(self);
            rayon::spawn(move || front.work());
        }
        calls
    }

    /// After so many transactions, those from here on are out of reach.
    fn end_after(&self, committed: usize) -> usize {
        (committed + (self.most_active + 1) * LOOKAHEAD).min(self.slots.len())
    }

    /// A transaction that may be executed ahead: not the next one, if there is another, since its turn comes at once.
    fn find(&self) -> Option<usize> {
        let committed = self.committed.load(Ordering::Acquire);
        let end = self.end_after(committed);
        let may = |index: &usize| {
            let Some(slot) = self.slots.get(*index) else { return false };
            slot.state.load(Ordering::Relaxed) == FREE
                && slot.transaction.get().is_some()
                && slot.same_sender <= committed
                && (slot.same_callee <= committed
                    || matches!(self.trial(slot).load(Ordering::Relaxed), UNKNOWN | APART))
        };
        // The one at `committed` is being executed in its turn.
        (committed + 2..end).find(may).or_else(|| Some(committed + 1).filter(|next| *next < end).filter(may))
    }

    fn trial<'a>(&'a self, slot: &'a Slot) -> &'a AtomicU8 {
        &self.slots.get(slot.callee).unwrap_or(slot).trial
    }

    /// Executes ahead until there is nothing to be found.
    fn work(&self) {
        with_machine(self.environment.clone(), |machine| {
            machine.set_allowance(self.allowance);
            let mut idle_since = Instant::now();
            while !self.stop.load(Ordering::Relaxed) {
                match self.find() {
                    Some(index) => {
                        self.execute(machine, index);
                        idle_since = Instant::now();
                    }
                    // Only after a look: a thread that was interrupted has not waited for work in vain.
                    None if idle_since.elapsed() >= PATIENCE => break,
                    None => (0..SPINS).for_each(|_| std::hint::spin_loop()),
                }
            }
        });
        self.active.fetch_sub(1, Ordering::AcqRel);
    }

    fn execute(&self, machine: &mut Machine, index: usize) {
        let Some(slot) = self.slots.get(index) else { return };
        let Some(transaction) = slot.transaction.get() else { return };
        if slot.state.compare_exchange(FREE, RUNNING, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return;
        }
        if slot.same_callee > self.committed.load(Ordering::Acquire) {
            // Whether another thread tries it at the same time does not matter much.
            let trial = self.trial(slot);
            let _known = trial.compare_exchange(UNKNOWN, TRIED, Ordering::Relaxed, Ordering::Relaxed);
        }
        let unlimited = Available { gas: u64::MAX, blob_gas: u64::MAX };
        let version = self.overlay.version();
        let start = Instant::now();
        // What it reads may change while it runs, so it may see what never was at one time: then it does not hold.
        // A panic is a defect of the state or of isolane: it is met again in order, where it belongs.
        let done = catch_unwind(AssertUnwindSafe(|| {
            machine.forget();
            machine.transact(transaction, unlimited)
        }));
        let ahead = match done {
            Ok(Ok(outcome)) => {
                let fee = match outcome.status {
                    Status::Rejected(_) => None,
                    _ => machine.unseen_fee(),
                };
                let took = start.elapsed();
                Some(Box::new(Ahead { reads: machine.reads(), fee, outcome, version, took }))
            }
            Ok(Err(_)) => None,
            Err(_) => {
                // What the panic left behind is not to be trusted.
                *machine = Machine::new(self.environment.clone());
                machine.set_allowance(self.allowance);
                None
            }
        };
        *slot.ahead.lock().unwrap_or_else(PoisonError::into_inner) = ahead;
        slot.state.store(DONE, Ordering::Release);
    }

    /// Waits until no thread is at work any more, since there is nothing left to be found. Takes part meanwhile: the pool's other threads
    /// may have something else to do.
    pub fn settle(self: &Arc<Self>) {
        // A thread that was about to give up when there was new work has not seen it.
        while self.active.load(Ordering::Acquire) > 0 || self.call() {
            if rayon::yield_now() != Some(rayon::Yield::Executed) {
                std::thread::yield_now();
            }
        }
    }

    /// Nothing more is executed ahead: the sequence is over, or it does not pay.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
