//! BN254, also called alt_bn128: addition (0x06), multiplication (0x07), pairing check (0x08).
//!
//! EIP-196, EIP-197; prices of EIP-1108 from Istanbul. A field element is a big-endian word below the modulus, a point
//! of G1 is (x, y), of G2 (x₁, x₀, y₁, y₀) with the imaginary parts first, and infinity is all zeros.

use ark_bn254::g1::Config as G1;
use ark_bn254::{Bn254, Fq, Fq2, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ec::scalar_mul::glv::GLVConfig;
use ark_ec::{AdditiveGroup, AffineRepr, CurveGroup};
use ark_ff::{BigInt, BigInteger, One, PrimeField};
use isolane_spec::Fork;

use super::{PrecompileError, PrecompileOutput, PrecompileResult, charge, padded, word_of};

/// The bytes of one pair: a point of G1 and one of G2.
const PAIR_LENGTH: usize = 192;

pub(super) fn add(input: &[u8], gas_limit: u64, fork: Fork) -> PrecompileResult {
    let gas_used = charge(if fork >= Fork::Istanbul { 150 } else { 500 }, gas_limit)?;
    let a = g1(&padded(input, 0))?;
    let b = g1(&padded(input, 64))?;
    Ok(PrecompileOutput { gas_used, output: encode(a + b) })
}

pub(super) fn mul(input: &[u8], gas_limit: u64, fork: Fork) -> PrecompileResult {
    let gas_used = charge(if fork >= Fork::Istanbul { 6_000 } else { 40_000 }, gas_limit)?;
    let point = g1(&padded(input, 0))?;
    // The scalar is any word; the group has the order of the scalar field, so that reducing it changes nothing.
    let scalar = Fr::from_be_bytes_mod_order(&padded::<32>(input, 64));
    Ok(PrecompileOutput { gas_used, output: encode(multiply(point, scalar)) })
}

/// Bits of a window of a scalar.
const WINDOW: usize = 5;
/// The odd multiples that the digits of a window stand for, each with either sign.
const MULTIPLES: usize = 1 << (WINDOW - 2);

/// A multiple of a point: both halves of the scalar (GLV) go through one run of doublings, in windows with signed digits (wNAF). It
/// takes 53 us where the crate's product of a point takes 98 (Xeon). Recorded blocks spend more time on such products than on the
/// pairing checks that they are for.
fn multiply(point: G1Affine, scalar: Fr) -> G1Projective {
    let (low, high) = G1::scalar_decomposition(scalar);
    multiply_by_halves(point, low, high)
}

/// `low + high * λ` times a point. Of each half: whether it is positive, and its absolute value.
fn multiply_by_halves(point: G1Affine, low: (bool, Fr), high: (bool, Fr)) -> G1Projective {
    let mut multiples = [point.into_group(); MULTIPLES];
    let double = multiples[0].double();
    for i in 1..MULTIPLES {
        multiples[i] = multiples[i - 1] + double;
    }
    let digits = |(is_positive, half): (bool, Fr)| {
        let digits = half.into_bigint().find_wnaf(WINDOW).unwrap_or_default();
        digits.into_iter().map(move |digit| if is_positive { digit } else { -digit }).collect::<Vec<i64>>()
    };
    let halves = [(digits(low), multiples), (digits(high), multiples.map(|multiple| G1::endomorphism(&multiple)))];
    let places = halves.iter().map(|(digits, _)| digits.len()).max().unwrap_or_default();
    let mut sum = G1Projective::ZERO;
    for place in (0..places).rev() {
        sum.double_in_place();
        for (digits, multiples) in &halves {
            let digit = digits.get(place).copied().unwrap_or_default();
            let multiple = multiples[digit.unsigned_abs() as usize / 2];
            match digit {
                0 => {}
                1.. => sum += multiple,
                _ => sum -= multiple,
            }
        }
    }
    sum
}

pub(super) fn pairing(input: &[u8], gas_limit: u64, fork: Fork) -> PrecompileResult {
    let (base, per_pair) = if fork >= Fork::Istanbul { (45_000, 34_000) } else { (100_000, 80_000) };
    let (pairs, rest) = input.as_chunks::<PAIR_LENGTH>();
    let gas_used = charge(per_pair * pairs.len() as u64 + base, gas_limit)?;
    if !rest.is_empty() {
        return Err(PrecompileError::InvalidInput("a multiple of 192 bytes"));
    }
    let mut left = Vec::with_capacity(pairs.len());
    let mut right = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let a = g1(&padded(pair, 0))?;
        let b = g2(&padded(pair, 64))?;
        // A pair with infinity contributes one, after both points passed.
        if !a.is_zero() && !b.is_zero() {
            left.push(a);
            right.push(b);
        }
    }
    let is_one = left.is_empty() || Bn254::multi_pairing(left, right).0.is_one();
    Ok(PrecompileOutput { gas_used, output: word_of(is_one) })
}

