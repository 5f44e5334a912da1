// Generated from spec/ by `cargo xtask codegen`. Do not edit.

// Nothing happens where the byte is no opcode of this kernel.
fn dispatch(opcode: u32) {
    switch opcode {
        case OP_DIV: { op_div(); }
        case OP_SDIV: { op_sdiv(); }
        case OP_MOD: { op_mod(); }
        case OP_SMOD: { op_smod(); }
        case OP_ADDMOD: { op_addmod(); }
        case OP_MULMOD: { op_mulmod(); }
        case OP_EXP: { op_exp(); }
        default: {}
    }
}
