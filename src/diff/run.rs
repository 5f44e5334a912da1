//! Runs cases on all backends and compares what comes of them.

use super::backends::Candidate;
use super::case::{Case, batch};
use super::compare::{Difference, Exactness, differences, other_reason, same};
use super::known;
use isolane_spec::{ExecutionError, Fork, Outcome};
use std::collections::BTreeMap;

/// The result of one transaction on one backend.
pub type Executed = Result<Outcome, ExecutionError>;

/// A transaction on which two backends differ.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Where.
    pub case: Case,
    /// Index of the transaction in the case.
    pub transaction: usize,
    /// The backends' names.
    pub backends: [&'static str; 2],
    /// Index of the second in the list of backends; the first is the first there.
    pub against: usize,
    /// The fields that differ.
    pub differences: Vec<Difference>,
}

/// What many comparisons came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Environments.
    pub cases: u64,
    /// Transactions.
    pub transactions: u64,
    /// Per backend but the first: outcomes that are equal.
    pub equal: BTreeMap<&'static str, u64>,
    /// Per backend: what it cannot judge, by reason.
    pub unjudged: BTreeMap<(&'static str, String), u64>,
    /// Per backend: the same kind of end for another reason, where either will do: (the first's, the other's).
    pub other_reasons: BTreeMap<(&'static str, String, String), u64>,
    /// Per backend: differences.
    pub different: BTreeMap<&'static str, u64>,
    /// By fork and backend: transactions that are equal, and that the backend cannot judge.
    pub forks: BTreeMap<(Fork, &'static str), (u64, u64)>,
}

impl Tally {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.transactions += other.transactions;
        for (name, count) in other.equal {
            *self.equal.entry(name).or_default() += count;
        }
        for (reason, count) in other.unjudged {
            *self.unjudged.entry(reason).or_default() += count;
        }
        for (reason, count) in other.other_reasons {
            *self.other_reasons.entry(reason).or_default() += count;
        }
        for (name, count) in other.different {
            *self.different.entry(name).or_default() += count;
        }
        for (key, (equal, unjudged)) in other.forks {
            let sum = self.forks.entry(key).or_default();
            *sum = (sum.0 + equal, sum.1 + unjudged);
        }
    }

    /// All differences.
    #[must_use]
    pub fn differences(&self) -> u64 {
        self.different.values().sum()
    }
}

/// Two results as far as they must be equal: `Ok(true)` equal, `Err` not judged and why.
fn agree(left: &Executed, right: &Executed, exactness: Exactness) -> Result<bool, String> {
    match (left, right) {
        (_, Err(ExecutionError::Unsupported(reason))) | (Err(ExecutionError::Unsupported(reason)), _) => {
            Err(reason.clone())
        }
        (Ok(left), Ok(right)) => Ok(same(left, right, exactness)),
        (Err(left), Err(right)) => Ok(left == right),
        _ => Ok(false),
    }
}

/// The fields in which two results differ, where one of them is an error too.
#[must_use]
pub fn differing(left: &Executed, right: &Executed, exactness: Exactness) -> Vec<Difference> {
    match (left, right) {
        (Ok(left), Ok(right)) => differences(left, right, exactness),
        _ => {
            let show = |result: &Executed| match result {
                Ok(outcome) => outcome.status.to_string(),
                Err(error) => format!("error: {error}"),
            };
            vec![Difference { path: "result".into(), left: show(left), right: show(right) }]
        }
    }
}

/// Runs the cases on all backends. Returns also the first one's results, case after case.
#[must_use]
pub fn compare(candidates: &[Candidate], cases: &[Case]) -> (Tally, Vec<Finding>, Vec<Executed>) {
    let batch = batch(cases);
    let mut tally =
        Tally { cases: cases.len() as u64, transactions: batch.transactions.len() as u64, ..Tally::default() };
    let mut findings = Vec::new();
    let Some((first, others)) = candidates.split_first() else { return (tally, findings, Vec::new()) };
    let reference = first.backend.execute(&batch);
    for (index, other) in others.iter().enumerate() {
        let results = other.backend.execute(&batch);
        let exactness = first.exactness.max(other.exactness);
        let mut position = 0;
        for case in cases {
            let range = position..position + case.transactions.len();
            position = range.end;
            let (Some(left), Some(right)) = (reference.get(range.clone()), results.get(range)) else {
                continue;
            };
            for (transaction, (left, right)) in left.iter().zip(right).enumerate() {
                let of_fork = tally.forks.entry((case.rules.fork, other.name())).or_default();
                match agree(left, right, exactness) {
                    Ok(true) => {
                        of_fork.0 += 1;
                        *tally.equal.entry(other.name()).or_default() += 1;
                        if let (Ok(left), Ok(right)) = (left, right)
                            && let Some((left, right)) = other_reason(&left.status, &right.status)
                        {
                            *tally.other_reasons.entry((other.name(), left, right)).or_default() += 1;
                        }
                    }
                    Err(reason) => {
                        of_fork.1 += 1;
                        *tally.unjudged.entry((other.name(), reason)).or_default() += 1;
                    }
                    Ok(false) => {
                        if let Some(reason) = known::difference(other.name(), case, transaction, left, right) {
                            of_fork.1 += 1;
                            *tally.unjudged.entry((other.name(), reason.to_owned())).or_default() += 1;
                            break;
                        }
                        *tally.different.entry(other.name()).or_default() += 1;
                        findings.push(Finding {
                            case: case.clone(),
                            transaction,
                            backends: [first.name(), other.name()],
                            against: index + 1,
                            differences: differing(left, right, exactness),
                        });
                        // What follows starts from another state.
                        break;
                    }
                }
            }
        }
        if results.len() != reference.len() {
            *tally.different.entry(other.name()).or_default() += 1;
        }
    }
    (tally, findings, reference)
}

/// The first difference of a single case between two backends.
#[must_use]
pub fn differs(left: &Candidate, right: &Candidate, case: &Case) -> Option<(usize, Vec<Difference>)> {
    let batch = batch(std::slice::from_ref(case));
    let exactness = left.exactness.max(right.exactness);
    let name = right.name();
    let pairs = left.backend.execute(&batch).into_iter().zip(right.backend.execute(&batch));
    for (transaction, (left, right)) in pairs.enumerate() {
        if agree(&left, &right, exactness) == Ok(false) {
            let known = known::difference(name, case, transaction, &left, &right);
            return known.is_none().then(|| (transaction, differing(&left, &right, exactness)));
        }
    }
    None
}
