//! Measures backends over workloads, side by side in one run: what `isolane bench` prints.
//!
//! Every transaction starts from the pre-state of its workload. A side is timed in passes over one batch, and the sides take
//! turns, so that what else the machine does hits all of them. Before anything is timed the outcomes are compared in full,
//! after each pass their sums.

pub mod facts;
pub mod generated;
#[cfg(feature = "revm")]
pub mod peer;
mod side;
pub mod table;

pub use side::{KernelShare, Parts, Sides, Totals, UNLIMITED, batch_of, cpu_time, run_reference};

use crate::load::workload::Workload;
use isolane_cpu::{Lockstep, Reference};
use isolane_gpu::Gpu;
use isolane_spec::{Backend, Batch};
use serde::Serialize;
use std::time::Duration;

/// Outcomes that are compared in full before a measurement, at most.
const COMPARED: usize = 4_096;

/// Median, minimum and maximum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Half of the values are below it.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of at least one value; of none it is zero.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (values.first(), values.last()) else {
            return Self { median: 0.0, min: 0.0, max: 0.0 };
        };
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Self { median, min, max }
    }

    /// `median (min-max)`.
    #[must_use]
    pub fn show(self, digits: usize) -> String {
        format!("{:.digits$} ({:.digits$}-{:.digits$})", self.median, self.min, self.max)
    }
}

/// Workloads of one batch, each an environment of its own; their transactions take turns.
#[derive(Clone, Debug)]
pub struct Mix {
    /// What it is called.
    pub name: String,
    /// The workloads.
    pub workloads: Vec<Workload>,
}

impl From<Workload> for Mix {
    fn from(workload: Workload) -> Self {
        Self { name: workload.name.clone(), workloads: vec![workload] }
    }
}

impl Mix {
    /// The workloads with exactly so many transactions together, as many of each as of any other, give or take one.
    #[must_use]
    pub fn widen(&self, size: usize) -> Vec<Workload> {
        let count = self.workloads.len().max(1);
        let share = |place: usize| size / count + usize::from(place < size % count);
        self.workloads.iter().enumerate().map(|(place, workload)| workload.widen(share(place))).collect()
    }
}

/// What is measured.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The workloads of each batch.
    pub batches: Vec<Mix>,
    /// Transactions of a batch; workloads are widened or cut to each.
    pub sizes: Vec<usize>,
    /// Passes of each side.
    pub rounds: usize,
    /// Batches with more instructions are left out; 0 is no limit.
    pub most_instructions: u64,
    /// Whether there is one more pass of a device, whose kernels run one by one and are timed.
    pub kernels: bool,
}

/// A batch that was not measured: it has more instructions than the plan allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// Its name.
    pub workload: String,
    /// Its transactions.
    pub transactions: usize,
    /// Its instructions, about.
    pub instructions: u64,
}

/// What was measured of a backend on a workload.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The workload's name, or that of the mix.
    pub workload: String,
    /// The workloads of the batch.
    pub workloads: Vec<String>,
    /// Transactions of a batch.
    pub transactions: usize,
    /// Which side.
    pub backend: &'static str,
    /// EVM instructions of a batch.
    pub instructions: u64,
    /// Gas of a batch.
    pub gas: u64,
    /// Seconds of a pass from transactions to outcomes: packing, transfer, execution, unpacking.
    pub end_to_end_seconds: Spread,
    /// Seconds of the execution alone.
    pub execution_seconds: Spread,
    /// CPU seconds of a pass, of all threads; `None` where the system does not tell.
    pub cpu_seconds: Option<Spread>,
    /// Of a device: where the time of a pass went, on average.
    pub parts: Option<Parts>,
}

impl Row {
    fn rate(&self, count: f64, seconds: f64) -> f64 {
        if seconds > 0.0 { count / seconds } else { 0.0 }
    }

    /// Transactions a second, execution only.
    #[must_use]
    pub fn transactions_per_second(&self) -> f64 {
        self.rate(self.transactions as f64, self.execution_seconds.median)
    }

    /// Transactions a second, end to end.
    #[must_use]
    pub fn transactions_per_second_end_to_end(&self) -> f64 {
        self.rate(self.transactions as f64, self.end_to_end_seconds.median)
    }

