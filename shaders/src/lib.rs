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
    /// Where a lane keeps what, and the parameters of the kernels.
    LAYOUT = "generated/layout.wgsl";
    /// The switch from opcode to function of each kernel. Needs a function per opcode.
    DISPATCH_STEP = "generated/dispatch/step.wgsl";
    /// Likewise.
    DISPATCH_ARITHMETIC = "generated/dispatch/arithmetic.wgsl";
    /// Likewise.
    DISPATCH_STATE = "generated/dispatch/state.wgsl";
    /// Likewise.
    DISPATCH_COPY = "generated/dispatch/copy.wgsl";
    /// Likewise.
    DISPATCH_FRAME = "generated/dispatch/frame.wgsl";
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
    /// What kernels are bound to.
    BINDING = "lane/binding.wgsl";
    /// The one way to the memory of a lane.
    ACCESS = "lane/access.wgsl";
    /// Queues of lanes.
    QUEUE = "lane/queue.wgsl";
    /// Gas, operands, halts, and the way on after a body.
    STATE = "lane/state.wgsl";
    /// The registers of a lane.
    REGISTERS = "lane/registers.wgsl";
    /// Likewise, taken out and put back at once.
    REGISTERS_CACHED = "lane/registers_cached.wgsl";
    /// Bytes in words.
    BYTES = "lane/bytes.wgsl";
    /// The memory of a frame.
    MEMORY = "lane/memory.wgsl";
    /// The price of copies.
    CHARGE_COPY = "lane/charge_copy.wgsl";
    /// Accounts and slots with undo.
    JOURNAL = "lane/journal.wgsl";
    /// Undoing them.
    UNDO = "lane/undo.wgsl";
    /// Frames.
    FRAME = "lane/frame.wgsl";
    /// Bodies of the step kernel.
    STEP_ARITHMETIC = "op/step/arithmetic.wgsl";
    /// Likewise.
    STEP_COMPARISON = "op/step/comparison.wgsl";
    /// Likewise.
    STEP_BITWISE = "op/step/bitwise.wgsl";
    /// Likewise.
    STEP_ENVIRONMENT = "op/step/environment.wgsl";
    /// Likewise.
    STEP_BLOCK = "op/step/block.wgsl";
    /// Likewise.
    STEP_STACK = "op/step/stack.wgsl";
    /// Likewise.
    STEP_MEMORY = "op/step/memory.wgsl";
    /// Likewise.
    STEP_CONTROL = "op/step/control.wgsl";
    /// Division and exponentiation.
    OP_ARITHMETIC = "op/arithmetic.wgsl";
    /// Storage.
    OP_STORAGE = "op/storage.wgsl";
    /// Other accounts, and block hashes.
    OP_ENVIRONMENT = "op/environment.wgsl";
    /// Copies.
    OP_COPY = "op/copy.wgsl";
    /// Logs.
    OP_LOG = "op/log.wgsl";
    /// Hashes.
    OP_KECCAK = "op/keccak.wgsl";
    /// Ends of frames.
    OP_CONTROL = "op/control.wgsl";
    /// Calls.
    OP_CALL = "op/call.wgsl";
    /// Creations.
    OP_CREATE = "op/create.wgsl";
    /// Precompiles.
    OP_PRECOMPILE = "op/precompile.wgsl";
    /// The interpreter's loop.
    KERNEL_STEP = "kernel/step.wgsl";
    /// One opcode a lane: division and exponentiation.
    KERNEL_ARITHMETIC = "kernel/arithmetic.wgsl";
    /// One opcode a lane: accounts and storage.
    KERNEL_STATE = "kernel/state.wgsl";
    /// One opcode a lane: copies and logs.
    KERNEL_COPY = "kernel/copy.wgsl";
    /// One hash a lane.
    KERNEL_KECCAK = "kernel/keccak.wgsl";
    /// One precompile a lane.
    KERNEL_PRECOMPILE = "kernel/precompile.wgsl";
    /// One start or end of a frame a lane.
    KERNEL_FRAME = "kernel/frame.wgsl";
    /// Ends a round.
    KERNEL_TURN = "kernel/turn.wgsl";
    /// Hands messages to lanes.
    KERNEL_MAIL = "kernel/mail.wgsl";
    /// Reports lanes to the host.
    KERNEL_PACK = "kernel/pack.wgsl";
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

