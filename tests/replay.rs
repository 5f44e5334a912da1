//! Replays recorded blocks: the bundled ones, and those of the folder that ISOLANE_BLOCKS names.

use isolane::conformance::SharedBackend;
use isolane::replay::{Options, find, replay};
use isolane::report::{InputReport, Summary, Verdict, render};
use isolane_cpu::Reference;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn replay_all(folder: &Path) -> (Vec<InputReport>, Summary) {
    let inputs = find(&[folder.to_owned()]).unwrap_or_else(|error| panic!("{error}"));
    let mut reports = Vec::new();
    let summary = replay(&inputs, &Options::default(), |report| reports.push(report)).expect("threads");
    println!("{}\n{}", folder.display(), render(&summary));
    assert_eq!(reports.len(), inputs.packs.len(), "every pack has a report");
    let problems: Vec<String> = reports.iter().filter_map(InputReport::problem).collect();
    assert!(problems.is_empty(), "{} packs do not match:\n{}", problems.len(), problems.join("\n"));
    assert_eq!(summary.exit_code(), 0);
    (reports, summary)
}

#[test]
fn bundled_blocks_are_verified_to_the_state_root() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/blocks");
    let (reports, summary) = replay_all(&folder);
    assert!(summary.total.blocks > 0 && summary.total.transactions > 0, "the bundled packs hold blocks");
    for report in &reports {
        assert!(matches!(report.verdict, Verdict::Match), "{}", report.file);
        assert_eq!(report.checks.gas_used, Some(true), "{}", report.file);
        assert_eq!(report.checks.receipts_root, Some(true), "{}", report.file);
        assert_eq!(report.checks.logs_bloom, Some(true), "{}", report.file);
        assert_eq!(report.checks.transactions_root, Some(true), "{}", report.file);
        assert_eq!(report.checks.state_root, Some(true), "{}: the bundled packs hold their whole state", report.file);
    }
}

/// With hardly any memory one pack at a time is at work, and the verdicts are the same; also where the packs of several
/// threads become one batch.
#[test]
fn a_limit_of_memory_slows_and_changes_nothing() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/blocks");
    let inputs = find(&[folder]).unwrap_or_else(|error| panic!("{error}"));
    for backend in [None, Some(SharedBackend(Arc::new(Reference)))] {
        let gathers = backend.is_some();
        let mut rendered = Vec::new();
        for memory_limit in [None, Some(1)] {
            let options = Options { threads: 4, memory_limit, backend: backend.clone(), ..Options::default() };
            let mut files = Vec::new();
            let summary = replay(&inputs, &options, |report| files.push((report.file, report.receipts.len())));
            let summary = summary.expect("threads");
            assert_eq!(summary.exit_code(), 0);
            // How many there are without a limit is the machine's business, but for the gathered ones, which wait for each other.
            assert!(memory_limit.is_none() || summary.most_at_work == 1, "{}", summary.most_at_work);
            assert!(memory_limit.is_some() || !gathers || summary.most_at_work > 1);
            rendered.push(files);
        }
        assert_eq!(rendered[0], rendered[1]);
    }
}

#[test]
fn blocks_of_the_named_folder_are_verified() {
    let Some(folder) = std::env::var_os("ISOLANE_BLOCKS") else {
        println!("ISOLANE_BLOCKS is not set: only the bundled blocks are replayed");
        return;
    };
    let (_, summary) = replay_all(Path::new(&folder));
    let total = summary.total;
    assert_eq!(total.gas_used, total.blocks + total.singles, "gas used is verified everywhere");
    println!(
        "{} blocks, {} single transactions, {} transactions, {} gas; receipts roots {}, state roots {} by witness and {} by \
         complete pre-state",
        total.blocks,
        total.singles,
        total.transactions,
        total.gas,
        total.receipts_root,
        total.state_by_witness,
        total.state_by_complete
    );
}
