//! `cargo xtask node`: `isolane replay --rpc` from end to end against a real node. Its blocks have to match, and the calls of
//! every transaction have to be those that the node itself traces.

use crate::anvil::{self, Anvil};
use crate::shell;
use anyhow::{Context, Result, ensure};
use isolane::load::rpc::{Rpc, RpcSettings};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The forks whose chains are replayed.
const FORKS: [&str; 2] = ["prague", "osaka"];

/// Replays the chains of a node that is started for it.
#[derive(clap::Args, Default)]
pub struct Args {
    /// Only these forks, by anvil's names.
    #[arg(long)]
    fork: Vec<String>,
}

/// Runs the task; whether everything matched.
pub fn run(args: &Args) -> Result<bool> {
    let (passed, failed) = count(args)?;
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0 && passed > 0)
}

/// How many blocks and transactions are as they should be, and how many are not.
pub fn count(args: &Args) -> Result<(u64, u64)> {
    let root = shell::root();
    let target = root.join("target/testdata");
    let npm = anvil::install(&target, &root.join("testdata/make"))?;
    let isolane = std::env::current_exe()?.with_file_name(format!("isolane{}", std::env::consts::EXE_SUFFIX));
    ensure!(isolane.exists(), "{} is not there: cargo build --release --bin isolane", isolane.display());
    let (mut passed, mut failed) = (0, 0);
    for fork in FORKS {
        if !args.fork.is_empty() && !args.fork.iter().any(|wanted| wanted == fork) {
            continue;
        }
        let folder = target.join("node").join(fork);
        let node = Anvil::start(&npm, fork, &folder)?;
        let compared = compare(&isolane, fork, &node, &folder);
        node.stop()?;
        let counts = compared.with_context(|| fork.to_owned())?;
        println!(
            "{fork}: {} blocks match, {} do not; {} transactions with the node's calls, {} without",
            counts[0], counts[1], counts[2], counts[3]
        );
        passed += counts[0] + counts[2];
        failed += counts[1] + counts[3];
    }
    ensure!(passed > 0, "no block was replayed");
    Ok((passed, failed))
}

/// Blocks that match and that do not, transactions whose calls are equal and not.
fn compare(isolane: &PathBuf, fork: &str, node: &Anvil, folder: &std::path::Path) -> Result<[u64; 4]> {
    let trace = folder.join("calls.jsonl");
    let range = format!("1:{}", node.last + 1);
    let mut command = shell::command(isolane);
    command.args(["replay", "--rpc", &node.url, "--blocks", &range, "--fork", fork, "--no-cache", "--json"]);
    command.args(["--trace-kind", "call-tree", "--trace"]).arg(&trace);
    let output = command.output().context("cannot run isolane")?;
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    let mut counts = [0; 4];
    let rpc = Rpc::new(&node.url, RpcSettings::default());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let line: Value = serde_json::from_str(line).context("isolane printed no JSON")?;
        if line["type"] == "block" {
            let matches = line["result"] == "match" || is_anvils(&line, &rpc)?;
            if !matches {
                println!("{line}");
            }
            counts[usize::from(!matches)] += 1;
        }
    }
    let ours = std::fs::read_to_string(&trace).with_context(|| trace.display().to_string())?;
    let mut lines = ours.lines();
    for number in 1..=node.last {
        let config = json!({"tracer": "callTracer"});
        let theirs = rpc.call("debug_traceBlockByNumber", json!([format!("{number:#x}"), config]))?;
        for traced in theirs.as_array().context("expected an array of traces")? {
            let line = lines.next().context("isolane traced fewer transactions than the node")?;
            let line: Value = serde_json::from_str(line)?;
            let mut place = format!("block {number}, {}", traced["txHash"]);
            // anvil says of the first call how much gas the block had used, and gas of the transaction where isolane has
            // that of the call.
            let mut ours = line["callTree"].clone();
            for field in ["gas", "gasUsed"] {
                ours[field] = traced["result"][field].clone();
            }
            let equal = line["hash"] == traced["txHash"] && same(&ours, &traced["result"], &mut place);
            if !equal {
                println!("{fork}: the calls differ: {place}");
            }
            counts[2 + usize::from(!equal)] += 1;
        }
    }
    ensure!(lines.next().is_none(), "isolane traced more transactions than the node");
    Ok(counts)
}

/// Whether a block differs only in what anvil does otherwise than the execution specs (testdata/README.md has the list): it leaves
/// the requests out (EIP-7685), puts blob transactions with their sidecars into the transactions root (EIP-4844), and refunds
/// delegations of accounts that do not exist (EIP-7702), which shows in that transaction's gas and all sums of it.
fn is_anvils(block: &Value, rpc: &Rpc) -> Result<bool> {
    // SHA-256 of nothing.
    const NO_REQUESTS: &str = "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let Some(mismatches) = block["mismatches"].as_array().filter(|list| !list.is_empty()) else { return Ok(false) };
    let number = format!("{:#x}", block["number"].as_u64().context("a block without a number")?);
    let node = rpc.call("eth_getBlockByNumber", json!([number, true]))?;
    let delegates = |index: &Value| {
        let transaction = index.as_u64().and_then(|index| node["transactions"].get(index as usize));
        transaction.is_some_and(|transaction| transaction["authorizationList"].is_array())
    };
    let refunded = mismatches.iter().any(|one| one["field"] == "gasUsed" && delegates(&one["transactionIndex"]));
    Ok(mismatches.iter().all(|one| match (one["field"].as_str(), &one["transactionIndex"]) {
        (Some("requestsHash"), _) => one["expected"] == NO_REQUESTS,
        (Some("transactionsRoot"), _) => node["blobGasUsed"] != "0x0",
        (Some("gasUsed"), Value::Null) | (Some("receiptsRoot"), _) => refunded,
        (Some("gasUsed"), index) => delegates(index),
        _ => false,
    }))
}

/// Whether two calls and all below them are equal; else `place` says where they are not.
fn same(ours: &Value, theirs: &Value, place: &mut String) -> bool {
    let empty = |value: &Value| value.is_null() || *value == "0x";
    for field in ["type", "from", "to", "value", "gas", "gasUsed", "input", "output"] {
        let (a, b) = (&ours[field], &theirs[field]);
        if a != b && !(empty(a) && empty(b)) {
            *place += &format!(": {field}: {a} here, {b} there");
            return false;
        }
    }
    // Each has words of its own for what went wrong.
    if ours["error"].is_null() != theirs["error"].is_null() {
        *place += &format!(": error: {} here, {} there", ours["error"], theirs["error"]);
        return false;
    }
    let none = Vec::new();
    let calls = |value: &Value| value["calls"].as_array().cloned().unwrap_or_else(|| none.clone());
    let (a, b) = (calls(ours), calls(theirs));
    if a.len() != b.len() {
        *place += &format!(": {} calls here, {} there", a.len(), b.len());
        return false;
    }
    a.iter().zip(&b).enumerate().all(|(index, (a, b))| {
        let before = place.len();
        *place += &format!("/{index}");
        let equal = same(a, b, place);
        if equal {
            place.truncate(before);
        }
        equal
    })
}
