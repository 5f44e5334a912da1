//! `isolane test`.

use super::trace::TraceArgs;
use super::{CliError, Exit};
use crate::backend::Chosen;
use crate::conformance::summary::{Detail, Totals};
use crate::conformance::{self, Event, Options, Record, Selection, Verdict};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  isolane test fixtures/                          every fixture under the folder
  isolane test state-Osaka.tar.zst --fork Osaka   one pack, one fork
  isolane test fixtures/ --filter sstore -v       cases with sstore in their file or name
  isolane test fixtures/ --list                   what there is, without running it
  isolane test fixtures/ --json > results.jsonl   JSON Lines (schema isolane-test/1)
  isolane test FILE --filter sstore --trace -     every instruction (EIP-3155)

A PATH is a fixture (.json, .json.zst), a pack of fixtures (.tar, .tar.zst) or a folder of both. State, blockchain,
transaction, RLP, trie and basic tests of execution-specs and ethereum/tests are told apart by their content. A case
passes only if all that its fixture says was checked; what cannot be checked is counted apart.

Exit codes: 0 all passed, 1 a case failed, 2 usage or unreadable input, or nothing was checked.";

/// `isolane test`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TestArgs {
    /// Fixtures, packs of fixtures, or folders of both.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only this fork (any of its names), or this network of blockchain tests.
    #[arg(long, value_name = "FORK", value_parser = known_fork)]
    fork: Option<String>,
    /// Only cases whose FILE::CASE contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// List the cases, do not run them.
    #[arg(long)]
    list: bool,
    /// Print JSON Lines instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: crate::gpu::BackendArgs,
    /// Worker threads [default: one a processor].
    #[arg(long, value_name = "N", env = "ISOLANE_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// No table and no progress: only failures and totals.
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Every case, not only failures.
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    trace: TraceArgs,
}

fn known_fork(name: &str) -> Result<String, String> {
    crate::chain::ChainSpec::from_network(name).map(|_| name.to_owned()).map_err(|error| error.to_string())
}

/// Runs it.
pub fn run(arguments: &TestArgs) -> Result<Exit, CliError> {
    let tracing = arguments.trace.open(arguments.json, arguments.backend.backend)?;
    let backend = arguments.trace.backend(&arguments.backend);
    let chosen = Chosen::open(&backend).map_err(|error| CliError::device(error.to_string()))?;
    let options = Options {
        selection: Selection { fork: arguments.fork.clone(), filter: arguments.filter.clone() },
        threads: arguments.trace.threads(arguments.threads),
        list: arguments.list,
        backend: chosen.backend().map(conformance::SharedBackend),
        tracing: tracing.clone(),
    };
    let detail = match (arguments.quiet, arguments.verbose) {
        (true, _) => Detail::Failures,
        (_, true) => Detail::Everything,
        _ => Detail::Table,
    };
    let console = Mutex::new(Console {
        bar: progress(arguments.quiet),
        totals: Totals::new(detail, arguments.json),
        verbose: arguments.verbose && !arguments.json,
        failed: 0,
    });
    let walked = conformance::run(&arguments.paths, &options, &|event| {
        console.lock().unwrap_or_else(PoisonError::into_inner).event(event);
    });
    if let Some(summary) = chosen.summary(arguments.verbose) {
        eprintln!("{summary}");
    }
    let console = console.into_inner().unwrap_or_else(PoisonError::into_inner);
    console.bar.finish_and_clear();
    let walked = walked.map_err(|error| CliError::usage(format!("{error}: use fewer --threads")))?;
    let text = console.totals.render(walked);
    let traced = arguments.trace.close(tracing.as_deref());
    if arguments.trace.to_stdout() {
        eprint!("{text}");
    } else {
        std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| CliError::usage(format!("cannot write to standard output: {error}")))?;
    }
    if let Some(problem) = console.totals.nothing() {
        return Err(CliError::usage(problem));
    }
    traced?;
    Ok(match console.totals.exit_code() {
        0 => Exit::Match,
        1 => Exit::Mismatch,
        _ => Exit::Usage,
    })
}

fn progress(quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} cases, {per_sec}, {elapsed}, {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

struct Console {
    bar: ProgressBar,
    totals: Totals,
    verbose: bool,
    failed: u64,
}

impl Console {
    fn event(&mut self, event: Event) {
        if let Event::Case(record) = &event {
            self.bar.inc(1);
            if matches!(record.verdict, Verdict::Failed(_) | Verdict::Malformed(_)) {
                self.failed += 1;
                self.bar.set_message(format!("{} failed", self.failed));
            }
            if self.verbose {
                self.bar.suspend(|| eprintln!("{}", line(record)));
            }
        }
        self.totals.add(event);
    }
}

fn line(record: &Record) -> String {
    let verdict = match &record.verdict {
        Verdict::Passed => "passed",
        Verdict::Failed(_) => "FAILED",
        Verdict::Malformed(_) => "MALFORMED",
        Verdict::Unchecked(_) => "unchecked",
    };
    format!("{verdict} {:.1} ms {}", record.elapsed.as_secs_f64() * 1e3, record.id())
}
