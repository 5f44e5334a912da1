//! Calls, their blocks and their overrides.

use crate::client::{Served, data, word};
use crate::node::{address, hash};
use crate::world::{COUNTER, GAS, GETTER, GETTER_CODE, LOOPS, POOR, REVERTS, RICH, SENDER, getter, node};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn slot(number: u64) -> Value {
    json!({"to": address(GETTER), "data": data(number)})
}

#[test]
fn calls_return_what_contracts_say() {
    let node = node();
    let served = Served::open(&node);
    assert_eq!(served.result("eth_call", json!([slot(12), "latest"])), word(144));
    assert_eq!(served.result("eth_call", json!([{"to": address(POOR)}])), json!("0x"));
    assert_eq!(served.result("eth_call", json!([{"to": address(COUNTER)}])), word(1));
    assert_eq!(served.result("eth_call", json!([{"to": address(COUNTER)}])), word(1), "nothing of a call lasts");
    let answer = served.ask("eth_call", json!([{"to": address(REVERTS)}]));
    assert_eq!(answer["error"], json!({"code": 3, "message": "execution reverted", "data": "0xdeadbeef"}));
    let out_of_gas = (-32000, "out of gas".to_owned());
    assert_eq!(served.error("eth_call", json!([{"to": address(LOOPS), "gas": "0x186a0"}])), out_of_gas);
    assert_eq!(served.error("eth_call", json!([{"to": address(LOOPS)}])), out_of_gas, "all gas that a call may have");
    let (code, text) = served.error("eth_call", json!([{"from": address(POOR), "to": address(RICH), "value": "0x1"}]));
    assert_eq!(code, -32000);
    assert!(text.contains("insufficient funds for gas * price + value"), "{text}");
    let (_, text) = served.error("eth_call", json!([{"to": address(RICH), "gas": "0x5"}]));
    assert!(text.contains("intrinsic gas too low: have 5, want 21000"), "{text}");
    let gas = served.result("eth_call", json!([{"to": address(GAS), "gas": "0xffffffffff"}]));
    assert_eq!(gas, word(50_000_000 - 21_000 - 2), "capped");
}

#[test]
fn blocks_are_named_in_many_ways() {
    let node = node();
    node.mine(GETTER, getter([(1, 77)]));
    let served = Served::open(&node);
    let number = "0x435f5260205ff3";
    let number_at = |block: Value| {
        let overrides = json!({address(POOR): {"code": number}});
        served.result("eth_call", json!([{"to": address(POOR)}, block, overrides]))
    };
    for (block, expected) in [
        (json!("latest"), 11),
        (json!("pending"), 11),
        (json!(null), 11),
        (json!("safe"), 9),
        (json!("finalized"), 9),
        (json!("earliest"), 0),
        (json!("0xa"), 10),
        (json!(hash(8)), 8),
        (json!({"blockNumber": "0x7"}), 7),
        (json!({"blockHash": hash(6)}), 6),
        (json!({"blockHash": hash(6), "requireCanonical": true}), 6),
    ] {
        assert_eq!(number_at(block.clone()), word(expected), "{block}");
    }
    assert_eq!(served.result("eth_call", json!([slot(1), "0xa"])), word(1), "the state before");
    assert_eq!(served.result("eth_call", json!([slot(1), "0xb"])), word(77));
    assert_eq!(served.error("eth_call", json!([slot(1), "0xc"])), (-32000, "header not found".to_owned()));
    let unknown = json!({"blockHash": format!("0x{:064x}", 5)});
    assert_eq!(served.error("eth_call", json!([slot(1), unknown])), (-32000, "header not found".to_owned()));
}

