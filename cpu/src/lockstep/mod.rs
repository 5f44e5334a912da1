//! [`Lockstep`]: the backend that executes lanes that run the same code together, one dispatch an instruction.
//!
//! A lane is an executor of the reference, with its own journal, frames and memories, and everything that touches those is
//! the reference's own function: there is one implementation of each rule. What the lanes of a group share is the decoded
//! code, where they are in it, and the stack, whose items are words that all lanes have in common or columns of one word a
//! lane ([`simd`]). Where lanes go apart they go on as paths ([`path`]), and join where they meet.

mod fused;
mod group;
mod path;
mod run;
mod seats;
mod simd;
mod statistics;
mod storage;
#[cfg(test)]
mod tests;
mod transfers;
mod words;

pub use simd::SimdLevel;
pub use statistics::{Leave, Statistics};

use crate::backend::{self, AHEAD, COLD};
use crate::program::TableKey;
use group::{Group, Job};
use hashbrown::HashMap;
use isolane_spec::{
    Backend, Batch, Budget, Environment, ExecutionError, H160, H256, KECCAK_EMPTY, Order, Outcome, Permissions,
    Transaction,
};
use rayon::prelude::*;
use simd::LANES;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use transfers::may_be_plain;

/// Groups with fewer transactions are not worth it.
const FEW: usize = 8;

/// Executes transactions that run the same code in groups, and the others as [`crate::Reference`] does. The results are the
/// reference's to the last bit.
#[derive(Debug, Default)]
pub struct Lockstep {
    level: Option<SimdLevel>,
    statistics: Mutex<Statistics>,
}

thread_local! {
    /// What a thread keeps for its buffers and its decoded code.
    static GROUP: RefCell<Option<Group>> = const { RefCell::new(None) };
}

/// Tells one batch from another.
static BATCHES: AtomicU64 = AtomicU64::new(1);

/// Groups that belong together: see [`Lockstep::begin`].
#[derive(Clone, Copy, Debug)]
pub struct Run {
    number: u64,
    cold: bool,
}

/// Takes the result of a transaction, by its index in the batch, and why it was not in a group. Called from many threads.
pub type Told<'a> = dyn Fn(usize, Result<Outcome, ExecutionError>, Option<Leave>) + Sync + 'a;

/// Transactions that run the same code, and probably the same way through it.
#[derive(PartialEq, Eq, Hash)]
struct Alike {
    /// The number of its opcode table and code.
    code: u32,
    selector: u32,
    input_len: usize,
}

impl Lockstep {
    /// With the best instruction set that this machine has, or the one that the environment variable `ISOLANE_SIMD` names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this instruction set, or the best below it that this machine has.
    #[must_use]
    pub fn with_simd(level: SimdLevel) -> Self {
        Self { level: Some(level), ..Self::default() }
    }

    /// The instruction set that it uses.
    #[must_use]
    pub fn simd(&self) -> SimdLevel {
        self.level.unwrap_or_else(SimdLevel::chosen).min(SimdLevel::highest())
    }

