//! A small server that answers as a node does from bundled packs, and that misbehaves when it is told to.

use super::proofs::{State, witness};
use alloy_primitives::{Address, U256};
use isolane::load::block_pack::BlockPack;
use isolane::load::typed;
use isolane::report::Verdict;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Nothing,
    /// Every third request is answered too late.
    Slow,
    /// Every third request gets status 429 with Retry-After.
    Busy,
    /// Every third reply ends in its middle.
    Cut,
    /// Every third reply is to another request.
    WrongId,
    /// Every third reply is no JSON.
    Garbage,
    /// The node serves no state.
    NoMethod,
    /// The node gives the block after the one that was asked for.
    WrongBlock,
    /// The node's chain becomes another one after some requests.
    Reorganised,
    /// A balance that the block reads is wrong.
    WrongState,
    /// It serves no witness.
    NoWitness,
    /// It serves neither a witness nor traces, but proofs.
    OnlyProofs,
    /// It serves proofs of another state.
    WrongProofs,
    /// It serves proofs that prove other values than it says.
    LyingProofs,
    /// It serves codes of other accounts.
    WrongCode,
    /// Its chain has other blocks of the same numbers by now.
    OtherChain,
    /// A block does not come to what its header says, though it hashes to its hash.
    Invalid,
}

impl Fault {
    /// Whether proofs are all that it serves of a state.
    fn only_proofs(self) -> bool {
        matches!(self, Self::OnlyProofs | Self::WrongProofs | Self::LyingProofs | Self::WrongCode)
    }
}

pub struct Node {
    packs: BTreeMap<u64, Value>,
    states: BTreeMap<u64, State>,
    /// The headers of their parents.
    headers: BTreeMap<u64, String>,
    fault: Fault,
    pub requests: AtomicU64,
    /// Requests by whole blocks, which are what fetching costs.
    pub blocks: AtomicU64,
}

fn hex_number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// Some bundled blocks.
pub const BLOCKS: [u64; 4] = [6, 8, 10, 12];
/// The same on the command line.
pub const RANGE: [&str; 2] = ["--blocks", "6:13:2"];

/// A pack whose parent is a header with the root of the pack's pre-state, and that header. The bundled packs lack their
/// parents' headers.
fn link(path: &Path) -> (Value, String) {
    let document = typed::read(path).expect("a pack");
    let mut pack: Value = typed::parse(&document).expect("JSON");
    let header = |pack: &Value| {
        let typed: BlockPack = typed::parse(pack.to_string().as_bytes()).expect("a pack");
        typed.block.header()
    };
    let mut parent = header(&pack);
    parent.number -= 1;
    parent.state_root = witness(&pack)["preStateRoot"].as_str().expect("a root").parse().expect("a root");
    let hash = json!(parent.hash_slow());
    let number = format!("{:#x}", parent.number);
    pack["block"]["parentHash"] = hash.clone();
    pack["blockHashes"][number] = hash;
    // EIP-2935 keeps the parent's hash: the state root is another one.
    for _ in 0..2 {
        let hash = json!(header(&pack).hash_slow());
        pack["block"]["hash"] = hash.clone();
        for receipt in pack["receipts"].as_array_mut().expect("receipts") {
            receipt["blockHash"] = hash.clone();
        }
        pack.as_object_mut().expect("a pack").remove("poststate");
        if let Some(root) = state_root(&pack) {
            pack["block"]["stateRoot"] = json!(root);
        }
    }
    assert_eq!(state_root(&pack), None, "{}", path.display());
    (pack, alloy_primitives::hex::encode_prefixed(alloy_rlp::encode(parent)))
}

/// The state root after the block, if it is not the one that the block names; everything else must match.
fn state_root(pack: &Value) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("31337-1.json");
    std::fs::write(&path, pack.to_string()).expect("a pack");
    let inputs = isolane::replay::find(&[path]).expect("a pack");
    let mut root = None;
    let each = |report: isolane::report::InputReport| match report.verdict {
        Verdict::Match => {}
        Verdict::Mismatch(list) => match &list[..] {
            [one] if one.field.contains("stateRoot") => root = Some(one.got.clone()),
            list => panic!("{list:?}"),
        },
        Verdict::Failed(error) => panic!("{error}"),
    };
    isolane::replay::replay(&inputs, &Default::default(), each).expect("threads");
    root
}

