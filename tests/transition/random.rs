//! Random transactions, one after another, from random states in which everything can be everything: the sender its own
//! callee, the coinbase a precompile, an account empty. Each lane runs ahead, on the state before all transactions, and is
//! kept where nothing that it read has changed.

use crate::states::address_of;
use crate::{Host, toy};
use alloy_eips::eip7702;
use alloy_primitives::{Address, U256 as Word};
use isolane::convert::keccak;
use isolane::cpu::{self, Machine};
use isolane::spec::opcode::op;
use isolane::spec::{
    AccessListItem, AccountDiff, AccountInfo, Authorization, BlockContext, Bytes, Environment, Fork, H160, H256,
    KECCAK_EMPTY, MemoryState, Outcome, Rules, StateView, Status, Transaction, TransactionType, U256, word,
};
use isolane_gpu::transition::{
    Available, Overlay, Prepared, Reads, conflicts, finish, prepare, recover_authority, validate,
};
use rayon::prelude::*;
use secp256k1::{Message, SECP256K1, SecretKey};
use std::sync::Arc;

/// Sequences of transactions.
const SEQUENCES: u64 = 6_000;
/// Transactions of a sequence.
const LENGTH: usize = 8;

/// A small reproducible generator (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }
}

/// The accounts of all sequences.
struct World {
    keys: Vec<SecretKey>,
    senders: Vec<H160>,
    /// All that can be called, paid and given the fees.
    all: Vec<H160>,
}

fn address(last: u8) -> H160 {
    let mut address = H160::zero();
    address.0[19] = last;
    address
}

impl World {
    fn new() -> Self {
        let secrets: Vec<[u8; 32]> = (1..=4).map(|number| word::to_be(&U256::from(number))).collect();
        let keys = secrets.iter().map(|secret| SecretKey::from_byte_array(*secret).expect("a key")).collect();
        let senders: Vec<H160> = secrets.iter().filter_map(|secret| address_of(H256(*secret))).collect();
        let mut all = senders.clone();
        // Precompiles, an absent account, and those that `state` makes.
        all.extend([1, 2, 3, 4, 9, 0xab, 0xc0, 0xc1, 0xc2, 0xe0, 0xe1].map(address));
        Self { keys, senders, all }
    }

    fn state(&self, random: &mut Random, fork: Fork) -> MemoryState {
        let mut state = MemoryState::default();
        for sender in &self.senders {
            let poor = random.one_in(8);
            let balance = U256::from(if poor { random.pick(&[5_000_000, 0]) } else { 1_u64 << 60 });
            let last = random.one_in(20);
            let nonce = if last { random.pick(&[u64::MAX - 1, u64::MAX]) } else { random.pick(&[0, 7]) };
            let delegated = fork >= Fork::Prague && random.one_in(4);
            let code = if delegated { designator(random.pick(&self.all)) } else { Bytes::new() };
            insert(&mut state, *sender, nonce, balance, code, &[]);
            // What is in the way of a creation.
            let created = H160(Address(sender.0.into()).create(nonce).0.0);
            match random.below(8) {
                0 => insert(&mut state, created, 1, U256::zero(), Bytes::new(), &[]),
                1 => insert(&mut state, created, 0, U256::one(), Bytes::new(), &[(1, 1)]),
                2 => insert(&mut state, created, 0, U256::from(5), Bytes::new(), &[]),
                3 => insert(&mut state, created, 0, U256::zero(), Bytes::new(), &[]),
                _ => {}
            }
        }
        for last in [0xc0, 0xc1, 0xc2] {
            let slots = [(1, random.below(3)), (2, random.below(3))];
            let code = self.code(random);
            insert(&mut state, address(last), 1, U256::from(random.below(2)), code, &slots);
        }
        // Empty but there, as before Spurious Dragon.
        insert(&mut state, address(0xe0), 0, U256::zero(), Bytes::new(), &[]);
        if fork >= Fork::Prague && random.one_in(2) {
            // No chain has it, but a state may: precompiles do not run through a delegation.
            insert(&mut state, address(2), 1, U256::zero(), designator(random.pick(&self.all)), &[]);
        }
        if random.one_in(2) {
            insert(&mut state, address(3), 0, U256::zero(), Bytes::new(), &[]);
        }
        state
    }

