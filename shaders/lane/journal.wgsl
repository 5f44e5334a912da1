// What a lane read and wrote, over the state tables, with an undo log.

const NO_INDEX: u32 = 0xffffffffu;
// Keccak-256 of no bytes.
const KECCAK_EMPTY = Word(
    vec4<u32>(0x5d85a470u, 0x7bfad804u, 0xca82273bu, 0xe500b653u),
    vec4<u32>(0xdcc703c0u, 0x927e7db2u, 0x86f7233cu, 0xc5d24601u),
);

fn mix(hash: u32, word: u32) -> u32 {
    let mixed = (hash ^ word) * 0x9e3779b1u;
    return mixed ^ mixed >> 15u;
}

fn mix_address(hash: u32, address: Address) -> u32 {
    return mix(mix(mix(mix(mix(hash, address.lo.x), address.lo.y), address.lo.z), address.lo.w), address.hi);
}

fn mix_word(hash: u32, word: Word) -> u32 {
    let low = mix(mix(mix(mix(hash, word.lo.x), word.lo.y), word.lo.z), word.lo.w);
    return mix(mix(mix(mix(low, word.hi.x), word.hi.y), word.hi.z), word.hi.w);
}

fn table_limbs(at: u32, count: u32) -> Word {
    var word = word_zero();
    for (var i = opaque(count); i > 0u; i -= 1u) {
        word = word_push(word, tables[at + i - 1u]);
    }
    return word;
}

fn table_word(at: u32) -> Word {
    return table_limbs(at, 8u);
}

fn table_address(at: u32) -> Address {
    return address_of(table_limbs(at, 5u));
}

// The place of an account in the state tables; NO_INDEX where it is not there.
fn table_account(state: u32, address: Address) -> u32 {
    var place = mix_address(state, address) & params.account_mask;
    for (var i = 0u; i <= params.account_mask; i += 1u) {
        let at = params.account_table + place * B_SIZE;
        let key = tables[at + B_STATE];
        if key == 0u {
            return NO_INDEX;
        }
        if key == state && address_eq(table_address(at + B_ENTRY + A_ADDRESS), address) {
            return at;
        }
        place = (place + 1u) & params.account_mask;
    }
    return NO_INDEX;
}

// Likewise of a slot.
fn table_slot(state: u32, address: Address, key: Word) -> u32 {
    var place = mix_word(mix_address(state, address), key) & params.slot_mask;
    for (var i = 0u; i <= params.slot_mask; i += 1u) {
        let at = params.slot_table + place * D_SIZE;
        let owner = tables[at + D_STATE];
        if owner == 0u {
            return NO_INDEX;
        }
        if owner == state && address_eq(table_address(at + D_ADDRESS), address) && word_eq(table_word(at + D_KEY), key) {
            return at;
        }
        place = (place + 1u) & params.slot_mask;
    }
    return NO_INDEX;
}

// The key of the lane's state in the tables.
fn state_key() -> u32 {
    return environment(E_STATE) + 1u;
}

fn account_at(index: u32) -> u32 {
    return params.accounts + index * A_SIZE;
}

fn slot_at(index: u32) -> u32 {
    return params.slots + index * S_SIZE;
}

fn account_flags(index: u32) -> u32 {
    return lane_load(account_at(index) + A_FLAGS);
}

fn account_address(index: u32) -> Address {
    return lane_load_address(account_at(index) + A_ADDRESS);
}

fn account_balance(index: u32) -> Word {
    return lane_load_word(account_at(index) + A_BALANCE);
}

fn account_code(index: u32) -> u32 {
    return lane_load(account_at(index) + A_CODE);
}

// The index of an account that the lane has seen; NO_INDEX for others.
fn account_find(address: Address) -> u32 {
    let count = reg(R_ACCOUNTS);
    for (var i = 0u; i < count; i += 1u) {
        let at = account_at(i);
        if lane_load(at + A_ADDRESS) == address.lo.x && address_eq(lane_load_address(at + A_ADDRESS), address) {
            return i;
        }
    }
    return NO_INDEX;
}

// The index of an account; where the lane has not seen it, from the tables, or from the host.
fn account_load(address: Address) -> u32 {
    if is_stuck() {
        return 0u;
    }
    let known = account_find(address);
    if known != NO_INDEX {
        return known;
    }
    let found = table_account(state_key(), address);
    if found == NO_INDEX && environment(E_COMPLETE) == 0u {
        need(NEED_ACCOUNT, address, word_zero());
        return 0u;
    }
    let index = reg(R_ACCOUNTS);
    if index >= params.accounts_limit {
        escape(ESCAPE_ACCOUNTS);
        return 0u;
    }
    let at = account_at(index);
    if found == NO_INDEX {
        for (var i = 0u; i < opaque(A_SIZE); i += 1u) {
            lane_store(at + i, 0u);
        }
        lane_store_address(at + A_ADDRESS, address);
        lane_store(at + A_FLAGS, FLAG_STORAGE_KNOWN);
        lane_store_word(at + A_CODE_HASH, KECCAK_EMPTY);
    } else {
        for (var i = 0u; i < opaque(A_SIZE); i += 1u) {
            lane_store(at + i, tables[found + B_ENTRY + i]);
        }
    }
    set_reg(R_ACCOUNTS, index + 1u);
    return index;
}

