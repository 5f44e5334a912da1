//! IDENTITY (0x04): a copy. The output never aliases the caller's memory.

use super::{PrecompileOutput, PrecompileResult, charge, linear_cost};

pub(super) fn run(input: &[u8], gas_limit: u64) -> PrecompileResult {
    let gas_used = charge(linear_cost(input.len(), 15, 3), gas_limit)?;
    Ok(PrecompileOutput { gas_used, output: input.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precompile::PrecompileError;

    #[test]
    fn copies() {
        let input: Vec<u8> = (0..65).collect();
        assert_eq!(run(&input, 24), Ok(PrecompileOutput { gas_used: 24, output: input.clone() }));
        assert_eq!(run(&input, 23), Err(PrecompileError::OutOfGas));
        assert_eq!(run(&[], 15), Ok(PrecompileOutput { gas_used: 15, output: Vec::new() }));
    }
}
