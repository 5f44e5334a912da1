// The division family and EXP. Needs word/basic.wgsl.
//
// The quotient comes in digits of 16 bits, as in Knuth's algorithm D (TAOCP volume 2, 4.3.1), but the divisor is shifted
// to the full 256 bits, so that every limb has a fixed place and stays in a register. Only as many rounds run as the
// quotient has digits. Digits are estimated with a reciprocal of the two top digits (Möller and Granlund, "Improved
// division by invariant integers", algorithms 4 and 6), which is at most one too high: no device divides fast.
//
// A function is copied to wherever it is called: a kernel for all of these calls word_heavy, once.

// The top 16 bits become the bottom ones of `high`.
fn limbs_shl_16(limbs: vec4<u32>, below: u32) -> vec4<u32> {
    return (limbs << vec4<u32>(16u)) | (vec4<u32>(below, limbs.xyz) >> vec4<u32>(16u));
}

// floor((2^48 - 1) / d) - 2^16, for d >= 2^31.
fn reciprocal(d: u32) -> u32 {
    let d1 = d >> 16u;
    let d0 = d & 0xffffu;
    var v = 0xffffffffu / d1 - 0x10000u;
    var p = ((d1 * v) & 0xffffu) + d0;
    if p >= 0x10000u {
        p -= 0x10000u;
        v -= 1u;
        if p >= d1 {
            v -= 1u;
            p -= d1;
        }
        p = (p - d1) & 0xffffu;
    }
    let t = v * d0;
    p += t >> 16u;
    if p >= 0x10000u {
        v -= 1u;
        if ((p << 16u) | (t & 0xffffu)) >= d {
            v -= 1u;
        }
    }
    return v;
}

// floor((top * 2^16 + next) / d) for top < d, next < 2^16; v is d's reciprocal.
fn quotient_digit(top: u32, next: u32, d: u32, v: u32) -> u32 {
    let q = v * (top >> 16u) + top;
    var digit = q >> 16u;
    var rest = (((top - digit * (d >> 16u)) << 16u) | next) - (d & 0xffffu) * digit - d;
    digit += 1u;
    if (rest >> 16u) >= (q & 0xffffu) {
        digit -= 1u;
        rest += d;
    }
    return select(digit, digit + 1u, rest >= d);
}

// The parts of limb * digit + carry: the low 32 bits and what is above them.
fn limb_times(limb: u32, digit: u32, carry: u32) -> vec2<u32> {
    let low = (limb & 0xffffu) * digit + carry;
    let high = (limb >> 16u) * digit + (low >> 16u);
    return vec2<u32>((high << 16u) | (low & 0xffffu), high >> 16u);
}

// w * digit for digit < 2^16: the low 256 bits, and what is above them.
fn word_times(w: Word, digit: u32) -> WordSum {
    let a = limb_times(w.lo.x, digit, 0u);
    let b = limb_times(w.lo.y, digit, a.y);
    let c = limb_times(w.lo.z, digit, b.y);
    let d = limb_times(w.lo.w, digit, c.y);
    let e = limb_times(w.hi.x, digit, d.y);
    let f = limb_times(w.hi.y, digit, e.y);
    let g = limb_times(w.hi.z, digit, f.y);
    let h = limb_times(w.hi.w, digit, g.y);
    return WordSum(Word(vec4<u32>(a.x, b.x, c.x, d.x), vec4<u32>(e.x, f.x, g.x, h.x)), h.y);
}

// A number of 512 bits.
struct DoubleWord {
    low: Word,
    high: Word,
}

// a * b in full, by the digits of b from the top.
fn word_mul_full(a: Word, b: Word) -> DoubleWord {
    let digits = (word_bits(b) + 15u) >> 4u;
    // A shift by 256 is only asked for where there is no digit.
    var rest = word_shl(b, (256u - 16u * digits) & 255u);
    var high = word_zero();
    var low = word_zero();
    for (var i = 0u; i < digits; i++) {
        high.hi = limbs_shl_16(high.hi, high.lo.w);
        high.lo = limbs_shl_16(high.lo, low.hi.w);
        low.hi = limbs_shl_16(low.hi, low.lo.w);
        low.lo = limbs_shl_16(low.lo, 0u);
        let product = word_times(a, rest.hi.w >> 16u);
        let sum = word_add_carry(low, product.sum);
        low = sum.sum;
        high = word_add(high, word_from_u32(product.carry + sum.carry));
        rest.hi = limbs_shl_16(rest.hi, rest.lo.w);
        rest.lo = limbs_shl_16(rest.lo, 0u);
    }
    return DoubleWord(low, high);
}

struct Division {
    // Only where the high word of the numerator is zero.
    quotient: Word,
    remainder: Word,
}

