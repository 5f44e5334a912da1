//! `isolane fetch`.

use super::{CliError, Exit};
use crate::chain::ChainSpec;
use crate::fetch::{FetchError, FetchOptions, fetch};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  isolane fetch --rpc http://127.0.0.1:8545 --blocks 17M:+10 --out blocks
  ETH_RPC_URL=https://… isolane fetch --blocks 22615247 --out blocks && isolane replay blocks

The node must serve debug_executionWitness, debug_traceBlockByNumber with the prestate tracer, or eth_getProof. Packs that are there are not fetched again.";

/// `isolane fetch`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    options: FetchOptions,
}

/// The exit code of a failure.
pub fn exit(error: &FetchError) -> Exit {
    match error {
        FetchError::Io { .. } | FetchError::UnknownFork { .. } | FetchError::NoNode | FetchError::NoBlocks => {
            Exit::Usage
        }
        _ => Exit::Source,
    }
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, CliError> {
    let schedule =
        |chain_id, number, timestamp| ChainSpec::by_id(chain_id).map(|chain| chain.fork_at(number, timestamp, None));
    let summary = fetch(&arguments.options, &schedule)
        .map_err(|error| CliError { exit: exit(&error), message: error.to_string() })?;
    for note in &summary.notes {
        eprintln!("note: {note}");
    }
    println!(
        "{} blocks with {} transactions recorded ({} bytes), {} were there already: isolane replay {}",
        summary.written.len(),
        summary.transactions,
        summary.bytes,
        summary.skipped.len(),
        arguments.options.out.display()
    );
    Ok(Exit::Match)
}
