//! Code, decoded for execution.
//!
//! Code is decoded one basic block at a time, when it is first reached, because a transaction touches few blocks of a
//! contract. Each block starts with a marker that carries the block's static gas and stack needs, so that both are
//! checked once a block. A block ends where control may leave or where an instruction can see the gas that is left
//! (GAS, SSTORE, calls and creates), which makes the gas exact wherever it shows.
//!
//! Where a block cannot be paid for or its stack does not suffice, and wherever else exactness at a single instruction
//! matters, the interpreter leaves this form and executes the bytes themselves, one checked instruction at a time.

mod entries;
mod fuse;

use crate::jumpdest::JumpDests;
use crate::op::bitwise::shift_right;
use entries::{Entries, UNDECODED};
use isolane_spec::gas::SCHEDULES;
use isolane_spec::opcode::{exchanged_items, op, stack_index};
use isolane_spec::word;
use isolane_spec::{Bytes, Environment, Fork, OpcodeSet, Rule, U256};

/// Instructions that only decoded code has. Their bytes are opcodes of no fork.
pub(crate) mod inner {
    /// Start of a block: charge it. `arg` is the block's index.
    pub const BLOCK: u8 = 0xb0;
    /// Continue at instruction `arg`.
    pub const GOTO: u8 = 0xb1;
    /// Push the constant `arg`.
    pub const PUSH_CONSTANT: u8 = 0xb2;
    /// Push `arg`.
    pub const PUSH_SMALL: u8 = 0xb3;
    /// A byte that is no opcode of the environment, or that it denies.
    pub const UNDEFINED: u8 = 0xb4;
    /// PUSH and JUMP: continue at the JUMPDEST at `arg`, which is not decoded yet.
    pub const JUMP_TO_PC: u8 = 0xb5;
    /// PUSH and JUMPI: likewise.
    pub const JUMPI_TO_PC: u8 = 0xb6;
    /// PUSH and JUMPI, decoded: continue at instruction `arg`.
    pub const JUMPI_TO: u8 = 0xb7;
    /// ISZERO, PUSH and JUMPI: not decoded yet.
    pub const JUMPI_ZERO_TO_PC: u8 = 0xb8;
    /// ISZERO, PUSH and JUMPI, decoded.
    pub const JUMPI_ZERO_TO: u8 = 0xb9;
    /// PUSH `arg` and ADD.
    pub const ADD_SMALL: u8 = 0xba;
    /// PUSH the constant `arg` and AND.
    pub const AND_CONSTANT: u8 = 0xbb;
    /// PUSH `arg` and EQ.
    pub const EQ_SMALL: u8 = 0xbc;
    /// PUSH `arg`, below 256, and SHL.
    pub const SHL_SMALL: u8 = 0xbd;
    /// PUSH `arg`, below 256, and SHR.
    pub const SHR_SMALL: u8 = 0xbe;
    /// PUSH `arg` and MLOAD.
    pub const MLOAD_SMALL: u8 = 0xbf;
    /// PUSH `arg` and MSTORE.
    pub const MSTORE_SMALL: u8 = 0xc0;
    /// SWAP and one or more POPs: the top goes `also` items deeper, then `arg` items go.
    pub const SWAP_POP: u8 = 0xc1;
    /// Two or more POPs: `arg` items go.
    pub const POPS: u8 = 0xc2;
    /// PUSH `arg`, SWAP1 and SUB: the top less `arg`.
    pub const SUB_SMALL: u8 = 0xc3;
    /// SWAP1 and SUB: the item below the top less the top.
    pub const SUB_TOP: u8 = 0xc4;
    /// DUP of the item at `also` and ADD.
    pub const DUP_ADD: u8 = 0xc5;
    /// DUP of the item at `also`, PUSH `arg` and ADD.
    pub const DUP_ADD_SMALL: u8 = 0xc6;
    /// DUP of the item at `also` and MLOAD.
    pub const DUP_MLOAD: u8 = 0xc7;
    /// DUP of the item at `also` and MSTORE: the top goes where that item says.
    pub const DUP_MSTORE: u8 = 0xc8;
    /// DUP of the item at `also`, PUSH `arg` and MSTORE.
    pub const DUP_MSTORE_SMALL: u8 = 0xc9;
    /// PUSH `also`, PUSH `arg` and MSTORE.
    pub const PUSH_MSTORE_SMALL: u8 = 0xca;
    /// PUSH `arg` and PUSH `also`.
    pub const PUSH_PUSH: u8 = 0xcb;
    /// PUSH `arg` and DUP of the item that is then at `also`.
    pub const PUSH_DUP: u8 = 0xcc;
    /// DUP of the item at `arg` and DUP of the item that is then at `also`.
    pub const DUP_DUP: u8 = 0xcd;
    /// DUP of the item at `also`, PUSH and JUMPI: not decoded yet.
    pub const DUP_JUMPI_TO_PC: u8 = 0xce;
    /// DUP of the item at `also`, PUSH and JUMPI, decoded.
    pub const DUP_JUMPI_TO: u8 = 0xcf;
    /// DUP of the item at `also`, ISZERO, PUSH and JUMPI: not decoded yet.
    pub const DUP_JUMPI_ZERO_TO_PC: u8 = 0xd0;
    /// DUP of the item at `also`, ISZERO, PUSH and JUMPI, decoded.
    pub const DUP_JUMPI_ZERO_TO: u8 = 0xd1;
    /// DUP1, PUSH, EQ, PUSH and JUMPI, the choice `arg`: not decoded yet.
    pub const CHOOSE_PC: u8 = 0xd2;
    /// DUP1, PUSH, EQ, PUSH and JUMPI, the choice `arg`, decoded.
    pub const CHOOSE: u8 = 0xd3;
    /// DUP of the item at `also` and PUSH `arg`.
    pub const DUP_PUSH: u8 = 0xd4;
    /// PUSH `arg` and SWAP of the top and the item at `also`.
    pub const PUSH_SWAP: u8 = 0xd5;
    /// SWAP of the top and the item at `arg`, and of the top and the item at `also`.
    pub const SWAP_SWAP: u8 = 0xd6;
    /// DUP of the item at `arg`, and SWAP of the top and the item at `also`.
    pub const DUP_SWAP: u8 = 0xd7;
}

