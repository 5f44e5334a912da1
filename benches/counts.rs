//! Machine instructions, cache misses and mispredicted branches of each transaction and of each EVM instruction, counted by
//! simulating a processor: figures that a noisy machine, or one without hardware counters, cannot disturb.
//!
//! Each side executes the workload in a process of its own under valgrind, once with one pass and once with three; the difference
//! is two passes, without what comes before them. `benches/README.md` says how to run it.

#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use isolane::bench::batch_of;
use isolane::bench::facts::{self, Facts};
use isolane::cpu::{Lockstep, Machine};
use isolane::load::workload::Workload;
use serde::Serialize;
use std::error::Error;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use support::peer::{self, Peer, PeerState};
use support::{run_isolane, setting, verify, workload_files, write_results};

/// The simulated caches: data and instructions of the first level, then what lies behind both.
const CACHES: [&str; 3] = ["--D1=49152,12,64", "--I1=32768,8,64", "--LL=2097152,16,64"];
/// Passes of the longer run; the shorter one has one.
const PASSES: usize = 3;
const SIDES: [&str; 3] = ["reference", "lockstep", "revm"];
/// Fewer lanes are executed by the reference.
const SMALLEST_GROUP: usize = 8;
/// Says that this is a process whose passes are counted.
const CHILD: &str = "--count-passes";

/// What was counted.
#[derive(Clone, Copy, Debug, Serialize)]
struct Counts {
    instructions: f64,
    first_level_misses: f64,
    last_level_misses: f64,
    mispredicted: f64,
}

/// One line of the table; all counts are of one transaction.
#[derive(Clone, Debug, Serialize)]
struct Row {
    workload: String,
    side: &'static str,
    lanes: usize,
    evm_instructions: f64,
    counts: Counts,
}

#[derive(Serialize)]
struct Report {
    schema: u32,
    facts: Facts,
    caches: [&'static str; 3],
    rows: Vec<Row>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, side, file, lanes, passes] = &arguments[..]
        && flag == CHILD
    {
        return run_passes(side, &Workload::read(Path::new(file))?.widen(lanes.parse()?), passes.parse()?);
    }
    let filter: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let steps = setting("ISOLANE_STEPS", 1_200_000)?;
    let mut rows = Vec::new();
    for file in workload_files()? {
        let base = Workload::read(&file)?;
        if !filter.is_empty() && !filter.iter().any(|part| base.name.contains(part.as_str())) {
            continue;
        }
        let each = verify(&base)? as f64 / base.transactions.len() as f64;
        let lanes = ((steps as f64 / each) as usize).clamp(1, 1_024);
        for side in SIDES {
            if side == "lockstep" && lanes < SMALLEST_GROUP {
                eprintln!("{}: {lanes} lanes form no group; raise ISOLANE_STEPS", base.name);
                continue;
            }
            let [one, more] = [1, PASSES].map(|passes| counted(side, &file, lanes, passes));
            let counts = between(one?, more?, (lanes * (PASSES - 1)) as f64);
            eprintln!("{}, {side}: {:.0} instructions a transaction", base.name, counts.instructions);
            rows.push(Row { workload: base.name.clone(), side, lanes, evm_instructions: each, counts });
        }
    }
    let facts = Facts::gather(facts::BENCH);
    let markdown = markdown(&facts, &rows)?;
    println!("{markdown}");
    write_results("counts", &markdown, &Report { schema: 1, facts, caches: CACHES, rows })
}

/// The passes of one side over a workload, on this thread.
fn run_passes(side: &str, workload: &Workload, passes: usize) -> Result<(), Box<dyn Error>> {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    let environment = workload.environment();
    match side {
        "reference" => {
            let mut machine = Machine::new(environment);
            (0..passes).for_each(|_| _ = black_box(run_isolane(&mut machine, &workload.transactions)));
        }
        "lockstep" => {
            let batch = batch_of(std::slice::from_ref(workload));
            let lockstep = Lockstep::new();
            (0..passes).for_each(|_| lockstep.execute_each(&batch, &|_, result| _ = black_box(&result)));
        }
        _ => {
            let state = PeerState::new(workload);
            let mut peer = Peer::new(&environment, &state).ok_or("revm has no such fork")?;
            // As many as the longer run needs: making them is not to be counted.
            let prepared: Vec<_> = (0..PASSES).map(|_| peer::transactions(workload)).collect();
            prepared.into_iter().take(passes).for_each(|transactions| _ = black_box(peer.run(transactions)));
        }
    }
    Ok(())
}

