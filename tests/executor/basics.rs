//! Calls, rounds, caches, order.

use super::support::*;
use isolane::executor::{BackendKind, Call, CallOutcome, Executor, ExecutorError, MemorySource, RanOn, Want};
use isolane::spec::{Status, U256};
use std::sync::Arc;

fn executor(backend: BackendKind) -> Executor {
    Executor::builder().backend(backend).threads(2).build().expect("an executor")
}

fn number(outcome: &CallOutcome) -> U256 {
    U256::from_big_endian(&outcome.output)
}

#[test]
fn balances_come_in_order_from_any_source_and_backend() {
    let state = world(1_000);
    for backend in [BackendKind::Cpu, BackendKind::Lockstep] {
        let executor = executor(backend);
        for to in [TOKEN, PROXY] {
            let calls = balance_calls(to, 1_000);
            let memory = executor.snapshot(&Arc::new(MemorySource::new(state.clone())), block(), rules());
            let counting = Arc::new(Counting::new(state.clone()));
            let cold = executor.snapshot(&counting, block(), rules());
            for snapshot in [&memory, &cold, &cold] {
                for (index, result) in executor.run(snapshot, &calls, Want::OUTPUT).into_iter().enumerate() {
                    let outcome = result.expect("an outcome");
                    assert_eq!(outcome.status, Status::Success);
                    assert_eq!(number(&outcome), U256::from(10 * index), "{backend:?} {to:?} {index}");
                }
            }
            assert!(counting.total() <= 8, "rounds: {:?}", counting.requests());
        }
    }
}

#[test]
fn a_full_rerun_asks_nothing_again() {
    let executor = executor(BackendKind::Lockstep);
    let counting = Arc::new(Counting::new(world(300)));
    let calls = balance_calls(PROXY, 300);
    let first = executor.run(&executor.snapshot(&counting, block(), rules()), &calls, Want::all() - Want::CALLS);
    let asked = counting.total();
    // Another snapshot of the same source shares what was read.
    let again = executor.run(&executor.snapshot(&counting, block(), rules()), &calls, Want::all() - Want::CALLS);
    assert_eq!(counting.total(), asked);
    let plain = |results: Vec<Result<CallOutcome, ExecutorError>>| -> Vec<CallOutcome> {
        results.into_iter().map(|result| result.expect("an outcome")).collect()
    };
    assert_eq!(plain(first), plain(again));
}

#[test]
fn lanes_say_where_they_ran() {
    let executor = executor(BackendKind::Lockstep);
    let snapshot = executor.snapshot(&Arc::new(MemorySource::new(world(100))), block(), rules());
    let mut calls = balance_calls(TOKEN, 100);
    calls.push(Call::new(holder(3), vec![]));
    let outcomes = executor.run(&snapshot, &calls, Want::OUTPUT);
    let ran: Vec<RanOn> = outcomes.iter().map(|outcome| outcome.as_ref().expect("an outcome").ran_on).collect();
    assert!(ran[..100].iter().all(|ran| *ran == RanOn::Lockstep), "{ran:?}");
    assert_eq!(ran[100], RanOn::Cpu);
    assert!(outcomes[100].as_ref().expect("an outcome").escape.is_some());
}
