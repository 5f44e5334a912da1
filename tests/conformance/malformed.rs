//! Malformed fixtures: one clear error each, naming file, place, expected and got, and the others still run.

use crate::forge::{blockchain_test, state_test};
use crate::{Report, run_all};
use isolane::conformance::Verdict;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Runs `content` beside a good document, which must pass.
fn beside_a_good_one(name: &str, content: &[u8]) -> Report {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join(name), content).expect("a file");
    fs::write(folder.path().join("good.json"), state_test().to_string()).expect("a file");
    let report = run_all(folder.path());
    let good = report.cases.iter().find(|record| record.file.ends_with("good.json")).expect("the good one ran");
    assert_eq!(good.verdict, Verdict::Passed);
    report
}

/// The run has exactly one failure, with all these parts.
fn one_error(name: &str, content: &[u8], parts: &[&str]) {
    let failures = beside_a_good_one(name, content).failures();
    assert_eq!(failures.len(), 1, "{failures:?}");
    for part in [name].iter().chain(parts) {
        assert!(failures[0].contains(part), "{part:?} is not in {:?}", failures[0]);
    }
}

fn changed(mut document: Value, path: &str, value: impl Into<Value>) -> Vec<u8> {
    *document.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value.into();
    document.to_string().into_bytes()
}

fn without(mut document: Value, path: &str, field: &str) -> Vec<u8> {
    let object = document.pointer_mut(path).and_then(Value::as_object_mut).expect("an object");
    object.remove(field).expect("the field");
    document.to_string().into_bytes()
}

#[test]
fn json() {
    let text = state_test().to_string();
    one_error("a.json", &text.as_bytes()[..text.len() / 2], &["offset", "expected JSON to its end"]);
    one_error("a.json", b"{\"a\": 1,}", &["offset 9", "expected JSON"]);
    one_error("a.json", b"", &["offset 0"]);
    one_error("a.json", b"[]", &["expected at least one test"]);
    one_error("a.json", b"3", &["expected an object or a list of tests, got 3"]);
    one_error("a.json", &[b'['; 100_000], &["offset"]);
    one_error("a.json", br#"{"t": {"what": 1}}"#, &[".t", "expected a state, blockchain, transaction"]);
    let twice = text.replacen("\"currentNumber\":", "\"currentNumber\":\"0x1\",\"currentNumber\":", 1);
    one_error("a.json", twice.as_bytes(), &[".forged.env", "key \"currentNumber\" twice"]);
}

#[test]
fn fields() {
    let change = |path: &str, value: Value| changed(state_test(), path, value);
    let path = "/forged/env/currentGasLimit";
    one_error("a.json", &change(path, 5.into()), &[".forged.env.currentGasLimit", "quantity below 2^64, got 5"]);
    one_error("a.json", &change(path, "0xzz".into()), &["got \"0xzz\""]);
    one_error("a.json", &change(path, "12".into()), &["got \"12\""]);
    one_error("a.json", &change(path, "0x10000000000000000".into()), &["below 2^64"]);
    one_error("a.json", &change("/forged/pre", Value::Null), &[".forged.pre", "expected an object, got null"]);
    one_error("a.json", &change("/forged/transaction/to", "0x01".into()), &[".forged.transaction.to", "40 hex digits"]);
    one_error("a.json", &change("/forged/post/Shanghai/0/indexes/data", 7.into()), &["an index below 1", "got 7"]);
    one_error("a.json", &change("/forged/post/Shanghai/0/hash", "0x12".into()), &[".post.Shanghai[0].hash"]);
    one_error("a.json", &without(state_test(), "/forged/env", "currentBaseFee"), &["field \"currentBaseFee\""]);
    one_error("a.json", &without(state_test(), "/forged", "env"), &["field \"env\"", "got none"]);
    one_error("a.json", &without(blockchain_test(), "/forged", "lastblockhash"), &["field \"lastblockhash\""]);
    let mut unknown = state_test();
    unknown["forged"]["env"]["currentWeather"] = "0x1".into();
    one_error("a.json", unknown.to_string().as_bytes(), &["got field \"currentWeather\""]);
}

#[test]
fn forks_and_networks() {
    let text = state_test().to_string().replace("\"Shanghai\"", "\"Atlantis\"");
    one_error("a.json", text.as_bytes(), &["unsupported fork \"Atlantis\""]);
    for network in ["Atlantis", "ShanghaiToAtlantisAtTime15k", "ShanghaiToCancunAtNoon"] {
        let text = blockchain_test().to_string().replace("\"Shanghai\"", &format!("\"{network}\""));
        one_error("a.json", text.as_bytes(), &[".forged.network", network]);
    }
}

#[test]
fn one_bad_test_of_a_document_leaves_the_others() {
    let mut document = state_test();
    document["bad"] = document["forged"].clone();
    document["bad"]["transaction"]["nonce"] = "nought".into();
    let report = beside_a_good_one("a.json", document.to_string().as_bytes());
    assert_eq!(report.count(|verdict| *verdict == Verdict::Passed), 2);
    assert_eq!(report.failures().len(), 1);
    assert!(report.failures()[0].contains(".bad.transaction.nonce"));
}

fn pack(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).expect("a member");
    }
    builder.into_inner().expect("a pack")
}

