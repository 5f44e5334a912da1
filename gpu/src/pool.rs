//! The pool: what the host tells the lanes. A fixed part (instruction words, gas schedules, environments), one mail word a
//! lane, and ranges that come and go with transactions and messages.

use std::collections::HashMap;
use std::ops::Range;

/// Ranges this close together are sent as one.
const GAP: usize = 256;

pub(crate) struct Pool {
    words: Vec<u32>,
    /// Free ranges by their length, a power of two.
    free: HashMap<usize, Vec<usize>>,
    dirty: Vec<Range<usize>>,
    /// Where the mail words are.
    mail: Range<usize>,
}

impl Pool {
    /// A pool with this fixed part and mail for that many lanes.
    pub fn new(fixed: Vec<u32>, lanes: u32) -> Self {
        let mail = fixed.len()..fixed.len() + lanes as usize;
        let mut words = fixed;
        words.resize(mail.end, 0);
        let dirty = std::iter::once(0..words.len()).collect();
        Self { words, free: HashMap::new(), dirty, mail }
    }

    /// Words in all.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Where the mail words start.
    pub fn mail_at(&self) -> u32 {
        self.mail.start as u32
    }

    /// A place for words; [`Self::release`] takes it back.
    pub fn put(&mut self, words: &[u32]) -> u32 {
        let size = words.len().next_power_of_two().max(4);
        let at = self.free.get_mut(&size).and_then(Vec::pop).unwrap_or_else(|| {
            let at = self.words.len();
            self.words.resize(at + size, 0);
            at
        });
        self.words[at..at + words.len()].copy_from_slice(words);
        self.dirty.push(at..at + words.len());
        at as u32
    }

    /// Forgets words that [`Self::put`] placed, `len` of them.
    pub fn release(&mut self, at: u32, len: usize) {
        self.free.entry(len.next_power_of_two().max(4)).or_default().push(at as usize);
    }

    /// Changes one word.
    pub fn set(&mut self, at: u32, word: u32) {
        self.words[at as usize] = word;
        self.dirty.push(at as usize..at as usize + 1);
    }

    /// Tells a lane where its message is.
    pub fn send(&mut self, lane: u32, at: u32) {
        self.set(self.mail.start as u32 + lane, at);
    }

    /// Takes all mail back: each message is read once.
    pub fn clear_mail(&mut self) {
        self.words[self.mail.clone()].fill(0);
        self.dirty.push(self.mail.clone());
    }

    /// All words are to be sent again.
    pub fn resend(&mut self) {
        self.dirty = std::iter::once(0..self.words.len()).collect();
    }

    /// What the device does not have yet.
    pub fn unsent(&mut self) -> Vec<(usize, &[u32])> {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable_by_key(|range| range.start);
        let mut merged: Vec<Range<usize>> = Vec::new();
        for range in dirty {
            match merged.last_mut() {
                Some(last) if range.start <= last.end + GAP => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged.into_iter().map(|range| (range.start, &self.words[range])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_reused_and_sent_once() {
        let mut pool = Pool::new(vec![7; 10], 4);
        assert_eq!(pool.unsent(), [(0, &[7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 0][..])]);
        let a = pool.put(&[1, 2, 3]);
        assert_eq!(pool.unsent(), [(a as usize, &[1, 2, 3][..])]);
        pool.release(a, 3);
        assert_eq!(pool.put(&[4]), a);
        pool.send(2, a);
        assert_eq!(pool.unsent().len(), 1, "close together");
        assert!(pool.unsent().is_empty());
    }
}
