//! Transactions as JSON-RPC writes them.

use crate::load::transaction::SignedTransaction;
use alloy_consensus::Header;
use isolane_spec::{H256, TransactionType, U256, word};
use serde_json::{Value, json};

fn number(number: impl std::fmt::LowerHex) -> Value {
    json!(format!("{number:#x}"))
}

/// A transaction of a block.
#[must_use]
pub fn transaction(signed: &SignedTransaction, header: &Header, block: H256, index: usize) -> Value {
    let (tx, signature) = (&signed.transaction, &signed.signature);
    let base_fee = U256::from(header.base_fee_per_gas.unwrap_or_default());
    let kind = tx.transaction_type;
    let price = if kind >= TransactionType::DynamicFee {
        tx.max_fee_per_gas.min(base_fee.saturating_add(tx.max_priority_fee_per_gas))
    } else {
        tx.max_fee_per_gas
    };
    let mut json = json!({
        "blockHash": format!("{block:?}"),
        "blockNumber": number(header.number),
        "transactionIndex": number(index),
        "hash": format!("{:?}", signed.hash),
        "type": number(kind as u8),
        "nonce": number(tx.nonce),
        "from": format!("{:?}", tx.sender),
        "to": tx.to.map(|to| format!("{to:?}")),
        "value": number(tx.value),
        "gas": number(tx.gas_limit),
        "gasPrice": number(price),
        "input": format!("0x{}", hex::encode(&tx.input)),
        "chainId": number(tx.chain_id.unwrap_or_default()),
        "v": number(u8::from(signature.odd_y)),
        "r": number(signature.r),
        "s": number(signature.s),
    });
    if kind != TransactionType::Legacy {
        json["yParity"] = number(u8::from(signature.odd_y));
        let item = |item: &isolane_spec::AccessListItem| {
            let keys: Vec<String> = item.storage_keys.iter().map(|key| format!("{:?}", word::to_hash(key))).collect();
            json!({"address": format!("{:?}", item.address), "storageKeys": keys})
        };
        json["accessList"] = tx.access_list.iter().map(item).collect();
    }
    if kind >= TransactionType::DynamicFee {
        json["maxFeePerGas"] = number(tx.max_fee_per_gas);
        json["maxPriorityFeePerGas"] = number(tx.max_priority_fee_per_gas);
    }
    if kind == TransactionType::Blob {
        json["maxFeePerBlobGas"] = number(tx.max_fee_per_blob_gas);
        json["blobVersionedHashes"] = tx.blob_versioned_hashes.iter().map(|hash| json!(format!("{hash:?}"))).collect();
    }
    if kind == TransactionType::SetCode {
        let one = |one: &isolane_spec::Authorization| {
            json!({
                "chainId": number(one.chain_id), "address": format!("{:?}", one.address), "nonce": number(one.nonce),
                "yParity": number(one.y_parity), "r": number(one.r), "s": number(one.s),
            })
        };
        json["authorizationList"] = tx.authorization_list.iter().map(one).collect();
    }
    json
}
