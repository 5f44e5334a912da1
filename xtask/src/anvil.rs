//! A node of one's own: anvil, from npm, on 127.0.0.1, with a chain that the scripts under `testdata/make` make.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where the npm packages and a copy of the scripts are; installed if they are not there.
pub fn install(target: &Path, scripts: &Path) -> Result<PathBuf> {
    let npm = target.join("npm");
    std::fs::create_dir_all(&npm)?;
    copy_folder(scripts, &npm)?;
    if !npm.join("node_modules/@foundry-rs/anvil").exists() {
        ensure!(
            crate::shell::exists("npm"),
            "anvil comes from npm, which is not here: install Node.js 20 or later with npm (on Debian and Ubuntu: sudo apt-get \
             install nodejs npm), or leave the test out with --offline"
        );
        run_in(&npm, Command::new("npm").args(["install", "--ignore-scripts", "--no-audit", "--no-fund"]))
            .context("anvil comes from npm: install Node.js 20 or later with npm, or leave it out with --offline")?;
    }
    Ok(npm)
}

/// A running node with a chain.
pub struct Anvil {
    process: Child,
    /// What the script says of the chain, as JSON.
    pub about: String,
    /// Its address.
    pub url: String,
    /// Its last block.
    pub last: u64,
}

impl Anvil {
    /// Starts it; `run` gets its files, `more` says which chain.
    pub fn start(npm: &Path, fork: &str, run: &Path, more: &[&str]) -> Result<Self> {
        let folder = run.display().to_string();
        let arguments: Vec<&str> = [fork, &folder].into_iter().chain(more.iter().copied()).collect();
        Self::script(npm, "record.mjs", &arguments, run)
    }

    /// Starts it by a script that says, in one line of JSON, where it is.
    pub fn script(npm: &Path, script: &str, arguments: &[&str], run: &Path) -> Result<Self> {
        if run.exists() {
            std::fs::remove_dir_all(run)?;
        }
        std::fs::create_dir_all(run)?;
        let mut process = Command::new("node")
            .arg(script)
            .args(arguments)
            .current_dir(npm)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start node: install Node.js 20 or later")?;
        let mut about = String::new();
        let output = process.stdout.take().context("no pipe from node")?;
        BufReader::new(output).read_line(&mut about)?;
        let read: serde_json::Value =
            serde_json::from_str(&about).with_context(|| format!("{script}: the chain could not be made"))?;
        let url = read["url"].as_str().context("no url")?.to_owned();
        let last = read["last"].as_u64().context("no last block")?;
        Ok(Self { process, about, url, last })
    }

    /// Ends it: it serves until its standard input closes.
    pub fn stop(mut self) -> Result<()> {
        drop(self.process.stdin.take());
        let status = self.process.wait()?;
        ensure!(status.success(), "the node ended with {status}");
        Ok(())
    }
}

/// Runs a program in a folder; it must succeed.
pub fn run_in(folder: &Path, command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.current_dir(folder).status().with_context(|| format!("cannot start {program}"))?;
    if !status.success() {
        let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
        bail!("failed: {program} {}", arguments.join(" "));
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
