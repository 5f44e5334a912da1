//! HTTP and JSON-RPC themselves.

use crate::client::{LIMITS, Served, failure, word};
use crate::node::address;
use crate::world::{GETTER, node};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

fn post(served: &Served, body: &str) -> (u16, Value) {
    let (status, text) = served.post("/", &[], body.as_bytes());
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

fn getter(slot: u64) -> Value {
    json!([{"to": address(GETTER), "data": crate::client::data(slot)}])
}

#[test]
fn what_is_no_request_gets_the_standard_codes() {
    let node = node();
    let served = Served::open(&node);
    for (body, code) in [
        ("", -32700),
        ("{", -32700),
        ("\u{0}", -32700),
        ("[1,", -32700),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_call\"", -32700),
        ("7", -32600),
        ("[]", -32600),
        ("{\"jsonrpc\":\"2.0\",\"id\":1}", -32600),
        ("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"eth_call\"}", -32600),
        ("{\"id\":1,\"method\":\"eth_call\",\"params\":[]}", -32602),
        ("{\"id\":1,\"method\":\"eth_call\",\"params\":{}}", -32602),
        ("{\"id\":1,\"method\":\"eth_call\",\"params\":[{\"to\":\"0x12\"}]}", -32602),
        ("{\"id\":1,\"method\":\"eth_call\",\"params\":[{},\"newest\"]}", -32602),
        ("{\"id\":1,\"method\":\"eth_call\",\"params\":[{\"data\":\"0x01\",\"input\":\"0x02\"}]}", -32602),
        ("{\"id\":1,\"method\":\"debug_traceCall\",\"params\":[{},\"latest\",{\"tracer\":\"{}\"}]}", -32602),
        ("{\"id\":1,\"method\":\"eth_simulateV1\",\"params\":[{\"blockStateCalls\":[]}]}", -32602),
        ("{\"id\":1,\"method\":\"eth_noSuch\",\"params\":[]}", -32601),
    ] {
        let (status, answer) = post(&served, body);
        assert_eq!(failure(&answer).0, code, "{body}: {answer}");
        assert_eq!(status, 200, "{body}");
    }
    let deep = format!("{{\"id\":1,\"method\":\"eth_call\",\"params\":{}1{}}}", "[".repeat(9000), "]".repeat(9000));
    assert!([-32700, -32602, -32600].contains(&failure(&post(&served, &deep).1).0), "no overflow of the stack");
    assert_eq!(served.result("eth_call", getter(9)), word(81), "and it goes on");
}

#[test]
fn ids_are_repeated_and_notifications_are_not_answered() {
    let node = node();
    let served = Served::open(&node);
    for id in ["7", "\"text\"", "null", "-1", "1.5"] {
        let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"eth_blockNumber\",\"params\":[]}}");
        let (_, text) = served.post("/", &[], body.as_bytes());
        assert_eq!(text, format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":\"0xa\"}}"));
    }
    let note = "{\"jsonrpc\":\"2.0\",\"method\":\"eth_blockNumber\"}";
    assert_eq!(served.post("/", &[], note.as_bytes()), (200, String::new()));
    let notes = format!("[{note},{note}]");
    assert_eq!(served.post("/", &[], notes.as_bytes()), (200, String::new()));
    let mixed = format!("[{note},{{\"id\":3,\"method\":\"eth_chainId\"}}]");
    assert_eq!(post(&served, &mixed).1, json!([{"jsonrpc": "2.0", "id": 3, "result": "0x7a69"}]));
}

#[test]
fn batches_are_answered_in_order_and_are_limited() {
    let node = node();
    let served = Served::open(&node);
    let call = |slot: u64| json!({"jsonrpc": "2.0", "id": slot, "method": "eth_call", "params": getter(slot)});
    let mut requests: Vec<Value> = (0..300).map(call).collect();
    requests.insert(7, json!(7));
    requests.insert(9, json!({"id": "bad", "method": "eth_call", "params": [1]}));
    let (status, answers) = post(&served, &Value::Array(requests.clone()).to_string());
    assert_eq!(status, 200);
    let answers = answers.as_array().expect("an array");
    assert_eq!(answers.len(), requests.len());
    for (request, answer) in requests.iter().zip(answers) {
        match request["id"].as_u64() {
            Some(slot) => assert_eq!((&answer["id"], &answer["result"]), (&json!(slot), &word(slot * slot))),
            None if request.is_object() => assert_eq!((failure(answer).0, &answer["id"]), (-32602, &json!("bad"))),
            None => assert_eq!((failure(answer).0, &answer["id"]), (-32600, &Value::Null)),
        }
    }
    let many: Vec<Value> = (0..=LIMITS.batch as u64).map(|id| json!({"id": id, "method": "eth_chainId"})).collect();
    let (_, answer) = post(&served, &Value::Array(many).to_string());
    assert_eq!(failure(&answer).0, -32600);
    assert!(failure(&answer).1.contains("at most 500"), "{answer}");
}

