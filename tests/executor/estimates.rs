//! Gas estimates and access lists.

use super::support::*;
use isolane::executor::{AccountOverride, Call, Executor, ExecutorError, Want};
use isolane::spec::opcode::op;
use isolane::spec::{H160, U256};
use isolane::{Snapshot, StateOverrides};
use std::sync::Arc;

const AT: H160 = H160([0x55; 20]);

fn setup(code: &[u8]) -> (Executor, Snapshot) {
    let executor = Executor::builder().threads(1).build().expect("an executor");
    let source = Arc::new(Counting::new(world(50)));
    let account = AccountOverride { code: Some(code.to_vec().into()), ..Default::default() };
    let overrides = StateOverrides::new().with(AT, account);
    let snapshot = executor.snapshot(&source, block(), rules()).with_overrides(&overrides).expect("no contradiction");
    (executor, snapshot)
}

fn succeeds(executor: &Executor, snapshot: &Snapshot, call: &Call, gas: u64) -> bool {
    executor.run(snapshot, &[call.clone().gas(gas)], Want::empty()).remove(0).expect("an outcome").is_success()
}

/// The least gas that suffices, found one by one from the estimate down.
fn check(executor: &Executor, snapshot: &Snapshot, call: &Call) -> u64 {
    let estimate = executor.estimate_gas(snapshot, call).expect("an estimate");
    assert!(succeeds(executor, snapshot, call, estimate), "{estimate} does not suffice");
    let least = (0..=estimate).rev().take_while(|gas| succeeds(executor, snapshot, call, *gas)).last().expect("one");
    let over = (estimate - least) as f64 / estimate as f64;
    assert!(over <= 0.015, "{estimate} is {over} above {least}");
    estimate
}

#[test]
fn transfers_are_exact() {
    let (executor, snapshot) = setup(&[]);
    let call = Call::new(holder(1), vec![]).sender(holder(2)).value(U256::one());
    assert_eq!(executor.estimate_gas(&snapshot, &call).expect("an estimate"), 21_000);
}

#[test]
fn estimates_are_enough_and_hardly_more() {
    let (executor, snapshot) = setup(&[]);
    check(&executor, &snapshot, &Call::new(COUNTER, vec![]));
    check(&executor, &snapshot, &Call::new(TOKEN, balance_of(holder(3))));
    // Clears a slot: what is used after the refund is not enough.
    let clears = [op::PUSH0, op::PUSH0, op::SSTORE];
    let account = AccountOverride {
        code: Some(clears.to_vec().into()),
        state_diff: vec![(U256::zero(), U256::one())],
        ..Default::default()
    };
    let refunding = snapshot.with_overrides(&StateOverrides::new().with(AT, account)).expect("no contradiction");
    check(&executor, &refunding, &Call::new(AT, vec![]));
    // Needs much more than it uses: fails below a million of gas.
    let hungry = [op::PUSH1 + 2, 0x0f, 0x42, 0x40, op::GAS, op::GT, op::PUSH1, 9, op::JUMPI, op::INVALID, op::JUMPDEST];
    let hungry = [&hungry[..7], &[10], &hungry[8..]].concat();
    let account = AccountOverride { code: Some(hungry.into()), ..Default::default() };
    let snapshot = snapshot.with_overrides(&StateOverrides::new().with(AT, account)).expect("no contradiction");
    let estimate = executor.estimate_gas(&snapshot, &Call::new(AT, vec![])).expect("an estimate");
    assert!((1_021_000..1_040_000).contains(&estimate), "{estimate}");
}

#[test]
fn calls_that_fail_have_no_estimate() {
    let (executor, snapshot) = setup(&[op::INVALID]);
    let error = executor.estimate_gas(&snapshot, &Call::new(AT, vec![])).expect_err("it halts");
    assert!(matches!(&error, ExecutorError::NoEstimate { .. }), "{error}");
    let word = |number: u64| U256::from(number).to_big_endian().to_vec();
    let text = [&[0x08, 0xc3, 0x79, 0xa0][..], &word(32), &word(5), b"sorry", &[0; 27]].concat();
    let error = executor.estimate_gas(&snapshot, &Call::new(REVERTER, text)).expect_err("it reverts").to_string();
    assert!(error.contains("execution reverted: sorry"), "{error}");
    // What the sender can pay at its price bounds the search.
    let poor = Call::new(COUNTER, vec![]).sender(AT).gas_price(100.into());
    assert!(matches!(executor.estimate_gas(&snapshot, &poor), Err(ExecutorError::NoEstimate { .. })));
}

#[test]
fn an_access_list_is_complete() {
    let (executor, snapshot) = setup(&[]);
    let call = Call::new(PROXY, balance_of(holder(3)));
    let created = executor.create_access_list(&snapshot, &call, Want::OUTPUT).expect("a list");
    let addresses: Vec<H160> = created.access_list.iter().map(|item| item.address).collect();
    assert_eq!(addresses, [TOKEN, PROXY]);
    assert_eq!(created.access_list[1].storage_keys.len(), 2);
    let with_list = Call { access_list: created.access_list.clone(), ..call };
    let again = executor.create_access_list(&snapshot, &with_list, Want::OUTPUT).expect("a list");
    assert_eq!(again, created, "a fixed point");
    assert!(created.outcome.is_success());
}
