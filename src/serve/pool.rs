//! Threads for what is no call of a batch: each tenant has its queue, and a share of the threads by its weight.

use super::background::Background;
use crate::schedule::{Scheduler, Share};
use std::collections::VecDeque;
use std::num::{NonZeroU32, NonZeroU64};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// What a tenant is credited a round, in instructions.
const QUANTUM: NonZeroU64 = NonZeroU64::new(1 << 20).unwrap();

/// What became of a task.
#[derive(Debug)]
pub enum Turn {
    /// It is over, after so many instructions.
    Done(u64),
    /// It would have needed more instructions than it was allowed, and wants to begin again where it may have more.
    TooLong(u64),
}

/// A task: it is told how many instructions it may execute.
pub type Task = Box<dyn FnMut(u64) -> Turn + Send>;

/// Threads, and what waits for them.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Where tasks go that need more.
    next: Option<Arc<Background>>,
}

struct State {
    queues: Vec<VecDeque<Task>>,
    /// The instructions of a tenant's tasks.
    allowances: Vec<Allowance>,
    scheduler: Scheduler,
    stopped: bool,
}

/// Instructions that an execution may take where others wait for it to end. A tenant whose executions turn out too long has less
/// of them, so that a flood of such soon costs little where it is tried; what it executes within them gives it more again.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    most: u64,
    now: u64,
}

impl Allowance {
    /// So many, to begin with and at most.
    #[must_use]
    pub const fn new(most: u64) -> Self {
        Self { most, now: most }
    }

    /// How many there are.
    #[must_use]
    pub const fn get(&self) -> u64 {
        self.now
    }

    /// An execution was too long.
    pub fn exceeded(&mut self) {
        self.now = (self.now / 2).max(self.most / 16);
    }

    /// An execution ended within them, after so many.
    pub fn kept(&mut self, cost: u64) {
        self.now = self.now.saturating_add(cost / 4).min(self.most);
    }
}

/// Who comes first where processors are few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Like all others.
    Usual,
    /// After them, but not without end.
    Low,
    /// Only where a processor has nothing else to do.
    Idle,
}

/// How a pool is made.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Names its threads.
    pub name: &'static str,
    /// How many there are.
    pub threads: NonZeroU32,
    /// The most of them that one tenant may hold.
    pub each: NonZeroU32,
    /// The instructions that a task may execute here.
    pub allowance: u64,
    /// What comes before its threads.
    pub priority: Priority,
}

impl Pool {
    /// Starts the threads. Tasks that need more than their allowance go on to `next`.
    ///
    /// # Errors
    /// When the system has no threads.
    pub fn start(settings: Settings, shares: &[Share], next: Option<Arc<Background>>) -> std::io::Result<Self> {
        let mut scheduler = Scheduler::new(QUANTUM, settings.threads);
        for share in shares {
            scheduler.add(Share { max_lanes: share.max_lanes.min(settings.each), ..*share });
        }
        let state = State {
            queues: shares.iter().map(|_| VecDeque::new()).collect(),
            allowances: vec![Allowance::new(settings.allowance); shares.len()],
            scheduler,
            stopped: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), next });
        let mut pool = Self { shared: Arc::clone(&shared), threads: Vec::new() };
        for index in 0..settings.threads.get() {
            let shared = Arc::clone(&shared);
            let work = move || {
                lower_priority(settings.priority);
                shared.work();
            };
            let builder = std::thread::Builder::new().name(format!("{}-{index}", settings.name));
            pool.threads.push(builder.stack_size(16 << 20).spawn(work)?);
        }
        Ok(pool)
    }

    /// Queues a task of a tenant.
    pub fn push(&self, tenant: usize, task: Task) {
        self.shared.push(tenant, task);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stopped = true;
        state.queues.iter_mut().for_each(VecDeque::clear);
        drop(state);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // The last to let go of a pool may be a task of its own. Tasks are contained; there is nothing to be told.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, tenant: usize, task: Task) {
        let mut state = self.lock();
        if state.stopped {
            return;
        }
        if let Some(queue) = state.queues.get_mut(tenant) {
            queue.push_back(task);
        }
        drop(state);
        self.changed.notify_one();
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return;
            }
            let Some((tenant, mut task)) = state.next() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (more, allowance) = (state.has_work(), state.allowance(tenant));
            drop(state);
            if more {
                self.changed.notify_one();
            }
            // A task that panics has answered, or its slot answers as it is dropped.
            let turn = catch_unwind(AssertUnwindSafe(|| task(allowance))).unwrap_or(Turn::Done(1));
            let (cost, kept) = match turn {
                Turn::Done(cost) => {
                    drop(task);
                    (cost, true)
                }
                Turn::TooLong(cost) => {
                    if let Some(next) = &self.next {
                        next.push(tenant, task);
                    }
                    (cost, false)
                }
            };
            state = self.lock();
            if let Some(allowance) = state.allowances.get_mut(tenant) {
                if kept { allowance.kept(cost) } else { allowance.exceeded() }
            }
            state.scheduler.finish(tenant, 1, cost);
            // A place became free.
            self.changed.notify_one();
        }
    }
}