// The code of an account, which the host is asked for where it is not on the device yet.
fn account_code_ready(index: u32) -> u32 {
    let code = account_code(index);
    if code != UNKNOWN_CODE || is_stuck() {
        return code;
    }
    // The tables may have learnt it since the account was loaded.
    let found = table_account(state_key(), account_address(index));
    if found != NO_INDEX {
        let there = tables[found + B_ENTRY + A_CODE];
        if there != UNKNOWN_CODE {
            lane_store(account_at(index) + A_CODE, there);
            return there;
        }
    }
    need(NEED_CODE, account_address(index), word_zero());
    return NO_CODE;
}

// A place for one more undo entry of a kind; its old value is to be stored from U_OLD on.
fn undo_add(kind: u32, index: u32) -> u32 {
    let count = reg(R_UNDOS);
    if count >= params.undos_limit {
        escape(ESCAPE_UNDO);
        return params.undos;
    }
    set_reg(R_UNDOS, count + 1u);
    let at = params.undos + count * U_SIZE;
    lane_store(at + U_KIND, kind | index << 8u);
    return at + U_OLD;
}

fn set_flags(index: u32, flags: u32) {
    let old = account_flags(index);
    if old != flags {
        lane_store(undo_add(UNDO_FLAGS, index), old);
        lane_store(account_at(index) + A_FLAGS, flags);
    }
}

fn add_flags(index: u32, flags: u32) {
    set_flags(index, account_flags(index) | flags);
}

// Touches an account: it comes into being, and is removed at the end if it is empty (EIP-161).
fn touch(index: u32) {
    add_flags(index, FLAG_EXISTS | FLAG_TOUCHED);
}

fn set_balance(index: u32, balance: Word) {
    touch(index);
    let at = account_at(index) + A_BALANCE;
    lane_store_word(undo_add(UNDO_BALANCE, index), lane_load_word(at));
    lane_store_word(at, balance);
}

fn set_nonce(index: u32, nonce: vec2<u32>) {
    touch(index);
    let at = account_at(index) + A_NONCE;
    let undo = undo_add(UNDO_NONCE, index);
    lane_store(undo, lane_load(at));
    lane_store(undo + 1u, lane_load(at + 1u));
    lane_store(at, nonce.x);
    lane_store(at + 1u, nonce.y);
}

fn set_code(index: u32, code: u32, hash: Word) {
    touch(index);
    let at = account_at(index);
    let undo = undo_add(UNDO_CODE, index);
    lane_store_word(undo, lane_load_word(at + A_CODE_HASH));
    lane_store(undo + 8u, lane_load(at + A_CODE));
    lane_store_word(at + A_CODE_HASH, hash);
    lane_store(at + A_CODE, code);
}

// Moves value that is there.
fn transfer(sender: u32, recipient: u32, value: Word) {
    if sender == recipient || word_is_zero(value) {
        touch(recipient);
        return;
    }
    set_balance(sender, word_sub(account_balance(sender), value));
    set_balance(recipient, word_add(account_balance(recipient), value));
}

// No nonce, no balance, no code (EIP-161).
fn is_empty(index: u32) -> bool {
    let at = account_at(index);
    return (lane_load(at + A_NONCE) | lane_load(at + A_NONCE + 1u)) == 0u
        && word_is_zero(lane_load_word(at + A_BALANCE))
        && word_eq(lane_load_word(at + A_CODE_HASH), KECCAK_EMPTY);
}

fn is_dead(index: u32) -> bool {
    return (account_flags(index) & FLAG_EXISTS) == 0u || is_empty(index);
}

// Whether it brings costs to send value there: nonexistent, or dead from Spurious Dragon on.
fn is_new(index: u32) -> bool {
    if reg(R_FORK) >= FORK_SPURIOUS_DRAGON {
        return is_dead(index);
    }
    return (account_flags(index) & FLAG_EXISTS) == 0u;
}

fn is_precompile(address: Address) -> bool {
    if (address.lo.y | address.lo.z | address.lo.w | address.hi) != 0u {
        return false;
    }
    if address.lo.x == 0x100u {
        return environment(E_P256) != 0u;
    }
    return address.lo.x < 32u && (environment(E_PRECOMPILES) >> address.lo.x & 1u) != 0u;
}

