//! [`Gpu`]: executes batches on a device.
//!
//! Transactions are prepared and finished on the host ([`crate::transition`]); their code runs on lanes. The transactions
//! of an environment with [`Order::Sequential`] run at once on the state that is committed so far; in their order they are
//! committed as far as nothing that they read has changed since, and the others run again. What no lane can hold runs
//! whole on the fallback, and is counted.

use crate::adapter::Adapter;
use crate::check::{Mismatch, Quarantine};
use crate::class::CLASSES;
use crate::code_store::CodeStore;
use crate::commit::blob_gas;
use crate::course::{Course, Work, ended, lane_start, refresh, send_ahead};
use crate::device::{Device, DeviceError};
use crate::edition::{self, Edition};
use crate::kernels::{COMPILE_DEADLINE, Kernels};
use crate::lanes::{Host, LaneEnd, LaneStart, RunEnvironment, RunLimits};
use crate::options::{Capacity, GpuOptions, OpenError, Ran, Statistics};
use crate::pipeline_cache::PipelineCache;
use crate::report::escape_reason;
use crate::services::Services;
use crate::split;
use crate::state_tables::StateTables;
use crate::transition::{Available, Overlay, Prepared, Reads, Start};
use crate::watchdog::Watchdog;
use isolane_shaders::Kernel;
use isolane_spec::layout::escape;
use isolane_spec::{Backend, Batch, ExecutionError, Order, Outcome, Validation};
use rayon::prelude::*;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// More gas than this a lane cannot count.
pub(crate) const MOST_GAS: u64 = (1 << 63) - (1 << 32);
/// Words of the outbox at least.
const OUTBOX_WORDS: u64 = 1 << 21;
/// Code that is decoded ahead of its first call, in words a state.
pub(crate) const EAGER_CODE: usize = 8 << 20;
/// Bytes of the largest binding of any WebGPU device.
const WEBGPU_BINDING: u64 = 128 << 20;
/// Stack of a thread of the host's part.
const STACK: usize = 16 << 20;

/// Executes batches on a device.
pub struct Gpu {
    inner: Mutex<Inner>,
    /// Threads for the host's part of the work, and for nothing else: whoever waits for the device must never be one of them.
    pool: rayon::ThreadPool,
    pub(crate) services: Arc<dyn Services>,
    pub(crate) fallback: Arc<dyn Backend + Send + Sync>,
    pub(crate) options: GpuOptions,
    adapter: Adapter,
    /// Where compiled kernels are kept.
    cache: Option<PathBuf>,
    quarantine: Quarantine,
    /// A lane has come to something else than the fallback.
    distrusted: AtomicBool,
}

pub(crate) struct Inner {
    /// `None` once the device is lost; it is opened again with the next batch, unless it has hung.
    kernels: Option<Kernels>,
    /// It did not answer in time, and is not asked again: each time would take as long.
    hung: bool,
    pub codes: CodeStore,
    statistics: Statistics,
}

pub(crate) type Results = Vec<(Ran, Result<Outcome, ExecutionError>)>;

impl Gpu {
    /// Opens the adapter, once it has passed its self-test, and compiles the kernels. Where the adapter can hand out what it
    /// compiled, that is kept in the folder `cache` and read from there the next time.
    ///
    /// # Errors
    /// When the adapter cannot be used, or computes wrongly.
    pub fn open(
        adapter: &Adapter,
        services: Arc<dyn Services>,
        fallback: Arc<dyn Backend + Send + Sync>,
        options: GpuOptions,
        cache: Option<PathBuf>,
    ) -> Result<Self, OpenError> {
        let quarantine = Quarantine::of(adapter.info(), cache.as_deref());
        quarantine.check()?;
        adapter.self_test(options.deadline)?;
        let kernels = ready(adapter, &options, cache.as_deref())?;
        let inner =
            Inner { kernels: Some(kernels), hung: false, codes: CodeStore::new(), statistics: Statistics::default() };
        let pool = rayon::ThreadPoolBuilder::new()
            .stack_size(STACK)
            .thread_name(|index| format!("gpu-host-{index}"))
            .build()
            .map_err(|error| DeviceError::Open(format!("no threads for the host's part: {error}")))?;
        Ok(Self {
            inner: Mutex::new(inner),
            pool,
            services,
            fallback,
            options,
            adapter: adapter.clone(),
            cache,
            quarantine,
            distrusted: AtomicBool::new(false),
        })
    }

