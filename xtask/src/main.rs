//! The development tasks.

mod testdata;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Development tasks of isolane.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Makes the bundled test data again.
    Testdata(testdata::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Testdata(args) => testdata::run(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
