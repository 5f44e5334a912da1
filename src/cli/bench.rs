//! `isolane bench`.

use super::{CliError, Exit};
use crate::bench::facts::Facts;
use crate::bench::table::{self, Cells};
use crate::bench::{self, LeftOut, Mix, Plan, Row, cpu_time, generated};
use crate::gpu::{BackendArgs, BackendKind, summary};
use crate::load::workload::{self, Workload};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use isolane_gpu::{Capacity, Gpu, Statistics};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Version of the JSON.
pub const SCHEMA: &str = "isolane-bench/1";

/// Rounds of the generated loops.
const LOOP_ROUNDS: u16 = 1_000;

/// How this program was compiled, as far as it knows.
const PROFILE: &str = if cfg!(debug_assertions) {
    "with debug assertions"
} else {
    "release (opt-level 3, without link-time optimisation)"
};

const EXAMPLES: &str = "\
Examples:
  isolane bench --backend gpu                     loops of our own, on the device, the reference and revm
  isolane bench --backend gpu --workloads testdata/workloads --batch 256,4096,65536
  isolane bench --workloads testdata/workloads --only erc20_transfer --out bench.json
  isolane bench --backend gpu --kernels           also a pass whose kernels run one by one: how long each takes
  isolane bench --workloads testdata/workloads --only none --mixed erc20,univ2,weth --mixed mixed_loop,alu_loop
                                                  batches of several workloads, each an environment

All sides execute the same batches in turn, on all cores. `execution` leaves out, on the CPU, keeping outcomes, and on a device
everything but its dispatches; `end to end` is from transactions to outcomes. Instructions per CPU second count the CPU time of all
threads: of a whole pass on a device, of the execution on the CPU.";

/// `isolane bench`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    backend: BackendArgs,
    /// Workload files, or folders of them, besides the generated loops; of two with one name, the latter.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    workloads: Vec<PathBuf>,
    /// Only workloads whose name contains this; `none`: only what --mixed names.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Also batches of all workloads whose name contains one of these, each an environment of the batch; may be repeated.
    #[arg(long, value_name = "NAME,NAME")]
    mixed: Vec<String>,
    /// Transactions of a batch, separated by commas.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "4096",
        value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    batch: Vec<u32>,
    /// Passes of each side over each batch.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    passes: u16,
    /// Leave out batches that take more instructions than this; 0: none.
    #[arg(long, value_name = "N", default_value_t = 0)]
    most_instructions: u64,
    /// Also run a pass whose kernels run one by one on the device, and say how long each takes.
    #[arg(long)]
    kernels: bool,
    /// Print JSON Lines instead of tables.
    #[arg(long)]
    json: bool,
    /// Also write all results to this file, as JSON Lines.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Also write the tables to PATH.md and everything to PATH.json.
    #[arg(long, value_name = "PATH")]
    report: Option<PathBuf>,
}

