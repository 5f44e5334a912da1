//! The differential tester finds what is wrong, makes it small, and covers what it says.

use isolane::cpu::Reference;
use isolane::diff::backends::Candidate;
use isolane::diff::campaign::{self, Explained, Plan, Report};
use isolane::diff::case::Case;
use isolane::diff::coverage::Coverage;
use isolane::diff::generate::Generator;
use isolane::diff::{backends, load, report, run};
use isolane::spec::{Backend, Batch, ExecutionError, Fork, Outcome, Status, U256};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

fn plan() -> Plan {
    Plan {
        sweep: false,
        programs: 0,
        first: 0,
        seed: 1,
        mutations: 0,
        fixtures: Vec::new(),
        blocks: Vec::new(),
        workloads: None,
        forks: Fork::ALL.to_vec(),
        watch: 0,
    }
}

fn testdata(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder)
}

/// The reference with a defect in what it shows.
struct Wrong(fn(&mut Outcome));

impl Backend for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }

    fn execute(&self, batch: &Batch) -> Vec<Result<Outcome, ExecutionError>> {
        let mut results = Reference.execute(batch);
        results.iter_mut().flatten().for_each(self.0);
        results
    }
}

fn against_wrong(defect: fn(&mut Outcome), programs: u64) -> Report {
    let candidates = [Candidate::exact(Reference), Candidate::exact(Wrong(defect))];
    let plan = Plan { programs, ..plan() };
    campaign::run(&plan, &candidates, &|_| {}).expect("nothing is read")
}

/// The number of code bytes of a case.
fn code_size(case: &Case) -> usize {
    case.state
        .accounts
        .values()
        .filter_map(|account| case.state.codes.get(&account.info.code_hash))
        .map(|c| c.len())
        .sum()
}

/// The first explained difference has become small, and its state test shows it again.
fn check_explained(report: &Report, defect: fn(&mut Outcome), most_code: usize) {
    assert!(report.differences() > 0, "the defect was not found");
    let explained: &Explained = report.explained.first().expect("an explained difference");
    let small = &explained.minimised;
    assert!(!explained.differences.is_empty());
    assert!(
        small.transactions.len() == 1 && code_size(small) <= most_code,
        "not small: {:#}",
        explained.state_test.clone().unwrap_or_default()
    );
    let folder = tempfile::tempdir().expect("a folder");
    let written = report::save(folder.path(), report).expect("written");
    let test = written.iter().find(|path| path.extension().is_some_and(|e| e == "json")).expect("a state test");

    // isolane itself passes the test, whose expected state is the reference's.
    let exit = isolane::cli::run([Path::new("isolane"), Path::new("test"), test, Path::new("-q")]);
    assert_eq!(exit, isolane::cli::Exit::Match, "{}", std::fs::read_to_string(test).expect("text"));
    let mut cases = Vec::new();
    load::state_tests(std::slice::from_ref(test), |found| cases.extend(found)).expect("a state test");
    assert_eq!(cases.len(), 1);
    let candidates = [Candidate::exact(Reference), Candidate::exact(Wrong(defect))];
    let (_, findings, _) = run::compare(&candidates, &cases);
    assert_eq!(findings.len(), 1, "the state test does not show the difference");
    assert_eq!(findings[0].differences[0].path, explained.differences[0].path);
}

#[test]
fn a_lost_log_is_found_and_made_small() {
    let defect: fn(&mut Outcome) = |outcome| {
        if outcome.logs.iter().any(|log| log.topics.len() == 3) {
            outcome.logs.pop();
        }
    };
    let report = against_wrong(defect, 2_000);
    check_explained(&report, defect, 24);
    assert!(report.explained[0].differences[0].path.starts_with("logs"));
}

