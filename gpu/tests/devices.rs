//! The devices of this machine, whatever they are: the list comes without a panic, and a self-test ends with a verdict.

use isolane_gpu::{SelfTestError, adapters};
use std::time::Duration;

#[test]
fn every_device_gets_a_verdict() {
    let adapters = adapters();
    println!("{} adapters", adapters.len());
    // Set by `cargo xtask test` where a Vulkan driver is installed.
    if std::env::var_os("ISOLANE_EXPECT_DEVICE").is_some() {
        assert!(!adapters.is_empty(), "a Vulkan driver is installed, but wgpu finds no adapter");
    }
    for (index, adapter) in adapters.iter().enumerate() {
        let info = adapter.info();
        assert_eq!(info.index, index);
        assert!(!info.name.is_empty());
        match adapter.self_test(Duration::from_secs(60)) {
            Ok(passed) => println!("{} ({}): passed in {:?}", info.name, info.driver_info, passed.time),
            // Mesa before 23 is known to cut loops; the self-test is there to find such a driver.
            Err(error @ SelfTestError::LoopCut { .. }) => println!("{} ({}): {error}", info.name, info.driver_info),
            Err(error) => panic!("{} ({}): {error}", info.name, info.driver_info),
        }
    }
}

/// No time at all is a deadline that passed, not a hang and not a panic; the adapter still works afterwards.
#[test]
fn a_deadline_is_kept() {
    use isolane_gpu::DeviceError;
    for adapter in adapters() {
        let result = adapter.self_test(Duration::ZERO);
        assert!(
            matches!(result, Err(SelfTestError::Device(DeviceError::Deadline(_)))) || result.is_ok(),
            "{}: {result:?}",
            adapter.info().name
        );
    }
}
