// Jumps, PC and GAS. The loop does the jump.

fn op_jump() {
    jumps = true;
    drop_items(1u);
}

fn op_jumpi() {
    jumps = !word_is_zero(second);
    drop_items(2u);
}

fn op_pc() {
    push(word_from_u32(pc));
}

fn op_gas() {
    let total = total_gas();
    push(Word(vec4<u32>(total, 0u, 0u), vec4<u32>(0u)));
}

fn op_jumpdest() {}
