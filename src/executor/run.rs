//! Calls in rounds: all run; those that lack state wait until what they lack has been read, all of it at once; they run again.

use super::cache::{Cache, CacheView};
use super::call::{Call, CallOutcome, CallResult, Escape, RanOn, Terms, Want, Watched};
use super::error::{ExecutorError, panic_text};
use super::guess::Guess;
use super::inner::Inner;
use super::keys::Key;
use super::snapshot::{Origin, Snapshot};
use crate::trace::{AccessList, CallFrames};
use hashbrown::{HashMap, HashSet};
use isolane_cpu::{Available, Lockstep, Machine, lockstep, with_machine};
use isolane_spec::{
    Batch, Budget, Environment, ExecutionError, H160, Order, StateError, StateView, Transaction, Validation,
};
use rayon::prelude::*;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Calls of one wave: what they lack is read together.
const WAVE: usize = 1 << 16;
/// Rounds after which a call is given up. A call that follows a list reads one slot a round, and pays gas for each.
const ROUNDS: usize = 1 << 15;
/// Where so many calls or fewer lack state, each is followed further on guesses, to find more that it lacks.
const GUESSES: usize = 1 << 10;
/// Instructions that a call is followed on guesses.
const GUESSED_STEPS: u64 = 1 << 20;

/// What became of one unit: a call, or a bundle of them.
pub(super) enum Attempt<T> {
    Done(T),
    Lacks(StateError),
    Failed(ExecutorError),
}

impl<T> Attempt<T> {
    fn of(result: Result<T, ExecutionError>) -> Self {
        match result {
            Ok(done) => Self::Done(done),
            Err(ExecutionError::State(error)) => Self::Lacks(error),
            Err(error) => Self::Failed(error.into()),
        }
    }
}

/// Units that are executed on one snapshot.
pub(super) trait Work: Sync {
    type Done: Send;
    fn len(&self) -> usize;
    /// The calls of a unit.
    fn calls(&self, unit: usize) -> &[Call];
    /// Executes units from the state; results in the order of `units`.
    fn attempt(&self, state: &Arc<dyn StateView>, units: &[usize]) -> Vec<Attempt<Self::Done>>;
}

/// Independent calls.
pub(super) struct Calls<'a> {
    pub inner: &'a Inner,
    pub snapshot: &'a Snapshot,
    pub calls: &'a [Call],
    pub want: Want,
}

/// Bundles: calls in order, each after those before it.
pub(super) struct Bundles<'a> {
    pub inner: &'a Inner,
    pub snapshot: &'a Snapshot,
    pub bundles: &'a [&'a [Call]],
    pub want: Want,
}

impl Work for Calls<'_> {
    type Done = CallOutcome;

    fn len(&self) -> usize {
        self.calls.len()
    }

    fn calls(&self, unit: usize) -> &[Call] {
        self.calls.get(unit..=unit).unwrap_or_default()
    }

    fn attempt(&self, state: &Arc<dyn StateView>, units: &[usize]) -> Vec<Attempt<CallOutcome>> {
        if self.want.intersects(Want::WATCHED) {
            return self.inner.install(|| units.par_iter().map(|&unit| self.watched(state, unit)).collect());
        }
        if let Some(lockstep) = self.inner.engine.groups(units.len()) {
            return self.inner.install(|| self.in_groups(lockstep, state, units));
        }
        let fork = self.snapshot.rules().fork;
        let diffs = self.want.contains(Want::DIFF);
        let mut batch = Batch::default();
        let mut environments: HashMap<Terms, u32> = HashMap::new();
        let mut places = Vec::with_capacity(units.len());
        let mut attempts: Vec<Option<Attempt<CallOutcome>>> = Vec::with_capacity(units.len());
        for &unit in units {
            let Some(call) = self.calls.get(unit) else { continue };
            attempts.push(None);
            let nonce = match nonce(call, &**state) {
                Ok(nonce) => nonce,
                Err(error) => {
                    attempts.pop();
                    attempts.push(Some(Attempt::Lacks(error)));
                    continue;
                }
            };
            let terms = call.terms();
            let environment = *environments.entry(terms).or_insert_with(|| {
                batch.environments.push(self.snapshot.environment(Arc::clone(state), terms, diffs));
                batch.environments.len() as u32 - 1
            });
            batch.transactions.push((environment, call.transaction(self.inner.gas_cap, fork, nonce)));
            places.push(attempts.len() - 1);
        }
        let done: Vec<Mutex<Option<Attempt<CallOutcome>>>> = places.iter().map(|_| Mutex::new(None)).collect();
        self.inner.install(|| {
            self.inner.engine.execute(&batch, &|index, result, ran_on, escape| {
                let attempt = Attempt::of(result.map(|outcome| CallOutcome::new(outcome, self.want, ran_on, escape)));
                if let Some(place) = done.get(index) {
                    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(attempt);
                }
            });
        });
        for (place, attempt) in places.into_iter().zip(done) {
            attempts[place] = attempt.into_inner().unwrap_or_else(PoisonError::into_inner);
        }
        let lost = || Attempt::Failed(ExecutionError::Panic("a call was lost".to_owned()).into());
        attempts.into_iter().map(|attempt| attempt.unwrap_or_else(lost)).collect()
    }
}

