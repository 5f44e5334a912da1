// AND to CLZ.

fn op_and() {
    binary(word_and(top, second));
}

fn op_or() {
    binary(word_or(top, second));
}

fn op_xor() {
    binary(word_xor(top, second));
}

fn op_not() {
    unary(word_not(top));
}

// The byte counted from the most significant one.
fn op_byte() {
    let index = place(top);
    if index < 32u {
        binary(word_byte(index, second));
    } else {
        binary(word_zero());
    }
}

fn op_shl() {
    let count = place(top);
    if count < 256u {
        binary(word_shl(second, count));
    } else {
        binary(word_zero());
    }
}

fn op_shr() {
    let count = place(top);
    if count < 256u {
        binary(word_shr(second, count));
    } else {
        binary(word_zero());
    }
}

// By 255 and by more gives the same: the sign in every bit.
fn op_sar() {
    binary(word_sar(second, min(place(top), 255u)));
}

fn op_clz() {
    unary(word_from_u32(word_clz(top)));
}
