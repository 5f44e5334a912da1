//! A node of a few accounts, which misbehaves when it is told to.

use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Nothing,
    /// Every third request is answered too late.
    Slow,
    /// Every third request gets status 503.
    Busy,
    /// Every third reply ends in its middle.
    Cut,
    /// Every third reply is to another request.
    WrongId,
    /// Every third reply is no JSON.
    Garbage,
    /// Every third connection is closed without a word.
    Closed,
    /// Nothing is answered any more.
    Down,
    /// Questions for state are refused.
    Pruned,
}

impl Fault {
    /// All that every third request suffers from.
    pub const THIRDS: [Self; 6] = [Self::Slow, Self::Busy, Self::Cut, Self::WrongId, Self::Garbage, Self::Closed];
}

/// An account.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub balance: u128,
    pub nonce: u64,
    pub code: Vec<u8>,
    pub storage: BTreeMap<u64, u64>,
}

/// The chain: all blocks have the state of the newest one but for what `history` says.
#[derive(Debug, Default)]
struct World {
    number: u64,
    accounts: BTreeMap<String, Account>,
    /// States that blocks left behind.
    history: HashMap<u64, BTreeMap<String, Account>>,
}

/// The node.
#[derive(Debug)]
pub struct Node {
    pub url: String,
    world: Mutex<World>,
    fault: Mutex<Fault>,
    requests: AtomicU64,
    calls: Mutex<HashMap<String, u64>>,
}

/// A contract's address.
pub fn address(number: u64) -> String {
    format!("0x{number:040x}")
}

/// The hash of a block.
pub fn hash(number: u64) -> String {
    format!("0x{:064x}", 0xb10c_0000 + number)
}