impl State {
    fn has_work(&self) -> bool {
        self.queues.iter().any(|queue| !queue.is_empty())
    }

    fn allowance(&self, tenant: usize) -> u64 {
        self.allowances.get(tenant).map_or(0, Allowance::get)
    }

    /// The next task, if some tenant has one and may hold one more thread.
    fn next(&mut self) -> Option<(usize, Task)> {
        // Debts are paid by rounds: as many as it takes until somebody with work has credit again.
        for _ in 0..1 << 20 {
            let turns = self.scheduler.turns();
            let waits = |tenant: usize| self.queues.get(tenant).is_some_and(|queue| !queue.is_empty());
            for tenant in turns {
                if waits(tenant) && self.scheduler.may_start(tenant) {
                    let task = self.queues.get_mut(tenant).and_then(VecDeque::pop_front)?;
                    self.scheduler.start(tenant, 1);
                    return Some((tenant, task));
                }
            }
            let in_debt = (0..self.queues.len()).any(|tenant| waits(tenant) && !self.scheduler.has_credit(tenant));
            if !in_debt {
                return None;
            }
            let queues = &self.queues;
            self.scheduler.begin_round(|tenant| queues.get(tenant).is_some_and(|queue| !queue.is_empty()));
        }
        None
    }
}

/// Lets others on the machine come first.
fn lower_priority(priority: Priority) {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};
        // Where it is not allowed, it only costs others more.
        if priority == Priority::Idle {
            let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
            let thread = thread_priority::thread_native_id();
            let _ = thread_priority::set_thread_priority_and_policy(thread, ThreadPriority::Min, idle);
        }
        if priority != Priority::Usual {
            // On Linux this is about the calling thread.
            let _ = rustix::process::setpriority_process(None, 15);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = priority;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    fn settings(threads: u32, each: u32, allowance: u64) -> Settings {
        let some = |n| NonZeroU32::new(n).expect("not zero");
        Settings { name: "test", threads: some(threads), each: some(each), allowance, priority: Priority::Usual }
    }

    #[test]
    fn a_task_that_needs_more_goes_on_elsewhere() {
        let slow = Arc::new(Background::start(1, &[Share::default()]).expect("threads"));
        let quick = Pool::start(settings(1, 1, 10), &[Share::default()], Some(slow)).expect("threads");
        let (sender, receiver) = mpsc::channel();
        let task = move |allowance: u64| {
            let _ = sender.send(allowance);
            if allowance < 500 { Turn::TooLong(allowance) } else { Turn::Done(500) }
        };
        quick.push(0, Box::new(task));
        assert_eq!((receiver.recv(), receiver.recv()), (Ok(10), Ok(u64::MAX)));
        assert!(receiver.recv().is_err(), "it is over");
    }

    #[test]
    fn whoever_exceeds_its_allowance_has_less_until_it_keeps_it() {
        let mut allowance = Allowance::new(1600);
        allowance.exceeded();
        assert_eq!(allowance.get(), 800);
        (0..10).for_each(|_| allowance.exceeded());
        assert_eq!(allowance.get(), 100, "never nothing");
        allowance.kept(400);
        assert_eq!(allowance.get(), 200);
        (0..100).for_each(|_| allowance.kept(100));
        assert_eq!(allowance.get(), 1600);
    }

    #[test]
    fn a_panic_costs_one_task_and_a_flood_leaves_room() {
        let shares = [Share::default(); 2];
        let pool = Pool::start(settings(2, 1, 10), &shares, None).expect("threads");
        pool.push(1, Box::new(|_| panic!("a defect")));
        // The first tenant holds its one thread until the second has been served.
        let (go, wait) = mpsc::channel::<()>();
        let served = Arc::new(AtomicUsize::new(0));
        pool.push(
            0,
            Box::new(move |_| {
                let _ = wait.recv();
                Turn::Done(1 << 30)
            }),
        );
        for _ in 0..100 {
            pool.push(0, Box::new(|_| Turn::Done(1 << 30)));
        }
        let (done, finished) = mpsc::channel();
        let count = Arc::clone(&served);
        pool.push(
            1,
            Box::new(move |_| {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = done.send(());
                Turn::Done(1)
            }),
        );
        finished.recv().expect("served while the flood waits");
        assert_eq!(served.load(Ordering::SeqCst), 1);
        drop(go);
        let (done, finished) = mpsc::channel();
        pool.push(
            0,
            Box::new(move |_| {
                let _ = done.send(());
                Turn::Done(1)
            }),
        );
        finished.recv().expect("the debts are paid, as nobody else waits");
    }
}
