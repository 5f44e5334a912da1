// Generated from spec/ by `cargo xtask codegen`. Do not edit.

const OP_STOP: u32 = 0x00u;
const OP_ADD: u32 = 0x01u;
const OP_MUL: u32 = 0x02u;
const OP_SUB: u32 = 0x03u;
const OP_DIV: u32 = 0x04u;
const OP_SDIV: u32 = 0x05u;
const OP_MOD: u32 = 0x06u;
const OP_SMOD: u32 = 0x07u;
const OP_ADDMOD: u32 = 0x08u;
const OP_MULMOD: u32 = 0x09u;
const OP_EXP: u32 = 0x0au;
const OP_SIGNEXTEND: u32 = 0x0bu;
const OP_LT: u32 = 0x10u;
const OP_GT: u32 = 0x11u;
const OP_SLT: u32 = 0x12u;
const OP_SGT: u32 = 0x13u;
const OP_EQ: u32 = 0x14u;
const OP_ISZERO: u32 = 0x15u;
const OP_AND: u32 = 0x16u;
const OP_OR: u32 = 0x17u;
const OP_XOR: u32 = 0x18u;
const OP_NOT: u32 = 0x19u;
const OP_BYTE: u32 = 0x1au;
const OP_SHL: u32 = 0x1bu;
const OP_SHR: u32 = 0x1cu;
const OP_SAR: u32 = 0x1du;
const OP_CLZ: u32 = 0x1eu;
const OP_KECCAK256: u32 = 0x20u;
const OP_ADDRESS: u32 = 0x30u;
const OP_BALANCE: u32 = 0x31u;
const OP_ORIGIN: u32 = 0x32u;
const OP_CALLER: u32 = 0x33u;
const OP_CALLVALUE: u32 = 0x34u;
const OP_CALLDATALOAD: u32 = 0x35u;
const OP_CALLDATASIZE: u32 = 0x36u;
const OP_CALLDATACOPY: u32 = 0x37u;
const OP_CODESIZE: u32 = 0x38u;
const OP_CODECOPY: u32 = 0x39u;
const OP_GASPRICE: u32 = 0x3au;
const OP_EXTCODESIZE: u32 = 0x3bu;
const OP_EXTCODECOPY: u32 = 0x3cu;
const OP_RETURNDATASIZE: u32 = 0x3du;
const OP_RETURNDATACOPY: u32 = 0x3eu;
const OP_EXTCODEHASH: u32 = 0x3fu;
const OP_BLOCKHASH: u32 = 0x40u;
const OP_COINBASE: u32 = 0x41u;
const OP_TIMESTAMP: u32 = 0x42u;
const OP_NUMBER: u32 = 0x43u;
const OP_PREVRANDAO: u32 = 0x44u;
const OP_GASLIMIT: u32 = 0x45u;
const OP_CHAINID: u32 = 0x46u;
const OP_SELFBALANCE: u32 = 0x47u;
const OP_BASEFEE: u32 = 0x48u;
const OP_BLOBHASH: u32 = 0x49u;
const OP_BLOBBASEFEE: u32 = 0x4au;
const OP_SLOTNUM: u32 = 0x4bu;
const OP_POP: u32 = 0x50u;
const OP_MLOAD: u32 = 0x51u;
const OP_MSTORE: u32 = 0x52u;
const OP_MSTORE8: u32 = 0x53u;
const OP_SLOAD: u32 = 0x54u;
const OP_SSTORE: u32 = 0x55u;
const OP_JUMP: u32 = 0x56u;
const OP_JUMPI: u32 = 0x57u;
const OP_PC: u32 = 0x58u;
const OP_MSIZE: u32 = 0x59u;
const OP_GAS: u32 = 0x5au;
const OP_JUMPDEST: u32 = 0x5bu;
const OP_TLOAD: u32 = 0x5cu;
const OP_TSTORE: u32 = 0x5du;
const OP_MCOPY: u32 = 0x5eu;
const OP_PUSH0: u32 = 0x5fu;
const OP_PUSH1: u32 = 0x60u;
const OP_PUSH2: u32 = 0x61u;
const OP_PUSH3: u32 = 0x62u;
const OP_PUSH4: u32 = 0x63u;
const OP_PUSH5: u32 = 0x64u;
const OP_PUSH6: u32 = 0x65u;
const OP_PUSH7: u32 = 0x66u;
const OP_PUSH8: u32 = 0x67u;
const OP_PUSH9: u32 = 0x68u;
const OP_PUSH10: u32 = 0x69u;
const OP_PUSH11: u32 = 0x6au;
const OP_PUSH12: u32 = 0x6bu;
const OP_PUSH13: u32 = 0x6cu;
const OP_PUSH14: u32 = 0x6du;
const OP_PUSH15: u32 = 0x6eu;
const OP_PUSH16: u32 = 0x6fu;
const OP_PUSH17: u32 = 0x70u;
const OP_PUSH18: u32 = 0x71u;
const OP_PUSH19: u32 = 0x72u;
const OP_PUSH20: u32 = 0x73u;
const OP_PUSH21: u32 = 0x74u;
const OP_PUSH22: u32 = 0x75u;
const OP_PUSH23: u32 = 0x76u;
const OP_PUSH24: u32 = 0x77u;
const OP_PUSH25: u32 = 0x78u;
const OP_PUSH26: u32 = 0x79u;
const OP_PUSH27: u32 = 0x7au;
const OP_PUSH28: u32 = 0x7bu;
const OP_PUSH29: u32 = 0x7cu;
const OP_PUSH30: u32 = 0x7du;
const OP_PUSH31: u32 = 0x7eu;
const OP_PUSH32: u32 = 0x7fu;
const OP_DUP1: u32 = 0x80u;
const OP_DUP2: u32 = 0x81u;
const OP_DUP3: u32 = 0x82u;
const OP_DUP4: u32 = 0x83u;
const OP_DUP5: u32 = 0x84u;
const OP_DUP6: u32 = 0x85u;
const OP_DUP7: u32 = 0x86u;
const OP_DUP8: u32 = 0x87u;
const OP_DUP9: u32 = 0x88u;
const OP_DUP10: u32 = 0x89u;
const OP_DUP11: u32 = 0x8au;
const OP_DUP12: u32 = 0x8bu;
const OP_DUP13: u32 = 0x8cu;
const OP_DUP14: u32 = 0x8du;
const OP_DUP15: u32 = 0x8eu;
const OP_DUP16: u32 = 0x8fu;
const OP_SWAP1: u32 = 0x90u;
const OP_SWAP2: u32 = 0x91u;
const OP_SWAP3: u32 = 0x92u;
const OP_SWAP4: u32 = 0x93u;
const OP_SWAP5: u32 = 0x94u;
const OP_SWAP6: u32 = 0x95u;
const OP_SWAP7: u32 = 0x96u;
const OP_SWAP8: u32 = 0x97u;
const OP_SWAP9: u32 = 0x98u;
const OP_SWAP10: u32 = 0x99u;
const OP_SWAP11: u32 = 0x9au;
const OP_SWAP12: u32 = 0x9bu;
const OP_SWAP13: u32 = 0x9cu;
const OP_SWAP14: u32 = 0x9du;
const OP_SWAP15: u32 = 0x9eu;
const OP_SWAP16: u32 = 0x9fu;
const OP_LOG0: u32 = 0xa0u;
const OP_LOG1: u32 = 0xa1u;
const OP_LOG2: u32 = 0xa2u;
const OP_LOG3: u32 = 0xa3u;
const OP_LOG4: u32 = 0xa4u;
const OP_DUPN: u32 = 0xe6u;
const OP_SWAPN: u32 = 0xe7u;
const OP_EXCHANGE: u32 = 0xe8u;
const OP_CREATE: u32 = 0xf0u;
const OP_CALL: u32 = 0xf1u;
const OP_CALLCODE: u32 = 0xf2u;
const OP_RETURN: u32 = 0xf3u;
const OP_DELEGATECALL: u32 = 0xf4u;
const OP_CREATE2: u32 = 0xf5u;
const OP_STATICCALL: u32 = 0xfau;
const OP_REVERT: u32 = 0xfdu;
const OP_INVALID: u32 = 0xfeu;
const OP_SELFDESTRUCT: u32 = 0xffu;

