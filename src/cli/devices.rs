//! `isolane devices`: the graphics adapters of this machine, and whether they compute what they should, now and before.

use super::{CliError, Exit};
use crate::gpu::refusal;
use comfy_table::{ContentArrangement, Table, presets};
use isolane_gpu::{Adapter, AdapterInfo, Refusal, SelfTest, SelfTestError, adapters};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

/// Version of the JSON lines.
pub const SCHEMA: &str = "isolane-devices/1";

/// `isolane devices`.
#[derive(Debug, clap::Args)]
pub struct DevicesArgs {
    /// Print one JSON object a line instead of the table.
    #[arg(long)]
    json: bool,
    /// Also run a known-answer kernel on every device; exit code 4 if one fails, or is refused because it computed wrongly before.
    #[arg(long)]
    self_test: bool,
    /// Seconds that a device has to finish the self-test.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    deadline: u64,
}

/// A device, and what is known of it.
struct Found {
    info: AdapterInfo,
    /// It computed wrongly in an earlier process.
    refused: Option<Refusal>,
    self_test: Option<Result<SelfTest, SelfTestError>>,
}

/// Lists the devices.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(arguments: &DevicesArgs) -> Result<Exit, CliError> {
    let deadline = Duration::from_secs(arguments.deadline);
    let test = |adapter: &Adapter| arguments.self_test.then(|| adapter.self_test(deadline));
    let devices: Vec<Found> = adapters()
        .iter()
        .map(|adapter| Found { info: adapter.info().clone(), refused: refusal(adapter), self_test: test(adapter) })
        .collect();
    let text = if arguments.json {
        devices.iter().map(|found| json_line(found) + "\n").collect()
    } else if devices.is_empty() {
        "no graphics device: everything runs on the CPU\n".to_owned()
    } else {
        table(&devices)
    };
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // A reader that has enough (`| head`) is no error.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            return Err(CliError::usage(format!("cannot write to standard output: {error}")));
        }
        _ => {}
    }
    let failed = arguments.self_test
        && devices.iter().any(|found| found.refused.is_some() || matches!(found.self_test, Some(Err(_))));
    Ok(if failed { Exit::Device } else { Exit::Match })
}

fn json_line(Found { info, refused, self_test }: &Found) -> String {
    let can = &info.capabilities;
    let refused =
        refused.as_ref().map(|refusal| json!({"reason": refusal.reason, "file": refusal.file.display().to_string()}));
    let self_test = match self_test {
        None => Value::Null,
        Some(Ok(passed)) => json!({
            "result": "passed", "lanes": passed.lanes, "seconds": passed.time.as_secs_f64(), "reason": null,
        }),
        Some(Err(error)) => json!({"result": "failed", "lanes": null, "seconds": null, "reason": error.to_string()}),
    };
    json!({
        "schema": SCHEMA,
        "index": info.index,
        "name": info.name,
        "backend": info.backend,
        "type": info.kind,
        "vendor": info.vendor,
        "device": info.device,
        "pciId": (!info.pci_id.is_empty()).then_some(&info.pci_id),
        "driver": info.driver,
        "driverInfo": info.driver_info,
        "storageBuffersPerStage": can.storage_buffers,
        "storageBindingBytes": can.storage_binding_size,
        "bufferBytes": can.buffer_size,
        "storageOffsetAlignment": can.storage_alignment,
        "workgroupMemoryBytes": can.workgroup_memory,
        "workgroupInvocations": can.workgroup_invocations,
        "workgroupsPerDimension": can.workgroups,
        "subgroupMinSize": can.subgroup_min,
        "subgroupMaxSize": can.subgroup_max,
        "int64": can.int64,
        "subgroups": can.subgroups,
        "pipelineCache": can.pipeline_cache,
        "timestamps": can.timestamps,
        "compute": can.compute,
        "refused": refused,
        "selfTest": self_test,
    })
    .to_string()
}