/// Calls that run the same code, and probably the same way through it, next to each other.
fn alike(call: &Call) -> (Option<H160>, u32, usize) {
    (call.to, call.selector(), call.input.len())
}

impl Calls<'_> {
    /// Executes calls in groups of those that are alike. Each group is a task: from its transactions to its outcomes nothing
    /// leaves the caches of one core.
    fn in_groups(&self, lockstep: &Lockstep, state: &Arc<dyn StateView>, units: &[usize]) -> Vec<Attempt<CallOutcome>> {
        let diffs = self.want.contains(Want::DIFF);
        let environments: Vec<Environment> =
            Terms::ALL.iter().map(|terms| self.snapshot.environment(Arc::clone(state), *terms, diffs)).collect();
        let groups = Groups { calls: self, lockstep, run: lockstep.begin(units.len()), environments, state };
        let mut attempts: Vec<Option<Attempt<CallOutcome>>> = Vec::new();
        attempts.resize_with(units.len(), || None);
        let first = units.first().and_then(|&unit| self.calls.get(unit)).map(alike);
        if units.par_iter().with_min_len(4_096).all(|&unit| self.calls.get(unit).map(alike) == first) {
            let chunks = units.par_chunks(Lockstep::GROUP).zip(attempts.par_chunks_mut(Lockstep::GROUP));
            chunks.for_each(|(units, attempts)| groups.execute(units, |lane, attempt| attempts[lane] = Some(attempt)));
        } else {
            let mut order: Vec<u32> = (0..units.len() as u32).collect();
            let kind = |place: &u32| self.calls.get(units[*place as usize]).map(alike);
            order.par_sort_by_cached_key(kind);
            let done: Vec<Vec<(u32, Attempt<CallOutcome>)>> = order
                .par_chunks(Lockstep::GROUP)
                .map(|places| {
                    let mut done = Vec::with_capacity(places.len());
                    let units: Vec<usize> = places.iter().map(|place| units[*place as usize]).collect();
                    groups.execute(&units, |lane, attempt| done.push((places[lane], attempt)));
                    done
                })
                .collect();
            for (place, attempt) in done.into_iter().flatten() {
                attempts[place as usize] = Some(attempt);
            }
        }
        let lost = || Attempt::Failed(ExecutionError::Panic("a call was lost".to_owned()).into());
        attempts.into_iter().map(|attempt| attempt.unwrap_or_else(lost)).collect()
    }

    fn watched(&self, state: &Arc<dyn StateView>, unit: usize) -> Attempt<CallOutcome> {
        let diffs = self.want.contains(Want::DIFF);
        let order = Order::Independent;
        let in_order = InOrder { inner: self.inner, snapshot: self.snapshot, want: self.want, order, diffs };
        match in_order.run(state, self.calls(unit)) {
            Attempt::Done(mut outcomes) => match outcomes.pop() {
                Some(outcome) => Attempt::Done(outcome),
                None => Attempt::Failed(ExecutionError::Panic("a call was lost".to_owned()).into()),
            },
            Attempt::Lacks(error) => Attempt::Lacks(error),
            Attempt::Failed(error) => Attempt::Failed(error),
        }
    }
}

/// Calls of one run, executed group by group.
struct Groups<'a> {
    calls: &'a Calls<'a>,
    lockstep: &'a Lockstep,
    run: lockstep::Run,
    /// One for each of [`Terms::ALL`].
    environments: Vec<Environment>,
    state: &'a Arc<dyn StateView>,
}

