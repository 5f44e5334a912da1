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

pub(super) fn decode(bytes: &[u8]) -> Result<Fq, PrecompileError> {
    let (chunks, _) = field_element(bytes)?.as_chunks::<8>();
    let mut limbs = [0; 6];
    for (limb, chunk) in limbs.iter_mut().rev().zip(chunks) {
        *limb = u64::from_be_bytes(*chunk);
    }
    Fq::from_bigint(BigInt(limbs)).ok_or(PrecompileError::InvalidInput("field elements below the modulus"))
}

pub(super) fn encode(output: &mut Vec<u8>, element: &Fq) {
    let mut bytes = [0; 48];
    for (chunk, limb) in bytes.chunks_exact_mut(8).zip(element.into_bigint().0.iter().rev()) {
        chunk.copy_from_slice(&limb.to_be_bytes());
    }
    push_field_element(output, &bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(hex: &str) -> Vec<u8> {
        let (digits, _) = hex.as_bytes().as_chunks::<2>();
        let mut bytes = vec![0; 16];
        bytes.extend(digits.iter().map(|pair| {
            let pair = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(pair, 16).expect("two hexadecimal digits")
        }));
        bytes
    }

    #[test]
    fn a_kernel_point_of_the_isogeny_is_infinity() {
        // SWU maps these to points of order 11 that the isogeny maps to infinity. Found by solving SWU backwards from
        // the roots of the denominator; blst agrees.
        for u in [
            "146850b3bdc2495ed73bb803dfaa951a88abff0acb5c7aeac52b48f3c808e87ce3885b98ce916e17caef21a6cbc6b598",
            "10683009c00edc5676a3d43b8b5ae8a68e75a32954f6a502e6acc1c11ed49bcaa7c843871e887ce9839920c2ff0f732f",
        ] {
            let output = map_fp_to_g1(&element(u), 5500).expect("a field element");
            assert_eq!((output.gas_used, output.output), (5500, vec![0; 128]));
        }
    }

    #[test]
    fn the_exceptional_case_of_swu() {
        // Z u^2 = -1, where the formula of SWU divides by zero. The output is blst's.
        let u = "01f7462c8b6cbf74db38f4a9a3d71bda12f01df4948d09ff046edbdd403fc31088b69520ee5c57fb7cc51062bde821b8";
        let x = "11a9a0372b8f332d5c30de9ad14e50372a73fa4c45d5f2fa5097f2d6fb93bcac592f2e1711ac43db0519870c7d0ea415";
        let y = "092c0f994164a0719f51c24ba3788de240ff926b55f58c445116e8bc6a47cd63392fd4e8e22bdf9feaa96ee773222133";
        let output = map_fp_to_g1(&element(u), 5500).expect("a field element");
        assert_eq!(output.output, [element(x), element(y)].concat());
    }

    #[test]
    fn refuses_other_lengths_and_large_elements() {
        assert_eq!(map_fp_to_g1(&[0; 64], 5499), Err(PrecompileError::OutOfGas));
        assert!(matches!(map_fp_to_g1(&[0; 63], 5500), Err(PrecompileError::InvalidInput(_))));
        assert!(matches!(map_fp_to_g1(&[0; 65], 5500), Err(PrecompileError::InvalidInput(_))));
        assert!(matches!(map_fp_to_g1(&[0xff; 64], 5500), Err(PrecompileError::InvalidInput(_))));
        assert!(matches!(map_fp2_to_g2(&[0; 127], 23_800), Err(PrecompileError::InvalidInput(_))));
        assert!(matches!(map_fp2_to_g2(&[0xff; 128], 23_800), Err(PrecompileError::InvalidInput(_))));
    }
}
