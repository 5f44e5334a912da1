//! `cargo xtask test`: everything that must pass, in one command, with counts.

use crate::tally::Tally;
use crate::{mutants, node, setup, shell};
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Runs everything that must pass.
#[derive(clap::Args)]
pub struct Args {
    /// Folder with the official fixtures (packs `*.tar.zst`, or folders of JSON files).
    #[arg(long, env = "ISOLANE_FIXTURES", value_name = "DIR")]
    fixtures: Option<PathBuf>,
    /// Folder with real blocks in isolane's block pack format.
    #[arg(long, env = "ISOLANE_BLOCKS", value_name = "DIR")]
    blocks: Option<PathBuf>,
    /// Run the slow packs in full, and plant all bugs; without it, only the tests of one fork, and some bugs.
    #[arg(long)]
    slow: bool,
    /// Install nothing, fetch no crates, and start no node (which comes from npm).
    #[arg(long)]
    offline: bool,
}

/// Programs and mutations that the backends are compared on.
const PROGRAMS: &str = "100000";
const MUTATIONS: &str = "20000";
/// Programs for each level of the lockstep backend.
const GROUP_PROGRAMS: &str = "16000";
/// Programs that a software graphics device is compared on as well: it takes about a millisecond for each.
const DEVICE_PROGRAMS: &str = "4000";
/// Of the planted bugs, one in so many is looked for; all with `--slow`.
const EVERY_BUG: usize = 4;
/// Packs whose name contains this hold tests that take seconds to minutes each.
const SLOW: &str = "slow";
/// The fork whose slow tests run by default.
const SLOW_FORK: &str = "Prague";
/// Packs whose name contains this follow a fork that still moves: they run, and do not decide.
const MOVING: &str = "Amsterdam";

/// What a step came to.
struct Step {
    name: String,
    tally: Tally,
    time: Duration,
    /// Whether its failures fail the whole run.
    decides: bool,
}

struct Run {
    steps: Vec<Step>,
    offline: bool,
    isolane: PathBuf,
}

/// Runs the task; whether everything passed.
pub fn run(args: &Args) -> Result<bool> {
    let fixtures = args.fixtures.as_deref().map(|path| absolute(path, "--fixtures")).transpose()?;
    let blocks = args.blocks.as_deref().map(|path| absolute(path, "--blocks")).transpose()?;
    setup::ensure_all(args.offline)?;
    let binary = std::env::current_exe().context("cannot find the folder of build outputs")?;
    let mut run = Run {
        steps: Vec::new(),
        offline: args.offline,
        isolane: binary.with_file_name(format!("isolane{}", std::env::consts::EXE_SUFFIX)),
    };

    run.check("formatting", run.cargo(["fmt", "--all", "--check"]))?;
    run.check("lints", run.cargo(["clippy", "--workspace", "--all-targets", "--release", "--", "-D", "warnings"]))?;
    let mut tests = run.cargo(["test", "--workspace", "--release", "--no-fail-fast"]);
    if setup::has_software_driver() {
        tests.env("ISOLANE_EXPECT_DEVICE", "1");
    }
    if let Some(folder) = &fixtures {
        tests.env("ISOLANE_FIXTURES", folder);
    }
    if args.slow {
        tests.env("ISOLANE_SLOW", "1");
    }
    if let Some(folder) = &blocks {
        tests.env("ISOLANE_BLOCKS", folder);
    }
    run.count("tests", tests, true)?;
    if run.check("build", run.cargo(["build", "--release", "--bin", "isolane"]))? {
        run.data("testdata/blocks", "replay", &shell::root().join("testdata/blocks"))?;
        run.data("testdata/state", "test", &shell::root().join("testdata/state"))?;
        run.data("testdata/diff", "test", &shell::root().join("testdata/diff"))?;
        run.node()?;
        run.differential()?;
        run.mutants(if args.slow { 1 } else { EVERY_BUG })?;
        if let Some(folder) = &blocks {
            run.data("all blocks", "replay", folder)?;
        }
        if let Some(folder) = &fixtures {
            run.fixtures(folder, args.slow)?;
        }
    }
    Ok(report(&run.steps))
}

/// The path as the tests will see it, who run in other folders.
fn absolute(path: &Path, flag: &str) -> Result<PathBuf> {
    let path = std::path::absolute(path)?;
    ensure!(path.is_dir(), "{flag}: {} is not a folder", path.display());
    Ok(path)
}

