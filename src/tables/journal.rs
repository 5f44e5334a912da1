//! What of a folder of tables is done: one record a chunk, beside the tables under `journal/`.
//!
//! A record appears after all files of its chunk. Before they get their names, the same record lies there as pending, so
//! that a run that is killed in between leaves nothing that the next one does not know.

use super::write::Done;
use crate::engine::journal::write_whole;
use crate::load::typed::InputError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What decides the bytes of the tables besides the blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// [`super::SCHEMA`].
    pub schema: String,
    /// Version of isolane.
    pub version: String,
    /// Names of the tables.
    pub tables: Vec<String>,
    /// Name of the format.
    pub format: String,
    /// Types of 256-bit numbers.
    pub u256_types: Vec<String>,
    /// Blocks a chunk.
    pub chunk_size: u64,
    /// Hash of the chain's schedule, where one was given.
    pub chain_config: Option<String>,
}

/// A file of a chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its name.
    pub name: String,
    /// What is in it.
    #[serde(flatten)]
    pub done: Done,
}

/// A value that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The transaction, for what belongs to one.
    pub transaction_index: Option<usize>,
    /// Its hash.
    pub transaction_hash: Option<String>,
    /// Which value.
    pub field: String,
    /// What the source says.
    pub expected: String,
    /// What the execution gave.
    pub got: String,
}

/// How a block ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// All that could be verified matches: its rows are in the tables.
    Match,
    /// Something differs: it has no rows.
    Mismatch,
    /// It could not be executed: it has no rows.
    Error,
}

/// A block of a chunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockRecord {
    /// Hash of what it was executed from.
    pub input: String,
    /// How its source names it.
    pub file: String,
    /// EIP-155 id of the chain, if that much could be read.
    pub chain_id: Option<u64>,
    /// Number, if known.
    pub number: Option<u64>,
    /// Its hash, if known.
    #[serde(default)]
    pub hash: Option<String>,
    /// The fork.
    pub fork: Option<String>,
    /// Executed transactions.
    pub transactions: usize,
    /// Gas used.
    pub gas_used: u64,
    /// How it ended.
    pub result: Ended,
    /// The line that says what is wrong.
    pub problem: Option<String>,
    /// What differs.
    pub differences: Vec<Difference>,
    /// Where the state came from.
    pub state: String,
    /// Where the data came from.
    pub origin: String,
    /// Whether the state root was verified.
    pub state_root: bool,
    /// Seconds of loading, recovering senders, executing, verifying.
    pub seconds: [f64; 4],
    /// The run that executed it, from 1.
    pub run: u64,
    /// When it was done, in seconds since that run began.
    pub at: f64,
}

/// Gas and counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gas {
    /// How often.
    pub count: u64,
    /// Gas.
    pub gas: u64,
}

impl Gas {
    /// Adds another.
    pub const fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.gas = self.gas.saturating_add(other.gas);
    }
}

/// Where the gas of a chunk went, where a table of it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GasRecord {
    /// By the name of the opcode.
    pub opcodes: BTreeMap<String, Gas>,
    /// By chain and contract, the largest.
    pub contracts: BTreeMap<String, Gas>,
    /// All other contracts.
    pub other_contracts: Gas,
}

/// A chunk that is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChunkRecord {
    /// Its number, from 0.
    pub chunk: usize,
    /// Its files.
    pub files: Vec<FileRecord>,
    /// Its blocks, in order.
    pub blocks: Vec<BlockRecord>,
    /// Where its gas went.
    pub gas: Option<GasRecord>,
}

impl ChunkRecord {
    /// Whether it is a record of these inputs. Inputs of blocks that had no rows may have changed, and more may have come
    /// behind the last one.
    #[must_use]
    pub fn is_of(&self, inputs: &[String]) -> bool {
        let same = |(block, input): (&BlockRecord, &String)| block.input == *input || block.result != Ended::Match;
        self.blocks.len() <= inputs.len() && self.blocks.iter().zip(inputs).all(same)
    }

