//! The KZG point evaluation (0x0a, EIP-4844): a polynomial that was committed to has the value y at z.
//!
//! The specification checks e(C - y G₁, G₂) = e(π, τ G₂ - z G₂) for a commitment C and a proof π. Moved to the other side,
//! the multiplication by z happens in G1, where it is cheap: e(C - y G₁ + z π, -G₂) e(π, τ G₂) = 1. Of the trusted setup
//! that takes one point, τ G₂. c-kzg, the oracle in the tests, reads and checks all 8,257 points at its first call, which
//! takes a second and more, and multiplies in G2 (0.89 ms a call on the machine of `crypto.rs`).

use std::sync::LazyLock;

use blst::{MultiPoint, blst_fp12, blst_p1, blst_p1_affine, blst_p2_affine, min_pk, min_sig};
use isolane_spec::U256;
use sha2::{Digest, Sha256};

use super::bls12_381::Scalar;
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

/// -G₁ and -G₂, the opposites of the generators, and τ G₂ of the Ethereum KZG ceremony; compressed.
const NEGATIVE_G1: [u8; 48] = [
    0xb7, 0xf1, 0xd3, 0xa7, 0x31, 0x97, 0xd7, 0x94, 0x26, 0x95, 0x63, 0x8c, 0x4f, 0xa9, 0xac, 0x0f, //
    0xc3, 0x68, 0x8c, 0x4f, 0x97, 0x74, 0xb9, 0x05, 0xa1, 0x4e, 0x3a, 0x3f, 0x17, 0x1b, 0xac, 0x58, //
    0x6c, 0x55, 0xe8, 0x3f, 0xf9, 0x7a, 0x1a, 0xef, 0xfb, 0x3a, 0xf0, 0x0a, 0xdb, 0x22, 0xc6, 0xbb, //
];
const NEGATIVE_G2: [u8; 96] = [
    0xb3, 0xe0, 0x2b, 0x60, 0x52, 0x71, 0x9f, 0x60, 0x7d, 0xac, 0xd3, 0xa0, 0x88, 0x27, 0x4f, 0x65, //
    0x59, 0x6b, 0xd0, 0xd0, 0x99, 0x20, 0xb6, 0x1a, 0xb5, 0xda, 0x61, 0xbb, 0xdc, 0x7f, 0x50, 0x49, //
    0x33, 0x4c, 0xf1, 0x12, 0x13, 0x94, 0x5d, 0x57, 0xe5, 0xac, 0x7d, 0x05, 0x5d, 0x04, 0x2b, 0x7e, //
    0x02, 0x4a, 0xa2, 0xb2, 0xf0, 0x8f, 0x0a, 0x91, 0x26, 0x08, 0x05, 0x27, 0x2d, 0xc5, 0x10, 0x51, //
    0xc6, 0xe4, 0x7a, 0xd4, 0xfa, 0x40, 0x3b, 0x02, 0xb4, 0x51, 0x0b, 0x64, 0x7a, 0xe3, 0xd1, 0x77, //
    0x0b, 0xac, 0x03, 0x26, 0xa8, 0x05, 0xbb, 0xef, 0xd4, 0x80, 0x56, 0xc8, 0xc1, 0x21, 0xbd, 0xb8, //
];
const TAU_G2: [u8; 96] = [
    0xb5, 0xbf, 0xd7, 0xdd, 0x8c, 0xde, 0xb1, 0x28, 0x84, 0x3b, 0xc2, 0x87, 0x23, 0x0a, 0xf3, 0x89, //
    0x26, 0x18, 0x70, 0x75, 0xcb, 0xfb, 0xef, 0xa8, 0x10, 0x09, 0xa2, 0xce, 0x61, 0x5a, 0xc5, 0x3d, //
    0x29, 0x14, 0xe5, 0x87, 0x0c, 0xb4, 0x52, 0xd2, 0xaf, 0xaa, 0xab, 0x24, 0xf3, 0x49, 0x9f, 0x72, //
    0x18, 0x5c, 0xbf, 0xee, 0x53, 0x49, 0x27, 0x14, 0x73, 0x44, 0x29, 0xb7, 0xb3, 0x86, 0x08, 0xe2, //
    0x39, 0x26, 0xc9, 0x11, 0xcc, 0xec, 0xea, 0xc9, 0xa3, 0x68, 0x51, 0x47, 0x7b, 0xa4, 0xc6, 0x0b, //
    0x08, 0x70, 0x41, 0xde, 0x62, 0x10, 0x00, 0xed, 0xc9, 0x8e, 0xda, 0xda, 0x20, 0xc1, 0xde, 0xf2, //
];

