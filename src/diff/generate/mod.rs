//! Generated programs: structured, aware of the stack, biased to edges, and decided by a seed and an index alone.

mod calls;
mod idiom;
mod precompile;
mod program;
pub(crate) mod random;
mod transaction;
mod values;
pub(crate) mod world;

pub use world::secret_key_of;

use super::case::{Case, Setting};
use crate::convert::{keccak, to_address};
use isolane_cpu::{Available, Machine};
use isolane_spec::opcode::op;
use isolane_spec::{AccountInfo, BlockContext, Bytes, Fork, H160, H256, MemoryState, Rules, Status, Transaction, U256};
use program::{Role, Writer, noise};
use random::Random;
use std::sync::Arc;

/// Makes programs.
#[derive(Clone, Debug)]
pub struct Generator {
    seed: u64,
    forks: Vec<Fork>,
}

impl Generator {
    /// A generator for these forks, of which there must be one.
    #[must_use]
    pub fn new(seed: u64, forks: &[Fork]) -> Self {
        let forks = if forks.is_empty() { Fork::ALL.to_vec() } else { forks.to_vec() };
        Self { seed, forks }
    }

    /// The forks that take turns.
    #[must_use]
    pub fn forks(&self) -> &[Fork] {
        &self.forks
    }

    /// The program with this index. Forks take turns.
    #[must_use]
    pub fn case(&self, index: u64) -> Case {
        let fork = self.forks[(index % self.forks.len() as u64) as usize];
        let mut random = Random::new(self.seed, index);
        let mut case = generate(&mut random, fork);
        case.name = format!("program {}:{index}", self.seed);
        if random.chance(40) {
            cut_gas(&mut random, &mut case);
        }
        case
    }
}

fn generate(random: &mut Random, fork: Fork) -> Case {
    let mut state = MemoryState::default();
    state.accounts.reserve(world::ACCOUNTS);
    state.codes.reserve(world::CONTRACTS + world::AUTHORITIES);
    world::bystanders(&mut state, random, fork);
    let deep = random.chance(2);
    for index in 0..world::CONTRACTS {
        let code = match random.below(40) {
            _ if deep && index == 0 => recursion(random, fork),
            0 => noise(random, fork),
            1 if index > 0 => Bytes::new(),
            _ => {
                let statements = if index == 0 { 4 + random.below(8) } else { 1 + random.below(4) };
                Writer::new(random, fork, Role::Contract(index), 0).body(statements)
            }
        };
        insert_contract(random, &mut state, world::contract(index), code);
    }
    let (block, excess_blob_gas) = block(random, fork, deep);
    let mut case = Case {
        name: String::new(),
        rules: Rules::new(fork, 1),
        block,
        excess_blob_gas,
        state: Arc::new(MemoryState::default()),
        formula: true,
        setting: Setting::default(),
        transactions: Vec::new(),
    };
    case.set_fork(fork);
    case.transactions = transaction::transactions(random, fork, &case.block, &mut state, deep);
    if random.chance(8) {
        rebirth(random, fork, &mut case, &mut state);
    } else if random.chance(60) {
        collide(random, &mut state, &case.transactions);
    }
    case.state = Arc::new(state);
    case
}

fn insert_contract(random: &mut Random, state: &mut MemoryState, address: H160, code: Bytes) {
    let info = AccountInfo {
        nonce: match random.below(100) {
            0 => 0,
            1 => u64::MAX,
            2 => u64::MAX - 1,
            _ => 1,
        },
        balance: match random.below(8) {
            0 => U256::zero(),
            1 => U256::one(),
            // No edge beyond 2^127: sums of balances do not overflow, neither here nor on any chain.
            2 => random.word() >> 129,
            _ => U256::exp10(18),
        },
        code_hash: keccak(&code),
    };
    let mut storage = Vec::new();
    // An account with storage alone cannot be (EIP-7610).
    if info.nonce != 0 || !code.is_empty() {
        for key in 0..4u64 {
            let value = match random.below(6) {
                0 => U256::one(),
                1 => random.word(),
                2 => 2.into(),
                _ => continue,
            };
            storage.push((key.into(), value));
        }
    }
    state.insert(address, info, code, storage);
}

/// A contract that calls or creates itself as deep as gas and rules allow.
fn recursion(random: &mut Random, fork: Fork) -> Bytes {
    let mut writer = Writer::new(random, fork, Role::Contract(0), 2);
    (0..5).for_each(|_| writer.push(0));
    writer.op(op::ADDRESS);
    if fork < Fork::TangerineWhistle {
        writer.push(300);
        writer.op(op::GAS);
        writer.op(op::SUB);
    } else {
        writer.op(op::GAS);
    }
    writer.op(op::CALL);
    writer.op(op::MSIZE);
    writer.op(op::MSTORE);
    writer.op(op::MSIZE);
    writer.push(0);
    writer.op(op::RETURN);
    writer.code.finish()
}

