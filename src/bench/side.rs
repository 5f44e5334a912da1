//! The sides that are measured, each with one pass over a batch.

use crate::load::workload::Workload;
use isolane_cpu::{Available, Lockstep, Machine, Reference};
use isolane_gpu::{Gpu, Statistics};
use isolane_spec::{Backend, Batch, ExecutionError, Outcome, Transaction};
use rayon::prelude::*;
use serde::Serialize;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Gas and blob gas of a block without limit: workloads are not blocks.
pub const UNLIMITED: Available = Available { gas: u64::MAX, blob_gas: u64::MAX };

/// What a pass over a batch did; equal for all sides, or they did not do the same work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Gas that was paid for.
    pub gas: u64,
    /// Logs.
    pub logs: u64,
    /// Bytes of output.
    pub output_bytes: u64,
    /// Transactions that succeeded.
    pub successes: u64,
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.gas += other.gas;
        self.logs += other.logs;
        self.output_bytes += other.output_bytes;
        self.successes += other.successes;
    }
}

impl std::iter::Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let mut sum = Self::default();
        all.for_each(|one| sum += one);
        sum
    }
}

impl Totals {
    fn of(outcome: &Outcome) -> Self {
        Self {
            gas: outcome.gas_used,
            logs: outcome.logs.len() as u64,
            output_bytes: outcome.output.len() as u64,
            successes: u64::from(outcome.status.is_success()),
        }
    }

    fn of_all(results: &[Result<Outcome, ExecutionError>]) -> Self {
        results.iter().flatten().map(Self::of).sum()
    }
}

/// Runs every transaction from the same pre-state on a machine of the reference. One without an outcome counts as nothing.
pub fn run_reference(machine: &mut Machine, transactions: &[Transaction]) -> Totals {
    let mut totals = Totals::default();
    for transaction in transactions {
        machine.rewind();
        if let Ok(outcome) = machine.transact(transaction, UNLIMITED) {
            totals += Totals::of(&outcome);
            black_box(outcome);
        }
    }
    totals
}

/// Where the time of a device's pass went, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parts {
    /// Preparing transactions: validity, fees, what lanes start from.
    pub prepare: f64,
    /// Writing messages, code and state.
    pub upload: f64,
    /// Dispatches.
    pub dispatch: f64,
    /// Reading reports.
    pub read_back: f64,
    /// Answering lanes: state, and cryptography that is not worth a kernel.
    pub services: f64,
    /// Finishing transactions: refunds, fees, what changed.
    pub finish: f64,
    /// Everything else on the host.
    pub other: f64,
    /// Exchanges with the host.
    pub exchanges: f64,
    /// Rounds of kernels.
    pub rounds: f64,
    /// Transactions that the reference executed.
    pub escaped: f64,
    /// Of a pass of its own whose kernels run one by one, to be timed.
    pub kernels: Vec<KernelShare>,
}

/// What a kernel did in a pass.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KernelShare {
    /// Its name.
    pub name: &'static str,
    /// Seconds of all its dispatches.
    pub seconds: f64,
    /// Dispatches that found lanes to work on.
    pub dispatches: u64,
    /// Lanes that such a dispatch found, on average.
    pub lanes: f64,
}

impl Parts {
    fn between(before: &Statistics, after: &Statistics, wall: Duration) -> Self {
        let seconds = |part: fn(&Statistics) -> Duration| (part(after).saturating_sub(part(before))).as_secs_f64();
        let mut parts = Self {
            prepare: seconds(|s| s.prepare),
            upload: seconds(|s| s.times.upload),
            dispatch: seconds(|s| s.times.dispatch),
            read_back: seconds(|s| s.times.read_back),
            services: seconds(|s| s.times.services),
            finish: seconds(|s| s.finish),
            other: 0.0,
            exchanges: after.times.exchanges.saturating_sub(before.times.exchanges) as f64,
            rounds: after.times.rounds.saturating_sub(before.times.rounds) as f64,
            escaped: after.fallback.saturating_sub(before.fallback) as f64,
            kernels: after
                .times
                .kernels()
                .zip(before.times.kernels())
                .map(|((name, after), (_, before))| {
                    let dispatches = after.dispatches.saturating_sub(before.dispatches);
                    let lanes = after.lanes.saturating_sub(before.lanes) as f64 / dispatches.max(1) as f64;
                    let seconds = after.time.saturating_sub(before.time).as_secs_f64();
                    KernelShare { name, seconds, dispatches, lanes }
                })
                .filter(|share| share.seconds > 0.0)
                .collect(),
        };
        let known = parts.prepare + parts.upload + parts.dispatch + parts.read_back + parts.services + parts.finish;
        parts.other = (wall.as_secs_f64() - known).max(0.0);
        parts
    }

