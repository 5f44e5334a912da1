//! Graphics devices through wgpu: what there is, and whether it computes what it should. The only crate that knows
//! wgpu. Nothing here panics or waits without a deadline; a machine without a device has an empty list.

pub mod adapter;
pub mod backend;
mod check;
pub mod class;
mod code_store;
mod commit;
mod course;
pub mod device;
mod edition;
mod kernels;
mod lanes;
mod options;
mod pack;
mod pipeline_cache;
mod pool;
pub mod probe;
pub mod report;
pub mod services;
mod split;
mod state_tables;
pub mod transition;
mod watchdog;

pub use adapter::{Adapter, AdapterInfo, Capabilities, adapters};
pub use backend::Gpu;
pub use check::Mismatch;
pub use device::DeviceError;
pub use kernels::{KernelTimes, Times};
pub use options::{Capacity, GpuOptions, OpenError, Ran, Refusal, Statistics};
pub use probe::{SelfTest, SelfTestError};
pub use services::Services;
