// Generated from spec/ by `cargo xtask codegen`. Do not edit.

const R_STATUS: u32 = 0u;
const R_OP: u32 = 1u;
const R_REQUEST: u32 = 2u;
const R_REQUEST_ADDRESS: u32 = 3u;
const R_REQUEST_KEY: u32 = 8u;
const R_PACKED: u32 = 16u;
const R_ESCAPE: u32 = 17u;
const R_STEPS: u32 = 18u;
const R_DEPTH: u32 = 19u;
const R_REFUND: u32 = 20u;
const R_ACCOUNTS: u32 = 21u;
const R_SLOTS: u32 = 22u;
const R_UNDOS: u32 = 23u;
const R_LOG_CURSOR: u32 = 24u;
const R_LOGS: u32 = 25u;
const R_CODE_CURSOR: u32 = 26u;
const R_CHANGES: u32 = 27u;
const R_LOG_BYTES: u32 = 28u;
const R_RETURN_LEN: u32 = 29u;
const R_EXIT: u32 = 30u;
const R_EXIT_OFFSET: u32 = 31u;
const R_EXIT_LEN: u32 = 32u;
const R_ENVIRONMENT: u32 = 33u;
const R_TRANSACTION: u32 = 34u;
const R_FORK: u32 = 35u;
const R_SCHEDULE: u32 = 36u;
const R_TARGET: u32 = 37u;
const R_TARGET_ADDRESS: u32 = 38u;
const R_GIVEN: u32 = 43u;
const R_SENT: u32 = 45u;
const R_SCRATCH: u32 = 53u;
const R_PC: u32 = 62u;
const R_GAS: u32 = 63u;
const R_PARKED: u32 = 64u;
const R_BASE: u32 = 65u;
const R_MEMORY: u32 = 66u;
const R_MEMORY_LEN: u32 = 67u;
const R_CODE: u32 = 68u;
const R_CODE_LEN: u32 = 69u;
const R_STREAM: u32 = 70u;
const R_BITMAP: u32 = 71u;
const R_ACCOUNT: u32 = 72u;
const R_ADDRESS: u32 = 73u;
const R_CALLER: u32 = 78u;
const R_VALUE: u32 = 83u;
const R_INPUT_KIND: u32 = 91u;
const R_INPUT_BASE: u32 = 92u;
const R_INPUT_OFFSET: u32 = 93u;
const R_INPUT_LEN: u32 = 94u;
const R_FLAGS: u32 = 95u;
const R_OUTPUT_OFFSET: u32 = 96u;
const R_OUTPUT_LEN: u32 = 97u;
const R_UNDO_MARK: u32 = 98u;
const R_LOG_MARK: u32 = 99u;
const R_LOGS_MARK: u32 = 100u;
const R_REFUND_MARK: u32 = 101u;
const R_SP: u32 = 102u;
const R_SIZE: u32 = 103u;

const A_ADDRESS: u32 = 0u;
const A_FLAGS: u32 = 5u;
const A_NONCE: u32 = 6u;
const A_BALANCE: u32 = 8u;
const A_CODE_HASH: u32 = 16u;
const A_CODE: u32 = 24u;
const A_SIZE: u32 = 25u;

const S_TAG: u32 = 0u;
const S_ACCOUNT: u32 = 1u;
const S_WARM: u32 = 2u;
const S_KEY: u32 = 3u;
const S_VALUE: u32 = 11u;
const S_ORIGINAL: u32 = 19u;
const S_SIZE: u32 = 27u;

const U_KIND: u32 = 0u;
const U_OLD: u32 = 1u;
const U_SIZE: u32 = 10u;

