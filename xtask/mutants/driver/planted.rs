//! Which of the planted bugs is active. `cargo xtask mutants` fills in the marked lines.

use crate::program::{Row, Rows, plain_rows};
use isolane_spec::{BlockContext, Environment, Fork, MemoryState, Rules};
use isolane_spec::gas::{GasSchedule, SCHEDULES};
use isolane_spec::opcode::op;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Backend and name of each bug, from number 1 on.
pub const NAMES: &[(&str, &str)] = &[
// NAMES
];

static ACTIVE: AtomicUsize = AtomicUsize::new(0);

/// Makes one bug active, or with 0 none.
pub fn activate(number: usize) {
    ACTIVE.store(number, Ordering::SeqCst);
}

#[inline(always)]
pub(crate) fn on(number: usize) -> bool {
    ACTIVE.load(Ordering::Relaxed) == number
}

/// The gas schedule of a fork with the active bug.
pub(crate) fn schedule(fork: Fork) -> &'static GasSchedule {
    static CHANGED: Mutex<Option<HashMap<(usize, u8), &'static GasSchedule>>> = Mutex::new(None);
    let active = ACTIVE.load(Ordering::Relaxed);
    let mut schedule = SCHEDULES[fork as usize];
    if !change_schedule(active, fork, &mut schedule) {
        return &SCHEDULES[fork as usize];
    }
    // Kept for good: there are few, and the reference wants them for good.
    let mut changed = CHANGED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    changed.get_or_insert_default().entry((active, fork as u8)).or_insert_with(|| Box::leak(Box::new(schedule)))
}

fn change_schedule(bug: usize, fork: Fork, s: &mut GasSchedule) -> bool {
    match bug {
// SCHEDULES
        _ => return false,
    }
    true
}

thread_local! {
    static SEEN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Whether this thread runs with the active bug for the first time.
pub(crate) fn is_new_here() -> bool {
    let active = ACTIVE.load(Ordering::Relaxed);
    SEEN.replace(active) != active
}

thread_local! {
    static SEEN_BY_GROUPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Whether this thread executes groups with the active bug for the first time.
pub(crate) fn is_new_to_groups() -> bool {
    let active = ACTIVE.load(Ordering::Relaxed);
    SEEN_BY_GROUPS.replace(active) != active
}

/// The opcode table of an environment with the active bug.
pub(crate) fn rows(environment: &Environment) -> Rows {
    let mut rows = plain_rows(environment);
    let fork = environment.rules.fork;
    match ACTIVE.load(Ordering::Relaxed) {
// ROWS
        _ => {}
    }
    rows
}

/// The row of an opcode in another fork.
fn of(byte: u8, fork: Fork) -> Row {
    let state = std::sync::Arc::new(MemoryState::default());
    plain_rows(&Environment::new("", Rules::new(fork, 1), BlockContext::default(), state))[usize::from(byte)]
}