/// One decoded instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instruction {
    /// An opcode's byte or one of [`inner`].
    pub op: u8,
    /// What else it works on: of an instruction that stands for several.
    pub also: u16,
    /// What it works on.
    pub arg: u32,
}

impl Instruction {
    pub fn new(op: u8, arg: u32) -> Self {
        Self { op, also: 0, arg }
    }
}

/// A jump that is made where the top of the stack has a value: what compilers make of a function's selector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub value: u32,
    /// In the bytes, or the instruction where that is decoded.
    pub target: u32,
}

/// What a basic block needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// Its static gas.
    pub gas: u32,
    /// Instructions in it.
    pub steps: u32,
    /// Stack items that must be there.
    pub need: u16,
    /// Stack items by which it grows at most.
    pub grow: u16,
    /// Where it ends in the bytes.
    pub end: u32,
}

/// What one byte means in an environment, for the checked interpreter and the decoder.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Row {
    pub defined: bool,
    pub pops: u8,
    pub pushes: u8,
    pub immediate: u8,
    /// The permission that forbids it: then it is not defined.
    pub denied: Option<Rule>,
    pub gas: u32,
}

/// The opcode table of one environment.
pub(crate) type Rows = [Row; 256];

/// All that an opcode table, and with it decoded code, depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TableKey {
    fork: Fork,
    extra: OpcodeSet,
    removed: OpcodeSet,
    denied: OpcodeSet,
    create: bool,
    logs: bool,
    state: bool,
}

impl TableKey {
    pub fn of(environment: &Environment) -> Self {
        let Environment { rules, permissions, .. } = environment;
        Self {
            fork: rules.fork,
            extra: rules.extra_opcodes,
            removed: rules.removed_opcodes,
            denied: permissions.denied_opcodes,
            create: permissions.create,
            logs: permissions.logs,
            state: permissions.state,
        }
    }
}

/// The opcode table of an environment, from `isolane-spec`.
pub(crate) fn rows(environment: &Environment) -> Rows {
    std::array::from_fn(|byte| {
        let Some((row, priced)) = environment.rules.opcode(byte as u8) else { return Row::default() };
        let denied = environment.permissions.denied_opcode(byte as u8);
        Row {
            defined: denied.is_none(),
            pops: row.pops,
            pushes: row.pushes,
            immediate: row.immediate,
            denied,
            gas: SCHEDULES[priced as usize].class(row.gas),
        }
    })
}

/// The operands of DUPN, SWAPN and EXCHANGE (EIP-8024).
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackOperands {
    /// What the instruction works on: the index of DUPN and SWAPN, or both items of EXCHANGE, a byte each.
    pub arg: u32,
    /// Stack items that must be there.
    pub need: usize,
}

