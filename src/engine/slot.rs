//! One environment while an engine runs.

use super::config::{EnvironmentConfig, OnViolation};
use super::queue::{Queue, Queued};
use super::report::{Cause, Delivered, Execution, Violation};
use super::space::StateSpace;
use super::stats::{EpochStats, Stats, Usage};
use crate::block::DiffMerger;
use crate::exchange::rolled_back;
use crate::trie::StateTrie;
use isolane_spec::{
    AccountDiff, Budget, BudgetKind, Environment, EnvironmentId, ExecutionError, Halt, InvalidTransaction, Message,
    Order, Outcome, StateView as _, Status,
};
use std::sync::Arc;

/// An environment, its state and its queue.
pub(super) struct Slot {
    pub config: EnvironmentConfig,
    /// What the exchange calls it, if it takes part.
    pub id: Option<EnvironmentId>,
    pub space: StateSpace,
    pub trie: Option<StateTrie>,
    pub queue: Queue,
    pub stats: Stats,
    /// Why it does nothing any more.
    pub halted: Option<String>,
    pub running: Running,
}

/// What belongs to the running epoch.
#[derive(Default)]
pub(super) struct Running {
    /// The environment as this epoch's transactions see it, but for the state.
    pub environment: Option<Environment>,
    /// The state at the start of the epoch.
    pub start: Option<StateSpace>,
    /// The state after the deliveries.
    pub delivered: Option<StateSpace>,
    /// How many of the messages the deliveries sent.
    pub delivered_messages: usize,
    /// It starts nothing more in this epoch.
    pub blocked: bool,
    pub used: Usage,
    /// Whether an own transaction has ended in this epoch.
    pub own: bool,
    pub reserved: Usage,
    pub in_flight: u32,
    pub merger: DiffMerger,
    pub messages: Vec<Message>,
    pub deliveries: Vec<Delivered>,
    pub executions: Vec<Execution>,
    pub rolled_back: Option<Cause>,
    pub busy_rounds: u64,
    /// Scheduling cost of what it did.
    pub cost: u128,
    /// What it owed the scheduler when the epoch began.
    pub debt: u128,
    /// All that changed, once the epoch is over.
    pub diff: Vec<AccountDiff>,
    pub epoch: EpochStats,
}

/// A transaction that takes a lane.
pub(super) struct Lane {
    pub queued: Queued,
    /// What it costs at most.
    pub most: u64,
    pub reserve: Usage,
    /// The nonce that the engine gave it.
    pub nonce: Option<u64>,
    /// What is left of the epoch, where that is less than it may use by itself; it is then the only one.
    pub allowance: Option<Usage>,
}

/// What an environment says when it is asked for a transaction.
pub(super) enum Admission {
    Start(Box<Lane>),
    /// One ended without running; its cost.
    Ended(u64),
    /// Only once the running ones have ended.
    Wait,
    /// Not in this epoch.
    Nothing,
}

/// The most that a transaction can use of each resource with this much gas.
///
/// An instruction that costs nothing ends its frame, and a frame costs more than one gas: there are at most twice as many
/// instructions as there is gas. No fork changes a slot for less than 100 gas, or logs a byte for less than 8.
fn most_usage(gas: u64, budget: &Budget) -> Usage {
    Usage {
        gas,
        steps: budget.steps.min(gas.saturating_mul(2).saturating_add(1)),
        slots: budget.slots.min(gas / 100 + 1),
        log_bytes: budget.log_bytes.min(gas / 8),
    }
}

/// What an outcome used.
pub(super) fn usage(outcome: &Outcome) -> Usage {
    Usage {
        gas: outcome.gas_used,
        steps: outcome.steps,
        slots: outcome.diff.iter().map(|change| change.storage.len() as u64).sum(),
        log_bytes: outcome.logs.iter().map(|log| log.data.len() as u64).sum(),
    }
}

/// The permission or budget that an outcome broke. A denial counts even where the caller of the denied frame went on.
pub(super) fn violation(outcome: &Outcome) -> Option<Violation> {
    match outcome.status {
        Status::Halt(Halt::BudgetExceeded { kind, at }) => Some(Violation::Budget { kind, at }),
        Status::Halt(Halt::Denied { rule, pc }) => Some(Violation::Permission { rule, pc }),
        _ => outcome.denial.map(|denial| Violation::Permission { rule: denial.rule, pc: denial.pc }),
    }
}

