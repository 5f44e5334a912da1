// KECCAK256, and the hashes of creations.

// Keccak-256 of a source of bytes.
fn keccak256(source: Source) -> Word {
    var state: array<vec2<u32>, 25>;
    var at = 0u;
    loop {
        for (var i = 0u; i < opaque(17u); i += 1u) {
            var lo = swap_bytes(source_bytes(source, at + 8u * i));
            var hi = swap_bytes(source_bytes(source, at + 8u * i + 4u));
            // Padding: a one bit after the last byte ...
            let end = source.len - at;
            if source.len >= at && end >= 8u * i && end < 8u * i + 8u {
                let shift = (end & 3u) * 8u;
                if (end & 4u) == 0u {
                    lo |= 1u << shift;
                } else {
                    hi |= 1u << shift;
                }
            }
            // ... and one at the end of the last block.
            if i == 16u && source.len < at + 136u {
                hi |= 0x80000000u;
            }
            state[i] ^= vec2<u32>(lo, hi);
        }
        keccak_f(&state);
        at += 136u;
        if at > source.len {
            break;
        }
    }
    return Word(
        vec4<u32>(swap_bytes(state[3].y), swap_bytes(state[3].x), swap_bytes(state[2].y), swap_bytes(state[2].x)),
        vec4<u32>(swap_bytes(state[1].y), swap_bytes(state[1].x), swap_bytes(state[0].y), swap_bytes(state[0].x)),
    );
}

// Messages of a few words are put together where the return data was: it is gone by then.
fn message_source(len: u32) -> Source {
    return Source(SOURCE_LANE, params.return_data, 0u, len);
}

// The limb of a word by its place in the big-endian bytes.
fn big_endian_limb(word: Word, i: u32) -> u32 {
    return select(word.hi[(7u - i) & 3u], word.lo[(7u - i) & 3u], i >= 4u);
}

// What CREATE2 hashes (EIP-1014): ff, address, salt, hash of the initcode.
fn create2_message(creator: Address, code: Word) -> Source {
    let message = params.return_data;
    lane_store(message, 0xff000000u | creator.hi >> 8u);
    lane_store(message + 1u, creator.hi << 24u | creator.lo.w >> 8u);
    lane_store(message + 2u, creator.lo.w << 24u | creator.lo.z >> 8u);
    lane_store(message + 3u, creator.lo.z << 24u | creator.lo.y >> 8u);
    lane_store(message + 4u, creator.lo.y << 24u | creator.lo.x >> 8u);
    // The operands are gone from the stack pointer, not from the stack.
    let salt = stack_load(sp);
    var carry = creator.lo.x << 24u;
    for (var i = 0u; i < opaque(16u); i += 1u) {
        var limb = big_endian_limb(salt, i);
        if i >= 8u {
            limb = big_endian_limb(code, i - 8u);
        }
        lane_store(message + 5u + i, carry | limb >> 8u);
        carry = limb << 24u;
    }
    lane_store(message + 21u, carry);
    return message_source(85u);
}

// What CREATE hashes (Yellow Paper 7): the RLP of [address, nonce].
fn create_message(creator: Address) -> Source {
    let message = params.return_data;
    let at = account_at(reg(R_ACCOUNT)) + A_NONCE;
    let nonce = vec2<u32>(lane_load(at), lane_load(at + 1u));
    let bits = select(32u - countLeadingZeros(nonce.x), 64u - countLeadingZeros(nonce.y), nonce.y != 0u);
    let bytes = (bits + 7u) / 8u;
    // The nonce as bytes, the first in the highest bits of `high`; up to nine of them.
    var high: u32;
    var low = 0u;
    var tail = 0u;
    var len = 1u;
    if nonce.y == 0u && nonce.x < 0x80u {
        high = select(nonce.x, 0x80u, nonce.x == 0u) << 24u;
    } else {
        // A length byte, then `bytes` bytes.
        var digits = vec2<u32>(nonce.y, nonce.x);
        let shift = 64u - 8u * bytes;
        if shift >= 32u {
            digits = vec2<u32>(digits.y << (shift - 32u), 0u);
        } else if shift > 0u {
            digits = vec2<u32>(digits.x << shift | digits.y >> (32u - shift), digits.y << shift);
        }
        high = (0x80u + bytes) << 24u | digits.x >> 8u;
        low = digits.x << 24u | digits.y >> 8u;
        tail = digits.y << 24u;
        len = 1u + bytes;
    }
    // Two bytes of prefix before the address, so that the nonce starts at byte 22.
    lane_store(message, (0xc0u + 21u + len) << 24u | 0x940000u | creator.hi >> 16u);
    lane_store(message + 1u, creator.hi << 16u | creator.lo.w >> 16u);
    lane_store(message + 2u, creator.lo.w << 16u | creator.lo.z >> 16u);
    lane_store(message + 3u, creator.lo.z << 16u | creator.lo.y >> 16u);
    lane_store(message + 4u, creator.lo.y << 16u | creator.lo.x >> 16u);
    lane_store(message + 5u, creator.lo.x << 16u | high >> 16u);
    lane_store(message + 6u, high << 16u | low >> 16u);
    lane_store(message + 7u, low << 16u | tail >> 16u);
    return message_source(22u + len);
}

// KECCAK256 pays for its words and its memory.
fn op_keccak256() -> Source {
    let offset = place(operand(0u));
    let len = place(operand(1u));
    charge((min(len, MEMORY_REACH) + 31u) / 32u * schedule(G_KECCAK_WORD));
    let current = reg(R_MEMORY_LEN);
    memory_grow(memory_charge(offset, len, current), current);
    return memory_source(offset, len);
}
