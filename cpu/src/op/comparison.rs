//! LT to ISZERO.

use super::arithmetic::binary;
use crate::stack::Stack;
use isolane_spec::{U256, word};

#[inline(always)]
fn less(a: &U256, b: &U256) -> bool {
    // The borrow of a - b, limb by limb: no branches.
    let mut borrow = false;
    for i in 0..4 {
        let (difference, first) = a.0[i].overflowing_sub(b.0[i]);
        borrow = first | difference.overflowing_sub(u64::from(borrow)).1;
    }
    borrow
}

#[inline(always)]
fn flag(value: bool) -> U256 {
    U256([u64::from(value), 0, 0, 0])
}

#[inline(always)]
fn signed_less(a: &U256, b: &U256) -> bool {
    let (negative_a, negative_b) = (word::is_negative(a), word::is_negative(b));
    if negative_a == negative_b { less(a, b) } else { negative_a }
}

#[inline(always)]
pub(crate) fn lt(stack: &mut Stack<'_>) {
    binary(stack, |a, b| flag(less(a, b)));
}

#[inline(always)]
pub(crate) fn gt(stack: &mut Stack<'_>) {
    binary(stack, |a, b| flag(less(b, a)));
}

#[inline(always)]
pub(crate) fn slt(stack: &mut Stack<'_>) {
    binary(stack, |a, b| flag(signed_less(a, b)));
}

#[inline(always)]
pub(crate) fn sgt(stack: &mut Stack<'_>) {
    binary(stack, |a, b| flag(signed_less(b, a)));
}

/// Whether both are the same. Limb by limb, like everything that comes right from the stack.
#[inline(always)]
pub(crate) fn same(a: &U256, b: &U256) -> bool {
    let difference = (a.0[0] ^ b.0[0]) | (a.0[1] ^ b.0[1]) | (a.0[2] ^ b.0[2]) | (a.0[3] ^ b.0[3]);
    difference == 0
}

#[inline(always)]
pub(crate) fn eq(stack: &mut Stack<'_>) {
    binary(stack, |a, b| flag(same(a, b)));
}

/// Whether no bit is set.
#[inline(always)]
pub(crate) fn is_zero(word: &U256) -> bool {
    word.0[0] | word.0[1] | word.0[2] | word.0[3] == 0
}

/// Whether it is this number.
#[inline(always)]
pub(crate) fn is_small(word: &U256, number: u32) -> bool {
    same(word, &U256([u64::from(number), 0, 0, 0]))
}

#[inline(always)]
pub(crate) fn iszero(stack: &mut Stack<'_>) {
    let result = flag(is_zero(&stack.peek(0)));
    stack.set(0, &result);
}