#[test]
fn packs() {
    let document = state_test().to_string();
    let tar = pack(&[("one.json", document.as_bytes()), ("two.json", document.as_bytes())]);
    let report = beside_a_good_one("p.tar", &tar);
    assert_eq!(report.count(|verdict| *verdict == Verdict::Passed), 3);
    let compressed = zstd::encode_all(&tar[..], 3).expect("zstd");
    assert_eq!(beside_a_good_one("p.tar.zst", &compressed).failures(), [] as [String; 0]);
    one_error("p.tar.zst", &compressed[..compressed.len() / 2], &["offset"]);
    one_error("p.tar", &tar[..tar.len() - 1024 - 600], &["offset"]);
    one_error("p.tar.zst", b"not zstd", &["offset", "expected"]);
    one_error("p.tar", b"", &["expected a tar archive with entries"]);
    let damaged = pack(&[("one.json", b"{"), ("two.json", document.as_bytes())]);
    let report = beside_a_good_one("p.tar", &damaged);
    assert_eq!(report.count(|verdict| *verdict == Verdict::Passed), 2);
    assert!(report.failures()[0].contains("p.tar:one.json"), "{:?}", report.failures());
}

struct Run {
    code: Option<i32>,
    out: String,
    errors: String,
}

fn tool(arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_isolane")).arg("test").args(arguments).output().expect("the tool");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run { code: output.status.code(), out: text(&output.stdout), errors: text(&output.stderr) }
}

fn write(folder: &Path, name: &str, content: &[u8]) -> String {
    let path = folder.join(name);
    fs::write(&path, content).expect("a file");
    path.display().to_string()
}

#[test]
fn the_tool_says_how_it_ended() {
    let folder = TempDir::new().expect("a folder");
    let good = write(folder.path(), "good.json", state_test().to_string().as_bytes());
    let run = tool(&[&good]);
    assert_eq!((run.code, run.out.lines().last()), (Some(0), Some("1 passed, 0 failed")), "{}", run.errors);
    let wrong = write(folder.path(), "wrong.json", &changed(state_test(), "/forged/env/currentBaseFee", "0xb"));
    let run = tool(&[&good, &wrong]);
    assert_eq!((run.code, run.out.lines().last()), (Some(1), Some("1 passed, 1 failed")), "{}", run.out);
    // The command that the failure prints runs that case alone.
    let again = run.out.lines().find_map(|line| line.trim().strip_prefix("re-run: isolane test ")).expect("a command");
    let words: Vec<_> = again.split('\'').map(str::trim).filter(|word| !word.is_empty()).collect();
    let run = tool(&words);
    assert_eq!((run.code, run.out.lines().last()), (Some(1), Some("0 passed, 1 failed")), "{again}");
    let broken = write(folder.path(), "broken.json", b"{");
    let run = tool(&[&good, &broken]);
    assert_eq!((run.code, run.out.lines().last()), (Some(2), Some("1 passed, 0 failed, 1 files unreadable")));
    assert_eq!(tool(&[&good, "--filter", "no such case"]).code, Some(2));
    assert_eq!(tool(&["/no/such/file"]).code, Some(2));
    assert_eq!(tool(&[&good, "--fork", "Atlantis"]).code, Some(2));
    assert_eq!(tool(&[]).code, Some(2));
    let run = tool(&[&good, "--fork", "Shanghai", "--json", "-v"]);
    let lines: Vec<Value> = run.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.iter().all(|line| line["schema"] == "isolane-test/1"));
    assert_eq!(lines.last().expect("a total")["passed"], 1);
    let run = tool(&[&good, "--list"]);
    assert_eq!(run.code, Some(0));
    assert!(run.out.contains("::forged [Shanghai d0 g0 v0]"), "{}", run.out);
}
