//! The loop that executes one path of a group: one dispatch an instruction for all its lanes.
//!
//! It executes the same decoded blocks as the fast form of the reference ([`crate::interpreter`]), and checks stack bounds
//! and static gas in the same one spot. A lane that fails at an instruction leaves: it continues on the reference, in the
//! checked form, from that very instruction, so that the place and the reason of a halt are the reference's own.

use super::fused::swap;
use super::path::{Columns, Path, Value};
use super::simd::{Column, LANES, Limb, Mask, Simd};
use super::statistics::Statistics;
use super::words::{Hashes, Range};
use crate::execution::{Ended, Executor};
use crate::frame::{Frame, Input};
use crate::interpreter::Exit;
use crate::lane::Lane;
use crate::op::reducer::Reducer;
use crate::op::{self, Trap};
use crate::program::{Program, Rows, inner};
use crate::stack::{LIMIT, Slots, Stack};
use isolane_spec::opcode::op as opcode;
use isolane_spec::{H256, StateError, U256, word};

/// A path with fewer lanes than this is thin.
pub(super) const THIN: u32 = 6;
/// Why the loop left a path.
#[derive(Debug)]
pub(super) enum Stop {
    /// No lane is left on it.
    Over,
    /// Another path is behind.
    Yield,
    /// The calls are in [`Lane::call`].
    Call,
    /// The creations are in [`Lane::creation`].
    Create,
}

/// How the frames of lanes ended.
pub(super) struct Results {
    pub ended: Vec<Option<Ended>>,
    /// Lanes whose base state could not answer.
    pub failed: Vec<(usize, StateError)>,
    /// Lanes that are to finish their frame on the reference.
    pub left: Mask,
}

/// One lane at an instruction.
pub(super) struct Seat<'a> {
    pub lane: &'a mut Lane,
    pub frame: &'a mut Frame,
    /// The frames below.
    pub below: &'a [Frame],
    pub out: &'a mut Column,
    pub scratch: &'a mut Slots,
    pub index: usize,
}

/// LOG0 to LOG4, by the number of operands.
fn write_log<const N: usize>(seat: &mut Seat<'_>, words: &[U256; N], gas: &mut u64) -> Result<(), Trap> {
    let mut topics = [H256::zero(); 4];
    for (topic, word) in topics.iter_mut().zip(&words[2..]) {
        *topic = word::to_hash(word);
    }
    *gas = op::log::log(seat.lane, seat.frame, [words[0], words[1]], &topics[..N - 2], *gas)?;
    Ok(())
}

/// The input of a frame.
fn input<'a>(input: &'a Input, below: &'a [Frame]) -> &'a [u8] {
    match input {
        Input::None => &[],
        Input::Owned(bytes) => bytes,
        Input::Caller { offset, len } => below.last().map_or(&[], |caller| caller.memory.slice(*offset, *len)),
    }
}

/// Runs paths of one frame.
pub(super) struct Runner<'a> {
    pub simd: Simd,
    pub seats: &'a mut [Executor],
    pub columns: &'a mut Columns,
    pub program: &'a mut Program,
    pub rows: &'a Rows,
    /// By lane; what the path has still to pay is not yet taken.
    pub gas: &'a mut Limb,
    pub depth: usize,
    /// Other paths in the same frame.
    pub waiting: &'a mut Vec<Path>,
    pub results: &'a mut Results,
    pub hashes: &'a mut Hashes,
    /// Of the modulus that lanes had last: mostly one for all.
    pub reducer: &'a mut Reducer,
    /// For operands that are the same in all lanes, or of one lane.
    pub scratch: &'a mut Slots,
    pub statistics: &'a mut Statistics,
    /// Whether the states are probably too large for the caches.
    pub cold: bool,
}

