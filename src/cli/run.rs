//! `isolane run`.

use super::{CliError, Exit};
use crate::backend::Chosen;
use crate::engine::journal::{Folder, write_whole};
use crate::engine::{Engine, EngineError, EpochReport, Sink};
use crate::gpu::BackendArgs;
use crate::load::typed::InputError;
use crate::manifest::Plan;
use crate::report::run::{self as report, RunReport};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  isolane run examples/multi-chain/manifest.toml
  isolane run manifest.toml --epochs 10 --json
  isolane run manifest.toml --backend gpu     execute on a graphics device
  isolane run manifest.toml --out results/ --html results/report.html
  isolane run manifest.toml --out results/ --resume     go on after a kill, to the same digest

DIR gets outcomes/ (JSON Lines, one file an epoch), states/ (a genesis alloc for each environment), report.json, and
journal/, from which --resume goes on.";

/// Epochs after which a run ends in any case, unless it says how many it wants.
const MOST_EPOCHS: u64 = 10_000;

/// `isolane run`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The manifest (TOML).
    #[arg(value_name = "MANIFEST")]
    manifest: PathBuf,
    /// Run up to this many epochs, those of the journal included [default: what the manifest says, or until nothing
    /// waits any more].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    epochs: Option<u64>,
    #[command(flatten)]
    backend: BackendArgs,
    /// Print JSON Lines instead of tables.
    #[arg(long)]
    json: bool,
    /// Write outcomes, states, the report and the journal to this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the report as one HTML page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Go on with the run whose journal is in the folder of --out.
    #[arg(long, requires = "out")]
    resume: bool,
    /// Worker threads [default: one a processor].
    #[arg(long, value_name = "N", env = "ISOLANE_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// No progress; only problems and results.
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Say what happens in each epoch.
    #[arg(short, long)]
    verbose: bool,
}

fn stopped(error: EngineError) -> CliError {
    let exit = match &error {
        // The results are wrong, as far as they go.
        EngineError::Breach(_) | EngineError::Created { .. } | EngineError::Delivery { .. } => Exit::Mismatch,
        _ => Exit::Usage,
    };
    CliError { exit, message: error.to_string() }
}

