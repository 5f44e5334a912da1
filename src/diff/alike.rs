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
            transaction.value >>= 1;
        }
        case.transactions = vec![transaction];
        cases.push(case);
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::case::batch;
    use isolane_cpu::lockstep::Leave;
    use isolane_cpu::{Lockstep, Reference};
    use isolane_spec::{Backend, Fork};

    #[test]
    fn copies_form_groups_that_go_apart() {
        let generator = Generator::new(5, &[Fork::Prague, Fork::Osaka]);
        let cases: Vec<Case> = (0..100).flat_map(|index| copies(&generator, 5, index)).collect();
        let batch = batch(&cases);
        let lockstep = Lockstep::new();
        let expected = Reference.execute(&batch);
        for (index, (expected, got)) in expected.iter().zip(lockstep.execute(&batch)).enumerate() {
            assert_eq!(*expected, got, "{}", cases[index].name);
        }
        let succeeded = expected.iter().flatten().filter(|outcome| outcome.status.is_success()).count();
        let statistics = lockstep.statistics();
        println!("{succeeded} succeed; {statistics}");
        assert!(succeeded as u64 * 5 > statistics.transactions, "{succeeded} succeed");
        assert!(statistics.grouped * 2 > statistics.transactions, "{statistics}");
        assert!(statistics.whole * 10 > statistics.grouped, "{statistics}");
        assert!(statistics.left(Leave::Halted) > 0, "{statistics}");
    }
}
