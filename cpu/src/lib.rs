//! The reference interpreter of isolane.

pub mod crypto;
pub mod precompile;
