//! Points of G1 and G2 between the encoding of EIP-2537 and the types of blst.

use blst::{blst_p1, blst_p1_affine, blst_p2, blst_p2_affine, min_pk, min_sig};
use isolane_spec::U256;

use crate::precompile::PrecompileError;

/// The modulus of the base field, big-endian.
pub(super) const MODULUS: [u8; 48] = [
    0x1a, 0x01, 0x11, 0xea, 0x39, 0x7f, 0xe6, 0x9a, 0x4b, 0x1b, 0xa7, 0xb6, 0x43, 0x4b, 0xac, 0xd7, //
    0x64, 0x77, 0x4b, 0x84, 0xf3, 0x85, 0x12, 0xbf, 0x67, 0x30, 0xd2, 0xa0, 0xf6, 0xb0, 0xf6, 0x24, //
    0x1e, 0xab, 0xff, 0xfe, 0xb1, 0x53, 0xff, 0xff, 0xb9, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xaa, 0xab,
];

/// The bytes of a field element: in the precompiles, and without the padding.
const PADDED: usize = 64;
const FIELD: usize = 48;

/// The bit of blst's encoding that says infinity.
const INFINITY: u8 = 0x40;

/// A field element without its padding, still big-endian.
pub(super) fn field_element(bytes: &[u8]) -> Result<&[u8; FIELD], PrecompileError> {
    const EXPECTED: PrecompileError =
        PrecompileError::InvalidInput("field elements of 16 zero bytes and 48 below the modulus");
    let (padding, value) = bytes.split_first_chunk::<{ PADDED - FIELD }>().ok_or(EXPECTED)?;
    let value: &[u8; FIELD] = value.try_into().map_err(|_| EXPECTED)?;
    if *padding == [0; PADDED - FIELD] && *value < MODULUS { Ok(value) } else { Err(EXPECTED) }
}

/// A field element with its padding.
pub(super) fn push_field_element(output: &mut Vec<u8>, value: &[u8]) {
    output.extend_from_slice(&[0; PADDED - FIELD]);
    output.extend_from_slice(value);
}

/// A scalar of a multi-scalar multiplication.
pub(in crate::precompile) struct Scalar;

impl Scalar {
    /// The bits that blst reads of each scalar: the whole 32 bytes.
    pub(in crate::precompile) const BITS: usize = 256;

    /// The order of the groups.
    pub(in crate::precompile) const ORDER: U256 =
        U256([0xffff_ffff_0000_0001, 0x53bd_a402_fffe_5bfe, 0x3339_d808_09a1_d805, 0x73ed_a753_299d_7d48]);

    /// The word modulo the order. EIP-2537 takes any word; points of the subgroup have that order.
    pub(super) fn reduce(bytes: &[u8]) -> U256 {
        let mut scalar = U256::from_big_endian(bytes);
        // At most twice: 2^256 is below three times the order.
        while scalar >= Self::ORDER {
            scalar -= Self::ORDER;
        }
        scalar
    }
}

/// One of the two groups.
pub(super) trait Curve {
    type Affine: Copy;
    type Projective;

    /// The point of the subgroup in `bytes`; `None` is infinity.
    fn decode_in_subgroup(bytes: &[u8]) -> Result<Option<Self::Affine>, PrecompileError>;

    fn encode_projective(point: Self::Projective) -> Vec<u8>;
}

const OFF_CURVE: PrecompileError = PrecompileError::InvalidInput("a point of the curve");
const OUTSIDE: PrecompileError = PrecompileError::InvalidInput("a point of the subgroup");

/// The same for both groups but for the types, and for the order of the coefficients, which blst reverses in G2.
macro_rules! curve {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $affine:ty, $projective:ty, $elements:literal, $order:expr) => {
        $(#[$doc])*
        pub(super) struct $name;

        impl $name {
            fn public_key(bytes: &[u8]) -> Result<Option<$variant::PublicKey>, PrecompileError> {
                let mut encoded = [0; $elements * FIELD];
                let elements = bytes.chunks_exact(PADDED);
                for (index, element) in $order.into_iter().zip(elements) {
                    let at: usize = index * FIELD;
                    encoded[at..at + FIELD].copy_from_slice(field_element(element)?);
                }
                if encoded == [0; $elements * FIELD] {
                    return Ok(None);
                }
                // Coordinates below the modulus leave the three bits of flags clear. This checks the equation.
                $variant::PublicKey::deserialize(&encoded).map(Some).map_err(|_| OFF_CURVE)
            }

            fn encode(point: &$variant::PublicKey) -> Vec<u8> {
                let encoded = point.serialize();
                if encoded[0] & INFINITY != 0 {
                    return vec![0; $elements * PADDED];
                }
                let mut output = Vec::with_capacity($elements * PADDED);
                for index in $order {
                    let at: usize = index * FIELD;
                    push_field_element(&mut output, &encoded[at..at + FIELD]);
                }
                output
            }
        }

        impl Curve for $name {
            type Affine = $affine;
            type Projective = $projective;

            fn decode_in_subgroup(bytes: &[u8]) -> Result<Option<$affine>, PrecompileError> {
                match Self::public_key(bytes)? {
                    None => Ok(None),
                    Some(point) => match point.validate() {
                        Ok(()) => Ok(Some(point.into())),
                        Err(_) => Err(OUTSIDE),
                    },
                }
            }

            fn encode_projective(point: $projective) -> Vec<u8> {
                Self::encode(&$variant::AggregatePublicKey::from(point).to_public_key())
            }
        }
    };
}

curve!(
    /// The group over the base field.
    G1, min_pk, blst_p1_affine, blst_p1, 2, [0, 1]
);
curve!(
    /// The group over the quadratic extension. blst puts the imaginary coefficient first.
    G2, min_sig, blst_p2_affine, blst_p2, 4, [1, 0, 3, 2]
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_reduced() {
        let order = Scalar::ORDER;
        assert_eq!(Scalar::reduce(&order.to_big_endian()), U256::zero());
        assert_eq!(Scalar::reduce(&(order - 1).to_big_endian()), order - 1);
        assert_eq!(Scalar::reduce(&[0xff; 32]), U256::MAX % order);
    }

    #[test]
    fn field_elements_are_canonical() {
        let mut element = [0; 64];
        element[16..].copy_from_slice(&MODULUS);
        assert!(field_element(&element).is_err());
        element[63] -= 1;
        assert!(field_element(&element).is_ok());
        element[0] = 1;
        assert!(field_element(&element).is_err());
        assert!(field_element(&element[1..]).is_err());
    }
}
