//! What an engine is made of: environments and what they are entitled to.

use super::space::{Base, StateSpace};
use crate::exchange::Subscription;
use crate::schedule::Share;
use crate::trie::{StateTrie, TrieError, WitnessState};
use isolane_spec::{
    BlockContext, Budget, H256, MemoryState, MessagePolicy, Order, Permissions, Rules, StateView, Transaction,
};
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

/// A state to start from, with what its root is computed by.
#[derive(Clone)]
pub struct StartState {
    pub(super) space: StateSpace,
    pub(super) trie: Option<StateTrie>,
}

impl StartState {
    /// A whole state; its root is known after every epoch.
    ///
    /// # Errors
    /// When its tries cannot be built.
    pub fn complete(state: MemoryState) -> Result<Self, TrieError> {
        let trie = StateTrie::from_memory(&state)?;
        Ok(Self { space: StateSpace::new(Base::Complete(Arc::new(state))), trie: Some(trie) })
    }

    /// A part of a state as a block pack records it: what it lacks reads as empty, and no root follows from it.
    #[must_use]
    pub fn recorded(state: MemoryState) -> Self {
        Self { space: StateSpace::new(Base::Recorded(Arc::new(state))), trie: None }
    }

    /// A state that a witness proves: what it does not prove is an error. Its root is known as long as the witness has
    /// the nodes for it.
    #[must_use]
    pub fn witness(state: Arc<WitnessState>) -> Self {
        let trie = Some(state.trie());
        Self { space: StateSpace::new(Base::View(state)), trie }
    }

    /// Any other state; no root follows from it.
    #[must_use]
    pub fn view(state: Arc<dyn StateView>) -> Self {
        Self { space: StateSpace::new(Base::View(state)), trie: None }
    }

    /// The state.
    #[must_use]
    pub const fn space(&self) -> &StateSpace {
        &self.space
    }

    /// Its root, where it is known.
    #[must_use]
    pub fn root(&self) -> Option<H256> {
        self.trie.clone().map(|mut trie| trie.root())
    }
}

/// What becomes of an environment when one of its transactions breaks a permission or exceeds a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnViolation {
    /// Only that transaction fails.
    #[default]
    FailTransaction,
    /// The environment goes back to where its own transactions began in this epoch, and starts none any more in it. What
    /// others sent stays delivered. A message that breaks a rule only fails itself: nobody can stop another environment.
    FailEnvironment,
}

/// What all transactions of an environment may use in one epoch. What does not fit waits for the next epoch; only what
/// does not fit a whole epoch is cut. The default limits nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochBudget {
    /// Gas.
    pub gas: u64,
    /// Instructions.
    pub steps: u64,
    /// Changed storage slots.
    pub slots: u64,
    /// Bytes of log data.
    pub log_bytes: u64,
}

impl Default for EpochBudget {
    fn default() -> Self {
        Self { gas: u64::MAX, steps: u64::MAX, slots: u64::MAX, log_bytes: u64::MAX }
    }
}

/// One environment of an engine.
#[derive(Clone)]
pub struct EnvironmentConfig {
    /// Its name: 1 to 32 bytes.
    pub name: String,
    /// Fork, chain, opcodes, precompiles.
    pub rules: Rules,
    /// The block of epoch 0. Each epoch is one block: the number rises by one, the time by `block_time`.
    pub block: BlockContext,
    /// Seconds from block to block.
    pub block_time: u64,
    /// How its transactions relate. Of an independent environment only the deliveries of messages change the state.
    pub order: Order,
    /// What it may do.
    pub permissions: Permissions,
    /// What one transaction may use.
    pub budget: Budget,
    /// What an epoch may use.
    pub epoch_budget: EpochBudget,
    /// What it gets of the lanes.
    pub share: Share,
    /// What a violation leads to.
    pub on_violation: OnViolation,
    /// With whom it exchanges messages; `None`: it has no system address.
    pub messages: Option<MessagePolicy>,
    /// The state that it starts from.
    pub state: StartState,
}

impl EnvironmentConfig {
    /// An environment with every permission, no extra limit, an equal share, and no messages.
    #[must_use]
    pub fn new(name: impl Into<String>, rules: Rules, block: BlockContext, state: StartState) -> Self {
        Self {
            name: name.into(),
            rules,
            block,
            block_time: 12,
            order: Order::Sequential,
            permissions: Permissions::default(),
            budget: Budget::default(),
            epoch_budget: EpochBudget::default(),
            share: Share { weight: NonZeroU32::MIN, max_lanes: NonZeroU32::MAX },
            on_violation: OnViolation::default(),
            messages: None,
            state,
        }
    }
}

impl EnvironmentConfig {
    /// Whether opcodes, precompiles, permissions, budgets or messages make it differ from plain Ethereum: such outcomes
    /// never pass for a faithful replay.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        self.rules.is_custom()
            || self.permissions != Permissions::default()
            || self.budget != Budget::default()
            || self.epoch_budget != EpochBudget::default()
            || self.messages.is_some()
    }
}

/// A whole run, but for its transactions.
#[derive(Clone)]
pub struct EngineConfig {
    /// What all digests and message ids depend on: the hash of what the run was made from.
    pub identity: H256,
    /// The environments, in the order of reports.
    pub environments: Vec<EnvironmentConfig>,
    /// Who wants to know which slots of whom.
    pub subscriptions: Vec<Subscription>,
    /// Gas that an environment is credited a round and unit of weight.
    pub quantum: NonZeroU64,
    /// Lanes that run at once.
    pub lanes: NonZeroU32,
    /// Gas that all environments together use in an epoch, about: an epoch ends with the round that reaches it.
    /// `None`: an epoch ends when nobody has anything left that fits its budget.
    pub epoch_gas: Option<NonZeroU64>,
}

impl EngineConfig {
    /// A run without environments yet.
    #[must_use]
    pub const fn new(identity: H256) -> Self {
        Self {
            identity,
            environments: Vec::new(),
            subscriptions: Vec::new(),
            quantum: NonZeroU64::new(1_000_000).expect("positive"),
            lanes: NonZeroU32::new(256).expect("positive"),
            epoch_gas: None,
        }
    }
}

/// A transaction for an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Submission {
    /// The transaction.
    pub transaction: Transaction,
    /// The engine sets the nonce to the sender's when the transaction starts; the given one is ignored.
    pub auto_nonce: bool,
    /// The epoch before which it does not start.
    pub epoch: u64,
}

impl Submission {
    /// A transaction that starts as soon as it is its turn, with the nonce that its sender then has.
    #[must_use]
    pub const fn new(transaction: Transaction) -> Self {
        Self { transaction, auto_nonce: true, epoch: 0 }
    }
}
