//! A calm tenant asks at a steady pace, alone and beside one that floods the server: by how much its p99 rises.

use super::load::{Connection, Figures, HOLDERS, ROUNDS, call, check, figures, median, spread};
use super::process::Served;
use crate::shell;
use anyhow::{Result, ensure};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Between two requests of a calm connection.
const PACE: Duration = Duration::from_millis(5);
/// Calm connections.
const CALM: usize = 4;
/// Connections of the flood.
const FLOOD: usize = 32;

const TENANTS: &str =
    "[tenant.calm]\nkeys = [\"calm-calm-calm-calm\"]\n[tenant.flood]\nkeys = [\"flood-flood-flood-flood\"]\n";

/// What a flood consists of: endless loops, by `eth_call` to one function or to another one each time, or by `eth_estimateGas`. They
/// need nothing of the node, which has to share the processors.
const KINDS: [(&str, &str, bool); 3] = [
    ("`eth_call` of one function", "eth_call", false),
    ("`eth_call` of another function each time", "eth_call", true),
    ("`eth_estimateGas`", "eth_estimateGas", false),
];

/// A request for an endless loop, with all the gas there is.
fn endless(method: &str, function: usize) -> String {
    let address = "0x0000000000000000000000000000000000100b00";
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":[{{\"to\":\"{address}\",\"data\":\"0x{function:08x}\"}},\"latest\",{{\"{address}\":{{\"code\":\"0x5b5f56\"}}}}]}}"
    )
}

/// What the calm tenant sees within some time; `kind` is what the flood consists of, if there is one.
fn measure(
    address: &str,
    token: &str,
    time: Duration,
    kind: Option<(&str, bool)>,
    ended: &AtomicUsize,
) -> Result<Figures> {
    let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let (stop, sent) = (&stop, &sent);
        let flood = move |method: &str, varied: bool| -> Result<()> {
            let mut connection = Connection::open(address, Some("flood-flood-flood-flood"))?;
            while !stop.load(Ordering::Relaxed) {
                let function = if varied { sent.fetch_add(1, Ordering::Relaxed) } else { 0 };
                let answer = String::from_utf8_lossy(connection.post(&endless(method, function))?).into_owned();
                ensure!(answer.contains("out of gas") || answer.contains("gas required exceeds"), "{answer}");
                ended.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let threads: Vec<_> = kind.map_or_else(Vec::new, |(method, varied)| {
            (0..FLOOD).map(|_| scope.spawn(move || flood(method, varied))).collect()
        });
        let calm = |offset: usize| -> Result<Vec<Duration>> {
            let mut connection = Connection::open(address, Some("calm-calm-calm-calm"))?;
            let (start, mut latencies) = (Instant::now(), Vec::new());
            for round in 0u32.. {
                let due = start + PACE * round;
                if due > start + time {
                    break;
                }
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let holder = (offset + round as usize * 7) % HOLDERS;
                // From when it was due: a server that is late delays those behind it, too.
                check(connection.post(&call(token, holder))?, holder, 1)?;
                latencies.push(due.elapsed());
            }
            Ok(latencies)
        };
        let clients: Vec<_> = (0..CALM).map(|client| scope.spawn(move || calm(client * 25_000))).collect();
        // The flood ends before anything is made of what became of the others.
        let calm: Vec<_> = clients.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for client in calm {
            all.extend(client.map_err(|_| anyhow::anyhow!("a client panicked"))??);
        }
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        Ok(figures(all.len(), time, all))
    })
}

/// Measures each of the servers in turn, and writes a table. The largest of the factors by which the p99 rises at the first of them. `only` is
/// in the names of the floods that are wanted.
pub fn run(builds: &[&Path], node: &str, token: &str, (seconds, only): (f64, &str), text: &mut String) -> Result<f64> {
    let file = shell::root().join("target/testdata/serve/tenants.toml");
    std::fs::create_dir_all(file.parent().unwrap_or(&file))?;
    std::fs::write(&file, TENANTS)?;
    let (tenants, time) = (file.display().to_string(), Duration::from_secs_f64(seconds));
    let mut servers = Vec::new();
    for build in builds {
        let served = Served::start(build, node, &["--tenants", &tenants])?;
        // Its state is at hand from here on.
        measure(&served.address, token, time, None, &AtomicUsize::new(0))?;
        servers.push(served);
    }
    writeln!(
        text,
        "\n## A tenant that floods the server\n\nA calm tenant sends {} calls a second over {CALM} connections, at a steady pace and each on time, alone and beside a tenant whose \
        {FLOOD} connections send nothing but endless loops (50 million gas each). Every answer is checked. {seconds} seconds each, in turn, {ROUNDS} rounds; median (minimum-maximum).\n",
        CALM as u128 * 1000 / PACE.as_millis()
    )?;
    writeln!(
        text,
        "| the flood | calm p50 ms: alone, beside it | calm p99 ms: alone, beside it | p99 rises to | loops ended |"
    )?;
    writeln!(text, "| --- | --- | --- | --- | --- |")?;
    let mut worst = 0.0f64;
    for (name, method, varied) in KINDS.into_iter().filter(|(name, ..)| name.contains(only)) {
        let mut rounds: Vec<_> = servers.iter().map(|_| (Vec::new(), Vec::new(), AtomicUsize::new(0))).collect();
        for _ in 0..ROUNDS {
            for (served, (alone, beside, ended)) in servers.iter().zip(&mut rounds) {
                alone.push(measure(&served.address, token, time, None, ended)?);
                beside.push(measure(&served.address, token, time, Some((method, varied)), ended)?);
            }
        }
        for (index, (alone, beside, ended)) in rounds.into_iter().enumerate() {
            let factors: Vec<f64> = beside.iter().zip(&alone).map(|(beside, alone)| beside.p99 / alone.p99).collect();
            let of = |list: &[Figures], field: fn(&Figures) -> f64| spread(&list.iter().map(field).collect::<Vec<_>>());
            let build = builds
                .get(index)
                .filter(|_| builds.len() > 1)
                .map_or(String::new(), |build| format!(" ({})", build.display()));
            writeln!(
                text,
                "| {name}{build} | {}, {} | {}, {} | {} | {} |",
                of(&alone, |it| it.p50),
                of(&beside, |it| it.p50),
                of(&alone, |it| it.p99),
                of(&beside, |it| it.p99),
                spread(&factors),
                ended.into_inner()
            )?;
            if index == 0 {
                worst = worst.max(median(&factors));
            }
        }
    }
    for served in servers {
        served.stop()?;
    }
    Ok(worst)
}
