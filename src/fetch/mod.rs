//! `isolane fetch`: records blocks of any node as packs (`evm-block-replay/1`), one file per block.
//!
//! A pack holds the block, its receipts, the state before it and the ancestor hashes it can ask for. The state comes
//! from `debug_executionWitness`, or else from `prestateTracer`, or else from `eth_getProof`. What the tracer does not report (system
//! contracts, withdrawal and fee recipients) is read at the parent block; what to prove is learnt by executing the block. A pack has no
//! `poststate` and claims no validation.

mod merge;
mod proof;
mod range;
mod record;
mod system;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use isolane_spec::fork::Fork;
use serde_json::Value;
use thiserror::Error;

pub(crate) use self::merge::quantity;
pub use self::merge::{Account, PreState};
pub use self::range::{BlockRange, RangeError};
pub use self::record::{Recorded, Recorder, StateMethod};
use crate::load::rpc::{Rpc, RpcError, RpcSettings};

/// What is read of which node, and how.
#[derive(Args, Clone, Debug)]
pub struct NodeArgs {
    /// The node's address, http or https
    #[arg(long, env = "ETH_RPC_URL", value_name = "URL", hide_env_values = true)]
    pub rpc: Option<String>,
    /// Blocks of the node: N, A:B (B not included), A:+COUNT, -COUNT:B, A:B:STEP; 15M, 15.5M and 17_000_000 are numbers
    #[arg(long, num_args = 1.., value_name = "RANGE")]
    pub blocks: Vec<BlockRange>,
    /// The blocks' fork; needed for chains whose schedule is not known
    #[arg(long, value_name = "NAME", requires = "blocks")]
    pub fork: Option<Fork>,
    /// Where the state before a block comes from [default: the first of these that the node serves, for all blocks]
    #[arg(long, value_enum, value_name = "METHOD", requires = "blocks")]
    pub state: Option<StateMethod>,
    /// Blocks that are requested at the same time
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,
    /// Longest time for one request
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// How often a failed request is repeated
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub retries: u32,
}

impl NodeArgs {
    /// The node, if blocks of one are asked for.
    ///
    /// # Errors
    /// When it has no address.
    pub fn open(&self) -> Result<Rpc, FetchError> {
        let Some(url) = &self.rpc else { return Err(FetchError::NoNode) };
        let timeout = Duration::from_secs(self.timeout);
        Ok(Rpc::new(url, RpcSettings { timeout, retries: self.retries, ..RpcSettings::default() }))
    }

    /// The blocks, those of an open end up to the node's latest.
    pub(crate) fn numbers(&self, latest: u64) -> Vec<u64> {
        self.blocks.iter().flat_map(|range| range.numbers(latest)).collect()
    }
}

/// What `isolane fetch` takes.
#[derive(Args, Clone, Debug)]
pub struct FetchOptions {
    /// The node.
    #[command(flatten)]
    pub node: NodeArgs,
    /// Folder for the packs, named `<chainId>-<number>.json.zst`; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Record blocks again whose file is there
    #[arg(long)]
    pub overwrite: bool,
    /// zstd level of the packs
    #[arg(long, default_value_t = 19, value_name = "1-22", value_parser = clap::value_parser!(i32).range(1..=22))]
    pub level: i32,
}

/// Why a block could not be recorded.
#[derive(Debug, Error)]
pub enum FetchError {
    /// No node is named.
    #[error("no node: name one with --rpc URL, or with the variable ETH_RPC_URL")]
    NoNode,
    /// No blocks are named.
    #[error("no blocks: name some with --blocks, such as 17M:+10")]
    NoBlocks,
    /// A request failed.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The node has no such block.
    #[error("block {number}: the node does not have it (its latest is {latest})")]
    NoBlock {
        /// The block asked for.
        number: u64,
        /// The node's latest block.
        latest: u64,
    },
    /// The node's chain changed while the block was read, or its answers do not belong together.
    #[error(
        "block {number}: {what}: expected {expected}, got {got}; the chain was reorganised or the node is inconsistent, fetch again"
    )]
    Inconsistent {
        /// The block.
        number: u64,
        /// What does not fit.
        what: &'static str,
        /// Expected value.
        expected: String,
        /// Value in the reply.
        got: String,
    },
    /// Blocks that tables were made of are not the chain's any more.
    #[error(
        "block {number}: the chain was reorganised: the tables under {folder} were made of {expected}, the node now has {got}:          remove the folder or choose another --out, and leave out blocks that may still change", folder = folder.display()
    )]
    Reorganised {
        /// The block.
        number: u64,
        /// Where the tables are.
        folder: PathBuf,
        /// The hash that it had.
        expected: String,
        /// The hash that it has.
        got: String,
    },
    /// A reply has not the form that the method's result has.
    #[error("block {number}: {method}: {reason}")]
    Malformed {
        /// The block.
        number: u64,
        /// The method.
        method: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// No fork was given and the chain's schedule is not known.
    #[error("block {number}: the fork schedule of chain {chain_id} is not known; give --fork")]
    UnknownFork {
        /// The block.
        number: u64,
        /// The chain.
        chain_id: u64,
    },
    /// The node serves nothing that a state can be made of.
    #[error(
        "the node serves no state: {witness}; {tracer}; {proof}; use a node that has one of these methods for old blocks"
    )]
    NoState {
        /// What it said of `debug_executionWitness`.
        witness: Box<RpcError>,
        /// What it said of `debug_traceBlockByNumber`.
        tracer: Box<RpcError>,
        /// What it said of `eth_getProof`.
        proof: Box<RpcError>,
    },
    /// A file could not be written.
    #[error("{path}: {reason}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What failed.
        reason: std::io::Error,
    },
}

