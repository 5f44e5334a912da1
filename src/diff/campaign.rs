//! A whole run: what is compared, what came of it, and each difference explained.

use super::backends::Candidate;
use super::case::Case;
use super::compare::{Difference, Exactness};
use super::coverage::Coverage;
use super::restrict::Restrictions;
use super::run::{Executed, Finding, Tally, compare, differs};
use super::trace::{self, Divergence};
use super::{edge, load, minimise, mutate, write};
use isolane_cpu::SequenceStats;
use isolane_spec::Fork;
use rayon::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Cases of one batch.
pub(super) const CHUNK: u64 = 2048;
/// Transactions of one batch: blocks and fixtures have many.
const MAX_TRANSACTIONS: usize = 4096;
/// Cases that mutation starts from at most.
const MAX_SOURCES: usize = 30_000;
/// Bytes of code in a state, beyond which mutation passes a case over: it would spend its time on hashing.
const MAX_SOURCE_CODE: usize = 256 << 10;
/// Differences that are minimised and written; all are counted.
const EXPLAINED: usize = 6;
/// Differences that are collected to choose from.
const COLLECTED: usize = 256;

/// What to compare.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The edge sweep.
    pub sweep: bool,
    /// Generated programs.
    pub programs: u64,
    /// Index of the first of them, and of the first mutation.
    pub first: u64,
    /// What decides programs and mutations.
    pub seed: u64,
    /// Mutated cases of what is loaded.
    pub mutations: u64,
    /// State tests: fixtures, packs of them, folders.
    pub fixtures: Vec<PathBuf>,
    /// Block packs, and folders of them.
    pub blocks: Vec<PathBuf>,
    /// A folder of workloads.
    pub workloads: Option<PathBuf>,
    /// The forks of programs and mutations.
    pub forks: Vec<Fork>,
    /// Every how-many-th program is watched too, for the coverage; 0: none.
    pub watch: u64,
}

/// What one part of a run came to.
#[derive(Clone, Debug)]
pub struct Part {
    /// `edge sweep`, `programs`, …
    pub name: &'static str,
    /// Vectors of the edge sweep; 0 elsewhere.
    pub vectors: u64,
    /// What was compared.
    pub tally: Tally,
    /// Its time.
    pub time: Duration,
}

/// A difference, as small as it could be made.
#[derive(Clone, Debug)]
pub struct Explained {
    /// As it was found.
    pub finding: Finding,
    /// Shrunk.
    pub minimised: Case,
    /// The fields that differ in the small case.
    pub differences: Vec<Difference>,
    /// The first step that differs.
    pub divergence: Option<Divergence>,
    /// The small case as a state test.
    pub state_test: Option<Value>,
    /// What finds it again.
    pub command: String,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Part by part.
    pub parts: Vec<Part>,
    /// Of the programs that were watched.
    pub coverage: Coverage,
    /// How many were watched.
    pub watched: u64,
    /// What permissions and budgets cut.
    pub restrictions: Restrictions,
    /// How many transactions of sequences were executed ahead of their turn.
    pub ahead: SequenceStats,
    /// Fixtures that are no state tests.
    pub passed_over: u64,
    /// The first differences of each kind.
    pub explained: Vec<Explained>,
}

impl Report {
    /// All differences.
    #[must_use]
    pub fn differences(&self) -> u64 {
        self.parts.iter().map(|part| part.tally.differences()).sum()
    }

    /// All transactions that were compared with at least one other backend.
    #[must_use]
    pub fn compared(&self) -> u64 {
        self.parts.iter().flat_map(|part| part.tally.equal.values()).sum::<u64>() + self.differences()
    }
}

/// Where a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The part.
    pub part: &'static str,
    /// Cases done of it.
    pub done: u64,
    /// Cases of it; 0 where that is not known yet.
    pub total: u64,
    /// Differences so far.
    pub differences: u64,
}

pub(super) struct Run<'a> {
    pub candidates: &'a [Candidate],
    progress: &'a dyn Fn(Progress),
    pub report: Report,
    pub findings: Vec<Finding>,
}

/// Compares all that the plan names.
///
/// # Errors
/// The first input that cannot be read.
pub fn run(plan: &Plan, candidates: &[Candidate], progress: &dyn Fn(Progress)) -> Result<Report, load::Problem> {
    let mut run = Run { candidates, progress, report: Report::default(), findings: Vec::new() };
    if plan.sweep {
        run.sweep(&plan.forks);
    }
    if plan.programs > 0 {
        run.programs(plan);
        run.groups(plan);
        run.restricted(plan);
        run.sequences(plan);
    }
    let mut sources = Vec::new();
    run.loaded(plan, &mut sources)?;
    if plan.mutations > 0 {
        run.mutations(plan, &sources);
    }
    run.explain(plan);
    Ok(run.report)
}

