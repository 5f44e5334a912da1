//! `fetch` against a small server that answers as a node does.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;
use serde_json::json;

/// Answers JSON-RPC on a port of its own until the process ends; `answer` gives `result` or an error message.
fn node(answer: impl Fn(&str, &Value) -> Result<Value, String> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let reply = |request: &Value| {
            let id = &request["id"];
            match answer(request["method"].as_str().unwrap(), &request["params"]) {
                Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
                Err(message) => json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32000, "message": message}}),
            }
        };
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
            let request: Value = loop {
                let n = stream.read(&mut buffer).unwrap();
                bytes.extend_from_slice(&buffer[..n]);
                let body = bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| &bytes[at + 4..]);
                if let Some(request) = body.and_then(|body| serde_json::from_slice(body).ok()) {
                    break request;
                }
            };
            let body = match &request {
                Value::Array(list) => Value::Array(list.iter().map(reply).collect()),
                one => reply(one),
            };
            let body = body.to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
    });
    url
}

fn options(url: String, out: &Path) -> FetchOptions {
    let node = NodeArgs {
        rpc: Some(url),
        blocks: vec!["2:4".parse().unwrap()],
        fork: None,
        state: None,
        concurrency: 1,
        timeout: 10,
        retries: 0,
    };
    FetchOptions { node, out: out.to_owned(), overwrite: false, level: 3 }
}

fn hash(number: u64) -> String {
    format!("{number:#066x}")
}

/// A chain of blocks with one transaction each. `break_at` swaps the parent hash of one block.
fn answers(break_at: u64) -> impl Fn(&str, &Value) -> Result<Value, String> {
    move |method, params| {
        let number = || u64::from_str_radix(params[0].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
        Ok(match method {
            "eth_chainId" => json!("0x9"),
            "eth_blockNumber" => json!("0x3"),
            "web3_clientVersion" => json!("small/1"),
            "eth_getBlockByNumber" => {
                let n = number();
                let parent = if n == break_at { hash(99) } else { hash(n.saturating_sub(1)) };
                json!({"number": params[0], "hash": hash(n), "parentHash": parent, "miner": "0xcc", "timestamp": "0x10",
                       "transactions": [{"hash": format!("0xf{n}"), "to": "0xaa"}], "withdrawals": [{"address": "0xDD"}]})
            }
            "eth_getBlockReceipts" => return Err("no such method".into()),
            "eth_getTransactionReceipt" => {
                let n: u64 = params[0].as_str().unwrap()[3..].parse().unwrap();
                json!({"transactionHash": params[0], "blockHash": hash(n)})
            }
            "debug_traceBlockByNumber" if params[1].get("tracerConfig").is_some() => return Err("no diffMode".into()),
            "debug_traceBlockByNumber" => {
                let accounts =
                    json!({"0xAA": {"balance": "0x1", "code": "0x40"}, "0xbb": {"balance": "0x2", "nonce": 3}});
                json!([{"txHash": format!("0xf{}", number()), "result": accounts}])
            }
            "eth_getBalance" => json!("0x7"),
            "eth_getTransactionCount" => json!("0x0"),
            "eth_getCode" => json!("0x"),
            other => return Err(format!("{other} is not served")),
        })
    }
}

fn shanghai(_: u64, _: u64, _: u64) -> Option<Fork> {
    Some(Fork::Shanghai)
}

#[test]
fn records_packs_and_skips_them_the_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(node(answers(0)), folder.path());
    let summary = fetch(&options, &shanghai).unwrap();
    assert_eq!((summary.written.len(), summary.skipped.len(), summary.transactions), (2, 0, 2));
    assert!(summary.notes.iter().any(|note| note.contains("diffMode")), "{:?}", summary.notes);

    let packed = std::fs::read(folder.path().join("9-3.json.zst")).unwrap();
    let pack: Value = serde_json::from_slice(&zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
    assert_eq!(pack["fork"], "Shanghai");
    assert_eq!(pack["prestate"]["0xbb"], json!({"balance": "0x2", "nonce": 3}));
    // The fee recipient and the withdrawal recipient, which no trace shows.
    assert_eq!(pack["prestate"]["0xcc"], json!({"balance": "0x7"}));
    assert_eq!(pack["prestate"]["0xdd"], json!({"balance": "0x7"}));
    // A contract has BLOCKHASH, so all ancestors are there.
    assert_eq!(pack["blockHashes"], json!({"0x0": hash(0), "0x1": hash(1), "0x2": hash(2)}));
    assert_eq!(pack["receipts"][0]["transactionHash"], "0xf3");

    let again = fetch(&options, &shanghai).unwrap();
    assert_eq!((again.written.len(), again.skipped.len()), (0, 2));
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "no temporary file stays: {names:?}");
}

#[test]
fn a_broken_chain_is_an_error_and_leaves_the_packs_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let error = fetch(&options(node(answers(3)), folder.path()), &shanghai).unwrap_err();
    assert!(matches!(error, FetchError::Inconsistent { number: 3, what: "parent hash", .. }), "{error}");
    assert!(folder.path().join("9-2.json.zst").exists() && !folder.path().join("9-3.json.zst").exists());
}

#[test]
fn an_unknown_schedule_asks_for_the_fork() {
    let folder = tempfile::tempdir().unwrap();
    let error = fetch(&options(node(answers(0)), folder.path()), &|_, _, _| None).unwrap_err();
    assert!(error.to_string().contains("--fork"), "{error}");
}

#[test]
fn a_node_that_cannot_be_reached_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = fetch(&options("http://127.0.0.1:1".into(), folder.path()), &shanghai).unwrap_err();
    assert!(matches!(error, FetchError::Rpc(RpcError::Unreachable { .. })), "{error}");
}
