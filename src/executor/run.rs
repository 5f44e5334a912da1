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
    Batch, Budget, Environment, ExecutionError, H160, Order, Outcome, StateError, StateView, Transaction, Validation,
};
use rayon::prelude::*;
use std::borrow::Cow;
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
    fn calls(&self, unit: usize) -> Cow<'_, [Call]>;
    /// Executes units from the state; results in the order of `units`.
    fn attempt(&self, state: &Arc<dyn StateView>, units: &[usize]) -> Vec<Attempt<Self::Done>>;
}

/// Where independent calls come from, and what is made of their outcomes.
pub(super) trait Lanes: Sync {
    type Done: Send;
    fn len(&self) -> usize;
    fn call(&self, lane: usize) -> Option<Cow<'_, Call>>;
    fn done(&self, lane: usize, outcome: CallOutcome) -> Option<Self::Done>;
}

impl Lanes for &[Call] {
    type Done = CallOutcome;

    fn len(&self) -> usize {
        <[Call]>::len(self)
    }

    fn call(&self, lane: usize) -> Option<Cow<'_, Call>> {
        self.get(lane).map(Cow::Borrowed)
    }

    fn done(&self, _: usize, outcome: CallOutcome) -> Option<CallOutcome> {
        Some(outcome)
    }
}

/// Calls that are made of items when they are needed, and outcomes that are made into something else at once.
pub(super) struct Mapped<'a, T, C, F> {
    pub items: &'a [T],
    pub call: C,
    pub reduce: F,
}

impl<T, R, C, F> Lanes for Mapped<'_, T, C, F>
where
    T: Sync,
    R: Send,
    C: Fn(&T) -> Call + Sync,
    F: Fn(&T, CallOutcome) -> R + Sync,
{
    type Done = R;

    fn len(&self) -> usize {
        self.items.len()
    }

    fn call(&self, lane: usize) -> Option<Cow<'_, Call>> {
        self.items.get(lane).map(|item| Cow::Owned((self.call)(item)))
    }

    fn done(&self, lane: usize, outcome: CallOutcome) -> Option<R> {
        self.items.get(lane).map(|item| (self.reduce)(item, outcome))
    }
}

/// Independent calls.
pub(super) struct Calls<'a, L> {
    pub inner: &'a Inner,
    pub snapshot: &'a Snapshot,
    pub lanes: L,
    pub want: Want,
}

/// Bundles: calls in order, each after those before it.
pub(super) struct Bundles<'a> {
    pub inner: &'a Inner,
    pub snapshot: &'a Snapshot,
    pub bundles: &'a [&'a [Call]],
    pub want: Want,
}

fn lost<T>() -> Attempt<T> {
    Attempt::Failed(ExecutionError::Panic("a call was lost".to_owned()).into())
}

/// Sorts calls: those that run the same code, and probably the same way through it, next to each other.
fn kind(call: &Call) -> (Option<H160>, u32, usize) {
    (call.to, call.selector(), call.input.len())
}

/// Every so manieth call is looked at to see whether calls are of many kinds.
const SAMPLE: usize = 61;

/// One attempt at some calls.
struct Try<'a, L> {
    calls: &'a Calls<'a, L>,
    state: &'a Arc<dyn StateView>,
    /// One for each of [`Terms::ALL`].
    environments: Vec<Environment>,
}

thread_local! {
    /// The transactions of a group, for their buffer.
    static TRANSACTIONS: RefCell<Vec<(u32, Transaction)>> = const { RefCell::new(Vec::new()) };
}

