//! Rounds: all units run; those that lack state wait until what they lack has been read, all of it at once; they run again.

use super::cache::{Cache, CacheView};
use super::error::ExecutorError;
use super::guess::Guess;
use super::inner::Inner;
use super::keys::Key;
use super::run::{Attempt, FEW, Work, lost, nonce};
use super::snapshot::{Origin, Snapshot};
use hashbrown::{HashMap, HashSet};
use isolane_cpu::{Available, with_machine};
use isolane_spec::{Budget, Environment, ExecutionError, Order, StateView};
use rayon::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Calls of one wave: what they lack is read together.
const WAVE: usize = 1 << 16;
/// Rounds after which a call is given up. A call that follows a list reads one slot a round, and pays gas for each.
const ROUNDS: usize = 1 << 15;
/// Where so many calls or fewer lack state, each is followed further on guesses, to find more that it lacks.
const GUESSES: usize = 1 << 10;
/// Instructions that a call is followed on guesses.
const GUESSED_STEPS: u64 = 1 << 20;

/// Executes all units, in rounds; results in their order.
pub(super) fn rounds<W: Work>(inner: &Inner, snapshot: &Snapshot, work: &W) -> Vec<Result<W::Done, ExecutorError>> {
    match snapshot.origin() {
        Origin::Direct(_) => {
            let units: Vec<usize> = (0..work.len()).collect();
            let attempts = work.attempt(&snapshot.view(), &units);
            if attempts.len() < FEW {
                return attempts.into_iter().map(without_source).collect();
            }
            inner.install(|| attempts.into_par_iter().with_min_len(FEW).map(without_source).collect())
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
        Attempt::Lost => Err(lost()),
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
        self.results.into_iter().map(|result| result.unwrap_or_else(|| Err(lost()))).collect()
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
                    Attempt::Lost => Err(lost()),
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