    /// What it has executed since it was made.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        *self.statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, statistics: &Statistics) {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner).add(statistics);
    }

    /// Executes a batch as [`Backend::execute`] does, and hands each result with the index of its transaction to `sink` at
    /// once, from many threads and in no particular order: nothing is kept.
    pub fn execute_each(&self, batch: &Batch, sink: &(dyn Fn(usize, Result<Outcome, ExecutionError>) + Sync)) {
        self.execute_told(batch, &|index, result, _| sink(index, result));
    }

    /// As [`Self::execute_each`]; each result comes with the reason why its transaction was not in a group, if it was not.
    pub fn execute_told(&self, batch: &Batch, sink: &Told<'_>) {
        let mut plan = plan(batch);
        for (index, (number, _)) in batch.transactions.iter().enumerate() {
            if *number as usize >= batch.environments.len() {
                sink(index, Err(ExecutionError::NoEnvironment(*number)), Some(Leave::Failed));
            }
        }
        let run = Run { number: BATCHES.fetch_add(1, Ordering::Relaxed), cold: batch.transactions.len() >= COLD };
        plan.groups.par_iter().for_each(|group| self.run_group(run, batch, group, sink));
        let transfers = std::mem::take(&mut plan.transfers);
        let others = transfers::execute_all(batch, &transfers, sink);
        plan.statistics.transfers = (transfers.len() - others.len()) as u64;
        for index in others {
            let (number, transaction) = &batch.transactions[index];
            plan.leave(*number, index, transaction, Leave::NoCode);
        }
        let Plan { mut alone, left, mut statistics, .. } = plan;
        statistics.transactions = batch.transactions.len() as u64;
        self.count(&statistics);
        // In the order of their environment again.
        alone.iter_mut().for_each(|transactions| transactions.sort_unstable_by_key(|(index, _)| *index));
        backend::execute_all(batch, &alone, &|index, result| sink(index, result, left.get(index).copied().flatten()));
    }

    /// Tells the groups of one run from those of others.
    #[must_use]
    pub fn begin(&self, transactions: usize) -> Run {
        self.count(&Statistics { transactions: transactions as u64, ..Statistics::default() });
        Run { number: BATCHES.fetch_add(1, Ordering::Relaxed), cold: transactions >= COLD }
    }

    /// Executes transactions as one group, on this thread and each from the base state of its environment: at most
    /// [`Self::GROUP`], which need not run the same code, but had better. All groups of a run have the same environments, of
    /// which none has permissions, messages or precompiles of its own, or a budget for more than gas and instructions. `sink` gets
    /// each result with its index, in no particular order.
    pub fn execute_group(
        &self,
        run: Run,
        environments: &[Environment],
        transactions: &[(u32, Transaction)],
        sink: &mut dyn FnMut(usize, Result<Outcome, ExecutionError>, Option<Leave>),
    ) {
        let transactions = &transactions[..transactions.len().min(LANES)];
        let mut jobs = Vec::with_capacity(transactions.len());
        // The environment before, which is mostly the next one too.
        let mut last = (u32::MAX, false);
        for (index, (number, transaction)) in transactions.iter().enumerate() {
            let environment = environments.get(*number as usize);
            if last.0 != *number {
                last = (*number, environment.is_some_and(restricts));
            }
            match environment {
                Some(environment) if !last.1 => {
                    jobs.push((index, Job { environment, number: *number, transaction }));
                }
                Some(environment) => {
                    sink(index, backend::alone(environment, transaction), Some(Leave::Restricted));
                }
                None => sink(index, Err(ExecutionError::NoEnvironment(*number)), Some(Leave::Failed)),
            }
        }
        let (indices, jobs): (Vec<usize>, Vec<Job<'_>>) = jobs.into_iter().unzip();
        if !jobs.is_empty() {
            self.run_jobs(run, &jobs, &mut |lane, result, left| sink(indices[lane], result, left));
        }
    }

    /// The most transactions of a group.
    pub const GROUP: usize = LANES;

    /// Executes one group of a batch.
    fn run_group(&self, run: Run, batch: &Batch, indices: &[usize], sink: &Told<'_>) {
        let jobs: Vec<Job<'_>> = indices
            .iter()
            .filter_map(|&index| {
                let (number, transaction) = batch.transactions.get(index)?;
                let environment = batch.environments.get(*number as usize)?;
                Some(Job { environment, number: *number, transaction })
            })
            .collect();
        self.run_jobs(run, &jobs, &mut |lane, result, left| sink(indices[lane], result, left));
    }

    /// Executes one group; should that fail for a defect, its transactions one by one.
    fn run_jobs(
        &self,
        run: Run,
        jobs: &[Job<'_>],
        sink: &mut dyn FnMut(usize, Result<Outcome, ExecutionError>, Option<Leave>),
    ) {
        // Taken out, so that nothing is left of a group that panics.
        let mut group = GROUP.with_borrow_mut(Option::take).unwrap_or_else(|| Group::new(self.simd()));
        group.set_level(self.simd());
        group.cold = run.cold;
        let (mut done, mut handing_on) = ([false; LANES], false);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            group.execute(run.number, jobs, |lane, result, left| {
                (done[lane], handing_on) = (true, true);
                sink(lane, result, left);
                handing_on = false;
            });
            group
        }));
        match ran {
            Ok(mut group) => {
                self.count(&std::mem::take(&mut group.statistics));
                GROUP.set(Some(group));
            }
            // Whoever takes the results panicked.
            Err(panic) if handing_on => resume_unwind(panic),
            Err(_) => {
                let mut statistics = Statistics::default();
                for (lane, job) in jobs.iter().enumerate() {
                    if !done[lane] {
                        statistics.leave(Leave::Failed, 1);
                        sink(lane, backend::alone(job.environment, job.transaction), Some(Leave::Failed));
                    }
                }
                self.count(&statistics);
            }
        }
    }
}

/// Whether the rules of an environment differ from the protocol's by more than lanes in lockstep know of: they do count instructions.
fn restricts(environment: &Environment) -> bool {
    let Budget { gas, steps, .. } = environment.budget;
    environment.rules.is_custom()
        || environment.messaging.is_some()
        || environment.permissions != Permissions::default()
        || environment.budget != Budget { gas, steps, ..Budget::UNLIMITED }
}

