//! Changes cases that are known to do something: real call data, fixtures, blocks, the corpus.

use super::case::Case;
use super::code::instructions;
use super::generate::random::Random;
use super::generate::world;
use crate::convert::keccak;
use isolane_spec::opcode::{OPCODES, op};
use isolane_spec::{AccessListItem, Bytes, Fork, H160, MemoryState, TransactionType, U256};
use std::sync::Arc;

/// Bytes of code beyond which a mutation does not grow it.
const MAX_CODE: usize = 64 << 10;
/// Transactions of a block that a mutated case keeps.
const KEPT: usize = 3;
/// More gas than this is not needed to show anything, and takes long.
const MAX_GAS: u64 = 3_000_000;

/// A changed copy of one of the cases. The choice and the changes are decided by seed and index.
#[must_use]
pub fn mutated(seed: u64, index: u64, sources: &[Case], forks: &[Fork]) -> Option<Case> {
    let mut random = Random::new(seed ^ 0x6d75_7461_7465_0001, index);
    let source = sources.get(random.below(sources.len()))?;
    let mut case = source.clone();
    case.name = format!("mutation {seed}:{index} of {}", source.name);
    if case.transactions.len() > KEPT {
        let first = random.below(case.transactions.len() - KEPT + 1);
        case.transactions = case.transactions[first..first + KEPT].to_vec();
    }
    for _ in 0..1 + random.below(3) {
        change(&mut random, &mut case, forks);
    }
    for transaction in &mut case.transactions {
        transaction.gas_limit = transaction.gas_limit.min(MAX_GAS);
        // Nonces and balances of what was left out would only lead to rejections.
        if let Some(account) = Arc::make_mut(&mut case.state).accounts.get_mut(&transaction.sender)
            && random.chance(980)
        {
            account.info.balance = account.info.balance.max(U256::exp10(24));
        }
    }
    line_up_nonces(&mut random, &mut case);
    Some(case)
}

/// Lets each transaction have the nonce that its sender has by then, mostly.
fn line_up_nonces(random: &mut Random, case: &mut Case) {
    if random.chance(20) {
        return;
    }
    let mut seen: Vec<(H160, u64)> = Vec::new();
    for transaction in &mut case.transactions {
        match seen.iter_mut().find(|(sender, _)| *sender == transaction.sender) {
            Some((_, nonce)) => {
                *nonce = nonce.wrapping_add(1);
                transaction.nonce = *nonce;
            }
            None => {
                if let Some(account) = case.state.accounts.get(&transaction.sender) {
                    transaction.nonce = account.info.nonce;
                }
                seen.push((transaction.sender, transaction.nonce));
            }
        }
    }
}

fn change(random: &mut Random, case: &mut Case, forks: &[Fork]) {
    let fork = case.rules.fork;
    let index = random.below(case.transactions.len());
    let Some(transaction) = case.transactions.get_mut(index) else { return };
    match random.below(16) {
        0..=3 => transaction.input = bytes(random, &transaction.input),
        4 => transaction.value = if random.chance(500) { random.word() >> 140 } else { U256::zero() },
        5 => transaction.gas_limit = gas(random, transaction.gas_limit),
        6 if !forks.is_empty() => {
            let fork = random.pick(forks);
            case.set_fork(fork);
        }
        7 if fork >= Fork::Berlin && transaction.transaction_type < TransactionType::Blob => {
            if transaction.transaction_type == TransactionType::Legacy {
                transaction.transaction_type = TransactionType::AccessList;
                transaction.chain_id = Some(case.rules.chain_id);
            }
            let address = transaction.to.unwrap_or(transaction.sender);
            let storage_keys = (0..random.below(4)).map(|_| random.below(4).into()).collect();
            transaction.access_list.push(AccessListItem { address, storage_keys });
        }
        8 => {
            let state = Arc::make_mut(&mut case.state);
            let Some(address) = some_account(random, state) else { return };
            let Some(account) = state.accounts.get_mut(&address) else { return };
            match random.below(3) {
                0 => account.info.balance = random.word() >> 129,
                1 if account.info.nonce > 0 => account.info.nonce = random.pick(&[1, u64::MAX, u64::MAX - 1]),
                _ => {
                    // Slots that the code is likely to use.
                    let mut keys: Vec<U256> = account.storage.keys().copied().collect();
                    keys.sort_unstable();
                    let key = if keys.is_empty() { random.below(4).into() } else { random.pick(&keys) };
                    let value = random.word();
                    if !value.is_zero() && (account.info.nonce > 0 || !account.storage.is_empty()) {
                        account.storage.insert(key, value);
                    }
                }
            }
        }
        _ => code(random, case),
    }
}

