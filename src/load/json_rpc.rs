//! The objects of Ethereum's JSON-RPC, as `eth_getBlockByNumber`, `eth_getBlockReceipts` and the prestate tracer write
//! them. Keys that nothing here needs (`totalDifficulty`, `size`, …) are skipped.

use super::typed::{Entries, Hex};
use alloy_primitives::{B64, B256, Bloom};
use isolane_spec::{AccessListItem, Authorization, Bytes, H160, H256, U256};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A block with its full transactions.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a block object")]
pub struct RpcBlock {
    /// The hash that the source gives.
    pub hash: Hex<H256>,
    /// Header field.
    pub parent_hash: Hex<H256>,
    /// Header field.
    pub sha3_uncles: Hex<H256>,
    /// Header field.
    pub miner: Hex<H160>,
    /// Header field.
    pub state_root: Hex<H256>,
    /// Header field.
    pub transactions_root: Hex<H256>,
    /// Header field.
    pub receipts_root: Hex<H256>,
    /// Header field.
    pub logs_bloom: Hex<[u8; 256]>,
    /// Header field.
    pub difficulty: Hex<U256>,
    /// Header field.
    pub number: Hex<u64>,
    /// Header field.
    pub gas_limit: Hex<u64>,
    /// Header field.
    pub gas_used: Hex<u64>,
    /// Header field.
    pub timestamp: Hex<u64>,
    /// Header field.
    pub extra_data: Hex<Bytes>,
    /// Header field.
    pub mix_hash: Hex<H256>,
    /// Header field.
    pub nonce: Hex<[u8; 8]>,
    /// Header field from London on.
    pub base_fee_per_gas: Option<Hex<u64>>,
    /// Header field from Shanghai on.
    pub withdrawals_root: Option<Hex<H256>>,
    /// Header field from Cancun on.
    pub blob_gas_used: Option<Hex<u64>>,
    /// Header field from Cancun on.
    pub excess_blob_gas: Option<Hex<u64>>,
    /// Header field from Cancun on.
    pub parent_beacon_block_root: Option<Hex<H256>>,
    /// Header field from Prague on.
    pub requests_hash: Option<Hex<H256>>,
    /// Total difficulty up to and including this block, where the node still tells.
    pub total_difficulty: Option<Hex<U256>>,
    /// The transactions, in order; empty in an ommer's object, which lists none.
    #[serde(default)]
    pub transactions: Vec<RpcTransaction>,
    /// The withdrawals, from Shanghai on.
    pub withdrawals: Option<Vec<RpcWithdrawal>>,
    /// The hashes of the ommers.
    #[serde(default)]
    pub uncles: Vec<Hex<H256>>,
}

impl RpcBlock {
    /// The header.
    #[must_use]
    pub fn header(&self) -> alloy_consensus::Header {
        alloy_consensus::Header {
            parent_hash: B256::new(self.parent_hash.0.0),
            ommers_hash: B256::new(self.sha3_uncles.0.0),
            beneficiary: self.miner.0.0.into(),
            state_root: B256::new(self.state_root.0.0),
            transactions_root: B256::new(self.transactions_root.0.0),
            receipts_root: B256::new(self.receipts_root.0.0),
            logs_bloom: Bloom::new(self.logs_bloom.0),
            difficulty: alloy_primitives::U256::from_limbs(self.difficulty.0.0),
            number: self.number.0,
            gas_limit: self.gas_limit.0,
            gas_used: self.gas_used.0,
            timestamp: self.timestamp.0,
            extra_data: alloy_primitives::Bytes(self.extra_data.0.clone()),
            mix_hash: B256::new(self.mix_hash.0.0),
            nonce: B64::new(self.nonce.0),
            base_fee_per_gas: self.base_fee_per_gas.map(|fee| fee.0),
            withdrawals_root: self.withdrawals_root.map(|root| B256::new(root.0.0)),
            blob_gas_used: self.blob_gas_used.map(|gas| gas.0),
            excess_blob_gas: self.excess_blob_gas.map(|gas| gas.0),
            parent_beacon_block_root: self.parent_beacon_block_root.map(|root| B256::new(root.0.0)),
            requests_hash: self.requests_hash.map(|hash| B256::new(hash.0.0)),
            ..Default::default()
        }
    }
}

