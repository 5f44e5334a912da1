//! isolane executes many isolated EVM transactions at once.

pub mod block;
pub mod chain;
pub mod cli;
pub mod conformance;
pub mod convert;
pub mod fetch;
pub mod load;
pub mod replay;
pub mod report;
pub mod trie;

pub use isolane_cpu as cpu;
pub use isolane_spec as spec;