    /// The average of several passes whose kernels were not timed; `None` of none.
    pub fn average<'a>(all: impl Iterator<Item = &'a Self>) -> Option<Self> {
        let all: Vec<&Self> = all.collect();
        if all.is_empty() {
            return None;
        }
        let mean = |part: fn(&Self) -> f64| all.iter().map(|parts| part(parts)).sum::<f64>() / all.len() as f64;
        Some(Self {
            prepare: mean(|p| p.prepare),
            upload: mean(|p| p.upload),
            dispatch: mean(|p| p.dispatch),
            read_back: mean(|p| p.read_back),
            services: mean(|p| p.services),
            finish: mean(|p| p.finish),
            other: mean(|p| p.other),
            exchanges: mean(|p| p.exchanges),
            rounds: mean(|p| p.rounds),
            escaped: mean(|p| p.escaped),
            kernels: Vec::new(),
        })
    }
}

/// A timed pass.
#[derive(Clone, Debug)]
pub struct Pass {
    pub totals: Totals,
    pub end_to_end: Duration,
    pub execution: Duration,
    pub cpu: Option<Duration>,
    pub parts: Option<Parts>,
}

/// The sides of a batch.
pub struct Sides<'a> {
    names: Vec<&'static str>,
    workloads: &'a [Workload],
    batch: Batch,
    gpu: Option<&'a Gpu>,
    lockstep: Lockstep,
    /// The state and the transactions of each workload.
    #[cfg(feature = "revm")]
    peer: Vec<(super::peer::PeerState, Vec<revm::context::TxEnv>)>,
}

/// One batch of several workloads, each an environment of its own; their transactions take turns.
#[must_use]
pub fn batch_of(workloads: &[Workload]) -> Batch {
    let environments = workloads.iter().map(Workload::environment).collect();
    let longest = workloads.iter().map(|workload| workload.transactions.len()).max().unwrap_or(0);
    let transactions = (0..longest)
        .flat_map(|turn| (0..).zip(workloads).map(move |(place, workload)| (place, workload.transactions.get(turn))))
        .filter_map(|(place, transaction)| Some((place, transaction?.clone())))
        .collect();
    Batch { environments, transactions }
}

impl<'a> Sides<'a> {
    /// The reference first, then the lockstep backend, revm where it is built in, and the device if there is one.
    #[must_use]
    pub fn new(workloads: &'a [Workload], gpu: Option<&'a Gpu>) -> Self {
        let batch = batch_of(workloads);
        let mut names = vec!["reference", "lockstep"];
        #[cfg(feature = "revm")]
        let peer = {
            names.push("revm");
            let peer = |workload| (super::peer::PeerState::new(workload), super::peer::transactions(workload));
            workloads.iter().map(peer).collect()
        };
        names.extend(gpu.map(Backend::name));
        Self {
            names,
            workloads,
            batch,
            gpu,
            lockstep: Lockstep::new(),
            #[cfg(feature = "revm")]
            peer,
        }
    }

    /// The names of the sides.
    #[must_use]
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// One pass of a side, by its place among the names.
    pub fn pass(&mut self, side: usize) -> Pass {
        match self.names.get(side).copied() {
            Some("gpu") => self.device(),
            Some("lockstep") => self.lockstep(),
            #[cfg(feature = "revm")]
            Some("revm") => self.revm(),
            _ => self.reference(),
        }
    }

