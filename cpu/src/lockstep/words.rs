//! Memory by words: what paths store and have not written to the memories of their lanes yet, and what they know of them.
//!
//! Most of what code stores, it stores at the same aligned place in all lanes, and hashes or loads again: then the word need
//! not become the bytes of each lane. Sizes and their gas are never late: only contents are.

use super::path::{Columns, Path, Value, lanes};
use super::run::Runner;
use super::simd::{Column, Mask, Part, Simd};
use crate::crypto;
use isolane_spec::{U256, word};

/// Words beyond this are bytes at once.
const MOST: usize = 4_096;
/// Words that are hashed as columns: they fill less than a block of Keccak.
const HASHED: usize = 4;
/// Hashes that are remembered.
const REMEMBERED: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Word {
    value: Value,
    /// Whether the lanes' memories do not have it yet.
    dirty: bool,
}

/// The words of one path.
#[derive(Debug, Default)]
pub(super) struct Words {
    words: Vec<Option<Word>>,
    /// Numbers of words that may be dirty.
    dirty: Vec<u32>,
    /// Numbers of words that may be known.
    known: Vec<u32>,
    /// No lane's memory is shorter than this.
    pub reach: u64,
}

impl Words {
    /// None known; no lane's memory is shorter than `reach`.
    pub fn reaching(reach: u64) -> Self {
        Self { reach, ..Self::default() }
    }

    fn get(&self, number: usize) -> Option<&Value> {
        self.words.get(number)?.as_ref().map(|word| &word.value)
    }

    /// Sets a word. The reference to the value is taken over.
    fn set(&mut self, columns: &mut Columns, number: usize, value: Value, dirty: bool) {
        if self.words.len() <= number {
            self.words.resize(number + 1, None);
        }
        let Some(place) = self.words.get_mut(number) else { return };
        match place.replace(Word { value, dirty }) {
            Some(old) => {
                columns.release(&old.value);
                if dirty && !old.dirty {
                    self.dirty.push(number as u32);
                }
            }
            None => {
                self.known.push(number as u32);
                if dirty {
                    self.dirty.push(number as u32);
                }
            }
        }
    }

    /// Forgets all words.
    pub fn release(&mut self, columns: &mut Columns) {
        for number in self.known.drain(..) {
            if let Some(word) = self.words.get_mut(number as usize).and_then(Option::take) {
                columns.release(&word.value);
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

    /// Whether it touches a word.
    fn touches(self, number: u32) -> bool {
        match self {
            Self::Own => true,
            Self::Same { offset, len } => {
                let start = u64::from(number) * 32;
                len > 0 && start < offset.saturating_add(len) && start + 32 > offset
            }
        }
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
        let value = *path.words.get(number)?;
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
        if self.waiting.is_empty() {
            self.write_back(path, reads);
            self.forget(path, writes);
        } else {
            self.forget(path, Range::Own);
        }
    }

    /// Writes what is late to the memories of the lanes, as far as a range touches it.
    pub(super) fn write_back(&mut self, path: &mut Path, range: Range) {
        if path.words.dirty.is_empty() {
            return;
        }
        let mut dirty = std::mem::take(&mut path.words.dirty);
        dirty.retain(|&number| {
            let Some(Some(word)) = path.words.words.get_mut(number as usize) else { return false };
            if !word.dirty {
                return false;
            }
            if !range.touches(number) {
                return true;
            }
            word.dirty = false;
            let offset = number as usize * 32;
            for lane in lanes(path.lanes) {
                let bytes = self.columns.get(&word.value, lane);
                self.seats[lane].frames[self.depth].memory.store(offset, &bytes);
            }
            false
        });
        path.words.dirty = dirty;
    }

    /// Writes what is late, and forgets the words that a range touches: it is about to be written.
    pub(super) fn forget(&mut self, path: &mut Path, range: Range) {
        self.write_back(path, range);
        let Self { columns, .. } = self;
        let words = &mut path.words.words;
        path.words.known.retain(|&number| {
            let touched = range.touches(number);
            if touched && let Some(word) = words.get_mut(number as usize).and_then(Option::take) {
                columns.release(&word.value);
            }
            !touched
        });
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
            words.push(*path.words.get(number)?);
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
