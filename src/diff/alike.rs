//! Copies of a generated program that differ in their inputs, so that backends which group transactions have groups.

use super::case::Case;
use super::divergent;
use super::generate::random::Random;
use super::generate::{Generator, world};
use isolane_spec::{Fork, H160, H256, Order, Transaction, U256};
use std::sync::Arc;

/// Copies of most programs.
pub const COPIES: u64 = 16;
/// Copies of others: as many lanes as a group has.
const MANY: u64 = 64;
/// Copies in one environment now and then: more groups than there are threads, so that one has a lane that ran it before.
const CROWD: u64 = 320;

/// How the copies of a program differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// In their inputs.
    Inputs,
    /// In their inputs, which nearly everything depends on in a program that is made for it.
    Divergent,
    /// Also in their blocks, states, senders and callees.
    Apart,
    /// Likewise, and there are many of them.
    Many,
    /// Every other one is in another fork.
    Forks,
    /// They are in one environment, each on its base state.
    Independent,
    /// They are in one environment, one after another.
    Sequential,
}

impl Kind {
    const fn of(index: u64) -> Self {
        match index % 8 {
            0 => Self::Inputs,
            1 | 2 => Self::Divergent,
            3 => Self::Apart,
            4 => Self::Independent,
            5 => Self::Forks,
            6 => Self::Sequential,
            _ => Self::Many,
        }
    }
}

/// The program with this index, and copies that go their own ways: other inputs of the same length and selector, other gas,
/// other values. Each is in an environment of its own, which may differ from the others' too, or all are in one.
#[must_use]
pub fn copies(generator: &Generator, seed: u64, index: u64) -> Vec<Case> {
    let mut base = generator.case(index);
    base.transactions.truncate(1);
    let kind = Kind::of(index);
    let mut words = Random::new(seed ^ 0xd1fe, index);
    if kind == Kind::Divergent || (kind == Kind::Many && words.chance(500)) {
        divergent::replace(&mut words, &mut base);
    }
    let Some(original) = base.transactions.first().cloned() else { return Vec::new() };
    let count = match kind {
        Kind::Many => MANY,
        Kind::Independent if index % 64 == 4 => CROWD,
        _ => COPIES,
    };
    let mut cases = Vec::with_capacity(count as usize);
    let mut random = Random::new(seed ^ 0xa11e, index);
    let mut apart = Random::new(seed ^ 0xa9a7, index);
    for copy in 1..count {
        let mut case = base.clone();
        case.name = format!("{} copy {copy}", base.name);
        case.transactions = vec![changed(&mut random, &original)];
        match kind {
            Kind::Divergent => case.transactions[0].input = divergent::input(&mut words),
            Kind::Apart | Kind::Many => set_apart(&mut apart, &mut case, copy),
            Kind::Forks if copy % 2 == 1 => case.set_fork(next_fork(generator.forks(), base.rules.fork)),
            _ => {}
        }
        cases.push(case);
    }
    match kind {
        Kind::Independent => vec![together(base, cases, Order::Independent)],
        Kind::Sequential => vec![together(base, cases, Order::Sequential)],
        _ => {
            cases.insert(0, base);
            cases
        }
    }
}

/// The transaction with another input, and perhaps other gas and another value.
pub(super) fn changed(random: &mut Random, original: &Transaction) -> Transaction {
    let mut transaction = original.clone();
    let mut input = transaction.input.to_vec();
    for byte in input.iter_mut().skip(4) {
        match random.below(16) {
            0 => *byte = random.number() as u8,
            1 => *byte = byte.wrapping_add(1),
            _ => {}
        }
    }
    transaction.input = input.into();
    if random.chance(250) {
        // Halts here and there.
        let most = transaction.gas_limit;
        transaction.gas_limit = random.between(most / 2, most.max(1));
    }
    if random.chance(200) {
        transaction.value >>= 1;
    }
    transaction
}

/// Gives a copy another block, another state, and perhaps another sender and callee.
fn set_apart(random: &mut Random, case: &mut Case, copy: u64) {
    let fork = case.rules.fork;
    let block = &mut case.block;
    block.timestamp += random.between(0, 3);
    block.number += random.between(0, 3);
    block.coinbase = random.pick(&[block.coinbase, world::COINBASE, world::NOBODY, world::contract(1)]);
    if fork >= Fork::Paris {
        block.prev_randao = H256(random.word().to_big_endian());
    }
    if fork >= Fork::Amsterdam {
        block.slot_number += random.between(0, 3);
    }
    let state = Arc::make_mut(&mut case.state);
    for index in 0..world::CONTRACTS {
        let Some(account) = state.accounts.get_mut(&world::contract(index)) else { continue };
        let mut keys: Vec<U256> = account.storage.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            if random.chance(300) {
                account.storage.insert(key, random.word() | U256::one());
            }
        }
        if random.chance(300) {
            account.info.balance = random.between(0, 1000).into();
        }
    }
    if random.chance(200) {
        // What one lane calls is other code than what its neighbour calls.
        let [one, other] = [1, 2].map(|index| state.accounts.get(&world::contract(index)).map(|it| it.info.code_hash));
        for (index, code_hash) in [(1, other), (2, one)] {
            if let (Some(account), Some(code_hash)) = (state.accounts.get_mut(&world::contract(index)), code_hash) {
                account.info.code_hash = code_hash;
            }
        }
    }
    let Some(transaction) = case.transactions.first_mut() else { return };
    if random.chance(500) {
        let sender = world::sender(copy as usize);
        let account = state.accounts.entry(sender).or_default();
        account.info.balance = account.info.balance.max(U256::exp10(24));
        (transaction.sender, transaction.nonce) = (sender, account.info.nonce);
    }
    let more = U256::from(random.between(0, 3));
    transaction.max_fee_per_gas = transaction.max_fee_per_gas.saturating_add(more);
    transaction.max_priority_fee_per_gas = transaction.max_priority_fee_per_gas.saturating_add(more);
    if random.chance(300)
        && let Some(account) = transaction.to.and_then(|to| state.accounts.get(&to).cloned())
    {
        // The same code at another address.
        let to = H160::repeat_byte(0xa0 | (copy % 16) as u8);
        state.accounts.insert(to, account);
        transaction.to = Some(to);
    }
}

