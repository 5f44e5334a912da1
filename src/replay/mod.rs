//! Replay: load, recover senders, execute, verify; block by block, all blocks in parallel.
//!
//! One thread takes one pack from bytes to verdict and drops it, so memory does not grow with the number of packs. A
//! pack that cannot be used, or a defect of isolane that panics, ends that pack alone.

mod block;
pub mod expect;
mod find;
pub mod live;
mod memory;
pub mod mismatch;
pub(crate) mod prepare;
mod single;
mod verify;

pub use find::{Inputs, find};
pub use verify::{contract_address, effective_gas_price};

use crate::chain::ChainSpec;
use crate::conformance::SharedBackend;
use crate::gather::Gather;
use crate::load::block_pack::BlockPack;
use crate::load::code_cache::CodeCache;
use crate::load::transaction_pack::{self, TransactionPack};
use crate::load::typed::{self, InputError};
use crate::report::{InputReport, Kind, Summary, Times, Verdict, peak_memory};
use crate::source::Source;
use crate::tables::Selection;
use crate::trace::Tracing;
use isolane_cpu::InParallel;
use live::Live;
use memory::MemoryGate;
use serde::Deserialize;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::time::Instant;

/// Whether the transactions of one block are executed in parallel. The results are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParallelTransactions {
    /// In blocks in which it promises to pay, if there are fewer packs than threads.
    #[default]
    Auto,
    /// In every block.
    On,
    /// Never.
    Off,
}

/// How to replay.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Worker threads; 0 = one a processor.
    pub threads: usize,
    /// Keep the receipts in the reports.
    pub keep_receipts: bool,
    /// The schedule of the packs' chain, where it is not built in.
    pub chain: Option<ChainSpec>,
    /// What executes the transactions, if it is not the reference.
    pub backend: Option<SharedBackend>,
    /// Whether the transactions of one block are executed in parallel.
    pub parallel_transactions: ParallelTransactions,
    /// New packs wait while the process takes about that much memory, in bytes. One pack is always at work.
    pub memory_limit: Option<u64>,
    /// Where the traces of the transactions go, if they are traced.
    pub tracing: Option<Arc<Tracing>>,
    /// The tables whose rows are wanted.
    pub tables: Selection,
    /// End after the first input that does not match; what comes behind it is not reported.
    pub stop_at_mismatch: bool,
    /// Counted up on the way.
    pub live: Arc<Live>,
}

/// What all workers share.
struct Shared<'a> {
    source: &'a dyn Source,
    options: &'a Options,
    codes: CodeCache,
    /// Whether one pack's senders are to be recovered by several threads: there are fewer packs than threads.
    parallel_senders: bool,
    /// Whether one block's transactions are to be executed by several threads.
    parallel_transactions: InParallel,
    /// What executes the transactions of all packs at work together, if it is not the reference.
    backend: Option<&'a Gather<'a>>,
}

/// Packs at work at once where a backend executes their transactions together.
const GATHERED: usize = 128;

/// Reports wait here until those before them are out.
struct InOrder<F> {
    next: usize,
    waiting: BTreeMap<usize, InputReport>,
    summary: Summary,
    /// Whether the first mismatch is the last report, and whether it is out.
    stop_at_mismatch: bool,
    stopped: bool,
    live: Arc<Live>,
    sink: F,
}

impl<F: FnMut(InputReport)> InOrder<F> {
    fn new(options: &Options, sink: F) -> Self {
        Self {
            next: 0,
            waiting: BTreeMap::new(),
            summary: Summary::default(),
            stop_at_mismatch: options.stop_at_mismatch,
            stopped: false,
            live: Arc::clone(&options.live),
            sink,
        }
    }

    fn put(&mut self, index: usize, report: InputReport) {
        self.waiting.insert(index, report);
        while let Some(report) = self.waiting.remove(&self.next).filter(|_| !self.stopped) {
            self.stopped = self.stop_at_mismatch && matches!(report.verdict, Verdict::Mismatch(_));
            self.summary.add(&report);
            self.live.report(&report);
            (self.sink)(report);
            self.next += 1;
        }
        self.live.waiting.set(self.waiting.len() as u64);
    }
}

