//! The adapters of this machine.

use crate::check::Quarantine;
use crate::kernels::COMPILE_DEADLINE;
use crate::options::Refusal;
use crate::probe::{self, SelfTest, SelfTestError};
use crate::watchdog::Watchdog;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::Duration;

/// A graphics adapter.
#[derive(Clone, Debug)]
pub struct Adapter {
    info: AdapterInfo,
    inner: wgpu::Adapter,
}

/// What an adapter says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterInfo {
    /// Its place in the list of [`adapters`].
    pub index: usize,
    /// Its name.
    pub name: String,
    /// `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// `discrete`, `integrated`, `virtual`, `cpu` or `other`.
    pub kind: &'static str,
    /// PCI vendor id, or the backend's own number where there is no PCI.
    pub vendor: u32,
    /// PCI device id, or the backend's own number where there is no PCI.
    pub device: u32,
    /// PCI bus id, such as `0000:65:00.0`; empty where there is none.
    pub pci_id: String,
    /// The driver.
    pub driver: String,
    /// The driver's version.
    pub driver_info: String,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// Limits and features that an executor depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Storage buffers that one stage can bind.
    pub storage_buffers: u32,
    /// Bytes of one storage binding.
    pub storage_binding_size: u64,
    /// Bytes of one buffer.
    pub buffer_size: u64,
    /// Alignment of a storage binding's offset, in bytes.
    pub storage_alignment: u32,
    /// Bytes of workgroup memory.
    pub workgroup_memory: u32,
    /// Invocations of one workgroup.
    pub workgroup_invocations: u32,
    /// Workgroups of one dispatch and dimension.
    pub workgroups: u32,
    /// Smallest subgroup.
    pub subgroup_min: u32,
    /// Largest subgroup.
    pub subgroup_max: u32,
    /// 64-bit integers in shaders.
    pub int64: bool,
    /// Subgroup operations in shaders.
    pub subgroups: bool,
    /// Compiled pipelines can be kept.
    pub pipeline_cache: bool,
    /// Dispatches can be timed on the device.
    pub timestamps: bool,
    /// Compute shaders at all.
    pub compute: bool,
}

/// All adapters that wgpu reaches; none where there is no driver. Honours wgpu's own variables (`WGPU_BACKEND`).
#[must_use]
pub fn adapters() -> Vec<Adapter> {
    // A broken driver may bring wgpu to panic: that is a machine without a usable device.
    catch_unwind(|| {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        // Validation layers are for wgpu's own developers, and print.
        descriptor.flags = wgpu::InstanceFlags::empty();
        let instance = wgpu::Instance::new(descriptor);
        let found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
        found.into_iter().enumerate().map(|(index, inner)| Adapter { info: info(index, &inner), inner }).collect()
    })
    .unwrap_or_default()
}

impl Adapter {
    /// What the adapter says about itself.
    #[must_use]
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }

    /// wgpu's own handle.
    pub(crate) fn inner(&self) -> &wgpu::Adapter {
        &self.inner
    }

    /// The note that keeps this adapter from being opened, in the folder of the compiled kernels; `None` where there is none.
    #[must_use]
    pub fn refusal(&self, cache: Option<&Path>) -> Option<Refusal> {
        Quarantine::of(&self.info, cache).check().err()
    }

    /// Runs the self-test: 256-bit sums, the opcode and gas tables, a long loop, reads outside a binding. `deadline` is
    /// for the device's work; a driver that compiles shaders first may take longer.
    ///
    /// # Errors
    /// When the device cannot be used, or answers wrongly: such a device must not execute anything.
    pub fn self_test(&self, deadline: Duration) -> Result<SelfTest, SelfTestError> {
        let adapter = self.inner.clone();
        Watchdog::new()?.within(COMPILE_DEADLINE.max(deadline), move || probe::run(&adapter, deadline))?
    }
}

fn info(index: usize, adapter: &wgpu::Adapter) -> AdapterInfo {
    let wgpu::AdapterInfo {
        name,
        vendor,
        device,
        device_type,
        device_pci_bus_id,
        driver,
        driver_info,
        backend,
        subgroup_min_size,
        subgroup_max_size,
        ..
    } = adapter.get_info();
    let limits = adapter.limits();
    let features = adapter.features();
    let flags = adapter.get_downlevel_capabilities().flags;
    AdapterInfo {
        index,
        name,
        backend: backend.to_str().to_owned(),
        kind: match device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            wgpu::DeviceType::Cpu => "cpu",
            wgpu::DeviceType::Other => "other",
        },
        vendor,
        device,
        pci_id: device_pci_bus_id,
        driver,
        driver_info,
        capabilities: Capabilities {
            storage_buffers: limits.max_storage_buffers_per_shader_stage,
            storage_binding_size: limits.max_storage_buffer_binding_size,
            buffer_size: limits.max_buffer_size,
            storage_alignment: limits.min_storage_buffer_offset_alignment,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            workgroup_invocations: limits.max_compute_invocations_per_workgroup,
            workgroups: limits.max_compute_workgroups_per_dimension,
            subgroup_min: subgroup_min_size,
            subgroup_max: subgroup_max_size,
            int64: features.contains(wgpu::Features::SHADER_INT64),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            pipeline_cache: features.contains(wgpu::Features::PIPELINE_CACHE),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            compute: flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS),
        },
    }
}
