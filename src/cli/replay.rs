//! `isolane replay`.

use super::metrics::{self, Metrics};
use super::progress::Progress;
use super::tables::{self, TableArgs};
use super::trace::TraceArgs;
use super::{CliError, Exit};
use crate::backend::Chosen;
use crate::chain::ChainSpec;
use crate::conformance::SharedBackend;
use crate::fetch::{FetchError, NodeArgs};
use crate::gpu::BackendArgs;
use crate::replay::{Inputs, Options, ParallelTransactions};
use crate::report::{InputReport, Summary};
use crate::source::{Cache, Fetched, Node, NodeOptions, NodeSource, Source};
use crate::tables::Run;
use crate::{replay, report};
use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  isolane replay testdata/blocks              every pack under the folder
  isolane replay 1-20852412.json.zst witness/ a pack, and a folder that may have its witness
  isolane replay blocks/ --json > out.jsonl   one JSON line a block (schema isolane-replay/1), and a summary
  isolane replay blocks/ --out receipts.jsonl --threads 4
  isolane replay blocks/ --tables receipts,logs,traces,state_diffs --format parquet --out results
                                              tables of what the blocks did; run it again to go on after a stop
  isolane replay --rpc http://127.0.0.1:8545 --blocks 17M:+100
                                              blocks of a node, fetched while others are executed, and kept in a cache
  isolane replay PACK --transaction 3 --trace -
                                              every instruction of a transaction (EIP-3155)

Packs are evm-block-replay/1 or evm-tx-replay/1 (JSON, usually .json.zst). A witness file beside them, named
<chain id>-<number>.witness.json.zst, is used for the block of that number: its state root is then verified.";

/// Whether the transactions of one block are executed in parallel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ParallelChoice {
    /// Where it promises to pay, if there are fewer packs than threads.
    #[default]
    Auto,
    /// In every block.
    On,
    /// Never.
    Off,
}

/// `isolane replay`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Packs, or folders with packs and witnesses.
    #[arg(required_unless_present = "blocks", conflicts_with = "blocks", value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
    /// Folder in which fetched blocks are kept, so that each is fetched once [default: ~/.cache/isolane].
    #[arg(long, value_name = "DIR", env = "ISOLANE_CACHE", requires = "blocks")]
    cache: Option<PathBuf>,
    /// Keep nothing of what is fetched.
    #[arg(long, requires = "blocks", conflicts_with = "cache")]
    no_cache: bool,
    /// Print JSON Lines instead of a table.
    #[arg(long)]
    json: bool,
    /// Write the receipts of all blocks to this file, as JSON Lines; with --tables or --format the tables to this folder.
    #[arg(long, value_name = "FILE|DIR")]
    out: Option<PathBuf>,
    /// Worker threads [default: one a processor].
    #[arg(long, value_name = "N", env = "ISOLANE_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Begin no further block while the process takes about that much memory, such as 512M; one is always at work.
    #[arg(long, value_name = "SIZE", env = "ISOLANE_MEMORY_LIMIT")]
    memory_limit: Option<ByteSize>,
    /// Go on after a block that does not match. Without this the replay ends with the first one; the exit code is 1 either way.
    #[arg(long)]
    skip_invalid_blocks: bool,
    /// Serve counts of the run as Prometheus text at http://ADDRESS/metrics; a port alone is one of 127.0.0.1.
    #[arg(long, value_name = "ADDRESS", value_parser = metrics::address)]
    metrics: Option<SocketAddr>,
    /// Seconds between lines of progress where standard error is no terminal; 0 for none.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    progress_interval: u64,
    /// No progress; only problems and results.
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Say what happens with each file.
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    backend: BackendArgs,
    /// Whether to execute the transactions of one block in parallel; the results are the same.
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    parallel_transactions: ParallelChoice,
    /// The schedule of a chain that is not built in (JSON: a genesis file or its `config` object).
    #[arg(long, value_name = "FILE")]
    chain_config: Option<PathBuf>,
    #[command(flatten)]
    tables: TableArgs,
    #[command(flatten)]
    trace: TraceArgs,
}

