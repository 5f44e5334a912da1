//! What can go wrong around calls. Failure of the EVM is data, in the outcome.

use super::Call;
use crate::gpu::NoDevice;
use isolane_spec::ExecutionError;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// An error of a source, as it came.
pub type SharedError = Arc<dyn Error + Send + Sync>;

/// Why there is no executor, or no outcome of a call.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutorError {
    /// The device that was asked for cannot be used.
    #[error(transparent)]
    NoDevice(#[from] NoDevice),
    /// The threads cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(String),
    /// Too much is queued already.
    #[error("the queue is full: {limit} submissions wait; wait for a ticket, or raise queue_limit")]
    Full {
        /// The queue's limit.
        limit: usize,
    },
    /// The executor was dropped before the calls began.
    #[error("the executor is gone: keep it until its tickets are done")]
    Gone,
    /// The source failed.
    #[error("cannot read {wanted}: {source}")]
    Source {
        /// What was asked for.
        wanted: String,
        /// What the source says.
        #[source]
        source: SharedError,
    },
    /// The source panicked.
    #[error("cannot read {wanted}: the source panicked: {panic}")]
    SourcePanicked {
        /// What was asked for.
        wanted: String,
        /// The panic's message.
        panic: String,
    },
    /// The source contradicts itself.
    #[error("cannot trust the source about {wanted}: expected {expected}, got {got}")]
    SourceLied {
        /// What was asked for.
        wanted: String,
        /// What it should have been.
        expected: String,
        /// What it was.
        got: String,
    },
    /// The execution failed, as opposed to the EVM.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// A call asked for new state again and again.
    #[error(
        "no end after {rounds} rounds of reading state: the source's answers change, or the call reads state without end"
    )]
    TooManyRounds {
        /// Rounds made.
        rounds: usize,
    },
    /// No gas limit makes the call succeed.
    #[error("no estimate: the call fails with all the gas it may have: {status}")]
    NoEstimate {
        /// How it ends.
        status: String,
        /// What it returned.
        output: isolane_spec::Bytes,
    },
}

/// The queue had no room. The calls come back.
#[derive(Clone)]
pub struct Full {
    /// The calls that were not taken.
    pub calls: Vec<Call>,
    /// The queue's limit.
    pub limit: usize,
}

impl fmt::Debug for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Full").field("calls", &self.calls.len()).field("limit", &self.limit).finish()
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ExecutorError::from(self).fmt(f)
    }
}

impl Error for Full {}

impl From<&Full> for ExecutorError {
    fn from(full: &Full) -> Self {
        Self::Full { limit: full.limit }
    }
}

impl From<Full> for ExecutorError {
    fn from(full: Full) -> Self {
        Self::from(&full)
    }
}

/// The message of a panic.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}
