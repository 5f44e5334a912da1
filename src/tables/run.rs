//! A run that writes tables: which blocks are left to do, and the thread that writes what was done.

use super::column::{Batch, U256Type};
use super::journal::{
    BlockRecord, ChunkRecord, Difference, Ended, FileRecord, Gas, GasRecord, Header, Journal, Lanes, RunRecord,
    sync_folder, unwritable,
};
use super::rows::opcode_name;
use super::write::{Format, TableFile, Whole, file_name};
use super::{Selection, Table};
use crate::load::typed::InputError;
use crate::load::witness::WitnessFile;
use crate::replay::live::Live;
use crate::report::{InputReport, Kind, Verdict};
use crate::source::Source;
use crate::trace::Profile;
use isolane_spec::{Fork, H256};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Blocks that wait for the writer at most, besides those that are being executed.
const QUEUE: usize = 16;
/// Contracts that a chunk's record names.
const CONTRACTS: usize = 256;

/// The rows of a block.
#[derive(Clone, Debug)]
pub struct BlockRows {
    /// Table by table.
    pub batches: Vec<Batch>,
    /// Gas by opcode and contract, where a table of it is asked for.
    pub profile: Option<Profile>,
    /// The block's fork.
    pub fork: Fork,
    /// When they were made: reports wait for those before them.
    pub made: Instant,
}

/// What is written, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder.
    pub folder: PathBuf,
    /// The tables.
    pub tables: Selection,
    /// The types of 256-bit numbers.
    pub words: Vec<U256Type>,
    /// The format.
    pub format: Format,
    /// Blocks a chunk.
    pub chunk_size: usize,
    /// Hash of the chain's schedule, where one was given.
    pub chain_config: Option<H256>,
    /// Told how many blocks wait for the writer.
    pub live: Arc<Live>,
}

impl Settings {
    fn header(&self) -> Header {
        let name = |word: &U256Type| word.suffix().trim_start_matches('_').to_owned();
        Header {
            schema: super::SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            tables: self.tables.tables().map(|table| table.name().to_owned()).collect(),
            format: self.format.extension().to_owned(),
            u256_types: self.words.iter().map(name).collect(),
            chunk_size: self.chunk_size as u64,
            chain_config: self.chain_config.map(|hash| format!("{hash:?}")),
        }
    }
}

/// How a run is bounded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Blocks between the last that is written and the first that is not begun; `None`: any number.
    pub window: Option<usize>,
}

/// The hash of what a block is executed from.
pub type Identity = Arc<dyn Fn(usize) -> H256 + Send + Sync>;

/// How far the writer is.
#[derive(Debug, Default)]
struct Progress {
    written: usize,
    failure: Option<InputError>,
}

/// What the worker threads, the gate and the writer share.
#[derive(Debug, Default)]
struct Shared {
    progress: Mutex<Progress>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: InputError) {
        self.lock().failure.get_or_insert(error);
        self.changed.notify_all();
    }

    fn wrote(&self) {
        self.lock().written += 1;
        self.changed.notify_all();
    }

    fn failed(&self) -> bool {
        self.lock().failure.is_some()
    }
}

