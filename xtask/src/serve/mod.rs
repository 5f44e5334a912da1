//! `cargo xtask serve`: `isolane serve` in front of a real node. A client library asks both the same and compares the answers; then many
//! calls are sent to both, and to a server with a tenant that floods it.

mod compare;
mod flood;
mod load;
mod process;
pub mod soak;

use crate::shell;
use anyhow::{Result, ensure};
use std::path::PathBuf;

/// Compares a server with the node behind it, and measures both.
#[derive(clap::Args, Default)]
pub struct Args {
    /// Only compare answers.
    #[arg(long, conflicts_with = "load")]
    compare: bool,
    /// Only measure.
    #[arg(long)]
    load: bool,
    /// Only measure what a calm tenant notices of another one's flood.
    #[arg(long, conflicts_with_all = ["load", "compare", "write"])]
    flood: bool,
    /// Another build of isolane, which is flooded in turn with this one.
    #[arg(long, value_name = "PROGRAM")]
    against: Option<PathBuf>,
    /// Only floods with this in their name, with --flood.
    #[arg(long, default_value = "", requires = "flood")]
    only: String,
    /// Seconds of each measurement beside a flood, and without it.
    #[arg(long, default_value_t = 15.0)]
    seconds: f64,
    /// Calls of each other measurement.
    #[arg(long, default_value_t = 100_000)]
    calls: usize,
    /// Write the figures to benches/results/serve.md.
    #[arg(long)]
    write: bool,
}

/// Runs the task; whether everything was as it should be.
pub fn run(args: &Args) -> Result<bool> {
    let mut good = true;
    if !args.load && !args.flood {
        let (same, different) = compare::run()?;
        println!("{same} passed, {different} failed");
        good &= different == 0 && same > 0;
    }
    if !args.compare {
        good &= load::run(&load::Options {
            calls: args.calls,
            seconds: args.seconds,
            only: &args.only,
            flood_alone: args.flood,
            against: args.against.as_deref(),
            write: args.write,
        })?;
    }
    Ok(good)
}

/// The tool beside this one.
fn isolane() -> Result<PathBuf> {
    let isolane = std::env::current_exe()?.with_file_name(format!("isolane{}", std::env::consts::EXE_SUFFIX));
    ensure!(isolane.exists(), "{} is not there: cargo build --release --bin isolane", isolane.display());
    Ok(isolane)
}

/// Where npm's packages are.
fn npm() -> Result<PathBuf> {
    let root = shell::root();
    crate::anvil::install(&root.join("target/testdata"), &root.join("testdata/make"))
}
