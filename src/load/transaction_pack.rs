//! Single-transaction packs (`evm-tx-replay/1`): a transaction, the state it starts from and what it should come to.

use super::json_rpc::{ForkName, RpcAccount, RpcLog, RpcPrestate, RpcTransaction};
use super::typed::{Entries, Hex};
use isolane_spec::{Bytes, H160, H256, U256};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The value of `format`.
pub const FORMAT: &str = "evm-tx-replay/1";

/// A single-transaction pack as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a transaction pack object")]
pub struct TransactionPack {
    /// [`FORMAT`].
    pub format: String,
    /// EIP-155 chain id.
    pub chain_id: Hex<u64>,
    /// The fork to execute with.
    pub fork: ForkName,
    /// The block around the transaction.
    pub block: PackedBlock,
    /// The transaction.
    pub transaction: RpcTransaction,
    /// Its signed bytes.
    pub raw_transaction: Option<Hex<Bytes>>,
    /// The state before it.
    pub prestate: RpcPrestate,
    /// What it changed.
    pub poststate: Option<Entries<H160, RpcAccount>>,
    /// What it showed.
    pub expected: Expected,
    /// Ancestors' hashes by number.
    #[serde(default)]
    pub block_hashes: Entries<u64, Hex<H256>>,
    /// The chain's configuration, for its blob parameters.
    #[serde(default)]
    pub chain_config: ChainConfig,
}

/// The header fields that an execution can see.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a block object")]
pub struct PackedBlock {
    /// NUMBER.
    pub number: Hex<u64>,
    /// TIMESTAMP.
    pub timestamp: Hex<u64>,
    /// COINBASE.
    pub miner: Hex<H160>,
    /// GASLIMIT.
    pub gas_limit: Hex<u64>,
    /// DIFFICULTY.
    pub difficulty: Hex<U256>,
    /// BASEFEE.
    pub base_fee_per_gas: Option<Hex<U256>>,
    /// What the price of blob gas follows from.
    pub excess_blob_gas: Option<Hex<u64>>,
    /// PREVRANDAO.
    pub mix_hash: Option<Hex<H256>>,
}

/// What the source's execution showed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object of expected results")]
pub struct Expected {
    /// Gas used.
    pub gas_used: Hex<u64>,
    /// 1 or 0.
    pub status: Hex<u64>,
    /// Return or revert data; the deployed code of a creation.
    pub return_data: Hex<Bytes>,
    /// `revert`, or the reason of an exceptional halt.
    pub halt: Option<String>,
    /// Logs.
    pub logs: Vec<RpcLog>,
}

/// The part of a chain's configuration that matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a chain configuration")]
pub struct ChainConfig {
    /// Blob parameters by fork name.
    #[serde(default)]
    pub blob_schedule: BTreeMap<String, BlobParameters>,
}

/// Blob parameters (EIP-7840).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "blob parameters")]
pub struct BlobParameters {
    /// Blobs a block aims at.
    pub target: u64,
    /// Blobs a block may hold.
    pub max: u64,
    /// How slowly the price moves.
    pub base_fee_update_fraction: u64,
}