/// What was found done.
#[derive(Clone, Debug, Default)]
pub struct Skipped {
    /// Blocks.
    pub blocks: usize,
    /// Chunks.
    pub chunks: usize,
    /// Blocks that do not match.
    pub mismatches: u64,
    /// Blocks that could not be executed.
    pub failed: u64,
    /// What is wrong with those.
    pub problems: Vec<String>,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrote {
    /// Files.
    pub files: usize,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// Time that the thread that writes was at work.
    pub time: Duration,
}

/// A run that writes tables.
pub struct Run {
    todo: Vec<usize>,
    skipped: Skipped,
    /// The highest block of each chunk that is done.
    ends: Vec<(u64, String)>,
    next: usize,
    start: Instant,
    record: RunRecord,
    journal: Arc<Journal>,
    shared: Arc<Shared>,
    live: Arc<Live>,
    sender: Option<SyncSender<Item>>,
    writer: Option<JoinHandle<Wrote>>,
}

impl Run {
    /// Opens the folder, and finds out which of `count` blocks are not done. `identity` tells what each is executed from.
    ///
    /// # Errors
    /// When the folder cannot be read or written, or holds tables of other blocks or options.
    pub fn open(settings: Settings, count: usize, identity: Identity) -> Result<Self, InputError> {
        let folder = settings.folder.clone();
        let journal = Arc::new(Journal::open(&folder, &settings.header())?);
        let size = settings.chunk_size.max(1);
        let chunks = count.div_ceil(size);
        let range = |chunk: usize| chunk * size..((chunk + 1) * size).min(count);
        let other = |chunk: usize| {
            let problem =
                format!("the folder holds tables of other blocks (chunk {chunk}): use another --out, or remove it");
            InputError::new(folder.display().to_string(), "", problem)
        };
        let there = journal.chunks()?;
        if let Some(beyond) = there.range(chunks..).next() {
            return Err(other(*beyond));
        }
        let (mut todo, mut skipped, mut names) = (Vec::new(), Skipped::default(), HashMap::new());
        let mut ends = Vec::new();
        for chunk in 0..chunks {
            let record = if there.contains(&chunk) { journal.chunk(chunk)? } else { None };
            let Some(record) = record else {
                todo.extend(range(chunk));
                continue;
            };
            let inputs: Vec<String> = range(chunk).into_par_iter().map(|index| show(identity(index))).collect();
            if !record.is_of(&inputs) {
                return Err(other(chunk));
            }
            let whole = |file: &FileRecord| {
                std::fs::metadata(folder.join(&file.name)).is_ok_and(|there| there.len() == file.done.bytes)
            };
            if !record.is_current(&inputs) || !record.files.iter().all(whole) {
                journal.forget(&folder, &record)?;
                todo.extend(range(chunk));
                continue;
            }
            skipped.add(&record);
            ends.extend(record.blocks.iter().filter_map(|block| Some((block.number?, block.hash.clone()?))).max());
            names.extend(record.files.into_iter().map(|file| (file.name, chunk)));
        }
        let run = journal.runs()? + 1;
        let record = RunRecord { run, backend: String::new(), threads: 0, wall: None, lanes: None };
        let shared = Arc::<Shared>::default();
        let live = Arc::clone(&settings.live);
        let (sender, receiver) = sync_channel(QUEUE);
        let writer = Writer {
            settings,
            count,
            identity,
            journal: Arc::clone(&journal),
            shared: Arc::clone(&shared),
            names,
            open: None,
            wrote: Wrote::default(),
            run,
        };
        let writer = std::thread::Builder::new()
            .name("tables".to_owned())
            .spawn(move || writer.work(&receiver))
            .map_err(|error| InputError::at("", format!("cannot start the thread that writes: {error}")))?;
        Ok(Self {
            todo,
            skipped,
            ends,
            next: 0,
            start: Instant::now(),
            record,
            journal,
            shared,
            live,
            sender: Some(sender),
            writer: Some(writer),
        })
    }

    /// The blocks that are left, as indices, in order.
    #[must_use]
    pub fn todo(&self) -> &[usize] {
        &self.todo
    }

    /// What was found done.
    #[must_use]
    pub const fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    /// Number and hash of the highest block of each chunk that is done, as far as the journal knows them.
    #[must_use]
    pub fn ends(&self) -> &[(u64, String)] {
        &self.ends
    }

