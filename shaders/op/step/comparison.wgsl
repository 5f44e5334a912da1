// LT to ISZERO.

fn word_of_bool(value: bool) -> Word {
    return word_from_u32(select(0u, 1u, value));
}

fn op_lt() {
    binary(word_of_bool(word_lt(top, second)));
}

fn op_gt() {
    binary(word_of_bool(word_lt(second, top)));
}

fn op_slt() {
    binary(word_of_bool(word_slt(top, second)));
}

fn op_sgt() {
    binary(word_of_bool(word_slt(second, top)));
}

fn op_eq() {
    binary(word_of_bool(word_eq(top, second)));
}

fn op_iszero() {
    unary(word_of_bool(word_is_zero(top)));
}
