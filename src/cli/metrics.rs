//! `--metrics`: the counts of a replay under way as Prometheus text, over HTTP.

use super::CliError;
use crate::backend::Chosen;
use crate::replay::live::{Live, STAGES};
use crate::report::resident_memory;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use tiny_http::{Header, Method, Request, Response, Server};

/// What the text is, as Prometheus asks for it.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Reads an address: without a host, this machine's own.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let whole = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let expected = "expected an address and a port, such as 127.0.0.1:9100, or a port";
    whole.as_deref().unwrap_or(text).parse().map_err(|_| expected.to_owned())
}

/// Answers until it is dropped.
pub struct Metrics {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

impl Metrics {
    /// Begins to listen.
    pub fn start(address: SocketAddr, quiet: bool, live: &Arc<Live>, chosen: &Chosen) -> Result<Self, CliError> {
        let failed = |error: &dyn fmt::Display| {
            CliError::usage(format!("--metrics {address}: cannot listen there: {error}: choose another port"))
        };
        let server = Arc::new(Server::http(address).map_err(|error| failed(&error))?);
        let mut registry = Registry::default();
        let source = Source { live: Arc::clone(live), chosen: chosen.clone() };
        registry.register_collector(Box::new(source));
        let serving = Arc::clone(&server);
        let serve = move || {
            for request in serving.incoming_requests() {
                // Whoever asked and went away needs no answer.
                let _ = answer(request, &registry);
            }
        };
        let thread =
            std::thread::Builder::new().name("metrics".to_owned()).spawn(serve).map_err(|error| failed(&error))?;
        if !quiet {
            eprintln!("metrics at http://{}/metrics", server.server_addr());
        }
        Ok(Self { server, thread: Some(thread) })
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(request: Request, registry: &Registry) -> std::io::Result<()> {
    let path = request.url().split('?').next().unwrap_or_default();
    if path != "/metrics" {
        return request.respond(Response::from_string("see /metrics\n").with_status_code(404));
    }
    if !matches!(request.method(), Method::Get | Method::Head) {
        return request.respond(Response::from_string("only GET\n").with_status_code(405));
    }
    let mut body = String::new();
    if text::encode(&mut body, registry).is_err() {
        return request.respond(Response::from_string("the counts cannot be written\n").with_status_code(500));
    }
    let mut response = Response::from_string(body);
    if let Ok(header) = Header::from_bytes("content-type", CONTENT_TYPE) {
        response.add_header(header);
    }
    request.respond(response)
}

/// The counts, read anew for every request.
struct Source {
    live: Arc<Live>,
    chosen: Chosen,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.live.fmt(f)
    }
}

/// One metric without labels, or with one label.
struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, u64, u64>(&value, None)
    }

    fn counters(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value_of_label, value) in values {
            metric.encode_family(&[(label, *value_of_label)])?.encode_counter::<NoLabelSet, u64, u64>(value, None)?;
        }
        Ok(())
    }

    fn seconds(&mut self, name: &str, help: &str, label: &str, values: &[(&str, f64)]) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Counter)?;
        for (value_of_label, value) in values {
            metric.encode_family(&[(label, *value_of_label)])?.encode_counter::<NoLabelSet, f64, u64>(value, None)?;
        }
        Ok(())
    }

    fn gauges(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (value_of_label, value) in values {
            metric.encode_family(&[(label, *value_of_label)])?.encode_gauge(value)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: u64) -> fmt::Result {
        self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
    }
}

impl Collector for Source {
    #[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let live = &self.live;
        let mut out = Writer(encoder);
        out.gauge("isolane_replay_inputs", "Blocks and single transactions to replay", None, live.inputs.get())?;
        let ended = [("match", &live.matches), ("mismatch", &live.mismatches), ("error", &live.failed)];
        let ended = ended.map(|(name, count)| (name, count.get()));
        out.counters("isolane_replay_blocks", "Blocks and single transactions that are done", "result", &ended)?;
        out.counter("isolane_replay_transactions", "Executed transactions", live.transactions.get())?;
        out.counter("isolane_replay_gas", "Gas that they used", live.gas.get())?;
        out.counter("isolane_replay_instructions", "Executed EVM instructions", live.steps.get())?;
        let stages: Vec<(&str, f64)> =
            STAGES.into_iter().zip(&live.stages).map(|(name, count)| (name, count.get() as f64 / 1e9)).collect();
        out.seconds("isolane_replay_stage", "Time of each stage, summed over threads", "stage", &stages)?;
        let sources = [("node", live.fetched.get()), ("cache", live.cached.get())];
        out.counters("isolane_replay_fetched_blocks", "Blocks of a node, by where they came from", "from", &sources)?;
        let queues = [
            ("fetched", live.fetched_ahead.get()),
            ("at_work", live.at_work.get()),
            ("waiting_for_those_before", live.waiting.get()),
            ("waiting_for_the_writer", live.unwritten.get()),
        ];
        out.gauges("isolane_replay_queue_blocks", "Blocks between two stages", "queue", &queues)?;
        let help = "What waits in the queue of fetched blocks";
        out.gauge("isolane_replay_queue_fetched", help, Some(&Unit::Bytes), live.fetched_ahead_bytes.get())?;
        let escapes = self.chosen.escapes().unwrap_or_default();
        let escapes: Vec<(&str, u64)> = escapes.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
        out.counters("isolane_replay_escapes", "Transactions that left their lanes for the CPU", "reason", &escapes)?;
        if let Some(bytes) = resident_memory() {
            out.gauge("isolane_resident_memory", "Resident memory of the process", Some(&Unit::Bytes), bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_this_machines_own() {
        for text in ["9100", ":9100", "127.0.0.1:9100", "localhost:9100"] {
            assert_eq!(address(text).expect(text).to_string(), "127.0.0.1:9100");
        }
        assert_eq!(address("0.0.0.0:1").expect("an address").to_string(), "0.0.0.0:1");
        assert_eq!(address("[::1]:1").expect("an address").to_string(), "[::1]:1");
        for text in ["", "here", "127.0.0.1", "127.0.0.1:99999", "70000"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_text_has_all_counts() {
        let live = Arc::new(Live::default());
        live.gas.add(21_000);
        live.stages[2].add(1_500_000_000);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Source { live, chosen: Chosen::Reference }));
        let mut body = String::new();
        text::encode(&mut body, &registry).expect("text");
        for line in [
            "isolane_replay_gas_total 21000",
            "isolane_replay_stage_seconds_total{stage=\"execute\"} 1.5",
            "isolane_replay_blocks_total{result=\"match\"} 0",
            "isolane_replay_queue_blocks{queue=\"fetched\"} 0",
            "# EOF",
        ] {
            assert!(body.lines().any(|there| there == line), "{line}: {body}");
        }
    }
}
