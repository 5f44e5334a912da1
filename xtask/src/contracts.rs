//! `cargo xtask contracts`: compiles `contracts/` into `contracts/out`. Needs node and npm.

use crate::shell;
use anyhow::{Context, Result, ensure};
use std::fs;

/// Compiles the Solidity contracts.
#[derive(clap::Args)]
pub struct Args {
    /// Writes nothing, and fails if what is checked in is not what comes out.
    #[arg(long)]
    check: bool,
}

/// Runs the task. `Ok(true)` = everything was compiled.
pub fn run(args: &Args) -> Result<bool> {
    for program in ["node", "npm"] {
        ensure!(shell::exists(program), "{program} is not installed: install Node.js 20 or later");
    }
    let npm = shell::root().join("target/contracts/npm");
    fs::create_dir_all(&npm).with_context(|| npm.display().to_string())?;
    for file in ["package.json", "package-lock.json"] {
        let source = shell::root().join("contracts").join(file);
        fs::copy(&source, npm.join(file)).with_context(|| source.display().to_string())?;
    }
    if !npm.join("node_modules/solc").exists() {
        let mut install = shell::command("npm");
        shell::must(install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&npm))?;
    }
    let mut build = shell::command("node");
    build.arg("contracts/build.mjs").arg(&npm);
    if args.check {
        build.arg("--check");
    }
    shell::run(&mut build)
}
