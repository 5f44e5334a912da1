//! ADD to SIGNEXTEND.

use super::reducer::Reducer;
use super::{Trap, charge};
use crate::stack::Stack;
use isolane_spec::gas::GasSchedule;
use isolane_spec::{U256, word};
use ruint::aliases::U256 as Ruint;

#[inline(always)]
pub(super) fn ruint(word: &U256) -> Ruint {
    Ruint::from_limbs(word.0)
}

#[inline(always)]
pub(super) fn back(word: Ruint) -> U256 {
    U256(*word.as_limbs())
}

/// Sum modulo 2^256.
#[inline(always)]
pub(crate) fn wrapping_add(a: &U256, b: &U256) -> U256 {
    back(ruint(a).wrapping_add(ruint(b)))
}

/// Difference modulo 2^256.
#[inline(always)]
pub(crate) fn wrapping_sub(a: &U256, b: &U256) -> U256 {
    back(ruint(a).wrapping_sub(ruint(b)))
}

/// Applies a binary operation: the top of the stack is its first operand.
#[inline(always)]
pub(crate) fn binary(stack: &mut Stack<'_>, f: impl FnOnce(&U256, &U256) -> U256) {
    let result = f(&stack.peek(0), &stack.peek(1));
    stack.drop(1);
    stack.set(0, &result);
}

#[inline(always)]
pub(crate) fn add(stack: &mut Stack<'_>) {
    binary(stack, wrapping_add);
}

#[inline(always)]
pub(crate) fn mul(stack: &mut Stack<'_>) {
    binary(stack, |a, b| back(ruint(a).wrapping_mul(ruint(b))));
}

#[inline(always)]
pub(crate) fn sub(stack: &mut Stack<'_>) {
    binary(stack, wrapping_sub);
}

/// Quotient; 0 for a divisor of 0.
#[inline(always)]
fn quotient(a: &U256, b: &U256) -> U256 {
    if (a.0[1] | a.0[2] | a.0[3] | b.0[1] | b.0[2] | b.0[3]) == 0 {
        return U256::from(a.0[0].checked_div(b.0[0]).unwrap_or(0));
    }
    if b.is_zero() { U256::zero() } else { back(ruint(a).wrapping_div(ruint(b))) }
}

/// Remainder; 0 for a divisor of 0.
#[inline(always)]
fn remainder(a: &U256, b: &U256) -> U256 {
    if b.is_zero() { U256::zero() } else { back(ruint(a).wrapping_rem(ruint(b))) }
}

/// The magnitude of a two's complement number.
#[inline(always)]
fn magnitude(word: &U256) -> U256 {
    if word::is_negative(word) { word::negate(word) } else { *word }
}

#[inline(always)]
pub(crate) fn div(stack: &mut Stack<'_>) {
    binary(stack, quotient);
}

/// Truncates towards zero; MIN / -1 = MIN.
#[inline(always)]
pub(crate) fn sdiv(stack: &mut Stack<'_>) {
    binary(stack, |a, b| {
        let result = quotient(&magnitude(a), &magnitude(b));
        if word::is_negative(a) == word::is_negative(b) { result } else { word::negate(&result) }
    });
}

#[inline(always)]
pub(crate) fn rem(stack: &mut Stack<'_>) {
    binary(stack, remainder);
}

/// The sign is that of the dividend.
#[inline(always)]
pub(crate) fn smod(stack: &mut Stack<'_>) {
    binary(stack, |a, b| {
        let result = remainder(&magnitude(a), &magnitude(b));
        if word::is_negative(a) { word::negate(&result) } else { result }
    });
}

#[inline(always)]
pub(crate) fn addmod(stack: &mut Stack<'_>) {
    let [a, b, n] = [0, 1, 2].map(|depth| ruint(&stack.peek(depth)));
    // ruint gives 0 for a modulus of 0, as the EVM does.
    let result = a.add_mod(b, n);
    stack.drop(2);
    stack.set(0, &back(result));
}

/// Not inlined: see [`Stack::apart`].
#[inline(never)]
pub(crate) fn mulmod(stack: &mut Stack<'_>, reducer: &mut Reducer) {
    let result = reducer.product(&stack.peek(0), &stack.peek(1), &stack.peek(2));
    stack.drop(2);
    stack.set(0, &result);
}

/// Power modulo 2^256, by squaring.
#[inline(never)]
fn power(base: &U256, exponent: &U256) -> U256 {
    back(ruint(base).wrapping_pow(ruint(exponent)))
}

/// Charges for each byte of the exponent.
#[inline(always)]
pub(crate) fn exp(stack: &mut Stack<'_>, schedule: &GasSchedule, gas: &mut u64) -> Result<(), Trap> {
    let bytes = stack.peek(1).bits().div_ceil(8) as u64;
    charge(gas, bytes * u64::from(schedule.exp_byte))?;
    binary(stack, power);
    Ok(())
}

/// Extends the sign of the number in the lowest `a + 1` bytes of `b`.
#[inline(always)]
pub(crate) fn signextend(stack: &mut Stack<'_>) {
    binary(stack, |a, b| {
        let Some(byte @ 0..=30) = word::to_u64(a) else { return *b };
        let bit = byte as usize * 8 + 7;
        let mask = (U256::one() << (bit + 1)) - U256::one();
        if b.bit(bit) { *b | !mask } else { *b & mask }
    });
}
