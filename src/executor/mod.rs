//! Calls from a program of your own: [`Executor`] runs very many of them against the state of a block.
//!
//! A call that needs state which is not there does not wait for it alone: it ends as lacking it. What all calls of a run lack is read from
//! the source in one request a kind, and only those calls run again, until none lacks anything. What similar calls needed before, and what
//! calls look at when they go on with guesses, is read along; neither changes a result. Answers are kept, up to a limit, and
//! shared by all snapshots of the same state.
//!
//! The examples are those of [the crate](crate).

#[cfg(feature = "alloy")]
mod alloy;
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
#[cfg(feature = "revm")]
mod revm;
mod rounds;
mod run;
mod snapshot;
mod source;
mod stream;

pub use crate::gpu::BackendKind;
#[cfg(feature = "alloy")]
pub use alloy::{FromAlloy, ToAlloy};
pub use cache::CacheStatistics;
pub use call::{Call, CallOutcome, CallResult, Escape, RanOn, RevertReason, Want, Watched};
pub use error::{ExecutorError, Full, SharedError};
pub use estimate::CreatedAccessList;
pub use inner::{Executor, ExecutorBuilder};
pub use keys::Key;
pub use overrides::{AccountOverride, BlockOverrides, OverrideError, StateOverrides};
pub use queue::Ticket;
#[cfg(feature = "revm")]
pub use revm::{FromRevm, ToRevm};
pub use snapshot::Snapshot;
pub use source::{
    Account, BlockTag, MemorySource, OpenedBlock, OpenedPack, RpcSource, RpcSourceError, StateSource, ViewError,
    ViewSource,
};
#[cfg(feature = "revm")]
pub use source::{DatabaseFailed, DatabaseSource, SnapshotDatabase};
pub use stream::Stream;
