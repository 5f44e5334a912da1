// Hands the host's messages to the lanes and puts them into their queues.

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.lanes {
        return;
    }
    lane = id.x;
    escaped = 0u;
    // Any queue of this round may follow.
    let side = atomicLoad(&control[CONTROL_SIDE]);
    let at = pool[params.mail + lane];
    if at == 0u {
        return;
    }
    switch pool[at] {
        case MAIL_START: {
            // What the lane has no room for from the start must not run.
            if start(pool[at + 1u]) {
                put(QUEUE_FRAME, side);
            }
        }
        case MAIL_RETRY: {
            set_reg(R_STATUS, LANE_RUNNING);
            let op = reg(R_OP);
            var queue = QUEUE_FRAME;
            if op < 0x100u {
                queue = pool[pool[reg(R_ENVIRONMENT) + E_ROWS] + op] >> 29u;
            }
            put(queue, side);
        }
        case MAIL_OUTPUT: {
            set_reg(R_STATUS, LANE_RUNNING);
            set_reg(R_EXIT, STATUS_SUCCESS);
            set_reg(R_GIVEN, pool[at + 1u]);
            set_reg(R_GIVEN + 1u, pool[at + 2u]);
            return_bytes(Source(SOURCE_POOL, at + 4u, 0u, pool[at + 3u]));
            resume(side);
        }
        case MAIL_FAILURE: {
            set_reg(R_STATUS, LANE_RUNNING);
            set_reg(R_EXIT, pool[at + 1u]);
            resume(side);
        }
        default: { set_reg(R_STATUS, LANE_FREE); }
    }
}

fn resume(side: u32) {
    if escaped != 0u {
        set_reg(R_STATUS, LANE_ESCAPED);
        set_reg(R_ESCAPE, escaped);
        set_reg(R_PACKED, 0u);
        return;
    }
    set_reg(R_OP, DO_PRECOMPILE_DONE);
    put(QUEUE_FRAME, side);
}

// Readies a lane for a transaction. Returns whether it fits.
fn start(transaction: u32) -> bool {
    for (var i = 0u; i < opaque(R_SIZE); i += 1u) {
        set_reg(i, 0u);
    }
    let environment = pool[transaction + T_ENVIRONMENT];
    set_reg(R_STATUS, LANE_RUNNING);
    set_reg(R_OP, DO_START);
    set_reg(R_ENVIRONMENT, environment);
    set_reg(R_TRANSACTION, transaction);
    set_reg(R_FORK, pool[environment + E_FORK]);
    set_reg(R_SCHEDULE, pool[environment + E_SCHEDULE]);
    set_reg(R_REFUND, pool[transaction + T_REFUND]);
    let count = pool[transaction + T_SEED_COUNT];
    let seeds = pool[transaction + T_SEEDS];
    if count > params.accounts_limit {
        set_reg(R_STATUS, LANE_ESCAPED);
        set_reg(R_ESCAPE, ESCAPE_ACCOUNTS);
        return false;
    }
    set_reg(R_ACCOUNTS, count);
    for (var i = 0u; i < count * A_SIZE; i += 1u) {
        lane_store(params.accounts + i, pool[seeds + i]);
    }
    return true;
}
