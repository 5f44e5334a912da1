//! `isolane replay` as a user runs it, with and without all tables: where the time goes from bytes to files.

use super::support::Spread;
use isolane::replay::Inputs;
use serde::Serialize;
use serde_json::Value;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// The stages, in their order. Each is summed over the threads that worked on it.
const STAGES: [&str; 5] = ["load", "recover", "execute", "verify", "write"];

/// The command, several times.
#[derive(Serialize)]
pub struct Stages {
    what: &'static str,
    /// From the start of the process to its end.
    wall_ms: Spread,
    /// In the order of [`STAGES`].
    stages_ms: [Spread; 5],
    /// Million gas a second of wall time.
    mgas_per_second: Spread,
}

/// Runs the command on these packs, without tables and with all of them as Parquet, in turn.
pub fn measure(inputs: &Inputs, threads: usize, turns: usize) -> Result<Vec<Stages>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (mut plain, mut tables) = (Vec::new(), Vec::new());
    // Once each for the file cache.
    pass(inputs, threads, None)?;
    for turn in 0..turns {
        plain.push(pass(inputs, threads, None)?);
        tables.push(pass(inputs, threads, Some(&folder.path().join(turn.to_string())))?);
    }
    Ok(vec![spread("without tables", &plain), spread("with all tables as Parquet", &tables)])
}

struct Pass {
    wall: f64,
    stages: [f64; 5],
    gas: f64,
}

fn spread(what: &'static str, passes: &[Pass]) -> Stages {
    let of = |get: &dyn Fn(&Pass) -> f64| Spread::of(passes.iter().map(get).collect());
    Stages {
        what,
        wall_ms: of(&|pass| pass.wall * 1e3),
        stages_ms: std::array::from_fn(|stage| of(&|pass| pass.stages[stage] * 1e3)),
        mgas_per_second: of(&|pass| pass.gas / pass.wall / 1e6),
    }
}

fn pass(inputs: &Inputs, threads: usize, out: Option<&Path>) -> Result<Pass, Box<dyn Error>> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isolane"));
    command.args(["replay", "--json", "--threads", &threads.to_string()]).args(&inputs.packs);
    if let Some(out) = out {
        command.args(["--tables", "all", "--format", "parquet", "--out"]).arg(out);
    }
    let start = Instant::now();
    let done = command.output()?;
    let wall = start.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&done.stderr);
    if !done.status.success() {
        return Err(format!("isolane replay: {}: {said}", done.status).into());
    }
    let lines = String::from_utf8(done.stdout)?;
    let summary: Value = serde_json::from_str(lines.lines().last().unwrap_or_default())?;
    let seconds = |stage: &str| summary["seconds"][stage].as_f64().ok_or(format!("no seconds of {stage}: {summary}"));
    let write = match out {
        None => 0.0,
        Some(_) => write_seconds(&said).ok_or(format!("no time of writing: {said}"))?,
    };
    let gas = summary["total"]["gasUsed"].as_f64().ok_or(format!("no gas: {summary}"))?;
    let stages = [seconds("load")?, seconds("recover")?, seconds("execute")?, seconds("verify")?, write];
    Ok(Pass { wall, stages, gas })
}

/// From the line `… rows, … bytes in … files under …; write … s`.
fn write_seconds(said: &str) -> Option<f64> {
    let (_, time) = said.lines().find(|line| line.contains(" rows, "))?.rsplit_once("; write ")?;
    time.strip_suffix(" s")?.parse().ok()
}

/// As a table, with the share of each stage.
pub fn markdown(rows: &[Stages]) -> String {
    let mut text = format!("| | wall ms | Mgas/s | {} |\n|{}\n", STAGES.join(" | "), " --- |".repeat(3 + STAGES.len()));
    for row in rows {
        let sum: f64 = row.stages_ms.iter().map(|stage| stage.median).sum();
        let cells: Vec<String> = row
            .stages_ms
            .iter()
            .map(|stage| format!("{:.0} ({:.0}%)", stage.median, 100.0 * stage.median / sum.max(f64::MIN_POSITIVE)))
            .collect();
        text += &format!(
            "| {} | {} | {} | {} |\n",
            row.what,
            row.wall_ms.show(0),
            row.mgas_per_second.show(0),
            cells.join(" | ")
        );
    }
    text
}
