//! Items through calls.

use super::support::*;
use isolane::executor::{BackendKind, Call, Executor, MemorySource, Want};
use isolane::spec::U256;
use std::sync::Arc;

#[test]
fn items_become_results_in_order_whatever_they_call() {
    let state = world(300);
    // Many kinds of calls by turns, so that they are sorted into groups and back.
    let items: Vec<u64> = (0..2_000).collect();
    let call = |item: &u64| match item % 4 {
        0 => Call::new(TOKEN, balance_of(holder(item % 300))),
        1 => Call::new(PROXY, balance_of(holder(item % 300))),
        2 => Call::new(COUNTER, vec![]),
        _ => Call::new(holder(1), vec![]),
    };
    let expected = |item: u64| match item % 4 {
        0 | 1 => 10 * (item % 300),
        2 => 1,
        _ => 0,
    };
    for backend in [BackendKind::Cpu, BackendKind::Lockstep] {
        let executor = Executor::builder().backend(backend).threads(2).build().expect("an executor");
        let direct = executor.snapshot(&Arc::new(MemorySource::new(state.clone())), block(), rules());
        let cold = executor.snapshot(&Arc::new(Counting::new(state.clone())), block(), rules());
        for snapshot in [&direct, &cold, &cold] {
            let results = executor.map(snapshot, &items, Want::OUTPUT, call, |item, outcome| {
                (*item, outcome.is_success(), U256::from_big_endian(&outcome.output))
            });
            for (item, result) in items.iter().zip(results) {
                assert_eq!(result.expect("a result"), (*item, true, U256::from(expected(*item))));
            }
        }
        let none: Vec<u64> = Vec::new();
        assert!(executor.map(&direct, &none, Want::OUTPUT, call, |_, _| ()).is_empty());
    }
}

#[test]
fn watched_items_have_their_frames() {
    let executor = Executor::builder().threads(2).build().expect("an executor");
    let snapshot = executor.snapshot(&Arc::new(Counting::new(world(20))), block(), rules());
    let items: Vec<u64> = (0..20).collect();
    let call = |item: &u64| Call::new(PROXY, balance_of(holder(*item)));
    let frames = executor.map(&snapshot, &items, Want::CALLS, call, |_, outcome| outcome.calls().len());
    assert!(frames.into_iter().all(|frames| frames.expect("a result") == 2));
}
