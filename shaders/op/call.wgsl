// CALL, CALLCODE, DELEGATECALL, STATICCALL.

fn op_call() {
    calls = OP_CALL;
}

fn op_callcode() {
    calls = OP_CALLCODE;
}

fn op_delegatecall() {
    calls = OP_DELEGATECALL;
}

fn op_staticcall() {
    calls = OP_STATICCALL;
}

// The operands, and what is charged before the callee is read.
fn call_operands() {
    has_value = calls == OP_CALL || calls == OP_CALLCODE;
    on_callee = calls == OP_CALL || calls == OP_STATICCALL;
    loads = true;
    address = address_of(item(1u));
    amount = item(2u);
    if !has_value {
        amount = word_zero();
    }
    sends = !word_is_zero(amount);
    if sends && on_callee && is_static() {
        halt(HALT_STATIC_VIOLATION);
    }
    // Memory: both ranges at once, charged now and grown at the very end.
    let first = select(2u, 3u, has_value);
    input_len = place(item(first + 1u));
    input_at = select(place(item(first)), 0u, input_len == 0u);
    output_len = place(item(first + 3u));
    output_at = select(place(item(first + 2u)), 0u, output_len == 0u);
    reaches = max(range_end(input_at, input_len), range_end(output_at, output_len));
    cold_price = schedule(G_COLD_ACCOUNT);
    if sends {
        charge(schedule(G_CALL_VALUE));
    }
}

// What a frame may hand on of its gas (EIP-150).
fn all_but_one_64th(all: vec2<u32>) -> vec2<u32> {
    return sub64(all, vec2<u32>(all.x >> 6u | all.y << 26u, all.y >> 6u));
}

// The call itself, once the callee and the account of its code are found.
fn call() {
    // All but one 64th (EIP-150); before it, exactly what was asked for.
    let requested = item(0u);
    let all = total_gas();
    given = requested.lo.xy;
    if (requested.lo.z | requested.lo.w | requested.hi.x | requested.hi.y | requested.hi.z | requested.hi.w) != 0u {
        given = vec2<u32>(0xffffffffu);
    }
    if less64(all, given) && fork < FORK_TANGERINE_WHISTLE {
        halt(HALT_OUT_OF_GAS);
    }
    let most = all_but_one_64th(all);
    if less64(most, given) && fork >= FORK_TANGERINE_WHISTLE {
        given = most;
    }
    set_total_gas(sub64(all, given));
    let own = reg(R_ACCOUNT);
    let poor = has_value && word_lt(account_balance(own), amount);
    let refused = poor || reg(R_DEPTH) >= 1024u;
    let precompiled = !delegated && is_precompile(address);
    if is_stuck() {
        return;
    }
    // Nothing can fail any more.
    grows = true;
    sp -= select(6u, 7u, has_value);
    warms = true;
    if sends {
        given = add64(given, vec2<u32>(schedule(G_CALL_STIPEND), 0u));
    }
    set_reg(R_RETURN_LEN, 0u);
    if refused {
        deliver(word_zero(), given);
        return;
    }
    transfers = true;
    payer = own;
    recipient_ = select(own, account, on_callee);
    if calls != OP_CALL {
        // Only a touch.
        payer = recipient_;
    }
    if precompiled {
        set_reg(R_SCRATCH, input_at);
        set_reg(R_SCRATCH + 1u, input_len);
        set_reg(R_SCRATCH + 2u, output_at);
        set_reg(R_SCRATCH + 3u, output_len);
        set_reg(R_SCRATCH + 5u, refund_mark);
        // Rounds that BLAKE2F has done.
        set_reg(R_SCRATCH + 6u, 0u);
        set_reg_address(R_TARGET_ADDRESS, address);
        set_reg(R_GIVEN, given.x);
        set_reg(R_GIVEN + 1u, given.y);
        next_queue = QUEUE_PRECOMPILE;
        next_op = DO_PRECOMPILE;
    } else if code == NO_CODE {
        deliver(word_from_u32(1u), given);
    } else {
        enters = true;
        subject = recipient_;
        frame_address = reg_address(R_ADDRESS);
        frame_caller = frame_address;
        shown = amount;
        if on_callee {
            frame_address = address;
        }
        if calls == OP_DELEGATECALL {
            frame_caller = reg_address(R_CALLER);
            shown = reg_word(R_VALUE);
        }
        frame_flags = (reg(R_FLAGS) & FRAME_STATIC) | select(0u, FRAME_STATIC, calls == OP_STATICCALL);
    }
}

// A precompile is done: its output is in the return data, what is left of its gas in R_GIVEN, and how it ended in R_EXIT.
fn precompile_done() {
    if reg(R_EXIT) == STATUS_SUCCESS {
        writes_output = true;
        output_at = reg(R_SCRATCH + 2u);
        output_len = reg(R_SCRATCH + 3u);
        deliver(word_from_u32(1u), vec2<u32>(reg(R_GIVEN), reg(R_GIVEN + 1u)));
    } else {
        set_reg(R_RETURN_LEN, 0u);
        undoes = true;
        undo_mark = reg(R_SCRATCH + 4u);
        refund_mark = reg(R_SCRATCH + 5u);
        deliver(word_zero(), vec2<u32>());
    }
}