impl Node {
    /// A node of some bundled blocks of Osaka.
    pub fn start(fault: Fault) -> (String, Arc<Self>) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/blocks/anvil/osaka");
        let (mut packs, mut headers) = (BTreeMap::new(), BTreeMap::new());
        for number in BLOCKS {
            let (mut pack, parent) = link(&folder.join(format!("31337-{number}.json.zst")));
            if fault == Fault::Invalid && number == BLOCKS[1] {
                pack["block"]["logsBloom"] = json!(format!("0x{}", "7".repeat(512)));
                let typed: BlockPack = typed::parse(pack.to_string().as_bytes()).expect("a pack");
                let hash = json!(typed.block.header().hash_slow());
                pack["block"]["hash"] = hash.clone();
                for receipt in pack["receipts"].as_array_mut().expect("receipts") {
                    receipt["blockHash"] = hash.clone();
                }
            }
            packs.insert(number, pack);
            headers.insert(number, parent);
        }
        let states = packs.iter().map(|(number, pack)| (*number, State::of(pack))).collect();
        let (requests, blocks) = (AtomicU64::new(0), AtomicU64::new(0));
        let node = Arc::new(Self { packs, states, headers, fault, requests, blocks });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = Arc::clone(&node);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = Arc::clone(&server);
                std::thread::spawn(move || server.serve(stream));
            }
        });
        (url, node)
    }

    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 65536]);
        let request: Value = loop {
            let n = stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
            bytes.extend_from_slice(&buffer[..n]);
            let body = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| &bytes[at + 4..]);
            if let Some(request) = body.and_then(|body| serde_json::from_slice(body).ok()) {
                break request;
            }
        };
        let turn = self.requests.fetch_add(1, Ordering::Relaxed);
        let third = turn % 3 == 2;
        if third && self.fault == Fault::Slow {
            std::thread::sleep(Duration::from_millis(1500));
        }
        if third && self.fault == Fault::Busy {
            let head = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy";
            return stream.write_all(head.as_bytes()).ok();
        }
        let reply = |request: &Value| {
            let id = if third && self.fault == Fault::WrongId { json!(77) } else { request["id"].clone() };
            match self.answer(request["method"].as_str().unwrap_or_default(), &request["params"], turn) {
                Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
                Err(message) => json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": message}}),
            }
        };
        let mut body = match &request {
            Value::Array(list) => Value::Array(list.iter().map(reply).collect()),
            one => reply(one),
        }
        .to_string();
        if third && self.fault == Fault::Garbage {
            body = "<html>it works</html>".to_owned();
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        if third && self.fault == Fault::Cut {
            body.truncate(body.len() / 2);
        }
        stream.write_all((head + &body).as_bytes()).ok()
    }

    fn answer(&self, method: &str, params: &Value, turn: u64) -> Result<Value, String> {
        let refused = || format!("the method {method} is not available");
        let number = hex_number(&params[0]);
        let reorganised = self.fault == Fault::Reorganised && turn > 9;
        let pack = |number: Option<u64>| number.and_then(|number| self.packs.get(&number));
        Ok(match method {
            "eth_chainId" => json!("0x7a69"),
            "eth_blockNumber" => json!("0xc"),
            "web3_clientVersion" => json!("test/1"),
            "eth_getBlockByNumber" if params[0] == "finalized" => json!({"number": "0xa"}),
            "eth_getBlockByNumber" if number == Some(0) => json!({"number": "0x0", "hash": format!("0x{:064x}", 7)}),
            "eth_getBlockByNumber" => {
                let shift = u64::from(self.fault == Fault::WrongBlock && params[1] == true);
                let parent = number.and_then(|number| self.headers.get(&(number + 1)));
                if let Some(header) = parent.filter(|_| params[1] == false) {
                    let header = alloy_primitives::hex::decode(header).expect("a header");
                    return Ok(rpc_header(&mut &header[..]));
                }
                let Some(pack) = pack(number.map(|number| number + 2 * shift)) else {
                    // An ancestor.
                    let known = self.packs.values().find_map(|pack| pack["blockHashes"].get(params[0].as_str()?));
                    return Ok(known.map_or(Value::Null, |hash| json!({"number": params[0], "hash": hash})));
                };
                let mut block = pack["block"].clone();
                if self.fault == Fault::OtherChain {
                    block["hash"] = json!(format!("0x{:064x}", 99));
                }
                if params[1] == true {
                    self.blocks.fetch_add(1, Ordering::Relaxed);
                } else {
                    block["transactions"] = json!([]);
                }
                block
            }
            "eth_getBlockReceipts" => {
                let mut receipts = pack(number).map_or(Value::Null, |pack| pack["receipts"].clone());
                for receipt in receipts.as_array_mut().into_iter().flatten().filter(|_| reorganised) {
                    receipt["blockHash"] = json!(format!("0x{:064x}", 99));
                }
                receipts
            }
            _ if self.fault == Fault::NoMethod => return Err(refused()),
            "debug_executionWitness" if self.fault == Fault::NoWitness => return Err(refused()),
            "debug_executionWitness" | "debug_traceBlockByNumber" if self.fault.only_proofs() => return Err(refused()),
            "eth_getProof" => {
                // Only of the states before its blocks.
                let number = hex_number(&params[2]).map(|number| number + 1);
                let number = number.filter(|number| self.states.contains_key(number)).ok_or("missing trie node")?;
                let number = if self.fault == Fault::WrongProofs { BLOCKS[0] } else { number };
                let keys = params[1].as_array().expect("keys");
                let keys: Vec<U256> =
                    keys.iter().map(|key| key.as_str().expect("a key").parse().expect("a key")).collect();
                let address: Address = params[0].as_str().expect("an address").parse().expect("an address");
                let mut proof = self.states[&number].proof(address, &keys);
                if self.fault == Fault::LyingProofs {
                    proof["nonce"] = json!("0x7777");
                }
                proof
            }
            "eth_getCode" if self.fault == Fault::WrongCode => json!("0x60006000"),
            "debug_executionWitness" => {
                if pack(number).is_none() {
                    return Ok(Value::Null);
                }
                let mut whole = self.states[&number.unwrap_or_default()].witness();
                whole.as_object_mut().expect("an object").remove("preStateRoot");
                let parent = number.and_then(|number| self.headers.get(&number));
                whole["headers"] = json!(parent.into_iter().collect::<Vec<_>>());
                if self.fault == Fault::WrongState {
                    for node in whole["state"].as_array_mut().expect("nodes") {
                        *node = json!(format!("{}00", node.as_str().expect("a node")));
                    }
                }
                whole
            }
            "debug_traceBlockByNumber" if params[1].get("tracerConfig").is_some() => return Err(refused()),
            "debug_traceBlockByNumber" => {
                let Some(pack) = pack(number) else { return Ok(Value::Null) };
                let state = pack["prestate"].as_object().expect("accounts");
                let there = state.iter().filter(|(_, account)| account["absent"] != true);
                let mut accounts: serde_json::Map<String, Value> =
                    there.map(|(address, account)| (address.clone(), account.clone())).collect();
                if self.fault == Fault::WrongState {
                    for account in accounts.values_mut() {
                        account["balance"] = json!("0x123456789abcdef0123");
                    }
                }
                let hashes = pack["block"]["transactions"].as_array().expect("transactions");
                let result = |index: usize| if index == 0 { Value::Object(accounts.clone()) } else { json!({}) };
                let results = hashes
                    .iter()
                    .enumerate()
                    .map(|(index, transaction)| json!({"txHash": transaction["hash"], "result": result(index)}));
                Value::Array(results.collect())
            }
            "eth_getBalance" | "eth_getTransactionCount" | "eth_getCode" | "eth_getStorageAt" => {
                let at = if method == "eth_getStorageAt" { 2 } else { 1 };
                let after = hex_number(&params[at]).map(|number| number + 1);
                let address = params[0].as_str().unwrap_or_default();
                let account = pack(after).map_or(&Value::Null, |pack| &pack["prestate"][address]);
                let (field, empty) = match method {
                    "eth_getBalance" => ("balance", json!("0x0")),
                    "eth_getCode" => ("code", json!("0x")),
                    "eth_getStorageAt" => ("storage", json!("0x0")),
                    _ => ("nonce", json!("0x0")),
                };
                let value = match field {
                    "storage" => &account["storage"][params[1].as_str().unwrap_or_default()],
                    field => &account[field],
                };
                match value {
                    Value::Null => empty,
                    Value::Number(number) => json!(format!("{:#x}", number.as_u64().unwrap_or_default())),
                    other => other.clone(),
                }
            }
            _ => return Err(refused()),
        })
    }
}

/// A header as `eth_getBlockByNumber` gives it.
fn rpc_header(rlp: &mut &[u8]) -> Value {
    let header = <alloy_consensus::Header as alloy_rlp::Decodable>::decode(rlp).expect("a header");
    let mut block = serde_json::to_value(&header).expect("JSON");
    block["hash"] = json!(header.hash_slow());
    block["transactions"] = json!([header.hash_slow()]);
    block
}
