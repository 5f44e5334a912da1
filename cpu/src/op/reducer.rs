//! MULMOD by the same modulus again and again, as code that works with elliptic curves does.

use super::arithmetic::{back, ruint};
use super::comparison::same;
use isolane_spec::U256;
use ruint::Uint;

/// Limbs of a word.
const K: usize = 4;

/// What is known of the modulus that MULMOD had last.
///
/// A division is made of multiplications by the divisor's reciprocal, which is worth making from the second time on that a modulus is
/// met (Barrett reduction; Menezes, van Oorschot, Vanstone, Handbook of Applied Cryptography, 14.42).
#[derive(Debug, Default)]
pub(crate) struct Reducer {
    modulus: U256,
    /// 2^512 / modulus, if that is known and fits: moduli of at most 193 bits are left to the division.
    reciprocal: Option<[u64; K + 1]>,
}

impl Reducer {
    /// The product modulo `modulus`; 0 for a modulus of 0.
    #[inline(always)]
    pub fn product(&mut self, a: &U256, b: &U256, modulus: &U256) -> U256 {
        match &self.reciprocal {
            Some(reciprocal) if same(modulus, &self.modulus) => reduce(&multiply(a, b), modulus, reciprocal),
            _ => self.divide(a, b, modulus),
        }
    }

    #[cold]
    #[inline(never)]
    fn divide(&mut self, a: &U256, b: &U256, modulus: &U256) -> U256 {
        if *modulus == self.modulus {
            self.reciprocal = reciprocal(modulus);
        } else {
            *self = Self { modulus: *modulus, reciprocal: None };
        }
        // ruint gives 0 for a modulus of 0, as the EVM does.
        back(ruint(a).mul_mod(ruint(b), ruint(modulus)))
    }
}

/// 2^512 / modulus, if that has at most five limbs.
fn reciprocal(modulus: &U256) -> Option<[u64; K + 1]> {
    if modulus.bits() <= 193 {
        return None;
    }
    let modulus: Uint<576, 9> = Uint::from(ruint(modulus));
    let quotient: Uint<576, 9> = (Uint::from(1u64) << 512usize) / modulus;
    quotient.as_limbs().first_chunk().copied()
}

/// One row of a multiplication: `factor` times `word` and what the rows before came to. Returns its lowest limb, and what it comes to
/// from there on. Written out row by row, limbs stay in registers.
#[inline(always)]
fn row<const N: usize>(factor: u64, word: &[u64; N], before: [u64; N]) -> (u64, [u64; N]) {
    let (mut lowest, mut rest) = (0, [0; N]);
    let mut carry = 0;
    for j in 0..N {
        let sum = u128::from(factor) * u128::from(word[j]) + u128::from(before[j]) + u128::from(carry);
        if j == 0 {
            lowest = sum as u64;
        } else {
            rest[j - 1] = sum as u64;
        }
        carry = (sum >> 64) as u64;
    }
    rest[N - 1] = carry;
    (lowest, rest)
}

#[inline(always)]
fn multiply(a: &U256, b: &U256) -> [u64; 2 * K] {
    let [a0, a1, a2, a3] = a.0;
    let (p0, rest) = row(a0, &b.0, [0; K]);
    let (p1, rest) = row(a1, &b.0, rest);
    let (p2, rest) = row(a2, &b.0, rest);
    let (p3, [p4, p5, p6, p7]) = row(a3, &b.0, rest);
    [p0, p1, p2, p3, p4, p5, p6, p7]
}

/// `a` less `b`, and the borrow.
#[inline(always)]
fn subtract<const N: usize>(a: &[u64; N], b: &[u64; N]) -> ([u64; N], bool) {
    let mut borrow = false;
    let difference = std::array::from_fn(|i| {
        let (difference, first) = a[i].overflowing_sub(b[i]);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        borrow = first | second;
        difference
    });
    (difference, borrow)
}

/// What is left of `x` by the modulus with this reciprocal.
#[inline(always)]
fn reduce(x: &[u64; 2 * K], modulus: &U256, reciprocal: &[u64; K + 1]) -> U256 {
    // The quotient, at most two too small: the upper half of the upper part of x times the reciprocal.
    let [x0, x1, x2, x3, x4, x5, x6, x7] = *x;
    let (_, rest) = row(x3, reciprocal, [0; K + 1]);
    let (_, rest) = row(x4, reciprocal, rest);
    let (_, rest) = row(x5, reciprocal, rest);
    let (_, rest) = row(x6, reciprocal, rest);
    let (_, [q0, q1, q2, q3, q4]) = row(x7, reciprocal, rest);

    // What it leaves is below three times the modulus: the lower five limbs are enough.
    let [m0, m1, m2, m3] = modulus.0;
    let (t0, rest) = row(q0, &[m0, m1, m2, m3], [0; K]);
    let (t1, [r2, r3, r4, _]) = row(q1, &[m0, m1, m2, m3], rest);
    let (t2, [r3, r4, _]) = row(q2, &[m0, m1, m2], [r2, r3, r4]);
    let (t3, [r4, _]) = row(q3, &[m0, m1], [r3, r4]);
    let (t4, _) = row(q4, &[m0], [r4]);
    let (mut rest, _) = subtract(&[x0, x1, x2, x3, x4], &[t0, t1, t2, t3, t4]);
    let modulus = [m0, m1, m2, m3, 0];
    for _ in 0..2 {
        let (less, below) = subtract(&rest, &modulus);
        if !below {
            rest = less;
        }
    }
    U256(std::array::from_fn(|i| rest[i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_division() {
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut limb = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            match random % 5 {
                0 => 0,
                1 => u64::MAX,
                2 => 1 << (random >> 8 & 63),
                _ => random.rotate_left(29),
            }
        };
        let mut word = || U256(std::array::from_fn(|_| limb()));
        let mut moduli: Vec<U256> = (0..400).map(|_| word()).collect();
        let power = |bits: usize| U256::one() << bits;
        moduli.extend([U256::zero(), U256::one(), U256::MAX, power(192), power(193), power(255)]);
        moduli.extend([192, 193, 255].iter().flat_map(|&bits| [power(bits) - 1, power(bits) + 1]));
        let mut reduced = 0;
        for modulus in moduli {
            let mut reducer = Reducer::default();
            let extremes = [U256::MAX, modulus, modulus.overflowing_sub(U256::one()).0];
            for round in 0..120 {
                let (a, b) = match round {
                    0..9 => (extremes[round / 3], extremes[round % 3]),
                    _ => (word(), word()),
                };
                let expected = back(ruint(&a).mul_mod(ruint(&b), ruint(&modulus)));
                assert_eq!(reducer.product(&a, &b, &modulus), expected, "{a} * {b} % {modulus}");
            }
            reduced += u64::from(reducer.reciprocal.is_some());
        }
        assert!(reduced > 250, "{reduced}");
    }

    #[test]
    fn another_modulus_in_between_is_not_mistaken() {
        let (one, other) = (U256::MAX - 188, U256::MAX - 58);
        let mut reducer = Reducer::default();
        let (a, b) = (U256::MAX - 5, U256::MAX / 3);
        for modulus in [one, one, one, other, one, other, other, other, one] {
            assert_eq!(reducer.product(&a, &b, &modulus), back(ruint(&a).mul_mod(ruint(&b), ruint(&modulus))));
        }
    }
}
