//! Isolation on a graphics device: permissions, budgets and poisoned lanes end there exactly as on the reference. A machine
//! without a device runs none of it; where ISOLANE_EXPECT_DEVICE is set, that is a failure. ISOLANE_POISON_BATCHES says how
//! many batches of poisoned lanes there are.

#[path = "../cpu/tests/isolation/kinds.rs"]
mod kinds;
#[path = "../cpu/tests/isolation/world.rs"]
#[expect(dead_code, reason = "it is shared with tests that need more of it")]
mod world;

use isolane::cpu::Reference;
use isolane::diff::case::{self, Case};
use isolane::diff::generate::Generator;
use isolane::spec::opcode::{OPCODES, op};
use isolane::spec::{
    AddressRule, Backend, Batch, Budget, Environment, Fork, H160, Halt, Level, OpcodeSet, Outcome, Permissions,
    Precompile, PrecompileSet, Status, Transaction,
};
use isolane_gpu::{Gpu, GpuOptions, adapters};
use std::collections::BTreeMap;
use world::Random;

fn open(options: GpuOptions) -> Option<Gpu> {
    let Some(adapter) = adapters().into_iter().next() else {
        assert!(std::env::var_os("ISOLANE_EXPECT_DEVICE").is_none(), "no device, though one is expected");
        return None;
    };
    Some(isolane::gpu::open(&adapter, options).expect("the device passes its self-test"))
}

/// Opcodes that an environment can lack without code being read differently.
fn an_opcode(random: &mut Random) -> u8 {
    loop {
        let byte = OPCODES[random.below(OPCODES.len() as u64) as usize].byte;
        if !matches!(byte, op::STOP | op::JUMPDEST) && !(op::PUSH1..=op::PUSH32).contains(&byte) {
            return byte;
        }
    }
}

/// Permissions that a program may well break.
fn permissions(random: &mut Random, case: &Case) -> Permissions {
    let mut permissions = Permissions::level(Level::ALL[random.below(4) as usize]);
    if random.below(2) == 0 {
        permissions = Permissions::default();
    }
    for _ in 0..random.below(3) {
        permissions.denied_opcodes = permissions.denied_opcodes.with(an_opcode(random));
    }
    let addresses = case.addresses();
    let mut address = || match addresses.is_empty() {
        true => H160::zero(),
        false => addresses[random.below(addresses.len() as u64) as usize],
    };
    let (one, two) = (address(), address());
    match random.below(8) {
        0 => permissions.callees = AddressRule::except([one]),
        1 => permissions.callees = AddressRule::only([one, two]),
        2 => permissions.senders = AddressRule::except([one]),
        3 => {
            let precompile = Precompile::ALL[random.below(Precompile::ALL.len() as u64) as usize];
            permissions.denied_precompiles = [precompile].into_iter().collect::<PrecompileSet>();
        }
        4 => permissions.calls = false,
        5 => permissions.value = false,
        _ => {}
    }
    permissions
}

/// A budget near what the program used without one.
fn budget(random: &mut Random, outcome: Option<&Outcome>) -> Budget {
    let open = Budget::default();
    let steps = outcome.map_or(0, |outcome| outcome.steps);
    let logged = outcome.map_or(0, |outcome| outcome.logs.iter().map(|log| log.data.len() as u64).sum());
    let slots = outcome.map_or(0, |outcome| outcome.diff.iter().map(|account| account.storage.len() as u64).sum());
    let near = |random: &mut Random, used: u64| (used + random.below(3)).saturating_sub(1);
    match random.below(8) {
        0 => Budget { steps: near(random, steps), ..open },
        1 => Budget { steps: random.below(steps + 1), ..open },
        2 => Budget { memory: 32 * random.below(40), ..open },
        3 => Budget { call_depth: random.below(5) as u32, ..open },
        4 => Budget { slots: near(random, slots), ..open },
        5 => Budget { log_bytes: near(random, logged), ..open },
        6 => Budget { gas: 21_000 + random.below(1_000_000), ..open },
        _ => open,
    }
}

