//! The difficulty that proof of work asked for, with its bombs.

use crate::convert::{from_word, to_b256};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use isolane_spec::{Fork, H256, U256};

const MINIMUM: u64 = 131_072;

/// The difficulty of a block of a proof-of-work fork, from its parent.
#[must_use]
pub fn expected_difficulty(fork: Fork, number: u64, timestamp: u64, parent: &Header) -> U256 {
    let parent_has_ommers = parent.ommers_hash != EMPTY_OMMER_ROOT_HASH;
    let elapsed = timestamp.saturating_sub(parent.timestamp);
    let step = if fork < Fork::Homestead {
        if elapsed < 13 { 1 } else { -1 }
    } else {
        let (most, period) = match fork {
            _ if fork < Fork::Byzantium => (1, 10),
            _ if parent_has_ommers => (2, 9),
            _ => (1, 9),
        };
        (most - i64::try_from(elapsed / period).unwrap_or(i64::MAX)).max(-99)
    };
    let parent_difficulty = from_word(parent.difficulty);
    let delta = (parent_difficulty / 2048).saturating_mul(step.unsigned_abs().into());
    let mut difficulty =
        if step < 0 { parent_difficulty.saturating_sub(delta) } else { parent_difficulty.saturating_add(delta) };
    if let Some(bomb) = (number.saturating_sub(bomb_delay(fork)) / 100_000).checked_sub(2) {
        let bomb = if bomb < 256 { U256::one() << bomb } else { U256::MAX };
        difficulty = difficulty.saturating_add(bomb);
    }
    difficulty.max(MINIMUM.into())
}

/// By how many blocks the fork delays the bomb.
const fn bomb_delay(fork: Fork) -> u64 {
    match fork {
        Fork::Byzantium => 3_000_000,
        Fork::Constantinople | Fork::Petersburg | Fork::Istanbul => 5_000_000,
        Fork::MuirGlacier | Fork::Berlin => 9_000_000,
        Fork::London => 9_700_000,
        Fork::ArrowGlacier => 10_700_000,
        Fork::GrayGlacier => 11_400_000,
        _ => 0,
    }
}

/// The hash of an empty list of ommers.
pub(super) fn is_empty_ommers_hash(hash: H256) -> bool {
    to_b256(hash) == EMPTY_OMMER_ROOT_HASH
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256 as Word;

    fn parent(difficulty: u64, timestamp: u64) -> Header {
        Header { difficulty: Word::from(difficulty), timestamp, ..Header::default() }
    }

    #[test]
    fn real_blocks_of_mainnet() {
        // Block 1 from genesis; block 2 from block 1.
        let genesis = parent(17_179_869_184, 0);
        assert_eq!(expected_difficulty(Fork::Frontier, 1, 1_438_269_988, &genesis), 17_171_480_576u64.into());
        let first = parent(17_171_480_576, 1_438_269_988);
        assert_eq!(expected_difficulty(Fork::Frontier, 2, 1_438_270_017, &first), 17_163_096_064u64.into());
    }

    #[test]
    fn never_below_the_minimum_and_never_overflows() {
        assert_eq!(expected_difficulty(Fork::London, 1, 1_000_000, &parent(131_072, 0)), MINIMUM.into());
        let _ = expected_difficulty(Fork::Frontier, u64::MAX, u64::MAX, &parent(u64::MAX, 0));
        assert_eq!(expected_difficulty(Fork::Frontier, u64::MAX, 1, &parent(131_072, 0)), U256::MAX);
    }
}
