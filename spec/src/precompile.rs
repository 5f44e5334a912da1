//! The catalogue of precompiled contracts: their addresses, names and forks. What they compute is a backend's own.

use crate::{Fork, H160};

/// A precompiled contract. The discriminant is a dense index, usable as a bit of a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Precompile {
    /// 0x01: the address that signed a hash.
    EcRecover,
    /// 0x02: SHA-256.
    Sha256,
    /// 0x03: RIPEMD-160.
    Ripemd160,
    /// 0x04: a copy of the input.
    Identity,
    /// 0x05: modular exponentiation.
    ModExp,
    /// 0x06: addition on BN254 G1.
    Bn254Add,
    /// 0x07: multiplication on BN254 G1.
    Bn254Mul,
    /// 0x08: pairing check on BN254.
    Bn254Pairing,
    /// 0x09: the compression function of BLAKE2b.
    Blake2F,
    /// 0x0a: verification of a KZG opening.
    KzgPointEvaluation,
    /// 0x0b: addition on BLS12-381 G1.
    Bls12G1Add,
    /// 0x0c: multi-scalar multiplication on BLS12-381 G1.
    Bls12G1Msm,
    /// 0x0d: addition on BLS12-381 G2.
    Bls12G2Add,
    /// 0x0e: multi-scalar multiplication on BLS12-381 G2.
    Bls12G2Msm,
    /// 0x0f: pairing check on BLS12-381.
    Bls12PairingCheck,
    /// 0x10: a field element mapped to BLS12-381 G1.
    Bls12MapFpToG1,
    /// 0x11: an element of the quadratic extension mapped to BLS12-381 G2.
    Bls12MapFp2ToG2,
    /// 0x100: verification of an ECDSA signature over secp256r1.
    P256Verify,
}

impl Precompile {
    /// All precompiles, by address.
    pub const ALL: [Self; 18] = [
        Self::EcRecover,
        Self::Sha256,
        Self::Ripemd160,
        Self::Identity,
        Self::ModExp,
        Self::Bn254Add,
        Self::Bn254Mul,
        Self::Bn254Pairing,
        Self::Blake2F,
        Self::KzgPointEvaluation,
        Self::Bls12G1Add,
        Self::Bls12G1Msm,
        Self::Bls12G2Add,
        Self::Bls12G2Msm,
        Self::Bls12PairingCheck,
        Self::Bls12MapFpToG1,
        Self::Bls12MapFp2ToG2,
        Self::P256Verify,
    ];

    /// The precompile at `address`, if `fork` has one there.
    #[inline]
    #[must_use]
    pub fn at(address: H160, fork: Fork) -> Option<Self> {
        // Nearly every address fails here: the first 18 bytes of a precompile's address are zero.
        let (high, low) = address.0.split_at(18);
        if high.iter().any(|byte| *byte != 0) {
            return None;
        }
        let number = low.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        let precompile = match number {
            0x100 => Self::P256Verify,
            1..=0x11 => Self::ALL.get(number - 1).copied()?,
            _ => return None,
        };
        (fork >= precompile.since()).then_some(precompile)
    }

    /// The fork that brought the precompile.
    #[must_use]
    pub const fn since(self) -> Fork {
        match self {
            Self::EcRecover | Self::Sha256 | Self::Ripemd160 | Self::Identity => Fork::Frontier,
            Self::ModExp | Self::Bn254Add | Self::Bn254Mul | Self::Bn254Pairing => Fork::Byzantium,
            Self::Blake2F => Fork::Istanbul,
            Self::KzgPointEvaluation => Fork::Cancun,
            Self::Bls12G1Add
            | Self::Bls12G1Msm
            | Self::Bls12G2Add
            | Self::Bls12G2Msm
            | Self::Bls12PairingCheck
            | Self::Bls12MapFpToG1
            | Self::Bls12MapFp2ToG2 => Fork::Prague,
            Self::P256Verify => Fork::Osaka,
        }
    }

    /// The address of the precompile.
    #[must_use]
    pub fn address(self) -> H160 {
        H160::from_low_u64_be(match self {
            Self::P256Verify => 0x100,
            other => other as u64 + 1,
        })
    }

