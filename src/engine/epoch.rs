//! One epoch: deliveries, rounds, barrier, commitment.

use super::encode::Writer;
use super::report::{Delivered, EnvironmentReport, EpochReport};
use super::slot::{Running, Slot, usage};
use super::{Engine, EngineError};
use crate::convert::keccak;
use crate::exchange::{Books, Exchange, Snapshots, receipt, rolled_back};
use isolane_cpu::Machine;
use isolane_spec::{
    AccountDiff, Delivery, Environment, EnvironmentId, ExecutionError, H256, Messaging, Outcome, ReceiptStatus, U256,
};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

impl Engine {
    /// Runs one epoch. When this returns, the journal has it.
    ///
    /// # Errors
    /// When an asset was lost or made, or something cannot be written. The engine is of no use then; the journal is.
    pub fn step(&mut self) -> Result<EpochReport, EngineError> {
        let epoch = self.epoch();
        self.begin(epoch);
        let exchange = &self.exchange;
        self.slots.par_iter_mut().try_for_each(|slot| deliver(slot, exchange, epoch))?;
        for (index, slot) in self.slots.iter().enumerate() {
            let gas = slot.running.deliveries.iter().map(|delivered| delivered.receipt.gas_used).sum();
            self.scheduler.charge(index, gas);
        }
        let rounds = self.rounds();
        self.count_rounds();
        let report = self.commit(epoch, rounds)?;
        if let Some(sink) = &mut self.sink {
            sink.epoch(&report)?;
        }
        self.write_journal(&report)?;
        for slot in &mut self.slots {
            slot.running = Running::default();
        }
        Ok(report)
    }

    /// Sets up what every environment sees in this epoch.
    fn begin(&mut self, epoch: u64) {
        let participants: Arc<[EnvironmentId]> = self.exchange.config().environments.keys().copied().collect();
        let round = self.scheduler.round();
        let messaging = |slot: &Slot| {
            let environment = slot.id?;
            let policy = self.exchange.config().environments.get(&environment)?;
            Some(Messaging {
                environment,
                environments: Arc::clone(&participants),
                manifest: self.identity,
                epoch,
                policy: Arc::new(policy.clone()),
                reader: None,
            })
        };
        let environments: Vec<_> = self.slots.iter().map(|slot| environment_at(slot, epoch, messaging(slot))).collect();
        let snapshots = Arc::new(Snapshots::new(environments.iter().cloned()));
        for (slot, mut environment) in self.slots.iter_mut().zip(environments) {
            if let Some(messaging) = &mut environment.messaging {
                messaging.reader = Some(Arc::clone(&snapshots) as _);
            }
            slot.running = Running {
                environment: Some(environment),
                start: Some(slot.space.clone()),
                delivered: Some(slot.space.clone()),
                blocked: slot.halted.is_some(),
                ..Running::default()
            };
            slot.queue.release(epoch, round);
        }
        for (index, slot) in self.slots.iter_mut().enumerate() {
            slot.running.debt = self.scheduler.debt(index);
        }
    }