fn block(random: &mut Random, fork: Fork, deep: bool) -> (BlockContext, u64) {
    let coinbase = match random.below(20) {
        0 => world::sender(0),
        1 => world::contract(0),
        2 => H160::from_low_u64_be(3),
        _ => world::COINBASE,
    };
    let excess_blob_gas = match random.below(4) {
        0 => 0,
        1 => random.between(0, 60_000_000),
        _ => 0x2_0000,
    };
    let gas_limit =
        if deep && fork < Fork::Osaka { 1 << 44 } else { random.pick(&[30_000_000, 36_000_000, 100_000_000]) };
    let block = BlockContext {
        number: random.pick(&[1, 5, 256, 257, 1000, 20_000_000]),
        timestamp: random.pick(&[1, 1000, 1_700_000_000]),
        coinbase,
        gas_limit,
        base_fee: random.pick(&[0u64, 7, 10, 1_000_000_000]).into(),
        difficulty: if fork < Fork::Paris { random.pick(&[0x2_0000u64, 1, 1 << 40]).into() } else { U256::zero() },
        prev_randao: if fork < Fork::Paris { H256::zero() } else { H256(random.word().to_big_endian()) },
        blob_base_fee: U256::zero(),
        slot_number: if fork < Fork::Amsterdam { 0 } else { random.between(0, 1 << 30) },
        ..BlockContext::default()
    };
    (block, excess_blob_gas)
}

/// Three transactions around one address. In some a contract with storage lies there: the first destroys it, the second
/// creates another one in its place (from Cancun on that is a collision), the third calls what is there. In the others
/// the first creates it, and it is called twice.
fn rebirth(random: &mut Random, fork: Fork, case: &mut Case, state: &mut MemoryState) {
    let sender = world::sender(0);
    let nonce = state.accounts.get(&sender).map_or(0, |account| account.info.nonce);
    if nonce >= u64::MAX - 3 {
        return;
    }
    let again = random.chance(500);
    let address = H160(to_address(sender).create(nonce + u64::from(again)).0.0);
    if again {
        let code = Bytes::from_static(&[op::CALLER, op::SELFDESTRUCT]);
        let info = AccountInfo { nonce: 1, balance: random.between(0, 2).into(), code_hash: keccak(&code) };
        state.insert(address, info, code, (0..4u64).map(|key| (key.into(), random.word())));
    }
    // What is created looks at some slots at once and at the others when it is called.
    let mut deployed = Writer::new(random, fork, Role::Deployed, 2);
    if deployed.random.chance(600) {
        deployed.copy_slots(4);
    } else {
        deployed.op(op::CALLER);
        deployed.op(op::SELFDESTRUCT);
    }
    let deployed = deployed.body(0);
    let mut init = Writer::new(random, fork, Role::Init, 2);
    let seen = init.random.below(4) as u64;
    init.copy_slots(seen);
    let data = init.code.add_data(deployed.to_vec());
    init.push(deployed.len());
    init.push_label(data);
    init.push(0);
    init.op(op::CODECOPY);
    init.push(deployed.len());
    init.push(0);
    init.op(op::RETURN);
    let init_code = init.code.finish();
    let fee = case.block.base_fee + U256::one();
    let ends = [Some(address), None, Some(address), Some(address)];
    let order = if again { &ends[..3] } else { &ends[1..] };
    case.transactions = order
        .iter()
        .zip(nonce..)
        .map(|(to, nonce)| Transaction {
            sender,
            nonce,
            to: *to,
            input: if to.is_none() { init_code.clone() } else { Bytes::new() },
            gas_limit: 400_000,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: fee,
            ..Transaction::default()
        })
        .collect();
}

/// Puts something where a creation will go (EIP-684): a transaction's, or a contract's first.
fn collide(random: &mut Random, state: &mut MemoryState, transactions: &[Transaction]) {
    let creator = transactions.iter().find(|transaction| transaction.to.is_none());
    let (creator, nonce) = match creator {
        Some(transaction) => (transaction.sender, transaction.nonce),
        None => {
            let creator = world::contract(random.below(2));
            (creator, state.accounts.get(&creator).map_or(1, |account| account.info.nonce))
        }
    };
    let address = H160(to_address(creator).create(nonce).0.0);
    let (nonce, code) = match random.below(4) {
        0 => (0, Bytes::from_static(&[op::STOP])),
        1 => (1, Bytes::new()),
        // Only a balance is no collision.
        2 => (0, Bytes::new()),
        _ => (1, Bytes::from_static(&[op::CALLER, op::SELFDESTRUCT])),
    };
    let info = AccountInfo { nonce, balance: 1.into(), code_hash: keccak(&code) };
    state.insert(address, info, code, []);
}

/// Lowers the gas of the last transaction to what it used, or just below: execution then ends right at a halt.
fn cut_gas(random: &mut Random, case: &mut Case) {
    let environment = case.environment();
    let mut available = Available::of(&environment);
    let mut machine = Machine::new(environment);
    let mut used = None;
    for transaction in &case.transactions {
        let result = machine.transact(transaction, available);
        available = available.after(&result, transaction);
        used = result.ok().filter(|outcome| !matches!(outcome.status, Status::Rejected(_)));
    }
    let (Some(outcome), Some(transaction)) = (used, case.transactions.last_mut()) else { return };
    let spent = outcome.gas_used.saturating_add(outcome.gas_refunded);
    let less = match random.below(4) {
        0 => 0,
        1 => 1,
        2 => random.between(0, 40),
        _ => random.between(0, spent / 4),
    };
    transaction.gas_limit = spent.saturating_sub(less);
}