/// What a status is, without its details.
fn kind(outcome: &Outcome) -> String {
    match &outcome.status {
        Status::Halt(Halt::BudgetExceeded { kind, .. }) => format!("{kind:?}"),
        Status::Halt(Halt::Denied { rule, .. }) => format!("denied {rule:?}"),
        Status::Rejected(_) => "rejected".to_owned(),
        _ if outcome.denial.is_some() => "went on after a denial".to_owned(),
        _ => "kept to its limits".to_owned(),
    }
}

/// Generated programs in environments with rules that they may break and budgets near what they need.
#[test]
fn restricted_programs_end_alike() {
    let Some(gpu) = open(GpuOptions::default()) else { return };
    let forks: Vec<Fork> = Fork::ALL.into_iter().filter(|fork| *fork < Fork::Amsterdam).collect();
    let generator = Generator::new(77, &forks);
    let cases: Vec<Case> = (0..3_000).map(|index| generator.case(index)).collect();
    let free = Reference.execute(&case::batch(&cases));
    let mut outcomes = free.iter();
    let mut random = Random(5);
    let mut batch = Batch::default();
    for case in &cases {
        let own: Vec<&Outcome> =
            outcomes.by_ref().take(case.transactions.len()).filter_map(|o| o.as_ref().ok()).collect();
        let mut environment = case.environment();
        environment.permissions = permissions(&mut random, case);
        environment.budget = budget(&mut random, own.first().copied());
        if random.below(8) == 0 {
            environment.rules.removed_opcodes = OpcodeSet::EMPTY.with(an_opcode(&mut random));
        }
        let place = batch.environments.len() as u32;
        batch.environments.push(environment);
        batch.transactions.extend(case.transactions.iter().map(|transaction| (place, transaction.clone())));
    }
    let expected = Reference.execute(&batch);
    let got = gpu.execute(&batch);
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    for ((expected, got), (place, _)) in expected.iter().zip(&got).zip(&batch.transactions) {
        let environment = &batch.environments[*place as usize];
        assert_eq!(got, expected, "{} {:?} {:?}", environment.id, environment.permissions, environment.budget);
        if let Ok(outcome) = expected {
            *ends.entry(kind(outcome)).or_default() += 1;
        }
    }
    let statistics = gpu.statistics();
    println!("{ends:?}\n{}", isolane::gpu::summary(&statistics));
    for end in ["Steps", "Memory", "CallDepth", "Slots", "LogBytes", "went on after a denial", "denied Opcode"] {
        assert!(ends.get(end).is_some_and(|count| *count >= 10), "{end}: {ends:?}");
    }
    // Most of those that keep to their limits stay on the device, or need no lane.
    let kept = u64::from(ends.get("kept to its limits").copied().unwrap_or(0));
    assert!((statistics.device + statistics.host) * 10 > kept * 7, "{kept} kept to their limits: {statistics:?}");
}

/// Batches of poisoned and well-behaved lanes: each ends as it does alone on the reference.
#[test]
fn poisoned_lanes_change_nothing_in_the_others() {
    let Some(gpu) = open(GpuOptions::default()) else { return };
    kinds::hush();
    let kinds = kinds::kinds();
    let expected: Vec<_> = kinds.iter().map(|kind| kinds::alone(&kind.environment, &kind.transaction)).collect();
    let batches: u64 = match std::env::var("ISOLANE_POISON_BATCHES") {
        Ok(text) => text.parse().expect("a number of batches"),
        Err(_) => 12,
    };
    let mut random = Random(3);
    let mut poisoned = 0;
    for number in 0..batches {
        let mut batch = Batch::default();
        let mut lanes = Vec::new();
        for place in 0..256 {
            let kind = random.below(kinds.len() as u64) as usize;
            poisoned += u64::from(kinds[kind].poisoned);
            lanes.push(kind);
            batch.environments.push(kinds[kind].environment.clone());
            batch.transactions.push((place, kinds[kind].transaction.clone()));
        }
        for (place, (kind, result)) in lanes.iter().zip(gpu.execute(&batch)).enumerate() {
            assert_eq!(result, expected[*kind], "batch {number}, lane {place}, kind {kind}");
        }
    }
    assert!(poisoned > batches * 20, "{poisoned} poisoned lanes");
    let statistics = gpu.statistics();
    println!("{batches} batches: {}", isolane::gpu::summary(&statistics));
    assert!(!statistics.reasons.keys().any(|reason| reason.starts_with("device")), "{:?}", statistics.reasons);
}

