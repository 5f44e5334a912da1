// Calls, creations and ends of frames. The bodies say what is to be done; what several of them need is done once, here,
// because compilers inline every function where it is called: accounts are found before the bodies, and code is kept,
// value moved, changes undone, frames entered and left after them.

override WORKGROUP: u32 = 64u;

var<private> fork: u32;
// What kind of opcode it is: of a call or creation the opcode, else 0.
var<private> calls: u32;
var<private> creates: u32;
// How far its memory must reach, and whether it is to grow.
var<private> reaches: u32;
var<private> grows: bool;
// The account that is to be found, and what a cold one costs; then its index.
var<private> loads: bool;
var<private> address: Address;
var<private> cold_price: u32;
var<private> account: u32;
// Of a call.
var<private> has_value: bool;
var<private> on_callee: bool;
var<private> sends: bool;
var<private> delegated: bool;
var<private> code_account: u32;
var<private> input_at: u32;
var<private> input_len: u32;
// The output of a frame; or where the output of a call goes.
var<private> output_at: u32;
var<private> output_len: u32;
var<private> writes_output: bool;
// Value that moves; between the same account it is a touch.
var<private> transfers: bool;
var<private> payer: u32;
var<private> recipient_: u32;
var<private> amount: Word;
var<private> burns: bool;
var<private> destructs: bool;
// Code that is kept.
var<private> keeps: bool;
var<private> kept_at: u32;
var<private> kept_len: u32;
var<private> code: u32;
var<private> deposits: bool;
var<private> raises_nonce: bool;
// A frame that starts.
var<private> enters: bool;
var<private> subject: u32;
var<private> frame_address: Address;
var<private> frame_caller: Address;
var<private> shown: Word;
var<private> frame_flags: u32;
var<private> given: vec2<u32>;
// A frame that ends.
var<private> ends: bool;
var<private> status: u32;
var<private> undoes: bool;
var<private> undo_mark: u32;
var<private> refund_mark: u32;
// An item that is pushed, with gas that comes back.
var<private> delivers: bool;
var<private> delivered: Word;
var<private> regained: vec2<u32>;

fn deliver(item: Word, back: vec2<u32>) {
    delivers = true;
    delivered = item;
    regained = back;
}

// Where a range of memory ends; 0 for an empty one.
fn range_end(offset: u32, len: u32) -> u32 {
    if len == 0u {
        return 0u;
    }
    if offset > MEMORY_REACH || len > MEMORY_REACH {
        return 0xffffffffu;
    }
    return offset + len;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    serves = QUEUE_FRAME;
    if !take(id.x) {
        return;
    }
    let op = begin();
    clear();
    dispatch(op);
    if calls != 0u {
        call_operands();
    } else if creates != 0u {
        create_operands();
    } else if op == DO_EXIT {
        ends = true;
        status = reg(R_EXIT);
    } else if op == DO_DEPOSIT {
        ends = true;
        status = STATUS_SUCCESS;
        output_at = reg(R_EXIT_OFFSET);
        output_len = reg(R_EXIT_LEN);
        keeps = true;
        kept_at = output_at;
        kept_len = output_len;
        deposits = true;
    } else if op == DO_CREATE_START {
        loads = true;
        address = reg_address(R_TARGET_ADDRESS);
    }
    let current = reg(R_MEMORY_LEN);
    let end = memory_charge(0u, reaches, current);
    find_accounts();
    if (calls | creates) != 0u || destructs {
        watch();
    }
    if !is_stuck() {
        if calls != 0u {
            call();
        } else if creates != 0u {
            create();
        } else if destructs {
            selfdestruct();
        } else if op == DO_CREATE_START {
            create_start();
        } else if op == DO_START {
            start();
        } else if op == DO_PRECOMPILE_DONE {
            precompile_done();
        }
    }
    if grows || (ends && !deposits) {
        memory_grow(end, current);
    }
    if ends && status == STATUS_SUCCESS && !deposits && (reg(R_FLAGS) & FRAME_CREATES) != 0u && !is_stuck() {
        if pay_deposit() {
            ends = false;
            set_reg(R_EXIT_OFFSET, output_at);
            set_reg(R_EXIT_LEN, output_len);
            next_queue = QUEUE_KECCAK;
            next_op = DO_DEPOSIT_HASH;
        } else {
            // No code, or none that Frontier could pay for: there is nothing to show either.
            output_len = 0u;
        }
    }
    if keeps && !is_stuck() {
        let kept = keep_code(kept_at, kept_len);
        if deposits {
            set_code(reg(R_ACCOUNT), kept, reg_word(R_SCRATCH));
        } else {
            code = kept;
        }
    }
    if raises_nonce && !is_stuck() {
        let at = account_at(payer) + A_NONCE;
        let low = lane_load(at) + 1u;
        set_nonce(payer, vec2<u32>(low, lane_load(at + 1u) + select(0u, 1u, low == 0u)));
    }
    if !is_stuck() {
        move_value();
    }
    if enters && !is_stuck() {
        enter_frame(end);
    }
    if ends && !is_stuck() {
        end_frame();
    }
    if undoes && !is_stuck() {
        revert_to(undo_mark, refund_mark);
    }
    if ends && !is_stuck() {
        leave_frame();
    }
    if writes_output && !is_stuck() {
        copy_to_memory(output_at, min(output_len, reg(R_RETURN_LEN)), return_source(), 0u);
    }
    if delivers {
        set_total_gas(add64(total_gas(), regained));
        replace(0u, delivered);
    }
    leave_to_reference();
    conclude();
}

