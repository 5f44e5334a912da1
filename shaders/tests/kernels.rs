//! Every kernel is valid WGSL within WebGPU's limits, and lane memory is touched in one place only.

use isolane_shaders::Kernel;
use naga::valid::{Capabilities, ValidationFlags, Validator};

fn module(kernel: Kernel) -> naga::Module {
    let source = kernel.source();
    let module = naga::front::wgsl::parse_str(&source)
        .unwrap_or_else(|error| panic!("{}: {}", kernel.name(), error.emit_to_string(&source)));
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    if let Err(error) = validator.validate(&module) {
        panic!("{}: {}", kernel.name(), error.emit_to_string(&source));
    }
    module
}

#[test]
fn every_kernel_is_valid() {
    for kernel in Kernel::ALL {
        let module = module(kernel);
        assert_eq!(module.entry_points.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["main"]);
        let storage = module
            .global_variables
            .iter()
            .filter(|(_, variable)| matches!(variable.space, naga::AddressSpace::Storage { .. }))
            .count();
        assert!(storage <= 8, "{}: {storage} storage buffers", kernel.name());
    }
}