/// The operands that an immediate byte gives; `None` where EIP-8024 forbids it.
pub(crate) fn stack_operands(opcode: u8, immediate: u8) -> Option<StackOperands> {
    if opcode == op::EXCHANGE {
        let (one, other) = exchanged_items(immediate)?;
        let arg = u32::from(one) | u32::from(other) << 8;
        return Some(StackOperands { arg, need: usize::from(one.max(other)) + 1 });
    }
    let index = stack_index(immediate)?;
    let need = usize::from(index) + usize::from(opcode == op::SWAPN);
    Some(StackOperands { arg: index.into(), need })
}

/// Longest block, so that its sums fit their fields.
const MAX_BLOCK_STEPS: u32 = 8_192;

/// Code with its decoded part.
#[derive(Debug)]
pub(crate) struct Program {
    /// The bytes.
    pub code: Bytes,
    jumpdests: JumpDests,
    entries: Entries,
    /// The instruction that execution starts at.
    start: u32,
    pub instructions: Vec<Instruction>,
    /// By instruction: where it stands in the bytes.
    positions: Vec<u32>,
    pub blocks: Vec<Block>,
    pub constants: Vec<U256>,
    pub choices: Vec<Choice>,
}

impl Program {
    /// Decodes nothing yet.
    pub fn new(code: Bytes, rows: &Rows) -> Self {
        let room = (code.len() / 8).clamp(16, 512);
        let mut program = Self {
            jumpdests: JumpDests::new(&code, rows),
            code,
            entries: Entries::default(),
            start: UNDECODED,
            instructions: Vec::with_capacity(room),
            positions: Vec::with_capacity(room),
            blocks: Vec::with_capacity(room / 8),
            constants: Vec::new(),
            choices: Vec::new(),
        };
        // Instruction 0 is never an entry, so that 0 can mean "not decoded".
        program.emit(inner::UNDEFINED, 0, 0);
        program
    }

    /// Bytes of memory that it takes, roughly, once it was run: of most code a quarter is decoded.
    pub fn size(&self) -> usize {
        self.code.len() * 6
    }

    /// Whether a jump may go there.
    #[inline]
    pub fn is_jumpdest(&self, pc: usize) -> bool {
        self.jumpdests.contains(&self.code, pc)
    }

    /// The instruction to start at.
    pub fn start(&mut self, rows: &Rows) -> usize {
        if self.start == UNDECODED {
            self.start = self.decode(0, rows);
        }
        self.start as usize
    }

    /// The instruction that a jump to `pc` continues at; `None` if that is no jump destination.
    #[inline(always)]
    pub fn entry(&mut self, pc: usize, rows: &Rows) -> Option<usize> {
        match self.entries.near(pc) {
            UNDECODED => self.decode_entry(pc, rows),
            entry => Some(entry as usize),
        }
    }

    #[cold]
    #[inline(never)]
    fn decode_entry(&mut self, pc: usize, rows: &Rows) -> Option<usize> {
        match self.entries.find(pc) {
            UNDECODED => self.is_jumpdest(pc).then(|| self.decode(pc, rows) as usize),
            entry => Some(entry as usize),
        }
    }

    /// Where an instruction stands in the bytes.
    pub fn position(&self, instruction: usize) -> usize {
        self.positions[instruction] as usize
    }

    /// What a block charged too early when it stops at `instruction`: that instruction's own static gas, and the static
    /// gas and the number of the instructions after it.
    pub fn rest_of_block(&self, instruction: usize, rows: &Rows) -> (u64, u64, u64) {
        let marker = self.instructions[..instruction].iter().rposition(|i| i.op == inner::BLOCK).unwrap_or(0);
        let end = self.blocks[self.instructions[marker].arg as usize].end as usize;
        let first = self.position(instruction);
        // Counted in the bytes, since a decoded instruction may stand for several.
        let (mut pc, mut own, mut gas, mut steps) = (first, 0, 0, 0);
        while pc < end {
            let row = rows[usize::from(self.code.get(pc).copied().unwrap_or(op::STOP))];
            if pc == first {
                own = u64::from(row.gas);
            } else {
                gas += u64::from(row.gas);
                steps += 1;
            }
            pc += 1 + usize::from(row.immediate);
        }
        (own, gas, steps)
    }

    fn emit(&mut self, op: u8, arg: u32, pc: usize) {
        self.instructions.push(Instruction::new(op, arg));
        self.positions.push(pc as u32);
    }