/// What all kernels of the interpreter share.
const COMMON: [Part; 11] = [OPCODE, STATUS, LAYOUT, WORD, BINDING, ACCESS, QUEUE, STATE, BYTES, MEMORY, CHARGE_COPY];

/// A kernel of the interpreter. All have the entry point `main` and the same bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kernel {
    /// Hands messages to lanes.
    Mail,
    /// Runs the cheap opcodes.
    Step,
    /// Runs division and exponentiation.
    Arithmetic,
    /// Runs what reads accounts and storage.
    State,
    /// Runs copies and logs.
    Copy,
    /// Runs hashes.
    Keccak,
    /// Runs precompiles.
    Precompile,
    /// Starts and ends frames.
    Frame,
    /// Ends a round.
    Turn,
    /// Reports lanes to the host.
    Pack,
}

impl Kernel {
    /// All kernels.
    pub const ALL: [Self; 10] = [
        Self::Mail,
        Self::Step,
        Self::Arithmetic,
        Self::State,
        Self::Copy,
        Self::Keccak,
        Self::Precompile,
        Self::Frame,
        Self::Turn,
        Self::Pack,
    ];
    /// The kernels of a round in their order.
    pub const ROUND: [Self; 8] = [
        Self::Step,
        Self::Arithmetic,
        Self::State,
        Self::Copy,
        Self::Keccak,
        Self::Precompile,
        Self::Frame,
        Self::Turn,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Step => "step",
            Self::Arithmetic => "arithmetic",
            Self::State => "state",
            Self::Copy => "copy",
            Self::Keccak => "keccak",
            Self::Precompile => "precompile",
            Self::Frame => "frame",
            Self::Turn => "turn",
            Self::Pack => "pack",
        }
    }

    /// Its parts besides those that all kernels share.
    const fn parts(self) -> &'static [Part] {
        match self {
            Self::Mail => &[REGISTERS, KERNEL_MAIL],
            Self::Step => &[
                REGISTERS,
                DISPATCH_STEP,
                STEP_ARITHMETIC,
                STEP_COMPARISON,
                STEP_BITWISE,
                STEP_ENVIRONMENT,
                STEP_BLOCK,
                STEP_STACK,
                STEP_MEMORY,
                STEP_CONTROL,
                KERNEL_STEP,
            ],
            Self::Arithmetic => &[REGISTERS, DIVISION, DISPATCH_ARITHMETIC, OP_ARITHMETIC, KERNEL_ARITHMETIC],
            Self::State => &[REGISTERS, JOURNAL, DISPATCH_STATE, OP_STORAGE, OP_ENVIRONMENT, KERNEL_STATE],
            Self::Copy => &[REGISTERS, DISPATCH_COPY, OP_COPY, OP_LOG, KERNEL_COPY],
            Self::Keccak => &[REGISTERS, JOURNAL, KECCAK_F, OP_KECCAK, KERNEL_KECCAK],
            Self::Precompile => &[REGISTERS, SHA256, RIPEMD160, BLAKE2F, OP_PRECOMPILE, KERNEL_PRECOMPILE],
            Self::Frame => {
                &[REGISTERS_CACHED, JOURNAL, UNDO, FRAME, DISPATCH_FRAME, OP_CONTROL, OP_CALL, OP_CREATE, KERNEL_FRAME]
            }
            Self::Turn => &[REGISTERS, KERNEL_TURN],
            Self::Pack => &[REGISTERS, KERNEL_PACK],
        }
    }

    /// Its WGSL.
    #[must_use]
    pub fn source(self) -> String {
        link(&[&COMMON[..], self.parts()].concat())
    }
}
