//! Sums with (0, 2) and (0, -2), the points of order three of G1's curve.
//!
//! They are on the curve, so that the addition must take them; they are not in the subgroup, so that blst's decoder
//! refuses them. The sum is arkworks' then. (The curve of G2 has no point with a zero abscissa: 4 (1 + i) is no square.)

use ark_bls12_381::G1Affine;
use ark_ec::{AffineRepr, CurveGroup};

use super::map::{decode, encode};
use crate::precompile::PrecompileError;

/// Whether the encoded point is one of them, or at least claims to.
pub(super) fn is_candidate(point: &[u8; 128]) -> bool {
    point.iter().take(64).all(|byte| *byte == 0) && point.iter().any(|byte| *byte != 0)
}

/// The sum of any two points of the curve.
pub(super) fn sum(a: &[u8; 128], b: &[u8; 128]) -> Result<Vec<u8>, PrecompileError> {
    let sum = (point(a)? + point(b)?).into_affine();
    let mut output = Vec::with_capacity(128);
    match sum.xy() {
        Some((x, y)) => [x, y].iter().for_each(|element| encode(&mut output, element)),
        None => output.resize(128, 0),
    }
    Ok(output)
}

fn point(bytes: &[u8; 128]) -> Result<G1Affine, PrecompileError> {
    if *bytes == [0; 128] {
        return Ok(G1Affine::identity());
    }
    let (x, y) = bytes.split_at(64);
    let point = G1Affine::new_unchecked(decode(x)?, decode(y)?);
    if point.is_on_curve() { Ok(point) } else { Err(PrecompileError::InvalidInput("a point of the curve")) }
}
