//! Bad input: one clear error each, the other inputs still run, and the exit code says so.

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Some of the bundled packs that hold transactions and their whole state, as text.
fn bundled() -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/blocks");
    let inputs = isolane::replay::find(&[folder]).expect("the bundled packs");
    inputs
        .packs
        .iter()
        .filter_map(|path| String::from_utf8(isolane::load::typed::read(path).ok()?).ok())
        .find(|text| {
            let pack: Value = serde_json::from_str(text).expect("JSON");
            let has_storage = |account: &Value| account["storage"].as_object().is_some_and(|slots| !slots.is_empty());
            pack["prestateComplete"] == true
                && pack["block"]["transactions"].as_array().is_some_and(|list| !list.is_empty())
                && pack["receipts"].is_array()
                && pack["prestate"].as_object().is_some_and(|accounts| accounts.values().any(has_storage))
        })
        .expect("a bundled pack with transactions, receipts and its whole state")
}

fn pack() -> Value {
    serde_json::from_str(&bundled()).expect("JSON")
}

fn isolane(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_isolane")).args(arguments).output().expect("the tool runs")
}

struct Run {
    code: Option<i32>,
    errors: String,
    table: String,
}

/// Replays one file of that name and content.
fn run(name: &str, content: &[u8]) -> Run {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, content).expect("a file");
    replay(&path)
}

