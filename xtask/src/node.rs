//! `cargo xtask node`: `isolane replay --rpc` from end to end against a real node. Its blocks have to match, and the receipts, calls and
//! changes of every transaction have to be those that the node itself tells.

mod compare;

use crate::anvil::{self, Anvil};
use crate::shell;
use anyhow::{Context, Result, ensure};
use compare::Place;
use isolane::load::rpc::{Rpc, RpcSettings};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

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

/// What is as it should be, and what is not.
#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
}

impl Counts {
    /// Counts one; what is wrong with it is printed.
    fn add(&mut self, fork: &str, problem: Option<String>) {
        match problem {
            None => self.passed += 1,
            Some(problem) => {
                println!("{fork}: {problem}");
                self.failed += 1;
            }
        }
    }

    fn say(&self, fork: &str, what: &str, total: &mut (u64, u64)) {
        println!("{fork}: {} {what} as the node has them, {} not", self.passed, self.failed);
        total.0 += self.passed;
        total.1 += self.failed;
    }
}

/// How many blocks, receipts, calls and changes of transactions are as they should be, and how many are not.
pub fn count(args: &Args) -> Result<(u64, u64)> {
    let root = shell::root();
    let target = root.join("target/testdata");
    let npm = anvil::install(&target, &root.join("testdata/make"))?;
    let isolane = std::env::current_exe()?.with_file_name(format!("isolane{}", std::env::consts::EXE_SUFFIX));
    ensure!(isolane.exists(), "{} is not there: cargo build --release --bin isolane", isolane.display());
    let mut total = (0, 0);
    for fork in FORKS {
        if !args.fork.is_empty() && !args.fork.iter().any(|wanted| wanted == fork) {
            continue;
        }
        let folder = target.join("node").join(fork);
        let node = Anvil::start(&npm, fork, &folder, &["small"])?;
        let run = Run::new(&isolane, fork, &node, folder);
        let compared = run.compare(&mut total);
        node.stop()?;
        compared.with_context(|| fork.to_owned())?;

        // A chain without the contract of EIP-4788, so that proofs lead to its state roots.
        let folder = target.join("node").join(format!("{fork}-proofs"));
        let node = Anvil::start(&npm, fork, &folder, &["proofs"])?;
        let run = Run::new(&isolane, fork, &node, folder);
        let proven = run.prove(&mut total);
        node.stop()?;
        proven.with_context(|| format!("{fork}, proofs"))?;
    }
    ensure!(total.0 > 0, "no block was replayed");
    Ok(total)
}

/// A chain that is replayed.
struct Run<'a> {
    isolane: &'a PathBuf,
    fork: &'a str,
    folder: PathBuf,
    url: String,
    last: u64,
    rpc: Rpc,
}

impl<'a> Run<'a> {
    fn new(isolane: &'a PathBuf, fork: &'a str, node: &Anvil, folder: PathBuf) -> Self {
        let rpc = Rpc::new(&node.url, RpcSettings::default());
        Self { isolane, fork, folder, url: node.url.clone(), last: node.last, rpc }
    }

    /// Replays all blocks from one on; the lines of the report that are about them.
    fn replay(&self, first: u64, more: &[&str]) -> Result<Vec<Value>> {
        let range = format!("{first}:{}", self.last + 1);
        let cache = self.folder.join("cache");
        let mut command = shell::command(self.isolane);
        command.args(["replay", "--rpc", &self.url, "--blocks", &range, "--fork", self.fork, "--json", "--cache"]);
        command.arg(&cache).arg("--skip-invalid-blocks").args(more);
        let output = command.output().context("cannot run isolane")?;
        // What does not match is in the lines, and judged by those who asked for them.
        let ended = output.status.code();
        ensure!(
            matches!(ended, Some(0 | 1)),
            "isolane ended with {ended:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let parse = |line: &str| serde_json::from_str(line).context("isolane printed no JSON");
        let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout).lines().map(parse).collect::<Result<_>>()?;
        let blocks: Vec<Value> = lines.into_iter().filter(|line| line["type"] == "block").collect();
        let expected = self.last + 1 - first;
        ensure!(blocks.len() as u64 == expected, "expected {expected} blocks, got {}", blocks.len());
        Ok(blocks)
    }

