//! Lane classes: how much of everything a lane has. A transaction starts in the smallest; one that outgrows it starts
//! again in the next, and after the largest on the fallback.

use isolane_spec::layout::{self, FRAME_SIZE, Params, account, register, slot, undo};

/// Capacities of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneClass {
    /// Its name in reports.
    pub name: &'static str,
    /// Stack slots of all its frames.
    pub stack_slots: u32,
    /// Nested calls.
    pub frames: u32,
    /// Accounts.
    pub accounts: u32,
    /// Storage slots.
    pub slots: u32,
    /// Changes that can be undone.
    pub undos: u32,
    /// Words of logs.
    pub log_words: u32,
    /// Words of created code.
    pub code_words: u32,
    /// Words of memory of all its frames.
    pub memory_words: u32,
    /// Words of return data.
    pub return_words: u32,
}

/// The classes, the smallest first.
pub const CLASSES: [LaneClass; 3] = [
    LaneClass {
        name: "small",
        stack_slots: 64,
        frames: 4,
        accounts: 12,
        slots: 16,
        undos: 64,
        log_words: 128,
        code_words: 64,
        memory_words: 512,
        return_words: 96,
    },
    LaneClass {
        name: "medium",
        stack_slots: 320,
        frames: 16,
        accounts: 48,
        slots: 128,
        undos: 512,
        log_words: 2_048,
        code_words: 8_192,
        memory_words: 8_192,
        return_words: 2_048,
    },
    LaneClass {
        name: "large",
        stack_slots: 6_144,
        frames: 1_024,
        accounts: 512,
        slots: 2_048,
        undos: 8_192,
        log_words: 65_536,
        code_words: 65_536,
        memory_words: 262_144,
        return_words: 65_536,
    },
];

impl LaneClass {
    /// The places of all areas of a lane, for that many lanes.
    #[must_use]
    pub fn params(&self, lanes: u32) -> Params {
        let mut next = register::SIZE;
        let mut area = |words: u32| {
            let start = next;
            next += words;
            start
        };
        let mut params = Params {
            lanes,
            stack_slots: self.stack_slots,
            frames: area(self.frames * FRAME_SIZE),
            frames_limit: self.frames,
            accounts: area(self.accounts * account::SIZE),
            accounts_limit: self.accounts,
            slots: area(self.slots * slot::SIZE),
            slots_limit: self.slots,
            undos: area(self.undos * undo::SIZE),
            undos_limit: self.undos,
            logs: area(self.log_words),
            logs_limit: self.log_words,
            code: area(self.code_words),
            code_limit: self.code_words,
            memory: area(self.memory_words),
            memory_limit: self.memory_words,
            return_data: area(self.return_words),
            return_limit: self.return_words,
            limbs: 8,
            ..Params::default()
        };
        params.lane_words = next;
        params
    }

    /// Bytes of a lane without its stack. One word more than it uses takes what would go astray.
    #[must_use]
    pub fn word_bytes(&self) -> u64 {
        (u64::from(self.params(1).lane_words) + 1) * 4
    }

    /// Bytes of a lane's stack, likewise.
    #[must_use]
    pub fn stack_bytes(&self) -> u64 {
        (u64::from(self.stack_slots) + 1) * 32
    }

    /// How many lanes fit into bindings of that many bytes, at most `wanted`, and one at least.
    #[must_use]
    pub fn fitting(&self, limit: u64, wanted: u32) -> u32 {
        let most = (limit / self.word_bytes()).min(limit / self.stack_bytes());
        wanted.min(u32::try_from(most).unwrap_or(u32::MAX)).max(1)
    }

    /// Bytes of a lane with its places in the queues.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.word_bytes() + self.stack_bytes() + 4 * 2 * u64::from(layout::queue::COUNT + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_larger_in_everything() {
        for pair in CLASSES.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            assert!(a.stack_slots < b.stack_slots && a.frames < b.frames && a.accounts < b.accounts);
            assert!(a.slots < b.slots && a.undos < b.undos && a.log_words < b.log_words);
            assert!(a.code_words < b.code_words && a.memory_words < b.memory_words && a.return_words < b.return_words);
        }
        // The hashes of creations are put together in the return data.
        assert!(CLASSES[0].return_words >= 22);
    }
}
