//! `isolane bench`.

use super::{CliError, Exit};
use crate::bench::{self, Plan, Row, generated};
use crate::gpu::{BackendArgs, BackendKind};
use crate::load::workload::{self, Workload};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use isolane_gpu::{Capacity, Gpu};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Version of the JSON.
pub const SCHEMA: &str = "isolane-bench/1";

/// Rounds of the generated loops.
const LOOP_ROUNDS: u16 = 1_000;

const EXAMPLES: &str = "\
Examples:
  isolane bench --backend gpu                     loops of our own, on the device, the reference and revm
  isolane bench --backend gpu --workloads testdata/workloads --batch 256,4096,65536
  isolane bench --workloads testdata/workloads --only erc20_transfer --out bench.json
  isolane bench --backend gpu --kernels           also the time of each kernel (they run one by one)

All sides execute the same batches in turn, on all cores. `execution` leaves out, on the CPU, keeping outcomes, and on a device
everything but its dispatches; `end to end` is from transactions to outcomes.";

/// `isolane bench`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    backend: BackendArgs,
    /// Workload files, or folders of them, besides the generated loops.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    workloads: Vec<PathBuf>,
    /// Only workloads whose name contains this.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Transactions of a batch, separated by commas.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "4096",
        value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    batch: Vec<u32>,
    /// Passes of each side over each batch.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    passes: u16,
    /// Run the kernels of a device one by one and say how long each takes; the sums then say little.
    #[arg(long)]
    kernels: bool,
    /// Print JSON Lines instead of tables.
    #[arg(long)]
    json: bool,
    /// Also write all results to this file, as JSON Lines.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, CliError> {
    let workloads = workloads(&arguments.workloads, &arguments.only)?;
    let gpu = arguments.backend.open_timed(arguments.kernels).map_err(|error| CliError::device(error.to_string()))?;
    if gpu.is_none() && !matches!(arguments.backend.backend, BackendKind::Cpu | BackendKind::Lockstep) {
        eprintln!("no hardware device: the CPU alone is measured");
    }
    if let Some(gpu) = &gpu {
        gpu.warm_up().map_err(|error| CliError::device(error.to_string()))?;
    }
    let sizes = arguments.batch.iter().map(|size| *size as usize).collect();
    let plan = Plan { workloads, sizes, rounds: arguments.passes.into() };
    let mut lines = head(gpu.as_ref());
    let mut rows = Vec::new();
    if arguments.json {
        print!("{lines}");
    }
    bench::run(&plan, gpu.as_ref(), |row| {
        let line = json_line(&row);
        lines.push_str(&line);
        if arguments.json {
            print!("{line}");
        } else {
            eprintln!("measured: {} x {} on {}", row.workload, row.transactions, row.backend);
        }
        rows.push(row);
    })
    .map_err(|error| CliError { exit: Exit::Mismatch, message: error.to_string() })?;
    if !arguments.json {
        print!("{}", text(gpu.as_ref(), &rows));
    }
    if let Some(path) = &arguments.out {
        std::fs::write(path, lines)
            .map_err(|error| CliError::usage(format!("{}: cannot write it: {error}: check --out", path.display())))?;
    }
    Ok(Exit::Match)
}

/// The generated loops, then the files.
fn workloads(paths: &[PathBuf], only: &[String]) -> Result<Vec<Workload>, CliError> {
    let usage = |error: &dyn std::fmt::Display| CliError::usage(format!("{error}: check --workloads"));
    let mut all = vec![generated::mixed_loop(LOOP_ROUNDS), generated::alu_loop(LOOP_ROUNDS)];
    for path in paths {
        let files = if path.is_dir() { files_in(path)? } else { vec![path.clone()] };
        for file in files {
            all.push(Workload::read(&file).map_err(|error| usage(&error))?);
        }
    }
    let names: Vec<String> = all.iter().map(|workload| workload.name.clone()).collect();
    if !only.is_empty() {
        all.retain(|workload| only.iter().any(|part| workload.name.contains(part.as_str())));
    }
    if all.is_empty() {
        return Err(CliError::usage(format!("--only: expected a part of one of {}", names.join(", "))));
    }
    Ok(all)
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
fn head(gpu: Option<&Gpu>) -> String {
    let device = gpu.map(|gpu| {
        let info = gpu.adapter().info();
        let classes: Vec<Value> = gpu.capacity().iter().map(capacity_json).collect();
        json!({"name": info.name, "driver": info.driver, "driverInfo": info.driver_info, "classes": classes})
    });
    let threads = rayon::current_num_threads();
    let version = env!("CARGO_PKG_VERSION");
    json!({"schema": SCHEMA, "type": "machine", "version": version, "threads": threads, "device": device}).to_string()
        + "\n"
}

fn json_line(row: &Row) -> String {
    json!({
        "schema": SCHEMA,
        "type": "row",
        "workload": row.workload,
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
    .to_string()
        + "\n"
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn text(gpu: Option<&Gpu>, rows: &[Row]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if let Some(gpu) = gpu {
        let _ = writeln!(text, "{}: lanes at once", gpu.adapter().info().name);
        for Capacity { class, lanes, bytes } in gpu.capacity() {
            let _ = writeln!(text, "  {class}: {lanes} of {bytes} bytes each; larger batches run in parts");
        }
    }
    let mut rates = table(&[
        "workload",
        "batch",
        "backend",
        "tx/s end to end",
        "tx/s execution",
        "Minstr/s",
        "Mgas/s",
        "Minstr/CPU s",
    ]);
    for row in rows {
        rates.add_row([
            row.workload.clone(),
            row.transactions.to_string(),
            row.backend.to_owned(),
            format!("{:.0}", row.transactions_per_second_end_to_end()),
            format!("{:.0}", row.transactions_per_second()),
            format!("{:.1}", row.instructions_per_second() / 1e6),
            format!("{:.0}", row.gas_per_second() / 1e6),
            row.instructions_per_cpu_second().map_or_else(|| "-".to_owned(), |rate| format!("{:.1}", rate / 1e6)),
        ]);
    }
    let _ = writeln!(text, "{rates}");
    if rows.iter().any(|row| row.parts.is_some()) {
        let header = [
            "where the time of a pass goes, ms",
            "batch",
            "prepare",
            "upload",
            "dispatches",
            "services",
            "read back",
            "finish",
            "other",
            "exchanges",
            "rounds",
            "escaped",
        ];
        let mut where_ = table(&header);
        for row in rows {
            let Some(parts) = &row.parts else { continue };
            let seconds = [
                parts.prepare,
                parts.upload,
                parts.dispatch,
                parts.services,
                parts.read_back,
                parts.finish,
                parts.other,
            ];
            let cells = [row.workload.clone(), row.transactions.to_string()];
            let counts = [parts.exchanges, parts.rounds, parts.escaped];
            where_.add_row(
                cells
                    .into_iter()
                    .chain(seconds.iter().map(|seconds| format!("{:.1}", seconds * 1e3)))
                    .chain(counts.iter().map(|count| format!("{count:.0}"))),
            );
        }
        let _ = writeln!(text, "{where_}");
    }
    for row in rows {
        let Some(parts) = row.parts.as_ref().filter(|parts| !parts.kernels.is_empty()) else { continue };
        let kernels: Vec<String> =
            parts.kernels.iter().map(|(name, seconds)| format!("{name} {:.1}", seconds * 1e3)).collect();
        let _ = writeln!(text, "kernels of {} x {}, ms: {}", row.workload, row.transactions, kernels.join(", "));
    }
    text
}
