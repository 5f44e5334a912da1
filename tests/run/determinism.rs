//! One digest, whatever executes and in whatever order.

use super::world::{Numbers, engine, example, plan, random_world, read, run};
use isolane::cpu::lockstep::SimdLevel;
use isolane::cpu::{Lockstep, Reference};
use isolane::engine::Engine;
use isolane::spec::{Backend, Batch, ExecutionError, H256, Order, Outcome};
use isolane_gpu::{GpuOptions, adapters};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Hands lanes and environments to the reference in another order each time. Only lanes whose order matters, those of a
/// sequential environment, keep it among themselves.
struct Shuffled(AtomicU64);

impl Backend for Shuffled {
    fn name(&self) -> &'static str {
        "shuffled"
    }

    fn execute(&self, batch: &Batch) -> Vec<Result<Outcome, ExecutionError>> {
        let mut numbers = Numbers(self.0.fetch_add(1, Ordering::Relaxed));
        let mut places: Vec<u32> = (0..batch.environments.len() as u32).collect();
        shuffle(&mut places, &mut numbers);
        let mut environments: Vec<_> = batch.environments.iter().map(|e| Some(e.clone())).collect();
        let mut order: Vec<usize> = (0..batch.transactions.len()).collect();
        shuffle(&mut order, &mut numbers);
        // Lanes of a sequential environment take the places of their environment in the right order.
        for (index, environment) in batch.environments.iter().enumerate() {
            if environment.order == Order::Sequential {
                let of = |lane: &usize| batch.transactions[*lane].0 as usize == index;
                let slots: Vec<usize> = (0..order.len()).filter(|at| of(&order[*at])).collect();
                let mut lanes: Vec<usize> = slots.iter().map(|at| order[*at]).collect();
                lanes.sort_unstable();
                for (at, lane) in slots.into_iter().zip(lanes) {
                    order[at] = lane;
                }
            }
        }
        let mut shuffled = Batch::default();
        for place in &places {
            shuffled.environments.push(environments[*place as usize].take().expect("once"));
        }
        for lane in &order {
            let (environment, transaction) = &batch.transactions[*lane];
            let place = places.iter().position(|place| place == environment).expect("there");
            shuffled.transactions.push((place as u32, transaction.clone()));
        }
        let mut results: Vec<_> = vec![Err(ExecutionError::NoEnvironment(0)); order.len()];
        for (lane, result) in order.into_iter().zip(Reference.execute(&shuffled)) {
            results[lane] = result;
        }
        results
    }
}

fn shuffle<T>(list: &mut [T], numbers: &mut Numbers) {
    for index in (1..list.len()).rev() {
        list.swap(index, numbers.below(index as u64 + 1) as usize);
    }
}

fn digest_on(threads: usize, mut engine: Engine) -> H256 {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    pool.install(|| {
        run(&mut engine, 200);
        engine.digest()
    })
}

fn same_everywhere(name: &str, build: &dyn Fn() -> isolane::manifest::Plan) {
    let expected = digest_on(1, build().engine().expect("an engine"));
    for threads in [1, 2, 7] {
        assert_eq!(digest_on(threads, build().engine().expect("an engine")), expected, "{name}: {threads} threads");
    }
    for lanes in [1, 3, 17, 1000] {
        let mut plan = build();
        plan.config.lanes = NonZeroU32::new(lanes).expect("positive");
        for environment in &mut plan.config.environments {
            environment.share.max_lanes = NonZeroU32::new(1 + lanes / 2).expect("positive");
        }
        assert_eq!(digest_on(2, plan.engine().expect("an engine")), expected, "{name}: {lanes} lanes");
    }
    for level in SimdLevel::ALL {
        let mut engine = build().engine().expect("an engine");
        engine.set_backend(Box::new(Lockstep::with_simd(level)));
        assert_eq!(digest_on(2, engine), expected, "{name}: in lockstep, {}", level.name());
    }
    for seed in 0..10 {
        let mut engine = build().engine().expect("an engine");
        engine.set_backend(Box::new(Shuffled(AtomicU64::new(seed * 1000))));
        assert_eq!(digest_on(2, engine), expected, "{name}: lane order {seed}");
    }
}

