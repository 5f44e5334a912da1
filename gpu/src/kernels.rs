//! The kernels on a device: pipelines, buffers, and one *exchange*: messages in, some rounds, reports out.

use crate::device::{Device, DeviceError};
use isolane_shaders::Kernel;
use isolane_spec::layout::{Params, control, queue};
use std::time::{Duration, Instant};
use wgpu::BufferUsages;

/// Bytes that a buffer starts with.
const FIRST_BYTES: u64 = 64 << 10;

/// Drivers that compile at the first dispatch may take this long for a kernel.
pub(crate) const COMPILE_DEADLINE: Duration = Duration::from_secs(600);

/// Where the time of the exchanges went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Writing messages, code and state for the device.
    pub upload: Duration,
    /// Rounds, from submission to their end.
    pub dispatch: Duration,
    /// Reading reports.
    pub read_back: Duration,
    /// Answering lanes: state, and cryptography that is not worth a kernel.
    pub services: Duration,
    /// Rounds that ran.
    pub rounds: u64,
    /// Exchanges.
    pub exchanges: u64,
    /// Of each kernel, by its place in [`Kernel::ALL`], where they are timed.
    kernels: [KernelTimes; Kernel::ALL.len()],
}

/// What a kernel did while kernels were timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelTimes {
    /// From submission to its end.
    pub time: Duration,
    /// Dispatches that found lanes in the kernel's queue. The others cost little, but not nothing.
    pub dispatches: u64,
    /// The lanes that they found.
    pub lanes: u64,
}

impl Times {
    /// The names of the kernels and what each did; zero where they are not timed.
    pub fn kernels(&self) -> impl Iterator<Item = (&'static str, KernelTimes)> + '_ {
        Kernel::ALL.iter().map(|kernel| kernel.name()).zip(self.kernels)
    }
}

/// What an exchange found.
pub(crate) struct Exchange {
    /// The words of all reports, one after another.
    pub reports: Vec<u32>,
    /// Their number.
    pub count: u32,
    /// Lanes that the step kernel had in the last round.
    pub active: u32,
}

/// The buffers by binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Slot {
    Params,
    Pool,
    Codes,
    Tables,
    Words,
    Stacks,
    Control,
    Outbox,
}

const SLOTS: [(&str, Slot); 8] = [
    ("params", Slot::Params),
    ("pool", Slot::Pool),
    ("codes", Slot::Codes),
    ("tables", Slot::Tables),
    ("words", Slot::Words),
    ("stacks", Slot::Stacks),
    ("control", Slot::Control),
    ("outbox", Slot::Outbox),
];

/// Compiled kernels and their buffers.
pub(crate) struct Kernels {
    pub device: Device,
    pipelines: Vec<wgpu::ComputePipeline>,
    layout: wgpu::BindGroupLayout,
    buffers: Vec<wgpu::Buffer>,
    group: Option<wgpu::BindGroup>,
    counters: wgpu::Buffer,
    readback: wgpu::Buffer,
    workgroup: u32,
    deadline: Duration,
    /// Whether each kernel is submitted alone and timed: for profiles, it costs time.
    pub timed: bool,
    pub times: Times,
    /// The largest buffer that the device binds, in bytes.
    binding_limit: u64,
}

/// The queue that a kernel serves.
fn queue_of(kernel: Kernel) -> Option<u32> {
    match kernel {
        Kernel::Step => Some(queue::STEP),
        Kernel::Arithmetic => Some(queue::ARITHMETIC),
        Kernel::State => Some(queue::STATE),
        Kernel::Copy => Some(queue::COPY),
        Kernel::Keccak => Some(queue::KECCAK),
        Kernel::Precompile => Some(queue::PRECOMPILE),
        Kernel::Frame => Some(queue::FRAME),
        Kernel::Mail | Kernel::Turn | Kernel::Pack => None,
    }
}

fn buffer(device: &Device, slot: Slot, size: u64) -> wgpu::Buffer {
    let usage = match slot {
        Slot::Params => BufferUsages::UNIFORM,
        _ => BufferUsages::STORAGE,
    };
    device.empty(SLOTS[slot as usize].0, size, usage | BufferUsages::COPY_DST | BufferUsages::COPY_SRC)
}

