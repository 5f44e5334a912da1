// Generated from spec/ by `cargo xtask codegen`. Do not edit.

// Nothing happens where the byte is no opcode of this kernel.
fn dispatch(opcode: u32) {
    switch opcode {
        case OP_ADD: { op_add(); }
        case OP_MUL: { op_mul(); }
        case OP_SUB: { op_sub(); }
        case OP_SIGNEXTEND: { op_signextend(); }
        case OP_LT: { op_lt(); }
        case OP_GT: { op_gt(); }
        case OP_SLT: { op_slt(); }
        case OP_SGT: { op_sgt(); }
        case OP_EQ: { op_eq(); }
        case OP_ISZERO: { op_iszero(); }
        case OP_AND: { op_and(); }
        case OP_OR: { op_or(); }
        case OP_XOR: { op_xor(); }
        case OP_NOT: { op_not(); }
        case OP_BYTE: { op_byte(); }
        case OP_SHL: { op_shl(); }
        case OP_SHR: { op_shr(); }
        case OP_SAR: { op_sar(); }
        case OP_CLZ: { op_clz(); }
        case OP_ADDRESS: { op_address(); }
        case OP_ORIGIN: { op_origin(); }
        case OP_CALLER: { op_caller(); }
        case OP_CALLVALUE: { op_callvalue(); }
        case OP_CALLDATALOAD: { op_calldataload(); }
        case OP_CALLDATASIZE: { op_calldatasize(); }
        case OP_CODESIZE: { op_codesize(); }
        case OP_GASPRICE: { op_gasprice(); }
        case OP_RETURNDATASIZE: { op_returndatasize(); }
        case OP_COINBASE: { op_coinbase(); }
        case OP_TIMESTAMP: { op_timestamp(); }
        case OP_NUMBER: { op_number(); }
        case OP_PREVRANDAO: { op_prevrandao(); }
        case OP_GASLIMIT: { op_gaslimit(); }
        case OP_CHAINID: { op_chainid(); }
        case OP_BASEFEE: { op_basefee(); }
        case OP_BLOBHASH: { op_blobhash(); }
        case OP_BLOBBASEFEE: { op_blobbasefee(); }
        case OP_SLOTNUM: { op_slotnum(); }
        case OP_POP: { op_pop(); }
        case OP_MLOAD: { op_mload(); }
        case OP_MSTORE: { op_mstore(); }
        case OP_MSTORE8: { op_mstore8(); }
        case OP_JUMP: { op_jump(); }
        case OP_JUMPI: { op_jumpi(); }
        case OP_PC: { op_pc(); }
        case OP_MSIZE: { op_msize(); }
        case OP_GAS: { op_gas(); }
        case OP_JUMPDEST: { op_jumpdest(); }
        case OP_PUSH0: { op_push0(); }
        case OP_PUSH1, OP_PUSH2, OP_PUSH3, OP_PUSH4, OP_PUSH5, OP_PUSH6, OP_PUSH7, OP_PUSH8, OP_PUSH9, OP_PUSH10, OP_PUSH11, OP_PUSH12, OP_PUSH13, OP_PUSH14, OP_PUSH15, OP_PUSH16, OP_PUSH17, OP_PUSH18, OP_PUSH19, OP_PUSH20, OP_PUSH21, OP_PUSH22, OP_PUSH23, OP_PUSH24, OP_PUSH25, OP_PUSH26, OP_PUSH27, OP_PUSH28, OP_PUSH29, OP_PUSH30, OP_PUSH31, OP_PUSH32: {
            op_push(opcode - OP_PUSH1 + 1u);
        }
        case OP_DUP1, OP_DUP2, OP_DUP3, OP_DUP4, OP_DUP5, OP_DUP6, OP_DUP7, OP_DUP8, OP_DUP9, OP_DUP10, OP_DUP11, OP_DUP12, OP_DUP13, OP_DUP14, OP_DUP15, OP_DUP16: {
            op_dup(opcode - OP_DUP1 + 1u);
        }
        case OP_SWAP1, OP_SWAP2, OP_SWAP3, OP_SWAP4, OP_SWAP5, OP_SWAP6, OP_SWAP7, OP_SWAP8, OP_SWAP9, OP_SWAP10, OP_SWAP11, OP_SWAP12, OP_SWAP13, OP_SWAP14, OP_SWAP15, OP_SWAP16: {
            op_swap(opcode - OP_SWAP1 + 1u);
        }
        case OP_DUPN: { op_dupn(); }
        case OP_SWAPN: { op_swapn(); }
        case OP_EXCHANGE: { op_exchange(); }
        default: {}
    }
}
