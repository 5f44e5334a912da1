//! [`Executor`] and how it is made.

use super::cache::{Cache, Codes, Meter};
use super::call::{Call, CallOutcome, CallResult, Want};
use super::engine::Engine;
use super::error::{ExecutorError, Full};
use super::learn::Shapes;
use super::queue::{Queue, Ticket};
use super::rounds;
use super::run::{self, Bundles, Calls, Mapped};
use super::snapshot::{Origin, Snapshot};
use super::source::StateSource;
use super::stream::Stream;
use crate::gpu::BackendKind;
use isolane_spec::{BlockContext, H256, Rules};
use rayon::ThreadPool;
use std::borrow::Borrow;
use std::sync::{Arc, Mutex, PoisonError};

/// What tells the states of sources apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StateId {
    /// A name of the source's own.
    Named(H256),
    /// The place of the source. Its cache holds the source, so that no other comes to be there.
    Place(usize),
}

/// Caches that are kept though no snapshot uses them.
const IDLE_CACHES: usize = 16;

pub(super) struct Inner {
    pub engine: Engine,
    pool: ThreadPool,
    pub gas_cap: u64,
    pub shapes: Shapes,
    meter: Arc<Meter>,
    codes: Arc<Codes>,
    /// The one that was used last is last.
    caches: Mutex<Vec<(StateId, Arc<Cache>)>>,
}

impl Inner {
    /// Runs work on the executor's threads.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    /// Lets go of caches that nobody uses, oldest first, while all of them hold too much.
    pub fn make_room(&self, used: &Arc<Cache>) {
        let mut dropped = Vec::new();
        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        while self.meter.is_full(0)
            && let Some(oldest) =
                caches.iter().position(|(_, cache)| Arc::strong_count(cache) == 1 && !Arc::ptr_eq(cache, used))
        {
            // Dropped at once, as its bytes count until then.
            drop(caches.remove(oldest));
        }
        while caches.len() > IDLE_CACHES
            && let Some(oldest) = caches.iter().position(|(_, cache)| Arc::strong_count(cache) == 1)
        {
            dropped.push(caches.remove(oldest));
        }
    }

    fn cache<S: StateSource + 'static>(&self, source: &Arc<S>) -> Arc<Cache> {
        let id =
            source.state_id().map_or_else(|| StateId::Place(Arc::as_ptr(source).cast::<()>().addr()), StateId::Named);
        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        let known = caches.iter().position(|(other, _)| *other == id);
        let cache = match known {
            Some(place) => caches.remove(place).1,
            None => Arc::new(Cache::new(Arc::clone(source) as _, Arc::clone(&self.meter), Arc::clone(&self.codes))),
        };
        caches.push((id, Arc::clone(&cache)));
        drop(caches);
        self.make_room(&cache);
        cache
    }
}

/// How an [`Executor`] is made.
#[derive(Clone, Debug)]
pub struct ExecutorBuilder {
    backend: BackendKind,
    adapter: Option<String>,
    threads: usize,
    memory_limit: usize,
    queue_limit: usize,
    gas_cap: u64,
}

impl Default for ExecutorBuilder {
    fn default() -> Self {
        Self {
            backend: BackendKind::Lockstep,
            adapter: None,
            threads: 0,
            memory_limit: 1 << 30,
            queue_limit: 64,
            gas_cap: 50_000_000,
        }
    }
}

impl ExecutorBuilder {
    /// What executes calls: [`BackendKind::Lockstep`] unless it is said otherwise. With [`BackendKind::Auto`] a hardware device
    /// that passes its self-test takes batches of some thousands of calls; all others run in lockstep.
    #[must_use]
    pub fn backend(mut self, backend: BackendKind) -> Self {
        self.backend = backend;
        self
    }

    /// The device, by its index, a part of its name or its PCI id, as `isolane devices` lists them.
    #[must_use]
    pub fn adapter(mut self, adapter: impl Into<String>) -> Self {
        self.adapter = Some(adapter.into());
        self
    }

    /// Threads that execute; 0, the default, is one a core.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Bytes of state that is kept, by estimate: 1 GiB unless it is said otherwise. One call may need more, and gets it.
    #[must_use]
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// Submissions that may wait at a time: 64 unless it is said otherwise.
    #[must_use]
    pub fn queue_limit(mut self, submissions: usize) -> Self {
        self.queue_limit = submissions.max(1);
        self
    }

    /// The most gas that a call gets, and what it gets where it says nothing: 50 million unless it is said otherwise, as in
    /// geth.
    #[must_use]
    pub fn gas_cap(mut self, gas: u64) -> Self {
        self.gas_cap = gas;
        self
    }

