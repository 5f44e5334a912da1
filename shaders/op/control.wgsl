// STOP, RETURN, REVERT, INVALID and SELFDESTRUCT: the ends of a frame.

fn op_stop() {
    ends = true;
    status = STATUS_SUCCESS;
}

fn op_return() {
    ends = true;
    status = STATUS_SUCCESS;
    output_len = place(item(1u));
    output_at = select(place(item(0u)), 0u, output_len == 0u);
    reaches = range_end(output_at, output_len);
}

fn op_revert() {
    op_return();
    status = STATUS_REVERT;
}

fn op_invalid() {
    halt(HALT_INVALID_OPCODE);
}

fn op_selfdestruct() {
    if is_static() {
        halt(HALT_STATIC_VIOLATION);
    }
    ends = true;
    status = STATUS_SUCCESS;
    destructs = true;
    loads = true;
    address = address_of(item(0u));
    cold_price = schedule(G_COLD_BENEFICIARY);
}

// Sends the whole balance to the beneficiary and marks the account for removal: from Cancun on only if it came into
// being in this transaction (EIP-6780).
fn selfdestruct() {
    let owner = reg(R_ACCOUNT);
    let balance = account_balance(owner);
    let brings_value = fork < FORK_SPURIOUS_DRAGON || !word_is_zero(balance);
    if brings_value && is_new(account) {
        charge(schedule(G_SELF_DESTRUCT_NEW_ACCOUNT));
    }
    if is_stuck() {
        return;
    }
    warms = true;
    let flags = account_flags(owner);
    let removed = fork < FORK_CANCUN || (flags & FLAG_CREATED) != 0u;
    transfers = account != owner;
    payer = owner;
    recipient_ = account;
    amount = balance;
    if removed {
        if (flags & FLAG_DESTROYED) == 0u {
            set_reg(R_REFUND, reg(R_REFUND) + schedule(G_SELF_DESTRUCT_REFUND));
        }
        add_flags(owner, FLAG_EXISTS | FLAG_TOUCHED | FLAG_DESTROYED);
        // Ether sent to oneself goes with the account.
        burns = account == owner;
    }
}

// What a creation pays for the code that it leaves. False where the frame ends without storing any.
fn pay_deposit() -> bool {
    if fork >= FORK_LONDON && output_len > 0u && source_bytes(memory_source(output_at, output_len), 0u) >> 24u == 0xefu {
        halt(HALT_CODE_STARTS_WITH_EF);
        return false;
    }
    if output_len > schedule(G_MAX_CODE_SIZE) {
        halt(HALT_CODE_TOO_LARGE);
        return false;
    }
    let cost = output_len * schedule(G_CODE_DEPOSIT_BYTE);
    if gas < cost && parked == 0u && fork < FORK_HOMESTEAD {
        // Frontier keeps the account without code and the gas (EIP-2).
        output_len = 0u;
        return false;
    }
    charge(cost);
    return output_len > 0u && !is_stuck();
}
