//! Code in which opcodes stand next to each other that a decoder makes one instruction of: the decoded form, the checked form (which
//! executes byte by byte, and runs wherever an observer watches) and lanes in lockstep come to the same.

use isolane_cpu::{Available, Lockstep, Machine, Observer};
use isolane_spec::opcode::op;
use isolane_spec::{
    AccountInfo, Backend, Batch, BlockContext, Bytes, Environment, Fork, H160, H256, MemoryState, Order, Outcome,
    Rules, Status, Transaction, U256,
};
use sha3::{Digest, Keccak256};
use std::sync::Arc;

const SENDER: H160 = H160([1; 20]);
const CONTRACT: H160 = H160([2; 20]);

struct Watching;
impl Observer for Watching {}

/// A stream of numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn pick(&mut self, bytes: &[u8]) -> u8 {
        bytes[self.below(bytes.len() as u64) as usize]
    }
}

/// Code whose stack is known at every place but for what the last argument says.
struct Writer {
    code: Vec<u8>,
    height: usize,
    random: Random,
}

impl Writer {
    fn push(&mut self, value: u64) {
        let bytes = value.to_be_bytes();
        let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(8);
        self.code.push(op::PUSH0 + (8 - first) as u8);
        self.code.extend(&bytes[first..]);
        self.height += 1;
    }

    fn constant(&mut self) {
        let value = match self.random.below(6) {
            0 => 0xffff + self.random.below(2),
            1 => 0xffff_ffff + self.random.below(2),
            2 => self.random.below(u64::MAX),
            _ => self.random.below(64),
        };
        self.push(value);
    }

    fn value(&mut self) {
        let place = self.random.below(40);
        self.push(place);
        self.code.push(op::CALLDATALOAD);
    }

    fn binary(&mut self, byte: u8) {
        self.code.push(byte);
        self.height -= 1;
    }

    fn dup(&mut self) {
        let depth = self.random.below(self.height.min(16) as u64) as u8;
        self.code.push(op::DUP1 + depth);
        self.height += 1;
    }

    fn swap(&mut self) {
        let depth = self.random.below((self.height - 1).min(16) as u64) as u8;
        self.code.push(op::SWAP1 + depth);
    }

    fn pop(&mut self) {
        self.code.push(op::POP);
        self.height -= 1;
    }

    fn statement(&mut self) {
        while self.height < 4 {
            self.value();
        }
        match self.random.below(16) {
            0 | 1 => self.value(),
            2 | 3 => self.constant(),
            4..=6 => self.dup(),
            7 | 8 => self.swap(),
            9 => self.pop(),
            10 | 11 => {
                let byte = self.random.pick(&[
                    op::ADD,
                    op::SUB,
                    op::MUL,
                    op::AND,
                    op::OR,
                    op::XOR,
                    op::EQ,
                    op::LT,
                    op::GT,
                    op::SLT,
                    op::SGT,
                    op::SHL,
                    op::SHR,
                ]);
                if self.random.below(2) == 0 {
                    self.code.push(op::SWAP1);
                }
                self.binary(byte);
            }
            12 => {
                let byte = self.random.pick(&[op::NOT, op::ISZERO]);
                self.code.push(byte);
            }
            13 => {
                // To or from a place below 512, mostly.
                if self.random.below(8) != 0 {
                    self.push(0x1ff);
                    self.binary(op::AND);
                }
                if self.random.below(2) == 0 {
                    self.code.push(op::MLOAD);
                } else if self.random.below(2) == 0 {
                    self.code.extend([op::DUP1, op::MLOAD]);
                    self.height += 1;
                } else {
                    self.binary(op::MSTORE);
                    self.height -= 1;
                }
            }
            14 => {
                let place = self.random.below(12) * 32;
                self.dup();
                self.push(place);
                self.binary(op::MSTORE);
                self.height -= 1;
            }
            _ => self.branch(),
        }
    }

    /// Over a few instructions that leave the stack as it was, by what stays on the stack or not.
    fn branch(&mut self) {
        match self.random.below(3) {
            0 => self.dup(),
            1 => {
                let selector = self.random.below(3);
                self.code.push(op::DUP1);
                self.height += 1;
                self.push(selector);
                self.binary(op::EQ);
            }
            _ => self.value(),
        }
        (0..self.random.below(4)).for_each(|_| self.code.push(op::ISZERO));
        let label = self.code.len() + 1;
        self.code.extend([op::PUSH2, 0, 0, op::JUMPI]);
        self.height -= 1;
        let before = self.height;
        self.value();
        self.dup();
        self.swap();
        while self.height > before {
            self.pop();
        }
        let here = self.code.len();
        self.code[label..label + 2].copy_from_slice(&(here as u16).to_be_bytes());
        self.code.push(op::JUMPDEST);
    }
}

