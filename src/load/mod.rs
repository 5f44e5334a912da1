//! Reads what is executed: fixtures, block packs, witnesses, nodes. All input is hostile until it is checked.

pub mod archive;
pub mod block_pack;
pub mod code_cache;
pub mod envelope;
pub mod fixtures;
pub mod hex;
pub mod json;
pub mod json_rpc;
pub mod rpc;
pub mod transaction;
pub mod transaction_pack;
pub mod typed;
pub mod witness;
pub mod workload;
