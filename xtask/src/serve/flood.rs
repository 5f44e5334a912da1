//! A calm tenant asks at a steady pace, alone and beside one that floods the server: by how much its p99 rises. Beside a mere loop of
//! another process, too, that has a processor only while nothing else wants it: what the machine itself makes of a busy processor, which no server
//! can help.

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

/// What there is beside the calm tenant.
#[derive(Clone, Copy)]
enum Beside<'a> {
    Nothing,
    /// A loop that has nothing to do with the server, on as many processors as it leaves to a tenant that floods it.
    Loop,
    /// A flood by this method, of one function or of another one each time.
    Flood(&'a str, bool),
}

/// Uses a processor while nothing else does.
fn idle_loop(stop: &AtomicBool) {
    // Where there is no such thing, or it is not allowed, the loop is like any other.
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let thread = thread_priority::thread_native_id();
        let _ = thread_priority::set_thread_priority_and_policy(thread, ThreadPriority::Min, idle);
    }
    while !stop.load(Ordering::Relaxed) {
        std::hint::black_box((0..10_000u32).fold(0u32, |sum, next| std::hint::black_box(sum ^ next)));
    }
}

/// What the calm tenant sees within some time.
fn measure(address: &str, token: &str, time: Duration, beside: Beside<'_>, ended: &AtomicUsize) -> Result<Figures> {
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
        let processors = std::thread::available_parallelism().map_or(1, |count| (count.get() / 2).max(1));
        let (mut threads, mut loops) = (Vec::new(), Vec::new());
        match beside {
            Beside::Nothing => {}
            Beside::Loop => loops.extend((0..processors).map(|_| scope.spawn(move || idle_loop(stop)))),
            Beside::Flood(method, varied) => {
                threads.extend((0..FLOOD).map(|_| scope.spawn(move || flood(method, varied))));
            }
        }
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
        drop(loops);
        Ok(figures(all.len(), time, all))
    })
}

/// Measures each of the servers in turn, and writes a table. The largest of the factors by which the p99 rises at the first of them: from alone,
/// and from beside a mere loop. `only` is in the names of the floods that are wanted.
pub fn run(
    builds: &[&Path],
    node: &str,
    token: &str,
    (seconds, only): (f64, &str),
    text: &mut String,
) -> Result<[f64; 2]> {
    let file = shell::root().join("target/testdata/serve/tenants.toml");
    std::fs::create_dir_all(file.parent().unwrap_or(&file))?;
    std::fs::write(&file, TENANTS)?;
    let (tenants, time) = (file.display().to_string(), Duration::from_secs_f64(seconds));
    let mut servers = Vec::new();
    for build in builds {
        let served = Served::start(build, node, &["--tenants", &tenants])?;
        // Its state is at hand from here on.
        measure(&served.address, token, time, Beside::Nothing, &AtomicUsize::new(0))?;
        servers.push(served);
    }
    writeln!(
        text,
        "\n## A tenant that floods the server\n\nA calm tenant sends {} calls a second over {CALM} connections, at a steady pace and each on time, alone and beside a tenant whose \
        {FLOOD} connections send nothing but endless loops (50 million gas each). Between the two, beside a loop of another process that has a processor only while nothing else wants it, as the flood's calls \
        do: what the machine makes of that. Every answer is checked. {seconds} seconds each, in turn, {ROUNDS} rounds; median (minimum-maximum).\n",
        CALM as u128 * 1000 / PACE.as_millis()
    )?;
    writeln!(
        text,
        "| the flood | calm p50 ms: alone, beside a loop, beside the flood | calm p99 ms: the same | p99 rises from alone to | from beside a loop to | loops ended |"
    )?;
    writeln!(text, "| --- | --- | --- | --- | --- | --- |")?;
    let mut worst = [0.0f64; 2];
    for (name, method, varied) in KINDS.into_iter().filter(|(name, ..)| name.contains(only)) {
        let mut rounds: Vec<_> = servers.iter().map(|_| (Default::default(), AtomicUsize::new(0))).collect();
        for _ in 0..ROUNDS {
            for (served, (figures, ended)) in servers.iter().zip(&mut rounds) {
                let figures: &mut [Vec<Figures>; 3] = figures;
                let beside = [Beside::Nothing, Beside::Loop, Beside::Flood(method, varied)];
                for (list, beside) in figures.iter_mut().zip(beside) {
                    list.push(measure(&served.address, token, time, beside, ended)?);
                }
            }
        }
        for (index, ([alone, looped, flooded], ended)) in rounds.into_iter().enumerate() {
            let rise = |from: &[Figures]| -> Vec<f64> {
                flooded.iter().zip(from).map(|(beside, before)| beside.p99 / before.p99).collect()
            };
            let factors = [rise(&alone), rise(&looped)];
            let of = |field: fn(&Figures) -> f64| {
                [&alone, &looped, &flooded].map(|list| spread(&list.iter().map(field).collect::<Vec<_>>())).join(", ")
            };
            let build = builds
                .get(index)
                .filter(|_| builds.len() > 1)
                .map_or(String::new(), |build| format!(" ({})", build.display()));
            writeln!(
                text,
                "| {name}{build} | {} | {} | {} | {} | {} |",
                of(|it| it.p50),
                of(|it| it.p99),
                spread(&factors[0]),
                spread(&factors[1]),
                ended.into_inner()
            )?;
            if index == 0 {
                worst = [0, 1].map(|from| worst[from].max(median(&factors[from])));
            }
        }
    }
    for served in servers {
        served.stop()?;
    }
    Ok(worst)
}
