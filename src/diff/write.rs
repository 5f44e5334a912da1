//! Writes a case as a state test in the standard format, which geth, revm, evmone and `isolane test` run.

use super::case::Case;
use super::generate::secret_key_of;
use super::run::Executed;
use crate::block::{logs_hash, transaction_exception_names};
use crate::trie::state_root;
use isolane_spec::{Authorization, BlobSchedule, Fork, MemoryState, Status, Transaction, TransactionType, U256};
use serde_json::{Map, Value, json};

/// The fixtures' name of a fork. A fork that changes no rule of execution goes by the one before it.
#[must_use]
pub const fn fork_name(fork: Fork) -> &'static str {
    match fork {
        Fork::Dao => "Homestead",
        Fork::TangerineWhistle => "EIP150",
        Fork::SpuriousDragon => "EIP158",
        Fork::Petersburg => "ConstantinopleFix",
        Fork::MuirGlacier => "Istanbul",
        Fork::ArrowGlacier | Fork::GrayGlacier => "London",
        other => other.name(),
    }
}

/// A quantity.
fn quantity(value: impl Into<U256>) -> Value {
    Value::String(format!("{:#x}", value.into()))
}

fn bytes(data: &[u8]) -> Value {
    Value::String(format!("0x{}", hex::encode(data)))
}

/// A state test of a case with one transaction. `expected` is what it comes to on the implementation that the test
/// trusts; `comment` says where it comes from. `None` where the case has no such form: it has several transactions, or
/// permissions or a budget, or that implementation failed.
#[must_use]
pub fn state_test(name: &str, comment: &str, case: &Case, expected: &Executed) -> Option<Value> {
    let [transaction] = case.transactions.as_slice() else { return None };
    if case.setting.restriction.is_some() {
        return None;
    }
    let outcome = expected.as_ref().ok()?;
    let mut post = case.state.as_ref().clone();
    post.apply(&outcome.diff);
    let mut entry = json!({
        "hash": bytes(&state_root(&post).0),
        "logs": bytes(&logs_hash(&outcome.logs).0),
        "indexes": { "data": 0, "gas": 0, "value": 0 },
    });
    if let Status::Rejected(reason) = &outcome.status {
        let names = transaction_exception_names(reason);
        let name = names.iter().find(|name| name.starts_with("TransactionException")).or(names.first())?;
        entry["expectException"] = json!(name);
    }
    let fork = fork_name(case.rules.fork);
    let mut config = json!({ "chainid": quantity(case.rules.chain_id) });
    if BlobSchedule::of(case.rules.fork).is_some() {
        let schedule = &case.rules.blob_schedule;
        config["blobSchedule"] = json!({ fork: {
            "target": quantity(schedule.target),
            "max": quantity(schedule.max),
            "baseFeeUpdateFraction": quantity(schedule.base_fee_update_fraction),
        }});
    }
    Some(json!({ name: {
        "_info": { "comment": comment },
        "config": config,
        "env": env(case),
        "pre": pre(&case.state),
        "transaction": transaction_json(transaction),
        "post": { fork: [entry] },
    }}))
}

fn env(case: &Case) -> Value {
    let block = &case.block;
    let mut env = json!({
        "currentCoinbase": bytes(&block.coinbase.0),
        "currentGasLimit": quantity(block.gas_limit),
        "currentNumber": quantity(block.number),
        "currentTimestamp": quantity(block.timestamp),
        "currentDifficulty": quantity(block.difficulty),
        "currentRandom": bytes(&block.prev_randao.0),
        "currentBaseFee": quantity(block.base_fee),
        "currentExcessBlobGas": quantity(case.excess_blob_gas),
    });
    if case.rules.fork >= Fork::Amsterdam {
        env["slotNumber"] = quantity(block.slot_number);
    }
    env
}

fn pre(state: &MemoryState) -> Value {
    let mut accounts = Map::new();
    let mut addresses: Vec<_> = state.accounts.keys().collect();
    addresses.sort_unstable();
    for address in addresses {
        let Some(account) = state.accounts.get(address) else { continue };
        let code = state.codes.get(&account.info.code_hash).cloned().unwrap_or_default();
        let mut slots: Vec<_> = account.storage.iter().collect();
        slots.sort_unstable();
        let storage: Map<String, Value> =
            slots.into_iter().map(|(key, value)| (format!("{key:#x}"), quantity(*value))).collect();
        accounts.insert(
            format!("{address:?}"),
            json!({
                "nonce": quantity(account.info.nonce),
                "balance": quantity(account.info.balance),
                "code": bytes(&code),
                "storage": storage,
            }),
        );
    }
    Value::Object(accounts)
}

fn transaction_json(transaction: &Transaction) -> Value {
    let kind = transaction.transaction_type;
    let mut json = json!({
        "nonce": quantity(transaction.nonce),
        "sender": bytes(&transaction.sender.0),
        "to": transaction.to.map_or(json!(""), |to| bytes(&to.0)),
        "data": [bytes(&transaction.input)],
        "gasLimit": [quantity(transaction.gas_limit)],
        "value": [quantity(transaction.value)],
    });
    if let Some(key) = secret_key_of(transaction.sender) {
        json["secretKey"] = bytes(&key.0);
    }
    if kind < TransactionType::DynamicFee {
        json["gasPrice"] = quantity(transaction.max_fee_per_gas);
    } else {
        json["maxFeePerGas"] = quantity(transaction.max_fee_per_gas);
        json["maxPriorityFeePerGas"] = quantity(transaction.max_priority_fee_per_gas);
    }
    if kind >= TransactionType::AccessList {
        let items = transaction.access_list.iter().map(|item| {
            let keys: Vec<Value> = item.storage_keys.iter().map(|key| bytes(&key.to_big_endian())).collect();
            json!({ "address": bytes(&item.address.0), "storageKeys": keys })
        });
        json["accessLists"] = json!([items.collect::<Vec<_>>()]);
    }
    if kind == TransactionType::Blob {
        let hashes: Vec<Value> = transaction.blob_versioned_hashes.iter().map(|hash| bytes(&hash.0)).collect();
        json["blobVersionedHashes"] = json!(hashes);
        json["maxFeePerBlobGas"] = quantity(transaction.max_fee_per_blob_gas);
    }
    if kind == TransactionType::SetCode {
        let list: Vec<Value> = transaction.authorization_list.iter().map(authorization).collect();
        json["authorizationList"] = json!(list);
    }
    json
}

fn authorization(tuple: &Authorization) -> Value {
    json!({
        "chainId": quantity(tuple.chain_id),
        "address": bytes(&tuple.address.0),
        "nonce": quantity(tuple.nonce),
        "v": quantity(tuple.y_parity),
        "r": quantity(tuple.r),
        "s": quantity(tuple.s),
    })
}
