//! The corpus: state tests that together reach everything that the generator has reached, few and small.

use super::campaign::Progress;
use super::case::Case;
use super::generate::Generator;
use super::{mutate, write};
use isolane_cpu::observer::{Exit, Step, StepEnd};
use isolane_cpu::{Available, Machine, Observer};
use isolane_spec::{ExecutionError, Fork, Outcome, Status};
use rayon::prelude::*;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::Path;

/// Programs that are looked at together.
const CHUNK: u64 = 4096;
/// State tests that the corpus holds at most.
const MAX_TESTS: usize = 800;
/// Longest state test that the corpus takes, in bytes of JSON.
const MAX_TEST: usize = 8 << 10;

/// Something that an execution reached: what happened, and details of it.
type Feature = (u8, u8, u16);

/// Watches for what is new. Forks count in groups that share their rules, so that the corpus stays small.
#[derive(Default)]
struct Features {
    seen: BTreeSet<Feature>,
    fork: u8,
    /// Depth in classes: the first frame, nested, deep.
    depth: u8,
}

/// The number of bits: numbers by size.
const fn bits(value: u64) -> u16 {
    (u64::BITS - value.leading_zeros()) as u16
}

impl Observer for Features {
    fn step(&mut self, step: &Step<'_>) {
        self.depth = match step.depth {
            1 => 0,
            2..=4 => 1,
            _ => 2,
        };
        // Memory by size: where expansion is charged and checked.
        if step.memory.len() > 1024 {
            self.seen.insert((250, self.fork, bits(step.memory.len() as u64)));
        }
        if step.stack.len() > 64 {
            self.seen.insert((251, self.fork, bits(step.stack.len() as u64)));
        }
    }

    fn step_end(&mut self, end: &StepEnd) {
        let what = match end.halt {
            Some(halt) => 64 + halt_number(halt),
            None => bits(end.cost.saturating_sub(end.given)),
        };
        // What an opcode costs tells its cases apart: warm and cold, new and old, by length.
        self.seen.insert((end.opcode, self.fork, what));
        if end.halt.is_some() {
            self.seen.insert((252, self.depth, u16::from(end.opcode)));
        }
    }

    fn exit(&mut self, exit: &Exit<'_>) {
        let what = match exit.status {
            Status::Halt(halt) => 64 + halt_number(halt),
            Status::Revert => 1,
            _ => 2,
        };
        self.seen.insert((253, self.fork, what + 128 * bits(exit.depth as u64)));
    }

    fn outcome(&mut self, outcome: &Outcome) {
        let end = match &outcome.status {
            Status::Success => 0,
            Status::Revert => 1,
            Status::Halt(halt) => 2 + halt_number(*halt),
            Status::Rejected(_) => 1000,
        };
        self.seen.insert((254, self.fork, end));
        self.seen.insert((255, self.fork, bits(outcome.gas_refunded)));
    }
}

fn halt_number(halt: isolane_spec::Halt) -> u16 {
    use isolane_spec::Halt as H;
    match halt {
        H::BudgetExceeded { .. } => 30,
        H::Denied { .. } => 31,
        H::OutOfGas => 1,
        H::StackUnderflow => 2,
        H::StackOverflow => 3,
        H::InvalidJump => 4,
        H::InvalidOpcode => 5,
        H::UndefinedOpcode => 6,
        H::StaticViolation => 7,
        H::ReturnDataOutOfBounds => 8,
        H::CreateCollision => 9,
        H::CodeTooLarge => 10,
        H::CodeStartsWithEf => 11,
        H::InitcodeTooLarge => 12,
        H::PrecompileFailure => 13,
        H::CallRefused => 14,
    }
}

/// Forks in groups by the rules that changed most.
fn group(fork: Fork) -> u8 {
    let starts = [Fork::Byzantium, Fork::Berlin, Fork::Prague];
    starts.iter().filter(|start| fork >= **start).count() as u8
}