/// A program that ends with all of its stack in its output; one in eight fails on the way, most likely.
fn program(seed: u64) -> Vec<u8> {
    let mut writer = Writer { code: Vec::new(), height: 0, random: Random(seed) };
    let statements = 5 + writer.random.below(60);
    for _ in 0..statements {
        writer.statement();
    }
    if writer.random.below(8) == 0 {
        let too_many = writer.height + 1;
        writer.code.extend(vec![op::POP; too_many]);
    }
    let mut place = 0x400;
    while writer.height > 0 {
        writer.push(place);
        writer.binary(op::MSTORE);
        writer.height -= 1;
        place += 32;
    }
    writer.push(place);
    writer.push(0);
    writer.code.push(op::RETURN);
    writer.code
}

fn transactions(random: &mut Random) -> Vec<Transaction> {
    let transaction = |random: &mut Random| {
        let mut input = [0; 72];
        for byte in &mut input {
            *byte = random.below(4) as u8 * random.below(2) as u8;
        }
        // A selector of a few.
        input[31] = random.below(3) as u8;
        let scarce = random.below(3) == 0;
        Transaction {
            sender: SENDER,
            to: Some(CONTRACT),
            input: Bytes::copy_from_slice(&input),
            gas_limit: if scarce { 23_000 + random.below(1_200) } else { 1_000_000 },
            ..Transaction::default()
        }
    };
    (0..24).map(|_| transaction(random)).collect()
}

fn environment(code: Vec<u8>) -> Environment {
    let mut state = MemoryState::default();
    let rich = AccountInfo { balance: U256::from(10).pow(18.into()), ..AccountInfo::default() };
    state.insert(SENDER, rich, Bytes::new(), []);
    let code_hash = H256(Keccak256::digest(&code).into());
    let info = AccountInfo { nonce: 1, code_hash, ..AccountInfo::default() };
    state.insert(CONTRACT, info, Bytes::from(code), []);
    let block = BlockContext { gas_limit: u64::MAX, ..BlockContext::default() };
    let order = Order::Independent;
    Environment { order, ..Environment::new("fused", Rules::new(Fork::Prague, 1), block, Arc::new(state)) }
}

#[test]
fn fused_instructions_do_what_their_opcodes_do() {
    let mut ends = [0; 3];
    let lockstep = Lockstep::new();
    for seed in 0..600 {
        let environment = environment(program(seed));
        let transactions = transactions(&mut Random(!seed));
        let available = Available::of(&environment);
        let mut machine = Machine::new(environment.clone());
        let mut outcomes: Vec<Outcome> = Vec::new();
        for (index, transaction) in transactions.iter().enumerate() {
            machine.rewind();
            let outcome = machine.transact(transaction, available).unwrap();
            machine.rewind();
            let checked = machine.transact_observed(transaction, available, &mut Watching).unwrap();
            assert_eq!(outcome, checked, "program {seed}, transaction {index}");
            match outcome.status {
                Status::Success => ends[0] += 1,
                Status::Halt(_) => ends[1] += 1,
                _ => ends[2] += 1,
            }
            outcomes.push(outcome);
        }
        let transactions = transactions.into_iter().map(|transaction| (0, transaction)).collect();
        let batch = Batch { environments: vec![environment], transactions };
        let together: Vec<Outcome> = lockstep.execute(&batch).into_iter().map(Result::unwrap).collect();
        for (index, (alone, together)) in outcomes.iter().zip(&together).enumerate() {
            assert_eq!(alone, together, "program {seed}, lane {index}");
        }
    }
    assert!(ends[0] > 5_000 && ends[1] > 1_000 && ends[2] == 0, "{ends:?}");
}

