//! Witnesses of packs that hold their whole pre-state.

use alloy_primitives::{Address, B256, U256, hex, keccak256};
use alloy_trie::proof::ProofRetainer;
use alloy_trie::{HashBuilder, Nibbles, TrieAccount};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// All nodes of the trie of these leaves, and its root.
fn trie(mut leaves: Vec<(B256, Vec<u8>)>, nodes: &mut BTreeSet<Vec<u8>>) -> B256 {
    leaves.sort_unstable();
    let targets = leaves.iter().map(|(key, _)| Nibbles::unpack(key)).collect();
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(targets));
    for (key, value) in &leaves {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    let root = builder.root();
    nodes.extend(builder.take_proof_nodes().into_inner().into_values().map(|node| node.to_vec()));
    root
}

pub fn word(value: &Value) -> U256 {
    match value {
        Value::Null => U256::ZERO,
        Value::Number(number) => U256::from(number.as_u64().expect("a number")),
        other => other.as_str().expect("text").parse().expect("a quantity"),
    }
}

/// The witness that holds a pack's whole pre-state.
pub fn witness(pack: &Value) -> Value {
    let mut nodes = BTreeSet::new();
    let mut codes = BTreeSet::new();
    let mut accounts = Vec::new();
    for (address, account) in pack["prestate"].as_object().expect("accounts") {
        if account["absent"] == true {
            continue;
        }
        let slots = account["storage"].as_object().into_iter().flatten().filter(|(_, value)| !word(value).is_zero());
        let slots = slots
            .map(|(key, value)| (keccak256(word(&json!(key)).to_be_bytes::<32>()), alloy_rlp::encode(word(value))));
        let code = hex::decode(account["code"].as_str().unwrap_or("0x")).expect("code");
        let leaf = TrieAccount {
            nonce: word(&account["nonce"]).to(),
            balance: word(&account["balance"]),
            storage_root: trie(slots.collect(), &mut nodes),
            code_hash: keccak256(&code),
        };
        codes.insert(code);
        let address: Address = address.parse().expect("an address");
        accounts.push((keccak256(address), alloy_rlp::encode(leaf)));
    }
    let root = trie(accounts, &mut nodes);
    let list = |items: BTreeSet<Vec<u8>>| items.iter().map(hex::encode_prefixed).collect::<Vec<_>>();
    json!({"state": list(nodes), "codes": list(codes), "keys": [], "headers": [], "preStateRoot": root})
}
