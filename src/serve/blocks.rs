//! The blocks that calls run on: each is pinned by its hash, with its rules and its state's cache. The newest one is looked
//! for again and again, so that most calls find it at hand.

use super::jsonrpc::Failure;
use super::metrics::Metrics;
use super::params::BlockId;
use crate::block::block_context;
use crate::chain::ChainSpec;
use crate::convert::from_b256;
use crate::executor::{Executor, RpcSource, Snapshot};
use crate::load::json_rpc::RpcBlock;
use crate::load::rpc::{Rpc, RpcError};
use alloy_consensus::Header;
use isolane_spec::{Fork, H256, Rules};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Blocks that are kept.
const KEPT: usize = 64;
/// How long what a number or a tag stands for is believed, unless a new block shows first.
const BELIEVED: Duration = Duration::from_secs(2);
/// How long the newest block is the newest although the node does not answer.
const STALE: Duration = Duration::from_secs(30);

/// A block.
#[derive(Debug)]
pub struct Pinned {
    /// Its hash, as the node says.
    pub hash: H256,
    /// Its header.
    pub header: Header,
    /// The state after it.
    pub snapshot: Arc<Snapshot>,
}

/// Which fork holds when.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// As a chain says.
    Chain(Box<ChainSpec>),
    /// The same for all blocks.
    Constant(Fork),
    /// As the fields of the headers show, which tells no forks apart that added none.
    Headers,
}

/// The blocks of a node.
pub struct Blocks {
    rpc: Arc<Rpc>,
    executor: Executor,
    /// Bytes of state that may be kept.
    memory: usize,
    chain_id: u64,
    schedule: Schedule,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
    changed: Condvar,
    /// Counts what changed the node's state without a block: states from before are not believed any more.
    generation: AtomicU64,
    poll: Duration,
    stopped: AtomicBool,
}

#[derive(Default)]
struct State {
    head: Option<(Arc<Pinned>, Instant)>,
    /// Whether the newest block may be another one already.
    suspect: bool,
    failure: Option<String>,
    by_hash: HashMap<H256, Arc<Pinned>>,
    /// The hashes, the oldest first.
    order: VecDeque<H256>,
    by_name: HashMap<BlockId, (Arc<Pinned>, Instant)>,
}

/// Looks for new blocks until it is dropped.
pub struct Watcher {
    blocks: Arc<Blocks>,
    thread: Option<JoinHandle<()>>,
}

impl Blocks {
    /// The blocks of a node whose newest one is looked for that often. The executor's caches may take so many bytes.
    ///
    /// # Errors
    /// When the node does not answer, or it is not known which rules hold.
    pub fn open(
        rpc: Arc<Rpc>,
        (executor, memory): (Executor, usize),
        schedule: Option<Schedule>,
        poll: Duration,
        metrics: Arc<Metrics>,
    ) -> Result<Self, RpcError> {
        let chain_id = rpc.call("eth_chainId", json!([]))?;
        let chain_id = crate::fetch::quantity(&chain_id).ok_or_else(|| RpcError::Malformed {
            method: "eth_chainId".to_owned(),
            reason: format!("expected a quantity, got {chain_id}"),
        })?;
        let schedule = match schedule {
            Some(schedule) => schedule,
            None => found(&rpc, chain_id)?,
        };
        let blocks = Self {
            rpc,
            executor,
            memory,
            chain_id,
            schedule,
            metrics,
            state: Mutex::default(),
            changed: Condvar::new(),
            generation: AtomicU64::new(0),
            poll,
            stopped: AtomicBool::new(false),
        };
        blocks.look()?;
        Ok(blocks)
    }

    /// Begins to look for new blocks.
    ///
    /// # Errors
    /// When the system has no thread.
    pub fn watch(self: &Arc<Self>) -> std::io::Result<Watcher> {
        let blocks = Arc::clone(self);
        let work = move || {
            while !blocks.stopped.load(Ordering::Relaxed) {
                let state = blocks.lock();
                let wait = blocks.changed.wait_timeout(state, blocks.poll);
                drop(wait.unwrap_or_else(PoisonError::into_inner));
                if blocks.stopped.load(Ordering::Relaxed) {
                    return;
                }
                if let Err(error) = blocks.look() {
                    tracing::warn!(%error, "the newest block is not known");
                }
                blocks.trim();
            }
        };
        let thread = std::thread::Builder::new().name("blocks".to_owned()).spawn(work)?;
        Ok(Watcher { blocks: Arc::clone(self), thread: Some(thread) })
    }

