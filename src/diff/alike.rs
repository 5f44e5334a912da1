//! Copies of a generated program that differ in their inputs, so that backends which group transactions have groups.

use super::case::Case;
use super::generate::Generator;
use super::generate::random::Random;

/// Copies of each program.
pub const COPIES: u64 = 16;

/// The program with this index, and copies that go their own ways: other inputs of the same length and selector, other gas,
/// other values. Each is in an environment of its own.
#[must_use]
pub fn copies(generator: &Generator, seed: u64, index: u64) -> Vec<Case> {
    let mut base = generator.case(index);
    base.transactions.truncate(1);
    let Some(original) = base.transactions.first().cloned() else { return Vec::new() };
    let mut cases = vec![base.clone()];
    let mut random = Random::new(seed ^ 0xa11e, index);
    for copy in 1..COPIES {
        let mut case = base.clone();
        case.name = format!("{} copy {copy}", base.name);
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
            transaction.value = transaction.value >> 1;
        }
        case.transactions = vec![transaction];
        cases.push(case);
    }
    cases
}
