//! The state of a block from a node, here one that answers from a state in memory.

use super::support::*;
use isolane::convert::keccak;
use isolane::executor::{BlockTag, Executor, ExecutorError, OpenedBlock, RpcSource, RpcSourceError, Want};
use isolane::load::rpc::{Rpc, RpcSettings};
use isolane::spec::{Fork, H160, H256, KECCAK_EMPTY, MemoryState, StateView, U256};
use serde_json::{Value, json};
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

struct Node {
    state: MemoryState,
    requests: AtomicUsize,
    /// The node no longer has the state.
    pruned: AtomicBool,
    /// Its chain is another one below its newest block.
    reorganised: AtomicBool,
}

const NEWEST: u64 = 256;

fn text(value: impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

fn hash_of(number: u64) -> H256 {
    keccak(number.to_be_bytes())
}

impl Node {
    fn serve(state: MemoryState) -> (Arc<Self>, Arc<Rpc>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let node = Arc::new(Self {
            state,
            requests: AtomicUsize::new(0),
            pruned: AtomicBool::new(false),
            reorganised: AtomicBool::new(false),
        });
        let served = Arc::clone(&node);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let served = Arc::clone(&served);
                std::thread::spawn(move || served.connection(stream));
            }
        });
        let settings = RpcSettings {
            timeout: Duration::from_secs(20),
            retries: 1,
            longest_wait: Duration::from_millis(10),
            ..RpcSettings::default()
        };
        (node, Arc::new(Rpc::new(&url, settings)))
    }

    fn connection(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            self.requests.fetch_add(1, Ordering::Relaxed);
            let request: Value = serde_json::from_slice(&body).expect("JSON");
            let reply = match request {
                Value::Array(requests) => requests.iter().map(|request| self.answer(request)).collect(),
                request => self.answer(&request),
            }
            .to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", reply.len());
            reader.get_mut().write_all((head + &reply).as_bytes()).expect("a reader");
        }
    }

    fn answer(&self, request: &Value) -> Value {
        let method = request["method"].as_str().expect("a method");
        let id = &request["id"];
        let parameters = &request["params"];
        let stateful = ["eth_getProof", "eth_getStorageAt", "eth_getCode"].contains(&method);
        if stateful && self.pruned.load(Ordering::Relaxed) {
            return json!({"id": id, "error": {"code": -32000, "message": "missing trie node 12ab (path )"}});
        }
        if stateful {
            let at = parameters.as_array().and_then(|list| list.last()).expect("a block");
            assert_eq!(at["blockHash"], json!(text(hash_of(NEWEST))), "every question is about the pinned block");
        }
        let address = || -> H160 { parameters[0].as_str().expect("an address").parse().expect("hex") };
        let account = |address: H160| self.state.account(&address).expect("an answer").unwrap_or_default();
        let result = match method {
            "eth_chainId" => json!("0x1"),
            "eth_getProof" => {
                let account = account(address());
                let has = self.state.has_storage(&address()).expect("an answer");
                let root = if has { H256([5; 32]) } else { isolane::trie::EMPTY_ROOT };
                let code_hash = if account.code_hash == KECCAK_EMPTY { H256::zero() } else { account.code_hash };
                json!({"address": text(address()), "balance": format!("{:#x}", account.balance), "nonce": format!("{:#x}", account.nonce),
                    "codeHash": text(code_hash), "storageHash": text(root), "accountProof": [], "storageProof": []})
            }
            "eth_getStorageAt" => {
                let key: H256 = parameters[1].as_str().expect("a key").parse().expect("hex");
                let value = self.state.storage(&address(), &U256::from_big_endian(&key.0)).expect("an answer");
                json!(text(H256(value.to_big_endian())))
            }
            "eth_getCode" => {
                let code = self.state.code(&account(address()).code_hash).expect("an answer");
                json!(format!("0x{}", hex::encode(code)))
            }
            "eth_getBlockByNumber" => {
                let number = match parameters[0].as_str().expect("a number") {
                    "latest" | "finalized" => NEWEST,
                    number => u64::from_str_radix(&number[2..], 16).expect("hex"),
                };
                self.block(number)
            }
            "eth_getBlockByHash" => {
                let number = (0..=NEWEST).find(|number| json!(text(hash_of(*number))) == parameters[0]);
                number.map_or(Value::Null, |number| self.block(number))
            }
            _ => return json!({"id": id, "error": {"code": -32601, "message": "no such method"}}),
        };
        json!({"jsonrpc": "2.0", "id": id, "result": result})
    }

    fn block(&self, number: u64) -> Value {
        if number > NEWEST {
            return Value::Null;
        }
        let other = self.reorganised.load(Ordering::Relaxed) && number < NEWEST;
        let hash = if other { keccak([number.to_be_bytes(), [1; 8]].concat()) } else { hash_of(number) };
        let zero = text(H256::zero());
        let hash = text(hash);
        json!({"hash": hash, "parentHash": text(hash_of(number.wrapping_sub(1))), "sha3Uncles": zero, "miner": text(H160([0xc0; 20])),
            "stateRoot": zero, "transactionsRoot": zero, "receiptsRoot": zero, "logsBloom": format!("0x{}", "00".repeat(256)),
            "difficulty": "0x0", "number": format!("{number:#x}"), "gasLimit": "0x1c9c380", "gasUsed": "0x0",
            "timestamp": format!("{:#x}", 1_760_000_000u64 + number), "extraData": "0x", "mixHash": zero, "nonce": "0x0000000000000000",
            "baseFeePerGas": "0x7", "blobGasUsed": "0x0", "excessBlobGas": "0x0", "transactions": [hash], "uncles": []})
    }
}

