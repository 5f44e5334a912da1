//! Emits the tables as WGSL: what the GPU knows about the EVM comes from the same rows that the CPU reads.
//!
//! `cargo xtask codegen` writes the files to `shaders/generated`; a test fails when they are stale.

use crate::fork::Fork;
use crate::gas::{GasClass, GasSchedule};
use crate::lane::{self, ProbeReport, ProbeRequest, Record, record};
use crate::layout::{CONSTANTS, LAYOUTS, NUMBERS, Params, queue, queue_of};
use crate::opcode::{BY_BYTE, Family, OPCODES, Opcode};
use bytemuck::Zeroable;
use std::fmt::{Debug, Write};

record!(GasSchedule {
    balance,
    ext_code,
    ext_code_hash,
    sload,
    call,
    self_destruct,
    cold_account,
    cold_beneficiary,
    cold_slot,
    exp_byte,
    keccak_word,
    copy_word,
    log_byte,
    memory_word,
    call_value,
    call_stipend,
    new_account,
    self_destruct_new_account,
    self_destruct_refund,
    create,
    code_deposit_byte,
    code_deposit_word,
    initcode_word,
    sstore,
    sstore_refund,
    sstore_sentry,
    transaction,
    transaction_create,
    data_zero,
    data_nonzero,
    data_floor_token,
    data_floor_zero,
    access_list_address_tokens,
    access_list_slot_tokens,
    access_list_address,
    access_list_slot,
    authorization,
    authorization_refund,
    refund_quotient,
    max_code_size,
    max_initcode_size,
    transaction_gas_cap,
    state_bytes_account,
    state_bytes_slot,
    state_bytes_delegation,
    state_bytes_code,
});

/// The generated files: name in `shaders/generated` and text.
#[must_use]
pub fn files() -> Vec<(&'static str, String)> {
    [
        ("opcode.wgsl", opcodes()),
        ("gas.wgsl", gas()),
        ("status.wgsl", statuses()),
        ("record.wgsl", records()),
        ("layout.wgsl", layouts()),
        ("dispatch/step.wgsl", dispatch(queue::STEP)),
        ("dispatch/arithmetic.wgsl", dispatch(queue::ARITHMETIC)),
        ("dispatch/state.wgsl", dispatch(queue::STATE)),
        ("dispatch/copy.wgsl", dispatch(queue::COPY)),
        ("dispatch/frame.wgsl", dispatch(queue::FRAME)),
    ]
    .map(|(name, text)| (name, format!("// Generated from spec/ by `cargo xtask codegen`. Do not edit.\n\n{text}")))
    .into()
}

/// The row of a byte as one word, as `opcode_*` of `opcode.wgsl` take it apart: pops (5 bits), pushes (5), immediate
/// (6), gas class (5), family (4), first fork (5), defined (1). Zero where there is no opcode.
#[must_use]
pub fn opcode_row(byte: u8) -> u32 {
    BY_BYTE[usize::from(byte)]
        .map_or(0, |row| LAYOUT.iter().fold(0, |word, (_, shift, _, get)| word | get(&row) << shift))
}

