//! `cargo xtask bench`: the benchmarks, with the peers in the same run.

use crate::shell;
use anyhow::Result;

/// Runs the benchmarks; extra arguments go to criterion.
#[derive(clap::Args)]
pub struct Args {
    /// Arguments for the benchmark harness, for example a filter.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Runs the task; whether it succeeded.
pub fn run(args: &Args) -> Result<bool> {
    shell::run(shell::cargo().args(["bench", "--workspace", "--benches", "--"]).args(&args.rest))
}
