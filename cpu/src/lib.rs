//! The reference interpreter: one lane at a time, exact and readable. It shares the tables of `isolane-spec` with the
//! other backends and nothing else.

pub mod machine;

pub use machine::{Available, Machine};
