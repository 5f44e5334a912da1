//! How a batch is split where a device cannot hold the states and the code of all its environments at once.

use isolane_spec::layout::{base_account, base_slot};
use isolane_spec::{Batch, Environment, H256};
use std::collections::HashSet;

/// Words on a device that the state of an environment takes: entries of the tables, and instruction words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// Of entries; open-addressed tables are up to four times as long.
    pub tables: usize,
    /// Of code.
    pub code: usize,
}

/// What a device has room for, by the words of its largest binding. The other half of each is for what lanes ask for.
pub(crate) fn room(limit_words: usize) -> Footprint {
    Footprint { tables: limit_words / 8, code: limit_words / 2 }
}

impl Footprint {
    /// What the state of an environment takes, where it says what it holds.
    pub fn of(environment: &Environment) -> Self {
        Self::besides(environment, &mut HashSet::new())
    }

    /// Likewise, without code that is among `known`, which learns of it.
    fn besides(environment: &Environment, known: &mut HashSet<H256>) -> Self {
        let Some(memory) = environment.state.memory() else { return Self::default() };
        let slots: usize = memory.accounts.values().map(|account| account.storage.len()).sum();
        let new = memory.codes.iter().filter(|(hash, _)| known.insert(**hash));
        Self {
            tables: memory.accounts.len() * base_account::SIZE as usize + slots * base_slot::SIZE as usize,
            code: new.map(|(_, code)| code_words(code.len())).sum(),
        }
    }

    pub fn fits(self, room: Self) -> bool {
        self.tables <= room.tables && self.code <= room.code
    }
}

/// Words of a decoded code, at most.
pub(crate) const fn code_words(len: usize) -> usize {
    len + len / 4 + len / 32 + 128
}

/// By environment, the part of the batch that it belongs to; parts run one after another.
pub(crate) fn parts(batch: &Batch, room: Footprint) -> Vec<usize> {
    let mut known = HashSet::new();
    let (mut part, mut there) = (0, Footprint::default());
    let mut parts = Vec::with_capacity(batch.environments.len());
    for environment in &batch.environments {
        let mut more = Footprint::besides(environment, &mut known);
        let sum = Footprint { tables: there.tables + more.tables, code: there.code + more.code };
        if sum.fits(room) || there == Footprint::default() {
            there = sum;
        } else {
            part += 1;
            known.clear();
            more = Footprint::besides(environment, &mut known);
            there = more;
        }
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_spec::{AccountInfo, BlockContext, Bytes, Fork, H160, MemoryState, Rules};
    use std::sync::Arc;

    fn environment(code: u8, len: usize) -> Environment {
        let mut state = MemoryState::default();
        let hash = H256([code; 32]);
        let info = AccountInfo { code_hash: hash, ..AccountInfo::default() };
        state.insert(H160([1; 20]), info, Bytes::from(vec![0; len]), [(1.into(), 2.into())]);
        let block = BlockContext::default();
        Environment::new("split", Rules::new(Fork::Prague, 1), block, Arc::new(state))
    }

    #[test]
    fn parts_have_room_and_share_code() {
        let environments = vec![
            environment(1, 400),
            environment(1, 400),
            environment(2, 400),
            environment(3, 4_000),
            environment(4, 40_000),
            environment(1, 10),
        ];
        let batch = Batch { environments, transactions: Vec::new() };
        let room = Footprint { tables: 10_000, code: 6_000 };
        // What is too large alone is a part of its own.
        assert_eq!(parts(&batch, room), [0, 0, 0, 1, 2, 3]);
        assert!(!Footprint::of(&batch.environments[4]).fits(room));
        assert_eq!(parts(&batch, Footprint { tables: 1_000_000, code: 1_000_000 }), [0; 6]);
        assert_eq!(parts(&batch, Footprint { tables: 1, code: 1_000_000 }), [0, 1, 2, 3, 4, 5]);
    }
}
