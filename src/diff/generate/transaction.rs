//! The transactions of a generated program.

use super::program::{Role, Writer};
use super::random::Random;
use super::{precompile, world};
use crate::convert::keccak;
use isolane_spec::{
    AccessListItem, AccountInfo, Authorization, BlockContext, Bytes, Fork, H256, MemoryState, Transaction,
    TransactionType, U256,
};

/// One transaction, or a few of the same senders. The senders are put into the state.
pub(super) fn transactions(
    random: &mut Random,
    fork: Fork,
    block: &BlockContext,
    state: &mut MemoryState,
    deep: bool,
) -> Vec<Transaction> {
    let count = if random.chance(250) { 2 + random.below(3) } else { 1 };
    let mut nonces = [0u64; world::SENDERS];
    for (index, nonce) in nonces.iter_mut().enumerate() {
        *nonce = match random.below(300) {
            0 => u64::MAX,
            1 => u64::MAX - 1,
            _ => random.below(3) as u64,
        };
        let balance = match random.below(200) {
            0 => U256::from(random.number()),
            1 => U256::zero(),
            _ if deep => U256::one() << 120,
            _ => U256::exp10(24),
        };
        let code = match random.below(300) {
            0 => Bytes::from_static(&[0]),
            1..=6 if fork >= Fork::Prague => world::designator(world::contract(random.below(world::CONTRACTS))),
            _ => Bytes::new(),
        };
        let info = AccountInfo { nonce: *nonce, balance, code_hash: keccak(&code) };
        state.insert(world::sender(index), info, code, []);
    }
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        let sender = if random.chance(700) { 0 } else { random.below(world::SENDERS) };
        let transaction = transaction(random, fork, block, sender, nonces[sender], deep);
        // Most are valid; a rejected one leaves the nonce as it was, and later ones show it.
        nonces[sender] = nonces[sender].wrapping_add(1);
        list.push(transaction);
    }
    list
}

fn kind(random: &mut Random, fork: Fork) -> TransactionType {
    let kind = random.weighted(&[38, 18, 28, 10, 6]);
    let (kind, since) = match kind {
        1 => (TransactionType::AccessList, Fork::Berlin),
        2 => (TransactionType::DynamicFee, Fork::London),
        3 => (TransactionType::Blob, Fork::Cancun),
        4 => (TransactionType::SetCode, Fork::Prague),
        _ => (TransactionType::Legacy, Fork::Frontier),
    };
    // Before its fork a type is rejected: once in a while is enough.
    if fork >= since || random.chance(10) { kind } else { TransactionType::Legacy }
}

fn transaction(
    random: &mut Random,
    fork: Fork,
    block: &BlockContext,
    sender: usize,
    nonce: u64,
    deep: bool,
) -> Transaction {
    let kind = kind(random, fork);
    let creates = !deep && random.chance(90) && (kind < TransactionType::Blob || random.chance(30));
    let to = match random.below(20) {
        _ if creates => None,
        0..=14 => Some(world::contract(0)),
        _ if deep => Some(world::contract(0)),
        15 | 16 => Some(world::contract(random.below(world::CONTRACTS))),
        17 if fork >= Fork::Prague => Some(world::authority(random.below(world::AUTHORITIES))),
        18 => Some(world::precompile(random, fork)),
        _ => Some(world::address(random, fork)),
    };
    let to = to.filter(|to| random.chance(precompile::share(*to))).or((!creates).then(|| world::contract(0)));
    let input: Bytes = match to {
        None if random.chance(15) => vec![0; 49_152 + random.below(2)].into(),
        None => {
            let mut writer = Writer::new(random, fork, Role::Init, 0);
            writer.initcode()
        }
        Some(to) if to.to_low_u64_be() <= 0x100 && random.chance(700) => precompile::input(random, to).into(),
        Some(_) => input(random),
    };
    let mut transaction = Transaction {
        transaction_type: kind,
        sender: world::sender(sender),
        nonce: if random.chance(993) { nonce } else { random.number() >> random.below(64) },
        to,
        input,
        value: match random.below(120) {
            0 => random.word(),
            1..=24 => random.between(0, 1000).into(),
            _ => U256::zero(),
        },
        chain_id: match kind {
            TransactionType::Legacy if random.chance(500) => None,
            _ => Some(1),
        },
        ..Transaction::default()
    };
    fees(random, block, &mut transaction);
    if kind >= TransactionType::AccessList && random.chance(700) {
        transaction.access_list = access_list(random, fork);
    }
    if kind == TransactionType::Blob {
        blobs(random, block, &mut transaction);
    }
    if kind == TransactionType::SetCode && random.chance(980) {
        let count = if random.chance(800) { 1 } else { 2 + random.below(2) };
        transaction.authorization_list = (0..count).map(|_| authorization(random, nonce)).collect();
        if random.chance(15) {
            // More accounts than the smallest lanes of a device have room for.
            let target = world::contract(random.below(world::CONTRACTS));
            let first = world::SENDERS + world::AUTHORITIES;
            let more = 1 + random.below(world::MORE_AUTHORITIES);
            transaction
                .authorization_list
                .extend((first..first + more).map(|signer| world::authorization(signer, 1, target, 0)));
        }
    }
    transaction.gas_limit = gas_limit(random, fork, block, &transaction, deep);
    transaction
}

