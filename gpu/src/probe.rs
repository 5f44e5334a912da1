//! The self-test of a device: the host's side of `shaders/probe.wgsl`.

use crate::device::{Device, DeviceError};
use isolane_spec::lane::{PROBE_LANES, ProbeReport, ProbeRequest};
use isolane_spec::opcode::{BY_BYTE, Opcode};
use isolane_spec::{Fork, U256, gas::SCHEDULES, wgsl};
use std::mem::ManuallyDrop;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wgpu::BufferUsages;

/// Rounds of the loop: more than the 65,535 after which some drivers end loops in silence.
const ITERATIONS: u32 = 100_000;
/// Lanes of a workgroup, as the shader says.
const WORKGROUP: u32 = 64;
/// The fork whose gas the lanes read: not the first, so that a wrong stride shows.
const FORK: Fork = Fork::Osaka;
/// Surrounds the window that lanes read outside of.
const CANARY: u32 = 0xdead_10cc;
/// First word inside the window; the others count up from it.
const INSIDE: u32 = 0x1000_0000;

/// A self-test that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfTest {
    /// From opening the device to the last answer, the compilation included.
    pub time: Duration,
    /// Lanes whose answers were checked.
    pub lanes: u32,
}

/// Why a device must not execute anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelfTestError {
    /// It could not do the work at all.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// It says that it is done, but a lane never came to its end.
    #[error("lane {lane} did not run to its end")]
    Unfinished {
        /// The lane.
        lane: u32,
    },
    /// It ended a loop that was not done.
    #[error("the driver ended a loop after {got} of {expected} rounds (lane {lane})")]
    LoopCut {
        /// The lane.
        lane: u32,
        /// Rounds asked for.
        expected: u32,
        /// Rounds made.
        got: u32,
    },
    /// It let a lane see memory that was not bound.
    #[error("a read outside a buffer returned memory that was not bound (lane {lane}: {got:#x})")]
    OutOfRange {
        /// The lane.
        lane: u32,
        /// The word.
        got: u32,
    },
    /// It computed a wrong value.
    #[error("wrong {what} in lane {lane}: expected {expected}, got {got}")]
    Wrong {
        /// What was computed.
        what: &'static str,
        /// The lane.
        lane: u32,
        /// The value of the CPU.
        expected: String,
        /// The value of the device.
        got: String,
    },
}

/// Runs the self-test.
pub(crate) fn run(adapter: &wgpu::Adapter, deadline: Duration) -> Result<SelfTest, SelfTestError> {
    let start = Instant::now();
    // A device whose work never ends cannot be dropped either: dropping waits. So it is only dropped when it is idle.
    let device = ManuallyDrop::new(Device::open(adapter)?);
    let request = request();
    let result = execute(&device, &request, deadline);
    if !matches!(result, Err(DeviceError::Deadline(_))) {
        drop(ManuallyDrop::into_inner(device));
    }
    check(&request, &result?)?;
    Ok(SelfTest { time: start.elapsed(), lanes: PROBE_LANES })
}

fn request() -> ProbeRequest {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.subsec_nanos());
    ProbeRequest {
        // Never zero in any lane: fresh buffers are zero.
        epoch: clock | 0x8000_0000,
        iterations: ITERATIONS,
        fork: FORK as u32,
        reserved: 0,
        // Every limb carries into the next; the last carry is lost.
        a: [0xffff_fff0, 0xffff_ffff, 0, 0x8000_0000, 0xffff_ffff, 0x1234_5678, 0xffff_ffff, 0xffff_ffff],
        b: [0x0000_000f, 0, 0xffff_ffff, 0x7fff_ffff, 0, 0xedcb_a987, 0xffff_ffff, 0x8000_0000],
    }
}

fn execute(device: &Device, request: &ProbeRequest, deadline: Duration) -> Result<Vec<ProbeReport>, DeviceError> {
    let scopes = device.scopes();
    let module = device.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("probe"),
        source: wgpu::ShaderSource::Wgsl(isolane_shaders::probe().into()),
    });
    let pipeline = device.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("probe"),
        layout: None,
        module: &module,
        entry_point: Some("probe"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });

    let alignment = device.device.limits().min_storage_buffer_offset_alignment.max(4) as usize / 4;
    let mut words = vec![CANARY; 3 * alignment];
    for (i, word) in words.iter_mut().skip(alignment).take(alignment).enumerate() {
        *word = INSIDE + i as u32;
    }
    let window_size = 4 * alignment as u64;
    let size = u64::from(PROBE_LANES) * size_of::<ProbeReport>() as u64;
    let request = device.filled("request", bytemuck::bytes_of(request), BufferUsages::STORAGE);
    let schedules = device.filled("gas schedules", bytemuck::cast_slice(&SCHEDULES), BufferUsages::STORAGE);
    let window = device.filled("window", bytemuck::cast_slice(&words), BufferUsages::STORAGE);
    let reports = device.empty("reports", size, BufferUsages::STORAGE | BufferUsages::COPY_SRC);
    let readback = device.empty("readback", size, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
    let window = wgpu::BufferBinding { buffer: &window, offset: window_size, size: window_size.try_into().ok() };
    let resources = [
        request.as_entire_binding(),
        schedules.as_entire_binding(),
        wgpu::BindingResource::Buffer(window),
        reports.as_entire_binding(),
    ];
    let entries: Vec<wgpu::BindGroupEntry> =
        (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
    let group = device.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("probe"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    });

    let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("probe") });
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(PROBE_LANES / WORKGROUP, 1, 1);
    }
    encoder.copy_buffer_to_buffer(&reports, 0, &readback, 0, size);
    let commands = encoder.finish();
    // Commands that were refused must not be waited for.
    device.close(scopes)?;

    let scopes = device.scopes();
    let bytes = device.submit_and_read(commands, &readback, size, deadline);
    device.close(scopes)?;
    Ok(bytemuck::pod_collect_to_vec(&bytes?))
}