#[test]
fn a_wrong_slot_is_found_and_made_small() {
    let defect: fn(&mut Outcome) = |outcome| {
        for change in &mut outcome.diff {
            for slot in change.storage.iter_mut().filter(|slot| slot.key == U256::one() && slot.after == U256::one()) {
                slot.after = U256::from(2);
            }
        }
    };
    let report = against_wrong(defect, 2_000);
    check_explained(&report, defect, 24);
    assert!(report.explained[0].differences[0].path.contains("storage[0x1]"));
}

#[test]
fn a_wrong_refund_is_found_and_made_small() {
    let defect: fn(&mut Outcome) = |outcome| {
        if outcome.gas_refunded > 0 {
            outcome.gas_refunded -= 1;
        }
    };
    let report = against_wrong(defect, 1_000);
    check_explained(&report, defect, 40);
    assert_eq!(report.explained[0].differences[0].path, "gas_refunded");
}

#[test]
fn an_error_is_a_difference() {
    struct Failing;
    impl Backend for Failing {
        fn name(&self) -> &'static str {
            "failing"
        }
        fn execute(&self, batch: &Batch) -> Vec<Result<Outcome, ExecutionError>> {
            batch.transactions.iter().map(|_| Err(ExecutionError::Panic("a defect".into()))).collect()
        }
    }
    let candidates = [Candidate::exact(Reference), Candidate::exact(Failing)];
    let done = campaign::run(&Plan { programs: 10, ..plan() }, &candidates, &|_| {}).expect("nothing is read");
    // Ten programs, one with restrictions, one sequence: each ends with its first error.
    let parts: Vec<(&str, u64)> = done.parts.iter().map(|part| (part.name, part.tally.differences())).collect();
    assert_eq!(parts, [("programs", 10), ("restricted programs", 1), ("sequences", 1)]);
    assert!(done.explained[0].differences[0].right.contains("a defect"));
}

#[test]
fn programs_are_decided_by_seed_and_index() {
    let generator = Generator::new(5, &Fork::ALL);
    let outcomes = |generator: &Generator| -> Vec<_> {
        let cases: Vec<Case> = (0..500).map(|index| generator.case(index)).collect();
        run::compare(&[Candidate::exact(Reference)], &cases).2
    };
    let once = outcomes(&generator);
    assert_eq!(once, outcomes(&generator));
    assert_ne!(once, outcomes(&Generator::new(6, &Fork::ALL)));
}

/// At least 40% of the programs succeed and 5% revert; every opcode and every halt of every fork occurs.
#[test]
fn programs_reach_everything() {
    let generator = Generator::new(1, &Fork::ALL);
    let coverage = (0..1000 * Fork::ALL.len() as u64)
        .into_par_iter()
        .fold(Coverage::default, |mut coverage, index| {
            coverage.run(&generator.case(index));
            coverage
        })
        .reduce(Coverage::default, |mut all, one| {
            all.add(one);
            all
        });
    let [success, revert, halt, rejected] = coverage.ends();
    let all = success + revert + halt + rejected;
    println!("{success} succeed, {revert} revert, {halt} halt, {rejected} are rejected");
    assert!(100 * success >= 40 * all, "{success} of {all} succeed");
    assert!(100 * revert >= 5 * all, "{revert} of {all} revert");
    assert_eq!(coverage.forks.len(), Fork::ALL.len());
    let precompile = |name: &String| name.ends_with(" (success)") || name.ends_with(" (failure)");
    for (fork, missing) in coverage.missing() {
        let (of_precompiles, others): (Vec<_>, Vec<_>) = missing.into_iter().partition(precompile);
        assert!(others.is_empty(), "{fork}: nothing executes {others:?}");
        println!("{fork}: {of_precompiles:?}");
    }
}

