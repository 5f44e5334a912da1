//! Poisoned lanes: whatever one lane does, all others end exactly as they do alone.

use crate::kinds::{alone, hush, kinds};
use crate::world::*;
use isolane_cpu::{Lockstep, Reference};
use isolane_spec::opcode::op;
use isolane_spec::{Backend, Batch, Budget, Environment, Fork, H160, MemoryState, Order, Transaction};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Lanes of a batch.
const LANES: usize = 256;

/// The full number of batches in a release build, which `cargo xtask test` tests.
const BATCHES: u64 = if cfg!(debug_assertions) { 200 } else { 10_000 };

#[test]
fn poisoned_lanes_change_nothing_in_the_others() {
    poison(&Reference);
}

#[test]
fn poisoned_lanes_change_nothing_in_the_others_in_lockstep() {
    let lockstep = Lockstep::new();
    poison(&lockstep);
    let statistics = lockstep.statistics();
    assert!(statistics.whole > BATCHES * 10, "hardly anything ran in groups: {statistics}");
}

fn poison(backend: &dyn Backend) {
    hush();
    let kinds = kinds();
    let expected: Vec<_> = kinds.iter().map(|kind| alone(&kind.environment, &kind.transaction)).collect();
    let well: Vec<usize> = (0..kinds.len()).filter(|kind| !kinds[*kind].poisoned).collect();
    let mut random = Random(1);
    let mut poisoned = 0u64;
    for number in 0..BATCHES {
        // From one poisoned lane in 256 to nearly all.
        let share = 1 + random.below(255);
        let mut lanes = Vec::with_capacity(LANES);
        for _ in 0..LANES {
            let any = random.below(kinds.len() as u64) as usize;
            let kind = if random.below(256) < share { any } else { well[any % well.len()] };
            poisoned += u64::from(kinds[kind].poisoned);
            lanes.push(kind);
        }
        let mut batch = Batch::default();
        for (place, kind) in lanes.iter().enumerate() {
            batch.environments.push(kinds[*kind].environment.clone());
            batch.transactions.push((place as u32, kinds[*kind].transaction.clone()));
        }
        let results = backend.execute(&batch);
        for (place, (kind, result)) in lanes.iter().zip(&results).enumerate() {
            assert_eq!(result, &expected[*kind], "batch {number}, lane {place}, kind {kind}");
        }
    }
    assert!(poisoned > BATCHES * 20, "{poisoned} poisoned lanes");
}

#[test]
fn lanes_of_one_environment_do_not_poison_each_other() {
    // One independent environment: who calls decides what a lane does.
    let mut state = MemoryState::default();
    let kinds = kinds();
    let budget = Budget { steps: 500, memory: 4_096, log_bytes: 640, slots: 3, ..Budget::default() };
    for (number, kind) in kinds.iter().enumerate() {
        put(&mut state, H160([number as u8 + 1; 20]), u64::MAX, 0, &[]);
        // A defect of the accounts has no code to show.
        let account = catch_unwind(AssertUnwindSafe(|| kind.environment.state.account(&CONTRACT).ok().flatten()));
        let code_hash = account.ok().flatten().map(|info| info.code_hash);
        let code = code_hash.and_then(|hash| kind.environment.state.code(&hash).ok()).unwrap_or_default();
        put(&mut state, H160([number as u8 + 0x80; 20]), 1_000, 1, &code);
    }
    put(&mut state, TARGET, 5, 1, &[op::STOP]);
    let environment = Environment { budget, order: Order::Independent, ..environment(Fork::Prague, state) };
    let lane = |kind: usize| Transaction {
        sender: H160([kind as u8 + 1; 20]),
        to: Some(H160([kind as u8 + 0x80; 20])),
        gas_limit: 200_000,
        ..transaction()
    };
    let expected: Vec<_> = (0..kinds.len()).map(|kind| alone(&environment, &lane(kind))).collect();
    let mut random = Random(2);
    for _ in 0..BATCHES / 10 {
        let lanes: Vec<usize> = (0..LANES).map(|_| random.below(kinds.len() as u64) as usize).collect();
        let transactions = lanes.iter().map(|kind| (0, lane(*kind))).collect();
        let results = Reference.execute(&Batch { environments: vec![environment.clone()], transactions });
        for (kind, result) in lanes.iter().zip(&results) {
            assert_eq!(result, &expected[*kind]);
        }
    }
}
