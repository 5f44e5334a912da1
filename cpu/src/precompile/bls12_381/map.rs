//! Field elements mapped to points of the subgroups (EIP-2537, RFC 9380: simplified SWU on an isogenous curve, the
//! isogeny, the cofactor cleared).

use ark_bls12_381::{Fq, Fq2, g1, g2};
use ark_ec::hashing::curve_maps::wb::{WBConfig, WBMap};
use ark_ec::hashing::map_to_curve_hasher::MapToCurve;
use ark_ec::models::short_weierstrass::Affine;
use ark_ec::{AffineRepr, CurveConfig};
use ark_ff::{BigInt, PrimeField, Zero};

use super::point::{field_element, push_field_element};
use crate::precompile::{PrecompileError, PrecompileOutput, PrecompileResult, charge};

pub(in crate::precompile) fn map_fp_to_g1(input: &[u8], gas_limit: u64) -> PrecompileResult {
    let gas_used = charge(5500, gas_limit)?;
    let element: &[u8; 64] = input.try_into().map_err(|_| PrecompileError::InvalidInput("64 bytes"))?;
    let point = map::<g1::Config>(decode(element)?)?;
    let mut output = Vec::with_capacity(128);
    match point.xy() {
        Some((x, y)) => [x, y].iter().for_each(|element| encode(&mut output, element)),
        None => output.resize(128, 0),
    }
    Ok(PrecompileOutput { gas_used, output })
}

pub(in crate::precompile) fn map_fp2_to_g2(input: &[u8], gas_limit: u64) -> PrecompileResult {
    let gas_used = charge(23_800, gas_limit)?;
    let element: &[u8; 128] = input.try_into().map_err(|_| PrecompileError::InvalidInput("128 bytes"))?;
    let (real, imaginary) = element.split_at(64);
    let point = map::<g2::Config>(Fq2::new(decode(real)?, decode(imaginary)?))?;
    let mut output = Vec::with_capacity(256);
    match point.xy() {
        Some((x, y)) => [x.c0, x.c1, y.c0, y.c1].iter().for_each(|element| encode(&mut output, element)),
        None => output.resize(256, 0),
    }
    Ok(PrecompileOutput { gas_used, output })
}

fn map<C: WBConfig>(element: <C as CurveConfig>::BaseField) -> Result<Affine<C>, PrecompileError> {
    // The map has no failure for these curves; arkworks' signature has one for others.
    let point = WBMap::<C>::map_to_curve(element).map_err(|_| PrecompileError::InvalidInput("a field element"))?;
    // Where a denominator of the isogeny vanishes, RFC 9380 (appendix E) wants infinity; arkworks, which inverts zero
    // to zero, returns (0, 0), which is on neither curve.
    if point.x.is_zero() && point.y.is_zero() {
        return Ok(Affine::identity());
    }
    Ok(point.clear_cofactor())
}

fn decode(bytes: &[u8]) -> Result<Fq, PrecompileError> {
    let (chunks, _) = field_element(bytes)?.as_chunks::<8>();
    let mut limbs = [0; 6];
    for (limb, chunk) in limbs.iter_mut().rev().zip(chunks) {
        *limb = u64::from_be_bytes(*chunk);
    }
    Fq::from_bigint(BigInt(limbs)).ok_or(PrecompileError::InvalidInput("field elements below the modulus"))
}

fn encode(output: &mut Vec<u8>, element: &Fq) {
    let mut bytes = [0; 48];
    for (chunk, limb) in bytes.chunks_exact_mut(8).zip(element.into_bigint().0.iter().rev()) {
        chunk.copy_from_slice(&limb.to_be_bytes());
    }
    push_field_element(output, &bytes);
}
