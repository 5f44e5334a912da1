//! The generated WGSL is what the tables say, and every shader is valid.

use isolane_shaders::{
    BLAKE2F, DISPATCH_ARITHMETIC, DISPATCH_COPY, DISPATCH_FRAME, DISPATCH_STATE, DISPATCH_STEP, DIVISION, GAS,
    KECCAK_F, OPCODE, PARTS, RECORD, RIPEMD160, SHA256, STATUS, WORD, link, probe,
};
use isolane_spec::lane::{Field, ProbeReport, ProbeRequest, Record};
use isolane_spec::{gas::GasSchedule, opcode::OPCODES, wgsl};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use std::collections::BTreeSet;

fn validate(source: &str) -> naga::Module {
    let module =
        naga::front::wgsl::parse_str(source).unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    if let Err(error) = validator.validate(&module) {
        panic!("{}", error.emit_to_string(source));
    }
    module
}

#[test]
fn checked_in_files_are_fresh() {
    for (name, text) in wgsl::files() {
        let file = format!("generated/{name}");
        let part = PARTS.iter().find(|part| part.file == file).unwrap_or_else(|| panic!("no part links {file}"));
        assert!(part.text == text, "shaders/{file} is stale: run `cargo xtask codegen`");
    }
}

#[test]
fn the_self_test_is_valid() {
    let module = validate(&probe());
    assert_eq!(module.entry_points.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["probe"]);
}

/// The function libraries stand alone, together, and without anything that a device may lack.
#[test]
fn libraries_are_valid_and_have_no_bindings() {
    let libraries: [&[_]; 6] = [&[WORD], &[WORD, DIVISION], &[KECCAK_F], &[SHA256], &[RIPEMD160], &[BLAKE2F]];
    let all = [WORD, DIVISION, KECCAK_F, SHA256, RIPEMD160, BLAKE2F];
    for parts in libraries.into_iter().chain([&all[..]]) {
        let module = validate(&link(parts));
        assert_eq!(module.global_variables.len(), 0);
        assert_ne!(module.functions.len(), 0);
    }
}

/// The dispatch switch needs exactly one function per opcode name, the numbered ones with their number.
#[test]
fn dispatch_reaches_every_opcode() {
    let functions: BTreeSet<String> = OPCODES
        .iter()
        .map(|row| {
            let stem = row.name.trim_end_matches(|c: char| c.is_ascii_digit());
            match stem {
                "PUSH" if row.name != "PUSH0" => "fn op_push(n: u32) {}".to_owned(),
                "DUP" | "SWAP" | "LOG" => format!("fn op_{}(n: u32) {{}}", stem.to_lowercase()),
                _ => format!("fn op_{}() {{}}", row.name.to_lowercase()),
            }
        })
        .collect();
    let handlers: String = functions.iter().map(|function| format!("{function}\n")).collect();
    let mut cases = 0;
    for part in [DISPATCH_STEP, DISPATCH_ARITHMETIC, DISPATCH_STATE, DISPATCH_COPY, DISPATCH_FRAME] {
        let module = validate(&(link(&[OPCODE, part]) + &handlers));
        let dispatch =
            module.functions.iter().find(|(_, f)| f.name.as_deref() == Some("dispatch")).expect("dispatch").1;
        let here = dispatch.body.iter().find_map(|statement| match statement {
            naga::Statement::Switch { cases, .. } => Some(cases.len() - 1),
            _ => None,
        });
        cases += here.expect("a switch");
    }
    // KECCAK256 is the only opcode of its kernel, which needs no switch.
    assert_eq!(cases + 1, OPCODES.len(), "one case per opcode");
    // A handler that is left out does not link.
    let source = link(&[OPCODE, DISPATCH_STEP]) + &handlers;
    assert!(naga::front::wgsl::parse_str(&source.replace("fn op_add() {}", "")).is_err());
}

/// Offsets and sizes as naga computes them for a storage buffer.
fn same_layout<R: Record>(module: &naga::Module) {
    let (_, structure) = module.types.iter().find(|(_, t)| t.name.as_deref() == Some(R::NAME)).expect("the struct");
    let naga::TypeInner::Struct { members, span } = &structure.inner else { panic!("{} is no struct", R::NAME) };
    let fields: Vec<Field> = R::fields();
    assert_eq!(*span as usize, size_of::<R>(), "size of {}", R::NAME);
    assert_eq!(members.len(), fields.len());
    for (member, field) in members.iter().zip(fields) {
        assert_eq!(member.name.as_deref(), Some(field.name));
        assert_eq!(member.offset as usize, field.offset, "{}.{}", R::NAME, field.name);
        let size = module.types[member.ty].inner.size(module.to_ctx());
        assert_eq!(size as usize, field.size, "{}.{}", R::NAME, field.name);
    }
}

#[test]
fn records_have_the_same_layout_on_both_sides() {
    let module = validate(&probe());
    same_layout::<GasSchedule>(&module);
    same_layout::<ProbeRequest>(&module);
    same_layout::<ProbeReport>(&module);
}

#[test]
fn constants_are_named_once() {
    let binding = "@group(0) @binding(0) var<storage, read> gas_schedules: array<GasSchedule>;\n";
    let module = validate(&(link(&[OPCODE, GAS, STATUS, RECORD]) + binding));
    let count = |prefix: &str| {
        module.constants.iter().filter(|(_, c)| c.name.as_deref().is_some_and(|name| name.starts_with(prefix))).count()
    };
    assert_eq!(count("OP_"), OPCODES.len());
    assert_eq!(count("HALT_"), isolane_spec::lane::HALTS.len());
    assert_eq!(count("FORK_"), isolane_spec::Fork::ALL.len());
}
