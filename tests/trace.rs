//! `isolane test --trace` and `isolane replay --trace`: what is written, and what is said about it.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn bundled(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn isolane(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_isolane")).args(arguments).output().expect("the tool runs")
}

fn lines(text: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(text).expect("text");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

/// The bundled block with the most transactions.
fn block() -> PathBuf {
    let folder = bundled("blocks/anvil");
    let packs = std::fs::read_dir(&folder).expect("packs").map(|entry| entry.expect("an entry").path());
    let packs = packs.filter(|path| path.to_string_lossy().ends_with(".json.zst"));
    packs.max_by_key(|path| std::fs::metadata(path).expect("a file").len()).expect("a pack")
}

#[test]
fn a_state_test_is_traced_to_standard_output() {
    let file = bundled("state/storage.json");
    let file = file.to_str().expect("text");
    let ran = isolane(&["test", file, "--fork", "Osaka", "--trace", "-"]);
    let report = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(0), "{report}");
    assert!(report.contains("passed"), "the report goes to standard error: {report}");
    let lines = lines(&ran.stdout);
    let steps = lines.iter().filter(|line| line.get("pc").is_some()).count();
    let ends: Vec<&Value> = lines.iter().filter(|line| line.get("stateRoot").is_some()).collect();
    assert_eq!(steps + ends.len(), lines.len(), "every line is a step or an end");
    assert!(steps > ends.len() && !ends.is_empty());
    assert!(ends.iter().all(|end| end["fork"] == "Osaka" && end["transaction"] == 0), "{ends:?}");
    assert!(lines.iter().any(|line| line["opName"] == "SSTORE"));
}

#[test]
fn one_transaction_of_a_block_is_traced_to_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("trace.jsonl");
    let out = out.to_str().expect("text");
    let block = block();
    let block = block.to_str().expect("text");
    let traced = |kind: &str| {
        let ran = isolane(&["replay", block, "--json", "--trace", out, "--trace-kind", kind, "--transaction", "1"]);
        assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
        assert_eq!(lines(&ran.stdout)[0]["result"], "match");
        lines(&std::fs::read(out).expect("the trace"))
    };
    let steps = traced("eip3155");
    let end = steps.last().expect("an end");
    assert_eq!((&end["transaction"], &end["pass"]), (&Value::from(1), &Value::from(true)), "{end}");
    assert!(end["hash"].as_str().is_some_and(|hash| hash.len() == 66), "{end}");
    assert!(end.get("stateRoot").is_none(), "nobody computed one: {end}");

    let calls = traced("calls");
    assert_eq!((calls.len(), &calls[0]["schema"]), (1, &Value::from("isolane-trace/1")));
    assert_eq!((&calls[0]["calls"][0]["type"], &calls[0]["hash"]), (&Value::from("CALL"), &end["hash"]));
    let tree = traced("call-tree");
    assert_eq!(tree[0]["callTree"]["gasUsed"], calls[0]["calls"][0]["gasUsed"]);
    let profile = traced("profile");
    let counts = profile[0]["profile"]["opcodes"].as_array().expect("a table");
    let total: u64 = counts.iter().map(|row| row["count"].as_u64().expect("a count")).sum();
    assert_eq!(total as usize, steps.len() - 1, "every step is counted once");
    assert!(traced("access-list")[0]["accessList"].is_array());
}

#[test]
fn what_cannot_be_traced_is_said() {
    let file = bundled("state/storage.json");
    let file = file.to_str().expect("text");
    let refused = |arguments: &[&str], why: &str| {
        let ran = isolane(arguments);
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    };
    refused(&["test", file, "--trace", "-", "--json"], "both print to standard output");
    refused(&["test", file, "--trace", "/no/such/folder/out"], "check --trace");
    refused(&["test", file, "--transaction", "3"], "--trace");
    refused(&["test", file, "--trace", "-", "--transaction", "3"], "expected a transaction of index 3");
    refused(&["test", file, "--trace", "/dev/full"], "disk full");
}