/// Replays all packs. `sink` gets each report, in the order of the packs.
///
/// # Errors
/// When the worker threads cannot be started.
pub fn replay(
    source: &dyn Source,
    options: &Options,
    sink: impl FnMut(InputReport) + Send,
) -> Result<Summary, rayon::ThreadPoolBuildError> {
    let start = Instant::now();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build()?;
    let threads = pool.current_num_threads();
    let count = source.count();
    let few = count < threads;
    let gather = options.backend.as_ref().map(|backend| Gather::new(&*backend.0));
    let shared = Shared {
        source,
        options,
        codes: CodeCache::default(),
        parallel_senders: few,
        parallel_transactions: match options.parallel_transactions {
            ParallelTransactions::On => InParallel::Always,
            ParallelTransactions::Auto if few => InParallel::WhereItPays,
            ParallelTransactions::Auto | ParallelTransactions::Off => InParallel::Never,
        },
        backend: gather.as_ref(),
    };
    let gate = MemoryGate::new(options.memory_limit);
    let next = AtomicUsize::new(0);
    let live = &*options.live;
    live.inputs.set(count as u64);
    // No further pack is begun. All those before the one that does not match are at work by then.
    let stop = AtomicBool::new(false);
    let out = Mutex::new(InOrder::new(options, sink));
    let work = |take_part: &mut dyn FnMut(bool)| {
        loop {
            // The others of a batch must not wait for this thread while it waits.
            let entered = gate.enter(|| take_part(false));
            take_part(true);
            // Only who is inside takes a pack, so that nobody inside waits for one that is not.
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count || stop.load(Ordering::Relaxed) {
                break;
            }
            live.at_work.add(1);
            let report = contained(index, &shared);
            live.at_work.take(1);
            if options.stop_at_mismatch && matches!(report.verdict, Verdict::Mismatch(_)) {
                stop.store(true, Ordering::Relaxed);
            }
            drop(entered);
            out.lock().unwrap_or_else(PoisonError::into_inner).put(index, report);
        }
    };
    if let Some(gather) = &gather {
        // These threads mostly wait, and no thread of a pool may: it would wait with work of others on its stack.
        let members: Vec<_> = (0..GATHERED.min(count)).map(|_| gather.member()).collect();
        std::thread::scope(|scope| {
            for member in members {
                let work = &work;
                let mut member = Some(member);
                scope.spawn(move || {
                    work(&mut |takes| {
                        member = takes.then(|| member.take().unwrap_or_else(|| gather.member()));
                    });
                });
            }
        });
    } else {
        let workers = threads.min(count);
        // All begin before any has work to share: a thread that waits for shared work must not begin to work on other
        // blocks meanwhile, which may wait for this one.
        let all = Barrier::new(workers);
        pool.scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|_| {
                    all.wait();
                    work(&mut |_| {});
                });
            }
        });
    }
    let InOrder { mut summary, next: reported, .. } = out.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.not_replayed = count.saturating_sub(reported);
    summary.wall = start.elapsed();
    summary.threads = threads;
    summary.backend = options.backend.as_ref().map_or("cpu", |backend| backend.0.name());
    summary.peak_memory = peak_memory();
    summary.most_at_work = gate.most();
    Ok(summary)
}

/// One pack, whatever happens.
fn contained(index: usize, shared: &Shared<'_>) -> InputReport {
    let file = shared.source.name(index);
    let report = contain(|| one(index, &file, shared));
    let report = report.unwrap_or_else(|error| InputReport::failed(&file, error.in_file(&file)));
    InputReport { origin: shared.source.origin(), ..report }
}

thread_local! {
    /// Whether a panic of this thread is contained, and where the last one came from.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Turns a panic into an error.
fn contain<T>(work: impl FnOnce() -> Result<T, InputError>) -> Result<T, InputError> {
    CONTAINED.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(false);
    result.unwrap_or_else(|payload| {
        let text = PANIC.take().unwrap_or_else(|| message(&*payload).to_owned());
        Err(InputError::at("", format!("internal error (please report it): {text}")))
    })
}

/// What a panic says.
fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Makes contained panics silent and remembers where they came from; for processes whose standard error is for people.
/// All other panics go to the hook that was there before.
pub fn hush_contained_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !CONTAINED.get() {
            before(info);
            return;
        }
        let message = message(info.payload());
        let place = info.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
        PANIC.set(Some(format!("{}{place}", message.replace('\n', " "))));
    }));
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

fn one(index: usize, file: &str, shared: &Shared<'_>) -> Result<InputReport, InputError> {
    let document = shared.source.pack(index)?;
    let start = Instant::now();
    let pack = parse(&document);
    typed::recycle(document);
    let pack = pack?;
    let times = Times { load: start.elapsed(), ..Times::default() };
    let (kind, chain_id, number, fork) = match &pack {
        Pack::Block(pack) => (Kind::Block, pack.chain_id.0, pack.block.number.0, pack.fork()),
        Pack::Transaction(pack) => (Kind::Transaction, pack.chain_id.0, pack.block.number.0, Some(pack.fork.0)),
    };
    let result = match pack {
        Pack::Block(pack) => block::replay(index, file, *pack, times, shared),
        Pack::Transaction(pack) => single::replay(file, *pack, times, shared),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        let error = contain::<()>(|| panic!("boom {}", 7)).expect_err("an error").to_string();
        assert!(error.contains("internal error") && error.contains("boom 7"), "{error}");
        assert_eq!(contain(|| Ok(1)), Ok(1));
    }

    #[test]
    fn reports_come_in_the_order_of_the_packs() {
        let mut seen = Vec::new();
        let mut out = InOrder::new(&Options::default(), |report: InputReport| seen.push(report.file));
        for index in [2, 0, 3, 1] {
            out.put(index, InputReport::failed(&index.to_string(), InputError::at("", "")));
        }
        assert_eq!((out.summary.total.failed, out.summary.exit_code()), (4, 2));
        assert_eq!(seen, ["0", "1", "2", "3"]);
    }

    #[test]
    fn the_first_mismatch_is_the_last_report_where_that_is_wanted() {
        for (stop_at_mismatch, expected) in [(true, &["0", "1"][..]), (false, &["0", "1", "2", "3"])] {
            let mut seen = Vec::new();
            let options = Options { stop_at_mismatch, ..Options::default() };
            let mut out = InOrder::new(&options, |report: InputReport| seen.push(report.file));
            for index in [3, 1, 0, 2] {
                let mut report = InputReport::failed(&index.to_string(), InputError::at("", ""));
                if index % 2 == 1 {
                    report.verdict = Verdict::Mismatch(Vec::new());
                }
                out.put(index, report);
            }
            let counts = (out.summary.total.mismatches, out.summary.exit_code());
            assert_eq!(seen, expected);
            assert_eq!(counts.1, 1);
            assert_eq!(counts.0, if stop_at_mismatch { 1 } else { 2 });
        }
    }
}
