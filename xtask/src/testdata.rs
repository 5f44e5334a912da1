//! `cargo xtask testdata`: makes everything under `testdata/` again. Needs node, npm and python3 3.11 or later with venv.
//!
//! npm packages and the execution specs are installed into `target/testdata`; the blocks are recorded from an anvil on
//! 127.0.0.1 with the library's own `fetch`, and the specs give and confirm what consensus says of them.

use crate::anvil::{self, Anvil, run_in};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use isolane::fetch::{BlockRange, FetchOptions, NodeArgs, StateMethod, fetch};
use isolane::spec::fork::Fork;

/// The execution specs' package and zstd, exactly as the bundled data were made with.
const PYTHON_PACKAGES: [&str; 2] = ["ethereum-execution==2.20.0", "zstandard==0.25.0"];

/// anvil's names of the forks, and the packs'. The rest of the schedule has no rules of its own.
const FORKS: [(&str, Fork); 14] = [
    ("frontier", Fork::Frontier),
    ("homestead", Fork::Homestead),
    ("tangerine", Fork::TangerineWhistle),
    ("spuriousdragon", Fork::SpuriousDragon),
    ("byzantium", Fork::Byzantium),
    ("petersburg", Fork::Petersburg),
    ("istanbul", Fork::Istanbul),
    ("berlin", Fork::Berlin),
    ("london", Fork::London),
    ("paris", Fork::Paris),
    ("shanghai", Fork::Shanghai),
    ("cancun", Fork::Cancun),
    ("prague", Fork::Prague),
    ("osaka", Fork::Osaka),
];

/// Which parts there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Block packs recorded from anvil, completed and confirmed with the execution specs.
    Blocks,
    /// State tests, filled with the execution specs.
    State,
    /// Workloads for the benches, captured from anvil.
    Workloads,
    /// Confirms the block packs that are there.
    Confirm,
}

/// Makes the bundled test data again.
#[derive(clap::Args)]
pub struct Args {
    /// Only these parts.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Only these forks' blocks, by anvil's names.
    #[arg(long)]
    fork: Vec<String>,
}

/// Runs the task. `Ok(true)` = everything was made and confirmed.
pub fn run(args: &Args) -> Result<bool> {
    let work = Work::prepare()?;
    let wanted = |part| args.parts.is_empty() || args.parts.contains(&part);
    for name in &args.fork {
        ensure!(FORKS.iter().any(|(fork, _)| fork == name), "{name:?} is no fork that blocks are recorded for");
    }
    if wanted(Part::Blocks) {
        for (name, fork) in FORKS {
            if args.fork.is_empty() || args.fork.iter().any(|wanted| wanted == name) {
                work.blocks(name, fork)?;
            }
        }
    }
    if wanted(Part::Blocks) || wanted(Part::Confirm) {
        work.python("confirm.py", &[&work.data.join("blocks")])?;
    }
    if wanted(Part::State) {
        work.python("fill.py", &[&work.data.join("state")])?;
    }
    if wanted(Part::Workloads) {
        run_in(&work.npm, Command::new("node").arg("workloads.mjs").arg(work.data.join("workloads")))?;
    }
    Ok(true)
}

struct Work {
    /// `testdata/` of the checkout.
    data: PathBuf,
    /// `target/testdata`.
    target: PathBuf,
    /// Where the npm packages and a copy of the scripts are.
    npm: PathBuf,
}

impl Work {
    fn prepare() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask is not inside a checkout")?;
        let (data, target) = (root.join("testdata"), root.join("target/testdata"));
        let npm = anvil::install(&target, &data.join("make"))?;
        let venv = target.join("venv");
        if !venv.join("bin/python").exists() {
            run_in(&target, Command::new("python3").args(["-m", "venv", "venv"]))?;
        }
        run_in(&target, Command::new(venv.join("bin/pip")).args(["install", "--quiet"]).args(PYTHON_PACKAGES))?;
        Ok(Self { data, target, npm })
    }

    fn python(&self, script: &str, arguments: &[&Path]) -> Result<()> {
        run_in(&self.npm, Command::new(self.target.join("venv/bin/python")).arg(script).args(arguments))
    }

    /// Records the fork's chain and writes its packs.
    fn blocks(&self, name: &str, fork: Fork) -> Result<()> {
        let run = self.target.join("raw").join(name);
        let anvil = Anvil::start(&self.npm, name, &run, &[])?;
        let recorded = (|| -> Result<()> {
            std::fs::write(run.join("run.json"), &anvil.about)?;
            let (url, last) = (&anvil.url, anvil.last);
            let node = NodeArgs {
                rpc: Some(url.clone()),
                blocks: vec![BlockRange { start: 0, end: Some(last + 1), step: 1 }],
                fork: Some(fork),
                state: Some(StateMethod::Tracer),
                concurrency: 1,
                timeout: 60,
                retries: 3,
            };
            let options = FetchOptions { node, out: run.join("raw"), overwrite: true, level: 3 };
            let summary = fetch(&options, &|_, _, _| None)?;
            println!("{name}: {} blocks, {} transactions", summary.written.len(), summary.transactions);
            for note in summary.notes {
                println!("{name}: note: {note}");
            }
            Ok(())
        })();
        anvil.stop()?;
        recorded?;
        let out = self.data.join("blocks/anvil").join(name);
        if out.exists() {
            std::fs::remove_dir_all(&out)?;
        }
        self.python("finish.py", &[&run, &out])
    }
}
