//! Where in the decoded instructions a jump to some byte continues.

use hashbrown::HashMap;

/// A place that is not decoded yet. No entry is the instruction 0.
pub(super) const UNDECODED: u32 = 0;

/// By byte of code, the instruction that a jump there continues at. Most of a code is never reached, and all of this has to be cleared for
/// the code to be decoded: it is as small as can be looked into at once.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// Those below 2¹⁶, which are all that code of up to 32 KiB has: an instruction a byte, and the start of a block before it.
    near: Vec<u16>,
    far: HashMap<usize, u32>,
}

impl Entries {
    /// For code of so many bytes. Until this is called there is none, and nothing is allocated.
    pub fn make_room(&mut self, bytes: usize) {
        if self.near.is_empty() {
            self.near = vec![UNDECODED as u16; bytes];
        }
    }

    /// The entry at `pc`, or [`UNDECODED`], if it is one of the near ones.
    #[inline(always)]
    pub fn near(&self, pc: usize) -> u32 {
        self.near.get(pc).copied().map_or(UNDECODED, u32::from)
    }

    /// The entry at `pc`, or [`UNDECODED`].
    pub fn find(&self, pc: usize) -> u32 {
        match self.near(pc) {
            UNDECODED if !self.far.is_empty() => self.far.get(&pc).copied().unwrap_or(UNDECODED),
            entry => entry,
        }
    }

    /// Sets the entry at `pc`, which is a byte of the code.
    pub fn set(&mut self, pc: usize, entry: u32) {
        match u16::try_from(entry) {
            Ok(entry) => self.near[pc] = entry,
            Err(_) => _ = self.far.insert(pc, entry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_there_and_nothing_else_is() {
        let bytes = 200_000;
        let mut entries = Entries::default();
        assert_eq!(entries.find(0), UNDECODED);
        entries.make_room(bytes);
        let mut expected = vec![UNDECODED; bytes];
        // From a near one to far ones.
        for (entry, pc) in (1..).zip((0..bytes).filter(|pc| pc % 2 == 0)) {
            entries.set(pc, entry);
            expected[pc] = entry;
        }
        entries.make_room(bytes);
        let found: Vec<u32> = (0..bytes).map(|pc| entries.find(pc)).collect();
        assert_eq!(found, expected);
        assert_eq!((entries.near(131_068), entries.near(131_070), entries.find(131_070)), (65_535, UNDECODED, 65_536));
        assert_eq!([bytes, usize::MAX].map(|pc| entries.find(pc)), [UNDECODED; 2]);
    }
}
