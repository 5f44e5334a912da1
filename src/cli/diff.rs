//! `isolane diff`.

use super::{CliError, Exit};
use crate::diff::backends::{self, Candidate};
use crate::diff::campaign::{self, Plan, Progress};
use crate::diff::report;
use crate::spec::Fork;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  isolane diff                                   everything, on all backends found here: a few minutes at most
  isolane diff --fuzz 1000000 --seed 7           a million generated programs
  isolane diff --fuzz 100000 --forks Prague,Osaka --backends cpu,revm --save found/
  isolane diff --fixtures state.tar.zst --blocks blocks/ --mutate 100000

Without --sweep, --fuzz, --fixtures, --blocks and --mutate all of them run, with the bundled state tests, blocks and
workloads. Each difference is shrunk to a state test in the standard format (geth, revm and evmone run it too).

Exit codes: 0 nothing differs, 1 something differs, 2 usage or unreadable input, or nothing was compared.";

/// Programs of a run without --fuzz.
const PROGRAMS: u64 = 200_000;
/// Mutations of a run without --mutate.
const MUTATIONS: u64 = 40_000;

/// `isolane diff`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DiffArgs {
    /// Compare this many generated programs.
    #[arg(long, value_name = "N")]
    fuzz: Option<u64>,
    /// What decides programs and mutations.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Index of the first program and mutation.
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: u64,
    /// Watch every N-th program on the reference for the coverage; 0 watches none.
    #[arg(long, value_name = "N", default_value_t = 8)]
    watch: u64,
    /// Compare the sweep of edge values.
    #[arg(long)]
    sweep: bool,
    /// Compare this many mutations of the fixtures and blocks.
    #[arg(long, value_name = "N")]
    mutate: Option<u64>,
    /// Compare these state tests: fixtures, packs of them, folders.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    fixtures: Vec<PathBuf>,
    /// Compare these blocks: packs, folders of them.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    blocks: Vec<PathBuf>,
    /// The backends; the first one is what the others are compared with [default: all that are found].
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    backends: Vec<String>,
    /// The forks of programs and mutations, or `all`.
    #[arg(long, value_name = "FORK", value_delimiter = ',', default_value = "all")]
    forks: Vec<String>,
    /// Write each difference to this folder: a state test, and what differs.
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Find inputs that reach something new and write the smallest set of them to this file, as state tests.
    #[arg(long, value_name = "FILE", requires = "fuzz", conflicts_with_all = ["sweep", "mutate", "fixtures", "blocks", "save"])]
    grow: Option<PathBuf>,
    /// Print JSON Lines instead of a report.
    #[arg(long)]
    json: bool,
    /// Worker threads [default: one a processor].
    #[arg(long, value_name = "N", env = "ISOLANE_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// No progress: only the report.
    #[arg(short, long)]
    quiet: bool,
}

/// Runs it.
pub fn run(arguments: &DiffArgs) -> Result<Exit, CliError> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(arguments.threads.map_or(0, usize::from))
        .build()
        .map_err(|error| CliError::usage(format!("cannot start the worker threads: {error}: use fewer --threads")))?;
    pool.install(|| run_here(arguments))
}

fn run_here(arguments: &DiffArgs) -> Result<Exit, CliError> {
    let plan = plan(arguments)?;
    let bar = progress_bar(arguments.quiet);
    let show = |progress: Progress| {
        bar.set_length(progress.total.max(progress.done));
        bar.set_position(progress.done);
        bar.set_message(format!("{}, {} differences", progress.part, progress.differences));
    };
    if let Some(file) = &arguments.grow {
        let grown = crate::diff::corpus::grow(plan.seed, plan.first, plan.programs, &plan.forks, &show);
        bar.finish_and_clear();
        let written = crate::diff::corpus::write(file, &grown).map_err(CliError::usage)?;
        println!("{}: {} state tests, {} features, {written} bytes", file.display(), grown.cases.len(), grown.features);
        return Ok(Exit::Match);
    }
    let candidates = match arguments.backends.as_slice() {
        [] => backends::found(),
        names => backends::named(names).map_err(|error| CliError::usage(format!("--backends: {error}")))?,
    };
    if candidates.len() < 2 {
        return Err(CliError::usage(
            "only one backend is here, there is nothing to compare: build with the feature `revm`",
        ));
    }
    let done = campaign::run(&plan, &candidates, &show).map_err(CliError::usage);
    bar.finish_and_clear();
    let done = done?;
    if let Some(folder) = &arguments.save {
        report::save(folder, &done).map_err(|error| CliError::usage(format!("--save: {error}")))?;
    }
    let names: Vec<&str> = candidates.iter().map(Candidate::name).collect();
    let text = match arguments.json {
        true => report::json_lines(&names, &plan, &done),
        false => report::text(&names, &plan, &done),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| CliError::usage(format!("cannot write to standard output: {error}")))?;
    if done.compared() == 0 {
        return Err(CliError::usage("nothing was compared: no backend can judge what was chosen"));
    }
    Ok(if done.differences() == 0 { Exit::Match } else { Exit::Mismatch })
}

fn plan(arguments: &DiffArgs) -> Result<Plan, CliError> {
    let forks = forks(&arguments.forks)?;
    let chosen = arguments.sweep
        || arguments.fuzz.is_some()
        || arguments.mutate.is_some()
        || !arguments.fixtures.is_empty()
        || !arguments.blocks.is_empty();
    let mut plan = Plan {
        sweep: arguments.sweep,
        programs: arguments.fuzz.unwrap_or_default(),
        first: arguments.first,
        seed: arguments.seed,
        mutations: arguments.mutate.unwrap_or_default(),
        fixtures: arguments.fixtures.clone(),
        blocks: arguments.blocks.clone(),
        workloads: None,
        forks,
        watch: arguments.watch,
    };
    if !chosen {
        (plan.sweep, plan.programs, plan.mutations) = (true, PROGRAMS, MUTATIONS);
    }
    if plan.mutations > 0 && plan.fixtures.is_empty() && plan.blocks.is_empty() {
        bundled(&mut plan)?;
    }
    Ok(plan)
}

/// The bundled data: beside the working directory, or where the tool was built.
fn bundled(plan: &mut Plan) -> Result<(), CliError> {
    let places = [Path::new("testdata").to_owned(), Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")];
    let Some(folder) = places.iter().find(|place| place.join("state").is_dir() && place.join("blocks").is_dir()) else {
        return Err(CliError::usage(format!(
            "the bundled test data is in neither {} nor {}: run in a checkout, or name --fixtures, --blocks or --fuzz",
            places[0].display(),
            places[1].display()
        )));
    };
    plan.fixtures = vec![folder.join("state")];
    let corpus = folder.join("diff");
    if corpus.is_dir() {
        plan.fixtures.push(corpus);
    }
    plan.blocks = vec![folder.join("blocks")];
    plan.workloads = Some(folder.join("workloads"));
    Ok(())
}

fn forks(names: &[String]) -> Result<Vec<Fork>, CliError> {
    if names.iter().any(|name| name == "all") {
        return Ok(Fork::ALL.to_vec());
    }
    let mut forks = Vec::new();
    for name in names {
        let fork = name.parse().map_err(|error| CliError::usage(format!("--forks: {error}, or `all`")))?;
        if !forks.contains(&fork) {
            forks.push(fork);
        }
    }
    Ok(forks)
}

fn progress_bar(quiet: bool) -> ProgressBar {
    let visible = !quiet && std::io::stderr().is_terminal();
    let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(0), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len}, {per_sec}, {elapsed}, {msg}") {
        bar.set_style(style);
    }
    bar
}
