//! Mistakes in manifests: each one is an error with its line, its key and the nearest valid value.

use super::world::{Numbers, example, root};
use isolane::manifest::Plan;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A good manifest, which the cases spoil.
const GOOD: &str = r#"
[run]
epochs = 3
quantum = 500_000

[environment.uni-a]
fork = "prague"
chain_id = 1
order = "sequential"
[environment.uni-a.block]
number = 10
gas_limit = 30_000_000
[environment.uni-a.rules]
removed_opcodes = ["SELFDESTRUCT"]
[environment.uni-a.allow]
level = "open"
senders = "all"
create = "all"
precompiles = [1, 2, 3, 4]
deny_opcodes = ["BLOBHASH"]
send_to = ["uni-b"]
receive_from = ["uni-b"]
[environment.uni-a.budget]
gas = 30_000_000
steps = 40_000_000
call_depth = 1024
inbox_gas = 5_000_000
transaction = { gas = 1_000_000, steps = 2_000_000 }
[environment.uni-a.schedule]
weight = 4
on_violation = "fail-transaction"
[environment.uni-a.accounts]
0x00000000000000000000000000000000000000aa = { balance = "1 ether" }
[[environment.uni-a.transaction]]
from = "0x00000000000000000000000000000000000000aa"
to = "0x00000000000000000000000000000000000000bb"
function = "transfer(address,uint256)"
args = ["0x00000000000000000000000000000000000000cc", 5]

[environment.uni-b]
fork = "cancun"
[environment.uni-b.state]
base = { environment = "uni-a" }
[environment.uni-b.allow]
receive_from = "all"
"#;

