//! Runs environments in epochs.
//!
//! An epoch has four parts. Each environment gets the messages that wait for it. Then own transactions take lanes in
//! rounds, as [`crate::schedule`] says, and a backend executes them. Then comes the barrier: the exchange takes in
//! receipts and messages and checks that no asset was lost or made. Then each state is committed to by its root, the
//! epoch by its digest, and the journal keeps it all.
//!
//! Every result is a function of the configuration and the submissions: the digest is the same for every number of
//! threads and lanes, for every backend, and whether or not the run was killed in between.
//!
//! ```
//! use isolane::engine::{Engine, EngineConfig, EnvironmentConfig, StartState, Submission};
//! use isolane::spec::{AccountInfo, BlockContext, Bytes, Fork, H160, H256, MemoryState, Rules, StateView, Transaction, U256};
//!
//! let (alice, bob) = (H160::repeat_byte(0xaa), H160::repeat_byte(0xbb));
//! let mut state = MemoryState::default();
//! state.insert(alice, AccountInfo { balance: U256::from(1_000), ..Default::default() }, Bytes::new(), []);
//!
//! let block = BlockContext { gas_limit: 30_000_000, ..Default::default() };
//! let start = StartState::complete(state).unwrap();
//! let mut config = EngineConfig::new(H256::zero());
//! for (name, fork) in [("old", Fork::London), ("new", Fork::Prague)] {
//!     // Both start from the same state, and neither sees what the other writes.
//!     config.environments.push(EnvironmentConfig::new(name, Rules::new(fork, 1), block.clone(), start.clone()));
//! }
//! let mut engine = Engine::new(config).unwrap();
//! let payment = |value: u64| {
//!     let value = U256::from(value);
//!     Submission::new(Transaction { sender: alice, to: Some(bob), gas_limit: 21_000, value, ..Default::default() })
//! };
//! engine.submit("old", payment(1)).unwrap();
//! engine.submit("new", payment(2)).unwrap();
//! engine.submit("new", payment(3)).unwrap();
//!
//! let report = engine.step().unwrap();
//! assert_eq!(report.environments[1].executions.len(), 2);
//! let balance = |name| engine.state(name).unwrap().account(&bob).unwrap().unwrap().balance;
//! assert_eq!((balance("old"), balance("new")), (U256::from(1), U256::from(5)));
//! assert!(engine.is_idle());
//! ```

pub mod encode;
pub mod journal;
pub mod space;
pub mod stats;

mod config;
mod epoch;
mod error;
mod queue;
mod report;
mod resume;
mod round;
mod slot;

pub use config::{EngineConfig, EnvironmentConfig, EpochBudget, OnViolation, StartState, Submission};
pub use error::EngineError;
pub use report::{Cause, Delivered, EnvironmentReport, EpochReport, Execution, Violation};

use crate::convert::keccak;
use crate::exchange::{self, AssetReport, Books, Exchange};
use crate::load::typed::InputError;
use crate::schedule::Scheduler;
use isolane_cpu::Reference;
use isolane_spec::{
    AccountDiff, AccountInfo, Backend, EXCHANGE_ADDRESS, EnvironmentId, H256, MessagePolicy, Order, StateView as _,
};
use journal::Storage;
use queue::Queue;
use slot::{Running, Slot};
use space::StateSpace;
use stats::{Flows, Stats};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

/// Takes in what each epoch came to, before the journal says that the epoch is done: what it writes is complete
/// wherever a run is killed, if writing the same epoch again replaces it.
pub trait Sink: Send {
    /// Takes in an epoch.
    ///
    /// # Errors
    /// When it cannot be written; the run stops before the epoch is done.
    fn epoch(&mut self, report: &EpochReport) -> Result<(), InputError>;
}

/// Runs environments in epochs: see the module.
pub struct Engine {
    identity: H256,
    slots: Vec<Slot>,
    exchange: Exchange,
    scheduler: Scheduler,
    epoch_gas: Option<NonZeroU64>,
    flows: Flows,
    digest: H256,
    /// The digest before the last epoch.
    before: H256,
    backend: Box<dyn Backend + Send + Sync>,
    storage: Option<Box<dyn Storage>>,
    sink: Option<Box<dyn Sink>>,
}