/// What was recorded.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The files written, in block order.
    pub written: Vec<PathBuf>,
    /// The files that were there already.
    pub skipped: Vec<PathBuf>,
    /// Transactions in the written blocks.
    pub transactions: u64,
    /// Bytes written.
    pub bytes: u64,
    /// What a reader of the packs should know: things the node would not give, and the consequence. Sorted, each once.
    pub notes: BTreeSet<String>,
}

/// Finds the fork of a block: (chain id, number, timestamp).
pub type ForkSchedule<'a> = &'a (dyn Fn(u64, u64, u64) -> Option<Fork> + Sync);

/// Records the blocks, several at a time. `schedule` names the fork where the options do not.
///
/// # Errors
/// The failure of the first block that failed. The packs of blocks before it are complete, so a repeated call continues behind
/// them.
pub fn fetch(options: &FetchOptions, schedule: ForkSchedule<'_>) -> Result<Summary, FetchError> {
    if options.node.blocks.is_empty() {
        return Err(FetchError::NoBlocks);
    }
    let NodeArgs { fork, state, concurrency, .. } = options.node;
    let first = |latest| options.node.numbers(latest).first().copied();
    let recorder = Recorder::new(options.node.open()?, schedule, fork, state, first)?;
    let numbers = options.node.numbers(recorder.latest());
    std::fs::create_dir_all(&options.out).map_err(|reason| FetchError::Io { path: options.out.clone(), reason })?;

    // The first of the blocks that failed, by its place; what comes behind it need not be recorded.
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..usize::from(concurrency).min(numbers.len()) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(number) = numbers.get(place) else { break };
                    if place > failed.load(Ordering::Relaxed) {
                        break;
                    }
                    let result = keep(&recorder, *number, options);
                    if result.is_err() {
                        failed.fetch_min(place, Ordering::Relaxed);
                    }
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(place, result);
                }
            });
        }
    });
    let mut summary = Summary::default();
    for result in done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values() {
        match result? {
            Kept::Already(path) => summary.skipped.push(path),
            Kept::Written { path, bytes, recorded } => {
                summary.bytes += bytes;
                summary.transactions += recorded.transactions;
                summary.notes.extend(recorded.notes);
                summary.written.push(path);
            }
        }
    }
    Ok(summary)
}

/// What became of a block.
enum Kept {
    Already(PathBuf),
    Written { path: PathBuf, bytes: u64, recorded: Recorded },
}

fn keep(recorder: &Recorder<'_>, number: u64, options: &FetchOptions) -> Result<Kept, FetchError> {
    let stem = format!("{}-{number}", recorder.chain_id());
    let path = options.out.join(format!("{stem}.json.zst"));
    if path.exists() && !options.overwrite {
        return Ok(Kept::Already(path));
    }
    let mut recorded = recorder.record(number)?;
    let write = |path: &Path, document: &Value| {
        write_pack(path, document, options.level).map_err(|reason| FetchError::Io { path: path.to_owned(), reason })
    };
    let mut bytes = 0;
    // Before the pack, which says that the block is recorded.
    if let Some(witness) = recorded.witness.take() {
        bytes += write(&options.out.join(format!("{stem}.witness.json.zst")), &witness)?;
    }
    bytes += write(&path, &std::mem::take(&mut recorded.pack))?;
    tracing::info!(number, recorded.transactions, bytes, "recorded");
    Ok(Kept::Written { path, bytes, recorded })
}

fn malformed(number: u64, method: &'static str, reason: &str) -> FetchError {
    FetchError::Malformed { number, method, reason: reason.to_owned() }
}

/// Writes the pack under a temporary name in the same folder, and renames it when it is complete on disk.
fn write_pack(path: &Path, pack: &Value, level: i32) -> std::io::Result<u64> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let packed = zstd::encode_all(pack.to_string().as_bytes(), level)?;
    let mut file = tempfile::Builder::new().prefix(".fetch-").suffix(".tmp").tempfile_in(folder)?;
    file.write_all(&packed)?;
    file.as_file().sync_all()?;
    #[cfg(unix)]
    {
        // Temporary files are for their owner only; packs are ordinary files.
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.persist(path).map_err(|error| error.error)?;
    #[cfg(unix)]
    std::fs::File::open(folder)?.sync_all()?;
    Ok(packed.len() as u64)
}

#[cfg(test)]
mod tests;
