//! Memory by words: what paths store and have not written to the memories of their lanes yet, and what they know of them.
//!
//! Most of what code stores, it stores at the same aligned place in all lanes, and hashes or loads again: then the word need
//! not become the bytes of each lane. Sizes and their gas are never late: only contents are.

use super::path::{Columns, Path, Value, lanes};
use super::run::Runner;
use super::simd::{Column, Mask, Part, Simd};
use crate::crypto;
use isolane_spec::gas::memory_cost;
use isolane_spec::{U256, word};

/// Words beyond this are bytes at once.
const MOST: usize = 1 << 20;
/// Words that are hashed as columns: they fill less than a block of Keccak.
const HASHED: usize = 4;
/// Hashes that are remembered.
const REMEMBERED: usize = 8;

/// What is known of one word.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    value: Option<Value>,
    /// Whether the lanes' memories do not have it yet.
    dirty: bool,
    /// Whether its number is in the list of known words, and in that of dirty ones.
    listed: bool,
    listed_dirty: bool,
}

impl Word {
    /// Becomes a copy of another word, which is known or blank.
    #[inline(always)]
    fn copy(
        &mut self,
        from: Option<Value>,
        number: usize,
        columns: &mut Columns,
        known: &mut Vec<u32>,
        dirty: &mut Vec<u32>,
    ) {
        let value = from.unwrap_or(Value::uniform(U256::zero()));
        columns.share(&value);
        if let Some(old) = self.value.replace(value) {
            columns.release(&old);
        }
        self.dirty = true;
        if !(self.listed && self.listed_dirty) {
            self.list(number, known, Some(dirty));
        }
    }

    /// Puts its number in the list of known words, and of dirty ones where it is one.
    #[inline(never)]
    fn list(&mut self, number: usize, known: &mut Vec<u32>, dirty: Option<&mut Vec<u32>>) {
        if !std::mem::replace(&mut self.listed, true) {
            known.push(number as u32);
        }
        if let Some(dirty) = dirty
            && !std::mem::replace(&mut self.listed_dirty, true)
        {
            dirty.push(number as u32);
        }
    }
}

/// The words of one path.
#[derive(Debug, Default)]
pub(super) struct Words {
    words: Vec<Word>,
    /// Numbers of all words that are known, and others.
    known: Vec<u32>,
    /// Numbers of all words that are dirty, and others.
    dirty: Vec<u32>,
    /// No lane's memory is shorter than this.
    pub reach: u64,
    /// The size of all lanes' memories, where it is known and the same.
    size: Option<u64>,
    /// Whether their memories have still to grow to that.
    late: bool,
    /// From this word on the memories of all lanes are zero but for words that are known.
    blank: usize,
}

impl Words {
    /// None known; no lane's memory is shorter than `reach`.
    pub fn reaching(reach: u64) -> Self {
        Self { reach, blank: usize::MAX, ..Self::default() }
    }

    /// Of a frame that starts: no memory.
    pub fn fresh() -> Self {
        Self { size: Some(0), ..Self::default() }
    }

    /// What a word of memory that all lanes have holds, if that is known.
    fn get(&self, number: usize) -> Option<Value> {
        let known = self.words.get(number).and_then(|word| word.value);
        let blank = number >= self.blank && (number as u64 + 1) * 32 <= self.reach;
        known.or_else(|| blank.then(|| Value::uniform(U256::zero())))
    }

    /// Sets a word. The reference to the value is taken over.
    #[inline(always)]
    fn set(&mut self, columns: &mut Columns, number: usize, value: Value, dirty: bool) {
        if self.words.len() <= number {
            self.words.resize(number + 1, Word::default());
        }
        let Some(word) = self.words.get_mut(number) else { return };
        if let Some(old) = word.value.replace(value) {
            columns.release(&old);
        }
        word.dirty |= dirty;
        if !word.listed || (dirty && !word.listed_dirty) {
            word.list(number, &mut self.known, dirty.then_some(&mut self.dirty));
        }
    }

    /// Whether all of some words are known, which the lanes' memories have.
    fn are_known(&self, mut numbers: std::ops::Range<usize>) -> bool {
        numbers.start >= self.blank || numbers.all(|number| self.get(number).is_some())
    }

