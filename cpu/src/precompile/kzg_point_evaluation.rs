//! The KZG point evaluation (0x0a, EIP-4844): a polynomial that was committed to has the value y at z.

use c_kzg::{Bytes32, Bytes48, ethereum_kzg_settings};
use sha2::{Digest, Sha256};

use super::{PrecompileError, PrecompileOutput, PrecompileResult, charge};

const COST: u64 = 50_000;

/// FIELD_ELEMENTS_PER_BLOB and BLS_MODULUS, as words.
const RETURN_VALUE: [u8; 64] = [
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, //
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, //
    0x73, 0xed, 0xa7, 0x53, 0x29, 0x9d, 0x7d, 0x48, 0x33, 0x39, 0xd8, 0x08, 0x09, 0xa1, 0xd8, 0x05, //
    0x53, 0xbd, 0xa4, 0x02, 0xff, 0xfe, 0x5b, 0xfe, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01,
];

/// VERSIONED_HASH_VERSION_KZG.
const VERSION: u8 = 1;

/// `input` is versioned hash, z, y (32 bytes each), commitment, proof (48 bytes each).
pub(super) fn run(input: &[u8], gas_limit: u64) -> PrecompileResult {
    let gas_used = charge(COST, gas_limit)?;
    let fields = split(input).ok_or(PrecompileError::InvalidInput("192 bytes"))?;
    let (versioned_hash, z, y, commitment, proof) = fields;

    let mut expected: [u8; 32] = Sha256::digest(commitment).into();
    expected[0] = VERSION;
    if *versioned_hash != expected {
        return Err(PrecompileError::InvalidInput("the versioned hash of the commitment"));
    }

    // The trusted setup is loaded once per process; one pairing check needs none of its precomputed tables.
    let settings = ethereum_kzg_settings(0);
    match settings.verify_kzg_proof(
        &Bytes48::new(*commitment),
        &Bytes32::new(*z),
        &Bytes32::new(*y),
        &Bytes48::new(*proof),
    ) {
        Ok(true) => Ok(PrecompileOutput { gas_used, output: RETURN_VALUE.to_vec() }),
        Ok(false) => Err(PrecompileError::InvalidInput("a proof of the value y at z")),
        Err(_) => Err(PrecompileError::InvalidInput("canonical field elements and points of the subgroup")),
    }
}

type Fields<'a> = (&'a [u8; 32], &'a [u8; 32], &'a [u8; 32], &'a [u8; 48], &'a [u8; 48]);

fn split(input: &[u8]) -> Option<Fields<'_>> {
    let (versioned_hash, rest) = input.split_first_chunk::<32>()?;
    let (z, rest) = rest.split_first_chunk::<32>()?;
    let (y, rest) = rest.split_first_chunk::<32>()?;
    let (commitment, rest) = rest.split_first_chunk::<48>()?;
    Some((versioned_hash, z, y, commitment, rest.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The constant polynomial zero: commitment and proof are infinity, the value is zero everywhere.
    fn zero_polynomial(z: u8) -> Vec<u8> {
        let mut infinity = [0; 48];
        infinity[0] = 0xc0;
        let mut hash: [u8; 32] = Sha256::digest(infinity).into();
        hash[0] = VERSION;
        let mut input = [&hash[..], &[0; 64], &infinity, &infinity].concat();
        input[63] = z;
        input
    }

    #[test]
    fn checks_hash_value_proof_and_length() {
        for z in [0, 1, 255] {
            let output = run(&zero_polynomial(z), COST).expect("a valid proof");
            assert_eq!((output.gas_used, output.output.as_slice()), (COST, &RETURN_VALUE[..]));
        }
        assert_eq!(run(&zero_polynomial(1), COST - 1), Err(PrecompileError::OutOfGas));
        // Version, hash, y, a z of the modulus and above, commitment, proof.
        for index in [0, 5, 95, 32, 96, 150] {
            let mut wrong = zero_polynomial(1);
            wrong[index] ^= 0xff;
            assert!(matches!(run(&wrong, COST), Err(PrecompileError::InvalidInput(_))), "byte {index}");
        }
        assert!(run(&zero_polynomial(1)[..191], COST).is_err());
        assert!(run(&[&zero_polynomial(1)[..], &[0]].concat(), COST).is_err());
    }
}
