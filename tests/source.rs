//! Replays of a node's blocks, of a node that misbehaves among them.

#[path = "support/fake_node.rs"]
mod fake_node;
#[path = "support/proofs.rs"]
mod proofs;

use fake_node::{BLOCKS, Fault, Node, RANGE};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::Ordering;

fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isolane"));
    command.args(["replay", "--rpc", url, "--fork", "osaka", "--timeout", "1", "--retries", "4"]).args(arguments);
    command.env_remove("ETH_RPC_URL").env_remove("ISOLANE_CACHE");
    command
}

fn replay(url: &str, arguments: &[&str]) -> Output {
    command(url, arguments).output().expect("it runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The lines of the blocks, without what differs from run to run.
fn blocks(output: &Output) -> Vec<Value> {
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut blocks: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|line: &Value| line["type"] == "block")
        .collect();
    for block in &mut blocks {
        block.as_object_mut().expect("an object").remove("seconds");
    }
    blocks
}

#[test]
fn a_nodes_blocks_match_and_are_fetched_once() {
    for (fault, state, range, origin, root) in [
        (Fault::Nothing, None, RANGE, "debug_executionWitness", json!(true)),
        (Fault::NoWitness, None, ["--blocks", "8"], "debug_traceBlockByNumber", Value::Null),
        (Fault::Nothing, Some("tracer"), ["--blocks", "12"], "debug_traceBlockByNumber", Value::Null),
        // Block 12 deletes what leaves nodes alone that proofs of the state before do not show, and the node has none of the state after.
        (Fault::OnlyProofs, None, ["--blocks", "6"], "eth_getProof", json!(true)),
        (Fault::Nothing, Some("proof"), ["--blocks", "12"], "eth_getProof", Value::Null),
    ] {
        let (url, node) = Node::start(fault);
        let cache = tempfile::tempdir().expect("a folder");
        let folder = cache.path().display().to_string();
        let mut arguments = vec!["--json", "--cache", &folder];
        arguments.extend(range);
        arguments.extend(state.into_iter().flat_map(|state| ["--state", state]));
        let first = replay(&url, &arguments);
        assert_eq!(first.status.code(), Some(0), "{}", text(&first));
        let lines = blocks(&first);
        let count = if range == RANGE { BLOCKS.len() } else { 1 };
        assert_eq!(lines.len(), count);
        for line in &lines {
            assert_eq!(line["result"], "match", "{line}");
            assert_eq!((&line["origin"], &line["verified"]["stateRoot"]), (&json!(origin), &root), "{line}");
            let notes = if origin == "eth_getProof" && root.is_null() { 1 } else { 0 };
            assert_eq!(
                line["notes"].as_array().map(Vec::len),
                Some(notes),
                "it says why a root is not verified: {line}"
            );
        }
        assert_eq!(node.blocks.load(Ordering::Relaxed), count as u64);
        let second = replay(&url, &arguments);
        assert_eq!(blocks(&second), lines, "{}", text(&second));
        assert_eq!(node.blocks.load(Ordering::Relaxed), count as u64, "nothing is fetched twice");
        let expected = format!("0 blocks fetched, {count} out of the cache");
        assert!(text(&second).contains(&expected), "{}", text(&second));
    }
}

#[test]
fn passing_faults_change_nothing() {
    let (url, _) = Node::start(Fault::Nothing);
    let expected = blocks(&replay(&url, &[RANGE[0], RANGE[1], "--json", "--no-cache"]));
    for fault in [Fault::Slow, Fault::Busy, Fault::Cut] {
        let (url, _) = Node::start(fault);
        let output = replay(&url, &[RANGE[0], RANGE[1], "--json", "--no-cache", "--concurrency", "3"]);
        assert_eq!(output.status.code(), Some(0), "{fault:?}: {}", text(&output));
        let mut got = blocks(&output);
        let mut expected = expected.clone();
        for line in got.iter_mut().chain(&mut expected) {
            // It names the node's port.
            line.as_object_mut().expect("an object").remove("file");
        }
        assert_eq!(got, expected, "{fault:?}");
    }
}

#[test]
fn lasting_faults_end_with_one_clear_error() {
    for (fault, code, expected) in [
        (Fault::WrongId, 3, "expected the reply to request 1, got id 77"),
        (Fault::Garbage, 3, "the reply is not a JSON-RPC reply"),
        (Fault::NoMethod, 3, "the node refused"),
        (Fault::WrongBlock, 3, "number: expected"),
        (Fault::Reorganised, 3, "the chain was reorganised or the node is inconsistent"),
        (Fault::WrongState, 2, "witness"),
        (Fault::WrongProofs, 3, "it does not lead to the state root of the parent block"),
        (Fault::LyingProofs, 3, "claims"),
        (Fault::WrongCode, 3, "expected code of hash"),
    ] {
        let (url, _) = Node::start(fault);
        let output = replay(&url, &[RANGE[0], RANGE[1], "--no-cache", "-q"]);
        let shown = text(&output);
        assert_eq!(output.status.code(), Some(code), "{fault:?}: {shown}");
        assert!(shown.contains(expected) && !shown.contains("internal error"), "{fault:?}: {shown}");
    }
    let output = replay("http://127.0.0.1:1", &[RANGE[0], RANGE[1], "--no-cache"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
}

#[test]
fn wrong_usage_says_what_to_do() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isolane"));
        command.arg("replay").args(arguments).env_remove("ETH_RPC_URL").output().expect("it runs")
    };
    let output = run(&["--blocks", "1:2"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("--rpc"), "{}", text(&output));
    assert_eq!(run(&[]).status.code(), Some(2));
    assert_eq!(run(&["blocks/", "--blocks", "1"]).status.code(), Some(2));
    assert_eq!(run(&["--cache", "x", "blocks/"]).status.code(), Some(2));
}

/// The tables in a folder, by name.
fn tables(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.file_type().expect("a kind").is_file());
    files
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).expect("a file")))
        .collect()
}