    /// Copies words, all of which are known, to as many others.
    #[inline(never)]
    fn copy(&mut self, columns: &mut Columns, targets: std::ops::Range<usize>, sources: std::ops::Range<usize>) {
        let end = targets.end.max(sources.end);
        if self.words.len() < end {
            self.words.resize(end, Word::default());
        }
        let Self { words, known, dirty, .. } = self;
        if targets.start.abs_diff(sources.start) >= sources.len() {
            let (low, high) = words.split_at_mut(targets.start.max(sources.start));
            let (from, to) = match targets.start > sources.start {
                true => (&low[sources], &mut high[..targets.len()]),
                false => (&high[..sources.len()], &mut low[targets.clone()]),
            };
            from.iter()
                .zip(to)
                .zip(targets)
                .for_each(|((from, to), number)| to.copy(from.value, number, columns, known, dirty));
            return;
        }
        let upwards = targets.start > sources.start;
        let count = sources.len();
        for index in 0..count {
            // None is overwritten before it was copied.
            let index = if upwards { count - 1 - index } else { index };
            let from = words[sources.start + index].value;
            let number = targets.start + index;
            words[number].copy(from, number, columns, known, dirty);
        }
    }

    /// What is known of the memories of lanes that joined, of which no word is known.
    pub fn meet(&mut self, other: &Self) {
        self.reach = self.reach.min(other.reach);
        self.blank = self.blank.max(other.blank);
    }

    /// Forgets all words.
    pub fn release(&mut self, columns: &mut Columns) {
        for number in self.known.drain(..) {
            if let Some(word) = self.words.get_mut(number as usize)
                && let Some(value) = std::mem::take(word).value
            {
                columns.release(&value);
            }
        }
        self.dirty.clear();
    }
}

/// A range of memory: the same in all lanes, or of each lane its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Range {
    Same { offset: u64, len: u64 },
    Own,
}

impl Range {
    pub fn new(offset: &Value, len: &Value) -> Self {
        match (offset.word(), len.word()) {
            (_, Some(len)) if len.is_zero() => Self::Same { offset: 0, len: 0 },
            (Some(offset), Some(len)) => {
                Self::Same { offset: word::to_u64_saturating(offset), len: word::to_u64_saturating(len) }
            }
            _ => Self::Own,
        }
    }

    /// `len` bytes.
    pub fn fixed(offset: &Value, len: u64) -> Self {
        match offset.word() {
            Some(offset) => Self::Same { offset: word::to_u64_saturating(offset), len },
            None => Self::Own,
        }
    }

    /// The numbers of the words that it touches, up to `end`; `None` for all.
    fn numbers(self, end: usize) -> Option<std::ops::Range<usize>> {
        let Self::Same { offset, len } = self else { return None };
        if len == 0 {
            return Some(0..0);
        }
        let last = offset.saturating_add(len).div_ceil(32).min(end as u64);
        Some((offset / 32).min(last) as usize..last as usize)
    }

    /// The numbers of its words, where it consists of few whole ones.
    fn whole_words(self) -> Option<std::ops::Range<usize>> {
        let Self::Same { offset, len } = self else { return None };
        let (first, count) = (offset / 32, len / 32);
        let whole = offset % 32 == 0 && len % 32 == 0 && first.checked_add(count)? <= MOST as u64;
        whole.then(|| first as usize..(first + count) as usize)
    }
}

/// What was hashed, for which lanes, and the hash.
struct Hash {
    lanes: Mask,
    words: Vec<Value>,
    hash: Value,
}

/// The last hashes of a group.
#[derive(Default)]
pub(super) struct Hashes {
    hashes: Vec<Hash>,
    next: usize,
}

impl Hashes {
    /// Forgets all.
    pub fn release(&mut self, columns: &mut Columns) {
        for hash in self.hashes.drain(..) {
            hash.words.iter().chain([&hash.hash]).for_each(|value| columns.release(value));
        }
        self.next = 0;
    }

    fn add(&mut self, columns: &mut Columns, hash: Hash) {
        hash.words.iter().chain([&hash.hash]).for_each(|value| columns.share(value));
        if self.hashes.len() < REMEMBERED {
            self.hashes.push(hash);
            return;
        }
        if let Some(place) = self.hashes.get_mut(self.next) {
            let old = std::mem::replace(place, hash);
            old.words.iter().chain([&old.hash]).for_each(|value| columns.release(value));
        }
        self.next = (self.next + 1) % REMEMBERED;
    }
}

