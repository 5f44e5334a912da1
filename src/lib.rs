//! isolane executes many isolated EVM transactions at once.

pub mod backend;
pub mod bench;
pub mod block;
pub mod chain;
pub mod cli;
pub mod conformance;
pub mod convert;
pub mod diff;
pub mod engine;
pub mod exchange;
pub mod executor;
pub mod fetch;
pub mod gather;
pub mod gpu;
pub mod load;
pub mod manifest;
pub mod replay;
pub mod report;
pub mod schedule;
pub mod serve;
pub mod source;
pub mod tables;
pub mod trace;
pub mod trie;

pub use executor::{
    BlockOverrides, Call, CallOutcome, Executor, ExecutorBuilder, ExecutorError, Snapshot, StateOverrides, StateSource,
    Ticket, Want,
};
pub use isolane_cpu as cpu;
pub use isolane_spec as spec;

/// The example of the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So is the one of the traces.
#[cfg(doctest)]
#[doc = include_str!("../docs/traces.md")]
struct Traces;

/// So is that of the exchange's page.
#[cfg(doctest)]
#[doc = include_str!("../docs/exchange.md")]
struct ExchangePage;