#[test]
fn new_blocks_and_changed_states_are_noticed() {
    let node = node();
    let served = Served::open(&node);
    assert_eq!(served.result("eth_call", json!([slot(1)])), word(1));
    node.mine(GETTER, getter([(1, 5)]));
    let start = Instant::now();
    while served.result("eth_call", json!([slot(1)])) != word(5) {
        assert!(start.elapsed() < Duration::from_secs(60), "the new block is not noticed");
    }
    // A transaction may be mined at once: whoever sent it sees it.
    node.mine(GETTER, getter([(1, 6)]));
    served.result("eth_sendRawTransaction", json!(["0x00"]));
    assert_eq!(served.result("eth_call", json!([slot(1)])), word(6));
    // The same block, another state.
    node.change(GETTER, getter([(1, 7)]));
    served.result("anvil_setStorageAt", json!([]));
    assert_eq!(served.result("eth_call", json!([slot(1)])), word(7));
}

#[test]
fn states_can_be_overridden() {
    let node = node();
    let served = Served::open(&node);
    let with = |call: Value, overrides: Value| served.result("eth_call", json!([call, "latest", overrides]));
    let key = |number: u64| data(number);
    assert_eq!(with(slot(3), json!({address(GETTER): {"stateDiff": {key(3): key(1)}}})), word(1));
    assert_eq!(with(slot(4), json!({address(GETTER): {"stateDiff": {key(3): key(1)}}})), word(16), "as it was");
    assert_eq!(with(slot(3), json!({address(GETTER): {"state": {key(3): key(1)}}})), word(1));
    assert_eq!(with(slot(4), json!({address(GETTER): {"state": {key(3): key(1)}}})), word(0), "all of it");
    let fresh = json!({"to": address(POOR), "data": data(8)});
    let code = format!("0x{GETTER_CODE}");
    assert_eq!(with(fresh, json!({address(POOR): {"code": code, "stateDiff": {key(8): key(2)}}})), word(2));
    let balance = json!({address(POOR): {"code": "0x475f5260205ff3", "balance": "0x1234"}});
    assert_eq!(with(json!({"to": address(POOR)}), balance), word(0x1234));
    let pay = json!({"from": address(POOR), "to": address(RICH), "value": "0x5"});
    assert_eq!(with(pay, json!({address(POOR): {"balance": "0x5"}})), json!("0x"));
    // The identity precompile, elsewhere; its address then has code of its own.
    let identity = "0x0000000000000000000000000000000000000004";
    let moved = json!({identity: {"movePrecompileToAddress": address(POOR)}});
    assert_eq!(with(json!({"to": address(POOR), "data": "0x0102"}), moved.clone()), json!("0x0102"));
    assert_eq!(with(json!({"to": identity, "data": "0x0102"}), moved), json!("0x"));
    assert_eq!(served.result("eth_call", json!([slot(3)])), word(9), "nobody else sees it");
    let both = json!({address(GETTER): {"state": {}, "stateDiff": {key(1): key(1)}}});
    assert_eq!(served.error("eth_call", json!([slot(3), "latest", both])).0, -32602);
}

#[test]
fn blocks_can_be_overridden() {
    let node = node();
    let served = Served::open(&node);
    let show = |code: &str, overrides: Value| {
        let code = format!("0x{code}5f5260205ff3");
        served.result("eth_call", json!([{"to": address(POOR)}, "latest", {address(POOR): {"code": code}}, overrides]))
    };
    assert_eq!(show("43", json!({"number": "0x99"})), word(0x99));
    assert_eq!(show("42", json!({"time": "0x98"})), word(0x98));
    assert_eq!(show("45", json!({"gasLimit": "0x97"})), word(0x97));
    assert_eq!(show("41", json!({"feeRecipient": address(5)})), word(5));
    assert_eq!(show("44", json!({"prevRandao": data(96)})), word(96));
    assert_eq!(show("4a", json!({"blobBaseFee": "0x95"})), word(0x95));
    assert_eq!(show("43", json!(null)), word(10));
    assert_eq!(show("600a40", json!({"number": "0xb"})), json!(hash(10)), "its own hash, seen from the block after it");
    assert_eq!(show("600940", json!(null)), json!(hash(9)), "BLOCKHASH");
}

