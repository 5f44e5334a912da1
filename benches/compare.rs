//! isolane against revm, side by side: one table, and the same as JSON and Markdown in `benches/results`.
//!
//! `benches/README.md` says how to run it and what is measured.

#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use comfy_table::{CellAlignment, Table, presets};
use isolane::bench::facts::{self, Facts};
use isolane::cpu::Machine;
use isolane::load::workload::Workload;
use isolane::report::{Ratios, ratios};
use revm::context::TxEnv;
use serde::Serialize;
use std::error::Error;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};
use support::peer::{self, Peer, PeerState};
use support::{Spread, Totals, run_isolane, setting, thread_time, verify, workload_files, write_chart, write_results};

/// Transactions that a worker takes at a time.
const CHUNK: usize = 16;

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
struct Row {
    workload: String,
    batch: usize,
    threads: usize,
    /// CPU time on one thread, wall time on several, of one transaction.
    isolane_ns: Spread,
    revm_ns: Spread,
    /// revm's time over isolane's, pair by pair: above 1, isolane is faster.
    ratio: Spread,
    /// The same of the CPU time of all threads, which other work on the machine disturbs less.
    cpu_ratio: Spread,
    instructions_per_transaction: f64,
    isolane_instructions_per_second: f64,
    isolane_mgas_per_second: f64,
    revm_mgas_per_second: f64,
}

#[derive(Serialize)]
struct Report {
    schema: u32,
    facts: Facts,
    pairs: usize,
    pass_ms: usize,
    rows: Vec<Row>,
}