/// What is replaced by what, the line of the error, its key, and parts of its text.
const CASES: &[(&str, &str, &str, &[&str])] = &[
    ("epochs = 3", "epoch = 3", "run.epoch", &["unknown key", "did you mean \"epochs\"?"]),
    ("fork = \"prague\"", "forks = \"prague\"", "environment.uni-a", &["expected the key \"fork\""]),
    ("fork = \"prague\"", "fork = \"prag\"", "environment.uni-a.fork", &["got \"prag\"", "did you mean \"prague\"?"]),
    ("fork = \"cancun\"", "fork = 7", "environment.uni-b.fork", &["expected text in quotes, got 7"]),
    ("chain_id = 1", "chainid = 1", "environment.uni-a.chainid", &["did you mean \"chain_id\"?"]),
    ("order = \"sequential\"", "order = \"serial\"", "environment.uni-a.order", &["did you mean \"sequential\"?"]),
    ("order = \"sequential\"", "order = \"independent\"", "environment.uni-a.order", &["cannot send"]),
    ("level = \"open\"", "level = \"opne\"", "environment.uni-a.allow.level", &["did you mean \"open\"?"]),
    ("senders = \"all\"", "senders = [\"0xaa\"]", "environment.uni-a.allow.senders[0]", &["expected an address"]),
    ("senders = \"all\"", "senders = \"some\"", "environment.uni-a.allow.senders", &["\"all\", \"none\" or an array"]),
    (
        "\"SELFDESTRUCT\"",
        "\"SELFDESTRUC\"",
        "environment.uni-a.rules.removed_opcodes[0]",
        &["did you mean \"SELFDESTRUCT\"?"],
    ),
    ("[\"BLOBHASH\"]", "[\"BLOBHSAH\"]", "environment.uni-a.allow.deny_opcodes[0]", &["did you mean \"BLOBHASH\"?"]),
    ("[1, 2, 3, 4]", "[1, 2, 99]", "environment.uni-a.allow.precompiles[2]", &["expected a precompile", "got 99"]),
    (
        "send_to = [\"uni-b\"]",
        "send_to = [\"uni-c\"]",
        "environment.uni-a.allow.send_to[0]",
        &["no environment \"uni-c\"", "did you mean \"uni-"],
    ),
    (
        "environment = \"uni-a\"",
        "environment = \"unia\"",
        "environment.uni-b.state.base.environment",
        &["did you mean \"uni-a\"?"],
    ),
    (
        "environment = \"uni-a\"",
        "environment = \"uni-b\"",
        "environment.uni-b.state.base.environment",
        &["start from each other: uni-b -> uni-b"],
    ),
    (
        "gas = 30_000_000\nsteps",
        "gas = 20_999\nsteps",
        "environment.uni-a.budget.gas",
        &["from 21000", "did you mean 21000?"],
    ),
    (
        "gas = 30_000_000\nsteps",
        "gas = 30_000_001\nsteps",
        "environment.uni-a.budget.gas",
        &["at most the block's gas_limit", "did you mean 30000000?"],
    ),
    ("gas = 30_000_000\nsteps", "gas = -5\nsteps", "environment.uni-a.budget.gas", &["got -5"]),
    (
        "gas = 1_000_000, ",
        "gas = 31_000_000, ",
        "environment.uni-a.budget.transaction.gas",
        &["did you mean 30000000?"],
    ),
    (
        "steps = 2_000_000",
        "steps = 41_000_000",
        "environment.uni-a.budget.transaction.steps",
        &["did you mean 40000000?"],
    ),
    ("call_depth = 1024", "call_depth = 1025", "environment.uni-a.budget.call_depth", &["did you mean 1024?"]),
    ("inbox_gas = 5_000_000", "inbox_gas = 5_000", "environment.uni-a.budget.inbox_gas", &["did you mean 120000?"]),
    ("weight = 4", "weight = 0", "environment.uni-a.schedule.weight", &["did you mean 1?"]),
    (
        "\"fail-transaction\"",
        "\"fail-tx\"",
        "environment.uni-a.schedule.on_violation",
        &["did you mean \"fail-transaction\"?"],
    ),
    ("[environment.uni-b]\n", "[environment.uni-a]\n", "environment.uni-a", &["twice"]),
    ("chain_id = 1\n", "chain_id = 1\nchain_id = 2\n", "chain_id", &["twice"]),
    (
        "0x00000000000000000000000000000000000000aa = {",
        "0x0aa = {",
        "environment.uni-a.accounts.0x0aa",
        &["expected an address"],
    ),
    (
        "\"1 ether\"",
        "\"1 eth\"",
        "environment.uni-a.accounts.0x00000000000000000000000000000000000000aa.balance",
        &["expected a number", "got \"1 eth\""],
    ),
    ("\", 5]", "\"]", "environment.uni-a.transaction[0]", &["expected 2 arguments", "got 1"]),
    ("\", 5]", "\", \"five\"]", "environment.uni-a.transaction[0]", &["args[1]: expected uint256, got \"five\""]),
    ("function =", "funktion =", "environment.uni-a.transaction[0].funktion", &["did you mean \"function\"?"]),
    ("\nfrom =", "\nform =", "environment.uni-a.transaction[0].form", &["did you mean \"from\"?"]),
    ("[environment.uni-b.state]", "[environment.uni-b.stat]", "environment.uni-b.stat", &["did you mean \"state\"?"]),
    (
        "base = { environment = \"uni-a\" }",
        "base = \"Cargo.tml\"",
        "environment.uni-b.state.base",
        &["cannot read it", "did you mean \"Cargo.toml\"?"],
    ),
    (
        "base = { environment = \"uni-a\" }",
        "base = \"Cargo.toml\"",
        "environment.uni-b.state.base",
        &["Cargo.toml", "not JSON"],
    ),
    ("chain_id = 1", "chain_id = ", "chain_id", &["not TOML"]),
];

fn error(text: &str) -> isolane::manifest::source::ManifestError {
    match Plan::parse("m.toml", text, &root()) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => error,
    }
}

