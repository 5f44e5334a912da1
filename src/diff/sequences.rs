//! Sequences of generated transactions in one environment, some of which depend on others: one by one they must come to
//! what they come to where threads execute them ahead of their turn.

use super::alike;
use super::case::Case;
use super::generate::random::Random;
use super::generate::{Generator, world};
use super::run::Executed;
use isolane_cpu::{Available, InParallel, Machine, Sequence, SequenceStats};
use isolane_spec::{AccountInfo, Bytes, ExecutionError, H160, Transaction, U256};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// One sequence for so many programs of a run.
pub const EVERY: u64 = 100;
/// Transactions of a sequence.
const TRANSACTIONS: u64 = 24;
/// Gas of one of them at most: no block has less than thirty times as much.
const MOST_GAS: u64 = 1_000_000;

/// A sequence on the state of the program with this index: calls of its contracts, most by senders of their own.
#[must_use]
pub fn sequence(generator: &Generator, seed: u64, index: u64) -> Case {
    let mut case = generator.case(index);
    case.name = format!("sequence {}", case.name);
    let mut random = Random::new(seed ^ 0x5e9e, index);
    let originals = std::mem::take(&mut case.transactions);
    if originals.is_empty() {
        return case;
    }
    let state = Arc::make_mut(&mut case.state);
    let mut nonces = [0; TRANSACTIONS as usize];
    for number in 0..TRANSACTIONS {
        // Now and then the sender of an earlier one.
        let sender = if random.chance(100) { random.below(number as usize + 1) } else { number as usize };
        let original = &originals[random.below(originals.len())];
        let mut transaction = alike::changed(&mut random, original);
        transaction.sender = H160::from_low_u64_be(0x5e9e_0000_0000 + sender as u64);
        transaction.nonce = nonces[sender];
        nonces[sender] += 1;
        if random.chance(700) {
            transaction.to = Some(world::contract(random.below(world::CONTRACTS)));
        }
        if transaction.input.is_empty() {
            // What has no input is not worth another thread's while.
            transaction.input = Bytes::from(random.bytes(36));
        }
        // Some programs have gas for calls as deep as they go, of one contract. A sequence calls all of them, and that much would never end.
        transaction.gas_limit = transaction.gas_limit.min(MOST_GAS);
        case.transactions.push(transaction);
    }
    for sender in 0..TRANSACTIONS {
        let info = AccountInfo { balance: U256::exp10(24), ..AccountInfo::default() };
        state.insert(H160::from_low_u64_be(0x5e9e_0000_0000 + sender), info, Bytes::new(), []);
    }
    case
}

/// Executes a sequence ahead of its turn wherever that is possible, on rayon's current pool.
#[must_use]
pub fn ahead(case: &Case) -> (Vec<Executed>, SequenceStats) {
    let environment = case.environment();
    let transactions: Vec<&Transaction> = case.transactions.iter().collect();
    let mut available = Available::of(&environment);
    let mut machine = Machine::new(environment);
    let mut sequence = Sequence::new(&transactions, InParallel::Always);
    let mut results = Vec::with_capacity(transactions.len());
    for (number, transaction) in transactions.iter().enumerate() {
        // Some are for certain ahead of their turn; others depend on the threads' timing, as they do elsewhere.
        if number % 2 == 1 {
            sequence.settle();
        }
        let next = catch_unwind(AssertUnwindSafe(|| sequence.next(&mut machine, available)));
        let lost = || Err(ExecutionError::Panic("a transaction was lost".to_owned()));
        let result = next.ok().flatten().unwrap_or_else(lost);
        available = available.after(&result, transaction);
        let failed = result.is_err();
        results.push(result);
        if failed {
            break;
        }
    }
    (results, sequence.stats())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::case::batch;
    use isolane_cpu::Reference;
    use isolane_spec::{Backend, Fork};

    #[test]
    fn sequences_come_to_the_same_ahead_of_their_turn() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("threads");
        let generator = Generator::new(6, &Fork::ALL);
        let mut sum = SequenceStats::default();
        let mut succeed = 0;
        for index in 0..200 {
            let case = sequence(&generator, 6, index);
            let expected = Reference.execute(&batch(std::slice::from_ref(&case)));
            succeed += expected.iter().flatten().filter(|outcome| outcome.status.is_success()).count();
            let (results, stats) = pool.install(|| ahead(&case));
            assert_eq!(results, expected, "{}", case.name);
            sum.ahead += stats.ahead;
            sum.stale += stats.stale;
        }
        println!("{sum:?}, {succeed} succeed");
        assert!(succeed > 500, "{succeed} succeed");
        assert!(sum.ahead > 1_000 && sum.stale > 50, "{sum:?}");
    }
}
