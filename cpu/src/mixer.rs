//! The hash of the journal's tables.

use crate::journal::AccountIndex;
use isolane_spec::{H160, U256};
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// A keyed hash of a few words: multiply and fold. The key keeps an attacker from choosing colliding slots; no result
/// depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mixer([u64; 4]);

/// The bytes of an address in three parts that overlap, to hash and compare without a call.
#[inline(always)]
fn parts(address: &H160) -> [u64; 3] {
    [0, 8, 12].map(|i| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&address.0[i..i + 8]);
        u64::from_le_bytes(bytes)
    })
}

#[inline(always)]
pub(crate) fn same(a: &H160, b: &H160) -> bool {
    let ([a, b, c], [d, e, f]) = (parts(a), parts(b));
    (a ^ d) | (b ^ e) | (c ^ f) == 0
}

impl Mixer {
    pub fn new() -> Self {
        static KEY: OnceLock<[u64; 4]> = OnceLock::new();
        Self(*KEY.get_or_init(|| {
            let state = RandomState::new();
            std::array::from_fn(|i| state.hash_one(i) | 1)
        }))
    }

    #[inline(always)]
    fn fold(a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    }

    #[inline(always)]
    pub fn address(&self, address: &H160) -> u64 {
        let [a, b, c] = parts(address);
        Self::fold(Self::fold(a ^ self.0[0], b ^ self.0[1]) ^ c ^ self.0[2], self.0[3])
    }

    #[inline(always)]
    pub fn slot(&self, account: AccountIndex, key: &U256) -> u64 {
        let [a, b, c, d] = key.0;
        let low = Self::fold(a ^ self.0[0], b ^ self.0[1]);
        let high = Self::fold(c ^ self.0[2], d ^ self.0[3]);
        Self::fold(low ^ u64::from(account), high.rotate_left(32) ^ self.0[1])
    }
}
