//! `isolane fetch`: records blocks of any node as packs (`evm-block-replay/1`), one file per block.
//!
//! A pack holds the block, its receipts, the state before it and the ancestor hashes it can ask for. The state comes
//! from `prestateTracer`; what that does not report (system contracts, withdrawal and fee recipients) is read at the
//! parent block. Nothing is executed here, so the pack has no `poststate` and claims no validation.

mod merge;
mod range;
mod system;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use isolane_spec::fork::Fork;
use serde_json::{Value, json};
use thiserror::Error;

use self::merge::quantity;
pub use self::merge::{Account, PreState};
pub use self::range::{BlockRange, RangeError};
use crate::load::rpc::{Rpc, RpcError, RpcSettings};

/// What `isolane fetch` takes.
#[derive(Args, Clone, Debug)]
pub struct FetchOptions {
    /// The node's address, http or https
    #[arg(long, env = "ETH_RPC_URL", value_name = "URL", hide_env_values = true)]
    pub rpc: String,
    /// Blocks to record: N, A:B (B not included), A:+COUNT, -COUNT:B, A:B:STEP; 15M, 15.5M and 17_000_000 are numbers
    #[arg(long, required = true, num_args = 1.., value_name = "RANGE")]
    pub blocks: Vec<BlockRange>,
    /// Folder for the packs, named <chainId>-<number>.json.zst; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The blocks' fork; needed for chains whose schedule is not known
    #[arg(long, value_name = "NAME")]
    pub fork: Option<Fork>,
    /// Record blocks again whose file is there
    #[arg(long)]
    pub overwrite: bool,
    /// Longest time for one request
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub timeout: u64,
    /// How often a failed request is repeated
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub retries: u32,
    /// zstd level of the packs
    #[arg(long, default_value_t = 19, value_name = "1-22", value_parser = clap::value_parser!(i32).range(1..=22))]
    pub level: i32,
}

/// Why a block could not be recorded.
#[derive(Debug, Error)]
pub enum FetchError {
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
pub type ForkSchedule<'a> = &'a dyn Fn(u64, u64, u64) -> Option<Fork>;

/// Records the blocks. `schedule` names the fork where `options.fork` does not.
///
/// # Errors
/// The first thing that failed. The packs written before it are complete, so a repeated call continues behind them.
pub fn fetch(options: &FetchOptions, schedule: ForkSchedule<'_>) -> Result<Summary, FetchError> {
    let settings = RpcSettings {
        timeout: Duration::from_secs(options.timeout),
        retries: options.retries,
        ..RpcSettings::default()
    };
    let rpc = Rpc::new(&options.rpc, settings);
    let hex = |method: &'static str| -> Result<u64, FetchError> {
        let value = rpc.call(method, json!([]))?;
        quantity(&value).ok_or_else(|| malformed(0, method, &format!("expected a quantity, got {value}")))
    };
    let (chain_id, latest) = (hex("eth_chainId")?, hex("eth_blockNumber")?);
    let client = rpc.call("web3_clientVersion", json!([])).unwrap_or(Value::Null);
    std::fs::create_dir_all(&options.out).map_err(|reason| FetchError::Io { path: options.out.clone(), reason })?;

    let mut summary = Summary::default();
    let mut recorder = Recorder { rpc: &rpc, chain_id, latest, client, schedule, options, hashes: BTreeMap::new() };
    for number in options.blocks.iter().flat_map(|range| range.numbers(latest)) {
        let path = options.out.join(format!("{chain_id}-{number}.json.zst"));
        if path.exists() && !options.overwrite {
            summary.skipped.push(path);
            continue;
        }
        let (pack, transactions) = recorder.record(number, &mut summary.notes)?;
        let bytes =
            write_pack(&path, &pack, options.level).map_err(|reason| FetchError::Io { path: path.clone(), reason })?;
        tracing::info!(number, transactions, bytes, "recorded");
        summary.bytes += bytes;
        summary.transactions += transactions;
        summary.written.push(path);
    }
    Ok(summary)
}

fn malformed(number: u64, method: &'static str, reason: &str) -> FetchError {
    FetchError::Malformed { number, method, reason: reason.to_owned() }
}

struct Recorder<'a> {
    rpc: &'a Rpc,
    chain_id: u64,
    latest: u64,
    client: Value,
    schedule: ForkSchedule<'a>,
    options: &'a FetchOptions,
    /// Hashes of blocks seen, for BLOCKHASH.
    hashes: BTreeMap<u64, String>,
}

