//! Token balances of very many holders: the library against revm, in the same run.
//!
//! `benches/README.md` says how to run it and what is measured. Writes `results/embed.md` and `.json`.

#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use isolane::bench::facts::{self, Facts};
use isolane::bench::peer::PeerState;
use isolane::convert::keccak;
use isolane::executor::{BackendKind, Call, DatabaseSource, Executor, MemorySource, Snapshot, Want};
use isolane::load::workload::Workload;
use isolane::spec::{Bytes, H160, U256};
use rayon::prelude::*;
use revm::context::TxEnv;
use revm::primitives::{Address, TxKind};
use revm::{Context, ExecuteEvm, MainBuilder, MainContext};
use serde::Serialize;
use std::error::Error;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Spread, process_time, setting, write_results};

/// Gas that each call has, on both sides.
const GAS: u64 = 1_000_000;

#[derive(Serialize)]
struct Row {
    token: String,
    state: &'static str,
    holders: usize,
    /// Wall time of one call, all cores.
    isolane_ns: Spread,
    revm_ns: Spread,
    /// revm's time over isolane's, pair by pair.
    ratio: Spread,
    /// The same of the CPU time of all threads.
    cpu_ratio: Spread,
}

#[derive(Serialize)]
struct Report {
    schema: u32,
    facts: Facts,
    pairs: usize,
    rows: Vec<Row>,
}

fn balance_of(holder: H160) -> Bytes {
    let mut input = [0; 36];
    input[..4].copy_from_slice(&[0x70, 0xa0, 0x82, 0x31]);
    input[16..].copy_from_slice(&holder.0);
    Bytes::copy_from_slice(&input)
}

/// As an indexer does it: from holders to balances.
fn isolane(executor: &Executor, snapshot: &Snapshot, token: H160, holders: &[H160]) -> Vec<U256> {
    let balances = executor.map(
        snapshot,
        holders,
        Want::OUTPUT,
        |holder| Call::new(token, balance_of(*holder)).gas(GAS),
        |_, outcome| outcome.is_success().then(|| U256::from_big_endian(&outcome.output)),
    );
    let balance = |result| match result {
        Ok(Some(balance)) => balance,
        other => panic!("a call failed: {other:?}"),
    };
    balances.into_iter().map(balance).collect()
}

/// The same with all calls and all outcomes at hand.
fn isolane_at_once(executor: &Executor, snapshot: &Snapshot, token: H160, holders: &[H160]) -> Vec<U256> {
    let calls: Vec<Call> = holders.iter().map(|holder| Call::new(token, balance_of(*holder)).gas(GAS)).collect();
    let outcomes = executor.run(snapshot, &calls, Want::OUTPUT);
    outcomes
        .into_iter()
        .map(|outcome| match outcome {
            Ok(outcome) if outcome.is_success() => U256::from_big_endian(&outcome.output),
            other => panic!("a call failed: {other:?}"),
        })
        .collect()
}

/// As a competent user of revm does it: one `Evm` a thread, reused, on a database of revm's own hash maps with analysed code.
fn revm(pool: &rayon::ThreadPool, snapshot: &Snapshot, state: &PeerState, token: H160, holders: &[H160]) -> Vec<U256> {
    let block = snapshot.block();
    let token = Address::from(token.0);
    let evm = || {
        let mut evm = Context::mainnet().with_ref_db(state).build_mainnet();
        evm.ctx.block.number = revm::primitives::U256::from(block.number);
        evm.ctx.block.timestamp = revm::primitives::U256::from(block.timestamp);
        evm.ctx.block.basefee = 0;
        evm.ctx.block.gas_limit = block.gas_limit;
        evm.ctx.cfg.set_spec_and_mainnet_gas_params(revm::primitives::hardfork::SpecId::CANCUN);
        evm.ctx.cfg.disable_nonce_check = true;
        evm
    };
    pool.install(|| {
        holders
            .par_iter()
            .map_init(evm, |evm, holder| {
                let call = TxEnv {
                    kind: TxKind::Call(token),
                    data: revm::primitives::Bytes(balance_of(*holder)),
                    gas_limit: GAS,
                    gas_price: 0,
                    chain_id: None,
                    ..TxEnv::default()
                };
                let done = evm.transact(call).expect("a valid call");
                assert!(done.result.is_success(), "a call failed");
                let output = done.result.output().map(|output| U256::from_big_endian(output)).unwrap_or_default();
                black_box(done.state);
                output
            })
            .collect()
    })
}

/// Gives each holder another balance: lanes must not have it in common.
fn distinct_balances(workload: &mut Workload, token: H160, holders: &[H160]) -> Result<(), Box<dyn Error>> {
    let state = Arc::make_mut(&mut workload.state);
    let storage = &mut state.accounts.get_mut(&token).ok_or("the token has no account")?.storage;
    let slot = |holder: &H160, position: u8| {
        let mut preimage = [0; 64];
        preimage[12..32].copy_from_slice(&holder.0);
        preimage[63] = position;
        U256::from_big_endian(&keccak(preimage).0)
    };
    let first = holders.first().ok_or("no holders")?;
    let position = (0..=255).find(|position| storage.contains_key(&slot(first, *position))).ok_or("no balances")?;
    for (index, holder) in holders.iter().enumerate() {
        storage.insert(slot(holder, position), U256::from(1_000_000_007 * (index as u64 + 1)));
    }
    Ok(())
}

