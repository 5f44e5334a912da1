// The precompiles that run on the device; the others are a service of the host.

fn precompile() {
    let address = reg_address(R_TARGET_ADDRESS);
    let input = memory_source(reg(R_SCRATCH), reg(R_SCRATCH + 1u));
    let count = (input.len + 31u) / 32u;
    let given = reg(R_GIVEN);
    var cost: u32;
    switch address.lo.x {
        case 4u: { cost = 15u + 3u * count; }
        default: {
            set_reg_address(R_REQUEST_ADDRESS, address);
            needed = NEED_PRECOMPILE;
            return;
        }
    }
    next_queue = QUEUE_FRAME;
    next_op = DO_PRECOMPILE_DONE;
    if given < cost {
        set_reg(R_EXIT, HALT_OUT_OF_GAS);
        return;
    }
    set_reg(R_GIVEN, given - cost);
    set_reg(R_EXIT, STATUS_SUCCESS);
    return_bytes(input);
}
