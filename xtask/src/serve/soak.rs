//! `cargo xtask soak`: mixed requests for some minutes, from several clients, good ones and bad ones, in front of a node that fails
//! now and then and whose chain goes on. Every answer is checked; the server must not panic, and its memory must stay flat.

use super::load::Connection;
use super::process::Served;
use crate::anvil::Anvil;
use crate::shell;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Holders of the token.
const HOLDERS: u64 = 20_000;
/// Clients.
const CLIENTS: u64 = 8;
/// The memory that the server may take for state, and twice of which it must never need.
const MEMORY: u64 = 128 << 20;

/// Sends a server mixed requests.
#[derive(clap::Args)]
pub struct Args {
    /// For how long.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Seed of the requests.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Random numbers (xorshift64*), the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

#[derive(Default)]
struct Counts {
    right: AtomicU64,
    refused: AtomicU64,
    /// Answers that say that the node failed, as it did.
    failed: AtomicU64,
    left: AtomicU64,
    faults: AtomicU64,
    blocks: AtomicU64,
}

/// Stands between the server and the node, and misbehaves in one of some twenty requests.
fn between(node: String, counts: Arc<Counts>, seed: u64) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for (index, stream) in listener.incoming().flatten().enumerate() {
            let (node, counts) = (node.clone(), Arc::clone(&counts));
            let random = Random(seed.wrapping_mul(7919).wrapping_add(index as u64 * 2 + 1) | 1);
            std::thread::spawn(move || pass_on(stream, &node, &counts, random));
        }
    });
    Ok(address)
}

fn pass_on(mut stream: TcpStream, node: &str, counts: &Counts, mut random: Random) -> Result<()> {
    let mut behind = Connection::open(node, None)?;
    let (mut bytes, mut chunk) = (Vec::new(), [0; 1 << 16]);
    random.below(2);
    loop {
        let body = loop {
            if let Some(at) = bytes.windows(4).position(|window: &[u8]| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(bytes.get(..at).unwrap_or_default()).to_ascii_lowercase();
                let length: usize = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
                    .unwrap_or(0);
                if bytes.len() >= at + 4 + length {
                    let rest = bytes.split_off(at + 4 + length);
                    let body = bytes.split_off(at + 4);
                    bytes = rest;
                    break String::from_utf8(body)?;
                }
            }
            let n = stream.read(&mut chunk)?;
            if n == 0 {
                return Ok(());
            }
            bytes.extend_from_slice(chunk.get(..n).unwrap_or_default());
        };
        let fault = random.below(100);
        if fault < 5 {
            counts.faults.fetch_add(1, Ordering::Relaxed);
        }
        match fault {
            0 => return Ok(()),
            1 => {
                stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy")?;
                continue;
            }
            2 => std::thread::sleep(Duration::from_millis(300)),
            _ => {}
        }
        let answer = behind.post(&body)?;
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
        stream.write_all(head.as_bytes())?;
        match fault {
            3 => {
                stream.write_all(answer.get(..answer.len() / 2).unwrap_or_default())?;
                return Ok(());
            }
            4 => stream.write_all(&vec![b'?'; answer.len()])?,
            _ => stream.write_all(answer)?,
        }
    }
}

