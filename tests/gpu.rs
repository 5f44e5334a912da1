//! Outcome for outcome: the GPU backend against the reference, over the bundled state tests and over the folder that
//! ISOLANE_FIXTURES_GPU names. A machine without a device runs none of them; where ISOLANE_EXPECT_DEVICE is set, that is a
//! failure.

use isolane::bench::batch_of;
use isolane::cpu::Reference;
use isolane::gpu::Host;
use isolane::load::archive;
use isolane::load::fixtures::state_test::StateTest;
use isolane::load::fixtures::{self, Kind};
use isolane::load::json::Json;
use isolane::load::workload::Workload;
use isolane::source::Cache;
use isolane::spec::{Backend, Batch, Environment, ExecutionError, Fork, Outcome, Transaction};
use isolane_gpu::{Adapter, Gpu, GpuOptions, KernelTimes, OpenError, Refusal, adapters};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

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
        GpuOptions { lanes: 7, check_every: 1, ..base },
        GpuOptions { workgroup: 32, steps: 17, rounds: 1, ..base },
        GpuOptions { lanes: 200, workgroup: 128, steps: 100_000, ..base },
    ];
    for options in choices {
        let Some(gpu) = open(options) else { return };
        assert_eq!(compare(&gpu, &names, &batch), 0, "{options:?}");
        let (statistics, every) = (gpu.statistics(), u64::from(options.check_every));
        assert!(statistics.checked * every * 2 >= statistics.device, "{statistics:?}");
        assert!(!gpu.is_distrusted());
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

/// Independent transactions of several environments take turns in a batch: the state of each is on the device once, not once
/// for each turn, which it has no room for. Timing the kernels one by one changes nothing.
#[test]
fn environments_that_take_turns_are_held_once() {
    let workloads = ["erc20_transfer", "weth_deposit"].map(|name| {
        let file = format!("{}/testdata/workloads/{name}.txt.zst", env!("CARGO_MANIFEST_DIR"));
        Workload::read(Path::new(&file)).expect("a workload").widen(800)
    });
    let batch = batch_of(&workloads);
    let Some(gpu) = open(GpuOptions::default()) else { return };
    let expected = Reference.execute(&batch);
    assert_eq!(gpu.execute(&batch), expected);
    let before = gpu.statistics();
    assert_eq!((before.device, before.fallback), (batch.transactions.len() as u64, 0), "{before:?}");
    assert!(before.times.kernels().all(|(_, kernel)| kernel == KernelTimes::default()));
    gpu.time_kernels(true);
    assert_eq!(gpu.execute(&batch), expected);
    gpu.time_kernels(false);
    assert_eq!(gpu.execute(&batch), expected);
    let after = gpu.statistics();
    let (_, step) = after.times.kernels().find(|(name, _)| *name == "step").expect("the kernel");
    assert!(step.time > Duration::ZERO && step.time < after.times.dispatch, "{after:?}");
    // Each lane is there at least once, and each dispatch finds lanes.
    assert!(step.lanes >= batch.transactions.len() as u64 && step.dispatches > 0 && step.dispatches <= step.lanes);
}

/// A fallback that never agrees with any lane.
struct Contrary;

impl Backend for Contrary {
    fn name(&self) -> &'static str {
        "contrary"
    }
    fn execute(&self, batch: &Batch) -> Vec<Result<Outcome, ExecutionError>> {
        let mut results = Reference.execute(batch);
        results.iter_mut().flatten().for_each(|outcome| outcome.steps += 1);
        results
    }
}

/// `isolane devices` says what keeps an adapter from being opened, and no more once the file that it names is gone.
fn devices_show(cache: &Path, adapter: &Adapter, refusal: &Refusal) {
    let devices = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isolane"));
        let output = command.arg("devices").args(arguments).env("XDG_CACHE_HOME", cache).output().expect("it runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let line = |text: &str| {
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.into_iter().find(|line| line["index"] == adapter.info().index).expect("the adapter's line")
    };
    let (code, text) = devices(&[]);
    let expected = format!("{}: REFUSED: {refusal}", adapter.info().index);
    assert!(code == Some(0) && text.contains(&expected), "{text}");
    let (code, text) = devices(&["--json", "--self-test"]);
    let (shown, file) = (line(&text), refusal.file.display().to_string());
    assert_eq!(code, Some(4), "{text}");
    assert_eq!(shown["refused"], json!({"reason": refusal.reason, "file": file}));
    assert_eq!(shown["selfTest"]["result"], "passed");
    std::fs::remove_file(&refusal.file).expect("it is there");
    let (code, text) = devices(&["--json"]);
    assert_eq!((code, &line(&text)["refused"]), (Some(0), &Value::Null));
}

/// A device that computes wrongly is found by the share of its lanes that runs on the host too. Nothing that it came to is used,
/// the transaction is kept as a state test, and nothing runs on it again, not even in another process.
#[test]
fn a_device_that_computes_wrongly_is_given_up() {
    let (_, batch) = mixed();
    let expected = Contrary.execute(&batch);
    // As XDG_CACHE_HOME would name it.
    let folder = tempfile::tempdir().expect("a folder");
    let kernels = folder.path().join("isolane/kernels");
    std::fs::create_dir_all(&kernels).expect("a folder");
    // Kernels that were compiled before.
    if let Some(compiled) = Cache::default_folder().and_then(|folder| folder.join("kernels").read_dir().ok()) {
        for file in compiled.flatten() {
            std::fs::copy(file.path(), kernels.join(file.file_name())).expect("it can be copied");
        }
    }
    for adapter in adapters() {
        let mismatches = folder.path().join("mismatches");
        let open = || {
            let host = Host { folder: Some(mismatches.clone()) };
            let fallback = Arc::new(Contrary);
            Gpu::open(&adapter, Arc::new(host), fallback, GpuOptions::default(), Some(kernels.clone()))
        };
        let gpu = match open() {
            Ok(gpu) => gpu,
            Err(error) => {
                println!("{}: {error}", adapter.info().name);
                continue;
            }
        };
        for round in 1..=2u64 {
            assert_eq!(gpu.execute(&batch), expected, "only what the fallback came to");
            let statistics = gpu.statistics();
            assert!(gpu.is_distrusted());
            assert_eq!((statistics.device, statistics.fallback), (0, round * expected.len() as u64), "{statistics:?}");
            assert_eq!(statistics.checked, 1, "{statistics:?}");
        }
        let files: Vec<_> = mismatches.read_dir().expect("a folder").flatten().collect();
        assert_eq!(files.len(), 1);
        // The state test holds all that it takes: it comes to what the transaction came to in the batch.
        let mut kept = Batch::default();
        cases(&mismatches, |_, environment, transaction| {
            kept.environments.push(environment);
            kept.transactions.push((0, transaction));
        });
        let again = Contrary.execute(&kept);
        assert!(again.len() == 1 && expected.contains(&again[0]), "{again:?}");
        match open() {
            Err(OpenError::Quarantined(refusal)) => {
                let Refusal { reason, file } = &refusal;
                assert!(reason.contains("on a lane") && file.starts_with(&kernels), "{reason}");
                devices_show(folder.path(), &adapter, &refusal);
            }
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("a device that computed wrongly is opened again"),
        }
        std::fs::remove_dir_all(&mismatches).expect("it is there");
    }
}