fn clear() {
    fork = reg(R_FORK);
    calls = 0u;
    creates = 0u;
    reaches = 0u;
    grows = false;
    loads = false;
    cold_price = 0u;
    account = 0u;
    delegated = false;
    input_at = 0u;
    input_len = 0u;
    output_at = 0u;
    output_len = 0u;
    writes_output = false;
    transfers = false;
    burns = false;
    destructs = false;
    keeps = false;
    code = NO_CODE;
    deposits = false;
    raises_nonce = false;
    enters = false;
    ends = false;
    undoes = false;
    delivers = false;
    undo_mark = reg(R_UNDOS);
    refund_mark = reg(R_REFUND);
}

// Finds the account of the opcode, and of a call with a delegation the account that it points to (EIP-7702).
fn find_accounts() {
    var searched = address;
    // At most two rounds; the bound is no constant, so that they are not unrolled.
    for (var round = 0u; loads && round < opaque(2u) && !is_stuck(); round += 1u) {
        let cold = cold_price != 0u && is_cold(searched);
        if round == 0u {
            charge(select(0u, cold_price, cold));
        } else {
            charge(schedule(G_CALL) + select(0u, cold_price, cold && !address_eq(searched, address)));
        }
        let found = account_load(searched);
        code_account = found;
        if round == 0u {
            account = found;
        }
        if calls == 0u || round == 1u || is_stuck() {
            break;
        }
        // From Spurious Dragon on, only a call with value brings an account into being (EIP-161).
        if calls == OP_CALL && (sends || fork < FORK_SPURIOUS_DRAGON) && is_new(account) {
            charge(schedule(G_NEW_ACCOUNT));
        }
        if fork < FORK_PRAGUE {
            break;
        }
        let there = account_code_ready(account);
        if is_stuck() || there <= UNKNOWN_CODE || (there & LANE_CODE) != 0u || codes[there + C_DELEGATES] == 0u {
            break;
        }
        delegated = true;
        let at = there + C_DELEGATE;
        searched = Address(vec4<u32>(codes[at], codes[at + 1u], codes[at + 2u], codes[at + 3u]), codes[at + 4u]);
    }
}

// Whether the environment's rules may forbid the call, the creation or the destruction.
fn watch() {
    let rules = environment(E_RESTRICTIONS);
    if rules == 0u {
        return;
    }
    let precompiled = calls != 0u && !delegated && is_precompile(address);
    var met = 0u;
    if destructs || !word_is_zero(amount) {
        met |= RESTRICT_VALUE;
    }
    if calls != 0u {
        met |= select(RESTRICT_CALLS, RESTRICT_PRECOMPILES, precompiled);
        if delegated {
            met |= RESTRICT_DELEGATIONS;
        }
        if address_eq(address, Address(vec4<u32>(EXCHANGE_LOW, EXCHANGE_HIGH, 0u, 0u), 0u)) {
            met |= RESTRICT_EXCHANGE;
        }
    }
    if (rules & met) != 0u || (!destructs && reg(R_DEPTH) >= environment(E_MOST_DEPTH)) {
        escape(ESCAPE_RESTRICTED);
    }
}

