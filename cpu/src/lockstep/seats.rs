//! What one instruction does for all lanes of a path: on columns where it can, else lane by lane with the reference's bodies.

use super::path::{Path, Value, lanes};
use super::run::{Runner, Seat, Stop, THIN};
use super::simd::{Column, LANES, Mask, Simd};
use super::statistics::Leave;
use super::words::Range;
use crate::interpreter::Exit;
use crate::mixer::same;
use crate::op::{self, Trap};
use crate::program::Block;
use crate::stack::{LIMIT, Stack};
use isolane_spec::{H160, MemoryAccount, MemoryState, U256, word};

/// Blocks for which a thin path may hope to meet others.
const PATIENCE: u32 = 64;

/// Where lanes that leave continue.
struct Continuation {
    position: usize,
    checked: bool,
    gas: u64,
    steps: u64,
}

impl Runner<'_> {
    /// Drops items of the stack.
    #[inline(always)]
    pub(super) fn drop(&mut self, path: &mut Path, count: usize) {
        for _ in 0..count {
            if let Some(value) = path.stack.pop() {
                self.columns.release(&value);
            }
        }
    }

    /// DUP.
    #[inline(always)]
    pub(super) fn dup(&mut self, path: &mut Path, depth: usize) {
        let value = path.peek(depth);
        self.columns.share(&value);
        path.stack.push(value);
    }

    /// A body of the reference on words, the top of the stack first.
    #[inline(always)]
    fn fold<const N: usize>(&mut self, words: &[U256; N], body: impl FnOnce(&mut Stack<'_>)) -> U256 {
        for (index, word) in words.iter().rev().enumerate() {
            self.scratch.set(index, word);
        }
        let mut stack = Stack::new(self.scratch, N);
        body(&mut stack);
        stack.peek(0)
    }

    /// Of two operands.
    #[inline(always)]
    pub(super) fn binary(
        &mut self,
        path: &mut Path,
        body: impl FnOnce(&mut Stack<'_>),
        kernel: impl FnOnce(Simd, &Column, &Column, &mut Column),
    ) {
        let (a, b) = (path.peek(0), path.peek(1));
        let value = match (a.word(), b.word()) {
            (Some(a), Some(b)) => Value::uniform(self.fold(&[*a, *b], body)),
            _ => self.columns.binary(self.simd, kernel, &a, &b),
        };
        self.drop(path, 2);
        path.stack.push(value);
    }

    /// Of one operand.
    #[inline(always)]
    pub(super) fn unary(
        &mut self,
        path: &mut Path,
        body: impl FnOnce(&mut Stack<'_>),
        kernel: impl FnOnce(Simd, &Column, &mut Column),
    ) {
        let a = path.peek(0);
        let value = match a.word() {
            Some(word) => Value::uniform(self.fold(&[*word], body)),
            None => self.columns.unary(|a, out| kernel(self.simd, a, out), &a),
        };
        self.drop(path, 1);
        path.stack.push(value);
    }

    /// A shift: of a column by a count that all lanes share, or lane by lane.
    #[inline(always)]
    pub(super) fn shift(
        &mut self,
        path: &mut Path,
        body: impl Fn(&mut Stack<'_>),
        kernel: impl FnOnce(Simd, &Column, usize, &mut Column),
    ) {
        let (count, value) = (path.peek(0), path.peek(1));
        match (count.word().and_then(word::to_u64), value.word()) {
            (Some(count @ 0..=255), None) => {
                let shifted = self.columns.unary(|a, out| kernel(self.simd, a, count as usize, out), &value);
                self.drop(path, 2);
                path.stack.push(shifted);
            }
            _ => self.scalar::<2>(path, body),
        }
    }

    /// Makes the top item uniform where all lanes agree on it.
    #[inline(always)]
    pub(super) fn settle_top(&mut self, path: &mut Path) {
        if let Some(top) = path.stack.last_mut() {
            self.columns.settle(self.simd, path.lanes, top);
        }
    }

    /// A body of the reference that cannot fail, once or lane by lane.
    #[inline(always)]
    pub(super) fn scalar<const N: usize>(&mut self, path: &mut Path, body: impl Fn(&mut Stack<'_>)) {
        let values: [Value; N] = std::array::from_fn(|depth| path.peek(depth));
        let value = if values.iter().all(|value| value.word().is_some()) {
            let words = std::array::from_fn(|i| self.columns.get(&values[i], 0));
            Value::uniform(self.fold::<N>(&words, &body))
        } else {
            for lane in lanes(path.lanes) {
                let words = std::array::from_fn(|i| self.columns.get(&values[i], lane));
                let word = self.fold::<N>(&words, &body);
                self.columns.next.set(lane, &word);
            }
            self.columns.keep_uniform(self.simd, path.lanes)
        };
        self.drop(path, N);
        path.stack.push(value);
    }

    /// MULMOD, once or lane by lane.
    pub(super) fn mulmod(&mut self, path: &mut Path) {
        let values: [Value; 3] = std::array::from_fn(|depth| path.peek(depth));
        let value = if let [Some(a), Some(b), Some(modulus)] = values.each_ref().map(Value::word) {
            Value::uniform(self.reducer.product(a, b, modulus))
        } else {
            for lane in lanes(path.lanes) {
                let ([a, b, modulus], out) = self.columns.operands(&values, lane);
                out.set(lane, &self.reducer.product(&a, &b, &modulus));
            }
            self.columns.keep_uniform(self.simd, path.lanes)
        };
        self.drop(path, 3);
        path.stack.push(value);
    }

    /// A body for each lane, with its operands, which stay on the stack, and its gas. Returns the lanes that are to halt;
    /// those whose state could not answer are gone.
    #[inline(always)]
    pub(super) fn each<const N: usize>(
        &mut self,
        path: &mut Path,
        body: impl FnMut(&mut Seat<'_>, &[U256; N], &mut u64) -> Result<(), Trap>,
    ) -> Mask {
        let values: [Value; N] = std::array::from_fn(|depth| path.peek(depth));
        self.each_of(path, &values, body)
    }

    /// Likewise, with operands from anywhere.
    #[inline(always)]
    pub(super) fn each_of<const N: usize>(
        &mut self,
        path: &mut Path,
        values: &[Value; N],
        mut body: impl FnMut(&mut Seat<'_>, &[U256; N], &mut u64) -> Result<(), Trap>,
    ) -> Mask {
        let mut failed = 0;
        for index in lanes(path.lanes) {
            let (words, out) = self.columns.operands(values, index);
            let executor = &mut self.seats[index];
            let (below, rest) = executor.frames.split_at_mut(self.depth);
            let before = self.gas[index] - path.gas;
            let mut gas = before;
            let (lane, frame) = (&mut executor.lane, &mut rest[0]);
            let mut seat = Seat { lane, frame, below, out, scratch: self.scratch, index };
            match body(&mut seat, &words, &mut gas) {
                Ok(()) if gas == before => {}
                Ok(()) => {
                    self.gas[index] = gas + path.gas;
                    path.room = path.room.min(gas);
                }
                Err(Trap::Halt(_)) => failed |= 1 << index,
                Err(Trap::State(error)) => {
                    self.results.failed.push((index, *error));
                    path.lanes &= !(1 << index);
                }
            }
        }
        failed
    }

    /// Pushes what each lane has.
    #[inline(always)]
    pub(super) fn gather(&mut self, path: &mut Path, value: impl Fn(&mut Seat<'_>) -> U256) {
        self.each::<0>(path, |seat, _, _| {
            let word = value(seat);
            seat.out.set(seat.index, &word);
            Ok(())
        });
        let value = self.columns.keep_uniform(self.simd, path.lanes);
        path.stack.push(value);
    }

    /// Reads a slot of each lane's state, where that lies in memory, so that the cache misses of all lanes overlap, into what is
    /// written next. Returns the lanes that it knows a value of.
    pub(super) fn read_ahead(&mut self, path: &Path, key: &Value) -> Mask {
        if key.word().is_some() {
            return 0;
        }
        let mut known = 0;
        let mut last: Option<(&MemoryState, H160, Option<&MemoryAccount>)> = None;
        for lane in lanes(path.lanes) {
            let seat = &self.seats[lane];
            let state = &seat.lane.environment.state;
            let address = &seat.frames[self.depth].address;
            let key = self.columns.get(key, lane);
            let value = if let Some(memory) = state.memory() {
                let account = match last {
                    Some((other, known, account)) if std::ptr::eq(other, memory) && same(&known, address) => account,
                    _ => last.insert((memory, *address, memory.accounts.get(address))).2,
                };
                account.and_then(|account| account.storage.get(&key)).copied().unwrap_or_default()
            } else if self.cold
                && state.is_near()
                && let Ok(value) = state.storage(address, &key)
            {
                value
            } else {
                continue;
            };
            self.columns.next.set(lane, &value);
            known |= 1 << lane;
        }
        known
    }

    /// MLOAD: the word, and the lanes that are to halt.
    pub(super) fn mload(&mut self, path: &mut Path, offset: &Value) -> (Value, Mask) {
        if let Some(place) = offset.word()
            && let Some(value) = self.load_word(path, place)
        {
            return (value, 0);
        }
        self.write_back(path, Range::fixed(offset, 32));
        let offset = *offset;
        let failed = self.each_of(path, &[offset], |seat, words, gas| {
            let place = seat.frame.memory.require(&words[0], 32, gas)?;
            seat.out.set(seat.index, &seat.frame.memory.load(place));
            Ok(())
        });
        let loaded = path.lanes & !failed;
        if loaded == 0 {
            return (Value::uniform(U256::zero()), failed);
        }
        let value = self.columns.keep_uniform(self.simd, loaded);
        if failed == 0
            && let Some(place) = offset.word()
        {
            self.know_word(path, place, &value);
        }
        (value, failed)
    }

    /// MSTORE, but for whole words, of which it only makes sure that they can be stored; the lanes that are to halt.
    pub(super) fn mstore(&mut self, path: &mut Path, offset: &Value, value: &Value) -> Mask {
        if let Some(number) = Self::word_number(offset) {
            let end = number as u64 * 32 + 32;
            if end <= path.words.reach || self.grow(path, end) {
                return 0;
            }
            self.write_back(path, Range::Same { offset: 0, len: 0 });
            path.words.reach = end;
            return self.each_of(path, &[*offset], |seat, words, gas| {
                seat.frame.memory.require(&words[0], 32, gas)?;
                Ok(())
            });
        }
        self.forget(path, Range::fixed(offset, 32));
        self.each_of(path, &[*offset, *value], |seat, words, gas| {
            let place = seat.frame.memory.require(&words[0], 32, gas)?;
            seat.frame.memory.store(place, &words[1]);
            Ok(())
        })
    }

    /// KECCAK256: charges lane by lane, and hashes all lanes at once.
    pub(super) fn keccak(&mut self, path: &mut Path) -> Mask {
        let mut places = [(0, 0); LANES];
        let failed = self.each::<2>(path, |seat, words, gas| {
            let [offset, size] = words;
            places[seat.index] = op::keccak::region([offset, size], &mut seat.frame.memory, seat.lane.schedule, gas)?;
            Ok(())
        });
        let mut inputs: [&[u8]; LANES] = [&[]; LANES];
        let hashed = path.lanes & !failed;
        for lane in lanes(hashed) {
            let (offset, len) = places[lane];
            inputs[lane] = self.seats[lane].frames[self.depth].memory.slice(offset, len);
        }
        self.simd.keccak256(&inputs, hashed, &mut self.columns.next);
        failed
    }

    /// Where each lane goes from a jump, those of `taken` to `target` and the others to `fall`; and the lanes whose target is
    /// no jump destination.
    pub(super) fn targets(&mut self, path: &Path, target: &Value, taken: Mask, fall: usize) -> ([usize; LANES], Mask) {
        let mut targets = [fall; LANES];
        let mut failed = 0;
        for lane in lanes(taken & path.lanes) {
            let pc = word::to_u64_saturating(&self.columns.get(target, lane)) as usize;
            match self.program.entry(pc, self.rows) {
                Some(entry) => targets[lane] = entry,
                None => failed |= 1 << lane,
            }
        }
        (targets, failed)
    }

    /// Parts lanes that go different ways. Returns the way where all go the same.
    pub(super) fn part(&mut self, path: &mut Path, targets: &[usize; LANES]) -> Option<usize> {
        let first = targets[path.lanes.trailing_zeros() as usize % LANES];
        let mut same_way = true;
        while let Some(next) = lanes(path.lanes).map(|lane| targets[lane]).find(|&target| target != first) {
            self.forget(path, Range::Own);
            let same = lanes(path.lanes).filter(|&lane| targets[lane] == next).fold(0, |mask, lane| mask | 1 << lane);
            let other = path.split(self.columns, same, next);
            self.waiting.push(other);
            same_way = false;
        }
        path.ip = first;
        same_way.then_some(first)
    }

    /// The start of a block that not all lanes may be able to pay for or may execute, or that few lanes are at. Returns whether some go on.
    pub(super) fn enter(&mut self, path: &mut Path, here: usize, block: &Block) -> bool {
        let to = Continuation { position: here, checked: false, gas: 0, steps: 0 };
        if path.stack.len() < usize::from(block.need) || path.stack.len() + usize::from(block.grow) > LIMIT {
            self.park(path, path.lanes, &to, Leave::Halted);
            return false;
        }
        if path.mostly_copies() {
            self.park(path, path.lanes, &to, Leave::Copies);
            return false;
        }
        if path.room < u64::from(block.gas) {
            let needed = path.gas + u64::from(block.gas);
            let poor = lanes(path.lanes).filter(|&lane| self.gas[lane] < needed).fold(0, |mask, lane| mask | 1 << lane);
            if poor != 0 {
                self.park(path, poor, &to, Leave::Halted);
            }
            if path.lanes == 0 {
                return false;
            }
            path.room = self.simd.least(self.gas, path.lanes) - path.gas;
        }
        if path.left < u64::from(block.steps) {
            let left = |lane: usize| {
                let lane = &self.seats[lane].lane;
                lane.limits.steps.saturating_sub(lane.steps).saturating_sub(path.steps)
            };
            let short = lanes(path.lanes).filter(|&lane| left(lane) < u64::from(block.steps));
            let short = short.fold(0, |mask, lane| mask | 1 << lane);
            let least = lanes(path.lanes & !short).map(left).min().unwrap_or(0);
            if short != 0 {
                self.park(path, short, &to, Leave::Halted);
            }
            if path.lanes == 0 {
                return false;
            }
            path.left = least;
        }
        if path.lanes.count_ones() < THIN {
            path.thin += 1;
            if path.thin > PATIENCE {
                self.park(path, path.lanes, &to, Leave::Thin);
                return false;
            }
        }
        true
    }

    /// Lanes that fail at an instruction go on from there on the reference, in the checked form, with the gas that they
    /// really have.
    pub(super) fn leave(&mut self, path: &mut Path, failed: Mask, here: usize) {
        let (own, rest, steps) = self.program.rest_of_block(here, self.rows);
        let position = self.program.position(here);
        let to = Continuation { position, checked: true, gas: own + rest, steps: steps + 1 };
        self.park(path, failed, &to, Leave::Halted);
    }

    fn park(&mut self, path: &mut Path, parked: Mask, to: &Continuation, reason: Leave) {
        self.statistics.leave(reason, u64::from(parked.count_ones()));
        self.write_back(path, Range::Own);
        path.lanes &= !parked;
        self.results.left |= parked;
        for lane in lanes(parked) {
            let executor = &mut self.seats[lane];
            executor.lane.steps += path.steps - to.steps;
            let frame = &mut executor.frames[self.depth];
            frame.gas = self.gas[lane] - path.gas + to.gas;
            frame.position = to.position;
            frame.checked = to.checked;
            frame.stack_len = path.stack.len();
            let slots = &mut executor.stacks[self.depth];
            for (index, value) in path.stack.iter().enumerate() {
                slots.set(index, &self.columns.get(value, lane));
            }
        }
    }

    /// Ends the frames of all lanes.
    pub(super) fn end(&mut self, path: &Path, exit: impl Fn(usize) -> Exit) {
        for lane in lanes(path.lanes) {
            let executor = &mut self.seats[lane];
            executor.lane.steps += path.steps;
            executor.frames[self.depth].gas = self.gas[lane] - path.gas;
            self.results.ended[lane] = Some(executor.end_frame(self.depth, &exit(lane)));
        }
    }

    /// Makes way for another path.
    pub(super) fn pause(&mut self, path: &mut Path) -> Stop {
        self.forget(path, Range::Own);
        path.storage.release(self.columns);
        Stop::Yield
    }

    /// No lane is left on the path.
    pub(super) fn over(&mut self, path: &mut Path) -> Stop {
        path.lanes = 0;
        path.release(self.columns);
        Stop::Over
    }
}