/// One of the accounts, in an order that does not depend on hashes.
fn some_account(random: &mut Random, state: &MemoryState) -> Option<H160> {
    let mut addresses: Vec<H160> = state.accounts.keys().copied().collect();
    addresses.sort_unstable();
    (!addresses.is_empty()).then(|| random.pick(&addresses))
}

fn gas(random: &mut Random, gas: u64) -> u64 {
    match random.below(4) {
        0 => random.between(gas / 2, gas),
        1 => gas.saturating_sub(random.between(0, 100)),
        2 => random.between(21_000, 100_000),
        _ => gas.saturating_mul(2),
    }
}

/// Changed data: a bit, an edge word, a shorter or longer tail.
fn bytes(random: &mut Random, data: &Bytes) -> Bytes {
    let mut data = data.to_vec();
    match random.below(6) {
        0 if !data.is_empty() => {
            let at = random.below(data.len());
            data[at] ^= 1 << random.below(8);
        }
        1 => data.truncate(random.below(data.len() + 1)),
        2 => {
            let more = random.below(70);
            data.extend(random.bytes(more));
        }
        _ => {
            // A word of call data behind a selector, or from the start.
            let words = data.len() / 32 + 1;
            let start = data.len() % 32 + 32 * random.below(words);
            for (byte, new) in data.iter_mut().skip(start).zip(random.word().to_big_endian()) {
                *byte = new;
            }
        }
    }
    data.into()
}

/// Changes an instruction of the code of some account, the callee's above all.
fn code(random: &mut Random, case: &mut Case) {
    let fork = case.rules.fork;
    let state = Arc::make_mut(&mut case.state);
    let callee = case.transactions.first().and_then(|transaction| transaction.to);
    let address = match callee {
        Some(callee) if random.chance(600) => Some(callee),
        _ => some_account(random, state),
    };
    let Some(account) = address.and_then(|address| state.accounts.get_mut(&address)) else { return };
    let Some(old) = state.codes.get(&account.info.code_hash) else { return };
    if old.is_empty() || old.len() > MAX_CODE {
        return;
    }
    let list = instructions(old);
    let place = random.pick(&list);
    let (before, rest) = old.split_at(place.at);
    let (here, after) = rest.split_at(place.len);
    let mut new = before.to_vec();
    match random.below(8) {
        // Deleted.
        0 => {}
        // Twice.
        1 => {
            new.extend_from_slice(here);
            new.extend_from_slice(here);
        }
        // Another opcode of the same shape, so that jumps stay right.
        2..=4 => {
            let row = random.pick(OPCODES);
            let byte = if row.since <= fork && row.immediate == 0 { row.byte } else { op::POP };
            new.extend_from_slice(here);
            if place.len == 1 {
                new[place.at] = byte;
            } else {
                let width = place.len - 1;
                new[place.at + 1..].copy_from_slice(&random.word().to_big_endian()[32 - width..]);
            }
        }
        // Something new before it.
        5 | 6 => {
            match random.below(3) {
                0 => {
                    new.push(op::PUSH32);
                    new.extend(random.word().to_big_endian());
                }
                1 => {
                    new.push(op::PUSH20);
                    new.extend(world::address(random, fork).0);
                }
                _ => new.push(random.pick(OPCODES).byte),
            }
            new.extend_from_slice(here);
        }
        // A bit of it.
        _ => {
            new.extend_from_slice(here);
            let at = place.at + random.below(place.len);
            new[at] ^= 1 << random.below(8);
        }
    }
    new.extend_from_slice(after);
    let new = Bytes::from(new);
    account.info.code_hash = keccak(&new);
    state.codes.insert(account.info.code_hash, new);
}
