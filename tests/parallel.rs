//! Transactions that are executed ahead in parallel come to what they come to one by one: of blocks and of workloads.

use isolane::load::workload;
use isolane::replay::{Options, ParallelTransactions, find, replay};
use isolane::report::InputReport;
use isolane_cpu::{Available, InParallel, Machine, Sequence, SequenceStats};
use isolane_spec::{Outcome, Transaction};
use std::path::{Path, PathBuf};

fn replayed(folder: &Path, parallel_transactions: ParallelTransactions, threads: usize) -> Vec<InputReport> {
    let inputs = find(&[folder.to_owned()]).unwrap_or_else(|error| panic!("{error}"));
    let options = Options { threads, keep_receipts: true, parallel_transactions, ..Options::default() };
    let mut reports = Vec::new();
    replay(&inputs, &options, |report| reports.push(report)).expect("threads");
    reports
}

fn compare(folder: &Path) {
    let one_by_one = replayed(folder, ParallelTransactions::Off, 2);
    assert!(!one_by_one.is_empty());
    for threads in [2, 4] {
        let ahead = replayed(folder, ParallelTransactions::On, threads);
        assert_eq!(ahead.len(), one_by_one.len());
        for (one, other) in one_by_one.iter().zip(&ahead) {
            assert_eq!(one.file, other.file);
            assert_eq!(format!("{:?}", one.verdict), format!("{:?}", other.verdict), "{}", one.file);
            assert_eq!(format!("{:?}", one.receipts), format!("{:?}", other.receipts), "{}", one.file);
            let counted = |report: &InputReport| (report.gas_used, report.steps, report.transactions);
            assert_eq!(counted(one), counted(other), "{}", one.file);
            assert_eq!(format!("{:?}", one.checks), format!("{:?}", other.checks), "{}", one.file);
        }
    }
}

fn bundled(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder)
}

#[test]
fn bundled_blocks() {
    compare(&bundled("blocks"));
}

#[test]
fn blocks_of_the_named_folder() {
    match std::env::var_os("ISOLANE_BLOCKS") {
        Some(folder) => compare(Path::new(&folder)),
        None => println!("ISOLANE_BLOCKS is not set: only the bundled blocks are compared"),
    }
}

fn outcomes(
    workload: &workload::Workload,
    transactions: &[&Transaction],
    threads: usize,
    settled: bool,
) -> (Vec<Outcome>, SequenceStats) {
    let unlimited = Available { gas: u64::MAX, blob_gas: u64::MAX };
    let mut machine = Machine::new(workload.environment());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    pool.install(|| {
        let mut sequence = Sequence::new(transactions, InParallel::Always);
        let mut outcomes = Vec::new();
        while let Some(outcome) = sequence.next(&mut machine, unlimited) {
            outcomes.push(outcome.unwrap_or_else(|error| panic!("{}: {error}", workload.name)));
            if settled {
                sequence.settle();
            }
        }
        println!("{}: {:?}", workload.name, sequence.stats());
        (outcomes, sequence.stats())
    })
}

#[test]
fn bundled_workloads() {
    let files = workload::files_in(&bundled("workloads")).unwrap_or_else(|error| panic!("{error}"));
    assert!(!files.is_empty());
    let mut sum = SequenceStats::default();
    for file in files {
        let workload = workload::Workload::read(&file).unwrap_or_else(|error| panic!("{error}")).widen(192);
        let mut transactions = workload.transactions.clone();
        // A workload's transactions all start from one state; here they follow one another.
        let mut nonces = std::collections::HashMap::new();
        for transaction in &mut transactions {
            let next = nonces.entry(transaction.sender).or_insert(transaction.nonce);
            transaction.nonce = *next;
            *next += 1;
        }
        let list: Vec<&Transaction> = transactions.iter().collect();
        let (one_by_one, stats) = outcomes(&workload, &list, 1, false);
        assert_eq!(stats, SequenceStats::default());
        for (threads, settled) in [(2, true), (2, false), (3, false)] {
            let (in_parallel, stats) = outcomes(&workload, &list, threads, settled);
            assert!(in_parallel == one_by_one, "{}", workload.name);
            // How much is ahead otherwise depends on what else the machine does.
            if settled {
                sum.ahead += stats.ahead;
                sum.stale += stats.stale;
            }
        }
    }
    // Nearly all of the six workloads whose transactions neither depend on each other nor have one sender; and those of which some do.
    assert!(sum.ahead - sum.stale > 1_000 && sum.stale > 50, "{sum:?}");
}
