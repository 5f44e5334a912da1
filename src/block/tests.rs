use super::*;
use crate::convert::to_b256;
use alloy_primitives::U256 as Word;

mod execution;
mod rules;

/// A block of one fork and a parent it follows by every rule.
fn pair(fork: Fork) -> (Header, Header) {
    let since = |first: Fork| fork >= first;
    let parent = Header {
        number: 9,
        timestamp: 1_000,
        gas_limit: 30_000_000,
        gas_used: 15_000_000,
        difficulty: if since(Fork::Paris) { Word::ZERO } else { Word::from(131_072) },
        base_fee_per_gas: since(Fork::London).then_some(7),
        withdrawals_root: since(Fork::Shanghai).then_some(alloy_consensus::EMPTY_ROOT_HASH),
        blob_gas_used: since(Fork::Cancun).then_some(0),
        excess_blob_gas: since(Fork::Cancun).then_some(0),
        parent_beacon_block_root: since(Fork::Cancun).then_some(to_b256(H256::repeat_byte(3))),
        requests_hash: since(Fork::Prague).then_some(to_b256(requests_hash(&[]))),
        ..Header::default()
    };
    let mut child = parent.clone();
    child.parent_hash = parent.hash_slow();
    child.number = 10;
    // No proof-of-work fork moves its lowest difficulty after fifteen seconds.
    child.timestamp = 1_015;
    (parent, child)
}