    /// A source that ends when writing fails, and that waits for the writer. `inner` has the blocks that are left.
    #[must_use]
    pub fn gate<'a>(&self, inner: &'a dyn Source, limits: Limits) -> Gate<'a> {
        Gate { inner, shared: Arc::clone(&self.shared), limits }
    }

    /// Whether writing failed: what comes now is not worth a word.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shared.failed()
    }

    /// Hands the next report over, in the order of [`Run::todo`].
    pub fn add(&mut self, report: &mut InputReport) {
        let Some(index) = self.todo.get(self.next).copied() else { return };
        self.next += 1;
        let rows = report.rows.take();
        let made = rows.as_ref().map_or_else(Instant::now, |rows| rows.made);
        let at = made.saturating_duration_since(self.start).as_secs_f64();
        let item = Item {
            index,
            rows,
            place: report.chain_id.zip(report.number),
            foreign: report.origin != "file",
            record: record(report, self.record.run, at),
        };
        // The writer takes all there is, also after a failure.
        if let Some(sender) = &self.sender {
            self.live.unwritten.add(1);
            if sender.send(item).is_err() {
                self.live.unwritten.take(1);
            }
        }
    }

    /// Waits for the writer.
    ///
    /// # Errors
    /// When something could not be written. What was done until then is kept.
    pub fn finish(mut self, backend: &str, threads: usize, lanes: Option<Lanes>) -> Result<Wrote, InputError> {
        self.sender = None;
        let wrote = self.writer.take().map(JoinHandle::join);
        if let Some(failure) = self.shared.lock().failure.take() {
            return Err(failure);
        }
        let Some(Ok(wrote)) = wrote else {
            return Err(InputError::at("", "internal error (please report it): the thread that writes panicked"));
        };
        if !self.todo.is_empty() {
            self.record.wall = Some(self.start.elapsed().as_secs_f64());
            backend.clone_into(&mut self.record.backend);
            self.record.threads = threads;
            self.record.lanes = lanes;
            self.journal.run(&self.record)?;
        }
        Ok(wrote)
    }
}

impl Skipped {
    fn add(&mut self, record: &ChunkRecord) {
        self.chunks += 1;
        self.blocks += record.blocks.len();
        for block in &record.blocks {
            self.mismatches += u64::from(block.result == Ended::Mismatch);
            self.failed += u64::from(block.result == Ended::Error);
            self.problems.extend(block.problem.clone());
        }
    }
}

/// A hash as records have it: half of it tells inputs apart.
fn show(hash: H256) -> String {
    hex::encode(&hash.0[..16])
}

fn record(report: &InputReport, run: u64, at: f64) -> BlockRecord {
    let differences = match &report.verdict {
        Verdict::Mismatch(list) => list
            .iter()
            .map(|mismatch| Difference {
                transaction_index: mismatch.transaction.map(|(index, _)| index),
                transaction_hash: mismatch.transaction.map(|(_, hash)| format!("{hash:?}")),
                field: mismatch.field.clone(),
                expected: mismatch.expected.clone(),
                got: mismatch.got.clone(),
            })
            .collect(),
        Verdict::Match | Verdict::Failed(_) => Vec::new(),
    };
    let times = &report.times;
    BlockRecord {
        input: String::new(),
        file: report.file.clone(),
        chain_id: report.chain_id,
        number: report.number,
        hash: report.hash.map(|hash| format!("{hash:?}")),
        fork: report.fork.map(|fork| fork.name().to_owned()),
        transactions: report.transactions,
        gas_used: report.gas_used,
        result: match report.verdict {
            Verdict::Match => Ended::Match,
            Verdict::Mismatch(_) => Ended::Mismatch,
            Verdict::Failed(_) => Ended::Error,
        },
        problem: report.problem(),
        differences,
        state: match report.kind {
            Kind::Block => report.state.name().to_owned(),
            Kind::Transaction => "single transaction, which has no rows".to_owned(),
        },
        origin: report.origin.to_owned(),
        state_root: report.checks.state_root == Some(true),
        seconds: [times.load, times.recover, times.execute, times.verify].map(|time| time.as_secs_f64()),
        run,
        at,
    }
}

