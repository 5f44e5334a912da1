//! How a device is used, and what is told of it.

use crate::device::DeviceError;
use crate::kernels::Times;
use crate::probe::SelfTestError;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How a device is used. No choice changes a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuOptions {
    /// Most lanes at once; fewer where the device's memory is too small.
    pub lanes: u32,
    /// Invocations of a workgroup.
    pub workgroup: u32,
    /// Most instructions of a lane in one dispatch.
    pub steps: u32,
    /// Rounds of the first exchange with the host.
    pub rounds: u32,
    /// The device is given up when an exchange takes longer.
    pub deadline: Duration,
    /// One in so many transactions of lanes runs on the fallback too; 0: none. Where any differs, the batch runs on the fallback, and
    /// the device is given up.
    pub check_every: u32,
}

impl Default for GpuOptions {
    fn default() -> Self {
        Self {
            lanes: 65_536,
            workgroup: 64,
            steps: 512,
            rounds: 6,
            deadline: Duration::from_secs(120),
            check_every: 256,
        }
    }
}

/// Where transactions ran, and why some ran elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Transactions whose code ran on lanes to its end.
    pub device: u64,
    /// Transactions that ran no code: finished while they were prepared.
    pub host: u64,
    /// Transactions that the fallback executed.
    pub fallback: u64,
    /// Why, and how many.
    pub reasons: BTreeMap<String, u64>,
    /// Times that a lane's transaction ran again because a transaction before it changed what it had read.
    pub reruns: u64,
    /// Transactions of lanes that the fallback executed too, to compare.
    pub checked: u64,
    /// EVM instructions that lanes executed.
    pub steps: u64,
    /// Where the device's time went.
    pub times: Times,
    /// Preparing transactions on the host.
    pub prepare: Duration,
    /// Finishing and committing them.
    pub finish: Duration,
    /// Of that, what the fallback took.
    pub fallback_time: Duration,
    /// Likewise, what comparing took.
    pub check_time: Duration,
}

/// The lanes of a class on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The class.
    pub class: &'static str,
    /// Lanes at once. A batch of more is run in parts.
    pub lanes: u32,
    /// Bytes of a lane.
    pub bytes: u64,
}

/// A note that an adapter is not to be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it computed wrongly: {reason}; delete {} to try it again", file.display())]
pub struct Refusal {
    /// What it got wrong.
    pub reason: String,
    /// The note that says so.
    pub file: PathBuf,
}

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It failed its self-test.
    #[error("the self-test failed: {0}")]
    SelfTest(#[from] SelfTestError),
    /// A lane of it came to something else than the CPU, now or in an earlier process.
    #[error(transparent)]
    Quarantined(#[from] Refusal),
    /// It could not be readied.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Where a transaction ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// On a lane of the device.
    Device,
    /// Nowhere: it runs no code, or is invalid, or the state could not answer.
    Host,
    /// On the fallback.
    Fallback,
}
