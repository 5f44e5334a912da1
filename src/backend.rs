//! The backend that a command line chooses.

use crate::gpu::{self, BackendArgs, BackendKind, NoDevice};
use isolane_cpu::Lockstep;
use isolane_cpu::lockstep::Leave;
use isolane_gpu::Gpu;
use isolane_spec::Backend;
use std::sync::Arc;

/// What executes transactions.
#[derive(Clone)]
pub enum Chosen {
    /// The reference.
    Reference,
    /// Lanes in lockstep on the CPU.
    Lockstep(Arc<Lockstep>),
    /// A device.
    Gpu(Arc<Gpu>),
}

impl Chosen {
    /// Takes what the arguments ask for.
    ///
    /// # Errors
    /// When a device was asked for and none can be used.
    pub fn open(arguments: &BackendArgs) -> Result<Self, NoDevice> {
        if arguments.backend == BackendKind::Lockstep {
            return Ok(Self::Lockstep(Arc::new(Lockstep::new())));
        }
        Ok(arguments.open()?.map_or(Self::Reference, |gpu| Self::Gpu(Arc::new(gpu))))
    }

    /// The backend; `None` for the reference, which needs no batches.
    #[must_use]
    pub fn backend(&self) -> Option<Arc<dyn Backend + Send + Sync>> {
        match self {
            Self::Reference => None,
            Self::Lockstep(lockstep) => Some(Arc::clone(lockstep) as _),
            Self::Gpu(gpu) => Some(Arc::clone(gpu) as _),
        }
    }

    /// The device, if it is one.
    #[must_use]
    pub fn device(&self) -> Option<&Gpu> {
        match self {
            Self::Reference | Self::Lockstep(_) => None,
            Self::Gpu(gpu) => Some(gpu),
        }
    }

    /// Transactions that left their lanes, or never came to one, by reason; `None` for the reference, which has none.
    #[must_use]
    pub fn escapes(&self) -> Option<Vec<(String, u64)>> {
        match self {
            Self::Reference => None,
            Self::Lockstep(lockstep) => {
                let left = lockstep.statistics().left;
                let named = Leave::ALL.into_iter().zip(left).filter(|(_, count)| *count > 0);
                Some(named.map(|(reason, count)| (reason.name().to_owned(), count)).collect())
            }
            Self::Gpu(device) => Some(device.statistics().reasons.into_iter().collect()),
        }
    }

    /// Where transactions ran, in a line; with where the time went, where that is measured.
    #[must_use]
    pub fn summary(&self, verbose: bool) -> Option<String> {
        match self {
            Self::Reference => None,
            Self::Lockstep(lockstep) => {
                Some(format!("lockstep on {}: {}", lockstep.simd().name(), lockstep.statistics()))
            }
            Self::Gpu(device) => {
                let statistics = device.statistics();
                let mut text = format!("{}: {}", device.adapter().info().name, gpu::summary(&statistics));
                if verbose {
                    text.push('\n');
                    text.push_str(&gpu::details(&statistics));
                }
                Some(text)
            }
        }
    }
}
