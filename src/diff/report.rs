//! The report of a run: as text, as JSON Lines, and as files.

use super::campaign::{Explained, Part, Plan, Report, slug};
use super::coverage::{ForkCoverage, halts};
use super::run::Tally;
use comfy_table::{ContentArrangement, Table, presets};
use isolane_cpu::SequenceStats;
use isolane_cpu::precompile::Precompile;
use isolane_spec::Fork;
use isolane_spec::opcode::OPCODES;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Version of the JSON lines.
pub const SCHEMA: &str = "isolane-diff/1";

/// Reasons that the text lists.
const LISTED: usize = 12;

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(header);
    table
}

/// For people. The last line is `N passed, N failed`, in transactions compared.
#[must_use]
pub fn text(backends: &[&str], plan: &Plan, report: &Report) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "backends: {}; forks: {}; seed {}", backends.join(", "), fork_list(plan), plan.seed);
    let mut parts =
        table(&["part", "cases", "transactions", "vectors", "equal", "not judged", "different", "seconds", "cases/s"]);
    for part in &report.parts {
        let tally = &part.tally;
        let seconds = part.time.as_secs_f64();
        parts.add_row([
            part.name.to_owned(),
            tally.cases.to_string(),
            tally.transactions.to_string(),
            if part.vectors == 0 { "-".into() } else { part.vectors.to_string() },
            per_backend(part, |part| part.tally.equal.iter().map(|(name, count)| (*name, *count)).collect()),
            per_backend(part, |part| part.tally.unjudged.iter().map(|((name, _), count)| (*name, *count)).collect()),
            tally.differences().to_string(),
            format!("{seconds:.1}"),
            format!("{:.0}", tally.cases as f64 / seconds.max(1e-9)),
        ]);
    }
    let _ = writeln!(text, "\n{parts}");
    reasons(&mut text, report);
    coverage_text(&mut text, report);
    restrictions_text(&mut text, report);
    if report.ahead.ahead > 0 {
        let SequenceStats { ahead, stale } = report.ahead;
        let _ = writeln!(
            text,
            "\nsequences: {ahead} transactions were executed ahead of their turn, {stale} of them again"
        );
    }
    for (index, explained) in report.explained.iter().enumerate() {
        explain(&mut text, index, explained);
    }
    let _ = writeln!(text, "\n{} passed, {} failed", report.compared() - report.differences(), report.differences());
    text
}

fn fork_list(plan: &Plan) -> String {
    if plan.forks == Fork::ALL {
        return "all".into();
    }
    plan.forks.iter().map(|fork| fork.name()).collect::<Vec<_>>().join(", ")
}

/// `name count, …`, summed by name.
fn per_backend(part: &Part, counts: impl Fn(&Part) -> Vec<(&'static str, u64)>) -> String {
    let mut sums: Vec<(&str, u64)> = Vec::new();
    for (name, count) in counts(part) {
        match sums.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += count,
            None => sums.push((name, count)),
        }
    }
    let list: Vec<String> = sums.iter().map(|(name, count)| format!("{name} {count}")).collect();
    if list.is_empty() { "0".into() } else { list.join(", ") }
}

/// What was not judged and why, and where another reason was named.
fn reasons(text: &mut String, report: &Report) {
    let mut unjudged: Vec<(u64, String)> = Vec::new();
    let mut others: Vec<(u64, String)> = Vec::new();
    let add = |list: &mut Vec<(u64, String)>, count: u64, line: String| match list
        .iter_mut()
        .find(|(_, known)| *known == line)
    {
        Some((sum, _)) => *sum += count,
        None => list.push((count, line)),
    };
    for part in &report.parts {
        for ((name, reason), count) in &part.tally.unjudged {
            add(&mut unjudged, *count, format!("{name}: {reason}"));
        }
        for ((name, left, right), count) in &part.tally.other_reasons {
            add(&mut others, *count, format!("{name}: {left} there {right}"));
        }
    }
    for (title, mut list) in [("not judged", unjudged), ("the same end for another reason", others)] {
        list.sort_unstable_by(|a, b| b.cmp(a));
        for (count, line) in list.iter().take(LISTED) {
            let _ = writeln!(text, "{title} ({count}): {line}");
        }
        if list.len() > LISTED {
            let more: u64 = list.iter().skip(LISTED).map(|(count, _)| count).sum();
            let _ = writeln!(text, "{title} ({more}): {} more reasons", list.len() - LISTED);
        }
    }
    if report.passed_over > 0 {
        let _ = writeln!(text, "passed over: {} fixtures that are no state tests", report.passed_over);
    }
}