impl Runner<'_> {
    /// Runs a path until it ends, calls, splits, or reaches `limit` in the bytes, where another path waits.
    pub fn run(&mut self, path: &mut Path, limit: usize) -> Stop {
        let mut ip = path.ip;
        let mut moved = false;
        // All lanes of the path fail here.
        macro_rules! fail {
            ($here:expr) => {{
                self.leave(path, path.lanes, $here);
                return self.over(path);
            }};
        }
        // Lanes that failed leave; the rest goes on.
        macro_rules! without {
            ($failed:expr, $here:expr) => {{
                let failed = $failed;
                if failed != 0 {
                    self.leave(path, failed, $here);
                }
                if path.lanes == 0 {
                    return self.over(path);
                }
            }};
            // A value that was made for the lanes that go on.
            ($failed:expr, $here:expr, $value:expr) => {{
                let failed = $failed;
                if failed != 0 {
                    self.leave(path, failed, $here);
                }
                if path.lanes == 0 {
                    self.columns.release(&$value);
                    return self.over(path);
                }
            }};
        }
        // A body that is given the stack of one lane, and the loop over a column where there is one.
        macro_rules! binary {
            ($body:path, $kernel:ident) => {
                self.binary(path, |stack| $body(stack), |simd, a, b, out| simd.$kernel(a, b, out))
            };
            ($body:path, flip $kernel:ident) => {
                self.binary(path, |stack| $body(stack), |simd, a, b, out| simd.$kernel(b, a, out))
            };
        }
        // The same, of a result that is often the same for all lanes.
        macro_rules! truth {
            ($($operation:tt)*) => {{
                binary!($($operation)*);
                self.settle_top(path);
            }};
        }
        macro_rules! each {
            ($count:literal, $body:path) => {
                self.scalar::<$count>(path, |stack| $body(stack))
            };
        }
        // Pushes what each lane has.
        macro_rules! gather {
            (|$seat:ident| $value:expr) => {
                self.gather(path, |$seat| $value)
            };
        }
        // A body of one lane that may fail: its operands, how many of them go, whether there is a result.
        macro_rules! seat {
            ($here:expr, $count:literal -> $pushes:literal, |$seat:ident, $words:ident, $gas:ident| $body:expr) => {{
                let failed = self.each::<$count>(path, |$seat, $words, $gas| $body);
                without!(failed, $here);
                self.drop(path, $count);
                if $pushes {
                    let value = self.columns.keep_uniform(self.simd, path.lanes);
                    path.stack.push(value);
                }
            }};
        }

        // The same, of a body that writes to a range of the memory.
        macro_rules! written {
            ($range:expr, $($rest:tt)*) => {{
                self.forget(path, $range);
                seat!($($rest)*);
            }};
        }
        macro_rules! log {
            ($($rest:tt)*) => {{
                self.write_back(path, Range::new(&path.peek(0), &path.peek(1)));
                seat!($($rest)*);
            }};
        }

        loop {
            let here = ip;
            let instruction = self.program.instructions[ip];
            ip += 1;
            match instruction.op {
                inner::BLOCK => {
                    let block = self.program.blocks[instruction.arg as usize];
                    if moved && limit != usize::MAX && self.program.position(here) >= limit {
                        path.ip = here;
                        return self.pause(path);
                    }
                    moved = true;
                    let room = path.stack.len() >= usize::from(block.need)
                        && path.stack.len() + usize::from(block.grow) <= LIMIT
                        && path.room >= u64::from(block.gas)
                        && path.left >= u64::from(block.steps);
                    let count = path.lanes.count_ones();
                    if (!room || count < THIN) && !self.enter(path, here, &block) {
                        return self.over(path);
                    }
                    path.room -= u64::from(block.gas);
                    path.gas += u64::from(block.gas);
                    path.left -= u64::from(block.steps);
                    path.steps += u64::from(block.steps);
                    self.statistics.steps += u64::from(block.steps);
                    self.statistics.lane_steps += u64::from(block.steps) * u64::from(path.lanes.count_ones());
                }
                inner::GOTO => ip = instruction.arg as usize,
                inner::JUMP_TO_PC => ip = self.program.link(here, self.rows),
                jump @ (inner::JUMPI_TO
                | inner::JUMPI_TO_PC
                | inner::JUMPI_ZERO_TO
                | inner::JUMPI_ZERO_TO_PC
                | inner::DUP_JUMPI_TO
                | inner::DUP_JUMPI_TO_PC
                | inner::DUP_JUMPI_ZERO_TO
                | inner::DUP_JUMPI_ZERO_TO_PC
                | inner::CHOOSE
                | inner::CHOOSE_PC) => {
                    let taken = self.taken(path, instruction);
                    if taken != 0 {
                        let target = match jump {
                            inner::JUMPI_TO | inner::JUMPI_ZERO_TO | inner::DUP_JUMPI_TO | inner::DUP_JUMPI_ZERO_TO => {
                                instruction.arg as usize
                            }
                            inner::CHOOSE => self.program.choices[instruction.arg as usize].target as usize,
                            _ => self.program.link(here, self.rows),
                        };
                        if taken != path.lanes {
                            self.forget(path, Range::Own);
                            let other = path.split(self.columns, taken, target);
                            self.waiting.push(other);
                            path.ip = ip;
                            return self.pause(path);
                        }
                        ip = target;
                    }
                }
                inner::MLOAD_SMALL | inner::DUP_MLOAD => {
                    let offset = match instruction.op {
                        inner::MLOAD_SMALL => Value::small(instruction.arg),
                        _ => path.peek(instruction.also.into()),
                    };
                    let (value, failed) = self.mload(path, &offset);
                    without!(failed, here, value);
                    path.stack.push(value);
                }
                store @ (inner::MSTORE_SMALL
                | inner::DUP_MSTORE
                | inner::DUP_MSTORE_SMALL
                | inner::PUSH_MSTORE_SMALL) => {
                    let (offset, value) = match store {
                        inner::DUP_MSTORE => (path.peek(instruction.also.into()), path.peek(0)),
                        inner::DUP_MSTORE_SMALL => (Value::small(instruction.arg), path.peek(instruction.also.into())),
                        inner::PUSH_MSTORE_SMALL => (Value::small(instruction.arg), Value::small(instruction.also)),
                        _ => (Value::small(instruction.arg), path.peek(0)),
                    };
                    let failed = self.mstore(path, &offset, &value);
                    without!(failed, here);
                    self.store_word(path, &offset, &value);
                    if matches!(store, inner::MSTORE_SMALL | inner::DUP_MSTORE) {
                        self.drop(path, 1);
                    }
                }
                inner::UNDEFINED | opcode::INVALID => fail!(here),

                opcode::STOP => {
                    self.end(path, |_| Exit::Stop);
                    return self.over(path);
                }
                opcode::ADD => binary!(op::arithmetic::add, add),
                opcode::MUL => each!(2, op::arithmetic::mul),
                opcode::SUB => binary!(op::arithmetic::sub, sub),
                opcode::DIV => each!(2, op::arithmetic::div),
                opcode::SDIV => each!(2, op::arithmetic::sdiv),
                opcode::MOD => each!(2, op::arithmetic::rem),
                opcode::SMOD => each!(2, op::arithmetic::smod),
                opcode::ADDMOD => each!(3, op::arithmetic::addmod),
                opcode::MULMOD => self.mulmod(path),
                opcode::EXP => {
                    seat!(here, 2 -> true, |seat, words, gas| {
                        let [top, below] = words;
                        seat.scratch.set(1, top);
                        seat.scratch.set(0, below);
                        let mut stack = Stack::new(seat.scratch, 2);
                        op::arithmetic::exp(&mut stack, seat.lane.schedule, gas)?;
                        seat.out.set(seat.index, &stack.peek(0));
                        Ok(())
                    });
                }
                opcode::SIGNEXTEND => each!(2, op::arithmetic::signextend),

                opcode::LT => truth!(op::comparison::lt, lt),
                opcode::GT => truth!(op::comparison::gt, flip lt),
                opcode::SLT => truth!(op::comparison::slt, slt),
                opcode::SGT => truth!(op::comparison::sgt, flip slt),
                opcode::EQ => truth!(op::comparison::eq, eq),
                opcode::ISZERO => {
                    self.unary(path, op::comparison::iszero, Simd::iszero);
                    self.settle_top(path);
                }
                opcode::AND => binary!(op::bitwise::and, and),
                opcode::OR => binary!(op::bitwise::or, or),
                opcode::XOR => binary!(op::bitwise::xor, xor),
                opcode::NOT => self.unary(path, op::bitwise::not, Simd::not),
                opcode::BYTE => each!(2, op::bitwise::byte),
                opcode::SHL => self.shift(path, op::bitwise::shl, Simd::shift_left),
                opcode::SHR => self.shift(path, op::bitwise::shr, Simd::shift_right),
                opcode::SAR => self.shift(path, op::bitwise::sar, Simd::shift_right_signed),
                opcode::CLZ => each!(1, op::bitwise::clz),

                opcode::KECCAK256 => {
                    let (offset, len) = (path.peek(0), path.peek(1));
                    if let Some(hash) = self.hash_words(path, &offset, &len) {
                        self.drop(path, 2);
                        path.stack.push(hash);
                        continue;
                    }
                    self.write_back(path, Range::new(&offset, &len));
                    let failed = self.keccak(path);
                    without!(failed, here);
                    self.drop(path, 2);
                    let value = self.columns.keep_uniform(self.simd, path.lanes);
                    path.stack.push(value);
                }

                opcode::ADDRESS => gather!(|seat| word::from_address(&seat.frame.address)),
                opcode::BALANCE => seat!(here, 1 -> true, |seat, words, gas| {
                    let (value, rest) = op::environment::balance(seat.lane, &words[0], *gas)?;
                    *gas = rest;
                    seat.out.set(seat.index, &value);
                    Ok(())
                }),
                opcode::ORIGIN => gather!(|seat| word::from_address(&seat.lane.transaction.origin)),
                opcode::CALLER => gather!(|seat| word::from_address(&seat.frame.caller)),
                opcode::CALLVALUE => gather!(|seat| seat.frame.value),
                opcode::CALLDATALOAD => seat!(here, 1 -> true, |seat, words, _gas| {
                    let value = op::environment::calldataload(input(&seat.frame.input, seat.below), &words[0]);
                    seat.out.set(seat.index, &value);
                    Ok(())
                }),
                opcode::CALLDATASIZE => {
                    gather!(|seat| U256::from(input(&seat.frame.input, seat.below).len() as u64));
                }
                opcode::CALLDATACOPY => {
                    written!(Range::new(&path.peek(0), &path.peek(2)), here, 3 -> false, |seat, words, gas| {
                        let [target, from, size] = words;
                        let Frame { input: place, memory, .. } = seat.frame;
                        let source = input(place, seat.below);
                        *gas = op::memory::copy([target, from, size], source, memory, seat.lane.schedule, *gas)?;
                        Ok(())
                    })
                }
                opcode::CODECOPY => {
                    let code = self.program.code.clone();
                    written!(Range::new(&path.peek(0), &path.peek(2)), here, 3 -> false, |seat, words, gas| {
                        let [target, from, size] = words;
                        let memory = &mut seat.frame.memory;
                        *gas = op::memory::copy([target, from, size], &code, memory, seat.lane.schedule, *gas)?;
                        Ok(())
                    });
                }
                opcode::CODESIZE => {
                    path.stack.push(Value::uniform(U256::from(self.program.code.len() as u64)));
                }
                opcode::GASPRICE => gather!(|seat| seat.lane.transaction.gas_price),
                opcode::EXTCODESIZE => seat!(here, 1 -> true, |seat, words, gas| {
                    let (value, rest) = op::environment::extcodesize(seat.lane, &words[0], *gas)?;
                    *gas = rest;
                    seat.out.set(seat.index, &value);
                    Ok(())
                }),
                opcode::EXTCODECOPY => {
                    written!(Range::new(&path.peek(1), &path.peek(3)), here, 4 -> false, |seat, words, gas| {
                        let [address, target, from, size] = words;
                        let operands = [address, target, from, size];
                        *gas = op::environment::extcodecopy(seat.lane, operands, &mut seat.frame.memory, *gas)?;
                        Ok(())
                    })
                }
                opcode::RETURNDATASIZE => gather!(|seat| U256::from(seat.frame.return_data.len() as u64)),
                opcode::RETURNDATACOPY => {
                    written!(Range::new(&path.peek(0), &path.peek(2)), here, 3 -> false, |seat, words, gas| {
                        let [target, from, size] = words;
                        let Frame { return_data, memory, .. } = seat.frame;
                        let operands = [target, from, size];
                        *gas = op::environment::returndatacopy(seat.lane, operands, return_data, memory, *gas)?;
                        Ok(())
                    })
                }
                opcode::EXTCODEHASH => seat!(here, 1 -> true, |seat, words, gas| {
                    let (value, rest) = op::environment::extcodehash(seat.lane, &words[0], *gas)?;
                    *gas = rest;
                    seat.out.set(seat.index, &value);
                    Ok(())
                }),

                opcode::BLOCKHASH => seat!(here, 1 -> true, |seat, words, _gas| {
                    let value = op::block::blockhash(seat.lane, &words[0])?;
                    seat.out.set(seat.index, &value);
                    Ok(())
                }),
                opcode::COINBASE => gather!(|seat| word::from_address(&seat.lane.environment.block.coinbase)),
                opcode::TIMESTAMP => gather!(|seat| U256::from(seat.lane.environment.block.timestamp)),
                opcode::NUMBER => gather!(|seat| U256::from(seat.lane.environment.block.number)),
                opcode::PREVRANDAO => gather!(|seat| op::block::prevrandao(seat.lane)),
                opcode::GASLIMIT => gather!(|seat| U256::from(seat.lane.environment.block.gas_limit)),
                opcode::CHAINID => gather!(|seat| U256::from(seat.lane.environment.rules.chain_id)),
                opcode::SELFBALANCE => {
                    gather!(|seat| seat.lane.journal.account(seat.frame.account).info.balance);
                }
                opcode::BASEFEE => gather!(|seat| seat.lane.environment.block.base_fee),
                opcode::BLOBHASH => seat!(here, 1 -> true, |seat, words, _gas| {
                    seat.out.set(seat.index, &op::block::blobhash(seat.lane, &words[0]));
                    Ok(())
                }),
                opcode::BLOBBASEFEE => gather!(|seat| seat.lane.environment.block.blob_base_fee),
                opcode::SLOTNUM => gather!(|seat| U256::from(seat.lane.environment.block.slot_number)),

                opcode::POP => self.drop(path, 1),
                opcode::MLOAD => {
                    let offset = path.peek(0);
                    let (value, failed) = self.mload(path, &offset);
                    without!(failed, here, value);
                    self.drop(path, 1);
                    path.stack.push(value);
                }
                opcode::MSTORE => {
                    let (offset, value) = (path.peek(0), path.peek(1));
                    let failed = self.mstore(path, &offset, &value);
                    without!(failed, here);
                    self.store_word(path, &offset, &value);
                    self.drop(path, 2);
                }
                opcode::MSTORE8 => {
                    written!(Range::fixed(&path.peek(0), 1), here, 2 -> false, |seat, words, gas| {
                        let place = seat.frame.memory.require(&words[0], 1, gas)?;
                        seat.frame.memory.store_byte(place, words[1].0[0] as u8);
                        Ok(())
                    })
                }
                opcode::SLOAD => {
                    let key = path.peek(0);
                    if let Some(value) = path.storage.get(&key) {
                        self.columns.share(&value);
                        self.drop(path, 1);
                        path.stack.push(value);
                        continue;
                    }
                    let known = self.read_ahead(path, &key);
                    seat!(here, 1 -> true, |seat, words, gas| {
                        let ahead = (known >> seat.index & 1 == 1).then(|| seat.out.get(seat.index));
                        let (value, rest) = op::storage::sload(seat.lane, seat.frame.account, &words[0], ahead, *gas)?;
                        *gas = rest;
                        seat.out.set(seat.index, &value);
                        Ok(())
                    });
                    // The key is off the stack, but a word that all lanes share is its own.
                    path.storage.set(self.columns, &key, &path.peek(0), false);
                }
                opcode::SSTORE => {
                    let (key, value) = (path.peek(0), path.peek(1));
                    let failed = self.each::<2>(path, |seat, words, gas| {
                        let [key, value] = words;
                        *gas = op::storage::sstore(seat.lane, seat.frame, [key, value], *gas)?;
                        Ok(())
                    });
                    without!(failed, here);
                    path.storage.set(self.columns, &key, &value, true);
                    self.drop(path, 2);
                }
                opcode::JUMP => {
                    let target = path.peek(0);
                    match target.word() {
                        Some(target) => match self.program.entry(word::to_u64_saturating(target) as usize, self.rows) {
                            Some(entry) => ip = entry,
                            None => fail!(here),
                        },
                        None => {
                            let (targets, failed) = self.targets(path, &target, path.lanes, ip);
                            without!(failed, here);
                            self.drop(path, 1);
                            match self.part(path, &targets) {
                                Some(target) => {
                                    ip = target;
                                    continue;
                                }
                                None => return self.pause(path),
                            }
                        }
                    }
                    self.drop(path, 1);
                }
                opcode::JUMPI => {
                    let (target, condition) = (path.peek(0), path.peek(1));
                    let taken = self.columns.nonzero(self.simd, &condition, path.lanes);
                    let (targets, failed) = self.targets(path, &target, taken, ip);
                    without!(failed, here);
                    self.drop(path, 2);
                    match self.part(path, &targets) {
                        Some(target) => ip = target,
                        None => return self.pause(path),
                    }
                }
                opcode::PC => path.stack.push(Value::uniform(U256::from(instruction.arg))),
                opcode::MSIZE => match self.memory_size(path) {
                    Some(size) => path.stack.push(Value::uniform(U256::from(size))),
                    None => gather!(|seat| U256::from(seat.frame.memory.len() as u64)),
                },
                opcode::GAS => seat!(here, 0 -> true, |seat, _words, gas| {
                    seat.out.set(seat.index, &U256::from(*gas));
                    Ok(())
                }),
                opcode::JUMPDEST => {}
                opcode::TLOAD => seat!(here, 1 -> true, |seat, words, _gas| {
                    seat.out.set(seat.index, &seat.lane.journal.transient(seat.frame.account, &words[0]));
                    Ok(())
                }),
                opcode::TSTORE => seat!(here, 2 -> false, |seat, words, _gas| {
                    let [key, value] = words;
                    op::storage::tstore(seat.lane, seat.frame.account, seat.frame.is_static, [key, value])?;
                    Ok(())
                }),
                opcode::MCOPY => {
                    if self.copy_words(path, [&path.peek(0), &path.peek(1), &path.peek(2)]) {
                        self.drop(path, 3);
                        continue;
                    }
                    path.copy(&path.peek(2));
                    written!(Range::Own, here, 3 -> false, |seat, words, gas| {
                        let [target, source, size] = words;
                        let memory = &mut seat.frame.memory;
                        *gas = op::memory::mcopy([target, source, size], memory, seat.lane.schedule, *gas)?;
                        Ok(())
                    });
                }
                dup @ opcode::DUP1..=opcode::DUP16 => self.dup(path, usize::from(dup - opcode::DUP1)),
                exchange @ opcode::SWAP1..=opcode::SWAP16 => {
                    swap(path, usize::from(exchange - opcode::SWAP1) + 1);
                }
                opcode::DUPN => self.dup(path, instruction.arg as usize - 1),
                opcode::SWAPN => swap(path, instruction.arg as usize),
                opcode::EXCHANGE => {
                    let [one, other, ..] = instruction.arg.to_le_bytes();
                    let top = path.stack.len() - 1;
                    path.stack.swap(top - usize::from(one), top - usize::from(other));
                }

                opcode::LOG0 => log!(here, 2 -> false, |seat, words, gas| write_log(seat, words, gas)),
                opcode::LOG1 => log!(here, 3 -> false, |seat, words, gas| write_log(seat, words, gas)),
                opcode::LOG2 => log!(here, 4 -> false, |seat, words, gas| write_log(seat, words, gas)),
                opcode::LOG3 => log!(here, 5 -> false, |seat, words, gas| write_log(seat, words, gas)),
                opcode::LOG4 => log!(here, 6 -> false, |seat, words, gas| write_log(seat, words, gas)),

                create @ (opcode::CREATE | opcode::CREATE2) => {
                    let reads = Range::new(&path.peek(1), &path.peek(2));
                    self.write_back_for_call(path, reads, Range::Same { offset: 0, len: 0 });
                    // CREATE takes three items; the fourth may not be there.
                    if create == opcode::CREATE {
                        seat!(here, 3 -> false, |seat, words, gas| {
                            let [value, offset, size] = words;
                            let operands = [value, offset, size, &U256::zero()];
                            *gas = op::create::prepare(create, seat.lane, seat.frame, operands, *gas)?;
                            seat.frame.gas = *gas;
                            Ok(())
                        });
                    } else {
                        seat!(here, 4 -> false, |seat, words, gas| {
                            let [value, offset, size, salt] = words;
                            let operands = [value, offset, size, salt];
                            *gas = op::create::prepare(create, seat.lane, seat.frame, operands, *gas)?;
                            seat.frame.gas = *gas;
                            Ok(())
                        });
                    }
                    path.ip = ip;
                    return Stop::Create;
                }
                call @ (opcode::CALL | opcode::CALLCODE) => {
                    let reads = Range::new(&path.peek(3), &path.peek(4));
                    self.write_back_for_call(path, reads, Range::new(&path.peek(5), &path.peek(6)));
                    seat!(here, 7 -> false, |seat, words, gas| {
                        *gas = op::call::prepare(call, seat.lane, seat.frame, words, *gas)?;
                        seat.frame.gas = *gas;
                        Ok(())
                    });
                    path.ip = ip;
                    return Stop::Call;
                }
                call @ (opcode::DELEGATECALL | opcode::STATICCALL) => {
                    let reads = Range::new(&path.peek(2), &path.peek(3));
                    self.write_back_for_call(path, reads, Range::new(&path.peek(4), &path.peek(5)));
                    seat!(here, 6 -> false, |seat, words, gas| {
                        let [gas_limit, to, input_offset, input_len, output_offset, output_len] = *words;
                        let operands =
                            [gas_limit, to, input_offset, input_len, output_offset, output_len, U256::zero()];
                        *gas = op::call::prepare(call, seat.lane, seat.frame, &operands, *gas)?;
                        seat.frame.gas = *gas;
                        Ok(())
                    });
                    path.ip = ip;
                    return Stop::Call;
                }
                end @ (opcode::RETURN | opcode::REVERT) => {
                    self.write_back(path, Range::new(&path.peek(0), &path.peek(1)));
                    let mut places = [(0, 0); LANES];
                    seat!(here, 2 -> false, |seat, words, gas| {
                        let [offset, size] = words;
                        let (offset, len, rest) = op::control::output(seat.frame, [offset, size], *gas)?;
                        *gas = rest;
                        places[seat.index] = (offset, len);
                        Ok(())
                    });
                    self.end(path, |lane| {
                        let (offset, len) = places[lane];
                        if end == opcode::RETURN { Exit::Return(offset, len) } else { Exit::Revert(offset, len) }
                    });
                    return self.over(path);
                }
                opcode::SELFDESTRUCT => {
                    seat!(here, 1 -> false, |seat, words, gas| {
                        *gas = op::control::selfdestruct(seat.lane, seat.frame, &words[0], *gas)?;
                        Ok(())
                    });
                    self.end(path, |_| Exit::Stop);
                    return self.over(path);
                }
                _ if self.fused(path, instruction) => {}
                _ => fail!(here),
            }
        }
    }
}