/// How long it took until a device could begin: opening it, its self-test and compiling the kernels.
struct Start {
    seconds: f64,
    cpu_seconds: Option<f64>,
    /// Of that, the first dispatch of each kernel, where drivers compile.
    kernels: Vec<(&'static str, Duration)>,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, CliError> {
    let batches = batches(arguments)?;
    let facts = Facts::gather(PROFILE);
    let (cpu, wall) = (cpu_time(), Instant::now());
    let gpu = arguments.backend.open().map_err(|error| CliError::device(error.to_string()))?;
    if gpu.is_none() && !matches!(arguments.backend.backend, BackendKind::Cpu | BackendKind::Lockstep) {
        eprintln!("no hardware device: the CPU alone is measured");
    }
    let start = match &gpu {
        None => None,
        Some(gpu) => {
            let kernels = gpu.warm_up().map_err(|error| CliError::device(error.to_string()))?;
            let cpu_seconds = cpu.zip(cpu_time()).map(|(before, after)| after.saturating_sub(before).as_secs_f64());
            Some(Start { seconds: wall.elapsed().as_secs_f64(), cpu_seconds, kernels })
        }
    };
    let plan = Plan {
        batches,
        sizes: arguments.batch.iter().map(|size| *size as usize).collect(),
        rounds: arguments.passes.into(),
        most_instructions: arguments.most_instructions,
        kernels: arguments.kernels,
    };
    let head = head(&facts, gpu.as_ref(), start.as_ref());
    let mut lines = head.to_string() + "\n";
    let mut rows = Vec::new();
    if arguments.json {
        print!("{lines}");
    }
    let left_out = bench::run(&plan, gpu.as_ref(), |row| {
        let line = json_row(&row).to_string() + "\n";
        lines.push_str(&line);
        if arguments.json {
            print!("{line}");
        } else {
            eprintln!("measured: {} x {} on {}", row.workload, row.transactions, row.backend);
        }
        rows.push(row);
    })
    .map_err(|error| CliError { exit: Exit::Mismatch, message: error.to_string() })?;
    if let Some(gpu) = &gpu {
        eprintln!("{}", summary(&gpu.statistics()));
    }
    if !arguments.json {
        print!("{}", text(gpu.as_ref(), start.as_ref(), &rows, &left_out));
    }
    if let Some(path) = &arguments.out {
        write(path, "--out", &lines)?;
    }
    if let Some(path) = &arguments.report {
        let name = |extension: &str| PathBuf::from(format!("{}.{extension}", path.display()));
        let all: Vec<Value> = rows.iter().map(json_row).collect();
        let ran = gpu.as_ref().map(|gpu| {
            let Statistics { device, host, fallback, reasons, checked, .. } = gpu.statistics();
            json!({"lanes": device, "host": host, "cpu": fallback, "reasons": reasons, "compared": checked})
        });
        let document = json!({"schema": SCHEMA, "machine": head, "rows": all, "leftOut": left_out, "ran": ran});
        write(&name("json"), "--report", &format!("{document:#}\n"))?;
        let text = markdown(&plan, &facts, gpu.as_ref(), start.as_ref(), &rows, &left_out);
        write(&name("md"), "--report", &text)?;
    }
    Ok(Exit::Match)
}

fn write(path: &Path, option: &str, text: &str) -> Result<(), CliError> {
    std::fs::write(path, text)
        .map_err(|error| CliError::usage(format!("{}: cannot write it: {error}: check {option}", path.display())))
}

/// The generated loops and the files, each alone, then the mixes.
fn batches(arguments: &Arguments) -> Result<Vec<Mix>, CliError> {
    let usage = |error: &dyn std::fmt::Display| CliError::usage(format!("{error}: check --workloads"));
    let mut all = vec![generated::mixed_loop(LOOP_ROUNDS), generated::alu_loop(LOOP_ROUNDS)];
    for path in &arguments.workloads {
        let files = if path.is_dir() { files_in(path)? } else { vec![path.clone()] };
        for file in files {
            let workload = Workload::read(&file).map_err(|error| usage(&error))?;
            all.retain(|other| other.name != workload.name);
            all.push(workload);
        }
    }
    let names: Vec<&str> = all.iter().map(|workload| workload.name.as_str()).collect();
    let none = |option: &str| CliError::usage(format!("{option}: expected a part of one of {}", names.join(", ")));
    let named = |parts: &[&str]| -> Vec<Workload> {
        all.iter().filter(|workload| parts.iter().any(|part| workload.name.contains(part))).cloned().collect()
    };
    let only: Vec<&str> = arguments.only.iter().map(String::as_str).collect();
    let mut batches: Vec<Mix> = match only[..] {
        [] => all.iter().cloned().map(Mix::from).collect(),
        ["none"] if !arguments.mixed.is_empty() => Vec::new(),
        _ => named(&only).into_iter().map(Mix::from).collect(),
    };
    if batches.is_empty() && arguments.mixed.is_empty() {
        return Err(none("--only"));
    }
    for parts in &arguments.mixed {
        let parts: Vec<&str> = parts.split(',').filter(|part| !part.is_empty()).collect();
        if parts.is_empty() || parts.iter().any(|part| named(&[part]).is_empty()) {
            return Err(none("--mixed"));
        }
        batches.push(Mix { name: format!("mix of {}", parts.join(" + ")), workloads: named(&parts) });
    }
    Ok(batches)
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let mut files = workload::files_in(folder)
        .map_err(|error| CliError::usage(format!("{}: {error}: check --workloads", folder.display())))?;
    files.sort();
    Ok(files)
}

fn capacity_json(capacity: &Capacity) -> Value {
    json!({"class": capacity.class, "lanes": capacity.lanes, "bytesPerLane": capacity.bytes})
}

/// The first line: what measures.
fn head(facts: &Facts, gpu: Option<&Gpu>, start: Option<&Start>) -> Value {
    let device = gpu.map(|gpu| {
        let info = gpu.adapter().info();
        let classes: Vec<Value> = gpu.capacity().iter().map(capacity_json).collect();
        json!({"name": info.name, "driver": info.driver, "driverInfo": info.driver_info, "classes": classes})
    });
    let start = start.map(|start| {
        let kernels = start.kernels.iter().map(|(name, time)| ((*name).to_owned(), json!(time.as_secs_f64())));
        let kernels: serde_json::Map<String, Value> = kernels.collect();
        json!({"seconds": start.seconds, "cpuSeconds": start.cpu_seconds, "kernelSeconds": kernels})
    });
    json!({
        "schema": SCHEMA,
        "type": "machine",
        "version": env!("CARGO_PKG_VERSION"),
        "threads": rayon::current_num_threads(),
        "facts": facts,
        "device": device,
        "start": start,
    })
}

fn json_row(row: &Row) -> Value {
    json!({
        "schema": SCHEMA,
        "type": "row",
        "workload": row.workload,
        "workloads": row.workloads,
        "transactions": row.transactions,
        "backend": row.backend,
        "instructions": row.instructions,
        "gas": row.gas,
        "endToEndSeconds": row.end_to_end_seconds,
        "executionSeconds": row.execution_seconds,
        "cpuSeconds": row.cpu_seconds,
        "transactionsPerSecond": row.transactions_per_second(),
        "transactionsPerSecondEndToEnd": row.transactions_per_second_end_to_end(),
        "instructionsPerSecond": row.instructions_per_second(),
        "instructionsPerCpuSecond": row.instructions_per_cpu_second(),
        "gasPerSecond": row.gas_per_second(),
        "parts": row.parts,
    })
}

fn terminal(cells: Cells) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(cells.header);
    table.add_rows(cells.rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn started(start: &Start) -> String {
    let kernels: Vec<String> =
        start.kernels.iter().map(|(name, time)| format!("{name} {:.2}", time.as_secs_f64())).collect();
    let cpu = start.cpu_seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}"));
    format!(
        "ready after {cpu} CPU seconds ({:.1} s): opened, tested, kernels compiled or read from caches (first dispatches, s: {})",
        start.seconds,
        kernels.join(", ")
    )
}

fn left_out_line(left_out: &[LeftOut]) -> String {
    let each = |left: &LeftOut| {
        format!("{} x {} (about {} M)", left.workload, left.transactions, left.instructions / 1_000_000)
    };
    format!("left out, too many instructions: {}", left_out.iter().map(each).collect::<Vec<_>>().join(", "))
}

/// What each mix holds.
fn mixes(rows: &[Row]) -> Vec<String> {
    let mut lines: Vec<String> = rows
        .iter()
        .filter(|row| row.workloads.len() > 1)
        .map(|row| format!("{}: {}", row.workload, row.workloads.join(", ")))
        .collect();
    lines.dedup();
    lines
}

fn text(gpu: Option<&Gpu>, start: Option<&Start>, rows: &[Row], left_out: &[LeftOut]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if let Some(gpu) = gpu {
        let _ = writeln!(text, "{}: lanes at once", gpu.adapter().info().name);
        for Capacity { class, lanes, bytes } in gpu.capacity() {
            let _ = writeln!(text, "  {class}: {lanes} of {bytes} bytes each; larger batches run in parts");
        }
    }
    if let Some(start) = start {
        let _ = writeln!(text, "  {}", started(start));
    }
    for cells in [table::rates(rows), table::times(rows), table::kernels(rows)] {
        if !cells.rows.is_empty() {
            let _ = writeln!(text, "{}", terminal(cells));
        }
    }
    for line in mixes(rows) {
        let _ = writeln!(text, "{line}");
    }
    if !left_out.is_empty() {
        let _ = writeln!(text, "{}", left_out_line(left_out));
    }
    text
}

fn markdown(
    plan: &Plan,
    facts: &Facts,
    gpu: Option<&Gpu>,
    start: Option<&Start>,
    rows: &[Row],
    left_out: &[LeftOut],
) -> String {
    let mut text = format!(
        "# A device, the reference, lanes in lockstep and revm side by side\n\nWritten by `isolane bench --report`. Medians of {} passes of \
         each side, which take turns, on all cores. *Execution* leaves out, on the CPU, keeping outcomes, and on a device everything but its \
         dispatches; *end to end* is from transactions to outcomes. Minstr/s and Mgas/s are of the execution; Minstr/CPU s and CPU s count \
         the CPU time of all threads, on a device over the whole pass. Outcomes were compared in full before the measurement (of large \
         batches the first 4,096), their sums after each round.\n\n{}",
        plan.rounds,
        facts.markdown()
    );
    // Writing to a String cannot fail.
    if let Some(gpu) = gpu {
        let info = gpu.adapter().info();
        let classes: Vec<String> = gpu
            .capacity()
            .iter()
            .map(|Capacity { class, lanes, bytes }| format!("{class} {lanes} of {bytes} bytes each"))
            .collect();
        let _ = writeln!(text, "- device: {}, {} {}", info.name, info.driver, info.driver_info);
        let _ = writeln!(text, "- lanes at once, by class: {}; larger batches run in parts", classes.join(", "));
        let _ = writeln!(text, "- in all, warm-up and comparison included: {}", summary(&gpu.statistics()));
    }
    if let Some(start) = start {
        let _ = writeln!(text, "- {}", started(start));
    }
    for line in mixes(rows) {
        let _ = writeln!(text, "- {line}");
    }
    for cells in [table::rates(rows), table::times(rows), table::kernels(rows)] {
        if !cells.rows.is_empty() {
            let _ = write!(text, "\n{}", cells.markdown());
        }
    }
    if !left_out.is_empty() {
        let line = left_out_line(left_out);
        let _ = writeln!(text, "\n{}{}.", line[..1].to_uppercase(), &line[1..]);
    }
    text
}