fn field_element(bytes: [u8; 32]) -> Result<Fq, PrecompileError> {
    let (chunks, _) = bytes.as_chunks::<8>();
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(chunks) {
        *limb = u64::from_be_bytes(*chunk);
    }
    Fq::from_bigint(BigInt(limbs)).ok_or(PrecompileError::InvalidInput("coordinates below the field modulus"))
}

fn g1(bytes: &[u8; 64]) -> Result<G1Affine, PrecompileError> {
    if *bytes == [0; 64] {
        return Ok(G1Affine::zero());
    }
    let point = G1Affine::new_unchecked(field_element(padded(bytes, 0))?, field_element(padded(bytes, 32))?);
    // The cofactor is one: every point of the curve is in the group.
    if point.is_on_curve() { Ok(point) } else { Err(PrecompileError::InvalidInput("a point of the curve")) }
}

fn g2(bytes: &[u8; 128]) -> Result<G2Affine, PrecompileError> {
    if *bytes == [0; 128] {
        return Ok(G2Affine::zero());
    }
    let x = Fq2::new(field_element(padded(bytes, 32))?, field_element(padded(bytes, 0))?);
    let y = Fq2::new(field_element(padded(bytes, 96))?, field_element(padded(bytes, 64))?);
    let point = G2Affine::new_unchecked(x, y);
    if !point.is_on_curve() {
        return Err(PrecompileError::InvalidInput("a point of the twist"));
    }
    if !point.is_in_correct_subgroup_assuming_on_curve() {
        return Err(PrecompileError::InvalidInput("a point of the subgroup"));
    }
    Ok(point)
}

