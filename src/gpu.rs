//! The GPU backend with what it asks of the host: cryptography and the fallback come from the reference.

use crate::diff::case::{Case, Setting};
use crate::diff::write;
use crate::source::Cache;
use clap::{Args, ValueEnum};
use isolane_cpu::Reference;
use isolane_cpu::precompile::{PrecompileError, Run as _};
use isolane_gpu::{Adapter, Gpu, GpuOptions, Mismatch, OpenError, Refusal, Services, Statistics, adapters};
use isolane_spec::{Authorization, Environment, Fork, H160, Halt, Precompile, blob_base_fee};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The reference's cryptography, and the place for what a device got wrong.
pub struct Host {
    /// Where state tests of it are written.
    pub folder: Option<PathBuf>,
}

impl Services for Host {
    fn is_precompile(&self, address: H160, fork: Fork) -> bool {
        Precompile::at(address, fork).is_some()
    }

    fn precompile(&self, address: H160, fork: Fork, input: &[u8], gas: u64) -> Result<(u64, Vec<u8>), Halt> {
        let precompile = Precompile::at(address, fork).ok_or(Halt::PrecompileFailure)?;
        match precompile.run(input, gas, fork) {
            Ok(done) => Ok((gas.saturating_sub(done.gas_used), done.output)),
            Err(PrecompileError::OutOfGas) => Err(Halt::OutOfGas),
            Err(PrecompileError::InvalidInput(_)) => Err(Halt::PrecompileFailure),
        }
    }

    fn authority(&self, authorization: &Authorization) -> Option<H160> {
        isolane_gpu::transition::recover_authority(authorization)
    }

    fn mismatch(&self, mismatch: &Mismatch) {
        let name = &mismatch.environment.id;
        let kept = match &self.folder {
            None => "nowhere to keep it".to_owned(),
            Some(folder) => match keep(folder, mismatch) {
                Ok(Some(file)) => format!("kept as {}", file.display()),
                Ok(None) => "it has no form as a state test".to_owned(),
                Err(error) => format!("cannot keep it under {}: {error}", folder.display()),
            },
        };
        tracing::error!(
            "a lane came to something else than the CPU in environment {name:?} ({kept}): the device is not used any more, and its batch \
             runs on the CPU"
        );
    }
}

/// Writes the transaction as a state test, with the CPU's outcome as the expected one.
fn keep(folder: &Path, mismatch: &Mismatch) -> std::io::Result<Option<PathBuf>> {
    let Mismatch { environment, transaction, expected, got } = mismatch;
    let Some(state) = environment.state.memory() else { return Ok(None) };
    let case = Case {
        name: environment.id.clone(),
        rules: environment.rules,
        block: environment.block.clone(),
        excess_blob_gas: excess_blob_gas(environment),
        state: Arc::new(state.clone()),
        formula: false,
        transactions: vec![transaction.clone()],
        setting: Setting::default(),
    };
    let comment = format!("a lane came to {got:?}");
    let Some(test) = write::state_test("isolane_lane_mismatch", &comment, &case, expected) else { return Ok(None) };
    std::fs::create_dir_all(folder)?;
    let file = folder.join(format!("mismatch-{}.json", std::process::id()));
    std::fs::write(&file, serde_json::to_string_pretty(&test)? + "\n")?;
    Ok(Some(file))
}

/// The least excess that the block's price of blob gas comes from (EIP-4844): the price rises with it.
fn excess_blob_gas(environment: &Environment) -> u64 {
    let fraction = environment.rules.blob_schedule.base_fee_update_fraction;
    let (mut low, mut high) = (0, 1 << 36);
    while low < high && fraction > 0 {
        let middle = low + (high - low) / 2;
        if blob_base_fee(middle, fraction) < environment.block.blob_base_fee { low = middle + 1 } else { high = middle }
    }
    low
}

/// Opens an adapter as a backend whose fallback is the reference.
///
/// # Errors
/// When the adapter cannot be used, or fails its self-test.
pub fn open(adapter: &Adapter, options: GpuOptions) -> Result<Gpu, OpenError> {
    let host = Host { folder: Cache::default_folder().map(|folder| folder.join("mismatches")) };
    Gpu::open(adapter, Arc::new(host), Arc::new(Reference), options, kernels_folder())
}

/// Why [`open`] refuses an adapter that computed wrongly before; `None` where it did not.
#[must_use]
pub fn refusal(adapter: &Adapter) -> Option<Refusal> {
    adapter.refusal(kernels_folder().as_deref())
}

/// Where compiled kernels are kept, and the notes about adapters beside them.
fn kernels_folder() -> Option<PathBuf> {
    Cache::default_folder().map(|folder| folder.join("kernels"))
}

/// Which backend executes transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum BackendKind {
    /// A graphics device that passes its self-test, else the reference. Software devices are for tests: name them.
    Auto,
    /// The reference.
    #[default]
    Cpu,
    /// Lanes that run the same code together, on the CPU.
    Lockstep,
    /// A device.
    Gpu,
}

