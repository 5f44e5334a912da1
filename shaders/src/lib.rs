//! The WGSL of isolane and its linker: a shader is an ordered list of parts, put one after another. WGSL allows
//! declarations in any order, so a part only has to be there, once.

/// A piece of WGSL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its file, relative to `shaders/`.
    pub file: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        $($(#[$doc])* pub const $name: Part = Part { file: $file, text: include_str!(concat!("../", $file)) };)*
        /// All parts.
        pub const PARTS: &[Part] = &[$($name),*];
    };
}

parts! {
    /// Opcodes, families, forks and the opcode table.
    OPCODE = "generated/opcode.wgsl";
    /// The gas schedule and static gas. Needs a binding `gas_schedules`.
    GAS = "generated/gas.wgsl";
    /// Status words.
    STATUS = "generated/status.wgsl";
    /// Records that the host and the GPU exchange.
    RECORD = "generated/record.wgsl";
    /// The switch from opcode to function. Needs a function per opcode.
    DISPATCH = "generated/dispatch.wgsl";
    /// The self-test kernel.
    PROBE = "probe.wgsl";
    /// 256-bit words: what is cheap enough for a hot loop.
    WORD = "word/basic.wgsl";
    /// The division family and EXP. Needs [`WORD`].
    DIVISION = "word/division.wgsl";
    /// Keccak-f\[1600\].
    KECCAK_F = "keccak.wgsl";
    /// The compression function of SHA-256.
    SHA256 = "sha256.wgsl";
    /// The compression function of RIPEMD-160.
    RIPEMD160 = "ripemd160.wgsl";
    /// The compression function F of BLAKE2b.
    BLAKE2F = "blake2f.wgsl";
}

/// Puts parts one after another, each under the name of its file.
#[must_use]
pub fn link(parts: &[Part]) -> String {
    let mut text = String::with_capacity(parts.iter().map(|part| part.text.len() + part.file.len() + 8).sum());
    for part in parts {
        text.push_str("// ");
        text.push_str(part.file);
        text.push('\n');
        text.push_str(part.text);
        text.push('\n');
    }
    text
}

/// The self-test of a device, with entry point `probe`.
#[must_use]
pub fn probe() -> String {
    link(&[OPCODE, GAS, STATUS, RECORD, PROBE])
}