fn encode(point: G1Projective) -> Vec<u8> {
    let mut output = Vec::with_capacity(64);
    match point.into_affine().xy() {
        Some((x, y)) => {
            for coordinate in [x, y] {
                output.extend(coordinate.into_bigint().0.iter().rev().flat_map(|limb| limb.to_be_bytes()));
            }
        }
        None => output.resize(64, 0),
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::Field;

    fn word(value: u8) -> [u8; 32] {
        padded(&[&[0; 31][..], &[value]].concat(), 0)
    }

    /// The modulus of the base field.
    fn modulus() -> Vec<u8> {
        Fq::MODULUS.0.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect()
    }

    fn g2_generator() -> Vec<u8> {
        let point = G2Affine::generator();
        [point.x.c1, point.x.c0, point.y.c1, point.y.c0]
            .iter()
            .flat_map(|c| c.into_bigint().0.into_iter().rev().flat_map(u64::to_be_bytes))
            .collect()
    }

    /// The generator is (1, 2).
    fn g1_generator() -> Vec<u8> {
        [word(1), word(2)].concat()
    }

    #[test]
    fn doubling_three_ways_and_prices() {
        let generator = g1_generator();
        let sum = add(&[&generator[..], &generator].concat(), 500, Fork::Byzantium).expect("two points");
        let product = mul(&[&generator[..], &word(2)].concat(), 6000, Fork::Istanbul).expect("a point");
        assert_eq!((sum.gas_used, product.gas_used), (500, 6000));
        assert_eq!(sum.output, product.output);
        // Missing bytes are zero: generator + infinity, generator * 0.
        assert_eq!(add(&generator, 150, Fork::Istanbul).expect("a point").output, generator);
        assert_eq!(mul(&generator, 40_000, Fork::Byzantium).expect("a point").output, vec![0; 64]);
        assert_eq!(add(&[], 150, Fork::Istanbul).expect("infinity").output, vec![0; 64]);
        assert_eq!(add(&[], 149, Fork::Istanbul), Err(PrecompileError::OutOfGas));
    }

    #[test]
    fn products_are_those_bit_by_bit() {
        let one = Fr::one();
        let mut scalars = vec![Fr::ZERO, one, -one, G1::LAMBDA, -G1::LAMBDA, G1::LAMBDA + one, Fr::from(u128::MAX)];
        let mut scalar = Fr::from(3);
        for bits in 0..254 {
            scalar = scalar.square() + Fr::from(bits);
            scalars.extend([scalar, Fr::from(2).pow([bits]), Fr::from(2).pow([bits]) - one]);
        }
        let mut point = G1Affine::generator();
        for scalar in scalars {
            let product = (point * scalar).into_affine();
            assert_eq!(multiply(point, scalar).into_affine(), product, "{point} times {scalar}");
            assert!(multiply(G1Affine::zero(), scalar).into_affine().is_zero());
            if !product.is_zero() {
                point = product;
            }
        }
    }

    /// The crate's halves happen to be positive.
    #[test]
    fn halves_have_signs() {
        let point = (G1Affine::generator() * Fr::from(7)).into_affine();
        let signed = |(is_positive, half): (bool, Fr)| if is_positive { half } else { -half };
        for half in [0, 1, 15, 16, 31, u128::MAX >> 1].map(Fr::from) {
            for (a, b) in [(true, true), (true, false), (false, true), (false, false)] {
                let (low, high) = ((a, half), (b, half + Fr::from(5)));
                let product = point * (signed(low) + signed(high) * G1::LAMBDA);
                assert_eq!(
                    multiply_by_halves(point, low, high).into_affine(),
                    product.into_affine(),
                    "{low:?} {high:?}"
                );
            }
        }
    }

    #[test]
    fn refuses_what_is_no_point() {
        let off_curve = [word(1), word(1)].concat();
        assert!(matches!(add(&off_curve, 500, Fork::Istanbul), Err(PrecompileError::InvalidInput(_))));
        // The modulus is not zero.
        assert!(matches!(add(&modulus(), 500, Fork::Istanbul), Err(PrecompileError::InvalidInput(_))));
        assert!(matches!(pairing(&[0; 191], 1_000_000, Fork::Istanbul), Err(PrecompileError::InvalidInput(_))));
        // Infinity with a bad partner still fails.
        let pair = [&[0; 64][..], &word(1), &[0; 96]].concat();
        assert!(matches!(pairing(&pair, 1_000_000, Fork::Istanbul), Err(PrecompileError::InvalidInput(_))));
    }

    #[test]
    fn pairing_of_opposites_is_one() {
        let one = pairing(&[], 45_000, Fork::Istanbul).expect("no pairs");
        assert_eq!((one.gas_used, one.output), (45_000, word_of(true)));
        let mut negative = modulus();
        negative[31] -= 2;
        let mut input = [&g1_generator()[..], &g2_generator()].concat();
        let single = pairing(&input, 180_000, Fork::Byzantium).expect("one pair");
        assert_eq!((single.gas_used, single.output), (180_000, word_of(false)));
        input.extend([&word(1)[..], &negative, &g2_generator()].concat());
        let double = pairing(&input, 113_000, Fork::Istanbul).expect("two pairs");
        assert_eq!((double.gas_used, double.output), (113_000, word_of(true)));
        assert_eq!(pairing(&input, 112_999, Fork::Istanbul), Err(PrecompileError::OutOfGas));
    }
}
