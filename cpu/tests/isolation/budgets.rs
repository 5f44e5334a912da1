//! Each budget lets through exactly what it holds, and ends the whole transaction one step or byte later.

use crate::world::*;
use isolane_cpu::Machine;
use isolane_spec::opcode::op;
use isolane_spec::{
    Budget, BudgetKind, Environment, Fork, H160, Halt, InvalidTransaction, MemoryState, Outcome, Status, Transaction,
};

fn limited(budget: Budget, state: MemoryState) -> Outcome {
    run(Environment { budget, ..environment(Fork::Prague, state) }, &transaction())
}

fn is_cut(outcome: &Outcome, kind: BudgetKind) -> bool {
    let cut = matches!(outcome.status, Status::Halt(Halt::BudgetExceeded { kind: got, .. }) if got == kind);
    if cut {
        assert_eq!(outcome.gas_used, GAS, "all gas is spent");
        assert!(outcome.logs.is_empty());
        let changed: Vec<H160> = outcome.diff.iter().map(|change| change.address).collect();
        assert_eq!(changed, [SENDER, COINBASE], "all is undone");
    }
    cut
}

/// `most` passes and `most - 1` does not, at the top and in a frame whose caller would go on.
fn exact(code: &[u8], kind: BudgetKind, most: u64, budget: impl Fn(u64) -> Budget) {
    for state in [state(code), nested_state(code)] {
        let open = limited(Budget::default(), state.clone());
        assert_eq!(open.status, Status::Success, "{kind:?}");
        assert_eq!(limited(budget(most), state.clone()), open, "{kind:?}: what fits is as if there were no budget");
        assert!(is_cut(&limited(budget(most - 1), state), kind), "{kind:?}");
    }
}

/// Loops, calls itself through a frame between, creates, stores, logs, reverts: a bit of everything.
fn busy() -> Vec<u8> {
    let (call, _) = caller(op::CALL, TARGET, 1);
    let (create, _) = creator(op::CREATE, 0);
    // Without their returns.
    let (call, create) = (&call[..call.len() - 8], &create[..create.len() - 8]);
    let mut code = vec![op::PUSH1, 5, op::JUMPDEST, op::PUSH1, 1, op::SWAP1, op::SUB];
    code.extend([op::DUP1, op::DUP1, op::SSTORE, op::DUP1, op::PUSH1, 0, op::MSTORE]);
    code.extend([op::PUSH1, 32, op::PUSH1, 0, op::LOG0, op::GAS, op::POP]);
    code.extend(call);
    code.extend([op::POP]);
    code.extend(create);
    code.extend([op::POP, op::DUP1, op::PUSH1, 2, op::JUMPI, op::STOP]);
    code
}

#[test]
fn steps_are_cut_at_the_exact_one() {
    for state in [state(&busy()), nested_state(&busy())] {
        let open = limited(Budget::default(), state.clone());
        assert_eq!(open.status, Status::Success);
        assert!(open.steps > 50);
        for steps in 0..open.steps {
            // `run` compares the fast form with the checked one.
            let outcome = limited(Budget { steps, ..Budget::default() }, state.clone());
            let at = Status::Halt(Halt::BudgetExceeded { kind: BudgetKind::Steps, at: steps });
            assert_eq!((&outcome.status, outcome.steps), (&at, steps));
            assert!(is_cut(&outcome, BudgetKind::Steps));
        }
        let enough = limited(Budget { steps: open.steps, ..Budget::default() }, state);
        assert_eq!(enough, open);
    }
}

#[test]
fn an_endless_loop_is_cut_at_its_step() {
    let code = [op::JUMPDEST, op::PUSH1, 0, op::JUMP];
    for steps in [1, 2, 3, 4, 1000, 12_345] {
        let outcome = limited(Budget { steps, ..Budget::default() }, state(&code));
        assert_eq!(outcome.status, Status::Halt(Halt::BudgetExceeded { kind: BudgetKind::Steps, at: steps }));
    }
}

#[test]
fn memory() {
    for (code, most) in [
        (vec![op::PUSH1, 1, op::PUSH2, 1, 0, op::MSTORE], 256 + 32),
        (vec![op::PUSH1, 1, op::PUSH2, 1, 1, op::MSTORE8], 256 + 32),
        (vec![op::PUSH1, 33, op::PUSH1, 0, op::PUSH1, 31, op::MCOPY], 64),
        (vec![op::PUSH1, 33, op::PUSH1, 64, op::LOG0], 128),
        (vec![op::PUSH1, 33, op::PUSH1, 64, op::RETURN], 128),
        (vec![op::PUSH1, 33, op::PUSH1, 0, op::PUSH1, 64, op::CALLDATACOPY], 128),
        (vec![op::PUSH1, 33, op::PUSH1, 64, op::KECCAK256], 128),
        (vec![op::PUSH1, 33, op::PUSH1, 64, op::PUSH1, 0, op::CREATE], 128),
    ] {
        exact(&code, BudgetKind::Memory, most, |memory| Budget { memory, ..Budget::default() });
    }
    // Of all frames together: 64 bytes here and 96 in the frame above.
    let mut outer = vec![op::PUSH1, 1, op::PUSH1, 32, op::MSTORE];
    outer.extend(caller(op::CALL, INNER, 0).0);
    let mut together = state(&outer);
    put(&mut together, INNER, 0, 1, &[op::PUSH1, 1, op::PUSH1, 64, op::MSTORE]);
    let outcome = |memory| limited(Budget { memory, ..Budget::default() }, together.clone());
    assert_eq!(outcome(160).status, Status::Success);
    assert!(is_cut(&outcome(159), BudgetKind::Memory));
}

