// Generated from spec/ by `cargo xtask codegen`. Do not edit.

struct GasSchedule {
    balance: u32,
    ext_code: u32,
    ext_code_hash: u32,
    sload: u32,
    call: u32,
    self_destruct: u32,
    cold_account: u32,
    cold_beneficiary: u32,
    cold_slot: u32,
    exp_byte: u32,
    keccak_word: u32,
    copy_word: u32,
    log_byte: u32,
    memory_word: u32,
    call_value: u32,
    call_stipend: u32,
    new_account: u32,
    self_destruct_new_account: u32,
    self_destruct_refund: u32,
    create: u32,
    code_deposit_byte: u32,
    code_deposit_word: u32,
    initcode_word: u32,
    sstore: array<u32, 9>,
    sstore_refund: array<i32, 9>,
    sstore_sentry: u32,
    transaction: u32,
    transaction_create: u32,
    data_zero: u32,
    data_nonzero: u32,
    data_floor_token: u32,
    data_floor_zero: u32,
    access_list_address_tokens: u32,
    access_list_slot_tokens: u32,
    access_list_address: u32,
    access_list_slot: u32,
    authorization: u32,
    authorization_refund: u32,
    refund_quotient: u32,
    max_code_size: u32,
    max_initcode_size: u32,
    transaction_gas_cap: u32,
    state_bytes_account: u32,
    state_bytes_slot: u32,
    state_bytes_delegation: u32,
    state_bytes_code: u32,
}

const GAS_ZERO: u32 = 0u;
const GAS_JUMP_DEST: u32 = 1u;
const GAS_BASE: u32 = 2u;
const GAS_VERY_LOW: u32 = 3u;
const GAS_LOW: u32 = 4u;
const GAS_MID: u32 = 5u;
const GAS_HIGH: u32 = 6u;
const GAS_BLOCK_HASH: u32 = 7u;
const GAS_KECCAK: u32 = 8u;
const GAS_BALANCE: u32 = 9u;
const GAS_EXT_CODE: u32 = 10u;
const GAS_EXT_CODE_HASH: u32 = 11u;
const GAS_SLOAD: u32 = 12u;
const GAS_WARM_ACCESS: u32 = 13u;
const GAS_CALL: u32 = 14u;
const GAS_CREATE: u32 = 15u;
const GAS_SELF_DESTRUCT: u32 = 16u;
const GAS_LOG0: u32 = 17u;
const GAS_LOG1: u32 = 18u;
const GAS_LOG2: u32 = 19u;
const GAS_LOG3: u32 = 20u;
const GAS_LOG4: u32 = 21u;

// The static gas of a class. `gas_schedules` is the binding with one schedule per fork.
fn static_gas(fork: u32, gas_class: u32) -> u32 {
    switch gas_class {
        case GAS_ZERO: { return 0u; }
        case GAS_JUMP_DEST: { return 1u; }
        case GAS_BASE: { return 2u; }
        case GAS_VERY_LOW: { return 3u; }
        case GAS_LOW: { return 5u; }
        case GAS_MID: { return 8u; }
        case GAS_HIGH: { return 10u; }
        case GAS_BLOCK_HASH: { return 20u; }
        case GAS_KECCAK: { return 30u; }
        case GAS_BALANCE: { return gas_schedules[fork].balance; }
        case GAS_EXT_CODE: { return gas_schedules[fork].ext_code; }
        case GAS_EXT_CODE_HASH: { return gas_schedules[fork].ext_code_hash; }
        case GAS_SLOAD: { return gas_schedules[fork].sload; }
        case GAS_WARM_ACCESS: { return 100u; }
        case GAS_CALL: { return gas_schedules[fork].call; }
        case GAS_CREATE: { return gas_schedules[fork].create; }
        case GAS_SELF_DESTRUCT: { return gas_schedules[fork].self_destruct; }
        case GAS_LOG0: { return 375u; }
        case GAS_LOG1: { return 750u; }
        case GAS_LOG2: { return 1125u; }
        case GAS_LOG3: { return 1500u; }
        case GAS_LOG4: { return 1875u; }
        default: { return 0u; }
    }
}