#[test]
fn tables_of_a_node_go_on_where_they_were() {
    let folder = tempfile::tempdir().expect("a folder");
    let (whole, out) = (folder.path().join("whole"), folder.path().join("out"));
    let run = |url: &str, out: &Path, range: &[&str]| {
        let options = ["--no-cache", "--tables", "blocks,logs,state_diffs", "--chunk-size", "1", "--out"];
        replay(url, &[range, &options, &[out.to_str().expect("a path")]].concat())
    };
    let (good, node) = Node::start(Fault::Nothing);
    let output = run(&good, &whole, &RANGE);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(tables(&whole).len(), 6 * BLOCKS.len(), "a file a table and block");
    // The first two blocks, then a node that fails, then the rest of a good one.
    assert!(run(&good, &out, &["--blocks", "6:9:2"]).status.success());
    let (bad, _) = Node::start(Fault::NoMethod);
    let failed = run(&bad, &out, &RANGE);
    assert_eq!(failed.status.code(), Some(3), "{}", text(&failed));
    assert_eq!(tables(&out).len(), 6 * 2, "what was not fetched has no files");
    let before = node.blocks.load(Ordering::Relaxed);
    let output = run(&good, &out, &RANGE);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("2 blocks in 2 chunks are done already; 2 to do"), "{}", text(&output));
    assert_eq!(node.blocks.load(Ordering::Relaxed) - before, 2, "only the blocks that are left are fetched");
    assert!(tables(&out) == tables(&whole));
}

#[test]
fn a_reorganisation_below_finished_tables_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let options = ["--no-cache", "--tables", "blocks", "--chunk-size", "1", "--out", out.to_str().expect("a path")];
    let (good, _) = Node::start(Fault::Nothing);
    assert!(replay(&good, &[&["--blocks", "6:9:2"], &options[..]].concat()).status.success());
    let before = tables(&out);
    let (other, node) = Node::start(Fault::OtherChain);
    let output = replay(&other, &[&RANGE, &options[..]].concat());
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(3), "{shown}");
    assert!(shown.contains("block 6: the chain was reorganised") && shown.contains("another --out"), "{shown}");
    assert_eq!(node.blocks.load(Ordering::Relaxed), 0, "nothing is fetched");
    assert!(tables(&out) == before, "what is there stays as it is");
    // The chain that it was made of goes on.
    assert!(replay(&good, &[&RANGE, &options[..]].concat()).status.success());
}

