//! What a conformance run comes to: a table by kind and fork, the failures, the totals.

use super::{Event, Record, Verdict};
use crate::load::archive::Walked;
use crate::load::fixtures::Kind;
use comfy_table::{CellAlignment, Table, presets};
use isolane_spec::Fork;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// The schema of the JSON Lines.
pub const SCHEMA: &str = "isolane-test/1";

/// The most failures that the text prints; JSON has all of them.
const PRINTED: usize = 200;

/// How much to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Failures and totals.
    Failures,
    /// And a table by kind and fork.
    Table,
    /// And, in JSON, every case.
    Everything,
}

/// Counts of one kind and fork.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Cases that passed.
    pub passed: u64,
    /// Cases that failed, malformed ones among them.
    pub failed: u64,
    /// Cases of which something could not be checked.
    pub unchecked: u64,
    /// Time of all cases together.
    pub time: Duration,
}

impl Count {
    fn cases(&self) -> u64 {
        self.passed + self.failed + self.unchecked
    }

    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.unchecked += other.unchecked;
        self.time += other.time;
    }
}

/// Forks in their order, transitions after them by name.
type ForkKey = (Option<Fork>, String);

/// Everything that a run reported.
#[derive(Debug)]
pub struct Totals {
    detail: Detail,
    json: bool,
    groups: BTreeMap<(Option<Kind>, bool, ForkKey), Count>,
    /// Failures, and with [`Detail::Everything`] in JSON all cases.
    records: Vec<Record>,
    /// Why cases were not fully checked, and how many.
    unchecked: BTreeMap<String, u64>,
    listed: Vec<Record>,
    /// One line per file that could not be read.
    unreadable: Vec<String>,
    mismatches: u64,
}

impl Totals {
    /// Nothing yet.
    #[must_use]
    pub fn new(detail: Detail, json: bool) -> Self {
        Self {
            detail,
            json,
            groups: BTreeMap::new(),
            records: Vec::new(),
            unchecked: BTreeMap::new(),
            listed: Vec::new(),
            unreadable: Vec::new(),
            mismatches: 0,
        }
    }

    /// Takes in what a run reports.
    pub fn add(&mut self, event: Event) {
        match event {
            Event::Unreadable(error) => self.unreadable.push(error.to_string()),
            Event::NoFixture(error) => self.unreadable.push(error.to_string()),
            Event::Listed(record) => self.listed.push(record),
            Event::Case(record) => self.case(record),
        }
    }

    fn case(&mut self, record: Record) {
        let fork = record.fork.parse().ok();
        let key =
            (record.kind, fork.is_none(), (fork, if fork.is_some() { String::new() } else { record.fork.clone() }));
        let count = self.groups.entry(key).or_default();
        count.time += record.elapsed;
        let mut keep = self.json && self.detail == Detail::Everything;
        match &record.verdict {
            Verdict::Passed => count.passed += 1,
            Verdict::Failed(_) => {
                count.failed += 1;
                self.mismatches += 1;
                keep = true;
            }
            Verdict::Malformed(_) => {
                count.failed += 1;
                keep = true;
            }
            Verdict::Unchecked(reason) => {
                count.unchecked += 1;
                *self.unchecked.entry(reason.clone()).or_default() += 1;
            }
        }
        if keep {
            self.records.push(record);
        }
    }

    /// All groups together.
    #[must_use]
    pub fn count(&self) -> Count {
        let mut all = Count::default();
        self.groups.values().for_each(|count| all.add(count));
        all
    }

    /// The files that could not be read, one line each.
    #[must_use]
    pub fn unreadable(&self) -> &[String] {
        &self.unreadable
    }