impl Run {
    fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut arguments = arguments.into_iter();
        let subcommand = arguments.next().unwrap_or_default();
        let mut command = shell::cargo();
        command.arg(subcommand);
        if self.offline && subcommand != "fmt" {
            command.arg("--offline");
        }
        command.args(arguments);
        command
    }

    /// A step that passes or fails as a whole.
    fn check(&mut self, name: &str, mut command: Command) -> Result<bool> {
        let start = self.announce(name, &command);
        let ok = shell::run(&mut command)?;
        let tally = Tally { passed: u64::from(ok), failed: u64::from(!ok) };
        self.steps.push(Step { name: name.to_owned(), tally, time: start.elapsed(), decides: true });
        Ok(ok)
    }

    /// A step that prints how many of its tests passed and failed. A non-zero exit code is a failure whatever it
    /// printed; so is a step that ran nothing.
    fn count(&mut self, name: &str, mut command: Command, decides: bool) -> Result<()> {
        let start = self.announce(name, &command);
        let mut tally = Tally::default();
        let code = shell::watch(&mut command, |line| {
            if let Some(counts) = Tally::read(line) {
                tally.add(counts);
            }
        })?;
        if tally.failed == 0 && (code != Some(0) || tally.passed == 0) {
            println!("{name}: exit code {code:?}, {} passed: counted as a failure", tally.passed);
            tally.failed = 1;
        }
        self.steps.push(Step { name: name.to_owned(), tally, time: start.elapsed(), decides });
        Ok(())
    }

    /// Runs `isolane <command> <path>`.
    fn data(&mut self, name: &str, command: &str, path: &Path) -> Result<()> {
        let mut program = shell::command(&self.isolane);
        program.arg(command).arg(path);
        if command == "replay" {
            program.arg("--skip-invalid-blocks");
        }
        self.count(name, program, true)
    }

    /// All backends against each other: the edge sweep, programs, mutations.
    fn differential(&mut self) -> Result<()> {
        for arguments in [["--sweep", "--fuzz", PROGRAMS], ["-q", "--mutate", MUTATIONS]] {
            let mut program = shell::command(&self.isolane);
            program.arg("diff").args(arguments);
            self.count(&format!("diff {}", arguments[1]), program, true)?;
        }
        for level in ["portable", "avx2", "avx512"] {
            // Each level that the machine has; a higher one is the highest that it has.
            let mut program = shell::command(&self.isolane);
            program.env("ISOLANE_SIMD", level);
            program.args([
                "diff",
                "--seed",
                "7",
                "--fuzz",
                GROUP_PROGRAMS,
                "--backends",
                "cpu,lockstep",
                "--watch",
                "0",
            ]);
            self.count(&format!("diff of groups, {level}"), program, true)?;
        }
        if setup::has_software_driver() {
            let mut program = shell::command(&self.isolane);
            program.args(["diff", "--seed", "5", "--fuzz", DEVICE_PROGRAMS, "--backends", "cpu,gpu", "--watch", "0"]);
            self.count("diff on a device", program, true)?;
        }
        Ok(())
    }

    /// Blocks of a real node. Without npm this fails, and says what to install.
    fn node(&mut self) -> Result<()> {
        if self.offline {
            println!("\n== node: left out with --offline");
            return Ok(());
        }
        println!("\n== node: cargo xtask node");
        let start = Instant::now();
        let (passed, failed) = node::count(&node::Args::default()).unwrap_or_else(|error| {
            println!("node: {error:#}");
            (0, 1)
        });
        let tally = Tally { passed, failed };
        self.steps.push(Step { name: "node".to_owned(), tally, time: start.elapsed(), decides: true });
        Ok(())
    }

    /// Planted bugs: the differential tester has to find them all.
    fn mutants(&mut self, every: usize) -> Result<()> {
        println!("\n== mutants: cargo xtask mutants --every {every}");
        let start = Instant::now();
        let (passed, failed) = mutants::count(&mutants::Args::every(every, self.offline))?;
        let tally = Tally { passed, failed };
        self.steps.push(Step { name: "mutants".to_owned(), tally, time: start.elapsed(), decides: true });
        Ok(())
    }

    /// The official fixtures: what decides, the slow ones, and those of a fork that still moves.
    fn fixtures(&mut self, folder: &Path, slow: bool) -> Result<()> {
        let mut packs: Vec<PathBuf> = Vec::new();
        for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() || path.to_string_lossy().ends_with(".tar.zst") {
                packs.push(path);
            }
        }
        packs.sort();
        ensure!(!packs.is_empty(), "{}: neither a *.tar.zst pack nor a folder of fixtures", folder.display());
        let named = |path: &PathBuf, text: &str| path.file_name().is_some_and(|n| n.to_string_lossy().contains(text));
        let (moving, packs): (Vec<_>, Vec<_>) = packs.into_iter().partition(|path| named(path, MOVING));
        let (heavy, packs): (Vec<_>, Vec<_>) = packs.into_iter().partition(|path| named(path, SLOW));

        let arguments = |packs: &[PathBuf]| packs.iter().map(OsString::from).collect::<Vec<_>>();
        let mut program = shell::command(&self.isolane);
        program.arg("test").args(arguments(&packs));
        self.count("official fixtures", program, true)?;
        if !heavy.is_empty() {
            let mut program = shell::command(&self.isolane);
            program.arg("test").args(arguments(&heavy));
            if !slow {
                program.args(["--fork", SLOW_FORK]);
            }
            let name = if slow { "slow fixtures".to_owned() } else { format!("slow fixtures of {SLOW_FORK}") };
            self.count(&name, program, true)?;
        }
        if !moving.is_empty() {
            let mut program = shell::command(&self.isolane);
            program.arg("test").args(arguments(&moving));
            self.count(&format!("{MOVING} fixtures"), program, false)?;
        }
        Ok(())
    }

    fn announce(&self, name: &str, command: &Command) -> Instant {
        println!("\n== {name}: {}", shell::text(command));
        Instant::now()
    }
}

/// Prints the table and the closing line; whether everything that decides passed.
fn report(steps: &[Step]) -> bool {
    println!("\n{:<28} {:>9} {:>7} {:>8}", "step", "passed", "failed", "seconds");
    let mut total = Tally::default();
    for step in steps {
        let Tally { passed, failed } = step.tally;
        let note = if step.decides { "" } else { "  (a fork that still moves: not counted)" };
        println!("{:<28} {passed:>9} {failed:>7} {:>8.1}{note}", step.name, step.time.as_secs_f64());
        if step.decides {
            total.add(step.tally);
        }
    }
    println!("\n{} passed, {} failed", total.passed, total.failed);
    total.failed == 0
}
