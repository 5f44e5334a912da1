// Reports the lanes that wait for the host or have ended.

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.lanes {
        return;
    }
    lane = id.x;
    escaped = 0u;
    let status = reg(R_STATUS);
    if status < LANE_WAITING || reg(R_PACKED) != 0u {
        return;
    }
    let ended = status == LANE_ENDED;
    let request = reg(R_REQUEST);
    var output = Source(SOURCE_LANE, params.return_data, 0u, 0u);
    var detail = reg(R_ESCAPE);
    var given = join_gas(reg(R_GAS), reg(R_PARKED));
    var size = O_SIZE;
    let accounts = select(0u, reg(R_ACCOUNTS), ended);
    let slots = select(0u, reg(R_SLOTS), ended);
    let log_words = select(0u, reg(R_LOG_CURSOR), ended);
    let code_words = select(0u, reg(R_CODE_CURSOR), ended);
    if ended {
        detail = reg(R_EXIT);
        output = return_source();
    } else if status == LANE_WAITING {
        detail = request;
        if request == NEED_PRECOMPILE {
            given = vec2<u32>(reg(R_GIVEN), reg(R_GIVEN + 1u));
            output = memory_source(reg(R_SCRATCH), reg(R_SCRATCH + 1u));
        }
    }
    let output_words = (output.len + 3u) / 4u;
    size += accounts * A_SIZE + slots * S_SIZE + log_words + output_words + code_words;
    if size > params.outbox_words {
        set_reg(R_STATUS, LANE_ESCAPED);
        set_reg(R_ESCAPE, ESCAPE_REPORT);
        return;
    }
    let start = atomicAdd(&control[CONTROL_OUTBOX], size);
    if start > params.outbox_words - size {
        // The next exchange has room.
        return;
    }
    atomicAdd(&control[CONTROL_REPORTS], 1u);
    set_reg(R_PACKED, 1u);
    outbox[start + O_SIZE_WORDS] = size;
    outbox[start + O_LANE] = lane;
    outbox[start + O_EPOCH] = params.epoch;
    outbox[start + O_STATUS] = status;
    outbox[start + O_DETAIL] = detail;
    outbox[start + O_GAS] = given.x;
    outbox[start + O_GAS + 1u] = given.y;
    outbox[start + O_REFUND] = reg(R_REFUND);
    outbox[start + O_STEPS] = reg(R_STEPS);
    outbox[start + O_ACCOUNTS] = accounts;
    outbox[start + O_SLOTS] = slots;
    outbox[start + O_LOGS] = select(0u, reg(R_LOGS), ended);
    outbox[start + O_LOG_WORDS] = log_words;
    outbox[start + O_OUTPUT_LEN] = output.len;
    outbox[start + O_CODE_WORDS] = code_words;
    for (var i = 0u; i < opaque(13u); i += 1u) {
        outbox[start + O_ADDRESS + i] = reg(R_REQUEST_ADDRESS + i);
    }
    var at = start + O_SIZE;
    at = report(at, params.accounts, accounts * A_SIZE);
    at = report(at, params.slots, slots * S_SIZE);
    at = report(at, params.logs, log_words);
    for (var i = 0u; i < output_words; i += 1u) {
        outbox[at + i] = source_bytes(output, 4u * i);
    }
    _ = report(at + output_words, params.code, code_words);
}

fn report(to: u32, first_byte: u32, count: u32) -> u32 {
    for (var i = 0u; i < count; i += 1u) {
        outbox[to + i] = lane_load(first_byte + i);
    }
    return to + count;
}
