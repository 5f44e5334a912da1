//! Many calls to a node and to `isolane serve` in front of it, over connections that stay open, in turn; then what a tenant notices of
//! another one's flood.

use super::flood;
use super::process::{Served, resident};
use crate::anvil::Anvil;
use crate::shell;
use anyhow::{Context, Result, bail, ensure};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Rounds of each measurement; the node and the server take turns.
pub const ROUNDS: usize = 3;
/// Calls of a request, where it is a batch.
const BATCH: usize = 100;
/// Holders of the token.
pub const HOLDERS: usize = 100_000;

/// A connection that stays open.
pub struct Connection {
    stream: TcpStream,
    head: String,
    /// What came is at its start.
    buffer: Vec<u8>,
    /// How much that is.
    filled: usize,
}

impl Connection {
    /// Connects; `key` is the tenant's.
    pub fn open(address: &str, key: Option<&str>) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| address.to_owned())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        let key = key.map(|key| format!("x-api-key: {key}\r\n")).unwrap_or_default();
        let head =
            format!("POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{key}content-length: ");
        Ok(Self { stream, head, buffer: vec![0; 1 << 14], filled: 0 })
    }

    /// Posts a body and returns the body of the answer.
    pub fn post(&mut self, body: &str) -> Result<&[u8]> {
        let request = format!("{}{}\r\n\r\n{body}", self.head, body.len());
        self.stream.write_all(request.as_bytes())?;
        self.filled = 0;
        let (start, length) = loop {
            let came = self.read()?;
            if let Some(end) = came.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(came.get(..end).unwrap_or_default()).to_ascii_lowercase();
                let length: Option<usize> =
                    head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
                break (end + 4, length.with_context(|| format!("no content-length: {head}"))?);
            }
        };
        while self.filled < start + length {
            self.read()?;
        }
        self.buffer.get(start..start + length).context("a shorter answer")
    }

    /// Waits for more, and returns all that came.
    fn read(&mut self) -> Result<&[u8]> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(2 * self.filled, 0);
        }
        let n = self.stream.read(self.buffer.get_mut(self.filled..).unwrap_or_default())?;
        ensure!(n > 0, "the connection was closed");
        self.filled += n;
        Ok(self.buffer.get(..self.filled).unwrap_or_default())
    }
}

/// `balanceOf` of a holder.
pub fn call(token: &str, holder: usize) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{holder},\"method\":\"eth_call\",\"params\":[{{\"to\":\"{token}\",\"data\":\"0x70a08231{:064x}\"}},\"latest\"]}}",
        0x1000_0000 + holder
    )
}

/// That each call has the holder's balance, in the order of the calls or in another. It is written to cost little: the client shares the
/// processors with what it measures.
pub fn check(answer: &[u8], first: usize, count: usize) -> Result<()> {
    let text = std::str::from_utf8(answer)?;
    let (mut rest, mut seen) = (text, vec![false; count]);
    while let Some(place) = rest.find("\"id\":") {
        let part = rest.get(place + 5..).unwrap_or_default();
        let part = part.get(..part.find('}').context("an answer without an end")?).unwrap_or_default();
        rest = rest.get(place + 5 + part.len()..).unwrap_or_default();
        let id: usize = part.split(',').next().and_then(|id| id.parse().ok()).context("an answer without id")?;
        let known = id.checked_sub(first).and_then(|index| seen.get_mut(index));
        let Some(known) = known else { bail!("an answer to {id}") };
        ensure!(!std::mem::replace(known, true), "two answers to {id}");
        let result = part.split_once("\"result\":\"0x").and_then(|(_, result)| result.strip_suffix('"'));
        let digits = result.filter(|digits| digits.len() == 64).context("no result of 32 bytes")?;
        let balance = u128::from_str_radix(digits, 16).ok();
        ensure!(balance == Some(id as u128 + 1), "holder {id}: {part}");
    }
    ensure!(
        seen.iter().all(|seen| *seen),
        "{} of {count} calls have no answer",
        seen.iter().filter(|seen| !**seen).count()
    );
    Ok(())
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Calls a second.
    pub rate: f64,
    /// Milliseconds that half of the requests took at most.
    pub p50: f64,
    /// Of 99 in 100.
    pub p99: f64,
}

