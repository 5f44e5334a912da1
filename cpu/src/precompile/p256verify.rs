//! P256VERIFY (0x100, EIP-7951): ECDSA over secp256r1, a signature of a hash by a public key.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};

use super::{PrecompileOutput, PrecompileResult, charge, word_of};

const COST: u64 = 6900;

pub(super) fn run(input: &[u8], gas_limit: u64) -> PrecompileResult {
    let gas_used = charge(COST, gas_limit)?;
    // Never fails: whatever is wrong, the output is empty.
    let output = if verify(input).is_some() { word_of(true) } else { Vec::new() };
    Ok(PrecompileOutput { gas_used, output })
}

/// `input` is hash, r, s, x and y, 32 bytes each, nothing less and nothing more.
fn verify(input: &[u8]) -> Option<()> {
    let (hash, rest) = input.split_first_chunk::<32>()?;
    let (signature, rest) = rest.split_first_chunk::<64>()?;
    let point = <&[u8; 64]>::try_from(rest).ok()?;
    // Refuses r and s outside of 1..n.
    let signature = Signature::from_slice(signature).ok()?;
    let mut encoded = [4; 65];
    encoded[1..].copy_from_slice(point);
    // Refuses coordinates of p and above and points off the curve; infinity as (0, 0) is off the curve.
    let public_key = VerifyingKey::from_sec1_bytes(&encoded).ok()?;
    public_key.verify_prehash(hash, &signature).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precompile::PrecompileError;
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::hazmat::PrehashSigner;

    fn signed() -> Vec<u8> {
        let key = SigningKey::from_slice(&[7; 32]).expect("a private key");
        let hash = [0x5a; 32];
        let signature: Signature = key.sign_prehash(&hash).expect("a signature");
        let point = key.verifying_key().to_sec1_point(false);
        [&hash[..], &signature.to_bytes(), &point.as_bytes()[1..]].concat()
    }

    #[test]
    fn accepts_one_and_refuses_every_flipped_byte() {
        let input = signed();
        assert_eq!(run(&input, COST), Ok(PrecompileOutput { gas_used: COST, output: word_of(true) }));
        assert_eq!(run(&input, COST - 1), Err(PrecompileError::OutOfGas));
        let refused = Ok(PrecompileOutput { gas_used: COST, output: Vec::new() });
        for index in 0..input.len() {
            let mut wrong = input.clone();
            wrong[index] ^= 1;
            assert_eq!(run(&wrong, COST), refused, "byte {index}");
        }
        assert_eq!(run(&input[..159], COST), refused);
        assert_eq!(run(&[&input[..], &[0]].concat(), COST), refused);
        assert_eq!(run(&[], COST), refused);
    }
}
