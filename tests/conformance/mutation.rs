//! Every single value that a fixture states is checked: change any one of them and the case no longer passes.

use crate::forge::{blockchain_test, state_test};
use crate::{Report, run_all};
use isolane::conformance::Verdict;
use serde_json::Value;
use std::fs;

fn run_document(document: &Value) -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("test.json");
    fs::write(&path, document.to_string()).expect("a file");
    run_all(&path)
}

/// The paths of all leaves.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| leaves(value, &format!("{path}/{key}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| leaves(value, &format!("{path}/{index}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

/// Another value of the same form: the last digit of hex changes.
fn change(value: &mut Value) -> bool {
    match value {
        Value::Bool(flag) => *flag = !*flag,
        Value::String(text) if text.starts_with("0x") && text.len() > 2 => {
            let last = text.pop().expect("a digit");
            text.push(if last == '0' { '1' } else { '0' });
        }
        _ => return false,
    }
    true
}

/// Changes every leaf that `checked` names, one at a time.
fn every_change_is_found(document: &Value, ignored: &[&str]) {
    let report = run_document(document);
    assert_eq!(report.failures(), [] as [String; 0], "the test itself passes");
    assert_eq!(report.count(|verdict| *verdict == Verdict::Passed), 1);
    let mut paths = Vec::new();
    leaves(document, "", &mut paths);
    let mut changes = 0;
    for path in paths.iter().filter(|path| !ignored.iter().any(|part| path.contains(part))) {
        let mut mutant = document.clone();
        if !change(mutant.pointer_mut(path).expect("the leaf")) {
            continue;
        }
        changes += 1;
        let report = run_document(&mutant);
        assert_eq!(report.count(|verdict| *verdict == Verdict::Passed), 0, "{path} is not checked");
        // Receipts that contradict their own header are no failure of isolane, but the case does not pass.
        let unchecked = report.count(|verdict| matches!(verdict, Verdict::Unchecked(_)));
        assert_eq!(report.failures().len() + unchecked, 1, "{path}: {:?}", report.failures());
        assert!(unchecked == 0 || path.contains("/receipts/"), "{path}: unchecked");
    }
    println!("{changes} changes, all found");
    assert!(changes > 30, "{changes}");
}

#[test]
fn state_tests() {
    // The block context that this transaction cannot see.
    let ignored =
        ["_info", "currentDifficulty", "currentNumber", "currentTimestamp", "currentRandom", "currentGasLimit"];
    every_change_is_found(&state_test(), &ignored);
}

#[test]
fn blockchain_tests() {
    every_change_is_found(&blockchain_test(), &["_info"]);
}

#[test]
fn an_exception_must_have_the_right_reason() {
    let mut document = state_test();
    let case = document.pointer_mut("/forged/post/Shanghai/0").expect("the case");
    case["expectException"] = "TransactionException.NONCE_MISMATCH_TOO_LOW".into();
    assert!(
        run_document(&document).failures()[0]
            .contains("expected rejected: TransactionException.NONCE_MISMATCH_TOO_LOW")
    );
    // Too little gas: rejected, with the state of before.
    let mut rejected = state_test();
    let pre = rejected["forged"]["pre"].clone();
    rejected["forged"]["transaction"]["gasLimit"][0] = "0x5208".into();
    let case = rejected.pointer_mut("/forged/post/Shanghai/0").expect("the case");
    for field in ["txbytes", "receipt", "state"] {
        case.as_object_mut().expect("an object").remove(field);
    }
    case["state"] = pre;
    case["logs"] = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347".into();
    let failures = run_document(&rejected).failures();
    assert!(
        failures[0].contains("expected execution, got rejected: gas limit below the intrinsic cost"),
        "{failures:?}"
    );
    let root = failures[0].split("state root: expected ").nth(1).and_then(|rest| rest.split("got 0x").nth(1));
    let root = format!("0x{}", &root.expect("the root")[..64]);
    for (reason, passes) in [
        ("TransactionException.INTRINSIC_GAS_TOO_LOW", true),
        ("TransactionException.NONCE_IS_MAX|TransactionException.INTRINSIC_GAS_TOO_LOW", true),
        ("TransactionException.NONCE_IS_MAX", false),
        ("TransactionException.NO_SUCH_REASON", false),
    ] {
        let case = rejected.pointer_mut("/forged/post/Shanghai/0").expect("the case");
        case["hash"] = root.clone().into();
        case["expectException"] = reason.into();
        assert_eq!(run_document(&rejected).failures().is_empty(), passes, "{reason}");
    }
}

#[test]
fn a_block_that_must_be_invalid_and_is_not_fails() {
    let mut document = blockchain_test();
    document["forged"]["blocks"][0]["expectException"] = "BlockException.INVALID_GASLIMIT".into();
    let failures = run_document(&document).failures();
    assert!(failures[0].contains("expected BlockException.INVALID_GASLIMIT, got a valid block"), "{failures:?}");
}