/// Runs it; whether every answer was right.
pub fn run(args: &Args) -> Result<bool> {
    let (npm, isolane) = (super::npm()?, super::isolane()?);
    let folder = shell::root().join("target/testdata/serve/soak");
    let arguments = [folder.display().to_string(), HOLDERS.to_string()];
    let node = Anvil::script(&npm, "holders.mjs", &[&arguments[0], &arguments[1]], &folder)?;
    let about: Value = serde_json::from_str(&node.about)?;
    let token = about["token"].as_str().context("no token")?.to_owned();
    let anvil = node.url.trim_start_matches("http://").to_owned();
    let counts = Arc::new(Counts::default());
    let front = between(anvil.clone(), Arc::clone(&counts), args.seed)?;
    let limits =
        ["--memory-limit", "128MiB", "--max-body", "1MiB", "--max-batch", "100", "--timeout", "5", "--retries", "3"];
    // The first look at the node may be one of those that fail.
    let start = || Served::start(&isolane, &format!("http://{front}"), &limits);
    let mut served = start().or_else(|_| start()).or_else(|_| start())?;
    let end = Instant::now() + Duration::from_secs_f64(args.minutes * 60.0);
    let stop = AtomicBool::new(false);
    let memory = std::thread::scope(|scope| -> Result<Vec<u64>> {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (token, counts, stop, address) = (&token, &counts, &stop, &served.address);
                let random = Random(args.seed.wrapping_mul(1_000_003).wrapping_add(client * 2 + 1) | 1);
                scope.spawn(move || {
                    let result = talk(address, token, counts, stop, random);
                    if result.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    result
                })
            })
            .collect();
        let mut memory = Vec::new();
        let mut look = || -> Result<()> {
            let mut behind = Connection::open(&anvil, None)?;
            while Instant::now() < end && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_secs(2));
                // The chain goes on, so that states are fetched again and again.
                behind.post("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"evm_mine\",\"params\":[]}")?;
                counts.blocks.fetch_add(1, Ordering::Relaxed);
                memory.extend(served.memory());
            }
            Ok(())
        };
        let looked = look();
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            match client.join() {
                Ok(result) => result?,
                Err(_) => bail!("a client panicked"),
            }
        }
        looked?;
        Ok(memory)
    })?;
    ensure!(served.is_running(), "the server is gone");
    ensure!(!served.has_panicked(), "the server panicked");
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{:.1} minutes, seed {}: {} answers right, {} bad requests refused as they should be, {} clients left early; {} faults of the node, {} answers \
         told of one; {} blocks",
        args.minutes,
        args.seed,
        of(&counts.right),
        of(&counts.refused),
        of(&counts.left),
        of(&counts.faults),
        of(&counts.failed),
        of(&counts.blocks)
    );
    // The first fifth warms up.
    let warm = memory.get(memory.len() / 5..).unwrap_or_default();
    let most = |list: &[u64]| list.iter().copied().max().unwrap_or_default() >> 20;
    let (early, late) = warm.split_at(warm.len() / 2);
    let (early, late, limit) = (most(early), most(late), (2 * MEMORY) >> 20);
    println!("memory: at most {early} MiB in the first half, {late} MiB in the second");
    served.stop()?;
    node.stop()?;
    let flat = late <= early + early / 4 + 16 && late <= limit + 64;
    let told = of(&counts.failed) * 4 <= of(&counts.right);
    if !flat || !told {
        println!("{}", if flat { "too many answers tell of failures" } else { "the memory grows" });
    }
    Ok(flat && told && of(&counts.right) > 0)
}

/// One client: requests at random until it is told to stop.
fn talk(address: &str, token: &str, counts: &Counts, stop: &AtomicBool, mut random: Random) -> Result<()> {
    let mut connection = Connection::open(address, None)?;
    while !stop.load(Ordering::Relaxed) {
        match random.below(20) {
            0 => {
                leave(address, token, &mut random)?;
                counts.left.fetch_add(1, Ordering::Relaxed);
            }
            1 | 2 => {
                misbehave(&mut connection, &mut random)?;
                counts.refused.fetch_add(1, Ordering::Relaxed);
            }
            3 => {
                oversize(address)?;
                counts.refused.fetch_add(1, Ordering::Relaxed);
            }
            4..=7 => {
                let list: Vec<Question> =
                    (0..1 + random.below(60)).map(|id| question(token, id, &mut random)).collect();
                let body = Value::Array(list.iter().map(|question| question.request.clone()).collect()).to_string();
                let answers: Value = serde_json::from_slice(connection.post(&body)?).context("no JSON")?;
                let answers = answers.as_array().with_context(|| format!("no batch: {answers}"))?;
                ensure!(answers.len() == list.len(), "{} answers to {} requests", answers.len(), list.len());
                for (question, answer) in list.iter().zip(answers) {
                    question.check(answer, counts)?;
                }
            }
            _ => {
                let question = question(token, 1, &mut random);
                let answer: Value = serde_json::from_slice(connection.post(&question.request.to_string())?)?;
                question.check(&answer, counts)?;
            }
        }
    }
    Ok(())
}

/// A request and what has to come.
struct Question {
    request: Value,
    expected: Expected,
}

