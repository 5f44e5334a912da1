//! The network names of the official blockchain fixtures: `Cancun`, `FrontierToHomesteadAt5`,
//! `ShanghaiToCancunAtTime15k`, `ArrowGlacierToParisAtDiffC0000`.

use super::{Activation, ChainSpec};
use isolane_spec::{Fork, U256};
use std::fmt;

/// A network name that names no forks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownNetwork(pub String);

impl fmt::Display for UnknownNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "network {:?}: expected a fork, or XToYAt5, XToYAtTime15k or XToYAtDiffC0000 with forks X, Y", self.0)
    }
}

impl std::error::Error for UnknownNetwork {}

impl ChainSpec {
    /// The chain that a fixture's network name describes, with chain id 1.
    ///
    /// # Errors
    /// When the name is of no known form.
    pub fn from_network(network: &str) -> Result<Self, UnknownNetwork> {
        let unknown = || UnknownNetwork(network.to_owned());
        if let Ok(fork) = network.parse::<Fork>() {
            let mut chain = Self::constant(fork, 1);
            network.clone_into(&mut chain.name);
            return Ok(chain);
        }
        let (from, rest) = network.split_once("To").ok_or_else(unknown)?;
        let (to, at) = rest.rsplit_once("At").ok_or_else(unknown)?;
        let from: Fork = from.parse().map_err(|_| unknown())?;
        let to: Fork = to.parse().map_err(|_| unknown())?;
        let mut chain = Self::constant(from, 1);
        network.clone_into(&mut chain.name);
        if let Some(total) = at.strip_prefix("Diff") {
            let total = U256::from_str_radix(total, 16).map_err(|_| unknown())?;
            chain.terminal_total_difficulty = Some(total);
            chain.activate(to, Activation::TotalDifficulty(total));
        } else if let Some(time) = at.strip_prefix("Time") {
            chain.activate(to, Activation::Time(thousands(time).ok_or_else(unknown)?));
        } else {
            chain.activate(to, Activation::Block(thousands(at).ok_or_else(unknown)?));
        }
        Ok(chain)
    }
}

/// `5` or `15k`.
fn thousands(text: &str) -> Option<u64> {
    match text.strip_suffix('k') {
        Some(number) => number.parse::<u64>().ok()?.checked_mul(1000),
        None => text.parse().ok(),
    }
}
