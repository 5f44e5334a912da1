//! Transactions that start from the same base state, one after another on one machine or many thousands in a batch: none meets
//! anything of those before it.

use isolane_cpu::{Available, Machine, Reference};
use isolane_spec::opcode::op;
use isolane_spec::{
    AccountInfo, Backend, Batch, BlockContext, Bytes, Environment, ExecutionError, Fork, H160, H256, MemoryState,
    Order, Outcome, Rules, StateError, StateView, Transaction, U256,
};
use sha3::{Digest, Keccak256};
use std::sync::Arc;

const COINBASE: H160 = H160([0xc0; 20]);
const STRANGER: H160 = H160([0x77; 20]);

fn sender(number: u8) -> H160 {
    H160([number; 20])
}

fn contract(number: u8) -> H160 {
    H160([0xa0 + number; 20])
}

/// `PUSH1 value PUSH1 key SSTORE` of what is there plus one; then calls and creations by their number.
fn codes() -> Vec<Vec<u8>> {
    let count = |key: u8| vec![op::PUSH1, 1, op::PUSH1, key, op::SLOAD, op::ADD, op::PUSH1, key, op::SSTORE];
    let call = |to: H160, value: u8| {
        let mut code = vec![op::PUSH1, 0, op::PUSH1, 0, op::PUSH1, 0, op::PUSH1, 0, op::PUSH1, value, op::PUSH20];
        code.extend(to.0);
        code.extend([op::GAS, op::CALL, op::PUSH1, 1, op::SSTORE]);
        code
    };
    // Initcode whose code is one zero byte; what deploys it keeps the address in a slot.
    let initcode = [op::PUSH1, 1, op::PUSH1, 0, op::RETURN];
    let mut deploy = vec![op::PUSH5];
    deploy.extend(initcode);
    deploy.extend([op::PUSH1, 0, op::MSTORE, op::PUSH1, 5, op::PUSH1, 27, op::PUSH1, 0, op::CREATE]);
    deploy.extend([op::PUSH1, 2, op::SSTORE]);
    let mut many = Vec::new();
    for key in 0..12 {
        many.extend(count(key));
    }
    let mut accounts = Vec::new();
    for number in 0..12 {
        accounts.push(op::PUSH20);
        accounts.extend(H160([0x40 + number; 20]).0);
        accounts.extend([op::BALANCE, op::POP]);
    }
    let mut goes = vec![op::PUSH20];
    goes.extend(STRANGER.0);
    goes.push(op::SELFDESTRUCT);
    let mut fails = count(0);
    fails.push(op::INVALID);
    vec![
        count(0),
        many,
        accounts,
        call(contract(0), 0),
        call(STRANGER, 1),
        call(contract(8), 1),
        deploy,
        goes,
        fails,
        vec![op::CALLER, op::EXTCODEHASH, op::PUSH1, 3, op::SSTORE],
        vec![op::PUSH1, 7, op::PUSH1, 0, op::TSTORE, op::PUSH1, 0, op::TLOAD, op::PUSH1, 0, op::SSTORE],
    ]
}

fn state() -> MemoryState {
    let mut state = MemoryState::default();
    let rich = AccountInfo { balance: U256::from(10).pow(18.into()), ..AccountInfo::default() };
    (1..=3).for_each(|number| state.insert(sender(number), rich, Bytes::new(), []));
    for (number, code) in (0..).zip(codes()) {
        let code_hash = H256(Keccak256::digest(&code).into());
        let info = AccountInfo { nonce: 1, balance: U256::from(5), code_hash };
        state.insert(
            contract(number),
            info,
            Bytes::from(code),
            [(U256::zero(), U256::from(40)), (U256::one(), U256::one())],
        );
    }
    state
}

fn environment(fork: Fork, state: impl StateView + 'static) -> Environment {
    let block =
        BlockContext { gas_limit: u64::MAX, base_fee: U256::from(7), coinbase: COINBASE, ..BlockContext::default() };
    let order = Order::Independent;
    Environment { order, ..Environment::new("independent", Rules::new(fork, 1), block, Arc::new(state)) }
}

