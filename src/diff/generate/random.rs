//! Random choices that only the seed and the index decide.

use crate::diff::edge;
use isolane_spec::U256;

/// A stream of choices.
pub(crate) struct Random(fastrand::Rng);

impl Random {
    /// The stream of a program.
    pub fn new(seed: u64, index: u64) -> Self {
        // SplitMix64's finisher, so that neighbouring seeds and indices have nothing in common.
        let mut z = seed.rotate_left(32) ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(fastrand::Rng::with_seed(z ^ (z >> 31)))
    }

    /// Below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.usize(..end.max(1))
    }

    /// From `start` to `end`, both included.
    pub fn between(&mut self, start: u64, end: u64) -> u64 {
        self.0.u64(start..=end)
    }

    /// True so many times in a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.0.u32(..1000) < per_mille
    }

    /// One of a list that is not empty.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// An index by weights.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut left = self.0.u32(..weights.iter().sum::<u32>().max(1));
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        0
    }

    /// A word: an edge value, a small number or anything.
    pub fn word(&mut self) -> U256 {
        match self.below(8) {
            0..=3 => self.pick(edge::values()),
            4 | 5 => U256::from(self.below(40)),
            6 => U256::from(self.0.u64(..)) << (8 * self.below(25)),
            _ => U256(std::array::from_fn(|_| self.0.u64(..))),
        }
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// Random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill(&mut bytes);
        bytes
    }
}
