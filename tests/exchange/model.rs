//! 100,000 random epochs over 3 to 16 environments, with a plain ledger in place of machines: nothing is lost, made,
//! delivered twice or out of order, and a run that is killed goes on to the same digest.

use crate::rng::Rng;
use crate::watch::Watch;
use isolane::cpu::exchange::{Holding, Holdings};
use isolane::exchange::{Books, Config, Exchange, Report, Subscription};
use isolane::spec::gas::{EXCHANGE_DELIVERY, EXCHANGE_REFUND};
use isolane::spec::{
    AccountDiff, AccountInfo, Bytes, Delivery, EnvironmentId, Failure, H160, H256, Kind, Message, MessagePolicy, Peers,
    Receipt, ReceiptStatus, SlotDiff, U256,
};
use rayon::prelude::*;
use std::collections::BTreeMap;

const WORLDS: u64 = 1_000;
const EPOCHS: u64 = 100;
const ACCOUNTS: u64 = 4;
const RICH: u64 = 1_000_000;

fn environment(index: usize) -> EnvironmentId {
    EnvironmentId::new(&format!("environment-{index}")).expect("a name")
}

fn account(index: u64) -> H160 {
    H160::from_low_u64_be(0x100 + index)
}

/// One environment: what its accounts have and what its exchange's account says.
#[derive(Clone, Default)]
struct Ledger {
    native: BTreeMap<H160, u64>,
    locked: u64,
    abroad: BTreeMap<(EnvironmentId, H160), u64>,
    claimable: BTreeMap<(EnvironmentId, H160), u64>,
    nonces: BTreeMap<EnvironmentId, u64>,
    /// The slot that others subscribe to.
    slot: u64,
}

impl Ledger {
    fn books(&self, environments: &[EnvironmentId]) -> Books {
        let sum = |of: &BTreeMap<(EnvironmentId, H160), u64>, asset: EnvironmentId| {
            U256::from(of.range((asset, H160::zero())..=(asset, H160::repeat_byte(0xff))).map(|(_, v)| v).sum::<u64>())
        };
        let holding = |asset: &EnvironmentId| {
            let holding = Holding { supply: sum(&self.abroad, *asset), claimable: sum(&self.claimable, *asset) };
            (*asset, holding)
        };
        let locked = U256::from(self.locked);
        let native: u64 = self.native.values().sum::<u64>() + self.locked;
        let assets = environments.iter().map(holding).collect();
        Books { holdings: Holdings { native: locked, locked, assets }, supply: Some(U256::from(native)) }
    }

    fn credit(&mut self, own: EnvironmentId, message: &Message) {
        let value = message.value.as_u64();
        if message.asset == own {
            self.locked -= value;
            *self.native.entry(message.to).or_default() += value;
        } else if value > 0 {
            *self.abroad.entry((message.asset, message.to)).or_default() += value;
        }
    }
}

/// A word that depends on all of these alone: what happens must not depend on who is first.
fn draw(parts: &[u64]) -> Rng {
    let mut seed = 0;
    for part in parts {
        seed = Rng::new(seed ^ part).next();
    }
    Rng::new(seed)
}

