//! AND to CLZ.

use super::arithmetic::binary;
use crate::stack::Stack;
use isolane_spec::{U256, word};

/// The bits that both words have.
#[inline(always)]
pub(crate) fn both(a: &U256, b: &U256) -> U256 {
    U256(std::array::from_fn(|i| a.0[i] & b.0[i]))
}

#[inline(always)]
pub(crate) fn and(stack: &mut Stack<'_>) {
    binary(stack, both);
}

#[inline(always)]
pub(crate) fn or(stack: &mut Stack<'_>) {
    binary(stack, |a, b| U256(std::array::from_fn(|i| a.0[i] | b.0[i])));
}

#[inline(always)]
pub(crate) fn xor(stack: &mut Stack<'_>) {
    binary(stack, |a, b| U256(std::array::from_fn(|i| a.0[i] ^ b.0[i])));
}

#[inline(always)]
pub(crate) fn not(stack: &mut Stack<'_>) {
    let word = stack.peek(0);
    stack.set(0, &U256(std::array::from_fn(|i| !word.0[i])));
}

/// The byte at `a`, counted from the most significant one.
#[inline(always)]
pub(crate) fn byte(stack: &mut Stack<'_>) {
    binary(stack, |a, b| match word::to_u64(a) {
        Some(index @ 0..=31) => {
            let place = 31 - index as usize;
            U256::from((b.0[place / 8] >> (place % 8 * 8)) as u8)
        }
        _ => U256::zero(),
    });
}

/// The shift, where it leaves anything of the word.
#[inline(always)]
fn shift(a: &U256) -> Option<usize> {
    if a.0[1] | a.0[2] | a.0[3] == 0 && a.0[0] < 256 { Some(a.0[0] as usize) } else { None }
}

/// Two limbs next to each other, moved by less than a limb.
#[inline(always)]
fn funnel(high: u64, low: u64, bits: u32) -> u64 {
    ((u128::from(high) << 64 | u128::from(low)) >> bits) as u64
}

/// Shifts right by less than 256 bits; `fill` comes in from above.
#[inline(always)]
pub(crate) fn shift_right(word: &U256, shift: usize, fill: u64) -> U256 {
    let (limbs, bits) = (shift / 64, (shift % 64) as u32);
    let at = |i: usize| if i < 4 { word.0[i] } else { fill };
    U256(std::array::from_fn(|i| funnel(at(i + limbs + 1), at(i + limbs), bits)))
}

/// Shifts left by less than 256 bits.
#[inline(always)]
pub(crate) fn shift_left(word: &U256, shift: usize) -> U256 {
    let (limbs, bits) = (shift / 64, (shift % 64) as u32);
    let at = |i: usize| if i >= limbs { word.0[(i - limbs) & 3] } else { 0 };
    U256(std::array::from_fn(|i| {
        let below = if i == 0 { 0 } else { at(i - 1) };
        ((u128::from(at(i)) << 64 | u128::from(below)) << bits >> 64) as u64
    }))
}

/// `b`, shifted left by `a` bits.
#[inline(always)]
pub(crate) fn shifted_left(a: &U256, b: &U256) -> U256 {
    shift(a).map_or(U256::zero(), |shift| shift_left(b, shift))
}

/// `b`, shifted right by `a` bits.
#[inline(always)]
pub(crate) fn shifted_right(a: &U256, b: &U256) -> U256 {
    shift(a).map_or(U256::zero(), |shift| shift_right(b, shift, 0))
}

#[inline(always)]
pub(crate) fn shl(stack: &mut Stack<'_>) {
    binary(stack, shifted_left);
}

#[inline(always)]
pub(crate) fn shr(stack: &mut Stack<'_>) {
    binary(stack, shifted_right);
}

#[inline(always)]
pub(crate) fn sar(stack: &mut Stack<'_>) {
    binary(stack, |a, b| {
        let fill = if word::is_negative(b) { u64::MAX } else { 0 };
        shift(a).map_or(U256([fill; 4]), |shift| shift_right(b, shift, fill))
    });
}

/// EIP-7939: leading zero bits; 256 for zero.
#[inline(always)]
pub(crate) fn clz(stack: &mut Stack<'_>) {
    let leading = 256 - stack.peek(0).bits() as u64;
    stack.set(0, &U256::from(leading));
}
