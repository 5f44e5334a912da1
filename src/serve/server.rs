//! The server: it opens the node, listens, and ends in good order.

use super::background::Background;
use super::batches::{self, Batches};
use super::blocks::{Blocks, Schedule, Watcher};
use super::http::{self, Limits, Room};
use super::metrics::Metrics;
use super::pool::{self, Pool, Priority};
use super::service::Service;
use super::tenants::Tenants;
use super::upstream::Upstream;
use crate::executor::Executor;
use crate::load::rpc::{Rpc, RpcError, RpcSettings};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use isolane_spec::Backend;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The longest time that a request's head may take, and that a connection may be idle.
const HEAD_TIME: Duration = Duration::from_secs(60);
/// Instructions of an execution that is no plain call, before it goes on in the background: some milliseconds.
const QUICK: u64 = 2_000_000;
/// The same where there are other tenants, of which each execution may hold up some.
const QUICK_AMONG_MANY: u64 = 400_000;

/// How a server is made.
pub struct Config {
    /// The node's address.
    pub rpc: String,
    /// How the node is asked.
    pub settings: RpcSettings,
    /// Where the server listens.
    pub listen: SocketAddr,
    /// Who may ask.
    pub tenants: Tenants,
    /// What executes batches.
    pub backend: Box<dyn Backend + Send + Sync>,
    /// Threads that execute batches.
    pub threads: usize,
    /// Bytes of state that is kept.
    pub memory: usize,
    /// How long a batch waits for more calls.
    pub window: Duration,
    /// How often the newest block is looked for.
    pub poll: Duration,
    /// Which fork holds when; `None`: as is known of the chain, or as the node says.
    pub schedule: Option<Schedule>,
    /// What bodies may be.
    pub limits: Limits,
    /// Connections at once; more wait.
    pub connections: usize,
    /// How long what is under way may take at the end.
    pub grace: Duration,
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The node does not answer.
    #[error(transparent)]
    Node(#[from] RpcError),
    /// The address cannot be listened at.
    #[error("cannot listen at {address}: {reason}: choose another --listen, or end what listens there")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        reason: std::io::Error,
    },
    /// The system has no threads.
    #[error("cannot start threads: {0}")]
    Threads(String),
}

/// A server that listens.
pub struct Server {
    runtime: tokio::runtime::Runtime,
    listener: TcpListener,
    service: Arc<Service>,
    /// Ends before the service does.
    watcher: Watcher,
    connections: usize,
    grace: Duration,
    address: SocketAddr,
}

/// What a server did until it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Connections that were still busy when the time was over.
    pub cut: usize,
}

impl Server {
    /// Opens the node and listens.
    ///
    /// # Errors
    /// When one of them fails.
    pub fn open(config: Config) -> Result<Self, ServeError> {
        let threads = |error: std::io::Error| ServeError::Threads(error.to_string());
        let metrics = Arc::new(Metrics::default());
        let tenants = Arc::new(config.tenants);
        let upstream = Arc::new(Upstream::new(&config.rpc, config.settings.timeout, Arc::clone(&metrics)));
        let executor = Executor::builder().threads(1).memory_limit(config.memory).build();
        let executor = executor.map_err(|error| ServeError::Threads(error.to_string()))?;
        let rpc = Arc::new(Rpc::new(&config.rpc, config.settings));
        let blocks = Blocks::open(rpc, (executor, config.memory), config.schedule, config.poll, Arc::clone(&metrics))?;
        let blocks = Arc::new(blocks);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.threads.clamp(1, 64))
            .thread_name("http")
            .enable_all()
            .build()
            .map_err(threads)?;
        let listener = runtime.block_on(TcpListener::bind(config.listen));
        let listener = listener.map_err(|reason| ServeError::Listen { address: config.listen, reason })?;
        let address = listener.local_addr().unwrap_or(config.listen);

