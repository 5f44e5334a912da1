//! What the tests and the benchmarks share.

pub mod convert;
pub mod revm_oracle;
