//! Sources that fail, panic and lie; rounds; bounded caches.

use super::support::*;
use isolane::executor::{BackendKind, Call, Executor, ExecutorError, Want};
use isolane::spec::{H160, Status, U256};
use std::error::Error;
use std::sync::Arc;

fn executor() -> Executor {
    Executor::builder().backend(BackendKind::Lockstep).threads(2).build().expect("an executor")
}

/// Calls of the token, whose source is well, and of the proxy, whose is not; by turns.
fn mixed(count: u64) -> Vec<Call> {
    (0..count).map(|index| Call::new(if index % 2 == 0 { TOKEN } else { PROXY }, balance_of(holder(index)))).collect()
}

fn check(source: Counting, expected: impl Fn(&ExecutorError) -> bool) {
    let executor = executor();
    let snapshot = executor.snapshot(&Arc::new(source), block(), rules());
    for (index, result) in executor.run(&snapshot, &mixed(64), Want::OUTPUT).into_iter().enumerate() {
        if index % 2 == 0 {
            let outcome = result.expect("the token's slots are there");
            assert_eq!(U256::from_big_endian(&outcome.output), U256::from(10 * index));
        } else {
            let error = result.expect_err("the proxy's slots are not");
            assert!(expected(&error), "{error}");
        }
    }
}

#[test]
fn a_source_that_fails_for_some_keys_fails_for_their_calls_alone() {
    let source = Counting::new(world(64));
    *source.fails.lock().expect("a lock") = Some(PROXY);
    check(source, |error| {
        let cause = error.source().expect("the source's own error").to_string();
        cause.contains("witness missing: account 0x7171") && error.to_string().contains("slot 0x0 of account 0x7171")
    });
}

#[test]
fn a_source_that_panics_is_an_error_of_the_calls_concerned() {
    let source = Counting { panics: Some(PROXY), ..Counting::new(world(64)) };
    check(
        source,
        |error| matches!(error, ExecutorError::SourcePanicked { panic, .. } if panic == "a source with a defect"),
    );
}

#[test]
fn a_source_that_recovers_is_asked_again() {
    let source = Arc::new(Counting::new(world(64)));
    *source.fails.lock().expect("a lock") = Some(PROXY);
    let executor = executor();
    let snapshot = executor.snapshot(&source, block(), rules());
    let failed = executor.run(&snapshot, &mixed(64), Want::OUTPUT).iter().filter(|result| result.is_err()).count();
    assert_eq!(failed, 32);
    *source.fails.lock().expect("a lock") = None;
    assert!(executor.run(&snapshot, &mixed(64), Want::OUTPUT).iter().all(Result::is_ok));
}

#[test]
fn lies_that_can_be_seen_are_errors() {
    for source in
        [Counting { short: true, ..Counting::new(world(8)) }, Counting { lies: true, ..Counting::new(world(8)) }]
    {
        let executor = executor();
        let snapshot = executor.snapshot(&Arc::new(source), block(), rules());
        for result in executor.run(&snapshot, &balance_calls(TOKEN, 8), Want::OUTPUT) {
            let error = result.expect_err("a lie");
            assert!(matches!(error, ExecutorError::SourceLied { .. }), "{error}");
        }
    }
}

#[test]
fn a_source_out_of_reach_is_not_asked_key_by_key() {
    let source = Arc::new(Counting { down: true, ..Counting::new(world(8)) });
    let executor = executor();
    let snapshot = executor.snapshot(&source, block(), rules());
    let results = executor.run(&snapshot, &balance_calls(TOKEN, 1_000), Want::OUTPUT);
    assert_eq!(results.len(), 1_000);
    for result in results {
        assert!(matches!(result, Err(ExecutorError::Source { .. })), "{result:?}");
    }
    assert_eq!(source.total(), 1);
}

/// Reads slot 0, then the slot that is there, and so on: `length` slots of which each names the next.
fn chain(length: u64) -> (isolane::spec::MemoryState, H160) {
    use isolane::spec::opcode::op;
    let address = H160([0x99; 20]);
    // PUSH0; loop: JUMPDEST; SLOAD; DUP1; PUSH1 loop; JUMPI; STOP
    let code = vec![op::PUSH0, op::JUMPDEST, op::SLOAD, op::DUP1, op::PUSH1, 1, op::JUMPI, op::STOP];
    let mut state = world(2);
    put(&mut state, address, code, (0..length).map(|slot| (U256::from(slot), U256::from(slot + 1))));
    (state, address)
}

#[test]
fn slots_that_follow_from_slots_take_a_round_each_once() {
    let (state, address) = chain(40);
    let source = Arc::new(Counting::new(state));
    let executor = executor();
    let calls = vec![Call::new(address, vec![]); 100];
    let snapshot = executor.snapshot(&source, block(), rules());
    assert!(executor.run(&snapshot, &calls, Want::OUTPUT).iter().all(Result::is_ok));
    let [accounts, slots, codes, ..] = source.requests();
    assert_eq!((accounts, codes), (1, 1));
    assert!((40..=42).contains(&slots), "{slots} rounds");
}