    /// A file of JSON Lines that a replay writes with these arguments.
    fn lines(&self, name: &str, first: u64, arguments: &[&str]) -> Result<(Vec<Value>, Vec<Value>)> {
        let path = self.folder.join(name);
        let text = path.display().to_string();
        let mut arguments = arguments.to_vec();
        arguments.push(&text);
        let blocks = self.replay(first, &arguments)?;
        Ok((blocks, read_lines(&path)?))
    }

    fn compare(&self, total: &mut (u64, u64)) -> Result<()> {
        let fork = self.fork;
        let (blocks, receipts) = self.lines("receipts.jsonl", 1, &["--out"])?;
        // Out of the cache.
        let (_, calls) = self.lines("calls.jsonl", 1, &["--trace-kind", "call-tree", "--trace"])?;
        let (_, changes) = self.lines("changes.jsonl", 1, &["--trace-kind", "state-diff", "--trace"])?;

        let (mut counts, mut deviations) = (Counts::default(), 0);
        for line in &blocks {
            let from_tracer = line["origin"] == "debug_traceBlockByNumber";
            let anvils = line["result"] != "match" && self.is_anvils(line)?;
            deviations += u64::from(anvils);
            let matches = from_tracer && (line["result"] == "match" || anvils);
            counts.add(fork, (!matches).then(|| line.to_string()));
        }
        counts.say(fork, "blocks", total);
        println!("{fork}: {deviations} of them as far as anvil keeps to the specs (testdata/README.md)");

        let (mut of_receipts, mut of_calls, mut of_changes) = (Counts::default(), Counts::default(), Counts::default());
        let (mut receipts, mut calls, mut changes) = (receipts.iter(), calls.iter(), changes.iter());
        let mut kinds = compare::Kinds::default();
        for number in 1..=self.last {
            let tag = format!("{number:#x}");
            let block = self.rpc.call("eth_getBlockByNumber", json!([tag, true]))?;
            let theirs = self.rpc.call("eth_getBlockReceipts", json!([tag]))?;
            let config = json!({"tracer": "callTracer"});
            let traced = self.rpc.call("debug_traceBlockByNumber", json!([tag, config]))?;
            let config = json!({"tracer": "prestateTracer", "tracerConfig": {"diffMode": true}});
            let changed = self.rpc.call("debug_traceBlockByNumber", json!([tag, config]))?;
            let transactions = list(&block["transactions"])?;
            let (theirs, traced, changed) = (list(&theirs)?, list(&traced)?, list(&changed)?);
            for of in [&theirs, &traced, &changed] {
                ensure!(of.len() == transactions.len(), "block {number}: the node left out transactions");
            }
            // Of the gas of the block so far, what anvil has refunded and the specs do not.
            let mut refunded = 0;
            for (index, transaction) in transactions.iter().enumerate() {
                let place = Place { number, transaction, miner: &block["miner"] };
                kinds.see(transaction, &theirs[index], &traced[index]);
                let ours = receipts.next().context("isolane has fewer receipts than the node")?;
                let (problem, more) = compare::receipt(&place, ours, &theirs[index], refunded);
                refunded += more;
                of_receipts.add(fork, problem);
                let ours = calls.next().context("isolane traced fewer calls than the node")?;
                of_calls.add(fork, compare::calls(&place, ours, &traced[index]));
                let ours = changes.next().context("isolane traced fewer changes than the node")?;
                of_changes.add(fork, compare::changes(&place, ours, &changed[index], more != 0, refunded != 0)?);
            }
        }
        let more = receipts.next().or_else(|| calls.next()).or_else(|| changes.next());
        ensure!(more.is_none(), "isolane has more transactions than the node");
        kinds.are_all_there()?;
        of_receipts.say(fork, "receipts", total);
        of_calls.say(fork, "trees of calls", total);
        of_changes.say(fork, "changes of transactions", total);
        Ok(())
    }

