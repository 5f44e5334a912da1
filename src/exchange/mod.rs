//! The exchange: carries messages between environments, from epoch to epoch (docs/exchange.md).
//!
//! In each epoch, for each environment: [`Exchange::deliveries`], executed by `Machine::deliver` in their order, their
//! receipts to [`Exchange::settle`]; then the environment's own transactions; then all messages that its outcomes list
//! to [`Exchange::collect`], and what changed to [`Exchange::publish`]. Environments may take these steps in parallel
//! and in any order. At the end [`Exchange::barrier`] routes and checks; only there does the exchange change, so that
//! an epoch that was cut off is just run again.

mod barrier;
mod breach;
mod codec;
mod config;
mod snapshots;

pub use barrier::{AssetReport, Books, Entry, Event, Report};
pub use breach::{Breach, Problem};
pub use codec::RestoreError;
pub use config::{Config, ConfigError, Subscription};
pub use snapshots::Snapshots;

use crate::spec::gas::EXCHANGE_DELIVERY;
use crate::spec::{
    AccountDiff, Delivery, EnvironmentId, Failure, H256, Message, Outcome, Receipt, ReceiptStatus, Status, U256,
};
use std::collections::BTreeMap;

/// Where a message waits: by epoch of sending, source, kind and nonce. The order of the fields is the order of
/// delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ticket {
    epoch: u64,
    source: EnvironmentId,
    kind: u8,
    nonce: u64,
}

/// A message that waits for its destination.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting {
    message: Message,
    id: H256,
    ledger_only: bool,
}

impl Ticket {
    const fn of(message: &Message) -> Self {
        let Message { epoch, source, nonce, .. } = *message;
        Self { epoch, source, kind: message.kind.number(), nonce }
    }
}

impl Waiting {
    /// What its delivery takes of the destination's inbox gas.
    fn inbox_gas(&self) -> u64 {
        let call = if self.ledger_only { 0 } else { self.message.gas };
        EXCHANGE_DELIVERY.saturating_add(call)
    }
}

/// Messages of one kind, from one environment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Channel {
    source: EnvironmentId,
    destination: EnvironmentId,
    kind: u8,
}

/// What an epoch hands in before its barrier.
#[derive(Clone, Debug, Default)]
struct Staged {
    messages: BTreeMap<EnvironmentId, Vec<Message>>,
    receipts: BTreeMap<EnvironmentId, Vec<Receipt>>,
    /// By index of the subscription: the value before the epoch, where an execution showed it, and the value now.
    published: BTreeMap<usize, (Option<U256>, U256)>,
}

/// Carries messages between environments.
#[derive(Clone, Debug)]
pub struct Exchange {
    config: Config,
    /// The running epoch.
    epoch: u64,
    /// By channel, the nonce that comes next.
    next: BTreeMap<Channel, u64>,
    /// By destination.
    waiting: BTreeMap<EnvironmentId, BTreeMap<Ticket, Waiting>>,
    /// By index of the subscription, the value that the subscriber was told last.
    told: BTreeMap<usize, U256>,
    /// By environment, the sum of its native balances when it was first reported.
    supplies: BTreeMap<EnvironmentId, U256>,
    staged: Staged,
}

impl Exchange {
    fn id(&self, message: &Message) -> H256 {
        crate::cpu::exchange::id(message, &self.config.manifest)
    }

    /// An exchange before its first epoch, number 0.
    ///
    /// # Errors
    /// Says what of the configuration cannot be.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            config,
            epoch: 0,
            next: BTreeMap::new(),
            waiting: BTreeMap::new(),
            told: BTreeMap::new(),
            supplies: BTreeMap::new(),
            staged: Staged::default(),
        })
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The running epoch: the one that the next barrier ends.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Messages that wait for a destination, refunds included.
    #[must_use]
    pub fn waiting(&self, destination: &EnvironmentId) -> usize {
        self.waiting.get(destination).map_or(0, BTreeMap::len)
    }

    /// What a destination gets in the running epoch, in this order: as many of the waiting messages as its inbox gas
    /// allows, from the first on.
    #[must_use]
    pub fn deliveries(&self, destination: &EnvironmentId) -> Vec<Delivery> {
        let Some(waiting) = self.waiting.get(destination) else { return Vec::new() };
        let mut gas = self.config.environments.get(destination).map_or(0, |policy| policy.inbox_gas);
        let fits = |waiting: &&Waiting| match gas.checked_sub(waiting.inbox_gas()) {
            Some(rest) => {
                gas = rest;
                true
            }
            None => false,
        };
        let deliver = |waiting: &Waiting| Delivery {
            message: waiting.message.clone(),
            id: waiting.id,
            epoch: self.epoch,
            ledger_only: waiting.ledger_only,
        };
        waiting.values().take_while(fits).map(deliver).collect()
    }

    /// Hands in the receipts of all deliveries of a destination, in their order. A second call replaces the first.
    pub fn settle(&mut self, destination: EnvironmentId, receipts: Vec<Receipt>) {
        self.staged.receipts.insert(destination, receipts);
    }

    /// Hands in the messages that an environment sent in the running epoch, in the order of its executions: those of
    /// its deliveries and then those of its transactions, without those that were rolled back. A second call adds to
    /// the first.
    pub fn collect(&mut self, source: EnvironmentId, messages: impl IntoIterator<Item = Message>) {
        self.staged.messages.entry(source).or_default().extend(messages);
    }

    /// Hands in what an environment's executions changed in the running epoch, in their order, for those who subscribe
    /// to its slots. A second call adds to the first.
    pub fn publish(&mut self, source: &EnvironmentId, diffs: &[AccountDiff]) {
        for (index, subscription) in self.config.subscriptions.iter().enumerate() {
            if subscription.source != *source {
                continue;
            }
            for diff in diffs.iter().filter(|diff| diff.address == subscription.account) {
                let slot = diff.storage.iter().find(|slot| slot.key == subscription.slot);
                let wiped = diff.storage_wiped || diff.after.is_none();
                let Some(now) = slot.map(|slot| slot.after).or(wiped.then(U256::zero)) else { continue };
                let before = slot.filter(|_| !wiped).map(|slot| slot.before);
                self.staged.published.entry(index).or_insert((before, now)).1 = now;
            }
        }
    }

    /// Forgets what the running epoch handed in: it is run again from its start.
    pub fn abandon_epoch(&mut self) {
        self.staged = Staged::default();
    }
}

/// The receipt of a delivery that was executed.
#[must_use]
pub fn receipt(delivery: &Delivery, outcome: &Outcome) -> Receipt {
    let status = match outcome.status {
        Status::Success => ReceiptStatus::Delivered,
        Status::Revert => ReceiptStatus::Failed(Failure::Reverted),
        Status::Halt(_) | Status::Rejected(_) => ReceiptStatus::Failed(Failure::Halted),
    };
    Receipt { id: delivery.id, status, gas_used: outcome.gas_used }
}

/// The receipt of a delivery of which nothing is kept: its environment was rolled back to before it, or broke down.
#[must_use]
pub const fn rolled_back(delivery: &Delivery) -> Receipt {
    Receipt { id: delivery.id, status: ReceiptStatus::RolledBack, gas_used: 0 }
}