    /// Whether each environment's work was done within the rounds that the scheduler promises.
    fn count_rounds(&mut self) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let (rounds, cost) = (slot.running.busy_rounds, slot.running.cost);
            if rounds == 0 {
                continue;
            }
            let deliveries = slot.running.deliveries.iter().map(|delivered| u128::from(delivered.receipt.gas_used));
            let work = cost + deliveries.sum::<u128>() + slot.running.debt;
            let credit = self.scheduler.credit(index).max(1);
            let bound = u64::try_from(work.div_ceil(credit)).unwrap_or(u64::MAX);
            // Work that an epoch's end cuts off does not end within it.
            let cut_off = slot.has_work();
            if rounds > bound.max(1) && !cut_off {
                slot.stats.late_epochs += 1;
            }
            if rounds > slot.stats.busy_rounds {
                (slot.stats.busy_rounds, slot.stats.busy_bound) = (rounds, bound.max(1));
            }
        }
    }

    fn commit(&mut self, epoch: u64, rounds: u64) -> Result<EpochReport, EngineError> {
        let mut books: BTreeMap<EnvironmentId, Books> = BTreeMap::new();
        let mut diffs = Vec::with_capacity(self.slots.len());
        for slot in &mut self.slots {
            let diff = std::mem::take(&mut slot.running.merger).finish();
            check_created(slot, &diff, epoch)?;
            if let Some(id) = slot.id {
                let receipts = slot.running.deliveries.iter().map(|delivered| delivered.receipt).collect();
                self.exchange.settle(id, receipts);
                self.exchange.collect(id, slot.running.messages.iter().cloned());
                self.exchange.publish(&id, &diff);
                let failed = |error| EngineError::Delivery {
                    environment: slot.config.name.clone(),
                    epoch,
                    problem: format!("its books cannot be read: {error}"),
                };
                books.insert(id, self.exchange.books(&slot.space).map_err(failed)?);
            }
            diffs.push(diff);
        }
        let exchange = self.exchange.barrier(&books)?;
        self.flows.add(&exchange);
        let reports: Vec<EnvironmentReport> =
            self.slots.par_iter_mut().zip(&diffs).map(|(slot, diff)| close(slot, diff, epoch)).collect();
        let mut writer = Writer::default();
        writer.hash(&self.digest).number(epoch);
        for report in &reports {
            writer.hash(&report.digest);
        }
        writer.hash(&self.exchange.digest());
        self.before = self.digest;
        self.digest = keccak(writer.0);
        for (slot, diff) in self.slots.iter_mut().zip(diffs) {
            slot.running.diff = diff;
        }
        Ok(EpochReport { epoch, rounds, environments: reports, exchange, digest: self.digest })
    }
}

/// The environment as an epoch's executions see it.
fn environment_at(slot: &Slot, epoch: u64, messaging: Option<Messaging>) -> Environment {
    let config = &slot.config;
    let mut block = config.block.clone();
    block.number = block.number.saturating_add(epoch);
    block.timestamp = block.timestamp.saturating_add(config.block_time.saturating_mul(epoch));
    block.slot_number = block.slot_number.saturating_add(epoch);
    Environment {
        order: config.order,
        permissions: config.permissions.clone(),
        budget: config.budget,
        messaging,
        ..Environment::new(config.name.clone(), config.rules, block, Arc::new(slot.space.clone()))
    }
}

/// Executes the messages that wait for an environment.
fn deliver(slot: &mut Slot, exchange: &Exchange, epoch: u64) -> Result<(), EngineError> {
    let deliveries = slot.id.map(|id| exchange.deliveries(&id)).unwrap_or_default();
    if deliveries.is_empty() {
        return Ok(());
    }
    let mut machine = match slot.environment(None) {
        Some(environment) if slot.halted.is_none() => Some(Machine::new(environment)),
        _ => None,
    };
    for delivery in deliveries {
        if slot.running.blocked {
            // Rolled back, now or for good: the exchange hears so of every message.
            machine = None;
        }
        let executed = machine.as_mut().map(|machine| {
            // A panic here is a defect of isolane, and stays in its environment.
            catch_unwind(AssertUnwindSafe(|| machine.deliver(&delivery)))
                .unwrap_or_else(|_| Err(ExecutionError::Panic(format!("message {:?}", delivery.id))))
        });
        match executed {
            None => push(slot, delivery, None),
            Some(Ok(outcome)) => take_in(slot, delivery, outcome),
            Some(Err(error @ (ExecutionError::State(_) | ExecutionError::Panic(_)))) => {
                let problem = format!("message {:?}: {error}", delivery.id);
                push(slot, delivery, None);
                slot.halt(problem);
            }
            Some(Err(error)) => {
                let environment = slot.config.name.clone();
                return Err(EngineError::Delivery { environment, epoch, problem: error.to_string() });
            }
        }
    }
    slot.running.delivered = Some(slot.space.clone());
    slot.running.delivered_messages = slot.running.messages.len();
    for delivered in &slot.running.deliveries {
        slot.running.epoch.deliveries += 1;
        slot.stats.delivery_gas += delivered.receipt.gas_used;
    }
    Ok(())
}

fn push(slot: &mut Slot, delivery: Delivery, outcome: Option<Outcome>) {
    let receipt = match &outcome {
        Some(outcome) => receipt(&delivery, outcome),
        None => rolled_back(&delivery),
    };
    slot.running.deliveries.push(Delivered { delivery, receipt, outcome });
}

