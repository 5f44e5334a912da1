//! Witnesses and proofs of packs that hold their whole pre-state.

// Each test uses its part.
#![allow(dead_code)]

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use alloy_trie::proof::ProofRetainer;
use alloy_trie::{HashBuilder, KECCAK_EMPTY, Nibbles, TrieAccount};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// All nodes of a trie by their paths.
type Nodes = BTreeMap<Nibbles, Bytes>;

/// All nodes of the trie of these leaves, and its root.
fn trie(mut leaves: Vec<(B256, Vec<u8>)>) -> (B256, Nodes) {
    leaves.sort_unstable();
    let targets = leaves.iter().map(|(key, _)| Nibbles::unpack(key)).collect();
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(targets));
    for (key, value) in &leaves {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    let root = builder.root();
    // The trie of nothing has a node that is no node of it.
    let nodes =
        if leaves.is_empty() { Nodes::new() } else { builder.take_proof_nodes().into_inner().into_iter().collect() };
    (root, nodes)
}

/// The nodes on the way to a key, whether it is there or not.
fn on_the_way(nodes: &Nodes, key: B256) -> Vec<String> {
    let path = Nibbles::unpack(key);
    nodes.iter().filter(|(place, _)| path.starts_with(place)).map(|(_, node)| hex::encode_prefixed(node)).collect()
}

pub fn word(value: &Value) -> U256 {
    match value {
        Value::Null => U256::ZERO,
        Value::Number(number) => U256::from(number.as_u64().expect("a number")),
        other => other.as_str().expect("text").parse().expect("a quantity"),
    }
}

/// The whole pre-state of a pack.
pub struct State {
    root: B256,
    nodes: Nodes,
    accounts: BTreeMap<Address, (TrieAccount, Nodes, BTreeMap<U256, U256>)>,
    codes: BTreeSet<Vec<u8>>,
}

impl State {
    pub fn of(pack: &Value) -> Self {
        let (mut accounts, mut codes) = (BTreeMap::new(), BTreeSet::new());
        for (address, account) in pack["prestate"].as_object().expect("accounts") {
            if account["absent"] == true {
                continue;
            }
            let slots = account["storage"].as_object().into_iter().flatten();
            let slots: BTreeMap<U256, U256> = slots
                .map(|(key, value)| (word(&json!(key)), word(value)))
                .filter(|(_, value)| !value.is_zero())
                .collect();
            let leaves =
                slots.iter().map(|(key, value)| (keccak256(key.to_be_bytes::<32>()), alloy_rlp::encode(value)));
            let (storage_root, nodes) = trie(leaves.collect());
            let code = hex::decode(account["code"].as_str().unwrap_or("0x")).expect("code");
            let leaf = TrieAccount {
                nonce: word(&account["nonce"]).to(),
                balance: word(&account["balance"]),
                storage_root,
                code_hash: keccak256(&code),
            };
            codes.insert(code);
            accounts.insert(address.parse().expect("an address"), (leaf, nodes, slots));
        }
        let leaves = accounts.iter().map(|(address, (leaf, ..))| (keccak256(address), alloy_rlp::encode(leaf)));
        let (root, nodes) = trie(leaves.collect());
        Self { root, nodes, accounts, codes }
    }

    /// All of it as a witness.
    pub fn witness(&self) -> Value {
        let storages = self.accounts.values().flat_map(|(_, nodes, _)| nodes.values());
        let nodes: BTreeSet<String> = self.nodes.values().chain(storages).map(hex::encode_prefixed).collect();
        let codes: Vec<String> = self.codes.iter().map(hex::encode_prefixed).collect();
        json!({"state": nodes, "codes": codes, "keys": [], "headers": [], "preStateRoot": self.root})
    }

    /// What `eth_getProof` answers.
    pub fn proof(&self, address: Address, keys: &[U256]) -> Value {
        let nobody = (TrieAccount { code_hash: KECCAK_EMPTY, ..TrieAccount::default() }, Nodes::new(), BTreeMap::new());
        let (account, nodes, slots) = self.accounts.get(&address).unwrap_or(&nobody);
        let slot = |key: &U256| {
            let value = slots.get(key).copied().unwrap_or_default();
            json!({"key": key, "value": value, "proof": on_the_way(nodes, keccak256(key.to_be_bytes::<32>()))})
        };
        json!({
            "address": address,
            "balance": account.balance,
            "nonce": format!("{:#x}", account.nonce),
            "codeHash": account.code_hash,
            "storageHash": account.storage_root,
            "accountProof": on_the_way(&self.nodes, keccak256(address)),
            "storageProof": keys.iter().map(slot).collect::<Vec<_>>(),
        })
    }
}

/// The witness that holds a pack's whole pre-state.
pub fn witness(pack: &Value) -> Value {
    State::of(pack).witness()
}
