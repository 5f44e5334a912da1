//! Outcome for outcome: isolane's reference interpreter against revm, over everything that is bundled and over the
//! folders that ISOLANE_WORKLOADS, ISOLANE_BLOCKS and ISOLANE_FIXTURES name.

#[path = "oracle/blocks.rs"]
mod blocks;
#[path = "oracle/state_tests.rs"]
mod state_tests;
#[path = "oracle/tally.rs"]
mod tally;

use isolane::cpu::{Available, Machine};
use isolane::diff::compare::Exactness;
use isolane::diff::oracle::Oracle;
use isolane::load::workload::{self, Workload};
use std::path::{Path, PathBuf};
use tally::Tally;

fn bundled(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder)
}

/// The folder that a variable names, if any; a test that runs without says so.
fn named(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    if folder.is_none() {
        println!("{variable} is not set: only what is bundled is compared");
    }
    folder
}

fn compare_workloads(folder: &Path) -> Tally {
    let mut tally = Tally::default();
    for file in workload::files_in(folder).unwrap_or_else(|error| panic!("{error}")) {
        // A copy beyond the file's own transactions checks the widening too: it must succeed like the original.
        let workload = Workload::read(&file).unwrap_or_else(|error| panic!("{error}"));
        let workload = workload.widen(workload.transactions.len() + 2);
        let environment = workload.environment();
        let available = Available { gas: u64::MAX, blob_gas: u64::MAX };
        let mut machine = Machine::new(environment.clone());
        for (index, transaction) in workload.transactions.iter().enumerate() {
            let place = format!("{}: transaction {index}", workload.name);
            machine.rewind();
            let outcome = machine.transact(transaction, available);
            let judged = Oracle::new(&environment).and_then(|mut oracle| oracle.transact(transaction, available));
            if outcome.as_ref().is_ok_and(|outcome| !outcome.status.is_success()) {
                tally.differ(&place, vec![format!("expected success, got {outcome:?}")]);
            }
            tally.compare(&place, outcome, judged, Exactness::Reasons);
        }
    }
    tally
}

#[test]
fn bundled_workloads_agree() {
    compare_workloads(&bundled("workloads")).assert_all_equal("bundled workloads");
}

#[test]
fn workloads_of_the_named_folder_agree() {
    if let Some(folder) = named("ISOLANE_WORKLOADS") {
        compare_workloads(&folder).assert_all_equal("workloads");
    }
}

#[test]
fn bundled_blocks_agree() {
    blocks::compare(&bundled("blocks")).assert_all_equal("bundled blocks");
}

#[test]
fn blocks_of_the_named_folder_agree() {
    if let Some(folder) = named("ISOLANE_BLOCKS") {
        blocks::compare(&folder).assert_all_equal("blocks");
    }
}

#[test]
fn bundled_state_tests_agree() {
    state_tests::compare(&bundled("state")).assert_all_equal("bundled state tests");
}

#[test]
fn state_tests_of_the_named_folder_agree() {
    if let Some(folder) = named("ISOLANE_FIXTURES") {
        state_tests::compare(&folder).assert_all_equal("state tests");
    }
}
