//! `cargo xtask setup`: installs what the tests need, or says what to install.

use crate::shell;
use anyhow::{Result, ensure};
use std::path::Path;

/// Installs what the tests need, or says what to install.
#[derive(clap::Args)]
pub struct Args {
    /// Install nothing; only say what is missing.
    #[arg(long)]
    offline: bool,
}

/// Where Vulkan drivers register themselves on Linux.
const DRIVER_FOLDERS: [&str; 3] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];
/// Debian and Ubuntu packages of a software Vulkan driver and the loader.
const VULKAN_PACKAGES: [&str; 2] = ["mesa-vulkan-drivers", "libvulkan1"];

/// Debian and Ubuntu packages of what runs the node that replays are tested against.
const NODE_PACKAGES: [&str; 2] = ["nodejs", "npm"];

/// Runs the task; whether everything is there.
pub fn run(args: &Args) -> Result<bool> {
    ensure_all(args.offline)
}

/// Looks for everything that the tests need and installs what is missing where it can. A missing graphics driver is
/// told and does not fail: the tests pass without a device.
pub fn ensure_all(offline: bool) -> Result<bool> {
    for (component, program) in [("rustfmt", "cargo-fmt"), ("clippy", "cargo-clippy")] {
        if shell::exists(program) && shell::run(shell::cargo().args([&program["cargo-".len()..], "--version"]))? {
            continue;
        }
        ensure!(!offline && shell::exists("rustup"), "{component} is missing: run `rustup component add {component}`");
        shell::must(shell::command("rustup").args(["component", "add", component]))?;
    }
    let npm =
        shell::exists("npm") || (cfg!(target_os = "linux") && !offline && install(&NODE_PACKAGES, "Node.js and npm"));
    if !npm {
        println!(
            "setup: no npm: tests against a real node (`cargo xtask node`) cannot run: install Node.js 20 or later"
        );
    }
    let driver = has_vulkan_driver()
        || (cfg!(target_os = "linux") && !offline && install(&VULKAN_PACKAGES, "a software Vulkan driver"));
    if driver || !cfg!(target_os = "linux") {
        println!("setup: everything is there");
    } else {
        println!(
            "setup: no Vulkan driver: tests that need a graphics device will see none. To install a software driver: \
             sudo apt-get install {}",
            VULKAN_PACKAGES.join(" ")
        );
    }
    Ok(true)
}

/// Whether the software driver lavapipe is installed, so that wgpu must find an adapter.
pub fn has_software_driver() -> bool {
    !drivers_are_chosen() && has_driver("lvp_")
}

fn has_vulkan_driver() -> bool {
    drivers_are_chosen() || has_driver("")
}

/// Whether the user names the drivers that the loader takes.
fn drivers_are_chosen() -> bool {
    ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().any(|name| std::env::var_os(name).is_some())
}

fn has_driver(prefix: &str) -> bool {
    DRIVER_FOLDERS.iter().filter_map(|folder| Path::new(folder).read_dir().ok()).flatten().flatten().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with(prefix) && name.ends_with(".json")
    })
}

/// Installs packages where that is possible.
fn install(packages: &[&str], what: &str) -> bool {
    if !shell::exists("apt-get") || !is_root() {
        return false;
    }
    println!("setup: installing {} ({what})", packages.join(" "));
    let apt = |arguments: &[&str]| {
        shell::run(shell::command("apt-get").env("DEBIAN_FRONTEND", "noninteractive").arg("-qq").args(arguments))
            .unwrap_or(false)
    };
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(packages);
    apt(&["update"]) && apt(&install)
}

fn is_root() -> bool {
    std::process::Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
