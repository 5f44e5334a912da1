// Bytes, four to a word, the first in the highest bits.

fn swap_bytes(x: u32) -> u32 {
    return x << 24u | (x & 0xff00u) << 8u | (x >> 8u & 0xff00u) | x >> 24u;
}

// Bytes somewhere: `base` is the word that holds byte 0; `len` bytes are there, and zeros after them.
struct Source {
    kind: u32,
    base: u32,
    start: u32,
    len: u32,
}

fn source_word(kind: u32, at: u32) -> u32 {
    switch kind {
        case SOURCE_POOL: { return pool[at]; }
        case SOURCE_CODES: { return codes[at]; }
        default: { return lane_load(at); }
    }
}

// Four bytes from byte `at` of the source on; zeros beyond its end.
fn source_bytes(source: Source, at: u32) -> u32 {
    if at >= source.len {
        return 0u;
    }
    let byte = source.start + at;
    let word = source.base + (byte >> 2u);
    let shift = (byte & 3u) * 8u;
    let left = source.len - at;
    var value = source_word(source.kind, word);
    if shift != 0u {
        value = value << shift;
        if left > 4u - (shift >> 3u) {
            value |= source_word(source.kind, word + 1u) >> (32u - shift);
        }
    }
    if left < 4u {
        value &= ~(0xffffffffu >> (left * 8u));
    }
    return value;
}

// 32 bytes from byte `at` of the source on, as a number.
fn source_load_word(source: Source, at: u32) -> Word {
    var word = word_zero();
    // A place beyond the end may be so far beyond that sums with it wrap.
    let first = min(at, source.len);
    for (var i = 0u; i < opaque(8u); i += 1u) {
        word = word_push(word, source_bytes(source, first + 4u * i));
    }
    return word;
}

// Writes `len` bytes of the source from its byte `from` on to lane memory at `base` (in words) and `to` (in bytes).
fn write_bytes(base: u32, to: u32, len: u32, source: Source, first_byte: u32, backwards: bool) {
    if len == 0u {
        return;
    }
    let skew = to & 3u;
    let first = to >> 2u;
    let last = (to + len - 1u) >> 2u;
    for (var i = 0u; i <= last - first; i += 1u) {
        let word = select(first + i, last - i, backwards);
        var mask = 0xffffffffu;
        var value: u32;
        if word == first && skew != 0u {
            mask = 0xffffffffu >> (8u * skew);
            value = source_bytes(source, first_byte) >> (8u * skew);
        } else {
            let at = first_byte + (word * 4u - to);
            // Far beyond the end, where the sum would wrap, there are zeros.
            value = select(source_bytes(source, at), 0u, at < first_byte);
        }
        if word == last {
            let end = (to + len) & 3u;
            if end != 0u {
                mask &= ~(0xffffffffu >> (8u * end));
            }
        }
        if mask == 0xffffffffu {
            lane_store(base + word, value);
        } else {
            lane_store(base + word, (lane_load(base + word) & ~mask) | (value & mask));
        }
    }
}
