//! What was measured, as tables: rates, where the time of a device's passes goes, and what its kernels did.

use super::Row;
use std::fmt::Write as _;

/// A header and rows of as many cells.
#[derive(Clone, Debug, Default)]
pub struct Cells {
    /// The names of the columns.
    pub header: Vec<&'static str>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

impl Cells {
    /// As a table in Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
        let mut text = line(&self.header);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "|{}", " --- |".repeat(self.header.len()));
        for row in &self.rows {
            text += &line(&row.iter().map(String::as_str).collect::<Vec<_>>());
        }
        text
    }
}

/// A rate of millions, with a decimal where it is small.
fn millions(rate: f64) -> String {
    let rate = rate / 1e6;
    if rate < 1000.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

/// Transactions, instructions and gas a second.
#[must_use]
pub fn rates(rows: &[Row]) -> Cells {
    let header = vec![
        "workload",
        "batch",
        "backend",
        "tx/s end to end",
        "tx/s execution",
        "Minstr/s",
        "Mgas/s",
        "Minstr/CPU s",
        "CPU s",
    ];
    let cells = |row: &Row| {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            row.workload.clone(),
            row.transactions.to_string(),
            row.backend.to_owned(),
            format!("{:.0}", row.transactions_per_second_end_to_end()),
            format!("{:.0}", row.transactions_per_second()),
            millions(row.instructions_per_second()),
            millions(row.gas_per_second()),
            or_none(row.instructions_per_cpu_second().map(millions)),
            or_none(row.cpu_seconds.map(|cpu| format!("{:.3}", cpu.median))),
        ]
    };
    Cells { header, rows: rows.iter().map(cells).collect() }
}

/// Where the time of a device's passes goes, in milliseconds.
#[must_use]
pub fn times(rows: &[Row]) -> Cells {
    let header = vec![
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
    let cells = |row: &Row| {
        let parts = row.parts.as_ref()?;
        let seconds =
            [parts.prepare, parts.upload, parts.dispatch, parts.services, parts.read_back, parts.finish, parts.other];
        let counts = [parts.exchanges, parts.rounds, parts.escaped];
        let names = [row.workload.clone(), row.transactions.to_string()].into_iter();
        let seconds = seconds.iter().map(|seconds| format!("{:.1}", seconds * 1e3));
        Some(names.chain(seconds).chain(counts.iter().map(|count| format!("{count:.0}"))).collect())
    };
    Cells { header, rows: rows.iter().filter_map(cells).collect() }
}

/// What each kernel did, where they were timed: milliseconds, and dispatches that found lanes with how many, on average.
#[must_use]
pub fn kernels(rows: &[Row]) -> Cells {
    let timed = |row: &Row| row.parts.as_ref().is_some_and(|parts| !parts.kernels.is_empty());
    let rows: Vec<&Row> = rows.iter().filter(|row| timed(row)).collect();
    let shares = |row: &Row| row.parts.as_ref().map_or_else(Vec::new, |parts| parts.kernels.clone());
    let mut names: Vec<&'static str> = Vec::new();
    for share in rows.iter().flat_map(|row| shares(row)) {
        if !names.contains(&share.name) {
            names.push(share.name);
        }
    }
    let cells = |row: &&Row| {
        let shares = shares(row);
        let cell = |name: &&str| match shares.iter().find(|share| share.name == *name) {
            Some(share) if share.dispatches > 0 => {
                format!("{:.1} ({} x {:.0})", share.seconds * 1e3, share.dispatches, share.lanes)
            }
            Some(share) => format!("{:.1}", share.seconds * 1e3),
            None => "-".to_owned(),
        };
        [row.workload.clone(), row.transactions.to_string()].into_iter().chain(names.iter().map(cell)).collect()
    };
    let rows = rows.iter().map(cells).collect();
    let header = ["kernels run one by one, ms (dispatches x lanes)", "batch"];
    Cells { header: header.into_iter().chain(names).collect(), rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{KernelShare, Parts, Spread};

    #[test]
    fn tables_say_what_was_measured() {
        let spread = |median| Spread { median, min: median, max: median };
        let shares = vec![
            KernelShare { name: "step", seconds: 0.5, dispatches: 7, lanes: 12.5 },
            KernelShare { name: "turn", seconds: 0.001, dispatches: 0, lanes: 0.0 },
        ];
        let parts = Parts { dispatch: 1.5, rounds: 42.0, kernels: shares, ..Parts::default() };
        let row = Row {
            workload: "loop".to_owned(),
            workloads: vec!["loop".to_owned()],
            transactions: 100,
            backend: "gpu",
            instructions: 60_000_000,
            gas: 3_000_000_000,
            end_to_end_seconds: spread(2.0),
            execution_seconds: spread(1.0),
            cpu_seconds: Some(spread(1.5)),
            parts: Some(parts),
        };
        let unknown = Row { cpu_seconds: None, parts: None, backend: "revm", ..row.clone() };
        let rows = [row, unknown];
        assert_eq!(rates(&rows).rows[0], ["loop", "100", "gpu", "50", "100", "60.0", "3000", "40.0", "1.500"]);
        assert_eq!(rates(&rows).rows[1][7..], ["-", "-"]);
        let times = times(&rows);
        assert_eq!(times.rows.len(), 1);
        assert_eq!(times.rows[0][4], "1500.0");
        assert!(times.rows[0].len() == times.header.len() && times.rows[0][10] == "42");
        let kernels = kernels(&rows);
        assert_eq!(kernels.header[1..], ["batch", "step", "turn"]);
        let text = kernels.markdown();
        assert!(
            text.ends_with(
                " | batch | step | turn |\n| --- | --- | --- | --- |\n| loop | 100 | 500.0 (7 x 12) | 1.0 |\n"
            ),
            "{text}"
        );
    }
}