const E_STATE: u32 = 0u;
const E_COMPLETE: u32 = 1u;
const E_FORK: u32 = 2u;
const E_SCHEDULE: u32 = 3u;
const E_ROWS: u32 = 4u;
const E_PRECOMPILES: u32 = 5u;
const E_P256: u32 = 6u;
const E_RESTRICTIONS: u32 = 7u;
const E_MOST_STEPS: u32 = 8u;
const E_MOST_MEMORY: u32 = 9u;
const E_MOST_DEPTH: u32 = 10u;
const E_MOST_CHANGES: u32 = 11u;
const E_MOST_LOG_BYTES: u32 = 12u;
const E_COINBASE: u32 = 13u;
const E_TIMESTAMP: u32 = 21u;
const E_NUMBER: u32 = 29u;
const E_PREVRANDAO: u32 = 37u;
const E_GASLIMIT: u32 = 45u;
const E_CHAINID: u32 = 53u;
const E_BASEFEE: u32 = 61u;
const E_BLOBBASEFEE: u32 = 69u;
const E_SLOTNUM: u32 = 77u;
const E_SIZE: u32 = 85u;

const T_ENVIRONMENT: u32 = 0u;
const T_CREATES: u32 = 1u;
const T_GAS: u32 = 2u;
const T_REFUND: u32 = 4u;
const T_ORIGIN: u32 = 5u;
const T_GASPRICE: u32 = 13u;
const T_VALUE: u32 = 21u;
const T_INPUT: u32 = 29u;
const T_INPUT_LEN: u32 = 30u;
const T_BLOBS: u32 = 31u;
const T_BLOB_COUNT: u32 = 32u;
const T_LIST_ADDRESSES: u32 = 33u;
const T_LIST_ADDRESS_COUNT: u32 = 34u;
const T_LIST_SLOTS: u32 = 35u;
const T_LIST_SLOT_COUNT: u32 = 36u;
const T_SEEDS: u32 = 37u;
const T_SEED_COUNT: u32 = 38u;
const T_TARGET: u32 = 39u;
const T_CODE: u32 = 40u;
const T_SIZE: u32 = 41u;

const B_STATE: u32 = 0u;
const B_ENTRY: u32 = 1u;
const B_SIZE: u32 = 26u;

const D_STATE: u32 = 0u;
const D_ADDRESS: u32 = 1u;
const D_KEY: u32 = 6u;
const D_VALUE: u32 = 14u;
const D_SIZE: u32 = 22u;

const C_LEN: u32 = 0u;
const C_STREAM: u32 = 1u;
const C_BYTES: u32 = 2u;
const C_BITMAP: u32 = 3u;
const C_DELEGATES: u32 = 4u;
const C_DELEGATE: u32 = 5u;
const C_SIZE: u32 = 10u;

const O_SIZE_WORDS: u32 = 0u;
const O_LANE: u32 = 1u;
const O_EPOCH: u32 = 2u;
const O_STATUS: u32 = 3u;
const O_DETAIL: u32 = 4u;
const O_GAS: u32 = 5u;
const O_REFUND: u32 = 7u;
const O_STEPS: u32 = 8u;
const O_ACCOUNTS: u32 = 9u;
const O_SLOTS: u32 = 10u;
const O_LOGS: u32 = 11u;
const O_LOG_WORDS: u32 = 12u;
const O_OUTPUT_LEN: u32 = 13u;
const O_CODE_WORDS: u32 = 14u;
const O_ADDRESS: u32 = 15u;
const O_KEY: u32 = 20u;
const O_SIZE: u32 = 28u;

const LANE_FREE: u32 = 0x0u;
const LANE_RUNNING: u32 = 0x1u;
const LANE_WAITING: u32 = 0x2u;
const LANE_ENDED: u32 = 0x3u;
const LANE_ESCAPED: u32 = 0x4u;

const QUEUE_STEP: u32 = 0x0u;
const QUEUE_ARITHMETIC: u32 = 0x1u;
const QUEUE_STATE: u32 = 0x2u;
const QUEUE_COPY: u32 = 0x3u;
const QUEUE_KECCAK: u32 = 0x4u;
const QUEUE_PRECOMPILE: u32 = 0x5u;
const QUEUE_FRAME: u32 = 0x6u;
const QUEUE_UNDEFINED: u32 = 0x7u;
const QUEUE_COUNT: u32 = 0x7u;

