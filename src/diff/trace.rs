//! Executions step by step, and the first step in which two differ.

use isolane_cpu::{Available, Machine, Observer, observer};
use isolane_spec::opcode::BY_BYTE;
use isolane_spec::{Environment, ExecutionError, Outcome, Transaction, U256};
use std::fmt;

/// An instruction that is about to be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// 1 in the transaction's own frame.
    pub depth: u32,
    /// Offset in the running code.
    pub pc: u32,
    /// The byte there; STOP behind the end.
    pub opcode: u8,
    /// Gas that is left.
    pub gas: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// The stack, its top last.
    pub stack: Vec<U256>,
}

/// Stack items of a report, from the top.
const SHOWN: usize = 8;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = BY_BYTE[usize::from(self.opcode)].map_or("undefined", |row| row.name);
        write!(
            f,
            "depth {}, pc {:#06x}, {name} (0x{:02x}), gas {}, memory {}, stack (top first) [",
            self.depth, self.pc, self.opcode, self.gas, self.memory
        )?;
        for (index, item) in self.stack.iter().rev().take(SHOWN).enumerate() {
            write!(f, "{}{item:#x}", if index == 0 { "" } else { ", " })?;
        }
        if self.stack.len() > SHOWN {
            write!(f, ", … {} more", self.stack.len() - SHOWN)?;
        }
        f.write_str("]")
    }
}

/// The last transaction of an environment, step by step.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The steps in the order of execution.
    pub steps: Vec<Step>,
    /// There were more steps than a trace keeps.
    pub cut: bool,
    /// What the transaction came to.
    pub outcome: Result<Outcome, ExecutionError>,
}

/// Stack items that a trace keeps over all its steps.
pub const MAX_ITEMS: usize = 16 << 20;
/// Steps that a trace keeps.
pub const MAX_STEPS: usize = 4 << 20;

/// Collects the steps of a trace as far as there is room.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// The steps so far.
    pub steps: Vec<Step>,
    /// There was no more room.
    pub cut: bool,
    items: usize,
}

impl Recorder {
    /// Adds a step if there is room for it.
    pub fn push(&mut self, step: impl FnOnce() -> Step) {
        if self.cut {
            return;
        }
        let step = step();
        self.items += step.stack.len();
        self.steps.push(step);
        self.cut = self.items > MAX_ITEMS || self.steps.len() >= MAX_STEPS;
    }
}

impl Observer for Recorder {
    fn step(&mut self, step: &observer::Step<'_>) {
        self.push(|| Step {
            depth: step.depth as u32,
            pc: step.pc as u32,
            opcode: step.opcode,
            gas: step.gas,
            memory: step.memory.len() as u64,
            stack: step.stack.to_vec(),
        });
    }
}

/// The last of these transactions step by step on the reference, after the others.
#[must_use]
pub fn reference(environment: &Environment, transactions: &[Transaction]) -> Trace {
    let mut recorder = Recorder::default();
    let outcome = observe(environment, transactions, &mut recorder);
    Trace { steps: recorder.steps, cut: recorder.cut, outcome }
}

/// Executes these transactions on the reference; the last one is observed.
///
/// # Errors
/// When the state cannot answer, or there is no transaction.
pub fn observe(
    environment: &Environment,
    transactions: &[Transaction],
    observer: &mut dyn Observer,
) -> Result<Outcome, ExecutionError> {
    let Some((last, others)) = transactions.split_last() else { return Err(ExecutionError::NoEnvironment(0)) };
    let mut machine = Machine::new(environment.clone());
    let mut available = Available::of(environment);
    for transaction in others {
        let result = machine.transact(transaction, available);
        available = available.after(&result, transaction);
    }
    machine.transact_observed(last, available, observer)
}

/// Where two executions part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Steps before it that are equal.
    pub equal_steps: usize,
    /// The last step that is equal: what it did differs.
    pub last_equal: Option<Step>,
    /// What comes next in the first execution; `None`: nothing.
    pub left: Option<Step>,
    /// Likewise in the second.
    pub right: Option<Step>,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |step: &Option<Step>| step.as_ref().map_or("(the end)".to_owned(), Step::to_string);
        write!(f, "after {} equal steps", self.equal_steps)?;
        if let Some(step) = &self.last_equal {
            write!(f, ", the last one {step}")?;
        }
        write!(f, "; then {} against {}", show(&self.left), show(&self.right))
    }
}

/// The first step in which two executions differ; `None` where all are equal: then the difference is in what happens
/// outside of the instructions (validation, refunds, fees), or behind the end of a trace that was cut.
#[must_use]
pub fn divergence(left: &[Step], right: &[Step]) -> Option<Divergence> {
    let equal = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    if equal == left.len() && equal == right.len() {
        return None;
    }
    Some(Divergence {
        equal_steps: equal,
        last_equal: equal.checked_sub(1).and_then(|last| left.get(last)).cloned(),
        left: left.get(equal).cloned(),
        right: right.get(equal).cloned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_step_is_named() {
        let step = |pc, gas| Step { depth: 0, pc, opcode: 1, gas, memory: 0, stack: vec![U256::one()] };
        let left = [step(0, 9), step(1, 8), step(2, 7)];
        assert_eq!(divergence(&left, &left), None);
        let right = [step(0, 9), step(1, 8), step(2, 6)];
        let found = divergence(&left, &right).expect("a divergence");
        assert_eq!((found.equal_steps, found.last_equal.as_ref()), (2, Some(&left[1])));
        assert!(found.to_string().contains("ADD (0x01), gas 7"), "{found}");
        let short = divergence(&left, &left[..1]).expect("a divergence");
        assert_eq!((short.left.as_ref(), short.right), (Some(&left[1]), None));
    }
}
