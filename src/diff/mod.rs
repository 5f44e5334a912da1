//! The differential tester: every backend against every other, on edge vectors, generated programs and fixtures.

pub mod case;
pub mod code;
pub mod compare;
pub mod edge;
#[cfg(feature = "revm")]
pub mod oracle;
pub mod trace;