/// Why the transactions of an environment are not grouped, if they are not.
fn refuses(environment: &Environment, transactions: usize) -> Option<Leave> {
    if restricts(environment) {
        return Some(Leave::Restricted);
    }
    (environment.order == Order::Sequential && transactions > 1).then_some(Leave::Ordered)
}

/// Who executes what.
struct Plan<'b> {
    /// Transactions that run together, by index.
    groups: Vec<Vec<usize>>,
    /// Transactions that probably run nothing, by index.
    transfers: Vec<usize>,
    /// For the reference, by environment.
    alone: Vec<Vec<(usize, &'b Transaction)>>,
    /// Why, by index.
    left: Vec<Option<Leave>>,
    statistics: Statistics,
}

fn plan(batch: &Batch) -> Plan<'_> {
    let environments = batch.environments.len();
    let mut counts = vec![0; environments];
    for (number, _) in &batch.transactions {
        if let Some(count) = counts.get_mut(*number as usize) {
            *count += 1;
        }
    }
    let refused: Vec<Option<Leave>> =
        batch.environments.iter().zip(&counts).map(|(environment, &count)| refuses(environment, count)).collect();

    let mut plan = Plan {
        groups: Vec::new(),
        transfers: Vec::new(),
        alone: vec![Vec::new(); environments],
        left: vec![None; batch.transactions.len()],
        statistics: Statistics::default(),
    };
    let mut codes: HashMap<(TableKey, H256), u32> = HashMap::new();
    // The callee before, which is often the next one too.
    let mut last: Option<((u32, H160), Option<u32>)> = None;
    let mut places: HashMap<Alike, usize> = HashMap::new();
    let mut alike: Vec<Vec<usize>> = Vec::new();
    let cold = batch.transactions.len() >= COLD;
    for (index, (number, transaction)) in batch.transactions.iter().enumerate() {
        let Some(environment) = batch.environments.get(*number as usize) else { continue };
        if cold && index % AHEAD == 0 && environment.state.is_near() {
            let same = batch.transactions[index..].iter().take(AHEAD).filter(|(other, _)| other == number);
            backend::read_ahead(&*environment.state, same.filter_map(|(_, transaction)| transaction.to.as_ref()));
        }
        if let Some(reason) = refused[*number as usize] {
            plan.leave(*number, index, transaction, reason);
            continue;
        }
        let code = transaction.to.and_then(|to| match last {
            Some((callee, code)) if callee == (*number, to) => code,
            _ => {
                // A state that fails or panics does so again for the reference, in its own environment.
                let code_hash = catch_unwind(AssertUnwindSafe(|| {
                    let account = environment.state.account(&to).ok().flatten();
                    account.map(|account| account.code_hash).filter(|hash| *hash != KECCAK_EMPTY)
                }));
                let code_hash = code_hash.ok().flatten();
                let next = codes.len() as u32;
                let code = code_hash.map(|hash| *codes.entry((TableKey::of(environment), hash)).or_insert(next));
                last = Some(((*number, to), code));
                code
            }
        });
        let Some(code) = code else {
            if transaction.to.is_some() && may_be_plain(transaction) {
                plan.transfers.push(index);
            } else {
                plan.leave(*number, index, transaction, Leave::NoCode);
            }
            continue;
        };
        let key = Alike {
            code,
            selector: transaction.input.first_chunk().map_or(0, |selector| u32::from_be_bytes(*selector)),
            input_len: transaction.input.len(),
        };
        let place = *places.entry(key).or_insert_with(|| {
            alike.push(Vec::new());
            alike.len() - 1
        });
        alike[place].push(index);
    }
    for group in alike.iter().flat_map(|indices| indices.chunks(LANES)) {
        if group.len() >= FEW {
            plan.groups.push(group.to_vec());
            continue;
        }
        for &index in group {
            let (number, transaction) = &batch.transactions[index];
            plan.leave(*number, index, transaction, Leave::Few);
        }
    }
    plan
}

impl<'b> Plan<'b> {
    fn leave(&mut self, environment: u32, index: usize, transaction: &'b Transaction, reason: Leave) {
        self.alone[environment as usize].push((index, transaction));
        self.left[index] = Some(reason);
        self.statistics.leave(reason, 1);
    }
}

impl Backend for Lockstep {
    fn name(&self) -> &'static str {
        "lockstep"
    }

    fn execute(&self, batch: &Batch) -> Vec<Result<Outcome, ExecutionError>> {
        backend::collect(batch, |sink| self.execute_each(batch, sink))
    }
}
