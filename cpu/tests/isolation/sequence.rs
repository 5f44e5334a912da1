//! A sequence that is executed ahead in parallel is the same as one by one.

use crate::world::*;
use isolane_cpu::{Available, InParallel, Machine, Sequence, SequenceStats};
use isolane_spec::opcode::op;
use isolane_spec::{
    AccountInfo, Bytes, Environment, ExecutionError, Fork, H160, MemoryState, Outcome, StateError, StateView, Status,
    Transaction, U256,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn account(number: u8) -> H160 {
    H160([number; 20])
}

/// Contracts by what a transaction may depend on.
fn contracts() -> Vec<Vec<u8>> {
    let mut counter = vec![op::PUSH1, 0, op::SLOAD, op::PUSH1, 1, op::ADD, op::DUP1, op::PUSH1, 0, op::SSTORE];
    counter.extend(return_top());
    // By sender: independent of each other.
    let mut own = vec![op::CALLER, op::SLOAD, op::PUSH1, 1, op::ADD, op::DUP1, op::CALLER, op::SSTORE];
    own.extend(return_top());
    // The coinbase's balance goes to the storage.
    let mut watcher = vec![op::COINBASE, op::BALANCE, op::DUP1, op::PUSH1, 1, op::SSTORE];
    watcher.extend(return_top());
    // Pays the value on to the address in the call data.
    let mut forwarder = vec![];
    for byte in [0, 0, 0, 0] {
        push(&mut forwarder, &[byte]);
    }
    forwarder.extend([op::CALLVALUE, op::PUSH1, 0, op::CALLDATALOAD, op::GAS, op::CALL]);
    forwarder.extend(return_top());
    // Calls the address in the call data.
    let mut caller = vec![];
    for byte in [0, 0, 0, 0, 0] {
        push(&mut caller, &[byte]);
    }
    caller.extend([op::PUSH1, 0, op::CALLDATALOAD, op::GAS, op::CALL]);
    caller.extend(return_top());
    // Creates by CREATE a contract that destroys itself for its caller when it is called.
    let child = [op::CALLER, op::SELFDESTRUCT];
    let mut init = vec![op::PUSH1 + 1, child[0], child[1], op::PUSH1, 0, op::MSTORE];
    init.extend([op::PUSH1, 2, op::PUSH1, 30, op::RETURN]);
    let mut factory = Vec::new();
    push(&mut factory, &init);
    factory.extend([op::PUSH1, 0, op::MSTORE]);
    push(&mut factory, &[init.len() as u8]);
    push(&mut factory, &[32 - init.len() as u8]);
    factory.extend([op::CALLVALUE, op::CREATE]);
    factory.extend(return_top());
    // Destroys itself; the next call finds nobody, or value brings the account back.
    let destroyer = vec![op::CALLER, op::SELFDESTRUCT];
    let reverter = vec![op::PUSH1, 1, op::PUSH1, 1, op::SSTORE, op::PUSH1, 0, op::PUSH1, 0, 0xfd];
    // Reads the balance in the call data, and the code behind it.
    let mut inspector =
        vec![op::PUSH1, 0, op::CALLDATALOAD, op::DUP1, op::BALANCE, op::SWAP1, op::EXTCODESIZE, op::ADD];
    inspector.extend([
        op::DUP1,
        op::NUMBER,
        op::PUSH1,
        1,
        op::SWAP1,
        op::SUB,
        op::BLOCKHASH,
        op::ADD,
        op::CALLER,
        op::SSTORE,
    ]);
    inspector.extend(return_top());
    let all = [counter, own, watcher, forwarder, caller, factory, destroyer, reverter, inspector];
    std::iter::repeat_n(all, 4).flatten().collect()
}

const SENDERS: u8 = 48;
const FIRST_CONTRACT: u8 = 0x40;

fn world(fork: Fork) -> Environment {
    let mut state = MemoryState::default();
    for sender in 1..=SENDERS {
        put(&mut state, account(sender), if sender == 5 { 3_000_000 } else { 1 << 60 }, 0, &[]);
    }
    for (number, code) in (FIRST_CONTRACT..).zip(contracts()) {
        put(&mut state, account(number), 1_000, 1, &code);
    }
    for number in 0..256 {
        state.block_hashes.insert(number, isolane_spec::H256::from_low_u64_be(number));
    }
    let mut environment = environment(fork, state);
    // The beneficiary sends transactions too.
    environment.block.coinbase = account(3);
    environment
}

fn transactions(seed: u64, count: usize) -> Vec<Transaction> {
    let mut random = Random(seed);
    let mut nonces = [0u64; 256];
    let contracts = contracts().len() as u64;
    let contract = |random: &mut Random| account(FIRST_CONTRACT + random.below(contracts) as u8);
    // Some sequences have few conflicts and some have nothing else.
    let crowd = 1 + random.below(u64::from(SENDERS));
    let favourite = (random.below(2) == 0).then(|| contract(&mut random));
    let transaction = |_| {
        let sender = 1 + random.below(crowd) as u8;
        let nonce = match random.below(24) {
            0 => nonces[usize::from(sender)].wrapping_sub(1),
            1 => nonces[usize::from(sender)] + 1,
            _ => nonces[usize::from(sender)],
        };
        let anyone = match random.below(4) {
            0 => account(1 + random.below(16) as u8),
            1 => account(3),
            _ => contract(&mut random),
        };
        let to = match random.below(10) {
            0 => None,
            1 => Some(account(1 + random.below(20) as u8)),
            2..=5 if favourite.is_some() => favourite,
            _ => Some(contract(&mut random)),
        };
        let mut input = vec![0; 32];
        input[12..].copy_from_slice(&anyone.0);
        if to.is_none() {
            input = vec![op::CALLER, op::SELFDESTRUCT];
        }
        let gas_limit = [30_000, 90_000, 200_000, 3_000_000][random.below(4) as usize];
        let price = 1 + random.below(3);
        // Whether it takes place is not known here: a guess is good enough for chains of nonces, right and wrong.
        if nonce == nonces[usize::from(sender)] && sender != 5 {
            nonces[usize::from(sender)] += 1;
        }
        Transaction {
            sender: account(sender),
            nonce,
            gas_limit,
            max_fee_per_gas: U256::from(price),
            max_priority_fee_per_gas: U256::from(random.below(price + 1)),
            to,
            value: U256::from(if random.below(3) == 0 { random.below(2_000) } else { 0 }),
            input: input.into(),
            ..Transaction::default()
        }
    };
    (0..count).map(transaction).collect()
}

/// Executes all with the block's gas counted, one by one or on so many threads, of which others may be waited for before each turn;
/// returns the outcomes, what follows them, and how much was ahead.
fn execute(
    environment: &Environment,
    transactions: &[Transaction],
    parallel: Option<(usize, bool)>,
) -> (Vec<Result<Outcome, ExecutionError>>, Vec<Option<AccountInfo>>, SequenceStats) {
    let list: Vec<&Transaction> = transactions.iter().collect();
    let mut machine = Machine::new(environment.clone());
    // As a block does before its transactions.
    machine.credit(&[(account(7), U256::one())]).expect("a state");
    let mut available = Available { gas: 25_000_000, ..AVAILABLE };
    let mut stats = SequenceStats::default();
    let mut outcomes = Vec::new();
    let count = |available: &mut Available, outcome: &Result<Outcome, ExecutionError>| {
        if let Ok(outcome) = outcome {
            available.gas = available.gas.saturating_sub(outcome.gas_used);
        }
    };
    match parallel {
        None => {
            for transaction in &list {
                let outcome = machine.transact(transaction, available);
                count(&mut available, &outcome);
                outcomes.push(outcome);
            }
        }
        Some((threads, settled)) => {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| {
                let mut sequence = Sequence::new(&list, InParallel::Always);
                while let Some(outcome) = sequence.next(&mut machine, available) {
                    count(&mut available, &outcome);
                    outcomes.push(outcome);
                    if settled {
                        sequence.settle();
                    }
                }
                stats = sequence.stats();
            });
        }
    }
    // What the machine goes on with.
    let state = (1..=u8::MAX).map(|number| machine.account(account(number)).expect("a state")).collect();
    let last = Transaction { to: Some(account(FIRST_CONTRACT)), nonce: 0, ..transactions[0].clone() };
    outcomes.push(machine.transact(&last, AVAILABLE));
    outcomes.push(machine.system_call(account(FIRST_CONTRACT), Bytes::new()));
    outcomes.push(machine.system_call(account(FIRST_CONTRACT + 8), Bytes::from(vec![0x43; 32])));
    (outcomes, state, stats)
}

