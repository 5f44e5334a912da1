//! Many environments and their transactions, and the seam where backends plug in.

use crate::environment::Environment;
use crate::message::EnvironmentId;
use crate::outcome::Outcome;
use crate::state::StateError;
use crate::transaction::Transaction;
use std::fmt;
use std::sync::Arc;

/// Many environments and their transactions.
#[derive(Clone, Default)]
pub struct Batch {
    /// The environments, each with its own rules and state.
    pub environments: Vec<Environment>,
    /// Transactions with the index of their environment, in the order of execution within it.
    pub transactions: Vec<(u32, Transaction)>,
}

/// Infrastructure failed: the lane has no outcome. EVM failure is data in the [`Outcome`] instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecutionError {
    /// The state could not answer.
    State(StateError),
    /// A defect of isolane, contained in its environment.
    Panic(String),
    /// The transaction names an environment that the batch does not have.
    NoEnvironment(u32),
    /// The backend does not implement what this transaction needs, and says so instead of guessing.
    Unsupported(String),
    /// A delivery that the environment cannot take: the exchange and it disagree.
    Undeliverable(String),
    /// A delivery that the destination had before.
    Replayed {
        /// Where the message comes from.
        source: EnvironmentId,
        /// Its nonce.
        nonce: u64,
        /// The lowest nonce that the destination still takes from there.
        next: u64,
    },
}

impl fmt::Display for ExecutionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(error) => error.fmt(f),
            Self::Panic(text) => write!(f, "internal error (please report it): {text}"),
            Self::Undeliverable(why) => write!(f, "a message cannot be delivered: {why}"),
            Self::Replayed { source, nonce, next } => {
                write!(f, "message {nonce} from {source} was delivered before: expected {next} or later")
            }
            Self::NoEnvironment(index) => write!(f, "the batch has no environment {index}"),
            Self::Unsupported(what) => write!(f, "unsupported: {what}"),
        }
    }
}

impl std::error::Error for ExecutionError {}

impl From<StateError> for ExecutionError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// Executes lanes.
pub trait Backend: Sync {
    /// A short name for reports.
    fn name(&self) -> &'static str;
    /// Executes all transactions; results in input order. An error in one environment never changes another's.
    fn execute(&self, batch: &Batch) -> Vec<Result<Outcome, ExecutionError>>;
}

impl<B: Backend + Send + ?Sized> Backend for Arc<B> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn execute(&self, batch: &Batch) -> Vec<Result<Outcome, ExecutionError>> {
        (**self).execute(batch)
    }
}
