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

/// The functions that may index what lanes share. All others go through them.
const ACCESSORS: [(&str, &[&str]); 4] = [
    ("words", &["lane_load", "lane_store"]),
    ("stacks", &["stack_load", "stack_store"]),
    ("control", &["take", "put", "enqueue", "main"]),
    ("outbox", &["main", "report"]),
];

#[test]
fn lane_memory_has_one_way_in() {
    for kernel in Kernel::ALL {
        let module = module(kernel);
        let named = |handle: naga::Handle<naga::GlobalVariable>| {
            module.global_variables[handle].name.clone().unwrap_or_default()
        };
        let entries = module.entry_points.iter().map(|entry| (entry.name.clone(), &entry.function));
        let functions = module.functions.iter().map(|(_, f)| (f.name.clone().unwrap_or_default(), f));
        for (name, function) in functions.chain(entries) {
            for (_, expression) in function.expressions.iter() {
                let naga::Expression::GlobalVariable(handle) = expression else { continue };
                let variable = named(*handle);
                if let Some((_, allowed)) = ACCESSORS.iter().find(|(shared, _)| *shared == variable) {
                    assert!(allowed.contains(&name.as_str()), "{}: {name} touches {variable}", kernel.name());
                }
            }
        }
    }
}
