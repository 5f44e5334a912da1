//! The `debug` methods.

use crate::client::{Served, data};
use crate::node::{address, hash};
use crate::world::{COUNTER, GETTER, LOOPS, POOR, REVERTS, RICH, SENDER, node};
use serde_json::{Value, json};

#[test]
fn struct_logs_are_geths() {
    let node = node();
    let served = Served::open(&node);
    let trace = served.result("debug_traceCall", json!([{"to": address(COUNTER), "gas": "0x30000"}, "latest"]));
    let gas_used = 21_000 + 2_100 + 20_000 + 26;
    assert_eq!((&trace["failed"], &trace["gas"]), (&json!(false), &json!(gas_used)));
    assert_eq!(trace["returnValue"], data(1));
    let logs = trace["structLogs"].as_array().expect("logs");
    let names: Vec<&str> = logs.iter().map(|log| log["op"].as_str().expect("a name")).collect();
    let expected =
        ["PUSH0", "SLOAD", "PUSH1", "ADD", "DUP1", "PUSH0", "SSTORE", "PUSH0", "MSTORE", "PUSH1", "PUSH0", "RETURN"];
    assert_eq!(names, expected);
    let gas = 0x30000 - 21_000;
    let slot = |value: u64| json!({data(0): data(value)});
    assert_eq!(
        logs[1],
        json!({"pc": 1, "op": "SLOAD", "gas": gas - 2, "gasCost": 2100, "depth": 1, "stack": ["0x0"], "storage": slot(0), "refund": 0})
    );
    assert_eq!((&logs[6]["storage"], &logs[6]["gasCost"]), (&slot(1), &json!(20_000)));
    assert_eq!(logs[6]["stack"], json!(["0x1", "0x1", "0x0"]));
    let config = json!({"enableMemory": true, "enableReturnData": true, "disableStack": true, "disableStorage": true, "limit": 11});
    let trace = served.result("debug_traceCall", json!([{"to": address(COUNTER)}, "latest", config]));
    let logs = trace["structLogs"].as_array().expect("logs");
    assert_eq!(logs.len(), 11);
    assert_eq!(logs[10]["memory"], json!([data(1)]));
    assert_eq!(
        (&logs[10]["stack"], &logs[6]["storage"], &logs[0]["returnData"]),
        (&Value::Null, &Value::Null, &json!("0x"))
    );
}

#[test]
fn calls_are_traced_in_calls() {
    let node = node();
    let served = Served::open(&node);
    let config = json!({"tracer": "callTracer", "tracerConfig": {"withLog": true}});
    let call = json!({"from": address(RICH), "to": address(SENDER), "gas": "0x30000", "value": "0x3", "input": "0x01"});
    let trace = served.result("debug_traceCall", json!([call, "latest", config]));
    assert_eq!((&trace["type"], &trace["gas"], &trace["value"]), (&json!("CALL"), &json!("0x30000"), &json!("0x3")));
    assert_eq!((&trace["from"], &trace["to"]), (&json!(address(RICH)), &json!(address(SENDER))));
    assert_eq!((&trace["input"], &trace["output"]), (&json!("0x01"), &json!(data(1))));
    let inner = &trace["calls"][0];
    assert_eq!(
        (&inner["to"], &inner["value"], &inner["gasUsed"]),
        (&json!(address(POOR)), &json!("0x1"), &json!("0x0"))
    );
    assert_eq!(
        trace["logs"],
        json!([{"address": address(SENDER), "topics": [], "data": "0x", "position": "0x1", "index": "0x0"}])
    );
    let top = json!({"tracer": "callTracer", "tracerConfig": {"onlyTopCall": true}});
    let trace = served.result("debug_traceCall", json!([call, "latest", top]));
    assert!(trace.get("calls").is_none() && trace.get("logs").is_none(), "{trace}");
    let config = json!({"tracer": "callTracer"});
    let trace = served.result("debug_traceCall", json!([{"to": address(REVERTS)}, "latest", config]));
    assert_eq!((&trace["error"], &trace["output"]), (&json!("execution reverted"), &json!("0xdeadbeef")));
    let trace = served.result("debug_traceCall", json!([{"to": address(LOOPS)}, "latest", config]));
    assert_eq!((&trace["error"], &trace["gasUsed"]), (&json!("out of gas"), &json!("0x2faf080")), "far beyond a batch");
}

