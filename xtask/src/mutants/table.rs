//! What the driver found, as text and as a page.

use super::plan::{Bug, REFERENCE};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How a bug was found.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    pub number: usize,
    /// The part of the run that showed it first; none: it was not found.
    pub part: Option<String>,
    /// Cases of that part until then.
    pub after: u64,
    /// The first field that differs.
    pub field: Option<String>,
    /// Whether revm sees it too in that case: none where it cannot judge.
    pub revm: Option<bool>,
    pub seconds: f64,
}

/// One line of the driver.
pub fn parse(line: &str) -> Result<Found> {
    serde_json::from_str(line).with_context(|| line.to_owned())
}

/// By family: how many of how many, and by which part.
pub fn summary(bugs: &[&Bug], found: &[Found]) -> String {
    let by_number: BTreeMap<usize, &Found> = found.iter().map(|result| (result.number, result)).collect();
    let mut families: BTreeMap<&str, (usize, BTreeMap<&str, usize>)> = BTreeMap::new();
    let mut text = String::new();
    for bug in bugs {
        let (count, parts) = families.entry(&bug.family).or_default();
        *count += 1;
        match by_number.get(&bug.number).and_then(|result| result.part.as_deref()) {
            Some(part) => *parts.entry(part).or_default() += 1,
            None => {
                let _ = writeln!(text, "NOT FOUND: {} ({})", bug.name, bug.place);
            }
        }
    }
    for (family, (count, parts)) in families {
        let found: usize = parts.values().sum();
        let parts: Vec<String> = parts.iter().map(|(part, count)| format!("{count} by {part}")).collect();
        let _ = writeln!(text, "{family}: {found} of {count} ({})", parts.join(", "));
    }
    text
}

/// The page with all of them.
pub fn markdown(bugs: &[Bug], found: &[Found]) -> String {
    let all: Vec<&Bug> = bugs.iter().collect();
    let seconds: f64 = found.iter().map(|result| result.seconds).sum();
    let of = |backend| bugs.iter().filter(|bug| bug.backend == backend).count();
    let (of_reference, of_lockstep, of_ahead) = (of(REFERENCE), of("lockstep"), of("ahead"));
    let mut text = format!(
        "# Planted bugs\n\nWritten by `cargo xtask mutants --write`. Each of these {} bugs was planted alone into a copy of the \
         crate of the reference and\nof the lanes in lockstep ([xtask/mutants/bugs](../xtask/mutants/bugs)): {of_reference} \
         were looked for on the copy's reference interpreter, {of_lockstep} on its backend `lockstep`, {of_ahead} where it \
         executes transactions ahead\nof their turn. What is right is what the reference says that has none. The differential tester looked with its default budget and seed: the edge sweep, \
         the bundled\ncorpus, copies of 12,500 programs in groups (only of `lockstep`), 12,500 restricted programs, \
         200,000 programs, the bundled state tests,\n40,000 mutations, in this order, up to the first difference; what is executed \
         ahead with 2,000 sequences. All were \
         found, in {seconds:.0} seconds.\n\n\
         *After* counts the cases of that part. *revm* says whether the comparison with revm alone shows the same case \
         as different (`-`: it cannot\njudge it).\n\n```\n{}```\n",
        bugs.len(),
        summary(&all, found)
    );
    let by_number: BTreeMap<usize, &Found> = found.iter().map(|result| (result.number, result)).collect();
    let mut family = "";
    for bug in bugs {
        if bug.family != family {
            family = &bug.family;
            let _ = write!(
                text,
                "\n## {family}\n\nOn the {}.\n\n| bug | where | found by | after | first field | revm | seconds |\n",
                match bug.backend.as_str() {
                    REFERENCE => "reference",
                    "ahead" => "reference, where transactions are executed ahead of their turn",
                    _ => "backend `lockstep`",
                }
            );
            text.push_str("| --- | --- | --- | ---: | --- | --- | ---: |\n");
        }
        let Some(result) = by_number.get(&bug.number) else { continue };
        let part = result.part.as_deref().unwrap_or("**not found**");
        let field = result.field.as_deref().unwrap_or("-");
        let revm = result.revm.map_or("-", |seen| if seen { "yes" } else { "no" });
        let _ = writeln!(
            text,
            "| {} | `{}` | {part} | {} | `{field}` | {revm} | {:.1} |",
            bug.name, bug.place, result.after, result.seconds
        );
    }
    text
}