#[test]
fn bundles_see_what_the_calls_before_left() {
    let node = node();
    let served = Served::open(&node);
    let count = json!({"to": address(COUNTER)});
    let bundles = json!([
        {"transactions": [count, count, {"to": address(REVERTS)}, count]},
        {"transactions": [count], "blockOverride": {"number": "0x20"}},
    ]);
    let results = served.result("eth_callMany", json!([bundles, {"blockNumber": "latest"}]));
    let value = |number: u64| json!({"value": word(number)});
    let reverted = json!({"error": "execution reverted", "code": 3, "data": "0xdeadbeef"});
    assert_eq!(results, json!([[value(1), value(2), reverted, value(3)], [value(4)]]));
    assert_eq!(served.result("eth_call", json!([count])), word(1));
    assert_eq!(served.error("eth_callMany", json!([[], {}])).0, -32602);
    assert_eq!(served.error("eth_callMany", json!([bundles, {"transactionIndex": 3}])).0, -32602);
}

#[test]
fn gas_is_estimated() {
    let node = node();
    let served = Served::open(&node);
    let estimate = |call: Value| {
        let text = served.result("eth_estimateGas", json!([call]));
        u64::from_str_radix(&text.as_str().expect("text")[2..], 16).expect("hex")
    };
    assert_eq!(estimate(json!({"from": address(RICH), "to": address(POOR), "value": "0x1"})), 21_000);
    // A cold SLOAD, an SSTORE of zero to one, and some instructions.
    assert_eq!(estimate(json!({"to": address(COUNTER)})), 21_000 + 2_100 + 20_000 + 26);
    for call in [slot(5), json!({"to": address(SENDER)}), json!({"to": address(GAS)})] {
        let gas = estimate(call.clone());
        let mut with = call.clone();
        with["gas"] = json!(format!("{gas:#x}"));
        served.result("eth_call", json!([with]));
        with["gas"] = json!(format!("{:#x}", gas - gas / 50));
        assert_eq!(served.error("eth_call", json!([with])).0, -32000, "{call}: {gas} is too much");
    }
    assert_eq!(served.error("eth_estimateGas", json!([{"to": address(REVERTS)}])).0, 3);
    let (code, text) = served.error("eth_estimateGas", json!([{"to": address(LOOPS), "gas": "0x30d40"}]));
    assert_eq!((code, text.as_str()), (-32000, "gas required exceeds allowance (200000)"));
}

#[test]
fn access_lists_are_created() {
    let node = node();
    let served = Served::open(&node);
    let list = served.result("eth_createAccessList", json!([{"to": address(SENDER)}]));
    assert_eq!(list["accessList"], json!([{"address": address(POOR), "storageKeys": []}]));
    let list = served.result("eth_createAccessList", json!([slot(3), "latest"]));
    assert_eq!(list["accessList"], json!([{"address": address(GETTER), "storageKeys": [data(3)]}]));
    assert!(list.get("error").is_none());
    let failed = served.result("eth_createAccessList", json!([{"to": address(REVERTS)}]));
    assert_eq!(failed["error"], "execution reverted");
}

#[test]
fn what_calls_lack_is_asked_for_together() {
    let node = node();
    let served = Served::open(&node);
    served.result("eth_call", json!([slot(0)]));
    let before = node.calls("eth_getStorageAt");
    let requests = node.requests();
    let call = |id: u64| json!({"id": id, "method": "eth_call", "params": [slot(id)]});
    let body = Value::Array((1..=200).map(call).collect()).to_string();
    let (_, text) = served.post("/", &[], body.as_bytes());
    let answers: Value = serde_json::from_str(&text).expect("JSON");
    for (answer, id) in answers.as_array().expect("answers").iter().zip(1u64..) {
        assert_eq!(answer["result"], word(id * id));
    }
    assert_eq!(node.calls("eth_getStorageAt") - before, 200, "each slot once");
    // Some for the state, and one each time that a new block is looked for.
    let polls = 400 / 50;
    assert!(node.requests() - requests < 40 + polls, "{} requests", node.requests() - requests);
    let requests = node.calls("eth_getStorageAt");
    served.post("/", &[], body.as_bytes());
    assert_eq!(node.calls("eth_getStorageAt"), requests, "nothing is asked for twice");
}