// Precompiles (EIP-2929), the coinbase (EIP-3651) and the access list (EIP-2930).
fn is_warm_from_the_start(address: Address) -> bool {
    if is_precompile(address) {
        return true;
    }
    let coinbase = pool_address(reg(R_ENVIRONMENT) + E_COINBASE);
    if reg(R_FORK) >= FORK_SHANGHAI && address_eq(address, coinbase) {
        return true;
    }
    let transaction = reg(R_TRANSACTION);
    let count = pool[transaction + T_LIST_ADDRESS_COUNT];
    let list = pool[transaction + T_LIST_ADDRESSES];
    for (var i = 0u; i < count; i += 1u) {
        if address_eq(pool_address(list + 5u * i), address) {
            return true;
        }
    }
    return false;
}

// Whether an access to the account costs the cold price (EIP-2929).
fn is_cold(address: Address) -> bool {
    if reg(R_FORK) < FORK_BERLIN {
        return false;
    }
    let known = account_find(address);
    if known != NO_INDEX && (account_flags(known) & FLAG_WARM) != 0u {
        return false;
    }
    return !is_warm_from_the_start(address);
}

fn slot_tag(account: u32, key: Word) -> u32 {
    return mix_word(account, key);
}

// The index of a slot that the lane has seen. Transient storage has TRANSIENT in its account.
fn slot_find(account: u32, key: Word) -> u32 {
    let tag = slot_tag(account, key);
    let count = reg(R_SLOTS);
    for (var i = 0u; i < count; i += 1u) {
        let at = slot_at(i);
        if lane_load(at + S_TAG) == tag && lane_load(at + S_ACCOUNT) == account
            && word_eq(lane_load_word(at + S_KEY), key) {
            return i;
        }
    }
    return NO_INDEX;
}

fn slot_add(account: u32, key: Word, value: Word) -> u32 {
    let index = reg(R_SLOTS);
    if index >= params.slots_limit {
        escape(ESCAPE_SLOTS);
        return 0u;
    }
    let at = slot_at(index);
    lane_store(at + S_TAG, slot_tag(account, key));
    lane_store(at + S_ACCOUNT, account);
    lane_store(at + S_WARM, 0u);
    lane_store_word(at + S_KEY, key);
    lane_store_word(at + S_VALUE, value);
    lane_store_word(at + S_ORIGINAL, value);
    set_reg(R_SLOTS, index + 1u);
    return index;
}

// Whether the access list has the slot (EIP-2930).
fn slot_is_listed(address: Address, key: Word) -> bool {
    let transaction = reg(R_TRANSACTION);
    let count = pool[transaction + T_LIST_SLOT_COUNT];
    let list = pool[transaction + T_LIST_SLOTS];
    for (var i = 0u; i < count; i += 1u) {
        if address_eq(pool_address(list + 13u * i), address) && word_eq(pool_word(list + 13u * i + 5u), key) {
            return true;
        }
    }
    return false;
}

// The index of a slot, charged for if it is cold (EIP-2929) but not yet made warm. Transient storage has TRANSIENT in its
// account, and starts at zero.
fn slot_access(account_: u32, key: Word, cold_cost: u32) -> u32 {
    if is_stuck() {
        return 0u;
    }
    let known = slot_find(account_, key);
    let warm = known != NO_INDEX && lane_load(slot_at(known) + S_WARM) != 0u;
    let owner = account_ & ~TRANSIENT;
    let address = account_address(owner);
    if cold_cost != 0u && !warm && !slot_is_listed(address, key) {
        charge(cold_cost);
    }
    if known != NO_INDEX || is_stuck() {
        return known;
    }
    var value = word_zero();
    // What is created in this transaction has no storage in the base.
    let flags = account_flags(owner);
    if owner == account_ && (flags & (FLAG_CREATED | FLAG_EXISTS)) == FLAG_EXISTS {
        let found = table_slot(state_key(), address, key);
        if found != NO_INDEX {
            value = table_word(found + D_VALUE);
        } else if environment(E_COMPLETE) == 0u {
            need(NEED_SLOT, address, key);
            return 0u;
        }
    }
    return slot_add(account_, key, value);
}

fn slot_warm(index: u32) {
    let at = slot_at(index) + S_WARM;
    if lane_load(at) == 0u {
        let undo = undo_add(UNDO_SLOT_WARM, index);
        lane_store(undo, 0u);
        lane_store(at, 1u);
    }
}

fn slot_value(index: u32) -> Word {
    return lane_load_word(slot_at(index) + S_VALUE);
}

fn slot_set(index: u32, value: Word) {
    let at = slot_at(index) + S_VALUE;
    lane_store_word(undo_add(UNDO_SLOT, index), lane_load_word(at));
    lane_store_word(at, value);
}
