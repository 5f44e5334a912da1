// Generated from spec/ by `cargo xtask codegen`. Do not edit.

const PROBE_LANES: u32 = 256u;

struct ProbeRequest {
    epoch: u32,
    iterations: u32,
    fork: u32,
    reserved: u32,
    a: array<u32, 8>,
    b: array<u32, 8>,
}

struct ProbeReport {
    epoch: u32,
    iterations: u32,
    noise: u32,
    opcode_row: u32,
    static_gas: u32,
    out_of_range: u32,
    reserved: array<u32, 2>,
    sum: array<u32, 8>,
}
