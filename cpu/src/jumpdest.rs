//! Which JUMPDESTs may be jumped to: those that are instructions, and not bytes of what a PUSH pushes (Yellow Paper 9.4.3).
//!
//! Most code is long and little of it runs, so that nothing is looked through before a jump asks, and then only around the place.

use crate::program::Rows;
use isolane_spec::opcode::{op, takes_immediate};
use std::sync::OnceLock;

/// The longest data of a PUSH.
const MAX_PUSH: usize = 32;
/// So far back an answer is looked for before all of the code is looked through.
const FAR: usize = 512;

/// The jump destinations of one code.
#[derive(Debug)]
pub(crate) struct JumpDests {
    /// One bit a byte, once somebody needed all of them.
    all: OnceLock<Vec<u64>>,
}

impl JumpDests {
    pub fn new(code: &[u8], rows: &Rows) -> Self {
        let all = OnceLock::new();
        // An environment without some PUSH, or a fork with other immediates.
        let usual = rows.iter().enumerate().all(|(byte, row)| usize::from(row.immediate) == pushed(byte as u8));
        if !usual {
            let immediate = |pc: usize| {
                let byte = code[pc];
                let immediate = usize::from(rows[usize::from(byte)].immediate);
                let next = code.get(pc + 1).copied().unwrap_or_default();
                if pushed(byte) > 0 || takes_immediate(byte, next) { immediate } else { 0 }
            };
            let _new = all.set(look_through(code, immediate));
        }
        Self { all }
    }

    /// Whether a jump may go to `pc`.
    #[inline]
    pub fn contains(&self, code: &[u8], pc: usize) -> bool {
        code.get(pc) == Some(&op::JUMPDEST)
            && match self.all.get() {
                Some(all) => is_set(all, pc),
                None => self.find(code, pc),
            }
    }

    #[inline(never)]
    fn find(&self, code: &[u8], pc: usize) -> bool {
        // Some place before which no PUSH reaches it: an instruction, whatever comes before.
        let mut start = pc;
        while let Some(push) = farthest_push(code, start) {
            start = push;
            if pc - start > FAR {
                return is_set(self.all.get_or_init(|| look_through(code, |pc| pushed(code[pc]))), pc);
            }
        }
        // From there on, instruction by instruction.
        while start < pc {
            start += 1 + pushed(code[start]);
        }
        start == pc
    }
}

/// How many bytes an opcode pushes.
#[inline(always)]
fn pushed(byte: u8) -> usize {
    if (op::PUSH1..=op::PUSH32).contains(&byte) { usize::from(byte - op::PUSH1) + 1 } else { 0 }
}

/// Of the bytes that would push the one at `pc`, if they were instructions, the first.
#[inline]
fn farthest_push(code: &[u8], pc: usize) -> Option<usize> {
    let from = pc.saturating_sub(MAX_PUSH);
    let before = &code[from..pc];
    let reaches = |(index, byte): (usize, &u8)| pushed(*byte) >= before.len() - index;
    before.iter().enumerate().position(reaches).map(|index| from + index)
}

fn is_set(bits: &[u64], pc: usize) -> bool {
    bits.get(pc / 64).is_some_and(|bits| bits >> (pc % 64) & 1 == 1)
}

/// All of them, one bit a byte, given how many bytes each instruction has besides its opcode.
fn look_through(code: &[u8], immediate: impl Fn(usize) -> usize) -> Vec<u64> {
    let mut all = vec![0u64; code.len() / 64 + 1];
    let mut pc = 0;
    while let Some(&byte) = code.get(pc) {
        if byte == op::JUMPDEST {
            all[pc / 64] |= 1 << (pc % 64);
        } else {
            pc += immediate(pc);
        }
        pc += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_spec::{BlockContext, Environment, Fork, MemoryState, Rules};
    use std::sync::Arc;

    fn rows_of(rules: Rules) -> Rows {
        let environment = Environment::new("jumps", rules, BlockContext::default(), Arc::new(MemoryState::default()));
        crate::program::rows(&environment)
    }

    /// Bytes of which many are PUSHes and JUMPDESTs, so that data looks like code.
    fn code(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let byte = |random: u64| match random % 8 {
            0..=2 => op::JUMPDEST,
            3..=5 => op::PUSH1 + (random >> 8) as u8 % 32,
            6 => op::DUPN + (random >> 8) as u8 % 3,
            _ => (random >> 8) as u8,
        };
        (0..len).map(|_| byte(next())).collect()
    }

    #[test]
    fn each_place_is_what_a_walk_from_the_start_makes_of_it() {
        let mut reduced = Rules::new(Fork::Prague, 1);
        reduced.removed_opcodes = reduced.removed_opcodes.with(op::PUSH1 + 3);
        let all = [Rules::new(Fork::Prague, 1), Rules::new(Fork::Amsterdam, 1), reduced].map(rows_of);
        for rows in &all {
            for seed in 1..200 {
                let code = code(seed * 0x9e37_79b9_7f4a_7c15, 37 * (seed as usize % 60));
                let mut expected = vec![false; code.len()];
                let mut pc = 0;
                while pc < code.len() {
                    expected[pc] = code[pc] == op::JUMPDEST;
                    let next = code.get(pc + 1).copied().unwrap_or_default();
                    let row = rows[usize::from(code[pc])];
                    let skips = pushed(code[pc]) > 0 || takes_immediate(code[pc], next);
                    pc += 1 + if skips { usize::from(row.immediate) } else { 0 };
                }
                // Each place on its own, and one after the other.
                let known = JumpDests::new(&code, rows);
                for (pc, expected) in expected.iter().enumerate().rev() {
                    assert_eq!(JumpDests::new(&code, rows).contains(&code, pc), *expected, "seed {seed}, {pc}");
                    assert_eq!(known.contains(&code, pc), *expected, "seed {seed}, {pc}, asked before");
                }
                assert!(!known.contains(&code, code.len()));
            }
        }
    }

    #[test]
    fn data_that_looks_like_code_all_the_way_back_is_looked_through() {
        let rows = rows_of(Rules::new(Fork::Prague, 1));
        // PUSH32 everywhere: each byte could be the data of the one before.
        let mut code = vec![op::PUSH32; 33 * 40];
        code.push(op::JUMPDEST);
        let jumps = JumpDests::new(&code, &rows);
        assert!(jumps.contains(&code, 33 * 40));
        assert!(jumps.all.get().is_some());
    }
}
