// SLOAD, SSTORE, TLOAD, TSTORE. The kernel has found the slot.

fn op_sload() {
    slot_warm(slot);
    taken = 1u;
    gives = true;
    result = slot_value(slot);
}

// The case of an SSTORE, as `sstore_case` of the gas schedule has it.
fn sstore_case(original: Word, current: Word, value: Word) -> u32 {
    if word_eq(current, value) {
        return 0u;
    }
    let original_zero = word_is_zero(original);
    let value_zero = word_is_zero(value);
    if word_eq(original, current) {
        if original_zero {
            return 1u;
        }
        return select(3u, 2u, value_zero);
    }
    if original_zero {
        return select(0u, 7u, value_zero);
    }
    let restores = word_eq(original, value);
    if word_is_zero(current) {
        return select(4u, 6u, restores);
    }
    if value_zero {
        return 5u;
    }
    return select(0u, 8u, restores);
}

fn op_sstore() {
    let current = slot_value(slot);
    let case_ = sstore_case(lane_load_word(slot_at(slot) + S_ORIGINAL), current, second);
    charge(schedule(G_SSTORE + case_));
    if is_stuck() {
        return;
    }
    // What a frame changed that is undone counts too.
    let changes = reg(R_CHANGES) + select(1u, 0u, word_eq(current, second));
    set_reg(R_CHANGES, changes);
    if changes > environment(E_MOST_CHANGES) {
        escape(ESCAPE_RESTRICTED);
    }
    slot_warm(slot);
    set_reg(R_REFUND, reg(R_REFUND) + schedule(G_SSTORE_REFUND + case_));
    slot_set(slot, second);
    taken = 2u;
}

// EIP-1153.
fn op_tload() {
    taken = 1u;
    gives = true;
    result = slot_value(slot);
}

fn op_tstore() {
    slot_set(slot, second);
    taken = 2u;
}
