//! The node behind the server: what isolane does not answer itself is passed through to it, text in, text out.

use super::jsonrpc::{Answer, Failure, INTERNAL_ERROR};
use super::metrics::Metrics;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use ureq::Agent;

/// Requests that are passed through at once; others wait.
const AT_ONCE: usize = 64;
/// The longest answer that is passed through, in bytes.
const LONGEST: u64 = 256 << 20;

/// A client that passes requests through as they are, and never repeats one: it may be a transaction.
#[derive(Debug)]
pub struct Upstream {
    agent: Agent,
    url: String,
    permits: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow, default, deserialize_with = "super::jsonrpc::even_null")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<ErrorObject<'a>>,
}

#[derive(Deserialize)]
struct ErrorObject<'a> {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

impl Upstream {
    /// A client for the node at `url`.
    #[must_use]
    pub fn new(url: &str, timeout: Duration, metrics: Arc<Metrics>) -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_idle_connections_per_host(AT_ONCE)
            .user_agent(concat!("isolane/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Self { agent, url: url.to_owned(), permits: Arc::new(Semaphore::new(AT_ONCE)), metrics }
    }

    /// The node's own answer, its errors included.
    pub async fn pass(self: &Arc<Self>, method: String, params: String) -> Answer {
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return Err(Failure::internal("the client is closed"));
        };
        let this = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let reply = this.call(&method, &params);
            this.metrics.upstream(reply.is_ok());
            reply.unwrap_or_else(Err)
        });
        task.await.unwrap_or_else(|error| Err(Failure::internal(error)))
    }

    /// The node's answer; an error, if there is none.
    fn call(&self, method: &str, params: &str) -> Result<Answer, Failure> {
        let name = serde_json::to_string(method).map_err(Failure::internal)?;
        let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":{name},\"params\":{params}}}");
        // Neither the address nor what is in it: it may hold a secret.
        let failed = |reason: String| {
            let text = format!("the node behind this server did not answer {method}: {reason}");
            Failure::new(INTERNAL_ERROR, text)
        };
        let request = self.agent.post(&self.url).header("content-type", "application/json");
        let mut response = request.send(body.as_bytes()).map_err(|error| failed(error.to_string()))?;
        let status = response.status().as_u16();
        let bytes = response.body_mut().with_config().limit(LONGEST).read_to_vec();
        let bytes = bytes.map_err(|error| failed(error.to_string()))?;
        let reply: Reply<'_> = match serde_json::from_slice(&bytes) {
            Ok(reply) => reply,
            Err(_) if status != 200 => return Err(failed(format!("HTTP status {status}"))),
            Err(error) => return Err(failed(format!("not a JSON-RPC answer: {error}"))),
        };
        match (reply.error, reply.result) {
            (Some(error), _) => {
                let data = error.data.map(|data| data.get().to_owned());
                Ok(Err(Failure { code: error.code, message: error.message, data }))
            }
            (None, Some(result)) => Ok(Ok(result.get().to_owned())),
            (None, None) => Err(failed("neither a result nor an error".to_owned())),
        }
    }
}

/// Whether a method can change what the node's states and blocks are, without a new block even.
#[must_use]
pub fn changes_state(method: &str) -> bool {
    ["anvil_", "evm_", "hardhat_", "tenderly_", "debug_setHead", "engine_", "admin_", "miner_"]
        .iter()
        .any(|start| method.starts_with(start))
}

/// Whether a method may be followed by a new block at once, as nodes that mine on demand do.
#[must_use]
pub fn may_mine(method: &str) -> bool {
    method.starts_with("eth_send") || method == "eth_fillTransaction" || changes_state(method)
}