/// A transaction of any type.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a full transaction object (eth_getBlockByNumber with true)")]
pub struct RpcTransaction {
    /// The envelope type; absent = 0.
    #[serde(rename = "type")]
    pub transaction_type: Option<Hex<u64>>,
    /// The hash that the source gives.
    pub hash: Hex<H256>,
    /// The sender that the source gives.
    pub from: Hex<H160>,
    /// Nonce.
    pub nonce: Hex<u64>,
    /// Gas limit.
    pub gas: Hex<u64>,
    /// Signed in types 0 and 1; the effective price in the others.
    pub gas_price: Option<Hex<U256>>,
    /// From type 2 on.
    pub max_fee_per_gas: Option<Hex<U256>>,
    /// From type 2 on.
    pub max_priority_fee_per_gas: Option<Hex<U256>>,
    /// Type 3.
    pub max_fee_per_blob_gas: Option<Hex<U256>>,
    /// The callee.
    pub to: Option<Hex<H160>>,
    /// Wei sent along.
    pub value: Hex<U256>,
    /// Call data or initcode.
    #[serde(alias = "data")]
    pub input: Hex<Bytes>,
    /// From type 1 on; in type 0 where the signature names it.
    pub chain_id: Option<Hex<u64>>,
    /// From type 1 on.
    pub access_list: Option<Vec<RpcAccessListItem>>,
    /// Type 3.
    pub blob_versioned_hashes: Option<Vec<Hex<H256>>>,
    /// Type 4.
    pub authorization_list: Option<Vec<RpcAuthorization>>,
    /// Signature.
    pub r: Hex<U256>,
    /// Signature.
    pub s: Hex<U256>,
    /// Signature: parity, plus 27 or EIP-155's offset in type 0.
    pub v: Option<Hex<u64>>,
    /// Signature: parity, from type 1 on.
    pub y_parity: Option<Hex<u64>>,
    /// Its place in the block.
    pub transaction_index: Option<Hex<u64>>,
}

/// An entry of an access list.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an access list entry")]
pub struct RpcAccessListItem {
    /// The account.
    pub address: Hex<H160>,
    /// Its slots.
    pub storage_keys: Vec<Hex<H256>>,
}

impl From<&RpcAccessListItem> for AccessListItem {
    fn from(item: &RpcAccessListItem) -> Self {
        let key = |key: &Hex<H256>| U256::from_big_endian(key.0.as_bytes());
        Self { address: item.address.0, storage_keys: item.storage_keys.iter().map(key).collect() }
    }
}

/// A delegation of a set-code transaction.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an authorization")]
pub struct RpcAuthorization {
    /// The chain it holds for.
    pub chain_id: Hex<U256>,
    /// The account whose code is delegated to.
    pub address: Hex<H160>,
    /// The nonce that the authority must have.
    pub nonce: Hex<u64>,
    /// Parity.
    #[serde(alias = "v")]
    pub y_parity: Hex<U256>,
    /// Signature.
    pub r: Hex<U256>,
    /// Signature.
    pub s: Hex<U256>,
}

impl From<&RpcAuthorization> for Authorization {
    fn from(rpc: &RpcAuthorization) -> Self {
        Self {
            chain_id: rpc.chain_id.0,
            address: rpc.address.0,
            nonce: rpc.nonce.0,
            y_parity: rpc.y_parity.0,
            r: rpc.r.0,
            s: rpc.s.0,
        }
    }
}

/// A withdrawal.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a withdrawal")]
pub struct RpcWithdrawal {
    /// Its number over all blocks.
    pub index: Hex<u64>,
    /// The validator.
    pub validator_index: Hex<u64>,
    /// Who gets it.
    pub address: Hex<H160>,
    /// In gwei.
    pub amount: Hex<u64>,
}

/// A receipt.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a receipt")]
pub struct RpcReceipt {
    /// The envelope type; absent = 0.
    #[serde(rename = "type")]
    pub transaction_type: Option<Hex<u64>>,
    /// Hash of its transaction.
    pub transaction_hash: Option<Hex<H256>>,
    /// Place of its transaction in the block.
    pub transaction_index: Option<Hex<u64>>,
    /// Hash of the block.
    pub block_hash: Option<Hex<H256>>,
    /// Number of the block.
    pub block_number: Option<Hex<u64>>,
    /// Sender.
    pub from: Option<Hex<H160>>,
    /// Callee.
    pub to: Option<Hex<H160>>,
    /// 1 or 0, from Byzantium on.
    pub status: Option<Hex<u64>>,
    /// State root after the transaction, before Byzantium.
    pub root: Option<Hex<H256>>,
    /// Gas of the block so far.
    pub cumulative_gas_used: Hex<u64>,
    /// Gas of this transaction.
    pub gas_used: Option<Hex<u64>>,
    /// The contract that it created.
    pub contract_address: Option<Hex<H160>>,
    /// What it paid per gas.
    pub effective_gas_price: Option<Hex<U256>>,
    /// Bloom filter of its logs.
    pub logs_bloom: Option<Hex<[u8; 256]>>,
    /// Its logs.
    pub logs: Vec<RpcLog>,
}

/// A log record.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a log")]
pub struct RpcLog {
    /// The account that logged.
    pub address: Hex<H160>,
    /// Up to four.
    pub topics: Vec<Hex<H256>>,
    /// Data.
    pub data: Hex<Bytes>,
    /// Its place in the block.
    pub log_index: Option<Hex<u64>>,
}