enum Expected {
    Result(Value),
    /// At a place of the result.
    At(&'static str, Value),
    Error(i64, &'static str),
}

impl Question {
    fn check(&self, answer: &Value, counts: &Counts) -> Result<()> {
        let wrong = || format!("{}\n  {answer}", self.request);
        ensure!(answer["id"] == self.request["id"], "another id: {}", wrong());
        let error = &answer["error"];
        let text = error["message"].as_str().unwrap_or_default();
        let of_node = ["state not available", "the node behind this server", "header not found"];
        if of_node.iter().any(|start| text.starts_with(start)) {
            counts.failed.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        match &self.expected {
            Expected::Result(result) => ensure!(answer["result"] == *result, wrong()),
            Expected::At(place, value) => ensure!(answer["result"].pointer(place) == Some(value), wrong()),
            Expected::Error(code, start) => {
                ensure!(error["code"] == *code && text.starts_with(start), wrong());
            }
        }
        counts.right.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn question(token: &str, id: u64, random: &mut Random) -> Question {
    let holder = random.below(HOLDERS);
    let balance = format!("0x{:064x}", holder + 1);
    let call = json!({"to": token, "data": format!("0x70a08231{:064x}", 0x1000_0000 + holder)});
    let other = "0x00000000000000000000000000000000000c0de0";
    let with = |code: &str| json!({other: {"code": code}});
    let (method, params, expected) = match random.below(16) {
        0 => (
            "eth_call",
            json!([{"to": other}, "latest", with("0x63deadbeef60e01b5f5260045ffd")]),
            Expected::Error(3, "execution reverted"),
        ),
        1 => (
            "eth_call",
            json!([{"to": other, "gas": "0x493e0"}, "latest", with("0x5b5f56")]),
            Expected::Error(-32000, "out of gas"),
        ),
        2 => (
            "eth_call",
            json!([{"to": other, "gas": "0x1e8480"}, "latest", with("0x5b5f56")]),
            Expected::Error(-32000, "out of gas"),
        ),
        3 => {
            let value = random.below(1 << 30);
            let overrides = json!({other: {"code": "0x475f5260205ff3", "balance": format!("{value:#x}")}});
            (
                "eth_call",
                json!([{"to": other}, "latest", overrides]),
                Expected::Result(json!(format!("0x{value:064x}"))),
            )
        }
        4 => (
            "debug_traceCall",
            json!([call, "latest", {"tracer": "callTracer"}]),
            Expected::At("/output", json!(balance)),
        ),
        5 => ("debug_traceCall", json!([call, "latest", {}]), Expected::At("/returnValue", json!(balance))),
        6 => (
            "eth_simulateV1",
            json!([{"blockStateCalls": [{"calls": [call]}]}, "latest"]),
            Expected::At("/0/calls/0/returnData", json!(balance)),
        ),
        7 => (
            "eth_callMany",
            json!([[{"transactions": [call]}], {"blockNumber": "latest"}]),
            Expected::At("/0/0/value", json!(balance)),
        ),
        8 => ("eth_estimateGas", json!([{"from": other, "to": other}]), Expected::Result(json!("0x5208"))),
        9 => ("eth_createAccessList", json!([call]), Expected::At("/accessList/0/address", json!(token))),
        10 => ("eth_chainId", json!([]), Expected::Result(json!("0x7a69"))),
        11 => ("eth_call", json!([call, "0x123456789"]), Expected::Error(-32000, "header not found")),
        _ => ("eth_call", json!([call, "latest"]), Expected::Result(json!(balance))),
    };
    Question { request: json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}), expected }
}

/// Something that is no request gets an error with a standard code.
fn misbehave(connection: &mut Connection, random: &mut Random) -> Result<()> {
    let (body, code) = match random.below(8) {
        0 => ("{".to_owned(), -32700),
        1 => ("[]".to_owned(), -32600),
        2 => ("\u{7}".to_owned(), -32700),
        3 => (format!("[{}]", vec!["1"; 200].join(",")), -32600),
        4 => (format!("{}1{}", "[".repeat(5000), "]".repeat(5000)), -32600),
        5 => ("{\"id\":1,\"method\":\"eth_call\",\"params\":[{\"to\":\"0xzz\"}]}".to_owned(), -32602),
        6 => ("{\"id\":1,\"method\":\"eth_simulateV1\",\"params\":[{\"blockStateCalls\":7}]}".to_owned(), -32602),
        _ => ("{\"id\":{},\"method\":\"eth_call\"}".to_owned(), -32600),
    };
    let answer: Value = serde_json::from_slice(connection.post(&body)?)?;
    let got = answer.pointer("/error/code").or_else(|| answer.pointer("/0/error/code"));
    // How deep JSON may be is the parser's affair.
    let deep = body.starts_with("[[") && got == Some(&json!(-32700));
    ensure!(deep || got == Some(&json!(code)), "{}: expected {code}, got {answer}", &body[..body.len().min(100)]);
    Ok(())
}

/// A body beyond the limit gets 413, or the connection is closed.
fn oversize(address: &str) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let head =
        "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 2000000\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// Sends a part of a request, or all of one, and leaves.
fn leave(address: &str, token: &str, random: &mut Random) -> Result<()> {
    let body = question(token, 1, random).request.to_string();
    let head = "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n";
    let whole = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let sent = 1 + random.below(whole.len() as u64) as usize;
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(whole.as_bytes().get(..sent).unwrap_or_default())?;
    Ok(())
}
