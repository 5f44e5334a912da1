// The memory of the running frame. Frames lie one behind the other in the lane's memory area; it grows by words, which
// are zeroed then.

// More than the largest lane has; and what it costs fits 32 bits: 2^20 words cost 2^31 + 3 * 2^20 gas.
const MEMORY_REACH: u32 = 0x2000000u;

// A number as a place in memory: anything beyond reach counts as just that.
fn place(word: Word) -> u32 {
    if (word.lo.y | word.lo.z | word.lo.w | word.hi.x | word.hi.y | word.hi.z | word.hi.w) != 0u {
        return 0xffffffffu;
    }
    return word.lo.x;
}

// What that many words cost, for fewer than 2^20.
fn memory_cost(count: u32) -> u32 {
    return 3u * count + count * (count >> 9u) + (count * (count & 511u) >> 9u);
}

// Charges for memory up to the end of a range, without growing it. Returns the length that it must have, in bytes.
fn memory_charge(offset: u32, len: u32, current: u32) -> u32 {
    if len == 0u || is_stuck() {
        return current;
    }
    if offset > MEMORY_REACH || len > MEMORY_REACH || offset + len > MEMORY_REACH {
        // It costs 2^31 gas at least, and what no 32 bits hold more than 2^44. Where there may be as much, no lane has as much
        // memory.
        let beyond = max(offset, len) == 0xffffffffu;
        if select(gas >= PARKED_UNIT || parked != 0u, parked >= 1u << 12u, beyond) {
            escape(ESCAPE_MEMORY);
        }
        halt(HALT_OUT_OF_GAS);
        return current;
    }
    let end = (offset + len + 31u) & ~31u;
    if end <= current {
        return current;
    }
    charge(memory_cost(end >> 5u) - memory_cost(current >> 5u));
    let words_ = reg(R_MEMORY) + (end >> 2u);
    let allowed = environment(E_MOST_MEMORY);
    if halted == 0u && words_ > min(params.memory_limit, allowed) {
        escape(select(ESCAPE_MEMORY, ESCAPE_RESTRICTED, words_ > allowed));
    }
    return end;
}

// Makes the memory that long; it is paid for.
fn memory_grow(len: u32, current: u32) {
    if len <= current || is_stuck() {
        return;
    }
    let base = params.memory + reg(R_MEMORY);
    for (var i = current >> 2u; i < (len >> 2u); i += 1u) {
        lane_store(base + i, 0u);
    }
    set_reg(R_MEMORY_LEN, len);
}

// Charges for a range and makes it accessible.
fn memory_require(offset: u32, len: u32) {
    let current = reg(R_MEMORY_LEN);
    memory_grow(memory_charge(offset, len, current), current);
}

// The memory as a source of bytes.
fn memory_source(offset: u32, len: u32) -> Source {
    return Source(SOURCE_LANE, params.memory + reg(R_MEMORY), offset, len);
}

// The frame's input as a source of bytes.
fn input_source() -> Source {
    return Source(reg(R_INPUT_KIND), reg(R_INPUT_BASE), reg(R_INPUT_OFFSET), reg(R_INPUT_LEN));
}

// The return data as a source of bytes.
fn return_source() -> Source {
    return Source(SOURCE_LANE, params.return_data, 0u, reg(R_RETURN_LEN));
}

// Bytes of a code: of the codes, or created in this lane.
fn code_source(code: u32) -> Source {
    if code == NO_CODE || code == UNKNOWN_CODE {
        return Source(SOURCE_CODES, 0u, 0u, 0u);
    }
    if (code & LANE_CODE) != 0u {
        let at = params.code + (code ^ LANE_CODE);
        return Source(SOURCE_LANE, at + 1u, 0u, lane_load(at));
    }
    return Source(SOURCE_CODES, codes[code + C_BYTES], 0u, codes[code + C_LEN]);
}

fn code_len(code: u32) -> u32 {
    return code_source(code).len;
}

// The output of a frame goes to the return data.
fn return_bytes(source: Source) {
    if (source.len + 3u) / 4u > params.return_limit {
        escape(ESCAPE_RETURN_DATA);
        return;
    }
    write_bytes(params.return_data, 0u, source.len, source, 0u, false);
    set_reg(R_RETURN_LEN, source.len);
}
