//! `eth_simulateV1`.

use crate::client::{Served, data};
use crate::node::{address, hash};
use crate::world::{COUNTER, POOR, REVERTS, RICH, SENDER, node};
use serde_json::{Value, json};

const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

#[test]
fn blocks_build_on_each_other() {
    let node = node();
    let served = Served::open(&node);
    let count = json!({"to": address(COUNTER)});
    let blocks = json!([
        {"calls": [count, count]},
        {"blockOverrides": {"number": "0xe", "feeRecipient": address(9)}, "calls": [count, {"to": address(REVERTS)}]},
    ]);
    let result = served.result("eth_simulateV1", json!([{"blockStateCalls": blocks}, "latest"]));
    let result = result.as_array().expect("blocks");
    let numbers: Vec<&Value> = result.iter().map(|block| &block["number"]).collect();
    assert_eq!(numbers, ["0xb", "0xc", "0xd", "0xe"], "those between are there too");
    assert_eq!(result[0]["parentHash"], hash(10));
    for pair in result.windows(2) {
        assert_eq!(pair[1]["parentHash"], pair[0]["hash"]);
    }
    let call = |number: u64| json!({"returnData": data(number), "logs": [], "gasUsed": result[0]["calls"][0]["gasUsed"], "status": "0x1"});
    assert_eq!(result[0]["calls"][0], call(1));
    assert_eq!(result[0]["calls"][1]["returnData"], data(2));
    assert_eq!(result[3]["calls"][0]["returnData"], data(3));
    let error = json!({"code": 3, "message": "execution reverted", "data": "0xdeadbeef"});
    assert_eq!((&result[3]["calls"][1]["status"], &result[3]["calls"][1]["error"]), (&json!("0x0"), &error));
    assert_eq!((&result[3]["miner"], &result[3]["baseFeePerGas"]), (&json!(address(9)), &json!("0x0")));
    let hashes = result[0]["transactions"].as_array().expect("hashes");
    assert!(hashes.len() == 2 && hashes[0] != hashes[1] && hashes[0].is_string(), "nonces tell them apart");
}

#[test]
fn transfers_are_told_as_logs() {
    let node = node();
    let served = Served::open(&node);
    let calls = json!([
        {"from": address(RICH), "to": address(SENDER), "value": "0x2"},
        {"from": address(RICH), "to": address(REVERTS), "value": "0x2"},
    ]);
    let simulation =
        json!({"blockStateCalls": [{"calls": calls}], "traceTransfers": true, "returnFullTransactions": true});
    let block = &served.result("eth_simulateV1", json!([simulation]))[0];
    let logs = block["calls"][0]["logs"].as_array().expect("logs");
    let moved = |from: u64, to: u64| json!([TRANSFER, data(from), data(to)]);
    assert_eq!(logs.len(), 3, "{logs:?}");
    assert_eq!((&logs[0]["topics"], &logs[0]["data"]), (&moved(RICH, SENDER), &json!(data(2))));
    assert_eq!((&logs[1]["topics"], &logs[1]["data"]), (&moved(SENDER, POOR), &json!(data(1))));
    assert_eq!((&logs[2]["address"], &logs[2]["topics"]), (&json!(address(SENDER)), &json!([])));
    for (index, log) in logs.iter().enumerate() {
        assert_eq!(log["logIndex"], json!(format!("{index:#x}")));
        assert_eq!(log["blockHash"], block["hash"]);
        assert_eq!(log["transactionHash"], block["transactions"][0]["hash"]);
    }
    assert_eq!(block["calls"][1]["logs"], json!([]), "what was undone did not move");
    assert_eq!(
        (&block["transactions"][1]["nonce"], &block["transactions"][1]["from"]),
        (&json!("0x1"), &json!(address(RICH)))
    );
    let plain = json!({"blockStateCalls": [{"calls": [{"from": address(RICH), "to": address(SENDER)}]}]});
    let block = &served.result("eth_simulateV1", json!([plain]))[0];
    assert_eq!(block["calls"][0]["logs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn states_are_overridden_block_by_block() {
    let node = node();
    let served = Served::open(&node);
    let get = json!({"to": address(COUNTER)});
    let set = |value: u64| json!({address(COUNTER): {"stateDiff": {data(0): data(value)}}});
    let blocks = json!([
        {"stateOverrides": set(40), "calls": [get]},
        {"calls": [get]},
        {"stateOverrides": set(70), "calls": [get]},
    ]);
    let result = served.result("eth_simulateV1", json!([{"blockStateCalls": blocks}]));
    let returned = [0, 1, 2].map(|block: usize| result[block]["calls"][0]["returnData"].clone());
    assert_eq!(returned, [41, 42, 71].map(|number| json!(data(number))));
    // The hash of a simulated block is that of its header.
    let blockhash = json!({address(POOR): {"code": "0x600b405f5260205ff3"}});
    let blocks = json!([{}, {"stateOverrides": blockhash, "calls": [{"to": address(POOR)}]}]);
    let result = served.result("eth_simulateV1", json!([{"blockStateCalls": blocks}]));
    assert_eq!(result[1]["calls"][0]["returnData"], result[0]["hash"]);
}

#[test]
fn what_no_block_could_hold_has_codes_of_its_own() {
    let node = node();
    let served = Served::open(&node);
    let error = |simulation: Value| served.error("eth_simulateV1", json!([simulation])).0;
    let valid = |call: Value| json!({"blockStateCalls": [{"calls": [call]}], "validation": true});
    let fee = "0x77359400";
    let good = json!({"from": address(RICH), "to": address(POOR), "maxFeePerGas": fee, "nonce": "0x0"});
    let with = |name: &str, value: Value| {
        let mut call = good.clone();
        call[name] = value;
        call
    };
    assert_eq!(served.result("eth_simulateV1", json!([valid(good.clone())]))[0]["calls"][0]["status"], "0x1");
    assert_eq!(error(valid(with("nonce", json!("0x5")))), -38011);
    assert_eq!(error(valid(with("gas", json!("0x5")))), -38013);
    assert_eq!(error(valid(with("from", json!(address(POOR))))), -38014);
    assert_eq!(error(valid(with("maxFeePerGas", json!("0x1")))), -32005);
    assert_eq!(error(valid(with("gas", json!("0x7fffffff")))), -38015);
    let numbered = |numbers: [&str; 2]| {
        let blocks = numbers.map(|number| json!({"blockOverrides": {"number": number}}));
        json!({ "blockStateCalls": blocks })
    };
    assert_eq!(error(numbered(["0x20", "0x1f"])), -38020);
    assert_eq!(error(numbered(["0x5", "0x6"])), -38020, "they come after the base");
    assert_eq!(error(numbered(["0xb", "0x400"])), -38026);
    let timed = json!({"blockStateCalls": [{"blockOverrides": {"time": "0x5"}}]});
    assert_eq!(error(timed), -38021);
    let poor = json!({"blockStateCalls": [{"calls": [{"from": address(POOR), "to": address(RICH), "value": "0x1"}]}]});
    assert_eq!(error(poor), -38014);
}