    /// Code that the toy lane knows.
    fn code(&self, random: &mut Random) -> Bytes {
        let mut code = Vec::new();
        for _ in 0..random.below(4) {
            let (value, key) = (random.below(3) as u8, random.below(3) as u8);
            code.extend([op::PUSH1, value, op::PUSH1, key, op::SSTORE]);
        }
        match random.below(8) {
            0 => code.extend([op::PUSH1, 0, op::PUSH1, 0, op::REVERT]),
            1 => code.push(op::INVALID),
            2 | 3 => {
                code.push(op::PUSH20);
                code.extend(random.pick(&self.all).0);
                code.push(op::SELFDESTRUCT);
            }
            _ => code.push(op::STOP),
        }
        code.into()
    }

    fn transaction(&self, random: &mut Random, environment: &Environment, state: &dyn StateView) -> Transaction {
        use TransactionType::{AccessList, Blob, DynamicFee, Legacy, SetCode};
        let sender = random.pick(&self.senders);
        let account = state.account(&sender).expect("a state in memory").unwrap_or_default();
        let since = [(Legacy, Fork::Frontier), (AccessList, Fork::Berlin), (DynamicFee, Fork::London)];
        let since = since.into_iter().chain([(Blob, Fork::Cancun), (SetCode, Fork::Prague), (SetCode, Fork::Prague)]);
        let known: Vec<_> = since
            .filter(|(_, since)| environment.rules.fork >= *since || random.one_in(100))
            .map(|(kind, _)| kind)
            .collect();
        let transaction_type = random.pick(&known);
        let max_fee_per_gas = environment.block.base_fee + random.pick(&[3, 4, 40]);
        let max_priority_fee_per_gas = match transaction_type {
            Legacy | AccessList => max_fee_per_gas,
            _ if random.one_in(30) => U256::from(1_000),
            _ => U256::from(random.below(4)),
        };
        let creates = random.one_in(5);
        let to = if random.one_in(2) { address(random.pick(&[0xc0, 0xc1, 0xc2])) } else { random.pick(&self.all) };
        let size = random.below(80);
        let input = if creates { self.code(random) } else { (0..size).map(|_| random.below(3) as u8).collect() };
        let tight = random.one_in(6);
        let gas_limit = if tight { random.pick(&[20_000, 21_000, 40_000_000]) } else { 30_000 + random.below(270_000) };
        let chain_id = if random.one_in(30) { Some(5) } else { random.pick(&[None, Some(1)]) };
        let nonce = if random.one_in(30) { random.pick(&[0, 1, 8, u64::MAX]) } else { account.nonce };
        let blobs = if transaction_type == Blob { random.pick(&[1, 1, 1, 2, 2, 6, 7, 0]) } else { 0 };
        let version = if random.one_in(20) { 2 } else { 1 };
        let authorizations = if transaction_type == SetCode { random.below(4) } else { 0 };
        let listed = if transaction_type == Legacy { 0 } else { random.below(3) };
        Transaction {
            transaction_type,
            sender,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to: (!creates).then_some(to),
            value: U256::from(random.pick(&[0, 0, 0, 1, 1_000, 1_000, 1_u64 << 58])),
            input,
            chain_id,
            access_list: (0..listed)
                .map(|_| AccessListItem {
                    address: random.pick(&self.all),
                    storage_keys: vec![U256::from(random.below(3))],
                })
                .collect(),
            blob_versioned_hashes: vec![H256::repeat_byte(version); blobs],
            max_fee_per_blob_gas: U256::from(if blobs > 0 { random.pick(&[1, 2, 9, 9, 9]) } else { 0 }),
            authorization_list: (0..authorizations).map(|_| self.authorization(random, state)).collect(),
        }
    }

