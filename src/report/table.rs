//! The report for people.

use super::{Group, Summary, chain_name};
use comfy_table::{Cell, CellAlignment, Table, presets};
use isolane_spec::Fork;
use std::fmt::Write as _;
use std::time::Duration;

const HEADER: [&str; 12] = [
    "chain",
    "fork",
    "blocks",
    "single\ntxs",
    "txs",
    "Mgas",
    "Mgas/s",
    "gas\nused",
    "receipts\nroot",
    "logs\nbloom",
    "state root\nproven/full/none",
    "mis-\nmatches",
];

#[expect(clippy::cast_precision_loss, reason = "a number for people")]
fn row(chain: &str, fork: &str, group: &Group) -> Vec<String> {
    let problems = match (group.mismatches, group.failed) {
        (mismatches, 0) => mismatches.to_string(),
        (mismatches, failed) => format!("{mismatches} +{failed} failed"),
    };
    vec![
        chain.to_owned(),
        fork.to_owned(),
        group.blocks.to_string(),
        group.singles.to_string(),
        group.transactions.to_string(),
        format!("{:.2}", group.gas as f64 / 1e6),
        format!("{:.0}", group.mgas_per_second()),
        group.gas_used.to_string(),
        group.receipts_root.to_string(),
        group.logs_bloom.to_string(),
        format!(
            "{}/{}/{}",
            group.state_by_witness + group.state_by_proofs,
            group.state_by_complete,
            group.state_unverified
        ),
        problems,
    ]
}

fn share(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { 0.0 } else { 100.0 * part.as_secs_f64() / whole.as_secs_f64() }
}

/// The table, the totals and the closing line.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "numbers for people")]
pub fn render(summary: &Summary) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(HEADER);
    for ((chain, fork), group) in &summary.groups {
        let chain = chain.map_or_else(|| "unreadable".to_owned(), chain_name);
        table.add_row(row(&chain, fork.map_or("-", Fork::name), group).into_iter().map(Cell::new));
    }
    table.add_row(row("total", "", &summary.total).into_iter().map(Cell::new));
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = table.to_string();
    let (times, total) = (&summary.times, summary.times.total());
    let _ = write!(
        text,
        "\ntime: {:.2} s wall on {} threads; load {:.0}%, recover {:.0}%, execute {:.0}%, verify {:.0}%\n",
        summary.wall.as_secs_f64(),
        summary.threads,
        share(times.load, total),
        share(times.recover, total),
        share(times.execute, total),
        share(times.verify, total),
    );
    let sum = &summary.total;
    let _ = write!(
        text,
        "rate: {:.0} Mgas/s wall, {:.0} Mgas/s execution a thread; backend {}",
        super::mgas_per_second(sum.gas, summary.wall),
        sum.mgas_per_second(),
        summary.backend
    );
    if let Some(bytes) = summary.peak_memory {
        let _ = write!(text, "; peak memory {:.0} MiB", bytes as f64 / f64::from(1 << 20));
    }
    let inputs = sum.blocks + sum.singles;
    let good = inputs - sum.mismatches - sum.failed;
    let _ = match summary.exit_code() {
        0 => write!(text, "\nall {inputs} inputs match"),
        _ => write!(
            text,
            "\n{good} of {inputs} inputs match; {} mismatch, {} could not be executed (see the lines above)",
            sum.mismatches, sum.failed
        ),
    };
    if summary.not_replayed > 0 {
        let _ = write!(
            text,
            "\nended at the first mismatch: {} more inputs were not replayed (--skip-invalid-blocks goes on)",
            summary.not_replayed
        );
    }
    text
}
