//! Blocks whose transactions are executed ahead in parallel against the same blocks one by one, in interleaved turns.
//!
//! `benches/README.md` says how to run it. Only the execution is timed, wall clock; a difference in receipts stops it.

#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use isolane::bench::facts::{self, Facts};
use isolane::replay::{Inputs, Options, ParallelTransactions, find, replay};
use isolane::report::{InputReport, Verdict};
use serde::Serialize;
use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use support::setting;

/// What executing ahead must not fall below.
const LEAST_RATIO: f64 = 0.95;
/// A block is measured until it is told from [`LEAST_RATIO`], or this many times.
const MOST_TURNS: usize = 600;
/// Milliseconds after which it is left undecided.
const LONG_ENOUGH: f64 = 20_000.0;
/// Milliseconds or turns that every block gets, decided or not.
const AT_LEAST: (f64, usize) = (600.0, 150);
/// Blocks that take less, in milliseconds, are counted and not listed.
const LISTED: f64 = 2.0;

/// The median of some ratios, and between which bounds the true one lies with a probability of 99.9%, whatever their distribution
/// (order statistics; the normal approximation of the binomial).
#[derive(Clone, Copy, Debug, Serialize)]
struct Median {
    median: f64,
    low: f64,
    high: f64,
}

impl Median {
    fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let reach = 0.5 * 3.29 * (count as f64).sqrt();
        let at = |rank: f64| sorted.get((rank.max(0.0) as usize).min(count.saturating_sub(1))).copied().unwrap_or(1.0);
        let middle = count as f64 / 2.0;
        Self { median: at(middle), low: at(middle - reach), high: at(middle + reach) }
    }

    fn is_decided(self) -> bool {
        self.low >= LEAST_RATIO || self.high < LEAST_RATIO
    }

    fn show(self) -> String {
        format!("{:.2} ({:.2}-{:.2})", self.median, self.low, self.high)
    }
}

/// A block.
#[derive(Serialize)]
struct Row {
    block: String,
    transactions: u64,
    turns: usize,
    one_by_one_ms: f64,
    ahead_ms: f64,
    /// One by one over ahead, turn by turn: above 1, ahead is faster.
    ratio: Median,
    /// One by one over one by one.
    noise: Median,
}

#[derive(Serialize)]
struct Report {
    schema: u32,
    facts: Facts,
    threads: usize,
    rows: Vec<Row>,
}

fn run(inputs: &Inputs, threads: usize, parallel: ParallelTransactions) -> Result<InputReport, Box<dyn Error>> {
    let options = Options { threads, keep_receipts: true, parallel_transactions: parallel, ..Options::default() };
    let mut last = None;
    replay(inputs, &options, |report| last = Some(report))?;
    last.ok_or_else(|| "a pack without a report".into())
}