    /// EVM instructions a second, execution only.
    #[must_use]
    pub fn instructions_per_second(&self) -> f64 {
        self.rate(self.instructions as f64, self.execution_seconds.median)
    }

    /// Gas a second, execution only.
    #[must_use]
    pub fn gas_per_second(&self) -> f64 {
        self.rate(self.gas as f64, self.execution_seconds.median)
    }

    /// EVM instructions a second of CPU time, end to end.
    #[must_use]
    pub fn instructions_per_cpu_second(&self) -> Option<f64> {
        self.cpu_seconds.map(|cpu| self.rate(self.instructions as f64, cpu.median))
    }
}

/// Two sides did not do the same: nothing is timed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{workload}: transaction {index} differs between the reference and {backend}, nothing was timed: {what}")]
pub struct Differs {
    /// The workload.
    pub workload: String,
    /// The transaction.
    pub index: usize,
    /// The side that differs from the reference.
    pub backend: &'static str,
    /// What differs.
    pub what: String,
}

/// Measures everything; `sink` gets each row when it is there. Returns what the plan leaves out.
///
/// # Errors
/// When two sides do not do the same work.
pub fn run(plan: &Plan, gpu: Option<&Gpu>, mut sink: impl FnMut(Row)) -> Result<Vec<LeftOut>, Differs> {
    let mut left_out = Vec::new();
    for base in &plan.batches {
        for &size in &plan.sizes {
            let instructions = estimate(base, size);
            if plan.most_instructions > 0 && instructions > plan.most_instructions {
                left_out.push(LeftOut { workload: base.name.clone(), transactions: size, instructions });
                continue;
            }
            measure(plan, base, size, gpu, &mut sink)?;
        }
    }
    Ok(left_out)
}

/// Instructions of a batch, if its copies take as many as the workloads' own transactions.
fn estimate(base: &Mix, size: usize) -> u64 {
    let count = base.workloads.len().max(1);
    let each = base.workloads.iter().map(|workload| {
        // The first ones will do: it is an estimate.
        let part = workload.widen(workload.transactions.len().min(64));
        let results = Reference.execute(&batch_of(std::slice::from_ref(&part)));
        let steps: u64 = results.iter().flatten().map(|outcome| outcome.steps).sum();
        (u128::from(steps) * size as u128 / (count * part.transactions.len().max(1)) as u128) as u64
    });
    each.sum()
}

fn measure(plan: &Plan, base: &Mix, size: usize, gpu: Option<&Gpu>, sink: &mut impl FnMut(Row)) -> Result<(), Differs> {
    let workloads = base.widen(size);
    let instructions = compare(&base.name, &workloads, gpu)?;
    let mut sides = Sides::new(&workloads, gpu);
    let mut passes: Vec<Vec<side::Pass>> = vec![Vec::new(); sides.names().len()];
    for round in 0..=plan.rounds.max(1) {
        for (side, passes) in passes.iter_mut().enumerate() {
            let pass = sides.pass(side);
            // The first round warms caches, buffers and threads.
            if round > 0 {
                passes.push(pass);
            }
        }
        let first = passes.first().and_then(|passes| passes.last()).map(|pass| pass.totals);
        for (name, passes) in sides.names().iter().zip(&passes) {
            let totals = passes.last().map(|pass| pass.totals);
            if totals != first {
                let what = format!("sums of a pass: expected {first:?}, got {totals:?}");
                return Err(Differs { workload: base.name.clone(), index: 0, backend: name, what });
            }
        }
    }
    for (name, passes) in sides.names().iter().zip(passes) {
        let seconds = |part: &dyn Fn(&side::Pass) -> Duration| {
            Spread::of(passes.iter().map(|pass| part(pass).as_secs_f64()).collect())
        };
        let cpu: Option<Vec<f64>> = passes.iter().map(|pass| Some(pass.cpu?.as_secs_f64())).collect();
        let mut parts = Parts::average(passes.iter().filter_map(|pass| pass.parts.as_ref()));
        if plan.kernels
            && let Some(parts) = &mut parts
        {
            parts.kernels = sides.kernels();
        }
        sink(Row {
            workload: base.name.clone(),
            workloads: workloads.iter().map(|workload| workload.name.clone()).collect(),
            transactions: size,
            backend: name,
            instructions,
            gas: passes.last().map_or(0, |pass| pass.totals.gas),
            end_to_end_seconds: seconds(&|pass| pass.end_to_end),
            execution_seconds: seconds(&|pass| pass.execution),
            cpu_seconds: cpu.map(Spread::of),
            parts,
        });
    }
    Ok(())
}

