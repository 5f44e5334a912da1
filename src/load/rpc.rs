//! A small JSON-RPC client for Ethereum nodes: timeouts, capped retries that honour `Retry-After`, size caps, batches.

use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;
use ureq::Agent;
use ureq::http::HeaderMap;

/// How requests are made.
#[derive(Clone, Debug)]
pub struct RpcSettings {
    /// Longest time that one attempt may take, from connecting to the last byte.
    pub timeout: Duration,
    /// How often a failed attempt is repeated. 0 = never.
    pub retries: u32,
    /// Longest wait between two attempts, whatever the node asks for.
    pub longest_wait: Duration,
    /// Longest reply that is read, in bytes.
    pub reply_limit: u64,
}

impl Default for RpcSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            retries: 5,
            longest_wait: Duration::from_secs(30),
            reply_limit: 1 << 30,
        }
    }
}

/// What a request can end with other than a result.
#[derive(Debug, Error)]
pub enum RpcError {
    /// No connection, a timeout, or a connection that broke.
    #[error("{method}: no reply after {attempts} attempts: {reason}; check the address and that the node is running")]
    Unreachable {
        /// The method that was called.
        method: String,
        /// Attempts made.
        attempts: u32,
        /// The last attempt's failure.
        reason: String,
    },
    /// A reply with an HTTP status that is not 200.
    #[error("{method}: HTTP status {status} after {attempts} attempts: {body}")]
    Status {
        /// The method that was called.
        method: String,
        /// The HTTP status.
        status: u16,
        /// Attempts made.
        attempts: u32,
        /// The beginning of the body.
        body: String,
    },
    /// A reply that is not a JSON-RPC reply.
    #[error("{method}: the reply is not a JSON-RPC reply: {reason}")]
    Malformed {
        /// The method that was called.
        method: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The node answered with an error.
    #[error("{method}: the node refused: {message} (code {code})")]
    Refused {
        /// The method that was called.
        method: String,
        /// JSON-RPC error code.
        code: i64,
        /// The node's message.
        message: String,
    },
}

impl RpcError {
    /// True if the node knows the request but will not serve it (a missing method, pruned state), as opposed to a
    /// transport failure: a caller may then try another method.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

/// One node.
#[derive(Debug)]
pub struct Rpc {
    agent: Agent,
    url: String,
    settings: RpcSettings,
}

enum Attempt {
    Done(Value),
    Again { wait: Option<Duration>, error: RpcError },
    Failed(RpcError),
}

impl Rpc {
    /// A client for the node at `url` (http or https). Connects with the first call.
    #[must_use]
    pub fn new(url: &str, settings: RpcSettings) -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(settings.timeout))
            .http_status_as_error(false)
            .user_agent(concat!("isolane/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Self { agent, url: url.to_owned(), settings }
    }

    /// Calls one method and returns its `result`, which may be null.
    pub fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let reply = self.post(method, &json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))?;
        // Errors that come before the request is understood may have no id.
        let id = reply.get("id").filter(|id| !id.is_null());
        if id.map_or(reply.get("error").is_none(), |id| id.as_u64() != Some(1)) {
            let got = id.map_or_else(|| "none".to_owned(), Value::to_string);
            return Err(malformed(method, &format!("expected the reply to request 1, got id {got}")));
        }
        result_of(method, reply)
    }

    /// Calls one method many times in as few requests as the node's usual limits allow; results in the order of `params`.
    pub fn call_many(&self, method: &str, params: &[Value]) -> Result<Vec<Value>, RpcError> {
        const PER_REQUEST: usize = 64;
        let mut results = Vec::with_capacity(params.len());
        for chunk in params.chunks(PER_REQUEST) {
            let requests = chunk
                .iter()
                .enumerate()
                .map(|(id, params)| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
                .collect();
            let Value::Array(mut replies) = self.post(method, &Value::Array(requests))? else {
                return Err(malformed(method, "expected an array, as the request was a batch"));
            };
            if replies.len() != chunk.len() {
                let reason = format!("{} replies to a batch of {}", replies.len(), chunk.len());
                return Err(malformed(method, &reason));
            }
            // Nodes may answer a batch in any order.
            replies.sort_by_key(|reply| reply.get("id").and_then(Value::as_u64));
            for (id, reply) in replies.into_iter().enumerate() {
                if reply.get("id").and_then(Value::as_u64) != Some(id as u64) {
                    return Err(malformed(method, &format!("no reply to request {id} of a batch")));
                }
                results.push(result_of(method, reply)?);
            }
        }
        Ok(results)
    }

    fn post(&self, method: &str, request: &Value) -> Result<Value, RpcError> {
        let body = request.to_string();
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.attempt(method, body.as_bytes(), attempt) {
                Attempt::Done(value) => return Ok(value),
                Attempt::Failed(error) => return Err(error),
                Attempt::Again { error, .. } if attempt > self.settings.retries => return Err(error),
                Attempt::Again { wait, error } => {
                    // 0.25 s, 0.5 s, 1 s, … unless the node names a time.
                    let backoff = Duration::from_millis(250).saturating_mul(1 << (attempt - 1).min(10));
                    let wait = wait.unwrap_or(backoff).min(self.settings.longest_wait);
                    tracing::warn!(%error, ?wait, "request failed, trying again");
                    std::thread::sleep(wait);
                }
            }
        }
    }

