//! The calls that wait for a batch: each tenant's queue, and what each batch takes of it.

use super::pool::Allowance;
use super::reply::Slot;
use crate::executor::{Call, Snapshot};
use crate::schedule::{Scheduler, Share};
use isolane_spec::H160;
use std::collections::{HashSet, VecDeque};
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Instant;

/// The most instructions of a call in a batch: about half a millisecond.
pub const ALLOWANCE: u64 = 200_000;
/// Instructions with which a call shows that it is no short one: most are.
pub const FIRST: u64 = 25_000;
/// How many times a tenant's credit its calls in a batch may take if none of them is as short as those before.
const SURPRISE: u64 = 8;
/// What a tenant is credited for each unit of weight, batch and thread, in instructions: so long do others wait for it.
const QUANTUM: u64 = 500_000;
/// The most calls of a batch.
pub const LARGEST: NonZeroU32 = NonZeroU32::new(8192).unwrap();
/// What the calls of a tenant of which nothing is known are taken to need.
const UNKNOWN: u64 = ALLOWANCE / 8;
/// How many kinds of long calls a tenant's list remembers.
const REMEMBERED: usize = 1024;

/// A plain call on its way.
pub struct Job {
    /// Whose it is.
    pub tenant: usize,
    /// The state that it runs on.
    pub snapshot: Arc<Snapshot>,
    /// The call. In a box, as a job moves often.
    pub call: Box<Call>,
    /// Who waits for it.
    pub slot: Slot,
    /// Rounds of missing state so far.
    pub rounds: u32,
    /// Whether it was too long for the [`FIRST`] instructions.
    pub second: bool,
}

/// The kind of a call: what is called, and which function of it.
pub type Kind = (Option<H160>, [u8; 4]);

impl Job {
    /// What is called.
    pub fn kind(&self) -> Kind {
        (self.call.to, self.call.input.first_chunk().copied().unwrap_or_default())
    }
}

/// All that waits.
pub struct State {
    /// Each tenant's.
    pub queues: Vec<Queue>,
    /// Instructions of a call at first.
    pub first: u64,
    /// Whose turn it is.
    pub scheduler: Scheduler,
    /// Calls that wait.
    pub waiting: usize,
    /// Half of the calls of the batch before. As many are waited for: whoever was answered may well ask again. The others are read while these
    /// are executed; if all were waited for, reading and executing would take turns.
    pub target: usize,
    /// When the first of those that wait came.
    pub since: Option<Instant>,
    /// Nothing more is taken.
    pub stopped: bool,
}

/// A tenant's queue.
pub struct Queue {
    /// Its calls, the next one first.
    pub jobs: VecDeque<Job>,
    /// What its calls may execute in a batch.
    pub allowance: Allowance,
    /// Instructions that its calls lately needed, rather too many than too few.
    pub needed: u64,
    /// Kinds of calls that were too long.
    pub long: HashSet<Kind>,
}

impl Queue {
    fn new() -> Self {
        let allowance = Allowance::new(ALLOWANCE);
        Self { jobs: VecDeque::new(), allowance, needed: UNKNOWN, long: HashSet::new() }
    }

    /// Remembers that such calls are too long.
    pub fn remember(&mut self, kind: Kind) {
        if self.long.len() >= REMEMBERED {
            self.long.clear();
        }
        self.long.insert(kind);
    }
}

impl State {
    /// Empty queues of tenants with these shares, and so many threads that execute.
    #[must_use]
    pub fn new(shares: &[Share], threads: usize) -> Self {
        // With one tenant there is nobody to be kept waiting by another one.
        let (first, factor) = if shares.len() > 1 { (FIRST, 1) } else { (ALLOWANCE, SURPRISE) };
        let quantum = QUANTUM.saturating_mul(threads.max(1) as u64).saturating_mul(factor);
        let mut scheduler = Scheduler::new(NonZeroU64::new(quantum).unwrap_or(NonZeroU64::MIN), LARGEST);
        for share in shares {
            scheduler.add(*share);
        }
        let queues = shares.iter().map(|_| Queue::new()).collect();
        Self { queues, first, scheduler, waiting: 0, target: 1, since: None, stopped: false }
    }

