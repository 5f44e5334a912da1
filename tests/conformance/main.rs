//! The official fixture formats: everything that is bundled passes, everything that a fixture says is checked, and
//! malformed fixtures end in one clear error each.

mod forge;
mod malformed;
mod mutation;

use isolane::conformance::{Event, Options, Record, Verdict, run};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What a run reported.
#[derive(Default)]
struct Report {
    cases: Vec<Record>,
    problems: Vec<String>,
}

impl Report {
    fn count(&self, want: impl Fn(&Verdict) -> bool) -> usize {
        self.cases.iter().filter(|record| want(&record.verdict)).count()
    }

    fn failures(&self) -> Vec<String> {
        let text = |record: &Record| match &record.verdict {
            Verdict::Failed(differences) => {
                let differences: Vec<_> = differences.iter().map(ToString::to_string).collect();
                Some(format!("{}: {}", record.id(), differences.join("; ")))
            }
            Verdict::Malformed(error) => Some(format!("{}: malformed: {error}", record.id())),
            Verdict::Passed | Verdict::Unchecked(_) => None,
        };
        self.cases.iter().filter_map(text).chain(self.problems.iter().cloned()).collect()
    }
}

fn run_all(path: &Path) -> Report {
    let report = Mutex::new(Report::default());
    run(&[path.to_owned()], &Options::default(), &|event| {
        let mut report = report.lock().expect("no panic holds it");
        match event {
            Event::Case(record) | Event::Listed(record) => report.cases.push(record),
            Event::Unreadable(error) => report.problems.push(error.to_string()),
            Event::NoFixture(error) => report.problems.push(error.to_string()),
        }
    })
    .expect("threads");
    report.into_inner().expect("no panic holds it")
}

fn assert_all_pass(path: &Path) {
    let report = run_all(path);
    let passed = report.count(|verdict| *verdict == Verdict::Passed);
    let unchecked = report.count(|verdict| matches!(verdict, Verdict::Unchecked(_)));
    let failures = report.failures();
    println!("{}: {passed} passed, {} failed, {unchecked} not fully checked", path.display(), failures.len());
    assert!(
        failures.is_empty(),
        "{} failures, such as\n{}",
        failures.len(),
        failures[..failures.len().min(20)].join("\n")
    );
    assert!(passed > 0, "{}: no case passed", path.display());
}

#[test]
fn bundled_state_tests() {
    assert_all_pass(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/state"));
}
