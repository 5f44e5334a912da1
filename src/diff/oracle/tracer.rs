//! revm step by step, through its inspector.

use super::{Oracle, convert};
use crate::diff::trace::{Recorder, Step, Trace};
use isolane_cpu::Available;
use isolane_spec::{Environment, ExecutionError, Transaction};
use revm::context::ContextTr;
use revm::context_interface::JournalTr;
use revm::interpreter::Interpreter;
use revm::interpreter::interpreter_types::{Jumps, MemoryTr};
use revm::{InspectEvm, Inspector, MainBuilder};

/// The inspector.
#[derive(Default)]
struct Tracer(Recorder);

impl<C: ContextTr> Inspector<C> for Tracer {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        self.0.push(|| Step {
            depth: context.journal().depth() as u32,
            pc: interpreter.bytecode.pc() as u32,
            opcode: interpreter.bytecode.opcode(),
            gas: interpreter.gas.remaining(),
            memory: interpreter.memory.size() as u64,
            stack: interpreter.stack.data().iter().map(|item| convert::word_back(*item)).collect(),
        });
    }
}

/// The last of these transactions step by step, after the others.
///
/// # Errors
/// When revm cannot judge the environment.
pub fn trace(environment: &Environment, transactions: &[Transaction]) -> Result<Trace, ExecutionError> {
    let mut oracle = Oracle::build(environment, |context| context.build_mainnet_with_inspector(Tracer::default()))?;
    let mut available = Available::of(environment);
    let mut last = Err(ExecutionError::NoEnvironment(0));
    for transaction in transactions {
        oracle.evm.inspector = Tracer::default();
        last = oracle.transact_by(transaction, available, |evm, transaction| {
            evm.inspect_tx(transaction).map(|done| (done.result, done.state))
        });
        available = available.after(&last, transaction);
    }
    let Tracer(Recorder { steps, cut, .. }) = oracle.evm.inspector;
    Ok(Trace { steps, cut, outcome: last })
}
