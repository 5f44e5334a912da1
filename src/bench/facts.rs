//! The machine, the build and the versions that figures depend on.

use serde::Serialize;
use std::process::Command;

/// The profile of `cargo bench`.
pub const BENCH: &str = "bench (opt-level 3, lto fat, codegen-units 1) unless `--profile` named another";

/// Stated with every result. What the system does not tell is `unknown`.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// The processor.
    pub cpu: String,
    /// Threads that it runs at once.
    pub threads: usize,
    /// The operating system.
    pub os: String,
    /// The compiler.
    pub rustc: String,
    /// Its flags.
    pub rustflags: String,
    /// What of the processor the compiler made use of, of what isolane gains by.
    pub target_features: Vec<&'static str>,
    /// The profile.
    pub profile: &'static str,
    /// isolane's version and commit.
    pub isolane: String,
    /// revm's version.
    pub revm: String,
    /// Its features.
    pub revm_features: &'static str,
    /// What else the machine did.
    pub load_average_at_start: String,
}

impl Facts {
    /// Finds them out.
    #[must_use]
    pub fn gather(profile: &'static str) -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            cpuinfo
                .lines()
                .find(|line| line.starts_with(name))
                .and_then(|line| line.split_once(':'))
                .map_or("unknown", |(_, value)| value.trim())
        };
        let cpu = format!("{} (family {}, model {})", field("model name"), field("cpu family"), field("model\t"));
        let revision = output("git", &["describe", "--always", "--dirty", "--exclude=*"]);
        Self {
            cpu,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            os: output("uname", &["-srm"]),
            rustc: output("rustc", &["-V"]),
            rustflags: option_env!("RUSTFLAGS").unwrap_or("").to_owned(),
            target_features: target_features(),
            profile,
            isolane: format!("{} {revision}", env!("CARGO_PKG_VERSION")),
            revm: locked_version("revm"),
            revm_features: "default + asm-keccak",
            load_average_at_start: std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned(),
        }
    }

    /// As a list in Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let features = if self.target_features.is_empty() {
            "none beyond the target's baseline".into()
        } else {
            self.target_features.join(" ")
        };
        format!(
            "- machine: {}, {} threads, {}; load average at the start {}\n- build: {}; RUSTFLAGS `{}`; {}; of the \
             features asked about: {features}\n- versions: isolane {}, revm {} ({})\n",
            self.cpu,
            self.threads,
            self.os,
            self.load_average_at_start,
            self.rustc,
            self.rustflags,
            self.profile,
            self.isolane,
            self.revm,
            self.revm_features,
        )
    }
}

fn output(program: &str, arguments: &[&str]) -> String {
    Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map_or("unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn target_features() -> Vec<&'static str> {
    let mut features = Vec::new();
    if cfg!(target_feature = "bmi2") {
        features.push("bmi2");
    }
    if cfg!(target_feature = "avx2") {
        features.push("avx2");
    }
    if cfg!(target_feature = "avx512f") {
        features.push("avx512f");
    }
    features
}

fn locked_version(package: &str) -> String {
    let lock = include_str!("../../Cargo.lock");
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{package}\""));
    lines
        .nth(1)
        .and_then(|line| line.strip_prefix("version = \""))
        .and_then(|line| line.strip_suffix('"'))
        .unwrap_or("unknown")
        .to_owned()
}
