// CALLDATACOPY, CODECOPY, EXTCODECOPY, RETURNDATACOPY and MCOPY: they say what is to be copied; the kernel does it.

fn op_calldatacopy() {
    copy_of(input_source());
}

fn op_codecopy() {
    copy_of(code_source(reg(R_CODE)));
}

// Unlike the other copies it halts beyond the end (EIP-211).
fn op_returndatacopy() {
    let have = reg(R_RETURN_LEN);
    let first_byte_ = place(operand(1u));
    let len = place(operand(2u));
    if first_byte_ > have || len > have - first_byte_ {
        halt(HALT_RETURN_DATA_OUT_OF_BOUNDS);
    }
    copy_of(return_source());
}

// EIP-5656.
fn op_mcopy() {
    copy_of(Source(SOURCE_LANE, params.memory + reg(R_MEMORY), 0u, 0u));
    is_mcopy = true;
}

fn copy_of(source_: Source) {
    source = source_;
    taken = 3u;
}