/// Transactions by fork and backend, over all parts: equal, and not judged.
fn by_fork(report: &Report) -> BTreeMap<(Fork, &'static str), (u64, u64)> {
    let mut all = Tally::default();
    for part in &report.parts {
        all.add(Tally { forks: part.tally.forks.clone(), ..Tally::default() });
    }
    all.forks
}

/// How much of each fork each backend was compared on. Opcodes and halts that the reference reached there were then
/// reached by it too: the outcomes are equal.
fn forks_text(text: &mut String, report: &Report) {
    let counts = by_fork(report);
    let mut names: Vec<&str> = counts.keys().map(|(_, name)| *name).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return;
    }
    let titles: Vec<String> = names.iter().map(|name| format!("{name}: equal, not judged")).collect();
    let mut header = vec!["fork"];
    header.extend(titles.iter().map(String::as_str));
    let mut rows = table(&header);
    let mut forks: Vec<Fork> = counts.keys().map(|(fork, _)| *fork).collect();
    forks.dedup();
    for fork in forks {
        let mut row = vec![fork.name().to_owned()];
        row.extend(names.iter().map(|name| match counts.get(&(fork, *name)) {
            Some((equal, unjudged)) => format!("{equal}, {unjudged}"),
            None => "-".to_owned(),
        }));
        rows.add_row(row);
    }
    let _ = writeln!(text, "\ntransactions by fork and backend\n{rows}");
}

fn coverage_text(text: &mut String, report: &Report) {
    forks_text(text, report);
    if report.watched == 0 {
        return;
    }
    let share = |count: u64, all: u64| 100.0 * count as f64 / all.max(1) as f64;
    let ends = report.coverage.ends();
    let all: u64 = ends.iter().sum();
    let _ = writeln!(
        text,
        "\ncoverage of {} programs that were watched ({all} transactions: {:.1}% succeed, {:.1}% revert, {:.1}% halt, {:.1}% are rejected)",
        report.watched,
        share(ends[0], all),
        share(ends[1], all),
        share(ends[2], all),
        share(ends[3], all)
    );
    let mut rows =
        table(&["fork", "success", "revert", "halt", "rejected", "opcodes", "halts", "precompiles", "missing"]);
    let missing = report.coverage.missing();
    for (fork, seen) in &report.coverage.forks {
        let [success, revert, halt, rejected] = seen.ends;
        let counts = Counts::of(*fork, seen);
        rows.add_row([
            fork.name().to_owned(),
            success.to_string(),
            revert.to_string(),
            halt.to_string(),
            rejected.to_string(),
            format!("{}/{}", counts.opcodes.0, counts.opcodes.1),
            format!("{}/{}", counts.halts.0, counts.halts.1),
            format!("{}/{}", counts.precompiles.0, counts.precompiles.1),
            missing.get(fork).map_or("-".into(), |list| shortened(list)),
        ]);
    }
    let _ = writeln!(text, "{rows}");
}

/// What permissions and budgets cut.
fn restrictions_text(text: &mut String, report: &Report) {
    let seen = &report.restrictions;
    if seen.transactions() == 0 {
        return;
    }
    let counts: Vec<String> = seen.counts().into_iter().map(|(name, count)| format!("{name} {count}")).collect();
    let missing = seen.missing();
    let missing = if missing.is_empty() { "none".to_owned() } else { missing.join(", ") };
    let _ = writeln!(
        text,
        "\ncut by permissions and budgets, of {} transactions: {}; missing: {missing}",
        seen.transactions(),
        counts.join(", ")
    );
}