    /// The adapter.
    #[must_use]
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// Where transactions ran so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).statistics.clone()
    }

    /// How many lanes of each class run at once, and the bytes that each takes on the device.
    #[must_use]
    pub fn capacity(&self) -> Vec<Capacity> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = inner.kernels.as_ref().map_or(0, Kernels::binding_limit);
        CLASSES
            .iter()
            .map(|class| Capacity {
                class: class.name,
                lanes: class.fitting(limit, self.options.lanes),
                bytes: class.bytes(),
            })
            .collect()
    }

    /// Whether from now on each kernel is submitted alone and timed ([`Times::kernels`](crate::Times::kernels)): for profiles, it
    /// costs time.
    pub fn time_kernels(&self, timed: bool) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernels) = &mut inner.kernels {
            kernels.timed = timed;
        }
    }

    /// Compiles all kernels now rather than at their first use. Returns how long each took.
    ///
    /// # Errors
    /// When the device fails.
    pub fn warm_up(&self) -> Result<Vec<(&'static str, Duration)>, DeviceError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut inner.kernels {
            Some(kernels) => kernels.warm_up(),
            None => Err(DeviceError::Lost("it failed before".to_owned())),
        }
    }
}

impl Inner {
    /// Words of the largest binding.
    pub fn limit_words(&self) -> usize {
        let bytes = self.kernels.as_ref().map_or(WEBGPU_BINDING, Kernels::binding_limit);
        usize::try_from(bytes / 4).unwrap_or(usize::MAX)
    }
}

/// Opens the device and makes its kernels. A driver that hangs is left behind.
fn ready(adapter: &Adapter, options: &GpuOptions, cache: Option<&Path>) -> Result<Kernels, DeviceError> {
    let (adapter, options, cache) = (adapter.clone(), *options, cache.map(Path::to_owned));
    let make = move || {
        let device = Device::open(adapter.inner())?;
        let sources = format!("{}{}", options.workgroup, Kernel::ALL.map(Kernel::source).concat());
        let cache = cache.and_then(|folder| PipelineCache::open(&device, adapter.inner(), &folder, &sources));
        let inner = cache.as_ref().map(PipelineCache::inner);
        let kernels = Kernels::new(device, options.workgroup, options.deadline, inner)?;
        if let Some(cache) = &cache {
            cache.save();
        }
        Ok(kernels)
    };
    Watchdog::new()?.within(COMPILE_DEADLINE.max(options.deadline), make).flatten()
}

impl Backend for Gpu {
    fn name(&self) -> &'static str {
        "gpu"
    }

    fn execute(&self, batch: &Batch) -> Vec<Result<Outcome, ExecutionError>> {
        self.execute_told(batch).into_iter().map(|(_, result)| result).collect()
    }
}

