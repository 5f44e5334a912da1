//! The flags of `isolane replay` that write tables.

use super::CliError;
use crate::convert::keccak;
use crate::gpu::{BackendArgs, BackendKind};
use crate::replay::Inputs;
use crate::replay::live::Live;
use crate::source::Node;
use crate::tables::journal::Lanes;
use crate::tables::{Format, Identity, Limits, Run, Selection, Settings, Table, U256Type, Wrote};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use isolane_gpu::Gpu;
use isolane_spec::H256;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Where tables go unless the user says otherwise.
const FOLDER: &str = "results";
/// What is written where only a format is named.
const DEFAULT: [Table; 4] = [Table::Blocks, Table::Transactions, Table::Receipts, Table::Logs];
/// What `state_diffs` stands for.
const STATE_DIFFS: [Table; 4] = [Table::BalanceDiffs, Table::NonceDiffs, Table::CodeDiffs, Table::StorageDiffs];

/// What `--tables` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    One(Table),
    StateDiffs,
    All,
}

impl ValueEnum for Choice {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: OnceLock<Vec<Choice>> = OnceLock::new();
        ALL.get_or_init(|| {
            Table::ALL.iter().copied().map(Choice::One).chain([Choice::StateDiffs, Choice::All]).collect()
        })
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::One(table) => PossibleValue::new(table.name()),
            Self::StateDiffs => PossibleValue::new("state_diffs").help("balance, nonce, code and storage diffs"),
            Self::All => PossibleValue::new("all"),
        })
    }
}

impl Choice {
    fn tables(self) -> Vec<Table> {
        match self {
            Self::One(table) => vec![table],
            Self::StateDiffs => STATE_DIFFS.to_vec(),
            Self::All => Table::ALL.to_vec(),
        }
    }
}

/// The flags.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tables")]
pub struct TableArgs {
    /// Write these tables into the folder that --out names [default: results]; what is there already is not done again.
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',', hide_possible_values = true, conflicts_with = "trace",
        long_help = long_help())]
    tables: Vec<Choice>,
    /// How tables are written [default: parquet]; without --tables: blocks, transactions, receipts and logs.
    #[arg(long, value_enum, conflicts_with = "trace")]
    format: Option<Format>,
    /// Blocks a file.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    chunk_size: u32,
    /// How 256-bit numbers are written, each in a column of its own.
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',', default_values_t = U256Type::ALL)]
    u256_types: Vec<U256Type>,
}

fn long_help() -> String {
    let names: Vec<&str> = Table::ALL.iter().map(|table| table.name()).collect();
    format!(
        "Write these tables into the folder that --out names [default: results]; what is there already is not done \
         again: {}; state_diffs is the four diffs, all is all",
        names.join(", ")
    )
}

impl TableArgs {
    /// Whether tables are wanted: `--out` is then a folder.
    pub fn are_wanted(&self) -> bool {
        !self.tables.is_empty() || self.format.is_some()
    }

    /// The tables that are wanted.
    pub fn selection(&self) -> Selection {
        match (self.are_wanted(), self.tables.is_empty()) {
            (false, _) => Selection::default(),
            (true, true) => Selection::of(DEFAULT),
            (true, false) => Selection::of(self.tables.iter().flat_map(|choice| choice.tables())),
        }
    }

    /// The backend of a run: where calls or gas are watched, the reference, which is what can be watched.
    pub fn backend(&self, chosen: BackendArgs) -> Result<BackendArgs, CliError> {
        let selection = self.selection();
        if !selection.needs_calls() && !selection.needs_profile() {
            return Ok(chosen);
        }
        if let BackendKind::Gpu | BackendKind::Lockstep = chosen.backend {
            let problem = "traces, native_transfers, contracts and gas_by_... watch the reference, which --backend gpu \
                           and --backend lockstep do not use: leave them out of --tables, or use --backend cpu";
            return Err(CliError::usage(problem));
        }
        Ok(BackendArgs { backend: BackendKind::Cpu, ..chosen })
    }

