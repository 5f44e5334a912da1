//! Calls that see what earlier ones wrote, call semantics, and what is wanted of outcomes.

use super::support::*;
use isolane::executor::{BackendKind, Call, CallOutcome, Executor, MemorySource, RanOn, RevertReason, Want};
use isolane::spec::opcode::op;
use isolane::spec::{Fork, H160, Halt, InvalidTransaction, Rules, Status, U256, Validation};
use std::sync::Arc;

fn setup(backend: BackendKind) -> (Executor, isolane::Snapshot) {
    let executor = Executor::builder().backend(backend).threads(2).build().expect("an executor");
    let snapshot = executor.snapshot(&Arc::new(MemorySource::new(world(50))), block(), rules());
    (executor, snapshot)
}

fn one(executor: &Executor, snapshot: &isolane::Snapshot, call: Call, want: Want) -> CallOutcome {
    executor.run(snapshot, &[call], want).remove(0).expect("an outcome")
}

#[test]
fn a_bundle_sees_its_own_writes_and_nobody_elses() {
    let executor = Executor::builder().threads(2).build().expect("an executor");
    let source = Arc::new(Counting::new(world(50)));
    let snapshot = executor.snapshot(&source, block(), rules());
    let calls = vec![Call::new(COUNTER, vec![]); 5];
    let numbers = |outcomes: &[CallOutcome]| -> Vec<u64> {
        outcomes.iter().map(|outcome| U256::from_big_endian(&outcome.output).low_u64()).collect()
    };
    let bundle = executor.run_bundle(&snapshot, &calls, Want::OUTPUT | Want::DIFF).expect("outcomes");
    assert_eq!(numbers(&bundle), [1, 2, 3, 4, 5]);
    assert!(bundle.iter().all(|outcome| outcome.diff.iter().any(|change| change.address == COUNTER)));
    let bundles = executor.run_bundles(&snapshot, &[&calls[..2], &calls[..3]], Want::OUTPUT);
    let both: Vec<Vec<u64>> = bundles.into_iter().map(|bundle| numbers(&bundle.expect("outcomes"))).collect();
    assert_eq!(both, [vec![1, 2], vec![1, 2, 3]]);
    let alone: Vec<CallOutcome> =
        executor.run(&snapshot, &calls, Want::OUTPUT).into_iter().map(|outcome| outcome.expect("an outcome")).collect();
    assert_eq!(numbers(&alone), [1; 5]);
    // The same by hand: each on a snapshot with the changes before it.
    let mut by_hand = snapshot.clone();
    for expected in 1..=3 {
        let outcome = one(&executor, &by_hand, calls[0].clone(), Want::OUTPUT | Want::DIFF);
        assert_eq!(U256::from_big_endian(&outcome.output), U256::from(expected));
        by_hand = by_hand.with_changes(&outcome.diff);
    }
}

#[test]
fn only_what_is_wanted_is_there() {
    for backend in [BackendKind::Cpu, BackendKind::Lockstep] {
        let (executor, snapshot) = setup(backend);
        let calls = vec![Call::new(COUNTER, vec![]); 20];
        let all = executor.run(&snapshot, &calls, Want::OUTPUT | Want::LOGS | Want::DIFF);
        let none = executor.run(&snapshot, &calls, Want::empty());
        for (all, none) in all.into_iter().zip(none) {
            let (all, none) = (all.expect("an outcome"), none.expect("an outcome"));
            assert_eq!((all.logs.len(), all.output.len()), (1, 32));
            // The coinbase is touched, and stays as it was.
            assert_eq!(all.diff.iter().map(|change| change.address).collect::<Vec<_>>(), [H160::zero(), COUNTER]);
            assert_eq!((none.gas_used, &none.status), (all.gas_used, &all.status));
            assert!(none.output.is_empty() && none.logs.is_empty() && none.diff.is_empty());
        }
    }
}

#[test]
fn watched_calls_tell_their_frames_and_accesses() {
    let (executor, snapshot) = setup(BackendKind::Lockstep);
    let call = Call::new(PROXY, balance_of(holder(3)));
    let plain = one(&executor, &snapshot, call.clone(), Want::OUTPUT);
    let watched = one(&executor, &snapshot, call, Want::OUTPUT | Want::CALLS | Want::ACCESS_LIST);
    assert_eq!((watched.gas_used, &watched.output), (plain.gas_used, &plain.output));
    assert_eq!(watched.ran_on, RanOn::Cpu);
    let frames: Vec<&str> = watched.calls().iter().map(|frame| frame.kind.name()).collect();
    assert_eq!(frames, ["CALL", "DELEGATECALL"]);
    let listed: Vec<H160> = watched.access_list().iter().map(|item| item.address).collect();
    assert_eq!(listed, [TOKEN, PROXY]);
}