impl Gpu {
    /// As [`Backend::execute`], with where each transaction ran.
    pub fn execute_told(&self, batch: &Batch) -> Vec<(Ran, Result<Outcome, ExecutionError>)> {
        // A thread of a pool that waits for its pool's work takes up other work meanwhile, and that may call this again. A
        // plain thread does not.
        let work = || {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let inner = &mut *inner;
            self.pool.install(|| self.execute_trusted(inner, batch))
        };
        std::thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|payload| resume_unwind(payload))
    }

    /// Executes a batch on the device, and once more on the fallback where the device turns out to compute wrongly.
    fn execute_trusted(&self, inner: &mut Inner, batch: &Batch) -> Results {
        let before = inner.statistics.clone();
        if !self.is_distrusted() {
            let results = self.execute_alone(inner, batch);
            if !self.is_distrusted() {
                return results;
            }
        }
        inner.kernels = None;
        let Statistics { device, host, fallback, reasons, reruns, .. } = before;
        inner.statistics = Statistics { device, host, fallback, reasons, reruns, ..inner.statistics.clone() };
        let start = Instant::now();
        let results = self.fallback.execute(batch);
        let statistics = &mut inner.statistics;
        statistics.fallback_time += start.elapsed();
        statistics.fallback += results.len() as u64;
        *statistics.reasons.entry("device: it computed wrongly".to_owned()).or_default() += results.len() as u64;
        results.into_iter().map(|result| (Ran::Fallback, result)).collect()
    }

    /// Whether a lane has come to something else than the fallback: nothing runs on the device any more.
    #[must_use]
    pub fn is_distrusted(&self) -> bool {
        self.distrusted.load(Ordering::Relaxed)
    }

    /// Gives the device up, and tells of what it got wrong.
    pub(crate) fn distrust(&self, mismatch: Mismatch) {
        if !self.distrusted.swap(true, Ordering::Relaxed) {
            self.quarantine.close(&mismatch);
            self.services.mismatch(&mismatch);
        }
    }

    /// Executes a batch, part by part where the device cannot hold the states of all its environments at once.
    fn execute_alone(&self, inner: &mut Inner, batch: &Batch) -> Results {
        let mut results: Results = batch
            .transactions
            .iter()
            .map(|(environment, _)| (Ran::Host, Err(ExecutionError::NoEnvironment(*environment))))
            .collect();
        let room = split::room(inner.limit_words());
        let parts = split::parts(batch, room);
        for part in 0..=parts.last().copied().unwrap_or_default() {
            // Code is kept from part to part, and from batch to batch, as long as there is room for more.
            if inner.codes.len() > room.code / 2 {
                inner.codes.clear();
            }
            self.execute_part(inner, batch, &parts, part, &mut results);
        }
        results
    }

    fn execute_part(&self, inner: &mut Inner, batch: &Batch, parts: &[usize], part: usize, results: &mut Results) {
        let mut courses = self.courses(batch, |environment| parts.get(environment) == Some(&part));
        let mut tables = StateTables::new();
        let mut runs = self.run_environments(&courses, inner, &mut tables);
        loop {
            let start = Instant::now();
            for course in &mut courses {
                self.commit(course, results, &mut inner.statistics);
            }
            inner.statistics.finish += start.elapsed();
            let start = Instant::now();
            // What runs next: everything that has not run on a state that still holds.
            let mut jobs = Vec::new();
            for (place, course) in courses.iter_mut().enumerate() {
                let Course { environment, state, available, work, .. } = course;
                let unfit = edition::unfit(environment);
                let prepared: Vec<Option<Box<Start>>> = work
                    .par_iter()
                    .map(|item| {
                        if item.ran.is_some() || item.escaped.is_some() || unfit.is_some() {
                            return None;
                        }
                        match self.prepare(environment, state, item.transaction, *available) {
                            Some(Ok(Prepared::Run(start))) if start.gas <= MOST_GAS => Some(start),
                            _ => None,
                        }
                    })
                    .collect();
                jobs.extend(prepared.into_iter().enumerate().filter_map(|(item, start)| Some((place, item, start?))));
            }
            if jobs.is_empty() || self.is_distrusted() {
                break;
            }
            for (place, course) in courses.iter().enumerate() {
                refresh(&mut runs[place], course, inner, &mut tables);
            }
            inner.statistics.prepare += start.elapsed();
            self.run(inner, &mut tables, &runs, &mut courses, jobs);
        }
    }

    /// The environments of a part, with their transactions.
    fn courses<'a>(&self, batch: &'a Batch, is_part: impl Fn(usize) -> bool) -> Vec<Course<'a>> {
        // Each transaction of an independent environment is an environment of its own.
        let mut sequential: Vec<Option<usize>> = vec![None; batch.environments.len()];
        let mut courses: Vec<Course<'a>> = Vec::new();
        for (index, (environment, transaction)) in batch.transactions.iter().enumerate() {
            let Some(rules) = batch.environments.get(*environment as usize) else { continue };
            if !is_part(*environment as usize) {
                continue;
            }
            let known = match rules.order {
                Order::Sequential => sequential[*environment as usize],
                Order::Independent => None,
            };
            let place = known.unwrap_or_else(|| {
                courses.push(Course {
                    environment: rules,
                    state: Arc::new(Overlay::new(rules.state.clone())),
                    available: match rules.validation {
                        Validation::Full => Available {
                            gas: rules.block.gas_limit.saturating_sub(rules.block.gas_used),
                            blob_gas: blob_gas(rules).saturating_sub(rules.block.blob_gas_used),
                        },
                        // What is left in the block does not matter to a simulated call.
                        Validation::Call => Available { gas: u64::MAX, blob_gas: u64::MAX },
                    },
                    work: std::collections::VecDeque::new(),
                    commits: Vec::new(),
                    failed: None,
                });
                courses.len() - 1
            });
            if rules.order == Order::Sequential {
                sequential[*environment as usize] = Some(place);
            }
            courses[place].work.push_back(Work { index, transaction, ran: None, escaped: None });
        }
        courses
    }

    /// The environments as lanes see them, with what of their states is sent ahead.
    fn run_environments(
        &self,
        courses: &[Course<'_>],
        inner: &mut Inner,
        tables: &mut StateTables,
    ) -> Vec<RunEnvironment> {
        let mut runs: Vec<RunEnvironment> = Vec::new();
        // Independent transactions share the state of their environment, whatever stands between them in the batch.
        let mut known: HashMap<*const (), u32> = HashMap::new();
        for course in courses {
            let shared = course.environment.order == Order::Independent;
            let pointer = std::ptr::from_ref(course.environment).cast::<()>();
            let reused = known.get(&pointer).copied().filter(|_| shared);
            let key = reused.unwrap_or(runs.len() as u32);
            let complete = match reused {
                Some(run) => runs[run as usize].complete,
                None => send_ahead(course.environment, key, inner, tables),
            };
            runs.push(RunEnvironment {
                rules: course.environment.clone(),
                edition: Edition::of(course.environment),
                state: course.state.clone(),
                key,
                complete,
                seen: 0,
            });
            known.insert(pointer, key);
        }
        runs
    }

    /// Runs jobs on lanes, class by class.
    fn run(
        &self,
        inner: &mut Inner,
        tables: &mut StateTables,
        runs: &[RunEnvironment],
        courses: &mut [Course<'_>],
        jobs: Vec<(usize, usize, Box<Start>)>,
    ) {
        let starts: Vec<LaneStart> = jobs.iter().map(|(place, _, start)| lane_start(*place, start)).collect();
        let mut ends: Vec<Option<LaneEnd>> = starts.iter().map(|_| None).collect();
        let mut todo: Vec<usize> = (0..starts.len()).collect();
        // Neighbours shall run the same code on inputs of the same kind.
        todo.sort_by_cached_key(|&job| {
            let start = &starts[job];
            let selector: Vec<u8> = start.input.iter().take(4).copied().collect();
            (start.code.0, selector, start.input.len())
        });
        for class in &CLASSES {
            if todo.is_empty() {
                break;
            }
            let batch: Vec<&LaneStart> = todo.iter().map(|&job| &starts[job]).collect();
            let done = self.run_class(inner, tables, runs, class, &batch);
            let mut rest = Vec::new();
            for (&job, end) in todo.iter().zip(done) {
                // A larger lane changes nothing about some reasons.
                if matches!(end, LaneEnd::Escaped(reason) if ![escape::RESTRICTED, escape::LONG].contains(&reason)) {
                    rest.push(job);
                }
                ends[job] = Some(end);
            }
            todo = rest;
        }
        for ((place, item, start), end) in jobs.into_iter().zip(ends) {
            let course = &mut courses[place];
            let commits = course.commits.len();
            let Some(work) = course.work.get_mut(item) else { continue };
            match end {
                Some(LaneEnd::Ended(end)) => {
                    inner.statistics.steps += u64::from(end.steps);
                    match ended(*end) {
                        Some(ended) => {
                            let reads = Reads::of(&start, &ended);
                            work.ran = Some((start, ended, reads, commits));
                        }
                        None => work.escaped = Some("defect: a status that no lane has".to_owned()),
                    }
                }
                Some(LaneEnd::Escaped(reason)) => work.escaped = Some(escape_reason(reason).to_owned()),
                // The fallback meets the same state, and says what is wrong with it in its own words.
                Some(LaneEnd::State) => work.escaped = Some("state".to_owned()),
                Some(LaneEnd::Full) => work.escaped = Some("memory of the device".to_owned()),
                None => work.escaped = Some("device".to_owned()),
            }
        }
    }

    fn run_class(
        &self,
        inner: &mut Inner,
        tables: &mut StateTables,
        runs: &[RunEnvironment],
        class: &crate::class::LaneClass,
        jobs: &[&LaneStart],
    ) -> Vec<LaneEnd> {
        let mut lanes = self.options.lanes;
        loop {
            if inner.kernels.is_none() && !inner.hung {
                inner.kernels = ready(&self.adapter, &self.options, self.cache.as_deref()).ok();
                inner.codes.resend();
                tables.resend();
            }
            let Some(kernels) = &mut inner.kernels else { break };
            let limit = kernels.binding_limit();
            lanes = class.fitting(limit, lanes);
            let outbox = (u64::from(lanes) * 512).max(OUTBOX_WORDS).min(limit / 4);
            let limits = RunLimits {
                lanes,
                steps: self.options.steps,
                rounds: self.options.rounds,
                outbox_words: outbox as u32,
            };
            let mut host = Host { kernels, codes: &mut inner.codes, tables, services: &*self.services };
            let result = catch_unwind(AssertUnwindSafe(|| host.run(class, runs, jobs, limits)))
                .unwrap_or_else(|payload| Err(DeviceError::from_panic(payload.as_ref())));
            inner.statistics.times = kernels.times;
            match result {
                Ok(ends) => return ends,
                // Messages of fewer lanes may fit.
                Err(DeviceError::TooLarge { .. }) if lanes > 1 => lanes /= 2,
                Err(DeviceError::OutOfMemory) if lanes > 1 => {
                    lanes /= 2;
                    inner.kernels = None;
                }
                Err(error @ DeviceError::TooLarge { .. }) => {
                    *inner.statistics.reasons.entry(format!("device: {error}")).or_default() += 1;
                    break;
                }
                Err(error) => {
                    // Whatever it was, the batch is not lost: the fallback executes it.
                    *inner.statistics.reasons.entry(format!("device: {error}")).or_default() += 1;
                    // A device whose work never ends cannot be dropped either: dropping waits.
                    let broken = inner.kernels.take();
                    if matches!(error, DeviceError::Deadline(_)) {
                        inner.hung = true;
                        std::mem::forget(broken);
                    }
                    break;
                }
            }
        }
        jobs.iter().map(|_| LaneEnd::Escaped(u32::MAX)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters;
    use isolane_spec::{
        AccountInfo, Authorization, BlockContext, Bytes, Environment, Fork, H160, H256, Halt, InvalidTransaction,
        MemoryState, Rules, Transaction,
    };

    struct NoServices;

    impl Services for NoServices {
        fn is_precompile(&self, _: H160, _: Fork) -> bool {
            false
        }
        fn precompile(&self, _: H160, _: Fork, _: &[u8], _: u64) -> Result<(u64, Vec<u8>), Halt> {
            Err(Halt::PrecompileFailure)
        }
        fn authority(&self, _: &Authorization) -> Option<H160> {
            None
        }
        fn mismatch(&self, _: &Mismatch) {}
    }

    /// A fallback whose outcomes no lane has.
    struct Told;

    impl Backend for Told {
        fn name(&self) -> &'static str {
            "told"
        }
        fn execute(&self, batch: &Batch) -> Vec<Result<Outcome, ExecutionError>> {
            batch.transactions.iter().map(|_| Ok(Outcome::rejected(InvalidTransaction::NonceOverflow))).collect()
        }
    }

    #[test]
    fn a_driver_that_hangs_loses_nothing() {
        let sender = H160::repeat_byte(1);
        let contract = H160::repeat_byte(2);
        let mut state = MemoryState::default();
        let rich = AccountInfo { balance: u64::MAX.into(), ..AccountInfo::default() };
        state.insert(sender, rich, Bytes::new(), []);
        let code = AccountInfo { nonce: 1, code_hash: H256::repeat_byte(7), ..AccountInfo::default() };
        // PUSH1 1 PUSH1 0 SSTORE.
        state.insert(contract, code, Bytes::from_static(&[0x60, 1, 0x60, 0, 0x55]), []);
        let block = BlockContext { gas_limit: 30_000_000, ..BlockContext::default() };
        let environment = Environment::new("hangs", Rules::new(Fork::Prague, 1), block, Arc::new(state));
        let call =
            |nonce| Transaction { sender, nonce, to: Some(contract), gas_limit: 100_000, ..Transaction::default() };
        let batch = Batch { environments: vec![environment], transactions: vec![(0, call(0)), (0, call(0))] };
        for adapter in adapters() {
            let options = GpuOptions { lanes: 64, deadline: Duration::from_millis(100), ..GpuOptions::default() };
            let Ok(kernels) = ready(&adapter, &options, None) else { continue };
            let hangs = Arc::clone(&kernels.device.hangs);
            hangs.store(true, Ordering::Relaxed);
            let gpu = Gpu {
                inner: Mutex::new(Inner {
                    kernels: Some(kernels),
                    hung: false,
                    codes: CodeStore::new(),
                    statistics: Statistics::default(),
                }),
                pool: rayon::ThreadPoolBuilder::new().stack_size(STACK).build().expect("threads"),
                services: Arc::new(NoServices),
                fallback: Arc::new(Told),
                options,
                adapter,
                cache: None,
                quarantine: Quarantine::of(adapters()[0].info(), None),
                distrusted: AtomicBool::new(false),
            };
            for round in 1..=2 {
                assert_eq!(gpu.execute(&batch), Told.execute(&batch));
                let statistics = gpu.statistics();
                assert_eq!(statistics.fallback, 2 * round, "{statistics:?}");
                let hung = |reason: &&String| reason.contains("did not finish within");
                assert_eq!(statistics.reasons.keys().filter(hung).count(), 1, "{statistics:?}");
                assert!(gpu.inner.lock().expect("no panic").hung, "it is not asked again");
            }
        }
    }
}