fn features(case: &Case) -> (BTreeSet<Feature>, Option<Result<Outcome, ExecutionError>>) {
    let environment = case.environment();
    let mut available = Available::of(&environment);
    let mut machine = Machine::new(environment);
    let mut watcher = Features { fork: group(case.rules.fork), ..Features::default() };
    let mut last = None;
    for transaction in &case.transactions {
        let result = machine.transact_observed(transaction, available, &mut watcher);
        available = available.after(&result, transaction);
        last = Some(result);
    }
    (watcher.seen, last)
}

/// A case that reached something new: what it reached, its state test and the size of that.
type Kept = (Case, BTreeSet<Feature>, Value, usize);

/// What growing found.
pub struct Grown {
    /// State tests by name.
    pub cases: Vec<(String, Value)>,
    /// What they reach together.
    pub features: usize,
}

/// Looks at so many programs and at mutations of those that reached something new, and keeps a set that reaches all of
/// it, the small ones first.
#[must_use]
pub fn grow(seed: u64, first: u64, count: u64, forks: &[Fork], progress: &dyn Fn(Progress)) -> Grown {
    let generator = Generator::new(seed, forks);
    let mut seen: BTreeSet<Feature> = BTreeSet::new();
    let mut kept: Vec<Kept> = Vec::new();
    let mut sources: Vec<Case> = Vec::new();
    let mut at = 0;
    while at < count {
        progress(Progress { part: "corpus", done: at, total: count, differences: 0 });
        let next = count.min(at + CHUNK);
        let found: Vec<_> = (at..next)
            .into_par_iter()
            .filter_map(|index| {
                // Every other one starts from what was new so far, once there is something.
                let index = first + index;
                let case = match index % 2 == 1 && !sources.is_empty() {
                    true => mutate::mutated(seed, index, &sources, forks)?,
                    false => generator.case(index),
                };
                let (features, last) = features(&case);
                if case.transactions.len() != 1 || features.is_subset(&seen) {
                    return None;
                }
                let name = super::campaign::slug(&case.name);
                let test = write::state_test(&name, "from the generator", &case, &last?)?;
                let size = test.to_string().len();
                (size <= MAX_TEST).then_some((case, features, test, size))
            })
            .collect();
        for (case, features, test, size) in found {
            if !features.is_subset(&seen) {
                seen.extend(features.iter().copied());
                sources.push(case.clone());
                kept.push((case, features, test, size));
            }
        }
        at = next;
    }
    // Again and again the one that adds most for its size.
    let mut covered: BTreeSet<Feature> = BTreeSet::new();
    let mut chosen = Vec::new();
    while chosen.len() < MAX_TESTS {
        let worth = |(_, features, _, size): &Kept| {
            let new = features.difference(&covered).count();
            // In features a mebibyte; whole numbers, so that the order is the same everywhere.
            (new << 20) / size
        };
        let best = (0..kept.len()).max_by_key(|index| (worth(&kept[*index]), std::cmp::Reverse(*index)));
        let Some(best) = best.filter(|best| worth(&kept[*best]) > 0) else { break };
        let next = kept.swap_remove(best);
        covered.extend(next.1.iter().copied());
        chosen.push(next);
    }
    let mut cases: Vec<(String, Value)> = chosen
        .into_iter()
        .filter_map(|(.., test, _)| match test {
            Value::Object(object) => object.into_iter().next(),
            _ => None,
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    Grown { cases, features: covered.len() }
}

/// Writes the corpus as one fixture, compressed if the name ends in `.zst`. The bytes of the file.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, grown: &Grown) -> Result<usize, String> {
    let object: Map<String, Value> = grown.cases.iter().cloned().collect();
    let text = Value::Object(object).to_string();
    let fail = |error: std::io::Error| format!("{}: cannot write it: {error}", path.display());
    let bytes = match path.extension().is_some_and(|extension| extension == "zst") {
        true => zstd::stream::encode_all(text.as_bytes(), 19).map_err(fail)?,
        false => text.into_bytes(),
    };
    std::fs::write(path, &bytes).map_err(fail)?;
    Ok(bytes.len())
}
