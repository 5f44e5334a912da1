//! Tenants side by side.

use crate::client::{Served, data, failure, shared, word};
use crate::node::address;
use crate::world::{COUNTER, GAS, GETTER, LOOPS, SENDER, node};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const FLOOD: Option<&str> = Some("ffffffffffffffff");
const CALM: Option<&str> = Some("cccccccccccccccc");

const TENANTS: &str = r#"
[tenant.flood]
keys = ["ffffffffffffffff"]
[tenant.calm]
keys = ["cccccccccccccccc"]
weight = 2
[tenant.reader]
keys = ["rrrrrrrrrrrrrrrr"]
allow = { level = "read-only" }
[tenant.small]
keys = ["ssssssssssssssss"]
concurrency = 3
[tenant.small.budget]
gas = 100_000
steps = 500
"#;

#[test]
fn a_flood_of_endless_loops_changes_nothing_for_others() {
    let node = node();
    let served = shared(Served::for_tenants(&node, TENANTS));
    let ended = Arc::new(AtomicUsize::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let flood: Vec<_> = (0..6)
        .map(|thread| {
            let (served, ended, stop) = (Arc::clone(&served), Arc::clone(&ended), Arc::clone(&stop));
            std::thread::spawn(move || {
                for round in 0u64.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let other = address(0x00ff_0000 + thread as u64 * 0x1000 + round % 0x1000);
                    let method = ["eth_call", "eth_estimateGas", "debug_traceCall"][thread % 3];
                    let config = json!({"tracer": "callTracer"});
                    let params = match method {
                        "debug_traceCall" => json!([{"to": address(LOOPS)}, "latest", config]),
                        // A contract that nobody has called before.
                        _ if round % 2 == 1 => {
                            json!([{"to": other}, "latest", {(other.clone()): {"code": "0x5b5f56"}}])
                        }
                        _ => json!([{"to": address(LOOPS)}]),
                    };
                    let answer = served.ask_as(FLOOD, method, params);
                    match method {
                        "debug_traceCall" => assert_eq!(answer["result"]["error"], "out of gas", "{answer}"),
                        _ => assert_eq!(failure(&answer).0, -32000, "{answer}"),
                    }
                    ended.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..100u64 {
        let call = json!([{"to": address(GETTER), "data": data(round)}]);
        assert_eq!(served.ask_as(CALM, "eth_call", call)["result"], word(round * round));
        let count = json!([{"to": address(COUNTER)}]);
        assert_eq!(served.ask_as(CALM, "eth_estimateGas", count)["result"], "0xa876");
    }
    stop.store(true, Ordering::Relaxed);
    flood.into_iter().for_each(|thread| thread.join().expect("right answers"));
    assert!(ended.load(Ordering::Relaxed) >= 6);
    assert_eq!(served.ask_as(CALM, "eth_call", json!([{"to": address(COUNTER)}]))["result"], word(1));
}

#[test]
fn permissions_hold_for_every_method() {
    let node = node();
    let served = Served::for_tenants(&node, TENANTS);
    let reader = Some("rrrrrrrrrrrrrrrr");
    let call = json!([{"to": address(GETTER), "data": data(4)}]);
    assert_eq!(served.ask_as(reader, "eth_call", call)["result"], word(16));
    let count = json!({"to": address(COUNTER)});
    for (method, params) in [
        ("eth_call", json!([count])),
        ("eth_estimateGas", json!([count])),
        ("eth_call", json!([{"to": address(SENDER)}])),
    ] {
        let (code, text) = failure(&served.ask_as(reader, method, params));
        assert!(code == -32000 && text.contains("this API key does not permit it"), "{method}: {text}");
    }
    let simulated = served.ask_as(reader, "eth_simulateV1", json!([{"blockStateCalls": [{"calls": [count]}]}]));
    assert_eq!(simulated["result"][0]["calls"][0]["status"], "0x0", "{simulated}");
    let traced = served.ask_as(reader, "debug_traceCall", json!([count, "latest", {"tracer": "callTracer"}]));
    assert!(traced["result"]["error"].as_str().expect("an error").contains("does not permit"), "{traced}");
    assert_eq!(failure(&served.ask_as(reader, "trace_call", json!([]))).0, -32601, "the node would not know of it");
    assert_eq!(served.ask_as(CALM, "eth_call", json!([count]))["result"], word(1), "others may");
}

#[test]
fn budgets_hold_and_concurrency_is_limited() {
    let node = node();
    let served = shared(Served::for_tenants(&node, TENANTS));
    let small = Some("ssssssssssssssss");
    let gas = served.ask_as(small, "eth_call", json!([{"to": address(GAS)}]));
    assert_eq!(gas["result"], word(100_000 - 21_000 - 2));
    let (code, text) = failure(&served.ask_as(small, "eth_call", json!([{"to": address(LOOPS)}])));
    assert!(code == -32000 && text.contains("budget"), "{text}");
    let batch: Vec<Value> = (0..4).map(|id| json!({"id": id, "method": "eth_chainId"})).collect();
    let (_, text) = served.post("/", &[("x-api-key", "ssssssssssssssss")], Value::Array(batch).to_string().as_bytes());
    let answers: Value = serde_json::from_str(&text).expect("JSON");
    assert!(answers.as_array().expect("answers").iter().all(|answer| failure(answer).0 == -32005), "{answers}");
    // Three at once are fine; the fourth is not, as long as they last.
    let sleepers: Vec<_> = (0..3)
        .map(|_| {
            let served = Arc::clone(&served);
            std::thread::spawn(move || served.ask_as(CALM, "eth_chainId", json!([])))
        })
        .collect();
    sleepers.into_iter().for_each(|thread| assert_eq!(thread.join().expect("an answer")["result"], "0x7a69"));
    assert_eq!(served.ask_as(small, "eth_chainId", json!([]))["result"], "0x7a69", "what ended makes room");
}
