//! The precompiled contracts: pure functions of their input, without state.
//!
//! | address | contract | since | source |
//! | --- | --- | --- | --- |
//! | 0x01 | ECRECOVER | Frontier | Yellow Paper, appendix E |
//! | 0x02 | SHA256 | Frontier | Yellow Paper, appendix E |
//! | 0x03 | RIPEMD160 | Frontier | Yellow Paper, appendix E |
//! | 0x04 | IDENTITY | Frontier | Yellow Paper, appendix E |
//! | 0x05 | MODEXP | Byzantium | EIP-198, EIP-2565 (Berlin), EIP-7823 and EIP-7883 (Osaka) |
//! | 0x06 to 0x08 | BN254 addition, multiplication, pairing | Byzantium | EIP-196, EIP-197, EIP-1108 (Istanbul) |
//! | 0x09 | BLAKE2F | Istanbul | EIP-152 |
//! | 0x0a | KZG point evaluation | Cancun | EIP-4844 |
//! | 0x0b to 0x11 | BLS12-381 | Prague | EIP-2537 |
//! | 0x100 | P256VERIFY | Osaka | EIP-7951 |
//!
//! Every contract charges its gas before it works, and allocates nothing that was not paid for.

mod blake2f;
mod bls12_381;
mod bn254;
mod ecrecover;
mod identity;
mod kzg_point_evaluation;
mod modexp;
mod p256verify;
mod ripemd160;
mod sha256;

use std::fmt;

use isolane_spec::{Fork, H160};

/// What a precompile that succeeded returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrecompileOutput {
    /// Gas to take from the caller's gas.
    pub gas_used: u64,
    /// The return data. It is empty where a contract reports failure that way: ECRECOVER and P256VERIFY.
    pub output: Vec<u8>,
}

/// Why a precompile failed. Each failure takes all the gas of the call and returns no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrecompileError {
    /// The gas limit is below the cost.
    OutOfGas,
    /// The contract rejects the input; the text says what it expects.
    InvalidInput(&'static str),
}

impl fmt::Display for PrecompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfGas => f.write_str("out of gas in a precompile"),
            Self::InvalidInput(expected) => write!(f, "invalid input of a precompile: {expected}"),
        }
    }
}

impl std::error::Error for PrecompileError {}

/// The result of one precompile.
type PrecompileResult = Result<PrecompileOutput, PrecompileError>;

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

    /// Runs the precompile under the rules of `fork`.
    ///
    /// # Errors
    ///
    /// [`PrecompileError::OutOfGas`] if `gas_limit` is below the cost, [`PrecompileError::InvalidInput`] if the contract
    /// rejects the input. Both take all the gas of the call.
    pub fn run(self, input: &[u8], gas_limit: u64, fork: Fork) -> Result<PrecompileOutput, PrecompileError> {
        match self {
            Self::EcRecover => ecrecover::run(input, gas_limit),
            Self::Sha256 => sha256::run(input, gas_limit),
            Self::Ripemd160 => ripemd160::run(input, gas_limit),
            Self::Identity => identity::run(input, gas_limit),
            Self::ModExp => modexp::run(input, gas_limit, fork),
            Self::Bn254Add => bn254::add(input, gas_limit, fork),
            Self::Bn254Mul => bn254::mul(input, gas_limit, fork),
            Self::Bn254Pairing => bn254::pairing(input, gas_limit, fork),
            Self::Blake2F => blake2f::run(input, gas_limit),
            Self::KzgPointEvaluation => kzg_point_evaluation::run(input, gas_limit),
            Self::Bls12G1Add => bls12_381::add::g1_add(input, gas_limit),
            Self::Bls12G1Msm => bls12_381::g1_msm(input, gas_limit),
            Self::Bls12G2Add => bls12_381::add::g2_add(input, gas_limit),
            Self::Bls12G2Msm => bls12_381::g2_msm(input, gas_limit),
            Self::Bls12PairingCheck => bls12_381::pairing_check(input, gas_limit),
            Self::Bls12MapFpToG1 => bls12_381::map_fp_to_g1(input, gas_limit),
            Self::Bls12MapFp2ToG2 => bls12_381::map_fp2_to_g2(input, gas_limit),
            Self::P256Verify => p256verify::run(input, gas_limit),
        }
    }
}

/// Checks that `cost` can be paid, and returns it.
fn charge(cost: u64, gas_limit: u64) -> Result<u64, PrecompileError> {
    if cost > gas_limit { Err(PrecompileError::OutOfGas) } else { Ok(cost) }
}

/// `base + per_word * ⌈length / 32⌉`, the price of the contracts that read their whole input once.
fn linear_cost(length: usize, base: u64, per_word: u64) -> u64 {
    per_word.saturating_mul(length.div_ceil(32) as u64).saturating_add(base)
}

/// The `N` bytes of `input` at `offset`; bytes past the end are zero, as in CALLDATALOAD.
fn padded<const N: usize>(input: &[u8], offset: usize) -> [u8; N] {
    let mut bytes = [0; N];
    let present = input.get(offset..).unwrap_or_default();
    let length = present.len().min(N);
    bytes[..length].copy_from_slice(&present[..length]);
    bytes
}

/// A boolean as a word.
fn word_of(value: bool) -> Vec<u8> {
    let mut word = vec![0; 32];
    word[31] = u8::from(value);
    word
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
    fn reads_past_the_end_are_zero() {
        assert_eq!(padded::<4>(&[1, 2, 3], 1), [2, 3, 0, 0]);
        assert_eq!(padded::<2>(&[1, 2, 3], 3), [0, 0]);
        assert_eq!(padded::<2>(&[1, 2, 3], usize::MAX), [0, 0]);
        assert_eq!(linear_cost(0, 60, 12), 60);
        assert_eq!(linear_cost(33, 60, 12), 84);
    }
}
