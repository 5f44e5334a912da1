//! isolane executes many isolated EVM transactions at once.

pub mod block;
pub mod chain;
pub mod cli;
pub mod conformance;
pub mod convert;
pub mod exchange;
pub mod fetch;
pub mod load;
pub mod replay;
pub mod report;
pub mod trace;
pub mod trie;

pub use isolane_cpu as cpu;
pub use isolane_spec as spec;

/// The example of the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So is that of the exchange's page.
#[cfg(doctest)]
#[doc = include_str!("../docs/exchange.md")]
struct ExchangePage;
