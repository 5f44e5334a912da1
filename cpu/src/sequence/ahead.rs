//! Transactions of a sequence that other threads execute before their turn.

use crate::machine::{Available, Machine};
use crate::overlay::Overlay;
use crate::pool::with_machine;
use hashbrown::HashMap;
use isolane_spec::{Budget, Environment, H160, Outcome, Reads, Status, Transaction, U256};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

/// How far ahead of the transaction whose turn it is, for each thread. What is further ahead is stale more often.
const LOOKAHEAD: usize = 16;
/// How often a thread looks for work again before it gives up. It is called again when there is some.
const PATIENCE: u32 = 400;

/// One transaction.
struct Slot {
    state: AtomicU8,
    ahead: Mutex<Option<Box<Ahead>>>,
    /// Worth another thread's while.
    heavy: bool,
    /// The transaction before it with the same sender, by its number plus one; 0 if there is none.
    same_sender: usize,
    /// The transaction before it with the same callee, likewise.
    same_callee: usize,
    /// The callee, by the number of the first transaction that has it.
    callee: usize,
    /// Whether the callee whose first transaction this is has led to conflicts.
    hot: AtomicBool,
}

/// What the threads that execute ahead share with the one that executes in order.
pub(super) struct Front {
    transactions: Vec<Transaction>,
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
    /// For these transactions, from what the machine stands at.
    pub fn new(transactions: &[&Transaction], machine: &Machine, threads: usize) -> Arc<Self> {
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
                state: AtomicU8::new(FREE),
                ahead: Mutex::new(None),
                heavy: is_heavy(transaction),
                same_sender,
                same_callee,
                callee,
                hot: AtomicBool::new(false),
            }
        });
        Arc::new(Self {
            slots: slots.collect(),
            transactions: transactions.iter().copied().cloned().collect(),
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
                    return None;
                }
                std::hint::spin_loop();
            }
        }
        slot.ahead.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A transaction's reads did not hold: those with the same callee wait for one another from now on.
    pub fn conflict(&self, index: usize) {
        let Some(slot) = self.slots.get(index) else { return };
        if let Some(first) = self.slots.get(slot.callee) {
            first.hot.store(true, Ordering::Relaxed);
        }
    }

    /// So many transactions are in the overlay now.
    pub fn commit(self: &Arc<Self>, count: usize) {
        self.committed.store(count, Ordering::Release);
        let active = self.active.load(Ordering::Acquire);
        if active < self.most_active && !self.stop.load(Ordering::Relaxed) && self.find().is_some() {
            self.active.fetch_add(1, Ordering::AcqRel);
            let front = Arc::clone(self);
            rayon::spawn(move || front.work());
        }
    }

    /// A transaction that may be executed ahead: not the next one, if there is another, since its turn comes at once.
    fn find(&self) -> Option<usize> {
        let committed = self.committed.load(Ordering::Acquire);
        let end = (committed + (self.most_active + 1) * LOOKAHEAD).min(self.slots.len());
        let may = |index: &usize| {
            let Some(slot) = self.slots.get(*index) else { return false };
            slot.state.load(Ordering::Relaxed) == FREE
                && slot.heavy
                && slot.same_sender <= committed
                && (slot.same_callee <= committed
                    || !self.slots.get(slot.callee).is_some_and(|first| first.hot.load(Ordering::Relaxed)))
        };
        // The one at `committed` is being executed in its turn.
        (committed + 2..end).find(may).or_else(|| Some(committed + 1).filter(|next| *next < end).filter(may))
    }

    /// Executes ahead until there is nothing to be found.
    fn work(&self) {
        with_machine(self.environment.clone(), |machine| {
            machine.set_allowance(self.allowance);
            let mut patience = PATIENCE;
            while patience > 0 && !self.stop.load(Ordering::Relaxed) {
                match self.find() {
                    Some(index) => {
                        self.execute(machine, index);
                        patience = PATIENCE;
                    }
                    None => {
                        patience -= 1;
                        std::hint::spin_loop();
                    }
                }
            }
        });
        self.active.fetch_sub(1, Ordering::AcqRel);
    }

    fn execute(&self, machine: &mut Machine, index: usize) {
        let (Some(slot), Some(transaction)) = (self.slots.get(index), self.transactions.get(index)) else { return };
        if slot.state.compare_exchange(FREE, RUNNING, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return;
        }
        let unlimited = Available { gas: u64::MAX, blob_gas: u64::MAX };
        let version = self.overlay.version();
        let start = Instant::now();
        // What it reads may change while it runs, so it may see what never was at one time: then it does not hold.
        // A panic is a defect of the state or of isolane: it is met again in order, where it belongs.
        let done = catch_unwind(AssertUnwindSafe(|| {
            machine.rewind();
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

    /// Nothing more is executed ahead: the sequence is over, or it does not pay.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
