//! The power itself, for odd, even and zero moduli.
//!
//! An odd modulus takes Montgomery multiplication. An even one is split into its odd part and a power of two, and the
//! two powers are joined by the Chinese remainder theorem (Koç, "Montgomery reduction with even modulus", 1994).

use super::Operand;
use super::montgomery::{Limbs, Montgomery, PowerOfTwo, Ring, add, multiply_low, subtract};

/// `base ^ exponent mod modulus` in `length` big-endian bytes; zero if the modulus is. `length` is that of the modulus.
pub(super) fn modexp(base: &Operand<'_>, exponent: &Operand<'_>, modulus: &Operand<'_>, length: usize) -> Vec<u8> {
    let mut output = vec![0; length];
    let Some(modulus) = modulus.significant() else { return output };
    let modulus = modulus.limbs();
    let result = match (exponent.significant(), base.significant()) {
        (None, _) => vec![u64::from(!is_one(&modulus))],
        (Some(_), None) => return output,
        (Some(exponent), Some(base)) => power(&base, &exponent, &modulus),
    };
    for (chunk, limb) in output.rchunks_mut(8).zip(result) {
        chunk.copy_from_slice(&limb.to_be_bytes()[8 - chunk.len()..]);
    }
    output
}

fn is_one(limbs: &[u64]) -> bool {
    matches!(limbs.split_first(), Some((1, rest)) if rest.iter().all(|limb| *limb == 0))
}

/// `modulus` has no leading zero limb and is not zero.
fn power(base: &Operand<'_>, exponent: &Operand<'_>, modulus: &[u64]) -> Vec<u64> {
    let zero_limbs = modulus.iter().take_while(|limb| **limb == 0).count();
    let zero_bits = modulus.get(zero_limbs).map_or(0, |limb| limb.trailing_zeros());
    let odd = shift_right(&modulus[zero_limbs..], zero_bits);
    if zero_limbs == 0 && zero_bits == 0 {
        return power_of_length(base, exponent, &odd);
    }

    // The residue modulo 2^k: computed modulo whole limbs, then cut.
    let length = zero_limbs + usize::from(zero_bits != 0);
    let cut = |limbs: &mut [u64]| {
        if zero_bits != 0
            && let Some(top) = limbs.last_mut()
        {
            *top &= (1 << zero_bits) - 1;
        }
    };
    let mut low = power_of_two_length(base, exponent, length);
    cut(&mut low);
    if is_one(&odd) {
        return low;
    }

    // x = high + odd * ((low - high) / odd mod 2^k).
    let high = power_of_length(base, exponent, &odd);
    subtract(&mut low, &high);
    let mut quotient = vec![0; length];
    multiply_low(&mut quotient, &low, &inverse(&odd, length));
    cut(&mut quotient);
    let mut result = vec![0; modulus.len()];
    multiply_low(&mut result, &odd, &quotient);
    add(&mut result, &high);
    result
}

/// `limbs >> bits` without leading zero limbs; `bits` is below 64.
fn shift_right(limbs: &[u64], bits: u32) -> Vec<u64> {
    let above = limbs.iter().skip(1).copied().chain([0]);
    let mut shifted: Vec<u64> = limbs
        .iter()
        .zip(above)
        .map(|(limb, above)| ((u128::from(above) << 64 | u128::from(*limb)) >> bits) as u64)
        .collect();
    while shifted.last() == Some(&0) {
        shifted.pop();
    }
    shifted
}

/// `1 / odd` modulo 2^(64 * `length`), by Newton's iteration: each step doubles the limbs that are right.
fn inverse(odd: &[u64], length: usize) -> Vec<u64> {
    let lowest = odd.first().copied().unwrap_or(1);
    let mut word = lowest;
    for _ in 0..5 {
        word = word.wrapping_mul(2_u64.wrapping_sub(lowest.wrapping_mul(word)));
    }
    let mut inverse = vec![word];
    while inverse.len() < length {
        let next = (inverse.len() * 2).min(length);
        let mut product = vec![0; next];
        multiply_low(&mut product, &odd[..odd.len().min(next)], &inverse);
        let mut correction = vec![0; next];
        correction[0] = 2;
        subtract(&mut correction, &product);
        let mut better = vec![0; next];
        multiply_low(&mut better, &correction, &inverse);
        inverse = better;
    }
    inverse
}

