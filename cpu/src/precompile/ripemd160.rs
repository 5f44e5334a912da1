//! RIPEMD160 (0x03): the hash of 20 bytes, padded on the left to a word.

use ripemd::{Digest, Ripemd160};

use super::{PrecompileOutput, PrecompileResult, charge, linear_cost};

pub(super) fn run(input: &[u8], gas_limit: u64) -> PrecompileResult {
    let gas_used = charge(linear_cost(input.len(), 600, 120), gas_limit)?;
    let mut output = vec![0; 32];
    output[12..].copy_from_slice(&Ripemd160::digest(input));
    Ok(PrecompileOutput { gas_used, output })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precompile::PrecompileError;

    #[test]
    fn known_answers() {
        let empty = run(&[], 600).expect("enough gas");
        assert_eq!(empty.output[..16], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x9c, 0x11, 0x85, 0xa5]);
        let abc = run(b"abc", 720).expect("enough gas");
        assert_eq!(abc.gas_used, 720);
        assert_eq!(abc.output[12..16], [0x8e, 0xb2, 0x08, 0xf7]);
        assert_eq!(run(b"abc", 719), Err(PrecompileError::OutOfGas));
    }
}
