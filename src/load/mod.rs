//! Reads what is executed: fixtures, block packs, witnesses, nodes. All input is hostile until it is checked.

pub mod archive;
pub mod block_pack;
pub mod fixtures;
pub mod hex;
pub mod json;
pub mod rpc;
pub mod transaction;
pub mod witness;
