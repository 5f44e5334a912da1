//! Nodes that fail, clients that leave, and the end.

use crate::client::{Served, config, data, failure, word};
use crate::node::{Fault, address};
use crate::world::{COUNTER, GETTER, getter, node};
use isolane::serve::Tenants;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn slot(number: u64) -> Value {
    json!([{"to": address(GETTER), "data": data(number)}])
}

#[test]
fn a_node_that_fails_now_and_then_costs_answers_but_never_their_truth() {
    for fault in Fault::THIRDS {
        let node = node();
        let served = Served::open(&node);
        node.set_fault(fault);
        let mut right = 0;
        for round in 0..8u64 {
            let answer = served.ask("eth_call", slot(round + 1));
            match answer.get("result") {
                Some(result) => {
                    assert_eq!(*result, word((round + 1) * (round + 1)), "{fault:?}");
                    right += 1;
                }
                None => assert!([-32000, -32603].contains(&failure(&answer).0), "{fault:?}: {answer}"),
            }
            let passed = served.ask("eth_blockNumber", json!([]));
            assert!(passed["result"] == "0xa" || passed.get("error").is_some(), "{fault:?}: {passed}");
        }
        assert!(right > 0, "{fault:?}");
        node.set_fault(Fault::Nothing);
        for round in 0..8u64 {
            assert_eq!(served.result("eth_call", slot(round + 1)), word((round + 1) * (round + 1)), "{fault:?}");
        }
    }
}

#[test]
fn a_node_that_is_gone_is_told() {
    let node = node();
    let served = Served::open(&node);
    assert_eq!(served.result("eth_call", slot(2)), word(4));
    node.set_fault(Fault::Down);
    assert_eq!(served.result("eth_call", slot(2)), word(4), "what is at hand is still answered");
    let (code, text) = served.error("eth_call", slot(3));
    assert!(code == -32000 && text.contains("state not available"), "{text}");
    assert!(!text.contains("127.0.0.1"), "the node's address is nobody's business: {text}");
    let (code, text) = served.error("eth_gasPrice", json!([]));
    assert!(code == -32603 && text.contains("did not answer eth_gasPrice"), "{text}");
    node.set_fault(Fault::Nothing);
    assert_eq!(served.result("eth_call", slot(3)), word(9));
}

#[test]
fn a_state_that_is_pruned_is_told() {
    let node = node();
    let served = Served::open(&node);
    node.set_fault(Fault::Pruned);
    for method in ["eth_call", "eth_estimateGas", "eth_createAccessList", "debug_traceCall"] {
        let (code, text) = served.error(method, slot(2));
        assert!(code == -32000 && text.contains("missing trie node"), "{method}: {text}");
    }
    node.set_fault(Fault::Nothing);
    assert_eq!(served.result("eth_call", slot(2)), word(4), "a failure is not kept");
}

#[test]
fn errors_of_the_node_are_passed_on_whole() {
    let node = node();
    let served = Served::open(&node);
    let answer = served.ask("eth_unknown", json!([1]));
    let text = "the method eth_unknown is not known to the node";
    assert_eq!(answer["error"], json!({"code": -32601, "message": text, "data": {"by": "the node"}}));
}

#[test]
fn clients_that_leave_take_nothing_with_them() {
    let node = node();
    let served = Served::open(&node);
    let body = json!({"id": 1, "method": "test_sleep", "params": [300]}).to_string();
    let head = |length: usize| {
        format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    for round in 0..40usize {
        let mut stream = TcpStream::connect(served.address).expect("a connection");
        let whole = head(body.len()) + &body;
        // Some leave within the head, some within the body, some while they wait.
        let sent = [10, whole.len() - 5, whole.len()][round % 3];
        stream.write_all(&whole.as_bytes()[..sent]).expect("sent");
    }
    for round in 0..20u64 {
        assert_eq!(served.result("eth_call", slot(round)), word(round * round));
    }
    let start = Instant::now();
    // The one of whoever asks stays.
    while !served.get("/metrics").1.lines().any(|line| line == "isolane_connections 1") {
        assert!(start.elapsed() < Duration::from_secs(60), "{}", served.get("/metrics").1);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_under_way_at_the_end_is_answered() {
    let node = node();
    let mut served = Served::open(&node);
    let body = json!({"id": 1, "method": "test_sleep", "params": [500]}).to_string();
    let mut stream = TcpStream::connect(served.address).expect("a connection");
    let length = body.len();
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    write!(stream, "{head}content-length: {length}\r\n\r\n{body}").expect("sent");
    let start = Instant::now();
    while node.calls("test_sleep") == 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "the node was not asked");
        std::thread::sleep(Duration::from_millis(5));
    }
    served.stop();
    let address = served.address;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("\"slept\""), "{answer}");
    assert_eq!(served.end().cut, 0);
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn a_deadline_ends_what_takes_too_long() {
    let node = node();
    let quick = isolane::serve::Config { grace: Duration::from_millis(50), ..config(&node, Tenants::anonymous()) };
    let served = Served::with(quick);
    let mut stream = TcpStream::connect(served.address).expect("a connection");
    let body = json!({"id": 1, "method": "test_sleep", "params": [900]}).to_string();
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).expect("sent");
    let start = Instant::now();
    while node.calls("test_sleep") == 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "the node was not asked");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(served.end().cut, 1);
}

#[test]
fn a_state_that_changes_between_blocks_is_never_mixed() {
    let node = node();
    let served = Served::open(&node);
    // Both slots change together in each block: an answer that mixes blocks would show.
    let both = json!({"to": address(COUNTER)});
    for round in 1..30u64 {
        let mut account = getter([(0, round)]);
        account.code = crate::world::code("60015f5403600154145f5260205ff3");
        account.storage.insert(1, round.wrapping_sub(1));
        node.mine(COUNTER, account);
        if round == 1 {
            served.result("eth_sendRawTransaction", json!(["0x"]));
        }
        assert_eq!(served.result("eth_call", json!([both])), word(1), "{round}");
    }
}
