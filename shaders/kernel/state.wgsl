// Opcodes on accounts and storage. What several have in common is done once, before and after the switch: compilers
// inline every function where it is called.

override WORKGROUP: u32 = 64u;

var<private> top: Word;
var<private> second: Word;
var<private> result: Word;
var<private> taken: u32;
var<private> gives: bool;
// The slot, or the account, that the opcode is about.
var<private> slot: u32;
var<private> account: u32;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    serves = QUEUE_STATE;
    if !take(id.x) {
        return;
    }
    let op = begin();
    taken = 0u;
    gives = false;
    account = reg(R_ACCOUNT);
    top = stack_load(max(sp, 1u) - 1u);
    second = stack_load(max(sp, 2u) - 2u);
    if op == OP_SLOAD || op == OP_SSTORE || op == OP_TLOAD || op == OP_TSTORE {
        find_slot(op);
    } else if op == OP_BALANCE || op == OP_EXTCODESIZE || op == OP_EXTCODEHASH || op == OP_EXTCODECOPY {
        find_account(op);
    }
    if !is_stuck() {
        dispatch(op);
    }
    if !is_stuck() {
        sp -= taken;
        if gives {
            sp += 1u;
            stack_store(sp - 1u, result);
        }
    }
    leave_to_reference();
    conclude();
}

// The slot of a storage opcode: checked and charged for as far as the slot's coldness goes (EIP-2929).
fn find_slot(op: u32) {
    let writes = op == OP_SSTORE || op == OP_TSTORE;
    if writes && (reg(R_FLAGS) & FRAME_STATIC) != 0u {
        halt(HALT_STATIC_VIOLATION);
        return;
    }
    let transient = op == OP_TLOAD || op == OP_TSTORE;
    var cold_cost = 0u;
    if op == OP_SLOAD {
        cold_cost = schedule(G_COLD_SLOT);
    } else if op == OP_SSTORE {
        let sentry = schedule(G_SSTORE_SENTRY);
        if sentry > 0u && gas <= sentry && parked == 0u {
            halt(HALT_OUT_OF_GAS);
            return;
        }
        // A cold SSTORE pays the whole cold price, where SLOAD's static gas holds the warm part of it.
        cold_cost = select(0u, schedule(G_COLD_SLOT) + schedule(G_SLOAD), reg(R_FORK) >= FORK_BERLIN);
    }
    slot = slot_access(select(account, account | TRANSIENT, transient), top, cold_cost);
}

// The account of an opcode with an address, charged for and warm; with its code where the opcode needs it.
fn find_account(op: u32) {
    let address = address_of(top);
    let copies = op == OP_EXTCODECOPY;
    if is_cold(address) {
        charge(schedule(G_COLD_ACCOUNT));
    }
    // The gas of a copy is checked before the account is read.
    let current = reg(R_MEMORY_LEN);
    var end = current;
    if copies {
        let len = place(stack_load(sp - 4u));
        charge_copy(len);
        end = memory_charge(place(second), len, current);
    }
    account = account_load(address);
    if op == OP_EXTCODESIZE || copies {
        _ = account_code_ready(account);
    }
    if !is_stuck() {
        add_flags(account, FLAG_WARM);
        memory_grow(end, current);
    }
}
