//! The rounds of an epoch: own transactions take lanes, as the scheduler says, and a backend executes them.

use super::Engine;
use super::slot::{Admission, Lane, Slot};
use isolane_spec::{Batch, ExecutionError, H160, Order, Outcome, StateView as _};
use std::collections::{BTreeMap, VecDeque};

/// Lanes with the index of their environment.
type Dispatch = Vec<(usize, Box<Lane>)>;

/// A lane, and what its transaction came to.
type Completed = (Box<Lane>, Result<Outcome, ExecutionError>);

impl Engine {
    /// All rounds of an epoch; returns their number.
    pub(super) fn rounds(&mut self) -> u64 {
        let first = self.scheduler.round();
        let mut used: u128 = 0;
        loop {
            let working: Vec<_> = self.slots.iter().map(Slot::has_work).collect();
            if !working.contains(&true) {
                break;
            }
            self.scheduler.begin_round(|index| working.get(index).copied().unwrap_or(false));
            let before: Vec<_> = self.slots.iter().map(|slot| slot.running.cost).collect();
            loop {
                let dispatch = self.fill();
                if dispatch.is_empty() {
                    break;
                }
                self.execute(dispatch);
            }
            let served: Vec<_> =
                self.slots.iter().zip(&before).map(|(slot, before)| slot.running.cost - before).collect();
            for (slot, _) in self.slots.iter_mut().zip(&working).filter(|(_, working)| **working) {
                slot.running.busy_rounds += 1;
            }
            self.count_shares(&working, &served);
            used += served.iter().sum::<u128>();
            if self.epoch_gas.is_some_and(|capacity| used >= capacity.get().into()) {
                break;
            }
        }
        self.scheduler.round() - first
    }

    /// Who got how much of the rounds in which several environments were kept waiting.
    fn count_shares(&mut self, working: &[bool], served: &[u128]) {
        let contested: Vec<bool> =
            self.slots.iter().zip(working).map(|(slot, working)| *working && slot.has_work()).collect();
        let indices: Vec<usize> = contested.iter().enumerate().filter_map(|(i, yes)| yes.then_some(i)).collect();
        if indices.len() < 2 {
            return;
        }
        let total: u128 = indices.iter().filter_map(|index| served.get(*index)).sum();
        let weight = |slot: &Slot| u128::from(slot.config.share.weight.get());
        let weights: u128 = indices.iter().filter_map(|index| self.slots.get(*index)).map(weight).sum();
        for index in indices {
            if let (Some(slot), Some(served)) = (self.slots.get_mut(index), served.get(index)) {
                slot.stats.contested += u64::try_from(*served).unwrap_or(u64::MAX);
                slot.stats.due += total * weight(slot) * 1_000_000 / weights.max(1);
            }
        }
    }

    /// Takes as many transactions as there are lanes for, one from each environment in turn.
    fn fill(&mut self) -> Dispatch {
        let mut dispatch = Dispatch::new();
        let mut closed = vec![false; self.slots.len()];
        let round = self.scheduler.round();
        loop {
            let mut progress = false;
            for index in self.scheduler.turns() {
                let (Some(closed), Some(slot)) = (closed.get_mut(index), self.slots.get_mut(index)) else { continue };
                if *closed || !self.scheduler.may_start(index) {
                    continue;
                }
                match slot.admit(round) {
                    Admission::Start(lane) => {
                        self.scheduler.start(index, lane.most);
                        // The last one that fits alone: nothing goes beside it.
                        *closed = lane.allowance.is_some();
                        dispatch.push((index, lane));
                        progress = true;
                    }
                    Admission::Ended(cost) => {
                        self.scheduler.charge(index, cost);
                        slot.running.cost += u128::from(cost);
                        progress = true;
                    }
                    Admission::Wait | Admission::Nothing => *closed = true,
                }
            }
            if !progress {
                return dispatch;
            }
        }
    }

    fn execute(&mut self, mut dispatch: Dispatch) {
        let mut batch = Batch::default();
        // Where each environment of the run is in the batch.
        let mut places: BTreeMap<usize, u32> = BTreeMap::new();
        let mut nonces: BTreeMap<(usize, H160), u64> = BTreeMap::new();
        for (index, lane) in &mut dispatch {
            let Some(slot) = self.slots.get(*index) else { continue };
            let mut transaction = lane.queued.submission.transaction.clone();
            if lane.queued.submission.auto_nonce {
                let now = || match slot.space.account(&transaction.sender) {
                    Ok(account) => account.map_or(0, |account| account.nonce),
                    // The lane will meet the same error and report it.
                    Err(_) => 0,
                };
                let next = nonces.entry((*index, transaction.sender)).or_insert_with(now);
                transaction.nonce = *next;
                lane.nonce = Some(*next);
                // A sender who may not send keeps its nonce.
                if slot.config.order == Order::Sequential && slot.config.permissions.senders.allows(&transaction.sender)
                {
                    *next = next.saturating_add(1);
                }
            }
            let place = match places.get(index) {
                Some(place) => *place,
                None => {
                    let place = batch.environments.len() as u32;
                    batch.environments.extend(slot.environment(lane.allowance.as_ref()));
                    places.insert(*index, place);
                    place
                }
            };
            batch.transactions.push((place, transaction));
        }
        let mut results = self.backend.execute(&batch).into_iter();
        let mut by_slot: BTreeMap<usize, VecDeque<Completed>> = BTreeMap::new();
        for (index, lane) in dispatch {
            let missing = || Err(ExecutionError::Panic("the backend lost a lane".to_owned()));
            let result = results.next().unwrap_or_else(missing);
            by_slot.entry(index).or_default().push_back((lane, result));
        }
        for (index, lanes) in by_slot {
            self.complete(index, lanes);
        }
    }

    /// Takes in what an environment's lanes came to, in the order of its queue. What ran after a transaction that turned
    /// out to end the epoch, or with a nonce that turned out wrong, goes back to the queue.
    fn complete(&mut self, index: usize, mut lanes: VecDeque<Completed>) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let round = self.scheduler.round();
        while let Some((lane, result)) = lanes.pop_front() {
            if slot.running.blocked || !slot.nonce_holds(&lane) {
                lanes.push_front((lane, result));
                break;
            }
            slot.give_back(&lane);
            let Lane { most, .. } = *lane;
            let cost = match result {
                Ok(outcome) if slot.was_cut_short(&lane, &outcome) => {
                    slot.put_off(lane.queued);
                    outcome.gas_used
                }
                result => slot.conclude(&lane.queued, result, round),
            };
            let cost = cost.clamp(1, most);
            slot.running.cost += u128::from(cost);
            self.scheduler.finish(index, most, cost);
        }
        for (lane, _) in lanes.into_iter().rev() {
            slot.give_back(&lane);
            self.scheduler.abandon(index, lane.most);
            slot.queue.put_back(lane.queued);
        }
    }
}