#[test]
fn prestates_and_differences() {
    let node = node();
    let served = Served::open(&node);
    let pay = json!({"from": address(RICH), "to": address(COUNTER), "value": "0x2"});
    let config = json!({"tracer": "prestateTracer"});
    let state = served.result("debug_traceCall", json!([pay, "latest", config]));
    let rich = json!({"balance": "0x3635c9adc5dea00000"});
    assert_eq!(state[address(RICH)], rich);
    let counter = &state[address(COUNTER)];
    assert_eq!((&counter["balance"], &counter["nonce"]), (&json!("0x0"), &json!(1)));
    assert_eq!(
        (&counter["code"], &counter["storage"]),
        (&json!("0x5f54600101805f555f5260205ff3"), &json!({data(0): data(0)}))
    );
    let config = json!({"tracer": "prestateTracer", "tracerConfig": {"diffMode": true, "disableCode": true}});
    let diff = served.result("debug_traceCall", json!([pay, "latest", config]));
    let post = json!({address(RICH): {"balance": "0x3635c9adc5de9ffffe", "nonce": 1}, address(COUNTER): {"balance": "0x2", "storage": {data(0): data(1)}}});
    let pre = json!({address(RICH): rich, address(COUNTER): {"balance": "0x0", "nonce": 1}});
    assert_eq!(diff, json!({"post": post, "pre": pre}));
}

#[test]
fn many_calls_are_traced_on_each_other() {
    let node = node();
    let served = Served::open(&node);
    let count = json!({"to": address(COUNTER)});
    let bundles = json!([{"transactions": [count, count]}, {"transactions": [count]}]);
    let config = json!({"tracer": "callTracer"});
    let traces = served.result("debug_traceCallMany", json!([bundles, {"blockNumber": "latest"}, config]));
    let outputs = [&traces[0][0], &traces[0][1], &traces[1][0]].map(|trace| trace["output"].clone());
    assert_eq!(outputs, [1, 2, 3].map(|number| json!(data(number))));
    let poor = json!([{"transactions": [{"from": address(POOR), "to": address(RICH), "value": "0x1"}, count]}]);
    let traces = served.result("debug_traceCallMany", json!([poor, null, config]));
    assert!(traces[0][0]["error"].as_str().expect("an error").contains("insufficient funds"), "{traces}");
    assert_eq!(traces[0][1]["output"], data(1));
}

#[test]
fn traces_take_overrides_and_blocks() {
    let node = node();
    let served = Served::open(&node);
    let get = json!({"to": address(GETTER), "data": data(3)});
    let config =
        json!({"tracer": "callTracer", "stateOverrides": {address(GETTER): {"stateDiff": {data(3): data(5)}}}});
    let trace = served.result("debug_traceCall", json!([get, "0xa", config]));
    assert_eq!(trace["output"], data(5));
    assert_eq!(served.result("debug_traceBlockByNumber", json!(["0x5", {"tracer": "callTracer"}])), json!([]));
    assert_eq!(served.result("debug_traceBlockByHash", json!([hash(5)])), json!([]));
    assert_eq!(served.error("debug_traceBlockByNumber", json!(["0x0"])).1, "genesis is not traceable");
    assert_eq!(served.error("debug_traceBlockByNumber", json!(["0x99"])).1, "header not found");
    let (code, text) = served.error("debug_traceCall", json!([get, "latest", {"tracer": "bigramTracer"}]));
    assert!(code == -32602 && text.contains("tracer not found"), "{text}");
}
