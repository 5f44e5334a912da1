//! What executes lanes.

use super::call::{Escape, RanOn};
use crate::gpu::{BackendArgs, BackendKind, NoDevice};
use isolane_cpu::{Lockstep, Reference};
use isolane_gpu::{Gpu, Ran};
use isolane_spec::{Backend, Batch, ExecutionError, Outcome};
use std::sync::Arc;

/// Takes the result of a transaction, by its index in the batch. Called from many threads.
pub(super) type Sink<'a> = dyn Fn(usize, Result<Outcome, ExecutionError>, RanOn, Option<Escape>) + Sync + 'a;

/// Batches with fewer calls do not pay for the way to a device, where nobody asked for one.
const FEW_FOR_A_DEVICE: usize = 4_096;

/// What executes lanes.
#[derive(Clone)]
pub(super) enum Engine {
    Cpu,
    Lockstep(Arc<Lockstep>),
    Gpu {
        device: Arc<Gpu>,
        /// What small batches run on, where the device was not asked for.
        otherwise: Option<Arc<Lockstep>>,
    },
}

impl Engine {
    pub fn open(kind: BackendKind, adapter: Option<String>) -> Result<Self, NoDevice> {
        let lockstep = || Arc::new(Lockstep::new());
        let arguments = BackendArgs { backend: kind, adapter, lanes: None, check_every: None };
        Ok(match kind {
            BackendKind::Cpu => Self::Cpu,
            BackendKind::Lockstep => Self::Lockstep(lockstep()),
            BackendKind::Gpu | BackendKind::Auto => match arguments.open()? {
                Some(device) => {
                    let otherwise = (kind == BackendKind::Auto).then(lockstep);
                    Self::Gpu { device: Arc::new(device), otherwise }
                }
                None => Self::Lockstep(lockstep()),
            },
        })
    }

    pub fn ran_on(&self) -> RanOn {
        match self {
            Self::Cpu => RanOn::Cpu,
            Self::Lockstep(_) => RanOn::Lockstep,
            Self::Gpu { .. } => RanOn::Gpu,
        }
    }

    /// The groups that so many calls run in, if they run in groups.
    pub fn groups(&self, calls: usize) -> Option<&Lockstep> {
        match self {
            Self::Lockstep(lockstep) => Some(lockstep),
            Self::Gpu { otherwise: Some(lockstep), .. } if calls < FEW_FOR_A_DEVICE => Some(lockstep),
            Self::Cpu | Self::Gpu { .. } => None,
        }
    }

    /// Executes a batch whose environments are independent.
    pub fn execute(&self, batch: &Batch, sink: &Sink<'_>) {
        match self {
            Self::Cpu => {
                for (index, result) in Reference.execute(batch).into_iter().enumerate() {
                    sink(index, result, RanOn::Cpu, None);
                }
            }
            Self::Lockstep(lockstep) => in_lockstep(lockstep, batch, sink),
            Self::Gpu { otherwise: Some(lockstep), .. } if batch.transactions.len() < FEW_FOR_A_DEVICE => {
                in_lockstep(lockstep, batch, sink);
            }
            Self::Gpu { device, .. } => {
                for (index, (ran, result)) in device.execute_told(batch).into_iter().enumerate() {
                    let (ran_on, escape) = match ran {
                        Ran::Device => (RanOn::Gpu, None),
                        Ran::Host => (RanOn::Cpu, Some(Escape::NoCode)),
                        Ran::Fallback => (RanOn::Cpu, Some(Escape::Device)),
                    };
                    sink(index, result, ran_on, escape);
                }
            }
        }
    }
}

fn in_lockstep(lockstep: &Lockstep, batch: &Batch, sink: &Sink<'_>) {
    lockstep.execute_told(batch, &|index, result, left| match left {
        None => sink(index, result, RanOn::Lockstep, None),
        Some(leave) => sink(index, result, RanOn::Cpu, Some(Escape::of(leave))),
    });
}