// Divides high * 2^256 + low. Both results are zero where the divisor is.
fn word_divide(high: Word, low: Word, divisor: Word) -> Division {
    var result = Division(word_zero(), word_zero());
    if word_is_zero(divisor) {
        return result;
    }
    let shift = word_clz(divisor);
    let d = word_shl(divisor, shift);
    let v = reciprocal(d.hi.w);
    // The remainder so far, shifted like the divisor: always less than it.
    var remainder = word_zero();
    // The high word first. Its remainder is the high word of the second pass.
    let passes = select(2u, 1u, word_is_zero(high));
    for (var turn = 0u; turn < passes; turn++) {
        let numerator = word_select(high, low, turn + 1u == passes);
        var digits = 16u;
        if word_is_zero(remainder) {
            // Digits that are sure to be zero are skipped: what is left of the numerator is below the divisor.
            digits = (max(word_bits(numerator) + shift, 255u) - 255u + 15u) >> 4u;
        }
        // The numerator as 512 bits: shifted like the divisor, and by the digits that are skipped.
        let by = shift + 256u - 16u * digits;
        var feed = word_zero();
        if by >= 256u {
            remainder = word_or(remainder, word_shl(numerator, by - 256u));
        } else {
            // In two steps, because a shift by 256 is none.
            remainder = word_or(remainder, word_shr(word_shr(numerator, 255u - by), 1u));
            feed = word_shl(numerator, by);
        }
        for (var i = 0u; i < digits; i++) {
            let next = feed.hi.w >> 16u;
            var digit = 0xffffu;
            if remainder.hi.w < d.hi.w {
                digit = quotient_digit(remainder.hi.w, remainder.hi.z >> 16u, d.hi.w, v);
            }
            let top = remainder.hi.w >> 16u;
            remainder.hi = limbs_shl_16(remainder.hi, remainder.lo.w);
            remainder.lo = limbs_shl_16(remainder.lo, feed.hi.w);
            let product = word_times(d, digit);
            // Less than nothing: the digit was one too high.
            let difference = word_sub_borrow(remainder, product.sum);
            remainder = difference.sum;
            if product.carry + difference.carry > top {
                remainder = word_add(remainder, d);
                digit -= 1u;
            }
            feed.hi = limbs_shl_16(feed.hi, feed.lo.w);
            feed.lo = limbs_shl_16(feed.lo, digit << 16u);
        }
        result.quotient = feed;
    }
    result.remainder = word_shr(remainder, shift);
    return result;
}

fn word_abs(a: Word) -> Word {
    return word_select(a, word_neg(a), word_is_negative(a));
}

// What word_heavy computes.
const HEAVY_DIV: u32 = 0u;
const HEAVY_SDIV: u32 = 1u;
const HEAVY_MOD: u32 = 2u;
const HEAVY_SMOD: u32 = 3u;
const HEAVY_ADDMOD: u32 = 4u;
const HEAVY_MULMOD: u32 = 5u;
const HEAVY_EXP: u32 = 6u;

// Any of the functions below: a and b are the operands, n the modulus of ADDMOD and MULMOD.
fn word_heavy(kind: u32, a: Word, b: Word, n: Word) -> Word {
    if kind == HEAVY_EXP {
        return word_exp(a, b);
    }
    let signed = kind == HEAVY_SDIV || kind == HEAVY_SMOD;
    let modular = kind == HEAVY_ADDMOD || kind == HEAVY_MULMOD;
    var numerator = DoubleWord(a, word_zero());
    var divisor = b;
    if signed {
        numerator.low = word_abs(a);
        divisor = word_abs(b);
    }
    if modular {
        divisor = n;
    }
    if kind == HEAVY_ADDMOD {
        let sum = word_add_carry(a, b);
        numerator = DoubleWord(sum.sum, word_from_u32(sum.carry));
    }
    if kind == HEAVY_MULMOD {
        numerator = word_mul_full(a, b);
        if word_is_zero(word_not(n)) {
            // Modulo 2^256 - 1, the way to the high word of a product (mulDiv of Uniswap and others), 2^256 is 1. The
            // sum is one short of that at most, so that the division has nothing to do but for one subtraction.
            let sum = word_add_carry(numerator.low, numerator.high);
            numerator = DoubleWord(word_add(sum.sum, word_from_u32(sum.carry)), word_zero());
        }
    }
    let division = word_divide(numerator.high, numerator.low, divisor);
    let quotient = kind == HEAVY_DIV || kind == HEAVY_SDIV;
    let result = word_select(division.remainder, division.quotient, quotient);
    // The quotient has the sign of the product, the remainder that of the dividend.
    let sign = a.hi.w ^ select(0u, b.hi.w, quotient);
    return word_select(result, word_neg(result), signed && (sign >> 31u) != 0u);
}

fn word_div(a: Word, b: Word) -> Word {
    return word_divide(word_zero(), a, b).quotient;
}

fn word_mod(a: Word, b: Word) -> Word {
    return word_divide(word_zero(), a, b).remainder;
}

fn word_sdiv(a: Word, b: Word) -> Word {
    return word_heavy(HEAVY_SDIV, a, b, word_zero());
}

fn word_smod(a: Word, b: Word) -> Word {
    return word_heavy(HEAVY_SMOD, a, b, word_zero());
}

fn word_addmod(a: Word, b: Word, n: Word) -> Word {
    return word_heavy(HEAVY_ADDMOD, a, b, n);
}

fn word_mulmod(a: Word, b: Word, n: Word) -> Word {
    return word_heavy(HEAVY_MULMOD, a, b, n);
}

// base^exponent, by the bits of the exponent from the top; a power of two is a shift.
fn word_exp(base: Word, exponent: Word) -> Word {
    let bits = word_bits(exponent);
    let log = word_bits(base) - 1u;
    if !word_is_zero(base) && word_eq(word_shl(word_from_u32(1u), log), base) {
        // 2^(log * exponent); an exponent above 255 leaves only log = 0.
        if log == 0u {
            return base;
        }
        let shift = log * min(exponent.lo.x, 256u);
        if bits > 9u || shift >= 256u {
            return word_zero();
        }
        return word_shl(word_from_u32(1u), shift);
    }
    if bits == 0u {
        return word_from_u32(1u);
    }
    var power = base;
    // A bit takes a squaring and, if it is set, a multiplication: one word_mul for both keeps the code small.
    var i = bits - 1u;
    var squared = true;
    while i > 0u {
        let bit = (word_limb(exponent, (i - 1u) >> 5u) >> ((i - 1u) & 31u)) & 1u;
        power = word_mul(power, word_select(base, power, squared));
        squared = !(squared && bit == 1u);
        i -= select(0u, 1u, squared);
    }
    return power;
}
