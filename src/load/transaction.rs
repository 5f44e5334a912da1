//! Signed transactions: consensus bytes to [`Transaction`] and back, hashes, senders.
//!
//! A transaction is decoded in one pass over its bytes, which it keeps: the transactions root and the hash need them,
//! the call data is a slice of them, and the signed message of a typed transaction is a prefix of them.

mod decode;
mod encode;
mod reader;
mod sender;

pub use decode::{TransactionDecodeError, decode_transaction};
pub use reader::{RlpError, RlpProblem};
pub use sender::{SignatureError, recover_into, recover_senders};

use isolane_spec::{Bytes, Fork, H160, H256, Transaction, U256};

/// The signature of a transaction, as far as it is not part of [`Transaction::chain_id`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Signature r.
    pub r: U256,
    /// Signature s.
    pub s: U256,
    /// Whether the y coordinate is odd.
    pub odd_y: bool,
}

/// A transaction as it stands in a block: its content, its signature and its consensus bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// The content. `sender` is zero until it is recovered: see [`recover_into`].
    pub transaction: Transaction,
    /// The signature.
    pub signature: Signature,
    /// The hash that names it.
    pub hash: H256,
    /// The consensus bytes (EIP-2718): what the transactions root commits to.
    pub encoded: Bytes,
    /// Which part of `encoded` holds the signed fields, without any list header.
    signed: std::ops::Range<usize>,
}

impl SignedTransaction {
    /// Puts together a transaction that did not come as bytes, such as one from JSON. A legacy transaction with a chain
    /// id is signed as EIP-155 says.
    #[must_use]
    pub fn new(transaction: Transaction, signature: Signature) -> Self {
        encode::sign(transaction, signature)
    }

    /// The account that signed it.
    ///
    /// # Errors
    /// When the signature is not valid in this fork.
    pub fn recover_sender(&self, fork: Fork) -> Result<H160, SignatureError> {
        sender::recover(self, fork)
    }

    /// The hash that was signed.
    #[must_use]
    pub fn signing_hash(&self) -> H256 {
        encode::signing_hash(self)
    }

    /// The content with its sender.
    ///
    /// # Errors
    /// When the signature is not valid in this fork.
    pub fn to_transaction(&self, fork: Fork) -> Result<Transaction, SignatureError> {
        Ok(Transaction { sender: self.recover_sender(fork)?, ..self.transaction.clone() })
    }
}

#[cfg(test)]
mod tests;