thread_local! {
    /// The transactions of a group, for their buffer.
    static TRANSACTIONS: RefCell<Vec<(u32, Transaction)>> = const { RefCell::new(Vec::new()) };
}

impl Groups<'_> {
    /// Executes at most one group's calls. `sink` gets what became of them, by their place among `units`.
    fn execute(&self, units: &[usize], mut sink: impl FnMut(usize, Attempt<CallOutcome>)) {
        let Calls { inner, snapshot, calls, want } = *self.calls;
        let fork = snapshot.rules().fork;
        let mut transactions = TRANSACTIONS.take();
        transactions.clear();
        // The places of those that there is a transaction of: with full validation, state can be missing before.
        let mut places = [0; Lockstep::GROUP];
        for (place, call) in units.iter().map(|&unit| calls.get(unit)).enumerate() {
            let Some(call) = call else { continue };
            match nonce(call, &**self.state) {
                Ok(nonce) => {
                    places[transactions.len()] = place;
                    transactions.push((call.terms().index(), call.transaction(inner.gas_cap, fork, nonce)));
                }
                Err(error) => sink(place, Attempt::Lacks(error)),
            }
        }
        self.lockstep.execute_group(self.run, &self.environments, &transactions, &mut |lane, result, left| {
            let (ran_on, escape) = match left {
                None => (RanOn::Lockstep, None),
                Some(leave) => (RanOn::Cpu, Some(Escape::of(leave))),
            };
            sink(places[lane], Attempt::of(result.map(|outcome| CallOutcome::new(outcome, want, ran_on, escape))));
        });
        transactions.clear();
        TRANSACTIONS.set(transactions);
    }
}

impl Work for Bundles<'_> {
    type Done = Vec<CallOutcome>;

    fn len(&self) -> usize {
        self.bundles.len()
    }

    fn calls(&self, unit: usize) -> &[Call] {
        self.bundles.get(unit).copied().unwrap_or_default()
    }

    fn attempt(&self, state: &Arc<dyn StateView>, units: &[usize]) -> Vec<Attempt<Self::Done>> {
        let (order, diffs) = (Order::Sequential, true);
        let in_order = InOrder { inner: self.inner, snapshot: self.snapshot, want: self.want, order, diffs };
        self.inner.install(|| units.par_iter().map(|&unit| in_order.run(state, self.calls(unit))).collect())
    }
}

/// The nonce that a call has, where it matters.
fn nonce(call: &Call, state: &dyn StateView) -> Result<u64, StateError> {
    if call.validation == Validation::Call || call.nonce.is_some() {
        return Ok(0);
    }
    Ok(state.account(&call.from)?.map_or(0, |account| account.nonce))
}

/// Executes calls one after another on a machine of the reference.
struct InOrder<'a> {
    inner: &'a Inner,
    snapshot: &'a Snapshot,
    want: Want,
    order: Order,
    diffs: bool,
}

impl InOrder<'_> {
    fn run(&self, state: &Arc<dyn StateView>, calls: &[Call]) -> Attempt<Vec<CallOutcome>> {
        let Some(first) = calls.first() else { return Attempt::Done(Vec::new()) };
        let environment = Environment {
            order: self.order,
            ..self.snapshot.environment(Arc::clone(state), first.terms(), self.diffs)
        };
        let run = || with_machine(environment, |machine| calls.iter().map(|call| self.one(machine, call)).collect());
        Attempt::of(catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            // The machine is not used again.
            Err(ExecutionError::Panic(panic_text(&*panic)))
        }))
    }

    fn one(&self, machine: &mut Machine, call: &Call) -> Result<CallOutcome, ExecutionError> {
        let block = self.snapshot.block();
        let terms = call.terms();
        let base_fee = if terms.free_gas { Default::default() } else { block.base_fee };
        let blob_base_fee = if terms.free_blobs { Default::default() } else { block.blob_base_fee };
        machine.set_base_fees(base_fee, blob_base_fee);
        machine.set_validation(terms.validation);
        let nonce = match terms.validation {
            Validation::Full if call.nonce.is_none() => machine.account(call.from)?.map_or(0, |account| account.nonce),
            _ => 0,
        };
        let fork = self.snapshot.rules().fork;
        let transaction = call.transaction(self.inner.gas_cap, fork, nonce);
        let available = Available::of(machine.environment());
        if !self.want.intersects(Want::WATCHED) {
            let outcome = machine.transact(&transaction, available)?;
            return Ok(CallOutcome::new(outcome, self.want, RanOn::Cpu, Some(Escape::Ordered)));
        }
        let wanted = |flag| self.want.contains(flag);
        let mut observers = (
            wanted(Want::ACCESS_LIST).then(|| AccessList::new(fork, block.coinbase)),
            wanted(Want::CALLS).then(CallFrames::default),
        );
        let outcome = machine.transact_observed(&transaction, available, &mut observers)?;
        let (access_list, frames) = observers;
        let watched = Watched {
            access_list: access_list.map(|mut list| list.take()).unwrap_or_default(),
            calls: frames.map(|mut frames| frames.take()).unwrap_or_default(),
        };
        let outcome = CallOutcome::new(outcome, self.want, RanOn::Cpu, Some(Escape::Watched));
        Ok(CallOutcome { watched: Some(Box::new(watched)), ..outcome })
    }
}