/// The figures of requests that took so long.
pub fn figures(calls: usize, wall: Duration, mut latencies: Vec<Duration>) -> Figures {
    latencies.sort_unstable();
    let at = |part: f64| {
        let index = (latencies.len() as f64 * part) as usize;
        latencies.get(index.min(latencies.len().saturating_sub(1))).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    Figures { rate: calls as f64 / wall.as_secs_f64(), p50: at(0.5), p99: at(0.99) }
}

/// Sends so many calls over some connections, each as soon as the answer before it is there.
fn closed_loop(address: &str, token: &str, calls: usize, batch: usize, connections: usize) -> Result<Figures> {
    let next = AtomicUsize::new(0);
    let firsts: Vec<usize> = (0..calls).step_by(batch).collect();
    let body = |first: &usize| {
        let list: Vec<String> = (*first..calls.min(first + batch)).map(|index| call(token, index % HOLDERS)).collect();
        if batch == 1 { list.concat() } else { format!("[{}]", list.join(",")) }
    };
    // What is sent is there before the clock starts.
    let bodies: Vec<String> = firsts.iter().map(body).collect();
    let (firsts, bodies) = (&firsts, &bodies);
    let start = Instant::now();
    let work = || -> Result<Vec<Duration>> {
        let mut connection = Connection::open(address, None)?;
        let mut latencies = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(first), Some(body)) = (firsts.get(index), bodies.get(index)) else { return Ok(latencies) };
            let start = Instant::now();
            let answer = connection.post(body)?;
            latencies.push(start.elapsed());
            check(answer, first % HOLDERS, batch.min(calls - first))?;
        }
    };
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for thread in threads {
            match thread.join() {
                Ok(latencies) => all.extend(latencies?),
                Err(_) => bail!("a client panicked"),
            }
        }
        Ok(all)
    })?;
    Ok(figures(calls, start.elapsed(), all))
}

/// What is measured.
pub struct Options<'a> {
    /// Calls of each measurement.
    pub calls: usize,
    /// Seconds of each measurement beside a flood, and without it.
    pub seconds: f64,
    /// Only floods with this in their name.
    pub only: &'a str,
    /// Measure the flood alone.
    pub flood_alone: bool,
    /// Another build, which is flooded in turn with this one.
    pub against: Option<&'a Path>,
    /// Write the figures to benches/results/serve.md.
    pub write: bool,
}