/// One way to ask for all balances.
type Way = fn(&Executor, &Snapshot, H160, &[H160]) -> Vec<U256>;

struct Taken {
    wall: Duration,
    cpu: Duration,
}

fn timed(work: impl FnOnce() -> Vec<U256>) -> (Taken, Vec<U256>) {
    let (cpu, wall) = (process_time(), Instant::now());
    let balances = work();
    (Taken { wall: wall.elapsed(), cpu: process_time() - cpu }, balances)
}

fn measure(
    workload: &Workload,
    holders: usize,
    pairs: usize,
    pool: &rayon::ThreadPool,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut wide = workload.widen(holders);
    let token = wide.transactions.first().and_then(|transaction| transaction.to).ok_or("no token")?;
    let holders: Vec<H160> = wide.transactions.iter().map(|transaction| transaction.sender).collect();
    distinct_balances(&mut wide, token, &holders)?;
    let environment = wide.environment();
    let executor = Executor::builder().backend(BackendKind::Lockstep).build()?;
    let memory = Arc::new(MemorySource::new(Arc::clone(&wide.state)));
    let database = Arc::new(DatabaseSource::new(PeerState::new(&wide)));
    let state = PeerState::new(&wide);
    let in_memory = executor.snapshot(&memory, environment.block.clone(), environment.rules);
    let cached = executor.snapshot(&database, environment.block.clone(), environment.rules);
    let ways: [(&'static str, Snapshot, Way); 3] = [
        ("in memory, map", in_memory.clone(), isolane),
        ("in memory, run", in_memory, isolane_at_once),
        ("DatabaseRef through the cache, warm, map", cached, isolane),
    ];
    // For a profiler: one of the ways, by its name.
    let only_ours = std::env::var("ISOLANE_ONLY").ok();
    let mut rows = Vec::new();
    for (name, snapshot, way) in ways {
        let expected = revm(pool, &snapshot, &state, token, &holders);
        if way(&executor, &snapshot, token, &holders) != expected {
            return Err(format!("{}: the balances differ, nothing was timed", workload.name).into());
        }
        let distinct = expected.iter().collect::<std::collections::HashSet<_>>().len();
        eprintln!("{}: {} balances equal, {distinct} distinct, {name}", workload.name, expected.len());
        if let Some(only) = &only_ours {
            if *only != name {
                continue;
            }
            (0..pairs).for_each(|_| _ = black_box(way(&executor, &snapshot, token, &holders)));
            continue;
        }
        let (mut ours, mut theirs, mut ratios, mut cpu_ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for pair in 0..pairs {
            let first = || timed(|| way(&executor, &snapshot, token, &holders));
            let second = || timed(|| revm(pool, &snapshot, &state, token, &holders));
            let ((a, x), (b, y)) = if pair % 2 == 0 {
                let first = first();
                (first, second())
            } else {
                let second = second();
                (first(), second)
            };
            if x != expected || y != expected {
                return Err(format!("{}: the balances differ", workload.name).into());
            }
            let per = holders.len() as f64 / 1e9;
            ours.push(a.wall.as_secs_f64() / per);
            theirs.push(b.wall.as_secs_f64() / per);
            ratios.push(b.wall.as_secs_f64() / a.wall.as_secs_f64());
            cpu_ratios.push(b.cpu.as_secs_f64() / a.cpu.as_secs_f64());
        }
        rows.push(Row {
            token: workload.name.clone(),
            state: name,
            holders: holders.len(),
            isolane_ns: Spread::of(ours),
            revm_ns: Spread::of(theirs),
            ratio: Spread::of(ratios),
            cpu_ratio: Spread::of(cpu_ratios),
        });
    }
    Ok(rows)
}

const HEADER: [&str; 7] =
    ["token", "state", "holders", "isolane ns/call", "revm ns/call", "revm / isolane", "of CPU time"];

fn main() -> Result<(), Box<dyn Error>> {
    let filter: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let holders = setting("ISOLANE_HOLDERS", 100_000)?.max(1);
    let pairs = setting("ISOLANE_PAIRS", 11)?.max(1);
    let pool = rayon::ThreadPoolBuilder::new().build()?;
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/workloads");
    let mut rows = Vec::new();
    for name in ["erc20_transfer", "proxy_transfer"] {
        if !filter.is_empty() && !filter.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let workload = Workload::read(&folder.join(format!("{name}.txt.zst")))?;
        rows.extend(measure(&workload, holders, pairs, &pool)?);
    }
    let facts = Facts::gather(facts::BENCH);
    let mut text = format!(
        "# Balances of many holders: the library against revm\n\n`cargo bench --bench embed`: from a list of holders to their \
         balances, one `balanceOf` each against one snapshot, all cores, wall time. Median (minimum-maximum) of {pairs} \
         interleaved pairs; the balances are compared each time.\n\n{}\n",
        facts.markdown()
    );
    writeln!(text, "| {} |\n|{}", HEADER.join(" | "), " --- |".repeat(HEADER.len()))?;
    for row in &rows {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            row.token,
            row.state,
            row.holders,
            row.isolane_ns.show(0),
            row.revm_ns.show(0),
            row.ratio.show(2),
            row.cpu_ratio.show(2)
        )?;
    }
    println!("{text}");
    write_results("embed", &text, &Report { schema: 1, facts, pairs, rows })
}
