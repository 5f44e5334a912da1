//! Outcome for outcome: the GPU backend against the reference, over the bundled state tests and over the folder that
//! ISOLANE_FIXTURES_GPU names. A machine without a device runs none of them; where ISOLANE_EXPECT_DEVICE is set, that is a
//! failure.

use isolane::cpu::Reference;
use isolane::load::archive;
use isolane::load::fixtures::state_test::StateTest;
use isolane::load::fixtures::{self, Kind};
use isolane::load::json::Json;
use isolane::spec::{Backend, Batch, Environment, Fork, Transaction};
use isolane_gpu::{Gpu, GpuOptions, adapters};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

fn open(options: GpuOptions) -> Option<Gpu> {
    let Some(adapter) = adapters().into_iter().next() else {
        assert!(std::env::var_os("ISOLANE_EXPECT_DEVICE").is_none(), "no device, though one is expected");
        return None;
    };
    Some(isolane::gpu::open(&adapter, options).expect("the device passes its self-test"))
}

/// All state tests under a folder: a name, an environment and a transaction each.
fn cases(folder: &Path, mut each: impl FnMut(String, Environment, Transaction)) {
    archive::walk(&[folder.to_owned()], |document| {
        let document = document.expect("a document");
        let json = Json::parse(&document.name, &document.bytes).expect("JSON");
        for test in fixtures::tests(&json).expect("fixtures") {
            if test.kind != Ok(Kind::State) {
                continue;
            }
            let read = StateTest::read(test.json).expect("a state test");
            let Some(sender) = read.transaction.sender else { continue };
            for (fork, cases) in &read.post {
                let fork: Fork = fork.parse().expect("a fork");
                for case in cases {
                    let (rules, block) = read.environment(fork).expect("an environment");
                    let Ok(mut transaction) = read.transaction.choose(case) else { continue };
                    transaction.sender = sender;
                    let name = format!("{} [{fork} d{} g{} v{}]", test.name, case.data, case.gas, case.value);
                    each(name.clone(), Environment::new(name, rules, block, read.pre.clone()), transaction);
                }
            }
        }
        ControlFlow::Continue(())
    });
}

/// Compares the outcomes of a batch; how many differ.
fn compare(gpu: &Gpu, names: &[String], batch: &Batch) -> usize {
    let expected = Reference.execute(batch);
    let got = gpu.execute(batch);
    let mut differences = 0;
    for ((name, expected), got) in names.iter().zip(&expected).zip(&got) {
        if expected != got {
            differences += 1;
            if differences <= 10 {
                println!("{name}:\n  expected {expected:?}\n  got      {got:?}");
            }
        }
    }
    differences
}

fn compare_folder(folder: &Path) {
    let Some(gpu) = open(GpuOptions::default()) else { return };
    let (mut names, mut batch, mut count, mut differences) = (Vec::new(), Batch::default(), 0, 0);
    let mut run = |names: &mut Vec<String>, batch: &mut Batch| {
        count += names.len();
        differences += compare(&gpu, names, batch);
        names.clear();
        *batch = Batch::default();
    };
    cases(folder, |name, environment, transaction| {
        names.push(name);
        batch.transactions.push((batch.environments.len() as u32, transaction));
        batch.environments.push(environment);
        if names.len() == 4096 {
            run(&mut names, &mut batch);
        }
    });
    run(&mut names, &mut batch);
    let statistics = gpu.statistics();
    println!("{count} transactions, {differences} differences: {statistics:#?}");
    assert_eq!(differences, 0, "of {count}");
    assert!(count > 0, "no state test under {}", folder.display());
    let lanes = statistics.device + statistics.fallback;
    assert!(statistics.fallback * 20 <= lanes, "more than 5% escaped: {:?}", statistics.reasons);
}

#[test]
fn bundled_state_tests_agree() {
    compare_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/state"));
}

#[test]
fn state_tests_of_the_named_folder_agree() {
    match std::env::var_os("ISOLANE_FIXTURES_GPU").map(PathBuf::from) {
        Some(folder) => compare_folder(&folder),
        None => println!("ISOLANE_FIXTURES_GPU is not set: only what is bundled is compared"),
    }
}

/// The bundled state tests of two forks, with the outcomes of the reference.
fn mixed() -> (Vec<String>, Batch) {
    let (mut names, mut batch) = (Vec::new(), Batch::default());
    cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/state"), |name, environment, transaction| {
        if names.len() < 600 {
            names.push(name);
            batch.transactions.push((batch.environments.len() as u32, transaction));
            batch.environments.push(environment);
        }
    });
    (names, batch)
}

/// Neither the order of lanes, nor how many there are, nor the size of workgroups, nor the steps of a dispatch shows.
#[test]
fn no_choice_changes_an_outcome() {
    let (names, batch) = mixed();
    let base = GpuOptions::default();
    let choices = [
        GpuOptions { lanes: 7, ..base },
        GpuOptions { workgroup: 32, steps: 17, rounds: 1, ..base },
        GpuOptions { lanes: 200, workgroup: 128, steps: 100_000, ..base },
    ];
    for options in choices {
        let Some(gpu) = open(options) else { return };
        assert_eq!(compare(&gpu, &names, &batch), 0, "{options:?}");
    }
    let Some(gpu) = open(base) else { return };
    let mut reversed = Batch::default();
    for (index, (environment, transaction)) in batch.transactions.iter().rev().enumerate() {
        reversed.environments.push(batch.environments[*environment as usize].clone());
        reversed.transactions.push((index as u32, transaction.clone()));
    }
    let mut got = gpu.execute(&reversed);
    got.reverse();
    assert_eq!(got, Reference.execute(&batch), "in the other order");
}