        let shares: Vec<_> = tenants.list().iter().map(|tenant| tenant.share).collect();
        let some = |count: usize| NonZeroU32::new(count as u32).unwrap_or(NonZeroU32::MIN);
        let cores = config.threads.max(1);
        let background = Arc::new(Background::start(cores, &shares).map_err(threads)?);
        // Tasks of `quick` that take too long go on there. Many threads, as most of them wait for the node most of the time.
        let quick = pool::Settings {
            name: "quick",
            threads: some(32),
            each: some(if shares.len() > 1 { 8 } else { 32 }),
            allowance: if shares.len() > 1 { QUICK_AMONG_MANY } else { QUICK },
            priority: Priority::Usual,
        };
        let quick = Arc::new(Pool::start(quick, &shares, Some(Arc::clone(&background))).map_err(threads)?);
        let fetchers = Arc::new(Pool::start(FETCHERS, &shares, None).map_err(threads)?);
        let settings = batches::Settings {
            backend: config.backend,
            threads: config.threads,
            fetchers,
            background,
            window: config.window,
        };
        let batches = Batches::start(settings, Arc::clone(&tenants), Arc::clone(&metrics)).map_err(threads)?;
        let watcher = blocks.watch().map_err(threads)?;
        let service = Service {
            under_way: tenants.list().iter().map(|_| AtomicUsize::new(0)).collect(),
            room: Room::new(config.limits),
            limits: config.limits,
            tenants,
            metrics,
            blocks,
            upstream,
            batches,
            quick,
        };
        let service = Arc::new(service);
        let (connections, grace) = (config.connections, config.grace);
        Ok(Self { runtime, listener, service, watcher, connections, grace, address })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Which chain it serves, by which rules, and for whom, in a line.
    #[must_use]
    pub fn about(&self) -> String {
        let blocks = &self.service.blocks;
        let rules = match blocks.schedule() {
            Schedule::Chain(chain) => format!("forks of {}", chain.name),
            Schedule::Constant(fork) => format!("fork {fork}"),
            Schedule::Headers => {
                "forks by the fields of headers, which do not tell all apart (--fork says it)".to_owned()
            }
        };
        let tenants = match self.service.tenants.need_keys() {
            true => format!("{} tenants", self.service.tenants.list().len()),
            false => "no keys".to_owned(),
        };
        format!("chain {}, {rules}, {tenants}", blocks.chain_id())
    }

    /// Serves until `stop` is ready; then takes no more, and ends what is under way.
    pub fn run(self, stop: impl Future<Output = ()>) -> Ended {
        let Self { runtime, listener, service, watcher, connections, grace, .. } = self;
        let ended = runtime.block_on(async {
            let graceful = GracefulShutdown::new();
            let places = Arc::new(Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)));
            let mut stop = std::pin::pin!(stop);
            loop {
                let next = async {
                    let place = Arc::clone(&places).acquire_owned().await;
                    (place, listener.accept().await)
                };
                let (place, accepted) = tokio::select! {
                    next = next => next,
                    () = &mut stop => break,
                };
                let Ok((stream, peer)) = accepted else {
                    // Out of file descriptors, most likely: connections that end make room.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                // Answers are small and wanted at once.
                let _ = stream.set_nodelay(true);
                let service = Arc::clone(&service);
                service.metrics.connections.inc();
                let answering = Arc::clone(&service);
                let answer = service_fn(move |request| {
                    let service = Arc::clone(&answering);
                    async move { Ok::<_, Infallible>(http::answer(service, peer, request).await) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIME)
                    .max_buf_size(64 << 10)
                    .serve_connection(TokioIo::new(stream), answer);
                let connection = graceful.watch(connection);
                tokio::spawn(async move {
                    // Whoever breaks a connection off knows it.
                    let _ = connection.await;
                    service.metrics.connections.dec();
                    drop(place);
                });
            }
            drop(listener);
            let left = graceful.count();
            match tokio::time::timeout(grace, graceful.shutdown()).await {
                Ok(()) => Ended { cut: 0 },
                Err(_) => Ended { cut: left },
            }
        });
        drop(watcher);
        runtime.shutdown_timeout(Duration::from_secs(1));
        ended
    }
}

/// Fetching is waiting: it takes no processor.
const FETCHERS: pool::Settings = pool::Settings {
    name: "fetch",
    threads: NonZeroU32::new(32).unwrap(),
    each: NonZeroU32::new(8).unwrap(),
    allowance: u64::MAX,
    priority: Priority::Usual,
};
