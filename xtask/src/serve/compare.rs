//! The same questions to a node and to `isolane serve` in front of it, asked through ethers.

use super::process::Served;
use crate::anvil::Anvil;
use crate::shell;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::{Command, Stdio};

/// The forks of the chains that are asked about.
const FORKS: [&str; 2] = ["prague", "osaka"];

/// How many answers are the same, and how many are not.
pub fn run() -> Result<(u64, u64)> {
    let (npm, isolane) = (super::npm()?, super::isolane()?);
    let (mut same, mut different) = (0, 0);
    for fork in FORKS {
        let node = Anvil::start(&npm, fork, &shell::root().join("target/testdata/serve").join(fork), &[])?;
        let served = Served::start(&isolane, &node.url, &[])?;
        let output = Command::new("node")
            .args(["serve.mjs", &node.url, &format!("http://{}", served.address)])
            .current_dir(&npm)
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start node")?;
        served.stop()?;
        node.stop()?;
        ensure!(output.status.success(), "{fork}: serve.mjs ended with {}", output.status);
        let tally: Value = serde_json::from_slice(&output.stdout).context("serve.mjs printed no JSON")?;
        for (method, counts) in tally.as_object().context("no tally")? {
            println!("{fork}: {method}: {counts}");
            same += counts["same"].as_u64().unwrap_or_default();
            different += counts["different"].as_u64().unwrap_or_default();
        }
    }
    Ok((same, different))
}
