//! Paths: lanes of a group that are at the same place of the same code, and the words that they share.

use super::simd::{Column, LANES, Limb, Mask, Simd};
use super::storage::StorageWords;
use super::words::Words;
use crate::execution::Executor;
use isolane_spec::{U256, word};

/// Columns that are kept from group to group: 4 MiB.
const KEPT: usize = 2_048;
/// No column: all lanes hold the same word.
const NONE: u32 = u32::MAX;

/// A stack item of all lanes of a path. It is never changed, only replaced, so that paths can share it; what it holds for
/// lanes of other paths is of no account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    word: U256,
    column: u32,
}

impl Value {
    /// The same word in all lanes.
    #[inline(always)]
    pub fn uniform(word: U256) -> Self {
        Self { word, column: NONE }
    }

    /// The same small number in all lanes.
    #[inline(always)]
    pub fn small(number: impl Into<u64>) -> Self {
        Self::uniform(U256([number.into(), 0, 0, 0]))
    }

    /// The word, if it is the same in all lanes.
    #[inline(always)]
    pub fn word(&self) -> Option<&U256> {
        (self.column == NONE).then_some(&self.word)
    }

    /// Whether both are the same column.
    pub fn is_same_column(&self, other: &Self) -> bool {
        self.column == other.column
    }

    #[inline(always)]
    fn is_uniform(&self) -> bool {
        self.column == NONE
    }
}

/// The columns that paths refer to, counted, and reused.
pub(super) struct Columns {
    /// Boxed, so that what was written to `next` is taken over without copying it.
    #[expect(clippy::vec_box)]
    columns: Vec<Box<Column>>,
    references: Vec<u32>,
    vacant: Vec<u32>,
    /// What is written next.
    pub next: Box<Column>,
    /// Uniform operands, spread out.
    spread: [Box<Column>; 2],
    pub spare: Option<Box<Column>>,
}

/// Takes a column or a spread word.
macro_rules! operand {
    ($columns:expr, $simd:expr, $value:expr, $spread:expr) => {
        if $value.is_uniform() {
            $simd.broadcast(&$value.word.0, $spread);
            &**$spread
        } else {
            &*$columns[$value.column as usize]
        }
    };
}

impl Columns {
    pub fn new() -> Self {
        Self {
            columns: Vec::new(),
            references: Vec::new(),
            vacant: Vec::new(),
            next: Column::zeros(),
            spread: [Column::zeros(), Column::zeros()],
            spare: None,
        }
    }

    /// Columns that something refers to.
    #[cfg(test)]
    pub fn in_use(&self) -> usize {
        self.columns.len() - self.vacant.len()
    }

    /// Gives memory back that few groups need. Only while nothing refers to a column.
    pub fn trim(&mut self) {
        if self.columns.len() > KEPT {
            *self = Self::new();
        }
    }

    /// Makes a value of what was written to `next`.
    pub fn keep(&mut self) -> Value {
        let column = match self.vacant.pop() {
            Some(column) => column,
            None => {
                self.columns.push(Column::zeros());
                self.references.push(0);
                self.columns.len() as u32 - 1
            }
        };
        std::mem::swap(&mut self.columns[column as usize], &mut self.next);
        self.references[column as usize] = 1;
        Value { word: U256::zero(), column }
    }

    /// Likewise, but uniform where the lanes of the mask are equal.
    pub fn keep_uniform(&mut self, simd: Simd, mask: Mask) -> Value {
        let first = self.next.get(mask.trailing_zeros() as usize);
        if simd.is_uniform(&self.next, &first.0, mask) { Value::uniform(first) } else { self.keep() }
    }

    /// Makes a value uniform where the lanes of the mask agree on it.
    #[inline(always)]
    pub fn settle(&mut self, simd: Simd, mask: Mask, value: &mut Value) {
        if value.is_uniform() {
            return;
        }
        let column = &self.columns[value.column as usize];
        let first = column.get(mask.trailing_zeros() as usize);
        if simd.is_uniform(column, &first.0, mask) {
            self.release(value);
            *value = Value::uniform(first);
        }
    }

    /// The column of a value that has one.
    pub fn column(&self, value: &Value) -> &Column {
        &self.columns[value.column as usize]
    }

    /// The word of a lane.
    #[inline(always)]
    pub fn get(&self, value: &Value, lane: usize) -> U256 {
        if value.is_uniform() { value.word } else { self.columns[value.column as usize].get(lane) }
    }

    /// The words of a lane, and where the next column is written.
    #[inline(always)]
    pub fn operands<const N: usize>(&mut self, values: &[Value; N], lane: usize) -> ([U256; N], &mut Column) {
        (std::array::from_fn(|i| self.get(&values[i], lane)), &mut self.next)
    }

    /// One more refers to it.
    #[inline(always)]
    pub fn share(&mut self, value: &Value) {
        if !value.is_uniform() {
            self.references[value.column as usize] += 1;
        }
    }

    /// One less refers to it.
    #[inline(always)]
    pub fn release(&mut self, value: &Value) {
        if !value.is_uniform() {
            let references = &mut self.references[value.column as usize];
            *references -= 1;
            if *references == 0 {
                self.vacant.push(value.column);
            }
        }
    }

    /// A function of one column, which must not be uniform.
    pub fn unary(&mut self, f: impl FnOnce(&Column, &mut Column), a: &Value) -> Value {
        f(&self.columns[a.column as usize], &mut self.next);
        self.keep()
    }

