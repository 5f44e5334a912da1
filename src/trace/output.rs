//! Where the traces of a run go: one file or standard output, transaction by transaction.

use super::{AccessList, CallFrames, Details, Eip3155, Label, Profile, StateDiff};
use crate::block::BlockObserver;
use isolane_cpu::Observer;
use isolane_spec::{AccessListItem, Environment, Fork, H256, word};
use serde_json::{Value, json};
use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Version of the lines of all kinds but EIP-3155.
pub const SCHEMA: &str = "isolane-trace/1";

/// What is traced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TraceKind {
    /// Every instruction: EIP-3155.
    #[default]
    Eip3155,
    /// The calls of a transaction, flat, with their trace addresses.
    Calls,
    /// The calls of a transaction as geth's callTracer nests them.
    CallTree,
    /// Gas and counts by opcode and by contract.
    Profile,
    /// The access list that makes every access warm.
    AccessList,
    /// Balances, nonces, code hashes and slots that a transaction changed.
    StateDiff,
}

/// What of a run is traced, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TracingSettings {
    /// What the trace tells.
    pub kind: TraceKind,
    /// What the EIP-3155 lines hold besides what they must.
    pub details: Details,
    /// Only the transaction of this index in its block.
    pub transaction: Option<usize>,
}

/// The trace of a run. Lines of different transactions never mix; where several threads execute, the transactions come
/// in no particular order.
pub struct Tracing {
    settings: TracingSettings,
    writer: Mutex<Writer>,
}

struct Writer {
    lines: Eip3155<Box<dyn Write + Send>>,
    traced: u64,
}

impl fmt::Debug for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracing").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Tracing {
    /// Writes to `out`, which should be buffered.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, settings: TracingSettings) -> Self {
        let lines = Eip3155::new(out, Fork::Frontier, settings.details);
        Self { settings, writer: Mutex::new(Writer { lines, traced: 0 }) }
    }

    /// The trace of a block, or of a test. Others wait until it is dropped.
    #[must_use]
    pub fn block(&self, name: impl Into<String>, environment: &Environment, hashes: Vec<H256>) -> BlockTrace<'_> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let fork = environment.rules.fork;
        writer.lines.set_fork(fork);
        let collector = match self.settings.kind {
            TraceKind::Eip3155 => Collector::Lines,
            TraceKind::Calls => Collector::Calls(CallFrames::default()),
            TraceKind::CallTree => Collector::CallTree(CallFrames::default()),
            TraceKind::Profile => Collector::Profile(Profile::default()),
            TraceKind::AccessList => Collector::AccessList(AccessList::new(fork, environment.block.coinbase)),
            TraceKind::StateDiff => Collector::StateDiff(StateDiff::default()),
        };
        let label = Label { name: name.into(), ..Label::default() };
        BlockTrace { only: self.settings.transaction, writer, fork, hashes, label, collector, open: false }
    }

    /// How many transactions were traced.
    ///
    /// # Errors
    /// The first failure of writing.
    pub fn finish(&self) -> io::Result<u64> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.lines.flush();
        match writer.lines.take_failure() {
            Some(error) => Err(error),
            None => Ok(writer.traced),
        }
    }
}

/// What watches a transaction.
enum Collector {
    /// The writer itself.
    Lines,
    Calls(CallFrames),
    CallTree(CallFrames),
    Profile(Profile),
    AccessList(AccessList),
    StateDiff(StateDiff),
}

/// Traces the transactions of one block, or the one of a state test.
pub struct BlockTrace<'a> {
    only: Option<usize>,
    writer: MutexGuard<'a, Writer>,
    fork: Fork,
    hashes: Vec<H256>,
    label: Label,
    collector: Collector,
    /// Whether a transaction is not ended.
    open: bool,
}

impl BlockTrace<'_> {
    /// Writes the end of the last transaction, with the state root after it where that is known. Without this call the
    /// next transaction or the end of the block does it.
    pub fn end(&mut self, state_root: Option<H256>) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let (what, value) = match &mut self.collector {
            Collector::Lines => return self.writer.lines.finish(&self.label, state_root),
            Collector::Calls(calls) => ("calls", serde_json::to_value(calls.take()).unwrap_or_default()),
            Collector::CallTree(calls) => ("callTree", CallFrames::to_tree(&calls.take())),
            Collector::Profile(profile) => ("profile", std::mem::take(profile).to_json(self.fork)),
            Collector::AccessList(list) => ("accessList", access_list(&list.take())),
            Collector::StateDiff(diff) => ("stateDiff", diff.take()),
        };
        let mut line = json!({
            "schema": SCHEMA,
            "name": self.label.name,
            "transaction": self.label.index,
            "hash": self.label.hash.map(|hash| format!("{hash:?}")),
        });
        if let Some(fields) = line.as_object_mut() {
            fields.insert(what.to_owned(), value);
        }
        self.writer.lines.write(&line);
    }
}

impl Drop for BlockTrace<'_> {
    fn drop(&mut self) {
        self.end(None);
    }
}

impl BlockObserver for BlockTrace<'_> {
    fn transaction(&mut self, index: usize) -> Option<&mut dyn Observer> {
        self.end(None);
        if self.only.is_some_and(|only| only != index) {
            return None;
        }
        self.open = true;
        self.writer.traced += 1;
        self.label.index = index;
        self.label.hash = self.hashes.get(index).copied();
        Some(match &mut self.collector {
            Collector::Lines => &mut self.writer.lines,
            Collector::Calls(calls) | Collector::CallTree(calls) => calls,
            Collector::Profile(profile) => profile,
            Collector::AccessList(list) => list,
            Collector::StateDiff(diff) => diff,
        })
    }
}

/// An access list as transactions in JSON-RPC have it.
fn access_list(list: &[AccessListItem]) -> Value {
    let item = |item: &AccessListItem| {
        let keys: Vec<String> = item.storage_keys.iter().map(|key| format!("{:?}", word::to_hash(key))).collect();
        json!({"address": format!("{:?}", item.address), "storageKeys": keys})
    };
    list.iter().map(item).collect()
}
