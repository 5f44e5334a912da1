//! Decoded code on the device: one instruction word a byte, so that the step kernel needs one load to know opcode, gas and
//! stack bounds. Immediates lie as limbs in the words behind their PUSH. Cached by hash and edition.

use crate::edition::Edition;
use crate::pack::{address_limbs, push_bytes};
use isolane_spec::layout::{self, NO_CODE, STREAM_PADDING, code};
use isolane_spec::opcode::op;
use isolane_spec::{H160, H256};
use std::collections::HashMap;

/// Words at the start: the code of accounts without code stops at once.
const FIRST: usize = 64;
/// The instruction word of STOP, in every fork: what lies behind the end of a code.
const STOP: u32 = layout::queue::FRAME << 29;

/// Decoded code, in the order of its arrival.
pub(crate) struct CodeStore {
    words: Vec<u32>,
    by_hash: HashMap<(H256, Edition), u32>,
    /// Words that the device has.
    sent: usize,
}

impl CodeStore {
    pub fn new() -> Self {
        Self { words: vec![STOP; FIRST], by_hash: HashMap::new(), sent: 0 }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// All words are to be sent again.
    pub fn resend(&mut self) {
        self.sent = 0;
    }

    /// Words in all.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// All words, for a buffer of another size.
    pub fn all(&mut self) -> &[u32] {
        self.sent = self.words.len();
        &self.words
    }

    /// What the device does not have yet, and where it goes.
    pub fn unsent(&mut self) -> (usize, &[u32]) {
        let start = std::mem::replace(&mut self.sent, self.words.len());
        (start, &self.words[start..])
    }

    /// The header of a code that is there already.
    pub fn find(&self, hash: &H256, edition: Edition) -> Option<u32> {
        self.by_hash.get(&(*hash, edition)).copied()
    }

    /// The header of a code.
    pub fn add(&mut self, hash: H256, edition: Edition, bytes: &[u8]) -> u32 {
        if bytes.is_empty() {
            return NO_CODE;
        }
        if let Some(known) = self.find(&hash, edition) {
            return known;
        }
        let header = self.push(edition, bytes);
        self.by_hash.insert((hash, edition), header);
        header
    }

    /// The header of a code that is not worth a place in the cache: initcode.
    pub fn push(&mut self, edition: Edition, bytes: &[u8]) -> u32 {
        if bytes.is_empty() {
            return NO_CODE;
        }
        let header = self.words.len();
        let stream = header + code::SIZE as usize;
        self.words.resize(stream, 0);
        let mut bitmap = vec![0u32; bytes.len().div_ceil(32)];
        let mut pc = 0;
        while let Some(&byte) = bytes.get(pc) {
            self.words.push(edition.instruction(byte));
            let mut next = pc + 1;
            if byte == op::JUMPDEST {
                bitmap[pc / 32] |= 1 << (pc % 32);
            } else if (op::PUSH1..=op::PUSH32).contains(&byte) {
                let len = usize::from(byte - op::PUSH0);
                next += len;
                // What lies beyond the end reads as zero.
                let mut immediate = [0u8; 32];
                let there = &bytes[pc + 1..bytes.len().min(next)];
                immediate[32 - len..32 - len + there.len()].copy_from_slice(there);
                let limbs = immediate.rchunks(4).take(len.div_ceil(4));
                self.words.extend(limbs.map(|limb| limb.iter().fold(0, |word, &byte| word << 8 | u32::from(byte))));
                self.words.resize(stream + next, 0);
            }
            pc = next;
        }
        self.words.resize(stream + bytes.len().max(pc) + STREAM_PADDING, STOP);
        let at = self.words.len();
        push_bytes(&mut self.words, bytes);
        let map = self.words.len();
        self.words.extend(bitmap);
        let delegate = delegation(bytes);
        let mut set = |field: u32, word: usize| self.words[header + field as usize] = word as u32;
        set(code::LEN, bytes.len());
        set(code::STREAM, stream);
        set(code::BYTES, at);
        set(code::BITMAP, map);
        if let Some(address) = delegate {
            set(code::DELEGATES, 1);
            for (i, limb) in address_limbs(&address).into_iter().enumerate() {
                set(code::DELEGATE + i as u32, limb as usize);
            }
        }
        header as u32
    }
}

/// What a delegation designator (EIP-7702) points to.
fn delegation(code: &[u8]) -> Option<H160> {
    (code.len() == 23 && code.starts_with(&[0xef, 0x01, 0x00])).then(|| H160::from_slice(&code[3..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_spec::Fork;

    #[test]
    fn immediates_follow_their_push() {
        let mut store = CodeStore::new();
        let bytes = [op::PUSH5, 1, 2, 3, 4, 5, op::JUMPDEST, op::PUSH2, 0x5b];
        let header = store.add(H256::repeat_byte(1), Edition::fork(Fork::Prague), &bytes) as usize;
        let stream = store.words[header + code::STREAM as usize] as usize;
        assert_eq!(store.words[stream] & 0xff, u32::from(op::PUSH5));
        assert_eq!(store.words[stream + 1..stream + 3], [0x0203_0405, 1]);
        assert_eq!(store.words[stream + 6] & 0xff, u32::from(op::JUMPDEST));
        // PUSH2 with one byte missing: 0x5b00.
        assert_eq!(store.words[stream + 8], 0x5b00);
        let map = store.words[header + code::BITMAP as usize] as usize;
        assert_eq!(store.words[map], 1 << 6);
        assert_eq!(store.add(H256::repeat_byte(1), Edition::fork(Fork::Prague), &bytes), header as u32);
        assert_ne!(store.add(H256::repeat_byte(1), Edition::fork(Fork::Osaka), &bytes), header as u32);
    }

    #[test]
    fn designators_say_where_they_point() {
        let mut store = CodeStore::new();
        let bytes = [&[0xef, 0x01, 0x00][..], &[7; 20]].concat();
        let header = store.push(Edition::fork(Fork::Prague), &bytes) as usize;
        assert_eq!(store.words[header + code::DELEGATES as usize], 1);
        assert_eq!(store.words[header + code::DELEGATE as usize], 0x0707_0707);
    }
}