const FAMILY_ARITHMETIC: u32 = 0u;
const FAMILY_COMPARISON: u32 = 1u;
const FAMILY_BITWISE: u32 = 2u;
const FAMILY_KECCAK: u32 = 3u;
const FAMILY_ENVIRONMENT: u32 = 4u;
const FAMILY_BLOCK: u32 = 5u;
const FAMILY_STACK: u32 = 6u;
const FAMILY_MEMORY: u32 = 7u;
const FAMILY_STORAGE: u32 = 8u;
const FAMILY_CONTROL: u32 = 9u;
const FAMILY_LOG: u32 = 10u;
const FAMILY_CALL: u32 = 11u;
const FAMILY_CREATE: u32 = 12u;

const FORK_FRONTIER: u32 = 0u;
const FORK_HOMESTEAD: u32 = 1u;
const FORK_DAO: u32 = 2u;
const FORK_TANGERINE_WHISTLE: u32 = 3u;
const FORK_SPURIOUS_DRAGON: u32 = 4u;
const FORK_BYZANTIUM: u32 = 5u;
const FORK_CONSTANTINOPLE: u32 = 6u;
const FORK_PETERSBURG: u32 = 7u;
const FORK_ISTANBUL: u32 = 8u;
const FORK_MUIR_GLACIER: u32 = 9u;
const FORK_BERLIN: u32 = 10u;
const FORK_LONDON: u32 = 11u;
const FORK_ARROW_GLACIER: u32 = 12u;
const FORK_GRAY_GLACIER: u32 = 13u;
const FORK_PARIS: u32 = 14u;
const FORK_SHANGHAI: u32 = 15u;
const FORK_CANCUN: u32 = 16u;
const FORK_PRAGUE: u32 = 17u;
const FORK_OSAKA: u32 = 18u;
const FORK_BPO1: u32 = 19u;
const FORK_BPO2: u32 = 20u;
const FORK_BPO3: u32 = 21u;
const FORK_BPO4: u32 = 22u;
const FORK_BPO5: u32 = 23u;
const FORK_AMSTERDAM: u32 = 24u;