    fn attempt(&self, method: &str, body: &[u8], attempts: u32) -> Attempt {
        let unreachable = |reason: String| RpcError::Unreachable { method: method.to_owned(), attempts, reason };
        let mut response = match self.agent.post(&self.url).header("content-type", "application/json").send(body) {
            Ok(response) => response,
            Err(error @ (ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::Tls(_))) => {
                return Attempt::Failed(unreachable(error.to_string()));
            }
            Err(error) => return Attempt::Again { wait: None, error: unreachable(error.to_string()) },
        };
        let status = response.status().as_u16();
        let wait = retry_after(response.headers());
        let bytes = match response.body_mut().with_config().limit(self.settings.reply_limit).read_to_vec() {
            Ok(bytes) => bytes,
            Err(ureq::Error::BodyExceedsLimit(limit)) => {
                return Attempt::Failed(malformed(method, &format!("longer than the limit of {limit} bytes")));
            }
            Err(error) => return Attempt::Again { wait, error: unreachable(error.to_string()) },
        };
        if status != 200 {
            let body = String::from_utf8_lossy(bytes.get(..200).unwrap_or(&bytes)).into_owned();
            let error = RpcError::Status { method: method.to_owned(), status, attempts, body };
            return if status == 429 || status == 408 || status >= 500 {
                Attempt::Again { wait, error }
            } else {
                Attempt::Failed(error)
            };
        }
        match serde_json::from_slice(&bytes) {
            Ok(value) => Attempt::Done(value),
            Err(error) => Attempt::Failed(malformed(method, &error.to_string())),
        }
    }
}

fn malformed(method: &str, reason: &str) -> RpcError {
    RpcError::Malformed { method: method.to_owned(), reason: reason.to_owned() }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get("retry-after")?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn result_of(method: &str, mut reply: Value) -> Result<Value, RpcError> {
    if let Some(error) = reply.get("error").filter(|error| !error.is_null()) {
        return Err(RpcError::Refused {
            method: method.to_owned(),
            code: error.get("code").and_then(Value::as_i64).unwrap_or_default(),
            message: error.get("message").and_then(Value::as_str).unwrap_or("no message").to_owned(),
        });
    }
    match reply.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(malformed(method, "neither `result` nor `error`")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;
    use std::time::Instant;

    use super::*;

    /// Serves the given raw HTTP replies, one connection each, and returns the address.
    fn serve(replies: Vec<String>) -> (String, JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let mut served = 0;
            for reply in replies {
                let (mut stream, _) = listener.accept().unwrap();
                let mut buffer = [0; 4096];
                let mut request = Vec::new();
                // The requests of these tests end with the closing bracket of their JSON.
                while !request.ends_with(b"}") && !request.ends_with(b"]") {
                    let n = stream.read(&mut buffer).unwrap();
                    request.extend_from_slice(&buffer[..n]);
                }
                stream.write_all(reply.as_bytes()).unwrap();
                served += 1;
            }
            served
        });
        (url, server)
    }

    fn http(status: &str, headers: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    fn quick() -> RpcSettings {
        RpcSettings {
            timeout: Duration::from_secs(5),
            longest_wait: Duration::from_millis(50),
            ..RpcSettings::default()
        }
    }

    #[test]
    fn retries_and_caps_the_wait_the_node_asks_for() {
        let busy = http("429 Too Many Requests", "retry-after: 3600\r\n", "slow down");
        let good = http("200 OK", "", r#"{"jsonrpc":"2.0","id":1,"result":"0x7"}"#);
        let (url, server) = serve(vec![busy, good]);
        let start = Instant::now();
        assert_eq!(Rpc::new(&url, quick()).call("eth_chainId", json!([])).unwrap(), json!("0x7"));
        assert!(start.elapsed() >= Duration::from_millis(50) && start.elapsed() < Duration::from_secs(60));
        assert_eq!(server.join().unwrap(), 2);
    }

    #[test]
    fn gives_up_with_the_status() {
        let down = http("503 Service Unavailable", "", "down");
        let (url, server) = serve(vec![down.clone(), down]);
        let error = Rpc::new(&url, RpcSettings { retries: 1, ..quick() }).call("eth_chainId", json!([])).unwrap_err();
        assert!(matches!(&error, RpcError::Status { status: 503, attempts: 2, .. }), "{error}");
        assert_eq!(server.join().unwrap(), 2);
    }

    #[test]
    fn a_refusal_and_a_bad_reply_are_not_repeated() {
        let refused = http("200 OK", "", r#"{"id":1,"error":{"code":-32601,"message":"no such method"}}"#);
        let (url, server) = serve(vec![refused, http("200 OK", "", "<html>"), http("200 OK", "", r#"{"id":1}"#)]);
        let rpc = Rpc::new(&url, quick());
        assert!(rpc.call("debug_x", json!([])).unwrap_err().is_refusal());
        assert!(matches!(rpc.call("debug_x", json!([])).unwrap_err(), RpcError::Malformed { .. }));
        assert!(matches!(rpc.call("debug_x", json!([])).unwrap_err(), RpcError::Malformed { .. }));
        assert_eq!(server.join().unwrap(), 3);
    }

    #[test]
    fn batches_are_put_back_in_order() {
        let body = r#"[{"id":1,"result":"b"},{"id":0,"result":"a"}]"#;
        let (url, server) = serve(vec![http("200 OK", "", body)]);
        let results = Rpc::new(&url, quick()).call_many("eth_getCode", &[json!([1]), json!([2])]).unwrap();
        assert_eq!(results, [json!("a"), json!("b")]);
        assert_eq!(server.join().unwrap(), 1);
    }

    #[test]
    fn a_reply_over_the_limit_is_an_error() {
        let (url, server) = serve(vec![http("200 OK", "", &" ".repeat(5000))]);
        let error = Rpc::new(&url, RpcSettings { reply_limit: 1000, ..quick() }).call("m", json!([])).unwrap_err();
        assert!(error.to_string().contains("limit"), "{error}");
        server.join().unwrap();
    }
}