impl Run<'_> {
    pub(super) fn tell(&self, part: &'static str, done: u64, total: u64) {
        let differences = self.findings.len() as u64;
        (self.progress)(Progress { part, done, total, differences });
    }

    pub(super) fn compare(&mut self, cases: &[Case], tally: &mut Tally) -> Vec<Executed> {
        let (found, findings, results) = compare(self.candidates, cases);
        tally.add(found);
        self.collect(findings);
        results
    }

    pub(super) fn collect(&mut self, findings: Vec<Finding>) {
        let room = COLLECTED.saturating_sub(self.findings.len());
        self.findings.extend(findings.into_iter().take(room));
    }

    pub(super) fn part(&mut self, name: &'static str, vectors: u64, tally: Tally, start: Instant) {
        self.report.parts.push(Part { name, vectors, tally, time: start.elapsed() });
    }

    /// The newest fork among those that have every opcode of the sweep, or else the newest.
    fn sweep(&mut self, forks: &[Fork]) {
        let start = Instant::now();
        let stable = forks.iter().filter(|fork| **fork <= Fork::Osaka).max();
        let fork = stable.or(forks.iter().max()).copied().unwrap_or(Fork::Osaka);
        let (cases, vectors) = edge::sweep(fork);
        let mut tally = Tally::default();
        let total = cases.len() as u64;
        for (index, chunk) in cases.chunks(CHUNK as usize).enumerate() {
            self.tell("edge sweep", index as u64 * CHUNK, total);
            self.compare(chunk, &mut tally);
        }
        self.part("edge sweep", vectors, tally, start);
    }

    /// Fixtures, blocks and workloads as they are; they are kept for mutation.
    fn loaded(&mut self, plan: &Plan, sources: &mut Vec<Case>) -> Result<(), load::Problem> {
        if !plan.fixtures.is_empty() {
            let start = Instant::now();
            let mut tally = Tally::default();
            let mut waiting = Vec::new();
            let passed_over = load::state_tests(&plan.fixtures, |cases| {
                keep(sources, &cases);
                waiting.extend(cases);
                if waiting.len() as u64 >= CHUNK {
                    self.compare(&std::mem::take(&mut waiting), &mut tally);
                    self.tell("state tests", tally.cases, 0);
                }
            })?;
            self.compare(&waiting, &mut tally);
            self.report.passed_over = passed_over;
            self.part("state tests", 0, tally, start);
        }
        if !plan.blocks.is_empty() {
            let start = Instant::now();
            let mut tally = Tally::default();
            let mut waiting: Vec<Case> = Vec::new();
            load::blocks(&plan.blocks, |case| {
                keep(sources, std::slice::from_ref(&case));
                waiting.push(case);
                if waiting.iter().map(|case| case.transactions.len()).sum::<usize>() >= MAX_TRANSACTIONS {
                    self.compare(&std::mem::take(&mut waiting), &mut tally);
                    self.tell("blocks", tally.cases, 0);
                }
            })?;
            self.compare(&waiting, &mut tally);
            self.part("blocks", 0, tally, start);
        }
        if let Some(folder) = &plan.workloads {
            let start = Instant::now();
            let mut tally = Tally::default();
            let cases = load::workloads(folder)?;
            keep(sources, &cases);
            self.compare(&cases, &mut tally);
            self.part("workloads", 0, tally, start);
        }
        Ok(())
    }

    fn mutations(&mut self, plan: &Plan, sources: &[Case]) {
        let start = Instant::now();
        let mut tally = Tally::default();
        let end = plan.first.saturating_add(plan.mutations);
        let mut at = plan.first;
        while at < end {
            self.tell("mutations", at - plan.first, plan.mutations);
            let next = end.min(at.saturating_add(CHUNK));
            let cases: Vec<Case> = (at..next)
                .into_par_iter()
                .filter_map(|index| mutate::mutated(plan.seed, index, sources, &plan.forks))
                .collect();
            self.compare(&cases, &mut tally);
            at = next;
        }
        self.part("mutations", 0, tally, start);
    }

    /// Minimises the first differences of each kind.
    fn explain(&mut self, plan: &Plan) {
        let mut kinds = BTreeSet::new();
        let mut chosen = Vec::new();
        for finding in std::mem::take(&mut self.findings) {
            let paths: String = finding.differences.iter().map(|difference| field(&difference.path)).collect();
            if kinds.insert((finding.backends, paths)) && chosen.len() < EXPLAINED {
                chosen.push(finding);
            }
        }
        let total = chosen.len() as u64;
        for (index, finding) in chosen.into_iter().enumerate() {
            self.tell("minimising", index as u64, total);
            self.report.explained.push(explain(self.candidates, finding, plan));
        }
    }
}