fn replay(path: &Path) -> Run {
    let output = isolane(&["replay", path.to_str().expect("a path")]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run { code: output.status.code(), errors: text(&output.stderr), table: text(&output.stdout) }
}

fn run_json(pack: &Value) -> Run {
    run("1-1.json", pack.to_string().as_bytes())
}

/// The run ends with that code and exactly one line of error, which holds all these parts.
#[track_caller]
fn expect(run: &Run, code: i32, parts: &[&str]) {
    assert_eq!(run.code, Some(code), "{}{}", run.errors, run.table);
    assert_eq!(run.errors.lines().count(), 1, "one error, one line: {}", run.errors);
    for part in parts {
        assert!(run.errors.contains(part), "expected {part:?} in: {}", run.errors);
    }
    assert!(run.errors.len() < 2000, "a line is for reading: {}", run.errors);
}

/// The last 32-byte value after "expected" in an error: what isolane computed.
fn computed(errors: &str) -> String {
    let start = errors.find("0x").expect("a value");
    errors[start..start + 66].to_owned()
}

#[test]
fn the_pack_itself_matches() {
    let run = run_json(&pack());
    assert_eq!((run.code, run.errors.as_str()), (Some(0), ""), "{}", run.table);
    assert!(run.table.contains("all 1 inputs match"), "{}", run.table);
}

#[test]
fn files() {
    let text = bundled();
    let packed = zstd::encode_all(text.as_bytes(), 3).expect("zstd");
    expect(&run("1-1.json.zst", b""), 2, &["1-1.json.zst", "the file is empty"]);
    expect(&run("1-1.json.zst", &packed[..packed.len() / 2]), 2, &["zstd", "truncated", "again"]);
    expect(&run("1-1.json.zst", &[0x1f, 0x8b, 8, 0, 0, 0]), 2, &["expected a zstd frame", "gzip"]);
    expect(&run("1-1.json.zst", text.as_bytes()), 2, &["expected a zstd frame", "JSON text"]);
    expect(&run("1-1.json.zst", &[0; 100]), 2, &["expected a zstd frame"]);
    expect(&run("1-1.json", &text.as_bytes()[..text.len() / 2]), 2, &["offset", "too early"]);
    expect(&run("1-1.json", b"{\"format\": nonsense}"), 2, &["not JSON", "offset"]);
    expect(&run("1-1.json", "[".repeat(1_000_000).as_bytes()), 2, &["1-1.json"]);
    let mut corrupt = packed.clone();
    let middle = corrupt.len() / 2;
    corrupt[middle..middle + 16].fill(0xaa);
    let run_corrupt = run("1-1.json.zst", &corrupt);
    assert!(matches!(run_corrupt.code, Some(1 | 2)), "{}", run_corrupt.errors);
}

#[test]
fn bombs_are_refused() {
    let bomb = zstd::encode_all(&vec![b' '; 64 << 20][..], 3).expect("zstd");
    assert!(bomb.len() < 64 << 10);
    expect(&run("1-1.json.zst", &bomb), 2, &["decompression bomb", "expected at most"]);
}

#[test]
fn usage() {
    for arguments in [&["replay", "--no-such-flag", "x"][..], &["replay"], &["no-such-command"]] {
        let output = isolane(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "));
    }
    expect(&replay(Path::new("/no/such/pack.json.zst")), 2, &["/no/such/pack.json.zst", "cannot read it"]);
    let folder = TempDir::new().expect("a folder");
    expect(&replay(folder.path()), 2, &["no block packs found"]);
}

#[test]
fn mistyped_fields() {
    let mut bad = pack();
    bad["block"]["number"] = json!(true);
    expect(&run_json(&bad), 2, &["block.number", "expected a quantity", "true"]);
    let mut bad = pack();
    bad["block"]["miner"] = json!("0x12");
    expect(&run_json(&bad), 2, &["block.miner", "expected an address", "\"0x12\""]);
    let mut bad = pack();
    bad["block"].as_object_mut().expect("a block").remove("miner");
    expect(&run_json(&bad), 2, &["missing field `miner`"]);
    let mut bad = pack();
    bad["block"]["transactions"][0] = json!("0x00");
    expect(&run_json(&bad), 2, &["block.transactions[0]", "full transaction object"]);
    let mut bad = pack();
    bad["fork"] = json!("Atlantis");
    expect(&run_json(&bad), 2, &["fork", "unsupported fork \"Atlantis\""]);
    let mut bad = pack();
    bad.as_object_mut().expect("a pack").remove("fork");
    expect(&run_json(&bad), 2, &["fork", "the schedule of chain 31337 is not known", "--chain-config"]);
    let mut bad = pack();
    bad["format"] = json!("evm-block-replay/9");
    expect(&run_json(&bad), 2, &["format", "evm-block-replay/1", "evm-block-replay/9"]);
}

#[test]
fn duplicate_keys() {
    let text = bundled();
    let twice = text.replacen("\"chainId\":", "\"chainId\":7,\"chainId\":", 1);
    assert_ne!(text, twice);
    expect(&run("1-1.json", twice.as_bytes()), 2, &["duplicate field `chainId`"]);
    let pack: Value = pack();
    let (address, _) = pack["prestate"].as_object().expect("accounts").iter().next().expect("an account");
    let shouted = format!("0x{}", address[2..].to_uppercase());
    let twice = text.replacen("\"prestate\":{", &format!("\"prestate\":{{\"{shouted}\":{{\"balance\":\"0x1\"}},"), 1);
    assert_ne!(text, twice);
    expect(&run("1-1.json", twice.as_bytes()), 2, &["prestate", address, "twice"]);
}

#[test]
fn forged_transactions() {
    let mut bad = pack();
    bad["block"]["transactions"][0]["from"] = json!(format!("0x{}", "11".repeat(20)));
    expect(&run_json(&bad), 2, &["block.transactions[0].from", "expected the signature's sender"]);
    let mut bad = pack();
    bad["block"]["transactions"][0]["value"] = json!("0xdeadbeef");
    expect(&run_json(&bad), 2, &["block.transactions[0].hash", "a field of the transaction is wrong"]);
    // A signature that fits no key, under the hash that such a transaction has.
    let mut bad = pack();
    bad["block"]["transactions"][0]["r"] = json!("0x0");
    let first = run_json(&bad);
    expect(&first, 2, &["block.transactions[0].hash"]);
    bad["block"]["transactions"][0]["hash"] = json!(computed(&first.errors));
    expect(&run_json(&bad), 2, &["block.transactions[0]", "signature r", "curve's order"]);
    let mut bad = pack();
    let chain = bad["chainId"].as_u64().expect("a chain id");
    bad["chainId"] = json!(chain + 1);
    expect(&run_json(&bad), 2, &["block.transactions[0].chainId", "expected"]);
}

#[test]
fn trailing_bytes_after_a_signed_transaction() {
    let source = pack();
    let transaction = &source["block"]["transactions"][0];
    let mut single = json!({
        "format": "evm-tx-replay/1",
        "chainId": source["chainId"],
        "fork": source["fork"],
        "block": source["block"],
        "transaction": transaction,
        "rawTransaction": "0x00",
        "prestate": source["prestate"],
        "expected": {"gasUsed": "0x0", "status": "0x1", "returnData": "0x", "halt": null, "logs": []},
    });
    let first = run_json(&single);
    expect(&first, 2, &["rawTransaction", "expected the signed transaction", "got 0x00"]);
    single["rawTransaction"] = json!("0xzz");
    expect(&run_json(&single), 2, &["rawTransaction", "expected bytes"]);
}

#[test]
fn forged_headers() {
    let mut bad = pack();
    bad["block"]["gasUsed"] = json!("0x1");
    let first = run_json(&bad);
    expect(&first, 2, &["block.hash", "a field of the header is wrong"]);
    // The same lie under the hash that it has, without receipts that name the old one: now the execution tells.
    bad["block"]["hash"] = json!(computed(&first.errors));
    bad.as_object_mut().expect("a pack").remove("receipts");
    expect(&run_json(&bad), 1, &["mismatch", "gasUsed: expected 1, got"]);
    for field in ["stateRoot", "receiptsRoot", "transactionsRoot"] {
        let mut bad = pack();
        bad["block"][field] = json!(format!("0x{}", "22".repeat(32)));
        bad.as_object_mut().expect("a pack").remove("receipts");
        bad["block"]["hash"] = json!(computed(&run_json(&bad).errors));
        expect(&run_json(&bad), 1, &["mismatch", field, "expected 0x2222"]);
    }
}

#[test]
fn lying_states() {
    let source = pack();
    let sender = source["block"]["transactions"][0]["from"].as_str().expect("a sender").to_owned();
    let mut bad = source.clone();
    bad["prestate"][&sender]["balance"] = json!("0x1");
    expect(&run_json(&bad), 1, &["mismatch", "transaction 0 (0x", "validity", "insufficient funds"]);
    let mut bad = source.clone();
    let balance = bad["prestate"][&sender]["balance"].as_str().expect("a balance").to_owned();
    bad["prestate"][&sender]["balance"] = json!(format!("{balance}0"));
    expect(&run_json(&bad), 1, &["mismatch"]);
    // A slot or an account less.
    let mut bad = source.clone();
    let accounts = bad["prestate"].as_object_mut().expect("accounts");
    let (_, account) = accounts
        .iter_mut()
        .find(|(_, account)| account["storage"].as_object().is_some_and(|storage| !storage.is_empty()))
        .expect("an account with storage");
    let storage = account["storage"].as_object_mut().expect("storage");
    let slot = storage.keys().next().expect("a slot").clone();
    storage.remove(&slot);
    expect(&run_json(&bad), 1, &["mismatch"]);
    let mut bad = source.clone();
    let address = format!("0x{}", "33".repeat(20));
    bad["prestate"][&address] = json!({"balance": "0x1", "absent": true});
    expect(&run_json(&bad), 2, &[&address, "absent", "expected an account that holds nothing"]);
    let mut bad = source;
    bad["prestate"][&address] = json!({"code": "0x00", "codeHash": format!("0x{}", "44".repeat(32))});
    expect(&run_json(&bad), 2, &[&address, "codeHash", "expected the hash of `code`"]);
}

#[test]
fn lying_expectations() {
    let source = pack();
    let mut bad = source.clone();
    bad["receipts"][0]["gasUsed"] = json!("0x1");
    expect(&run_json(&bad), 1, &["mismatch", "transaction 0 (0x", "gasUsed: expected 0x1 (1), got"]);
    let mut bad = source.clone();
    bad["receipts"] = json!([]);
    expect(&run_json(&bad), 1, &["receipts: expected 0 transactions"]);
    let mut bad = source;
    let address = format!("0x{}", "55".repeat(20));
    bad["poststate"][&address] = json!({"balance": "0x7"});
    expect(&run_json(&bad), 1, &["mismatch", &format!("poststate.{address}.balance"), "expected 0x7, got 0x0"]);
}

#[test]
fn the_others_still_run() {
    let folder = TempDir::new().expect("a folder");
    let text = bundled();
    fs::write(folder.path().join("1-1.json"), "").expect("a file");
    fs::write(folder.path().join("1-2.json"), &text).expect("a file");
    let mut bad = pack();
    bad["receipts"] = json!([]);
    fs::write(folder.path().join("1-3.json"), bad.to_string()).expect("a file");
    let run = replay(folder.path());
    assert_eq!(run.code, Some(1), "a mismatch counts most: {}", run.errors);
    assert_eq!(run.errors.lines().count(), 2, "{}", run.errors);
    assert!(run.table.contains("1 of 3 inputs match; 1 mismatch, 1 could not be executed"), "{}", run.table);
    fs::remove_file(folder.path().join("1-3.json")).expect("removed");
    assert_eq!(replay(folder.path()).code, Some(2));
}

#[test]
fn json_lines_and_receipts() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("1-1.json");
    fs::write(&path, bundled()).expect("a file");
    let out = folder.path().join("receipts.jsonl");
    let (path, out) = (path.to_str().expect("a path"), out.to_str().expect("a path"));
    let output = isolane(&["replay", path, "--json", "--out", out]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["schema"] == "isolane-replay/1"));
    assert_eq!((&lines[0]["type"], &lines[0]["result"]), (&json!("block"), &json!("match")));
    assert_eq!((&lines[1]["type"], &lines[1]["exitCode"]), (&json!("summary"), &json!(0)));
    let receipts = fs::read_to_string(out).expect("the receipts");
    let first: Value = serde_json::from_str(receipts.lines().next().expect("a receipt")).expect("JSON");
    let source = pack();
    for field in ["transactionHash", "cumulativeGasUsed", "gasUsed", "status", "effectiveGasPrice"] {
        assert_eq!(first[field], source["receipts"][0][field], "{field}");
    }
    assert_eq!(receipts.lines().count(), source["block"]["transactions"].as_array().expect("a list").len());
    let nowhere = isolane(&["replay", path, "--out", "/no/such/folder/receipts.jsonl"]);
    assert_eq!(nowhere.status.code(), Some(2));
}