/// The first names of a list; a short run misses many, and `--json` has them all.
fn shortened(names: &[String]) -> String {
    let mut text = names.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(" ");
    if names.len() > LISTED {
        let _ = write!(text, " and {} more", names.len() - LISTED);
    }
    text
}

/// Seen, of how many.
struct Counts {
    opcodes: (usize, usize),
    halts: (usize, usize),
    /// Success and failure count apart.
    precompiles: (usize, usize),
}

impl Counts {
    fn of(fork: Fork, seen: &ForkCoverage) -> Self {
        let rows = OPCODES.iter().filter(|row| row.since <= fork && row.name != "INVALID").count();
        let kinds: Vec<_> = halts(fork).collect();
        let ways =
            seen.precompiles.values().map(|(succeeded, failed)| usize::from(*succeeded > 0) + usize::from(*failed > 0));
        Self {
            opcodes: (seen.opcodes.keys().filter(|byte| **byte != 0xfe).count(), rows),
            halts: (kinds.iter().filter(|halt| seen.halts.contains_key(halt)).count(), kinds.len()),
            precompiles: (ways.sum(), 2 * Precompile::active(fork).count()),
        }
    }
}

fn explain(text: &mut String, index: usize, explained: &Explained) {
    let finding = &explained.finding;
    let [left, right] = finding.backends;
    let _ = writeln!(text, "\ndifference {}: {left} against {right}", index + 1);
    let _ = writeln!(
        text,
        "  found in     {}, {}, transaction {}",
        finding.case.name, finding.case.rules.fork, finding.transaction
    );
    for difference in finding.differences.iter().take(4) {
        let _ = writeln!(text, "  differs      {difference}");
    }
    let _ = writeln!(text, "  minimised    {}", shape(explained));
    for difference in explained.differences.iter().take(4) {
        let _ = writeln!(text, "  still        {difference}");
    }
    match &explained.divergence {
        Some(divergence) => {
            let _ = writeln!(text, "  first step   {divergence}");
        }
        None => {
            let _ = writeln!(text, "  first step   none differs, or the backend cannot be watched");
        }
    }
    if let Some(restriction) = &explained.minimised.setting.restriction {
        let _ = writeln!(text, "  restriction  {restriction:?}");
    }
    if explained.state_test.is_none() {
        let _ = writeln!(
            text,
            "  state test   none: it takes several transactions or a restriction, or no backend that is trusted can judge it"
        );
    }
    let _ = writeln!(text, "  again        {}", explained.command);
}

/// How large a minimised case is.
fn shape(explained: &Explained) -> String {
    let case = &explained.minimised;
    let code: usize = case
        .state
        .accounts
        .values()
        .filter_map(|account| case.state.codes.get(&account.info.code_hash))
        .map(|code| code.len())
        .sum();
    format!("{} transactions, {} accounts, {code} bytes of code", case.transactions.len(), case.state.accounts.len())
}