/// The name of a field, without the keys in its path.
fn field(path: &str) -> String {
    path.split(['[', ']']).step_by(2).collect()
}

/// Keeps cases for mutation as long as there is room.
fn keep(sources: &mut Vec<Case>, cases: &[Case]) {
    let room = MAX_SOURCES.saturating_sub(sources.len());
    let small = cases.iter().filter(|case| {
        !case.transactions.is_empty()
            && case.state.codes.values().map(|code| code.len()).sum::<usize>() <= MAX_SOURCE_CODE
    });
    sources.extend(small.take(room).cloned());
}

/// Minimises a difference, finds its first differing step, and writes it down.
#[must_use]
pub fn explain(candidates: &[Candidate], finding: Finding, plan: &Plan) -> Explained {
    let mut minimised = finding.case.clone();
    let mut differences = finding.differences.clone();
    let mut divergence = None;
    let mut state_test = None;
    let command = command(&finding, plan);
    if let (Some(left), Some(right)) = (candidates.first(), candidates.get(finding.against))
        && finding.against > 0
    {
        minimised = minimise::minimise(&finding.case, |case| differs(left, right, case).is_some());
        if let Some((transaction, small)) = differs(left, right, &minimised) {
            differences = small;
            divergence = first_step(left, right, &minimised, transaction);
        }
        let name = format!("isolane_diff_{}", slug(&finding.case.name));
        // The independent implementation is trusted, as far as it can judge; else the first backend.
        let batch = super::case::batch(std::slice::from_ref(&minimised));
        let trusted = if right.exactness == Exactness::Everything { left } else { right };
        let expected = trusted.backend.execute(&batch).into_iter().next();
        let comment = format!("found by `{command}`; the expected state is that of {}", trusted.name());
        state_test = expected.and_then(|expected| write::state_test(&name, &comment, &minimised, &expected));
    }
    Explained { finding, minimised, differences, divergence, state_test, command }
}

/// Both executions step by step, where both backends can be watched.
fn first_step(left: &Candidate, right: &Candidate, case: &Case, transaction: usize) -> Option<Divergence> {
    let environment = case.environment();
    let transactions = case.transactions.get(..=transaction)?;
    let left = left.tracer?(&environment, transactions).ok()?;
    let right = right.tracer?(&environment, transactions).ok()?;
    trace::divergence(&left.steps, &right.steps)
}

/// The command that finds the difference again.
fn command(finding: &Finding, plan: &Plan) -> String {
    let backends = finding.backends.join(",").replace("cpu, watched", "revm").replace("cpu, ahead", "revm");
    let forks: Vec<&str> = plan.forks.iter().map(|fork| fork.name()).collect();
    let forks = if plan.forks == Fork::ALL { "all".to_owned() } else { forks.join(",") };
    let name = &finding.case.name;
    let index = |name: &str| name.split([':', ' ']).nth(2).unwrap_or_default().to_owned();
    let program = name.trim_start_matches("restricted ").trim_start_matches("sequence ");
    if program.starts_with("program ") {
        let (seed, name) = (plan.seed, program);
        format!("isolane diff --backends {backends} --forks {forks} --seed {seed} --first {} --fuzz 1", index(name))
    } else if name.starts_with("mutation ") {
        let mut inputs = String::new();
        for (flag, paths) in [("--fixtures", &plan.fixtures), ("--blocks", &plan.blocks)] {
            for path in paths {
                inputs += &format!(" {flag} {}", path.display());
            }
        }
        let seed = plan.seed;
        format!(
            "isolane diff --backends {backends} --forks {forks} --seed {seed} --first {} --mutate 1{inputs}",
            index(name)
        )
    } else if name.starts_with("edge sweep") {
        format!("isolane diff --backends {backends} --sweep")
    } else {
        let file = name.split("::").next().unwrap_or_default();
        let flag = if finding.case.formula { "--fixtures" } else { "--blocks" };
        format!("isolane diff --backends {backends} {flag} {file}")
    }
}

/// A name for files.
#[must_use]
pub fn slug(name: &str) -> String {
    let mut slug: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(80).collect();
    while slug.contains("__") {
        slug = slug.replace("__", "_");
    }
    slug
}
