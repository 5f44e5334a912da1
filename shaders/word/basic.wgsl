// 256-bit words: the functions that are cheap enough for a hot loop. Pure and without bindings. Nothing indexes an
// array with a variable, so that all limbs stay in registers.

// lo.x is the least significant limb.
struct Word {
    lo: vec4<u32>,
    hi: vec4<u32>,
}

fn word_zero() -> Word {
    return Word(vec4<u32>(), vec4<u32>());
}

fn word_from_u32(x: u32) -> Word {
    return Word(vec4<u32>(x, 0u, 0u, 0u), vec4<u32>());
}

// The carry out of a + b + carry, from the sum: the majority of the top bits of a, b and not sum.
fn carry_out(a: u32, b: u32, sum: u32) -> u32 {
    return ((a & b) | ((a | b) & ~sum)) >> 31u;
}

// A sum and its carry, 0 or 1.
struct WordSum {
    sum: Word,
    carry: u32,
}

fn word_add_carry(a: Word, b: Word) -> WordSum {
    var s: WordSum;
    s.sum.lo.x = a.lo.x + b.lo.x;
    s.sum.lo.y = a.lo.y + b.lo.y + carry_out(a.lo.x, b.lo.x, s.sum.lo.x);
    s.sum.lo.z = a.lo.z + b.lo.z + carry_out(a.lo.y, b.lo.y, s.sum.lo.y);
    s.sum.lo.w = a.lo.w + b.lo.w + carry_out(a.lo.z, b.lo.z, s.sum.lo.z);
    s.sum.hi.x = a.hi.x + b.hi.x + carry_out(a.lo.w, b.lo.w, s.sum.lo.w);
    s.sum.hi.y = a.hi.y + b.hi.y + carry_out(a.hi.x, b.hi.x, s.sum.hi.x);
    s.sum.hi.z = a.hi.z + b.hi.z + carry_out(a.hi.y, b.hi.y, s.sum.hi.y);
    s.sum.hi.w = a.hi.w + b.hi.w + carry_out(a.hi.z, b.hi.z, s.sum.hi.z);
    s.carry = carry_out(a.hi.w, b.hi.w, s.sum.hi.w);
    return s;
}

fn word_add(a: Word, b: Word) -> Word {
    return word_add_carry(a, b).sum;
}

// The borrow out of a - b - borrow, from the difference.
fn borrow_out(a: u32, b: u32, difference: u32) -> u32 {
    return ((~a & b) | ((~a | b) & difference)) >> 31u;
}

// A difference and its borrow, 0 or 1.
fn word_sub_borrow(a: Word, b: Word) -> WordSum {
    var d: WordSum;
    d.sum.lo.x = a.lo.x - b.lo.x;
    d.sum.lo.y = a.lo.y - b.lo.y - borrow_out(a.lo.x, b.lo.x, d.sum.lo.x);
    d.sum.lo.z = a.lo.z - b.lo.z - borrow_out(a.lo.y, b.lo.y, d.sum.lo.y);
    d.sum.lo.w = a.lo.w - b.lo.w - borrow_out(a.lo.z, b.lo.z, d.sum.lo.z);
    d.sum.hi.x = a.hi.x - b.hi.x - borrow_out(a.lo.w, b.lo.w, d.sum.lo.w);
    d.sum.hi.y = a.hi.y - b.hi.y - borrow_out(a.hi.x, b.hi.x, d.sum.hi.x);
    d.sum.hi.z = a.hi.z - b.hi.z - borrow_out(a.hi.y, b.hi.y, d.sum.hi.y);
    d.sum.hi.w = a.hi.w - b.hi.w - borrow_out(a.hi.z, b.hi.z, d.sum.hi.z);
    d.carry = borrow_out(a.hi.w, b.hi.w, d.sum.hi.w);
    return d;
}

fn word_sub(a: Word, b: Word) -> Word {
    return word_sub_borrow(a, b).sum;
}

fn word_neg(a: Word) -> Word {
    return word_sub(word_zero(), a);
}

fn word_not(a: Word) -> Word {
    return Word(~a.lo, ~a.hi);
}

fn word_and(a: Word, b: Word) -> Word {
    return Word(a.lo & b.lo, a.hi & b.hi);
}

fn word_or(a: Word, b: Word) -> Word {
    return Word(a.lo | b.lo, a.hi | b.hi);
}

