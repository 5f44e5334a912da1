// CREATE and CREATE2.

fn op_create() {
    creates = OP_CREATE;
}

fn op_create2() {
    creates = OP_CREATE2;
}

// The operands, and what the creator pays besides memory.
fn create_operands() {
    if is_static() {
        halt(HALT_STATIC_VIOLATION);
    }
    amount = item(0u);
    let size = item(2u);
    input_len = place(size);
    if input_len > schedule(G_MAX_INITCODE_SIZE) {
        // A length that no memory can have is a matter of gas before it is one of size.
        let absurd = (size.lo.z | size.lo.w | size.hi.x | size.hi.y | size.hi.z | size.hi.w) != 0u || size.lo.y >= 32u;
        halt(select(HALT_INITCODE_TOO_LARGE, HALT_OUT_OF_GAS, absurd));
    }
    input_at = select(place(item(1u)), 0u, input_len == 0u);
    reaches = range_end(input_at, input_len);
    let price = schedule(G_INITCODE_WORD) + select(0u, schedule(G_KECCAK_WORD), creates == OP_CREATE2);
    charge((min(input_len, MEMORY_REACH) + 31u) / 32u * price);
}

// The address is hashed in a kernel of its own.
fn create() {
    if is_stuck() {
        return;
    }
    grows = true;
    // All but one 64th (EIP-150).
    let all = total_gas();
    given = select(all, all_but_one_64th(all), fork >= FORK_TANGERINE_WHISTLE);
    set_total_gas(sub64(all, given));
    sp -= select(3u, 4u, creates == OP_CREATE2);
    set_reg(R_RETURN_LEN, 0u);
    let own = reg(R_ACCOUNT);
    let at = account_at(own) + A_NONCE;
    let exhausted = (lane_load(at) & lane_load(at + 1u)) == 0xffffffffu;
    if exhausted || word_lt(account_balance(own), amount) || reg(R_DEPTH) >= 1024u {
        deliver(word_zero(), given);
        return;
    }
    set_reg(R_GIVEN, given.x);
    set_reg(R_GIVEN + 1u, given.y);
    set_reg_word(R_SENT, amount);
    set_reg(R_SCRATCH, input_at);
    set_reg(R_SCRATCH + 1u, input_len);
    set_reg(R_SCRATCH + 7u, creates);
    next_queue = QUEUE_KECCAK;
    next_op = DO_CREATE_ADDRESS;
}

// Whether creating there is a collision (EIP-684, EIP-7610).
fn collides(index: u32) -> bool {
    let at = account_at(index);
    if (lane_load(at + A_NONCE) | lane_load(at + A_NONCE + 1u)) != 0u
        || !word_eq(lane_load_word(at + A_CODE_HASH), KECCAK_EMPTY) {
        return true;
    }
    var flags = lane_load(at + A_FLAGS);
    if (flags & FLAG_EXISTS) == 0u {
        return false;
    }
    if (flags & FLAG_STORAGE_KNOWN) == 0u {
        let address_ = account_address(index);
        let found = table_account(state_key(), address_);
        if found == NO_INDEX || (tables[found + B_ENTRY + A_FLAGS] & FLAG_STORAGE_KNOWN) == 0u {
            need(NEED_HAS_STORAGE, address_, word_zero());
            return false;
        }
        flags |= tables[found + B_ENTRY + A_FLAGS] & (FLAG_STORAGE_KNOWN | FLAG_HAS_STORAGE);
        lane_store(at + A_FLAGS, flags);
    }
    var collision = (flags & FLAG_HAS_STORAGE) != 0u;
    let count = reg(R_SLOTS);
    for (var i = 0u; i < count; i += 1u) {
        if lane_load(slot_at(i) + S_ACCOUNT) == index && !word_is_zero(slot_value(i)) {
            collision = true;
        }
    }
    return collision;
}

// The creation itself, once its account is found.
fn create_start() {
    let collision = collides(account);
    if is_stuck() {
        return;
    }
    payer = reg(R_ACCOUNT);
    raises_nonce = true;
    warms = true;
    given = vec2<u32>(reg(R_GIVEN), reg(R_GIVEN + 1u));
    if collision {
        deliver(word_zero(), vec2<u32>());
        return;
    }
    keeps = true;
    kept_at = reg(R_SCRATCH);
    kept_len = reg(R_SCRATCH + 1u);
    amount = reg_word(R_SENT);
    frame_caller = reg_address(R_ADDRESS);
    enters = true;
    subject = account;
    frame_address = address;
    shown = amount;
    frame_flags = FRAME_CREATES;
    transfers = true;
    recipient_ = account;
    input_len = 0u;
    output_len = 0u;
}
