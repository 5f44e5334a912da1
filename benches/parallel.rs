//! Blocks whose transactions are executed ahead in parallel against the same blocks one by one, in interleaved pairs.
//!
//! `benches/README.md` says how to run it. Only the execution is timed, wall clock; a difference in receipts stops it.

use isolane::replay::{Inputs, Options, ParallelTransactions, find, replay};
use isolane::report::{InputReport, Verdict};
use std::error::Error;
use std::path::PathBuf;

/// A block's turns are repeated until they have taken so many milliseconds in all, or so often.
const LONG_ENOUGH: f64 = 600.0;
const MOST_TURNS: usize = 200;

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
    let (least, threads) = (number("ISOLANE_TURNS", 9).max(1), number("ISOLANE_THREADS", 2));
    let mut inputs = find(&[folder])?;
    let packs = std::mem::take(&mut inputs.packs);
    let (mut one_total, mut ahead_total, mut ratios, mut noises) = (0.0, 0.0, Vec::new(), Vec::new());
    println!("{threads} threads; one by one against ahead, the same against itself, and their median times");
    for pack in packs {
        inputs.packs = vec![pack];
        // One by one twice: how far these two are apart tells the noise.
        let sides = [ParallelTransactions::Off, ParallelTransactions::Auto, ParallelTransactions::Off];
        let mut times = [const { Vec::new() }; 3];
        let mut first_receipts = None;
        let (mut about, mut turn, mut whole) = (String::new(), 0, 0.0);
        while turn < least || turn < MOST_TURNS && whole < LONG_ENOUGH {
            for place in 0..sides.len() {
                // No side always comes first.
                let side = (place + turn) % sides.len();
                let report = run(&inputs, threads, sides[side])?;
                if !matches!(report.verdict, Verdict::Match) {
                    return Err(format!("{}: {:?}", report.file, report.verdict).into());
                }
                let time = report.times.execute.as_secs_f64() * 1e3;
                whole += time;
                times[side].push(time);
                let receipts = format!("{:?}", report.receipts);
                about = format!("{} ({} transactions)", report.file, report.transactions);
                if *first_receipts.get_or_insert_with(|| receipts.clone()) != receipts {
                    return Err(format!("{about}: the receipts differ").into());
                }
            }
            turn += 1;
        }
        let [one, ahead, again] = times.map(median);
        let noise = one / again;
        let one = one.midpoint(again);
        let ratio = one / ahead;
        println!("{ratio:6.2} {noise:6.2}  {one:9.2} ms {ahead:9.2} ms  {about}");
        one_total += one;
        ahead_total += ahead;
        ratios.push(ratio);
        noises.push(noise);
    }
    let worst = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    println!("{} blocks: {one_total:.1} ms one by one, {ahead_total:.1} ms ahead", ratios.len());
    println!("all {:.2}, median {:.2}, worst {worst:.2}", one_total / ahead_total, median(ratios));
    let (low, high) = noises.iter().fold((f64::INFINITY, 0.0), |(low, high), noise| (noise.min(low), noise.max(high)));
    println!("one by one against itself: {low:.2} to {high:.2}");
    Ok(())
}
