//! Words, addresses and bytes as the device keeps them.

use isolane_spec::{H160, H256, U256, word};

/// Eight limbs, the least significant first.
pub(crate) fn limbs(value: &U256) -> [u32; 8] {
    std::array::from_fn(|i| (value.0[i / 2] >> (32 * (i % 2))) as u32)
}

/// A word from its limbs; what is missing is zero.
pub(crate) fn word_from(limbs: &[u32]) -> U256 {
    let limb = |i: usize| u64::from(limbs.get(i).copied().unwrap_or(0));
    U256(std::array::from_fn(|i| limb(2 * i) | limb(2 * i + 1) << 32))
}

/// A hash as a big-endian number.
pub(crate) fn hash_limbs(hash: &H256) -> [u32; 8] {
    limbs(&word::from_hash(hash))
}

/// Five limbs, the least significant first.
pub(crate) fn address_limbs(address: &H160) -> [u32; 5] {
    let limbs = limbs(&word::from_address(address));
    std::array::from_fn(|i| limbs[i])
}

/// An address from its limbs.
pub(crate) fn address_from(limbs: &[u32]) -> H160 {
    word::to_address(&word_from(limbs.get(..5).unwrap_or(limbs)))
}

/// Appends bytes, four to a word, the first in the highest bits.
pub(crate) fn push_bytes(words: &mut Vec<u32>, bytes: &[u8]) {
    for chunk in bytes.chunks(4) {
        let mut packed = [0; 4];
        packed[..chunk.len()].copy_from_slice(chunk);
        words.push(u32::from_be_bytes(packed));
    }
}

/// That many bytes of words; fewer where there are fewer.
pub(crate) fn bytes_from(words: &[u32], len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = words.iter().take(len.div_ceil(4)).flat_map(|word| word.to_be_bytes()).collect();
    bytes.truncate(len);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_round_trip() {
        let word = U256([0x0123_4567_89ab_cdef, 1, u64::MAX, 0xfedc_ba98_0000_0001]);
        assert_eq!(word_from(&limbs(&word)), word);
        let address = H160(std::array::from_fn(|i| i as u8 + 1));
        assert_eq!(address_from(&address_limbs(&address)), address);
        assert_eq!(address_limbs(&address)[4], 0x0102_0304);
        let mut words = Vec::new();
        push_bytes(&mut words, &[1, 2, 3, 4, 5]);
        assert_eq!(words, [0x0102_0304, 0x0500_0000]);
        assert_eq!(bytes_from(&words, 5), [1, 2, 3, 4, 5]);
    }
}