    /// The chain.
    #[must_use]
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Which fork holds when.
    #[must_use]
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest block's number and how long ago the node said so; what went wrong since.
    #[must_use]
    pub fn health(&self) -> (Option<(u64, Duration)>, Option<String>) {
        let state = self.lock();
        let head = state.head.as_ref().map(|(head, since)| (head.header.number, since.elapsed()));
        (head.filter(|(_, age)| *age < STALE), state.failure.clone())
    }

    /// The newest block may be another one: it is asked for when it is needed next.
    pub fn suspect(&self) {
        let mut state = self.lock();
        state.suspect = true;
        state.by_name.clear();
    }

    /// The node's states are not what they were.
    pub fn forget(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        *state = State { suspect: true, ..State::default() };
    }

    /// Lets go of states while all of them take too much memory: of the older blocks first, then of the newest one's, which is
    /// then read again.
    fn trim(&self) {
        let is_full = || self.executor.cached_bytes() > self.memory;
        if !is_full() {
            return;
        }
        let head = {
            let mut state = self.lock();
            let head = state.head.as_ref().map(|(head, _)| Arc::clone(head));
            state.by_name.clear();
            state.by_hash.retain(|hash, _| head.as_ref().is_some_and(|head| head.hash == *hash));
            state.order.retain(|hash| head.as_ref().is_some_and(|head| head.hash == *hash));
            head
        };
        if let Some(head) = head {
            // The executor lets go of caches without users whenever it makes a snapshot.
            let generation = self.generation.load(Ordering::Relaxed);
            let _ = self.snapshot(head.hash, &head.header, generation);
        }
        if is_full() {
            self.forget();
            if let Err(error) = self.look() {
                tracing::warn!(%error, "the newest block is not known");
            }
        }
    }

    fn snapshot(&self, hash: H256, header: &Header, generation: u64) -> Snapshot {
        let rules = self.rules(header);
        let source = Arc::new(RpcSource::at(Arc::clone(&self.rpc), hash).with_generation(generation));
        self.executor.snapshot(&source, block_context(header, &rules), rules)
    }

    /// The block, if it is at hand: this never waits for the node.
    #[must_use]
    pub fn at_hand(&self, id: &BlockId) -> Option<Arc<Pinned>> {
        let state = self.lock();
        match id {
            BlockId::Latest if state.suspect => None,
            BlockId::Latest => {
                state.head.as_ref().filter(|(_, since)| since.elapsed() < STALE).map(|(head, _)| Arc::clone(head))
            }
            // Whether it still is canonical, only the node knows.
            BlockId::Hash(_, true) => None,
            BlockId::Hash(hash, false) => state.by_hash.get(hash).map(Arc::clone),
            name => state
                .by_name
                .get(name)
                .filter(|(_, since)| since.elapsed() < BELIEVED)
                .map(|(block, _)| Arc::clone(block)),
        }
    }

    /// The block, if need be from the node.
    ///
    /// # Errors
    /// When there is none, or the node does not answer.
    pub fn find(&self, id: &BlockId) -> Result<Arc<Pinned>, Failure> {
        if let Some(block) = self.at_hand(id) {
            return Ok(block);
        }
        if *id == BlockId::Latest {
            return self.look().map_err(|error| unreachable(&error));
        }
        let found = match id {
            BlockId::Hash(hash, canonical) => {
                let answer = self.rpc.call("eth_getBlockByHash", json!([format!("{hash:?}"), false]));
                let block = self.pin(answer.map_err(|error| unreachable(&error))?)?;
                if *canonical {
                    let number = BlockId::Number(block.header.number);
                    if self.by_text(&number)?.hash != block.hash {
                        return Err(Failure::server("hash is not currently canonical"));
                    }
                }
                return Ok(block);
            }
            name => self.by_text(name)?,
        };
        let mut state = self.lock();
        if state.by_name.len() >= 4 * KEPT {
            state.by_name.clear();
        }
        state.by_name.insert(*id, (Arc::clone(&found), Instant::now()));
        Ok(found)
    }

    fn by_text(&self, id: &BlockId) -> Result<Arc<Pinned>, Failure> {
        let text = id.text().unwrap_or_default();
        let answer = self.rpc.call("eth_getBlockByNumber", json!([text, false]));
        self.pin(answer.map_err(|error| unreachable(&error))?)
    }

