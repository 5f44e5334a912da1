// The division family and EXP. They say which it is; the kernel computes it, in one place for all of them: compilers inline
// every function where it is called.

fn op_div() {
    kind = HEAVY_DIV;
}

fn op_sdiv() {
    kind = HEAVY_SDIV;
}

fn op_mod() {
    kind = HEAVY_MOD;
}

fn op_smod() {
    kind = HEAVY_SMOD;
}

fn op_addmod() {
    kind = HEAVY_ADDMOD;
    taken = 3u;
}

fn op_mulmod() {
    kind = HEAVY_MULMOD;
    taken = 3u;
}

// Charges for each byte of the exponent (EIP-160).
fn op_exp() {
    kind = HEAVY_EXP;
    charge((word_bits(operand(1u)) + 7u) / 8u * schedule(G_EXP_BYTE));
}