/// The power modulo an odd number without leading zero limbs.
fn power_of_length(base: &Operand<'_>, exponent: &Operand<'_>, odd: &[u64]) -> Vec<u64> {
    if is_one(odd) {
        return vec![0];
    }
    match odd.len() {
        1 => odd_power::<[u64; 1]>(base, exponent, odd),
        2 => odd_power::<[u64; 2]>(base, exponent, odd),
        3 => odd_power::<[u64; 3]>(base, exponent, odd),
        4 => odd_power::<[u64; 4]>(base, exponent, odd),
        5 | 6 => odd_power::<[u64; 6]>(base, exponent, odd),
        7 | 8 => odd_power::<[u64; 8]>(base, exponent, odd),
        _ => odd_power::<Vec<u64>>(base, exponent, odd),
    }
}

/// The power modulo 2^(64 * `length`).
fn power_of_two_length(base: &Operand<'_>, exponent: &Operand<'_>, length: usize) -> Vec<u64> {
    match length {
        1 => two_power::<[u64; 1]>(base, exponent, length),
        2 => two_power::<[u64; 2]>(base, exponent, length),
        3 | 4 => two_power::<[u64; 4]>(base, exponent, length),
        _ => two_power::<Vec<u64>>(base, exponent, length),
    }
}

fn odd_power<L: Limbs>(base: &Operand<'_>, exponent: &Operand<'_>, odd: &[u64]) -> Vec<u64> {
    let modulus = L::of(odd, odd.len());
    let length = modulus.as_ref().len();
    // Into Montgomery's form: base * 2^(64 * length) mod odd.
    let mut shifted = vec![0; length];
    shifted.extend(base.limbs());
    let residue = remainder(shifted, odd);
    let ring = Montgomery::new(modulus);
    let result = windowed(&ring, L::of(&residue, length), exponent);
    // And out of it.
    let mut plain = result.clone();
    ring.multiply(&mut plain, &result, &L::of(&[1], length));
    plain.as_ref().to_vec()
}

fn two_power<L: Limbs>(base: &Operand<'_>, exponent: &Operand<'_>, length: usize) -> Vec<u64> {
    let digits: Vec<u64> = (0..length as u64).map(|index| base.limb(index)).collect();
    let result = windowed(&PowerOfTwo, L::of(&digits, length), exponent);
    let mut result = result.as_ref().to_vec();
    result.truncate(length);
    result
}

/// `base ^ exponent` in `ring`, for an exponent of at least one bit: windows of fixed width from the top.
#[inline(always)]
fn windowed<L: Limbs, R: Ring<L>>(ring: &R, base: L, exponent: &Operand<'_>) -> L {
    let bits = exponent.bit_length();
    // The table costs 2^width products and saves those of all but one bit in `width`.
    let width = match bits {
        0..=16 => 1,
        17..=64 => 3,
        65..=320 => 4,
        321..=1024 => 5,
        _ => 6,
    };
    // table[i] = base ^ (i + 1).
    let mut table = Vec::with_capacity((1 << width) - 1);
    table.push(base.clone());
    for i in 1..(1 << width) - 1 {
        let mut next = base.clone();
        ring.multiply(&mut next, &table[i - 1], &base);
        table.push(next);
    }

    let step = u64::from(width);
    let mut position = (bits - 1) / step * step;
    // The top window holds the top bit: it is not zero.
    let mut accumulator = table[exponent.bits(position, width) - 1].clone();
    let mut scratch = base;
    while position > 0 {
        position -= step;
        for _ in 0..width {
            ring.multiply(&mut scratch, &accumulator, &accumulator);
            std::mem::swap(&mut scratch, &mut accumulator);
        }
        let window = exponent.bits(position, width);
        if window != 0 {
            ring.multiply(&mut scratch, &accumulator, &table[window - 1]);
            std::mem::swap(&mut scratch, &mut accumulator);
        }
    }
    accumulator
}

