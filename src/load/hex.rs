//! Hexadecimal text as Ethereum's JSON writes it. The error of each parser is what it expected.

use isolane_spec::{H160, H256, U256};

/// What [`u64()`] expects.
pub const U64: &str = "a 0x hex quantity below 2^64";
/// What [`u256`] expects.
pub const U256_QUANTITY: &str = "a 0x hex quantity below 2^256";
/// What [`h256`] expects.
pub const HASH: &str = "0x and 64 hex digits";
/// What [`address`] expects.
pub const ADDRESS: &str = "0x and 40 hex digits";
/// What [`bytes()`] expects.
pub const BYTES: &str = "0x and an even number of hex digits";

type Result<T> = std::result::Result<T, &'static str>;

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The significant digits of a quantity: at least one digit is required, leading zeros are dropped.
fn significant<'a>(text: &'a str, expected: &'static str) -> Result<&'a [u8]> {
    let digits = text.strip_prefix("0x").ok_or(expected)?.as_bytes();
    if digits.is_empty() {
        return Err(expected);
    }
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    Ok(digits.get(zeros..).unwrap_or_default())
}

/// A quantity below 2^64. Leading zeros are allowed: fixtures write them.
///
/// # Errors
/// What was expected, when the text is anything else; so for all parsers here.
pub fn u64(text: &str) -> Result<u64> {
    let digits = significant(text, U64)?;
    if digits.len() > 16 {
        return Err(U64);
    }
    digits.iter().try_fold(0, |value, digit| Ok(value << 4 | u64::from(nibble(*digit).ok_or(U64)?)))
}

/// A quantity below 2^256. Leading zeros are allowed: fixtures write them.
///
/// # Errors
/// What was expected.
pub fn u256(text: &str) -> Result<U256> {
    let digits = significant(text, U256_QUANTITY)?;
    if digits.len() > 64 {
        return Err(U256_QUANTITY);
    }
    let mut limbs = [0u64; 4];
    for (limb, chunk) in limbs.iter_mut().zip(digits.rchunks(16)) {
        for digit in chunk {
            *limb = *limb << 4 | u64::from(nibble(*digit).ok_or(U256_QUANTITY)?);
        }
    }
    Ok(U256(limbs))
}

/// A 32-byte value with all its digits.
///
/// # Errors
/// What was expected.
pub fn h256(text: &str) -> Result<H256> {
    let mut value = H256::zero();
    let digits = text.strip_prefix("0x").ok_or(HASH)?;
    hex::decode_to_slice(digits, value.as_bytes_mut()).map_err(|_| HASH)?;
    Ok(value)
}

/// An address with all its digits.
///
/// # Errors
/// What was expected.
pub fn address(text: &str) -> Result<H160> {
    let mut value = H160::zero();
    let digits = text.strip_prefix("0x").ok_or(ADDRESS)?;
    hex::decode_to_slice(digits, value.as_bytes_mut()).map_err(|_| ADDRESS)?;
    Ok(value)
}

/// Bytes; `0x` alone is none.
///
/// # Errors
/// What was expected.
pub fn bytes(text: &str) -> Result<Vec<u8>> {
    hex::decode(text.strip_prefix("0x").ok_or(BYTES)?).map_err(|_| BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        assert_eq!(u64("0x0"), Ok(0));
        assert_eq!(u64("0x00000000000000000000ff"), Ok(255));
        assert_eq!(u64("0xffffffffffffffff"), Ok(u64::MAX));
        for wrong in ["", "0x", "1", "0x10000000000000000", "0xg", "0X1", "-0x1", "0x1 "] {
            assert_eq!(u64(wrong), Err(U64), "{wrong}");
        }
        let max = format!("0x00{}", "F".repeat(64));
        assert_eq!(u256(&max), Ok(U256::MAX));
        assert_eq!(
            u256("0x123456789abcdef0123456789"),
            Ok(U256::from_dec_str("90144042682896311822508713865").unwrap())
        );
        assert_eq!(u256(&format!("0x1{}", "0".repeat(64))), Err(U256_QUANTITY));
    }

    #[test]
    fn fixed_sizes_and_bytes() {
        assert_eq!(address(&format!("0x{}01", "0".repeat(38))), Ok(H160::from_low_u64_be(1)));
        assert_eq!(address("0x01"), Err(ADDRESS));
        assert_eq!(h256(&format!("{}1", "0".repeat(63))), Err(HASH));
        assert_eq!(bytes("0x"), Ok(vec![]));
        assert_eq!(bytes("0xA0b1"), Ok(vec![0xa0, 0xb1]));
        assert_eq!(bytes("0xa"), Err(BYTES));
        assert_eq!(bytes("a0"), Err(BYTES));
    }
}