impl Arguments {
    /// Where tables go, and the schedule of the chain.
    fn files(&self) -> tables::Files<'_> {
        tables::Files { out: self.out.as_deref(), chain_config: self.chain_config.as_deref() }
    }
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, CliError> {
    let chain = arguments.chain_config.as_deref().map(read_chain).transpose()?;
    let tracing = arguments.trace.open(arguments.json, arguments.backend.backend)?;
    let backend = arguments.tables.backend(arguments.trace.backend(&arguments.backend))?;
    let chosen = Chosen::open(&backend).map_err(|error| CliError::device(error.to_string()))?;
    let options = Options {
        threads: arguments.trace.threads(arguments.threads),
        keep_receipts: arguments.out.is_some() && !arguments.tables.are_wanted(),
        chain,
        backend: chosen.backend().map(SharedBackend),
        parallel_transactions: match arguments.parallel_transactions {
            ParallelChoice::Auto => ParallelTransactions::Auto,
            ParallelChoice::On => ParallelTransactions::On,
            ParallelChoice::Off => ParallelTransactions::Off,
        },
        tracing: tracing.clone(),
        tables: arguments.tables.selection(),
        memory_limit: arguments.memory_limit.map(|size| size.as_u64()),
        stop_at_mismatch: !arguments.skip_invalid_blocks,
        live: Arc::default(),
    };
    let serving =
        arguments.metrics.map(|at| Metrics::start(at, arguments.quiet, &options.live, &chosen)).transpose()?;
    let mut writing = None;
    let summary = if arguments.node.blocks.is_empty() {
        let mut inputs = replay::find(&arguments.paths)?;
        if arguments.verbose {
            found(&inputs);
        }
        writing = arguments.tables.open_packs(arguments.files(), &options.live, &mut inputs)?;
        execute(arguments, &inputs, &options, &chosen, writing.as_mut())
    } else {
        from_node(arguments, &options, &chosen, &mut writing)
    };
    drop(serving);
    let traced = arguments.trace.close(tracing.as_deref());
    let skipped = writing.as_ref().map(|run| run.skipped().clone()).unwrap_or_default();
    let threads = summary.as_ref().map_or(0, |summary| summary.threads);
    let name = summary.as_ref().map_or("", |summary| summary.backend);
    let wrote = writing.map(|run| run.finish(name, threads, chosen.device().map(tables::lanes)));
    let mut summary = summary?;
    if let Some(wrote) = wrote.transpose()?
        && !arguments.quiet
    {
        tables::say_written(wrote, arguments.out.as_deref());
    }
    summary.total.mismatches += skipped.mismatches;
    summary.total.failed += skipped.failed;
    if let Some(summary) = chosen.summary(arguments.verbose) {
        eprintln!("{summary}");
    }
    traced?;
    Ok(match summary.exit_code() {
        0 => Exit::Match,
        1 => Exit::Mismatch,
        _ => Exit::Usage,
    })
}

/// Executes all blocks of a source and prints what became of them.
fn execute(
    arguments: &Arguments,
    source: &dyn Source,
    options: &Options,
    chosen: &Chosen,
    mut writing: Option<&mut Run>,
) -> Result<Summary, CliError> {
    let out = arguments.out.as_deref().filter(|_| writing.is_none()).map(Output::create).transpose()?;
    let every = Duration::from_secs(arguments.progress_interval);
    let progress = Progress::start(arguments.quiet, every, &options.live, chosen);
    let mut printer = Printer::new(arguments, progress, out);
    let gate = writing.as_ref().map(|run| {
        tables::say_skipped(run, arguments.quiet);
        run.gate(source, tables::limits(options.threads, options.backend.is_some()))
    });
    let source = gate.as_ref().map_or(source, |gate| gate as &dyn Source);
    let summary = replay::replay(source, options, |mut report| {
        if !writing.as_ref().is_some_and(|run| run.is_stopped()) {
            printer.report(&report);
        }
        if let Some(run) = &mut writing {
            run.add(&mut report);
        }
    });
    let summary = summary
        .map_err(|error| CliError::usage(format!("cannot start the worker threads: {error}: use fewer --threads")))?;
    // Where writing failed the error says all there is to say, and where nothing was left to do there is nothing.
    let nothing = writing.is_some() && source.count() == 0 && !arguments.json;
    if !nothing && !writing.is_some_and(|run| run.is_stopped()) {
        printer.finish(&summary)?;
    }
    Ok(summary)
}

