//! The operand stack of a frame.

use isolane_spec::U256;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Items a stack may hold (Yellow Paper 9.1).
pub(crate) const LIMIT: usize = 1_024;

/// Limbs of an item.
const LIMBS: usize = 4;

/// Memory for one stack. Never cleared: what lies above the top is never read.
///
/// Limbs are read one by one, and that is what they are atomics for. Arithmetic stores limbs; a load that asks for more than one of
/// those stores wrote has to wait until all of them have left the processor's core, some fifteen cycles, where a load of one limb
/// gets it from the store at once. The compiler joins plain loads of neighbours into one. It leaves atomic ones alone, which for
/// the processor are the same. They lie in one array, whose indices need no multiplication by the size of an item.
#[derive(Debug)]
#[repr(align(32))]
pub(crate) struct Slots([AtomicU64; LIMIT * LIMBS]);

impl Slots {
    /// The item that starts at a limb.
    #[inline(always)]
    fn at(&self, limb: usize) -> U256 {
        // The mask only tells the compiler that no index is out of range.
        let limb = limb & ((LIMIT - 1) * LIMBS);
        U256(std::array::from_fn(|i| self.0[limb | i].load(Relaxed)))
    }

    #[inline(always)]
    fn set_at(&mut self, limb: usize, word: &U256) {
        let limb = limb & ((LIMIT - 1) * LIMBS);
        for (i, &value) in word.0.iter().enumerate() {
            self.0[limb | i] = AtomicU64::new(value);
        }
    }

    /// Writes the item at an index, counted from the bottom.
    pub fn set(&mut self, index: usize, word: &U256) {
        self.set_at(index * LIMBS, word);
    }
}

/// New memory for one stack, on the heap.
pub(crate) fn slots() -> Box<Slots> {
    Box::new(const { Slots([const { AtomicU64::new(0) }; LIMIT * LIMBS]) })
}

/// The items of a stack, its top last. Made of words by `From`.
#[derive(Clone, Copy, Debug)]
pub struct Items<'a>(Source<'a>);

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    /// How many, and their memory.
    Slots(usize, &'a Slots),
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
            Source::Slots(len, _) => len,
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
            Source::Slots(len, slots) => (index < len).then(|| slots.at(index * LIMBS)),
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
/// Bounds are checked once per block or instruction, from the opcode table, and nowhere else.
pub(crate) struct Stack<'a> {
    slots: &'a mut Slots,
    /// Limbs in use.
    limbs: usize,
}

impl<'a> Stack<'a> {
    pub fn new(slots: &'a mut Slots, len: usize) -> Self {
        Self { slots, limbs: len * LIMBS }
    }

    #[inline(always)]
    pub fn len(&self) -> usize {
        self.limbs / LIMBS
    }

    /// All items, the top last.
    pub fn items(&self) -> Items<'_> {
        Items(Source::Slots(self.len(), self.slots))
    }

    /// The same items, for a function that is not inlined: the interpreter keeps the length in a register, which is no place that
    /// could be handed on. Whatever the function drops is to be dropped here too.
    #[inline(always)]
    pub fn apart(&mut self) -> Stack<'_> {
        Stack { slots: &mut *self.slots, limbs: self.limbs }
    }

    #[inline(always)]
    fn limb(&self, depth: usize) -> usize {
        self.limbs.wrapping_sub((depth + 1) * LIMBS)
    }

    /// The item `depth` below the top.
    #[inline(always)]
    pub fn peek(&self, depth: usize) -> U256 {
        self.slots.at(self.limb(depth))
    }

    /// Replaces the item `depth` below the top.
    #[inline(always)]
    pub fn set(&mut self, depth: usize, word: &U256) {
        self.slots.set_at(self.limb(depth), word);
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
        self.limbs = self.limbs.wrapping_sub(count * LIMBS);
    }

    #[inline(always)]
    pub fn push(&mut self, word: U256) {
        self.slots.set_at(self.limbs, &word);
        self.limbs += LIMBS;
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
