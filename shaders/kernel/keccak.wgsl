// KECCAK256, the addresses of creations and the hashes of created code. All hash in one place: compilers inline every
// function where it is called.

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    serves = QUEUE_KECCAK;
    if !take(id.x) {
        return;
    }
    let op = begin();
    let creator = reg_address(R_ADDRESS);
    let is_create2 = op == DO_CREATE_ADDRESS && reg(R_SCRATCH + 7u) == OP_CREATE2;
    var source: Source;
    if op == OP_KECCAK256 {
        source = op_keccak256();
    } else if op == DO_DEPOSIT_HASH {
        source = memory_source(reg(R_EXIT_OFFSET), reg(R_EXIT_LEN));
    } else if is_create2 {
        source = memory_source(reg(R_SCRATCH), reg(R_SCRATCH + 1u));
    } else {
        source = create_message(creator);
    }
    if !is_stuck() {
        var hash = word_zero();
        // CREATE2 hashes the initcode first, and then the message with that hash in it.
        let times = select(1u, 2u, is_create2);
        for (var i = 0u; i < times; i += 1u) {
            if i == 1u {
                source = create2_message(creator, hash);
            }
            hash = keccak256(source);
        }
        if op == OP_KECCAK256 {
            replace(2u, hash);
        } else if op == DO_DEPOSIT_HASH {
            set_reg_word(R_SCRATCH, hash);
            next_queue = QUEUE_FRAME;
            next_op = DO_DEPOSIT;
        } else {
            set_reg_address(R_TARGET_ADDRESS, address_of(hash));
            next_queue = QUEUE_FRAME;
            next_op = DO_CREATE_START;
        }
    }
    conclude();
}