    /// A pass of the device whose kernels run one by one; empty where there is none.
    pub fn kernels(&self) -> Vec<KernelShare> {
        let Some(gpu) = self.gpu else { return Vec::new() };
        gpu.time_kernels(true);
        let parts = self.device().parts;
        gpu.time_kernels(false);
        parts.map_or_else(Vec::new, |parts| parts.kernels)
    }

    /// Execution only: machines that drop their outcomes. End to end: the backend, which keeps them.
    fn reference(&self) -> Pass {
        let (cpu, start) = (cpu_time(), Instant::now());
        let totals: Totals = self
            .batch
            .environments
            .par_iter()
            .zip(self.workloads)
            .flat_map(|(environment, workload)| {
                let transactions = &workload.transactions;
                let parts = transactions.par_chunks(part(transactions.len()));
                parts.map(|part| run_reference(&mut Machine::new(environment.clone()), part))
            })
            .sum();
        let (execution, cpu) = (start.elapsed(), since(cpu));
        let start = Instant::now();
        black_box(Reference.execute(&self.batch));
        Pass { totals, end_to_end: start.elapsed(), execution, cpu, parts: None }
    }

    /// Execution only, on terms as equal as can be: see `benches/README.md`.
    #[cfg(feature = "revm")]
    fn revm(&self) -> Pass {
        let parts: Vec<_> = self
            .batch
            .environments
            .iter()
            .zip(&self.peer)
            .flat_map(|(environment, (state, transactions))| {
                let parts = transactions.chunks(part(transactions.len()));
                parts.map(move |part| (environment, state, part.to_vec()))
            })
            .collect();
        let (cpu, start) = (cpu_time(), Instant::now());
        let totals: Totals = parts
            .into_par_iter()
            .map(|(environment, state, part)| match super::peer::Peer::new(environment, state) {
                Some(mut peer) => peer.run(part),
                None => Totals::default(),
            })
            .sum();
        let (execution, cpu) = (start.elapsed(), since(cpu));
        Pass { totals, end_to_end: execution, execution, cpu, parts: None }
    }

    /// As [`Self::reference`].
    fn lockstep(&self) -> Pass {
        let totals = Mutex::new(Totals::default());
        let (cpu, start) = (cpu_time(), Instant::now());
        self.lockstep.execute_each(&self.batch, &|_, result| {
            if let Ok(outcome) = &result {
                *totals.lock().unwrap_or_else(PoisonError::into_inner) += Totals::of(outcome);
            }
            black_box(&result);
        });
        let (execution, cpu) = (start.elapsed(), since(cpu));
        let start = Instant::now();
        black_box(self.lockstep.execute(&self.batch));
        let end_to_end = start.elapsed();
        let totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
        Pass { totals, end_to_end, execution, cpu, parts: None }
    }

    fn device(&self) -> Pass {
        let Some(gpu) = self.gpu else { return self.reference() };
        let before = gpu.statistics();
        let (cpu, start) = (cpu_time(), Instant::now());
        let results = gpu.execute(&self.batch);
        let (end_to_end, cpu) = (start.elapsed(), since(cpu));
        let parts = Parts::between(&before, &gpu.statistics(), end_to_end);
        let execution = Duration::from_secs_f64(parts.dispatch);
        Pass { totals: Totals::of_all(&results), end_to_end, execution, cpu, parts: Some(parts) }
    }
}

/// Transactions that a thread takes at a time.
fn part(transactions: usize) -> usize {
    transactions.div_ceil(4 * rayon::current_num_threads()).max(1)
}

fn since(before: Option<Duration>) -> Option<Duration> {
    cpu_time()?.checked_sub(before?)
}

/// CPU time of all threads of the process so far; only Linux is asked.
#[must_use]
pub fn cpu_time() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Some(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default()))
    }
    #[cfg(not(target_os = "linux"))]
    None
}