    /// Opens the folder, if tables are wanted.
    fn open(
        &self,
        files: Files<'_>,
        live: &Arc<Live>,
        count: usize,
        identity: Identity,
    ) -> Result<Option<Run>, CliError> {
        if !self.are_wanted() {
            return Ok(None);
        }
        let mut words = self.u256_types.clone();
        words.sort_unstable();
        words.dedup();
        let chain_config = files.chain_config.map(std::fs::read).transpose();
        let chain_config = chain_config.map_err(|error| CliError::usage(format!("--chain-config: {error}")))?;
        let settings = Settings {
            folder: files.out.unwrap_or(Path::new(FOLDER)).to_owned(),
            tables: self.selection(),
            words,
            format: self.format.unwrap_or_default(),
            chunk_size: usize::try_from(self.chunk_size).unwrap_or(usize::MAX),
            chain_config: chain_config.map(keccak),
            live: Arc::clone(live),
        };
        Ok(Some(Run::open(settings, count, identity)?))
    }

    /// Opens the folder for packs, and leaves those that are not done.
    pub fn open_packs(&self, given: Files<'_>, live: &Arc<Live>, inputs: &mut Inputs) -> Result<Option<Run>, CliError> {
        let files: Vec<(PathBuf, Option<PathBuf>)> =
            inputs.packs.iter().map(|pack| (pack.clone(), inputs.witness_of(pack).map(Path::to_owned))).collect();
        let count = files.len();
        let identity = move |index: usize| {
            let Some((pack, witness)) = files.get(index) else { return H256::zero() };
            let witness = witness.as_deref().map_or_else(H256::zero, file_hash);
            keccak([file_hash(pack).0, witness.0].concat())
        };
        let run = self.open(given, live, count, Arc::new(identity))?;
        if let Some(run) = &run {
            let packs = std::mem::take(&mut inputs.packs);
            inputs.packs = run.todo().iter().filter_map(|index| packs.get(*index).cloned()).collect();
        }
        Ok(run)
    }

    /// Opens the folder for blocks of a node, and leaves those that are not done.
    pub fn open_node(&self, given: Files<'_>, live: &Arc<Live>, node: &mut Node<'_>) -> Result<Option<Run>, CliError> {
        let (chain, numbers) = (node.chain().to_owned(), node.numbers().to_vec());
        let count = numbers.len();
        let identity = move |index: usize| {
            let number = numbers.get(index).copied().unwrap_or_default();
            keccak(format!("{chain} {number}"))
        };
        let run = self.open(given, live, count, Arc::new(identity))?;
        if let Some(run) = &run {
            let folder = given.out.unwrap_or(Path::new(FOLDER));
            node.still_has(run.ends(), folder)
                .map_err(|error| CliError { exit: super::fetch::exit(&error), message: error.to_string() })?;
            node.keep(run.todo());
        }
        Ok(run)
    }
}

/// Files that tables depend on.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// The folder of the tables.
    pub out: Option<&'a Path>,
    /// The schedule of the chain.
    pub chain_config: Option<&'a Path>,
}

fn file_hash(path: &Path) -> H256 {
    match std::fs::read(path) {
        Ok(bytes) => keccak(bytes),
        Err(error) => keccak(format!("cannot be read: {error}")),
    }
}

/// How many blocks may wait for the writer: with a device any number, because it gathers transactions of many blocks.
pub fn limits(threads: usize, device: bool) -> Limits {
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    Limits { window: (!device).then_some(4 * threads + 16) }
}

/// Says what was done before.
pub fn say_skipped(run: &Run, quiet: bool) {
    let skipped = run.skipped();
    for problem in &skipped.problems {
        eprintln!("{problem}");
    }
    if skipped.blocks > 0 && !quiet {
        eprintln!(
            "{} blocks in {} chunks are done already; {} to do",
            skipped.blocks,
            skipped.chunks,
            run.todo().len()
        );
    }
}

/// Says what was written.
pub fn say_written(wrote: Wrote, out: Option<&Path>) {
    let folder = out.unwrap_or(Path::new(FOLDER)).display();
    let Wrote { files, rows, bytes, time } = wrote;
    eprintln!("{rows} rows, {bytes} bytes in {files} files under {folder}; write {:.2} s", time.as_secs_f64());
}

/// Where a device's transactions ran.
pub fn lanes(gpu: &Gpu) -> Lanes {
    let statistics = gpu.statistics();
    Lanes {
        adapter: gpu.adapter().info().name.clone(),
        device: statistics.device,
        host: statistics.host,
        fallback: statistics.fallback,
        reasons: statistics.reasons.iter().map(|(reason, count)| (reason.to_string(), *count)).collect(),
    }
}
