//! Runs a kernel on every device of this machine.

use std::time::Duration;
use wgpu::{BufferUsages, PollType};

/// Lanes of a workgroup in all kernels.
const WORKGROUP: u32 = 64;
/// Where kernels read and write, and how they find their lane.
const BINDINGS: &str = "
@group(0) @binding(0) var<storage, read> input: array<u32>;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;
";

/// A kernel over lanes: `body` finds its lane in `lane`.
pub struct Kernel {
    pub name: &'static str,
    pub library: String,
    /// Functions of the kernel's own.
    pub helpers: &'static str,
    pub body: &'static str,
    /// Words that a lane reads at `lane * input`.
    pub input: usize,
    /// Words that a lane writes at `lane * output`.
    pub output: usize,
}

/// The adapters of this machine; none is a machine on which nothing can be tested, unless a driver is known to be
/// there (`cargo xtask test` says so).
fn adapters() -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    descriptor.flags = wgpu::InstanceFlags::empty();
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    if std::env::var_os("ISOLANE_EXPECT_DEVICE").is_some() {
        assert!(!adapters.is_empty(), "a Vulkan driver is installed, but wgpu finds no adapter");
    }
    println!("{} adapters", adapters.len());
    adapters
}

/// Runs the kernel on each device and hands each lane's output to `check`.
pub fn on_every_device(kernel: &Kernel, input: &[u32], check: impl Fn(usize, &[u32])) {
    assert_eq!(input.len() % kernel.input, 0);
    for adapter in adapters() {
        let start = cpu_time();
        let output = run(&adapter, kernel, input);
        let name = adapter.get_info().name;
        println!("{}: {name}: {:.2} CPU s in all", kernel.name, cpu_time() - start);
        assert_eq!(output.len() / kernel.output, input.len() / kernel.input);
        for (lane, words) in output.chunks_exact(kernel.output).enumerate() {
            check(lane, words);
        }
    }
}

/// CPU seconds of this process so far, where the system tells.
fn cpu_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn run(adapter: &wgpu::Adapter, kernel: &Kernel, input: &[u32]) -> Vec<u32> {
    let descriptor = wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
    let lanes = (input.len() / kernel.input) as u32;
    let source = format!(
        "{}\n{BINDINGS}\n{}\n@compute @workgroup_size({WORKGROUP})\nfn main(@builtin(global_invocation_id) id: \
         vec3<u32>) {{\n    let lane = id.x;\n    if lane >= {lanes}u {{\n        return;\n    }}\n{}\n}}\n",
        kernel.library, kernel.helpers, kernel.body
    );
    let source = wgpu::ShaderSource::Wgsl(source.into());
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(kernel.name),
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    let buffer = |size: usize, usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: size as u64,
            usage,
            mapped_at_creation: false,
        })
    };
    let bytes: &[u8] = bytemuck::cast_slice(input);
    let given = buffer(bytes.len(), BufferUsages::STORAGE | BufferUsages::COPY_DST);
    queue.write_buffer(&given, 0, bytes);
    let size = lanes as usize * kernel.output * 4;
    let taken = buffer(size, BufferUsages::STORAGE | BufferUsages::COPY_SRC);
    let readback = buffer(size, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
    let entries = [
        wgpu::BindGroupEntry { binding: 0, resource: given.as_entire_binding() },
        wgpu::BindGroupEntry { binding: 1, resource: taken.as_entire_binding() },
    ];
    let layout = &pipeline.get_bind_group_layout(0);
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(lanes.div_ceil(WORKGROUP), 1, 1);
    }
    encoder.copy_buffer_to_buffer(&taken, 0, &readback, 0, size as u64);
    let submission = queue.submit([encoder.finish()]);
    readback.map_async(wgpu::MapMode::Read, .., |result| result.expect("the results"));
    let wait = PollType::Wait { submission_index: Some(submission), timeout: Some(Duration::from_secs(600)) };
    device.poll(wait).expect("the device finishes");
    bytemuck::pod_collect_to_vec(&readback.get_mapped_range(..).expect("the results"))
}

/// A small reproducible generator (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn words<const N: usize>(&mut self) -> [u32; N] {
        std::array::from_fn(|_| self.next() as u32)
    }
}
