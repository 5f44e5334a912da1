// The precompiles that run on the device; the others are a service of the host.

const PRECOMPILE_SHA256: u32 = 2u;
const PRECOMPILE_RIPEMD160: u32 = 3u;
const PRECOMPILE_IDENTITY: u32 = 4u;
const PRECOMPILE_BLAKE2F: u32 = 9u;
// Bytes of the input of BLAKE2F.
const BLAKE2F_LEN: u32 = 213u;
// More rounds than this are done sooner on the host: they are one after another.
const BLAKE2F_MOST_ROUNDS: u32 = 0x40000u;

fn ask_host(address: Address) {
    set_reg_address(R_REQUEST_ADDRESS, address);
    needed = NEED_PRECOMPILE;
}

fn precompile() {
    let address = reg_address(R_TARGET_ADDRESS);
    let number = address.lo.x;
    let input = memory_source(reg(R_SCRATCH), reg(R_SCRATCH + 1u));
    let count = (input.len + 31u) / 32u;
    let given = vec2<u32>(reg(R_GIVEN), reg(R_GIVEN + 1u));
    let done = reg(R_SCRATCH + 6u);
    var cost = 0u;
    var fails = false;
    if number == PRECOMPILE_BLAKE2F && source_bytes(input, 0u) > BLAKE2F_MOST_ROUNDS {
        ask_host(address);
        return;
    }
    switch number {
        case PRECOMPILE_SHA256: { cost = 60u + 12u * count; }
        case PRECOMPILE_RIPEMD160: { cost = 600u + 120u * count; }
        case PRECOMPILE_IDENTITY: { cost = 15u + 3u * count; }
        case PRECOMPILE_BLAKE2F: {
            cost = source_bytes(input, 0u);
            fails = input.len != BLAKE2F_LEN || source_bytes(input, BLAKE2F_LEN - 1u) > 0x01000000u;
        }
        default: {
            ask_host(address);
            return;
        }
    }
    next_queue = QUEUE_FRAME;
    next_op = DO_PRECOMPILE_DONE;
    if fails || less64(given, vec2<u32>(cost, 0u)) {
        set_reg(R_EXIT, select(HALT_OUT_OF_GAS, HALT_PRECOMPILE_FAILURE, fails));
        return;
    }
    if number == PRECOMPILE_BLAKE2F {
        // No more rounds at once than instructions in the step kernel, so that it returns in time.
        let rounds = min(cost - done, params.steps);
        compress_blake2f(input, done, rounds, done + rounds == cost);
        if done + rounds < cost {
            set_reg(R_SCRATCH + 6u, done + rounds);
            next_queue = QUEUE_PRECOMPILE;
            next_op = DO_PRECOMPILE;
            return;
        }
    } else if number == PRECOMPILE_IDENTITY {
        return_bytes(input);
    } else {
        hash_blocks(input, number == PRECOMPILE_SHA256);
    }
    let left = sub64(given, vec2<u32>(cost, 0u));
    set_reg(R_GIVEN, left.x);
    set_reg(R_GIVEN + 1u, left.y);
    set_reg(R_EXIT, STATUS_SUCCESS);
}

// SHA-256 or RIPEMD-160. They differ in the compression, the order of bytes and the place of the length.
fn hash_blocks(input: Source, is_sha256: bool) {
    var sha256 = array<u32, 8>(
        0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au, 0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u,
    );
    var ripemd160 = array<u32, 5>(0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u);
    let blocks = (input.len + 72u) / 64u;
    for (var index = 0u; index < blocks; index += 1u) {
        var block: array<u32, 16>;
        for (var i = 0u; i < opaque(16u); i += 1u) {
            let at = 64u * index + 4u * i;
            var value = source_bytes(input, at);
            // A one bit after the last byte, and the number of bits at the very end.
            if at <= input.len && input.len - at < 4u {
                value |= 0x80000000u >> (8u * (input.len - at));
            }
            if !is_sha256 {
                value = swap_bytes(value);
            }
            if index == blocks - 1u && i >= 14u {
                value = select(input.len >> 29u, input.len << 3u, (i == 15u) == is_sha256);
            }
            block[i] = value;
        }
        if is_sha256 {
            sha256_compress(&sha256, &block);
        } else {
            ripemd160_compress(&ripemd160, &block);
        }
    }
    for (var i = 0u; i < opaque(8u); i += 1u) {
        var value = sha256[i];
        if !is_sha256 {
            value = select(swap_bytes(ripemd160[max(i, 3u) - 3u]), 0u, i < 3u);
        }
        lane_store(params.return_data + i, value);
    }
    set_reg(R_RETURN_LEN, 32u);
}

// A number of 64 bits, the least significant byte first.
fn little_endian(input: Source, at: u32) -> vec2<u32> {
    return vec2<u32>(swap_bytes(source_bytes(input, at)), swap_bytes(source_bytes(input, at + 4u)));
}

// Some rounds of BLAKE2F (EIP-152). The working state lies where the return data will be.
fn compress_blake2f(input: Source, first: u32, rounds: u32, is_last: bool) {
    var h: array<vec2<u32>, 8>;
    var m: array<vec2<u32>, 16>;
    for (var i = 0u; i < opaque(8u); i += 1u) {
        h[i] = little_endian(input, 4u + 8u * i);
    }
    for (var i = 0u; i < opaque(16u); i += 1u) {
        m[i] = little_endian(input, 68u + 8u * i);
    }
    var v: array<vec2<u32>, 16>;
    if first == 0u {
        let t = vec4<u32>(little_endian(input, 196u), little_endian(input, 204u));
        v = blake2f_start(&h, t, source_bytes(input, BLAKE2F_LEN - 1u) != 0u);
    } else {
        for (var i = 0u; i < opaque(16u); i += 1u) {
            v[i] = vec2<u32>(lane_load(params.return_data + 2u * i), lane_load(params.return_data + 2u * i + 1u));
        }
    }
    blake2f_rounds(&v, &m, first, rounds);
    if is_last {
        blake2f_end(&h, &v);
        for (var i = 0u; i < opaque(8u); i += 1u) {
            lane_store(params.return_data + 2u * i, swap_bytes(h[i].x));
            lane_store(params.return_data + 2u * i + 1u, swap_bytes(h[i].y));
        }
        set_reg(R_RETURN_LEN, 64u);
        return;
    }
    for (var i = 0u; i < opaque(16u); i += 1u) {
        lane_store(params.return_data + 2u * i, v[i].x);
        lane_store(params.return_data + 2u * i + 1u, v[i].y);
    }
}
