//! Machines that threads keep for their buffers and their decoded code.

use crate::machine::Machine;
use isolane_spec::{Environment, MemoryState};
use std::cell::RefCell;
use std::sync::Arc;

/// Machines that one thread keeps. More than one is in use only where one task of a thread waits for others.
const KEPT: usize = 2;

thread_local! {
    static MACHINES: RefCell<Vec<Machine>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` with a machine that is at the environment's base state: one that this thread keeps, if it has one at hand.
/// A machine in which `work` panics is not used again.
pub fn with_machine<T>(environment: Environment, work: impl FnOnce(&mut Machine) -> T) -> T {
    let kept = MACHINES.with_borrow_mut(Vec::pop);
    let mut machine = match kept {
        Some(mut machine) => {
            machine.reset(environment);
            machine
        }
        None => Machine::new(environment),
    };
    let result = work(&mut machine);
    // A kept machine must not keep a state alive.
    machine.forget_state(Arc::new(MemoryState::default()));
    MACHINES.with_borrow_mut(|machines| {
        if machines.len() < KEPT {
            machines.push(machine);
        }
    });
    result
}
