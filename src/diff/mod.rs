//! The differential tester: every backend against every other, on edge vectors, generated programs and fixtures.

pub mod backends;
pub mod case;
pub mod code;
pub mod compare;
pub mod coverage;
pub mod edge;
pub mod generate;
pub mod known;
#[cfg(feature = "revm")]
pub mod oracle;
pub mod run;
pub mod trace;