fn keccak(bytes: &[u8]) -> String {
    alloy_primitives::keccak256(bytes).to_string()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number_of(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

impl Node {
    /// A node with these accounts, at block 10.
    pub fn start(accounts: impl IntoIterator<Item = (u64, Account)>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let accounts = accounts.into_iter().map(|(number, account)| (address(number), account)).collect();
        let node = Arc::new(Self {
            url,
            world: Mutex::new(World { number: 10, accounts, history: HashMap::new() }),
            fault: Mutex::new(Fault::Nothing),
            requests: AtomicU64::new(0),
            calls: Mutex::default(),
        });
        let server = Arc::clone(&node);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = Arc::clone(&server);
                std::thread::spawn(move || server.serve(stream));
            }
        });
        node
    }

    pub fn set_fault(&self, fault: Fault) {
        *lock(&self.fault) = fault;
    }

    /// Makes a block in which an account became another one.
    pub fn mine(&self, number: u64, account: Account) {
        let mut world = lock(&self.world);
        let (block, before) = (world.number, world.accounts.clone());
        world.history.insert(block, before);
        world.number += 1;
        world.accounts.insert(address(number), account);
    }

    /// Changes an account without a block, as `anvil_setStorageAt` does.
    pub fn change(&self, number: u64, account: Account) {
        lock(&self.world).accounts.insert(address(number), account);
    }

    /// How often a method was called.
    pub fn calls(&self, method: &str) -> u64 {
        lock(&self.calls).get(method).copied().unwrap_or_default()
    }

    /// HTTP requests so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
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
        let fault = *lock(&self.fault);
        let third = turn % 3 == 2;
        match fault {
            Fault::Slow if third => std::thread::sleep(Duration::from_millis(1500)),
            Fault::Closed if third => return None,
            Fault::Down => return None,
            Fault::Busy if third => {
                let head = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy";
                return stream.write_all(head.as_bytes()).ok();
            }
            _ => {}
        }
        let reply = |request: &Value| {
            let id = if third && fault == Fault::WrongId { json!(77) } else { request["id"].clone() };
            let method = request["method"].as_str().unwrap_or_default();
            *lock(&self.calls).entry(method.to_owned()).or_default() += 1;
            match self.answer(method, &request["params"], fault) {
                Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
                Err((code, message)) => {
                    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message, "data": {"by": "the node"}}})
                }
            }
        };
        let mut body = match &request {
            Value::Array(list) => Value::Array(list.iter().map(reply).collect()),
            one => reply(one),
        }
        .to_string();
        if third && fault == Fault::Garbage {
            body = "<html>it works</html>".to_owned();
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        if third && fault == Fault::Cut {
            body.truncate(body.len() / 2);
        }
        stream.write_all((head + &body).as_bytes()).ok()
    }

    fn answer(&self, method: &str, params: &Value, fault: Fault) -> Result<Value, (i64, String)> {
        let world = lock(&self.world);
        let of_hash = |hash_text: &Value| (0..=world.number).find(|number| *hash_text == json!(hash(*number)));
        let state = |block: &Value| -> Result<&BTreeMap<String, Account>, (i64, String)> {
            if fault == Fault::Pruned {
                return Err((-32000, "missing trie node: the state is pruned".to_owned()));
            }
            let number = of_hash(&block["blockHash"]).ok_or((-32000, "header not found".to_owned()))?;
            Ok(world.history.get(&number).unwrap_or(&world.accounts))
        };
        let account = |block: &Value| {
            let name = params[0].as_str().unwrap_or_default().to_lowercase();
            state(block).map(|accounts| accounts.get(&name).cloned().unwrap_or_default())
        };
        Ok(match method {
            "eth_chainId" => json!("0x7a69"),
            "eth_blockNumber" => json!(format!("{:#x}", world.number)),
            "anvil_nodeInfo" => json!({"hardFork": "Prague"}),
            "eth_getBlockByNumber" => match params[0].as_str().unwrap_or_default() {
                "latest" => block(world.number),
                "safe" | "finalized" => block(world.number - 2),
                "earliest" => block(0),
                _ => number_of(&params[0]).filter(|number| *number <= world.number).map_or(Value::Null, block),
            },
            "eth_getBlockByHash" => of_hash(&params[0]).map_or(Value::Null, block),
            "eth_getProof" => {
                let account = account(&params[2])?;
                let empty = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";
                json!({
                    "address": params[0], "accountProof": [], "storageProof": [],
                    "balance": format!("{:#x}", account.balance), "nonce": format!("{:#x}", account.nonce),
                    "codeHash": keccak(&account.code),
                    "storageHash": if account.storage.is_empty() { json!(empty) } else { json!(hash(7)) },
                })
            }
            "eth_getStorageAt" => {
                let key = number_of(&json!(params[1].as_str().unwrap_or_default().trim_start_matches("0x")));
                let key = key.or_else(|| {
                    let digits = params[1].as_str()?.trim_start_matches("0x").trim_start_matches('0');
                    u64::from_str_radix(if digits.is_empty() { "0" } else { digits }, 16).ok()
                });
                let value = account(&params[2])?.storage.get(&key.unwrap_or(u64::MAX)).copied().unwrap_or_default();
                json!(format!("0x{value:064x}"))
            }
            "eth_getCode" => json!(format!("0x{}", alloy_primitives::hex::encode(account(&params[1])?.code))),
            "eth_sendRawTransaction" => json!(hash(1)),
            "anvil_setStorageAt" => json!(true),
            "test_sleep" => {
                drop(world);
                std::thread::sleep(Duration::from_millis(params[0].as_u64().unwrap_or_default()));
                json!("slept")
            }
            _ => return Err((-32601, format!("the method {method} is not known to the node"))),
        })
    }
}

fn block(number: u64) -> Value {
    let zero = format!("0x{:064x}", 0);
    json!({
        "hash": hash(number), "parentHash": hash(number.saturating_sub(1)), "number": format!("{number:#x}"),
        "sha3Uncles": zero, "miner": address(0xc0), "stateRoot": zero, "transactionsRoot": zero, "receiptsRoot": zero,
        "logsBloom": format!("0x{}", "0".repeat(512)), "difficulty": "0x0", "gasLimit": "0x1c9c380", "gasUsed": "0x0",
        "timestamp": format!("{:#x}", 1_700_000_000 + 12 * number), "extraData": "0x", "mixHash": zero,
        "nonce": "0x0000000000000000", "baseFeePerGas": "0x3b9aca00", "withdrawalsRoot": zero, "blobGasUsed": "0x0",
        "excessBlobGas": "0x0", "parentBeaconBlockRoot": zero, "requestsHash": zero, "transactions": [], "uncles": [],
        "withdrawals": [],
    })
}
