//! Random worlds with the engine itself: nothing is lost, made, or delivered twice.

use super::world::{Numbers, engine, random_world, run};
use isolane::engine::Engine;
use isolane::exchange::Event;
use isolane::spec::{H256, Kind, U256};
use std::collections::{BTreeMap, BTreeSet};

/// The sum of all native balances of an environment.
fn supply(engine: &Engine, name: &str) -> U256 {
    let export = engine.state(name).expect("an environment").export().expect("a state");
    assert!(export.complete);
    export.accounts.values().fold(U256::zero(), |sum, account| sum + account.info.balance)
}

#[test]
fn random_worlds_conserve_assets_and_deliver_exactly_once() {
    let (mut epochs, mut messages, mut failures) = (0, 0, BTreeSet::new());
    let (mut late, mut rolled_back, mut violations) = (0, 0, 0);
    let mut numbers = Numbers(7);
    for seed in 0..60 {
        let length = numbers.range(3, 9);
        let text = random_world(seed, length);
        let mut engine = engine(&text);
        let names: Vec<String> = engine.names().map(str::to_owned).collect();
        let before: Vec<U256> = names.iter().map(|name| supply(&engine, name)).collect();
        let mut sent: BTreeMap<H256, u64> = BTreeMap::new();
        let mut ended: BTreeSet<H256> = BTreeSet::new();
        let mut last: BTreeMap<(String, String, u8), u64> = BTreeMap::new();
        while !engine.is_idle() {
            assert!(engine.epoch() < 500, "seed {seed}: no end");
            let report = engine.step().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            epochs += 1;
            for entry in &report.exchange.entries {
                let message = &entry.message;
                match entry.event {
                    Event::Sent => assert!(sent.insert(entry.id, report.epoch).is_none(), "seed {seed}: sent twice"),
                    Event::Deferred => {}
                    Event::Delivered | Event::Failed(_) | Event::Claimable => {
                        assert!(ended.insert(entry.id), "seed {seed}: {:?} ended twice", entry.id);
                        if message.epoch < report.epoch && message.kind == Kind::Call {
                            assert!(sent[&entry.id] < report.epoch, "seed {seed}: delivered in the epoch of its send");
                        }
                    }
                }
                if let Event::Failed(failure) = entry.event {
                    failures.insert(failure.name());
                }
            }
            // Deliveries come in the order of their nonces.
            for environment in &report.environments {
                for delivered in &environment.deliveries {
                    let message = &delivered.delivery.message;
                    let channel = (message.source.to_string(), message.destination.to_string(), message.kind.number());
                    let previous = last.insert(channel, message.nonce);
                    // A refund that was deferred comes again.
                    let again = delivered.delivery.ledger_only;
                    assert!(previous.is_none_or(|previous| previous < message.nonce || again), "seed {seed}: order");
                    messages += 1;
                }
            }
        }
        for id in sent.keys() {
            assert!(ended.contains(id), "seed {seed}: a message was lost");
        }
        for (name, before) in names.iter().zip(before) {
            assert_eq!(supply(&engine, name), before, "seed {seed}: the native asset of {name}");
            let stats = engine.stats(name).expect("an environment");
            late += stats.late_epochs;
            rolled_back += stats.rolled_back_epochs;
            violations += stats.exceeded.values().sum::<u64>();
        }
        run(&mut engine, 0);
    }
    assert!(epochs >= 300, "{epochs} epochs");
    assert!(messages > 1_000, "{messages} deliveries");
    assert!(rolled_back > 10 && violations > 100, "{rolled_back} epochs rolled back, {violations} violations");
    assert_eq!(late, 0, "an environment waited longer than the scheduler promises");
    for expected in ["timeout", "reverted", "halted", "inbox-full", "gas-above-inbox"] {
        assert!(failures.contains(expected), "no message failed by {expected}: {failures:?}");
    }
}