#[test]
fn the_examples_have_one_digest() {
    for name in ["multi-chain", "app-chains"] {
        same_everywhere(name, &|| read(&example(name)));
    }
}

#[test]
fn random_worlds_have_one_digest() {
    for seed in 1000..1012 {
        let text = random_world(seed, 5);
        same_everywhere(&format!("world {seed}"), &|| plan(&text));
    }
}

/// On a device, with any number of lanes, any workgroup and any steps a dispatch, the digest is that of the reference.
#[test]
fn devices_have_the_same_digest() {
    let Some(adapter) = adapters().into_iter().next() else {
        assert!(std::env::var_os("ISOLANE_EXPECT_DEVICE").is_none(), "no device, though one is expected");
        return;
    };
    let worlds: Vec<String> = (1000..1004).map(|seed| random_world(seed, 5)).collect();
    let builds: [(&str, &dyn Fn() -> isolane::manifest::Plan); 6] = [
        ("multi-chain", &|| read(&example("multi-chain"))),
        ("app-chains", &|| read(&example("app-chains"))),
        ("world 1000", &|| plan(&worlds[0])),
        ("world 1001", &|| plan(&worlds[1])),
        ("world 1002", &|| plan(&worlds[2])),
        ("world 1003", &|| plan(&worlds[3])),
    ];
    let base = GpuOptions::default();
    let choices = [
        base,
        GpuOptions { lanes: 5, ..base },
        GpuOptions { workgroup: 32, steps: 17, rounds: 1, ..base },
        GpuOptions { workgroup: 128, steps: 10_000, ..base },
    ];
    for options in choices {
        let gpu = Arc::new(isolane::gpu::open(&adapter, options).expect("the device passes its self-test"));
        for (name, build) in builds {
            let expected = digest_on(1, build().engine().expect("an engine"));
            let mut engine = build().engine().expect("an engine");
            engine.set_backend(Box::new(Arc::clone(&gpu)));
            assert_eq!(digest_on(2, engine), expected, "{name}: {options:?}");
        }
        let statistics = gpu.statistics();
        println!("{options:?}: {}", isolane::gpu::summary(&statistics));
        assert!(statistics.device > 20, "{statistics:?}");
    }
}

/// The test can fail: another order within an environment, another quantum under a capacity, another budget.
#[test]
fn what_matters_changes_the_digest() {
    let text = "[environment.a]\nfork = \"prague\"\n[environment.a.accounts]\n\
                0x00000000000000000000000000000000000000aa = { balance = 1000 }\n";
    let pay = |value: u64| {
        format!(
            "[[environment.a.transaction]]\nfrom = \"0x00000000000000000000000000000000000000aa\"\n\
             to = \"0x00000000000000000000000000000000000000bb\"\nvalue = {value}\n"
        )
    };
    let digest = |text: &str| {
        let mut plan = plan(text);
        // The same run but for what it does: the manifest's hash would differ in any case.
        plan.config.identity = H256::zero();
        digest_on(1, plan.engine().expect("an engine"))
    };
    let one = digest(&format!("{text}{}{}", pay(1), pay(2)));
    assert_eq!(one, digest(&format!("{text}# a comment\n{}{}", pay(1), pay(2))));
    assert_ne!(one, digest(&format!("{text}{}{}", pay(2), pay(1))));
    assert_ne!(one, digest(&format!("{}{}{}", text.replace("1000", "1001"), pay(1), pay(2))));
    let limited = format!("{text}[environment.a.budget]\ngas = 1_000_000\n{}{}", pay(1), pay(2));
    assert_ne!(one, digest(&limited), "each waits for an epoch of its own");
    let mut engine = engine(&limited);
    assert_eq!(run(&mut engine, 10).len(), 2, "they use 21,000 gas each, but ask for 1,000,000");
}
