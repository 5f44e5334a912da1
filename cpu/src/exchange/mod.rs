//! The system address of an environment that allows messaging: sends, data calls, and the ledger of assets from abroad
//! (docs/exchange.md).
//!
//! Everything that it keeps lies in the storage of its own account, so that it is undone with a frame, rolled back with
//! a state, proven by a state root, and read and written in the order of the transactions like any other account.

pub mod abi;
mod call;
mod codec;
mod deliver;
mod ledger;

pub use codec::{InvalidMessage, decode, encode, id};
pub use ledger::{Holding, Holdings, balance, claimable, holdings};

pub(crate) use call::Origin;

use crate::crypto::keccak256;
use isolane_spec::{AccountInfo, Bytes, EXCHANGE_ADDRESS, H160};

/// The code of the account: INVALID. It never runs; Solidity's check that a callee has code finds it.
const CODE: [u8; 1] = [0xfe];

/// The account as it comes into being when the exchange first writes to it. A state that must know all its accounts (a
/// witness) gets it up front, and so does one whose contracts look at the code's size before they call.
#[must_use]
pub fn account() -> (H160, AccountInfo, Bytes) {
    let info = AccountInfo { nonce: 1, code_hash: keccak256(&CODE), ..AccountInfo::default() };
    (EXCHANGE_ADDRESS, info, Bytes::from_static(&CODE))
}
