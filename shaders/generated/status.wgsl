// Generated from spec/ by `cargo xtask codegen`. Do not edit.

const STATUS_RUNNING: u32 = 0u;
const STATUS_SUCCESS: u32 = 1u;
const STATUS_REVERT: u32 = 2u;
const STATUS_HALT: u32 = 3u;

// Whole status words: STATUS_HALT with the code in the second byte.
const HALT_OUT_OF_GAS: u32 = 0x103u;
const HALT_STACK_UNDERFLOW: u32 = 0x203u;
const HALT_STACK_OVERFLOW: u32 = 0x303u;
const HALT_INVALID_JUMP: u32 = 0x403u;
const HALT_INVALID_OPCODE: u32 = 0x503u;
const HALT_UNDEFINED_OPCODE: u32 = 0x603u;
const HALT_STATIC_VIOLATION: u32 = 0x703u;
const HALT_RETURN_DATA_OUT_OF_BOUNDS: u32 = 0x803u;
const HALT_CREATE_COLLISION: u32 = 0x903u;
const HALT_CODE_TOO_LARGE: u32 = 0xa03u;
const HALT_CODE_STARTS_WITH_EF: u32 = 0xb03u;
const HALT_INITCODE_TOO_LARGE: u32 = 0xc03u;
const HALT_PRECOMPILE_FAILURE: u32 = 0xd03u;
const HALT_CALL_REFUSED: u32 = 0xe03u;
const HALT_BUDGET_EXCEEDED: u32 = 0xf03u;
const HALT_DENIED: u32 = 0x1003u;
