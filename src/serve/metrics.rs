//! What the server counts, in Prometheus's text format.

use super::jsonrpc::Answer;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// What a request was, and what it came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: &'static str,
    tenant: Cow<'static, str>,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RanOn {
    ran_on: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reply {
    result: &'static str,
}

/// The numbers.
pub struct Metrics {
    registry: Registry,
    requests: Family<Asked, Counter>,
    latency: Family<Method, Histogram, fn() -> Histogram>,
    batches: Counter,
    batch_sizes: Histogram,
    lanes: Family<RanOn, Counter>,
    demoted: Counter,
    rounds: Counter,
    cache_hits: Counter,
    cache_misses: Counter,
    upstream: Family<Reply, Counter>,
    refused: Family<Refused, Counter>,
    /// Connections that are open.
    pub connections: Gauge,
    /// Calls that wait for a batch.
    pub waiting: Gauge,
    head: Gauge<u64, AtomicU64>,
    memory: Gauge<u64, AtomicU64>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn latencies() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 18))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("isolane");
        let this = Self {
            registry: Registry::default(),
            requests: Family::default(),
            latency: Family::new_with_constructor(latencies),
            batches: Counter::default(),
            batch_sizes: Histogram::new(exponential_buckets(1.0, 2.0, 15)),
            lanes: Family::default(),
            demoted: Counter::default(),
            rounds: Counter::default(),
            cache_hits: Counter::default(),
            cache_misses: Counter::default(),
            upstream: Family::default(),
            refused: Family::default(),
            connections: Gauge::default(),
            waiting: Gauge::default(),
            head: Gauge::default(),
            memory: Gauge::default(),
        };
        let r = &mut registry;
        r.register("requests", "Requests by method, tenant and result", this.requests.clone());
        let text = "Time from a request's last byte to its answer";
        r.register_with_unit("request_latency", text, Unit::Seconds, this.latency.clone());
        r.register("batches", "Batches executed", this.batches.clone());
        r.register("batch_size", "Calls in a batch", this.batch_sizes.clone());
        r.register("lanes", "Executions by the backend that they ran on", this.lanes.clone());
        r.register("demoted", "Calls that took too many steps for a batch and ran apart", this.demoted.clone());
        r.register("state_rounds", "Rounds in which missing state was fetched", this.rounds.clone());
        r.register("state_cache_hits", "Calls whose state was all at hand", this.cache_hits.clone());
        r.register("state_cache_misses", "Keys of states that calls lacked", this.cache_misses.clone());
        r.register("upstream_requests", "Requests passed to the node, by what came", this.upstream.clone());
        r.register("refused", "Requests refused before they were looked at", this.refused.clone());
        r.register("connections", "Open connections", this.connections.clone());
        r.register("waiting", "Calls that wait for a batch", this.waiting.clone());
        r.register("head_block", "The latest block", this.head.clone());
        r.register_with_unit("resident_memory", "Memory of the process", Unit::Bytes, this.memory.clone());
        Self { registry, ..this }
    }
}

impl Metrics {
    /// Some requests of one tenant for one method were answered.
    pub fn answered(&self, tenant: &str, method: &'static str, answers: &[&Answer], took: Duration) {
        for (result, good) in [("ok", true), ("error", false)] {
            let count = answers.iter().filter(|answer| answer.is_ok() == good).count();
            if count > 0 {
                let asked = Asked { method, tenant: Cow::Owned(tenant.to_owned()), result };
                self.requests.get_or_create(&asked).inc_by(count as u64);
            }
        }
        let latency = self.latency.get_or_create(&Method { method });
        for _ in answers {
            latency.observe(took.as_secs_f64());
        }
    }

    /// A request was refused before it was looked at.
    pub fn refuse(&self, reason: &'static str) {
        self.refused.get_or_create(&Refused { reason }).inc();
    }

    /// A batch of calls was executed.
    pub fn batch(&self, calls: usize) {
        self.batches.inc();
        self.batch_sizes.observe(calls as f64);
    }

    /// Executions ended.
    pub fn ran_on(&self, ran_on: &'static str, count: u64) {
        if count > 0 {
            self.lanes.get_or_create(&RanOn { ran_on }).inc_by(count);
        }
    }

    /// A call was too long for a batch.
    pub fn demote(&self) {
        self.demoted.inc();
    }

    /// So many keys that calls lacked are asked for.
    pub fn state_round(&self, keys: usize) {
        self.rounds.inc();
        self.cache_misses.inc_by(keys as u64);
    }

    /// So many calls found all of their state at hand.
    pub fn state_hits(&self, calls: u64) {
        self.cache_hits.inc_by(calls);
    }

    /// A request was passed to the node.
    pub fn upstream(&self, answered: bool) {
        let result = if answered { "answered" } else { "failed" };
        self.upstream.get_or_create(&Reply { result }).inc();
    }

    /// The latest block is another one.
    pub fn head(&self, number: u64) {
        self.head.set(number);
    }

    /// All of it as text.
    #[must_use]
    pub fn text(&self) -> String {
        self.memory.set(crate::report::resident_memory().unwrap_or_default());
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

/// A method's name for metrics: one of those that isolane knows, so that callers cannot make up any number of them.
#[must_use]
pub fn label(method: &str) -> &'static str {
    const KNOWN: [&str; 30] = [
        "debug_traceBlockByHash",
        "debug_traceBlockByNumber",
        "debug_traceCall",
        "debug_traceCallMany",
        "debug_traceTransaction",
        "eth_accounts",
        "eth_blobBaseFee",
        "eth_blockNumber",
        "eth_call",
        "eth_callMany",
        "eth_chainId",
        "eth_createAccessList",
        "eth_estimateGas",
        "eth_feeHistory",
        "eth_gasPrice",
        "eth_getBalance",
        "eth_getBlockByHash",
        "eth_getBlockByNumber",
        "eth_getBlockReceipts",
        "eth_getCode",
        "eth_getLogs",
        "eth_getProof",
        "eth_getStorageAt",
        "eth_getTransactionByHash",
        "eth_getTransactionCount",
        "eth_getTransactionReceipt",
        "eth_sendRawTransaction",
        "eth_simulateV1",
        "net_version",
        "web3_clientVersion",
    ];
    KNOWN.binary_search(&method).map_or("other", |index| KNOWN[index])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::jsonrpc::Failure;

    #[test]
    fn the_text_has_what_was_counted() {
        let metrics = Metrics::default();
        let (good, bad) = (Ok("1".to_owned()), Err(Failure::server("no")));
        metrics.answered("a", label("eth_call"), &[&good, &good, &bad], Duration::from_millis(3));
        metrics.answered("a", label("made_up"), &[&good], Duration::from_millis(3));
        metrics.batch(7);
        metrics.ran_on("cpu", 7);
        let text = metrics.text();
        for line in [
            "isolane_requests_total{method=\"eth_call\",tenant=\"a\",result=\"ok\"} 2",
            "isolane_requests_total{method=\"eth_call\",tenant=\"a\",result=\"error\"} 1",
            "isolane_requests_total{method=\"other\",tenant=\"a\",result=\"ok\"} 1",
            "isolane_request_latency_seconds_count{method=\"eth_call\"} 3",
            "isolane_batch_size_sum 7.0",
            "isolane_lanes_total{ran_on=\"cpu\"} 7",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }

    #[test]
    fn every_known_method_has_its_label() {
        for method in ["debug_traceBlockByHash", "eth_call", "eth_simulateV1", "web3_clientVersion"] {
            assert_eq!(label(method), method);
        }
        assert_eq!(label("eth_calls"), "other");
    }
}