impl Runner<'_> {
    /// MLOAD at a place that all lanes share; `None` where the lanes' own memories have to answer.
    pub(super) fn load_word(&mut self, path: &Path, offset: &U256) -> Option<Value> {
        let number = aligned(offset)?;
        let value = path.words.get(number)?;
        self.columns.share(&value);
        Some(value)
    }

    /// What an MLOAD at a place that all lanes share has found in their memories.
    pub(super) fn know_word(&mut self, path: &mut Path, offset: &U256, value: &Value) {
        let Some(number) = aligned(offset) else { return };
        path.words.reach = path.words.reach.max(number as u64 * 32 + 32);
        self.columns.share(value);
        path.words.set(self.columns, number, *value, false);
    }

    /// The number of the whole word at a place that all lanes share.
    pub(super) fn word_number(offset: &Value) -> Option<usize> {
        offset.word().and_then(aligned)
    }

    /// The end of an MSTORE of a whole word, where all lanes have memory by now.
    pub(super) fn store_word(&mut self, path: &mut Path, offset: &Value, value: &Value) {
        if let Some(number) = Self::word_number(offset) {
            self.columns.share(value);
            path.words.set(self.columns, number, *value, true);
        }
    }

    /// Before a call, which reads one range of the memory and writes another. While others wait, who may join before it
    /// goes on, nothing stays late.
    pub(super) fn write_back_for_call(&mut self, path: &mut Path, reads: Range, writes: Range) {
        path.storage.release(self.columns);
        if self.waiting.is_empty() {
            self.write_back(path, reads);
            self.forget(path, writes);
        } else {
            self.forget(path, Range::Own);
        }
    }

    /// Makes the memories of all lanes grow to `end` at once, if they have the same size and the path can pay for it as a
    /// whole. No budget forbids it: environments that have one are not executed in groups.
    pub(super) fn grow(&mut self, path: &mut Path, end: u64) -> bool {
        let size = match path.words.size {
            Some(size) => size,
            None => {
                let size = |lane: usize| self.seats[lane].frames[self.depth].memory.len() as u64;
                let first = size(path.lanes.trailing_zeros() as usize);
                if !lanes(path.lanes).all(|lane| size(lane) == first) {
                    return false;
                }
                path.words.size = Some(first);
                first
            }
        };
        if end <= size {
            path.words.reach = path.words.reach.max(size);
            return true;
        }
        let cost = memory_cost(end.div_ceil(32)) - memory_cost(size / 32);
        if path.room < cost {
            return false;
        }
        path.room -= cost;
        path.gas += cost;
        let size = end.next_multiple_of(32);
        (path.words.size, path.words.late) = (Some(size), true);
        path.words.reach = path.words.reach.max(size);
        true
    }

    /// The size of all lanes' memories, where it is known and the same.
    pub(super) fn memory_size(&self, path: &Path) -> Option<u64> {
        path.words.size
    }

    /// Writes what is late to the memories of the lanes, as far as a range touches it.
    pub(super) fn write_back(&mut self, path: &mut Path, range: Range) {
        if std::mem::take(&mut path.words.late)
            && let Some(size) = path.words.size
        {
            for lane in lanes(path.lanes) {
                self.seats[lane].frames[self.depth].memory.extend(size as usize);
            }
        }
        // What comes now may make some of them grow.
        path.words.size = None;
        if path.words.dirty.is_empty() {
            return;
        }
        match range.numbers(path.words.words.len()) {
            Some(numbers) => numbers.for_each(|number| self.write_back_word(path, number)),
            None => {
                let mut dirty = std::mem::take(&mut path.words.dirty);
                for number in dirty.drain(..) {
                    self.write_back_word(path, number as usize);
                    if let Some(word) = path.words.words.get_mut(number as usize) {
                        word.listed_dirty = false;
                    }
                }
                path.words.dirty = dirty;
            }
        }
    }

    fn write_back_word(&mut self, path: &mut Path, number: usize) {
        let Some(word) = path.words.words.get_mut(number) else { return };
        let Some(value) = word.value.filter(|_| std::mem::take(&mut word.dirty)) else { return };
        for lane in lanes(path.lanes) {
            let bytes = self.columns.get(&value, lane);
            self.seats[lane].frames[self.depth].memory.store(number * 32, &bytes);
        }
    }

    /// Writes what is late, and forgets the words that a range touches: it is about to be written.
    pub(super) fn forget(&mut self, path: &mut Path, range: Range) {
        self.write_back(path, range);
        path.words.blank = path.words.blank.max(range.numbers(usize::MAX).map_or(usize::MAX, |numbers| numbers.end));
        match range.numbers(path.words.words.len()) {
            Some(numbers) => {
                for word in path.words.words.get_mut(numbers).unwrap_or_default() {
                    if let Some(value) = word.value.take() {
                        self.columns.release(&value);
                    }
                }
            }
            None => path.words.release(self.columns),
        }
    }

    /// MCOPY of whole words that are known, if the path can pay for it as a whole: no byte is moved before somebody needs it. Returns
    /// whether it was done.
    #[inline(never)]
    pub(super) fn copy_words(&mut self, path: &mut Path, [target, source, size]: [&Value; 3]) -> bool {
        let (Some(targets), Some(sources)) =
            (Range::new(target, size).whole_words(), Range::new(source, size).whole_words())
        else {
            return false;
        };
        let end = targets.end.max(sources.end) as u64 * 32;
        let lane = path.lanes.trailing_zeros() as usize;
        let cost = sources.len() as u64 * u64::from(self.seats[lane].lane.schedule.copy_word);
        // Where the rest cannot pay for it, the lanes find out by themselves, in memory that they have paid for.
        let there = end <= path.words.reach || self.grow(path, end);
        if !there || path.room < cost || !path.words.are_known(sources.clone()) {
            return false;
        }
        path.room -= cost;
        path.gas += cost;
        path.words.copy(self.columns, targets, sources);
        true
    }

    /// The hash of a few whole words that are known, if the path can pay for it as a whole.
    pub(super) fn hash_words(&mut self, path: &mut Path, offset: &Value, len: &Value) -> Option<Value> {
        let range = Range::new(offset, len);
        let numbers = range.whole_words()?;
        let count = numbers.len();
        if count == 0 || count > HASHED || numbers.end as u64 * 32 > path.words.reach {
            return None;
        }
        let lane = path.lanes.trailing_zeros() as usize;
        let cost = count as u64 * u64::from(self.seats[lane].lane.schedule.keccak_word);
        if path.room < cost {
            return None;
        }
        let mut words = Vec::with_capacity(count);
        for number in numbers {
            words.push(path.words.get(number)?);
        }
        path.room -= cost;
        path.gas += cost;
        let equal = |hash: &&Hash| {
            path.lanes & !hash.lanes == 0
                && hash.words.len() == count
                && hash.words.iter().zip(&words).all(|(a, b)| self.columns.equal(self.simd, path.lanes, a, b))
        };
        if let Some(known) = self.hashes.hashes.iter().find(equal) {
            let hash = known.hash;
            self.columns.share(&hash);
            return Some(hash);
        }
        let hash = self.columns.hash(self.simd, path.lanes, &words);
        self.hashes.add(self.columns, Hash { lanes: path.lanes, words, hash });
        Some(hash)
    }
}

