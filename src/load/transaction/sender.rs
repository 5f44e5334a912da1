//! Who signed a transaction.

use super::SignedTransaction;
use isolane_cpu::crypto;
use isolane_spec::{Fork, H160, TransactionType, U256};
use rayon::prelude::*;
use std::fmt;

/// Why a signature is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// r or s is zero, or not below the order of the curve.
    OutOfRange {
        /// `r` or `s`.
        field: &'static str,
        /// Its value.
        got: U256,
    },
    /// s is above half the order of the curve (EIP-2).
    HighS(U256),
    /// A legacy transaction is bound to a chain before EIP-155 exists.
    ChainIdBeforeEip155(u64),
    /// No point of the curve fits the signature.
    NoPublicKey,
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { field, got } => {
                write!(f, "signature {field}: expected a value from 1 to the curve's order - 1, got {got:#x}")
            }
            Self::HighS(got) => {
                write!(f, "signature s: expected at most half the curve's order (EIP-2), got {got:#x}")
            }
            Self::ChainIdBeforeEip155(chain_id) => {
                write!(f, "signature v: expected 27 or 28 before Spurious Dragon, got one for chain {chain_id}")
            }
            Self::NoPublicKey => f.write_str("signature: no public key fits it"),
        }
    }
}

impl std::error::Error for SignatureError {}

/// The order of secp256k1.
const ORDER: U256 = U256([0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, 0xffff_ffff_ffff_fffe, 0xffff_ffff_ffff_ffff]);
/// Half the order, rounded down: the largest s that EIP-2 allows.
const HALF_ORDER: U256 =
    U256([0xdfe9_2f46_681b_20a0, 0x5d57_6e73_57a4_501d, 0xffff_ffff_ffff_ffff, 0x7fff_ffff_ffff_ffff]);

pub(super) fn recover(signed: &SignedTransaction, fork: Fork) -> Result<H160, SignatureError> {
    let signature = &signed.signature;
    for (field, got) in [("r", signature.r), ("s", signature.s)] {
        if got.is_zero() || got >= ORDER {
            return Err(SignatureError::OutOfRange { field, got });
        }
    }
    if fork >= Fork::Homestead && signature.s > HALF_ORDER {
        return Err(SignatureError::HighS(signature.s));
    }
    if let (TransactionType::Legacy, Some(chain_id)) =
        (signed.transaction.transaction_type, signed.transaction.chain_id)
        && fork < Fork::SpuriousDragon
    {
        return Err(SignatureError::ChainIdBeforeEip155(chain_id));
    }
    let (r, s) = (signature.r.to_big_endian(), signature.s.to_big_endian());
    crypto::recover(&signed.signing_hash().0, &r, &s, signature.odd_y.into()).ok_or(SignatureError::NoPublicKey)
}

/// The senders of many transactions, recovered in parallel.
#[must_use]
pub fn recover_senders(transactions: &[SignedTransaction], fork: Fork) -> Vec<Result<H160, SignatureError>> {
    transactions.par_iter().with_min_len(8).map(|signed| recover(signed, fork)).collect()
}

/// Recovers the senders of many transactions in parallel and writes them into the transactions.
///
/// # Errors
/// The first transaction whose signature is not valid, and why.
pub fn recover_into(transactions: &mut [SignedTransaction], fork: Fork) -> Result<(), (usize, SignatureError)> {
    let senders = recover_senders(transactions, fork);
    for (index, (signed, sender)) in transactions.iter_mut().zip(senders).enumerate() {
        signed.transaction.sender = sender.map_err(|error| (index, error))?;
    }
    Ok(())
}