    /// Whether nothing has changed since.
    #[must_use]
    pub fn is_current(&self, inputs: &[String]) -> bool {
        self.blocks.len() == inputs.len() && self.blocks.iter().zip(inputs).all(|(block, input)| block.input == *input)
    }
}

/// Where the transactions of a run were executed, if not on the CPU alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lanes {
    /// The device.
    pub adapter: String,
    /// Transactions on its lanes.
    pub device: u64,
    /// Transactions without code, which the host did.
    pub host: u64,
    /// Transactions that the CPU executed.
    pub fallback: u64,
    /// Why, and how many.
    pub reasons: BTreeMap<String, u64>,
}

/// A run that worked on the folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// Its number, from 1.
    pub run: u64,
    /// What executed transactions.
    pub backend: String,
    /// Threads.
    pub threads: usize,
    /// Seconds from start to end; `None` if it was stopped.
    pub wall: Option<f64>,
    /// Where transactions ran, with a device.
    pub lanes: Option<Lanes>,
}

/// The journal of a folder, locked while it is open.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    /// Held for its lock alone.
    _lock: File,
}

const HEADER: &str = "tables.json";

fn unreadable(path: &Path, error: &std::io::Error) -> InputError {
    InputError::new(path.display().to_string(), "", format!("cannot read it: {error}"))
}

/// An error of writing, with what to do about it.
#[must_use]
pub fn unwritable(path: &Path, error: &std::io::Error) -> InputError {
    let problem =
        format!("cannot write it: {error}: make room or choose another --out; the same command goes on from here");
    InputError::new(path.display().to_string(), "", problem)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, InputError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, &error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        let problem = format!("expected a record of isolane's tables, got {error}: remove it, its chunk is done again");
        InputError::new(path.display().to_string(), "", problem)
    })
}

fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), InputError> {
    let failed = |error: std::io::Error| unwritable(path, &error);
    let mut text = serde_json::to_vec(value).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    write_whole(path, &text).map_err(failed)
}

/// Flushes a folder's names to the disk, where that can be done.
///
/// # Errors
/// When it fails.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The records of one kind in a journal, by number.
fn numbered(folder: &Path, prefix: &str, suffix: &str) -> Result<BTreeMap<usize, PathBuf>, InputError> {
    let mut found = BTreeMap::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(unreadable(folder, &error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(folder, &error))?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(prefix)?.strip_suffix(suffix));
        if let Some(number) = number.and_then(|digits| digits.parse().ok()) {
            found.insert(number, entry.path());
        }
    }
    Ok(found)
}

impl Journal {
    /// Opens the journal of a folder, which is made if there is none, and cleans up after a run that was killed.
    ///
    /// # Errors
    /// When it cannot be read or written, another run is at it, or the folder holds tables of other options.
    pub fn open(tables: &Path, header: &Header) -> Result<Self, InputError> {
        let folder = tables.join("journal");
        fs::create_dir_all(&folder).map_err(|error| unwritable(&folder, &error))?;
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(|error| unwritable(&path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let problem = "another run writes to this folder: wait for it, or use another --out";
                return Err(InputError::new(tables.display().to_string(), "", problem));
            }
            Err(TryLockError::Error(error)) => return Err(unwritable(&path, &error)),
        }
        let path = folder.join(HEADER);
        match read::<Header>(&path)? {
            None => write(&path, header)?,
            Some(there) if there == *header => {}
            Some(there) => {
                let show = |header: &Header| serde_json::to_string(header).unwrap_or_default();
                let problem = format!(
                    "the folder holds tables of other options: expected {}, got {}: use the same options, or another --out",
                    show(&there),
                    show(header)
                );
                return Err(InputError::new(path.display().to_string(), "", problem));
            }
        }
        let journal = Self { folder, _lock: lock };
        journal.clean(tables)?;
        Ok(journal)
    }

