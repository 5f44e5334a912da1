//! BLS12-381 (0x0b to 0x11, EIP-2537): additions, multi-scalar multiplications, pairing check, maps to the curve.
//!
//! A field element is 64 bytes of which the first 16 are zero, a point of G1 is (x, y), of G2 ((x₀, x₁), (y₀, y₁)), and
//! infinity is all zeros. Additions take any point of the curve, all others only those of the subgroup.
//!
//! Points go through the safe part of blst, which knows them as public keys: of the variant with small keys for G1, of
//! that with small signatures for G2. It has no safe way to map a field element; arkworks does that.

pub(super) mod add;
mod map;
mod point;

use blst::{MultiPoint, blst_fp12};

use super::{PrecompileError, PrecompileOutput, PrecompileResult, charge, word_of};
use point::{Curve, G1, G2};

pub(super) use map::{map_fp_to_g1, map_fp2_to_g2};
pub(super) use point::Scalar;

/// Thousandths of the price of separate multiplications that a multi-scalar multiplication of so many points costs.
const G1_DISCOUNTS: [u16; 128] = [
    1000, 949, 848, 797, 764, 750, 738, 728, 719, 712, 705, 698, 692, 687, 682, 677, 673, 669, 665, 661, 658, 654, 651,
    648, 645, 642, 640, 637, 635, 632, 630, 627, 625, 623, 621, 619, 617, 615, 613, 611, 609, 608, 606, 604, 603, 601,
    599, 598, 596, 595, 593, 592, 591, 589, 588, 586, 585, 584, 582, 581, 580, 579, 577, 576, 575, 574, 573, 572, 570,
    569, 568, 567, 566, 565, 564, 563, 562, 561, 560, 559, 558, 557, 556, 555, 554, 553, 552, 551, 550, 549, 548, 547,
    547, 546, 545, 544, 543, 542, 541, 540, 540, 539, 538, 537, 536, 536, 535, 534, 533, 532, 532, 531, 530, 529, 528,
    528, 527, 526, 525, 525, 524, 523, 522, 522, 521, 520, 520, 519,
];

/// As [`G1_DISCOUNTS`], for G2.
const G2_DISCOUNTS: [u16; 128] = [
    1000, 1000, 923, 884, 855, 832, 812, 796, 782, 770, 759, 749, 740, 732, 724, 717, 711, 704, 699, 693, 688, 683,
    679, 674, 670, 666, 663, 659, 655, 652, 649, 646, 643, 640, 637, 634, 632, 629, 627, 624, 622, 620, 618, 615, 613,
    611, 609, 607, 606, 604, 602, 600, 598, 597, 595, 593, 592, 590, 589, 587, 586, 584, 583, 582, 580, 579, 578, 576,
    575, 574, 573, 571, 570, 569, 568, 567, 566, 565, 563, 562, 561, 560, 559, 558, 557, 556, 555, 554, 553, 552, 552,
    551, 550, 549, 548, 547, 546, 545, 545, 544, 543, 542, 541, 541, 540, 539, 538, 537, 537, 536, 535, 535, 534, 533,
    532, 532, 531, 530, 530, 529, 528, 528, 527, 526, 526, 525, 524, 524,
];

const SCALAR_LENGTH: usize = 32;
const G1_LENGTH: usize = 128;
const G2_LENGTH: usize = 256;

pub(super) fn g1_msm(input: &[u8], gas_limit: u64) -> PrecompileResult {
    const LENGTH: usize = G1_LENGTH + SCALAR_LENGTH;
    let (pairs, rest) = input.as_chunks::<LENGTH>();
    let gas_used = charge(msm_cost(pairs.len(), 12_000, &G1_DISCOUNTS), gas_limit)?;
    if pairs.is_empty() || !rest.is_empty() {
        return Err(PrecompileError::InvalidInput("a positive multiple of 160 bytes"));
    }
    let (points, scalars) = decode_terms::<G1, LENGTH>(pairs)?;
    if points.is_empty() {
        return Ok(PrecompileOutput { gas_used, output: vec![0; G1_LENGTH] });
    }
    let output = G1::encode_projective(points.mult(&scalars, Scalar::BITS));
    Ok(PrecompileOutput { gas_used, output })
}

