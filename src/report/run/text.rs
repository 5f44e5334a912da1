//! The report for people.

use super::{EnvironmentSummary, RunReport};
use crate::report::mgas_per_second;
use comfy_table::{Cell, CellAlignment, Table, presets};
use isolane_spec::{Order, U256};
use std::fmt::Write as _;

const HEADER: [&str; 12] = [
    "environment",
    "fork",
    "status",
    "txs",
    "ok/revert/\nhalt/reject",
    "Mgas",
    "budget\npeak",
    "denied/\nexceeded",
    "messages\nin/out",
    "share\nof due",
    "wait\nmean/max",
    "rounds\n≤ bound",
];

/// A table of the house's style, numbers to the right from that column on.
fn table(header: &[&str], rows: Vec<Vec<String>>, numbers: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header);
    for row in rows {
        table.add_row(row.into_iter().map(Cell::new));
    }
    for column in table.column_iter_mut().skip(numbers) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// The largest part of a budget that an epoch used.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn budget_peak(environment: &EnvironmentSummary) -> Option<(f64, &'static str)> {
    let (budget, peak) = (&environment.epoch_budget, &environment.stats.peak);
    [
        (peak.gas, budget.gas, "gas"),
        (peak.steps, budget.steps, "steps"),
        (peak.slots, budget.slots, "slots"),
        (peak.log_bytes, budget.log_bytes, "logs"),
    ]
    .into_iter()
    .filter(|(_, budget, _)| *budget != u64::MAX)
    .map(|(used, budget, name)| (used as f64 / budget as f64, name))
    .max_by(|a, b| a.0.total_cmp(&b.0))
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn row(environment: &EnvironmentSummary) -> Vec<String> {
    let stats = &environment.stats;
    let mut name = environment.name.clone();
    if environment.order == Order::Independent {
        name.push_str(" (independent)");
    }
    let mut status = environment.status().to_owned();
    if environment.pending > 0 {
        let _ = write!(status, ", {} left", environment.pending);
    }
    let rounds = if stats.busy_rounds == 0 {
        "-".to_owned()
    } else {
        let late = if stats.late_epochs == 0 { "" } else { " LATE" };
        format!("{} ≤ {}{late}", stats.busy_rounds, stats.busy_bound)
    };
    vec![
        name,
        environment.fork.name().to_owned(),
        status,
        stats.executed().to_string(),
        format!("{}/{}/{}/{}", stats.succeeded, stats.reverted, stats.halted, stats.rejected),
        format!("{:.2}", stats.usage.gas as f64 / 1e6),
        budget_peak(environment).map_or("-".to_owned(), |(part, name)| format!("{:.0}% {name}", part * 100.0)),
        format!("{}/{}", sum(&stats.denied), sum(&stats.exceeded)),
        format!("{}/{}", stats.delivered + stats.undelivered, stats.sent),
        stats.fairness().map_or("-".to_owned(), |share| format!("{:.1}%", share * 100.0)),
        format!("{:.1}/{}", stats.waiting.mean(), stats.waiting.longest),
        rounds,
    ]
}

fn sum(counts: &std::collections::BTreeMap<String, u64>) -> u64 {
    counts.values().sum()
}

/// The report: what happened, by environment, by route of messages, and by asset.
#[must_use]
pub fn render(report: &RunReport) -> String {
    let mut text = table(&HEADER, report.environments.iter().map(row).collect(), 3);
    text.push('\n');
    for environment in &report.environments {
        if let Some(error) = &environment.halted {
            let _ = writeln!(text, "{} halted: {error}", environment.name);
        }
        let stats = &environment.stats;
        if stats.rolled_back_epochs > 0 {
            let (epochs, transactions) = (stats.rolled_back_epochs, stats.rolled_back);
            let _ =
                writeln!(text, "{}: {epochs} epochs rolled back, with {transactions} transactions", environment.name);
        }
        for (what, counts) in [("denied", &stats.denied), ("budget exceeded", &stats.exceeded)] {
            if !counts.is_empty() {
                let list: Vec<_> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
                let _ = writeln!(text, "{}: {what}: {}", environment.name, list.join(", "));
            }
        }
        if stats.deferred > 0 {
            let deferred = stats.deferred;
            let _ = writeln!(
                text,
                "{}: {deferred} times a transaction waited for the next epoch's budget",
                environment.name
            );
        }
    }
    let routes: Vec<_> = report
        .flows
        .0
        .iter()
        .flat_map(|(source, to)| to.iter().map(move |(destination, flow)| (source, destination, flow)))
        .map(|(source, destination, flow)| {
            let failed: Vec<_> = flow.failed.iter().map(|(name, count)| format!("{name} {count}")).collect();
            vec![
                format!("{source} → {destination}"),
                if failed.is_empty() { "-".to_owned() } else { failed.join(", ") },
                flow.sent.to_string(),
                flow.delivered.to_string(),
                flow.state.to_string(),
                flow.refunds.to_string(),
                flow.claimable.to_string(),
            ]
        })
        .collect();
    if !routes.is_empty() {
        let header = ["messages", "failed", "sent", "delivered", "slots", "refunds", "claimable"];
        let _ = writeln!(text, "{}", table(&header, routes, 2));
    }
    let assets: Vec<_> = report
        .assets
        .iter()
        .filter(|asset| !asset.locked.is_zero())
        .map(|asset| {
            let show = |value: &U256| value.to_string();
            let name = asset.asset.to_string();
            let parts = [&asset.locked, &asset.abroad, &asset.in_flight, &asset.claimable];
            [name].into_iter().chain(parts.map(show)).collect()
        })
        .collect();
    if !assets.is_empty() {
        let header = ["asset (wei)", "locked at home", "= abroad", "+ in flight", "+ claimable"];
        let _ = writeln!(text, "{}", table(&header, assets, 1));
    }
    let restricted: Vec<_> = report.environments.iter().filter(|e| e.restricted).map(|e| e.name.as_str()).collect();
    if !restricted.is_empty() {
        let _ = writeln!(
            text,
            "restricted (own permissions, budgets, opcodes or messages: no faithful replay): {}",
            restricted.join(", ")
        );
    }
    let resumed = if report.resumed > 0 { format!(" ({} from the journal)", report.resumed) } else { String::new() };
    let _ = write!(
        text,
        "{} epochs{resumed}; {:.2} s, {:.0} Mgas/s on {} threads; backend {}\ndigest {:?}",
        report.epochs,
        report.wall.as_secs_f64(),
        mgas_per_second(report.gas, report.wall),
        report.threads,
        report.backend,
        report.digest
    );
    text
}