fn word_xor(a: Word, b: Word) -> Word {
    return Word(a.lo ^ b.lo, a.hi ^ b.hi);
}

fn word_select(if_false: Word, if_true: Word, condition: bool) -> Word {
    return Word(select(if_false.lo, if_true.lo, condition), select(if_false.hi, if_true.hi, condition));
}

fn word_is_zero(a: Word) -> bool {
    let any = a.lo | a.hi;
    return (any.x | any.y | any.z | any.w) == 0u;
}

fn word_eq(a: Word, b: Word) -> bool {
    return word_is_zero(word_xor(a, b));
}

// Whether the word is negative in two's complement.
fn word_is_negative(a: Word) -> bool {
    return (a.hi.w >> 31u) != 0u;
}

// Unsigned a < b: from the least significant limb up, a higher limb overrules the lower ones unless it is equal.
fn word_lt(a: Word, b: Word) -> bool {
    var less = a.lo.x < b.lo.x;
    less = select(a.lo.y < b.lo.y, less, a.lo.y == b.lo.y);
    less = select(a.lo.z < b.lo.z, less, a.lo.z == b.lo.z);
    less = select(a.lo.w < b.lo.w, less, a.lo.w == b.lo.w);
    less = select(a.hi.x < b.hi.x, less, a.hi.x == b.hi.x);
    less = select(a.hi.y < b.hi.y, less, a.hi.y == b.hi.y);
    less = select(a.hi.z < b.hi.z, less, a.hi.z == b.hi.z);
    return select(a.hi.w < b.hi.w, less, a.hi.w == b.hi.w);
}

// Signed a < b: as unsigned with the sign bits flipped.
fn word_slt(a: Word, b: Word) -> bool {
    let sign = vec4<u32>(0u, 0u, 0u, 0x80000000u);
    return word_lt(Word(a.lo, a.hi ^ sign), Word(b.lo, b.hi ^ sign));
}

// w << n for n < 256: by 128, 64, 32 bits, then the rest.
fn word_shl(w: Word, n: u32) -> Word {
    var hi = select(w.hi, w.lo, (n & 128u) != 0u);
    var lo = select(w.lo, vec4<u32>(), (n & 128u) != 0u);
    hi = select(hi, vec4<u32>(lo.zw, hi.xy), (n & 64u) != 0u);
    lo = select(lo, vec4<u32>(0u, 0u, lo.xy), (n & 64u) != 0u);
    hi = select(hi, vec4<u32>(lo.w, hi.xyz), (n & 32u) != 0u);
    lo = select(lo, vec4<u32>(0u, lo.xyz), (n & 32u) != 0u);
    // In two steps, because a shift by 32 is none.
    let left = vec4<u32>(n & 31u);
    let right = vec4<u32>(31u) - left;
    return Word(
        (lo << left) | ((vec4<u32>(0u, lo.xyz) >> right) >> vec4<u32>(1u)),
        (hi << left) | ((vec4<u32>(lo.w, hi.xyz) >> right) >> vec4<u32>(1u)),
    );
}

// w >> n for n < 256; the bits that come in are those of `fill`, 0 or 0xffffffff.
fn word_shift_right(w: Word, n: u32, fill: u32) -> Word {
    var lo = select(w.lo, w.hi, (n & 128u) != 0u);
    var hi = select(w.hi, vec4<u32>(fill), (n & 128u) != 0u);
    lo = select(lo, vec4<u32>(lo.zw, hi.xy), (n & 64u) != 0u);
    hi = select(hi, vec4<u32>(hi.zw, fill, fill), (n & 64u) != 0u);
    lo = select(lo, vec4<u32>(lo.yzw, hi.x), (n & 32u) != 0u);
    hi = select(hi, vec4<u32>(hi.yzw, fill), (n & 32u) != 0u);
    let right = vec4<u32>(n & 31u);
    let left = vec4<u32>(31u) - right;
    return Word(
        (lo >> right) | ((vec4<u32>(lo.yzw, hi.x) << left) << vec4<u32>(1u)),
        (hi >> right) | ((vec4<u32>(hi.yzw, fill) << left) << vec4<u32>(1u)),
    );
}

fn word_shr(w: Word, n: u32) -> Word {
    return word_shift_right(w, n, 0u);
}

