// POP, PUSH, DUP, SWAP. The loop has loaded the item that DUP and SWAP are about.

fn op_pop() {
    drop_items(1u);
}

fn op_push0() {
    push(word_zero());
}

// The immediate: its limbs lie in the words behind the opcode.
fn op_push(n: u32) {
    var value = word_zero();
    // The most significant limb comes first and is pushed up by the others.
    for (var i = (n + 3u) / 4u; i > 0u; i -= 1u) {
        value = word_push(value, stream_word(pc + i));
    }
    pc += n;
    push(value);
}

fn op_dup(n: u32) {
    if n == 1u {
        push(top);
    } else {
        push(second);
    }
}

fn op_swap(n: u32) {
    spill = n;
    unary(second);
}

// EIP-8024 belongs to a fork that lanes do not run yet: the host hands such transactions to the fallback.
fn op_dupn() {
    escape(ESCAPE_FORK);
}

fn op_swapn() {
    escape(ESCAPE_FORK);
}

fn op_exchange() {
    escape(ESCAPE_FORK);
}