    fn authorization(&self, random: &mut Random, state: &dyn StateView) -> Authorization {
        let index = random.below(self.keys.len() as u64) as usize;
        let account = state.account(&self.senders[index]).expect("a state in memory").unwrap_or_default();
        let target = if random.one_in(4) { H160::zero() } else { random.pick(&self.all) };
        let unsigned = eip7702::Authorization {
            chain_id: Word::from(random.pick(&[0, 1, 1, 1, 5])),
            address: Address(target.0.into()),
            // As it is, as it is after the sender's own transaction, or wrong.
            nonce: account.nonce.saturating_add(random.pick(&[0, 0, 1, 2])),
        };
        let message = Message::from_digest(unsigned.signature_hash().0);
        let signature = SECP256K1.sign_ecdsa_recoverable(message, &self.keys[index]);
        let (parity, compact) = signature.serialize_compact();
        let mut authorization = Authorization {
            chain_id: U256(unsigned.chain_id.into_limbs()),
            address: target,
            nonce: unsigned.nonce,
            y_parity: U256::from(i32::from(parity) as u64),
            r: U256::from_big_endian(&compact[..32]),
            s: U256::from_big_endian(&compact[32..]),
        };
        assert_eq!(recover_authority(&authorization), Some(self.senders[index]));
        match random.below(24) {
            // The other signature of the same message, whose s is too high.
            0 => {
                authorization.s = order() - authorization.s;
                authorization.y_parity = U256::one() - authorization.y_parity;
            }
            1 => authorization.r = order(),
            2 => authorization.y_parity = U256::from(2),
            3 => authorization.r = U256::from(random.next()),
            _ => {}
        }
        authorization
    }
}

/// The order of secp256k1.
fn order() -> U256 {
    U256([0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, 0xffff_ffff_ffff_fffe, u64::MAX])
}

fn designator(target: H160) -> Bytes {
    [&[0xef, 0x01, 0x00][..], &target.0].concat().into()
}

fn insert(state: &mut MemoryState, address: H160, nonce: u64, balance: U256, code: Bytes, slots: &[(u64, u64)]) {
    let code_hash = if code.is_empty() { KECCAK_EMPTY } else { keccak(&code) };
    let slots = slots.iter().map(|(key, value)| (U256::from(*key), U256::from(*value)));
    state.insert(address, AccountInfo { nonce, balance, code_hash }, code, slots);
}

/// How often which way was taken.
#[derive(Clone, Copy, Debug, Default)]
struct Ways {
    rejected: usize,
    without_code: usize,
    failed: usize,
    succeeded: usize,
    kept: usize,
    conflicts: usize,
}

impl Ways {
    fn add(self, other: Self) -> Self {
        Self {
            rejected: self.rejected + other.rejected,
            without_code: self.without_code + other.without_code,
            failed: self.failed + other.failed,
            succeeded: self.succeeded + other.succeeded,
            kept: self.kept + other.kept,
            conflicts: self.conflicts + other.conflicts,
        }
    }
}

#[test]
fn random_sequences() {
    let world = World::new();
    let ways = (0..SEQUENCES).into_par_iter().map(|seed| sequence(&world, seed)).reduce(Ways::default, Ways::add);
    println!("{ways:?}");
    let Ways { rejected, without_code, failed, succeeded, kept, conflicts } = ways;
    for count in [rejected, without_code, failed, succeeded, kept, conflicts] {
        assert!(count > 1_000, "hardly tested: {ways:?}");
    }
}

