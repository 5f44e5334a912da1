//! What the benchmarks share: the two executors on equal terms, clocks, and facts about the machine.

pub mod peer;

use isolane::cpu::Machine;
use isolane::diff::compare::{Exactness, differences};
use isolane::diff::oracle::Oracle;
use isolane::load::workload::{self, Workload};
use serde::Serialize;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

#[allow(unused_imports, reason = "each benchmark uses its part")]
pub use isolane::bench::{Spread, Totals, UNLIMITED, run_reference as run_isolane};

/// The workload files to run: those of `testdata/workloads` and of the folder that `ISOLANE_WORKLOADS` names; of two
/// files with one name, the latter.
pub fn workload_files() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files: Vec<PathBuf> = Vec::new();
    let bundled = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/workloads");
    if bundled.is_dir() {
        files.extend(workload::files_in(&bundled)?);
    }
    if let Some(folder) = std::env::var_os("ISOLANE_WORKLOADS") {
        for file in workload::files_in(&PathBuf::from(folder))? {
            files.retain(|other| other.file_name() != file.file_name());
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err("no workloads: testdata/workloads has none; set ISOLANE_WORKLOADS to a folder of them".into());
    }
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    Ok(files)
}

/// Executes each transaction on both and compares the outcomes in full; returns the instructions of the whole batch.
pub fn verify(workload: &Workload) -> Result<u64, Box<dyn Error>> {
    let environment = workload.environment();
    let mut machine = Machine::new(environment.clone());
    let mut steps = 0;
    for (index, transaction) in workload.transactions.iter().enumerate() {
        machine.rewind();
        let outcome = machine.transact(transaction, UNLIMITED)?;
        let judged = Oracle::new(&environment)?.transact(transaction, UNLIMITED)?;
        let differences = differences(&outcome, &judged, Exactness::Reasons);
        if !differences.is_empty() {
            return Err(format!(
                "{}: transaction {index} differs from revm, nothing was timed: {}",
                workload.name,
                differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            )
            .into());
        }
        steps += outcome.steps;
    }
    Ok(steps)
}

/// CPU time of the calling thread.
pub fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// CPU time of the process.
pub fn process_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// `benches/results`, or the folder that `ISOLANE_RESULTS` names.
fn results() -> Result<PathBuf, Box<dyn Error>> {
    let folder = std::env::var_os("ISOLANE_RESULTS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/results"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Writes `NAME.md` and `NAME.json` into the folder of results.
pub fn write_results(name: &str, markdown: &str, report: &impl Serialize) -> Result<(), Box<dyn Error>> {
    let folder = results()?;
    std::fs::write(folder.join(format!("{name}.md")), markdown)?;
    std::fs::write(folder.join(format!("{name}.json")), serde_json::to_string_pretty(report)? + "\n")?;
    eprintln!("written: {0}/{name}.md and {0}/{name}.json", folder.display());
    Ok(())
}

/// Writes `NAME.svg` into the folder of results, with a light ground, so that it can be read anywhere.
pub fn write_chart(name: &str, svg: &str) -> Result<(), Box<dyn Error>> {
    let folder = results()?;
    let ground = "<rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>";
    let svg = match svg.split_once('>') {
        Some((head, rest)) => format!("{head}>\n{ground}{rest}"),
        None => svg.to_owned(),
    };
    std::fs::write(folder.join(format!("{name}.svg")), svg)?;
    eprintln!("written: {}/{name}.svg", folder.display());
    Ok(())
}

/// A number from the environment, or the default.
pub fn setting(name: &str, default: usize) -> Result<usize, Box<dyn Error>> {
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|_| format!("{name}: expected a number, got {text:?}").into()),
        Err(_) => Ok(default),
    }
}
