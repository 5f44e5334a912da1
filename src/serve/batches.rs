//! Plain calls, gathered into batches: what arrives within a short window, or while the batch before it runs, is executed
//! together.
//!
//! Each tenant has its queue, and a share of each batch by its weight, counted in instructions. In a batch a call may
//! execute [`ALLOWANCE`] instructions; one that needs more runs again, from its beginning, apart from the batches, with all
//! that its tenant may use. Where there are several tenants, it first shows with 25,000 instructions that it is no short one:
//! what a batch takes is thus known before it begins, whatever is in it. So a flood of endless loops never holds a batch for longer
//! than its tenant's share, and nobody's answer depends on it. A call that lacks state leaves the batch as well, and comes back when
//! its state has been fetched.

use super::background::Background;
use super::calls::{self, GAS_CAP, Sent};
use super::jsonrpc::Failure;
use super::metrics::Metrics;
use super::pool::{Pool, Turn};
use super::queues::{ALLOWANCE, Job, Kind, LARGEST, State};
use super::sequence::{Sequence, Stop, is_cut, restrict};
use super::tenants::Tenants;
use crate::executor::{Key, Snapshot};
use isolane_spec::{Backend, Batch, Bytes, ExecutionError, Outcome, StateView, Status, Transaction};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Rounds of missing state after which a call is given up.
const ROUNDS: u32 = 1000;

impl Job {
    fn sent(&self, tenants: &Tenants) -> Sent {
        let cap = cap(tenants, self.tenant);
        Sent { from: self.call.from, gas: self.call.gas.unwrap_or(cap).min(cap) }
    }
}

/// The gas of a tenant's call that names none, and the most of any.
fn cap(tenants: &Tenants, tenant: usize) -> u64 {
    tenants.list().get(tenant).map_or(GAS_CAP, |tenant| GAS_CAP.min(tenant.budget.gas))
}

/// Gathers calls and executes them.
pub struct Batches {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread of the batches shares with everybody.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    tenants: Arc<Tenants>,
    metrics: Arc<Metrics>,
    backend: Box<dyn Backend + Send + Sync>,
    /// For calls that lack state.
    fetchers: Arc<Pool>,
    /// For calls that are too long.
    background: Arc<Background>,
    window: Duration,
    first: u64,
}

/// How batches are made.
pub struct Settings {
    /// What executes them.
    pub backend: Box<dyn Backend + Send + Sync>,
    /// How many threads it may use: that of the batches, and others.
    pub threads: usize,
    /// For calls that lack state.
    pub fetchers: Arc<Pool>,
    /// For calls that are too long.
    pub background: Arc<Background>,
    /// How long a batch waits for more calls.
    pub window: Duration,
}

impl Batches {
    /// Starts to gather.
    ///
    /// # Errors
    /// When the system has no thread.
    pub fn start(settings: Settings, tenants: Arc<Tenants>, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let Settings { backend, threads, fetchers, background, window } = settings;
        let shares: Vec<_> = tenants.list().iter().map(|tenant| tenant.share).collect();
        let state = State::new(&shares, threads);
        let first = state.first;
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            tenants,
            metrics,
            backend,
            fetchers,
            background,
            window,
            first,
        });
        let worker = Arc::clone(&shared);
        let (tell, told) = std::sync::mpsc::channel();
        let work = move || {
            // This thread is one of those that execute: a small batch needs no other one to wake.
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .thread_name(|index| format!("lanes-{index}"))
                .use_current_thread()
                .build();
            match pool {
                Ok(pool) => {
                    let _ = tell.send(Ok(()));
                    worker.work(&pool);
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            }
        };
        let thread = std::thread::Builder::new().name("batches".to_owned()).spawn(work)?;
        match told.recv() {
            Ok(Ok(())) => Ok(Self { shared, thread: Some(thread) }),
            Ok(Err(error)) => Err(std::io::Error::other(error)),
            Err(error) => Err(std::io::Error::other(error)),
        }
    }

    /// Queues calls.
    pub fn push(&self, jobs: Vec<Job>) {
        self.shared.push(jobs, false);
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stopped = true;
        drop(state);
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let mut state = self.shared.lock();
        // Their slots say so to whoever still waits.
        state.queues.iter_mut().for_each(|queue| queue.jobs.clear());
    }
}