/// How often and how long.
#[derive(Clone, Copy)]
struct Plan {
    pairs: usize,
    pass: Duration,
}

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench -- NAME` runs the workloads whose name contains NAME; cargo itself passes `--bench`.
    let filter: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let pass_ms = setting("ISOLANE_PASS_MS", 40)?;
    let plan = Plan { pairs: setting("ISOLANE_PAIRS", 11)?.max(1), pass: Duration::from_millis(pass_ms as u64) };
    let batches = batches()?;
    let facts = Facts::gather(facts::BENCH);
    let mut rows: Vec<Row> = Vec::new();
    for file in workload_files()? {
        let base = Workload::read(&file)?;
        if !filter.is_empty() && !filter.iter().any(|part| base.name.contains(part.as_str())) {
            continue;
        }
        for batch in &batches {
            let workload = base.widen(batch.unwrap_or(base.transactions.len()));
            rows.extend(measure(&workload, facts.threads, plan)?);
        }
    }
    println!("{}", facts.markdown());
    println!("{}", table(&rows));
    let report = Report { schema: 1, facts, pairs: plan.pairs, pass_ms, rows };
    write(&report)
}

/// The sizes in `ISOLANE_BATCH`, separated by commas; the files' own by default.
fn batches() -> Result<Vec<Option<usize>>, Box<dyn Error>> {
    let Ok(text) = std::env::var("ISOLANE_BATCH") else { return Ok(vec![None]) };
    let size = |part: &str| match part.trim().parse() {
        Ok(size) if size > 0 => Ok(Some(size)),
        _ => Err(format!("ISOLANE_BATCH: expected sizes separated by commas, got {part:?}").into()),
    };
    text.split(',').map(size).collect()
}

fn measure(workload: &Workload, threads: usize, plan: Plan) -> Result<Vec<Row>, Box<dyn Error>> {
    let steps = verify(workload)?;
    eprintln!("{}: {} transactions, outcomes equal", workload.name, workload.transactions.len());
    let state = PeerState::new(workload);
    let mut rows = vec![one_thread(workload, &state, steps, plan)?];
    if threads > 1 && workload.transactions.len() > 1 {
        rows.push(many_threads(workload, &state, steps, threads, plan)?);
    }
    Ok(rows)
}

fn one_thread(workload: &Workload, state: &PeerState, steps: u64, plan: Plan) -> Result<Row, Box<dyn Error>> {
    let environment = workload.environment();
    let mut machine = Machine::new(environment.clone());
    let mut peer = Peer::new(&environment, state).expect("Cancun");
    let transactions = peer::transactions(workload);
    let mut isolane = |repeat: usize| {
        let mut totals = Totals::default();
        let start = thread_time();
        for _ in 0..repeat {
            totals += run_isolane(&mut machine, &workload.transactions);
        }
        let spent = thread_time() - start;
        (Taken { shown: spent, cpu: spent }, totals)
    };
    let mut revm = |repeat: usize| {
        let mut totals = Totals::default();
        let mut spent = Duration::ZERO;
        for _ in 0..repeat {
            let prepared = transactions.clone();
            let start = thread_time();
            totals += peer.run(prepared);
            spent += thread_time() - start;
        }
        (Taken { shown: spent, cpu: spent }, totals)
    };
    pairs(workload, steps, 1, plan, &mut isolane, &mut revm)
}

fn many_threads(
    workload: &Workload,
    state: &PeerState,
    steps: u64,
    threads: usize,
    plan: Plan,
) -> Result<Row, Box<dyn Error>> {
    let environment = workload.environment();
    let prepared = peer::transactions(workload);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    // Each worker makes its own executor, waits for the others, then takes chunks until none is left.
    let mut isolane = |repeat: usize| {
        shared_pass(&pool, workload.transactions.len(), repeat, |next| {
            let mut machine = Machine::new(environment.clone());
            machine.transact(&workload.transactions[0], support::UNLIMITED).expect("the state is complete");
            next.work(|_, range| run_isolane(&mut machine, &workload.transactions[range]))
        })
    };
    let mut revm = |repeat: usize| {
        // revm consumes its transactions: they are copied before the clock starts.
        let size = prepared.len();
        let chunk = chunk_of(size);
        let copies: Vec<Mutex<Vec<TxEnv>>> = (0..size.div_ceil(chunk) * repeat)
            .map(|index| Mutex::new(prepared[range_of(index, size)].to_vec()))
            .collect();
        shared_pass(&pool, size, repeat, |next| {
            let mut peer = Peer::new(&environment, state).expect("Cancun");
            peer.run(prepared.first().cloned());
            next.work(|index, _| {
                let copy = std::mem::take(&mut *copies[index].lock().expect("no worker panicked"));
                peer.run(copy)
            })
        })
    };
    pairs(workload, steps, threads, plan, &mut isolane, &mut revm)
}

/// The work of a pass that several threads share.
struct Shared {
    barrier: Barrier,
    next: AtomicUsize,
    size: usize,
    repeat: usize,
}

impl Shared {
    /// Runs chunks, given their number and their transactions, until none is left.
    fn work(&self, mut run: impl FnMut(usize, Range<usize>) -> Totals) -> (Taken, Totals) {
        let chunks = self.size.div_ceil(chunk_of(self.size)) * self.repeat;
        let mut totals = Totals::default();
        self.barrier.wait();
        let (start, cpu) = (Instant::now(), thread_time());
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= chunks {
                return (Taken { shown: start.elapsed(), cpu: thread_time() - cpu }, totals);
            }
            totals += run(index, range_of(index, self.size));
        }
    }
}

/// Transactions of a chunk: few enough that all workers of a small batch have some.
fn chunk_of(size: usize) -> usize {
    CHUNK.min(size.div_ceil(4)).max(1)
}

/// The transactions of a chunk; the chunks of a batch repeat.
fn range_of(index: usize, size: usize) -> Range<usize> {
    let chunk = chunk_of(size);
    let first = index % size.div_ceil(chunk) * chunk;
    first..size.min(first + chunk)
}

fn shared_pass(
    pool: &rayon::ThreadPool,
    size: usize,
    repeat: usize,
    worker: impl Fn(&Shared) -> (Taken, Totals) + Sync,
) -> (Taken, Totals) {
    let threads = pool.current_num_threads();
    let shared = Shared { barrier: Barrier::new(threads), next: AtomicUsize::new(0), size, repeat };
    let results = pool.broadcast(|_| worker(&shared));
    let mut totals = Totals::default();
    let mut taken = Taken::default();
    for (spent, part) in results {
        taken = Taken { shown: taken.shown.max(spent.shown), cpu: taken.cpu + spent.cpu };
        totals += part;
    }
    (taken, totals)
}

/// What a pass took.
#[derive(Clone, Copy, Default)]
struct Taken {
    /// The figure that is shown: CPU time on one thread, wall time on several.
    shown: Duration,
    /// CPU time of all threads.
    cpu: Duration,
}

type Pass<'a> = &'a mut dyn FnMut(usize) -> (Taken, Totals);

/// Interleaved pairs of passes, each side first every other time.
fn pairs(
    workload: &Workload,
    steps: u64,
    threads: usize,
    plan: Plan,
    isolane: Pass<'_>,
    revm: Pass<'_>,
) -> Result<Row, Box<dyn Error>> {
    let size = workload.transactions.len();
    let (probe, gas) = revm(1);
    let (_, same) = isolane(1);
    if gas != same {
        return Err(format!("{}: the passes differ: revm {gas:?}, isolane {same:?}", workload.name).into());
    }
    let repeat = (plan.pass.as_secs_f64() / probe.shown.as_secs_f64().max(1e-9)).ceil().clamp(1.0, 1e6) as usize;
    let per = (repeat * size) as f64 / 1e9;
    let (mut ours, mut theirs, mut ratios, mut cpu_ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for pair in 0..plan.pairs {
        let ((a, x), (b, y)) = if pair % 2 == 0 {
            let first = isolane(repeat);
            (first, revm(repeat))
        } else {
            let first = revm(repeat);
            (isolane(repeat), first)
        };
        if x != y {
            return Err(format!("{}: the passes differ: isolane {x:?}, revm {y:?}", workload.name).into());
        }
        ours.push(a.shown.as_secs_f64() / per);
        theirs.push(b.shown.as_secs_f64() / per);
        ratios.push(b.shown.as_secs_f64() / a.shown.as_secs_f64());
        cpu_ratios.push(b.cpu.as_secs_f64() / a.cpu.as_secs_f64());
    }
    let (isolane_ns, revm_ns) = (Spread::of(ours), Spread::of(theirs));
    let instructions = steps as f64 / size as f64;
    let mgas = gas.gas as f64 / size as f64 / 1e6;
    Ok(Row {
        workload: workload.name.clone(),
        batch: size,
        threads,
        isolane_ns,
        revm_ns,
        ratio: Spread::of(ratios),
        cpu_ratio: Spread::of(cpu_ratios),
        instructions_per_transaction: instructions,
        isolane_instructions_per_second: instructions / isolane_ns.median * 1e9,
        isolane_mgas_per_second: mgas / isolane_ns.median * 1e9,
        revm_mgas_per_second: mgas / revm_ns.median * 1e9,
    })
}

const HEADER: [&str; 10] = [
    "workload",
    "batch",
    "threads",
    "isolane ns/tx",
    "revm ns/tx",
    "revm / isolane",
    "of CPU time",
    "instructions/tx",
    "M instructions/s",
    "Mgas/s (revm)",
];

fn cells(row: &Row) -> [String; 10] {
    [
        row.workload.clone(),
        row.batch.to_string(),
        row.threads.to_string(),
        row.isolane_ns.show(0),
        row.revm_ns.show(0),
        row.ratio.show(2),
        row.cpu_ratio.show(2),
        format!("{:.0}", row.instructions_per_transaction),
        format!("{:.0}", row.isolane_instructions_per_second / 1e6),
        format!("{:.0} ({:.0})", row.isolane_mgas_per_second, row.revm_mgas_per_second),
    ]
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(HEADER);
    for row in rows {
        table.add_row(cells(row));
    }
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

fn write(report: &Report) -> Result<(), Box<dyn Error>> {
    let mut text = format!(
        "# isolane against revm\n\nMedian (minimum-maximum) of {} interleaved pairs of passes of about {} ms; one \
         thread: CPU time, several: wall time. Execution alone, validation and fees included; signatures, roots and \
         loading left out. Outcomes were compared in full before the measurement.\n\n{}\n",
        report.pairs,
        report.pass_ms,
        report.facts.markdown()
    );
    writeln!(text, "| {} |\n|{}", HEADER.join(" | "), " --- |".repeat(HEADER.len()))?;
    for row in &report.rows {
        writeln!(text, "| {} |", cells(row).join(" | "))?;
    }
    write_results("compare", &text, report)?;
    let rows: Vec<Ratios> = report
        .rows
        .iter()
        .filter(|row| row.threads == 1)
        .map(|row| {
            let all = report
                .rows
                .iter()
                .find(|other| other.threads > 1 && (&other.workload, other.batch) == (&row.workload, row.batch));
            Ratios { name: row.workload.clone(), values: vec![Some(row.ratio.median), all.map(|row| row.ratio.median)] }
        })
        .collect();
    write_chart("compare", &ratios(&["one thread", "all threads"], &rows)?)
}
