//! ECRECOVER (0x01): hash, v, r and s, 32 bytes each; missing bytes are zero.

use super::{PrecompileOutput, PrecompileResult, charge, padded};
use crate::crypto;

const COST: u64 = 3000;

pub(super) fn run(input: &[u8], gas_limit: u64) -> PrecompileResult {
    let gas_used = charge(COST, gas_limit)?;
    Ok(PrecompileOutput { gas_used, output: signer(input).unwrap_or_default() })
}

/// The signer as a word, if the signature is one. EIP-2's bound on `s` does not apply here.
fn signer(input: &[u8]) -> Option<Vec<u8>> {
    // v is a whole word: 27 with any other byte set is not 27.
    let (v_high, v_low) = (padded::<31>(input, 32), padded::<1>(input, 63)[0]);
    if v_high != [0; 31] || !matches!(v_low, 27 | 28) {
        return None;
    }
    let address = crypto::recover(&padded(input, 0), &padded(input, 64), &padded(input, 96), v_low - 27)?;
    let mut word = vec![0; 32];
    word[12..].copy_from_slice(&address.0);
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precompile::PrecompileError;

    /// The key 1 signs the hash 1 with the nonce 1.
    fn signed() -> Vec<u8> {
        let mut input = vec![0; 128];
        input[31] = 1;
        input[63] = 27;
        let r =
            isolane_spec::U256::from_str_radix("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", 16)
                .expect("a word");
        input[64..96].copy_from_slice(&r.to_big_endian());
        input[96..].copy_from_slice(&(r + 1).to_big_endian());
        input
    }

    #[test]
    fn returns_a_word_or_nothing() {
        let output = run(&signed(), COST).expect("enough gas");
        assert_eq!(output.gas_used, 3000);
        assert_eq!(output.output[..12], [0; 12]);
        assert_eq!(output.output[12..16], [0x7e, 0x5f, 0x45, 0x52]);
        assert_eq!(run(&signed(), COST - 1), Err(PrecompileError::OutOfGas));
        // Longer input is cut off, a wrong v is not an error.
        let mut long = signed();
        long.push(9);
        assert_eq!(run(&long, COST).expect("enough gas").output, output.output);
        for (index, value) in [(32, 1), (62, 1), (63, 26), (63, 29), (63, 0)] {
            let mut wrong = signed();
            wrong[index] = value;
            assert_eq!(run(&wrong, COST), Ok(PrecompileOutput { gas_used: COST, output: Vec::new() }));
        }
        assert_eq!(run(&[], COST), Ok(PrecompileOutput { gas_used: COST, output: Vec::new() }));
    }
}