impl Slot {
    /// Whether it has a transaction that may start in this epoch.
    pub fn has_work(&self) -> bool {
        !self.running.blocked && self.halted.is_none() && self.queue.has_ready()
    }

    /// The most gas that a transaction may ask for.
    fn gas_cap(&self) -> u64 {
        let config = &self.config;
        config.epoch_budget.gas.min(config.budget.gas).min(config.block.gas_limit)
    }

    fn left(&self) -> Usage {
        let (budget, Running { used, reserved, .. }) = (&self.config.epoch_budget, &self.running);
        let left = |budget: u64, used: u64, reserved: u64| budget.saturating_sub(used).saturating_sub(reserved);
        Usage {
            // One epoch is one block.
            gas: left(budget.gas.min(self.config.block.gas_limit), used.gas, reserved.gas),
            steps: left(budget.steps, used.steps, reserved.steps),
            slots: left(budget.slots, used.slots, reserved.slots),
            log_bytes: left(budget.log_bytes, used.log_bytes, reserved.log_bytes),
        }
    }

    /// Takes the next transaction, if it may start now. Whether it may depends on what those before it used and on
    /// nothing else: the number of lanes cannot change what an epoch holds.
    pub fn admit(&mut self, round: u64) -> Admission {
        if !self.has_work() {
            return Admission::Nothing;
        }
        let Some(front) = self.queue.front() else { return Admission::Nothing };
        let gas = front.submission.transaction.gas_limit;
        let alone = self.running.in_flight == 0;
        if gas > self.gas_cap() {
            return if alone { self.refuse(round) } else { Admission::Wait };
        }
        let (reserve, left) = (most_usage(gas, &self.config.budget), self.left());
        let fits = reserve.gas <= left.gas
            && reserve.steps <= left.steps
            && reserve.slots <= left.slots
            && reserve.log_bytes <= left.log_bytes;
        let mut allowance = None;
        if !fits {
            if !alone {
                return Admission::Wait;
            }
            let independent_gas = reserve.gas <= left.gas;
            if !independent_gas || (left.steps == 0 && self.running.own) {
                self.defer();
                return Admission::Nothing;
            }
            allowance = Some(left);
        }
        let Some(queued) = self.queue.take() else { return Admission::Nothing };
        self.running.in_flight += 1;
        self.running.reserved.add(&reserve);
        Admission::Start(Box::new(Lane { queued, most: gas.max(1), reserve, nonce: None, allowance }))
    }

    /// Nothing more in this epoch: the next transaction does not fit.
    fn defer(&mut self) {
        self.running.blocked = true;
        self.stats.deferred += 1;
    }

    /// Ends a transaction that asks for more gas than any epoch has.
    fn refuse(&mut self, round: u64) -> Admission {
        let Some(queued) = self.queue.take() else { return Admission::Nothing };
        let got = queued.submission.transaction.gas_limit;
        let reason = InvalidTransaction::BlockGasLimitExceeded { available: self.gas_cap(), got };
        let cost = self.conclude(&queued, Ok(Outcome::rejected(reason)), round);
        Admission::Ended(cost)
    }

    /// A lane gives back what it reserved.
    pub fn give_back(&mut self, lane: &Lane) {
        let reserved = &mut self.running.reserved;
        reserved.gas -= lane.reserve.gas;
        reserved.steps -= lane.reserve.steps;
        reserved.slots -= lane.reserve.slots;
        reserved.log_bytes -= lane.reserve.log_bytes;
        self.running.in_flight -= 1;
    }

    /// Whether a transaction was cut only because others had used up the epoch: then it runs in the next one.
    pub fn was_cut_short(&self, lane: &Lane, outcome: &Outcome) -> bool {
        let (Some(left), true) = (&lane.allowance, self.running.own) else { return false };
        let budget = &self.config.budget;
        match outcome.status {
            Status::Halt(Halt::BudgetExceeded { kind, .. }) => match kind {
                BudgetKind::Steps => left.steps < budget.steps,
                BudgetKind::Slots => left.slots < budget.slots,
                BudgetKind::LogBytes => left.log_bytes < budget.log_bytes,
                _ => false,
            },
            _ => false,
        }
    }

    /// Puts a transaction back that did not fit.
    pub fn put_off(&mut self, queued: Queued) {
        self.queue.put_back(queued);
        self.defer();
    }

    /// Whether the nonce that the engine gave a transaction is what its sender has after those before it.
    pub fn nonce_holds(&self, lane: &Lane) -> bool {
        let Some(nonce) = lane.nonce else { return true };
        if self.config.order == Order::Independent {
            return true;
        }
        match self.space.account(&lane.queued.submission.transaction.sender) {
            Ok(account) => account.map_or(0, |account| account.nonce) == nonce,
            // The lane could not read it either, and says so.
            Err(_) => true,
        }
    }