/// As many opcodes in a row as a block has, of each kind that a decoder looks back over.
#[test]
fn long_rows_of_the_same_opcode_need_no_deep_stack() {
    const ROW: usize = 8_000;
    let rows: [(u8, &[u8]); 4] = [
        (op::SWAP1, &[op::LT]),
        (op::ISZERO, &[op::PUSH2, 0xff, 0xff, op::JUMPI, op::CALLDATASIZE]),
        (op::NOT, &[op::ADD]),
        (op::DUP1, &[op::EQ]),
    ];
    for (row, end) in rows {
        let mut code = vec![op::PUSH1, 1, op::CALLDATASIZE, op::CALLDATASIZE];
        let times = if row == op::DUP1 { 1_000 } else { ROW };
        code.extend(vec![row; times]);
        // The place of a JUMPDEST behind it.
        let behind = (code.len() + end.len() - usize::from(row == op::ISZERO)) as u16;
        code.extend(end);
        if row == op::ISZERO {
            let label = code.len() - end.len() + 1;
            code[label..label + 2].copy_from_slice(&behind.to_be_bytes());
            code[usize::from(behind)] = op::JUMPDEST;
            code.push(op::CALLDATASIZE);
        }
        code.extend([op::PUSH1, 0, op::MSTORE, op::PUSH1, 32, op::PUSH1, 0, op::RETURN]);
        let environment = environment(code);
        let transaction = &transactions(&mut Random(1))[0];
        let transaction = Transaction { gas_limit: 1_000_000, ..transaction.clone() };
        let available = Available::of(&environment);
        let small = std::thread::Builder::new().stack_size(256 << 10);
        let ran = small.spawn(move || {
            let mut machine = Machine::new(environment);
            let outcome = machine.transact(&transaction, available).unwrap();
            machine.rewind();
            assert_eq!(outcome, machine.transact_observed(&transaction, available, &mut Watching).unwrap());
            outcome
        });
        let outcome = ran.unwrap().join().unwrap();
        assert_eq!(outcome.status, Status::Success, "{row:#x}");
    }
}

/// The outcome of the first transaction, which is the same in both forms, and of all others in lockstep.
fn outcome(code: Vec<u8>, transactions: &[Transaction]) -> Outcome {
    let environment = environment(code);
    let available = Available::of(&environment);
    let mut machine = Machine::new(environment.clone());
    let outcome = machine.transact(&transactions[0], available).unwrap();
    machine.rewind();
    assert_eq!(outcome, machine.transact_observed(&transactions[0], available, &mut Watching).unwrap());
    let transactions: Vec<_> = transactions.iter().map(|transaction| (0, transaction.clone())).collect();
    let together = Lockstep::new().execute(&Batch { environments: vec![environment], transactions });
    assert_eq!(together[0].as_ref(), Ok(&outcome));
    outcome
}

#[test]
fn pushes_of_every_length_push_their_bytes() {
    let mut random = Random(5);
    // From the middle of the code, and from places so near to its end that no whole word follows.
    for behind in [40, 0] {
        for len in 0..=32_usize {
            let bytes: Vec<u8> = (0..len).map(|_| random.below(256) as u8).collect();
            let end = [op::PUSH0, op::MSTORE, op::MSIZE, op::PUSH0, op::RETURN];
            let code = [&[op::PUSH0 + len as u8][..], &bytes, &end, &vec![op::STOP; behind]].concat();
            let mut word = vec![0; 32 - len];
            word.extend(&bytes);
            assert_eq!(outcome(code, &transactions(&mut Random(3))).output[..], word, "{len} bytes");
        }
    }
}

/// Jumps to places beyond the first 2¹⁶ instructions, decoded from a jump to them and from what stands before them.
#[test]
fn code_may_have_more_instructions_than_sixteen_bits_count() {
    const LONG: usize = 70_000;
    // The rounds that are left; to the place in the first word.
    let mut code = vec![op::PUSH1, 3, op::PUSH0, op::CALLDATALOAD, op::JUMP];
    let first = code.len();
    code.extend(vec![op::JUMPDEST; LONG]);
    // One round less, and to the place in the second word until none is left.
    code.extend([op::PUSH1, 1, op::SWAP1, op::SUB, op::DUP1, op::PUSH1, 32, op::CALLDATALOAD, op::JUMPI]);
    code.extend([op::GAS, op::PUSH0, op::MSTORE, op::MSIZE, op::PUSH0, op::RETURN]);
    let transaction = |places: [usize; 2]| {
        let words = places.map(|place| U256::from(place).to_big_endian());
        let input = Bytes::from(words.concat());
        Transaction { sender: SENDER, to: Some(CONTRACT), input, gas_limit: 1_000_000, ..Transaction::default() }
    };
    for places in [[first, LONG], [LONG - 10, LONG], [first, first], [LONG, first + 9]] {
        let done = outcome(code.clone(), &vec![transaction(places); 8]);
        assert_eq!(done.status, Status::Success, "{places:?}");
        let jumpdests = (first + LONG - places[0]) + 2 * (first + LONG - places[1]);
        assert!(
            done.steps as usize > jumpdests && (done.steps as usize) < jumpdests + 50,
            "{places:?}: {}",
            done.steps
        );
    }
}
