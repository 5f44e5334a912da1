//! Counts what was compared, what revm cannot judge and why, and what differs.

use isolane::diff::compare::{Exactness, differences, other_reason};
use isolane::spec::{ExecutionError, Outcome};
use std::collections::BTreeMap;

/// Differences that are printed; all are counted.
const SHOWN: usize = 40;

/// The result of many comparisons.
#[derive(Debug, Default)]
pub struct Tally {
    equal: u64,
    /// What revm cannot judge, by reason.
    unjudged: BTreeMap<String, u64>,
    /// Agreement on the kind of end, with another reason: (isolane's, revm's). Where two checks fail at once, either
    /// may be named.
    other_reason: BTreeMap<(String, String), (u64, String)>,
    different: u64,
    shown: Vec<String>,
}

impl Tally {
    /// Compares what isolane and revm say.
    pub fn compare(
        &mut self,
        place: &str,
        isolane: Result<Outcome, ExecutionError>,
        revm: Result<Outcome, ExecutionError>,
        exactness: Exactness,
    ) {
        match (isolane, revm) {
            (Ok(outcome), Ok(judged)) => {
                let differences = differences(&outcome, &judged, exactness);
                if !differences.is_empty() {
                    self.differ(place, differences.iter().map(ToString::to_string).collect());
                    return;
                }
                self.equal += 1;
                if let Some(pair) = other_reason(&outcome.status, &judged.status) {
                    self.other_reason.entry(pair).or_insert_with(|| (0, place.to_owned())).0 += 1;
                }
            }
            (_, Err(ExecutionError::Unsupported(reason))) => self.cannot_judge(&reason),
            (isolane, revm) => {
                let show = |text: Option<String>| text.unwrap_or_else(|| "an outcome".into());
                let (ours, theirs) =
                    (show(isolane.err().map(|e| e.to_string())), show(revm.err().map(|e| e.to_string())));
                self.differ(place, vec![format!("isolane: {ours}, revm: {theirs}")]);
            }
        }
    }

    /// Counts a difference.
    pub fn differ(&mut self, place: &str, differences: Vec<String>) {
        self.different += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(format!("{place}: {}", differences.join("; ")));
        }
    }

    /// Counts something that revm cannot judge.
    pub fn cannot_judge(&mut self, reason: &str) {
        *self.unjudged.entry(reason.to_owned()).or_default() += 1;
    }

    /// Adds another tally.
    pub fn add(&mut self, other: Self) {
        self.equal += other.equal;
        self.different += other.different;
        for (reason, count) in other.unjudged {
            *self.unjudged.entry(reason).or_default() += count;
        }
        for (pair, (count, place)) in other.other_reason {
            self.other_reason.entry(pair).or_insert((0, place)).0 += count;
        }
        self.shown.extend(other.shown);
        self.shown.truncate(SHOWN);
    }

    /// Prints the tally and fails on any difference, or if nothing was compared.
    pub fn assert_all_equal(&self, what: &str) {
        println!("{what}: {} outcomes equal, {} different", self.equal, self.different);
        for (reason, count) in &self.unjudged {
            println!("  not judged by revm ({count}): {reason}");
        }
        for ((ours, theirs), (count, place)) in &self.other_reason {
            println!("  another reason ({count}): isolane {ours}, revm {theirs}; first: {place}");
        }
        assert_eq!(self.different, 0, "{} of {what} differ from revm:\n{}", self.different, self.shown.join("\n"));
        assert!(self.equal > 0, "{what}: nothing was compared");
    }
}