    /// A function of two columns.
    pub fn binary(
        &mut self,
        simd: Simd,
        f: impl FnOnce(Simd, &Column, &Column, &mut Column),
        a: &Value,
        b: &Value,
    ) -> Value {
        let Self { columns, next, spread: [first, second], .. } = self;
        f(simd, operand!(columns, simd, a, first), operand!(columns, simd, b, second), next);
        self.keep()
    }

    /// The lanes of a mask that hold something else than zero.
    pub fn nonzero(&self, simd: Simd, value: &Value, mask: Mask) -> Mask {
        if value.is_uniform() {
            return if value.word.is_zero() { 0 } else { mask };
        }
        simd.nonzero(&self.columns[value.column as usize]) & mask
    }

    /// Of two values one: lanes of the mask have the first. Both are used up.
    fn blend(&mut self, simd: Simd, mask: Mask, a: Value, b: Value) -> Value {
        if a.column == b.column && (!a.is_uniform() || a.word == b.word) {
            self.release(&b);
            return a;
        }
        let blended = self.binary(simd, |simd, a, b, out| simd.blend(mask, a, b, out), &a, &b);
        self.release(&a);
        self.release(&b);
        blended
    }
}

/// Copies of fewer bytes leave the memories of all lanes in the first-level cache.
const LARGE_COPY: u64 = 1024;
/// So many copied bytes are not much yet.
const MUCH_COPIED: u64 = 64 << 10;
/// So many copied bytes cost as much as a dispatch for each instruction saves, as measured with copies of 4 KiB.
const COPIED_A_STEP: u64 = 64;

/// Lanes at the same place.
#[derive(Debug)]
pub(super) struct Path {
    pub lanes: Mask,
    /// The decoded instruction that comes next, which starts a block.
    pub ip: usize,
    pub stack: Vec<Value>,
    pub words: Words,
    pub storage: StorageWords,
    /// Gas that every lane of the path has still to pay.
    pub gas: u64,
    /// No lane has less than this left when it has paid.
    pub room: u64,
    /// Instructions that every lane of the path has still to count.
    pub steps: u64,
    /// No lane may execute fewer than this when it has counted them.
    pub left: u64,
    /// Blocks that it was executed with few lanes.
    pub thin: u32,
    /// Bytes of large copies that each lane made, of those that are the same for all.
    pub copied: u64,
}

impl Path {
    pub fn new(lanes: Mask, ip: usize) -> Self {
        Self {
            lanes,
            ip,
            stack: Vec::with_capacity(32),
            words: Words::fresh(),
            storage: StorageWords::default(),
            gas: 0,
            room: 0,
            steps: 0,
            left: 0,
            thin: 0,
            copied: 0,
        }
    }

    /// The item `depth` below the top.
    #[inline(always)]
    pub fn peek(&self, depth: usize) -> Value {
        self.stack[self.stack.len() - 1 - depth]
    }

    /// Counts a copy of so many bytes. If copies are most of what the lanes do, the next block looks at that.
    pub fn copy(&mut self, size: &Value) {
        if size.is_uniform() && size.word >= U256::from(LARGE_COPY) {
            self.copied = self.copied.saturating_add(word::to_u64_saturating(&size.word));
            if self.mostly_copies() {
                self.room = 0;
            }
        }
    }

    /// Whether its lanes had better go on one after another: where each of them moves much memory, that of all of them does not fit the
    /// first-level cache, and what a dispatch for all saves is less than what that costs.
    pub fn mostly_copies(&self) -> bool {
        self.copied >= MUCH_COPIED && self.copied / COPIED_A_STEP > self.steps
    }

    /// Parts with some of its lanes, which go to `ip`. No word is late.
    pub fn split(&mut self, columns: &mut Columns, lanes: Mask, ip: usize) -> Self {
        self.lanes &= !lanes;
        for value in &self.stack {
            columns.share(value);
        }
        self.words.release(columns);
        self.storage.release(columns);
        let words = Words::reaching(self.words.reach);
        Self {
            words,
            storage: StorageWords::default(),
            lanes,
            ip,
            stack: self.stack.clone(),
            gas: self.gas,
            room: self.room,
            steps: self.steps,
            left: self.left,
            thin: 0,
            copied: self.copied,
        }
    }

    /// Whether both are the same but for their lanes.
    pub fn meets(&self, other: &Self) -> bool {
        self.stack.len() == other.stack.len()
    }

    /// Pays and counts what it has still to.
    pub fn settle(&mut self, simd: Simd, seats: &mut [Executor], gas: &mut Limb) {
        simd.spend(gas, self.gas, self.lanes);
        for lane in lanes(self.lanes) {
            seats[lane].lane.steps += self.steps;
        }
        (self.gas, self.steps, self.copied) = (0, 0, 0);
    }

    /// Takes over the lanes of a path at the same place, with as many stack items. Both have settled, and know no words.
    pub fn join(&mut self, simd: Simd, columns: &mut Columns, mut other: Self) {
        for (mine, others) in self.stack.iter_mut().zip(other.stack.drain(..)) {
            *mine = columns.blend(simd, other.lanes, others, *mine);
        }
        self.lanes |= other.lanes;
        self.room = self.room.min(other.room);
        self.left = self.left.min(other.left);
        self.words.meet(&other.words);
        self.thin = 0;
    }

    /// Forgets its stack.
    pub fn release(&mut self, columns: &mut Columns) {
        for value in self.stack.drain(..) {
            columns.release(&value);
        }
        self.words.release(columns);
        self.storage.release(columns);
    }
}

/// The lanes of a mask.
#[inline(always)]
pub(super) fn lanes(mut mask: Mask) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (mask != 0).then(|| {
            let lane = mask.trailing_zeros() as usize & (LANES - 1);
            mask &= mask - 1;
            lane
        })
    })
}
