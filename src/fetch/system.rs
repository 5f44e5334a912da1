//! The accounts that a block touches outside its transactions, read at the parent block.

use std::collections::BTreeMap;

use alloy_primitives::hex;
use isolane_spec::H160;
use isolane_spec::fork::Fork;
use serde_json::{Value, json};

use super::merge::{Account, PreState};
use crate::load::rpc::{Rpc, RpcError};

/// EIP-4788.
const BEACON_ROOTS: &str = "0x000f3df6d732807ef1319fb7b8bb8522d0beac02";
/// EIP-2935.
const HISTORY_STORAGE: &str = "0x0000f90827f1c53a10cb7a02335b175320002935";
/// EIP-7002, and the number of slots of one request in its queue.
const WITHDRAWAL_REQUESTS: (&str, u64) = ("0x00000961ef480eb55e80d19ad83579a64c007002", 3);
/// EIP-7251, and the number of slots of one request in its queue.
const CONSOLIDATION_REQUESTS: (&str, u64) = ("0x0000bbddc7ce488642fb579f8b00f3a590007251", 4);
/// Length of the ring buffers of EIP-4788 and EIP-2935.
pub const HISTORY_BUFFER_LENGTH: u64 = 8191;
/// The contracts above.
pub const SYSTEM_CONTRACTS: [H160; 4] = [
    H160(hex!("000f3df6d732807ef1319fb7b8bb8522d0beac02")),
    H160(hex!("0000f90827f1c53a10cb7a02335b175320002935")),
    H160(hex!("00000961ef480eb55e80d19ad83579a64c007002")),
    H160(hex!("0000bbddc7ce488642fb579f8b00f3a590007251")),
];
/// Most requests that EIP-7002 dequeues in a block; EIP-7251 dequeues fewer.
const MOST_REQUESTS: u64 = 16;

/// Reads the system contracts that the fork calls, with the slots their calls in this block read and write.
pub fn read_system_contracts(
    rpc: &Rpc,
    state: &mut PreState,
    fork: Fork,
    number: u64,
    timestamp: u64,
) -> Result<(), RpcError> {
    let parent = number.saturating_sub(1);
    if fork >= Fork::Cancun {
        let index = timestamp % HISTORY_BUFFER_LENGTH;
        let slots = [slot(index), slot(index + HISTORY_BUFFER_LENGTH)];
        state.insert(BEACON_ROOTS, read_account(rpc, BEACON_ROOTS, parent, &slots)?);
    }
    if fork >= Fork::Prague {
        let slots = [slot(parent % HISTORY_BUFFER_LENGTH)];
        state.insert(HISTORY_STORAGE, read_account(rpc, HISTORY_STORAGE, parent, &slots)?);
        for (address, size) in [WITHDRAWAL_REQUESTS, CONSOLIDATION_REQUESTS] {
            // Slots 0 to 3: excess, count, head and tail of the queue; the queue begins at slot 4.
            const HEAD: u64 = 2;
            let mut account = read_account(rpc, address, parent, &[slot(0), slot(1), slot(HEAD), slot(3)])?;
            let head = account
                .storage
                .get(&slot(HEAD))
                .and_then(|head| u64::from_str_radix(head.trim_start_matches("0x"), 16).ok());
            let first = head.unwrap_or_default().saturating_mul(size).saturating_add(4);
            let queue: Vec<String> = (first..first.saturating_add(MOST_REQUESTS * size)).map(slot).collect();
            account.storage.extend(read_slots(rpc, address, parent, &queue)?);
            state.insert(address, account);
        }
    }
    Ok(())
}

/// Reads an account and some of its slots after block `number`.
pub fn read_account(rpc: &Rpc, address: &str, number: u64, slots: &[String]) -> Result<Account, RpcError> {
    let tag = format!("{number:#x}");
    let text = |method: &str| -> Result<String, RpcError> {
        let value = rpc.call(method, json!([address, tag]))?;
        hex_string(method, &value)
    };
    let count = "eth_getTransactionCount";
    let nonce = text(count)?;
    let nonce = u64::from_str_radix(nonce.trim_start_matches("0x"), 16)
        .map_err(|_| RpcError::Malformed { method: count.to_owned(), reason: format!("{nonce:?} is no nonce") })?;
    Ok(Account {
        balance: Some(text("eth_getBalance")?),
        nonce: Some(nonce),
        code: Some(text("eth_getCode")?),
        storage: read_slots(rpc, address, number, slots)?,
    })
}

fn read_slots(rpc: &Rpc, address: &str, number: u64, slots: &[String]) -> Result<BTreeMap<String, String>, RpcError> {
    const METHOD: &str = "eth_getStorageAt";
    let params: Vec<Value> = slots.iter().map(|slot| json!([address, slot, format!("{number:#x}")])).collect();
    let values = rpc.call_many(METHOD, &params)?;
    let pair = |(slot, value): (&String, Value)| Ok((slot.clone(), hex_string(METHOD, &value)?));
    slots.iter().zip(values).map(pair).collect()
}

fn hex_string(method: &str, value: &Value) -> Result<String, RpcError> {
    match value.as_str() {
        Some(text) if text.starts_with("0x") => Ok(text.to_owned()),
        _ => Err(RpcError::Malformed { method: method.to_owned(), reason: format!("expected hex, got {value}") }),
    }
}

fn slot(index: u64) -> String {
    format!("{index:#066x}")
}