/// Infinity, compressed.
const INFINITY: [u8; 48] = {
    let mut bytes = [0; 48];
    bytes[0] = 0xc0;
    bytes
};

/// The constants, decoded once: a square root each.
struct Setup {
    negative_g1: blst_p1_affine,
    negative_g2: blst_p2_affine,
    tau_g2: blst_p2_affine,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let g1 = |bytes: &[u8]| min_pk::PublicKey::uncompress(bytes).expect("a constant point of G1").into();
    let g2 = |bytes: &[u8]| min_sig::PublicKey::uncompress(bytes).expect("a constant point of G2").into();
    Setup { negative_g1: g1(&NEGATIVE_G1), negative_g2: g2(&NEGATIVE_G2), tau_g2: g2(&TAU_G2) }
});

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
    if verify(&scalar(z)?, &scalar(y)?, point(commitment)?, point(proof)?) {
        Ok(PrecompileOutput { gas_used, output: RETURN_VALUE.to_vec() })
    } else {
        Err(PrecompileError::InvalidInput("a proof of the value y at z"))
    }
}

fn scalar(bytes: &[u8; 32]) -> Result<U256, PrecompileError> {
    let scalar = U256::from_big_endian(bytes);
    if scalar < Scalar::ORDER { Ok(scalar) } else { Err(PrecompileError::InvalidInput("z and y below the modulus")) }
}

/// A point of the subgroup; `None` is infinity.
fn point(bytes: &[u8; 48]) -> Result<Option<min_pk::PublicKey>, PrecompileError> {
    const EXPECTED: PrecompileError = PrecompileError::InvalidInput("compressed points of the subgroup");
    if *bytes == INFINITY {
        return Ok(None);
    }
    let point = min_pk::PublicKey::uncompress(bytes).map_err(|_| EXPECTED)?;
    point.validate().map_err(|_| EXPECTED)?;
    Ok(Some(point))
}

/// e(C - y G₁ + z π, -G₂) e(π, τ G₂) = 1.
fn verify(z: &U256, y: &U256, commitment: Option<min_pk::PublicKey>, proof: Option<min_pk::PublicKey>) -> bool {
    let setup = &*SETUP;
    let mut points = vec![setup.negative_g1];
    let mut scalars = y.to_little_endian().to_vec();
    if let Some(proof) = proof {
        points.push(proof.into());
        scalars.extend_from_slice(&z.to_little_endian());
    }
    let terms: blst_p1 = points.mult(&scalars, Scalar::BITS);
    let mut sum = min_pk::AggregatePublicKey::from(terms);
    if let Some(commitment) = commitment {
        sum.add_aggregate(&min_pk::AggregatePublicKey::from_public_key(&commitment));
    }
    let sum = sum.to_public_key();

    // A pair with infinity contributes one.
    let (mut left, mut right) = (Vec::with_capacity(2), Vec::with_capacity(2));
    if sum.compress() != INFINITY {
        left.push(sum.into());
        right.push(setup.negative_g2);
    }
    if let Some(proof) = proof {
        left.push(proof.into());
        right.push(setup.tau_g2);
    }
    left.is_empty() || blst_fp12::miller_loop_n(&right, &left).final_exp() == blst_fp12::default()
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