/// The number of an aligned word that is not far out.
fn aligned(offset: &U256) -> Option<usize> {
    let offset = word::to_u64(offset)?;
    (offset.is_multiple_of(32) && offset / 32 < MOST as u64).then_some((offset / 32) as usize)
}

impl Columns {
    /// Whether two values are equal in the lanes of a mask.
    fn equal(&self, simd: Simd, mask: Mask, a: &Value, b: &Value) -> bool {
        match (a.word(), b.word()) {
            (Some(a), Some(b)) => a == b,
            (Some(word), None) => simd.is_uniform(self.column(b), &word.0, mask),
            (None, Some(word)) => simd.is_uniform(self.column(a), &word.0, mask),
            (None, None) => a.is_same_column(b) || simd.is_equal(self.column(a), self.column(b), mask),
        }
    }

    /// The hash of a few words of each lane of a mask.
    fn hash(&mut self, simd: Simd, mask: Mask, words: &[Value]) -> Value {
        if words.iter().all(|value| value.word().is_some()) {
            let bytes: Vec<u8> = words.iter().flat_map(|value| word::to_be(&self.get(value, 0))).collect();
            return Value::uniform(word::from_hash(&crypto::keccak256(&bytes)));
        }
        let mut out = self.spare.take().unwrap_or_else(Column::zeros);
        let parts: Vec<Part<'_>> = words
            .iter()
            .map(|value| match value.word() {
                Some(word) => Part::Word(word),
                None => Part::Column(self.column(value)),
            })
            .collect();
        simd.keccak256_words(&parts, mask, &mut out);
        std::mem::swap(&mut out, &mut self.next);
        self.spare = Some(out);
        self.keep()
    }
}
