//! Why an engine cannot be built, or stops.

use crate::exchange::{Breach, ConfigError, RestoreError};
use crate::load::typed::InputError;
use isolane_spec::U256;

/// Why an engine cannot be built, or stops. What goes wrong inside an environment is no error: see
/// [`super::EnvironmentReport`].
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// An environment cannot be as it is configured.
    #[error("environment {name}: {problem}")]
    Environment {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// There is no environment of that name.
    #[error("the run has no environment {0:?}")]
    NoEnvironment(String),
    /// The exchange cannot be as it is configured.
    #[error(transparent)]
    Exchange(#[from] ConfigError),
    /// The books do not close: an asset was lost or made.
    #[error("{0}")]
    Breach(Breach),
    /// A transaction left more of the native asset than there was.
    #[error("environment {environment}: epoch {epoch} left {created} wei more than there was: a defect of isolane")]
    Created {
        /// The environment.
        environment: String,
        /// The epoch.
        epoch: u64,
        /// How much.
        created: U256,
    },
    /// The exchange and an environment disagree about a message.
    #[error("environment {environment}: epoch {epoch}: {problem}: a defect of isolane")]
    Delivery {
        /// The environment.
        environment: String,
        /// The epoch.
        epoch: u64,
        /// What is wrong.
        problem: String,
    },
    /// The journal, or what else a run writes or reads.
    #[error(transparent)]
    Journal(#[from] InputError),
    /// The journal holds another exchange.
    #[error("the journal's exchange: {0}")]
    Restore(#[from] RestoreError),
}

impl From<Breach> for EngineError {
    fn from(breach: Breach) -> Self {
        Self::Breach(breach)
    }
}