fn take_in(slot: &mut Slot, delivery: Delivery, outcome: Outcome) {
    slot.space.apply(&outcome.diff);
    slot.running.merger.add(&outcome.diff);
    slot.running.messages.extend(outcome.messages.iter().cloned());
    let mut used = usage(&outcome);
    // A delivery has its own gas; of everything else there is only one budget.
    used.gas = 0;
    slot.running.used.add(&used);
    slot.count_violation(&outcome);
    push(slot, delivery, Some(outcome));
}

/// Native assets are moved or burned, never made.
fn check_created(slot: &Slot, diff: &[AccountDiff], epoch: u64) -> Result<(), EngineError> {
    let sum = |balance: fn(&AccountDiff) -> U256| {
        // A 256-bit sum may wrap; differences are compared, and these are exact modulo 2^256 either way.
        diff.iter().fold(U256::zero(), |sum, change| sum.overflowing_add(balance(change)).0)
    };
    let before = sum(|change| change.before.unwrap_or_default().balance);
    let after = sum(|change| change.after.unwrap_or_default().balance);
    let created = after.overflowing_sub(before).0;
    // Below half of the range it is an increase, above it a decrease.
    if created.is_zero() || created.bit(255) {
        return Ok(());
    }
    Err(EngineError::Created { environment: slot.config.name.clone(), epoch, created })
}

/// Commits to what an environment did, and counts it.
fn close(slot: &mut Slot, diff: &[AccountDiff], epoch: u64) -> EnvironmentReport {
    // Where a witness lacks what a root needs, the root is unknown from here on.
    if slot.trie.as_mut().is_some_and(|trie| trie.apply(diff).is_err()) {
        slot.trie = None;
    }
    let state_root = slot.trie.as_mut().map(crate::trie::StateTrie::root);
    let running = &mut slot.running;
    let block = slot.config.block.number.saturating_add(epoch);
    let mut report = EnvironmentReport {
        name: slot.config.name.clone(),
        block,
        rolled_back: running.rolled_back.take(),
        halted: slot.halted.is_some(),
        restricted: slot.config.is_restricted(),
        deliveries: std::mem::take(&mut running.deliveries),
        executions: std::mem::take(&mut running.executions),
        state_root,
        digest: H256::zero(),
    };
    report.digest = digest(&report, diff);
    slot.space.set_block_hash(block, report.digest);

    let (stats, running) = (&mut slot.stats, &mut slot.running);
    let delivered = |delivered: &&Delivered| delivered.receipt.status == ReceiptStatus::Delivered;
    let arrived = report.deliveries.iter().filter(delivered).count() as u64;
    stats.delivered += arrived;
    stats.undelivered += report.deliveries.len() as u64 - arrived;
    running.epoch.sent = running.messages.len() as u64;
    stats.sent += running.epoch.sent;
    if report.rolled_back.is_some() {
        running.epoch.rolled_back = true;
        stats.rolled_back_epochs += 1;
        stats.rolled_back += report.executions.len() as u64;
    }
    stats.peak.max(&running.epoch.usage);
    stats.epochs.push(running.epoch);
    report
}

fn digest(report: &EnvironmentReport, diff: &[AccountDiff]) -> H256 {
    let mut writer = Writer::default();
    writer.bytes(report.name.as_bytes()).number(report.block).flag(report.halted);
    writer.option(report.rolled_back.as_ref(), |writer, cause| {
        writer.bytes(cause.to_string().as_bytes());
    });
    writer.option(report.state_root, |writer, root| {
        writer.hash(&root);
    });
    writer.diff(diff);
    writer.list(&report.deliveries, |writer, delivered| {
        writer.hash(&delivered.receipt.id).number(delivered.receipt.gas_used);
        writer.bytes(format!("{:?}", delivered.receipt.status).as_bytes());
        writer.option(delivered.outcome.as_ref(), |writer, outcome| {
            writer.outcome(outcome);
        });
    });
    writer.list(&report.executions, |writer, execution| {
        writer.number(execution.index);
        match &execution.result {
            Ok(outcome) => writer.flag(true).outcome(outcome),
            Err(error) => writer.flag(false).bytes(error.to_string().as_bytes()),
        };
    });
    keccak(writer.0)
}