/// Executes all units, in rounds; results in their order.
pub(super) fn rounds<W: Work>(inner: &Inner, snapshot: &Snapshot, work: &W) -> Vec<Result<W::Done, ExecutorError>> {
    match snapshot.origin() {
        Origin::Direct(_) => {
            let units: Vec<usize> = (0..work.len()).collect();
            let attempts = work.attempt(&snapshot.view(), &units);
            attempts.into_iter().map(without_source).collect()
        }
        Origin::Cached(cache) => {
            let mut results: Vec<Option<Result<W::Done, ExecutorError>>> = Vec::new();
            results.resize_with(work.len(), || None);
            Waves { inner, snapshot, cache, work, results }.run()
        }
    }
}

fn without_source<T>(attempt: Attempt<T>) -> Result<T, ExecutorError> {
    match attempt {
        Attempt::Done(done) => Ok(done),
        Attempt::Lacks(error) => Err(ExecutionError::State(error).into()),
        Attempt::Failed(error) => Err(error),
    }
}

/// Units whose state comes from a source.
struct Waves<'a, W: Work> {
    inner: &'a Inner,
    snapshot: &'a Snapshot,
    cache: &'a Arc<Cache>,
    work: &'a W,
    results: Vec<Option<Result<W::Done, ExecutorError>>>,
}

