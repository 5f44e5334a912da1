//! The operand stack of a frame.

use isolane_spec::U256;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Items a stack may hold (Yellow Paper 9.1).
pub(crate) const LIMIT: usize = 1_024;

/// One item.
///
/// Its limbs are read one by one, and that is what it is for. Arithmetic stores limbs; a load that asks for more than one of those
/// stores wrote has to wait until all of them have left the processor's core, some fifteen cycles, where a load of one limb
/// gets it from the store at once. The compiler joins plain loads of neighbours into one. It leaves atomic ones alone, which for
/// the processor are the same.
#[derive(Debug, Default)]
#[repr(align(32))]
pub(crate) struct Slot([AtomicU64; 4]);

impl Slot {
    #[inline(always)]
    pub fn get(&self) -> U256 {
        let [a, b, c, d] = &self.0;
        U256([a.load(Relaxed), b.load(Relaxed), c.load(Relaxed), d.load(Relaxed)])
    }

    #[inline(always)]
    pub fn set(&mut self, word: &U256) {
        self.0 = word.0.map(AtomicU64::new);
    }
}

/// Memory for one stack. Never cleared: what lies above the top is never read.
pub(crate) type Slots = [Slot; LIMIT];

/// New memory for one stack, on the heap.
pub(crate) fn slots() -> Box<Slots> {
    // A vector's buffer becomes the box, so that 32 KiB never travel over the thread's stack.
    let slots: Vec<Slot> = std::iter::repeat_with(Slot::default).take(LIMIT).collect();
    match slots.into_boxed_slice().try_into() {
        Ok(slots) => slots,
        Err(_) => unreachable!("the vector has {LIMIT} items"),
    }
}

/// The items of a stack, its top last. Made of words by `From`.
#[derive(Clone, Copy, Debug)]
pub struct Items<'a>(Source<'a>);

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Slots(&'a [Slot]),
    Words(&'a [U256]),
}

impl<'a> From<&'a [U256]> for Items<'a> {
    fn from(words: &'a [U256]) -> Self {
        Self(Source::Words(words))
    }
}

impl<'a> Items<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0 {
            Source::Slots(slots) => slots.len(),
            Source::Words(words) => words.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item at an index, counted from the bottom.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<U256> {
        match self.0 {
            Source::Slots(slots) => slots.get(index).map(Slot::get),
            Source::Words(words) => words.get(index).copied(),
        }
    }

    /// The top.
    #[must_use]
    pub fn last(&self) -> Option<U256> {
        self.get(self.len().checked_sub(1)?)
    }

    /// All of them, from the bottom to the top.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = U256> + 'a {
        let items = *self;
        (0..self.len()).filter_map(move |index| items.get(index))
    }

    /// A copy.
    #[must_use]
    pub fn to_vec(&self) -> Vec<U256> {
        self.iter().collect()
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
    pub fn items(&self) -> Items<'_> {
        Items(Source::Slots(self.slots.get(..self.len).unwrap_or_default()))
    }

    #[inline(always)]
    fn slot(&mut self, depth: usize) -> &mut Slot {
        &mut self.slots[self.len.wrapping_sub(depth + 1) & (LIMIT - 1)]
    }

    /// The item `depth` below the top.
    #[inline(always)]
    pub fn peek(&self, depth: usize) -> U256 {
        self.slots[self.len.wrapping_sub(depth + 1) & (LIMIT - 1)].get()
    }

    /// Replaces the item `depth` below the top.
    #[inline(always)]
    pub fn set(&mut self, depth: usize, word: &U256) {
        self.slot(depth).set(word);
    }

    /// Takes the top item.
    #[inline(always)]
    pub fn pop(&mut self) -> U256 {
        let word = self.peek(0);
        self.drop(1);
        word
    }

    /// Drops items.
    #[inline(always)]
    pub fn drop(&mut self, count: usize) {
        self.len = self.len.wrapping_sub(count);
    }

    #[inline(always)]
    pub fn push(&mut self, word: U256) {
        self.slots[self.len & (LIMIT - 1)].set(&word);
        self.len += 1;
    }

    /// DUP: a copy of the item `depth` below the top.
    #[inline(always)]
    pub fn dup(&mut self, depth: usize) {
        let word = self.peek(depth);
        self.push(word);
    }

    /// EXCHANGE: two items that many below the top.
    #[inline(always)]
    pub fn exchange(&mut self, one: usize, other: usize) {
        let (a, b) = (self.peek(one), self.peek(other));
        self.set(other, &a);
        self.set(one, &b);
    }

    /// SWAP: the top and the item `depth` below it.
    #[inline(always)]
    pub fn swap(&mut self, depth: usize) {
        self.exchange(0, depth);
    }
}
