//! Finds the entries of a journal: few of them by tags that lie side by side, more by hashing.

use hashbrown::HashTable;

/// So many entries are found by their tags: most transactions have no more accounts and no more slots.
const FEW: usize = 8;

/// The places of entries, which are numbered as they come.
#[derive(Debug)]
pub(super) struct Index {
    /// Part of the key of each of the first entries.
    tags: [u32; FEW],
    len: usize,
    /// All entries, once there are more than a few.
    table: HashTable<u32>,
}

impl Index {
    pub const fn new() -> Self {
        Self { tags: [0; FEW], len: 0, table: HashTable::new() }
    }

    /// Whether entries are found by their tags.
    #[inline(always)]
    pub const fn is_few(&self) -> bool {
        self.len <= FEW
    }

    /// The entry with this tag and hash that is the one that is asked for.
    #[inline(always)]
    pub fn find(&self, tag: u32, hash: impl FnOnce() -> u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        if !self.is_few() {
            return self.find_hashed(hash(), is_it);
        }
        // All at once: a loop that ends at the one that fits would be mispredicted.
        let mut fitting = 0_u32;
        for (i, other) in self.tags.iter().enumerate() {
            fitting |= u32::from(*other == tag) << i;
        }
        fitting &= (1 << self.len) - 1;
        while fitting != 0 {
            let entry = fitting.trailing_zeros();
            if is_it(entry) {
                return Some(entry);
            }
            fitting &= fitting - 1;
        }
        None
    }

    /// Apart, so that what looks for few stays small.
    #[inline(never)]
    fn find_hashed(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.table.find(hash, |&entry| is_it(entry)).copied()
    }

    /// Adds the next entry. `hash` is that of any entry, this one included.
    #[inline(always)]
    pub fn push(&mut self, tag: u32, hash: impl Fn(u32) -> u64) {
        match self.tags.get_mut(self.len) {
            Some(place) => *place = tag,
            None => self.push_more(hash),
        }
        self.len += 1;
    }

    #[inline(never)]
    fn push_more(&mut self, hash: impl Fn(u32) -> u64) {
        let first = if self.len == FEW { 0 } else { self.len };
        for entry in first as u32..=self.len as u32 {
            self.table.insert_unique(hash(entry), entry, |&entry| hash(entry));
        }
    }

    pub fn clear(&mut self) {
        if !self.is_few() {
            self.table.clear();
        }
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_among_few_and_among_many() {
        // Keys of which several share a tag, and all share a hash.
        for keys in [(0..40).map(|key| key * 7).collect::<Vec<u32>>(), vec![5, 5 + 256, 5 + 512, 9]] {
            let tag = |key: u32| key % 256;
            let mut index = Index::new();
            for round in 0..2 {
                for (entry, &key) in keys.iter().enumerate() {
                    let find = |index: &Index, key| index.find(tag(key), || 7, |entry| keys[entry as usize] == key);
                    assert_eq!(find(&index, key), None, "round {round}");
                    index.push(tag(key), |_| 7);
                    for (known, &key) in keys[..=entry].iter().enumerate() {
                        assert_eq!(find(&index, key), Some(known as u32));
                    }
                }
                index.clear();
            }
        }
    }
}