#[derive(Clone)]
struct World {
    seed: u64,
    ids: Vec<EnvironmentId>,
    ledgers: BTreeMap<EnvironmentId, Ledger>,
    exchange: Exchange,
    watch: Watch,
    /// Whether environments still send.
    busy: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = draw(&[seed]);
        let ids: Vec<_> = (0..3 + (seed % 14) as usize).map(environment).collect();
        let mut peers = || {
            if !rng.once_in(4) {
                return Peers::All;
            }
            Peers::Only(ids.iter().filter(|_| !rng.once_in(3)).copied().collect())
        };
        let lists: Vec<_> = ids.iter().map(|_| (peers(), peers())).collect();
        let mut environments = BTreeMap::new();
        for (id, (send_to, receive_from)) in ids.iter().zip(lists) {
            let policy = MessagePolicy {
                send_to,
                receive_from,
                outbox: 2 + rng.below(4),
                outbox_bytes: 30 + rng.below(100),
                inbox: 1 + rng.below(12),
                inbox_gas: EXCHANGE_DELIVERY + EXCHANGE_REFUND + rng.below(400_000),
                assets: !rng.once_in(8),
                ..MessagePolicy::default()
            };
            environments.insert(*id, policy);
        }
        let subscription = |_| Subscription {
            subscriber: ids[rng.index(ids.len())],
            to: account(0),
            gas: 50_000,
            source: ids[rng.index(ids.len())],
            account: account(9),
            slot: U256::one(),
        };
        let subscriptions = (0..3).map(subscription).collect();
        let config = Config { manifest: H256::from_low_u64_be(seed), environments, subscriptions };
        let native: BTreeMap<_, _> = (0..ACCOUNTS).map(|index| (account(index), RICH)).collect();
        let ledger = Ledger { native, ..Ledger::default() };
        Self {
            seed,
            ledgers: ids.iter().map(|id| (*id, ledger.clone())).collect(),
            exchange: Exchange::new(config).expect("a configuration"),
            watch: Watch::default(),
            busy: true,
            ids,
        }
    }

    /// All that an environment does in an epoch.
    fn run(&mut self, index: usize) {
        let (id, epoch) = (self.ids[index], self.exchange.epoch());
        let mut rng = draw(&[self.seed, epoch, index as u64]);
        // It is rolled back now and then, and nothing of the epoch is left; later it is well behaved.
        let rolled_back = self.busy && rng.once_in(20);
        let deliveries = self.exchange.deliveries(&id);
        let receipts = deliveries.iter().map(|delivery| self.deliver(id, delivery, rolled_back)).collect();
        self.exchange.settle(id, receipts);
        if rolled_back || !self.busy {
            return;
        }
        let messages: Vec<_> = (0..rng.below(5)).map(|_| self.send(id, &mut rng)).collect();
        self.exchange.collect(id, messages);
        self.move_about(id, &mut rng);
        let ledger = self.ledgers.get_mut(&id).expect("a ledger");
        if rng.once_in(2) {
            let before = U256::from(std::mem::replace(&mut ledger.slot, rng.below(3)));
            let slot = SlotDiff { key: U256::one(), before, after: U256::from(ledger.slot) };
            let info = Some(AccountInfo::default());
            let diff = AccountDiff {
                address: account(9),
                before: info,
                after: info,
                code: None,
                storage_wiped: false,
                storage: vec![slot],
            };
            self.exchange.publish(&id, &[diff]);
        }
    }

    /// The fate of a delivery depends on its id alone.
    fn deliver(&mut self, id: EnvironmentId, delivery: &Delivery, rolled_back: bool) -> Receipt {
        let ledger = self.ledgers.get_mut(&id).expect("a ledger");
        let message = &delivery.message;
        let refund = matches!(message.kind, Kind::Refund { .. });
        let status = match draw(&[delivery.id.to_low_u64_be()]).below(20) {
            _ if rolled_back => ReceiptStatus::RolledBack,
            _ if delivery.ledger_only => ReceiptStatus::Failed(Failure::Halted),
            0..4 => ReceiptStatus::Failed(Failure::Reverted),
            4..6 => ReceiptStatus::Failed(Failure::Halted),
            _ => ReceiptStatus::Delivered,
        };
        match status {
            ReceiptStatus::Delivered => ledger.credit(id, message),
            ReceiptStatus::Failed(_) if refund => {
                *ledger.claimable.entry((message.asset, message.to)).or_default() += message.value.as_u64();
            }
            ReceiptStatus::Failed(_) | ReceiptStatus::RolledBack => {}
        }
        Receipt { id: delivery.id, status, gas_used: 0 }
    }

    fn send(&mut self, id: EnvironmentId, rng: &mut Rng) -> Message {
        let epoch = self.exchange.epoch();
        let ledger = self.ledgers.get_mut(&id).expect("a ledger");
        let destination = match rng.below(40) {
            0 => EnvironmentId::new("nowhere").expect("a name"),
            _ => self.ids[rng.index(self.ids.len())],
        };
        let sender = account(rng.below(ACCOUNTS));
        let held: Vec<_> = ledger.abroad.iter().filter(|((_, who), _)| *who == sender).map(|(key, _)| *key).collect();
        let (asset, value) = if held.is_empty() || rng.once_in(2) {
            let balance = ledger.native.entry(sender).or_default();
            let value = rng.below(*balance / 4 + 1);
            *balance -= value;
            ledger.locked += value;
            (id, value)
        } else {
            let key = held[rng.index(held.len())];
            let balance = ledger.abroad.entry(key).or_default();
            let value = rng.below(*balance + 1);
            *balance -= value;
            (key.0, value)
        };
        let nonce = ledger.nonces.entry(destination).or_default();
        *nonce += 1;
        Message {
            kind: Kind::Call,
            source: id,
            destination,
            nonce: *nonce - 1,
            epoch,
            sender,
            to: account(rng.below(ACCOUNTS)),
            asset,
            value: U256::from(value),
            gas: rng.below(300_000),
            timeout: if rng.once_in(3) { epoch + 1 + rng.below(3) } else { u64::MAX },
            refund: account(rng.below(ACCOUNTS)),
            data: Bytes::from(vec![1; rng.index(30)]),
        }
    }

    /// Claims, and transfers abroad.
    fn move_about(&mut self, id: EnvironmentId, rng: &mut Rng) {
        let ledger = self.ledgers.get_mut(&id).expect("a ledger");
        if rng.once_in(3)
            && let Some(((asset, who), value)) = ledger.claimable.pop_first()
        {
            if asset == id {
                ledger.locked -= value;
                *ledger.native.entry(who).or_default() += value;
            } else {
                *ledger.abroad.entry((asset, who)).or_default() += value;
            }
        }
        let keys: Vec<_> = ledger.abroad.keys().copied().collect();
        if !keys.is_empty() {
            let (asset, who) = keys[rng.index(keys.len())];
            let value = ledger.abroad.remove(&(asset, who)).unwrap_or_default();
            *ledger.abroad.entry((asset, account(rng.below(ACCOUNTS)))).or_default() += value;
        }
    }

    /// An epoch, its environments in that order.
    fn step(&mut self, order: &[usize]) {
        for &index in order {
            self.run(index);
        }
        self.end_epoch();
    }

    fn end_epoch(&mut self) {
        let books = self.ledgers.iter().map(|(id, ledger)| (*id, ledger.books(&self.ids))).collect();
        let report = self.exchange.barrier(&books).unwrap_or_else(|breach| panic!("world {}: {breach}", self.seed));
        self.watch.see(&report);
        self.conserve(&report);
    }

    /// The exchange's check once more, by other means: what is in flight is what was seen to be sent.
    fn conserve(&self, report: &Report) {
        let on_their_way = self.watch.live.values().chain(self.watch.failed.values());
        let mut in_flight: BTreeMap<EnvironmentId, u64> = BTreeMap::new();
        for message in on_their_way {
            *in_flight.entry(message.asset).or_default() += message.value.as_u64();
        }
        for asset in &report.assets {
            let home = &self.ledgers[&asset.asset];
            let of = |ledger: &Ledger| -> u64 {
                let held = ledger.abroad.iter().chain(&ledger.claimable);
                held.filter(|((name, _), _)| *name == asset.asset).map(|(_, value)| value).sum()
            };
            let outside: u64 = self.ledgers.values().map(of).sum();
            let flying = in_flight.get(&asset.asset).copied().unwrap_or_default();
            assert_eq!(asset.in_flight, U256::from(flying));
            assert_eq!(home.native.values().sum::<u64>() + outside + flying, RICH * ACCOUNTS, "{}", asset.asset);
        }
    }

    fn order(&self, shuffle: u64) -> Vec<usize> {
        let mut order: Vec<_> = (0..self.ids.len()).collect();
        draw(&[shuffle, self.seed, self.exchange.epoch()]).shuffle(&mut order);
        order
    }

    /// The process dies and comes back: from the journal, and from ledgers as they were at the last barrier.
    fn kill(&mut self, at_barrier: &Self) {
        let bytes = at_barrier.exchange.to_bytes();
        let config = at_barrier.exchange.config().clone();
        let exchange = Exchange::from_bytes(config, &bytes).expect("what was written can be read");
        assert_eq!(exchange.to_bytes(), bytes);
        *self = Self { exchange, ..at_barrier.clone() };
    }

    /// Runs to the end. `killed` in how many epochs the process dies, at a point of its choice.
    fn finish(&mut self, shuffle: u64, killed: Option<u64>) {
        for _ in 0..EPOCHS {
            let order = self.order(shuffle);
            if killed.is_some_and(|every| draw(&[self.seed, self.exchange.epoch(), 77]).once_in(every)) {
                let at_barrier = self.clone();
                let done = draw(&[self.seed, self.exchange.epoch(), 78]).index(order.len() + 1);
                for &index in &order[..done] {
                    self.run(index);
                }
                self.kill(&at_barrier);
            }
            self.step(&order);
        }
        // Nobody sends any more: everything that is on its way gets somewhere.
        self.busy = false;
        for _ in 0..10_000 {
            if self.ids.iter().all(|id| self.exchange.waiting(id) == 0) {
                break;
            }
            self.step(&self.order(shuffle));
        }
        self.watch.assert_complete();
    }
}