pub(super) fn g2_msm(input: &[u8], gas_limit: u64) -> PrecompileResult {
    const LENGTH: usize = G2_LENGTH + SCALAR_LENGTH;
    let (pairs, rest) = input.as_chunks::<LENGTH>();
    let gas_used = charge(msm_cost(pairs.len(), 22_500, &G2_DISCOUNTS), gas_limit)?;
    if pairs.is_empty() || !rest.is_empty() {
        return Err(PrecompileError::InvalidInput("a positive multiple of 288 bytes"));
    }
    let (points, scalars) = decode_terms::<G2, LENGTH>(pairs)?;
    if points.is_empty() {
        return Ok(PrecompileOutput { gas_used, output: vec![0; G2_LENGTH] });
    }
    let output = G2::encode_projective(points.mult(&scalars, Scalar::BITS));
    Ok(PrecompileOutput { gas_used, output })
}

pub(super) fn pairing_check(input: &[u8], gas_limit: u64) -> PrecompileResult {
    let (pairs, rest) = input.as_chunks::<{ G1_LENGTH + G2_LENGTH }>();
    let gas_used = charge(32_600 * pairs.len() as u64 + 37_700, gas_limit)?;
    if pairs.is_empty() || !rest.is_empty() {
        return Err(PrecompileError::InvalidInput("a positive multiple of 384 bytes"));
    }
    let mut left = Vec::with_capacity(pairs.len());
    let mut right = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let (a, b) = pair.split_at(G1_LENGTH);
        let (a, b) = (G1::decode_in_subgroup(a)?, G2::decode_in_subgroup(b)?);
        // A pair with infinity contributes one, after both points passed.
        if let (Some(a), Some(b)) = (a, b) {
            left.push(a);
            right.push(b);
        }
    }
    let is_one = left.is_empty() || blst_fp12::miller_loop_n(&right, &left).final_exp() == blst_fp12::default();
    Ok(PrecompileOutput { gas_used, output: word_of(is_one) })
}

/// `k * multiplication * discount(k) / 1000`.
fn msm_cost(count: usize, multiplication: u64, discounts: &[u16; 128]) -> u64 {
    let discount = count.checked_sub(1).map_or(0, |index| discounts[index.min(discounts.len() - 1)]);
    (count as u64).saturating_mul(multiplication).saturating_mul(discount.into()) / 1000
}

/// The points and the scalars of a multi-scalar multiplication, without the terms that are infinity.
fn decode_terms<C: Curve, const N: usize>(pairs: &[[u8; N]]) -> Result<(Vec<C::Affine>, Vec<u8>), PrecompileError> {
    let mut points = Vec::with_capacity(pairs.len());
    let mut scalars = Vec::with_capacity(pairs.len() * SCALAR_LENGTH);
    for pair in pairs {
        let (point, scalar) = pair.split_at(N - SCALAR_LENGTH);
        if let Some(point) = C::decode_in_subgroup(point)? {
            points.push(point);
            scalars.extend_from_slice(&Scalar::reduce(scalar).to_little_endian());
        }
    }
    Ok((points, scalars))
}

#[cfg(test)]
mod tests {
    use super::add::{g1_add, g2_add};
    use super::*;

    /// A point of the subgroup.
    fn point() -> Vec<u8> {
        map_fp_to_g1(&[0; 64], 5500).expect("a field element").output
    }

    fn with_scalar(point: &[u8], scalar: u8) -> Vec<u8> {
        let mut term = point.to_vec();
        term.resize(G1_LENGTH + SCALAR_LENGTH, 0);
        term[G1_LENGTH + SCALAR_LENGTH - 1] = scalar;
        term
    }