const DO_START: u32 = 0x100u;
const DO_EXIT: u32 = 0x101u;
const DO_CREATE_ADDRESS: u32 = 0x102u;
const DO_CREATE_START: u32 = 0x103u;
const DO_DEPOSIT_HASH: u32 = 0x104u;
const DO_DEPOSIT: u32 = 0x105u;
const DO_PRECOMPILE: u32 = 0x106u;
const DO_PRECOMPILE_DONE: u32 = 0x107u;

const NEED_ACCOUNT: u32 = 0x1u;
const NEED_SLOT: u32 = 0x2u;
const NEED_BLOCK_HASH: u32 = 0x3u;
const NEED_CODE: u32 = 0x4u;
const NEED_HAS_STORAGE: u32 = 0x5u;
const NEED_PRECOMPILE: u32 = 0x6u;

const ESCAPE_STACK: u32 = 0x1u;
const ESCAPE_MEMORY: u32 = 0x2u;
const ESCAPE_DEPTH: u32 = 0x3u;
const ESCAPE_ACCOUNTS: u32 = 0x4u;
const ESCAPE_SLOTS: u32 = 0x5u;
const ESCAPE_UNDO: u32 = 0x6u;
const ESCAPE_LOGS: u32 = 0x7u;
const ESCAPE_CODE: u32 = 0x8u;
const ESCAPE_RETURN_DATA: u32 = 0x9u;
const ESCAPE_REPORT: u32 = 0xau;
const ESCAPE_FORK: u32 = 0xbu;
const ESCAPE_OUT_OF_LANE: u32 = 0xcu;
const ESCAPE_RESTRICTED: u32 = 0xdu;
const ESCAPE_LONG: u32 = 0xeu;
const ESCAPE_GAS: u32 = 0xfu;

const FLAG_EXISTS: u32 = 0x1u;
const FLAG_WARM: u32 = 0x2u;
const FLAG_TOUCHED: u32 = 0x4u;
const FLAG_CREATED: u32 = 0x8u;
const FLAG_DESTROYED: u32 = 0x10u;
const FLAG_STORAGE_KNOWN: u32 = 0x20u;
const FLAG_HAS_STORAGE: u32 = 0x40u;

const FRAME_STATIC: u32 = 0x1u;
const FRAME_CREATES: u32 = 0x2u;

const RESTRICT_ANY: u32 = 0x1u;
const RESTRICT_VALUE: u32 = 0x2u;
const RESTRICT_CALLS: u32 = 0x4u;
const RESTRICT_PRECOMPILES: u32 = 0x8u;
const RESTRICT_DELEGATIONS: u32 = 0x10u;
const RESTRICT_EXCHANGE: u32 = 0x20u;

const UNDO_BALANCE: u32 = 0x1u;
const UNDO_NONCE: u32 = 0x2u;
const UNDO_CODE: u32 = 0x3u;
const UNDO_FLAGS: u32 = 0x4u;
const UNDO_SLOT: u32 = 0x5u;
const UNDO_SLOT_WARM: u32 = 0x6u;

const SOURCE_POOL: u32 = 0x0u;
const SOURCE_CODES: u32 = 0x1u;
const SOURCE_LANE: u32 = 0x2u;

const MAIL_START: u32 = 0x1u;
const MAIL_RETRY: u32 = 0x2u;
const MAIL_OUTPUT: u32 = 0x3u;
const MAIL_FAILURE: u32 = 0x4u;
const MAIL_FREE: u32 = 0x5u;

const CONTROL_SIDE: u32 = 0x10u;
const CONTROL_OUTBOX: u32 = 0x11u;
const CONTROL_REPORTS: u32 = 0x12u;
const CONTROL_ACTIVE: u32 = 0x13u;
const CONTROL_QUEUES: u32 = 0x20u;