/// Runs it; whether the goals are met.
pub fn run(options: &Options<'_>) -> Result<bool> {
    let (npm, isolane) = (super::npm()?, super::isolane()?);
    let folder = shell::root().join("target/testdata/serve/holders");
    let arguments = [folder.display().to_string(), HOLDERS.to_string()];
    let node = Anvil::script(&npm, "holders.mjs", &[&arguments[0], &arguments[1]], &folder)?;
    let about: serde_json::Value = serde_json::from_str(&node.about)?;
    let token = about["token"].as_str().context("no token")?;
    let pid = about["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default();

    let mut text = "# `isolane serve` in front of anvil, and anvil itself: `balanceOf` over HTTP\n\n".to_owned();
    let mut best = f64::INFINITY;
    if options.flood_alone {
        facts().iter().for_each(|fact| text += &format!("- {fact}\n"));
    } else {
        best = compare(&isolane, &node, token, pid, options.calls, &mut text)?;
    }
    let builds: Vec<&Path> = [isolane.as_path()].into_iter().chain(options.against).collect();
    let [factor, over_loop] = flood::run(&builds, &node.url, token, (options.seconds, options.only), &mut text)?;
    node.stop()?;
    println!("{text}");
    if options.write {
        let path = shell::root().join("benches/results/serve.md");
        std::fs::write(&path, &text).with_context(|| path.display().to_string())?;
    }
    if !options.flood_alone {
        println!("isolane / anvil: {best:.1} (goal: 20)");
    }
    println!(
        "p99 of the calm tenant under the worst flood: x {factor:.2} (goal: below 2); of that beside a mere loop: x {over_loop:.2}"
    );
    Ok(best >= 20.0 && factor < 2.0)
}

/// The server and the node behind it in turn; how many times as many calls the server answers, at best.
fn compare(isolane: &Path, node: &Anvil, token: &str, pid: u32, calls: usize, text: &mut String) -> Result<f64> {
    let anvil = node.url.trim_start_matches("http://");
    writeln!(
        text,
        "`cargo xtask serve --load --write`: {calls} calls of `balanceOf` for {HOLDERS} holders of an OpenZeppelin ERC-20, over loopback connections that \
        stay open, each request sent as soon as the answer before it is there. The client checks every answer and runs on the same \
        processors. anvil and isolane take turns, {ROUNDS} rounds; median (minimum-maximum).\n"
    )?;
    for fact in facts() {
        writeln!(text, "- {fact}")?;
    }
    let served = Served::start(isolane, &node.url, &[])?;
    let cold = closed_loop(&served.address, token, calls, BATCH, 8)?;
    writeln!(
        text,
        "\n| requests | anvil calls/s | isolane calls/s | isolane / anvil | anvil p50, p99 ms | isolane p50, p99 ms |"
    )?;
    writeln!(text, "| --- | --- | --- | --- | --- | --- |")?;
    let mut best = 0.0f64;
    for (name, batch, connections) in
        [("one call each, 64 connections", 1, 64), ("batches of 100, 8 connections", BATCH, 8)]
    {
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            theirs.push(closed_loop(anvil, token, calls, batch, connections)?);
            ours.push(closed_loop(&served.address, token, calls, batch, connections)?);
        }
        let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours.rate / theirs.rate).collect();
        best = best.max(median(&ratios));
        let of = |list: &[Figures], field: fn(&Figures) -> f64| spread(&list.iter().map(field).collect::<Vec<_>>());
        writeln!(
            text,
            "| {name} | {} | {} | {} | {}, {} | {}, {} |",
            of(&theirs, |it| it.rate),
            of(&ours, |it| it.rate),
            spread(&ratios),
            of(&theirs, |it| it.p50),
            of(&theirs, |it| it.p99),
            of(&ours, |it| it.p50),
            of(&ours, |it| it.p99),
        )?;
        println!("{name}: isolane / anvil {}", spread(&ratios));
    }
    let mib = |bytes: Option<u64>| bytes.map_or_else(|| "?".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
    writeln!(
        text,
        "\nThe first {calls} calls, whose state had to be fetched from anvil (batches of 100): {:.0} calls/s, p99 {:.1} ms. Memory at the end: isolane {}, anvil {}.",
        cold.rate,
        cold.p99,
        mib(served.memory()),
        mib(resident(pid))
    )?;
    served.stop()?;
    Ok(best)
}

/// The middle one.
pub fn median(list: &[f64]) -> f64 {
    let mut list = list.to_vec();
    list.sort_by(f64::total_cmp);
    list.get(list.len() / 2).copied().unwrap_or_default()
}

/// The middle one, the least and the largest.
pub fn spread(list: &[f64]) -> String {
    let digits = if median(list) >= 1000.0 { 0 } else { 2 };
    let (least, most) = list.iter().fold((f64::MAX, 0.0f64), |(least, most), it| (least.min(*it), most.max(*it)));
    format!("{:.digits$} ({least:.digits$}-{most:.digits$})", median(list))
}

/// What figures depend on.
fn facts() -> Vec<String> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|it| it.1.trim()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let output = |program: &str, arguments: &[&str]| {
        let output = shell::command(program).args(arguments).output().ok();
        output.map_or_else(String::new, |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    vec![
        format!(
            "machine: {}, {threads} threads, {}; load average at the start {}",
            model.unwrap_or("unknown"),
            output("uname", &["-srm"]),
            load.trim()
        ),
        format!("build: {}, release profile", output("rustc", &["-V"])),
        format!(
            "versions: isolane {} {}, anvil 1.7.1",
            env!("CARGO_PKG_VERSION"),
            output("git", &["describe", "--always", "--dirty", "--exclude=*"])
        ),
    ]
}
