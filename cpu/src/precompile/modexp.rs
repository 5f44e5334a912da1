//! MODEXP (0x05): base ^ exponent mod modulus on integers of any length.
//!
//! EIP-198; prices of EIP-2565 from Berlin and EIP-7883 from Osaka; lengths of at most 1024 bytes from Osaka (EIP-7823).
//! The lengths are words: they are priced as such, and nothing is allocated before the price is paid. Operands that
//! reach past the input are never copied, see [`Operand`].

mod arithmetic;
mod montgomery;

use isolane_spec::{Fork, U256};

use super::{PrecompileError, PrecompileOutput, PrecompileResult, charge, padded};

/// EIP-7823: the longest operand, in bytes.
const LENGTH_LIMIT: u64 = 1024;

/// `input` is three lengths, a word each, then base, exponent and modulus; missing bytes are zero.
pub(super) fn run(input: &[u8], gas_limit: u64, fork: Fork) -> PrecompileResult {
    let [base_length, exponent_length, modulus_length] =
        [0, 32, 64].map(|offset| U256::from_big_endian(&padded::<32>(input, offset)));
    if fork >= Fork::Osaka
        && [base_length, exponent_length, modulus_length].into_iter().any(|length| length > LENGTH_LIMIT.into())
    {
        return Err(PrecompileError::InvalidInput("operands of at most 1024 bytes"));
    }
    // A base or modulus of 2^64 bytes costs more than any gas limit.
    let base_length = u64::try_from(base_length).map_err(|_| PrecompileError::OutOfGas)?;
    let modulus_length = u64::try_from(modulus_length).map_err(|_| PrecompileError::OutOfGas)?;
    // An exponent of 2^64 bytes costs nothing if base and modulus are empty, and more than can be run if not.
    let exponent_length = u64::try_from(exponent_length).unwrap_or(u64::MAX);

    let data = input.get(96..).unwrap_or_default();
    let exponent = Operand::at(data, base_length, exponent_length);
    let iterations = iteration_count(&exponent, if fork >= Fork::Osaka { 16 } else { 8 });
    let longest = base_length.max(modulus_length);
    let gas_used = charge(cost(longest, iterations, fork)?, gas_limit)?;

    let base = Operand::at(data, 0, base_length);
    let modulus = Operand::at(data, base_length.saturating_add(exponent_length), modulus_length);
    let output_length = usize::try_from(modulus_length).map_err(|_| PrecompileError::OutOfGas)?;
    Ok(PrecompileOutput { gas_used, output: arithmetic::modexp(&base, &exponent, &modulus, output_length) })
}

/// The price; an error if no gas limit could pay it.
fn cost(longest: u64, iterations: u128, fork: Fork) -> Result<u64, PrecompileError> {
    let length = u128::from(longest);
    let words = length.div_ceil(8);
    // No overflow: the square of 2^64 is in a u128, and of 2^61 with room for the factor.
    let (complexity, divisor, minimum) = if fork >= Fork::Osaka {
        (if longest <= 32 { 16 } else { 2 * words * words }, 1, 500)
    } else if fork >= Fork::Berlin {
        (words * words, 3, 200)
    } else {
        let complexity = match longest {
            0..=64 => length * length,
            65..=1024 => length * length / 4 + 96 * length - 3072,
            _ => length * length / 16 + 480 * length - 199_680,
        };
        (complexity, 20, 0)
    };
    let gas = complexity.saturating_mul(iterations) / divisor;
    u64::try_from(gas.max(minimum)).map_err(|_| PrecompileError::OutOfGas)
}

/// The number of squarings as the price estimates it: from the length and the first 32 bytes of the exponent.
fn iteration_count(exponent: &Operand<'_>, per_byte: u128) -> u128 {
    let head_length = exponent.length.min(32) as usize;
    let head: [u8; 32] = padded(exponent.present, 0);
    let head = U256::from_big_endian(head.get(..head_length).unwrap_or_default());
    let beyond = u128::from(exponent.length.saturating_sub(32));
    (per_byte * beyond + head.bits().saturating_sub(1) as u128).max(1)
}

