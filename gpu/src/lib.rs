//! Graphics devices through wgpu: what there is, and whether it computes what it should. The only crate that knows
//! wgpu. Nothing here panics or waits without a deadline; a machine without a device has an empty list.

pub mod adapter;
pub mod device;
pub mod probe;
pub mod services;
pub mod transition;

pub use adapter::{Adapter, AdapterInfo, Capabilities, adapters};
pub use device::DeviceError;
pub use probe::{SelfTest, SelfTestError};
