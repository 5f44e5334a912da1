//! Blocks of a node, fetched ahead of those that are executed.

use super::{Cache, Source};
use crate::chain::ChainSpec;
use crate::fetch::{FetchError, ForkSchedule, NodeArgs, Recorded, Recorder, StateMethod};
use crate::load::rpc::RpcError;
use crate::load::typed::{InputError, parse};
use crate::load::witness::WitnessFile;
use crate::replay::live::Live;
use crate::report::resident_memory;
use isolane_spec::Fork;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How a node's blocks are fetched.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Where fetched blocks are kept, if anywhere.
    pub cache: Option<Cache>,
    /// Blocks that are requested at the same time.
    pub concurrency: usize,
    /// Blocks that are fetched ahead of those that are executed.
    pub ahead: usize,
    /// No more is fetched ahead while what waits is larger, in bytes.
    pub bytes: usize,
    /// Nothing is fetched ahead while the process takes more than most of this, in bytes.
    pub memory_limit: Option<u64>,
    /// Counted up on the way.
    pub live: Arc<Live>,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self { cache: None, concurrency: 8, ahead: 64, bytes: 256 << 20, memory_limit: None, live: Arc::default() }
    }
}

/// Blocks of a node's chain.
pub struct Node<'a> {
    recorder: Recorder<'a>,
    numbers: Vec<u64>,
    fork: Option<Fork>,
    /// Who it is, without credentials.
    host: String,
    /// The chain: its id and the hash of its first block.
    chain: String,
    /// Blocks up to this one do not change any more.
    finalized: Option<u64>,
}

/// What a block is executed from.
struct Document {
    pack: Vec<u8>,
    witness: Option<Vec<u8>>,
}

impl Document {
    fn len(&self) -> usize {
        self.pack.len() + self.witness.as_ref().map_or(0, Vec::len)
    }
}

impl NodeOptions {
    /// Bounded so that what waits takes a small part of a limit on memory, in bytes.
    #[must_use]
    pub fn within(self, memory_limit: Option<u64>) -> Self {
        let Some(limit) = memory_limit else { return self };
        let part = usize::try_from(limit / 8).unwrap_or(usize::MAX);
        Self { bytes: self.bytes.min(part), memory_limit, ..self }
    }

    /// Whether the process takes so much memory that nothing more is to be fetched ahead.
    fn is_full(&self) -> bool {
        self.memory_limit.is_some_and(|limit| resident_memory().is_some_and(|bytes| bytes > limit / 8 * 5))
    }
}

