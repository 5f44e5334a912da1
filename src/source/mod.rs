//! Where a replay gets its blocks from: files ([`crate::replay::Inputs`]), or a node ([`NodeSource`]).

mod cache;
mod node;

pub use cache::{Cache, CacheError};
pub use node::{Fetched, Node, NodeOptions, NodeSource};

use crate::load::typed::InputError;
use crate::load::witness::WitnessFile;

/// Blocks in an order of their own. Each is asked for once, and mostly in order.
pub trait Source: Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// How reports name one.
    fn name(&self, index: usize) -> String;

    /// What a block's data comes from: `file`, or the method of the node that gave the state.
    fn origin(&self) -> &'static str;

    /// The pack, as JSON.
    ///
    /// # Errors
    /// When it cannot be had.
    fn pack(&self, index: usize) -> Result<Vec<u8>, InputError>;

    /// The witness of a block, if there is one, and how errors name it. Asked for after the pack.
    ///
    /// # Errors
    /// When it cannot be read.
    fn witness(&self, index: usize, chain_id: u64, number: u64) -> Result<Option<(String, WitnessFile)>, InputError>;
}
