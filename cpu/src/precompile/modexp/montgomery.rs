//! Multiplication modulo an odd number (Montgomery's form) and modulo a power of two.
//!
//! Both work on [`Limbs`]: an array where the modulus is short, whose length the compiler then knows and unrolls, and a
//! vector for all others. Limbs are 64 bits, the least significant first.

/// The digits of an integer in base 2^64.
pub(super) trait Limbs: Clone + AsRef<[u64]> + AsMut<[u64]> {
    /// `digits`, with zeros above them up to the length of the type or to `length`.
    fn of(digits: &[u64], length: usize) -> Self;
}

impl<const N: usize> Limbs for [u64; N] {
    fn of(digits: &[u64], _length: usize) -> Self {
        std::array::from_fn(|i| digits.get(i).copied().unwrap_or(0))
    }
}

impl Limbs for Vec<u64> {
    fn of(digits: &[u64], length: usize) -> Self {
        let mut limbs = digits.to_vec();
        limbs.resize(length, 0);
        limbs
    }
}

/// A ring in which a power is wanted.
pub(super) trait Ring<L: Limbs> {
    /// `out = a * b` in the form of the ring. `out` holds anything before.
    fn multiply(&self, out: &mut L, a: &L, b: &L);
}

/// `a * b + c + d`, which is always below 2^128: low and high limb.
#[inline(always)]
fn multiply_add(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    let sum = u128::from(a) * u128::from(b) + u128::from(c) + u128::from(d);
    (sum as u64, (sum >> 64) as u64)
}

/// The residues of an odd modulus m of n limbs, each as x * 2^(64 n) mod m.
pub(super) struct Montgomery<L> {
    modulus: L,
    /// -1 / m mod 2^64.
    negative_inverse: u64,
}

impl<L: Limbs> Montgomery<L> {
    /// `modulus` must be odd.
    pub(super) fn new(modulus: L) -> Self {
        let lowest = modulus.as_ref().first().copied().unwrap_or(1);
        // Newton's iteration doubles the bits that are right; an odd number is its own inverse modulo 8.
        let mut inverse = lowest;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(lowest.wrapping_mul(inverse)));
        }
        Self { modulus, negative_inverse: inverse.wrapping_neg() }
    }
}

impl<L: Limbs> Ring<L> for Montgomery<L> {
    /// Multiplication and reduction in one pass over the limbs (FIOS: Koç, Acar, Kaliski 1996).
    #[inline(always)]
    fn multiply(&self, out: &mut L, a: &L, b: &L) {
        let (m, a, b, t) = (self.modulus.as_ref(), a.as_ref(), b.as_ref(), out.as_mut());
        let n = m.len();
        let (a, t) = (&a[..n], &mut t[..n]);
        t.fill(0);
        let mut top = 0;
        for digit in &b[..n] {
            let (low, mut carry) = multiply_add(a[0], *digit, t[0], 0);
            let quotient = low.wrapping_mul(self.negative_inverse);
            let (_, mut reduced_carry) = multiply_add(quotient, m[0], low, 0);
            for j in 1..n {
                let (low, high) = multiply_add(a[j], *digit, t[j], carry);
                carry = high;
                let (low, high) = multiply_add(quotient, m[j], low, reduced_carry);
                reduced_carry = high;
                t[j - 1] = low;
            }
            let sum = u128::from(top) + u128::from(carry) + u128::from(reduced_carry);
            t[n - 1] = sum as u64;
            top = (sum >> 64) as u64;
        }
        if top != 0 || !is_below(t, m) {
            subtract(t, m);
        }
    }
}

/// The residues modulo 2^(64 n), n being the number of limbs.
pub(super) struct PowerOfTwo;

impl<L: Limbs> Ring<L> for PowerOfTwo {
    #[inline(always)]
    fn multiply(&self, out: &mut L, a: &L, b: &L) {
        multiply_low(out.as_mut(), a.as_ref(), b.as_ref());
    }
}

/// `out = a * b` modulo 2^(64 * the length of `out`).
#[inline(always)]
pub(super) fn multiply_low(out: &mut [u64], a: &[u64], b: &[u64]) {
    let n = out.len();
    out.fill(0);
    for (i, digit) in b.iter().take(n).enumerate() {
        let mut carry = 0;
        for (limb, factor) in out[i..].iter_mut().zip(a) {
            (*limb, carry) = multiply_add(*factor, *digit, *limb, carry);
        }
        // The digit above the product is untouched so far, if it exists at all.
        if let Some(limb) = out.get_mut(i + a.len()) {
            *limb = carry;
        }
    }
}

/// `a < b`, for equal lengths.
#[inline(always)]
pub(super) fn is_below(a: &[u64], b: &[u64]) -> bool {
    for (x, y) in a.iter().zip(b).rev() {
        if x != y {
            return x < y;
        }
    }
    false
}

/// `a -= b` modulo 2^(64 * the length of `a`); a missing limb of `b` is zero.
#[inline(always)]
pub(super) fn subtract(a: &mut [u64], b: &[u64]) {
    let mut borrow = false;
    let digits = b.iter().copied().chain(std::iter::repeat(0));
    for (x, y) in a.iter_mut().zip(digits) {
        let (difference, below) = x.overflowing_sub(y);
        let (difference, still_below) = difference.overflowing_sub(u64::from(borrow));
        *x = difference;
        borrow = below || still_below;
    }
}

/// `a += b` modulo 2^(64 * the length of `a`); a missing limb of `b` is zero.
pub(super) fn add(a: &mut [u64], b: &[u64]) {
    let mut carry = false;
    let digits = b.iter().copied().chain(std::iter::repeat(0));
    for (x, y) in a.iter_mut().zip(digits) {
        let (sum, above) = x.overflowing_add(y);
        let (sum, still_above) = sum.overflowing_add(u64::from(carry));
        *x = sum;
        carry = above || still_above;
    }
}