/// What became of a call in a batch.
enum End {
    /// There is an outcome: what of it the answer tells.
    Outcome { status: Status, output: Bytes, steps: u64 },
    /// It is no short one.
    Again(u64),
    /// It was too long.
    TooLong(u64),
    /// It lacks state.
    Lacks(Key),
    /// There is no outcome.
    Failed(Failure),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues calls, at the front where they were there before.
    fn push(self: &Arc<Self>, jobs: Vec<Job>, again: bool) {
        let now = Instant::now();
        let mut apart = Vec::new();
        let mut state = self.lock();
        if state.stopped {
            return;
        }
        let before = state.waiting;
        for job in jobs {
            let Some(queue) = state.queues.get_mut(job.tenant) else { continue };
            if queue.long.contains(&job.kind()) {
                apart.push(job);
                continue;
            }
            // What comes for the second time has waited already.
            let since = if job.second { now.checked_sub(self.window).unwrap_or(now) } else { now };
            if again {
                queue.jobs.push_front(job)
            } else {
                queue.jobs.push_back(job)
            }
            state.waiting += 1;
            state.since = Some(state.since.map_or(since, |before| before.min(since)));
        }
        let (waiting, target) = (state.waiting, state.target);
        drop(state);
        // Whoever takes them looks again when there is something, and when there is as much as it waits for.
        if before == 0 && waiting > 0 || before < target && waiting >= target {
            self.changed.notify_one();
        }
        self.metrics.waiting.inc_by((waiting - before) as i64);
        apart.into_iter().for_each(|job| self.run_apart(job));
    }