/// A big-endian integer of `length` bytes, of which the input holds only the first; all others are zero.
#[derive(Clone, Copy, Debug)]
struct Operand<'a> {
    /// The bytes in the input, without leading zeros once [`Operand::at`] made it.
    present: &'a [u8],
    /// The length that the caller stated.
    length: u64,
    /// How many leading zero bytes of the stated length are no longer in `present`.
    skipped: u64,
}

impl<'a> Operand<'a> {
    /// The `length` bytes of `data` at `offset`, as far as they exist.
    fn at(data: &'a [u8], offset: u64, length: u64) -> Self {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let tail = data.get(start..).unwrap_or_default();
        let end = usize::try_from(length).unwrap_or(usize::MAX).min(tail.len());
        Self { present: &tail[..end], length, skipped: 0 }
    }

    /// The same integer without its leading zeros; `None` if it is zero.
    fn significant(&self) -> Option<Self> {
        let zeros = self.present.iter().position(|byte| *byte != 0)?;
        Some(Self { present: &self.present[zeros..], length: self.length, skipped: self.skipped + zeros as u64 })
    }

    /// The number of bytes that are not leading zeros, for a [`Operand::significant`] integer.
    fn byte_length(&self) -> u64 {
        self.length - self.skipped
    }

    /// The number of bits, for a [`Operand::significant`] integer.
    fn bit_length(&self) -> u64 {
        let top = self.present.first().map_or(8, |byte| byte.leading_zeros());
        self.byte_length().saturating_mul(8).saturating_sub(u64::from(top))
    }

    /// The byte with the weight 256^`index`.
    fn byte(&self, index: u64) -> u8 {
        self.byte_length()
            .checked_sub(index + 1)
            .and_then(|position| self.present.get(usize::try_from(position).ok()?).copied())
            .unwrap_or(0)
    }

    /// The limb with the weight 2^(64 * `index`).
    fn limb(&self, index: u64) -> u64 {
        let first = index * 8;
        // The whole limb at once where all of it is in the input.
        if let Some(start) = self.byte_length().checked_sub(first + 8)
            && let Ok(start) = usize::try_from(start)
            && let Some(chunk) = self.present.get(start..).and_then(<[u8]>::first_chunk::<8>)
        {
            return u64::from_be_bytes(*chunk);
        }
        (0..8).rev().fold(0, |limb, i| limb << 8 | u64::from(self.byte(first + i)))
    }

    /// `count` bits from the bit with the weight 2^`start`; at most eight.
    #[inline]
    fn bits(&self, start: u64, count: u32) -> usize {
        let first = start / 8;
        let pair = u16::from(self.byte(first + 1)) << 8 | u16::from(self.byte(first));
        usize::from(pair >> (start % 8)) & ((1 << count) - 1)
    }