impl<L: Lanes> Work for Calls<'_, L> {
    type Done = L::Done;

    fn len(&self) -> usize {
        self.lanes.len()
    }

    fn calls(&self, unit: usize) -> Cow<'_, [Call]> {
        match self.lanes.call(unit) {
            Some(Cow::Borrowed(call)) => Cow::Borrowed(std::slice::from_ref(call)),
            Some(Cow::Owned(call)) => Cow::Owned(vec![call]),
            None => Cow::Borrowed(&[]),
        }
    }

    fn attempt(&self, state: &Arc<dyn StateView>, units: &[usize]) -> Vec<Attempt<L::Done>> {
        if self.want.intersects(Want::WATCHED) {
            return self.inner.install(|| units.par_iter().map(|&unit| self.watched(state, unit)).collect());
        }
        let diffs = self.want.contains(Want::DIFF);
        let environment = |terms: &Terms| self.snapshot.environment(Arc::clone(state), *terms, diffs);
        let this = Try { calls: self, state, environments: Terms::ALL.iter().map(environment).collect() };
        self.inner.install(|| match self.inner.engine.groups(units.len()) {
            Some(lockstep) => this.in_groups(lockstep, units),
            None => this.in_a_batch(units),
        })
    }
}

impl<L: Lanes> Calls<'_, L> {
    fn watched(&self, state: &Arc<dyn StateView>, unit: usize) -> Attempt<L::Done> {
        let diffs = self.want.contains(Want::DIFF);
        let order = Order::Independent;
        let in_order = InOrder { inner: self.inner, snapshot: self.snapshot, want: self.want, order, diffs };
        match in_order.run(state, &self.calls(unit)) {
            Attempt::Done(mut outcomes) => self.done(unit, outcomes.pop()),
            Attempt::Lacks(error) => Attempt::Lacks(error),
            Attempt::Failed(error) => Attempt::Failed(error),
        }
    }

    fn done(&self, unit: usize, outcome: Option<CallOutcome>) -> Attempt<L::Done> {
        outcome.and_then(|outcome| self.lanes.done(unit, outcome)).map_or_else(lost, Attempt::Done)
    }
}

