//! What a replay found: one report an input, and their sum.

mod json;
mod ratios;
pub mod replay;
pub mod run;
mod table;

pub use json::{block_line, receipts_lines, summary_line};
pub use ratios::{Ratios, ratios};
pub use table::render;

use crate::load::typed::InputError;
use crate::replay::mismatch::Mismatch;
use crate::tables::BlockRows;
use isolane_spec::{Fork, H256, Log, U256};
use std::collections::BTreeMap;
use std::time::Duration;

/// Version of the JSON Lines.
pub const SCHEMA: &str = "isolane-replay/1";

/// What kind of input a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole block.
    Block,
    /// One transaction.
    Transaction,
}

/// Where the state came from, which says how far a state root can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateSource {
    /// A witness, checked against the parent's state root: the state root is recomputed.
    Witness,
    /// Proofs of what the block reads (`eth_getProof`), checked against the parent's state root: the state root is
    /// recomputed where they suffice.
    Proofs,
    /// The whole pre-state: the state root is recomputed.
    Complete,
    /// The part of the pre-state that the block reads: no state root follows from it.
    Partial,
}

impl StateSource {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Witness => "witness",
            Self::Proofs => "proofs",
            Self::Complete => "complete pre-state",
            Self::Partial => "recorded pre-state",
        }
    }
}

/// Time by stage.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Reading, decompressing, parsing.
    pub load: Duration,
    /// Rebuilding envelopes and recovering senders.
    pub recover: Duration,
    /// Executing.
    pub execute: Duration,
    /// Comparing, roots included.
    pub verify: Duration,
}

impl Times {
    /// All stages together.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.load + self.recover + self.execute + self.verify
    }

    fn add(&mut self, other: &Self) {
        self.load += other.load;
        self.recover += other.recover;
        self.execute += other.execute;
        self.verify += other.verify;
    }
}

/// Which values were compared, and whether they matched; `None` where there is nothing to compare with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// The hash of the header against the block's hash.
    pub header_hash: Option<bool>,
    /// Gas used.
    pub gas_used: Option<bool>,
    /// Receipts root.
    pub receipts_root: Option<bool>,
    /// Logs bloom.
    pub logs_bloom: Option<bool>,
    /// State root.
    pub state_root: Option<bool>,
    /// Transactions root.
    pub transactions_root: Option<bool>,
    /// Withdrawals root.
    pub withdrawals_root: Option<bool>,
    /// Blob gas used.
    pub blob_gas_used: Option<bool>,
    /// Requests hash.
    pub requests_hash: Option<bool>,
    /// The recorded receipts.
    pub receipts: Option<bool>,
    /// The recorded post-state.
    pub post_state: Option<bool>,
}

/// How an input ended.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Everything that could be compared matches.
    Match,
    /// At least one value differs; the first one is the first in the order of execution.
    Mismatch(Vec<Mismatch>),
    /// The input cannot be executed: unreadable, incomplete, or a defect of isolane.
    Failed(InputError),
}

/// What became of one input.
#[derive(Clone, Debug)]
pub struct InputReport {
    /// The file.
    pub file: String,
    /// What kind of input it is, if that much could be read.
    pub kind: Kind,
    /// EIP-155 chain id, if known.
    pub chain_id: Option<u64>,
    /// Block number, if known.
    pub number: Option<u64>,
    /// Block or transaction hash, if known.
    pub hash: Option<H256>,
    /// The fork that it ran with.
    pub fork: Option<Fork>,
    /// Executed transactions.
    pub transactions: usize,
    /// Gas that the execution used.
    pub gas_used: u64,
    /// Executed instructions.
    pub steps: u64,
    /// Where the state came from.
    pub state: StateSource,
    /// Where the data came from: `file`, or the method of the node that gave the state.
    pub origin: &'static str,
    /// What was compared.
    pub checks: Checks,
    /// What could not be compared, and why.
    pub notes: Vec<String>,
    /// How it ended.
    pub verdict: Verdict,
    /// Time by stage.
    pub times: Times,
    /// The receipts, where they are asked for.
    pub receipts: Vec<ReceiptRecord>,
    /// The rows of the tables, where they are asked for and the block matches.
    pub rows: Option<Box<BlockRows>>,
}

impl InputReport {
    /// An input about which nothing is known yet.
    #[must_use]
    pub fn failed(file: &str, error: InputError) -> Self {
        Self {
            file: file.to_owned(),
            kind: Kind::Block,
            chain_id: None,
            number: None,
            hash: None,
            fork: None,
            transactions: 0,
            gas_used: 0,
            steps: 0,
            state: StateSource::Partial,
            origin: "file",
            checks: Checks::default(),
            notes: Vec::new(),
            verdict: Verdict::Failed(error),
            times: Times::default(),
            receipts: Vec::new(),
            rows: None,
        }
    }

    /// The one line that says what is wrong; `None` if nothing is.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        match &self.verdict {
            Verdict::Match => None,
            Verdict::Failed(error) => Some(format!("error: {error}")),
            Verdict::Mismatch(list) => {
                let number = self.number.map(|number| format!("block {number}: ")).unwrap_or_default();
                let first = list.first().map(ToString::to_string).unwrap_or_default();
                let more = match list.len() {
                    0 | 1 => String::new(),
                    count => format!(" (and {} more differences; --json lists them)", count - 1),
                };
                Some(format!("mismatch: {}: {number}{first}{more}", self.file))
            }
        }
    }
}