/// Every rule against every kind of call and creation, at the top and below.
#[test]
fn every_rule_meets_every_operation() {
    let Some(gpu) = open(GpuOptions::default()) else { return };
    let mut codes: Vec<Vec<u8>> = Vec::new();
    let precompile = |number| H160::from_low_u64_be(number);
    for variant in world::CALLS {
        for target in [world::INNER, world::TARGET, world::DELEGATED, precompile(4), precompile(1), precompile(99)] {
            for value in [0, 1] {
                codes.push(world::caller(variant, target, value).0);
            }
        }
    }
    for opcode in [op::CREATE, op::CREATE2] {
        codes.extend([0, 1].map(|value| world::creator(opcode, value).0));
    }
    codes.push(vec![op::PUSH1, 0, op::SELFDESTRUCT]);
    codes.push(vec![op::PUSH1, 1, op::PUSH1, 1, op::SSTORE]);
    codes.push(vec![op::PUSH1, 1, op::PUSH1, 1, op::TSTORE]);
    codes.extend([op::LOG0, op::LOG1].map(|log| vec![op::PUSH1, 7, op::PUSH1, 1, op::PUSH1, 0, log]));
    let open = Permissions::default();
    let mut rules = vec![
        Permissions { calls: false, ..open.clone() },
        Permissions { create: false, ..open.clone() },
        Permissions { logs: false, ..open.clone() },
        Permissions { value: false, ..open.clone() },
        Permissions { delegations: false, ..open.clone() },
        Permissions { messages: false, ..open.clone() },
        Permissions { state: false, ..open.clone() },
        Permissions { callees: AddressRule::except([world::TARGET]), ..open.clone() },
        Permissions { callees: AddressRule::only([world::CONTRACT]), ..open.clone() },
        Permissions { senders: AddressRule::only([world::TARGET]), ..open.clone() },
        Permissions { denied_precompiles: [Precompile::Identity].into_iter().collect(), ..open.clone() },
        Permissions { denied_opcodes: world::CALLS.into_iter().collect(), ..open.clone() },
    ];
    rules.extend(Level::ALL.map(Permissions::level));
    let mut batch = Batch::default();
    for fork in [Fork::Byzantium, Fork::Prague] {
        for code in &codes {
            for permissions in &rules {
                let environment = world::environment(fork, world::state(code));
                let place = batch.environments.len() as u32;
                batch.environments.push(Environment { permissions: permissions.clone(), ..environment });
                let call = Transaction { gas_limit: 500_000, ..world::transaction() };
                // The same code as the initcode of a creation.
                let create = Transaction { to: None, input: code.clone().into(), nonce: 1, ..call.clone() };
                batch.transactions.extend([(place, call), (place, create)]);
            }
        }
    }
    let expected = Reference.execute(&batch);
    let denied = expected.iter().flatten().filter(|outcome| outcome.denial.is_some()).count();
    assert!(denied > 300, "{denied} denials of {}", expected.len());
    for ((expected, got), (place, transaction)) in expected.iter().zip(gpu.execute(&batch)).zip(&batch.transactions) {
        let environment = &batch.environments[*place as usize];
        assert_eq!(got, *expected, "{:?}: {transaction:?}", environment.permissions);
    }
    println!("{denied} denials; {}", isolane::gpu::summary(&gpu.statistics()));
}