impl Kernels {
    /// Compiles everything.
    pub fn new(
        device: Device,
        workgroup: u32,
        deadline: Duration,
        cache: Option<&wgpu::PipelineCache>,
    ) -> Result<Self, DeviceError> {
        let scopes = device.scopes();
        let entries: Vec<_> = (0u32..)
            .zip(SLOTS)
            .map(|(binding, (_, slot))| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: match slot {
                        Slot::Params => wgpu::BufferBindingType::Uniform,
                        Slot::Pool | Slot::Codes | Slot::Tables => wgpu::BufferBindingType::Storage { read_only: true },
                        _ => wgpu::BufferBindingType::Storage { read_only: false },
                    },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let layout = device
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some("lanes"), entries: &entries });
        let pipeline_layout = device.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("lanes"),
            bind_group_layouts: &[Some(&layout)],
            ..Default::default()
        });
        let constants = [("WORKGROUP", f64::from(workgroup))];
        let compile = |kernel: Kernel| {
            let module = device.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(kernel.name()),
                source: wgpu::ShaderSource::Wgsl(kernel.source().into()),
            });
            device.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(kernel.name()),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: if kernel == Kernel::Turn { &[] } else { &constants },
                    zero_initialize_workgroup_memory: false,
                },
                cache,
            })
        };
        let pipelines = Kernel::ALL.map(compile).into();
        let buffers = SLOTS.iter().map(|(_, slot)| buffer(&device, *slot, FIRST_BYTES)).collect();
        let counters = device.empty("counters", 128, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
        let readback = device.empty("readback", FIRST_BYTES, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
        device.close(scopes)?;
        let times = Times::default();
        let limits = device.device.limits();
        let binding_limit = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size) & !255;
        Ok(Self {
            device,
            pipelines,
            layout,
            buffers,
            group: None,
            counters,
            readback,
            workgroup,
            deadline,
            timed: false,
            times,
            binding_limit,
        })
    }

    /// Runs each kernel once without lanes, which makes drivers compile it. Returns how long each took.
    pub fn warm_up(&mut self) -> Result<Vec<(&'static str, Duration)>, DeviceError> {
        self.device.queue.write_buffer(&self.buffers[Slot::Params as usize], 0, bytemuck::bytes_of(&Params::default()));
        let group = self.group()?;
        let mut times = Vec::new();
        for kernel in Kernel::ALL {
            let start = Instant::now();
            let scopes = self.device.scopes();
            let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                pass.set_bind_group(0, &group, &[]);
                pass.set_pipeline(&self.pipelines[kernel as usize]);
                pass.dispatch_workgroups(1, 1, 1);
            }
            encoder.copy_buffer_to_buffer(&self.buffers[Slot::Control as usize], 0, &self.counters, 0, 128);
            let commands = encoder.finish();
            self.device.close(scopes)?;
            self.device.submit_and_read(commands, &self.counters, 128, COMPILE_DEADLINE)?;
            times.push((kernel.name(), start.elapsed()));
        }
        Ok(times)
    }

    /// The largest buffer that the device binds, in bytes.
    pub fn binding_limit(&self) -> u64 {
        self.binding_limit
    }

    /// Makes sure that a buffer has so many bytes. Returns whether it is a new one, whose words are zero.
    pub fn reserve(&mut self, slot: Slot, bytes: u64) -> Result<bool, DeviceError> {
        if self.buffers[slot as usize].size() >= bytes {
            return Ok(false);
        }
        let limit = self.binding_limit();
        if bytes > limit {
            return Err(DeviceError::TooLarge { what: SLOTS[slot as usize].0, bytes, limit });
        }
        let scopes = self.device.scopes();
        self.buffers[slot as usize].destroy();
        self.buffers[slot as usize] = buffer(&self.device, slot, bytes.next_power_of_two().min(limit));
        self.group = None;
        self.device.close(scopes)?;
        Ok(true)
    }

    /// Writes words.
    pub fn write(&mut self, slot: Slot, at: usize, words: &[u32]) {
        if !words.is_empty() {
            let start = Instant::now();
            self.device.queue.write_buffer(&self.buffers[slot as usize], at as u64 * 4, bytemuck::cast_slice(words));
            self.times.upload += start.elapsed();
        }
    }

    /// Empties all queues and frees all lanes: before the first exchange of a class.
    pub fn reset(&mut self, params: &Params) -> Result<(), DeviceError> {
        let lanes = u64::from(params.lanes);
        self.reserve(Slot::Words, lanes * (u64::from(params.lane_words) + 1) * 4)?;
        self.reserve(Slot::Stacks, lanes * (u64::from(params.stack_slots) + 1) * 32)?;
        self.reserve(Slot::Control, u64::from(control::QUEUES + 16 * params.lanes) * 4)?;
        self.write(Slot::Control, 0, &[0; control::QUEUES as usize]);
        // The status words, which come first.
        let zeros = vec![0; params.lanes as usize];
        self.write(Slot::Words, 0, &zeros);
        Ok(())
    }

    fn group(&mut self) -> Result<wgpu::BindGroup, DeviceError> {
        if let Some(group) = &self.group {
            return Ok(group.clone());
        }
        let scopes = self.device.scopes();
        let entries: Vec<wgpu::BindGroupEntry> = (0u32..)
            .zip(&self.buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let group = self.device.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("lanes"),
            layout: &self.layout,
            entries: &entries,
        });
        self.device.close(scopes)?;
        self.group = Some(group.clone());
        Ok(group)
    }

    /// Hands out the messages, runs rounds and collects the reports.
    pub fn exchange(&mut self, params: &Params, rounds: u32) -> Result<Exchange, DeviceError> {
        self.device.queue.write_buffer(&self.buffers[Slot::Params as usize], 0, bytemuck::bytes_of(params));
        self.write(Slot::Control, control::OUTBOX as usize, &[0, 0]);
        let group = self.group()?;
        if self.timed {
            let round = Kernel::ROUND.iter().cycle().take(Kernel::ROUND.len() * rounds as usize);
            for kernel in [Kernel::Mail].iter().chain(round) {
                self.run_timed(*kernel, params, &group)?;
            }
        }
        let scopes = self.device.scopes();
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_bind_group(0, &group, &[]);
            let all = params.lanes.div_ceil(self.workgroup);
            let mut run = |kernel: Kernel| {
                pass.set_pipeline(&self.pipelines[kernel as usize]);
                pass.dispatch_workgroups(if kernel == Kernel::Turn { 1 } else { all }, 1, 1);
            };
            if !self.timed {
                run(Kernel::Mail);
                for _ in 0..rounds {
                    Kernel::ROUND.into_iter().for_each(&mut run);
                }
            }
            run(Kernel::Pack);
        }
        encoder.copy_buffer_to_buffer(&self.buffers[Slot::Control as usize], 0, &self.counters, 0, 128);
        let commands = encoder.finish();
        self.device.close(scopes)?;
        let start = Instant::now();
        let counters = self.device.submit_and_read(commands, &self.counters, 128, self.deadline)?;
        let counters: Vec<u32> = bytemuck::pod_collect_to_vec(&counters);
        self.times.dispatch += start.elapsed();
        self.times.rounds += u64::from(rounds);
        self.times.exchanges += 1;
        let counter = |place: u32| counters.get(place as usize).copied().unwrap_or(0);
        let start = Instant::now();
        // A report that found no room has still taken its place.
        let used = counter(control::OUTBOX).min(params.outbox_words);
        let count = counter(control::REPORTS);
        let reports = if count == 0 { Vec::new() } else { self.read_reports(used)? };
        self.times.read_back += start.elapsed();
        let waiting: u32 = (0..queue::COUNT).map(|queue| counter(queue).max(counter(queue + 8))).sum();
        Ok(Exchange { reports, count, active: counter(control::ACTIVE).max(waiting) })
    }

    /// Runs one kernel and waits for it.
    fn run_timed(&mut self, kernel: Kernel, params: &Params, group: &wgpu::BindGroup) -> Result<(), DeviceError> {
        let start = Instant::now();
        let scopes = self.device.scopes();
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_bind_group(0, group, &[]);
            pass.set_pipeline(&self.pipelines[kernel as usize]);
            let all = params.lanes.div_ceil(self.workgroup);
            pass.dispatch_workgroups(if kernel == Kernel::Turn { 1 } else { all }, 1, 1);
        }
        encoder.copy_buffer_to_buffer(&self.buffers[Slot::Control as usize], 0, &self.counters, 0, 128);
        let commands = encoder.finish();
        self.device.close(scopes)?;
        let counters = self.device.submit_and_read(commands, &self.counters, 128, self.deadline)?;
        let elapsed = start.elapsed();
        let times = &mut self.times.kernels[kernel as usize];
        times.time += elapsed;
        self.times.dispatch += elapsed;
        // Its own queue is as it was when the kernel began, until the round ends.
        if let Some(queue) = queue_of(kernel) {
            let counters: Vec<u32> = bytemuck::pod_collect_to_vec(&counters);
            let counter = |place: u32| counters.get(place as usize).copied().unwrap_or(0);
            let lanes = counter(counter(control::SIDE) * 8 + queue).min(params.lanes);
            times.dispatches += u64::from(lanes > 0);
            times.lanes += u64::from(lanes);
        }
        Ok(())
    }

    fn read_reports(&mut self, words: u32) -> Result<Vec<u32>, DeviceError> {
        let bytes = u64::from(words) * 4;
        let scopes = self.device.scopes();
        if self.readback.size() < bytes {
            self.readback.destroy();
            let size = bytes.next_power_of_two();
            self.readback = self.device.empty("readback", size, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
        }
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&self.buffers[Slot::Outbox as usize], 0, &self.readback, 0, bytes);
        let commands = encoder.finish();
        self.device.close(scopes)?;
        let read = self.device.submit_and_read(commands, &self.readback, bytes, self.deadline)?;
        Ok(bytemuck::pod_collect_to_vec(&read))
    }
}