// One word per byte; the functions below take it apart.
const OPCODE_ROWS = array<u32, 256>(
    0x41200000u, 0x40030022u, 0x40040022u, 0x40030022u, 0x40040022u, 0x40040022u, 0x40040022u, 0x40040022u,
    0x40050023u, 0x40050023u, 0x40060022u, 0x40040022u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u,
    0x40230022u, 0x40230022u, 0x40230022u, 0x40230022u, 0x40230022u, 0x40230021u, 0x40430022u, 0x40430022u,
    0x40430022u, 0x40430021u, 0x40430022u, 0x4c430022u, 0x4c430022u, 0x4c430022u, 0x64440021u, 0x00000000u,
    0x40680022u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u,
    0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u,
    0x40820020u, 0x40890021u, 0x40820020u, 0x40820020u, 0x40820020u, 0x40830021u, 0x40820020u, 0x40830003u,
    0x40820020u, 0x40830003u, 0x40820020u, 0x408a0021u, 0x408a0004u, 0x4a820020u, 0x4a830003u, 0x4c8b0021u,
    0x40a70021u, 0x40a20020u, 0x40a20020u, 0x40a20020u, 0x40a20020u, 0x40a20020u, 0x50a20020u, 0x50a40020u,
    0x56a20020u, 0x60a30021u, 0x60a20020u, 0x70a20020u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u,
    0x40c20001u, 0x40e30021u, 0x40e30002u, 0x40e30002u, 0x410c0021u, 0x41000002u, 0x41250001u, 0x41260002u,
    0x41220020u, 0x40e20020u, 0x41220020u, 0x41210000u, 0x610d0021u, 0x610d0002u, 0x60e30003u, 0x5ec20020u,
    0x40c30420u, 0x40c30820u, 0x40c30c20u, 0x40c31020u, 0x40c31420u, 0x40c31820u, 0x40c31c20u, 0x40c32020u,
    0x40c32420u, 0x40c32820u, 0x40c32c20u, 0x40c33020u, 0x40c33420u, 0x40c33820u, 0x40c33c20u, 0x40c34020u,
    0x40c34420u, 0x40c34820u, 0x40c34c20u, 0x40c35020u, 0x40c35420u, 0x40c35820u, 0x40c35c20u, 0x40c36020u,
    0x40c36420u, 0x40c36820u, 0x40c36c20u, 0x40c37020u, 0x40c37420u, 0x40c37820u, 0x40c37c20u, 0x40c38020u,
    0x40c30041u, 0x40c30062u, 0x40c30083u, 0x40c300a4u, 0x40c300c5u, 0x40c300e6u, 0x40c30107u, 0x40c30128u,
    0x40c30149u, 0x40c3016au, 0x40c3018bu, 0x40c301acu, 0x40c301cdu, 0x40c301eeu, 0x40c3020fu, 0x40c30230u,
    0x40c30042u, 0x40c30063u, 0x40c30084u, 0x40c300a5u, 0x40c300c6u, 0x40c300e7u, 0x40c30108u, 0x40c30129u,
    0x40c3014au, 0x40c3016bu, 0x40c3018cu, 0x40c301adu, 0x40c301ceu, 0x40c301efu, 0x40c30210u, 0x40c30231u,
    0x41510002u, 0x41520003u, 0x41530004u, 0x41540005u, 0x41550006u, 0x00000000u, 0x00000000u, 0x00000000u,
    0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u,
    0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u,
    0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u,
    0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u,
    0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u,
    0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u,
    0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u,
    0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x70c30651u, 0x70c30652u,
    0x70c30463u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u,
    0x418f0023u, 0x416e0027u, 0x416e0027u, 0x41200002u, 0x436e0026u, 0x4d8f0024u, 0x00000000u, 0x00000000u,
    0x00000000u, 0x00000000u, 0x4b6e0026u, 0x00000000u, 0x00000000u, 0x4b200002u, 0x41200000u, 0x41300001u,
);

fn opcode_pops(row: u32) -> u32 {
    return extractBits(row, 0u, 5u);
}

fn opcode_pushes(row: u32) -> u32 {
    return extractBits(row, 5u, 5u);
}

fn opcode_immediate(row: u32) -> u32 {
    return extractBits(row, 10u, 6u);
}

fn opcode_gas_class(row: u32) -> u32 {
    return extractBits(row, 16u, 5u);
}

fn opcode_family(row: u32) -> u32 {
    return extractBits(row, 21u, 4u);
}

fn opcode_since(row: u32) -> u32 {
    return extractBits(row, 25u, 5u);
}

fn opcode_defined(row: u32) -> u32 {
    return extractBits(row, 30u, 1u);
}
