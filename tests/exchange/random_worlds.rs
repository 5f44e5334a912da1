//! A few thousand random epochs with real machines of random forks: contracts that accept, revert, burn their gas or
//! reenter, accounts that send, give and claim.

use crate::rng::Rng;
use crate::watch::Watch;
use crate::world::{ALICE, BOB, Mode, NEVER, PROBE, Plan, World, address, name, send, sol, word};
use alloy_primitives::B256;
use alloy_sol_types::SolCall;
use isolane::cpu::exchange::abi::IExchange;
use isolane::exchange::{Exchange, Subscription};
use isolane::spec::{Bytes, EnvironmentId, Fork, MessagePolicy, Peers, U256};
use rayon::prelude::*;

const WORLDS: u64 = 100;
const EPOCHS: u64 = 30;
/// The probe is compiled for these and later ones.
const FORKS: [Fork; 8] = [
    Fork::Petersburg,
    Fork::Istanbul,
    Fork::Berlin,
    Fork::London,
    Fork::Shanghai,
    Fork::Cancun,
    Fork::Prague,
    Fork::Osaka,
];

fn world(seed: u64) -> World {
    let mut rng = Rng::new(seed);
    let names: Vec<String> = (0..3 + seed % 4).map(|index| format!("environment-{index}")).collect();
    let ids: Vec<EnvironmentId> = names.iter().map(|text| name(text)).collect();
    let place = |text| {
        let peers = if rng.once_in(4) { Peers::Only(vec![ids[0], ids[1]]) } else { Peers::All };
        let inbox_gas = 500_000 + rng.below(3_000_000);
        let policy = MessagePolicy { receive_from: peers, inbox_gas, outbox: 4, ..MessagePolicy::default() };
        (text, FORKS[rng.index(FORKS.len())], policy)
    };
    let places: Vec<_> = names.iter().map(|text| text.as_str()).map(place).collect();
    let subscription = Subscription {
        subscriber: ids[0],
        to: PROBE,
        gas: 100_000,
        source: ids[1],
        account: PROBE,
        slot: U256::zero(),
    };
    World::new(&places, vec![subscription])
}

/// What happens in an epoch depends on the world's seed and state alone.
fn plans(world: &World, seed: u64) -> Vec<Plan> {
    let mut rng = Rng::new(seed << 32 | world.exchange.epoch());
    let ids: Vec<_> = world.places.keys().copied().collect();
    (0..rng.below(8))
        .map(|_| {
            let id = ids[rng.index(ids.len())];
            let sender = if rng.once_in(2) { ALICE } else { BOB };
            let asset = ids[rng.index(ids.len())];
            let to = [ALICE, BOB, PROBE][rng.index(3)];
            match rng.below(10) {
                0 => {
                    let mode = [Mode::Accept, Mode::Revert, Mode::Burn, Mode::Reenter, Mode::Return][rng.index(5)];
                    let reentry = IExchange::sendCall { gasLimit: 10_000, ..send(asset, to, 0) };
                    Plan::set_mode(id, mode, Bytes::from(reentry.abi_encode()))
                }
                1 => {
                    let claim = IExchange::claimCall { asset: word(asset), to: address(to) };
                    if rng.once_in(2) { Plan::probe(id, 0, &claim) } else { Plan::direct(id, 0, &claim) }
                }
                2 => {
                    let value = sol(rng.below(world.abroad(id, asset, sender) + 2));
                    let give = IExchange::transferCall { asset: word(asset), to: address(to), value };
                    Plan::direct(id, 0, &give)
                }
                kind => {
                    let native = kind < 7;
                    let value = match native {
                        true => rng.below(1_000),
                        false => rng.below(world.abroad(id, asset, sender) + 2),
                    };
                    let call = IExchange::sendCall {
                        asset: if native { B256::ZERO } else { word(asset) },
                        gasLimit: rng.below(600_000),
                        timeout: if rng.once_in(3) { world.exchange.epoch() + rng.below(3) } else { NEVER },
                        refund: address([ALICE, PROBE][rng.index(2)]),
                        data: vec![9; rng.index(40)].into(),
                        ..send(ids[rng.index(ids.len())], to, value)
                    };
                    let paid = if native || asset == id { value } else { 0 };
                    if rng.once_in(3) { Plan::probe(id, paid, &call) } else { Plan::direct(id, paid, &call) }
                }
            }
            .from(sender)
        })
        .collect()
}

/// Environments whose deliveries of the epoch are rolled back.
fn roll_back(world: &World, seed: u64) -> Vec<EnvironmentId> {
    let mut rng = Rng::new(seed << 40 | world.exchange.epoch());
    world.places.keys().filter(|_| rng.once_in(25)).copied().collect()
}

fn run(seed: u64, killed: bool) -> (World, Watch) {
    let mut world = world(seed);
    let mut watch = Watch::default();
    let mut rng = Rng::new(seed + 7);
    for _ in 0..EPOCHS {
        let plans = plans(&world, seed);
        world.roll_back = roll_back(&world, seed);
        if killed && rng.once_in(4) {
            // The process dies after all has run and before anything was kept; the next one reads the journal.
            let bytes = world.exchange.to_bytes();
            let at_barrier = world.clone();
            world.run(&plans);
            let config = world.exchange.config().clone();
            world = World { exchange: Exchange::from_bytes(config, &bytes).expect("the journal"), ..at_barrier };
        } else if killed && rng.once_in(4) {
            // Or the epoch is just given up and run again.
            let places = world.places.clone();
            world.run(&plans);
            world.exchange.abandon_epoch();
            world.places = places;
        }
        watch.see(&world.step(&plans).report);
    }
    world.roll_back.clear();
    for _ in 0..200 {
        if world.places.keys().all(|id| world.exchange.waiting(id) == 0) {
            break;
        }
        watch.see(&world.step(&[]).report);
    }
    watch.assert_complete();
    (world, watch)
}

#[test]
fn random_worlds_conserve_and_survive_kills() {
    let seen: Vec<Watch> = (0..WORLDS)
        .into_par_iter()
        .map(|seed| {
            let (killed, watch) = run(seed, true);
            let (whole, _) = run(seed, false);
            assert_eq!(killed.digest(), whole.digest(), "world {seed}");
            watch
        })
        .collect();
    let count = |of: fn(&Watch) -> u64| seen.iter().map(of).sum::<u64>();
    let sums = [count(|w| w.delivered), count(|w| w.refunded), count(|w| w.claimable), count(|w| w.told)];
    println!("delivered, refunded, claimable, slots told: {sums:?}");
    assert!(sums.iter().all(|sum| *sum > 50), "{sums:?}");
}