fn input(random: &mut Random) -> Bytes {
    let mut input = Vec::new();
    for _ in 0..random.below(6) {
        input.extend(random.word().to_big_endian());
    }
    let more = random.below(5);
    input.extend(random.bytes(more));
    input.into()
}

fn fees(random: &mut Random, block: &BlockContext, transaction: &mut Transaction) {
    let tip = U256::from(random.below(4));
    let cap = match random.below(250) {
        0 => block.base_fee.saturating_sub(1.into()),
        1 => random.word(),
        2..=80 => block.base_fee,
        _ => block.base_fee + tip + U256::from(random.below(10)),
    };
    transaction.max_fee_per_gas = cap;
    transaction.max_priority_fee_per_gas = if transaction.transaction_type < TransactionType::DynamicFee {
        cap
    } else if random.chance(990) {
        tip.min(cap)
    } else {
        random.word()
    };
}

fn access_list(random: &mut Random, fork: Fork) -> Vec<AccessListItem> {
    (0..random.below(4))
        .map(|_| AccessListItem {
            address: world::address(random, fork),
            storage_keys: (0..random.below(4))
                .map(|_| if random.chance(800) { random.below(4).into() } else { random.word() })
                .collect(),
        })
        .collect()
}

fn blobs(random: &mut Random, block: &BlockContext, transaction: &mut Transaction) {
    let count = if random.chance(950) { 1 + random.below(6) } else { random.below(12) };
    transaction.blob_versioned_hashes = (0..count)
        .map(|_| {
            let mut hash = random.word().to_big_endian();
            hash[0] = if random.chance(995) { 1 } else { random.below(3) as u8 };
            H256(hash)
        })
        .collect();
    transaction.max_fee_per_blob_gas = match random.below(50) {
        0 => block.blob_base_fee.saturating_sub(1.into()),
        1 => random.word(),
        _ => block.blob_base_fee + U256::from(random.below(3)),
    };
}

fn authorization(random: &mut Random, sender_nonce: u64) -> Authorization {
    // The sender may delegate itself: its nonce has risen by then.
    let signer = if random.chance(150) { 0 } else { world::SENDERS + random.below(world::AUTHORITIES) };
    let nonce = match random.below(40) {
        0 => u64::MAX,
        _ if signer == 0 => sender_nonce.wrapping_add(1),
        n => (n % 2) as u64,
    };
    let chain_id = random.pick(&[0, 1, 1, 1, 2]);
    let target = match random.below(8) {
        0 => Default::default(),
        1 => world::authority(0),
        2 => world::NOBODY,
        n => world::contract(n % world::CONTRACTS),
    };
    let mut authorization = world::authorization(signer, chain_id, target, nonce);
    match random.below(60) {
        0 => authorization.y_parity = random.word(),
        1 => authorization.s = random.word(),
        2 => authorization.r = U256::zero(),
        3 => authorization.y_parity = U256::one() - authorization.y_parity.min(U256::one()),
        _ => {}
    }
    authorization
}

/// About what the transaction costs before its first instruction.
fn intrinsic(fork: Fork, transaction: &Transaction) -> u64 {
    let tokens: u64 = transaction.input.iter().map(|byte| if *byte == 0 { 1 } else { 4 }).sum();
    let per_token = if fork >= Fork::Prague {
        10
    } else if fork >= Fork::Istanbul {
        4
    } else {
        17
    };
    let creation = if transaction.to.is_none() { 32_000 + transaction.input.len() as u64 / 16 } else { 0 };
    let keys: usize = transaction.access_list.iter().map(|item| item.storage_keys.len()).sum();
    let listed = 2400 * transaction.access_list.len() as u64 + 1900 * keys as u64;
    21_000 + tokens * per_token + creation + listed + 25_000 * transaction.authorization_list.len() as u64
}

fn gas_limit(random: &mut Random, fork: Fork, block: &BlockContext, transaction: &Transaction, deep: bool) -> u64 {
    let intrinsic = intrinsic(fork, transaction);
    if deep {
        let ample = if fork < Fork::TangerineWhistle { 1_000_000 } else { block.gas_limit };
        return if fork >= Fork::Osaka { ample.min(1 << 24) } else { ample };
    }
    let more = match random.below(100) {
        0 if random.chance(500) => return random.number() >> random.below(64),
        1 if random.chance(500) => return intrinsic.saturating_sub(random.between(0, 5_000)),
        2..=9 => random.between(0, 3_000),
        10..=24 => random.between(3_000, 60_000),
        25 => 10_000_000,
        _ => random.between(150_000, 600_000),
    };
    intrinsic + more
}