    fn work(self: &Arc<Self>, pool: &rayon::ThreadPool) {
        while let Some(jobs) = self.gather() {
            self.metrics.waiting.dec_by(jobs.len() as i64);
            let (wanted, gone): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| !job.slot.is_abandoned());
            self.settle(gone.iter().map(|job| (job.tenant, 1)));
            drop(gone);
            if !wanted.is_empty() {
                self.execute(wanted, pool);
            }
        }
    }

    /// The calls of the next batch; `None` at the end.
    fn gather(&self) -> Option<Vec<Job>> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let (true, Some(since)) = (state.waiting > 0, state.since) {
                let over = self.window.saturating_sub(since.elapsed());
                if over.is_zero() || state.waiting >= state.target.min(LARGEST.get() as usize) {
                    let jobs = state.take();
                    if !jobs.is_empty() {
                        return Some(jobs);
                    }
                }
                // What is left over after its tenants' turns has waited already.
                let rest = over.max(Duration::from_micros(20));
                state = self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Charges tenants for what their calls needed.
    fn settle(&self, costs: impl Iterator<Item = (usize, u64)>) {
        let mut state = self.lock();
        for (tenant, cost) in costs {
            state.scheduler.finish(tenant, 0, cost);
            if let Some(queue) = state.queues.get_mut(tenant) {
                queue.needed = cost.min(self.first).max(queue.needed - queue.needed / 4);
            }
        }
    }

    /// What each tenant's calls may execute in the next batch.
    fn allowances(&self) -> Vec<u64> {
        self.lock().queues.iter().map(|queue| queue.allowance.get()).collect()
    }

    /// Gives tenants more instructions in batches, or fewer, by how their calls ended.
    fn judge(&self, jobs: &[Job], ends: &[End]) {
        let mut state = self.lock();
        for (job, end) in jobs.iter().zip(ends) {
            let Some(queue) = state.queues.get_mut(job.tenant) else { continue };
            match end {
                End::Outcome { steps, .. } => queue.allowance.kept(*steps),
                End::TooLong(_) => queue.allowance.exceeded(),
                End::Again(_) | End::Lacks(_) | End::Failed(_) => {}
            }
        }
    }

    fn execute(self: &Arc<Self>, jobs: Vec<Job>, pool: &rayon::ThreadPool) {
        self.metrics.batch(jobs.len());
        let allowances = self.allowances();
        let (batch, limits) = self.batch(&jobs, &allowances);
        let run = || pool.install(|| self.backend.execute(&batch));
        let results = catch_unwind(AssertUnwindSafe(run)).unwrap_or_default();
        drop(batch);
        let mut results = results.into_iter();
        let mut ends = Vec::with_capacity(jobs.len());
        for (job, most) in jobs.iter().zip(limits) {
            ends.push(match results.next() {
                Some(Ok(outcome)) if is_cut(&outcome.status, most) => {
                    // Another time in a batch has to promise more than the first.
                    let allowance = allowances.get(job.tenant).copied().unwrap_or_default();
                    let again = !job.second && allowance > 2 * self.first;
                    if again { End::Again(outcome.steps) } else { End::TooLong(outcome.steps) }
                }
                Some(Ok(Outcome { status, output, steps, .. })) => End::Outcome { status, output, steps },
                Some(Err(ExecutionError::State(error))) => match Key::of(&error) {
                    Some(key) if job.rounds < ROUNDS => End::Lacks(key),
                    _ => End::Failed(Failure::server(format!("state not available: {error}"))),
                },
                Some(Err(error)) => End::Failed(Failure::internal(error)),
                None => End::Failed(Failure::internal("the backend lost its batch")),
            });
        }
        let done = |end: &&End| matches!(end, End::Outcome { .. });
        self.metrics.ran_on(self.backend.name(), ends.iter().filter(done).count() as u64);
        let at_hand = jobs.iter().zip(&ends).filter(|(job, end)| job.rounds == 0 && done(end)).count();
        self.metrics.state_hits(at_hand as u64);
        let cost = |end: &End| match end {
            End::Outcome { steps, .. } | End::Again(steps) | End::TooLong(steps) => *steps,
            End::Lacks(_) | End::Failed(_) => 1,
        };
        self.settle(jobs.iter().zip(&ends).map(|(job, end)| (job.tenant, cost(end))));
        self.judge(&jobs, &ends);
        self.hand_out(jobs, ends, pool);
    }

    /// The batch of some calls: one environment for all that have tenant, state and terms in common. Beside it, for each call, the
    /// instructions that it may execute there, where those are fewer than its tenant may use.
    fn batch(&self, jobs: &[Job], allowances: &[u64]) -> (Batch, Vec<Option<u64>>) {
        let mut batch = Batch::default();
        let mut limits = Vec::with_capacity(jobs.len());
        let mut known: HashMap<_, (u32, Option<u64>)> = HashMap::new();
        // Those of one body follow each other.
        let mut last = None;
        let mut views: HashMap<usize, Arc<dyn StateView>> = HashMap::new();
        batch.transactions.reserve(jobs.len());
        for job in jobs {
            let (at, terms) = (Arc::as_ptr(&job.snapshot) as usize, job.call.terms());
            let key = (job.tenant, at, terms, job.second);
            let make = || {
                let view = views.entry(at).or_insert_with(|| job.snapshot.view());
                let mut environment = job.snapshot.environment(Arc::clone(view), terms, false);
                let tenant = self.tenants.list().get(job.tenant);
                let allowance = allowances.get(job.tenant).copied().unwrap_or(ALLOWANCE);
                let allowance = if job.second { allowance } else { allowance.min(self.first) };
                let most = tenant.and_then(|tenant| restrict(&mut environment, tenant, allowance));
                batch.environments.push(environment);
                (batch.environments.len() as u32 - 1, most)
            };
            let (index, most) = match last {
                Some((same, known)) if same == key => known,
                _ => *known.entry(key).or_insert_with(make),
            };
            last = Some((key, (index, most)));
            limits.push(most);
            let transaction: Transaction =
                job.call.transaction(cap(&self.tenants, job.tenant), job.snapshot.rules().fork, 0);
            batch.transactions.push((index, transaction));
        }
        (batch, limits)
    }

    fn hand_out(self: &Arc<Self>, jobs: Vec<Job>, ends: Vec<End>, pool: &rayon::ThreadPool) {
        let mut lacking: HashMap<(usize, usize), Vec<(Job, Key)>> = HashMap::new();
        let (mut answered, mut again) = (Vec::with_capacity(jobs.len()), Vec::new());
        for (mut job, end) in jobs.into_iter().zip(ends) {
            match end {
                End::Again(_) => {
                    job.second = true;
                    again.push(job);
                }
                End::Outcome { status, output, .. } => answered.push((job, status, output)),
                End::Failed(failure) => job.slot.answer(Err(failure)),
                End::TooLong(_) => {
                    self.metrics.demote();
                    self.remember(&job);
                    self.run_apart(job);
                }
                End::Lacks(key) => {
                    let state = Arc::as_ptr(&job.snapshot) as usize;
                    lacking.entry((job.tenant, state)).or_default().push((job, key));
                }
            }
        }
        // Those that were first stay first.
        again.reverse();
        self.push(again, true);
        let answer = |(job, status, output): (Job, Status, Bytes)| {
            let answer = calls::call_answer(&status, &output, &job.sent(&self.tenants));
            job.slot.answer(answer);
        };
        if answered.len() < 256 {
            answered.into_iter().for_each(answer);
        } else {
            pool.install(|| answered.into_par_iter().for_each(answer));
        }
        for ((tenant, _), jobs) in lacking {
            self.fetch(tenant, jobs);
        }
    }

    /// Fetches what calls of one tenant on one state lack, all at once, and queues them again.
    fn fetch(self: &Arc<Self>, tenant: usize, jobs: Vec<(Job, Key)>) {
        let shared = Arc::clone(self);
        let mut work = Some(jobs);
        let task = move |_: u64| {
            let jobs = work.take().unwrap_or_default();
            let Some(snapshot) = jobs.first().map(|(job, _)| Arc::clone(&job.snapshot)) else { return Turn::Done(1) };
            let mut keys: HashSet<Key> = jobs.iter().map(|(_, key)| *key).collect();
            // What any call needs sooner or later comes with the first request.
            let fresh = jobs.iter().filter(|(job, _)| job.rounds == 0);
            keys.extend(fresh.flat_map(|(job, _)| [Some(job.call.from), job.call.to]).flatten().map(Key::Account));
            shared.metrics.state_round(keys.len());
            let failed = snapshot.fetch(keys);
            let failed: HashMap<Key, Failure> =
                failed.iter().map(|(key, error)| (*key, calls::unanswered(error))).collect();
            let mut again = Vec::with_capacity(jobs.len());
            for (mut job, key) in jobs {
                match failed.get(&key) {
                    Some(failure) => job.slot.answer(Err(failure.clone())),
                    None => {
                        job.rounds += 1;
                        again.push(job);
                    }
                }
            }
            shared.push(again, true);
            Turn::Done(1)
        };
        self.fetchers.push(tenant, Box::new(task));
    }

    /// Remembers what was called, so that the next such call does not hold up a batch.
    fn remember(&self, job: &Job) {
        let mut state = self.lock();
        if let Some(queue) = state.queues.get_mut(job.tenant) {
            queue.remember(job.kind());
        }
    }

    fn forget(&self, tenant: usize, kind: &Kind) {
        if let Some(queue) = self.lock().queues.get_mut(tenant) {
            queue.long.remove(kind);
        }
    }

    /// Executes a call with all that its tenant may use.
    fn run_apart(self: &Arc<Self>, job: Job) {
        let shared = Arc::clone(self);
        let tenant = job.tenant;
        let mut job = Some(job);
        let task = move |allowance: u64| {
            let Some(job) = job.take().filter(|job| !job.slot.is_abandoned()) else { return Turn::Done(1) };
            let Some(owner) = shared.tenants.list().get(job.tenant) else { return Turn::Done(1) };
            let mut sequence = Sequence::new(owner, Snapshot::clone(&job.snapshot), allowance);
            let answer = match sequence.look(&job.call, None) {
                Ok(outcome) => {
                    shared.metrics.ran_on("cpu", 1);
                    if outcome.steps < ALLOWANCE / 2 {
                        // It is no long one any more.
                        shared.forget(job.tenant, &job.kind());
                    }
                    calls::call_answer(&outcome.status, &outcome.output, &job.sent(&shared.tenants))
                }
                Err(Stop::TooLong) => {
                    Err(Failure::server("the call takes more instructions than this server executes"))
                }
                Err(Stop::Failed(failure)) => Err(failure),
            };
            job.slot.answer(answer);
            Turn::Done(sequence.used())
        };
        self.background.push(tenant, Box::new(task));
    }
}
