//! Hashes that were computed lately.
//!
//! Solidity finds the slot of a mapping's entry by hashing 64 bytes (the key and the mapping's own slot), and that of an array's
//! elements by hashing 32, each time it touches them: reading and then writing a balance is the same hash twice, and
//! contracts that many call are asked for the same entries again. Half of the time of a token transfer went into such hashes.

use crate::crypto;
use isolane_spec::{U256, word};

/// Entries: few enough to stay in the nearest caches.
const ENTRIES: usize = 256;
const WORD: usize = 32;

#[derive(Clone, Copy)]
struct Entry {
    input: [u64; 8],
    /// Bytes of the input; 0 = nothing is kept here.
    length: usize,
    hash: U256,
}

const NOTHING: Entry = Entry { input: [0; 8], length: 0, hash: U256([0; 4]) };

/// The Keccak-256 hashes of inputs of one or two words that were asked for lately. Kept from lane to lane: no result depends on it.
#[derive(Default)]
pub(crate) struct HashCache {
    /// None until the first is asked for.
    entries: Vec<Entry>,
}

/// Where an input is kept. Whoever makes inputs collide on purpose computes their hashes, which they pay for in gas.
#[inline(always)]
fn place(input: &[u64; 8]) -> usize {
    // Addresses and slots differ in their last bytes, which are the highest ones of their words here.
    let mixed = (input[3] ^ input[2].rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (input[7] ^ input[6].rotate_left(29)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed ^ mixed >> 32) as usize % ENTRIES
}

/// The limbs of a word that starts at a byte. All at once: limbs that are written one by one would have to be waited for where they are
/// compared (see [`crate::stack::Slots`]).
#[inline(always)]
fn limbs(word: &[u8; WORD]) -> [u64; 4] {
    std::array::from_fn(|i| u64::from_le_bytes(std::array::from_fn(|byte| word[8 * i + byte])))
}

impl HashCache {
    /// The Keccak-256 hash of some bytes.
    #[inline(never)]
    pub fn keccak256(&mut self, data: &[u8]) -> U256 {
        match data.as_chunks() {
            ([one, other], []) => self.find(limbs(one), limbs(other), data),
            ([one], []) => self.find(limbs(one), [0; 4], data),
            _ => word::from_hash(&crypto::keccak256(data)),
        }
    }

    #[inline(always)]
    fn find(&mut self, [a, b, c, d]: [u64; 4], [e, f, g, h]: [u64; 4], data: &[u8]) -> U256 {
        if self.entries.is_empty() {
            self.entries.resize(ENTRIES, NOTHING);
        }
        let input = [a, b, c, d, e, f, g, h];
        let entry = &mut self.entries[place(&input)];
        if entry.input != input || entry.length != data.len() {
            *entry = Entry { input, length: data.len(), hash: word::from_hash(&crypto::keccak256(data)) };
        }
        entry.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_gives_the_hash_of_another_input() {
        let mut cache = HashCache::default();
        let mut random = numbers(7);
        let mut inputs: Vec<Vec<u8>> = Vec::new();
        for length in [0, 1, 31, 32, 33, 63, 64, 65, 136] {
            // Far more than there are entries, and such as differ in a single bit, or in zeros at the end.
            for _ in 0..300 {
                let mut input: Vec<u8> = (0..length).map(|_| random() as u8).collect();
                inputs.push(input.clone());
                if let Some(byte) = input.last_mut() {
                    *byte ^= 1 << (random() % 8);
                    inputs.push(input);
                }
            }
            inputs.push(vec![0; length]);
        }
        let mut short = vec![7; WORD];
        inputs.push(short.clone());
        short.resize(2 * WORD, 0);
        inputs.push(short);
        for _ in 0..20_000 {
            let input = &inputs[random() as usize % inputs.len()];
            let expected = word::from_hash(&crypto::keccak256(input));
            assert_eq!(cache.keccak256(input), expected, "{input:?}");
            assert_eq!(cache.keccak256(input), expected, "{input:?}, kept");
        }
    }

    /// A few numbers that only the seed decides (xorshift).
    fn numbers(mut seed: u64) -> impl FnMut() -> u64 {
        move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        }
    }
}
