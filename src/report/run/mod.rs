//! What a run of environments came to: for people, as JSON Lines, and as a page.

pub(super) mod chart;
pub(super) mod html;
mod json;
mod text;

pub use html::page;
pub use json::{epoch_line, outcome_lines, state_file, summary_line};
pub use text::render;

use crate::engine::stats::{Flows, Stats};
use crate::engine::{Engine, EngineError, EpochBudget};
use crate::exchange::AssetReport;
use isolane_spec::{Budget, Fork, H256, Order};
use std::time::Duration;

/// Version of the JSON Lines.
pub const SCHEMA: &str = "isolane-run/1";

/// What one environment came to.
#[derive(Clone, Debug)]
pub struct EnvironmentSummary {
    /// Its name.
    pub name: String,
    /// Its fork.
    pub fork: Fork,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// How its transactions relate.
    pub order: Order,
    /// Permissions, budgets or messages make it differ from plain Ethereum.
    pub restricted: bool,
    /// Why it does nothing any more.
    pub halted: Option<String>,
    /// Its weight.
    pub weight: u32,
    /// What an epoch may use.
    pub epoch_budget: EpochBudget,
    /// What a transaction may use.
    pub budget: Budget,
    /// What it did.
    pub stats: Stats,
    /// Transactions that did not start.
    pub pending: usize,
    /// Messages that wait for it.
    pub waiting: usize,
    /// The root of its state, where it is known.
    pub state_root: Option<H256>,
}

impl EnvironmentSummary {
    /// The status in a word or two.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match (&self.halted, self.stats.rolled_back_epochs, self.pending) {
            (Some(_), ..) => "halted",
            (None, 1.., _) => "rolled back",
            (None, 0, 1..) => "unfinished",
            (None, 0, 0) => "done",
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// What it was made from.
    pub name: String,
    /// The hash of it.
    pub identity: H256,
    /// Epochs, those of earlier runs included.
    pub epochs: u64,
    /// How many of them the journal had.
    pub resumed: u64,
    /// A hash of all outcomes, states and messages.
    pub digest: H256,
    /// The backend.
    pub backend: &'static str,
    /// Threads.
    pub threads: usize,
    /// Time from start to end.
    pub wall: Duration,
    /// Gas that this run executed, without the epochs of the journal.
    pub gas: u64,
    /// The environments.
    pub environments: Vec<EnvironmentSummary>,
    /// Where assets are at the end; empty where no epoch ran.
    pub assets: Vec<AssetReport>,
    /// Messages by source and destination.
    pub flows: Flows,
}

impl RunReport {
    /// Sums up an engine.
    ///
    /// # Errors
    /// When the books of the exchange do not close.
    pub fn new(name: &str, engine: &Engine) -> Result<Self, EngineError> {
        let mut environments = Vec::new();
        for name in engine.names() {
            let config = engine.config(name)?;
            environments.push(EnvironmentSummary {
                name: name.to_owned(),
                fork: config.rules.fork,
                chain_id: config.rules.chain_id,
                order: config.order,
                restricted: config.is_restricted(),
                halted: engine.halted(name)?.map(str::to_owned),
                weight: config.share.weight.get(),
                epoch_budget: config.epoch_budget,
                budget: config.budget,
                stats: engine.stats(name)?.clone(),
                pending: engine.pending(name)?,
                waiting: engine.waiting(name)?,
                state_root: engine.state_root(name)?,
            });
        }
        Ok(Self {
            name: name.to_owned(),
            identity: engine.identity(),
            epochs: engine.epoch(),
            resumed: 0,
            digest: engine.digest(),
            backend: engine.backend_name(),
            threads: 0,
            wall: Duration::ZERO,
            gas: 0,
            environments,
            assets: engine.assets()?,
            flows: engine.flows().clone(),
        })
    }

    /// The environment of that name.
    #[must_use]
    pub fn environment(&self, name: &str) -> Option<&EnvironmentSummary> {
        self.environments.iter().find(|environment| environment.name == name)
    }
}
