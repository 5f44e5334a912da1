// Frames: how one starts on top of another, and how it ends.

fn frame_at(depth: u32) -> u32 {
    return params.frames + depth * FRAME_SIZE;
}

fn is_static() -> bool {
    return (reg(R_FLAGS) & FRAME_STATIC) != 0u;
}

// Puts the registers of the caller back.
fn restore_frame(depth: u32) {
    set_reg(R_DEPTH, depth);
    let at = frame_at(depth);
    for (var i = 0u; i < opaque(FRAME_SIZE); i += 1u) {
        set_reg(FRAME_FIRST + i, lane_load(at + i));
    }
}

// What the first frame of the transaction and all others have in common. The registers of the caller are saved already
// where there is one.
fn enter(code: u32, recipient: u32, address: Address, caller: Address, value: Word, flags: u32, given: vec2<u32>) {
    set_reg(R_PC, 0u);
    set_reg(R_BASE, sp);
    set_reg(R_SP, sp);
    set_reg(R_MEMORY_LEN, 0u);
    set_reg(R_CODE, code);
    let source = code_source(code);
    set_reg(R_CODE_LEN, source.len);
    if source.kind == SOURCE_LANE {
        let map = source.base + (source.len + 3u) / 4u;
        set_reg(R_BITMAP, map);
        set_reg(R_STREAM, map + (source.len + 31u) / 32u);
    } else if source.len > 0u {
        set_reg(R_STREAM, codes[code + C_STREAM]);
        set_reg(R_BITMAP, codes[code + C_BITMAP]);
    } else {
        // The codes start with STOP.
        set_reg(R_STREAM, 0u);
        set_reg(R_BITMAP, 0u);
    }
    set_reg(R_ACCOUNT, recipient);
    set_reg_address(R_ADDRESS, address);
    set_reg_address(R_CALLER, caller);
    set_reg_word(R_VALUE, value);
    set_reg(R_FLAGS, flags);
    set_reg(R_RETURN_LEN, 0u);
    set_total_gas(given);
    next_queue = QUEUE_STEP;
    next_op = DO_START;
}

fn save_frame() -> bool {
    let depth = reg(R_DEPTH);
    if depth >= params.frames_limit {
        escape(ESCAPE_DEPTH);
        return false;
    }
    set_reg(R_GAS, gas);
    set_reg(R_PARKED, parked);
    set_reg(R_SP, sp);
    let at = frame_at(depth);
    for (var i = 0u; i < opaque(FRAME_SIZE); i += 1u) {
        lane_store(at + i, reg(FRAME_FIRST + i));
    }
    set_reg(R_DEPTH, depth + 1u);
    return true;
}

// Words that a code of `len` bytes takes in the lane's code area: its length, its bytes, its jump destinations, its
// instruction words.
fn code_size(len: u32) -> u32 {
    return 1u + (len + 3u) / 4u + (len + 31u) / 32u + len + STREAM_PADDING;
}

// Keeps initcode or deployed code whose bytes are in the lane's code area already: decodes it as the host decodes code,
// and finds its jump destinations. Returns the code.
fn keep_code(len: u32) -> u32 {
    let bytes = (len + 3u) / 4u;
    let bitmap = (len + 31u) / 32u;
    let cursor = reg(R_CODE_CURSOR);
    let at = params.code + cursor;
    lane_store(at, len);
    let source = Source(SOURCE_LANE, at + 1u, 0u, len);
    let map = at + 1u + bytes;
    let stream = map + bitmap;
    let rows = environment(E_ROWS);
    var bits = 0u;
    // Where the next instruction starts, and which word of the immediate comes before it.
    var next = 0u;
    var limb = 0u;
    for (var i = 0u; i < len + STREAM_PADDING; i += 1u) {
        var instruction = pool[rows + OP_STOP];
        if i < next {
            // A limb of the immediate, the least significant first. The topmost may have fewer than four bytes.
            let count = next - (i - limb);
            if 4u * limb < count {
                let here = min(4u, count - 4u * limb);
                instruction = source_bytes(source, next - 4u * limb - here) >> (32u - 8u * here);
            } else {
                instruction = 0u;
            }
            limb += 1u;
        } else if i < len {
            let byte = source_bytes(source, i) >> 24u;
            instruction = pool[rows + byte];
            next = i + 1u;
            limb = 0u;
            if byte == OP_JUMPDEST {
                bits |= 1u << (i & 31u);
            } else if byte >= OP_PUSH1 && byte <= OP_PUSH32 {
                next += byte - OP_PUSH1 + 1u;
            }
        }
        lane_store(stream + i, instruction);
        if i < len && ((i & 31u) == 31u || i == len - 1u) {
            lane_store(map + (i >> 5u), bits);
            bits = 0u;
        }
    }
    set_reg(R_CODE_CURSOR, cursor + code_size(len));
    return LANE_CODE | cursor;
}