    /// Takes in what a transaction came to; returns what it costs. Everything that follows from a violation or an
    /// error is done here.
    pub fn conclude(&mut self, queued: &Queued, result: Result<Outcome, ExecutionError>, round: u64) -> u64 {
        let gas_limit = queued.submission.transaction.gas_limit.max(1);
        let waited = round.saturating_sub(queued.ready);
        self.stats.waiting.add(waited);
        let execution = Execution {
            index: queued.index,
            sender: queued.submission.transaction.sender,
            to: queued.submission.transaction.to,
            waited,
            result,
        };
        // A transaction that does nothing has cost the host something all the same.
        let idle = 21_000.min(gas_limit);
        let cost = execution.result.as_ref().map_or(idle, |outcome| outcome.gas_used.max(idle));
        self.running.own = true;
        self.running.epoch.transactions += 1;
        let mut broken = None;
        match &execution.result {
            Ok(outcome) => {
                self.count(outcome);
                let used = usage(outcome);
                self.running.used.add(&used);
                self.running.epoch.usage.add(&used);
                if self.config.order == Order::Sequential {
                    self.space.apply(&outcome.diff);
                    self.running.merger.add(&outcome.diff);
                    self.running.messages.extend(outcome.messages.iter().cloned());
                }
                broken = violation(outcome);
            }
            Err(error) => {
                self.stats.failed += 1;
                if self.config.order == Order::Sequential {
                    self.halt(format!("transaction {}: {error}", queued.index));
                }
            }
        }
        self.running.executions.push(execution);
        if let Some(violation) = broken
            && self.config.on_violation == OnViolation::FailEnvironment
        {
            self.roll_back(Cause::Violation { index: queued.index, violation });
        }
        cost
    }

    fn count(&mut self, outcome: &Outcome) {
        let stats = &mut self.stats;
        match &outcome.status {
            Status::Success => stats.succeeded += 1,
            Status::Revert => stats.reverted += 1,
            Status::Halt(_) => stats.halted += 1,
            Status::Rejected(_) => stats.rejected += 1,
        }
        stats.usage.add(&usage(outcome));
        self.count_violation(outcome);
    }

    pub fn count_violation(&mut self, outcome: &Outcome) {
        match violation(outcome) {
            Some(Violation::Permission { rule, .. }) => {
                *self.stats.denied.entry(format!("{rule:?}")).or_default() += 1;
            }
            Some(Violation::Budget { kind, .. }) => {
                *self.stats.exceeded.entry(format!("{kind:?}")).or_default() += 1;
            }
            None => {}
        }
    }

    /// Back to where the environment's own transactions began in this epoch.
    fn roll_back(&mut self, cause: Cause) {
        let running = &mut self.running;
        if let Some(delivered) = &running.delivered {
            self.space = delivered.clone();
        }
        running.merger = DiffMerger::default();
        for outcome in running.deliveries.iter().filter_map(|delivered| delivered.outcome.as_ref()) {
            running.merger.add(&outcome.diff);
        }
        running.messages.truncate(running.delivered_messages);
        running.blocked = true;
        running.rolled_back = Some(cause);
    }

    /// Nothing more, in this epoch and later: what follows has no state to start from. The state goes back to where the
    /// epoch began, and what was sent here is sent back.
    pub fn halt(&mut self, error: String) {
        let running = &mut self.running;
        if let Some(start) = &running.start {
            self.space = start.clone();
        }
        running.merger = DiffMerger::default();
        running.messages.clear();
        for delivered in &mut running.deliveries {
            delivered.receipt = rolled_back(&delivered.delivery);
        }
        running.blocked = true;
        running.rolled_back = Some(Cause::Error(error.clone()));
        self.halted = Some(error);
    }

    /// The environment for lanes, at the state as it is now.
    pub fn environment(&self, allowance: Option<&Usage>) -> Option<Environment> {
        let mut environment = self.running.environment.clone()?;
        environment.state = Arc::new(self.space.clone());
        if let Some(left) = allowance {
            let budget = &mut environment.budget;
            budget.steps = budget.steps.min(left.steps);
            budget.slots = budget.slots.min(left.slots);
            budget.log_bytes = budget.log_bytes.min(left.log_bytes);
        }
        Some(environment)
    }
}
