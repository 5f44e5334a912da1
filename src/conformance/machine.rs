//! One interpreter per thread, kept for its buffers.

use isolane_cpu::Machine;
use isolane_spec::Environment;
use std::cell::RefCell;

thread_local! {
    /// Empty while in use, and after a panic until the next case.
    static MACHINE: RefCell<Option<Machine>> = const { RefCell::new(None) };
}

/// Runs `work` with this thread's machine at the environment's base state.
pub(super) fn with_machine<T>(environment: Environment, work: impl FnOnce(&mut Machine) -> T) -> T {
    let kept = MACHINE.with_borrow_mut(Option::take);
    let mut machine = match kept {
        Some(mut machine) => {
            machine.reset(environment);
            machine
        }
        None => Machine::new(environment),
    };
    let result = work(&mut machine);
    MACHINE.set(Some(machine));
    result
}