/// For programs: one line a part, a fork, a difference, and a summary.
#[must_use]
pub fn json_lines(backends: &[&str], plan: &Plan, report: &Report) -> String {
    let mut lines = Vec::new();
    for part in &report.parts {
        let tally = &part.tally;
        let unjudged: Vec<Value> = tally
            .unjudged
            .iter()
            .map(|((backend, reason), count)| json!({ "backend": backend, "reason": reason, "transactions": count }))
            .collect();
        let other: Vec<Value> = tally
            .other_reasons
            .iter()
            .map(|((backend, left, right), count)| json!({ "backend": backend, "first": left, "other": right, "transactions": count }))
            .collect();
        lines.push(json!({
            "type": "part", "part": part.name, "cases": tally.cases, "transactions": tally.transactions,
            "vectors": part.vectors, "equal": tally.equal, "different": tally.different, "unjudged": unjudged,
            "otherReasons": other, "seconds": part.time.as_secs_f64(),
        }));
    }
    let missing = report.coverage.missing();
    for (fork, seen) in &report.coverage.forks {
        let [success, revert, halt, rejected] = seen.ends;
        let names = |byte: &u8| {
            OPCODES.iter().find(|row| row.byte == *byte).map_or(format!("0x{byte:02x}"), |row| row.name.into())
        };
        let opcodes: serde_json::Map<String, Value> =
            seen.opcodes.iter().map(|(byte, count)| (names(byte), json!(count))).collect();
        let halts: serde_json::Map<String, Value> =
            seen.halts.iter().map(|(halt, count)| (format!("{halt:?}"), json!(count))).collect();
        let precompiles: serde_json::Map<String, Value> = seen
            .precompiles
            .iter()
            .map(|(name, (succeeded, failed))| ((*name).to_owned(), json!({ "success": succeeded, "failure": failed })))
            .collect();
        lines.push(json!({
            "type": "coverage", "fork": fork.name(), "success": success, "revert": revert, "halt": halt,
            "rejected": rejected, "opcodes": opcodes, "halts": halts, "precompiles": precompiles,
            "missing": missing.get(fork).cloned().unwrap_or_default(),
        }));
    }
    for ((fork, backend), (equal, unjudged)) in by_fork(report) {
        lines.push(json!({
            "type": "fork", "fork": fork.name(), "backend": backend, "equal": equal, "unjudged": unjudged,
        }));
    }
    if report.restrictions.transactions() > 0 {
        let cut: serde_json::Map<String, Value> =
            report.restrictions.counts().into_iter().map(|(name, count)| (name, json!(count))).collect();
        lines.push(json!({
            "type": "restrictions", "transactions": report.restrictions.transactions(), "cut": cut,
            "missing": report.restrictions.missing(),
        }));
    }
    for explained in &report.explained {
        lines.push(difference_json(explained));
    }
    lines.push(json!({
        "type": "summary", "backends": backends, "seed": plan.seed, "forks": plan.forks.iter().map(|fork| fork.name()).collect::<Vec<_>>(),
        "compared": report.compared(), "different": report.differences(), "watched": report.watched,
        "ahead": report.ahead.ahead, "stale": report.ahead.stale,
        "exitCode": u8::from(report.differences() > 0),
    }));
    lines.into_iter().fold(String::new(), |mut text, mut line| {
        line["schema"] = json!(SCHEMA);
        let _ = writeln!(text, "{line}");
        text
    })
}

fn difference_json(explained: &Explained) -> Value {
    let fields = |list: &[super::compare::Difference]| -> Vec<Value> {
        list.iter().map(|d| json!({ "field": d.path, "first": d.left, "other": d.right })).collect()
    };
    let finding = &explained.finding;
    json!({
        "type": "difference", "backends": finding.backends, "case": finding.case.name,
        "fork": finding.case.rules.fork.name(), "transaction": finding.transaction,
        "fields": fields(&finding.differences), "minimised": fields(&explained.differences),
        "firstStep": explained.divergence.as_ref().map(ToString::to_string),
        "stateTest": explained.state_test, "command": explained.command,
    })
}

/// Writes each difference to a folder: the state test, and the report on it. The paths that were written.
///
/// # Errors
/// When the folder or a file cannot be written.
pub fn save(folder: &Path, report: &Report) -> Result<Vec<PathBuf>, String> {
    let fail = |path: &Path, error: std::io::Error| format!("{}: cannot write it: {error}", path.display());
    std::fs::create_dir_all(folder).map_err(|error| fail(folder, error))?;
    let mut written = Vec::new();
    for (index, explained) in report.explained.iter().enumerate() {
        let stem = format!("{}-{}", index + 1, slug(&explained.finding.case.name));
        let mut text = String::new();
        explain(&mut text, index, explained);
        let mut files = vec![(folder.join(format!("{stem}.txt")), text)];
        if let Some(test) = &explained.state_test {
            files.push((folder.join(format!("{stem}.json")), format!("{test:#}\n")));
        }
        for (path, text) in files {
            std::fs::write(&path, text).map_err(|error| fail(&path, error))?;
            written.push(path);
        }
    }
    Ok(written)
}