/// Calls of every contract by some senders, transfers and creations.
fn transactions() -> Vec<Transaction> {
    let base = Transaction {
        gas_limit: 900_000,
        max_fee_per_gas: U256::from(10),
        max_priority_fee_per_gas: U256::from(10),
        ..Transaction::default()
    };
    let calls = (0..codes().len() as u8).map(|number| (1 + number % 3, Some(contract(number)), 0, 900_000));
    let mut rest = vec![
        (1, Some(sender(2)), 9, 21_000),
        (2, Some(STRANGER), 1, 21_000),
        (3, Some(COINBASE), 4, 21_000),
        (1, Some(sender(1)), 4, 21_000),
        (2, None, 0, 900_000),
        // Rejected: too little gas.
        (2, Some(sender(1)), 0, 20_999),
        // Out of gas.
        (3, Some(contract(1)), 0, 40_000),
    ];
    rest.extend(calls);
    let transaction = |(from, to, value, gas_limit): (u8, Option<H160>, u64, u64)| Transaction {
        sender: sender(from),
        to,
        value: value.into(),
        gas_limit,
        // Initcode that deploys nothing, and writes a slot.
        input: if to.is_none() { Bytes::from_static(&[op::PUSH1, 3, op::PUSH1, 1, op::SSTORE]) } else { Bytes::new() },
        ..base.clone()
    };
    rest.into_iter().map(transaction).collect()
}

#[test]
fn a_machine_that_was_rewound_is_as_a_new_one() {
    let transactions = transactions();
    for fork in [Fork::Frontier, Fork::Byzantium, Fork::London, Fork::Cancun, Fork::Prague] {
        let environment = environment(fork, state());
        let available = Available::of(&environment);
        let fresh: Vec<_> = transactions
            .iter()
            .map(|transaction| {
                let mut machine = Machine::new(environment.clone());
                (machine.transact(transaction, available), machine.reads())
            })
            .collect();
        assert!(
            fresh.iter().filter(|(outcome, _)| outcome.as_ref().is_ok_and(|it| it.status.is_success())).count() > 5
        );
        let mut machine = Machine::new(environment.clone());
        // Each after each, and after two of them.
        for first in 0..transactions.len() {
            for second in 0..transactions.len() {
                machine.rewind();
                assert_eq!(machine.transact(&transactions[first], available), fresh[first].0, "{fork} {first}");
                if second % 3 == 0 {
                    let _further = machine.transact(&transactions[(first + second) % transactions.len()], available);
                }
                machine.rewind();
                let outcome = machine.transact(&transactions[second], available);
                assert_eq!(outcome, fresh[second].0, "{fork}: {second} after {first}");
                let reads = machine.reads();
                let expected = &fresh[second].1;
                assert_eq!(reads.accounts, expected.accounts, "{fork}: {second} after {first}");
                assert_eq!(reads.slots, expected.slots, "{fork}: {second} after {first}");
            }
        }
    }
}

/// A state in memory that has a defect at one account.
struct Broken(MemoryState, H160);

impl StateView for Broken {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        assert_ne!(*address, self.1, "a defect at the account");
        self.0.account(address)
    }
    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        self.0.storage(address, key)
    }
    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        self.0.has_storage(address)
    }
    fn is_near(&self) -> bool {
        true
    }
    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        self.0.code(code_hash)
    }
    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        self.0.block_hash(number)
    }
}

fn outcomes_one_by_one(
    environment: &Environment,
    transactions: &[Transaction],
) -> Vec<Result<Outcome, ExecutionError>> {
    let available = Available::of(environment);
    transactions.iter().map(|transaction| Machine::new(environment.clone()).transact(transaction, available)).collect()
}

#[test]
fn a_large_batch_whose_accounts_are_read_ahead_is_as_one_by_one() {
    let some = transactions();
    let well = environment(Fork::Prague, state());
    let expected = outcomes_one_by_one(&well, &some);
    let count = 5_000;
    let batch = |environment: &Environment| Batch {
        environments: vec![environment.clone()],
        transactions: some.iter().cycle().take(count).map(|transaction| (0, transaction.clone())).collect(),
    };
    for (index, result) in Reference.execute(&batch(&well)).iter().enumerate() {
        assert_eq!(*result, expected[index % some.len()], "{index}");
    }
    // The defect is met where it belongs, and only there.
    let broken = environment(Fork::Prague, Broken(state(), STRANGER));
    for (index, result) in Reference.execute(&batch(&broken)).iter().enumerate() {
        // A transfer, a call and a SELFDESTRUCT lead there.
        let meets = matches!(index % some.len(), 1 | 11 | 14);
        assert_eq!(matches!(result, Err(ExecutionError::Panic(_))), meets, "{index}");
        match result {
            Err(ExecutionError::Panic(text)) => {
                assert!(text.contains("a defect at the account"), "{index}: {text}");
            }
            result => assert_eq!(*result, expected[index % some.len()], "{index}"),
        }
    }
}
