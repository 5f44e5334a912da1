//! The reference, lanes in lockstep and revm over all workloads, sizes of batches and numbers of threads, in one run.
//!
//! `benches/README.md` says how to run it. What `isolane bench` does once, it does for every size and both numbers of threads, and it
//! writes a table, JSON and charts into `benches/results`.

#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use isolane::bench::facts::{self, Facts};
use isolane::bench::{self, Plan, Row, Spread};
use isolane::load::workload::Workload;
use isolane::report::{Ratios, ratios};
use serde::Serialize;
use std::error::Error;
use std::fmt::Write as _;
use support::{setting, workload_files, write_chart, write_results};

const SIZES: [usize; 4] = [1, 256, 4_096, 65_536];
/// Instructions of a pass, at most: a larger batch is left out, and the report says so.
const MOST_INSTRUCTIONS: u64 = 1_000_000_000;

/// One workload at one size on some threads.
#[derive(Clone, Debug, Serialize)]
struct Line {
    workload: String,
    transactions: usize,
    threads: usize,
    /// Nanoseconds of one transaction, execution only: wall time.
    reference_ns: Spread,
    lockstep_ns: Spread,
    revm_ns: Spread,
    /// revm's median over theirs.
    reference_ratio: f64,
    lockstep_ratio: f64,
    /// The reference's median by lockstep's, from transactions to outcomes.
    lockstep_end_to_end: f64,
}

#[derive(Serialize)]
struct Report {
    schema: u32,
    facts: Facts,
    passes: usize,
    lines: Vec<Line>,
    left_out: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench -- NAME` runs the workloads whose name contains NAME; cargo itself passes `--bench`.
    let filter: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let passes = setting("ISOLANE_PASSES", 5)?.max(1);
    let largest = setting("ISOLANE_LARGEST", 65_536)?;
    let facts = Facts::gather(facts::BENCH);
    let mut counts = vec![1, facts.threads];
    counts.dedup();
    let (mut lines, mut left_out) = (Vec::new(), Vec::new());
    for file in workload_files()? {
        let base = Workload::read(&file)?;
        if !filter.is_empty() && !filter.iter().any(|part| base.name.contains(part.as_str())) {
            continue;
        }
        let each = support::verify(&base)? / base.transactions.len().max(1) as u64;
        for size in SIZES.into_iter().filter(|size| *size <= largest) {
            if each * size as u64 > MOST_INSTRUCTIONS {
                left_out.push(format!("{} x {size}", base.name));
                continue;
            }
            for &threads in &counts {
                if threads > size {
                    continue;
                }
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
                let plan =
                    Plan { batches: vec![base.clone().into()], sizes: vec![size], rounds: passes, ..Plan::default() };
                let mut rows = Vec::new();
                pool.install(|| bench::run(&plan, None, |row| rows.push(row)))?;
                let line = line(&rows, threads)?;
                eprintln!("{}", cells(&line).join(" | "));
                lines.push(line);
            }
        }
    }
    write(&Report { schema: 1, facts, passes, lines, left_out })
}

fn line(rows: &[Row], threads: usize) -> Result<Line, Box<dyn Error>> {
    let side = |name: &str| {
        let row = rows.iter().find(|row| row.backend == name);
        row.ok_or_else(|| format!("no measurement of {name}"))
    };
    let (reference, lockstep, revm) = (side("reference")?, side("lockstep")?, side("revm")?);
    let per = |row: &Row| {
        let Spread { median, min, max } = row.execution_seconds;
        let each = |seconds: f64| seconds * 1e9 / row.transactions as f64;
        Spread { median: each(median), min: each(min), max: each(max) }
    };
    let (reference_ns, lockstep_ns, revm_ns) = (per(reference), per(lockstep), per(revm));
    Ok(Line {
        workload: reference.workload.clone(),
        transactions: reference.transactions,
        threads,
        reference_ns,
        lockstep_ns,
        revm_ns,
        reference_ratio: revm_ns.median / reference_ns.median,
        lockstep_ratio: revm_ns.median / lockstep_ns.median,
        lockstep_end_to_end: reference.end_to_end_seconds.median / lockstep.end_to_end_seconds.median,
    })
}

const HEADER: [&str; 9] = [
    "workload",
    "lanes",
    "threads",
    "reference ns/tx",
    "lockstep ns/tx",
    "revm ns/tx",
    "revm / reference",
    "revm / lockstep",
    "reference / lockstep, end to end",
];

fn cells(line: &Line) -> [String; 9] {
    [
        line.workload.clone(),
        line.transactions.to_string(),
        line.threads.to_string(),
        line.reference_ns.show(0),
        line.lockstep_ns.show(0),
        line.revm_ns.show(0),
        format!("{:.2}", line.reference_ratio),
        format!("{:.2}", line.lockstep_ratio),
        format!("{:.2}", line.lockstep_end_to_end),
    ]
}

fn write(report: &Report) -> Result<(), Box<dyn Error>> {
    let mut text = format!(
        "# The reference and lanes in lockstep against revm\n\nMedian (minimum-maximum) of {} passes of each side, which \
         take turns; wall time of the execution alone, validation and fees included. Outcomes were compared in full before \
         the measurement. The last column is from transactions to outcomes, all of them kept.\n\n{}\n",
        report.passes,
        report.facts.markdown()
    );
    writeln!(text, "| {} |\n|{}", HEADER.join(" | "), " --- |".repeat(HEADER.len()))?;
    for line in &report.lines {
        writeln!(text, "| {} |", cells(line).join(" | "))?;
    }
    if !report.left_out.is_empty() {
        let left_out = report.left_out.join(", ");
        writeln!(text, "\nLeft out, more than {MOST_INSTRUCTIONS} instructions a pass: {left_out}.")?;
    }
    write_results("backends", &text, report)?;
    for size in SIZES {
        let of_size = || report.lines.iter().filter(move |line| line.transactions == size && line.threads == 1);
        let rows: Vec<Ratios> = of_size()
            .map(|line| Ratios {
                name: line.workload.clone(),
                values: vec![Some(line.reference_ratio), Some(line.lockstep_ratio)],
            })
            .collect();
        if !rows.is_empty() {
            write_chart(&format!("backends-{size}"), &ratios(&["reference", "lockstep"], &rows)?)?;
        }
    }
    Ok(())
}
