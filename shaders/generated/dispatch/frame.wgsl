// Generated from spec/ by `cargo xtask codegen`. Do not edit.

// Nothing happens where the byte is no opcode of this kernel.
fn dispatch(opcode: u32) {
    switch opcode {
        case OP_STOP: { op_stop(); }
        case OP_CREATE: { op_create(); }
        case OP_CALL: { op_call(); }
        case OP_CALLCODE: { op_callcode(); }
        case OP_RETURN: { op_return(); }
        case OP_DELEGATECALL: { op_delegatecall(); }
        case OP_CREATE2: { op_create2(); }
        case OP_STATICCALL: { op_staticcall(); }
        case OP_REVERT: { op_revert(); }
        case OP_INVALID: { op_invalid(); }
        case OP_SELFDESTRUCT: { op_selfdestruct(); }
        default: {}
    }
}
