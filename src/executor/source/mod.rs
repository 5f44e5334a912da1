//! Where the state of a block comes from.

mod ask;
mod memory;
mod pack;
#[cfg(feature = "revm")]
mod revm_database;
mod rpc;

pub(super) use ask::{Answer, AnySource};
pub use memory::{MemorySource, ViewError, ViewSource};
pub use pack::OpenedPack;
#[cfg(feature = "revm")]
pub use revm_database::{DatabaseFailed, DatabaseSource, SnapshotDatabase};
pub use rpc::{BlockTag, OpenedBlock, RpcSource, RpcSourceError};

use isolane_spec::{AccountInfo, Bytes, H160, H256, StateView, U256};
use std::sync::Arc;

/// Nonce, balance and code hash.
pub type Account = AccountInfo;

/// The state after some block. It answers many questions at once, so that what thousands of calls lack is one request.
///
/// Answers come in the order of the questions, one each; an answer never changes. Answers are checked where that is possible
/// (their number, the hash of a code), and taken on trust otherwise.
pub trait StateSource: Send + Sync {
    /// Why it cannot answer.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Accounts; `None` for those that do not exist.
    ///
    /// # Errors
    /// When it cannot answer for at least one of them.
    fn accounts(&self, addresses: &[H160]) -> Result<Vec<Option<Account>>, Self::Error>;

    /// Values of storage slots; zero where nothing was ever written.
    ///
    /// # Errors
    /// When it cannot answer for at least one of them.
    fn slots(&self, keys: &[(H160, H256)]) -> Result<Vec<U256>, Self::Error>;

    /// Codes by their hash. Only asked for hashes that [`StateSource::accounts`] answered with.
    ///
    /// # Errors
    /// When it cannot answer for at least one of them.
    fn codes(&self, hashes: &[H256]) -> Result<Vec<Bytes>, Self::Error>;

    /// Hashes of ancestor blocks.
    ///
    /// # Errors
    /// When it cannot answer for at least one of them.
    fn block_hashes(&self, numbers: &[u64]) -> Result<Vec<H256>, Self::Error>;

    /// Whether accounts have any storage. Only asked for accounts without nonce and code onto which a contract is created
    /// (EIP-7610): on mainnet there are 28 such accounts with storage, all older than Spurious Dragon. No, by default.
    ///
    /// # Errors
    /// When it cannot answer for at least one of them.
    fn has_storage(&self, addresses: &[H160]) -> Result<Vec<bool>, Self::Error> {
        Ok(vec![false; addresses.len()])
    }

    /// Names the state, as the hash of its block does: snapshots of sources with the same name share a cache. By default
    /// snapshots share one where they have the source itself in common.
    fn state_id(&self) -> Option<H256> {
        None
    }

    /// Whether the error may be one key's: a smaller request is then tried, so that only the calls that need the key
    /// fail. A source that is out of reach says no.
    fn concerns_keys(&self, _error: &Self::Error) -> bool {
        true
    }

    /// The state itself, where it is at hand: calls then read it directly, without cache.
    fn view(&self) -> Option<Arc<dyn StateView>> {
        None
    }
}
