//! The reference interpreter: one lane at a time, exact and readable. It shares the tables of `isolane-spec` with the
//! backends of other crates and nothing else. The lockstep backend is its second driver: many lanes at a time.

mod authorization;
pub mod backend;
mod create_address;
mod creation;
pub mod crypto;
pub mod exchange;
mod execution;
mod frame;
mod hash_cache;
mod interpreter;
mod journal;
mod jumpdest;
mod lane;
pub mod lockstep;
pub mod machine;
mod memory;
mod mixer;
pub mod observer;
mod op;
mod overlay;
mod pool;
pub mod precompile;
mod program;
mod restriction;
mod sequence;
mod stack;
mod state_gas;
mod transfer_log;
mod transition;
mod validation;
mod watch;

pub use backend::Reference;
pub use lockstep::Lockstep;
pub use machine::{Available, Machine};
pub use observer::Observer;
pub use pool::with_machine;
pub use sequence::{InParallel, Sequence, SequenceStats};
