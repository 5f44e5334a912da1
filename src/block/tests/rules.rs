//! The rules of headers and ommers.

use super::super::*;
use super::pair;
use crate::chain::{Activation, mainnet};
use crate::convert::from_b256;
use alloy_eips::eip1559::BaseFeeParams;
use alloy_eips::eip7840::BlobParams;
use alloy_primitives::{B64, U256 as Word};

fn check(fork: Fork, change: impl FnOnce(&mut Header, &mut Header)) -> Result<Rules, InvalidHeader> {
    let (mut parent, mut child) = pair(fork);
    change(&mut parent, &mut child);
    let hash = from_b256(child.parent_hash);
    let parent = Parent { header: &parent, hash, total_difficulty: None };
    validate_header(&child, &parent, &ChainSpec::constant(fork, 1))
}

#[test]
fn a_block_that_keeps_all_rules_is_valid_in_every_fork() {
    for fork in Fork::ALL.into_iter().filter(|fork| *fork < Fork::Amsterdam && *fork != Fork::Dao) {
        assert_eq!(check(fork, |_, _| {}).map(|rules| rules.fork), Ok(fork), "{fork}");
    }
}

#[test]
fn every_header_rule_is_enforced_and_named() {
    use InvalidHeader as I;
    type Change = fn(&mut Header, &mut Header);
    type Expected = fn(&I) -> bool;
    let rules: [(Fork, Change, Expected); 24] = [
        (Fork::Cancun, |_, h| h.number = 11, |e| matches!(e, I::Number { expected: 10, got: 11 })),
        (Fork::Cancun, |p, h| h.timestamp = p.timestamp, |e| matches!(e, I::Timestamp { .. })),
        (Fork::Cancun, |_, h| h.extra_data = vec![0; 33].into(), |e| matches!(e, I::ExtraDataTooLong(33))),
        (Fork::Cancun, |_, h| h.gas_used = h.gas_limit + 1, |e| matches!(e, I::GasUsedAboveLimit { .. })),
        (Fork::Cancun, |_, h| h.gas_limit += 30_000_000 / 1024, |e| matches!(e, I::GasLimitChange { .. })),
        (Fork::Cancun, |_, h| h.gas_limit -= 30_000_000 / 1024, |e| matches!(e, I::GasLimitChange { .. })),
        (Fork::Cancun, |_, h| (h.gas_limit, h.gas_used) = (4_999, 0), |e| matches!(e, I::GasLimitTooLow(4_999))),
        (Fork::Cancun, |_, h| h.difficulty = Word::from(1), |e| matches!(e, I::DifficultyNotZero(_))),
        (Fork::Cancun, |_, h| h.nonce = B64::with_last_byte(1), |e| *e == I::NonceNotZero),
        (Fork::Cancun, |_, h| h.ommers_hash.0[0] ^= 1, |e| *e == I::OmmersNotEmpty),
        (Fork::Cancun, |_, h| h.base_fee_per_gas = Some(8), |e| *e == I::BaseFee { expected: 7, got: 8 }),
        (Fork::Cancun, |_, h| h.excess_blob_gas = Some(1), |e| *e == I::ExcessBlobGas { expected: 0, got: 1 }),
        (Fork::Homestead, |_, h| h.difficulty += Word::from(1), |e| matches!(e, I::Difficulty { .. })),
        (Fork::London, |_, h| h.base_fee_per_gas = None, |e| missing(e, "baseFeePerGas")),
        (Fork::Berlin, |_, h| h.base_fee_per_gas = Some(7), |e| unexpected(e, "baseFeePerGas")),
        (Fork::Shanghai, |_, h| h.withdrawals_root = None, |e| missing(e, "withdrawalsRoot")),
        (Fork::Paris, |p, h| h.withdrawals_root = Some(p.state_root), |e| unexpected(e, "withdrawalsRoot")),
        (Fork::Cancun, |_, h| h.blob_gas_used = None, |e| missing(e, "blobGasUsed")),
        (Fork::Cancun, |_, h| h.excess_blob_gas = None, |e| missing(e, "excessBlobGas")),
        (Fork::Cancun, |_, h| h.parent_beacon_block_root = None, |e| missing(e, "parentBeaconBlockRoot")),
        (Fork::Shanghai, |_, h| h.excess_blob_gas = Some(0), |e| unexpected(e, "excessBlobGas")),
        (Fork::Prague, |_, h| h.requests_hash = None, |e| missing(e, "requestsHash")),
        (Fork::Cancun, |p, h| h.requests_hash = Some(p.state_root), |e| unexpected(e, "requestsHash")),
        (Fork::Osaka, |_, h| h.slot_number = Some(1), |e| unexpected(e, "slotNumber")),
    ];
    for (index, (fork, change, expected)) in rules.into_iter().enumerate() {
        let error = check(fork, change).expect_err("a broken rule");
        assert!(expected(&error), "rule {index} in {fork}: {error}");
        assert!(!error.exception_names().is_empty());
    }
    let (parent, child) = pair(Fork::Cancun);
    let parent = Parent { header: &parent, hash: H256::zero(), total_difficulty: None };
    let error = validate_header(&child, &parent, &ChainSpec::constant(Fork::Cancun, 1));
    assert!(matches!(error, Err(I::ParentHash { .. })));
    let osaka = Rules::new(Fork::Osaka, 1);
    assert_eq!(verify_length(8_388_608, &osaka), Ok(()));
    assert!(matches!(verify_length(8_388_609, &osaka), Err(I::BlockTooLong { got: 8_388_609, .. })));
    assert_eq!(verify_length(8_388_609, &Rules::new(Fork::Prague, 1)), Ok(()));
}

