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

// A number that compilers do not see: loops up to it are not unrolled, which would multiply the code.
fn opaque(count: u32) -> u32 {
    return count + params.limbs - 8u;
}

// 256-bit words and addresses, of the lane and of the pool. One access in a loop, most significant limb first: software
// drivers turn each access into a loop over lanes, and eight of them wherever a word is touched take minutes to compile.

// Pushes the other limbs up by one.
fn word_push(word: Word, limb: u32) -> Word {
    return Word(vec4<u32>(limb, word.lo.xyz), vec4<u32>(word.lo.w, word.hi.xyz));
}

fn lane_load_limbs(offset: u32, count: u32) -> Word {
    var word = word_zero();
    for (var i = opaque(count); i > 0u; i -= 1u) {
        word = word_push(word, lane_load(offset + i - 1u));
    }
    return word;
}

fn lane_store_limbs(offset: u32, value: Word, count: u32) {
    var word = value;
    for (var i = 0u; i < opaque(count); i += 1u) {
        lane_store(offset + i, word.lo.x);
        word = Word(vec4<u32>(word.lo.yzw, word.hi.x), vec4<u32>(word.hi.yzw, 0u));
    }
}

fn lane_load_word(offset: u32) -> Word {
    return lane_load_limbs(offset, 8u);
}

fn lane_store_word(offset: u32, value: Word) {
    lane_store_limbs(offset, value, 8u);
}

fn pool_limbs(offset: u32, count: u32) -> Word {
    var word = word_zero();
    for (var i = opaque(count); i > 0u; i -= 1u) {
        word = word_push(word, pool[offset + i - 1u]);
    }
    return word;
}

fn pool_word(offset: u32) -> Word {
    return pool_limbs(offset, 8u);
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
    return address_of(lane_load_limbs(offset, 5u));
}

fn lane_store_address(offset: u32, address: Address) {
    lane_store_limbs(offset, word_of_address(address), 5u);
}

fn pool_address(offset: u32) -> Address {
    return address_of(pool_limbs(offset, 5u));
}