/// A receipt for `--out`.
#[derive(Clone, Debug)]
pub struct ReceiptRecord {
    /// Hash of the transaction.
    pub transaction_hash: H256,
    /// Envelope type.
    pub transaction_type: u8,
    /// Whether it succeeded.
    pub success: bool,
    /// Gas used.
    pub gas_used: u64,
    /// Gas of the block so far.
    pub cumulative_gas_used: u64,
    /// What it paid per gas.
    pub effective_gas_price: U256,
    /// The contract it was to create.
    pub contract_address: Option<isolane_spec::H160>,
    /// Its logs.
    pub logs: Vec<Log>,
}

/// The sum over inputs of one chain and fork.
#[derive(Clone, Copy, Debug, Default)]
pub struct Group {
    /// Blocks.
    pub blocks: u64,
    /// Single transactions.
    pub singles: u64,
    /// Executed transactions, single ones included.
    pub transactions: u64,
    /// Gas used.
    pub gas: u64,
    /// Time of execution, summed over threads.
    pub execute: Duration,
    /// Inputs whose gas used matches.
    pub gas_used: u64,
    /// Inputs whose receipts root matches.
    pub receipts_root: u64,
    /// Inputs whose logs bloom matches.
    pub logs_bloom: u64,
    /// Blocks whose state root matches, computed from a witness.
    pub state_by_witness: u64,
    /// Blocks whose state root matches, computed from proofs.
    pub state_by_proofs: u64,
    /// Blocks whose state root matches, computed from a complete pre-state.
    pub state_by_complete: u64,
    /// Blocks without a verified state root.
    pub state_unverified: u64,
    /// Inputs whose recorded receipts or results match.
    pub receipts: u64,
    /// Inputs whose recorded post-state matches.
    pub post_state: u64,
    /// Inputs that do not match.
    pub mismatches: u64,
    /// Inputs that could not be executed.
    pub failed: u64,
}

impl Group {
    fn add(&mut self, report: &InputReport) {
        match report.kind {
            Kind::Block => self.blocks += 1,
            Kind::Transaction => self.singles += 1,
        }
        self.transactions += report.transactions as u64;
        self.gas += report.gas_used;
        self.execute += report.times.execute;
        let count = |check: Option<bool>| u64::from(check == Some(true));
        self.gas_used += count(report.checks.gas_used);
        self.receipts_root += count(report.checks.receipts_root);
        self.logs_bloom += count(report.checks.logs_bloom);
        self.receipts += count(report.checks.receipts);
        self.post_state += count(report.checks.post_state);
        match (report.kind, report.checks.state_root, report.state) {
            (Kind::Block, Some(true), StateSource::Witness) => self.state_by_witness += 1,
            (Kind::Block, Some(true), StateSource::Proofs) => self.state_by_proofs += 1,
            (Kind::Block, Some(true), _) => self.state_by_complete += 1,
            (Kind::Block, _, _) => self.state_unverified += 1,
            (Kind::Transaction, ..) => {}
        }
        match report.verdict {
            Verdict::Match => {}
            Verdict::Mismatch(_) => self.mismatches += 1,
            Verdict::Failed(_) => self.failed += 1,
        }
    }

    /// Million gas per second of execution on one thread.
    #[must_use]
    pub fn mgas_per_second(&self) -> f64 {
        mgas_per_second(self.gas, self.execute)
    }
}

/// Million gas per second.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
pub fn mgas_per_second(gas: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { gas as f64 / 1e6 / time.as_secs_f64() }
}

/// The sum over all inputs.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// By chain and fork; inputs that could not be read count under `None`.
    pub groups: BTreeMap<(Option<u64>, Option<Fork>), Group>,
    /// All together.
    pub total: Group,
    /// Time by stage, summed over threads.
    pub times: Times,
    /// Time from start to end.
    pub wall: Duration,
    /// Threads that worked.
    pub threads: usize,
    /// The backend that executed.
    pub backend: &'static str,
    /// Largest resident memory of the process in bytes, where the system tells.
    pub peak_memory: Option<u64>,
    /// The most packs that were at work at once.
    pub most_at_work: usize,
    /// Inputs behind the first one that does not match, where that is the last one.
    pub not_replayed: usize,
}

impl Summary {
    /// Adds a report.
    pub fn add(&mut self, report: &InputReport) {
        self.groups.entry((report.chain_id, report.fork)).or_default().add(report);
        self.total.add(report);
        self.times.add(&report.times);
    }

    /// 0: all match; 1: something does not; 2: nothing mismatches, but an input could not be read or executed.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match (self.total.mismatches, self.total.failed) {
            (0, 0) => 0,
            (0, _) => 2,
            _ => 1,
        }
    }
}

/// The name of a chain, or its id.
#[must_use]
pub fn chain_name(chain_id: u64) -> String {
    let name = match chain_id {
        1 => "mainnet",
        3 => "ropsten",
        5 => "goerli",
        63 => "mordor",
        17_000 => "holesky",
        59_141 => "linea-sepolia",
        59_144 => "linea",
        560_048 => "hoodi",
        11_155_111 => "sepolia",
        other => return format!("chain {other}"),
    };
    name.to_owned()
}

/// The largest resident memory of this process so far, in bytes; only where `/proc` tells.
#[must_use]
pub fn peak_memory() -> Option<u64> {
    memory("VmHWM:")
}

/// The resident memory of this process, in bytes; only where `/proc` tells.
#[must_use]
pub fn resident_memory() -> Option<u64> {
    memory("VmRSS:")
}

fn memory(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
