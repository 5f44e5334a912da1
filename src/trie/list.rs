//! Roots of the lists that a block header commits to.

use super::H256;
use crate::convert::from_b256;
use crate::load::transaction::SignedTransaction;
use alloy_eips::eip4895::Withdrawal;
use alloy_trie::root::{ordered_trie_root, ordered_trie_root_encoded, ordered_trie_root_with_encoder};

/// The root of a list of encoded items.
#[must_use]
pub fn ordered_root<T: AsRef<[u8]>>(items: &[T]) -> H256 {
    from_b256(ordered_trie_root_encoded(items))
}

/// The root of a block's transactions.
#[must_use]
pub fn transactions_root(transactions: &[SignedTransaction]) -> H256 {
    from_b256(ordered_trie_root_with_encoder(transactions, |signed, out| out.extend_from_slice(&signed.encoded)))
}

/// The root of a block's withdrawals.
#[must_use]
pub fn withdrawals_root(withdrawals: &[Withdrawal]) -> H256 {
    from_b256(ordered_trie_root(withdrawals))
}