fn missing(error: &InvalidHeader, name: &str) -> bool {
    matches!(error, InvalidHeader::FieldMissing { field, .. } if *field == name)
}

fn unexpected(error: &InvalidHeader, name: &str) -> bool {
    matches!(error, InvalidHeader::FieldUnexpected { field, .. } if *field == name)
}

#[test]
fn ten_blocks_from_the_dao_fork_on_say_so() {
    let chain = mainnet();
    let blocks = [(1_919_999, true), (1_920_000, false), (1_920_009, false), (1_920_010, true)];
    for (number, free) in blocks {
        let (mut parent, mut child) = pair(Fork::Homestead);
        parent.number = number - 1;
        child.number = number;
        // The bomb counts by number.
        child.difficulty = crate::convert::to_word(expected_difficulty(Fork::Dao, number, child.timestamp, &parent));
        let hash = from_b256(child.parent_hash);
        let parent = Parent { header: &parent, hash, total_difficulty: None };
        let plain = validate_header(&child, &parent, &chain);
        assert_eq!(plain.is_ok(), free, "block {number}: {plain:?}");
        child.extra_data = dao::EXTRA_DATA.to_vec().into();
        assert!(validate_header(&child, &parent, &chain).is_ok());
    }
}

#[test]
fn london_begins_with_twice_the_gas_and_one_gwei() {
    let mut chain = ChainSpec::constant(Fork::Berlin, 1);
    chain.activate(Fork::London, Activation::Block(10));
    let (mut parent, mut child) = pair(Fork::London);
    parent.base_fee_per_gas = None;
    parent.gas_limit = 15_000_000;
    child.base_fee_per_gas = Some(1_000_000_000);
    let hash = from_b256(child.parent_hash);
    let parent = Parent { header: &parent, hash, total_difficulty: None };
    assert_eq!(validate_header(&child, &parent, &chain).map(|rules| rules.fork), Ok(Fork::London));
    child.base_fee_per_gas = Some(7);
    assert!(matches!(validate_header(&child, &parent, &chain), Err(InvalidHeader::BaseFee { .. })));
}

#[test]
fn base_fees_agree_with_alloy() {
    let limits = [5_000, 30_000_000, 60_000_001];
    let fees = [0, 1, 7, 8, 1_000_000_000, 123_456_789_012, u64::MAX / 2];
    for gas_limit in limits {
        for base_fee in fees {
            for share in 0..=20 {
                let gas_used = gas_limit / 20 * share;
                let parent = Header { gas_limit, gas_used, base_fee_per_gas: Some(base_fee), ..Header::default() };
                let theirs = parent.next_block_base_fee(BaseFeeParams::ethereum()).map(u128::from);
                assert_eq!(Some(expected_base_fee(&parent)), theirs, "{parent:?}");
            }
        }
    }
}

