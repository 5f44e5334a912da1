//! Generated worlds: whatever the cache knows at the start, outcomes are the reference's.

use super::support::*;
use isolane::cpu::Reference;
use isolane::diff::generate::Generator;
use isolane::executor::{BackendKind, Call, CallOutcome, Executor, ExecutorError, Want};
use isolane::gpu::NoDevice;
use isolane::spec::{Backend, Batch, Fork, Order, Outcome};
use std::sync::Arc;

const SEED: u64 = 20_261_121;
const CASES: u64 = 300;

fn compare(name: &str, got: &CallOutcome, expected: &Outcome) {
    assert_eq!(got.status, expected.status, "{name}");
    assert_eq!(
        (got.gas_used, got.gas_refunded, &got.output, got.created),
        (expected.gas_used, expected.gas_refunded, &expected.output, expected.created),
        "{name}"
    );
    assert_eq!((&got.logs, &got.diff), (&expected.logs, &expected.diff), "{name}");
}

#[test]
fn bundles_and_calls_are_the_references() {
    let executors = [BackendKind::Cpu, BackendKind::Lockstep].map(|backend| executor(backend).expect("an executor"));
    check(&executors, CASES);
}

#[test]
fn bundles_and_calls_are_the_references_on_a_device() {
    match executor(BackendKind::Gpu) {
        Ok(executor) => check(&[executor], CASES / 3),
        // `cargo xtask test` makes sure that there is one.
        Err(ExecutorError::NoDevice(NoDevice::None)) if std::env::var_os("ISOLANE_EXPECT_DEVICE").is_none() => {}
        Err(error) => panic!("{error}"),
    }
}

fn executor(backend: BackendKind) -> Result<Executor, ExecutorError> {
    Executor::builder().backend(backend).threads(2).gas_cap(u64::MAX).build()
}

fn check(executors: &[Executor], cases: u64) {
    let want = Want::OUTPUT | Want::LOGS | Want::DIFF;
    let forks = [Fork::Frontier, Fork::Byzantium, Fork::London, Fork::Cancun, Fork::Prague, Fork::Osaka];
    let generator = Generator::new(SEED, &forks);
    let (mut asked, mut executed) = (0u64, 0u64);
    for index in 0..cases {
        let case = generator.case(index);
        let environment = case.environment();
        let calls: Vec<Call> = case.transactions.iter().cloned().map(Call::from).collect();
        let transactions = case.transactions.iter().map(|transaction| (0, transaction.clone())).collect();
        let mut batch = Batch { environments: vec![environment.clone()], transactions };
        let in_order = Reference.execute(&batch);
        batch.environments[0].order = Order::Independent;
        let alone = Reference.execute(&batch);
        for executor in executors {
            let source = Arc::new(Counting::over(environment.state.clone()));
            let snapshot = executor.snapshot(&source, environment.block.clone(), environment.rules);
            // Cold, then with all that the first pass read.
            for _ in 0..2 {
                let name = format!("{} on {executor:?}", case.name);
                let bundle = executor.run_bundle(&snapshot, &calls, want).expect("outcomes");
                // A later transaction has less of the block's gas: only where that decides do both differ.
                for (got, expected) in bundle.iter().zip(&in_order) {
                    let expected = expected.as_ref().expect("an outcome");
                    if expected.status != got.status && block_is_full(expected) {
                        break;
                    }
                    compare(&name, got, expected);
                    executed += 1;
                }
                for (got, expected) in executor.run(&snapshot, &calls, want).iter().zip(&alone) {
                    compare(&name, got.as_ref().expect("an outcome"), expected.as_ref().expect("an outcome"));
                }
            }
            asked += source.total() as u64;
        }
    }
    // Both passes of a case execute one transaction at least, on the whole: blocks that are full end some early.
    assert!(executed > 2 * cases && asked > 3 * cases, "{executed} transactions, {asked} requests");
}

fn block_is_full(outcome: &Outcome) -> bool {
    use isolane::spec::InvalidTransaction::{BlobGasLimitExceeded, BlockGasLimitExceeded};
    use isolane::spec::Status;
    matches!(outcome.status, Status::Rejected(BlockGasLimitExceeded { .. } | BlobGasLimitExceeded { .. }))
}