    /// The byte at `pc`; zero beyond the end of the code.
    pub fn byte(&self, pc: usize) -> u8 {
        self.code.get(pc).copied().unwrap_or_default()
    }

    /// The constant that a PUSH at `pc` pushes; missing bytes at the end of the code read as zero.
    pub fn immediate(&self, pc: usize, len: usize) -> U256 {
        let available = self.code.get(pc + 1..).unwrap_or_default();
        if len == 0 {
            return U256::zero();
        }
        if let Some(bytes) = available.first_chunk() {
            return shift_right(&word::from_be(bytes), 8 * (32 - len), 0);
        }
        let mut bytes = [0; 32];
        let take = available.len().min(len);
        bytes[32 - len..32 - len + take].copy_from_slice(&available[..take]);
        word::from_be(&bytes)
    }

    /// Decodes from `pc` up to an instruction that never continues with the next one. Returns the first instruction.
    fn decode(&mut self, pc: usize, rows: &Rows) -> u32 {
        self.entries.make_room(self.code.len());
        let first = self.instructions.len() as u32;
        let mut pc = pc;
        loop {
            let entry = self.entries.find(pc);
            if entry != UNDECODED {
                self.emit(inner::GOTO, entry, pc);
                return first;
            }
            match self.decode_block(pc, rows) {
                Some(next) => pc = next,
                None => return first,
            }
        }
    }

    /// Decodes one block; returns where the next one starts, `None` if control never falls through.
    fn decode_block(&mut self, start: usize, rows: &Rows) -> Option<usize> {
        let marker = self.instructions.len() as u32;
        let index = self.blocks.len() as u32;
        self.emit(inner::BLOCK, index, start);
        // What is decoded is an instruction: decoding starts at one and goes on to the next.
        if self.byte(start) == op::JUMPDEST {
            self.entries.set(start, marker);
        }
        let (mut gas, mut steps, mut height, mut need, mut grow) = (0u32, 0u32, 0i32, 0i32, 0i32);
        let mut pc = start;
        let (next, end) = loop {
            let byte = self.code.get(pc).copied().unwrap_or(op::STOP);
            if pc != start && (byte == op::JUMPDEST || steps >= MAX_BLOCK_STEPS) {
                break (Some(pc), pc);
            }
            let row = rows[usize::from(byte)];
            steps += 1;
            if !row.defined {
                self.emit(inner::UNDEFINED, u32::from(byte), pc);
                break (None, pc + 1);
            }
            gas += row.gas;
            need = need.max(i32::from(row.pops) - height);
            height += i32::from(row.pushes) - i32::from(row.pops);
            grow = grow.max(height);
            let after = pc + 1 + usize::from(row.immediate);
            match byte {
                op::JUMPDEST => {}
                op::JUMP | op::JUMPI => {
                    self.emit_jump(byte, pc);
                    break ((byte == op::JUMPI).then_some(after), after);
                }
                op::PUSH0..=op::PUSH32 => {
                    self.emit_immediate(pc, usize::from(row.immediate));
                }
                op::DUPN | op::SWAPN | op::EXCHANGE => match stack_operands(byte, self.byte(pc + 1)) {
                    Some(operands) => {
                        // The table has the least need of any immediate; no item is taken away.
                        let before = height - i32::from(row.pushes) + i32::from(row.pops);
                        need = need.max(operands.need as i32 - before);
                        self.emit(byte, operands.arg, pc);
                    }
                    None => {
                        self.emit(inner::UNDEFINED, u32::from(byte), pc);
                        break (None, after);
                    }
                },
                op::STOP | op::RETURN | op::REVERT | op::INVALID | op::SELFDESTRUCT => {
                    self.emit(byte, 0, pc);
                    break (None, after);
                }
                op::GAS
                | op::SSTORE
                | op::CALL
                | op::CALLCODE
                | op::DELEGATECALL
                | op::STATICCALL
                | op::CREATE
                | op::CREATE2 => {
                    self.emit(byte, pc as u32, pc);
                    break (Some(after), after);
                }
                _ => {
                    if !(fuse::MAY_FUSE[usize::from(byte)] && self.fuse(byte)) {
                        self.emit(byte, pc as u32, pc);
                    }
                }
            }
            pc = after;
        };
        self.pair(marker as usize + 1);
        // Clamped above what any stack can satisfy.
        let clamp = |count: i32| count.clamp(0, 1_025) as u16;
        self.blocks.push(Block { gas, steps, need: clamp(need), grow: clamp(grow), end: end as u32 });
        next
    }
}