#[test]
fn a_hundred_thousand_random_epochs_conserve() {
    let seen: Vec<Watch> = (0..WORLDS)
        .into_par_iter()
        .map(|seed| {
            let mut world = World::new(seed);
            world.finish(0, Some(10));
            if seed % 10 == 0 {
                // The same without kills, and its environments in another order.
                let mut twin = World::new(seed);
                twin.finish(1, None);
                assert_eq!(twin.exchange.digest(), world.exchange.digest(), "world {seed}");
                assert_eq!(twin.exchange.epoch(), world.exchange.epoch());
            }
            assert!(world.exchange.epoch() >= EPOCHS);
            world.watch
        })
        .collect();
    const { assert!(WORLDS * EPOCHS >= 100_000) };
    // All that can happen happened, and often.
    let count = |of: fn(&Watch) -> u64| seen.iter().map(of).sum::<u64>();
    let sums = [count(|w| w.delivered), count(|w| w.refunded), count(|w| w.claimable), count(|w| w.deferred)];
    println!("delivered, refunded, claimable, deferred: {sums:?}; slots told: {}", count(|w| w.told));
    assert!(sums.iter().all(|sum| *sum > 1_000), "{sums:?}");
    assert!(count(|w| w.told) > 1_000);
    for failure in Failure::ALL {
        let times: u64 = seen.iter().filter_map(|watch| watch.failures.get(&failure)).sum();
        println!("{failure}: {times}");
        assert!(times > 100, "{failure}: {times}");
    }
}