const NO_CODE: u32 = 0x0u;
const UNKNOWN_CODE: u32 = 0x1u;
const LANE_CODE: u32 = 0x80000000u;
const TRANSIENT: u32 = 0x80000000u;
const DENIED: u32 = 0xf0000000u;
const EXCHANGE_LOW: u32 = 0x6c616e65u;
const EXCHANGE_HIGH: u32 = 0x69736fu;
const STREAM_PADDING: u32 = 0x22u;
const FRAME_FIRST: u32 = 0x3eu;
const FRAME_SIZE: u32 = 0x29u;

const G_BALANCE: u32 = 0u;
const G_EXT_CODE: u32 = 1u;
const G_EXT_CODE_HASH: u32 = 2u;
const G_SLOAD: u32 = 3u;
const G_CALL: u32 = 4u;
const G_SELF_DESTRUCT: u32 = 5u;
const G_COLD_ACCOUNT: u32 = 6u;
const G_COLD_BENEFICIARY: u32 = 7u;
const G_COLD_SLOT: u32 = 8u;
const G_EXP_BYTE: u32 = 9u;
const G_KECCAK_WORD: u32 = 10u;
const G_COPY_WORD: u32 = 11u;
const G_LOG_BYTE: u32 = 12u;
const G_MEMORY_WORD: u32 = 13u;
const G_CALL_VALUE: u32 = 14u;
const G_CALL_STIPEND: u32 = 15u;
const G_NEW_ACCOUNT: u32 = 16u;
const G_SELF_DESTRUCT_NEW_ACCOUNT: u32 = 17u;
const G_SELF_DESTRUCT_REFUND: u32 = 18u;
const G_CREATE: u32 = 19u;
const G_CODE_DEPOSIT_BYTE: u32 = 20u;
const G_CODE_DEPOSIT_WORD: u32 = 21u;
const G_INITCODE_WORD: u32 = 22u;
const G_SSTORE: u32 = 23u;
const G_SSTORE_REFUND: u32 = 32u;
const G_SSTORE_SENTRY: u32 = 41u;
const G_TRANSACTION: u32 = 42u;
const G_TRANSACTION_CREATE: u32 = 43u;
const G_DATA_ZERO: u32 = 44u;
const G_DATA_NONZERO: u32 = 45u;
const G_DATA_FLOOR_TOKEN: u32 = 46u;
const G_DATA_FLOOR_ZERO: u32 = 47u;
const G_ACCESS_LIST_ADDRESS_TOKENS: u32 = 48u;
const G_ACCESS_LIST_SLOT_TOKENS: u32 = 49u;
const G_ACCESS_LIST_ADDRESS: u32 = 50u;
const G_ACCESS_LIST_SLOT: u32 = 51u;
const G_AUTHORIZATION: u32 = 52u;
const G_AUTHORIZATION_REFUND: u32 = 53u;
const G_REFUND_QUOTIENT: u32 = 54u;
const G_MAX_CODE_SIZE: u32 = 55u;
const G_MAX_INITCODE_SIZE: u32 = 56u;
const G_TRANSACTION_GAS_CAP: u32 = 57u;
const G_STATE_BYTES_ACCOUNT: u32 = 58u;
const G_STATE_BYTES_SLOT: u32 = 59u;
const G_STATE_BYTES_DELEGATION: u32 = 60u;
const G_STATE_BYTES_CODE: u32 = 61u;

struct Params {
    lanes: u32,
    steps: u32,
    lane_words: u32,
    stack_slots: u32,
    frames: u32,
    frames_limit: u32,
    accounts: u32,
    accounts_limit: u32,
    slots: u32,
    slots_limit: u32,
    undos: u32,
    undos_limit: u32,
    logs: u32,
    logs_limit: u32,
    code: u32,
    code_limit: u32,
    memory: u32,
    memory_limit: u32,
    return_data: u32,
    return_limit: u32,
    mail: u32,
    account_table: u32,
    account_mask: u32,
    slot_table: u32,
    slot_mask: u32,
    outbox_words: u32,
    epoch: u32,
    limbs: u32,
}