/// The choice of a backend on the command line.
#[derive(Clone, Debug, Default, Args)]
pub struct BackendArgs {
    /// What executes transactions.
    #[arg(long, value_enum, default_value_t, env = "ISOLANE_BACKEND")]
    pub backend: BackendKind,
    /// The device, by its index, a part of its name or its PCI id (see `isolane devices`) [default: the first that passes].
    #[arg(long, value_name = "INDEX|NAME|PCI-ID", env = "ISOLANE_ADAPTER")]
    pub adapter: Option<String>,
    /// Most lanes at once on a device.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4_194_304))]
    pub lanes: Option<u32>,
    /// One in so many transactions of a device runs on the CPU too; where any differs, the device is given up. 0: none [default: 256].
    #[arg(long, value_name = "N")]
    pub check_every: Option<u32>,
}

/// No device can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDevice {
    /// There is none.
    #[error("no graphics device: install a driver (`cargo xtask setup` installs a software one), or use --backend cpu")]
    None,
    /// None has that name.
    #[error("no device {asked:?}: expected an index, a part of a name or a PCI id of {there}")]
    Unknown {
        /// What was asked for.
        asked: String,
        /// What there is.
        there: String,
    },
    /// All failed.
    #[error("no device can be used: {0}")]
    Unusable(String),
}

impl BackendArgs {
    /// The device that was chosen, opened; `None` for the CPU.
    ///
    /// # Errors
    /// When a device was asked for and none can be used.
    pub fn open(&self) -> Result<Option<Gpu>, NoDevice> {
        match self.backend {
            BackendKind::Cpu | BackendKind::Lockstep => Ok(None),
            BackendKind::Gpu => self.device().map(Some),
            BackendKind::Auto => Ok(self.device().inspect_err(|reason| tracing::info!("on the CPU: {reason}")).ok()),
        }
    }

    fn device(&self) -> Result<Gpu, NoDevice> {
        let all = adapters();
        if all.is_empty() {
            return Err(NoDevice::None);
        }
        let software = self.backend == BackendKind::Gpu || self.adapter.is_some();
        let chosen: Vec<&Adapter> = all
            .iter()
            .filter(|adapter| self.is_chosen(adapter) && (software || adapter.info().kind != "cpu"))
            .collect();
        if chosen.is_empty() && self.adapter.is_none() {
            return Err(NoDevice::Unusable("there are only software devices".to_owned()));
        }
        if chosen.is_empty() {
            let names: Vec<String> = all.iter().map(|a| format!("{} {:?}", a.info().index, a.info().name)).collect();
            let asked = self.adapter.clone().unwrap_or_default();
            return Err(NoDevice::Unknown { asked, there: names.join(", ") });
        }
        let base = GpuOptions::default();
        let lanes = self.lanes.unwrap_or(base.lanes);
        let options = GpuOptions { lanes, check_every: self.check_every.unwrap_or(base.check_every), ..base };
        let mut reasons = String::new();
        for adapter in chosen {
            match open(adapter, options) {
                Ok(gpu) => return Ok(gpu),
                Err(error) => {
                    // Writing to a String cannot fail.
                    let _ = write!(
                        reasons,
                        "{}{}: {error}",
                        if reasons.is_empty() { "" } else { "; " },
                        adapter.info().name
                    );
                }
            }
        }
        Err(NoDevice::Unusable(reasons))
    }

    fn is_chosen(&self, adapter: &Adapter) -> bool {
        let info = adapter.info();
        self.adapter.as_ref().is_none_or(|asked| {
            asked.parse() == Ok(info.index)
                || !info.pci_id.is_empty() && info.pci_id.eq_ignore_ascii_case(asked)
                || asked.parse::<usize>().is_err() && info.name.to_lowercase().contains(&asked.to_lowercase())
        })
    }
}

/// Where transactions ran, in one line.
#[must_use]
pub fn summary(statistics: &Statistics) -> String {
    let Statistics { device, host, fallback, reasons, reruns, checked, .. } = statistics;
    let mut text = format!("{device} transactions on lanes, {host} without code on the host, {fallback} on the CPU");
    for (index, (reason, count)) in reasons.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{}{reason} {count}", if index == 0 { " (" } else { ", " });
    }
    if !reasons.is_empty() {
        text.push(')');
    }
    if *reruns > 0 {
        let _ = write!(text, "; {reruns} ran again");
    }
    if *checked > 0 {
        let _ = write!(text, "; {checked} compared with the CPU");
    }
    text
}

/// Where the time of the device's batches went, in one line.
#[must_use]
pub fn details(statistics: &Statistics) -> String {
    let Statistics { times, prepare, finish, fallback_time, check_time, steps, .. } = statistics;
    let parts = [
        ("preparing", *prepare),
        ("upload", times.upload),
        ("dispatches", times.dispatch),
        ("services", times.services),
        ("read-back", times.read_back),
        ("finishing", finish.saturating_sub(*fallback_time + *check_time)),
        ("on the CPU", *fallback_time),
        ("comparing", *check_time),
    ];
    let mut text = String::from("seconds: ");
    for (name, time) in parts {
        // Writing to a String cannot fail.
        let _ = write!(text, "{name} {:.2}, ", time.as_secs_f64());
    }
    let _ = write!(text, "{steps} instructions in {} exchanges of {} rounds", times.exchanges, times.rounds);
    text
}