#[test]
fn a_lost_or_doubled_unit_is_a_breach() {
    let break_after = |damage: fn(&mut World)| {
        let mut world = World::new(5);
        for _ in 0..20 {
            let order = world.order(0);
            world.step(&order);
        }
        damage(&mut world);
        let books: BTreeMap<_, _> = world.ledgers.iter().map(|(id, ledger)| (*id, ledger.books(&world.ids))).collect();
        for id in world.ids.clone() {
            let receipts = world.exchange.deliveries(&id);
            let receipts = receipts.iter().map(|delivery| world.deliver(id, delivery, true)).collect();
            world.exchange.settle(id, receipts);
        }
        world.exchange.barrier(&books).map(|_| ())
    };
    assert!(break_after(|_| {}).is_ok());
    let one_more = |world: &mut World| {
        let ledger = world.ledgers.values_mut().find(|ledger| !ledger.abroad.is_empty()).expect("assets abroad");
        *ledger.abroad.values_mut().next().expect("a balance") += 1;
    };
    assert!(break_after(one_more).is_err());
    let one_less = |world: &mut World| {
        let ledger = world.ledgers.values_mut().find(|ledger| ledger.locked > 0).expect("something locked");
        ledger.locked -= 1;
    };
    assert!(break_after(one_less).is_err());
    let burned = |world: &mut World| {
        let ledger = world.ledgers.values_mut().next().expect("a ledger");
        *ledger.native.values_mut().next().expect("a balance") -= 1;
    };
    assert!(break_after(burned).is_err());
}