/// A [`Source`] that ends when writing fails, and that waits for the writer.
pub struct Gate<'a> {
    inner: &'a dyn Source,
    shared: Arc<Shared>,
    limits: Limits,
}

impl Source for Gate<'_> {
    fn count(&self) -> usize {
        self.inner.count()
    }

    fn name(&self, index: usize) -> String {
        self.inner.name(index)
    }

    fn origin(&self) -> &'static str {
        self.inner.origin()
    }

    fn pack(&self, index: usize) -> Result<Vec<u8>, InputError> {
        let mut progress = self.shared.lock();
        while progress.failure.is_none()
            && self.limits.window.is_some_and(|window| index >= progress.written.saturating_add(window))
        {
            progress = self.shared.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        if progress.failure.is_some() {
            return Err(InputError::at("", "not executed: the run was stopped"));
        }
        drop(progress);
        self.inner.pack(index)
    }

    fn witness(&self, index: usize, chain_id: u64, number: u64) -> Result<Option<(String, WitnessFile)>, InputError> {
        self.inner.witness(index, chain_id, number)
    }
}

/// A block that was executed.
struct Item {
    index: usize,
    rows: Option<Box<BlockRows>>,
    place: Option<(u64, u64)>,
    /// Whether it came from elsewhere than a file, so that a failure may be the source's.
    foreign: bool,
    record: BlockRecord,
}

/// The files of one chain in a chunk.
struct Group {
    range: (u64, u64),
    files: Vec<(Table, TableFile)>,
}

/// A chunk that is being written.
#[derive(Default)]
struct Open {
    chunk: usize,
    groups: BTreeMap<u64, Group>,
    blocks: Vec<BlockRecord>,
    opcodes: BTreeMap<String, Gas>,
    contracts: HashMap<String, Gas>,
    profiled: bool,
}

struct Writer {
    settings: Settings,
    count: usize,
    identity: Identity,
    journal: Arc<Journal>,
    shared: Arc<Shared>,
    /// Names that are taken, and by which chunk.
    names: HashMap<String, usize>,
    open: Option<Open>,
    wrote: Wrote,
    run: u64,
}

impl Writer {
    fn work(mut self, receiver: &Receiver<Item>) -> Wrote {
        let started = RunRecord { run: self.run, backend: String::new(), threads: 0, wall: None, lanes: None };
        let mut begun = false;
        for item in receiver {
            if self.shared.failed() {
                self.settings.live.unwritten.take(1);
                continue;
            }
            let noted = if begun { Ok(()) } else { self.journal.run(&started) };
            begun = true;
            let start = Instant::now();
            let written = noted.and_then(|()| self.item(item));
            self.wrote.time += start.elapsed();
            self.settings.live.wrote(start.elapsed());
            if let Err(error) = written {
                // Temporary files go with it.
                self.open = None;
                self.shared.fail(error);
            }
            self.settings.live.unwritten.take(1);
            self.shared.wrote();
        }
        self.wrote
    }

    fn unwritable(&self, error: &std::io::Error) -> InputError {
        unwritable(&self.settings.folder, error)
    }

    fn item(&mut self, item: Item) -> Result<(), InputError> {
        let Item { index, rows, place, foreign, mut record } = item;
        // What a source does not give may come the next time; what it gives and cannot be executed is as good as a mismatch.
        if foreign && record.result == Ended::Error && place.is_none() {
            let problem = record.problem.unwrap_or_default();
            return Err(InputError::new(record.file, "", format!("{problem}: the same command goes on from here")));
        }
        let size = self.settings.chunk_size.max(1);
        let chunk = index / size;
        let mut open = self.open.take().unwrap_or_else(|| Open { chunk, ..Open::default() });
        record.input = show((self.identity)(index));
        if let (Some(rows), Some((chain_id, number))) = (rows, place) {
            self.rows(&mut open, *rows, chain_id, number).map_err(|error| self.unwritable(&error))?;
        }
        open.blocks.push(record);
        if index + 1 == ((chunk + 1) * size).min(self.count) {
            self.close(open)?;
        } else {
            self.open = Some(open);
        }
        Ok(())
    }