impl<'a> Node<'a> {
    /// Opens a node and finds out what it serves. `chain`: its schedule, where it is not built in.
    ///
    /// # Errors
    /// When it cannot be reached, or no blocks are named.
    pub fn open(
        arguments: &NodeArgs,
        schedule: ForkSchedule<'a>,
        chain: Option<ChainSpec>,
    ) -> Result<Self, FetchError> {
        if arguments.blocks.is_empty() {
            return Err(FetchError::NoBlocks);
        }
        let rpc = arguments.open()?;
        let first = |latest| arguments.numbers(latest).first().copied();
        let recorder = Recorder::new(rpc, schedule, arguments.fork, arguments.state, first)?.with_chain(chain);
        let genesis = recorder.rpc().call("eth_getBlockByNumber", json!(["0x0", false]))?;
        let genesis = genesis.get("hash").and_then(Value::as_str).unwrap_or("unknown").to_ascii_lowercase();
        let finalized = match recorder.rpc().call("eth_getBlockByNumber", json!(["finalized", false])) {
            Ok(block) => block.get("number").and_then(crate::fetch::quantity),
            Err(error) if error.is_refusal() => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            numbers: arguments.numbers(recorder.latest()),
            fork: arguments.fork,
            host: host(arguments.rpc.as_deref().unwrap_or_default()),
            chain: format!("{}-{genesis}", recorder.chain_id()),
            finalized,
            recorder,
        })
    }

    /// The blocks.
    #[must_use]
    pub fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    /// Where states come from.
    #[must_use]
    pub const fn method(&self) -> StateMethod {
        self.recorder.method()
    }

    /// Who the node is, without credentials.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The chain: its id and the hash of its first block.
    #[must_use]
    pub fn chain(&self) -> &str {
        &self.chain
    }

    /// Makes sure that these blocks, of which the tables in a folder were made, are still the chain's: then so are all before them.
    /// Blocks that follow one of them must have it for their parent.
    ///
    /// # Errors
    /// [`FetchError::Reorganised`] if they are not, or when the node fails.
    pub fn still_has(&self, blocks: &[(u64, String)], folder: &Path) -> Result<(), FetchError> {
        let params: Vec<Value> = blocks.iter().map(|(number, _)| json!([format!("{number:#x}"), false])).collect();
        let headers = self.recorder.rpc().call_many("eth_getBlockByNumber", &params)?;
        for ((number, expected), header) in blocks.iter().zip(headers) {
            let got = header.get("hash").and_then(Value::as_str).unwrap_or("no such block").to_ascii_lowercase();
            if got != *expected {
                let (number, folder, expected) = (*number, folder.to_owned(), expected.clone());
                return Err(FetchError::Reorganised { number, folder, expected, got });
            }
            self.recorder.learn(*number, "hash", expected)?;
        }
        Ok(())
    }

    /// Leaves only the blocks of these indices.
    pub fn keep(&mut self, indices: &[usize]) {
        self.numbers = indices.iter().filter_map(|index| self.numbers.get(*index).copied()).collect();
    }

    fn key(&self, hash: &str, part: &str) -> String {
        let fork = self.fork.map_or("schedule", Fork::name);
        format!("{part}/1/{}/{hash}/{fork}/{}", self.chain, self.method().method())
    }

    /// The block from the cache, if it is there. What may still change is looked up at the node.
    fn cached(&self, number: u64, cache: &Cache) -> Result<Option<Document>, FetchError> {
        let place = format!("hash/1/{}/{number}", self.chain);
        let is_final = self.finalized.is_some_and(|finalized| number <= finalized);
        let known = if is_final { cache.get(&place).and_then(|hash| String::from_utf8(hash).ok()) } else { None };
        let hash = match known {
            Some(hash) => hash,
            None => {
                let method = "eth_getBlockByNumber";
                let header = self.recorder.rpc().call(method, json!([format!("{number:#x}"), false]))?;
                let Some(hash) = header.get("hash").and_then(Value::as_str) else { return Ok(None) };
                let hash = hash.to_ascii_lowercase();
                if is_final {
                    // A cache that cannot be written shows when the block itself is kept.
                    _ = cache.put(&place, hash.as_bytes());
                }
                hash
            }
        };
        self.recorder.learn(number, "hash", &hash)?;
        let Some(pack) = cache.get(&self.key(&hash, "pack")) else { return Ok(None) };
        let witness = match self.method() {
            method if method.is_proven() && number > 0 => match cache.get(&self.key(&hash, "witness")) {
                Some(witness) => Some(witness),
                None => return Ok(None),
            },
            _ => None,
        };
        Ok(Some(Document { pack, witness }))
    }

    fn document(&self, number: u64, options: &NodeOptions, counts: &Counts) -> Result<Document, InputError> {
        let failed = |error: FetchError| InputError::at("", error.to_string());
        if let Some(cache) = &options.cache
            && let Some(document) = self.cached(number, cache).map_err(|error| counts.fail(error, failed))?
        {
            counts.hits.fetch_add(1, Ordering::Relaxed);
            options.live.cached.add(1);
            return Ok(document);
        }
        let recorded = self.recorder.record(number).map_err(|error| counts.fail(error, failed))?;
        counts.fetched.fetch_add(1, Ordering::Relaxed);
        options.live.fetched.add(1);
        let Recorded { pack, witness, notes, .. } = recorded;
        lock(&counts.notes).extend(notes);
        let hash = pack.pointer("/block/hash").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let document =
            Document { pack: pack.to_string().into_bytes(), witness: witness.map(|w| w.to_string().into_bytes()) };
        if let Some(cache) = &options.cache {
            let keep = |part: &str, bytes: &[u8]| {
                cache.put(&self.key(&hash, part), bytes).map_err(|error| InputError::at("", error.to_string()))
            };
            // The witness first: a pack in the cache has all that belongs to it.
            document.witness.as_ref().map_or(Ok(()), |witness| keep("witness", witness))?;
            keep("pack", &document.pack)?;
        }
        Ok(document)
    }
}

/// The part of an address that names who it is.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a run came to.
#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    fetched: AtomicU64,
    notes: Mutex<BTreeSet<String>>,
    /// The first failure of the node, as opposed to one of a block.
    failure: Mutex<Option<FetchError>>,
}

impl Counts {
    fn fail(&self, error: FetchError, show: impl Fn(FetchError) -> InputError) -> InputError {
        let text = InputError::at("", error.to_string());
        let mut failure = lock(&self.failure);
        if failure.is_none() {
            *failure = Some(error);
            return text;
        }
        drop(failure);
        show(error)
    }
}

/// Blocks that were fetched and wait.
#[derive(Default)]
struct Queue {
    next: usize,
    taken: usize,
    bytes: usize,
    ready: BTreeMap<usize, Result<Document, InputError>>,
    stopped: bool,
}

/// A node's blocks as a [`Source`], while [`NodeSource::run`] runs.
pub struct NodeSource<'a> {
    node: &'a Node<'a>,
    options: &'a NodeOptions,
    queue: Mutex<Queue>,
    changed: Condvar,
    witnesses: Mutex<BTreeMap<usize, Vec<u8>>>,
    counts: Counts,
}

