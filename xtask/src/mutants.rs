//! `cargo xtask mutants`: plants bugs, one at a time, into a copy of the reference and of the lanes in lockstep, and requires the
//! differential tester to find every one within its default budget.
//!
//! One build carries all bugs. Each site of [`mutants/bugs`](../mutants/bugs) becomes `if on(N) { bug } else { original }`, and
//! the driver ([`mutants/driver`](../mutants/driver)) activates one after another.

mod plan;
mod plant;
mod table;

use crate::shell;
use anyhow::{Context, Result, ensure};
use plan::Bug;
use std::path::Path;
use std::process::Command;
use table::Found;

/// Plants bugs into a copy of the reference and requires the differential tester to find every one.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Args {
    /// Only bugs whose family or name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Only every N-th bug.
    #[arg(long, value_name = "N", default_value_t = 1)]
    every: usize,
    /// Say which bugs there are, and check that each has its place; build and run nothing.
    #[arg(long)]
    list: bool,
    /// Write the table to docs/mutants.md.
    #[arg(long)]
    write: bool,
    /// Fetch no crates.
    #[arg(long)]
    offline: bool,
}

impl Args {
    /// Every n-th bug.
    pub fn every(every: usize, offline: bool) -> Self {
        Self { every, offline, ..Self::default() }
    }
}

/// Bugs that there must be.
const LEAST: usize = 150;

/// Runs the task; whether all bugs were found.
pub fn run(args: &Args) -> Result<bool> {
    Ok(count(args)?.1 == 0)
}

/// Runs the task; how many bugs were found, and how many were not.
pub fn count(args: &Args) -> Result<(u64, u64)> {
    let plan = plan::read(&shell::root().join("xtask/mutants/bugs"))?;
    ensure!(plan.bugs.len() >= LEAST, "{} bugs, expected at least {LEAST}", plan.bugs.len());
    let folder = plant::plant(&plan)?;
    if args.list {
        for bug in &plan.bugs {
            println!("{:>4}  {:<13} {}", bug.number, bug.family, bug.name);
        }
        println!("{} bugs, each with its place", plan.bugs.len());
        return Ok((0, 0));
    }
    let chosen: Vec<&Bug> = plan
        .bugs
        .iter()
        .filter(|bug| args.only.as_ref().is_none_or(|text| bug.family.contains(text) || bug.name.contains(text)))
        .step_by(args.every.max(1))
        .collect();
    ensure!(
        !chosen.is_empty(),
        "--only {:?}: no bug has that in its family or name",
        args.only.as_deref().unwrap_or("")
    );

    let mut found: Vec<Found> = Vec::with_capacity(chosen.len());
    let mut problem = None;
    let code = shell::watch(&mut driver(&folder, &chosen, args.offline)?, |line| {
        if !line.starts_with('{') {
            return;
        }
        match table::parse(line) {
            Ok(result) => found.push(result),
            Err(error) => problem = Some(error),
        }
    })?;
    if let Some(error) = problem {
        return Err(error.context("the driver's output"));
    }
    let complete = found.len() == chosen.len() && code == Some(0);
    if !complete {
        println!("the driver ended with {code:?} after {} of {} bugs", found.len(), chosen.len());
    }
    print!("{}", table::summary(&chosen, &found));
    if args.write {
        ensure!(complete && chosen.len() == plan.bugs.len(), "--write takes a complete run of all bugs");
        let path = shell::root().join("docs/mutants.md");
        std::fs::write(&path, table::markdown(&plan.bugs, &found)).with_context(|| path.display().to_string())?;
    }
    let missed = chosen.len() - found.iter().filter(|result| result.part.is_some()).count();
    println!("mutants: {} passed, {missed} failed", chosen.len() - missed);
    // A driver that ended badly has failed, whatever it printed before.
    let failed = if complete { missed } else { missed.max(1) };
    Ok(((chosen.len() - missed) as u64, failed as u64))
}

/// The command that builds and runs the driver.
fn driver(folder: &Path, bugs: &[&Bug], offline: bool) -> Result<Command> {
    let numbers: Vec<String> = bugs.iter().map(|bug| bug.number.to_string()).collect();
    let list = folder.join("chosen.txt");
    std::fs::write(&list, numbers.join("\n")).with_context(|| list.display().to_string())?;
    let mut command = shell::cargo();
    command.args(["run", "--release", "-q", "--manifest-path"]).arg(folder.join("Cargo.toml"));
    if offline {
        command.arg("--offline");
    }
    command.arg("--").arg(&list).arg(shell::root().join("testdata"));
    command.env("CARGO_TARGET_DIR", target());
    Ok(command)
}

/// The folder of build outputs that this task was built into, so that the driver shares its dependencies.
fn target() -> std::path::PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.parent().and_then(Path::parent).map_or_else(|| shell::root().join("target"), Path::to_path_buf)
}