    /// 0: all passed; 1: a case failed; 2: unreadable or malformed input, or nothing was checked.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let count = self.count();
        if self.mismatches > 0 {
            1
        } else if count.failed > 0 || !self.unreadable.is_empty() || self.nothing().is_some() {
            2
        } else {
            0
        }
    }

    /// Says so if no case passed or failed.
    #[must_use]
    pub fn nothing(&self) -> Option<&'static str> {
        let count = self.count();
        if !self.listed.is_empty() || count.passed + count.failed > 0 || !self.unreadable.is_empty() {
            return None;
        }
        Some(if count.unchecked > 0 {
            "no case could be checked in full"
        } else {
            "no case found: check the paths, --fork and --filter (--list shows what there is)"
        })
    }

    /// The whole report.
    #[must_use]
    pub fn render(&self, walked: Walked) -> String {
        let mut records: Vec<_> = self.records.iter().collect();
        records.sort_by(|a, b| (&a.file, &a.case).cmp(&(&b.file, &b.case)));
        let mut listed: Vec<_> = self.listed.iter().collect();
        listed.sort_by(|a, b| (&a.file, &a.case).cmp(&(&b.file, &b.case)));
        let mut unreadable = self.unreadable.clone();
        unreadable.sort();
        if self.json {
            return self.render_json(&records, &listed, &unreadable, walked);
        }
        let mut out = String::new();
        for record in &listed {
            let _ = writeln!(out, "{}\t{}\t{}", kind_name(record.kind), record.fork, record.id());
        }
        if !listed.is_empty() {
            let _ = writeln!(out, "{} cases", listed.len());
            return self.render_unreadable(out, &unreadable);
        }
        if self.detail != Detail::Failures && !self.groups.is_empty() {
            let _ = writeln!(out, "{}", self.table());
        }
        for record in records.iter().take(PRINTED) {
            render_failure(&mut out, record);
        }
        if records.len() > PRINTED {
            let _ = writeln!(out, "… and {} more failures: --json has all of them", records.len() - PRINTED);
        }
        for (reason, count) in &self.unchecked {
            let _ = writeln!(out, "not fully checked: {count} cases: {reason}");
        }
        let mut out = self.render_unreadable(out, &unreadable);
        if self.detail == Detail::Everything && walked.ignored > 0 {
            let _ = writeln!(out, "{} files that are neither JSON nor a pack", walked.ignored);
        }
        let all = self.count();
        let _ = write!(out, "{} passed, {} failed", all.passed, all.failed);
        if all.unchecked > 0 {
            let _ = write!(out, ", {} not fully checked", all.unchecked);
        }
        if !unreadable.is_empty() {
            let _ = write!(out, ", {} files unreadable", unreadable.len());
        }
        out.push('\n');
        out
    }

    fn render_unreadable(&self, mut out: String, unreadable: &[String]) -> String {
        for line in unreadable {
            let _ = writeln!(out, "unreadable: {line}");
        }
        out
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header([
            "kind",
            "fork",
            "cases",
            "passed",
            "failed",
            "unchecked",
            "time",
        ]);
        let row = |kind: &str, fork: &str, count: &Count| {
            let numbers = [count.cases(), count.passed, count.failed, count.unchecked].map(|number| number.to_string());
            let [cases, passed, failed, unchecked] = numbers;
            let time = format!("{:.2} s", count.time.as_secs_f64());
            [kind.to_owned(), fork.to_owned(), cases, passed, failed, unchecked, time]
        };
        for ((kind, _, fork), count) in &self.groups {
            table.add_row(row(kind_name(*kind), fork_name(fork), count));
        }
        table.add_row(row("all", "", &self.count()));
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    fn render_json(&self, records: &[&Record], listed: &[&Record], unreadable: &[String], walked: Walked) -> String {
        let mut lines = Vec::new();
        for record in listed {
            lines.push(json!({"type": "listed", "kind": kind_name(record.kind), "fork": record.fork, "file": record.file, "case": record.case}));
        }
        for record in records {
            lines.push(case_line(record));
        }
        for ((kind, _, fork), count) in &self.groups {
            lines.push(count_line("group", count, &[("kind", kind_name(*kind)), ("fork", fork_name(fork))]));
        }
        for line in unreadable {
            lines.push(json!({"type": "unreadable", "problem": line}));
        }
        for (reason, count) in &self.unchecked {
            lines.push(json!({"type": "unchecked", "cases": count, "reason": reason}));
        }
        let mut total = count_line("total", &self.count(), &[]);
        if let Value::Object(total) = &mut total {
            total.insert("unreadable".into(), unreadable.len().into());
            total.insert("documents".into(), walked.documents.into());
            total.insert("ignored".into(), walked.ignored.into());
        }
        lines.push(total);
        let mut out = String::new();
        for mut line in lines {
            if let Value::Object(line) = &mut line {
                line.insert("schema".into(), SCHEMA.into());
            }
            let _ = writeln!(out, "{line}");
        }
        out
    }
}

fn kind_name(kind: Option<Kind>) -> &'static str {
    kind.map_or("unknown", Kind::name)
}

fn fork_name(fork: &ForkKey) -> &str {
    match fork.0 {
        Some(fork) => fork.name(),
        None => &fork.1,
    }
}

fn render_failure(out: &mut String, record: &Record) {
    let _ = writeln!(out, "FAILED {} {} {}", kind_name(record.kind), record.fork, record.id());
    match &record.verdict {
        Verdict::Failed(differences) => {
            for difference in differences {
                let _ = writeln!(out, "  {difference}");
            }
        }
        Verdict::Malformed(error) => {
            let _ = writeln!(out, "  malformed: {error}");
        }
        Verdict::Passed | Verdict::Unchecked(_) => {}
    }
    let _ = writeln!(out, "  re-run: {}", record.command());
}

fn case_line(record: &Record) -> Value {
    let (verdict, differences) = match &record.verdict {
        Verdict::Passed => ("passed", Vec::new()),
        Verdict::Failed(differences) => {
            let show = |difference: &super::Difference| json!({"what": difference.what, "expected": difference.expected, "got": difference.got});
            ("failed", differences.iter().map(show).collect())
        }
        Verdict::Malformed(error) => {
            ("malformed", vec![json!({"what": error.path, "expected": error.expected, "got": error.got})])
        }
        Verdict::Unchecked(reason) => ("unchecked", vec![json!({"what": reason})]),
    };
    json!({
        "type": "case",
        "kind": kind_name(record.kind),
        "fork": record.fork,
        "file": record.file,
        "case": record.case,
        "verdict": verdict,
        "differences": differences,
        "seconds": record.elapsed.as_secs_f64(),
        "rerun": record.command(),
    })
}

fn count_line(line_type: &str, count: &Count, extra: &[(&str, &str)]) -> Value {
    let mut line = json!({
        "type": line_type,
        "cases": count.cases(),
        "passed": count.passed,
        "failed": count.failed,
        "unchecked": count.unchecked,
        "seconds": count.time.as_secs_f64(),
    });
    if let Value::Object(line) = &mut line {
        line.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))));
    }
    line
}
