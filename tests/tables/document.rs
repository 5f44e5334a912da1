//! The page about the tables is what the code says, and the report is a page.

use super::{replay_bundled, root};
use std::fs;
use std::process::Command;

/// `ISOLANE_WRITE_DOCS=1 cargo test --test tables document` writes the page anew.
#[test]
fn the_document_is_that_of_the_code() {
    let path = root().join("docs/tables.md");
    let text = fs::read_to_string(&path).expect("docs/tables.md");
    let (start, _) = text.split_once("\n### `").expect("the description of a table");
    let expected = format!("{start}{}", isolane::tables::document());
    if std::env::var_os("ISOLANE_WRITE_DOCS").is_some() {
        fs::write(&path, &expected).expect("written");
        return;
    }
    assert!(
        text == expected,
        "docs/tables.md is old: write it with ISOLANE_WRITE_DOCS=1 cargo test --test tables document"
    );
}

#[test]
fn a_folder_of_tables_has_a_report() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, page) = (folder.path().join("results"), folder.path().join("report.html"));
    replay_bundled(&out, &["--tables", "logs,gas_by_opcode,gas_by_contract", "--chunk-size", "30"]);
    let report = |folder: &std::path::Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isolane"));
        command.arg("report").arg(folder).arg("--html").arg(&page).output().expect("the tool runs")
    };
    let output = report(&out);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(&page).expect("a page");
    for part in [
        "all blocks match",
        "Throughput over time",
        "Gas by opcode",
        "Gas by contract",
        "SSTORE",
        "Osaka",
        "Where transactions ran",
    ] {
        assert!(text.contains(part), "the page lacks {part:?}");
    }
    let nothing = report(folder.path());
    assert_eq!(nothing.status.code(), Some(2));
    let problem = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(problem.contains("isolane replay --tables"), "{problem}");
}
