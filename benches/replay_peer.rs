//! isolane's replay of block packs against a plain loop over revm, side by side: the whole pipeline and by stage.
//!
//! `benches/README.md` says how to run it and what is measured.

#[path = "replay/peer.rs"]
mod peer;
#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use comfy_table::{Table, presets};
use isolane::load::block_pack::FORMAT;
use isolane::load::typed;
use isolane::replay::{Inputs, Options, find, replay};
use isolane::report::Verdict;
use peer::Replayed;
use rayon::prelude::*;
use serde::Serialize;
use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use support::facts::Facts;
use support::{Spread, process_time, setting};

/// A pass of either side.
#[derive(Clone, Copy, Default)]
struct Pass {
    wall: Duration,
    cpu: Duration,
    stages: Replayed,
}

#[derive(Serialize)]
struct Row {
    what: &'static str,
    isolane_ms: Spread,
    revm_ms: Spread,
    /// revm's time over isolane's, pair by pair: above 1, isolane is faster.
    ratio: Spread,
}

#[derive(Serialize)]
struct Report {
    schema: u32,
    facts: Facts,
    packs: usize,
    transactions: usize,
    gas: u64,
    pairs: usize,
    rows: Vec<Row>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let pairs = setting("ISOLANE_PAIRS", 7)?.max(1);
    let inputs = inputs()?;
    let facts = Facts::gather();
    let one = measure(&inputs, 1, pairs)?;
    let all = measure(&inputs, facts.threads, pairs)?;
    let of = |passes: &[(Pass, Pass)], what, get: &dyn Fn(&Pass) -> Duration| Row {
        what,
        isolane_ms: Spread::of(passes.iter().map(|(a, _)| get(a).as_secs_f64() * 1e3).collect()),
        revm_ms: Spread::of(passes.iter().map(|(_, b)| get(b).as_secs_f64() * 1e3).collect()),
        ratio: Spread::of(passes.iter().map(|(a, b)| get(b).as_secs_f64() / get(a).as_secs_f64()).collect()),
    };
    let rows = vec![
        of(&all, "whole pipeline, all threads, wall", &|pass| pass.wall),
        of(&all, "whole pipeline, all threads, CPU", &|pass| pass.cpu),
        of(&one, "whole pipeline, one thread, CPU", &|pass| pass.cpu),
        of(&one, "of that: load", &|pass| pass.stages.load),
        of(&one, "of that: recover senders", &|pass| pass.stages.recover),
        of(&one, "of that: execute", &|pass| pass.stages.execute),
        of(&one, "of that: verify", &|pass| pass.stages.verify),
    ];
    let stages = one.first().map(|(_, revm)| revm.stages).unwrap_or_default();
    let report = Report {
        schema: 1,
        facts,
        packs: inputs.packs.len(),
        transactions: stages.transactions,
        gas: stages.gas,
        pairs,
        rows,
    };
    show(&report)
}

/// The block packs of `ISOLANE_BLOCKS`, or the bundled ones.
fn inputs() -> Result<Inputs, Box<dyn Error>> {
    let bundled = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/blocks");
    let folder = std::env::var_os("ISOLANE_BLOCKS").map_or_else(bundled, PathBuf::from);
    let mut inputs = find(&[folder])?;
    // Both sides replay blocks from their recorded pre-state: no witnesses, no single transactions.
    inputs.witnesses.clear();
    let mut packs = Vec::new();
    for path in std::mem::take(&mut inputs.packs) {
        let text = typed::read(&path)?;
        if text.get(..256).unwrap_or(&text).windows(FORMAT.len()).any(|window| window == FORMAT.as_bytes()) {
            packs.push(path);
        }
    }
    inputs.packs = packs;
    Ok(inputs)
}

/// Interleaved pairs (isolane, revm), each side first every other time.
fn measure(inputs: &Inputs, threads: usize, pairs: usize) -> Result<Vec<(Pass, Pass)>, Box<dyn Error>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let isolane = || isolane_pass(inputs, threads);
    let revm = || revm_pass(inputs, &pool);
    // Once each for the file cache and the allocator.
    let (a, b) = (isolane()?, revm()?);
    if (a.stages.gas, a.stages.transactions) != (b.stages.gas, b.stages.transactions) {
        return Err(format!("the sides differ: isolane {:?}, revm {:?}", a.stages, b.stages).into());
    }
    let mut passes = Vec::new();
    for pair in 0..pairs {
        passes.push(if pair % 2 == 0 {
            let first = isolane()?;
            (first, revm()?)
        } else {
            let first = revm()?;
            (isolane()?, first)
        });
    }
    Ok(passes)
}

fn isolane_pass(inputs: &Inputs, threads: usize) -> Result<Pass, Box<dyn Error>> {
    let options = Options { threads, ..Options::default() };
    let mut problem = None;
    let (start, cpu) = (Instant::now(), process_time());
    let summary = replay(inputs, &options, |report| {
        if !matches!(report.verdict, Verdict::Match) {
            problem.get_or_insert(report.file);
        }
    })?;
    let (wall, cpu) = (start.elapsed(), process_time() - cpu);
    if let Some(file) = problem {
        return Err(format!("{file}: isolane does not match, nothing was timed").into());
    }
    let times = summary.times;
    let total = summary.total;
    let stages = Replayed {
        load: times.load,
        recover: times.recover,
        execute: times.execute,
        verify: times.verify,
        gas: total.gas,
        transactions: usize::try_from(total.transactions)?,
    };
    Ok(Pass { wall, cpu, stages })
}

fn revm_pass(inputs: &Inputs, pool: &rayon::ThreadPool) -> Result<Pass, Box<dyn Error>> {
    let (start, cpu) = (Instant::now(), process_time());
    let stages = pool.install(|| {
        inputs
            .packs
            .par_iter()
            .with_max_len(1)
            .map(|path| peer::replay(path))
            .try_reduce(Replayed::default, |a, b| Ok(a.add(b)))
    })?;
    Ok(Pass { wall: start.elapsed(), cpu: process_time() - cpu, stages })
}

const HEADER: [&str; 4] = ["", "isolane ms", "revm ms", "revm / isolane"];

fn show(report: &Report) -> Result<(), Box<dyn Error>> {
    let cells = |row: &Row| [row.what.to_owned(), row.isolane_ms.show(1), row.revm_ms.show(1), row.ratio.show(2)];
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(HEADER);
    report.rows.iter().for_each(|row| {
        table.add_row(cells(row));
    });
    println!("{}\n{table}", report.facts.markdown());
    let mut text = format!(
        "# Replaying {} blocks ({} transactions, {} gas): isolane against a plain loop over revm\n\nMedian \
         (minimum-maximum) of {} interleaved pairs. Both read, decompress and parse the packs, recover the senders with \
         libsecp256k1, execute with system calls, and check gas used, bloom and receipts root. isolane also refuses \
         duplicate keys, checks the block's and the transactions' hashes, withdrawals and rewards, and compares every \
         receipt and the recorded post-state.\n\n{}\n",
        report.packs,
        report.transactions,
        report.gas,
        report.pairs,
        report.facts.markdown()
    );
    writeln!(text, "| {} |\n|{}", HEADER.join(" | "), " --- |".repeat(HEADER.len()))?;
    for row in &report.rows {
        writeln!(text, "| {} |", cells(row).join(" | "))?;
    }
    support::write_results("replay", &text, report)
}
