//! The shared vocabulary of isolane. No IO, no GPU, no threads: only the facts and the types that every backend reads.

pub mod fork;

pub use bytes::Bytes;
pub use fork::{Fork, UnsupportedFork};
pub use primitive_types::{H160, H256, U256};
