// Copies and logs: bytes from somewhere to somewhere in the lane. The bodies say what; it is charged for and done once,
// here, because compilers inline every function where it is called.

override WORKGROUP: u32 = 64u;

var<private> source: Source;
var<private> taken: u32;
var<private> is_mcopy: bool;
var<private> is_log: bool;
var<private> topics: u32;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    serves = QUEUE_COPY;
    if !take(id.x) {
        return;
    }
    let op = begin();
    is_mcopy = false;
    is_log = false;
    // EXTCODECOPY has one operand more, and has paid for everything.
    let is_paid = op == OP_EXTCODECOPY;
    if is_paid {
        source = code_source(reg(R_SCRATCH));
        taken = 4u;
    } else {
        dispatch(op);
    }
    let shift = select(0u, 1u, is_paid);
    var to = place(operand(shift));
    var first_byte = place(operand(1u + shift));
    var len = first_byte;
    if !is_log {
        len = place(operand(2u + shift));
    }
    if !is_paid {
        // The range that memory must reach: of MCOPY the higher of both, of a log the one that is read.
        let furthest = select(to, max(to, first_byte), is_mcopy);
        if is_log {
            charge(min(len, MEMORY_REACH) * schedule(G_LOG_BYTE));
        } else {
            charge_copy(len);
        }
        let current = reg(R_MEMORY_LEN);
        memory_grow(memory_charge(furthest, len, current), current);
    }
    var area = params.memory + reg(R_MEMORY);
    if is_mcopy {
        source.len = reg(R_MEMORY_LEN);
    }
    if is_log && !is_stuck() {
        let logged = reg(R_LOG_BYTES) + len;
        set_reg(R_LOG_BYTES, logged);
        if logged > environment(E_MOST_LOG_BYTES) {
            escape(ESCAPE_RESTRICTED);
        }
        let cursor = reg(R_LOG_CURSOR);
        let size = 7u + 8u * topics + (len + 3u) / 4u;
        if size > params.logs_limit || cursor > params.logs_limit - size {
            escape(ESCAPE_LOGS);
        } else {
            let at = params.logs + cursor;
            lane_store(at, topics);
            lane_store(at + 1u, len);
            lane_store_address(at + 2u, reg_address(R_ADDRESS));
            for (var i = 0u; i < topics; i += 1u) {
                lane_store_word(at + 7u + 8u * i, operand(2u + i));
            }
            set_reg(R_LOG_CURSOR, cursor + size);
            set_reg(R_LOGS, reg(R_LOGS) + 1u);
            source = memory_source(to, len);
            area = at + 7u + 8u * topics;
            to = 0u;
            first_byte = 0u;
        }
    }
    if !is_stuck() {
        write_bytes(area, to, len, source, first_byte, is_mcopy && to > first_byte);
        sp -= taken;
    }
    leave_to_reference();
    conclude();
}
