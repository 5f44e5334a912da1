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

use isolane_spec::Fork;
pub use isolane_spec::Precompile;

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

/// Executes the precompiles of the catalogue.
pub trait Run {
    /// Runs the precompile under the rules of `fork`.
    ///
    /// # Errors
    ///
    /// [`PrecompileError::OutOfGas`] if `gas_limit` is below the cost, [`PrecompileError::InvalidInput`] if the contract
    /// rejects the input. Both take all the gas of the call.
    fn run(self, input: &[u8], gas_limit: u64, fork: Fork) -> Result<PrecompileOutput, PrecompileError>;
}

impl Run for Precompile {
    fn run(self, input: &[u8], gas_limit: u64, fork: Fork) -> Result<PrecompileOutput, PrecompileError> {
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
    fn reads_past_the_end_are_zero() {
        assert_eq!(padded::<4>(&[1, 2, 3], 1), [2, 3, 0, 0]);
        assert_eq!(padded::<2>(&[1, 2, 3], 3), [0, 0]);
        assert_eq!(padded::<2>(&[1, 2, 3], usize::MAX), [0, 0]);
        assert_eq!(linear_cost(0, 60, 12), 60);
        assert_eq!(linear_cost(33, 60, 12), 84);
    }
}