impl Engine {
    /// An engine before its first epoch, on the reference backend and without a journal.
    ///
    /// # Errors
    /// Says what of the configuration cannot be.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let mut scheduler = Scheduler::new(config.quantum, config.lanes);
        let mut names = BTreeSet::new();
        let mut participants: BTreeMap<EnvironmentId, MessagePolicy> = BTreeMap::new();
        let mut slots = Vec::with_capacity(config.environments.len());
        for environment in config.environments {
            let fail = |problem: String| EngineError::Environment { name: environment.name.clone(), problem };
            let id = EnvironmentId::new(&environment.name).map_err(|error| fail(error.to_string()))?;
            if !names.insert(id) {
                return Err(fail("another environment has the same name: every name once".to_owned()));
            }
            let takes_part = environment.messages.is_some();
            if let Some(policy) = &environment.messages {
                let mut policy = policy.clone();
                if environment.order == Order::Independent {
                    // What it would be sent could never leave it again.
                    policy.assets = false;
                }
                participants.insert(id, policy);
            }
            scheduler.add(environment.share);
            let (mut space, mut trie) = (environment.state.space.clone(), environment.state.trie.clone());
            if takes_part {
                let open = open_exchange(&space);
                space.apply(std::slice::from_ref(&open));
                if let Some(tries) = &mut trie {
                    tries.apply(&[open]).map_err(|error| fail(format!("its state root cannot be kept: {error}")))?;
                }
            }
            slots.push(Slot {
                id: takes_part.then_some(id),
                config: environment,
                space,
                trie,
                queue: Queue::default(),
                stats: Stats::default(),
                halted: None,
                running: Running::default(),
            });
        }
        let exchange = Exchange::new(exchange::Config {
            manifest: config.identity,
            environments: participants,
            subscriptions: config.subscriptions,
        })?;
        let mut engine = Self {
            identity: config.identity,
            slots,
            exchange,
            scheduler,
            epoch_gas: config.epoch_gas,
            flows: Flows::default(),
            digest: config.identity,
            before: config.identity,
            backend: Box::new(Reference),
            storage: None,
            sink: None,
        };
        // The states to start from are part of what a digest stands for.
        let mut start = encode::Writer::default();
        start.hash(&engine.identity);
        for slot in &mut engine.slots {
            start.bytes(slot.config.name.as_bytes());
            start.option(slot.trie.as_mut().map(crate::trie::StateTrie::root), |writer, root| {
                writer.hash(&root);
            });
        }
        engine.digest = keccak(start.0);
        engine.before = engine.digest;
        Ok(engine)
    }

    /// Executes lanes on another backend.
    pub fn set_backend(&mut self, backend: Box<dyn Backend + Send + Sync>) {
        self.backend = backend;
    }

    /// The backend's name.
    #[must_use]
    pub fn backend_name(&self) -> &'static str {
        self.backend.name()
    }

    /// Tells a sink about each epoch.
    pub fn set_sink(&mut self, sink: Box<dyn Sink>) {
        self.sink = Some(sink);
    }

    /// The names of all environments, in the order of the configuration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().map(|slot| slot.config.name.as_str())
    }

    fn slot(&self, name: &str) -> Result<&Slot, EngineError> {
        let slot = self.slots.iter().find(|slot| slot.config.name == name);
        slot.ok_or_else(|| EngineError::NoEnvironment(name.to_owned()))
    }

    /// Adds a transaction to an environment's queue; returns its number there.
    ///
    /// # Errors
    /// When there is no such environment.
    pub fn submit(&mut self, environment: &str, submission: Submission) -> Result<u64, EngineError> {
        let epoch = self.epoch();
        let slot = self.slots.iter_mut().find(|slot| slot.config.name == environment);
        let slot = slot.ok_or_else(|| EngineError::NoEnvironment(environment.to_owned()))?;
        Ok(slot.queue.submit(submission, epoch))
    }

    /// The epoch that [`Engine::step`] runs next.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.exchange.epoch()
    }

    /// A hash of all that happened so far.
    #[must_use]
    pub const fn digest(&self) -> H256 {
        self.digest
    }

    /// An environment's state as it is committed.
    ///
    /// # Errors
    /// When there is no such environment.
    pub fn state(&self, environment: &str) -> Result<&StateSpace, EngineError> {
        Ok(&self.slot(environment)?.space)
    }

    /// An environment's committed state, for another environment to start from. Nothing is copied, and neither sees
    /// what the other writes.
    ///
    /// # Errors
    /// When there is no such environment.
    pub fn fork_state(&self, environment: &str) -> Result<StartState, EngineError> {
        let slot = self.slot(environment)?;
        Ok(StartState { space: slot.space.clone(), trie: slot.trie.clone() })
    }

    /// The root of an environment's committed state, where it is known.
    ///
    /// # Errors
    /// When there is no such environment.
    pub fn state_root(&self, environment: &str) -> Result<Option<H256>, EngineError> {
        Ok(self.fork_state(environment)?.root())
    }

    /// What an environment did so far.
    ///
    /// # Errors
    /// When there is no such environment.
    pub fn stats(&self, environment: &str) -> Result<&Stats, EngineError> {
        Ok(&self.slot(environment)?.stats)
    }

    /// How an environment was configured.
    ///
    /// # Errors
    /// When there is no such environment.
    pub fn config(&self, environment: &str) -> Result<&EnvironmentConfig, EngineError> {
        Ok(&self.slot(environment)?.config)
    }

    /// Why an environment does nothing any more, if that is so.
    ///
    /// # Errors
    /// When there is no such environment.
    pub fn halted(&self, environment: &str) -> Result<Option<&str>, EngineError> {
        Ok(self.slot(environment)?.halted.as_deref())
    }

    /// Transactions that did not start.
    ///
    /// # Errors
    /// When there is no such environment.
    pub fn pending(&self, environment: &str) -> Result<usize, EngineError> {
        Ok(self.slot(environment)?.queue.len())
    }

    /// Where each asset is, from the states as they are.
    ///
    /// # Errors
    /// When a state cannot answer, or the books do not close.
    pub fn assets(&self) -> Result<Vec<AssetReport>, EngineError> {
        let mut books = BTreeMap::new();
        for slot in &self.slots {
            if let Some(id) = slot.id {
                books.insert(id, self.books(slot, self.epoch())?);
            }
        }
        Ok(self.exchange.audit(&books)?)
    }

    fn books(&self, slot: &Slot, epoch: u64) -> Result<Books, EngineError> {
        self.exchange.books(&slot.space).map_err(|error| EngineError::Delivery {
            environment: slot.config.name.clone(),
            epoch,
            problem: format!("its books cannot be read: {error}"),
        })
    }

    /// All messages of the run, by source and destination.
    #[must_use]
    pub const fn flows(&self) -> &Flows {
        &self.flows
    }

    /// Carries the messages.
    #[must_use]
    pub const fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Whether another epoch would change nothing: no transaction and no message waits, but for those of environments
    /// that do nothing any more.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let live = self.slots.iter().filter(|slot| slot.halted.is_none());
        live.fold(true, |idle, slot| {
            idle && slot.queue.len() == 0 && slot.id.is_none_or(|id| self.exchange.waiting(&id) == 0)
        })
    }

    /// Messages that wait for an environment.
    ///
    /// # Errors
    /// When there is no such environment.
    pub fn waiting(&self, environment: &str) -> Result<usize, EngineError> {
        Ok(self.slot(environment)?.id.map_or(0, |id| self.exchange.waiting(&id)))
    }

    /// What the run was made from.
    #[must_use]
    pub const fn identity(&self) -> H256 {
        self.identity
    }
}

/// The account of the exchange as it is when a run begins: present, so that contracts find code at its address, and
/// without anything of an earlier run.
fn open_exchange(space: &StateSpace) -> AccountDiff {
    let (address, info, code) = isolane_cpu::exchange::account();
    // A witness that does not prove the account proves nothing that contradicts a fresh one.
    let before = space.account(&EXCHANGE_ADDRESS).ok().flatten();
    let balance = before.unwrap_or_default().balance;
    let after = Some(AccountInfo { balance, ..info });
    AccountDiff { address, before, after, code: Some(code), storage_wiped: true, storage: Vec::new() }
}