#[test]
fn what_calls_needed_is_read_ahead_at_the_next_block() {
    let (state, address) = chain(40);
    let executor = executor();
    let mut asked = Vec::new();
    for _ in 0..2 {
        // Another source is another block.
        let source = Arc::new(Counting::new(state.clone()));
        let snapshot = executor.snapshot(&source, block(), rules());
        let outcome =
            executor.run(&snapshot, &[Call::new(address, vec![])], Want::OUTPUT).remove(0).expect("an outcome");
        assert_eq!(outcome.status, Status::Success);
        asked.push(source.total());
    }
    assert!(asked[0] > 40 && asked[1] <= 4, "{asked:?}");
}

#[test]
fn independent_keys_of_one_call_come_together() {
    use isolane::spec::opcode::op;
    let address = H160([0x98; 20]);
    // Reads slots 0 to 63, and returns their sum.
    let mut code = vec![op::PUSH1, 0];
    (0..64).for_each(|slot| code.extend([op::PUSH1, slot, op::SLOAD, op::ADD]));
    code.extend([op::PUSH1, 0, op::MSTORE, op::PUSH1, 32, op::PUSH1, 0, op::RETURN]);
    let mut state = world(2);
    put(&mut state, address, code, (0..64u64).map(|slot| (U256::from(slot), U256::from(slot))));
    let source = Arc::new(Counting::new(state));
    let executor = executor();
    let snapshot = executor.snapshot(&source, block(), rules());
    let outcome = executor.run(&snapshot, &[Call::new(address, vec![])], Want::OUTPUT).remove(0).expect("an outcome");
    assert_eq!(U256::from_big_endian(&outcome.output), U256::from(2_016));
    assert_eq!(source.requests(), [1, 1, 1, 0, 0], "all slots in one request");
}

#[test]
fn the_cache_is_bounded() {
    const LIMIT: usize = 100_000;
    let executor = Executor::builder().memory_limit(LIMIT).threads(2).build().expect("an executor");
    let source = Arc::new(Counting::new(world(5_000)));
    let snapshot = executor.snapshot(&source, block(), rules());
    let calls = balance_calls(TOKEN, 5_000);
    for _ in 0..2 {
        for (index, result) in executor.run(&snapshot, &calls, Want::OUTPUT).into_iter().enumerate() {
            assert_eq!(U256::from_big_endian(&result.expect("an outcome").output), U256::from(10 * index));
        }
        // One wave may be above it, by what its calls lack at once.
        assert!(executor.cached_bytes() <= 2 * LIMIT, "{} bytes", executor.cached_bytes());
    }
    drop(snapshot);
    // Another block: the first one's cache has to make room.
    let other = Arc::new(Counting::new(world(500)));
    let snapshot = executor.snapshot(&other, block(), rules());
    assert!(executor.run(&snapshot, &balance_calls(TOKEN, 500), Want::OUTPUT).iter().all(Result::is_ok));
    assert!(executor.cached_bytes() <= 2 * LIMIT, "{} bytes", executor.cached_bytes());
}

#[test]
fn one_request_serves_all_who_lack_a_key_at_a_time() {
    let source = Arc::new(Counting::new(world(200)));
    let executor = executor();
    let calls = balance_calls(TOKEN, 200);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let snapshot = executor.snapshot(&source, block(), rules());
                assert!(executor.run(&snapshot, &calls, Want::OUTPUT).iter().all(Result::is_ok));
            });
        }
    });
    // 200 slots, the token and its code, the zero address and the coinbase: each once, whoever was first.
    let asked = source.keys.load(std::sync::atomic::Ordering::Relaxed);
    assert!(asked <= 204, "{asked} keys");
}

#[test]
fn a_creation_where_storage_is_collides() {
    let creator = holder(1);
    let state = Arc::new(world(4));
    let sources = [false, true].map(|has| {
        struct WithStorage(Counting, bool);
        impl isolane::executor::StateSource for WithStorage {
            type Error = isolane::spec::StateError;
            fn accounts(&self, a: &[H160]) -> Result<Vec<Option<isolane::spec::AccountInfo>>, Self::Error> {
                // Accounts that have ether: the place of the new contract among them.
                let some = isolane::spec::AccountInfo { balance: U256::one(), ..Default::default() };
                Ok(self.0.accounts(a)?.into_iter().map(|account| account.or(Some(some))).collect())
            }
            fn slots(&self, keys: &[(H160, isolane::spec::H256)]) -> Result<Vec<U256>, Self::Error> {
                self.0.slots(keys)
            }
            fn codes(&self, hashes: &[isolane::spec::H256]) -> Result<Vec<isolane::spec::Bytes>, Self::Error> {
                self.0.codes(hashes)
            }
            fn block_hashes(&self, numbers: &[u64]) -> Result<Vec<isolane::spec::H256>, Self::Error> {
                self.0.block_hashes(numbers)
            }
            fn has_storage(&self, addresses: &[H160]) -> Result<Vec<bool>, Self::Error> {
                Ok(vec![self.1; addresses.len()])
            }
        }
        Arc::new(WithStorage(Counting::over(state.clone()), has))
    });
    let executor = executor();
    let statuses = sources.map(|source| {
        let snapshot = executor.snapshot(&source, block(), rules());
        let call = Call { from: creator, to: None, gas: Some(100_000), ..Call::default() };
        executor.run(&snapshot, &[call], Want::OUTPUT).remove(0).expect("an outcome").status
    });
    assert_eq!(statuses, [Status::Success, Status::Halt(isolane::spec::Halt::CreateCollision)]);
}