/// Blocks of a node, fetched while others are executed.
fn from_node(
    arguments: &Arguments,
    options: &Options,
    chosen: &Chosen,
    writing: &mut Option<Run>,
) -> Result<Summary, CliError> {
    let given = options.chain.clone();
    let schedule = move |chain_id: u64, number, timestamp| {
        let chain = given.clone().filter(|chain| chain.chain_id == chain_id).or_else(|| ChainSpec::by_id(chain_id));
        chain.map(|chain| chain.fork_at(number, timestamp, None))
    };
    let failed = |error: FetchError| CliError { exit: super::fetch::exit(&error), message: error.to_string() };
    let mut node = Node::open(&arguments.node, &schedule, options.chain.clone()).map_err(failed)?;
    *writing = arguments.tables.open_node(arguments.files(), &options.live, &mut node)?;
    let cache = match (&arguments.cache, arguments.no_cache) {
        (_, true) => None,
        (Some(folder), _) => Some(Cache::new(folder)),
        (None, _) => Cache::default_folder().map(Cache::new),
    };
    let concurrency = usize::from(arguments.node.concurrency);
    let fetching = NodeOptions { cache, concurrency, live: Arc::clone(&options.live), ..NodeOptions::default() }
        .within(options.memory_limit);
    if !arguments.quiet {
        let (count, method, host) = (node.numbers().len(), node.method().method(), node.host());
        eprintln!("{count} blocks of {host}; the state before each from {method}");
    }
    let (summary, fetched) =
        NodeSource::run(&node, &fetching, |source| execute(arguments, source, options, chosen, writing.as_mut()));
    if !arguments.quiet {
        let Fetched { hits, fetched, notes, .. } = &fetched;
        for note in notes {
            eprintln!("note: {note}");
        }
        eprintln!("{fetched} blocks fetched, {hits} out of the cache");
    }
    match fetched.failure {
        Some(error) => Err(failed(error)),
        None => summary,
    }
}

/// What was found in files.
fn found(inputs: &Inputs) {
    let (packs, witnesses) = (inputs.packs.len(), inputs.witnesses.len());
    eprintln!("found {packs} packs and {witnesses} witnesses; {} other files", inputs.ignored.len());
    for file in &inputs.ignored {
        eprintln!("not a pack by its name: {}", file.display());
    }
}

pub(super) fn read_chain(path: &Path) -> Result<crate::chain::ChainSpec, CliError> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| CliError::usage(format!("{name}: cannot read it: {error}: check --chain-config")))?;
    crate::chain::ChainSpec::from_config_json(&text).map_err(|error| CliError::usage(format!("{name}: {error}")))
}

/// A file that appears whole or not at all.
struct Output {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl Output {
    fn create(path: &Path) -> Result<Self, CliError> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let file =
            tempfile::Builder::new().prefix(".isolane-").suffix(".tmp").tempfile_in(folder).map_err(|error| {
                CliError::usage(format!("{}: cannot write it: {error}: check --out", path.display()))
            })?;
        Ok(Self { file, path: path.to_owned() })
    }

    fn keep(self) -> std::io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.path).map(|_| ()).map_err(|error| error.error)
    }
}

/// Results go to standard output, progress and problems to standard error.
struct Printer {
    json: bool,
    /// Whether the trace has standard output, and the report goes to standard error.
    aside: bool,
    verbose: bool,
    progress: Progress,
    out: Option<Output>,
    /// The first failure of writing: reported once, at the end.
    failure: Option<String>,
}

impl Printer {
    fn new(arguments: &Arguments, progress: Progress, out: Option<Output>) -> Self {
        Self {
            json: arguments.json,
            aside: arguments.trace.to_stdout(),
            verbose: arguments.verbose,
            progress,
            out,
            failure: None,
        }
    }

    fn report(&mut self, input: &InputReport) {
        let lines = match input.problem() {
            Some(problem) => Some(problem),
            None if self.verbose => Some(format!(
                "match: {}: {} transactions, {} gas, {:.0} Mgas/s, state from {}{}",
                input.file,
                input.transactions,
                input.gas_used,
                report::mgas_per_second(input.gas_used, input.times.execute),
                input.state.name(),
                input.notes.iter().map(|note| format!("; {note}")).collect::<String>()
            )),
            None => None,
        };
        if let Some(line) = lines {
            self.progress.print(&line);
        }
        if self.json {
            self.print(&report::block_line(input));
        }
        if let Some(out) = &mut self.out {
            let written = report::receipts_lines(input)
                .map_err(std::io::Error::other)
                .and_then(|lines| out.file.write_all(lines.as_bytes()));
            if let Err(error) = written {
                let path = out.path.display();
                self.failure.get_or_insert_with(|| format!("{path}: cannot write it: {error}: is the disk full?"));
            }
        }
    }

    fn print(&mut self, line: &str) {
        if self.aside {
            eprintln!("{line}");
        } else if let Err(error) = writeln!(std::io::stdout(), "{line}") {
            self.failure.get_or_insert_with(|| format!("cannot write to standard output: {error}"));
        }
    }

    fn finish(mut self, summary: &Summary) -> Result<(), CliError> {
        self.progress.finish();
        let text = if self.json { report::summary_line(summary) } else { report::render(summary) };
        self.print(&text);
        if let Some(out) = self.out.take()
            && self.failure.is_none()
        {
            let path = out.path.display().to_string();
            if let Err(error) = out.keep() {
                self.failure = Some(format!("{path}: cannot write it: {error}"));
            }
        }
        self.failure.map_or(Ok(()), |failure| Err(CliError::usage(failure)))
    }
}
