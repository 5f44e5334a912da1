//! What an epoch came to.

use crate::exchange;
use isolane_spec::{BudgetKind, Delivery, ExecutionError, H160, H256, Halt, Outcome, Receipt, Rule};

/// One of an environment's own transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// Its number among all submissions to the environment, from 0.
    pub index: u64,
    /// Who sent it.
    pub sender: H160,
    /// Whom it calls; `None` creates a contract.
    pub to: Option<H160>,
    /// Scheduling rounds that it waited, the one that it started in included.
    pub waited: u64,
    /// What it came to. An error: the state could not answer, or isolane has a defect.
    pub result: Result<Outcome, ExecutionError>,
}

/// One message that an environment got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The message.
    pub delivery: Delivery,
    /// What the exchange is told.
    pub receipt: Receipt,
    /// What its call came to; `None` if it was not executed.
    pub outcome: Option<Outcome>,
}

/// A permission or a budget that a transaction broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// An operation that is not permitted.
    Permission {
        /// The rule that denies it.
        rule: Rule,
        /// Where in the code.
        pc: u32,
    },
    /// A budget that ran out.
    Budget {
        /// Which one.
        kind: BudgetKind,
        /// After how many instructions.
        at: u64,
    },
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Permission { rule, pc } => Halt::Denied { rule, pc }.fmt(f),
            Self::Budget { kind, at } => Halt::BudgetExceeded { kind, at }.fmt(f),
        }
    }
}

/// Why an environment was rolled back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// One of its transactions broke a permission or exceeded a budget.
    Violation {
        /// Its number.
        index: u64,
        /// What it broke.
        violation: Violation,
    },
    /// The state could not answer, or isolane has a defect. The environment does nothing any more.
    Error(String),
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Violation { index, violation } => write!(f, "transaction {index}: {violation}"),
            Self::Error(error) => f.write_str(error),
        }
    }
}

/// What an environment did in an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentReport {
    /// Its name.
    pub name: String,
    /// The number of its block.
    pub block: u64,
    /// Why nothing of the epoch is kept, if nothing is.
    pub rolled_back: Option<Cause>,
    /// Whether it does nothing any more.
    pub halted: bool,
    /// Whether permissions, budgets or messages make it differ from plain Ethereum.
    pub restricted: bool,
    /// The messages that it got, in their order.
    pub deliveries: Vec<Delivered>,
    /// Its own transactions that ended in this epoch, in their order.
    pub executions: Vec<Execution>,
    /// The root of its state after the epoch, where it is known.
    pub state_root: Option<H256>,
    /// A hash of all this, and its block hash.
    pub digest: H256,
}

/// What an epoch came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochReport {
    /// Its number, from 0.
    pub epoch: u64,
    /// Scheduling rounds that it took.
    pub rounds: u64,
    /// In the order of the configuration.
    pub environments: Vec<EnvironmentReport>,
    /// Messages and assets.
    pub exchange: exchange::Report,
    /// A hash of all epochs so far: of all outcomes, states and messages.
    pub digest: H256,
}
