// BALANCE, SELFBALANCE, EXTCODESIZE, EXTCODECOPY, EXTCODEHASH and BLOCKHASH: what reads accounts or asks the host. The
// kernel has found and paid for the account.

fn give(value: Word) {
    taken = 1u;
    gives = true;
    result = value;
}

fn op_balance() {
    give(account_balance(account));
}

fn op_selfbalance() {
    give(account_balance(account));
    taken = 0u;
}

fn op_extcodesize() {
    give(word_from_u32(code_len(account_code(account))));
}

// The hash of the account's code, 0 for a dead account (EIP-1052).
fn op_extcodehash() {
    give(word_zero());
    if !is_dead(account) {
        result = lane_load_word(account_at(account) + A_CODE_HASH);
    }
}

// Everything is paid for; the copy kernel does the rest.
fn op_extcodecopy() {
    set_reg(R_SCRATCH, account_code(account));
    next_queue = QUEUE_COPY;
    next_op = OP_EXTCODECOPY;
}

// The hash of one of the last 256 blocks; 0 for any other.
fn op_blockhash() {
    let current = pool_word(reg(R_ENVIRONMENT) + E_NUMBER);
    let distance = word_sub(current, top);
    give(word_zero());
    if word_lt(top, current) && word_lt(distance, word_from_u32(257u)) {
        let all_ones = Address(vec4<u32>(0xffffffffu), 0xffffffffu);
        let found = table_slot(state_key(), all_ones, top);
        if found == NO_INDEX {
            need(NEED_BLOCK_HASH, all_ones, top);
        } else {
            result = table_word(found + D_VALUE);
        }
    }
}