/// What fetching came to.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Blocks out of the cache.
    pub hits: u64,
    /// Blocks of the node.
    pub fetched: u64,
    /// What a reader should know.
    pub notes: BTreeSet<String>,
    /// The first failure of the node, if it failed.
    pub failure: Option<FetchError>,
}

impl<'a> NodeSource<'a> {
    /// Fetches while `work` runs.
    pub fn run<T>(
        node: &'a Node<'a>,
        options: &'a NodeOptions,
        work: impl FnOnce(&NodeSource<'a>) -> T,
    ) -> (T, Fetched) {
        let source = Self {
            node,
            options,
            queue: Mutex::default(),
            changed: Condvar::new(),
            witnesses: Mutex::default(),
            counts: Counts::default(),
        };
        let result = std::thread::scope(|scope| {
            for _ in 0..options.concurrency.clamp(1, node.numbers.len().max(1)) {
                scope.spawn(|| source.fetch_ahead());
            }
            let stop = Stop(&source);
            let result = work(&source);
            drop(stop);
            result
        });
        let Counts { hits, fetched, notes, failure } = source.counts;
        let fetched = Fetched {
            hits: hits.into_inner(),
            fetched: fetched.into_inner(),
            notes: notes.into_inner().unwrap_or_else(PoisonError::into_inner),
            failure: failure.into_inner().unwrap_or_else(PoisonError::into_inner),
        };
        (result, fetched)
    }

    fn fetch_ahead(&self) {
        loop {
            let index = {
                let mut queue = lock(&self.queue);
                loop {
                    if queue.stopped || queue.next >= self.node.numbers.len() {
                        return;
                    }
                    let ahead = queue.next.saturating_sub(queue.taken);
                    let room = || queue.bytes < self.options.bytes && !self.options.is_full();
                    if ahead == 0 || (ahead < self.options.ahead && room()) {
                        break;
                    }
                    queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                }
                queue.next += 1;
                queue.next - 1
            };
            // A node that does not answer will not answer for the next block either.
            let down = matches!(&*lock(&self.counts.failure), Some(FetchError::Rpc(RpcError::Unreachable { .. })));
            let document = match self.node.numbers.get(index) {
                Some(number) if !down => {
                    let fetch = || self.node.document(*number, self.options, &self.counts);
                    catch_unwind(AssertUnwindSafe(fetch)).unwrap_or_else(|_| {
                        Err(InputError::at("", "internal error (please report it): fetching panicked"))
                    })
                }
                _ => Err(InputError::at("", "not fetched: the node does not answer")),
            };
            let mut queue = lock(&self.queue);
            queue.bytes += document.as_ref().map_or(0, Document::len);
            queue.ready.insert(index, document);
            self.say(&queue);
            self.changed.notify_all();
        }
    }
}

impl NodeSource<'_> {
    fn say(&self, queue: &Queue) {
        self.options.live.fetched_ahead.set(queue.ready.len() as u64);
        self.options.live.fetched_ahead_bytes.set(queue.bytes as u64);
    }
}

/// Ends fetching, however the work ended.
struct Stop<'a, 'b>(&'a NodeSource<'b>);

impl Drop for Stop<'_, '_> {
    fn drop(&mut self) {
        lock(&self.0.queue).stopped = true;
        self.0.changed.notify_all();
    }
}

impl Source for NodeSource<'_> {
    fn count(&self) -> usize {
        self.node.numbers.len()
    }

    fn name(&self, index: usize) -> String {
        let number = self.node.numbers.get(index).copied().unwrap_or_default();
        format!("block {number} of {}", self.node.host)
    }

    fn origin(&self) -> &'static str {
        self.node.method().method()
    }

    fn pack(&self, index: usize) -> Result<Vec<u8>, InputError> {
        let mut queue = lock(&self.queue);
        let document = loop {
            if let Some(document) = queue.ready.remove(&index) {
                break document;
            }
            if queue.stopped || index >= self.node.numbers.len() {
                return Err(InputError::at("", "not fetched: the run was stopped"));
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        };
        queue.taken = queue.taken.max(index + 1);
        queue.bytes -= document.as_ref().map_or(0, Document::len);
        self.say(&queue);
        drop(queue);
        self.changed.notify_all();
        let Document { pack, witness } = document?;
        if let Some(witness) = witness {
            lock(&self.witnesses).insert(index, witness);
        }
        Ok(pack)
    }

    fn witness(&self, index: usize, _: u64, _: u64) -> Result<Option<(String, WitnessFile)>, InputError> {
        let Some(document) = lock(&self.witnesses).remove(&index) else { return Ok(None) };
        let name = format!("{} of {}", self.origin(), self.name(index));
        parse(&document).map(|witness| Some((name, witness)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_hide_credentials() {
        assert_eq!(host("http://127.0.0.1:8545"), "127.0.0.1:8545");
        assert_eq!(host("https://user:secret@node.example/v2/key?token=1"), "node.example");
        assert_eq!(host("node.example/key"), "node.example");
    }
}
