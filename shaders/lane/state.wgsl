// What the body of an opcode works on, in the kernels that do one opcode a lane. A body that cannot finish leaves no
// trace: gas and stack pointer are stored only when it has.

const PARKED_UNIT: u32 = 0x80000000u;

// Gas of the frame: what is counted, and what is parked beside it, in units of 2^31. The counted part is refilled when a
// cost does not fit in it, so that only what asks for all the gas there is handles 64 bits.
var<private> gas: u32;
var<private> parked: u32;
var<private> sp: u32;
// How the frame halts, as a status word; 0 while it does not.
var<private> halted: u32;
// What the lane needs from the host before the body can run; 0 for nothing.
var<private> needed: u32;
// The queue that goes on with the lane, and what is due there. No queue (QUEUE_UNDEFINED) where its transaction has ended;
// in the step kernel's, an opcode that is not due any more (0) lets the program counter advance.
var<private> next_queue: u32;
var<private> next_op: u32;

fn environment(field: u32) -> u32 {
    return pool[reg(R_ENVIRONMENT) + field];
}

fn schedule(field: u32) -> u32 {
    return pool[reg(R_SCHEDULE) + field];
}

fn is_stuck() -> bool {
    return (halted | needed | escaped) != 0u;
}

// Which rule or limit of a restricted environment an opcode meets first is for the reference to say.
fn leave_to_reference() {
    if halted != 0u && halted != HALT_INVALID_OPCODE && environment(E_RESTRICTIONS) != 0u {
        escape(ESCAPE_RESTRICTED);
    }
}

fn halt(status: u32) {
    if !is_stuck() {
        halted = status;
    }
}

// Makes the counted gas as large as a cost that exceeds it, where enough is parked.
fn refill(cost: u32) {
    if parked == 0u {
        return;
    }
    if gas < PARKED_UNIT {
        gas += PARKED_UNIT;
        parked -= 1u;
    }
    // A cost of almost 2^32, which no lane's memory can have.
    if gas < cost && parked != 0u {
        escape(ESCAPE_GAS);
    }
}

// All the gas there is: the low word, then the high one.
fn total_gas() -> vec2<u32> {
    return join_gas(gas, parked);
}

fn join_gas(counted: u32, parked_: u32) -> vec2<u32> {
    return add64(vec2<u32>(counted, 0u), vec2<u32>(parked_ << 31u, parked_ >> 1u));
}

// Sets all the gas there is; below 2^63. As much as can be is counted, so that it is refilled as rarely as can be.
fn set_total_gas(total: vec2<u32>) {
    parked = total.y << 1u | total.x >> 31u;
    gas = total.x & (PARKED_UNIT - 1u);
    if parked != 0u {
        gas |= PARKED_UNIT;
        parked -= 1u;
    }
}

fn add64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn sub64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}

fn less64(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.y < b.y || (a.y == b.y && a.x < b.x);
}

// Takes a cost from the gas.
fn charge(cost: u32) {
    if is_stuck() {
        return;
    }
    if gas < cost {
        refill(cost);
    }
    if escaped != 0u {
        return;
    }
    if gas < cost {
        halted = HALT_OUT_OF_GAS;
        return;
    }
    gas -= cost;
}

// The n-th item from the top, counted from 0.
fn operand(n: u32) -> Word {
    return stack_load(sp - 1u - n);
}

// Replaces the n topmost items by one.
fn replace(n: u32, value: Word) {
    sp = sp - n + 1u;
    stack_store(sp - 1u, value);
}

fn reg_word(place: u32) -> Word {
    var word = word_zero();
    for (var i = opaque(8u); i > 0u; i -= 1u) {
        word = word_push(word, reg(place + i - 1u));
    }
    return word;
}

fn reg_address(place: u32) -> Address {
    return address_of(reg_word(place));
}

// The limbs of a number, the lowest `count` of them.
fn set_reg_limbs(place: u32, value: Word, count: u32) {
    var word = value;
    for (var i = 0u; i < opaque(count); i += 1u) {
        set_reg(place + i, word.lo.x);
        word = Word(vec4<u32>(word.lo.yzw, word.hi.x), vec4<u32>(word.hi.yzw, 0u));
    }
}

fn set_reg_word(place: u32, value: Word) {
    set_reg_limbs(place, value, 8u);
}

fn set_reg_address(place: u32, address: Address) {
    set_reg_limbs(place, word_of_address(address), 5u);
}

fn begin() -> u32 {
    load_registers();
    gas = reg(R_GAS);
    parked = reg(R_PARKED);
    sp = reg(R_SP);
    halted = 0u;
    needed = 0u;
    next_queue = QUEUE_STEP;
    next_op = 0u;
    return reg(R_OP);
}

// Asks the host for something about an account.
fn need(what: u32, address: Address, key: Word) {
    if is_stuck() {
        return;
    }
    needed = what;
    set_reg_address(R_REQUEST_ADDRESS, address);
    set_reg_word(R_REQUEST_KEY, key);
}

// Sends the lane on after a body.
fn conclude() {
    let queue = settle();
    store_registers();
    if queue != QUEUE_UNDEFINED {
        enqueue(queue);
    }
}

// Stores what the body has done. Returns the queue that the lane goes to, or none.
fn settle() -> u32 {
    if escaped != 0u {
        let reason = escaped;
        set_reg(R_STATUS, LANE_ESCAPED);
        set_reg(R_ESCAPE, reason);
        set_reg(R_PACKED, 0u);
        return QUEUE_UNDEFINED;
    }
    if needed != 0u {
        set_reg(R_STATUS, LANE_WAITING);
        set_reg(R_REQUEST, needed);
        set_reg(R_PACKED, 0u);
        return QUEUE_UNDEFINED;
    }
    if halted != 0u {
        set_reg(R_EXIT, halted);
        next_queue = QUEUE_FRAME;
        next_op = DO_EXIT;
    } else {
        set_reg(R_GAS, gas);
        set_reg(R_PARKED, parked);
        set_reg(R_SP, sp);
        if next_queue == QUEUE_UNDEFINED {
            return next_queue;
        }
    }
    if next_queue != QUEUE_STEP {
        set_reg(R_OP, next_op);
    } else if next_op == 0u {
        set_reg(R_PC, reg(R_PC) + 1u);
    }
    return next_queue;
}
