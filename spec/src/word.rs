//! 256-bit helpers beyond primitive-types. Words are four 64-bit limbs, the least significant first.

use crate::{H160, H256, U256};

/// A word from 32 big-endian bytes.
#[inline(always)]
#[must_use]
pub fn from_be(bytes: &[u8; 32]) -> U256 {
    let limb = |i: usize| {
        let mut part = [0; 8];
        part.copy_from_slice(&bytes[i..i + 8]);
        u64::from_be_bytes(part)
    };
    U256([limb(24), limb(16), limb(8), limb(0)])
}

/// A word from at most 32 big-endian bytes.
#[must_use]
pub fn from_be_slice(bytes: &[u8]) -> U256 {
    let mut padded = [0; 32];
    padded[32 - bytes.len()..].copy_from_slice(bytes);
    from_be(&padded)
}

/// The 32 big-endian bytes of a word.
#[inline(always)]
#[must_use]
pub fn to_be(word: &U256) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (i, limb) in word.0.iter().rev().enumerate() {
        bytes[8 * i..8 * i + 8].copy_from_slice(&limb.to_be_bytes());
    }
    bytes
}

/// The word as a `u64`, if it fits.
#[inline(always)]
#[must_use]
pub const fn to_u64(word: &U256) -> Option<u64> {
    if word.0[1] | word.0[2] | word.0[3] == 0 { Some(word.0[0]) } else { None }
}

/// The word as a `u64`, or the largest one.
#[inline(always)]
#[must_use]
pub const fn to_u64_saturating(word: &U256) -> u64 {
    if word.0[1] | word.0[2] | word.0[3] == 0 { word.0[0] } else { u64::MAX }
}

/// The address in the low 20 bytes of a word.
#[inline(always)]
#[must_use]
pub fn to_address(word: &U256) -> H160 {
    let mut address = H160::zero();
    address.0.copy_from_slice(&to_be(word)[12..]);
    address
}

/// An address as a word.
#[inline(always)]
#[must_use]
pub fn from_address(address: &H160) -> U256 {
    let mut padded = [0; 32];
    padded[12..].copy_from_slice(&address.0);
    from_be(&padded)
}

/// A word as a hash.
#[inline(always)]
#[must_use]
pub fn to_hash(word: &U256) -> H256 {
    H256(to_be(word))
}

/// A hash as a word.
#[inline(always)]
#[must_use]
pub fn from_hash(hash: &H256) -> U256 {
    from_be(&hash.0)
}

/// Whether the word is negative in two's complement.
#[inline(always)]
#[must_use]
pub const fn is_negative(word: &U256) -> bool {
    word.0[3] >> 63 == 1
}

/// Two's complement negation.
#[inline(always)]
#[must_use]
pub fn negate(word: &U256) -> U256 {
    (!*word).overflowing_add(U256::one()).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_trip_and_agree_with_primitive_types() {
        let bytes: [u8; 32] = std::array::from_fn(|i| i as u8 + 1);
        assert_eq!(from_be(&bytes), U256::from_big_endian(&bytes));
        assert_eq!(to_be(&from_be(&bytes)), bytes);
        assert_eq!(from_be_slice(&bytes[..5]), U256::from_big_endian(&bytes[..5]));
        assert_eq!(to_address(&from_address(&H160([7; 20]))), H160([7; 20]));
        assert_eq!(negate(&U256::one()), U256::MAX);
    }
}