/// Runs a process of this program under valgrind.
fn counted(side: &str, file: &Path, lanes: usize, passes: usize) -> Result<Counts, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=yes", "--branch-sim=yes", "--cachegrind-out-file=/dev/null"])
        .args(CACHES)
        .arg(std::env::current_exe()?)
        .args([CHILD, side])
        .arg(file)
        .args([lanes.to_string(), passes.to_string()])
        .output()
        .map_err(|error| format!("cannot start valgrind: {error}; install it (Debian: apt-get install valgrind)"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let end: Vec<&str> = text.lines().rev().take(5).collect();
        return Err(format!(
            "{side} failed under valgrind ({}): {}; valgrind knows no AVX-512, so do not compile with target-cpu=native",
            output.status,
            end.into_iter().rev().collect::<Vec<_>>().join(" / ")
        )
        .into());
    }
    // Lines like `==1== D1  misses:  2,345 ( 1,234 rd + 1,111 wr)`: the number after the name.
    let number = |name: &str| -> Result<f64, String> {
        let rest = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().skip(1).collect();
            words.join(" ").strip_prefix(name).map(str::to_owned)
        };
        let rest = text.lines().find_map(rest).ok_or(format!("valgrind printed no line {name:?}"))?;
        let number: String = rest.split_whitespace().take(1).flat_map(str::chars).filter(|char| *char != ',').collect();
        number.parse().map_err(|_| format!("valgrind's line {name:?} has no number: {rest:?}"))
    };
    Ok(Counts {
        instructions: number("I refs:")?,
        first_level_misses: number("D1 misses:")?,
        last_level_misses: number("LLd misses:")?,
        mispredicted: number("Mispredicts:")?,
    })
}

/// What the longer run has more, of so many transactions.
fn between(one: Counts, more: Counts, transactions: f64) -> Counts {
    // Below zero is what the passes before the difference did not do alike.
    let each = |part: fn(&Counts) -> f64| ((part(&more) - part(&one)) / transactions).max(0.0);
    Counts {
        instructions: each(|counts| counts.instructions),
        first_level_misses: each(|counts| counts.first_level_misses),
        last_level_misses: each(|counts| counts.last_level_misses),
        mispredicted: each(|counts| counts.mispredicted),
    }
}

const HEADER: &str = "| workload | lanes | EVM instructions | side | machine instructions | L1 data misses | L2 data misses \
     | mispredicted | of one EVM instruction: machine instructions | L1 data misses | mispredicted |\n\
     | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";

fn markdown(facts: &Facts, rows: &[Row]) -> Result<String, Box<dyn Error>> {
    let mut text = String::from("# What a transaction costs the processor\n\n");
    writeln!(
        text,
        "Counted by valgrind's cachegrind on one thread, of one transaction: the difference between three passes over the \
         lanes and one. The processor is a model: caches of the first level 48 KiB, 12 ways, and of the second 2 MiB, 16 \
         ways, no prefetching by itself, one simple predictor of branches, no AVX-512 (so that lanes in lockstep run with \
         AVX2). Outcomes were compared in full before.\n"
    )?;
    writeln!(text, "{}", facts.markdown())?;
    text.push_str(HEADER);
    for row in rows {
        let Counts { instructions, first_level_misses, last_level_misses, mispredicted } = row.counts;
        let evm = row.evm_instructions;
        writeln!(
            text,
            "| {} | {} | {evm:.0} | {} | {instructions:.0} | {first_level_misses:.1} | {last_level_misses:.1} | \
             {mispredicted:.1} | {} | {} | {} |",
            row.workload,
            row.lanes,
            row.side,
            share(instructions, evm),
            share(first_level_misses, evm),
            share(mispredicted, evm),
        )?;
    }
    Ok(text)
}

/// A count of each EVM instruction; a plain transfer has none.
fn share(count: f64, evm: f64) -> String {
    if evm < 1.0 { "-".to_owned() } else { format!("{:.3}", count / evm) }
}
