//! Between the types of the vocabulary (primitive-types) and those of alloy.

use alloy_primitives::{Address, B256, U256 as Word};
use isolane_spec::{H160, H256, U256};

/// An address for alloy.
#[must_use]
pub const fn to_address(address: H160) -> Address {
    Address::new(address.0)
}

/// An address from alloy.
#[must_use]
pub const fn from_address(address: Address) -> H160 {
    H160(address.0.0)
}

/// A hash for alloy.
#[must_use]
pub const fn to_b256(hash: H256) -> B256 {
    B256::new(hash.0)
}

/// A hash from alloy.
#[must_use]
pub const fn from_b256(hash: B256) -> H256 {
    H256(hash.0)
}

/// A word for alloy.
#[must_use]
pub const fn to_word(word: U256) -> Word {
    Word::from_limbs(word.0)
}

/// A word from alloy.
#[must_use]
pub const fn from_word(word: Word) -> U256 {
    U256(word.into_limbs())
}

/// Keccak-256.
#[must_use]
pub fn keccak(bytes: impl AsRef<[u8]>) -> H256 {
    from_b256(alloy_primitives::keccak256(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_spec::KECCAK_EMPTY;

    #[test]
    fn words_keep_their_value() {
        let word = U256::from_big_endian(&[0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x11]);
        assert_eq!(to_word(word).to_be_bytes::<32>(), word.to_big_endian());
        assert_eq!(from_word(to_word(word)), word);
        assert_eq!(keccak([]), KECCAK_EMPTY);
    }
}