#[test]
fn senders_need_no_keys_nonces_or_ether_for_gas() {
    for backend in [BackendKind::Cpu, BackendKind::Lockstep] {
        let (executor, snapshot) = setup(backend);
        // A contract may send (EIP-3607 off), with any nonce, more gas than the block has, and no ether.
        let call = Call { nonce: Some(77), ..Call::new(COUNTER, vec![]).sender(TOKEN).gas(40_000_000) };
        assert!(one(&executor, &snapshot, call.clone(), Want::OUTPUT).is_success());
        let full = Call { validation: Validation::Full, ..call };
        let status = one(&executor, &snapshot, full, Want::OUTPUT).status;
        assert!(matches!(status, Status::Rejected(InvalidTransaction::BlockGasLimitExceeded { .. })), "{status}");
        // The cap on one transaction's gas does not matter either (EIP-7825).
        let osaka = executor.snapshot(&Arc::new(MemorySource::new(world(2))), block(), Rules::new(Fork::Osaka, 1));
        assert!(one(&executor, &osaka, Call::new(COUNTER, vec![]).gas(29_000_000), Want::OUTPUT).is_success());
        // With a price the sender has to pay, and to reach the base fee; the value has to be there in any case.
        let priced = |price: u64| Call::new(COUNTER, vec![]).gas(100_000).gas_price(price.into());
        let poor = one(&executor, &snapshot, priced(10), Want::OUTPUT).status;
        assert!(matches!(poor, Status::Rejected(InvalidTransaction::InsufficientFunds { .. })), "{poor}");
        assert!(one(&executor, &snapshot, priced(10).sender(holder(2)), Want::OUTPUT).is_success());
        let low = one(&executor, &snapshot, priced(6).sender(holder(2)), Want::OUTPUT).status;
        assert!(matches!(low, Status::Rejected(InvalidTransaction::FeeCapBelowBaseFee { .. })), "{low}");
        let value = one(&executor, &snapshot, Call::new(holder(1), vec![]).value(U256::one()), Want::OUTPUT).status;
        assert!(matches!(value, Status::Rejected(InvalidTransaction::InsufficientFunds { .. })), "{value}");
        // Full validation takes the sender's own nonce unless it is told another.
        let full = Call { validation: Validation::Full, ..priced(10).sender(holder(2)) };
        assert!(one(&executor, &snapshot, full.clone(), Want::OUTPUT).is_success());
        let wrong = one(&executor, &snapshot, Call { nonce: Some(5), ..full }, Want::OUTPUT).status;
        assert!(matches!(wrong, Status::Rejected(InvalidTransaction::NonceTooHigh { .. })), "{wrong}");
    }
}

#[test]
fn free_calls_see_no_base_fee() {
    let (executor, snapshot) = setup(BackendKind::Lockstep);
    let code = vec![op::BASEFEE, op::PUSH0, op::MSTORE, op::PUSH1, 32, op::PUSH0, op::RETURN];
    let at = H160([0x55; 20]);
    let account = isolane::executor::AccountOverride { code: Some(code.into()), ..Default::default() };
    let snapshot =
        snapshot.with_overrides(&isolane::StateOverrides::new().with(at, account)).expect("no contradiction");
    let seen = |call: Call| U256::from_big_endian(&one(&executor, &snapshot, call, Want::OUTPUT).output);
    assert_eq!(seen(Call::new(at, vec![])), U256::zero());
    let paid = Call::new(at, vec![]).sender(holder(2)).gas(100_000).gas_price(9.into());
    assert_eq!(seen(paid.clone()), U256::from(7));
    let both = executor.run_bundle(&snapshot, &[Call::new(at, vec![]), paid], Want::OUTPUT).expect("outcomes");
    let both: Vec<U256> = both.iter().map(|outcome| U256::from_big_endian(&outcome.output)).collect();
    assert_eq!(both, [U256::zero(), U256::from(7)]);
}

#[test]
fn reverts_are_decoded() {
    let (executor, snapshot) = setup(BackendKind::Lockstep);
    let reason = |data: Vec<u8>| {
        let outcome = one(&executor, &snapshot, Call::new(REVERTER, data), Want::OUTPUT);
        assert_eq!(outcome.status, Status::Revert);
        outcome.revert_reason().expect("a reason")
    };
    let word = |number: u64| U256::from(number).to_big_endian().to_vec();
    let text = [&[0x08, 0xc3, 0x79, 0xa0][..], &word(32), &word(5), b"sorry", &[0; 27]].concat();
    assert_eq!(reason(text), RevertReason::Error("sorry".to_owned()));
    let panic = [&[0x4e, 0x48, 0x7b, 0x71][..], &word(0x11)].concat();
    assert_eq!(reason(panic), RevertReason::Panic(0x11.into()));
    assert_eq!(reason(Vec::new()), RevertReason::Empty);
    assert_eq!(reason(vec![1, 2, 3, 4]), RevertReason::Custom(vec![1, 2, 3, 4].into()));
    // A length that leads out of the data.
    let broken = [&[0x08, 0xc3, 0x79, 0xa0][..], &word(32), &word(u64::MAX)].concat();
    assert_eq!(reason(broken.clone()), RevertReason::Custom(broken.into()));
    let halted = one(&executor, &snapshot, Call::new(COUNTER, vec![]).gas(21_200), Want::OUTPUT);
    assert_eq!((halted.halt(), halted.revert_reason()), (Some(Halt::OutOfGas), None));
}