    fn rows(&self, open: &mut Open, rows: BlockRows, chain_id: u64, number: u64) -> std::io::Result<()> {
        let Settings { folder, tables, words, format, .. } = &self.settings;
        let group = match open.groups.entry(chain_id) {
            std::collections::btree_map::Entry::Occupied(there) => there.into_mut(),
            std::collections::btree_map::Entry::Vacant(vacant) => {
                let files: Result<_, std::io::Error> = tables
                    .tables()
                    .map(|table| Ok((table, TableFile::create(folder, table, *format, words)?)))
                    .collect();
                vacant.insert(Group { range: (number, number), files: files? })
            }
        };
        group.range = (group.range.0.min(number), group.range.1.max(number));
        for batch in rows.batches {
            if let Some((_, file)) = group.files.iter_mut().find(|(table, _)| *table == batch.table) {
                file.write(batch)?;
            }
        }
        if let Some(profile) = rows.profile {
            open.profiled = true;
            for (byte, counted) in profile.opcodes() {
                let gas = Gas { count: counted.count, gas: counted.gas };
                open.opcodes.entry(opcode_name(*byte, rows.fork)).or_default().add(gas);
            }
            for (address, counted) in profile.contracts() {
                let gas = Gas { count: counted.count, gas: counted.gas };
                open.contracts.entry(format!("{chain_id}:{address:?}")).or_default().add(gas);
            }
        }
        Ok(())
    }

    /// The name of a file, with a number where another chunk has the same.
    fn name(&mut self, chunk: usize, chain_id: u64, table: Table, range: (u64, u64)) -> String {
        let mut copy = 1;
        loop {
            let name = file_name(chain_id, table, range, copy, self.settings.format).display().to_string();
            if *self.names.entry(name.clone()).or_insert(chunk) == chunk {
                return name;
            }
            copy += 1;
        }
    }

    /// Gives the files of a chunk their names, and enters it into the journal.
    fn close(&mut self, open: Open) -> Result<(), InputError> {
        let folder = self.settings.folder.clone();
        let mut whole: Vec<(Whole, PathBuf)> = Vec::new();
        let mut files = Vec::new();
        for (chain_id, group) in open.groups {
            for (table, file) in group.files {
                let done = file.finish().map_err(|error| self.unwritable(&error))?;
                let name = self.name(open.chunk, chain_id, table, group.range);
                files.push(FileRecord { name: name.clone(), done: done.done.clone() });
                self.wrote.files += 1;
                self.wrote.rows += done.done.rows;
                self.wrote.bytes += done.done.bytes;
                whole.push((done, folder.join(name)));
            }
        }
        let gas = open.profiled.then(|| gas(open.opcodes, open.contracts));
        let record = ChunkRecord { chunk: open.chunk, files, blocks: open.blocks, gas };
        self.journal.pending(&record)?;
        for (file, path) in whole {
            file.rename(&path).map_err(|error| unwritable(&path, &error))?;
        }
        sync_folder(Path::new(&folder)).map_err(|error| self.unwritable(&error))?;
        self.journal.done(open.chunk)
    }
}

fn gas(opcodes: BTreeMap<String, Gas>, contracts: HashMap<String, Gas>) -> GasRecord {
    let mut all: Vec<(String, Gas)> = contracts.into_iter().collect();
    all.sort_by(|a, b| b.1.gas.cmp(&a.1.gas).then_with(|| a.0.cmp(&b.0)));
    let mut other_contracts = Gas::default();
    for (_, gas) in all.iter().skip(CONTRACTS) {
        other_contracts.add(*gas);
    }
    all.truncate(CONTRACTS);
    GasRecord { opcodes, contracts: all.into_iter().collect(), other_contracts }
}
