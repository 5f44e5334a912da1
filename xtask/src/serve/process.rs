//! Programs that serve until they are told to end.

use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A running `isolane serve`.
pub struct Served {
    process: Child,
    /// Its address, without the scheme.
    pub address: String,
    /// Whether it said that something panicked.
    panicked: Arc<AtomicBool>,
}

impl Served {
    /// Starts it in front of a node.
    pub fn start(isolane: &Path, node: &str, arguments: &[&str]) -> Result<Self> {
        let mut process = Command::new(isolane)
            .args(["serve", "--rpc", node, "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env_remove("ETH_RPC_URL")
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start isolane")?;
        let mut lines = BufReader::new(process.stderr.take().context("no pipe from isolane")?).lines();
        let mut address = None;
        for line in lines.by_ref() {
            let line = line?;
            let found = line.strip_prefix("listening on http://").and_then(|rest| rest.split(": ").next());
            if let Some(found) = found {
                address = Some(found.to_owned());
                break;
            }
            eprintln!("{line}");
        }
        let panicked = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&panicked);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains("panicked") {
                    seen.store(true, Ordering::Relaxed);
                }
                if !line.contains("trying again") {
                    eprintln!("{line}");
                }
            }
        });
        Ok(Self { process, address: address.context("isolane does not listen")?, panicked })
    }

    /// The memory that it takes, in bytes.
    pub fn memory(&self) -> Option<u64> {
        resident(self.process.id())
    }

    /// Whether it said that something panicked.
    pub fn has_panicked(&self) -> bool {
        self.panicked.load(Ordering::Relaxed)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Asks it to end, which it has to do in good order.
    pub fn stop(mut self) -> Result<()> {
        let pid = self.process.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().context("cannot start kill")?;
        ensure!(asked.success(), "the server is gone already");
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait()? {
                ensure!(status.success(), "the server ended with {status}");
                return Ok(());
            }
            ensure!(start.elapsed() < Duration::from_secs(30), "the server does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.is_running() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// The memory that a process takes, in bytes, where the system tells.
pub fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}
