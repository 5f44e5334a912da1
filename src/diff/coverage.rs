//! What was executed: opcodes, ends and precompiles, by fork.

use isolane_cpu::observer::{Enter, Exit, StepEnd};
use isolane_cpu::precompile::Precompile;
use isolane_cpu::{Available, Machine, Observer};
use isolane_spec::opcode::OPCODES;
use isolane_spec::{ExecutionError, Fork, Halt, Outcome, Status};
use std::collections::BTreeMap;

use super::case::Case;

/// How often what happened in a fork.
#[derive(Clone, Debug, Default)]
pub struct ForkCoverage {
    /// Instructions that did not halt, by byte.
    pub opcodes: BTreeMap<u8, u64>,
    /// Halts of any frame.
    pub halts: BTreeMap<Halt, u64>,
    /// Precompiles by name: calls that succeeded, and that failed.
    pub precompiles: BTreeMap<&'static str, (u64, u64)>,
    /// Transactions by how they ended: success, revert, halt, rejected.
    pub ends: [u64; 4],
}

/// What happened, by fork.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// Of each fork that anything ran in.
    pub forks: BTreeMap<Fork, ForkCoverage>,
}

/// The halts that can happen in a fork.
pub fn halts(fork: Fork) -> impl Iterator<Item = Halt> {
    [
        (Halt::OutOfGas, Fork::Frontier),
        (Halt::StackUnderflow, Fork::Frontier),
        (Halt::StackOverflow, Fork::Frontier),
        (Halt::InvalidJump, Fork::Frontier),
        (Halt::InvalidOpcode, Fork::Frontier),
        (Halt::UndefinedOpcode, Fork::Frontier),
        (Halt::CreateCollision, Fork::Frontier),
        (Halt::CallRefused, Fork::Frontier),
        (Halt::CodeTooLarge, Fork::SpuriousDragon),
        (Halt::StaticViolation, Fork::Byzantium),
        (Halt::ReturnDataOutOfBounds, Fork::Byzantium),
        (Halt::PrecompileFailure, Fork::Byzantium),
        (Halt::CodeStartsWithEf, Fork::London),
        (Halt::InitcodeTooLarge, Fork::Shanghai),
    ]
    .into_iter()
    .filter(move |(_, since)| fork >= *since)
    .map(|(halt, _)| halt)
}

impl Coverage {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        for (fork, there) in other.forks {
            let here = self.forks.entry(fork).or_default();
            for (byte, count) in there.opcodes {
                *here.opcodes.entry(byte).or_default() += count;
            }
            for (halt, count) in there.halts {
                *here.halts.entry(halt).or_default() += count;
            }
            for (name, (succeeded, failed)) in there.precompiles {
                let sum = here.precompiles.entry(name).or_default();
                *sum = (sum.0 + succeeded, sum.1 + failed);
            }
            for (sum, count) in here.ends.iter_mut().zip(there.ends) {
                *sum += count;
            }
        }
    }

    /// Counts how a transaction ended.
    pub fn end(&mut self, fork: Fork, status: &Status) {
        self.forks.entry(fork).or_default().ends[end_of(status)] += 1;
    }

    /// Runs a case on the reference and counts all that happens in it. The outcomes must be those of an execution that
    /// nobody watches.
    pub fn run(&mut self, case: &Case) -> Vec<Result<Outcome, ExecutionError>> {
        let environment = case.environment();
        let mut available = Available::of(&environment);
        let mut machine = Machine::new(environment);
        let mut results = Vec::with_capacity(case.transactions.len());
        let mut watcher = Watcher { fork: case.rules.fork, coverage: ForkCoverage::default(), precompiles: Vec::new() };
        for transaction in &case.transactions {
            let result = machine.transact_observed(transaction, available, &mut watcher);
            available = available.after(&result, transaction);
            let failed = result.is_err();
            results.push(result);
            if failed {
                break;
            }
        }
        let here = Self { forks: BTreeMap::from([(case.rules.fork, watcher.coverage)]) };
        self.add(here);
        results
    }

    /// Transactions of all forks by how they ended: success, revert, halt, rejected.
    #[must_use]
    pub fn ends(&self) -> [u64; 4] {
        let mut sum = [0; 4];
        for fork in self.forks.values() {
            sum.iter_mut().zip(fork.ends).for_each(|(sum, count)| *sum += count);
        }
        sum
    }

    /// What a fork has and nothing executed, by fork: names of opcodes, halts and precompiles.
    #[must_use]
    pub fn missing(&self) -> BTreeMap<Fork, Vec<String>> {
        let mut missing: BTreeMap<Fork, Vec<String>> = BTreeMap::new();
        for (fork, seen) in &self.forks {
            let list = missing.entry(*fork).or_default();
            // INVALID and undefined bytes count as halts.
            let rows = OPCODES.iter().filter(|row| row.since <= *fork && row.name != "INVALID");
            list.extend(rows.filter(|row| !seen.opcodes.contains_key(&row.byte)).map(|row| row.name.to_owned()));
            list.extend(halts(*fork).filter(|halt| !seen.halts.contains_key(halt)).map(|halt| format!("{halt:?}")));
            for (_, precompile) in Precompile::active(*fork) {
                let (succeeded, failed) = seen.precompiles.get(precompile.name()).copied().unwrap_or_default();
                if succeeded == 0 {
                    list.push(format!("{} (success)", precompile.name()));
                }
                if failed == 0 {
                    list.push(format!("{} (failure)", precompile.name()));
                }
            }
        }
        missing.retain(|_, list| !list.is_empty());
        missing
    }
}

const fn end_of(status: &Status) -> usize {
    match status {
        Status::Success => 0,
        Status::Revert => 1,
        Status::Halt(_) => 2,
        Status::Rejected(_) => 3,
    }
}

struct Watcher {
    fork: Fork,
    coverage: ForkCoverage,
    /// Of the calls that are open: the precompile, if it is one.
    precompiles: Vec<Option<&'static str>>,
}

impl Observer for Watcher {
    fn step_end(&mut self, end: &StepEnd) {
        if end.halt.is_none() {
            *self.coverage.opcodes.entry(end.opcode).or_default() += 1;
        }
    }

    fn enter(&mut self, enter: &Enter<'_>) {
        let name = Precompile::at(enter.code_address, self.fork).map(Precompile::name);
        self.precompiles.push(name.filter(|_| enter.precompile));
    }

    fn exit(&mut self, exit: &Exit<'_>) {
        if let Status::Halt(halt) = exit.status {
            *self.coverage.halts.entry(halt).or_default() += 1;
        }
        if let Some(name) = self.precompiles.pop().flatten() {
            let (succeeded, failed) = self.coverage.precompiles.entry(name).or_default();
            *(if exit.status.is_success() { succeeded } else { failed }) += 1;
        }
    }

    fn outcome(&mut self, outcome: &Outcome) {
        self.coverage.ends[end_of(&outcome.status)] += 1;
    }
}
