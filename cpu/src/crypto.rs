//! Hashing and signature recovery outside of the precompiles: KECCAK256, transaction senders, authorities.
//!
//! `keccak256` is on the hot path of nearly every transaction. Measured in nanoseconds per hash (AMD EPYC with
//! AVX-512, rustc 1.95, release profile, no `target-cpu`; best of thirty rounds):
//!
//! | crate | 32 B | 64 B | 136 B | 1024 B |
//! | --- | --- | --- | --- | --- |
//! | keccak-asm 0.1.9 | 237 | 237 | 442 | 1731 |
//! | alloy-primitives 1.7.3 with `asm-keccak` (the same assembly) | 227 | 229 | 439 | 1713 |
//! | keccak 0.2.2 with a sponge around it | 257 | 261 | 504 | 2024 |
//! | sha3 0.12.0 | 264 | 264 | 514 | 2044 |
//! | tiny-keccak 2.0.2 | 270 | 269 | 526 | 2059 |
//!
//! The pure Rust crates also slow down by a factor of two under `target-cpu=native` on AVX-512 machines; the assembly
//! does not. sha3 is the oracle in the tests.

use isolane_spec::{H160, H256};
use secp256k1::Message;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};

/// The Keccak-256 hash of `data`, as in the Yellow Paper (the padding of the original Keccak, not that of SHA-3).
#[must_use]
pub fn keccak256(data: &[u8]) -> H256 {
    H256(keccak_asm::Keccak256::digest(data).into())
}

/// The address that signed `hash`: the last 20 bytes of the Keccak-256 hash of the recovered public key.
///
/// `r` and `s` are big-endian and must be in `1..n`; `y_parity` is 0 or 1. A high `s` is permitted: EIP-2 forbids it in
/// transactions and EIP-7702 in authorizations, but not in the precompile, so those callers check it. `None` if no
/// public key fits.
#[must_use]
pub fn recover(hash: &[u8; 32], r: &[u8; 32], s: &[u8; 32], y_parity: u8) -> Option<H160> {
    let recovery_id = match y_parity {
        0 => RecoveryId::Zero,
        1 => RecoveryId::One,
        _ => return None,
    };
    let mut compact = [0; 64];
    compact[..32].copy_from_slice(r);
    compact[32..].copy_from_slice(s);
    // Refuses r and s of n and above; the recovery itself refuses zero.
    let signature = RecoverableSignature::from_compact(&compact, recovery_id).ok()?;
    let public_key = signature.recover_ecdsa(Message::from_digest(*hash)).ok()?;
    let uncompressed = public_key.serialize_uncompressed();
    // The first byte is the tag of the uncompressed form.
    let address = keccak256(uncompressed.get(1..)?);
    Some(H160::from_slice(&address.0[12..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_spec::U256;

    const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

    fn word(hex: &str) -> [u8; 32] {
        U256::from_str_radix(hex, 16).expect("a hexadecimal word").to_big_endian()
    }

    #[test]
    fn keccak256_agrees_with_sha3_at_every_length_around_the_rate() {
        let data: Vec<u8> = (0..700_u32).map(|i| (i * 131 + 7) as u8).collect();
        for length in 0..data.len() {
            let expected: [u8; 32] = <sha3::Keccak256 as sha3::Digest>::digest(&data[..length]).into();
            assert_eq!(keccak256(&data[..length]).0, expected, "length {length}");
        }
    }

    #[test]
    fn recovers_the_signer_and_its_high_s_twin() {
        // The key 1 signs with the nonce 1: r is the abscissa of the generator, s = hash + r.
        let r = word("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
        let order = U256::from_str_radix(ORDER, 16).expect("the order");
        let hash = word("1234");
        let s = U256::from_big_endian(&hash) + U256::from_big_endian(&r);
        assert!(s < order);
        let address = recover(&hash, &r, &s.to_big_endian(), 0).expect("a valid signature");
        // The address of the private key 1.
        assert_eq!(format!("{address:x}"), "7e5f4552091a69125d5dfcb7b8c2659029395bdf");
        let twin = recover(&hash, &r, &(order - s).to_big_endian(), 1);
        assert_eq!(twin, Some(address), "the twin with the negated s");
    }

    #[test]
    fn refuses_what_is_out_of_range() {
        let (one, zero, order) = (word("1"), word("0"), word(ORDER));
        assert!(recover(&one, &one, &one, 0).is_some());
        assert!(recover(&one, &one, &one, 2).is_none());
        assert!(recover(&one, &zero, &one, 0).is_none());
        assert!(recover(&one, &one, &zero, 0).is_none());
        assert!(recover(&one, &order, &one, 0).is_none());
        assert!(recover(&one, &one, &order, 0).is_none());
        // No point has the abscissa 5.
        assert!(recover(&one, &word("5"), &one, 0).is_none());
    }
}