    fn clean(&self, tables: &Path) -> Result<(), InputError> {
        for folder in [tables, &self.folder] {
            super::write::remove_temporaries(folder).map_err(|error| unwritable(folder, &error))?;
        }
        let done = numbered(&self.folder, "chunk-", ".json")?;
        for (number, path) in numbered(&self.folder, "pending-", ".json")? {
            // Records are renamed into place, so a chunk is either pending or done.
            if !done.contains_key(&number)
                && let Some(record) = read::<ChunkRecord>(&path)?
            {
                remove_files(tables, &record)?;
            }
            remove(&path)?;
        }
        Ok(())
    }

    fn place(&self, kind: &str, number: usize) -> PathBuf {
        self.folder.join(format!("{kind}-{number:08}.json"))
    }

    /// The record of a chunk, if it is done.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn chunk(&self, number: usize) -> Result<Option<ChunkRecord>, InputError> {
        read(&self.place("chunk", number))
    }

    /// The chunks that are done.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn chunks(&self) -> Result<BTreeSet<usize>, InputError> {
        Ok(numbered(&self.folder, "chunk-", ".json")?.into_keys().collect())
    }

    /// Forgets a chunk, and removes its files.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn forget(&self, tables: &Path, record: &ChunkRecord) -> Result<(), InputError> {
        let pending = self.place("pending", record.chunk);
        let done = self.place("chunk", record.chunk);
        // Pending from now on: a kill in the middle leaves files that the next run removes.
        fs::rename(&done, &pending).map_err(|error| unwritable(&done, &error))?;
        remove_files(tables, record)?;
        remove(&pending)
    }

    /// Says which files are about to get their names.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn pending(&self, record: &ChunkRecord) -> Result<(), InputError> {
        write(&self.place("pending", record.chunk), record)?;
        self.sync()
    }

    /// Says that all files of a pending chunk are there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn done(&self, chunk: usize) -> Result<(), InputError> {
        let path = self.place("chunk", chunk);
        fs::rename(self.place("pending", chunk), &path).map_err(|error| unwritable(&path, &error))?;
        self.sync()
    }

    fn sync(&self) -> Result<(), InputError> {
        sync_folder(&self.folder).map_err(|error| unwritable(&self.folder, &error))
    }

    /// Notes a run, as it is now.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn run(&self, record: &RunRecord) -> Result<(), InputError> {
        write(&self.place("run", usize::try_from(record.run).unwrap_or(usize::MAX)), record)
    }

    /// How many runs there were.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn runs(&self) -> Result<u64, InputError> {
        let last = numbered(&self.folder, "run-", ".json")?.into_keys().next_back();
        Ok(last.map_or(0, |last| last as u64))
    }
}

fn remove(path: &Path) -> Result<(), InputError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unwritable(path, &error)),
        _ => Ok(()),
    }
}

fn remove_files(tables: &Path, record: &ChunkRecord) -> Result<(), InputError> {
    for file in &record.files {
        // A name, not a path: a record cannot reach outside the folder.
        if let Some(name) = Path::new(&file.name).file_name() {
            remove(&tables.join(name))?;
        }
    }
    Ok(())
}

/// All that the journal of a folder tells, for a report.
#[derive(Clone, Debug)]
pub struct Results {
    /// What the tables are.
    pub header: Header,
    /// The chunks, in order.
    pub chunks: Vec<ChunkRecord>,
    /// The runs, in order.
    pub runs: Vec<RunRecord>,
}

/// Reads the journal of a folder.
///
/// # Errors
/// When there is none, or a record cannot be read.
pub fn results(tables: &Path) -> Result<Results, InputError> {
    let folder = tables.join("journal");
    let Some(header) = read(&folder.join(HEADER))? else {
        let problem = "expected a folder that `isolane replay --tables` wrote, got one without journal/tables.json";
        return Err(InputError::new(tables.display().to_string(), "", problem));
    };
    let chunks = numbered(&folder, "chunk-", ".json")?.into_values().map(|path| read(&path));
    let runs = numbered(&folder, "run-", ".json")?.into_values().map(|path| read(&path));
    Ok(Results {
        header,
        chunks: chunks.filter_map(Result::transpose).collect::<Result<_, _>>()?,
        runs: runs.filter_map(Result::transpose).collect::<Result<_, _>>()?,
    })
}