    /// Replays from proofs. The state root after a block has to be verified, unless anvil's is none of the specs.
    fn prove(&self, total: &mut (u64, u64)) -> Result<()> {
        let (mut counts, mut verified) = (Counts::default(), 0);
        // Of the first block's parent anvil says no state root.
        let arguments = ["--state", "proof", "--trace-kind", "access-list", "--trace"];
        let (blocks, accessed) = self.lines("accessed.jsonl", 2, &arguments)?;
        for line in &blocks {
            let proven = line["origin"] == "eth_getProof" && line["state"] == "proofs";
            let good = line["result"] == "match" && line["verified"]["stateRoot"] == true;
            verified += u64::from(good);
            let good = proven && (good || self.keeps_zeros(line, &accessed)?);
            counts.add(self.fork, (!good).then(|| line.to_string()));
        }
        counts.say(self.fork, "blocks from proofs", total);
        println!("{}: {verified} state roots verified from proofs", self.fork);
        ensure!(verified * 3 > blocks.len() as u64, "too few blocks with a state root of the specs: see record.mjs");
        Ok(())
    }

    /// Whether a block matches but for its state root, and anvil keeps slots of nothing in its tries, which belong to no trie.
    fn keeps_zeros(&self, block: &Value, accessed: &[Value]) -> Result<bool> {
        let only_root =
            block["mismatches"].as_array().is_some_and(|list| list.len() == 1 && list[0]["field"] == "stateRoot");
        if !only_root {
            return Ok(false);
        }
        let number = format!("{:#x}", block["number"].as_u64().context("a block without a number")?);
        let transactions = accessed.iter().filter(|line| line["name"] == block["file"]);
        for item in transactions.flat_map(|line| line["accessList"].as_array().into_iter().flatten()) {
            if item["storageKeys"].as_array().is_none_or(Vec::is_empty) {
                continue;
            }
            let proof = self.rpc.call("eth_getProof", json!([item["address"], item["storageKeys"], number]))?;
            for slot in &list(&proof["storageProof"])? {
                let last =
                    slot["proof"].as_array().and_then(|nodes| nodes.last()).and_then(Value::as_str).unwrap_or("0x");
                // A leaf, which is a short list, with the encoding of 0 for its value.
                if last.ends_with("8180") && last.get(2..4).is_some_and(|first| first < "f8") {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether a block differs only in what anvil does otherwise than the execution specs (testdata/README.md has the list): it
    /// leaves the requests out (EIP-7685), puts blob transactions with their sidecars into the transactions root (EIP-4844), and
    /// refunds delegations of accounts that do not exist (EIP-7702), which shows in that transaction's gas and all sums of it.
    fn is_anvils(&self, block: &Value) -> Result<bool> {
        // SHA-256 of nothing.
        const NO_REQUESTS: &str = "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let Some(mismatches) = block["mismatches"].as_array().filter(|list| !list.is_empty()) else { return Ok(false) };
        let number = format!("{:#x}", block["number"].as_u64().context("a block without a number")?);
        let node = self.rpc.call("eth_getBlockByNumber", json!([number, true]))?;
        let delegates = |index: &Value| {
            let index = index.as_u64().and_then(|index| usize::try_from(index).ok());
            let transaction = index.and_then(|index| node["transactions"].get(index));
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
}

fn list(value: &Value) -> Result<Vec<Value>> {
    value.as_array().cloned().with_context(|| format!("expected a list of the node, got {value}"))
}

fn read_lines(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| path.display().to_string())).collect()
}