fn word_sar(w: Word, n: u32) -> Word {
    return word_shift_right(w, n, select(0u, 0xffffffffu, word_is_negative(w)));
}

// Limb `index` of a word, for index < 8.
fn word_limb(w: Word, index: u32) -> u32 {
    let four = select(w.lo, w.hi, index >= 4u);
    let two = select(four.xy, four.zw, (index & 2u) != 0u);
    return select(two.x, two.y, (index & 1u) != 0u);
}

// BYTE, for index < 32; index 0 is the most significant byte.
fn word_byte(index: u32, w: Word) -> Word {
    let limb = word_limb(w, 7u - (index >> 2u));
    return word_from_u32((limb >> (24u - 8u * (index & 3u))) & 0xffu);
}

// SIGNEXTEND, for byte_index < 31.
fn word_signextend(byte_index: u32, w: Word) -> Word {
    let place = byte_index >> 2u;
    let unused = 24u - 8u * (byte_index & 3u);
    let limb = bitcast<i32>(word_limb(w, place) << unused) >> unused;
    let fill = vec4<u32>(bitcast<u32>(limb >> 31u));
    let at = vec4<u32>(place);
    let low = vec4<u32>(0u, 1u, 2u, 3u);
    let high = vec4<u32>(4u, 5u, 6u, 7u);
    let extended = vec4<u32>(bitcast<u32>(limb));
    return Word(
        select(select(fill, extended, low == at), w.lo, low < at),
        select(select(fill, extended, high == at), w.hi, high < at),
    );
}

// Leading zero bits; 256 for zero.
fn word_clz(w: Word) -> u32 {
    let any_high = (w.hi.x | w.hi.y | w.hi.z | w.hi.w) != 0u;
    let four = select(w.lo, w.hi, any_high);
    let any_two = (four.z | four.w) != 0u;
    let two = select(four.xy, four.zw, any_two);
    let one = select(two.x, two.y, two.y != 0u);
    return select(128u, 0u, any_high) + select(64u, 0u, any_two) + select(32u, 0u, two.y != 0u)
        + countLeadingZeros(one);
}

// The length in bits; 0 for zero.
fn word_bits(w: Word) -> u32 {
    return 256u - word_clz(w);
}

fn limbs_byteswap(limbs: vec4<u32>) -> vec4<u32> {
    let x = limbs.wzyx;
    let pairs = ((x & vec4<u32>(0x00ff00ffu)) << vec4<u32>(8u)) | ((x >> vec4<u32>(8u)) & vec4<u32>(0x00ff00ffu));
    return (pairs << vec4<u32>(16u)) | (pairs >> vec4<u32>(16u));
}

// The 32 bytes in reverse order: from memory order to a word and back.
fn word_byteswap(w: Word) -> Word {
    return Word(limbs_byteswap(w.hi), limbs_byteswap(w.lo));
}

// The 20 digits of 13 bits.
struct WordDigits {
    a: vec4<u32>,
    b: vec4<u32>,
    c: vec4<u32>,
    d: vec4<u32>,
    e: vec4<u32>,
}

fn word_digits(w: Word) -> WordDigits {
    let x = w.lo;
    let y = w.hi;
    let mask = vec4<u32>(0x1fffu);
    return WordDigits(
        vec4<u32>(x.x, x.x >> 13u, (x.x >> 26u) | (x.y << 6u), x.y >> 7u) & mask,
        vec4<u32>((x.y >> 20u) | (x.z << 12u), x.z >> 1u, x.z >> 14u, (x.z >> 27u) | (x.w << 5u)) & mask,
        vec4<u32>(x.w >> 8u, (x.w >> 21u) | (y.x << 11u), y.x >> 2u, y.x >> 15u) & mask,
        vec4<u32>((y.x >> 28u) | (y.y << 4u), y.y >> 9u, (y.y >> 22u) | (y.z << 10u), y.z >> 3u) & mask,
        vec4<u32>(y.z >> 16u, (y.z >> 29u) | (y.w << 3u), y.w >> 10u, y.w >> 23u) & mask,
    );
}