impl<L: Lanes> Try<'_, L> {
    /// The transaction of a call, and its place among the environments.
    fn transaction(&self, unit: usize) -> Result<(u32, Transaction), Attempt<L::Done>> {
        let Calls { inner, snapshot, lanes, .. } = self.calls;
        let call = lanes.call(unit).ok_or_else(lost)?;
        let nonce = nonce(&call, &**self.state).map_err(Attempt::Lacks)?;
        let terms = call.terms();
        let fork = snapshot.rules().fork;
        Ok((terms.index(), call.into_owned().into_transaction(inner.gas_cap, fork, nonce)))
    }

    fn attempt(
        &self,
        unit: usize,
        result: Result<Outcome, ExecutionError>,
        ran_on: RanOn,
        escape: Option<Escape>,
    ) -> Attempt<L::Done> {
        match Attempt::of(result) {
            Attempt::Done(outcome) => {
                self.calls.done(unit, Some(CallOutcome::new(outcome, self.calls.want, ran_on, escape)))
            }
            Attempt::Lacks(error) => Attempt::Lacks(error),
            Attempt::Failed(error) => Attempt::Failed(error),
        }
    }

    /// All calls as one batch.
    fn in_a_batch(self, units: &[usize]) -> Vec<Attempt<L::Done>> {
        let mut attempts: Vec<Option<Attempt<L::Done>>> = Vec::new();
        attempts.resize_with(units.len(), || None);
        let mut places = Vec::with_capacity(units.len());
        let mut transactions = Vec::with_capacity(units.len());
        for (place, &unit) in units.iter().enumerate() {
            match self.transaction(unit) {
                Ok(transaction) => {
                    places.push(place);
                    transactions.push(transaction);
                }
                Err(attempt) => attempts[place] = Some(attempt),
            }
        }
        let batch = Batch { environments: self.environments.clone(), transactions };
        let done: Vec<Mutex<Option<Attempt<L::Done>>>> = places.iter().map(|_| Mutex::new(None)).collect();
        self.calls.inner.engine.execute(&batch, &|index, result, ran_on, escape| {
            if let (Some(place), Some(done)) = (places.get(index), done.get(index)) {
                let attempt = self.attempt(units[*place], result, ran_on, escape);
                *done.lock().unwrap_or_else(PoisonError::into_inner) = Some(attempt);
            }
        });
        for (place, attempt) in places.into_iter().zip(done) {
            attempts[place] = attempt.into_inner().unwrap_or_else(PoisonError::into_inner);
        }
        attempts.into_iter().map(|attempt| attempt.unwrap_or_else(lost)).collect()
    }

    /// Calls in groups of those that are alike. Each group is a task: from its calls to what is made of its outcomes nothing leaves
    /// the caches of one core.
    fn in_groups(self, lockstep: &Lockstep, units: &[usize]) -> Vec<Attempt<L::Done>> {
        let run = lockstep.begin(units.len());
        let mut attempts: Vec<Option<Attempt<L::Done>>> = Vec::new();
        attempts.resize_with(units.len(), || None);
        let kind_of = |unit: usize| self.calls.lanes.call(unit).map(|call| kind(&call));
        let first = units.first().and_then(|&unit| kind_of(unit));
        // Calls of many kinds that this misses are still executed, only not in the best company.
        if units.iter().step_by(SAMPLE).all(|&unit| kind_of(unit) == first) {
            let chunks = units.par_chunks(Lockstep::GROUP).zip(attempts.par_chunks_mut(Lockstep::GROUP));
            chunks.for_each(|(units, attempts)| {
                self.group(lockstep, run, units, |lane, attempt| attempts[lane] = Some(attempt));
            });
        } else {
            let mut order: Vec<u32> = (0..units.len() as u32).collect();
            order.par_sort_by_cached_key(|place| kind_of(units[*place as usize]));
            let done: Vec<Vec<(u32, Attempt<L::Done>)>> = order
                .par_chunks(Lockstep::GROUP)
                .map(|places| {
                    let mut done = Vec::with_capacity(places.len());
                    let units: Vec<usize> = places.iter().map(|place| units[*place as usize]).collect();
                    self.group(lockstep, run, &units, |lane, attempt| done.push((places[lane], attempt)));
                    done
                })
                .collect();
            for (place, attempt) in done.into_iter().flatten() {
                attempts[place as usize] = Some(attempt);
            }
        }
        attempts.into_iter().map(|attempt| attempt.unwrap_or_else(lost)).collect()
    }

    /// At most one group's calls. `sink` gets what became of them, by their place among `units`.
    fn group(
        &self,
        lockstep: &Lockstep,
        run: lockstep::Run,
        units: &[usize],
        mut sink: impl FnMut(usize, Attempt<L::Done>),
    ) {
        let mut transactions = TRANSACTIONS.take();
        transactions.clear();
        // The places of those that there is a transaction of: with full validation, state can be missing before.
        let mut places = [0; Lockstep::GROUP];
        for (place, &unit) in units.iter().enumerate() {
            match self.transaction(unit) {
                Ok(transaction) => {
                    places[transactions.len()] = place;
                    transactions.push(transaction);
                }
                Err(attempt) => sink(place, attempt),
            }
        }
        lockstep.execute_group(run, &self.environments, &transactions, &mut |lane, result, left| {
            let (ran_on, escape) = match left {
                None => (RanOn::Lockstep, None),
                Some(leave) => (RanOn::Cpu, Some(Escape::of(leave))),
            };
            let place = places[lane];
            sink(place, self.attempt(units[place], result, ran_on, escape));
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

    fn calls(&self, unit: usize) -> Cow<'_, [Call]> {
        Cow::Borrowed(self.bundles.get(unit).copied().unwrap_or_default())
    }

    fn attempt(&self, state: &Arc<dyn StateView>, units: &[usize]) -> Vec<Attempt<Self::Done>> {
        let (order, diffs) = (Order::Sequential, true);
        let in_order = InOrder { inner: self.inner, snapshot: self.snapshot, want: self.want, order, diffs };
        self.inner.install(|| units.par_iter().map(|&unit| in_order.run(state, &self.calls(unit))).collect())
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
        self.inner.shapes.learn(learnt.into_iter().filter_map(|(unit, keys)| {
            let call = self.work.calls(unit).first().and_then(|call| Some((call.to?, call.selector())))?;
            Some((call, keys))
        }));
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
                for call in self.work.calls(*unit).iter() {
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
                    for call in calls.iter() {
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
    rounds(inner, snapshot, &Calls { inner, snapshot, lanes: calls, want })
}
