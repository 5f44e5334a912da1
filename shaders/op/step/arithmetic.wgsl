// ADD, MUL, SUB and SIGNEXTEND.

fn op_add() {
    binary(word_add(top, second));
}

fn op_mul() {
    binary(word_mul(top, second));
}

fn op_sub() {
    binary(word_sub(top, second));
}

// Extends the sign of the number in the lowest `top + 1` bytes.
fn op_signextend() {
    let byte = place(top);
    if byte < 31u {
        binary(word_signextend(byte, second));
    } else {
        binary(second);
    }
}
