//! The parts of a run that are generated: programs, copies of them in groups, programs with restrictions, and sequences.

use super::backends::Candidate;
use super::campaign::{CHUNK, Plan, Run};
use super::case::Case;
use super::compare::Exactness;
use super::coverage::Coverage;
use super::generate::Generator;
use super::run::{Executed, Finding, Tally, compare, differing};
use super::{alike, restrict, sequences};
use rayon::prelude::*;
use std::ops::Range;
use std::time::Instant;

/// Cases of one batch where all backends take them one by one: few enough to stay in the caches of the processor that makes them.
const SLICE: u64 = 32;

impl Run<'_> {
    pub(super) fn programs(&mut self, plan: &Plan) {
        let start = Instant::now();
        let generator = Generator::new(plan.seed, &plan.forks);
        let size = if self.candidates.iter().all(|candidate| candidate.one_by_one) { SLICE } else { CHUNK };
        let watches = self.candidates.first().is_some_and(|first| first.name() == "cpu");
        let watch = if watches { plan.watch } else { 0 };
        let mut tally = Tally::default();
        let end = plan.first.saturating_add(plan.programs);
        let mut at = plan.first;
        while at < end {
            self.tell("programs", at - plan.first, plan.programs);
            let next = end.min(at.saturating_add(CHUNK));
            let slices = (next - at).div_ceil(size);
            let compared: Vec<Compared> = (0..slices)
                .into_par_iter()
                .map(|slice| {
                    let first = at + slice * size;
                    let programs = first..next.min(first + size);
                    compare_programs(self.candidates, &generator, programs, |index| is_watched(watch, index - at))
                })
                .collect();
            for slice in compared {
                tally.add(slice.tally);
                self.collect(slice.findings);
                self.report.coverage.add(slice.coverage);
                self.report.watched += slice.watched;
            }
            at = next;
        }
        self.part("programs", 0, tally, start);
    }

    /// Copies of programs with other inputs, where a backend groups transactions: as many transactions as programs.
    pub(super) fn groups(&mut self, plan: &Plan) {
        if !self.candidates.iter().any(|candidate| candidate.name() == "lockstep") {
            return;
        }
        let start = Instant::now();
        let generator = Generator::new(plan.seed, &plan.forks);
        let mut tally = Tally::default();
        let end = plan.first.saturating_add(plan.programs.div_ceil(alike::COPIES));
        let mut at = plan.first;
        while at < end {
            self.tell("programs in groups", (at - plan.first) * alike::COPIES, plan.programs);
            let next = end.min(at.saturating_add(CHUNK / alike::COPIES));
            let copies = |index| alike::copies(&generator, plan.seed, index);
            let cases: Vec<Case> = (at..next).into_par_iter().flat_map(copies).collect();
            self.compare(&cases, &mut tally);
            at = next;
        }
        self.part("programs in groups", 0, tally, start);
    }

    /// Programs with permissions and budgets, between backends of isolane's own: no other knows any.
    pub(super) fn restricted(&mut self, plan: &Plan) {
        let own = self.candidates.iter().filter(|candidate| candidate.exactness == Exactness::Everything).count();
        if own < 2 || self.candidates.first().is_none_or(|first| first.exactness != Exactness::Everything) {
            return;
        }
        let start = Instant::now();
        let generator = Generator::new(plan.seed, &plan.forks);
        let mut tally = Tally::default();
        let count = plan.programs.div_ceil(restrict::EVERY);
        let end = plan.first.saturating_add(count);
        let mut at = plan.first;
        while at < end {
            self.tell("restricted programs", at - plan.first, count);
            let next = end.min(at.saturating_add(CHUNK / 2));
            let restricted = |index| restrict::restricted(&generator, plan.seed, index);
            let cases: Vec<Case> = (at..next).into_par_iter().flat_map(restricted).collect();
            let results = self.compare(&cases, &mut tally);
            let transactions = cases.iter().flat_map(|case| case.transactions.iter().map(move |_| case));
            for (case, result) in transactions.zip(&results) {
                if let Some(restriction) = &case.setting.restriction {
                    self.report.restrictions.count(restriction, result);
                }
            }
            at = next;
        }
        self.part("restricted programs", 0, tally, start);
    }

    /// Sequences of transactions that may depend on each other; on the reference also ahead of their turn.
    pub(super) fn sequences(&mut self, plan: &Plan) {
        let start = Instant::now();
        let generator = Generator::new(plan.seed, &plan.forks);
        let mut tally = Tally::default();
        let count = plan.programs.div_ceil(sequences::EVERY);
        let end = plan.first.saturating_add(count);
        let mut at = plan.first;
        while at < end {
            self.tell("sequences", at - plan.first, count);
            let next = end.min(at.saturating_add(CHUNK / 16));
            let cases: Vec<Case> =
                (at..next).into_par_iter().map(|index| sequences::sequence(&generator, plan.seed, index)).collect();
            let results = self.compare(&cases, &mut tally);
            self.ahead(&cases, &results, &mut tally);
            at = next;
        }
        self.part("sequences", 0, tally, start);
    }

    /// Runs sequences on the reference ahead of their turn, one after the other, so that there are threads for it.
    fn ahead(&mut self, cases: &[Case], results: &[Executed], tally: &mut Tally) {
        if self.candidates.first().is_none_or(|first| first.name() != "cpu") {
            return;
        }
        let mut position = 0;
        for case in cases {
            let range = position..position + case.transactions.len();
            position = range.end;
            let (ahead, stats) = sequences::ahead(case);
            self.report.ahead.ahead += stats.ahead;
            self.report.ahead.stale += stats.stale;
            let mut pairs = results.get(range).unwrap_or_default().iter().zip(&ahead).enumerate();
            if let Some((transaction, (left, right))) = pairs.find(|(_, (left, right))| left != right) {
                *tally.different.entry("cpu, ahead").or_default() += 1;
                self.findings.push(Finding {
                    case: case.clone(),
                    transaction,
                    backends: ["cpu", "cpu, ahead"],
                    against: 0,
                    differences: differing(left, right, Exactness::Everything),
                });
            }
        }
    }
}

