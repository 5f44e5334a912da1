//! SHA256 (0x02). The crate takes the SHA extensions of the processor where they exist.

use sha2::{Digest, Sha256};

use super::{PrecompileOutput, PrecompileResult, charge, linear_cost};

pub(super) fn run(input: &[u8], gas_limit: u64) -> PrecompileResult {
    let gas_used = charge(linear_cost(input.len(), 60, 12), gas_limit)?;
    Ok(PrecompileOutput { gas_used, output: Sha256::digest(input).to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precompile::PrecompileError;

    #[test]
    fn known_answers() {
        let empty = run(&[], 60).expect("enough gas");
        assert_eq!(empty.gas_used, 60);
        assert_eq!(empty.output[..4], [0xe3, 0xb0, 0xc4, 0x42]);
        let abc = run(b"abc", 72).expect("enough gas");
        assert_eq!(abc.gas_used, 72);
        assert_eq!(abc.output[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(run(b"abc", 71), Err(PrecompileError::OutOfGas));
    }
}
