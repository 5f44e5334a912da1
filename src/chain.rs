//! Chains: which fork holds when, and with which blob parameters.

mod builtin;
mod config;
mod network;

pub use builtin::{holesky, hoodi, mainnet, sepolia};
pub use config::ChainConfigError;
pub use network::UnknownNetwork;

use isolane_spec::{BlobSchedule, Fork, H160, Rules, U256};
use std::collections::BTreeMap;

/// When a fork begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// From this block on.
    Block(u64),
    /// From this timestamp on.
    Time(u64),
    /// From the first block whose parent has reached this total difficulty on (The Merge).
    TotalDifficulty(U256),
}

/// The schedule of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainSpec {
    /// Names it in reports.
    pub name: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// When each fork begins. Forks that never begin are absent.
    pub activations: BTreeMap<Fork, Activation>,
    /// The total difficulty that ends proof of work, where the chain had it.
    pub terminal_total_difficulty: Option<U256>,
    /// Blob parameters that differ from mainnet's.
    pub blob_schedules: BTreeMap<Fork, BlobSchedule>,
    /// The contract whose logs are deposit requests (EIP-6110).
    pub deposit_contract: H160,
}

impl ChainSpec {
    /// A chain on which no fork but Frontier ever begins.
    #[must_use]
    pub fn new(name: impl Into<String>, chain_id: u64) -> Self {
        Self {
            name: name.into(),
            chain_id,
            activations: BTreeMap::new(),
            terminal_total_difficulty: None,
            blob_schedules: BTreeMap::new(),
            deposit_contract: builtin::MAINNET_DEPOSIT_CONTRACT,
        }
    }

    /// A chain that is in one fork from its genesis on.
    ///
    /// Only [`Fork::Dao`] itself makes the irregular state change, at block 0, which no block executes.
    #[must_use]
    pub fn constant(fork: Fork, chain_id: u64) -> Self {
        let mut chain = Self::new(fork.name(), chain_id);
        chain.activate(fork, Activation::Block(0));
        chain
    }

    /// The chain of that id, if it is built in.
    #[must_use]
    pub fn by_id(chain_id: u64) -> Option<Self> {
        [mainnet, sepolia, holesky, hoodi].into_iter().map(|chain| chain()).find(|chain| chain.chain_id == chain_id)
    }

    /// Sets when a fork begins.
    pub fn activate(&mut self, fork: Fork, activation: Activation) -> &mut Self {
        self.activations.insert(fork, activation);
        self
    }

    /// The newest fork that holds for a block.
    ///
    /// `parent_total_difficulty` is the total difficulty up to and including the parent; it decides about Paris on
    /// chains whose first proof-of-stake block is not known. Without it, such a chain is taken to be before Paris until
    /// a fork that begins by time holds.
    #[must_use]
    pub fn fork_at(&self, number: u64, timestamp: u64, parent_total_difficulty: Option<U256>) -> Fork {
        let holds = |activation: &Activation| match activation {
            Activation::Block(block) => number >= *block,
            Activation::Time(time) => timestamp >= *time,
            Activation::TotalDifficulty(total) => parent_total_difficulty.is_some_and(|parent| parent >= *total),
        };
        self.activations
            .iter()
            .rev()
            .find(|(_, activation)| holds(activation))
            .map_or(Fork::Frontier, |(fork, _)| *fork)
    }

    /// The rules that hold for a block: see [`ChainSpec::fork_at`].
    #[must_use]
    pub fn rules_at(&self, number: u64, timestamp: u64, parent_total_difficulty: Option<U256>) -> Rules {
        self.rules(self.fork_at(number, timestamp, parent_total_difficulty))
    }

    /// The rules of one fork on this chain.
    #[must_use]
    pub fn rules(&self, fork: Fork) -> Rules {
        let mut rules = Rules::new(fork, self.chain_id);
        if let Some(schedule) = self.blob_schedule(fork) {
            rules.blob_schedule = schedule;
        }
        rules
    }

    /// The chain's own parameters of the fork or of the newest fork before it that changed them; where a later fork of
    /// mainnet changed them and the chain says nothing of it, mainnet's.
    fn blob_schedule(&self, fork: Fork) -> Option<BlobSchedule> {
        let (since, schedule) = self.blob_schedules.range(..=fork).next_back()?;
        let mainnet_changed = BlobSchedule::of(*since) != BlobSchedule::of(fork);
        if mainnet_changed { BlobSchedule::of(fork) } else { Some(*schedule) }
    }

    /// The block of the irregular state change (EIP-779), if the chain made it.
    #[must_use]
    pub fn dao_block(&self) -> Option<u64> {
        match self.activations.get(&Fork::Dao) {
            Some(Activation::Block(block)) => Some(*block),
            _ => None,
        }
    }

    /// Whether the block is the first of that fork, given its parent's number and timestamp.
    #[must_use]
    pub fn is_first_block_of(&self, fork: Fork, number: u64, timestamp: u64, parent_timestamp: u64) -> bool {
        match self.activations.get(&fork) {
            Some(Activation::Block(block)) => number == *block,
            Some(Activation::Time(time)) => timestamp >= *time && parent_timestamp < *time,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