#[test]
fn http_is_limited_and_its_errors_are_clear() {
    let node = node();
    let served = Served::open(&node);
    let good = "{\"id\":1,\"method\":\"eth_chainId\"}";
    let large = " ".repeat(LIMITS.body as usize) + good;
    assert_eq!(post(&served, &large).0, 413);
    let plain = [("content-type", "text/plain")];
    assert_eq!(served.post("/", &plain, good.as_bytes()).0, 415, "a page could send that without being asked");
    let other = [("host", "evil.example")];
    assert_eq!(served.post("/", &other, good.as_bytes()).0, 403);
    assert_eq!(served.get("/").0, 405);
    let charset = [("content-type", "application/json; charset=utf-8")];
    assert_eq!(served.post("/", &charset, good.as_bytes()).0, 200);
    // Without a length, in pieces that end beyond the limit.
    let mut stream = TcpStream::connect(served.address).expect("a connection");
    let head =
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("sent");
    let piece = format!("1000\r\n{}\r\n", " ".repeat(4096));
    for _ in 0..20 {
        // The server may hang up before all is sent.
        let _ = stream.write_all(piece.as_bytes());
    }
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[test]
fn health_and_metrics_tell_how_it_goes() {
    let node = node();
    let served = Served::open(&node);
    assert_eq!(served.result("eth_call", getter(3)), word(9));
    assert_eq!(served.result("eth_blockNumber", json!([])), "0xa");
    let (status, health) = served.get("/health");
    let health: Value = serde_json::from_str(&health).expect("JSON");
    assert_eq!((status, &health["status"], &health["head"]), (200, &json!("ok"), &json!(10)));
    let (status, metrics) = served.get("/metrics");
    assert_eq!(status, 200);
    for line in [
        "isolane_requests_total{method=\"eth_call\",tenant=\"anonymous\",result=\"ok\"} 1",
        "isolane_lanes_total{ran_on=",
        "isolane_state_cache_misses_total",
        "isolane_upstream_requests_total",
        "isolane_head_block 10",
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[test]
fn keys_decide_who_may_ask() {
    let node = node();
    let tenants =
        "[tenant.a]\nkeys = [\"aaaaaaaaaaaaaaaa\"]\n[tenant.b]\nkeys = [\"bbbbbbbbbbbbbbbb\"]\nmethods = [\"eth_*\"]\n";
    let served = Served::for_tenants(&node, tenants);
    let good = "{\"id\":1,\"method\":\"eth_chainId\"}".as_bytes();
    let status = |path: &str, headers: &[(&str, &str)]| served.post(path, headers, good).0;
    assert_eq!(status("/", &[]), 401);
    assert_eq!(status("/", &[("authorization", "Bearer aaaaaaaaaaaaaaab")]), 401);
    assert_eq!(status("/", &[("authorization", "Bearer ")]), 401);
    assert_eq!(status("/", &[("authorization", "Basic aaaaaaaaaaaaaaaa")]), 401);
    assert_eq!(status("/cccccccccccccccc", &[]), 401);
    assert_eq!(status("/", &[("authorization", "Bearer aaaaaaaaaaaaaaaa")]), 200);
    assert_eq!(status("/", &[("x-api-key", "bbbbbbbbbbbbbbbb")]), 200);
    assert_eq!(status("/aaaaaaaaaaaaaaaa", &[]), 200);
    // A key is asked for whatever the name of the host.
    assert_eq!(status("/aaaaaaaaaaaaaaaa", &[("host", "rpc.example")]), 200);
    let b = Some("bbbbbbbbbbbbbbbb");
    assert_eq!(failure(&served.ask_as(b, "net_version", json!([]))).0, -32601, "not among its methods");
    assert_eq!(served.ask_as(b, "eth_chainId", json!([]))["result"], "0x7a69");
    let (_, metrics) = served.get("/metrics");
    assert!(metrics.contains("isolane_refused_total{reason=\"key\"} 5"), "{metrics}");
}