/// What the comparison of some programs came to.
struct Compared {
    tally: Tally,
    findings: Vec<Finding>,
    coverage: Coverage,
    watched: u64,
}

/// Whether a program is watched too, by its place in its chunk: a whole round of forks at a time, so that all are.
fn is_watched(every: u64, place: u64) -> bool {
    every > 0 && (place / 32).is_multiple_of(every)
}

/// Makes programs, runs them on all backends and compares, and runs some of them on the reference once more with an observer, for the
/// coverage: their outcomes must not change by that.
fn compare_programs(
    candidates: &[Candidate],
    generator: &Generator,
    programs: Range<u64>,
    watch: impl Fn(u64) -> bool + Sync,
) -> Compared {
    let first = programs.start;
    let cases: Vec<Case> = (0..(programs.end - first) as usize)
        .into_par_iter()
        .with_min_len(SLICE as usize)
        .map(|offset| generator.case(first + offset as u64))
        .collect();
    let (tally, findings, results) = compare(candidates, &cases);
    let mut compared = Compared { tally, findings, coverage: Coverage::default(), watched: 0 };
    let mut position = 0;
    let mut chosen = Vec::new();
    for (index, case) in (first..).zip(&cases) {
        let range = position..position + case.transactions.len();
        position = range.end;
        if watch(index) {
            chosen.push((case, results.get(range).unwrap_or_default()));
        }
    }
    compared.watched = chosen.len() as u64;
    let (coverage, changed) = chosen
        .par_iter()
        .with_min_len(SLICE as usize)
        .fold(
            || (Coverage::default(), Vec::new()),
            |(mut coverage, mut changed), (case, results)| {
                let watched = coverage.run(case);
                let pairs = results.iter().zip(&watched).enumerate();
                changed.extend(pairs.filter(|(_, (left, right))| left != right).map(|(transaction, (left, right))| {
                    Finding {
                        case: (*case).clone(),
                        transaction,
                        backends: ["cpu", "cpu, watched"],
                        against: 0,
                        differences: differing(left, right, Exactness::Everything),
                    }
                }));
                (coverage, changed)
            },
        )
        .reduce(Default::default, |mut all, one| {
            all.0.add(one.0);
            all.1.extend(one.1);
            all
        });
    compared.coverage = coverage;
    if !changed.is_empty() {
        *compared.tally.different.entry("cpu, watched").or_default() += changed.len() as u64;
        compared.findings.extend(changed);
    }
    compared
}