    /// Opens the backend and starts the threads.
    ///
    /// # Errors
    /// When the device that was asked for cannot be used, or threads cannot be started.
    pub fn build(self) -> Result<Executor, ExecutorError> {
        let engine = Engine::open(self.backend, self.adapter)?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .thread_name(|index| format!("isolane-{index}"))
            .build()
            .map_err(|error| ExecutorError::Threads(error.to_string()))?;
        let inner = Inner {
            engine,
            pool,
            gas_cap: self.gas_cap,
            shapes: Shapes::default(),
            // What caches hold of the codes is counted there, too.
            codes: Arc::new(Codes::new(self.memory_limit / 4)),
            meter: Arc::new(Meter::new(self.memory_limit)),
            caches: Mutex::default(),
        };
        let inner = Arc::new(inner);
        Ok(Executor { queue: Arc::new(Queue::new(Arc::clone(&inner), self.queue_limit)), inner })
    }
}

/// Executes calls against snapshots. Cheap to clone: clones share threads, caches and queue.
#[derive(Clone)]
pub struct Executor {
    pub(super) inner: Arc<Inner>,
    pub(super) queue: Arc<Queue>,
}

impl Executor {
    /// How to make one.
    #[must_use]
    pub fn builder() -> ExecutorBuilder {
        ExecutorBuilder::default()
    }

    /// The state of a source, seen from a block. All snapshots of one source, or of sources that name the same state, share what
    /// was read.
    pub fn snapshot<S: StateSource + 'static>(&self, source: &Arc<S>, block: BlockContext, rules: Rules) -> Snapshot {
        let origin = match source.view() {
            Some(view) => Origin::Direct(view),
            None => Origin::Cached(self.inner.cache(source)),
        };
        Snapshot::new(origin, block, rules)
    }

    /// Executes independent calls; results in their order. A failure of the source is an error of the calls that needed it.
    pub fn run(&self, snapshot: &Snapshot, calls: &[Call], want: Want) -> Vec<CallResult> {
        run::run(&self.inner, snapshot, calls, want)
    }

    /// Executes a call for each item, and makes something of its outcome at once: what `reduce` returns, in the order of the items. Both
    /// closures run on the executor's threads, and `call` more than once for an item whose state has to be read first. Calls and outcomes
    /// are never all there at a time, so that this is the fastest way to run very many calls, and takes the least memory. The closures
    /// must not use the executor themselves.
    pub fn map<T, R>(
        &self,
        snapshot: &Snapshot,
        items: &[T],
        want: Want,
        call: impl Fn(&T) -> Call + Sync,
        reduce: impl Fn(&T, CallOutcome) -> R + Sync,
    ) -> Vec<Result<R, ExecutorError>>
    where
        T: Sync,
        R: Send,
    {
        let inner = &*self.inner;
        rounds::rounds(inner, snapshot, &Calls { inner, snapshot, lanes: Mapped { items, call, reduce }, want })
    }

    /// Executes calls in order, each on what the ones before it left (`eth_callMany`); results in their order.
    ///
    /// # Errors
    /// When the source fails: then no call has a result.
    pub fn run_bundle(
        &self,
        snapshot: &Snapshot,
        calls: &[Call],
        want: Want,
    ) -> Result<Vec<CallOutcome>, ExecutorError> {
        let mut results = self.run_bundles(snapshot, &[calls], want);
        results.pop().unwrap_or_else(|| Ok(Vec::new()))
    }

    /// Executes bundles, which are independent of each other; results in their order.
    pub fn run_bundles<B: Borrow<[Call]>>(
        &self,
        snapshot: &Snapshot,
        bundles: &[B],
        want: Want,
    ) -> Vec<Result<Vec<CallOutcome>, ExecutorError>> {
        let bundles: Vec<&[Call]> = bundles.iter().map(Borrow::borrow).collect();
        let work = Bundles { inner: &self.inner, snapshot, bundles: &bundles, want };
        rounds::rounds(&self.inner, snapshot, &work)
    }

    /// Queues independent calls and returns at once.
    ///
    /// # Errors
    /// When the queue is full: that is the back-pressure. The calls come back in the error.
    pub fn submit(&self, snapshot: &Snapshot, calls: Vec<Call>, want: Want) -> Result<Ticket, Full> {
        self.queue.submit(snapshot, calls, want)
    }

    /// Executes the calls of an iterator, some thousands at a time and a few of those batches ahead; outcomes in their order. The
    /// iterator is only asked for more when outcomes are taken.
    pub fn stream<I>(&self, snapshot: &Snapshot, calls: I, want: Want) -> Stream<I::IntoIter>
    where
        I: IntoIterator<Item = Call>,
    {
        Stream::new(self.clone(), snapshot.clone(), calls.into_iter(), want)
    }

    /// Bytes of state that are kept, by estimate.
    #[must_use]
    pub fn cached_bytes(&self) -> usize {
        self.inner.meter.bytes()
    }

    /// The most gas that a call gets.
    #[must_use]
    pub fn gas_cap(&self) -> u64 {
        self.inner.gas_cap
    }
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").field("backend", &self.inner.engine.ran_on()).finish_non_exhaustive()
    }
}