// The first frame. The host has moved the value and created the account already, and undoes that where the frame fails.
fn start() {
    let transaction = reg(R_TRANSACTION);
    enters = true;
    given = vec2<u32>(pool[transaction + T_GAS], pool[transaction + T_GAS + 1u]);
    shown = pool_word(transaction + T_VALUE);
    // The journal starts with the sender.
    frame_caller = account_address(0u);
    subject = pool[transaction + T_TARGET];
    frame_address = account_address(subject);
    code = pool[transaction + T_CODE];
    frame_flags = select(0u, FRAME_CREATES, pool[transaction + T_CREATES] != 0u);
    set_reg(R_INPUT_KIND, SOURCE_POOL);
    set_reg(R_INPUT_BASE, pool[transaction + T_INPUT]);
    set_reg(R_INPUT_OFFSET, 0u);
    set_reg(R_INPUT_LEN, pool[transaction + T_INPUT_LEN]);
}

// Moves value, once an account that is created is marked; and takes what goes with an account that destroys itself.
fn move_value() {
    if keeps && enters {
        undo_mark = reg(R_UNDOS);
        add_flags(account, FLAG_CREATED);
        if fork >= FORK_SPURIOUS_DRAGON {
            set_nonce(account, vec2<u32>(1u, 0u));
        }
    }
    let moves = transfers && payer != recipient_ && !word_is_zero(amount);
    if transfers && !moves {
        touch(recipient_);
    }
    if moves || burns {
        // The payer's side first, then the recipient's; the bound is no constant, so that they are not unrolled.
        let sides = select(opaque(2u), 1u, burns);
        for (var side = 0u; side < sides; side += 1u) {
            let index = select(payer, recipient_, side == 1u);
            let before = account_balance(index);
            var after = word_sub(before, amount);
            if side == 1u {
                after = word_add(before, amount);
            }
            if burns {
                after = word_zero();
            }
            set_balance(index, after);
        }
    }
}

// Starts a frame on top of the running one, if there is one.
fn enter_frame(end: u32) {
    let is_first = reg(R_OP) == DO_START;
    let memory = reg(R_MEMORY);
    if !is_first {
        if !save_frame() {
            return;
        }
        set_reg(R_INPUT_KIND, SOURCE_LANE);
        set_reg(R_INPUT_BASE, params.memory + memory);
        set_reg(R_INPUT_OFFSET, input_at);
        set_reg(R_INPUT_LEN, input_len);
        set_reg(R_OUTPUT_OFFSET, output_at);
        set_reg(R_OUTPUT_LEN, output_len);
        set_reg(R_MEMORY, memory + (end >> 2u));
    }
    set_reg(R_UNDO_MARK, undo_mark);
    set_reg(R_REFUND_MARK, refund_mark);
    set_reg(R_LOG_MARK, reg(R_LOG_CURSOR));
    set_reg(R_LOGS_MARK, reg(R_LOGS));
    enter(code, subject, frame_address, frame_caller, shown, frame_flags, given);
}

// The output of a frame that ends, and what is undone.
fn end_frame() {
    let halts = (status & 0xffu) == STATUS_HALT;
    if halts {
        gas = 0u;
        parked = 0u;
        output_len = 0u;
    }
    // Only the transaction itself shows the code that it deployed.
    if status == STATUS_SUCCESS && (reg(R_FLAGS) & FRAME_CREATES) != 0u && reg(R_DEPTH) > 0u {
        output_len = 0u;
    }
    return_bytes(memory_source(output_at, output_len));
    if status != STATUS_SUCCESS {
        undoes = true;
        undo_mark = reg(R_UNDO_MARK);
        refund_mark = reg(R_REFUND_MARK);
        set_reg(R_LOG_CURSOR, reg(R_LOG_MARK));
        set_reg(R_LOGS, reg(R_LOGS_MARK));
    }
}

// Back to the caller; or the end of the transaction.
fn leave_frame() {
    let depth = reg(R_DEPTH);
    if depth == 0u {
        set_reg(R_EXIT, status);
        set_reg(R_STATUS, LANE_ENDED);
        set_reg(R_PACKED, 0u);
        next_queue = QUEUE_UNDEFINED;
        return;
    }
    delivered = word_from_u32(select(0u, 1u, status == STATUS_SUCCESS));
    if (reg(R_FLAGS) & FRAME_CREATES) == 0u {
        writes_output = true;
        output_at = reg(R_OUTPUT_OFFSET);
        output_len = reg(R_OUTPUT_LEN);
    } else if status == STATUS_SUCCESS {
        delivered = word_of_address(reg_address(R_ADDRESS));
    }
    delivers = true;
    restore_frame(depth - 1u);
    regained = join_gas(reg(R_GAS), reg(R_PARKED));
    sp = reg(R_SP);
    next_queue = QUEUE_STEP;
    next_op = 0u;
}