#[test]
fn each_mistake_names_file_line_key_and_the_nearest_valid_value() {
    Plan::parse("m.toml", GOOD, &root()).unwrap_or_else(|error| panic!("{error}"));
    for (from, to, key, parts) in CASES {
        let at = GOOD.find(from).expect("there");
        let spoiled = format!("{}{to}{}", &GOOD[..at], &GOOD[at + from.len()..]);
        let error = error(&spoiled);
        let text = error.to_string();
        assert_eq!(error.key, *key, "{to:?}: {text}");
        for part in *parts {
            assert!(text.contains(part), "{to:?}: expected {part:?} in: {text}");
        }
        assert!(text.starts_with(&format!("m.toml:{}:", error.line)), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        // The line is that of the mistake, or of the table that lacks something or has it.
        let expected = 1 + GOOD[..at].matches('\n').count();
        let near = to.matches('\n').count();
        let table = ["environment.uni-a", "environment.uni-a.allow", "environment.uni-a.transaction[0]"].contains(key);
        assert!(
            table && error.line <= expected + near || (expected..=expected + near).contains(&error.line),
            "{to:?}: line {} instead of {expected}: {text}",
            error.line
        );
    }
}

#[test]
fn a_cycle_of_bases_is_named_whole() {
    let text = ["a", "b", "c"].iter().zip(["b", "c", "a"]).map(|(name, base)| {
        format!("[environment.{name}]\nfork = \"prague\"\nstate = {{ base = {{ environment = \"{base}\" }} }}\n")
    });
    let error = error(&text.collect::<String>()).to_string();
    assert!(error.contains("a -> b -> c -> a"), "{error}");
}

#[test]
fn a_wrong_root_proposes_the_right_one() {
    let text = "[environment.a]\nfork = \"prague\"\n[environment.a.state]\nbase = \"alloc.json\"\n\
                root = \"0x0000000000000000000000000000000000000000000000000000000000000001\"\n";
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(
        folder.path().join("alloc.json"),
        r#"{"0x00000000000000000000000000000000000000aa": {"balance": "0x1"}}"#,
    )
    .expect("written");
    let parse = |text: &str| Plan::parse("m.toml", text, folder.path());
    let error = parse(text).err().expect("a wrong root");
    assert_eq!((error.line, error.key.as_str()), (5, "environment.a.state.root"));
    let right = error.nearest.expect("the right one");
    parse(&text.replace("\"0x0000000000000000000000000000000000000000000000000000000000000001\"", &right))
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn mistakes_in_transaction_files_name_that_file_and_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "[environment.a]\nfork = \"prague\"\ntransactions = \"calls.jsonl\"\n";
    let good = r#"{"from": "0x00000000000000000000000000000000000000aa", "gas": "0x5208"}"#;
    for (content, line, parts) in [
        (
            format!("{good}\n\n{}\n", good.replace("from", "form")),
            3,
            &["unknown field `form`", "did you mean \"from\"?"][..],
        ),
        (format!("{good}\n{}\n", good.replace("0x5208", "zwei")), 2, &["expected a quantity below 2^64"]),
        (format!("[{good},\n {good},\n\n {{\"to\": null}}]"), 4, &["[2]", "expected `from`"]),
        (format!("{good}\n\"0x01c0\"\n"), 2, &["raw: transaction bytes"]),
        ("{".to_owned(), 1, &["EOF"]),
    ] {
        fs::write(folder.path().join("calls.jsonl"), &content).expect("written");
        let error = Plan::parse("m.toml", text, folder.path()).err().unwrap_or_else(|| panic!("accepted: {content}"));
        let shown = error.to_string();
        assert!(shown.contains("calls.jsonl") && error.line == line, "{content}: {shown}");
        for part in parts {
            assert!(shown.contains(part), "{content}: expected {part:?} in: {shown}");
        }
    }
}

#[test]
fn the_tool_says_it_in_one_line_and_ends_with_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |manifest: &Path, more: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_isolane")).arg("run").arg(manifest).args(more).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = run(&folder.path().join("none.toml"), &[]);
    assert_eq!((code, text.lines().count()), (Some(2), 1), "{text}");
    let path = folder.path().join("m.toml");
    fs::write(&path, "[environment.a]\nfrok = \"prague\"\n").expect("written");
    let (code, text) = run(&path, &[]);
    assert_eq!((code, text.lines().count()), (Some(2), 1), "{text}");
    fs::write(&path, b"\xff\xfe").expect("written");
    assert_eq!(run(&path, &[]).0, Some(2));
    let (code, text) = run(&example("app-chains"), &["--resume"]);
    assert_eq!(code, Some(2), "--resume without --out: {text}");
}

/// Whatever a manifest says, reading it ends with a plan or with one error.
#[test]
fn spoiled_manifests_never_panic() {
    let mut numbers = Numbers(3);
    let mut accepted = 0;
    for _ in 0..3_000 {
        let mut bytes = GOOD.as_bytes().to_vec();
        for _ in 0..numbers.range(1, 4) {
            let at = numbers.below(bytes.len() as u64) as usize;
            match numbers.below(4) {
                0 => bytes[at] = (numbers.below(96) + 32) as u8,
                1 => {
                    bytes.remove(at);
                }
                2 => bytes.insert(at, *numbers.pick(b"0x9-[]{}\"=.\n")),
                _ => {
                    let end = (at + numbers.below(40) as usize).min(bytes.len());
                    bytes.drain(at..end);
                }
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        match Plan::parse("m.toml", &text, &root()) {
            Ok(plan) => accepted += u64::from(plan.engine().is_ok()),
            Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
        }
    }
    assert!(accepted > 20, "{accepted} manifests were still good");
}
