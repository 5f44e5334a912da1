//! What a call can lack.

use isolane_spec::{H160, H256, StateError, U256};
use std::fmt;

/// One piece of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Nonce, balance and code hash.
    Account(H160),
    /// A storage slot.
    Slot(H160, U256),
    /// A code.
    Code(H256),
    /// An ancestor's hash.
    BlockHash(u64),
    /// Whether an account has any storage.
    Storage(H160),
}

impl Key {
    /// What a state lacked; `None` where it failed for another reason.
    #[must_use]
    pub const fn of(error: &StateError) -> Option<Self> {
        match error {
            StateError::AccountMissing(address) => Some(Self::Account(*address)),
            StateError::SlotMissing(address, key) => Some(Self::Slot(*address, *key)),
            StateError::CodeMissing(hash) => Some(Self::Code(*hash)),
            StateError::BlockHashMissing(number) => Some(Self::BlockHash(*number)),
            StateError::StorageMissing(address) => Some(Self::Storage(*address)),
            StateError::Source(_) => None,
        }
    }

    /// The account that it belongs to.
    #[must_use]
    pub const fn address(&self) -> Option<H160> {
        match self {
            Self::Account(address) | Self::Slot(address, _) | Self::Storage(address) => Some(*address),
            Self::Code(_) | Self::BlockHash(_) => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(address) => write!(f, "account {address:?}"),
            Self::Slot(address, key) => write!(f, "slot {key:#x} of account {address:?}"),
            Self::Code(hash) => write!(f, "the code of hash {hash:?}"),
            Self::BlockHash(number) => write!(f, "the hash of block {number}"),
            Self::Storage(address) => write!(f, "whether account {address:?} has storage"),
        }
    }
}
