//! The operand stack of a frame.

use isolane_spec::U256;

/// Items a stack may hold (Yellow Paper 9.1).
pub(crate) const LIMIT: usize = 1_024;

/// Memory for one stack. Never cleared: what lies above the top is never read.
pub(crate) type Slots = [U256; LIMIT];

/// New memory for one stack, on the heap.
pub(crate) fn slots() -> Box<Slots> {
    // A vector's buffer becomes the box, so that 32 KiB never travel over the thread's stack.
    match vec![U256::zero(); LIMIT].into_boxed_slice().try_into() {
        Ok(slots) => slots,
        Err(_) => unreachable!("the vector has {LIMIT} items"),
    }
}

/// The stack of the running frame.
///
/// Bounds are checked once per block or instruction, from the opcode table, and nowhere else. The masks only tell the
/// compiler that no index is out of range.
pub(crate) struct Stack<'a> {
    slots: &'a mut Slots,
    len: usize,
}

impl<'a> Stack<'a> {
    pub fn new(slots: &'a mut Slots, len: usize) -> Self {
        Self { slots, len }
    }

    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// All items, the top last.
    pub fn items(&self) -> &[U256] {
        self.slots.get(..self.len).unwrap_or_default()
    }

    /// The item `depth` below the top.
    #[inline(always)]
    pub fn peek(&self, depth: usize) -> &U256 {
        &self.slots[self.len.wrapping_sub(depth + 1) & (LIMIT - 1)]
    }

    /// The item `depth` below the top, to write.
    #[inline(always)]
    pub fn peek_mut(&mut self, depth: usize) -> &mut U256 {
        &mut self.slots[self.len.wrapping_sub(depth + 1) & (LIMIT - 1)]
    }

    /// Takes the top item.
    #[inline(always)]
    pub fn pop(&mut self) -> U256 {
        self.len = self.len.wrapping_sub(1);
        self.slots[self.len & (LIMIT - 1)]
    }

    /// Drops items.
    #[inline(always)]
    pub fn drop(&mut self, count: usize) {
        self.len = self.len.wrapping_sub(count);
    }

    #[inline(always)]
    pub fn push(&mut self, word: U256) {
        self.slots[self.len & (LIMIT - 1)] = word;
        self.len += 1;
    }

    /// DUP: a copy of the item `depth` below the top.
    #[inline(always)]
    pub fn dup(&mut self, depth: usize) {
        let word = *self.peek(depth);
        self.push(word);
    }

    /// EXCHANGE: two items that many below the top.
    #[inline(always)]
    pub fn exchange(&mut self, one: usize, other: usize) {
        let word = *self.peek(one);
        let other = std::mem::replace(self.peek_mut(other), word);
        *self.peek_mut(one) = other;
    }

    /// SWAP: the top and the item `depth` below it.
    #[inline(always)]
    pub fn swap(&mut self, depth: usize) {
        let top = *self.peek(0);
        let other = std::mem::replace(self.peek_mut(depth), top);
        *self.peek_mut(0) = other;
    }
}
