//! Receipts, their bloom filters and their root.

use crate::convert::{from_b256, keccak, to_address, to_b256};
use alloy_primitives::map::HashMap;
use alloy_rlp::{Encodable, Header, length_of_length};
use alloy_trie::root::ordered_trie_root_with_encoder;
use isolane_spec::{H256, Log, Outcome, TransactionType};
use std::fmt;

/// A filter of 2,048 bits over the addresses and topics of logs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bloom(pub [u8; 256]);

impl Default for Bloom {
    fn default() -> Self {
        Self([0; 256])
    }
}

impl fmt::Debug for Bloom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl Bloom {
    /// Adds all bits of another filter.
    pub fn merge(&mut self, other: &Self) {
        for (byte, more) in self.0.iter_mut().zip(&other.0) {
            *byte |= more;
        }
    }

    fn set(&mut self, bits: [u16; 3]) {
        for bit in bits {
            if let Some(byte) = self.0.get_mut(255 - usize::from(bit >> 3)) {
                *byte |= 1 << (bit & 7);
            }
        }
    }
}

fn bits_of(item: &[u8]) -> [u16; 3] {
    let hash = keccak(item).0;
    [0, 2, 4].map(|i| u16::from_be_bytes([hash[i], hash[i + 1]]) & 0x7ff)
}

/// Builds the filters of a block. Blocks log the same addresses and topics over and over: each is hashed once.
#[derive(Default)]
pub(super) struct BloomBuilder {
    addresses: HashMap<[u8; 20], [u16; 3]>,
    topics: HashMap<[u8; 32], [u16; 3]>,
}

impl BloomBuilder {
    pub(super) fn bloom(&mut self, logs: &[Log]) -> Bloom {
        let mut bloom = Bloom::default();
        for log in logs {
            bloom.set(*self.addresses.entry(log.address.0).or_insert_with_key(|item| bits_of(item)));
            for topic in &log.topics {
                bloom.set(*self.topics.entry(topic.0).or_insert_with_key(|item| bits_of(item)));
            }
        }
        bloom
    }
}

/// What a receipt says about the state after its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostTransaction {
    /// Whether it succeeded (EIP-658, from Byzantium on).
    Success(bool),
    /// The state root, before Byzantium; `None` if it is not known.
    Root(Option<H256>),
}

/// The receipt of a transaction, without its logs: these are in the transaction's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The envelope type of the transaction.
    pub transaction_type: TransactionType,
    /// Status, or state root.
    pub post: PostTransaction,
    /// Gas used by this transaction and those before it in the block.
    pub cumulative_gas_used: u64,
    /// Filter over its logs.
    pub bloom: Bloom,
}

impl Receipt {
    /// Appends the consensus encoding (EIP-2718).
    pub fn encode(&self, logs: &[Log], out: &mut Vec<u8>) {
        if self.transaction_type != TransactionType::Legacy {
            out.push(self.transaction_type as u8);
        }
        let logs_length: usize = logs.iter().map(log_length).map(with_header).sum();
        let post_length = match self.post {
            PostTransaction::Root(Some(_)) => 33,
            _ => 1,
        };
        let payload_length = post_length + self.cumulative_gas_used.length() + (3 + 256) + with_header(logs_length);
        out.reserve(payload_length + 9);
        Header { list: true, payload_length }.encode(out);
        match self.post {
            PostTransaction::Success(success) => success.encode(out),
            PostTransaction::Root(Some(root)) => to_b256(root).encode(out),
            PostTransaction::Root(None) => out.push(alloy_rlp::EMPTY_STRING_CODE),
        }
        self.cumulative_gas_used.encode(out);
        self.bloom.0.as_slice().encode(out);
        Header { list: true, payload_length: logs_length }.encode(out);
        for log in logs {
            encode_log(log, out);
        }
    }
}

const fn with_header(length: usize) -> usize {
    length_of_length(length) + length
}

fn log_length(log: &Log) -> usize {
    21 + with_header(33 * log.topics.len()) + log.data.as_ref().length()
}

fn encode_log(log: &Log, out: &mut Vec<u8>) {
    Header { list: true, payload_length: log_length(log) }.encode(out);
    to_address(log.address).encode(out);
    Header { list: true, payload_length: 33 * log.topics.len() }.encode(out);
    for topic in &log.topics {
        to_b256(*topic).encode(out);
    }
    log.data.as_ref().encode(out);
}

/// Keccak-256 of the encoded list of logs: what state tests compare.
#[must_use]
pub fn logs_hash(logs: &[Log]) -> H256 {
    let payload_length = logs.iter().map(log_length).map(with_header).sum();
    let mut out = Vec::with_capacity(payload_length + 9);
    Header { list: true, payload_length }.encode(&mut out);
    for log in logs {
        encode_log(log, &mut out);
    }
    keccak(out)
}

/// The root of the receipts of a block; the outcomes have their logs.
#[must_use]
pub fn receipts_root(receipts: &[Receipt], outcomes: &[Outcome]) -> H256 {
    let pairs: Vec<_> = receipts.iter().zip(outcomes).collect();
    from_b256(ordered_trie_root_with_encoder(&pairs, |(receipt, outcome), out| receipt.encode(&outcome.logs, out)))
}