/// Turns of one block.
fn measure(inputs: &Inputs, threads: usize, least: usize) -> Result<Row, Box<dyn Error>> {
    // One by one twice: how far these two are apart tells the noise.
    let sides = [ParallelTransactions::Off, ParallelTransactions::Auto, ParallelTransactions::Off];
    let (mut ratios, mut noises, mut times) = (Vec::new(), Vec::new(), [const { Vec::new() }; 2]);
    let mut receipts = None;
    let (mut block, mut transactions, mut whole) = (String::new(), 0, 0.0);
    let mut ratio = Median::of(&[]);
    while ratios.len() < least
        || whole < AT_LEAST.0 && ratios.len() < AT_LEAST.1
        || !ratio.is_decided() && whole < LONG_ENOUGH && ratios.len() < MOST_TURNS
    {
        let mut turn = [0.0; 3];
        for place in 0..sides.len() {
            // No side always comes first.
            let side = (place + ratios.len()) % sides.len();
            let report = run(inputs, threads, sides[side])?;
            if !matches!(report.verdict, Verdict::Match) {
                return Err(format!("{}: {:?}", report.file, report.verdict).into());
            }
            turn[side] = report.times.execute.as_secs_f64() * 1e3;
            let got = format!("{:?}", report.receipts);
            if *receipts.get_or_insert_with(|| got.clone()) != got {
                return Err(format!("{}: the receipts differ", report.file).into());
            }
            let name = report.file.rsplit('/').next().unwrap_or_default();
            (block, transactions) = (name.trim_end_matches(".json.zst").to_owned(), report.transactions as u64);
        }
        let [one, ahead, again] = turn;
        whole += one + ahead + again;
        times[0].push(one.midpoint(again));
        times[1].push(ahead);
        ratios.push(one.midpoint(again) / ahead);
        noises.push(one / again);
        ratio = Median::of(&ratios);
    }
    let [one_by_one_ms, ahead_ms] = times.map(|times| Median::of(&times).median);
    Ok(Row { block, transactions, turns: ratios.len(), one_by_one_ms, ahead_ms, ratio, noise: Median::of(&noises) })
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::var_os("ISOLANE_BLOCKS").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/blocks"));
    let (least, threads) = (setting("ISOLANE_TURNS", 41)?.max(1), setting("ISOLANE_THREADS", 2)?);
    let facts = Facts::gather(facts::BENCH);
    let mut inputs = find(&[folder])?;
    let packs = std::mem::take(&mut inputs.packs);
    println!(
        "{threads} threads; one by one against ahead, and against itself, in brackets where the median lies for certain"
    );
    let mut rows = Vec::new();
    for pack in packs {
        inputs.packs = vec![pack];
        let row = measure(&inputs, threads, least)?;
        println!(
            "{}  {}  {:9.2} ms {:9.2} ms  {} ({} transactions, {} turns)",
            row.ratio.show(),
            row.noise.show(),
            row.one_by_one_ms,
            row.ahead_ms,
            row.block,
            row.transactions,
            row.turns
        );
        rows.push(row);
    }
    rows.sort_by(|a, b| b.one_by_one_ms.total_cmp(&a.one_by_one_ms));
    let report = Report { schema: 1, facts, threads, rows };
    let (summary, table) = (summary(&report), table(&report)?);
    println!("{summary}");
    let text = format!(
        "# Transactions ahead of their turn against one by one\n\n{summary}\n{}\n{table}",
        report.facts.markdown()
    );
    support::write_results("parallel", &text, &report)
}

fn summary(report: &Report) -> String {
    let rows = &report.rows;
    let sum = |get: fn(&Row) -> f64| rows.iter().map(get).sum::<f64>();
    let (one, ahead) = (sum(|row| row.one_by_one_ms), sum(|row| row.ahead_ms));
    let names = |chosen: fn(&&Row) -> bool| {
        let names: Vec<&str> = rows.iter().filter(chosen).map(|row| row.block.as_str()).collect();
        if names.is_empty() { "none".to_owned() } else { format!("{} ({})", names.len(), names.join(", ")) }
    };
    format!(
        "{} blocks on {} threads: {one:.1} ms one by one, {ahead:.1} ms ahead ({:.2}).\n\
         Below {LEAST_RATIO} for certain: {}. Not told from {LEAST_RATIO}: {}.\n\
         One by one below {LEAST_RATIO} of itself for certain: {}.\n\
         Faster by 5% or more for certain: {}.\n",
        rows.len(),
        report.threads,
        one / ahead,
        names(|row| row.ratio.high < LEAST_RATIO),
        names(|row| !row.ratio.is_decided()),
        names(|row| row.noise.high < LEAST_RATIO),
        names(|row| row.ratio.low >= 1.05),
    )
}

fn table(report: &Report) -> Result<String, std::fmt::Error> {
    let mut text = format!(
        "Wall time of the execution. Each turn runs a block three times, one by one, ahead, and one by one again, in changing order, and \
         compares all receipts. The ratio is that of a turn, above 1 where ahead is faster; its median, and in brackets the bounds within \
         which it lies with 99.9%. *Noise* is one by one against itself. A block is repeated until its median is told from {LEAST_RATIO}, \
         {MOST_TURNS} times or {} s at most. Those that take {LISTED} ms or more:\n\n\
         | block | transactions | turns | one by one, ms | ahead, ms | ratio | noise |\n|{}\n",
        LONG_ENOUGH / 1e3,
        " --- |".repeat(7)
    );
    for row in report.rows.iter().filter(|row| row.one_by_one_ms >= LISTED) {
        writeln!(
            text,
            "| {} | {} | {} | {:.2} | {:.2} | {} | {} |",
            row.block,
            row.transactions,
            row.turns,
            row.one_by_one_ms,
            row.ahead_ms,
            row.ratio.show(),
            row.noise.show()
        )?;
    }
    Ok(text)
}