#[test]
fn random_sequences_are_the_same_as_one_by_one() {
    let forks = [
        Fork::Frontier,
        Fork::Homestead,
        Fork::SpuriousDragon,
        Fork::Byzantium,
        Fork::London,
        Fork::Cancun,
        Fork::Prague,
        Fork::Amsterdam,
    ];
    let mut total = SequenceStats::default();
    let mut statuses = [0u32; 4];
    for seed in 0..if cfg!(debug_assertions) { 160 } else { 1_600 } {
        let environment = world(forks[seed as usize % forks.len()]);
        let transactions = transactions(seed, 40 + seed as usize % 160);
        let (outcomes, state, _) = execute(&environment, &transactions, None);
        for (threads, settled) in [(2, false), (3, false), (2 + seed as usize % 2, true)] {
            let (ahead, state_after, stats) = execute(&environment, &transactions, Some((threads, settled)));
            for (index, (expected, got)) in outcomes.iter().zip(&ahead).enumerate() {
                assert_eq!(got, expected, "seed {seed}, transaction {index}, {threads} threads, settled: {settled}");
            }
            assert_eq!(ahead.len(), outcomes.len());
            assert_eq!(state_after, state, "seed {seed}");
            // How much is ahead otherwise depends on what else the machine does.
            if settled {
                total.ahead += stats.ahead;
                total.stale += stats.stale;
            }
        }
        for outcome in outcomes.iter().flatten() {
            statuses[match outcome.status {
                Status::Success => 0,
                Status::Revert => 1,
                Status::Halt(_) => 2,
                Status::Rejected(_) => 3,
            }] += 1;
        }
    }
    // Both ways were taken, often, and everything that can happen did.
    println!("{total:?}");
    assert!(total.ahead > 2_000 && total.stale > 200 && total.ahead - total.stale > 1_000, "{total:?}");
    assert!(statuses.iter().all(|count| *count > 100), "{statuses:?}");
}