    #[test]
    fn sums_and_products_agree() {
        let point = point();
        let double = g1_add(&[&point[..], &point].concat(), 375).expect("two points").output;
        let product = g1_msm(&with_scalar(&point, 2), 12_000).expect("one term");
        assert_eq!((product.gas_used, &product.output), (12_000, &double));
        // 3 P = P + 2 P, by 1 P + 1 (2 P).
        let terms = [with_scalar(&point, 1), with_scalar(&double, 1)].concat();
        let triple = g1_msm(&terms, 22_776).expect("two terms");
        assert_eq!(triple.gas_used, 22_776);
        assert_eq!(triple.output, g1_msm(&with_scalar(&point, 3), 12_000).expect("one term").output);
        let infinity = [0; G1_LENGTH];
        assert_eq!(g1_msm(&with_scalar(&point, 0), 12_000).expect("one term").output, infinity);
        assert_eq!(g1_msm(&with_scalar(&infinity, 9), 12_000).expect("one term").output, infinity);
        assert_eq!(g1_add(&[&infinity[..], &point].concat(), 375).expect("two points").output, point);
    }

    #[test]
    fn points_of_order_three_can_be_added() {
        // T = (0, 2): T + T = (0, -2) = -T, which alone is of no use in a multiplication.
        let mut t = vec![0; G1_LENGTH];
        t[G1_LENGTH - 1] = 2;
        let mut opposite = vec![0; G1_LENGTH];
        opposite[80..].copy_from_slice(&point::MODULUS);
        opposite[G1_LENGTH - 1] -= 2;
        let add = |a: &[u8], b: &[u8]| g1_add(&[a, b].concat(), 375).expect("points of the curve").output;
        assert_eq!(add(&t, &t), opposite);
        assert_eq!(add(&t, &opposite), [0; G1_LENGTH]);
        assert_eq!(add(&t, &[0; G1_LENGTH]), t);
        // (P + T) + (-P) = T, by way of points that blst decodes.
        let generator = point();
        let shifted = add(&generator, &t);
        let mut negative = generator.clone();
        let double = add(&generator, &generator);
        let order_less_one = [&generator[..], &(Scalar::ORDER - 1).to_big_endian()].concat();
        negative.copy_from_slice(&g1_msm(&order_less_one, 12_000).expect("one term").output);
        assert_eq!(add(&shifted, &negative), t);
        assert_eq!(add(&double, &negative), generator);
        assert!(matches!(g1_msm(&with_scalar(&t, 1), 12_000), Err(PrecompileError::InvalidInput(_))));
        t[G1_LENGTH - 1] = 3;
        assert!(matches!(g1_add(&[&t[..], &opposite].concat(), 375), Err(PrecompileError::InvalidInput(_))));
    }

    #[test]
    fn prices_and_lengths() {
        assert_eq!(msm_cost(128, 12_000, &G1_DISCOUNTS), 128 * 12 * 519);
        assert_eq!(msm_cost(129, 12_000, &G1_DISCOUNTS), 129 * 12 * 519);
        assert_eq!(msm_cost(3, 22_500, &G2_DISCOUNTS), 3 * 22_500 * 923 / 1000);
        assert_eq!(g1_add(&[0; 256], 374), Err(PrecompileError::OutOfGas));
        assert_eq!(g2_add(&[0; 512], 600), Ok(PrecompileOutput { gas_used: 600, output: vec![0; 256] }));
        let check = pairing_check(&[0; 384], 70_300).expect("a pair of infinities");
        assert_eq!((check.gas_used, check.output), (70_300, word_of(true)));
        // No terms and no pairs are errors, unlike in BN254.
        for (run, lengths) in [
            (g1_add as fn(&[u8], u64) -> PrecompileResult, [0, 255, 257]),
            (g2_add, [0, 511, 513]),
            (g1_msm, [0, 159, 161]),
            (g2_msm, [0, 287, 289]),
            (pairing_check, [0, 383, 385]),
        ] {
            for length in lengths {
                assert!(matches!(run(&vec![0; length], 1_000_000), Err(PrecompileError::InvalidInput(_))), "{length}");
            }
        }
    }
}