impl<W: Work> Waves<'_, W> {
    fn run(mut self) -> Vec<Result<W::Done, ExecutorError>> {
        let mut size = WAVE;
        // In the order in which they are executed: from the back.
        let mut queue: Vec<usize> = (0..self.work.len()).rev().collect();
        while !queue.is_empty() {
            let wave = queue.split_off(queue.len().saturating_sub(size));
            let deferred = self.wave(wave.into_iter().rev().collect());
            if !deferred.is_empty() {
                size = (size / 2).max(1).min(deferred.len());
                queue.extend(deferred.into_iter().rev());
            }
        }
        let lost = || Err(ExecutionError::Panic("a call was lost".to_owned()).into());
        self.results.into_iter().map(|result| result.unwrap_or_else(lost)).collect()
    }

    /// Executes units until each has its result. Returns those that are to wait, because what all of them lack would be more
    /// than may be held.
    fn wave(&mut self, mut pending: Vec<usize>) -> Vec<usize> {
        self.inner.make_room(self.cache);
        let _entered = self.cache.enter();
        let mut deferred = Vec::new();
        let mut failed: HashMap<Key, ExecutorError> = HashMap::new();
        let mut learnt: HashMap<usize, Vec<Key>> = HashMap::new();
        let mut round = 0;
        while !pending.is_empty() {
            round += 1;
            let known = self.cache.view();
            let state = self.snapshot.over(Arc::new(known));
            let attempts = self.work.attempt(&state, &pending);
            drop(state);
            let mut lacking: Vec<(usize, Key)> = Vec::new();
            for (&unit, attempt) in pending.iter().zip(attempts) {
                let result = match attempt {
                    Attempt::Done(done) => Ok(done),
                    Attempt::Failed(error) => Err(error),
                    Attempt::Lacks(error) => match Key::of(&error) {
                        None => Err(ExecutionError::State(error).into()),
                        Some(key) => match failed.get(&key) {
                            Some(error) => Err(error.clone()),
                            None if round >= ROUNDS => Err(ExecutorError::TooManyRounds { rounds: round }),
                            None => {
                                lacking.push((unit, key));
                                continue;
                            }
                        },
                    },
                };
                self.results[unit] = Some(result);
            }
            let mut wanted = self.wanted(&lacking, round, &mut learnt);
            while lacking.len() > 1 && self.cache.meter().is_full(wanted.len()) {
                let late = lacking.split_off(lacking.len().div_ceil(2));
                deferred.splice(0..0, late.into_iter().map(|(unit, _)| unit));
                wanted = lacking.iter().map(|(_, key)| *key).collect();
            }
            failed.extend(self.cache.fetch(wanted));
            pending = lacking.into_iter().map(|(unit, _)| unit).collect();
        }
        self.inner
            .shapes
            .learn(learnt.into_iter().filter_map(|(unit, keys)| Some((self.work.calls(unit).first()?, keys))));
        deferred
    }

    /// What units lack, as far as it can be known: what they met, what is sure to be looked at, what calls like them needed, and
    /// what they meet when they go on with guesses.
    fn wanted(&self, lacking: &[(usize, Key)], round: usize, learnt: &mut HashMap<usize, Vec<Key>>) -> HashSet<Key> {
        let mut wanted: HashSet<Key> = lacking.iter().map(|(_, key)| *key).collect();
        if lacking.is_empty() {
            return wanted;
        }
        let known = self.cache.view();
        if round == 1 {
            let mut kinds = HashSet::new();
            for (unit, _) in lacking {
                for call in self.work.calls(*unit) {
                    wanted.insert(Key::Account(call.from));
                    wanted.extend(call.to.map(Key::Account));
                    for item in &call.access_list {
                        wanted.insert(Key::Account(item.address));
                        wanted.extend(item.storage_keys.iter().map(|key| Key::Slot(item.address, *key)));
                    }
                    if kinds.insert((call.to, call.selector())) {
                        self.inner.shapes.recall(call, &mut wanted);
                    }
                }
            }
        }
        let met = if lacking.len() <= GUESSES { self.guess(&known, lacking) } else { Vec::new() };
        wanted.extend(met.iter().flatten());
        wanted.retain(|key| !known.holds(key));
        for (index, (unit, key)) in lacking.iter().enumerate() {
            if learnt.len() < super::learn::SAMPLES || learnt.contains_key(unit) {
                let keys = learnt.entry(*unit).or_default();
                keys.push(*key);
                keys.extend(met.get(index).into_iter().flatten());
            }
        }
        wanted
    }

    /// Follows units that lack state on guesses: what is not known is zero. Nothing of it counts but what they look at.
    fn guess(&self, known: &CacheView, lacking: &[(usize, Key)]) -> Vec<Vec<Key>> {
        let follow = |unit: usize| {
            let guess = Arc::new(Guess::new(known.clone()));
            let state = self.snapshot.over(Arc::clone(&guess) as Arc<dyn StateView>);
            let calls = self.work.calls(unit);
            let Some(first) = calls.first() else { return Vec::new() };
            let budget = Budget { steps: GUESSED_STEPS, ..Budget::UNLIMITED };
            let environment = Environment {
                order: Order::Sequential,
                budget,
                ..self.snapshot.environment(Arc::clone(&state), first.terms(), true)
            };
            let follow = || {
                with_machine(environment, |machine| {
                    for call in calls {
                        let nonce = nonce(call, &*state).unwrap_or_default();
                        let fork = self.snapshot.rules().fork;
                        let transaction = call.transaction(self.inner.gas_cap, fork, nonce);
                        if machine.transact(&transaction, Available::of(machine.environment())).is_err() {
                            break;
                        }
                    }
                });
            };
            // Where that panics, so does the call itself, which then says so.
            let _ = catch_unwind(AssertUnwindSafe(follow));
            guess.met()
        };
        self.inner.install(|| lacking.par_iter().map(|(unit, _)| follow(*unit)).collect())
    }
}

/// The outcomes of independent calls.
pub(super) fn run(inner: &Inner, snapshot: &Snapshot, calls: &[Call], want: Want) -> Vec<CallResult> {
    rounds(inner, snapshot, &Calls { inner, snapshot, calls, want })
}
