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
// The topmost items of the stack.
var<private> items: array<Word, 7>;
// Of a call.
var<private> has_value: bool;
var<private> on_callee: bool;
var<private> sends: bool;
var<private> delegated: bool;
// Whether the account, and the one it delegates to, become warm.
var<private> warms: bool;
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

fn item(n: u32) -> Word {
    return items[n];
}

fn deliver(word: Word, back: vec2<u32>) {
    delivers = true;
    delivered = word;
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
    if op < 0x100u {
        let there = min(sp, 7u);
        for (var n = 0u; n < there; n += 1u) {
            items[n] = stack_load(sp - 1u - n);
        }
    }
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
    if warms && fork >= FORK_BERLIN && !is_stuck() {
        let count = select(1u, opaque(2u), delegated);
        for (var which = 0u; which < count; which += 1u) {
            add_flags(select(account, code_account, which == 1u), FLAG_WARM);
        }
    }
    if calls != 0u {
        // What the frame does is undone by itself, not what its caller has paid for.
        undo_mark = reg(R_UNDOS);
        if next_queue == QUEUE_PRECOMPILE {
            set_reg(R_SCRATCH + 4u, undo_mark);
        }
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
    // Bytes move in one place: initcode or deployed code to the code area, the output of a frame to the return data, and
    // that to the memory of the caller. The bound is no constant, so that the phases are not unrolled.
    for (var phase = 0u; phase < opaque(3u) && !is_stuck(); phase += 1u) {
        var moves = false;
        var source = Source(SOURCE_LANE, 0u, 0u, 0u);
        var base = 0u;
        var to = 0u;
        if phase == 0u && keeps {
            let cursor = reg(R_CODE_CURSOR);
            let size = code_size(kept_len);
            if size > params.code_limit || cursor > params.code_limit - size {
                escape(ESCAPE_CODE);
            } else {
                moves = true;
                source = memory_source(kept_at, kept_len);
                base = params.code + cursor + 1u;
            }
        } else if phase == 1u && ends {
            end_frame();
            if (output_len + 3u) / 4u > params.return_limit {
                escape(ESCAPE_RETURN_DATA);
            } else {
                moves = true;
                source = memory_source(output_at, output_len);
                base = params.return_data;
                set_reg(R_RETURN_LEN, output_len);
            }
        } else if phase == 2u && writes_output {
            moves = true;
            source = return_source();
            source.len = min(output_len, source.len);
            base = params.memory + reg(R_MEMORY);
            to = output_at;
        }
        if moves && !is_stuck() {
            write_bytes(base, to, source.len, source, 0u, false);
        }
        if phase == 0u && !is_stuck() {
            if keeps {
                let kept = keep_code(kept_len);
                if deposits {
                    set_code(reg(R_ACCOUNT), kept, reg_word(R_SCRATCH));
                } else {
                    code = kept;
                }
            }
            if raises_nonce {
                let at = account_at(payer) + A_NONCE;
                let low = lane_load(at) + 1u;
                set_nonce(payer, vec2<u32>(low, lane_load(at + 1u) + select(0u, 1u, low == 0u)));
            }
            move_value();
            if enters && !is_stuck() {
                enter_frame(end);
            }
        } else if phase == 1u && !is_stuck() {
            if undoes {
                revert_to(undo_mark, refund_mark);
            }
            if ends {
                leave_frame();
            }
        }
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
    warms = false;
    code_account = 0u;
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
        if calls == 0u || is_stuck() {
            break;
        }
        // From Spurious Dragon on, only a call with value brings an account into being (EIP-161).
        if round == 0u && calls == OP_CALL && (sends || fork < FORK_SPURIOUS_DRAGON) && is_new(found) {
            charge(schedule(G_NEW_ACCOUNT));
        }
        code = account_code_ready(found);
        let there = code;
        if round == 1u || fork < FORK_PRAGUE || is_stuck() || there <= UNKNOWN_CODE || (there & LANE_CODE) != 0u {
            break;
        }
        if codes[there + C_DELEGATES] == 0u {
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

// What a frame that ends shows, and what is undone.
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