impl Recorder<'_> {
    fn record(&mut self, number: u64, notes: &mut BTreeSet<String>) -> Result<(Value, u64), FetchError> {
        let tag = format!("{number:#x}");
        let block = self.rpc.call("eth_getBlockByNumber", json!([tag, true]))?;
        if block.is_null() {
            return Err(FetchError::NoBlock { number, latest: self.latest });
        }
        let field = |name: &str| {
            let text = block.get(name).and_then(Value::as_str).map(str::to_ascii_lowercase);
            text.ok_or_else(|| malformed(number, "eth_getBlockByNumber", &format!("no `{name}`")))
        };
        let (hash, parent_hash, miner) = (field("hash")?, field("parentHash")?, field("miner")?);
        let timestamp = block.get("timestamp").and_then(quantity);
        let timestamp = timestamp.ok_or_else(|| malformed(number, "eth_getBlockByNumber", "no `timestamp`"))?;
        let same = |what, expected: &str, got: &str| {
            if expected.eq_ignore_ascii_case(got) {
                return Ok(());
            }
            Err(FetchError::Inconsistent { number, what, expected: expected.to_owned(), got: got.to_owned() })
        };
        if let Some(known) = number.checked_sub(1).and_then(|parent| self.hashes.get(&parent)) {
            same("parent hash", known, &parent_hash)?;
        }
        let fork = self.options.fork.or_else(|| (self.schedule)(self.chain_id, number, timestamp));
        let fork = fork.ok_or(FetchError::UnknownFork { number, chain_id: self.chain_id })?;

        let transactions = block.get("transactions").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut transaction_hashes = Vec::with_capacity(transactions.len());
        for transaction in &transactions {
            let hash = transaction.get("hash").and_then(Value::as_str);
            transaction_hashes
                .push(hash.ok_or_else(|| malformed(number, "eth_getBlockByNumber", "a transaction without `hash`"))?);
        }
        let receipts = self.receipts(number, &tag, &transaction_hashes)?;
        for (receipt, transaction) in receipts.iter().zip(&transaction_hashes) {
            let text = |name: &str| receipt.get(name).and_then(Value::as_str).unwrap_or("nothing");
            same("transaction of a receipt", transaction, text("transactionHash"))?;
            same("block of a receipt", &hash, text("blockHash"))?;
        }

        let mut state = PreState::default();
        let mut unknown = BTreeSet::new();
        if number > 0 {
            // Before the traces: those show system contracts as the system calls at the block's beginning left them.
            system::read_system_contracts(self.rpc, &mut state, fork, number, timestamp)?;
            self.trace(number, &tag, &transaction_hashes, &mut state, notes)?;
            let withdrawals = block.get("withdrawals").and_then(Value::as_array).into_iter().flatten();
            let recipients = withdrawals.filter_map(|w| w.get("address")).filter_map(Value::as_str);
            for address in recipients.chain([miner.as_str()]) {
                let address = address.to_ascii_lowercase();
                if state.knows(&address) || unknown.contains(&address) {
                    continue;
                }
                match system::read_account(self.rpc, &address, number - 1, &[]) {
                    Ok(account) => state.insert(&address, account),
                    Err(error) if error.is_refusal() => {
                        notes.insert(format!("state at the parent block refused ({error}): see prestateUnknown"));
                        unknown.insert(address);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let block_hashes = self.ancestors(number, &parent_hash, &state, &transactions)?;
        self.hashes.insert(number, hash);
        let ommers = self.ommers(number, &tag, &block)?;
        if fork < Fork::SpuriousDragon && state.has_empty_accounts() {
            notes.insert("before Spurious Dragon the tracer does not tell empty accounts from missing ones".into());
        }

        let mut pack = json!({
            "format": "evm-block-replay/1",
            "chainId": self.chain_id,
            "fork": fork.name(),
            "block": block,
            "prestate": state.to_json(fork >= Fork::SpuriousDragon),
            "receipts": receipts,
            "blockHashes": block_hashes,
            "validated": {"gasUsed": null, "logsBloom": null, "receiptsRoot": null, "stateRoot": null},
            "source": {"client": self.client, "method": "isolane fetch: prestateTracer, merged by first occurrence"},
        });
        if !ommers.is_empty() {
            pack["ommers"] = Value::Array(ommers);
        }
        if !unknown.is_empty() {
            pack["prestateUnknown"] = json!(unknown);
        }
        Ok((pack, transactions.len() as u64))
    }

    /// All receipts of the block; nodes without `eth_getBlockReceipts` are asked for each. Receipts that are not there
    /// yet (some nodes index them late) are waited for.
    fn receipts(&self, number: u64, tag: &str, hashes: &[&str]) -> Result<Vec<Value>, FetchError> {
        const WAITS: u32 = 20;
        for wait in 0..WAITS {
            let receipts = match self.rpc.call("eth_getBlockReceipts", json!([tag])) {
                Ok(Value::Array(receipts)) => receipts,
                Ok(_) => Vec::new(),
                Err(error) if error.is_refusal() => {
                    let params: Vec<Value> = hashes.iter().map(|hash| json!([hash])).collect();
                    let mut receipts = self.rpc.call_many("eth_getTransactionReceipt", &params)?;
                    receipts.retain(|receipt| !receipt.is_null());
                    receipts
                }
                Err(error) => return Err(error.into()),
            };
            if receipts.len() == hashes.len() {
                return Ok(receipts);
            }
            std::thread::sleep(Duration::from_millis(25 * u64::from(wait + 1)));
        }
        let reason = format!("the node does not give all {} receipts", hashes.len());
        Err(malformed(number, "eth_getBlockReceipts", &reason))
    }

    fn trace(
        &self,
        number: u64,
        tag: &str,
        hashes: &[&str],
        state: &mut PreState,
        notes: &mut BTreeSet<String>,
    ) -> Result<(), FetchError> {
        const METHOD: &str = "debug_traceBlockByNumber";
        if hashes.is_empty() {
            return Ok(());
        }
        let results = |value: Value| -> Result<Vec<Value>, FetchError> {
            let Value::Array(list) = value else {
                return Err(malformed(number, METHOD, "expected an array"));
            };
            if list.len() != hashes.len() {
                let reason = format!("{} results for {} transactions", list.len(), hashes.len());
                return Err(malformed(number, METHOD, &reason));
            }
            let one = |(mut entry, hash): (Value, &&str)| {
                if let Some(traced) = entry.get("txHash").and_then(Value::as_str)
                    && !traced.eq_ignore_ascii_case(hash)
                {
                    return Err(malformed(number, METHOD, &format!("the result of {traced} where {hash} should be")));
                }
                match entry.get_mut("result") {
                    Some(result) => Ok(result.take()),
                    None => Err(malformed(number, METHOD, &format!("no result for {hash}: {entry}"))),
                }
            };
            list.into_iter().zip(hashes).map(one).collect()
        };
        let plain = results(self.rpc.call(METHOD, json!([tag, {"tracer": "prestateTracer"}]))?)?;
        let diff_config = json!({"tracer": "prestateTracer", "tracerConfig": {"diffMode": true}});
        let diffs = match self.rpc.call(METHOD, json!([tag, diff_config])) {
            Ok(value) => Some(results(value)?),
            Err(error) if error.is_refusal() => {
                let text = "the node has no diffMode: accounts made in a block may be reported as older than it";
                notes.insert(format!("{text} ({error})"));
                None
            }
            Err(error) => return Err(error.into()),
        };
        for (index, result) in plain.iter().enumerate() {
            state
                .merge(result)
                .map_err(|reason| malformed(number, METHOD, &format!("transaction {index}: {reason}")))?;
            if let Some(diff) = diffs.as_ref().and_then(|diffs| diffs.get(index)) {
                state
                    .merge_made(diff)
                    .map_err(|reason| malformed(number, METHOD, &format!("transaction {index}: {reason}")))?;
            }
        }
        Ok(())
    }

    /// The parent's hash, and the other 255 if any code of the block can ask for them.
    fn ancestors(
        &mut self,
        number: u64,
        parent_hash: &str,
        state: &PreState,
        transactions: &[Value],
    ) -> Result<BTreeMap<String, String>, FetchError> {
        let Some(parent) = number.checked_sub(1) else {
            return Ok(BTreeMap::new());
        };
        self.hashes.insert(parent, parent_hash.to_owned());
        let mut first = parent;
        let inputs = transactions.iter().filter(|t| t.get("to").is_none_or(Value::is_null));
        let init_codes = inputs.filter_map(|t| t.get("input")).filter_map(Value::as_str);
        // A byte that is data of a PUSH counts too: that asks for too much, never for too little.
        if state.codes().chain(init_codes).any(may_ask_for_block_hash) {
            first = number.saturating_sub(256);
            let missing: Vec<u64> = (first..parent).filter(|n| !self.hashes.contains_key(n)).collect();
            let params: Vec<Value> = missing.iter().map(|n| json!([format!("{n:#x}"), false])).collect();
            for (n, header) in missing.iter().zip(self.rpc.call_many("eth_getBlockByNumber", &params)?) {
                let hash = header.get("hash").and_then(Value::as_str);
                let hash = hash.ok_or_else(|| malformed(*n, "eth_getBlockByNumber", "no `hash`"))?;
                self.hashes.insert(*n, hash.to_ascii_lowercase());
            }
        }
        Ok(self.hashes.range(first..=parent).map(|(n, hash)| (format!("{n:#x}"), hash.clone())).collect())
    }

    fn ommers(&self, number: u64, tag: &str, block: &Value) -> Result<Vec<Value>, FetchError> {
        let count = block.get("uncles").and_then(Value::as_array).map_or(0, Vec::len);
        let params: Vec<Value> = (0..count).map(|index| json!([tag, format!("{index:#x}")])).collect();
        let ommers = self.rpc.call_many("eth_getUncleByBlockNumberAndIndex", &params)?;
        if ommers.iter().any(Value::is_null) {
            return Err(malformed(number, "eth_getUncleByBlockNumberAndIndex", "an uncle is not there"));
        }
        Ok(ommers)
    }
}

fn may_ask_for_block_hash(code: &str) -> bool {
    const BLOCKHASH: &[u8] = b"40";
    code.as_bytes().get(2..).unwrap_or_default().chunks_exact(2).any(|byte| byte == BLOCKHASH)
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
