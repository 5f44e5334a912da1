//! Why a run must stop.

use crate::spec::{EnvironmentId, U256};

/// The books do not close, or an environment handed in what cannot be: a defect of isolane or of its caller. The run
/// must stop, and the exchange is not to be used any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("epoch {epoch}: {environment}: {problem}")]
pub struct Breach {
    /// The epoch.
    pub epoch: u64,
    /// The environment whose books, receipts or messages they are, or whose native asset it is.
    pub environment: EnvironmentId,
    /// What is wrong.
    pub problem: Box<Problem>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The run has no environment of that name.
    #[error("the run has no such environment")]
    UnknownEnvironment,
    /// The books of the environment are missing.
    #[error("its books are missing")]
    Unreported,
    /// The receipts are not those of the deliveries.
    #[error("expected the receipts of {expected} deliveries, got {got}{other}", other = match index {
        Some(index) => format!("; number {index} is another message's"),
        None => String::new(),
    })]
    Receipts {
        /// Deliveries of the epoch.
        expected: usize,
        /// Receipts.
        got: usize,
        /// The first receipt of another message.
        index: Option<usize>,
    },
    /// A message that the environment cannot have sent.
    #[error("it cannot have sent a message with this {field}: expected {expected}, got {got}")]
    Message {
        /// Which field is wrong.
        field: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// What is locked of an asset is not what is abroad, in flight and claimable.
    #[error(
        "its asset is not conserved: {locked} locked at home, but {abroad} abroad + {in_flight} in flight + {claimable} \
         claimable"
    )]
    Conservation {
        /// In escrow at home.
        locked: U256,
        /// In balances abroad.
        abroad: U256,
        /// In messages.
        in_flight: U256,
        /// In claimable ledgers.
        claimable: U256,
    },
    /// The exchange's account does not own what it has locked.
    #[error("{locked} of its asset are locked, but the exchange owns only {native}")]
    Uncovered {
        /// In escrow.
        locked: U256,
        /// The balance of the exchange's account.
        native: U256,
    },
    /// The sum of the environment's native balances changed.
    #[error("its native balances add up to {got}, expected {expected}")]
    Supply {
        /// The sum at the first barrier that was given one.
        expected: U256,
        /// The sum now.
        got: U256,
    },
    /// A sum of the asset exceeds 256 bits, or the number of the epoch 64.
    #[error("a sum overflows")]
    Overflow,
}
