// Generated from spec/ by `cargo xtask codegen`. Do not edit.

// Nothing happens where the byte is no opcode of this kernel.
fn dispatch(opcode: u32) {
    switch opcode {
        case OP_BALANCE: { op_balance(); }
        case OP_EXTCODESIZE: { op_extcodesize(); }
        case OP_EXTCODECOPY: { op_extcodecopy(); }
        case OP_EXTCODEHASH: { op_extcodehash(); }
        case OP_BLOCKHASH: { op_blockhash(); }
        case OP_SELFBALANCE: { op_selfbalance(); }
        case OP_SLOAD: { op_sload(); }
        case OP_SSTORE: { op_sstore(); }
        case OP_TLOAD: { op_tload(); }
        case OP_TSTORE: { op_tstore(); }
        default: {}
    }
}