fn table(devices: &[Found]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["#", "device", "driver", "limits", "features"]);
    let mut verdicts = String::new();
    for Found { info, refused, self_test } in devices {
        let can = &info.capabilities;
        let pci = if info.pci_id.is_empty() { String::new() } else { format!("\nPCI {}", info.pci_id) };
        let limits = format!(
            "{} storage buffers of {}\n{} workgroup memory\n{} invocations a workgroup\nsubgroups of {}",
            can.storage_buffers,
            bytes(can.storage_binding_size),
            bytes(can.workgroup_memory.into()),
            can.workgroup_invocations,
            if can.subgroup_min == can.subgroup_max {
                can.subgroup_min.to_string()
            } else {
                format!("{} to {}", can.subgroup_min, can.subgroup_max)
            },
        );
        let features: Vec<&str> = [
            (can.compute, "compute"),
            (can.int64, "64-bit integers"),
            (can.subgroups, "subgroups"),
            (can.pipeline_cache, "pipeline cache"),
            (can.timestamps, "timestamps"),
        ]
        .into_iter()
        .filter_map(|(there, name)| there.then_some(name))
        .collect();
        table.add_row([
            info.index.to_string(),
            format!("{}\n{}, {}{pci}", info.name, info.backend, info.kind),
            format!("{}\n{}", info.driver, info.driver_info),
            limits,
            features.join("\n"),
        ]);
        // Writing to a String cannot fail.
        if let Some(refusal) = refused {
            let _ = writeln!(verdicts, "{}: REFUSED: {refusal}", info.index);
        }
        let _ = match self_test {
            None => Ok(()),
            Some(Ok(passed)) => writeln!(
                verdicts,
                "{}: self-test passed: {} lanes in {:.2} s, compilation included",
                info.index,
                passed.lanes,
                passed.time.as_secs_f64()
            ),
            Some(Err(error)) => writeln!(verdicts, "{}: self-test FAILED, do not use this device: {error}", info.index),
        };
    }
    format!("{table}\n{verdicts}")
}

/// Bytes in the largest binary unit that keeps a whole number.
fn bytes(count: u64) -> String {
    const UNITS: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    UNITS
        .into_iter()
        .find(|(_, shift)| count >> shift >= 1 && count.trailing_zeros() >= *shift)
        .map_or_else(|| format!("{count} B"), |(unit, shift)| format!("{} {unit}", count >> shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_whole_numbers() {
        assert_eq!(bytes(128 << 20), "128 MiB");
        assert_eq!(bytes(2 << 30), "2 GiB");
        assert_eq!(bytes(49_152), "48 KiB");
        assert_eq!(bytes((1 << 31) - 4), "2147483644 B");
    }

    /// The line is JSON with the schema, and says why a device failed.
    #[test]
    fn a_failed_device_says_why() {
        let info = AdapterInfo {
            index: 1,
            name: "a device".to_owned(),
            backend: "vulkan".to_owned(),
            kind: "discrete",
            vendor: 0x10de,
            device: 0x2335,
            pci_id: String::new(),
            driver: "a driver".to_owned(),
            driver_info: "1.2.3".to_owned(),
            capabilities: isolane_gpu::Capabilities {
                storage_buffers: 16,
                storage_binding_size: 1 << 31,
                buffer_size: 1 << 31,
                storage_alignment: 256,
                workgroup_memory: 48 << 10,
                workgroup_invocations: 1024,
                workgroups: 65_535,
                subgroup_min: 32,
                subgroup_max: 32,
                int64: true,
                subgroups: true,
                pipeline_cache: true,
                timestamps: true,
                compute: true,
            },
        };
        let error = SelfTestError::LoopCut { lane: 3, expected: 100_000, got: 65_535 };
        let refused = Some(Refusal { reason: "a wrong sum".to_owned(), file: "kernels/refused-1.txt".into() });
        let mut found = Found { info, refused, self_test: Some(Err(error)) };
        let line: Value = serde_json::from_str(&json_line(&found)).expect("JSON");
        assert_eq!(line["schema"], SCHEMA);
        assert_eq!(line["index"], 1);
        assert_eq!(line["pciId"], Value::Null);
        assert_eq!(line["selfTest"]["result"], "failed");
        assert!(line["selfTest"]["reason"].as_str().expect("a reason").contains("65535"));
        assert_eq!(line["refused"], json!({"reason": "a wrong sum", "file": "kernels/refused-1.txt"}));
        found.refused = None;
        let line: Value = serde_json::from_str(&json_line(&found)).expect("JSON");
        assert_eq!(line["refused"], Value::Null);
    }
}
