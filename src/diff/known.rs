//! Differences from an independent implementation that are known, and whose cause is shown to be there.
//!
//! Each rule names its cause and is as narrow as the cause: it looks at the case and at both results, and holds only
//! where nothing else can be behind the difference.

use super::case::Case;
use super::run::Executed;
use isolane_spec::KECCAK_EMPTY;

/// The reason of a difference that is known.
#[must_use]
pub fn difference(backend: &str, case: &Case, _left: &Executed, _right: &Executed) -> Option<&'static str> {
    if backend != "revm" {
        return None;
    }
    if has_storage_alone(case) {
        return Some("a create can meet an account with storage alone, and revm lacks EIP-7610");
    }
    None
}

/// Whether a create can meet an account that has storage and neither code nor nonce.
fn has_storage_alone(case: &Case) -> bool {
    case.state
        .accounts
        .values()
        .any(|account| account.info.nonce == 0 && account.info.code_hash == KECCAK_EMPTY && !account.storage.is_empty())
}
