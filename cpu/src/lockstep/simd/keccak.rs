//! KECCAK256 of many inputs at once.

use super::Simd;
use super::column::{Column, LANES, Mask};
use crate::crypto;
use isolane_spec::word;

impl Simd {
    /// The hashes of the inputs of the lanes of a mask.
    pub fn keccak256(self, inputs: &[&[u8]; LANES], mask: Mask, out: &mut Column) {
        let first = inputs[mask.trailing_zeros() as usize % LANES];
        let is_active = |lane: &usize| mask >> lane & 1 == 1;
        if (0..LANES).filter(is_active).all(|lane| inputs[lane] == first) {
            // All lanes hash the same.
            self.broadcast(&word::from_hash(&crypto::keccak256(first)).0, out);
            return;
        }
        for lane in (0..LANES).filter(is_active) {
            out.set(lane, &word::from_hash(&crypto::keccak256(inputs[lane])));
        }
    }
}
