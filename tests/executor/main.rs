//! The library's executor: calls against snapshots.

mod basics;
mod support;
