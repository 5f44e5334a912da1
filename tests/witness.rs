//! Blocks executed from a witness: what it proves suffices, what it lacks is an error of its own and never zero.

#[path = "support/proofs.rs"]
mod proofs;

use alloy_primitives::B256;
use isolane::load::typed;
use isolane::replay::{Options, find, replay};
use isolane::report::{InputReport, StateSource, Verdict};
use proofs::{witness, word};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// The bundled packs with transactions and their whole state.
fn packs() -> Vec<Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/blocks");
    let inputs = find(&[folder]).expect("the bundled packs");
    let read = |path: &PathBuf| -> Value { typed::parse(&typed::read(path).expect("a pack")).expect("JSON") };
    let busy = |pack: &Value| {
        let transactions = pack["block"]["transactions"].as_array().map_or(0, Vec::len);
        pack["prestateComplete"] == true && transactions > 0
    };
    inputs.packs.iter().map(read).filter(busy).collect()
}

fn run(pack: &Value, witness: &Value) -> InputReport {
    let folder = TempDir::new().expect("a folder");
    let chain = &pack["chainId"];
    let number: u64 = word(&pack["block"]["number"]).to();
    let write = |name: String, value: &Value| fs::write(folder.path().join(name), value.to_string()).expect("a file");
    write(format!("{chain}-{number}.json"), pack);
    write(format!("{chain}-{number}.witness.json"), witness);
    let inputs = find(&[folder.path().to_owned()]).expect("the pack");
    let mut reports = Vec::new();
    replay(&inputs, &Options::default(), |report| reports.push(report)).expect("threads");
    reports.pop().expect("a report")
}

#[test]
fn a_witness_suffices() {
    let packs = packs();
    assert!(!packs.is_empty());
    for mut pack in packs {
        let witness = witness(&pack);
        // Nothing but the witness knows the state.
        let keys = pack.as_object_mut().expect("a pack");
        keys.remove("prestate");
        keys.remove("prestateComplete");
        // The packs' blocks come from a chain without difficulty that nevertheless pays rewards.
        if word(&pack["block"]["difficulty"]).is_zero() && pack["block"]["withdrawalsRoot"].is_null() {
            continue;
        }
        let report = run(&pack, &witness);
        assert_eq!(report.problem(), None);
        assert_eq!((report.state, report.checks.state_root), (StateSource::Witness, Some(true)));
    }
}

const KINDS: [&str; 4] = ["witness missing: account", "witness missing: slot", "code missing", "no node with hash"];

/// Removes each node and each code in turn, and yields the kinds of errors that this led to.
fn remove_each(pack: &Value) -> BTreeSet<&'static str> {
    let whole = witness(pack);
    let mut kinds = BTreeSet::new();
    for list in ["state", "codes"] {
        for index in 0..whole[list].as_array().expect("a list").len() {
            let mut less = whole.clone();
            less[list].as_array_mut().expect("a list").remove(index);
            match run(pack, &less).verdict {
                // The block does not read it.
                Verdict::Match => {}
                Verdict::Failed(error) => {
                    let text = error.to_string();
                    let kind = KINDS.into_iter().find(|kind| text.contains(kind));
                    kinds.insert(kind.unwrap_or_else(|| panic!("another error: {text}")));
                    assert!(text.contains("again"), "it says what to do: {text}");
                }
                // Only the state root after the block needs it.
                Verdict::Mismatch(list) => {
                    assert!(list.iter().all(|mismatch| mismatch.field == "stateRoot"), "{list:?}");
                    assert!(list.iter().all(|mismatch| mismatch.got.contains("witness")), "{list:?}");
                }
            }
        }
    }
    kinds
}

#[test]
fn what_a_witness_lacks_is_an_error() {
    let mut kinds = BTreeSet::new();
    for pack in packs().iter().filter(|pack| !pack["block"]["withdrawalsRoot"].is_null()) {
        kinds.extend(remove_each(pack));
        if kinds.len() == KINDS.len() {
            return;
        }
    }
    panic!("expected removals to lead to {KINDS:?}, got {kinds:?}");
}

#[test]
fn lying_witnesses() {
    let shanghai = |pack: &Value| !pack["block"]["withdrawalsRoot"].is_null();
    let pack = packs().into_iter().find(shanghai).expect("a pack since Shanghai");
    let whole = witness(&pack);
    let problem = |witness: &Value| run(&pack, witness).problem().expect("a problem");
    let mut bad = whole.clone();
    bad["preStateRoot"] = json!(B256::repeat_byte(7));
    assert!(problem(&bad).contains("state root before the block"), "{}", problem(&bad));
    let mut bad = whole.clone();
    bad["headers"] = json!(["0xc0"]);
    assert!(problem(&bad).contains("header 0"), "{}", problem(&bad));
    let mut bad = whole.clone();
    bad["state"][0] = json!("0xzz");
    assert!(problem(&bad).contains("state[0]") && problem(&bad).contains("witness.json"), "{}", problem(&bad));
    // A node with another byte has another hash: the one that was there is missing.
    let mut bad = whole;
    for node in bad["state"].as_array_mut().expect("nodes") {
        *node = json!(format!("{}00", node.as_str().expect("text")));
    }
    assert!(problem(&bad).contains("no node with hash"), "{}", problem(&bad));
}
