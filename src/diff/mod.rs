//! The differential tester: every backend against every other, on edge vectors, generated programs and fixtures.

pub mod alike;
pub mod backends;
pub mod campaign;
pub mod case;
pub mod code;
pub mod compare;
pub mod corpus;
pub mod coverage;
mod divergent;
pub mod edge;
pub mod entry;
pub mod generate;
mod generated;
pub mod known;
pub mod levels;
pub mod load;
pub mod minimise;
pub mod mutate;
#[cfg(feature = "revm")]
pub mod oracle;
pub mod report;
pub mod restrict;
pub mod run;
pub mod sequences;
pub mod trace;
pub mod write;
