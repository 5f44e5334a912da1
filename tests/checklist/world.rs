//! Cases with the outcome that the EIPs demand.

use isolane::diff::case::{Case, Setting};
use isolane::diff::code::Code;
use isolane::spec::opcode::op;
use isolane::spec::{
    AccountInfo, BlockContext, Bytes, Fork, H160, KECCAK_EMPTY, MemoryState, Outcome, Rules, Status, Transaction, U256,
};
use std::sync::Arc;

/// Who sends all transactions: 10^18 wei, nonce 0 at first.
pub const SENDER: H160 = H160([0x5e; 20]);
/// The contract that is called.
pub const MAIN: H160 = H160([0xa1; 20]);
/// Another one.
pub const OTHER: H160 = H160([0xb2; 20]);
/// Who gets what self-destructed contracts leave.
pub const HEIR: H160 = H160([0x4e; 20]);

/// What a transaction must come to.
pub struct Expected {
    pub status: Status,
    pub output: Option<Vec<u8>>,
    pub gas_used: Option<u64>,
    pub more: fn(&Outcome),
}

/// One environment, its transactions in order, and what must come of each.
pub struct Check {
    pub case: Case,
    pub expected: Vec<Expected>,
}

/// Builds a [`Check`].
pub struct World {
    name: &'static str,
    fork: Fork,
    state: MemoryState,
    transactions: Vec<Transaction>,
    expected: Vec<Expected>,
}

pub fn keccak(bytes: &[u8]) -> isolane::spec::H256 {
    isolane::cpu::crypto::keccak256(bytes)
}

pub fn words(words: &[U256]) -> Vec<u8> {
    words.iter().flat_map(U256::to_big_endian).collect()
}

/// Small numbers as words.
pub fn numbers(numbers: &[u64]) -> Vec<u8> {
    words(&numbers.iter().map(|number| U256::from(*number)).collect::<Vec<_>>())
}

impl World {
    pub fn new(name: &'static str, fork: Fork) -> Self {
        let mut state = MemoryState::default();
        let rich = AccountInfo { balance: U256::exp10(18), ..AccountInfo::default() };
        state.insert(SENDER, rich, Bytes::new(), []);
        Self { name, fork, state, transactions: Vec::new(), expected: Vec::new() }
    }

    pub fn contract(self, address: H160, balance: u64, code: Bytes) -> Self {
        self.contract_with(address, balance, code, &[])
    }

    /// A contract with storage.
    pub fn contract_with(mut self, address: H160, balance: u64, code: Bytes, slots: &[(u64, u64)]) -> Self {
        let code_hash = if code.is_empty() { KECCAK_EMPTY } else { keccak(&code) };
        let slots = slots.iter().map(|(key, value)| (U256::from(*key), U256::from(*value)));
        self.state.insert(address, AccountInfo { nonce: 1, balance: balance.into(), code_hash }, code, slots);
        self
    }

    /// The next transaction of the sender: a call without data, with a million gas and a gas price of zero.
    pub fn call(self, to: H160, status: Status) -> Self {
        self.transaction(Transaction { to: Some(to), ..Transaction::default() }, status)
    }

    /// The next transaction of the sender; its nonce counts up, and without a gas limit it has a million.
    pub fn transaction(mut self, mut transaction: Transaction, status: Status) -> Self {
        let taken = self.expected.iter().filter(|expected| !matches!(expected.status, Status::Rejected(_))).count();
        transaction.sender = SENDER;
        transaction.chain_id = Some(1);
        transaction.nonce += taken as u64;
        if transaction.gas_limit == 0 {
            transaction.gas_limit = 1_000_000;
        }
        self.transactions.push(transaction);
        self.expected.push(Expected { status, output: None, gas_used: None, more: |_| {} });
        self
    }

    fn last(&mut self) -> &mut Expected {
        self.expected.last_mut().expect("a transaction before what is expected of it")
    }

    pub fn output(mut self, output: Vec<u8>) -> Self {
        self.last().output = Some(output);
        self
    }

    pub fn gas_used(mut self, gas: u64) -> Self {
        self.last().gas_used = Some(gas);
        self
    }

    pub fn and(mut self, more: fn(&Outcome)) -> Self {
        self.last().more = more;
        self
    }

    pub fn done(self) -> Check {
        let block = BlockContext { number: 10, timestamp: 1000, gas_limit: 30_000_000, ..BlockContext::default() };
        let mut case = Case {
            name: format!("{} in {}", self.name, self.fork),
            rules: Rules::new(self.fork, 1),
            block,
            excess_blob_gas: 0,
            state: Arc::new(self.state),
            formula: true,
            setting: Setting::default(),
            transactions: self.transactions,
        };
        case.set_fork(self.fork);
        Check { case, expected: self.expected }
    }
}

/// An assembler whose words read like the code.
pub struct Asm(Code);

pub fn asm(fork: Fork) -> Asm {
    Asm(Code::new(fork))
}

impl Asm {
    /// Pushes numbers; the last one is on top.
    pub fn push(mut self, numbers: &[u64]) -> Self {
        for number in numbers {
            self.0.push(U256::from(*number));
        }
        self
    }

    pub fn word(mut self, word: U256) -> Self {
        self.0.push(word);
        self
    }

    pub fn address(mut self, address: H160) -> Self {
        self.0.push_address(address);
        self
    }

    pub fn ops(mut self, bytes: &[u8]) -> Self {
        self.0.raw(bytes);
        self
    }

    /// The top goes to a word of the memory.
    pub fn store(self, word: u64) -> Self {
        self.push(&[32 * word]).ops(&[op::MSTORE])
    }

    /// Bytes from the code to the memory.
    pub fn memory(mut self, offset: u64, bytes: &[u8]) -> Self {
        let data = self.0.add_data(bytes.to_vec());
        self.0.push(bytes.len().into()).push_label(data).push(offset.into()).op(op::CODECOPY);
        self
    }

    /// Calls with all gas and no value; the flag is on the stack then. `input` and `output` are offset and length.
    pub fn call(self, to: H160, input: [u64; 2], output: [u64; 2]) -> Self {
        self.push(&[output[1], output[0], input[1], input[0], 0]).address(to).ops(&[op::GAS, op::CALL])
    }

    /// Returns so many words from the start of the memory.
    pub fn give(self, count: u64) -> Bytes {
        self.push(&[32 * count, 0]).ops(&[op::RETURN]).done()
    }

    pub fn done(self) -> Bytes {
        self.0.finish()
    }
}

/// Initcode that deploys this code, after what `before` does.
pub fn deploys(before: Asm, code: &[u8]) -> Bytes {
    before.memory(0, code).push(&[code.len() as u64, 0]).ops(&[op::RETURN]).done()
}

/// The address of CREATE2 (EIP-1014).
pub fn create2_address(creator: H160, salt: u64, init_code: &[u8]) -> H160 {
    let bytes = [&[0xff], &creator.0[..], &U256::from(salt).to_big_endian(), &keccak(init_code).0].concat();
    H160::from_slice(&keccak(&bytes).0[12..])
}