    /// All limbs, the least significant first, for a [`Operand::significant`] integer.
    fn limbs(&self) -> Vec<u64> {
        (0..self.byte_length().div_ceil(8)).map(|index| self.limb(index)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(lengths: [u64; 3], data: &[u8]) -> Vec<u8> {
        let mut input: Vec<u8> = lengths.iter().flat_map(|length| U256::from(*length).to_big_endian()).collect();
        input.extend_from_slice(data);
        input
    }

    fn output(lengths: [u64; 3], data: &[u8]) -> Vec<u8> {
        run(&input(lengths, data), u64::MAX, Fork::Berlin).expect("enough gas").output
    }

    #[test]
    fn small_integers_exhaustively() {
        for modulus in 0..=40_u8 {
            for base in 0..=20_u8 {
                for exponent in 0..=9_u8 {
                    let expected = if modulus == 0 {
                        0
                    } else {
                        (0..exponent).fold(1 % modulus, |power, _| {
                            (u32::from(power) * u32::from(base) % u32::from(modulus)) as u8
                        })
                    };
                    assert_eq!(
                        output([1, 1, 1], &[base, exponent, modulus]),
                        [expected],
                        "{base} ^ {exponent} mod {modulus}"
                    );
                }
            }
        }
    }

    #[test]
    fn fermat_on_the_prime_of_eip_198() {
        // 3 ^ (p - 1) mod p = 1 with p = 2^256 - 2^32 - 977.
        let mut prime = [0xff; 32];
        prime[27..].copy_from_slice(&[0xfe, 0xff, 0xff, 0xfc, 0x2f]);
        let mut exponent = prime;
        exponent[31] -= 1;
        let input = input([1, 32, 32], &[&[3][..], &exponent, &prime].concat());
        let mut one = [0; 32];
        one[31] = 1;
        for (fork, gas) in [(Fork::Byzantium, 13_056), (Fork::Berlin, 1360), (Fork::Osaka, 4080)] {
            assert_eq!(run(&input, gas, fork), Ok(PrecompileOutput { gas_used: gas, output: one.to_vec() }), "{fork}");
            assert_eq!(run(&input, gas - 1, fork), Err(PrecompileError::OutOfGas), "{fork}");
        }
    }

    #[test]
    fn lengths_beyond_reason() {
        let huge = |which: usize| {
            let mut input = vec![0; 96];
            input[which * 32] = 0x80;
            input
        };
        for fork in [Fork::Byzantium, Fork::Berlin] {
            assert_eq!(run(&huge(0), u64::MAX, fork), Err(PrecompileError::OutOfGas));
            assert_eq!(run(&huge(2), u64::MAX, fork), Err(PrecompileError::OutOfGas));
        }
        // The exponent of 2^255 bytes is never read: base and modulus are empty.
        let free = run(&huge(1), 0, Fork::Byzantium).expect("a price of zero");
        assert_eq!(free, PrecompileOutput { gas_used: 0, output: Vec::new() });
        assert_eq!(run(&huge(1), 199, Fork::Berlin), Err(PrecompileError::OutOfGas));
        assert_eq!(run(&huge(1), 200, Fork::Berlin).expect("the minimum").gas_used, 200);
        assert!(matches!(run(&huge(1), u64::MAX, Fork::Osaka), Err(PrecompileError::InvalidInput(_))));
        assert!(run(&input([1024, 1024, 1024], &[]), u64::MAX, Fork::Osaka).is_ok());
        assert!(run(&input([1024, 1025, 1024], &[]), u64::MAX, Fork::Osaka).is_err());
        // 2^64 - 1 bytes at the price that a block could pay.
        let lengths = input([0, 0, u64::MAX], &[]);
        assert_eq!(run(&lengths, 1 << 60, Fork::Berlin), Err(PrecompileError::OutOfGas));
    }

    #[test]
    fn missing_bytes_are_zero() {
        // 0x0300 ^ 2 mod 0x0700, cut off inside the modulus.
        assert_eq!(output([2, 1, 2], &[3, 0, 2, 7]), [0x01, 0x00]);
        // The modulus is missing: zero.
        assert_eq!(output([1, 1, 3], &[3, 2]), [0, 0, 0]);
        assert_eq!(output([0, 0, 1], &[7]), [1], "0 ^ 0 mod 7");
        assert_eq!(output([0, 0, 1], &[1]), [0], "0 ^ 0 mod 1");
    }

    #[test]
    fn operands_are_virtual() {
        let operand = Operand::at(&[0, 0, 0x12, 0x34], 1, 12).significant().expect("not zero");
        assert_eq!((operand.byte_length(), operand.bit_length()), (11, 85));
        assert_eq!(operand.limbs(), [0, 0x12_3400]);
        assert_eq!((operand.bits(80, 5), operand.bits(76, 8)), (0x12, 0x23));
        assert!(Operand::at(&[0, 0], 0, u64::MAX).significant().is_none());
    }
}
