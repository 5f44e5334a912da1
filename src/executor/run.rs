//! Calls and bundles, from what a caller gives to outcomes, on a state that is there or says what it lacks.

use super::call::{Call, CallOutcome, CallResult, Escape, RanOn, Terms, Want, Watched};
use super::error::{ExecutorError, panic_text};
use super::inner::Inner;
use super::rounds::rounds;
use super::snapshot::Snapshot;
use crate::trace::{AccessList, CallFrames};
use isolane_cpu::{Available, Lockstep, Machine, lockstep, with_machine};
use isolane_spec::{
    Batch, Environment, ExecutionError, H160, Order, Outcome, StateError, StateView, Transaction, Validation,
};
use rayon::prelude::*;
use std::borrow::Cow;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// What became of one unit: a call, or a bundle of them.
pub(super) enum Attempt<T> {
    Done(T),
    Lacks(StateError),
    Failed(ExecutorError),
    /// Nothing yet.
    Lost,
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

    #[inline(always)]
    fn call(&self, lane: usize) -> Option<Cow<'_, Call>> {
        self.items.get(lane).map(|item| Cow::Owned((self.call)(item)))
    }

    #[inline(always)]
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

/// What becomes of a unit that nothing became of.
pub(super) fn lost() -> ExecutorError {
    ExecutionError::Panic("a call was lost".to_owned()).into()
}

/// Places for so many attempts. The threads that are to fill them touch their memory first: what the system has to do for that is worth sharing.
fn places<T: Send>(count: usize) -> Vec<Attempt<T>> {
    (0..count).into_par_iter().with_min_len(FEW).map(|_| Attempt::Lost).collect()
}

/// Sorts calls: those that run the same code, and probably the same way through it, next to each other.
fn kind(call: &Call) -> (Option<H160>, u32, usize) {
    (call.to, call.selector(), call.input.len())
}

/// Fewer places are one thread's work.
pub(super) const FEW: usize = 1 << 10;
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
            Attempt::Lost => Attempt::Lost,
        }
    }

    #[inline(always)]
    fn done(&self, unit: usize, outcome: Option<CallOutcome>) -> Attempt<L::Done> {
        outcome.and_then(|outcome| self.lanes.done(unit, outcome)).map_or(Attempt::Lost, Attempt::Done)
    }
}

impl<L: Lanes> Try<'_, L> {
    /// Adds the transaction of a call with its place among the environments. Inlined, like what it calls: a transaction is large, and
    /// is to be built where it stays.
    #[inline(always)]
    fn transaction(&self, unit: usize, transactions: &mut Vec<(u32, Transaction)>) -> Result<(), Attempt<L::Done>> {
        let Calls { inner, snapshot, lanes, .. } = self.calls;
        let call = lanes.call(unit).ok_or(Attempt::Lost)?;
        let nonce = nonce(&call, &**self.state).map_err(Attempt::Lacks)?;
        let terms = call.terms();
        let fork = snapshot.rules().fork;
        transactions.push((terms.index(), call.into_owned().into_transaction(inner.gas_cap, fork, nonce)));
        Ok(())
    }

    #[inline(always)]
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
            Attempt::Lost => Attempt::Lost,
        }
    }

    /// All calls as one batch.
    fn in_a_batch(self, units: &[usize]) -> Vec<Attempt<L::Done>> {
        let mut attempts = places(units.len());
        let mut places = Vec::with_capacity(units.len());
        let mut transactions = Vec::with_capacity(units.len());
        for (place, &unit) in units.iter().enumerate() {
            match self.transaction(unit, &mut transactions) {
                Ok(()) => places.push(place),
                Err(attempt) => attempts[place] = attempt,
            }
        }
        let batch = Batch { environments: self.environments.clone(), transactions };
        let done: Vec<Mutex<Attempt<L::Done>>> = places.iter().map(|_| Mutex::new(Attempt::Lost)).collect();
        self.calls.inner.engine.execute(&batch, &|index, result, ran_on, escape| {
            if let (Some(place), Some(done)) = (places.get(index), done.get(index)) {
                let attempt = self.attempt(units[*place], result, ran_on, escape);
                *done.lock().unwrap_or_else(PoisonError::into_inner) = attempt;
            }
        });
        for (place, attempt) in places.into_iter().zip(done) {
            attempts[place] = attempt.into_inner().unwrap_or_else(PoisonError::into_inner);
        }
        attempts
    }

    /// Calls in groups of those that are alike. Each group is a task: from its calls to what is made of its outcomes nothing leaves
    /// the caches of one core.
    fn in_groups(self, lockstep: &Lockstep, units: &[usize]) -> Vec<Attempt<L::Done>> {
        let run = lockstep.begin(units.len());
        let mut attempts = places(units.len());
        let kind_of = |unit: usize| self.calls.lanes.call(unit).map(|call| kind(&call));
        let first = units.first().and_then(|&unit| kind_of(unit));
        // Calls of many kinds that this misses are still executed, only not in the best company.
        if units.iter().step_by(SAMPLE).all(|&unit| kind_of(unit) == first) {
            let chunks = units.par_chunks(Lockstep::GROUP).zip(attempts.par_chunks_mut(Lockstep::GROUP));
            chunks.for_each(|(units, attempts)| {
                self.group(lockstep, run, units, |lane, attempt| attempts[lane] = attempt);
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
                attempts[place as usize] = attempt;
            }
        }
        attempts
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
            match self.transaction(unit, &mut transactions) {
                Ok(()) => places[transactions.len() - 1] = place,
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
pub(super) fn nonce(call: &Call, state: &dyn StateView) -> Result<u64, StateError> {
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

/// The outcomes of independent calls.
pub(super) fn run(inner: &Inner, snapshot: &Snapshot, calls: &[Call], want: Want) -> Vec<CallResult> {
    rounds(inner, snapshot, &Calls { inner, snapshot, lanes: calls, want })
}
