//! [`SignedTransaction`] to consensus bytes, and the message that was signed.

use super::{Signature, SignedTransaction};
use crate::convert::{keccak, to_address, to_b256, to_word};
use alloy_rlp::{EMPTY_STRING_CODE, Encodable, Header};
use isolane_spec::{AccessListItem, Authorization, Bytes, H256, Transaction, TransactionType, U256};

/// Wraps the encoded items of a list in its header.
pub(crate) fn list_into(payload: &[u8], out: &mut Vec<u8>) {
    Header { list: true, payload_length: payload.len() }.encode(out);
    out.extend_from_slice(payload);
}

pub(crate) fn word_into(word: U256, out: &mut Vec<u8>) {
    to_word(word).encode(out);
}

pub(super) fn sign(transaction: Transaction, signature: Signature) -> SignedTransaction {
    let mut payload = Vec::with_capacity(256 + transaction.input.len());
    fields_into(&transaction, &mut payload);
    let length = payload.len();
    let odd = u64::from(signature.odd_y);
    match (transaction.transaction_type, transaction.chain_id) {
        (TransactionType::Legacy, None) => (27 + odd).encode(&mut payload),
        (TransactionType::Legacy, Some(chain_id)) => {
            word_into(U256::from(chain_id) * 2 + U256::from(35 + odd), &mut payload);
        }
        _ => odd.encode(&mut payload),
    }
    word_into(signature.r, &mut payload);
    word_into(signature.s, &mut payload);

    let mut encoded = Vec::with_capacity(payload.len() + 10);
    if transaction.transaction_type != TransactionType::Legacy {
        encoded.push(transaction.transaction_type as u8);
    }
    list_into(&payload, &mut encoded);
    let start = encoded.len() - payload.len();
    let encoded = Bytes::from(encoded);
    let hash = keccak(&encoded);
    SignedTransaction { transaction, signature, hash, encoded, signed: start..start + length }
}

pub(super) fn signing_hash(signed: &SignedTransaction) -> H256 {
    let transaction = &signed.transaction;
    let fields = signed.encoded.get(signed.signed.clone()).unwrap_or_default();
    let mut suffix = Vec::new();
    let mut message = Vec::with_capacity(fields.len() + 24);
    if transaction.transaction_type != TransactionType::Legacy {
        message.push(transaction.transaction_type as u8);
    } else if let Some(chain_id) = transaction.chain_id {
        chain_id.encode(&mut suffix);
        suffix.extend_from_slice(&[EMPTY_STRING_CODE, EMPTY_STRING_CODE]);
    }
    Header { list: true, payload_length: fields.len() + suffix.len() }.encode(&mut message);
    message.extend_from_slice(fields);
    message.extend_from_slice(&suffix);
    keccak(message)
}

fn fields_into(transaction: &Transaction, out: &mut Vec<u8>) {
    let kind = transaction.transaction_type;
    if kind != TransactionType::Legacy {
        transaction.chain_id.unwrap_or_default().encode(out);
    }
    transaction.nonce.encode(out);
    if matches!(kind, TransactionType::DynamicFee | TransactionType::Blob | TransactionType::SetCode) {
        word_into(transaction.max_priority_fee_per_gas, out);
    }
    word_into(transaction.max_fee_per_gas, out);
    transaction.gas_limit.encode(out);
    match transaction.to {
        Some(address) => to_address(address).encode(out),
        None => out.push(EMPTY_STRING_CODE),
    }
    word_into(transaction.value, out);
    transaction.input.as_ref().encode(out);
    if kind == TransactionType::Legacy {
        return;
    }
    list_of(&transaction.access_list, out, access_list_item_into);
    if kind == TransactionType::Blob {
        word_into(transaction.max_fee_per_blob_gas, out);
        list_of(&transaction.blob_versioned_hashes, out, |hash, out| to_b256(*hash).encode(out));
    }
    if kind == TransactionType::SetCode {
        list_of(&transaction.authorization_list, out, authorization_into);
    }
}

fn list_of<T>(items: &[T], out: &mut Vec<u8>, encode: impl Fn(&T, &mut Vec<u8>)) {
    let mut payload = Vec::new();
    for item in items {
        encode(item, &mut payload);
    }
    list_into(&payload, out);
}

fn access_list_item_into(item: &AccessListItem, out: &mut Vec<u8>) {
    let mut payload = Vec::with_capacity(24 + item.storage_keys.len() * 33);
    to_address(item.address).encode(&mut payload);
    list_of(&item.storage_keys, &mut payload, |key, out| key.to_big_endian().encode(out));
    list_into(&payload, out);
}

fn authorization_into(item: &Authorization, out: &mut Vec<u8>) {
    let mut payload = Vec::with_capacity(128);
    word_into(item.chain_id, &mut payload);
    to_address(item.address).encode(&mut payload);
    item.nonce.encode(&mut payload);
    for word in [item.y_parity, item.r, item.s] {
        word_into(word, &mut payload);
    }
    list_into(&payload, out);
}
