// The one way to the memory of a lane: no other function indexes `words` or `stacks`.

// The lane that this invocation works on.
var<private> lane: u32;
// Why the lane cannot go on here; 0 while it can.
var<private> escaped: u32;

fn escape(reason: u32) {
    escaped = max(escaped, reason);
}

// A place in the lane's memory. Behind the last word lies one more, which takes what would go astray; branches here would
// multiply the code of everything that is inlined.
fn lane_at(offset: u32) -> u32 {
    escaped = max(escaped, select(0u, ESCAPE_OUT_OF_LANE, offset >= params.lane_words));
    return min(offset, params.lane_words) * params.lanes + lane;
}

fn lane_load(offset: u32) -> u32 {
    return words[lane_at(offset)];
}

fn lane_store(offset: u32, value: u32) {
    words[lane_at(offset)] = value;
}

fn stack_at(slot: u32) -> u32 {
    escaped = max(escaped, select(0u, ESCAPE_STACK, slot >= params.stack_slots));
    return min(slot, params.stack_slots) * 2u * params.lanes + lane;
}

fn stack_load(slot: u32) -> Word {
    let at = stack_at(slot);
    return Word(stacks[at], stacks[at + params.lanes]);
}

fn stack_store(slot: u32, value: Word) {
    let at = stack_at(slot);
    stacks[at] = value.lo;
    stacks[at + params.lanes] = value.hi;
}

// A 256-bit word of the lane.
fn lane_load_word(offset: u32) -> Word {
    return Word(
        vec4<u32>(lane_load(offset), lane_load(offset + 1u), lane_load(offset + 2u), lane_load(offset + 3u)),
        vec4<u32>(lane_load(offset + 4u), lane_load(offset + 5u), lane_load(offset + 6u), lane_load(offset + 7u)),
    );
}

fn lane_store_word(offset: u32, value: Word) {
    lane_store(offset, value.lo.x);
    lane_store(offset + 1u, value.lo.y);
    lane_store(offset + 2u, value.lo.z);
    lane_store(offset + 3u, value.lo.w);
    lane_store(offset + 4u, value.hi.x);
    lane_store(offset + 5u, value.hi.y);
    lane_store(offset + 6u, value.hi.z);
    lane_store(offset + 7u, value.hi.w);
}

// A 256-bit word of the pool.
fn pool_word(offset: u32) -> Word {
    return Word(
        vec4<u32>(pool[offset], pool[offset + 1u], pool[offset + 2u], pool[offset + 3u]),
        vec4<u32>(pool[offset + 4u], pool[offset + 5u], pool[offset + 6u], pool[offset + 7u]),
    );
}

// A 160-bit address.
struct Address {
    lo: vec4<u32>,
    hi: u32,
}

fn address_eq(a: Address, b: Address) -> bool {
    return a.hi == b.hi && all(a.lo == b.lo);
}

fn address_of(word: Word) -> Address {
    return Address(word.lo, word.hi.x);
}

fn word_of_address(address: Address) -> Word {
    return Word(address.lo, vec4<u32>(address.hi, 0u, 0u, 0u));
}

fn lane_load_address(offset: u32) -> Address {
    let lo = vec4<u32>(lane_load(offset), lane_load(offset + 1u), lane_load(offset + 2u), lane_load(offset + 3u));
    return Address(lo, lane_load(offset + 4u));
}

fn lane_store_address(offset: u32, address: Address) {
    lane_store(offset, address.lo.x);
    lane_store(offset + 1u, address.lo.y);
    lane_store(offset + 2u, address.lo.z);
    lane_store(offset + 3u, address.lo.w);
    lane_store(offset + 4u, address.hi);
}

fn pool_address(offset: u32) -> Address {
    return Address(vec4<u32>(pool[offset], pool[offset + 1u], pool[offset + 2u], pool[offset + 3u]), pool[offset + 4u]);
}
