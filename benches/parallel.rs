//! Blocks whose transactions are executed ahead in parallel against the same blocks one by one, in interleaved pairs.
//!
//! `benches/README.md` says how to run it. Only the execution is timed, wall clock; a difference in receipts stops it.

use isolane::replay::{Inputs, Options, ParallelTransactions, find, replay};
use isolane::report::{InputReport, Verdict};
use std::error::Error;
use std::path::PathBuf;

/// Turns of a pair are repeated until they have taken so many milliseconds in all, or so often.
const LONG_ENOUGH: f64 = 40.0;
const MOST_TURNS: u32 = 60;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn run(inputs: &Inputs, threads: usize, parallel: ParallelTransactions) -> Result<InputReport, Box<dyn Error>> {
    let options = Options { threads, keep_receipts: true, parallel_transactions: parallel, ..Options::default() };
    let mut last = None;
    replay(inputs, &options, |report| last = Some(report))?;
    last.ok_or_else(|| "a pack without a report".into())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::var_os("ISOLANE_BLOCKS").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/blocks"));
    let (pairs, threads) = (number("ISOLANE_PAIRS", 7).max(1), number("ISOLANE_THREADS", 2));
    let mut inputs = find(&[folder])?;
    let packs = std::mem::take(&mut inputs.packs);
    let (mut one_total, mut ahead_total, mut ratios) = (0.0, 0.0, Vec::new());
    println!("{threads} threads, {pairs} pairs; the median of each block, one by one / ahead");
    for pack in packs {
        inputs.packs = vec![pack];
        let (mut one, mut ahead, mut pair_ratios) = (Vec::new(), Vec::new(), Vec::new());
        let mut about = String::new();
        for pair in 0..pairs {
            let order = [ParallelTransactions::Off, ParallelTransactions::Auto];
            let mut times = [f64::INFINITY; 2];
            let mut receipts = [const { String::new() }; 2];
            // Of a short block the shortest of several turns counts: another process would weigh more than it.
            let mut turn = 0;
            while turn < 2 || turn < MOST_TURNS && times.iter().sum::<f64>() * f64::from(turn) < LONG_ENOUGH {
                // Neither side always comes first.
                let side = (turn as usize + pair) % 2;
                let report = run(&inputs, threads, order[side])?;
                if !matches!(report.verdict, Verdict::Match) {
                    return Err(format!("{}: {:?}", report.file, report.verdict).into());
                }
                times[side] = times[side].min(report.times.execute.as_secs_f64() * 1e3);
                receipts[side] = format!("{:?}", report.receipts);
                about = format!("{} ({} transactions)", report.file, report.transactions);
                turn += 1;
            }
            if receipts[0] != receipts[1] {
                return Err(format!("{about}: the receipts differ").into());
            }
            one.push(times[0]);
            ahead.push(times[1]);
            pair_ratios.push(times[0] / times[1]);
        }
        let ratio = median(pair_ratios);
        let (one, ahead) = (median(one), median(ahead));
        println!("{ratio:6.2}  {one:9.2} ms {ahead:9.2} ms  {about}");
        one_total += one;
        ahead_total += ahead;
        ratios.push(ratio);
    }
    let worst = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    println!("{} blocks: {one_total:.1} ms one by one, {ahead_total:.1} ms ahead", ratios.len());
    println!("all {:.2}, median {:.2}, worst {worst:.2}", one_total / ahead_total, median(ratios));
    Ok(())
}