#[test]
fn a_block_that_does_not_match_ends_the_replay_unless_it_is_to_be_skipped() {
    let (url, _) = Node::start(Fault::Invalid);
    let range = [RANGE[0], RANGE[1], "--no-cache", "--json", "--threads", "2"];
    for (more, reported) in [(None, 2), (Some("--skip-invalid-blocks"), BLOCKS.len())] {
        let output = replay(&url, &range.into_iter().chain(more).collect::<Vec<_>>());
        let shown = text(&output);
        assert_eq!(output.status.code(), Some(1), "{shown}");
        let results: Vec<Value> = blocks(&output).into_iter().map(|line| line["result"].clone()).collect();
        let expected = ["match", "mismatch", "match", "match"];
        assert_eq!(results, expected[..reported], "{shown}");
        let left = BLOCKS.len() - reported;
        assert!(shown.contains(&format!("\"notReplayed\":{left}")), "{shown}");
    }
}

/// What a server answers to a request without a body.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").as_bytes())
        .expect("a request");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    reply
}

#[test]
fn counts_are_served_while_blocks_are_replayed() {
    // Slow, so that there is time to ask; one at a time.
    let (url, _) = Node::start(Fault::Slow);
    let more = ["--no-cache", "--concurrency", "1", "--metrics", "0", "--progress-interval", "1"];
    let mut command = command(&url, &[&RANGE, &more[..]].concat());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    let address =
        lines.find_map(|line| Some(line.strip_prefix("metrics at http://")?.strip_suffix("/metrics")?.to_owned()));
    let address = address.expect("it says where");
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    assert!(get(&address, "/").starts_with("HTTP/1.1 404"));
    let mut seen = Vec::new();
    loop {
        let reply = get(&address, "/metrics");
        assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("application/openmetrics-text"), "{reply}");
        assert!(reply.trim_end().ends_with("# EOF"), "{reply}");
        let value = |name: &str| {
            let line =
                reply.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}: {reply}"));
            line.trim().parse::<f64>().expect("a number")
        };
        let done = value("isolane_replay_blocks_total{result=\"match\"}");
        seen.push(done);
        if done > 0.0 {
            assert!(value("isolane_replay_inputs") == 4.0 && value("isolane_replay_gas_total") > 0.0, "{reply}");
            assert!(value("isolane_replay_transactions_total") > 0.0, "{reply}");
            assert!(value("isolane_replay_stage_seconds_total{stage=\"execute\"}") > 0.0, "{reply}");
            assert!(value("isolane_replay_fetched_blocks_total{from=\"node\"}") >= done, "{reply}");
            assert!(reply.contains("isolane_replay_queue_blocks{queue=\"fetched\"}"), "{reply}");
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(seen.is_sorted() && seen.iter().all(|done| *done <= 4.0), "{seen:?}");
    let rest: Vec<String> = lines.collect();
    assert!(child.wait().expect("it ends").success(), "{rest:?}");
    assert!(rest.iter().any(|line| line.starts_with("progress: ") && line.contains("/4 blocks, ")), "{rest:?}");
}

/// The memory of many blocks of a node, each of which is fetched and executed for itself.
#[test]
fn the_memory_of_many_blocks_is_bounded() {
    const ROUNDS: usize = 1000;
    let (url, node) = Node::start(Fault::Nothing);
    let mut arguments = vec!["--no-cache", "--state", "tracer", "--json", "--memory-limit", "512M", "--blocks"];
    arguments.extend(std::iter::repeat_n("8:13:4", ROUNDS));
    let output = replay(&url, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(node.blocks.load(Ordering::Relaxed), 2 * ROUNDS as u64);
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let summary: Value = serde_json::from_str(lines.lines().last().expect("a summary")).expect("JSON");
    assert_eq!(summary["total"]["blocks"], 2 * ROUNDS);
    if let Some(peak) = summary["peakMemoryBytes"].as_u64() {
        assert!(peak < 512_000_000, "{peak} bytes");
    }
}
