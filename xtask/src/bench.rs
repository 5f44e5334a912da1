//! `cargo xtask bench`: the benchmarks, with the peer in the same run, compiled for this processor.

use crate::shell;
use anyhow::Result;

/// Runs the benchmarks.
#[derive(clap::Args)]
pub struct Args {
    /// Which ones; without a name, those that compare with revm side by side.
    #[arg(value_enum)]
    benches: Vec<Bench>,
    /// Arguments for the benchmark itself, after `--`.
    #[arg(last = true)]
    rest: Vec<String>,
}

/// The benchmarks in `benches/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Bench {
    /// Workloads, isolane and revm interleaved.
    Compare,
    /// Workloads by size of the batch: the reference, lanes in lockstep and revm.
    Backends,
    /// Real blocks, isolane and revm interleaved.
    ReplayPeer,
    /// Criterion, for following one's own changes.
    Throughput,
}

impl Bench {
    const fn name(self) -> &'static str {
        match self {
            Self::Compare => "compare",
            Self::Backends => "backends",
            Self::ReplayPeer => "replay_peer",
            Self::Throughput => "throughput",
        }
    }
}

/// Runs the task; whether it succeeded.
pub fn run(args: &Args) -> Result<bool> {
    let wanted =
        if args.benches.is_empty() { &[Bench::Compare, Bench::Backends, Bench::ReplayPeer][..] } else { &args.benches };
    let mut ok = true;
    for bench in wanted {
        // One after another, and each alone: two at a time would measure each other.
        let mut command = shell::cargo();
        if std::env::var_os("RUSTFLAGS").is_none() {
            command.env("RUSTFLAGS", "-C target-cpu=native");
        }
        command.args(["bench", "--package", "isolane", "--bench", bench.name(), "--"]).args(&args.rest);
        ok &= shell::run(&mut command)?;
    }
    Ok(ok)
}
