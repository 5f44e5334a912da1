//! The development tasks: `cargo xtask test|bench|codegen|contracts|mutants|node|serve|setup|soak|testdata`.

mod anvil;
mod bench;
mod codegen;
mod contracts;
mod mutants;
mod node;
mod serve;
mod setup;
mod shell;
mod tally;
mod test;
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
    /// Runs everything that must pass: formatting, lints, all tests, the replay of real blocks, the official fixtures.
    Test(test::Args),
    /// Runs the benchmarks; extra arguments go to criterion.
    Bench(bench::Args),
    /// Writes the generated WGSL under shaders/generated.
    Codegen(codegen::Args),
    /// Compiles the Solidity contracts into contracts/out.
    Contracts(contracts::Args),
    /// Plants bugs into a copy of the reference: the differential tester has to find them all.
    Mutants(mutants::Args),
    /// Installs what the tests need, or says what to install.
    Setup(setup::Args),
    /// Replays blocks of a real node, anvil from npm, from end to end.
    Node(node::Args),
    /// Compares `isolane serve` with the node behind it, asked by a client library, and measures both.
    Serve(serve::Args),
    /// Sends `isolane serve` mixed requests for some minutes, good and bad ones, and checks every answer.
    Soak(serve::soak::Args),
    /// Makes the bundled test data again.
    Testdata(testdata::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Test(args) => test::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Codegen(args) => codegen::run(&args),
        Task::Contracts(args) => contracts::run(&args),
        Task::Mutants(args) => mutants::run(&args),
        Task::Setup(args) => setup::run(&args),
        Task::Node(args) => node::run(&args),
        Task::Serve(args) => serve::run(&args),
        Task::Soak(args) => serve::soak::run(&args),
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