    /// Asks for the newest block.
    fn look(&self) -> Result<Arc<Pinned>, RpcError> {
        let generation = self.generation.load(Ordering::Relaxed);
        let asked = self.rpc.call("eth_getBlockByNumber", json!(["latest", false]));
        let head = asked.and_then(|answer| {
            self.pin(answer).map_err(|failure| RpcError::Malformed {
                method: "eth_getBlockByNumber".to_owned(),
                reason: failure.message,
            })
        });
        let mut state = self.lock();
        match head {
            Ok(head) => {
                if generation == self.generation.load(Ordering::Relaxed) {
                    if state.head.as_ref().is_none_or(|(known, _)| known.hash != head.hash) {
                        state.by_name.clear();
                        self.metrics.head(head.header.number);
                    }
                    state.head = Some((Arc::clone(&head), Instant::now()));
                    (state.suspect, state.failure) = (false, None);
                }
                Ok(head)
            }
            Err(error) => {
                state.failure = Some(error.to_string());
                Err(error)
            }
        }
    }

    /// The block that an answer describes.
    fn pin(&self, answer: Value) -> Result<Arc<Pinned>, Failure> {
        let (block, header) = read_block(answer)?;
        let hash = block.hash.0;
        let generation = self.generation.load(Ordering::Relaxed);
        if let Some(known) = self.lock().by_hash.get(&hash) {
            return Ok(Arc::clone(known));
        }
        let snapshot = Arc::new(self.snapshot(hash, &header, generation));
        let pinned = Arc::new(Pinned { hash, header, snapshot });
        let mut state = self.lock();
        if generation != self.generation.load(Ordering::Relaxed) {
            return Ok(pinned);
        }
        state.by_hash.insert(hash, Arc::clone(&pinned));
        state.order.push_back(hash);
        if state.order.len() > KEPT
            && let Some(oldest) = state.order.pop_front()
        {
            state.by_hash.remove(&oldest);
        }
        Ok(pinned)
    }

    /// The rules of a block.
    #[must_use]
    pub fn rules(&self, header: &Header) -> Rules {
        match &self.schedule {
            Schedule::Chain(chain) => chain.rules_at(header.number, header.timestamp, None),
            Schedule::Constant(fork) => Rules::new(*fork, self.chain_id),
            Schedule::Headers => Rules::new(fork_of(header), self.chain_id),
        }
    }

    /// The whole block, with its transactions.
    ///
    /// # Errors
    /// When there is none, or the node does not answer.
    pub fn whole(&self, block: &Pinned) -> Result<RpcBlock, Failure> {
        let answer = self.rpc.call("eth_getBlockByHash", json!([format!("{:?}", block.hash), true]));
        let answer = answer.map_err(|error| unreachable(&error))?;
        serde_json::from_value(answer)
            .map_err(|error| Failure::server(format!("the node's block is malformed: {error}")))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.blocks.stopped.store(true, Ordering::Relaxed);
        self.blocks.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn unreachable(error: &RpcError) -> Failure {
    match error {
        RpcError::Refused { code, message, .. } => Failure::new(*code, message.clone()),
        other => Failure::server(format!("the node behind this server does not answer: {other}")),
    }
}

fn read_block(mut answer: Value) -> Result<(RpcBlock, Header), Failure> {
    let Some(fields) = answer.as_object_mut() else { return Err(Failure::server("header not found")) };
    // They are hashes here.
    fields.insert("transactions".to_owned(), json!([]));
    let block: RpcBlock = serde_json::from_value(answer)
        .map_err(|error| Failure::server(format!("the node's block is malformed: {error}")))?;
    let header = block.header();
    let hash = from_b256(header.hash_slow());
    if hash != block.hash.0 {
        // Headers have fields that not everybody knows of; the node's name for the block is what is asked by.
        tracing::debug!(number = header.number, "the hash of a block is not that of its fields");
    }
    Ok((block, header))
}

/// The newest fork whose fields a header has.
fn fork_of(header: &Header) -> Fork {
    if header.requests_hash.is_some() {
        Fork::Prague
    } else if header.parent_beacon_block_root.is_some() {
        Fork::Cancun
    } else if header.withdrawals_root.is_some() {
        Fork::Shanghai
    } else if header.difficulty.is_zero() {
        Fork::Paris
    } else if header.base_fee_per_gas.is_some() {
        Fork::London
    } else {
        Fork::Berlin
    }
}

/// The schedule of a chain that nobody described: a known chain's, or what the node says of itself.
fn found(rpc: &Rpc, chain_id: u64) -> Result<Schedule, RpcError> {
    if let Some(chain) = ChainSpec::by_id(chain_id) {
        return Ok(Schedule::Chain(Box::new(chain)));
    }
    match rpc.call("anvil_nodeInfo", json!([])) {
        Ok(info) => {
            let fork = info.get("hardFork").and_then(Value::as_str).and_then(|name| name.parse().ok());
            Ok(fork.map_or(Schedule::Headers, Schedule::Constant))
        }
        Err(error) if error.is_refusal() => Ok(Schedule::Headers),
        Err(error) => Err(error),
    }
}
