//! isolane's replay of block packs against a plain loop over revm, side by side: the whole pipeline and by stage.
//!
//! `benches/README.md` says how to run it and what is measured.

#[path = "replay/peer.rs"]
mod peer;
#[path = "replay/stages.rs"]
mod stages;
#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use comfy_table::{Table, presets};
use isolane::bench::facts::{self, Facts};
use isolane::load::block_pack::FORMAT;
use isolane::load::typed;
use isolane::replay::{Inputs, Options, find, replay};
use isolane::report::Verdict;
use peer::Replayed;
use rayon::prelude::*;
use serde::Serialize;
use stages::Stages;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::{Spread, process_time, setting};

/// A pass of either side.
#[derive(Default)]
struct Pass {
    wall: Duration,
    cpu: Duration,
    stages: Replayed,
    /// Execution and verification of each pack, by its file.
    packs: BTreeMap<String, Duration>,
}

/// Packs that are listed at each end.
const LISTED: usize = 6;

/// One pack, execution and verification together.
#[derive(Serialize)]
struct PackRow {
    pack: String,
    isolane_ms: Spread,
    revm_ms: Spread,
    ratio: Spread,
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
    stages: Vec<Stages>,
    packs_by_ratio: Vec<PackRow>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let pairs = setting("ISOLANE_PAIRS", 7)?.max(1);
    let inputs = inputs()?;
    let facts = Facts::gather(facts::BENCH);
    let one = measure(&inputs, [1, 1], pairs)?;
    let all = measure(&inputs, [facts.threads; 2], pairs)?;
    let plain = measure(&inputs, [facts.threads, 1], pairs)?;
    let of = |passes: &[(Pass, Pass)], what, get: &dyn Fn(&Pass) -> Duration| Row {
        what,
        isolane_ms: Spread::of(passes.iter().map(|(a, _)| get(a).as_secs_f64() * 1e3).collect()),
        revm_ms: Spread::of(passes.iter().map(|(_, b)| get(b).as_secs_f64() * 1e3).collect()),
        ratio: Spread::of(passes.iter().map(|(a, b)| get(b).as_secs_f64() / get(a).as_secs_f64()).collect()),
    };
    let rows = vec![
        of(&plain, "whole pipeline, wall: isolane as it comes, revm block after block", &|pass| pass.wall),
        of(&all, "whole pipeline, wall: both on all threads", &|pass| pass.wall),
        of(&all, "whole pipeline, CPU: both on all threads", &|pass| pass.cpu),
        of(&one, "whole pipeline, CPU: both on one thread", &|pass| pass.cpu),
        of(&one, "of that: load", &|pass| pass.stages.load),
        of(&one, "of that: recover senders", &|pass| pass.stages.recover),
        of(&one, "of that: execute", &|pass| pass.stages.execute),
        of(&one, "of that: verify", &|pass| pass.stages.verify),
        of(&one, "execute and verify (isolane computes blooms and roots while it executes)", &|pass| {
            pass.stages.execute + pass.stages.verify
        }),
    ];
    let total = one.first().map(|(_, revm)| revm.stages).unwrap_or_default();
    let threads = facts.threads;
    let report = Report {
        schema: 2,
        facts,
        packs: inputs.packs.len(),
        transactions: total.transactions,
        gas: total.gas,
        pairs,
        rows,
        stages: stages::measure(&inputs, threads, pairs)?,
        packs_by_ratio: packs_by_ratio(&one),
    };
    show(&report)
}

fn packs_by_ratio(passes: &[(Pass, Pass)]) -> Vec<PackRow> {
    let Some((first, _)) = passes.first() else { return Vec::new() };
    let row = |pack: &String| {
        let times: Vec<(f64, f64)> = passes
            .iter()
            .filter_map(|(a, b)| Some((a.packs.get(pack)?.as_secs_f64() * 1e3, b.packs.get(pack)?.as_secs_f64() * 1e3)))
            .collect();
        (!times.is_empty()).then(|| PackRow {
            pack: pack.clone(),
            isolane_ms: Spread::of(times.iter().map(|(a, _)| *a).collect()),
            revm_ms: Spread::of(times.iter().map(|(_, b)| *b).collect()),
            ratio: Spread::of(times.iter().map(|(a, b)| b / a).collect()),
        })
    };
    let mut rows: Vec<PackRow> = first.packs.keys().filter_map(row).collect();
    rows.sort_by(|a, b| a.ratio.median.total_cmp(&b.ratio.median));
    rows
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

/// Interleaved pairs (isolane, revm) on so many threads each, each side first every other time.
fn measure(inputs: &Inputs, threads: [usize; 2], pairs: usize) -> Result<Vec<(Pass, Pass)>, Box<dyn Error>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads[1]).build()?;
    let isolane = || isolane_pass(inputs, threads[0]);
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
    let (mut problem, mut packs) = (None, BTreeMap::new());
    let (start, cpu) = (Instant::now(), process_time());
    let summary = replay(inputs, &options, |report| {
        if !matches!(report.verdict, Verdict::Match) {
            problem.get_or_insert(report.file);
            return;
        }
        packs.insert(pack_name(report.file.as_ref()), report.times.execute + report.times.verify);
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
    Ok(Pass { wall, cpu, stages, packs })
}

fn revm_pass(inputs: &Inputs, pool: &rayon::ThreadPool) -> Result<Pass, Box<dyn Error>> {
    let (start, cpu) = (Instant::now(), process_time());
    let done = pool.install(|| {
        let packs = inputs.packs.par_iter().with_max_len(1);
        packs.map(|path| Ok((pack_name(path), peer::replay(path)?))).collect::<Result<Vec<_>, String>>()
    })?;
    let (wall, cpu) = (start.elapsed(), process_time() - cpu);
    let stages = done.iter().map(|(_, one)| *one).fold(Replayed::default(), Replayed::add);
    let packs = done.into_iter().map(|(name, one)| (name, one.execute + one.verify)).collect();
    Ok(Pass { wall, cpu, stages, packs })
}

fn pack_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().trim_end_matches(".json.zst").to_owned())
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
         receipt and the recorded post-state. On more than one thread the loop over revm takes one pack a thread.\n\n{}\n",
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
    let shares = stages::markdown(&report.stages);
    println!("{shares}");
    writeln!(
        text,
        "\n`isolane replay` on the same packs, from the start of the process to its end, on {} threads; stages are summed over \
         threads:\n\n{shares}",
        report.facts.threads
    )?;
    let packs = &report.packs_by_ratio;
    writeln!(text, "\nPacks where isolane does worst and best, execution and verification together:\n")?;
    writeln!(text, "| pack | {} |\n|{}", HEADER[1..].join(" | "), " --- |".repeat(HEADER.len()))?;
    let listed = packs.len().min(LISTED);
    for row in packs[..listed].iter().chain(&packs[listed.max(packs.len() - listed)..]) {
        let cells = [row.pack.clone(), row.isolane_ms.show(2), row.revm_ms.show(2), row.ratio.show(2)];
        println!("{}", cells.join("  "));
        writeln!(text, "| {} |", cells.join(" | "))?;
    }
    support::write_results("replay", &text, report)
}
