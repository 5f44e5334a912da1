//! `isolane report`.

use super::{CliError, Exit};
use crate::engine::journal::write_whole;
use crate::report::replay::{ReplayReport, page};
use crate::tables::journal::results;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  isolane replay blocks/ --tables all --out results
  isolane report results --html report.html";

/// `isolane report`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// A folder that `isolane replay --tables` wrote.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Write the page to this file; it needs nothing else.
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, CliError> {
    let name = arguments.folder.display().to_string();
    let report = ReplayReport::new(&name, results(&arguments.folder)?);
    write_whole(&arguments.html, page(&report).as_bytes()).map_err(|error| {
        CliError::usage(format!("{}: cannot write it: {error}: check --html", arguments.html.display()))
    })?;
    Ok(Exit::Match)
}