/// A state that fails or panics where it is asked for what only a wrong order asks for.
struct Strict {
    state: MemoryState,
    refused: H160,
    panics: bool,
    refusals: AtomicU64,
}

impl StateView for Strict {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        if *address == self.refused {
            self.refusals.fetch_add(1, Ordering::Relaxed);
            assert!(!self.panics, "injected: asked for what only a wrong order asks for");
            return Err(StateError::AccountMissing(*address));
        }
        self.state.account(address)
    }
    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        self.state.storage(address, key)
    }
    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        self.state.has_storage(address)
    }
    fn code(&self, code_hash: &isolane_spec::H256) -> Result<Bytes, StateError> {
        self.state.code(code_hash)
    }
    fn block_hash(&self, number: u64) -> Result<isolane_spec::H256, StateError> {
        self.state.block_hash(number)
    }
}

#[test]
fn a_witness_that_lacks_what_only_a_wrong_order_reads_is_enough() {
    crate::kinds::hush();
    // The first transaction takes its time, and the second one makes the counter 1; the
    // others look at a third account while it is 0.
    let (setter, reader, missing, looper) = (account(0x60), account(0x61), account(0x62), account(0x63));
    // Takes its time.
    let spin = |code: &mut Vec<u8>| {
        code.extend([op::JUMPDEST, op::PUSH1 + 2, 1, 0, 0]);
        let again = code.len() as u8;
        code.extend([op::JUMPDEST, op::PUSH1, 1, op::SWAP1, op::SUB, op::DUP1, op::PUSH1, again, op::JUMPI]);
    };
    let mut looping = Vec::new();
    spin(&mut looping);
    let mut looks = Vec::new();
    push(&mut looks, &missing.0);
    looks.extend([op::BALANCE, op::STOP]);
    let mut code = vec![];
    for byte in [32, 0, 0, 0] {
        push(&mut code, &[byte]);
    }
    push(&mut code, &setter.0);
    code.extend([op::GAS, op::STATICCALL, op::POP, op::PUSH1, 0, op::MLOAD]);
    let jump = code.len() as u8 + 3 + looks.len() as u8;
    code.extend([op::PUSH1, jump, op::JUMPI]);
    code.extend(&looks);
    code.extend([op::JUMPDEST, op::STOP]);
    let mut setting = vec![op::CALLDATASIZE, op::PUSH1, 15, op::JUMPI, op::PUSH1, 0, op::SLOAD];
    setting.extend(return_top());
    // The others are executed meanwhile.
    spin(&mut setting);
    setting.extend([op::PUSH1, 1, op::PUSH1, 0, op::SSTORE]);
    for panics in [false, true] {
        let mut environment = world(Fork::Prague);
        let mut state = MemoryState::default();
        for sender in 1..=SENDERS {
            put(&mut state, account(sender), 1 << 60, 0, &[]);
        }
        put(&mut state, setter, 0, 1, &setting);
        put(&mut state, looper, 0, 1, &looping);
        for number in 0..8 {
            put(&mut state, account(reader.0[0] + 0x10 + number), 0, 1, &code);
        }
        let strict = Arc::new(Strict { state, refused: missing, panics, refusals: AtomicU64::new(0) });
        environment.state = Arc::clone(&strict) as _;
        let transactions: Vec<Transaction> = (0..10)
            .map(|index| Transaction {
                sender: account(index + 1),
                to: Some(match index {
                    0 => looper,
                    1 => setter,
                    _ => account(reader.0[0] + 0x0e + index),
                }),
                input: Bytes::from_static(&[1]),
                gas_limit: 3_000_000,
                max_fee_per_gas: U256::one(),
                ..Transaction::default()
            })
            .collect();
        let list: Vec<&Transaction> = transactions.iter().collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
        let outcomes = pool.install(|| {
            let mut machine = Machine::new(environment.clone());
            let mut sequence = Sequence::new(&list, InParallel::Always);
            let next = || {
                let outcome = sequence.next(&mut machine, AVAILABLE);
                // What can be ahead of the second transaction is.
                sequence.settle();
                outcome
            };
            std::iter::from_fn(next).collect::<Vec<_>>()
        });
        assert!(outcomes.iter().all(|it| it.as_ref().is_ok_and(|it| it.status.is_success())), "{outcomes:?}");
        assert!(strict.refusals.load(Ordering::Relaxed) > 0, "nothing was executed ahead");
    }
}