/// Name, first bit, number of bits and value of each part of [`opcode_row`].
type Part = (&'static str, u32, u32, fn(&Opcode) -> u32);
const LAYOUT: [Part; 7] = [
    ("pops", 0, 5, |row| row.pops as u32),
    ("pushes", 5, 5, |row| row.pushes as u32),
    ("immediate", 10, 6, |row| row.immediate as u32),
    ("gas_class", 16, 5, |row| row.gas as u32),
    ("family", 21, 4, |row| row.family as u32),
    ("since", 25, 5, |row| row.since as u32),
    ("defined", 30, 1, |_| 1),
];

fn opcodes() -> String {
    let mut text = String::new();
    for row in OPCODES {
        line(&mut text, format_args!("const OP_{}: u32 = {:#04x}u;", row.name, row.byte));
    }
    text.push('\n');
    for family in families() {
        line(&mut text, format_args!("const FAMILY_{}: u32 = {}u;", constant(family), family as u32));
    }
    text.push('\n');
    for fork in Fork::ALL {
        line(&mut text, format_args!("const FORK_{}: u32 = {}u;", constant(fork), fork as u32));
    }
    text.push_str("\n// One word per byte; the functions below take it apart.\nconst OPCODE_ROWS = array<u32, 256>(\n");
    let rows: Vec<String> = (0..=255).map(|byte| format!("{:#010x}u", opcode_row(byte))).collect();
    for chunk in rows.chunks(8) {
        line(&mut text, format_args!("    {},", chunk.join(", ")));
    }
    text.push_str(");\n");
    for (name, shift, bits, _) in LAYOUT {
        let function = format!("fn opcode_{name}(row: u32) -> u32 {{");
        line(&mut text, format_args!("\n{function}\n    return extractBits(row, {shift}u, {bits}u);\n}}"));
    }
    text
}

fn gas() -> String {
    let mut text = structure::<GasSchedule>();
    text.push('\n');
    let classes = classes();
    for class in &classes {
        line(&mut text, format_args!("const GAS_{}: u32 = {}u;", constant(class), *class as u32));
    }
    text.push_str(
        "\n// The static gas of a class. `gas_schedules` is the binding with one schedule per fork.\n\
         fn static_gas(fork: u32, gas_class: u32) -> u32 {\n    switch gas_class {\n",
    );
    for class in classes {
        let value = match field_of(class) {
            Some(field) => format!("gas_schedules[fork].{field}"),
            None => format!("{}u", GasSchedule::zeroed().class(class)),
        };
        line(&mut text, format_args!("        case GAS_{}: {{ return {value}; }}", constant(class)));
    }
    text.push_str("        default: { return 0u; }\n    }\n}\n");
    text
}

/// The field of the schedule that a class reads; `None` where the class is a constant. Asked of the schedule itself:
/// every field is given a number of its own, and the class answers with one of them or with its constant.
fn field_of(class: GasClass) -> Option<&'static str> {
    const MARK: u32 = 0x4000_0000;
    let mut marked = GasSchedule::zeroed();
    for (i, word) in
        bytemuck::cast_slice_mut::<GasSchedule, u32>(std::slice::from_mut(&mut marked)).iter_mut().enumerate()
    {
        *word = MARK + 4 * i as u32;
    }
    let offset = marked.class(class).checked_sub(MARK)?;
    GasSchedule::fields().into_iter().find(|field| field.offset == offset as usize).map(|field| field.name)
}

fn statuses() -> String {
    let mut text = String::new();
    for (name, value) in
        [("RUNNING", lane::RUNNING), ("SUCCESS", lane::SUCCESS), ("REVERT", lane::REVERT), ("HALT", lane::HALT)]
    {
        line(&mut text, format_args!("const STATUS_{name}: u32 = {value}u;"));
    }
    text.push_str("\n// Whole status words: STATUS_HALT with the code in the second byte.\n");
    for halt in lane::HALTS {
        let word = lane::HALT | lane::halt_code(halt) << 8;
        line(&mut text, format_args!("const HALT_{}: u32 = {word:#x}u;", constant(halt)));
    }
    text
}

fn records() -> String {
    let mut text = format!("const PROBE_LANES: u32 = {}u;\n\n", lane::PROBE_LANES);
    text.push_str(&structure::<ProbeRequest>());
    text.push('\n');
    text.push_str(&structure::<ProbeReport>());
    text
}

fn layouts() -> String {
    let mut text = String::new();
    for layout in LAYOUTS {
        for (name, offset, _) in layout.fields {
            line(&mut text, format_args!("const {}{name}: u32 = {offset}u;", layout.prefix));
        }
        line(&mut text, format_args!("const {}SIZE: u32 = {}u;\n", layout.prefix, layout.size));
    }
    for (prefix, numbers) in NUMBERS {
        for (name, value) in *numbers {
            line(&mut text, format_args!("const {prefix}{name}: u32 = {value:#x}u;"));
        }
        text.push('\n');
    }
    for (name, value) in CONSTANTS {
        line(&mut text, format_args!("const {name}: u32 = {value:#x}u;"));
    }
    text.push('\n');
    for field in GasSchedule::fields() {
        line(&mut text, format_args!("const G_{}: u32 = {}u;", field.name.to_uppercase(), field.offset / 4));
    }
    text.push('\n');
    text.push_str(&structure::<Params>());
    text
}