/// Compares outcomes in full; returns the instructions of the whole batch.
fn compare(name: &str, workloads: &[Workload], gpu: Option<&Gpu>) -> Result<u64, Differs> {
    let Batch { environments, transactions } = batch_of(workloads);
    let mut instructions = 0;
    for (part, transactions) in transactions.chunks(COMPARED).enumerate() {
        let batch = Batch { environments: environments.clone(), transactions: transactions.to_vec() };
        let expected = Reference.execute(&batch);
        instructions += expected.iter().flatten().map(|outcome| outcome.steps).sum::<u64>();
        if part > 0 {
            continue;
        }
        let lockstep = Lockstep::new();
        let others = [Some(&lockstep as &dyn Backend), gpu.map(|gpu| gpu as &dyn Backend)];
        for backend in others.into_iter().flatten() {
            for (index, (expected, got)) in expected.iter().zip(backend.execute(&batch)).enumerate() {
                if *expected != got {
                    let what = format!("expected {expected:?}, got {got:?}");
                    return Err(Differs { workload: name.to_owned(), index, backend: backend.name(), what });
                }
            }
        }
    }
    Ok(instructions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_its_median_in_the_middle() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0]);
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 2.0, 3.0));
        assert_eq!(Spread::of(vec![1.0, 2.0]).median, 1.5);
        assert_eq!(Spread::of(Vec::new()).median, 0.0);
    }

    #[test]
    fn the_sides_do_the_same_work() {
        let plan =
            Plan { batches: vec![generated::mixed_loop(10).into()], sizes: vec![3, 40], rounds: 1, ..Plan::default() };
        let mut rows = Vec::new();
        let left_out = run(&plan, None, |row| rows.push(row)).expect("equal work");
        assert!(left_out.is_empty(), "{left_out:?}");
        let sides = if cfg!(feature = "revm") { 3 } else { 2 };
        assert_eq!(rows.len(), 2 * sides);
        for row in &rows {
            // Some thirty instructions a round.
            assert!(row.instructions > row.transactions as u64 * 200, "{row:?}");
            assert!(row.gas > row.transactions as u64 * 21_000, "{row:?}");
        }
    }

    /// A mix comes to the sum of its workloads, in as many environments, and the sides agree on it.
    #[test]
    fn a_mix_is_all_of_its_workloads() {
        let loops = [generated::mixed_loop(10), generated::alu_loop(25), generated::alu_loop(3)];
        let alone = |size: usize, place: usize| {
            let batch = batch_of(&[loops[place].widen(size)]);
            let outcomes = Reference.execute(&batch).into_iter().map(|outcome| outcome.expect("an outcome"));
            outcomes.map(|outcome| outcome.steps).sum::<u64>()
        };
        let mix = Mix { name: "mixed".to_owned(), workloads: loops.to_vec() };
        let batch = batch_of(&mix.widen(101));
        let counts: Vec<usize> = (0..3)
            .map(|place| batch.transactions.iter().filter(|(environment, _)| *environment == place).count())
            .collect();
        assert_eq!((batch.environments.len(), counts), (3, vec![34, 34, 33]));
        let turns: Vec<u32> = batch.transactions.iter().take(4).map(|(environment, _)| *environment).collect();
        assert_eq!(turns, [0, 1, 2, 0]);
        let expected = alone(34, 0) + alone(34, 1) + alone(33, 2);
        let plan = Plan {
            batches: vec![mix],
            sizes: vec![101, 100_000],
            rounds: 1,
            most_instructions: 2 * expected,
            ..Plan::default()
        };
        let mut rows = Vec::new();
        let left_out = run(&plan, None, |row| rows.push(row)).expect("equal work");
        assert!(left_out.len() == 1 && left_out[0].transactions == 100_000, "{left_out:?}");
        for row in &rows {
            assert_eq!((row.instructions, row.transactions), (expected, 101), "{row:?}");
            assert_eq!(row.workloads, ["mixed_loop", "alu_loop", "alu_loop"]);
            assert_eq!(row.gas, rows[0].gas);
        }
    }
}
