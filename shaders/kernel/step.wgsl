// The interpreter's loop, and the one place where stack bounds and static gas are checked. It leaves a lane when an
// opcode belongs to another kernel, when the frame ends, or when the steps of this dispatch are done.
//
// Compilers inline every function where it is called, so the loop does once, before and after the switch, what many
// opcodes have in common: it loads the second operand, reaches for memory, fetches words, jumps and writes the stack.

override WORKGROUP: u32 = 64u;

var<private> pc: u32;
var<private> base: u32;
var<private> stream: u32;
var<private> is_lane_code: bool;
var<private> memory_base: u32;
var<private> memory_len: u32;
// The topmost item, which is not in the stack's memory; and the one below it, or the one that DUP and SWAP are about.
var<private> top: Word;
var<private> second: Word;
// What the body does to the stack: it takes so many items, and leaves `result` where it gives one.
var<private> result: Word;
var<private> taken: u32;
var<private> gives: bool;
// Where the result is to be fetched; 0 for nowhere.
var<private> pool_at: u32;
var<private> lane_from: u32;
var<private> is_address: bool;
// How far below the top the topmost item is stored: by SWAP.
var<private> spill: u32;
var<private> jumps: bool;

fn push(value: Word) {
    result = value;
    gives = true;
}

fn push_pool(at: u32) {
    pool_at = at;
    gives = true;
}

fn push_lane(at: u32) {
    lane_from = at;
    gives = true;
}

fn push_lane_address(at: u32) {
    push_lane(at);
    is_address = true;
}

fn unary(value: Word) {
    result = value;
    gives = true;
    taken = 1u;
}

fn binary(value: Word) {
    result = value;
    gives = true;
    taken = 2u;
}

fn drop_items(count: u32) {
    taken = count;
}

// A word of the decoded code.
fn stream_word(at: u32) -> u32 {
    if is_lane_code {
        return lane_load(stream + at);
    }
    return codes[stream + at];
}

fn is_jumpdest(place_: u32) -> bool {
    if place_ >= reg(R_CODE_LEN) {
        return false;
    }
    let at = reg(R_BITMAP) + (place_ >> 5u);
    var bits: u32;
    if is_lane_code {
        bits = lane_load(at);
    } else {
        bits = codes[at];
    }
    return (bits >> (place_ & 31u) & 1u) != 0u;
}

// Makes a range of memory accessible.
fn reach(offset: u32, len: u32) {
    if offset <= memory_len && memory_len - offset >= len {
        return;
    }
    let end = memory_charge(offset, len, memory_len);
    memory_grow(end, memory_len);
    memory_len = max(memory_len, end);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    serves = QUEUE_STEP;
    if !take(id.x) {
        return;
    }
    _ = begin();
    pc = reg(R_PC);
    base = reg(R_BASE);
    stream = reg(R_STREAM);
    is_lane_code = (reg(R_CODE) & LANE_CODE) != 0u;
    memory_base = params.memory + reg(R_MEMORY);
    memory_len = reg(R_MEMORY_LEN);
    // The top lies one slot below the stack pointer; below the frame's first slot it means nothing.
    top = stack_load(max(sp, 1u) - 1u);
    var steps = 0u;
    let allowed = environment(E_MOST_STEPS) - reg(R_STEPS);
    let most_steps = min(params.steps, allowed);
    var queue = QUEUE_STEP;
    var op = 0u;
    while steps < most_steps {
        let instruction = stream_word(pc);
        steps += 1u;
        op = instruction & 0xffu;
        queue = instruction >> 29u;
        let cost = instruction >> 8u & 0x7fffu;
        let needs = instruction >> 23u & 31u;
        let depth = sp - base;
        if gas < cost {
            refill(cost);
            if gas < cost {
                halted = HALT_OUT_OF_GAS;
            }
        }
        if depth >= 1024u && (instruction >> 28u & 1u) != 0u {
            halted = HALT_STACK_OVERFLOW;
        }
        if depth < needs {
            halted = HALT_STACK_UNDERFLOW;
        }
        if queue == QUEUE_UNDEFINED {
            halted = HALT_UNDEFINED_OPCODE;
        }
        if instruction >> 28u == DENIED >> 28u {
            escape(ESCAPE_RESTRICTED);
            break;
        }
        if halted != 0u {
            break;
        }
        gas -= cost;
        if queue != QUEUE_STEP {
            break;
        }
        if needs >= 2u {
            // DUPn takes the n-th item from the top, SWAPn the one behind it, everything else the second.
            var item = 2u;
            if op >= OP_DUP1 && op <= OP_SWAP16 {
                item = needs;
            }
            second = stack_load(sp - item);
        }
        if op >= OP_MLOAD && op <= OP_MSTORE8 {
            reach(place(top), select(32u, 1u, op == OP_MSTORE8));
            if is_stuck() {
                break;
            }
        }
        taken = 0u;
        gives = false;
        pool_at = 0u;
        lane_from = 0u;
        is_address = false;
        spill = 0u;
        jumps = false;
        dispatch(op);
        if pool_at != 0u {
            result = pool_word(pool_at);
        }
        if lane_from != 0u {
            result = lane_load_word(lane_from);
            if is_address {
                result.hi = vec4<u32>(result.hi.x, 0u, 0u, 0u);
            }
        }
        if jumps {
            let place_ = place(top);
            if !is_jumpdest(place_) {
                halted = HALT_INVALID_JUMP;
                break;
            }
            pc = place_;
        } else {
            pc += 1u;
        }
        // A push and SWAP store the topmost item; the former only where there is one.
        if spill != 0u || (gives && taken == 0u && depth > 0u) {
            stack_store(sp - 1u - spill, top);
        }
        sp -= taken;
        if gives {
            sp += 1u;
            top = result;
        } else if taken > 0u {
            top = stack_load(max(sp, 1u) - 1u);
        }
        if is_stuck() {
            break;
        }
    }
    if sp > base {
        stack_store(sp - 1u, top);
    }
    set_reg(R_STEPS, reg(R_STEPS) + steps);
    set_reg(R_PC, pc);
    set_reg(R_OP, op);
    next_queue = queue;
    next_op = op;
    if queue == QUEUE_STEP {
        if steps == allowed {
            escape(ESCAPE_RESTRICTED);
        }
        // More steps to do, in the next round; the program counter stands where it goes on.
        next_op = DO_START;
    }
    conclude();
}