/// An account as the prestate tracer writes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an account object")]
pub struct RpcAccount {
    /// In wei; absent = 0, or unchanged.
    pub balance: Option<Hex<U256>>,
    /// Absent = 0, or unchanged.
    pub nonce: Option<Hex<u64>>,
    /// Absent = none, or unchanged.
    pub code: Option<Hex<Bytes>>,
    /// Hash of a code that is not here (or of [`RpcAccount::code`]).
    pub code_hash: Option<Hex<H256>>,
    /// Slots.
    #[serde(default)]
    pub storage: Entries<U256, Hex<U256>>,
    /// The account is known not to exist.
    #[serde(default)]
    pub absent: bool,
    /// The account ceased to exist.
    #[serde(default)]
    pub deleted: bool,
}

/// The accounts before a block: one object, or the tracer's list of one object a transaction, merged (of each field and
/// slot the first occurrence counts).
#[derive(Clone, Debug, Default)]
pub struct RpcPrestate(pub Vec<(H160, RpcAccount)>);

impl RpcPrestate {
    fn merge(lists: Vec<Entries<H160, RpcAccount>>) -> Self {
        let mut merged: Vec<(H160, RpcAccount)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for (address, account) in lists.into_iter().flat_map(|list| list.0) {
            let Some(place) = places.get(&address).copied() else {
                places.insert(address, merged.len());
                merged.push((address, account));
                continue;
            };
            // The first occurrence fixes balance, nonce and code; later ones only add slots that were not yet named.
            let Some((_, first)) = merged.get_mut::<usize>(place) else { continue };
            let named: std::collections::HashSet<U256> = first.storage.0.iter().map(|(key, _)| *key).collect();
            first.storage.0.extend(account.storage.0.into_iter().filter(|(key, _)| !named.contains(key)));
        }
        Self(merged)
    }
}

impl<'de> Deserialize<'de> for RpcPrestate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", expecting = "{txHash, result} of debug_traceBlockByNumber")]
        struct Traced {
            result: Entries<H160, RpcAccount>,
        }
        impl<'de> Visitor<'de> for Either {
            type Value = RpcPrestate;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of accounts or a list of {txHash, result}")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                super::typed::entries(&mut map).map(RpcPrestate)
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut lists = Vec::new();
                while let Some(traced) = seq.next_element::<Traced>()? {
                    lists.push(traced.result);
                }
                Ok(RpcPrestate::merge(lists))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A fork name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkName(pub isolane_spec::Fork);

impl<'de> Deserialize<'de> for ForkName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = ForkName;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a fork")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<ForkName, E> {
                text.parse().map(ForkName).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::typed::parse;

    const A: &str = "0x00000000000000000000000000000000000000aa";
    const B: &str = "0x00000000000000000000000000000000000000bb";

    #[test]
    fn a_list_of_traces_is_merged_by_first_occurrence() {
        let text = format!(
            r#"[{{"txHash":"0x1","result":{{"{A}":{{"balance":"0x5","nonce":1,"storage":{{"0x01":"0x1"}}}}}}}},
                {{"txHash":"0x2","result":{{"{A}":{{"balance":"0x4","nonce":2,"storage":{{"0x01":"0x9","0x02":"0x2"}}}},
                "{B}":{{"balance":"0x7"}}}}}}]"#
        );
        let merged: RpcPrestate = parse(text.as_bytes()).expect("a list");
        let [(_, first), (_, second)] = &merged.0[..] else { panic!("two accounts: {merged:?}") };
        assert_eq!((first.balance, first.nonce), (Some(Hex(5.into())), Some(Hex(1))));
        let slots: Vec<(U256, U256)> = first.storage.0.iter().map(|(key, value)| (*key, value.0)).collect();
        assert_eq!(slots, [(1.into(), 1.into()), (2.into(), 2.into())]);
        assert_eq!(second.balance, Some(Hex(7.into())));
    }

    #[test]
    fn keys_that_occur_twice_are_refused() {
        let shouted = A.replace("aa", "AA");
        for text in [
            format!(r#"{{"{A}":{{}},"{A}":{{}}}}"#),
            format!(r#"{{"{A}":{{}},"{shouted}":{{}}}}"#),
            format!(r#"{{"{A}":{{"balance":"0x1","balance":"0x2"}}}}"#),
            format!(r#"{{"{A}":{{"storage":{{"0x1":"0x1","0x01":"0x1"}}}}}}"#),
        ] {
            let error = parse::<RpcPrestate>(text.as_bytes()).expect_err(&text).to_string();
            assert!(error.contains("twice") || error.contains("duplicate field `balance`"), "{error}");
            assert!(error.contains("offset"), "{error}");
        }
    }
}
