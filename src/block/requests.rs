//! Execution requests (EIP-7685): deposits (EIP-6110), withdrawals (EIP-7002), consolidations (EIP-7251).

use isolane_spec::{Bytes, H160, H256, Outcome};
use sha2::{Digest, Sha256};
use std::fmt;

/// EIP-4788: roots of beacon blocks.
pub(super) const BEACON_ROOTS: H160 = contract("000f3df6d732807ef1319fb7b8bb8522d0beac02");
/// EIP-2935: hashes of ancestor blocks.
pub(super) const HISTORY_STORAGE: H160 = contract("0000f90827f1c53a10cb7a02335b175320002935");
/// EIP-7002: withdrawal requests.
pub(super) const WITHDRAWAL_REQUESTS: H160 = contract("00000961ef480eb55e80d19ad83579a64c007002");
/// EIP-7251: consolidation requests.
pub(super) const CONSOLIDATION_REQUESTS: H160 = contract("0000bbddc7ce488642fb579f8b00f3a590007251");

/// Keccak-256 of `DepositEvent(bytes,bytes,bytes,bytes,bytes)`.
const DEPOSIT_EVENT: H256 = H256([
    0x64, 0x9b, 0xbc, 0x62, 0xd0, 0xe3, 0x13, 0x42, 0xaf, 0xea, 0x4e, 0x5c, 0xd8, 0x2d, 0x40, 0x49, 0xe7, 0xe1, 0xee,
    0x91, 0x2f, 0xc0, 0x88, 0x9a, 0xa7, 0x90, 0x80, 0x3b, 0xe3, 0x90, 0x38, 0xc5,
]);

const fn contract(text: &str) -> H160 {
    super::dao::address(text)
}

/// How the data of a deposit log differs from the layout of EIP-6110.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepositLayout {
    /// The data is not 576 bytes long.
    Length(usize),
    /// A field does not start where it must.
    Offset {
        /// The field.
        field: &'static str,
        /// Where it must start.
        expected: u64,
    },
    /// A field is not as long as it must be.
    Size {
        /// The field.
        field: &'static str,
        /// How long it must be.
        expected: u64,
    },
}

impl fmt::Display for DepositLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(got) => write!(f, "deposit log: expected 576 bytes of data, got {got}"),
            Self::Offset { field, expected } => write!(f, "deposit log: {field} does not start at byte {expected}"),
            Self::Size { field, expected } => write!(f, "deposit log: {field} is not {expected} bytes long"),
        }
    }
}

/// Name, offset and size of the fields of a deposit log.
const DEPOSIT_FIELDS: [(&str, usize, usize); 5] = [
    ("pubkey", 160, 48),
    ("withdrawal_credentials", 256, 32),
    ("amount", 320, 8),
    ("signature", 384, 96),
    ("index", 512, 8),
];

fn deposit_into(data: &[u8], out: &mut Vec<u8>) -> Result<(), DepositLayout> {
    if data.len() != 576 {
        return Err(DepositLayout::Length(data.len()));
    }
    // The length is known, so the ranges below exist; a range that did not would read as a wrong word.
    let word_is = |at: usize, expected: usize| {
        let mut word = [0; 32];
        word[24..].copy_from_slice(&(expected as u64).to_be_bytes());
        data.get(at..at + 32) == Some(&word[..])
    };
    for (i, (field, offset, _)) in DEPOSIT_FIELDS.into_iter().enumerate() {
        if !word_is(32 * i, offset) {
            return Err(DepositLayout::Offset { field, expected: offset as u64 });
        }
    }
    for (field, offset, size) in DEPOSIT_FIELDS {
        if !word_is(offset, size) {
            return Err(DepositLayout::Size { field, expected: size as u64 });
        }
        out.extend_from_slice(data.get(offset + 32..offset + 32 + size).unwrap_or_default());
    }
    Ok(())
}

/// The deposits of all transactions, one after another; on failure the index of the transaction.
pub(super) fn deposits(outcomes: &[Outcome], deposit_contract: H160) -> Result<Vec<u8>, (usize, DepositLayout)> {
    let mut requests = Vec::new();
    for (index, outcome) in outcomes.iter().enumerate() {
        for log in &outcome.logs {
            if log.address == deposit_contract && log.topics.first() == Some(&DEPOSIT_EVENT) {
                deposit_into(&log.data, &mut requests).map_err(|layout| (index, layout))?;
            }
        }
    }
    Ok(requests)
}

/// The hash of a block's requests: each with its type byte, empty ones left out.
#[must_use]
pub fn requests_hash(requests: &[Bytes]) -> H256 {
    let mut outer = Sha256::new();
    for request in requests {
        outer.update(Sha256::digest(request));
    }
    H256(outer.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deposit() -> Vec<u8> {
        let mut data = Vec::new();
        for (_, offset, _) in DEPOSIT_FIELDS {
            data.extend_from_slice(&[0; 24]);
            data.extend_from_slice(&(offset as u64).to_be_bytes());
        }
        for (i, (_, offset, size)) in DEPOSIT_FIELDS.into_iter().enumerate() {
            data.resize(offset, 0);
            data.extend_from_slice(&[0; 24]);
            data.extend_from_slice(&(size as u64).to_be_bytes());
            data.extend(std::iter::repeat_n(i as u8 + 1, size));
        }
        data.resize(576, 0);
        data
    }

    #[test]
    fn a_deposit_is_its_five_fields() {
        let mut out = Vec::new();
        assert_eq!(deposit_into(&deposit(), &mut out), Ok(()));
        assert_eq!(out.len(), 192);
        assert_eq!((out[0], out[48], out[80], out[88], out[184]), (1, 2, 3, 4, 5));
    }

    #[test]
    fn every_word_of_the_layout_is_checked() {
        assert_eq!(deposit_into(&[0; 575], &mut Vec::new()), Err(DepositLayout::Length(575)));
        let words = (0..5).map(|i| 32 * i).chain(DEPOSIT_FIELDS.map(|(_, offset, _)| offset));
        for at in words {
            for byte in at..at + 32 {
                let mut data = deposit();
                data[byte] ^= 1;
                assert!(deposit_into(&data, &mut Vec::new()).is_err(), "byte {byte}");
            }
        }
    }

    #[test]
    fn no_requests_hash_to_the_hash_of_nothing() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex::encode(requests_hash(&[])), empty);
    }
}
