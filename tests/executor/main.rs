//! The library's executor: calls against snapshots.

mod basics;
mod bundles;
#[cfg(feature = "alloy")]
mod conversions;
mod estimates;
mod map;
mod node;
mod overrides;
mod queue;
mod random;
#[cfg(feature = "revm")]
mod revm_database;
mod sources;
mod support;
