//! The command-line tool.

mod bench;
mod devices;
mod diff;
mod error;
mod extras;
mod fetch;
mod metrics;
mod progress;
mod replay;
mod report;
mod run;
mod serve;
mod tables;
mod test;
mod trace;

pub use error::{CliError, Exit};

use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  isolane replay blocks/                      re-execute every block pack under a folder, verified
  isolane replay 1-17106222.json.zst --json   one JSON line a block, and a summary
  isolane replay blocks/ --out receipts.jsonl write the receipts
  isolane replay blocks/ --tables logs,traces,state_diffs --format parquet --out results
  isolane report results --html report.html   a page about it
  isolane test fixtures/                      run the official conformance fixtures under a folder
  isolane diff                                compare all backends with each other
  isolane bench --backend gpu                 measure a device against the reference and revm
  isolane run manifest.toml --html report.html  run environments that exchange messages
  isolane fetch --rpc URL --blocks 17M:+10 --out blocks
  isolane serve --rpc URL                     JSON-RPC in front of a node
  isolane completions bash > /etc/bash_completion.d/isolane

Exit codes: 0 all match, 1 a mismatch, 2 usage, configuration or unreadable input, 3 source or RPC, 4 device.";

/// Executes very many isolated EVM transactions, and verifies real blocks by replaying them.
#[derive(Debug, Parser)]
#[command(name = "isolane", version, about, after_help = EXAMPLES, propagate_version = true)]
#[command(arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Re-execute blocks and verify every result against headers, receipts and states.
    Replay(replay::Arguments),
    /// Make a page of what a replay that wrote tables came to.
    Report(report::Arguments),
    /// Run isolated environments in epochs, as a manifest describes them.
    Run(run::Arguments),
    /// Record blocks of a node as packs, to replay them.
    Fetch(fetch::Arguments),
    /// Answer JSON-RPC in front of a node: calls in batches, executed here.
    Serve(serve::Arguments),
    /// Run the official conformance fixtures: state, blockchain, transaction, RLP and trie tests.
    Test(test::TestArgs),
    /// Compare the backends with each other: edge values, generated programs, fixtures, blocks, and their mutations.
    Diff(diff::DiffArgs),
    /// Measure backends over workloads, side by side.
    Bench(bench::Arguments),
    /// List the graphics devices of this machine, and test them.
    Devices(devices::DevicesArgs),
    /// Print a completion script for a shell.
    Completions(extras::Completions),
    /// Print the manual page (roff).
    Man,
}

/// The definition of the command line, for completions, the manual page and tests.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the tool with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    crate::replay::hush_contained_panics();
    run(std::env::args_os()).into()
}

/// Runs the tool.
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap knows which stream each belongs to.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Match };
            let _ = error.print();
            return exit;
        }
    };
    let result = match cli.command {
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Fetch(arguments) => fetch::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Devices(arguments) => devices::run(&arguments),
        Command::Completions(arguments) => extras::completions(&arguments),
        Command::Man => extras::man(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        error.exit
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn usage_errors_are_2_and_help_is_0() {
        assert_eq!(run(["isolane", "--help"]), Exit::Match);
        assert_eq!(run(["isolane", "--version"]), Exit::Match);
        assert_eq!(run(["isolane", "replay", "--no-such-flag", "x"]), Exit::Usage);
        assert_eq!(run(["isolane", "replay"]), Exit::Usage);
        assert_eq!(run(["isolane", "replay", "/no/such/file"]), Exit::Usage);
        assert_eq!(run(["isolane", "replay", "/", "--threads", "0"]), Exit::Usage);
    }
}