/// So many calls of contracts that loop for a while: of one each, or all of one that counts.
fn long_calls(count: u8, counts: bool) -> (Environment, Vec<Transaction>) {
    let mut code = vec![op::PUSH1 + 2, 0, 0x40, 0];
    let again = code.len() as u8;
    code.extend([op::JUMPDEST, op::PUSH1, 1, op::SWAP1, op::SUB, op::DUP1, op::PUSH1, again, op::JUMPI]);
    code.extend([op::PUSH1, 0, op::SLOAD, op::PUSH1, 1, op::ADD, op::PUSH1, 0, op::SSTORE]);
    let mut environment = world(Fork::Prague);
    let mut state = MemoryState::default();
    let callee = |index: u8| account(0x80 + if counts { 0 } else { index });
    for index in 0..count {
        put(&mut state, account(index + 1), 1 << 60, 0, &[]);
        put(&mut state, callee(index), 0, 1, &code);
    }
    environment.state = Arc::new(state);
    let call = |index: u8| Transaction {
        sender: account(index + 1),
        to: Some(callee(index)),
        input: Bytes::from_static(&[1]),
        gas_limit: 3_000_000,
        max_fee_per_gas: U256::one(),
        ..Transaction::default()
    };
    (environment, (0..count).map(call).collect())
}

#[test]
fn it_pays_where_transactions_are_long_and_independent() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    let stats = |counts: bool| {
        let (environment, transactions) = long_calls(100, counts);
        let list: Vec<&Transaction> = transactions.iter().collect();
        pool.install(|| {
            let mut machine = Machine::new(environment);
            let mut sequence = Sequence::new(&list, InParallel::WhereItPays);
            while let Some(outcome) = sequence.next(&mut machine, AVAILABLE) {
                assert!(outcome.is_ok_and(|outcome| outcome.status.is_success()));
            }
            sequence.stats()
        })
    };
    // When another thread gets its chance is the machine's business.
    assert!((0..100).any(|_| stats(false).ahead > 0), "nothing was executed ahead");
    assert_eq!(stats(true), SequenceStats::default(), "each depends on the one before it");
}
