//! Additions (EIP-2537), which take any point of the curves. With arkworks: blst's safe interface refuses the points
//! whose abscissa is zero, which have order three and are of no subgroup, but of the curve.

use ark_bls12_381::{Fq2, g1, g2};
use ark_ec::models::short_weierstrass::{Affine, SWCurveConfig};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::Zero;

use super::map::{decode, encode};
use super::{G1_LENGTH, G2_LENGTH};
use crate::precompile::{PrecompileError, PrecompileOutput, PrecompileResult, charge};

pub(in crate::precompile) fn g1_add(input: &[u8], gas_limit: u64) -> PrecompileResult {
    let gas_used = charge(375, gas_limit)?;
    let input: &[u8; 2 * G1_LENGTH] = input.try_into().map_err(|_| PrecompileError::InvalidInput("256 bytes"))?;
    let read = |bytes: &[u8]| {
        let (x, y) = bytes.split_at(64);
        point::<g1::Config>(decode(x)?, decode(y)?)
    };
    let (a, b) = input.split_at(G1_LENGTH);
    let mut output = Vec::with_capacity(G1_LENGTH);
    match (read(a)? + read(b)?).into_affine().xy() {
        Some((x, y)) => [x, y].iter().for_each(|element| encode(&mut output, element)),
        None => output.resize(G1_LENGTH, 0),
    }
    Ok(PrecompileOutput { gas_used, output })
}

pub(in crate::precompile) fn g2_add(input: &[u8], gas_limit: u64) -> PrecompileResult {
    let gas_used = charge(600, gas_limit)?;
    let input: &[u8; 2 * G2_LENGTH] = input.try_into().map_err(|_| PrecompileError::InvalidInput("512 bytes"))?;
    let read = |bytes: &[u8]| {
        let element = |at: usize| decode(&bytes[at..at + 64]);
        point::<g2::Config>(Fq2::new(element(0)?, element(64)?), Fq2::new(element(128)?, element(192)?))
    };
    let (a, b) = input.split_at(G2_LENGTH);
    let mut output = Vec::with_capacity(G2_LENGTH);
    match (read(a)? + read(b)?).into_affine().xy() {
        Some((x, y)) => [x.c0, x.c1, y.c0, y.c1].iter().for_each(|element| encode(&mut output, element)),
        None => output.resize(G2_LENGTH, 0),
    }
    Ok(PrecompileOutput { gas_used, output })
}

/// The point with these coordinates; both zero stand for infinity.
fn point<C: SWCurveConfig>(x: C::BaseField, y: C::BaseField) -> Result<Affine<C>, PrecompileError> {
    if x.is_zero() && y.is_zero() {
        return Ok(Affine::identity());
    }
    let point = Affine::new_unchecked(x, y);
    if point.is_on_curve() { Ok(point) } else { Err(PrecompileError::InvalidInput("a point of the curve")) }
}
