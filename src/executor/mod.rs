//! Calls from a program of your own: [`Executor`] runs very many of them against the state of a block.

mod cache;
pub(crate) mod call;
mod engine;
mod error;
mod estimate;
mod guess;
mod inner;
pub(crate) mod keys;
mod learn;
mod overrides;
mod queue;
mod read;
mod run;
mod snapshot;
mod source;
mod stream;

pub use crate::gpu::BackendKind;
pub use cache::CacheStatistics;
pub use call::{Call, CallOutcome, CallResult, Escape, RanOn, RevertReason, Want, Watched};
pub use error::{ExecutorError, Full, SharedError};
pub use estimate::CreatedAccessList;
pub use inner::{Executor, ExecutorBuilder};
pub use keys::Key;
pub use overrides::{AccountOverride, BlockOverrides, OverrideError, StateOverrides};
pub use queue::Ticket;
pub use snapshot::Snapshot;
pub use source::{
    Account, BlockTag, MemorySource, OpenedBlock, OpenedPack, RpcSource, RpcSourceError, StateSource, ViewError,
    ViewSource,
};
#[cfg(feature = "revm")]
pub use source::{DatabaseFailed, DatabaseSource, SnapshotDatabase};
pub use stream::Stream;
