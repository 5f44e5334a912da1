// DIV to EXP but for MULMOD's cheap kin, which the step kernel does: ADD, SUB, MUL and SIGNEXTEND.

fn op_div() {
    replace(2u, word_div(operand(0u), operand(1u)));
}

fn op_sdiv() {
    replace(2u, word_sdiv(operand(0u), operand(1u)));
}

fn op_mod() {
    replace(2u, word_mod(operand(0u), operand(1u)));
}

fn op_smod() {
    replace(2u, word_smod(operand(0u), operand(1u)));
}

fn op_addmod() {
    replace(3u, word_addmod(operand(0u), operand(1u), operand(2u)));
}

fn op_mulmod() {
    replace(3u, word_mulmod(operand(0u), operand(1u), operand(2u)));
}

// Charges for each byte of the exponent (EIP-160).
fn op_exp() {
    let exponent = operand(1u);
    charge((word_bits(exponent) + 7u) / 8u * schedule(G_EXP_BYTE));
    if !is_stuck() {
        replace(2u, word_exp(operand(0u), exponent));
    }
}
