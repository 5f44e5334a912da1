//! `isolane serve`.

use super::{CliError, Exit};
use crate::backend::Chosen;
use crate::gpu::{BackendArgs, BackendKind};
use crate::load::rpc::RpcSettings;
use crate::serve::{Config, Limits, Schedule, ServeError, Server, Tenants};
use bytesize::ByteSize;
use clap::Args;
use isolane_cpu::{Lockstep, Reference};
use isolane_spec::{Backend, Fork};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  isolane serve --rpc http://127.0.0.1:9545                       on 127.0.0.1:8545, for everyone on this machine
  isolane serve --rpc $UPSTREAM --tenants tenants.toml --listen 0.0.0.0:8545
                                                                  for whoever has a key
  curl -H 'content-type: application/json' http://127.0.0.1:8545 \\
       -d '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_blockNumber\",\"params\":[]}'

GET /health says whether the node behind it answers; GET /metrics, from this machine, has numbers for Prometheus.";

/// `isolane serve`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The node behind the server, http or https.
    #[arg(long, env = "ETH_RPC_URL", value_name = "URL", hide_env_values = true)]
    rpc: String,
    /// Where to listen. Other than on this machine itself it takes --tenants, or --allow-anonymous.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8545", env = "ISOLANE_LISTEN")]
    listen: SocketAddr,
    /// Who may ask, and for what (TOML, docs/serve.md) [default: everyone who reaches the server].
    #[arg(long, value_name = "FILE", env = "ISOLANE_TENANTS")]
    tenants: Option<PathBuf>,
    /// Listen on any address although nobody needs a key.
    #[arg(long, conflicts_with = "tenants")]
    allow_anonymous: bool,
    /// What executes batches.
    #[arg(long, value_enum, default_value_t = BackendKind::Lockstep, env = "ISOLANE_BACKEND")]
    backend: BackendKind,
    /// The device, by its index, a part of its name or its PCI id (see `isolane devices`) [default: the first that passes].
    #[arg(long, value_name = "INDEX|NAME|PCI-ID", env = "ISOLANE_ADAPTER")]
    adapter: Option<String>,
    /// How long a batch waits for more calls, such as 2ms or 500us.
    #[arg(long, value_name = "TIME", default_value = "2ms", value_parser = parse_time)]
    window: Duration,
    /// How often to look for a new block.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = parse_time)]
    poll: Duration,
    /// The largest body of a request.
    #[arg(long, value_name = "SIZE", default_value = "5MiB")]
    max_body: ByteSize,
    /// The most requests of a batch.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_batch: u32,
    /// The most connections at once; more wait.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: u32,
    /// State that is kept in memory.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", env = "ISOLANE_MEMORY_LIMIT")]
    memory_limit: ByteSize,
    /// The fork of all blocks; needed where neither the chain is known nor the node tells.
    #[arg(long, value_name = "NAME", conflicts_with = "chain_config")]
    fork: Option<Fork>,
    /// The schedule of a chain that is not built in (JSON: a genesis file or its `config` object).
    #[arg(long, value_name = "FILE")]
    chain_config: Option<PathBuf>,
    /// Longest time for one request to the node, in seconds.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// How often a failed request for state is repeated.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    retries: u32,
    /// How long what is under way may take when the server is stopped.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    grace: Duration,
    /// Worker threads [default: one a processor].
    #[arg(long, value_name = "N", env = "ISOLANE_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Say nothing but problems.
    #[arg(short, long)]
    quiet: bool,
}

/// A time: a number with us, ms or s behind it.
fn parse_time(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "expected a time below an hour, such as 500us, 2ms or 10s";
    let units = [("us", 1u64), ("ms", 1_000), ("s", 1_000_000)];
    let (number, unit) =
        units.iter().find_map(|(unit, micros)| Some((text.strip_suffix(unit)?, *micros))).ok_or(EXPECTED)?;
    let number: u64 = number.trim().parse().map_err(|_| EXPECTED)?;
    let micros = number.checked_mul(unit).filter(|micros| *micros < 3_600_000_000).ok_or(EXPECTED)?;
    Ok(Duration::from_micros(micros))
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, CliError> {
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("ISOLANE_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(if arguments.quiet { "error" } else { "warn" })),
        )
        .try_init();
    let tenants = match &arguments.tenants {
        Some(path) => Tenants::read(path).map_err(|error| CliError::usage(error.to_string()))?,
        None => Tenants::anonymous(),
    };
    if !tenants.need_keys() && !arguments.listen.ip().is_loopback() && !arguments.allow_anonymous {
        return Err(CliError::usage(format!(
            "--listen {}: expected an address of this machine itself, such as 127.0.0.1:8545, as nobody needs a key: name \
             --tenants, or say --allow-anonymous",
            arguments.listen
        )));
    }
    let schedule = match (&arguments.chain_config, arguments.fork) {
        (Some(path), _) => Some(Schedule::Chain(Box::new(super::replay::read_chain(path)?))),
        (None, Some(fork)) => Some(Schedule::Constant(fork)),
        (None, None) => None,
    };
    let threads = arguments.threads.map_or_else(rayon::current_num_threads, usize::from);
    let server = Server::open(Config {
        rpc: arguments.rpc.clone(),
        settings: RpcSettings {
            timeout: Duration::from_secs(arguments.timeout),
            retries: arguments.retries,
            longest_wait: Duration::from_secs(2),
            ..RpcSettings::default()
        },
        listen: arguments.listen,
        tenants,
        backend: backend(arguments)?,
        threads,
        memory: usize::try_from(arguments.memory_limit.as_u64()).unwrap_or(usize::MAX),
        window: arguments.window,
        poll: arguments.poll.max(Duration::from_millis(10)),
        schedule,
        limits: Limits { body: arguments.max_body.as_u64().max(1), batch: arguments.max_batch as usize },
        connections: arguments.max_connections as usize,
        grace: arguments.grace,
    });
    let server = server.map_err(|error| match &error {
        ServeError::Node(_) => CliError::source(error.to_string()),
        ServeError::Listen { .. } | ServeError::Threads(_) => CliError::usage(error.to_string()),
    })?;
    if !arguments.quiet {
        eprintln!("listening on http://{}: {}", server.address(), server.about());
    }
    let ended = server.run(stop());
    if ended.cut > 0 {
        eprintln!("{} connections were busy when the time was over", ended.cut);
    }
    Ok(Exit::Match)
}

fn backend(arguments: &Arguments) -> Result<Box<dyn Backend + Send + Sync>, CliError> {
    let backend =
        BackendArgs { backend: arguments.backend, adapter: arguments.adapter.clone(), lanes: None, check_every: None };
    let chosen = Chosen::open(&backend).map_err(|error| CliError::device(error.to_string()))?;
    Ok(match (chosen.backend(), arguments.backend) {
        (Some(backend), _) => Box::new(backend),
        (None, BackendKind::Cpu) => Box::new(Reference),
        // No hardware device: what is best without one.
        (None, _) => Box::new(Lockstep::new()),
    })
}

/// Ready when the process is asked to end.
async fn stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        if let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        // It cannot be asked: it serves until it is killed.
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        assert_eq!(parse_time("2ms"), Ok(Duration::from_millis(2)));
        assert_eq!(parse_time("500us"), Ok(Duration::from_micros(500)));
        assert_eq!(parse_time("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_time("0ms"), Ok(Duration::ZERO));
        for wrong in ["", "2", "ms", "-1ms", "1h", "3600s", "2 minutes", "99999999999999999999s"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }
}