// The low 256 bits of a product. Digits of 13 bits: a column of 20 products and a carry fits 32 bits, so that a product
// costs one multiplication and one addition and nothing else.
fn word_mul(p: Word, q: Word) -> Word {
    let m = word_digits(p);
    let n = word_digits(q);
    let c0 = m.a.x * n.a.x;
    let c1 = (c0 >> 13u) + m.a.x * n.a.y + m.a.y * n.a.x;
    let c2 = (c1 >> 13u) + m.a.x * n.a.z + m.a.y * n.a.y + m.a.z * n.a.x;
    let c3 = (c2 >> 13u) + m.a.x * n.a.w + m.a.y * n.a.z + m.a.z * n.a.y + m.a.w * n.a.x;
    let c4 = (c3 >> 13u) + m.a.x * n.b.x + m.a.y * n.a.w + m.a.z * n.a.z + m.a.w * n.a.y + m.b.x * n.a.x;
    let c5 = (c4 >> 13u) + m.a.x * n.b.y + m.a.y * n.b.x + m.a.z * n.a.w + m.a.w * n.a.z + m.b.x * n.a.y
        + m.b.y * n.a.x;
    let c6 = (c5 >> 13u) + m.a.x * n.b.z + m.a.y * n.b.y + m.a.z * n.b.x + m.a.w * n.a.w + m.b.x * n.a.z
        + m.b.y * n.a.y + m.b.z * n.a.x;
    let c7 = (c6 >> 13u) + m.a.x * n.b.w + m.a.y * n.b.z + m.a.z * n.b.y + m.a.w * n.b.x + m.b.x * n.a.w
        + m.b.y * n.a.z + m.b.z * n.a.y + m.b.w * n.a.x;
    let c8 = (c7 >> 13u) + m.a.x * n.c.x + m.a.y * n.b.w + m.a.z * n.b.z + m.a.w * n.b.y + m.b.x * n.b.x
        + m.b.y * n.a.w + m.b.z * n.a.z + m.b.w * n.a.y + m.c.x * n.a.x;
    let c9 = (c8 >> 13u) + m.a.x * n.c.y + m.a.y * n.c.x + m.a.z * n.b.w + m.a.w * n.b.z + m.b.x * n.b.y
        + m.b.y * n.b.x + m.b.z * n.a.w + m.b.w * n.a.z + m.c.x * n.a.y + m.c.y * n.a.x;
    let c10 = (c9 >> 13u) + m.a.x * n.c.z + m.a.y * n.c.y + m.a.z * n.c.x + m.a.w * n.b.w + m.b.x * n.b.z
        + m.b.y * n.b.y + m.b.z * n.b.x + m.b.w * n.a.w + m.c.x * n.a.z + m.c.y * n.a.y + m.c.z * n.a.x;
    let c11 = (c10 >> 13u) + m.a.x * n.c.w + m.a.y * n.c.z + m.a.z * n.c.y + m.a.w * n.c.x + m.b.x * n.b.w
        + m.b.y * n.b.z + m.b.z * n.b.y + m.b.w * n.b.x + m.c.x * n.a.w + m.c.y * n.a.z + m.c.z * n.a.y
        + m.c.w * n.a.x;
    let c12 = (c11 >> 13u) + m.a.x * n.d.x + m.a.y * n.c.w + m.a.z * n.c.z + m.a.w * n.c.y + m.b.x * n.c.x
        + m.b.y * n.b.w + m.b.z * n.b.z + m.b.w * n.b.y + m.c.x * n.b.x + m.c.y * n.a.w + m.c.z * n.a.z
        + m.c.w * n.a.y + m.d.x * n.a.x;
    let c13 = (c12 >> 13u) + m.a.x * n.d.y + m.a.y * n.d.x + m.a.z * n.c.w + m.a.w * n.c.z + m.b.x * n.c.y
        + m.b.y * n.c.x + m.b.z * n.b.w + m.b.w * n.b.z + m.c.x * n.b.y + m.c.y * n.b.x + m.c.z * n.a.w
        + m.c.w * n.a.z + m.d.x * n.a.y + m.d.y * n.a.x;
    let c14 = (c13 >> 13u) + m.a.x * n.d.z + m.a.y * n.d.y + m.a.z * n.d.x + m.a.w * n.c.w + m.b.x * n.c.z
        + m.b.y * n.c.y + m.b.z * n.c.x + m.b.w * n.b.w + m.c.x * n.b.z + m.c.y * n.b.y + m.c.z * n.b.x
        + m.c.w * n.a.w + m.d.x * n.a.z + m.d.y * n.a.y + m.d.z * n.a.x;
    let c15 = (c14 >> 13u) + m.a.x * n.d.w + m.a.y * n.d.z + m.a.z * n.d.y + m.a.w * n.d.x + m.b.x * n.c.w
        + m.b.y * n.c.z + m.b.z * n.c.y + m.b.w * n.c.x + m.c.x * n.b.w + m.c.y * n.b.z + m.c.z * n.b.y
        + m.c.w * n.b.x + m.d.x * n.a.w + m.d.y * n.a.z + m.d.z * n.a.y + m.d.w * n.a.x;
    let c16 = (c15 >> 13u) + m.a.x * n.e.x + m.a.y * n.d.w + m.a.z * n.d.z + m.a.w * n.d.y + m.b.x * n.d.x
        + m.b.y * n.c.w + m.b.z * n.c.z + m.b.w * n.c.y + m.c.x * n.c.x + m.c.y * n.b.w + m.c.z * n.b.z
        + m.c.w * n.b.y + m.d.x * n.b.x + m.d.y * n.a.w + m.d.z * n.a.z + m.d.w * n.a.y + m.e.x * n.a.x;
    let c17 = (c16 >> 13u) + m.a.x * n.e.y + m.a.y * n.e.x + m.a.z * n.d.w + m.a.w * n.d.z + m.b.x * n.d.y
        + m.b.y * n.d.x + m.b.z * n.c.w + m.b.w * n.c.z + m.c.x * n.c.y + m.c.y * n.c.x + m.c.z * n.b.w
        + m.c.w * n.b.z + m.d.x * n.b.y + m.d.y * n.b.x + m.d.z * n.a.w + m.d.w * n.a.z + m.e.x * n.a.y
        + m.e.y * n.a.x;
    let c18 = (c17 >> 13u) + m.a.x * n.e.z + m.a.y * n.e.y + m.a.z * n.e.x + m.a.w * n.d.w + m.b.x * n.d.z
        + m.b.y * n.d.y + m.b.z * n.d.x + m.b.w * n.c.w + m.c.x * n.c.z + m.c.y * n.c.y + m.c.z * n.c.x
        + m.c.w * n.b.w + m.d.x * n.b.z + m.d.y * n.b.y + m.d.z * n.b.x + m.d.w * n.a.w + m.e.x * n.a.z
        + m.e.y * n.a.y + m.e.z * n.a.x;
    let c19 = (c18 >> 13u) + m.a.x * n.e.w + m.a.y * n.e.z + m.a.z * n.e.y + m.a.w * n.e.x + m.b.x * n.d.w
        + m.b.y * n.d.z + m.b.z * n.d.y + m.b.w * n.d.x + m.c.x * n.c.w + m.c.y * n.c.z + m.c.z * n.c.y
        + m.c.w * n.c.x + m.d.x * n.b.w + m.d.y * n.b.z + m.d.z * n.b.y + m.d.w * n.b.x + m.e.x * n.a.w
        + m.e.y * n.a.z + m.e.z * n.a.y + m.e.w * n.a.x;
    return Word(
        vec4<u32>(
            (c0 & 0x1fffu) | ((c1 & 0x1fffu) << 13u) | (c2 << 26u),
            ((c2 & 0x1fffu) >> 6u) | ((c3 & 0x1fffu) << 7u) | (c4 << 20u),
            ((c4 & 0x1fffu) >> 12u) | ((c5 & 0x1fffu) << 1u) | ((c6 & 0x1fffu) << 14u) | (c7 << 27u),
            ((c7 & 0x1fffu) >> 5u) | ((c8 & 0x1fffu) << 8u) | (c9 << 21u),
        ),
        vec4<u32>(
            ((c9 & 0x1fffu) >> 11u) | ((c10 & 0x1fffu) << 2u) | ((c11 & 0x1fffu) << 15u) | (c12 << 28u),
            ((c12 & 0x1fffu) >> 4u) | ((c13 & 0x1fffu) << 9u) | (c14 << 22u),
            ((c14 & 0x1fffu) >> 10u) | ((c15 & 0x1fffu) << 3u) | ((c16 & 0x1fffu) << 16u) | (c17 << 29u),
            ((c17 & 0x1fffu) >> 3u) | ((c18 & 0x1fffu) << 10u) | (c19 << 23u),
        ),
    );
}
