//! A server in front of a node, and whoever asks it.

use crate::node::Node;
use isolane::cpu::Lockstep;
use isolane::load::rpc::RpcSettings;
use isolane::serve::{Config, Ended, Limits, Server, Tenants};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A running server.
pub struct Served {
    pub address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<Ended>>,
    agent: ureq::Agent,
}

/// Limits that tests reach.
pub const LIMITS: Limits = Limits { body: 64 << 10, batch: 500 };

/// How the servers of the tests are made.
pub fn config(node: &Node, tenants: Tenants) -> Config {
    Config {
        rpc: node.url.clone(),
        settings: RpcSettings {
            timeout: Duration::from_secs(1),
            retries: 2,
            longest_wait: Duration::from_millis(50),
            ..RpcSettings::default()
        },
        listen: "127.0.0.1:0".parse().expect("an address"),
        tenants,
        backend: Box::new(Lockstep::new()),
        threads: 2,
        memory: 64 << 20,
        window: Duration::from_millis(2),
        poll: Duration::from_millis(50),
        schedule: None,
        limits: LIMITS,
        connections: 64,
        grace: Duration::from_secs(10),
    }
}

impl Served {
    /// A server for everyone.
    pub fn open(node: &Node) -> Self {
        Self::with(config(node, Tenants::anonymous()))
    }

    /// A server for tenants.
    pub fn for_tenants(node: &Node, tenants: &str) -> Self {
        Self::with(config(node, Tenants::parse("tenants.toml", tenants).expect("tenants")))
    }

    /// Any server.
    pub fn with(config: Config) -> Self {
        let server = Server::open(config).expect("a server");
        let address = server.address();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            server.run(async {
                let _ = stopped.await;
            })
        });
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(120)))
            .build()
            .into();
        Self { address, stop: Some(stop), thread: Some(thread), agent }
    }

    /// Asks the server to end, and waits for it.
    pub fn end(mut self) -> Ended {
        drop(self.stop.take());
        self.thread.take().expect("a thread").join().expect("no panic")
    }

    /// Asks it to end, without waiting.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Posts a body: the status and the text of the answer.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
        let mut request = self.agent.post(format!("http://{}{path}", self.address));
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body).expect("an answer");
        let status = response.status().as_u16();
        (status, response.body_mut().with_config().limit(256 << 20).read_to_string().expect("text"))
    }

    /// Gets a page.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut response = self.agent.get(format!("http://{}{path}", self.address)).call().expect("an answer");
        (response.status().as_u16(), response.body_mut().read_to_string().expect("text"))
    }

    /// The whole answer to a request.
    pub fn ask_as(&self, key: Option<&str>, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let bearer = key.map(|key| format!("Bearer {key}"));
        let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        let (_, text) = self.post("/", &headers, body.as_bytes());
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(answer["id"], 1, "{answer}");
        answer
    }

    /// The same without a key.
    pub fn ask(&self, method: &str, params: Value) -> Value {
        self.ask_as(None, method, params)
    }

    /// The result of a request that has one.
    pub fn result(&self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The code and the message of a request that fails.
    pub fn error(&self, method: &str, params: Value) -> (i64, String) {
        failure(&self.ask(method, params))
    }
}

/// The code and the message of an answer that is an error.
pub fn failure(answer: &Value) -> (i64, String) {
    let error = &answer["error"];
    let code = error["code"].as_i64().unwrap_or_else(|| panic!("expected an error: {answer}"));
    (code, error["message"].as_str().expect("a message").to_owned())
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            thread.join().expect("no panic");
        }
    }
}

/// A word as an answer has it.
pub fn word(number: u64) -> Value {
    json!(format!("0x{number:064x}"))
}

/// The word as call data.
pub fn data(number: u64) -> String {
    format!("0x{number:064x}")
}

/// Something to be shared by threads.
pub fn shared(served: Served) -> Arc<Served> {
    Arc::new(served)
}