/// The fork after this one among those that there are.
fn next_fork(forks: &[Fork], fork: Fork) -> Fork {
    let after = forks.iter().skip_while(|other| **other != fork).nth(1);
    after.or(forks.first()).copied().unwrap_or(fork)
}

/// The transactions of all copies in the environment of the first.
fn together(mut case: Case, copies: Vec<Case>, order: Order) -> Case {
    case.name += " with its copies";
    case.setting.order = order;
    for (index, copy) in copies.into_iter().enumerate() {
        case.transactions.extend(copy.transactions.into_iter().map(|mut transaction| {
            if order == Order::Sequential {
                transaction.nonce = transaction.nonce.wrapping_add(index as u64 + 1);
            }
            transaction
        }));
    }
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::case::batch;
    use isolane_cpu::lockstep::Leave;
    use isolane_cpu::{Lockstep, Reference};
    use isolane_spec::Backend;

    #[test]
    fn copies_form_groups_that_go_apart() {
        let generator = Generator::new(5, &[Fork::Prague, Fork::Osaka]);
        let cases: Vec<Case> = (0..100).flat_map(|index| copies(&generator, 5, index)).collect();
        let batch = batch(&cases);
        let lockstep = Lockstep::new();
        let expected = Reference.execute(&batch);
        for (index, (expected, got)) in expected.iter().zip(lockstep.execute(&batch)).enumerate() {
            let environment = &batch.environments[batch.transactions[index].0 as usize];
            assert_eq!(*expected, got, "{}", environment.id);
        }
        let succeeded = expected.iter().flatten().filter(|outcome| outcome.status.is_success()).count();
        let statistics = lockstep.statistics();
        println!("{succeeded} succeed; {statistics}");
        assert!(succeeded as u64 * 5 > statistics.transactions, "{succeeded} succeed");
        assert!(statistics.grouped * 2 > statistics.transactions, "{statistics}");
        assert!(statistics.whole * 10 > statistics.grouped, "{statistics}");
        assert!(statistics.left(Leave::Halted) > 0, "{statistics}");
    }
    #[test]
    fn copies_differ_as_their_kind_says() {
        let generator = Generator::new(5, &[Fork::Prague, Fork::Osaka]);
        let different = |cases: &[Case], field: fn(&Case) -> String| {
            cases.iter().map(field).collect::<std::collections::BTreeSet<String>>().len()
        };
        let [mut blocks, mut senders, mut callees, mut storage] = [0; 4];
        for index in 0..64 {
            let cases = copies(&generator, 5, index);
            let again = copies(&generator, 5, index);
            assert_eq!(format!("{:?}", cases[0].block), format!("{:?}", again[0].block));
            let transactions: Vec<&Transaction> = cases.iter().flat_map(|case| &case.transactions).collect();
            let forks = different(&cases, |case| case.rules.fork.to_string());
            let orders: Vec<Order> = cases.iter().map(|case| case.setting.order).collect();
            let count = if index == 4 { CROWD } else { COPIES };
            assert_eq!(transactions.len() as u64, if index % 8 == 7 { MANY } else { count });
            assert_eq!(forks, if index % 8 == 5 { 2 } else { 1 });
            assert_eq!(cases.len() == 1, matches!(index % 8, 4 | 6));
            assert_eq!(orders[0] == Order::Independent, index % 8 == 4);
            blocks += usize::from(different(&cases, |case| format!("{:?}", case.block)) > 8);
            storage += usize::from(
                different(&cases, |case| format!("{:?}", case.state.accounts.get(&world::contract(0)))) > 8,
            );
            senders += usize::from(different(&cases, |case| case.transactions[0].sender.to_string()) == world::SENDERS);
            callees += usize::from(different(&cases, |case| format!("{:?}", case.transactions[0].to)) > 2);
        }
        assert!(blocks == 16 && senders > 8 && callees > 8 && storage > 8, "{blocks} {senders} {callees} {storage}");
    }
}