/// Compares all reports with what the CPU computes.
fn check(request: &ProbeRequest, reports: &[ProbeReport]) -> Result<(), SelfTestError> {
    let gas = SCHEDULES[FORK as usize].static_gas();
    let base = word(&request.a).overflowing_add(word(&request.b)).0;
    for lane in 0..PROBE_LANES {
        let report = reports.get(lane as usize).filter(|report| report.epoch == request.epoch ^ lane);
        let Some(report) = report else { return Err(SelfTestError::Unfinished { lane }) };
        if report.iterations != request.iterations {
            return Err(SelfTestError::LoopCut { lane, expected: request.iterations, got: report.iterations });
        }
        let inside = INSIDE..INSIDE + 0x1_0000;
        // Drivers answer with nothing, with a word of the binding, or with the last one.
        if report.out_of_range != 0 && !inside.contains(&report.out_of_range) {
            return Err(SelfTestError::OutOfRange { lane, got: report.out_of_range });
        }
        let noise = noise(request.epoch ^ lane, request.iterations);
        equal("pseudo-random number", lane, &noise, &report.noise)?;
        let byte = lane as u8;
        equal("row of the opcode table", lane, &wgsl::opcode_row(byte), &report.opcode_row)?;
        let expected = BY_BYTE[usize::from(byte)].map_or(0, |_: Opcode| gas[usize::from(byte)]);
        equal("static gas", lane, &expected, &report.static_gas)?;
        equal("256-bit sum", lane, &base.overflowing_add(lane.into()).0, &word(&report.sum))?;
    }
    Ok(())
}

fn equal<T: PartialEq + ToString>(what: &'static str, lane: u32, expected: &T, got: &T) -> Result<(), SelfTestError> {
    if expected == got {
        return Ok(());
    }
    Err(SelfTestError::Wrong { what, lane, expected: expected.to_string(), got: got.to_string() })
}

fn noise(seed: u32, iterations: u32) -> u32 {
    (0..iterations).fold(seed, |noise, _| {
        let noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise ^ noise >> 15
    })
}

/// A word from 32-bit limbs, the least significant first.
fn word(limbs: &[u32; 8]) -> U256 {
    U256(std::array::from_fn(|i| u64::from(limbs[2 * i]) | u64::from(limbs[2 * i + 1]) << 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a correct device would report, computed the way the shader computes it.
    fn correct(request: &ProbeRequest) -> Vec<ProbeReport> {
        let gas = SCHEDULES[FORK as usize].static_gas();
        (0..PROBE_LANES)
            .map(|lane| {
                let mut carry = u64::from(lane);
                let sum = std::array::from_fn(|i| {
                    let total = u64::from(request.a[i]) + u64::from(request.b[i]) + carry;
                    carry = total >> 32;
                    total as u32
                });
                ProbeReport {
                    epoch: request.epoch ^ lane,
                    iterations: request.iterations,
                    noise: noise(request.epoch ^ lane, request.iterations),
                    opcode_row: wgsl::opcode_row(lane as u8),
                    static_gas: gas[lane as usize],
                    out_of_range: 0,
                    reserved: [0; 2],
                    sum,
                }
            })
            .collect()
    }

    /// Every fault that the self-test looks for, seeded into correct reports.
    #[test]
    fn each_fault_is_told_apart() {
        let request = ProbeRequest { iterations: 100, ..request() };
        let good = correct(&request);
        assert_eq!(check(&request, &good), Ok(()));
        let with = |change: fn(&mut ProbeReport)| {
            let mut reports = good.clone();
            change(&mut reports[200]);
            check(&request, &reports).expect_err("a fault")
        };
        assert_eq!(with(|r| r.epoch = 0), SelfTestError::Unfinished { lane: 200 });
        assert_eq!(with(|r| r.iterations = 65), SelfTestError::LoopCut { lane: 200, expected: 100, got: 65 });
        assert_eq!(with(|r| r.out_of_range = CANARY), SelfTestError::OutOfRange { lane: 200, got: CANARY });
        assert!(matches!(with(|r| r.sum[7] ^= 1), SelfTestError::Wrong { what: "256-bit sum", lane: 200, .. }));
        assert!(matches!(with(|r| r.static_gas += 1), SelfTestError::Wrong { what: "static gas", .. }));
        assert!(matches!(with(|r| r.opcode_row ^= 1), SelfTestError::Wrong { .. }));
        assert!(matches!(with(|r| r.noise ^= 1), SelfTestError::Wrong { .. }));
        assert_eq!(check(&request, &good[..255]), Err(SelfTestError::Unfinished { lane: 255 }));
    }
}