    /// Takes the calls of a batch, by the tenants' shares.
    pub fn take(&mut self) -> Vec<Job> {
        let Self { queues, first, scheduler, waiting, since, target, .. } = self;
        let mut jobs = Vec::new();
        let several = queues.len() > 1;
        // Whoever is in debt sits out rounds; with nobody else there, they pass at once.
        for _ in 0..1 << 16 {
            scheduler.begin_round(|tenant| queues.get(tenant).is_some_and(|queue| !queue.jobs.is_empty()));
            for tenant in scheduler.turns() {
                let Some(queue) = queues.get_mut(tenant) else { continue };
                // What a call needs is known afterwards: as many start as by experience use the credit up.
                let (mut planned, mut most) = (0u64, 0u64);
                let credit = u64::try_from(scheduler.credit(tenant)).unwrap_or(u64::MAX);
                let surprise = if several { credit.saturating_mul(SURPRISE) } else { u64::MAX };
                while planned < credit && most < surprise && scheduler.may_start(tenant) {
                    let Some(job) = queue.jobs.pop_front() else { break };
                    let may_need = if job.second { queue.allowance.get() } else { *first };
                    planned = planned.saturating_add(if job.second { may_need } else { queue.needed.max(1) });
                    most = most.saturating_add(may_need);
                    scheduler.start(tenant, 0);
                    jobs.push(job);
                }
            }
            if !jobs.is_empty() || *waiting == 0 {
                break;
            }
        }
        *waiting -= jobs.len();
        *target = (jobs.len() / 2).max(1);
        if *waiting == 0 {
            *since = None;
        }
        jobs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::{Executor, MemorySource};
    use crate::serve::reply::Group;
    use isolane_spec::{BlockContext, Fork, MemoryState, Rules};

    /// So many calls of each tenant wait.
    fn waiting(counts: &[usize], second: bool) -> State {
        let executor = Executor::builder().threads(1).build().expect("an executor");
        let source = Arc::new(MemorySource::new(MemoryState::default()));
        let snapshot = Arc::new(executor.snapshot(&source, BlockContext::default(), Rules::new(Fork::Prague, 1)));
        let mut state = State::new(&vec![Share::default(); counts.len()], 2);
        for (tenant, count) in counts.iter().enumerate() {
            let (_, slots) = Group::of(*count);
            let job =
                |slot| Job { tenant, snapshot: Arc::clone(&snapshot), call: Box::default(), slot, rounds: 0, second };
            state.queues[tenant].jobs.extend(slots.into_iter().map(job));
            state.waiting += count;
        }
        state
    }

    #[test]
    fn what_a_batch_may_take_is_known_before_it_begins() {
        let most = 2 * QUANTUM;
        let of = |jobs: &[Job], tenant| jobs.iter().filter(|job| job.tenant == tenant).count() as u64;
        // Nothing is known of the calls.
        let mut state = waiting(&[5000, 10], false);
        let jobs = state.take();
        assert_eq!((of(&jobs, 0), of(&jobs, 1)), (most / UNKNOWN, 10));
        // They were very short before: it may be that these are not.
        let mut state = waiting(&[5000, 10], false);
        state.queues[0].needed = 1;
        assert_eq!(of(&state.take(), 0), SURPRISE * most / FIRST);
        // They are no short ones.
        let mut state = waiting(&[5000, 10], true);
        let jobs = state.take();
        assert_eq!((of(&jobs, 0), of(&jobs, 1)), (most / ALLOWANCE, most / ALLOWANCE));
        // There is nobody else.
        let mut state = waiting(&[5000], false);
        state.queues[0].needed = 1;
        assert_eq!(of(&state.take(), 0), 5000);
    }
}