#[test]
fn excess_blob_gas_agrees_with_alloy() {
    let forks = [
        (Fork::Cancun, BlobParams::cancun()),
        (Fork::Prague, BlobParams::prague()),
        (Fork::Osaka, BlobParams::osaka()),
        (Fork::Bpo1, BlobParams::bpo1()),
        (Fork::Bpo2, BlobParams::bpo2()),
    ];
    for (fork, params) in forks {
        let rules = Rules::new(fork, 1);
        for excess in [0, 1, 393_216, 5_000_000, 50_000_000, 150_000_000] {
            for blobs in 0..=rules.blob_schedule.max {
                for base_fee in [1, 7, 1_000_000_000, 90_000_000_000] {
                    let used = blobs * GAS_PER_BLOB;
                    let parent = Header {
                        excess_blob_gas: Some(excess),
                        blob_gas_used: Some(used),
                        base_fee_per_gas: Some(base_fee),
                        ..Header::default()
                    };
                    let theirs = params.next_block_excess_blob_gas_osaka(excess, used, base_fee);
                    assert_eq!(expected_excess_blob_gas(&parent, &rules), theirs, "{fork} {excess} {blobs} {base_fee}");
                }
            }
        }
    }
}

// Ommers.

#[test]
fn ommer_rules() {
    let chain = ChainSpec::constant(Fork::Homestead, 1);
    // Ten blocks in a row, each with a sibling.
    let next = |parent: &Header, extra: u8| {
        let mut child = parent.clone();
        child.parent_hash = parent.hash_slow();
        child.number += 1;
        child.timestamp += 12;
        child.extra_data = vec![extra].into();
        child.difficulty =
            crate::convert::to_word(expected_difficulty(Fork::Homestead, child.number, child.timestamp, parent));
        child
    };
    let mut blocks = vec![pair(Fork::Homestead).0];
    let mut siblings = vec![];
    for _ in 0..10 {
        let parent = blocks.last().expect("a genesis").clone();
        siblings.push(next(&parent, 1));
        blocks.push(next(&parent, 0));
    }
    let head = blocks.pop().expect("a head");
    let included = [from_b256(siblings[8].hash_slow())];
    let check = |ommers: &[Header]| {
        let ancestors: Vec<_> = blocks
            .iter()
            .rev()
            .map(|header| Ancestor {
                header,
                hash: from_b256(header.hash_slow()),
                ommers: if header.number == head.number - 1 { &included } else { &[] },
                total_difficulty: None,
            })
            .collect();
        validate_ommers(&head, ommers, &ancestors, &chain)
    };
    // siblings[8] is the sibling of the parent, siblings[9] that of the head itself.
    assert_eq!(check(&[]), Ok(()));
    assert_eq!(check(&[siblings[7].clone(), siblings[3].clone()]), Ok(()));
    let one = siblings[7].clone();
    assert_eq!(check(&[one.clone(), one.clone()]), Err(InvalidOmmer::Duplicate));
    assert_eq!(check(&[one.clone(), one.clone(), one.clone()]), Err(InvalidOmmer::TooMany(3)));
    assert_eq!(check(&[siblings[8].clone()]), Err(InvalidOmmer::AlreadyIncluded(included[0])));
    assert!(matches!(check(&[siblings[9].clone()]), Err(InvalidOmmer::Sibling(_))));
    assert!(matches!(check(&[blocks[8].clone()]), Err(InvalidOmmer::IsAncestor(_))));
    assert!(matches!(check(&[siblings[2].clone()]), Err(InvalidOmmer::ParentNotAncestor(_))));
    let mut wrong = one.clone();
    wrong.gas_used = wrong.gas_limit + 1;
    let wrong = check(&[wrong]);
    assert!(matches!(wrong, Err(InvalidOmmer::Header(InvalidHeader::GasUsedAboveLimit { .. }))), "{wrong:?}");
}