/// Calls itself with what is left of a counter in the call data.
fn recursion(depth: u8) -> MemoryState {
    let mut code = vec![op::PUSH1, 0, op::CALLDATALOAD, op::DUP1, op::PUSH1, 8, op::JUMPI, op::STOP, op::JUMPDEST];
    code[5] = 8;
    code.extend([op::PUSH1, 1, op::SWAP1, op::SUB, op::PUSH1, 0, op::MSTORE]);
    for byte in [0, 0, 32, 0, 0] {
        push(&mut code, &[byte]);
    }
    code.extend([op::ADDRESS, op::GAS, op::CALL, op::STOP]);
    let mut first = vec![op::PUSH1, depth - 1, op::PUSH1, 0, op::MSTORE];
    for byte in [0, 0, 32, 0, 0] {
        push(&mut first, &[byte]);
    }
    push(&mut first, &INNER.0);
    first.extend([op::GAS, op::CALL]);
    first.extend(return_top());
    let mut state = state(&first);
    put(&mut state, INNER, 0, 1, &code);
    state
}

#[test]
fn call_depth() {
    for depth in [1, 2, 7, 40] {
        let outcome = |call_depth| limited(Budget { call_depth, ..Budget::default() }, recursion(depth));
        let open = outcome(1024);
        assert_eq!((open.status.clone(), returned(&open)), (Status::Success, 1));
        assert_eq!(outcome(depth.into()), open);
        assert!(is_cut(&outcome(u32::from(depth) - 1), BudgetKind::CallDepth));
    }
    for code in [creator(op::CREATE, 0).0, creator(op::CREATE2, 0).0] {
        let outcome = |call_depth| limited(Budget { call_depth, ..Budget::default() }, state(&code));
        assert_eq!(returned(&outcome(1)), 1);
        assert!(is_cut(&outcome(0), BudgetKind::CallDepth));
    }
}

#[test]
fn slots() {
    // Three slots; one of them twice, one back to what it was, one with the value that it has.
    let mut code = Vec::new();
    for (key, value) in [(1, 1), (1, 2), (2, 1), (2, 0), (3, 7), (4, 0)] {
        code.extend([op::PUSH1, value, op::PUSH1, key, op::SSTORE]);
    }
    exact(&code, BudgetKind::Slots, 3, |slots| Budget { slots, ..Budget::default() });
    // What a reverted frame wrote was written.
    let mut outer = caller(op::CALL, INNER, 0).0;
    outer.truncate(outer.len() - 8);
    outer.extend([op::PUSH1, 1, op::PUSH1, 9, op::SSTORE]);
    let mut reverted = state(&outer);
    put(&mut reverted, INNER, 0, 1, &[op::PUSH1, 1, op::PUSH1, 1, op::SSTORE, op::PUSH1, 0, op::DUP1, op::REVERT]);
    let outcome = |slots| limited(Budget { slots, ..Budget::default() }, reverted.clone());
    assert_eq!(outcome(2).status, Status::Success);
    assert!(is_cut(&outcome(1), BudgetKind::Slots));
}

#[test]
fn log_bytes() {
    let code = [op::PUSH1, 33, op::PUSH1, 0, op::LOG0, op::PUSH1, 0, op::PUSH1, 17, op::PUSH1, 1, op::LOG1];
    exact(&code, BudgetKind::LogBytes, 50, |log_bytes| Budget { log_bytes, ..Budget::default() });
}

#[test]
fn gas_is_a_cap_on_what_a_transaction_asks_for() {
    let outcome = |gas| limited(Budget { gas, ..Budget::default() }, state(&[op::STOP]));
    assert_eq!(outcome(GAS).status, Status::Success);
    let reason = InvalidTransaction::GasLimitAboveCap { cap: GAS - 1, got: GAS };
    assert_eq!(outcome(GAS - 1), Outcome::rejected(reason));
}

#[test]
fn an_allowance_is_as_good_as_a_budget() {
    let code = busy();
    let budget = Budget { steps: 77, ..Budget::default() };
    let expected = limited(budget, state(&code));
    let mut machine = Machine::new(environment(Fork::Prague, state(&code)));
    machine.set_allowance(budget);
    assert_eq!(machine.transact(&transaction(), AVAILABLE), Ok(expected));
    // The lower one counts, and the allowance is there until it is given anew.
    machine.set_allowance(Budget::UNLIMITED);
    let next = Transaction { nonce: 1, ..transaction() };
    let outcome = machine.transact(&next, AVAILABLE).expect("an outcome");
    assert_eq!(outcome.status, Status::Success);
    let lower = Environment { budget: Budget { steps: 5, ..budget }, ..environment(Fork::Prague, state(&code)) };
    machine.reset(lower);
    machine.set_allowance(budget);
    let outcome = machine.transact(&transaction(), AVAILABLE).expect("an outcome");
    assert_eq!(outcome.steps, 5);
}
