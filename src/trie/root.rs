//! Roots of states that are wholly in memory.

use super::H256;
use crate::convert::{from_b256, keccak, to_address, to_b256, to_word};
use alloy_rlp::{Encodable, Header};
use alloy_trie::{HashBuilder, Nibbles};
use hashbrown::HashMap;
use isolane_spec::{AccountInfo, MemoryAccount, MemoryState, U256};
use rayon::prelude::*;

/// Below this many accounts or slots, threads cost more than they save.
const PARALLEL: usize = 256;

/// The value of an account in the state trie.
pub(super) fn account_into(info: &AccountInfo, storage_root: H256, out: &mut Vec<u8>) {
    let balance = to_word(info.balance);
    let payload_length = info.nonce.length() + balance.length() + 33 + 33;
    Header { list: true, payload_length }.encode(out);
    info.nonce.encode(out);
    balance.encode(out);
    to_b256(storage_root).encode(out);
    to_b256(info.code_hash).encode(out);
}

/// The value of a slot in a storage trie.
pub(super) fn slot_value(value: U256) -> Vec<u8> {
    alloy_rlp::encode(to_word(value))
}

/// The root of an account's storage; zero slots are absent.
#[must_use]
pub fn storage_root<S>(storage: &HashMap<U256, U256, S>) -> H256 {
    if storage.is_empty() {
        return super::EMPTY_ROOT;
    }
    let hashed = |(key, value): (&U256, &U256)| {
        let filled = !value.is_zero();
        filled.then(|| (keccak(key.to_big_endian()), *value))
    };
    let mut slots: Vec<_> = if storage.len() < PARALLEL {
        storage.iter().filter_map(hashed).collect()
    } else {
        let all: Vec<_> = storage.iter().collect();
        all.into_par_iter().filter_map(hashed).collect()
    };
    slots.sort_unstable_by_key(|(hash, _)| *hash);
    let mut builder = HashBuilder::default();
    for (hash, value) in slots {
        builder.add_leaf_unchecked(Nibbles::unpack_array(&hash.0), &slot_value(value));
    }
    from_b256(builder.root())
}

/// The root of a state: a trie of all accounts by the hash of their address.
#[must_use]
pub fn state_root(state: &MemoryState) -> H256 {
    let leaf = |(address, account): (&isolane_spec::H160, &MemoryAccount)| {
        let mut value = Vec::with_capacity(112);
        account_into(&account.info, storage_root(&account.storage), &mut value);
        (keccak(to_address(*address)), value)
    };
    let slots: usize = state.accounts.values().map(|account| account.storage.len() + 1).sum();
    let mut leaves: Vec<_> = if slots < PARALLEL {
        state.accounts.iter().map(leaf).collect()
    } else {
        let all: Vec<_> = state.accounts.iter().collect();
        all.into_par_iter().map(leaf).collect()
    };
    leaves.sort_unstable_by_key(|(hash, _)| *hash);
    let mut builder = HashBuilder::default();
    for (hash, value) in leaves {
        builder.add_leaf_unchecked(Nibbles::unpack_array(&hash.0), &value);
    }
    from_b256(builder.root())
}