    /// The name that execution-specs and EIP-7910 use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcRecover => "ECREC",
            Self::Sha256 => "SHA256",
            Self::Ripemd160 => "RIPEMD160",
            Self::Identity => "ID",
            Self::ModExp => "MODEXP",
            Self::Bn254Add => "BN254_ADD",
            Self::Bn254Mul => "BN254_MUL",
            Self::Bn254Pairing => "BN254_PAIRING",
            Self::Blake2F => "BLAKE2F",
            Self::KzgPointEvaluation => "KZG_POINT_EVALUATION",
            Self::Bls12G1Add => "BLS12_G1ADD",
            Self::Bls12G1Msm => "BLS12_G1MSM",
            Self::Bls12G2Add => "BLS12_G2ADD",
            Self::Bls12G2Msm => "BLS12_G2MSM",
            Self::Bls12PairingCheck => "BLS12_PAIRING_CHECK",
            Self::Bls12MapFpToG1 => "BLS12_MAP_FP_TO_G1",
            Self::Bls12MapFp2ToG2 => "BLS12_MAP_FP2_TO_G2",
            Self::P256Verify => "P256VERIFY",
        }
    }

    /// The precompiles of `fork` with their addresses: the part of the warm set that every transaction has (EIP-2929).
    pub fn active(fork: Fork) -> impl Iterator<Item = (H160, Self)> {
        Self::ALL
            .into_iter()
            .filter(move |precompile| fork >= precompile.since())
            .map(|precompile| (precompile.address(), precompile))
    }

    /// Its place in [`Precompile::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The precompile of that name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|precompile| precompile.name().eq_ignore_ascii_case(name))
    }
}

/// A set of precompiles, one bit each, by [`Precompile::index`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PrecompileSet(u32);

impl PrecompileSet {
    /// No precompile.
    pub const EMPTY: Self = Self(0);
    /// All precompiles.
    pub const ALL: Self = Self((1 << Precompile::ALL.len()) - 1);

    /// The set with one more.
    #[must_use]
    pub const fn with(self, precompile: Precompile) -> Self {
        Self(self.0 | 1 << precompile.index())
    }

    /// The set with one less.
    #[must_use]
    pub const fn without(self, precompile: Precompile) -> Self {
        Self(self.0 & !(1 << precompile.index()))
    }

    /// Whether it is in the set.
    #[must_use]
    pub const fn contains(self, precompile: Precompile) -> bool {
        self.0 >> precompile.index() & 1 == 1
    }

    /// The bits, the same on every backend.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl FromIterator<Precompile> for PrecompileSet {
    fn from_iter<I: IntoIterator<Item = Precompile>>(precompiles: I) -> Self {
        precompiles.into_iter().fold(Self::EMPTY, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_forks() {
        for precompile in Precompile::ALL {
            assert_eq!(Precompile::at(precompile.address(), Fork::Amsterdam), Some(precompile));
            for fork in Fork::ALL {
                let found = Precompile::at(precompile.address(), fork);
                assert_eq!(found.is_some(), fork >= precompile.since(), "{} in {fork}", precompile.name());
            }
        }
        let count = |fork| Precompile::active(fork).count();
        assert_eq!(
            [
                Fork::Frontier,
                Fork::SpuriousDragon,
                Fork::Byzantium,
                Fork::Petersburg,
                Fork::Istanbul,
                Fork::Shanghai,
                Fork::Cancun,
                Fork::Prague,
                Fork::Osaka
            ]
            .map(count),
            [4, 4, 8, 8, 9, 9, 10, 17, 18]
        );
        assert_eq!(Precompile::at(H160::zero(), Fork::Osaka), None);
        assert_eq!(Precompile::at(H160::from_low_u64_be(0x12), Fork::Osaka), None);
        assert_eq!(Precompile::at(H160::from_low_u64_be(0x101), Fork::Osaka), None);
        assert_eq!(Precompile::at(H160::from_low_u64_be(0x1_0001), Fork::Osaka), None);
        let mut far = H160::from_low_u64_be(1);
        far.0[0] = 1;
        assert_eq!(Precompile::at(far, Fork::Osaka), None);
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        for precompile in Precompile::ALL {
            assert_eq!(Precompile::named(&precompile.name().to_lowercase()), Some(precompile));
            assert!(PrecompileSet::ALL.contains(precompile));
            assert_eq!(PrecompileSet::ALL.without(precompile).with(precompile), PrecompileSet::ALL);
            let alone: PrecompileSet = [precompile].into_iter().collect();
            let held = Precompile::ALL.into_iter().filter(|other| alone.contains(*other));
            assert_eq!(held.collect::<Vec<_>>(), [precompile]);
        }
        assert_eq!(Precompile::named("SHA3"), None);
    }
}
