//! What goes wrong is said in one line, and wrong rows are not written.

use super::{files, packs, read_pack, replay, rows};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

fn problem(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Some packs in a folder of their own, under numbers from 1.
fn copies(folder: &Path, count: usize) -> Vec<PathBuf> {
    fs::create_dir_all(folder).expect("a folder");
    let with_receipts = packs().into_iter().filter(|path| path.to_string_lossy().contains("cancun")).take(count);
    with_receipts
        .enumerate()
        .map(|(index, path)| {
            let copy = folder.join(format!("31337-{}.json", index + 1));
            fs::write(&copy, read_pack(&path).to_string()).expect("written");
            copy
        })
        .collect()
}

/// A pack whose recorded receipts lie.
fn lie(path: &Path) -> Vec<u8> {
    let good = fs::read(path).expect("a pack");
    let mut pack: serde_json::Value = serde_json::from_slice(&good).expect("JSON");
    pack["receipts"][0]["gasUsed"] = "0x1".into();
    fs::write(path, pack.to_string()).expect("written");
    good
}

#[test]
fn other_options_and_other_blocks_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, blocks) = (folder.path().join("out"), folder.path().join("blocks"));
    let paths = copies(&blocks, 4);
    let options = ["--tables", "logs", "--chunk-size", "2"];
    assert!(replay(&[&blocks], &out, &options).status.success());
    let before = files(&out);
    for more in [
        &["--tables", "logs,blocks", "--chunk-size", "2"][..],
        &["--tables", "logs"],
        &["--tables", "logs", "--format", "csv", "--chunk-size", "2"],
    ] {
        let output = replay(&[&blocks], &out, more);
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(problem(&output).contains("other options"), "{}", problem(&output));
    }
    // Fewer blocks, and others.
    for inputs in [&paths[..2], &paths[1..]] {
        let inputs: Vec<&Path> = inputs.iter().map(AsRef::as_ref).collect();
        let output = replay(&inputs, &out, &options);
        assert_eq!(output.status.code(), Some(2));
        assert!(problem(&output).contains("other blocks"), "{}", problem(&output));
    }
    assert!(files(&out) == before, "nothing was touched");
    // A damaged record, and one that is gone.
    let record = out.join("journal/chunk-00000001.json");
    let good = fs::read(&record).expect("a record");
    fs::write(&record, &good[..good.len() / 2]).expect("written");
    let output = replay(&[&blocks], &out, &options);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        problem(&output).contains("chunk-00000001.json") && problem(&output).contains("remove it"),
        "{}",
        problem(&output)
    );
    fs::remove_file(&record).expect("removed");
    assert!(replay(&[&blocks], &out, &options).status.success());
    assert!(files(&out) == before);
    // A table that is gone is made again.
    let name = before.keys().next().expect("a file");
    fs::remove_file(out.join(name)).expect("removed");
    assert!(replay(&[&blocks], &out, &options).status.success());
    assert!(files(&out) == before);
}

#[test]
fn a_block_that_does_not_match_has_no_rows_until_it_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, whole, blocks) = (folder.path().join("out"), folder.path().join("whole"), folder.path().join("blocks"));
    let paths = copies(&blocks, 4);
    let options = ["--tables", "blocks,receipts", "--chunk-size", "3"];
    assert!(replay(&[&blocks], &whole, &options).status.success());
    let good = lie(&paths[1]);
    // The first mismatch ends the run before its chunk is whole.
    let output = replay(&[&blocks], &out, &options);
    assert_eq!(output.status.code(), Some(1), "{}", problem(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("2 more inputs were not replayed"), "{output:?}");
    assert!(!files(&out).keys().any(|name| name.ends_with(".parquet")), "{:?}", files(&out).keys());
    let skipping = [&options[..], &["--skip-invalid-blocks"]].concat();
    for attempt in ["first", "second"] {
        let output = replay(&[&blocks], &out, &skipping);
        assert_eq!(output.status.code(), Some(1), "{attempt}: {}", problem(&output));
        assert!(problem(&output).contains("gasUsed: expected 0x1 (1), got"), "{attempt}: {}", problem(&output));
    }
    assert_eq!((rows(&out, "blocks").len(), rows(&whole, "blocks").len()), (3, 4));
    let page = folder.path().join("report.html");
    let report = std::process::Command::new(env!("CARGO_BIN_EXE_isolane"))
        .arg("report")
        .arg(&out)
        .arg("--html")
        .arg(&page)
        .output();
    assert!(report.expect("the tool runs").status.success());
    let text = fs::read_to_string(&page).expect("a page");
    assert!(text.contains("1 mismatches") && text.contains("gasUsed"), "the report names the mismatch");
    // Mended: the chunk is done again, and only that one.
    fs::write(&paths[1], good).expect("written");
    let output = replay(&[&blocks], &out, &options);
    assert!(output.status.success(), "{}", problem(&output));
    assert!(problem(&output).contains("1 blocks in 1 chunks are done already; 3 to do"), "{}", problem(&output));
    assert!(files(&out) == files(&whole));
}

#[test]
fn an_unreadable_pack_ends_itself_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, blocks) = (folder.path().join("out"), folder.path().join("blocks"));
    let paths = copies(&blocks, 3);
    fs::write(&paths[0], "{").expect("written");
    let output = replay(&[&blocks], &out, &["--format", "jsonl"]);
    assert_eq!(output.status.code(), Some(2), "{}", problem(&output));
    assert_eq!(super::lines_of(&out, "blocks").len(), 2);
    assert!(!super::lines_of(&out, "receipts").is_empty(), "blocks, transactions, receipts and logs without --tables");
}

#[test]
fn what_cannot_be_together_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let blocks = folder.path().join("blocks");
    copies(&blocks, 1);
    for more in [
        &["--tables", "nothing"][..],
        &["--tables", "traces", "--backend", "gpu"],
        &["--tables", "logs", "--trace", "x"],
        &["--tables", "logs", "--chunk-size", "0"],
        &["--tables", "logs", "--format", "xml"],
    ] {
        let output = replay(&[&blocks], &folder.path().join("out"), more);
        assert_eq!(output.status.code(), Some(2), "{more:?}");
    }
    assert!(!folder.path().join("out").exists(), "nothing is begun");
}

/// Two runs at one folder would spoil each other's files.
#[test]
fn a_folder_belongs_to_one_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, blocks) = (folder.path().join("out"), folder.path().join("blocks"));
    copies(&blocks, 1);
    fs::create_dir_all(out.join("journal")).expect("a folder");
    let lock = fs::File::create(out.join("journal/lock")).expect("a file");
    lock.lock().expect("a lock");
    let output = replay(&[&blocks], &out, &["--tables", "logs"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(problem(&output).contains("another run"), "{}", problem(&output));
    lock.unlock().expect("unlocked");
    assert!(replay(&[&blocks], &out, &["--tables", "logs"]).status.success());
}