/// `dividend mod divisor` by long division (Knuth, The Art of Computer Programming, volume 2, algorithm D).
///
/// `divisor` has no leading zero limb and is not zero.
fn remainder(mut dividend: Vec<u64>, divisor: &[u64]) -> Vec<u64> {
    let n = divisor.len();
    let Some(shift) = divisor.last().map(|top| top.leading_zeros()) else { return dividend };
    if let [single] = divisor {
        let remainder = dividend
            .iter()
            .rev()
            .fold(0_u64, |rest, limb| ((u128::from(rest) << 64 | u128::from(*limb)) % u128::from(*single)) as u64);
        return vec![remainder];
    }
    // Normalised: the top bit of the divisor is set, and the dividend has one limb more.
    let divisor = shift_left(divisor, shift);
    dividend.push(0);
    let mut dividend = shift_left(&dividend, shift);
    let (top, second) = (u128::from(divisor[n - 1]), u128::from(divisor[n - 2]));
    for j in (0..dividend.len().saturating_sub(n)).rev() {
        let window = &mut dividend[j..=j + n];
        let head = u128::from(window[n]) << 64 | u128::from(window[n - 1]);
        // The head is at most that of the divisor, which bounds the estimate by 2^64.
        let (mut estimate, mut rest) = (head / top, head % top);
        while estimate >> 64 != 0 || estimate * second > (rest << 64 | u128::from(window[n - 2])) {
            estimate -= 1;
            rest += top;
            if rest >> 64 != 0 {
                break;
            }
        }
        if subtract_product(window, &divisor, estimate as u64) {
            // One too many: rare, two in 2^64 for random numbers.
            add(window, &divisor);
        }
    }
    dividend.truncate(n);
    unshift(&mut dividend, shift);
    dividend
}

/// `window -= divisor * factor`, and whether that went below zero. `window` is one limb longer than `divisor`.
fn subtract_product(window: &mut [u64], divisor: &[u64], factor: u64) -> bool {
    let mut carry = 0_u64;
    let mut borrow = false;
    let digits = divisor.iter().copied().chain([0]);
    for (limb, digit) in window.iter_mut().zip(digits) {
        let product = u128::from(digit) * u128::from(factor) + u128::from(carry);
        carry = (product >> 64) as u64;
        let (difference, below) = limb.overflowing_sub(product as u64);
        let (difference, still_below) = difference.overflowing_sub(u64::from(borrow));
        *limb = difference;
        borrow = below || still_below;
    }
    borrow
}

/// `limbs << shift` in as many limbs, for a shift below 64.
fn shift_left(limbs: &[u64], shift: u32) -> Vec<u64> {
    let below = [0].into_iter().chain(limbs.iter().copied());
    limbs
        .iter()
        .zip(below)
        .map(|(limb, below)| ((u128::from(*limb) << 64 | u128::from(below)) << shift >> 64) as u64)
        .collect()
}

/// `limbs >>= shift`, for a shift below 64.
fn unshift(limbs: &mut [u64], shift: u32) {
    let mut above = 0;
    for limb in limbs.iter_mut().rev() {
        let value = (u128::from(above) << 64 | u128::from(*limb)) >> shift;
        above = *limb;
        *limb = value as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remainders_where_the_estimate_is_wrong() {
        // Knuth's exercise: a dividend whose estimated digit is one too large even after the correction.
        let divisor = [u64::MAX, 0, 1 << 63];
        for dividend in [
            vec![3, 0, 1 << 63, (1 << 63) - 1],
            vec![0, 0, 0, 1 << 63],
            vec![u64::MAX; 7],
            vec![0, u64::MAX - 1, 1 << 63, 1 << 62],
            vec![5],
            vec![],
        ] {
            let got = remainder(dividend.clone(), &divisor);
            // The plain definition: shift in one bit after the other.
            let mut expected = vec![0; 4];
            for bit in (0..dividend.len() * 64).rev() {
                let top = shift_left(&expected, 1);
                expected = top;
                expected[0] |= dividend[bit / 64] >> (bit % 64) & 1;
                let wide = [divisor[0], divisor[1], divisor[2], 0];
                if !super::super::montgomery::is_below(&expected, &wide) {
                    subtract(&mut expected, &wide);
                }
            }
            let mut got = got;
            got.resize(3, 0);
            assert_eq!(got, expected[..3], "{dividend:x?}");
        }
    }

    #[test]
    fn inverses() {
        let odd = [0x1234_5678_9abc_def1, 77, u64::MAX, 3];
        for length in 1..=7 {
            let mut product = vec![0; length];
            multiply_low(&mut product, &odd, &inverse(&odd, length));
            assert!(is_one(&product), "{length} limbs");
        }
    }
}