fn unwritable(path: &Path, error: impl std::fmt::Display) -> CliError {
    CliError::usage(format!("{}: cannot write it: {error}", path.display()))
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, CliError> {
    let start = Instant::now();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(arguments.threads.map_or(0, usize::from))
        .build()
        .map_err(|error| CliError::usage(format!("cannot start the worker threads: {error}: use fewer --threads")))?;
    let plan = Plan::read(&arguments.manifest).map_err(|error| CliError::usage(error.to_string()))?;
    let epochs = arguments.epochs.or(plan.epochs);
    let mut engine = plan.engine().map_err(stopped)?;
    let chosen = Chosen::open(&arguments.backend).map_err(|error| CliError::device(error.to_string()))?;
    if let Some(backend) = chosen.backend() {
        engine.set_backend(Box::new(backend));
    }
    let mut resumed = 0;
    if let Some(out) = &arguments.out {
        let open = |name: &str| Folder::open(out.join(name)).map_err(|error| unwritable(&out.join(name), error));
        let journal = Box::new(open("journal")?);
        open("outcomes")?;
        if arguments.resume {
            resumed = engine.resume(journal).map_err(stopped)?;
        } else {
            engine.start_journal(journal).map_err(stopped)?;
        }
        engine.set_sink(Box::new(Outcomes { folder: out.join("outcomes") }));
    }
    let gas = pool.install(|| steps(arguments, &mut engine, epochs))?;
    let name = arguments.manifest.display().to_string();
    let mut summary = RunReport::new(&name, &engine).map_err(stopped)?;
    (summary.resumed, summary.gas) = (resumed, gas);
    (summary.wall, summary.threads) = (start.elapsed(), pool.current_num_threads());
    let exit = finish(arguments, &engine, &summary)?;
    if let Some(summary) = chosen.summary(false) {
        eprintln!("{summary}");
    }
    Ok(exit)
}

/// Runs epochs; returns the gas of all of them.
fn steps(arguments: &Arguments, engine: &mut Engine, epochs: Option<u64>) -> Result<u64, CliError> {
    let visible = !arguments.quiet && std::io::stderr().is_terminal();
    let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(epochs, target);
    if let Ok(style) = ProgressStyle::with_template("epoch {pos}, {elapsed}, {msg}") {
        bar.set_style(style);
    }
    let mut gas = 0;
    let done = |engine: &Engine| match epochs {
        Some(epochs) => engine.epoch() >= epochs,
        None => engine.is_idle() || engine.epoch() >= MOST_EPOCHS,
    };
    while !done(engine) {
        let report = engine.step().map_err(stopped)?;
        let executions = report.environments.iter().flat_map(|environment| &environment.executions);
        let outcomes = executions.filter_map(|execution| execution.result.as_ref().ok());
        gas += outcomes.map(|outcome| outcome.gas_used).sum::<u64>();
        if arguments.json {
            print(&report::epoch_line(&report))?;
        }
        if arguments.verbose {
            let transactions: usize = report.environments.iter().map(|e| e.executions.len()).sum();
            let (epoch, rounds, messages) = (report.epoch, report.rounds, report.exchange.entries.len());
            let line =
                format!("epoch {epoch}: {transactions} transactions, {rounds} rounds, {messages} message events");
            bar.suspend(|| eprintln!("{line}"));
        }
        bar.set_position(engine.epoch());
        bar.set_message(format!("{} gas", gas));
    }
    bar.finish_and_clear();
    if epochs.is_none() && !engine.is_idle() {
        eprintln!("stopped after {MOST_EPOCHS} epochs with work left: say how many you want (--epochs)");
    }
    Ok(gas)
}

fn print(text: &str) -> Result<(), CliError> {
    writeln!(std::io::stdout(), "{text}")
        .map_err(|error| CliError::usage(format!("cannot write to standard output: {error}")))
}

fn finish(arguments: &Arguments, engine: &Engine, summary: &RunReport) -> Result<Exit, CliError> {
    let line = report::summary_line(summary);
    if let Some(out) = &arguments.out {
        let path = out.join("report.json");
        write_whole(&path, format!("{line}\n").as_bytes()).map_err(|error| unwritable(&path, error))?;
        let states = out.join("states");
        std::fs::create_dir_all(&states).map_err(|error| unwritable(&states, error))?;
        for (index, name) in engine.names().enumerate() {
            let path = states.join(format!("{}.json", file_stem(name, index)));
            let export = engine.state(name).map_err(stopped)?.export();
            let export = export.map_err(|error| unwritable(&path, error))?;
            if !export.complete && !arguments.quiet {
                eprintln!("{}: not the whole state: only what was recorded or written", path.display());
            }
            write_whole(&path, report::state_file(&export).as_bytes()).map_err(|error| unwritable(&path, error))?;
        }
    }
    if let Some(path) = &arguments.html {
        write_whole(path, report::page(summary).as_bytes()).map_err(|error| unwritable(path, error))?;
    }
    print(&if arguments.json { line } else { report::render(summary) })?;
    // A state that could not answer is unreadable input; everything else that went wrong is data.
    let halted = summary.environments.iter().any(|environment| environment.halted.is_some());
    Ok(if halted { Exit::Usage } else { Exit::Match })
}

/// A file name for an environment, whatever its own name is.
fn file_stem(name: &str, index: usize) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.chars().all(plain) && !name.starts_with('.') { name.to_owned() } else { format!("environment-{index}") }
}

/// Writes the outcomes of each epoch to a file of its own.
struct Outcomes {
    folder: PathBuf,
}

impl Sink for Outcomes {
    fn epoch(&mut self, report: &EpochReport) -> Result<(), InputError> {
        let path = self.folder.join(format!("epoch-{:08}.jsonl", report.epoch));
        write_whole(&path, report::outcome_lines(report).as_bytes()).map_err(|error| {
            InputError::new(path.display().to_string(), "", format!("cannot write it: {error}: is the disk full?"))
        })
    }
}