/// What the backends of this build say about a few thousand programs, and the corpus.
#[test]
fn backends_agree() {
    let candidates = backends::found();
    if candidates.len() < 2 {
        println!("only one backend is in this build: nothing is compared");
        return;
    }
    let corpus = testdata("diff");
    let plan = Plan { programs: 5_000, seed: 11, fixtures: vec![corpus], watch: 4, ..plan() };
    let done = campaign::run(&plan, &candidates, &|_| {}).expect("the corpus is readable");
    let names: Vec<&str> = candidates.iter().map(Candidate::name).collect();
    assert_eq!(done.differences(), 0, "{}", report::text(&names, &plan, &done));
    assert!(done.compared() > 6_000, "{}", done.compared());
    assert!(done.parts.iter().any(|part| part.name == "state tests" && part.tally.cases >= 100));
}

/// Mutations of the bundled state tests, blocks and workloads.
#[test]
fn mutations_agree() {
    let candidates = backends::found();
    if candidates.len() < 2 {
        println!("only one backend is in this build: nothing is compared");
        return;
    }
    let plan = Plan { mutations: 2_000, seed: 12, fixtures: vec![testdata("state")], ..plan() };
    let done = campaign::run(&plan, &candidates, &|_| {}).expect("the bundled data is readable");
    let names: Vec<&str> = candidates.iter().map(Candidate::name).collect();
    assert_eq!(done.differences(), 0, "{}", report::text(&names, &plan, &done));
    let part = done.parts.last().expect("a part");
    assert_eq!((part.name, part.tally.cases), ("mutations", 2_000));
}

/// The corpus stays small, and what is not rejected in it does something.
#[test]
fn the_corpus_is_small() {
    let folder = testdata("diff");
    let bytes: u64 = std::fs::read_dir(&folder)
        .expect("a folder")
        .flatten()
        .filter_map(|e| e.metadata().ok())
        .map(|m| m.len())
        .sum();
    assert!(bytes < 300 << 10, "{bytes} bytes");
    let mut cases = Vec::new();
    load::state_tests(&[folder], |found| cases.extend(found)).expect("state tests");
    let (_, _, results) = run::compare(&[Candidate::exact(Reference)], &cases);
    let succeed = results.iter().flatten().filter(|outcome| outcome.status == Status::Success).count();
    assert!(cases.len() >= 100 && succeed > cases.len() / 10, "{succeed} of {}", cases.len());
}

#[test]
fn bad_arguments_are_usage_errors() {
    use isolane::cli::{Exit, run};
    for arguments in [
        ["diff", "--backends", "cpu,abacus"],
        ["diff", "--backends", "cpu"],
        ["diff", "--backends", "cpu,cpu"],
        ["diff", "--forks", "Atlantis"],
        ["diff", "--fuzz", "many"],
        ["diff", "--fixtures", "/no/such/folder"],
        ["diff", "--blocks", "/no/such/folder"],
        ["diff", "--grow", "file"],
    ] {
        let all = std::iter::once("isolane").chain(arguments).chain(["-q"]);
        assert_eq!(run(all), Exit::Usage, "{arguments:?}");
    }
}

/// Every line of the JSON report is an object of the schema, and the last one sums up.
#[test]
fn the_json_report_is_lines_of_its_schema() {
    let defect: fn(&mut Outcome) = |outcome| outcome.steps += u64::from(!outcome.logs.is_empty());
    let candidates = [Candidate::exact(Reference), Candidate::exact(Wrong(defect))];
    let plan = Plan { programs: 300, watch: 1, ..plan() };
    let done = campaign::run(&plan, &candidates, &|_| {}).expect("nothing is read");
    let text = report::json_lines(&["cpu", "wrong"], &plan, &done);
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert!(lines.iter().all(|line| line["schema"] == report::SCHEMA));
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
    assert_eq!((of("part"), of("coverage"), of("restrictions"), of("summary")), (3, Fork::ALL.len(), 1, 1));
    assert!(of("difference") > 0);
    let summary = lines.last().expect("a line");
    assert_eq!((&summary["exitCode"], &summary["different"]), (&1.into(), &done.differences().into()));
}
