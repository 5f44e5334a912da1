//! Replay: load, recover senders, execute, verify; block by block, all blocks in parallel.
//!
//! One thread takes one pack from bytes to verdict and drops it, so memory does not grow with the number of packs. A
//! pack that cannot be used, or a defect of isolane that panics, ends that pack alone.

mod block;
pub mod expect;
mod find;
pub mod mismatch;
mod single;
mod verify;

pub use find::{Inputs, find};

use crate::chain::ChainSpec;
use crate::load::block_pack::BlockPack;
use crate::load::code_cache::CodeCache;
use crate::load::transaction_pack::{self, TransactionPack};
use crate::load::typed::{self, InputError};
use crate::report::{InputReport, Kind, Summary, Times, peak_memory};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How to replay.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Worker threads; 0 = one a processor.
    pub threads: usize,
    /// Keep the receipts in the reports.
    pub keep_receipts: bool,
    /// The schedule of the packs' chain, where it is not built in.
    pub chain: Option<ChainSpec>,
}

/// What all workers share.
struct Shared<'a> {
    inputs: &'a Inputs,
    options: &'a Options,
    codes: CodeCache,
    /// Whether one pack's senders are to be recovered by several threads: there are fewer packs than threads.
    parallel_senders: bool,
}

/// Reports wait here until those before them are out.
struct InOrder<F> {
    next: usize,
    waiting: BTreeMap<usize, InputReport>,
    summary: Summary,
    sink: F,
}

impl<F: FnMut(InputReport)> InOrder<F> {
    fn put(&mut self, index: usize, report: InputReport) {
        self.summary.add(&report);
        self.waiting.insert(index, report);
        while let Some(report) = self.waiting.remove(&self.next) {
            (self.sink)(report);
            self.next += 1;
        }
    }
}

/// Replays all packs. `sink` gets each report, in the order of the packs.
///
/// # Errors
/// When the worker threads cannot be started.
pub fn replay(
    inputs: &Inputs,
    options: &Options,
    sink: impl FnMut(InputReport) + Send,
) -> Result<Summary, rayon::ThreadPoolBuildError> {
    let start = Instant::now();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build()?;
    let threads = pool.current_num_threads();
    let shared =
        Shared { inputs, options, codes: CodeCache::default(), parallel_senders: inputs.packs.len() < threads };
    let next = AtomicUsize::new(0);
    let out = Mutex::new(InOrder { next: 0, waiting: BTreeMap::new(), summary: Summary::default(), sink });
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = inputs.packs.get(index) else { break };
            let report = contained(path, &shared);
            out.lock().unwrap_or_else(PoisonError::into_inner).put(index, report);
        }
    };
    pool.scope(|scope| {
        for _ in 0..threads.min(inputs.packs.len()) {
            scope.spawn(|_| work());
        }
    });
    let mut summary = out.into_inner().unwrap_or_else(PoisonError::into_inner).summary;
    summary.wall = start.elapsed();
    summary.threads = threads;
    summary.backend = "cpu";
    summary.peak_memory = peak_memory();
    Ok(summary)
}

/// One pack, whatever happens.
fn contained(path: &Path, shared: &Shared<'_>) -> InputReport {
    let file = path.display().to_string();
    let result = catch_unwind(AssertUnwindSafe(|| one(path, &file, shared)));
    let error = match result {
        Ok(Ok(report)) => return report,
        Ok(Err(error)) => error.in_file(&file),
        Err(payload) => {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
            InputError::new(&file, "", format!("internal error (please report it): {text}"))
        }
    };
    InputReport::failed(&file, error)
}

/// A pack of either format.
enum Pack {
    Block(Box<BlockPack>),
    Transaction(Box<TransactionPack>),
}

fn parse(document: &[u8]) -> Result<Pack, InputError> {
    #[derive(Deserialize)]
    struct Tag {
        format: Option<String>,
    }
    // `format` comes first in packs that tools write; reading it there saves a pass over the document.
    let start = document.get(..256).unwrap_or(document);
    let single = transaction_pack::FORMAT.as_bytes();
    if start.windows(single.len()).any(|window| window == single) {
        return typed::parse(document).map(|pack| Pack::Transaction(Box::new(pack)));
    }
    match typed::parse(document) {
        Ok(pack) => Ok(Pack::Block(Box::new(pack))),
        Err(error) => match typed::parse::<Tag>(document) {
            Ok(Tag { format: Some(format) }) if format == transaction_pack::FORMAT => {
                typed::parse(document).map(|pack| Pack::Transaction(Box::new(pack)))
            }
            Ok(Tag { format: Some(format) }) if format != crate::load::block_pack::FORMAT => {
                let problem = format!(
                    "expected {:?} or {:?}, got {}",
                    crate::load::block_pack::FORMAT,
                    transaction_pack::FORMAT,
                    typed::quote(&format)
                );
                Err(InputError::at("format", problem))
            }
            _ => Err(error),
        },
    }
}

fn one(path: &Path, file: &str, shared: &Shared<'_>) -> Result<InputReport, InputError> {
    let start = Instant::now();
    let document = typed::read(path)?;
    let pack = parse(&document)?;
    drop(document);
    let times = Times { load: start.elapsed(), ..Times::default() };
    let (kind, chain_id, number, fork) = match &pack {
        Pack::Block(pack) => (Kind::Block, pack.chain_id.0, pack.block.number.0, pack.fork()),
        Pack::Transaction(pack) => (Kind::Transaction, pack.chain_id.0, pack.block.number.0, Some(pack.fork.0)),
    };
    let result = match pack {
        Pack::Block(pack) => block::replay(file, *pack, times, shared),
        Pack::Transaction(pack) => single::replay(file, *pack, times, &shared.codes),
    };
    Ok(result.unwrap_or_else(|error| InputReport {
        kind,
        chain_id: Some(chain_id),
        number: Some(number),
        fork,
        times,
        ..InputReport::failed(file, error.in_file(file))
    }))
}
