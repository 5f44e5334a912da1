//! `cargo xtask codegen`: writes the WGSL that is derived from the tables of `spec/`.

use crate::shell;
use anyhow::{Context, Result};

/// Writes the generated WGSL under shaders/generated.
#[derive(clap::Args)]
pub struct Args {
    /// Write nothing; fail if a file is stale.
    #[arg(long)]
    check: bool,
}

/// Runs the task; whether the files are (now) up to date.
pub fn run(args: &Args) -> Result<bool> {
    let folder = shell::root().join("shaders/generated");
    let mut fresh = true;
    for (name, text) in isolane_spec::wgsl::files() {
        let path = folder.join(name);
        if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        if args.check {
            println!("stale: shaders/generated/{name}: run `cargo xtask codegen`");
            fresh = false;
        } else {
            std::fs::create_dir_all(path.parent().unwrap_or(&folder))?;
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            println!("wrote shaders/generated/{name}");
        }
    }
    Ok(fresh)
}