/// The switch of a kernel: it gives every opcode of its queue to the function of its name. Opcodes that differ only by a
/// number share a function and pass the number on.
fn dispatch(queue: u32) -> String {
    let mut text = String::from(
        "// Nothing happens where the byte is no opcode of this kernel.\nfn dispatch(opcode: u32) {\n    switch opcode {\n",
    );
    let numbered = [("PUSH", 1, 32), ("DUP", 1, 16), ("SWAP", 1, 16), ("LOG", 0, 4)];
    for row in OPCODES.iter().filter(|row| queue_of(row.byte) == queue) {
        let group = numbered.iter().find_map(|(stem, first, last)| {
            let number: u32 = row.name.strip_prefix(stem)?.parse().ok()?;
            (*first..=*last).contains(&number).then_some((*stem, number, *first, *last))
        });
        match group {
            None => {
                line(&mut text, format_args!("        case OP_{}: {{ op_{}(); }}", row.name, row.name.to_lowercase()))
            }
            Some((stem, number, first, last)) if number == first => {
                let cases: Vec<String> = (first..=last).map(|n| format!("OP_{stem}{n}")).collect();
                line(&mut text, format_args!("        case {}: {{", cases.join(", ")));
                let lower = stem.to_lowercase();
                line(
                    &mut text,
                    format_args!("            op_{lower}(opcode - OP_{stem}{first} + {first}u);\n        }}"),
                );
            }
            Some(_) => {}
        }
    }
    text.push_str("        default: {}\n    }\n}\n");
    text
}

fn structure<R: Record>() -> String {
    let mut text = format!("struct {} {{\n", R::NAME);
    for field in R::fields() {
        line(&mut text, format_args!("    {}: {},", field.name, field.wgsl));
    }
    text.push_str("}\n");
    text
}

fn classes() -> Vec<GasClass> {
    let mut classes: Vec<GasClass> = OPCODES.iter().map(|row| row.gas).collect();
    classes.sort_by_key(|class| *class as u32);
    classes.dedup();
    classes
}

fn families() -> Vec<Family> {
    let mut families: Vec<Family> = OPCODES.iter().map(|row| row.family).collect();
    families.sort_unstable();
    families.dedup();
    families
}

/// `StackUnderflow` -> `STACK_UNDERFLOW`; what follows a bracket is left out.
fn constant(variant: impl Debug) -> String {
    let name = format!("{variant:?}");
    let mut text = String::new();
    for c in name.chars().take_while(|c| c.is_alphanumeric()) {
        if c.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(c.to_ascii_uppercase());
    }
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{arguments}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WGSL lays words out one after another: so must Rust, without a gap or a field that the list forgot.
    fn has_no_gap<R: Record>() {
        let mut offset = 0;
        for field in R::fields() {
            assert_eq!(field.offset, offset, "{}.{}", R::NAME, field.name);
            offset += field.size;
        }
        assert_eq!(offset, size_of::<R>(), "{}: a field is missing from its list", R::NAME);
    }

    #[test]
    fn records_list_all_fields_in_order() {
        has_no_gap::<GasSchedule>();
        has_no_gap::<ProbeRequest>();
        has_no_gap::<ProbeReport>();
        has_no_gap::<Params>();
    }

    #[test]
    fn every_part_of_a_row_fits_its_bits() {
        for row in OPCODES {
            let word = opcode_row(row.byte);
            for (name, shift, bits, get) in LAYOUT {
                assert_eq!(word >> shift & ((1 << bits) - 1), get(row), "{name} of {}", row.name);
            }
        }
        assert_eq!(opcode_row(0x0c), 0);
    }

    #[test]
    fn classes_name_their_fields() {
        assert_eq!(field_of(GasClass::Sload), Some("sload"));
        assert_eq!(field_of(GasClass::Create), Some("create"));
        assert_eq!(field_of(GasClass::VeryLow), None);
        assert_eq!(constant(GasClass::BlockHash), "BLOCK_HASH");
        assert_eq!(constant(lane::HALTS[14]), "BUDGET_EXCEEDED");
    }
}