fn open(rpc: &Arc<Rpc>) -> OpenedBlock {
    RpcSource::open(Arc::clone(rpc), BlockTag::Latest, None).expect("a block")
}

#[test]
fn balances_come_from_a_node_in_few_requests() {
    let (node, rpc) = Node::serve(world(500));
    let opened = open(&rpc);
    assert_eq!((opened.block.number, opened.block.base_fee, opened.hash), (NEWEST, U256::from(7), hash_of(NEWEST)));
    assert!(opened.rules.fork >= Fork::Prague, "by mainnet's schedule");
    let executor = Executor::builder().threads(2).build().expect("an executor");
    let snapshot = executor.snapshot(&opened.source, opened.block.clone(), opened.rules);
    let calls = balance_calls(PROXY, 500);
    let before = node.requests.load(Ordering::Relaxed);
    for (index, result) in executor.run(&snapshot, &calls, Want::OUTPUT).into_iter().enumerate() {
        assert_eq!(U256::from_big_endian(&result.expect("an outcome").output), U256::from(10 * index));
    }
    let asked = node.requests.load(Ordering::Relaxed) - before;
    assert!(asked <= 16, "{asked} requests for 500 slots, 64 a request");
    // A second source of the same block shares the cache, one of another generation does not.
    let same = executor.snapshot(&open(&rpc).source, opened.block.clone(), opened.rules);
    let before = node.requests.load(Ordering::Relaxed);
    assert!(executor.run(&same, &calls, Want::OUTPUT).iter().all(Result::is_ok));
    assert_eq!(node.requests.load(Ordering::Relaxed), before);
    let next = Arc::new(RpcSource::at(Arc::clone(&rpc), opened.hash).with_generation(1));
    let next = executor.snapshot(&next, opened.block, opened.rules);
    assert!(executor.run(&next, &calls, Want::OUTPUT).iter().all(Result::is_ok));
    assert!(node.requests.load(Ordering::Relaxed) > before);
}

#[test]
fn ancestors_belong_to_the_pinned_block() {
    let (node, rpc) = Node::serve(world(2));
    let executor = Executor::builder().threads(1).build().expect("an executor");
    let opened = open(&rpc);
    let snapshot = executor.snapshot(&opened.source, opened.block.clone(), opened.rules);
    for number in [255, 200, 100, 1] {
        assert_eq!(executor.block_hash(&snapshot, number).expect("a hash"), hash_of(number));
    }
    // The block after it asks for the pinned block's own hash, before anything else is known of the chain.
    let opened = RpcSource::at(Arc::clone(&rpc), hash_of(NEWEST)).with_generation(2);
    let fresh = executor.snapshot(&Arc::new(opened), snapshot.block().clone(), *snapshot.rules());
    assert_eq!(executor.block_hash(&fresh, NEWEST).expect("its own hash"), hash_of(NEWEST));
    node.reorganised.store(true, Ordering::Relaxed);
    let opened = RpcSource::at(rpc, hash_of(NEWEST)).with_generation(1);
    let snapshot = executor.snapshot(&Arc::new(opened), snapshot.block().clone(), *snapshot.rules());
    let error = executor.block_hash(&snapshot, 200).expect_err("another chain");
    assert!(error.to_string().contains("reorganised"), "{error}");
}

#[test]
fn what_the_node_says_is_in_the_error() {
    let (node, rpc) = Node::serve(world(2));
    let executor = Executor::builder().threads(1).build().expect("an executor");
    let opened = open(&rpc);
    node.pruned.store(true, Ordering::Relaxed);
    let snapshot = executor.snapshot(&opened.source, opened.block, opened.rules);
    let before = node.requests.load(Ordering::Relaxed);
    let error = executor.run(&snapshot, &balance_calls(TOKEN, 40), Want::OUTPUT).remove(0).expect_err("no state");
    let ExecutorError::Source { source, .. } = &error else { panic!("{error}") };
    let source = source.downcast_ref::<RpcSourceError>().expect("the source's own error");
    assert!(source.is_refusal() && source.is_pruned() && source.source().is_none(), "{source}");
    assert!(error.to_string().contains("missing trie node"), "{error}");
    assert_eq!(node.requests.load(Ordering::Relaxed), before + 1, "it is not asked key by key");
    let missing = RpcSource::open(rpc, BlockTag::Number(NEWEST + 1), None).err().expect("no such block");
    assert!(matches!(missing, RpcSourceError::NoBlock(_)), "{missing}");
}
