// Generated from spec/ by `cargo xtask codegen`. Do not edit.

// Nothing happens where the byte is no opcode of this kernel.
fn dispatch(opcode: u32) {
    switch opcode {
        case OP_CALLDATACOPY: { op_calldatacopy(); }
        case OP_CODECOPY: { op_codecopy(); }
        case OP_RETURNDATACOPY: { op_returndatacopy(); }
        case OP_MCOPY: { op_mcopy(); }
        case OP_LOG0, OP_LOG1, OP_LOG2, OP_LOG3, OP_LOG4: {
            op_log(opcode - OP_LOG0 + 0u);
        }
        default: {}
    }
}
