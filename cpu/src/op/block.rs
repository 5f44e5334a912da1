//! BLOCKHASH to SLOTNUM.

use super::Trap;
use crate::lane::Lane;
use isolane_spec::{Fork, U256, word};

/// The hash of one of the last 256 blocks; 0 for any other.
pub(crate) fn blockhash(lane: &mut Lane, number: &U256) -> Result<U256, Trap> {
    let current = lane.environment.block.number;
    match word::to_u64(number) {
        Some(number) if number < current && current - number <= 256 => {
            lane.journal.read_block_hash(current - number);
            Ok(word::from_hash(&lane.environment.state.block_hash(number)?))
        }
        _ => Ok(U256::zero()),
    }
}

/// DIFFICULTY, which is PREVRANDAO from Paris on (EIP-4399).
pub(crate) fn prevrandao(lane: &Lane) -> U256 {
    let block = &lane.environment.block;
    if lane.fork >= Fork::Paris { word::from_hash(&block.prev_randao) } else { block.difficulty }
}

/// The versioned hash of a blob of the transaction (EIP-4844); 0 beyond the last.
pub(crate) fn blobhash(lane: &Lane, index: &U256) -> U256 {
    word::to_u64(index)
        .and_then(|index| lane.transaction.blob_versioned_hashes.get(usize::try_from(index).ok()?))
        .map_or(U256::zero(), word::from_hash)
}