fn sequence(world: &World, seed: u64) -> Ways {
    let random = &mut Random(seed);
    let forks: Vec<Fork> = Fork::ALL.into_iter().filter(|fork| *fork < Fork::Amsterdam).collect();
    let fork = random.pick(&forks);
    let base: Arc<dyn StateView> = Arc::new(world.state(random, fork));
    let block = BlockContext {
        gas_limit: random.pick(&[600_000, 30_000_000, 60_000_000]),
        coinbase: random.pick(&world.all),
        base_fee: U256::from(if fork >= Fork::London { random.below(3) } else { 0 }),
        blob_base_fee: U256::from(random.below(3)),
        ..BlockContext::default()
    };
    let environment = Environment::new(format!("seed {seed}"), Rules::new(fork, 1), block, base.clone());
    let mut machine = Machine::new(environment.clone());
    let mut overlay = Overlay::new(base.clone());
    let mut available =
        Available { gas: environment.block.gas_limit, blob_gas: environment.rules.blob_schedule.max << 17 };
    let mut committed: Vec<AccountDiff> = Vec::new();
    let mut ways = Ways::default();
    for index in 0..LENGTH {
        let transaction = world.transaction(random, &environment, &overlay);
        let limits = cpu::Available { gas: available.gas, blob_gas: available.blob_gas };
        let expected = machine.transact(&transaction, limits).expect("a state in memory");
        let ahead = ahead(&environment, &base, &transaction, &committed, available, &overlay, &mut ways);
        let now = match &ahead {
            Some(outcome) => outcome.clone(),
            None => execute(&environment, &overlay, &transaction, available),
        };
        let place = format!("seed {seed}, transaction {index}, {fork}");
        assert_eq!(now, expected, "{place}, ran ahead: {}, {transaction:#?}", ahead.is_some());
        if ahead.is_some() {
            // What was kept is also what comes of running it again.
            assert_eq!(execute(&environment, &overlay, &transaction, available), expected, "{place}");
        }
        match (&expected.status, expected.steps) {
            (Status::Rejected(_), _) => ways.rejected += 1,
            (_, 0) => ways.without_code += 1,
            (Status::Success, _) => ways.succeeded += 1,
            _ => ways.failed += 1,
        }
        if !matches!(expected.status, Status::Rejected(_)) {
            available.gas -= expected.gas_used;
            available.blob_gas -= (transaction.blob_versioned_hashes.len() as u64) << 17;
        }
        overlay.apply(&expected.diff);
        committed.extend(expected.diff);
    }
    ways
}

/// Prepares and runs a transaction.
fn execute(
    environment: &Environment,
    state: &dyn StateView,
    transaction: &Transaction,
    available: Available,
) -> Outcome {
    match prepare(environment, state, transaction, available, &Host).expect("a state in memory") {
        Prepared::Done(outcome) => *outcome,
        Prepared::Run(start) => {
            let ended = toy::run(&start, environment, state).expect("a state in memory");
            finish(&start, ended, state).expect("a state in memory")
        }
        Prepared::Unsupported(reason) => panic!("unsupported: {reason:?}"),
    }
}

/// The outcome of a lane that ran on the state before all transactions, where it holds after those before it, too.
fn ahead(
    environment: &Environment,
    base: &Arc<dyn StateView>,
    transaction: &Transaction,
    committed: &[AccountDiff],
    available: Available,
    overlay: &Overlay,
    ways: &mut Ways,
) -> Option<Outcome> {
    let unlimited = Available { gas: u64::MAX, blob_gas: u64::MAX };
    let prepared = prepare(environment, &**base, transaction, unlimited, &Host).expect("a state in memory");
    let Prepared::Run(start) = prepared else { return None };
    let ended = toy::run(&start, environment, &**base).expect("a state in memory");
    validate(environment, transaction, available).ok()?;
    if conflicts(&Reads::of(&start, &ended), committed) {
        ways.conflicts += 1;
        return None;
    }
    ways.kept += usize::from(!committed.is_empty());
    Some(finish(&start, ended, overlay).expect("a state in memory"))
}
