// The self-test of a device: what the interpreter needs, with answers that the host knows. One lane per opcode byte.
// The records are in generated/record.wgsl; the host's side is gpu/src/probe.rs.

@group(0) @binding(0) var<storage, read> request: ProbeRequest;
@group(0) @binding(1) var<storage, read> gas_schedules: array<GasSchedule>;
// A window into a larger buffer: the words around it must never be seen.
@group(0) @binding(2) var<storage, read> window: array<u32>;
@group(0) @binding(3) var<storage, read_write> reports: array<ProbeReport>;

// a + b + lane modulo 2^256, with the carries that every 256-bit operation relies on.
fn sum(lane: u32) -> array<u32, 8> {
    var limbs: array<u32, 8>;
    var carry = lane;
    for (var i = 0u; i < 8u; i++) {
        let partial = request.a[i] + request.b[i];
        let overflow = select(0u, 1u, partial < request.a[i]);
        let limb = partial + carry;
        carry = overflow + select(0u, 1u, limb < partial);
        limbs[i] = limb;
    }
    return limbs;
}

// Places just outside the window, far outside it, and where a byte offset of 32 bits wraps around.
fn outside(lane: u32) -> u32 {
    let length = arrayLength(&window);
    switch lane % 6u {
        case 0u: { return length; }
        case 1u: { return length + 1u + lane; }
        case 2u: { return 0x3fffffffu; }
        case 3u: { return 0x40000000u + length; }
        case 4u: { return 0x80000000u; }
        default: { return 0xffffffffu; }
    }
}

@compute @workgroup_size(64)
fn probe(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= PROBE_LANES {
        return;
    }

    // Some drivers end a loop in silence after 65,535 rounds. The noise keeps a compiler from replacing the loop.
    var iterations = 0u;
    var noise = request.epoch ^ lane;
    while iterations < request.iterations {
        noise = noise * 1664525u + 1013904223u;
        noise ^= noise >> 15u;
        iterations++;
    }

    let row = OPCODE_ROWS[lane];
    reports[lane].iterations = iterations;
    reports[lane].noise = noise;
    reports[lane].opcode_row = row;
    reports[lane].static_gas = select(0u, static_gas(request.fork, opcode_gas_class(row)), opcode_defined(row) == 1u);
    reports[lane].out_of_range = window[outside(lane)];
    reports[lane].sum = sum(lane);
    // Last: a lane that was cut short has no epoch.
    reports[lane].epoch = request.epoch ^ lane;
}
