//! The exchange without machines: who is refused, what is late, what waits, and what breaches.

use crate::world::name;
use isolane::cpu::exchange::{Holding, Holdings};
use isolane::exchange::{Books, Config, ConfigError, Event, Exchange, Problem, Report, RestoreError, Subscription};
use isolane::spec::gas::{EXCHANGE_DELIVERY, EXCHANGE_REFUND};
use isolane::spec::{
    Bytes, Delivery, EnvironmentId, Failure, H160, H256, Kind, Message, MessagePolicy, Peers, Receipt, ReceiptStatus,
    U256,
};
use std::collections::BTreeMap;

const ACCOUNT: H160 = H160([7; 20]);

fn config(policies: &[(&str, MessagePolicy)]) -> Config {
    Config {
        environments: policies.iter().map(|(text, policy)| (name(text), policy.clone())).collect(),
        ..Config::default()
    }
}

fn exchange(policies: &[(&str, MessagePolicy)]) -> Exchange {
    Exchange::new(config(policies)).expect("a configuration")
}

fn pair() -> Exchange {
    exchange(&[("a", MessagePolicy::default()), ("b", MessagePolicy::default())])
}

fn message(source: &str, destination: &str, nonce: u64, epoch: u64) -> Message {
    Message {
        source: name(source),
        destination: name(destination),
        nonce,
        epoch,
        sender: ACCOUNT,
        to: ACCOUNT,
        asset: name(source),
        gas: 10_000,
        timeout: u64::MAX,
        refund: ACCOUNT,
        ..Message::default()
    }
}

fn no_books(exchange: &Exchange) -> BTreeMap<EnvironmentId, Books> {
    exchange.config().environments.keys().map(|id| (*id, Books::default())).collect()
}

/// An epoch in which every delivery ends like this.
fn step(exchange: &mut Exchange, status: ReceiptStatus) -> Report {
    settle_all(exchange, status);
    let books = no_books(exchange);
    exchange.barrier(&books).unwrap_or_else(|breach| panic!("{breach}"))
}

fn settle_all(exchange: &mut Exchange, status: ReceiptStatus) {
    let ids: Vec<_> = exchange.config().environments.keys().copied().collect();
    for id in ids {
        let receipts = exchange.deliveries(&id).iter().map(|d| Receipt { id: d.id, status, gas_used: 1 }).collect();
        exchange.settle(id, receipts);
    }
}

fn problem(exchange: &mut Exchange, books: &BTreeMap<EnvironmentId, Books>) -> Problem {
    *exchange.barrier(books).expect_err("a breach").problem
}

fn events(report: &Report) -> Vec<Event> {
    report.entries.iter().map(|entry| entry.event).collect()
}

const DELIVERED: ReceiptStatus = ReceiptStatus::Delivered;

#[test]
fn who_may_not_gets_it_back_an_epoch_later() {
    let policy = MessagePolicy::default;
    let choosy = MessagePolicy { receive_from: Peers::Only(vec![name("c")]), ..policy() };
    let shy = MessagePolicy { send_to: Peers::NONE, ..policy() };
    let cases = [
        ("a", "b", policy(), choosy.clone(), 0, Failure::Denied),
        ("a", "b", shy, policy(), 0, Failure::Denied),
        ("a", "nowhere", policy(), policy(), 0, Failure::UnknownEnvironment),
        ("a", "b", policy(), MessagePolicy { inbox_gas: 129_999, ..policy() }, 110_000, Failure::GasAboveInbox),
        ("a", "b", policy(), MessagePolicy { inbox: 0, ..policy() }, 0, Failure::InboxFull),
        ("a", "b", MessagePolicy { outbox: 0, ..policy() }, policy(), 0, Failure::OutboxFull),
        ("a", "b", MessagePolicy { outbox_bytes: 2, ..policy() }, policy(), 0, Failure::OutboxFull),
    ];
    for (source, destination, of_a, of_b, gas, failure) in cases {
        let mut exchange = exchange(&[("a", of_a), ("b", of_b)]);
        let message = Message { gas, data: Bytes::from_static(&[1, 2, 3]), ..message(source, destination, 0, 0) };
        exchange.collect(name(source), [message.clone()]);
        let report = step(&mut exchange, DELIVERED);
        assert_eq!(events(&report), [Event::Failed(failure)]);
        let [refund] = &exchange.deliveries(&name("a"))[..] else { panic!("{failure}: no refund") };
        assert_eq!(refund.message.kind, Kind::Refund { id: report.entries[0].id, failure });
        assert_eq!((refund.message.source, refund.message.destination), (name(destination), name("a")));
        assert_eq!((refund.message.to, refund.message.gas), (ACCOUNT, EXCHANGE_REFUND));
        assert_eq!(events(&step(&mut exchange, DELIVERED)), [Event::Delivered]);
        assert!(step(&mut exchange, DELIVERED).entries.is_empty());
    }
    // Who receives from c alone still gets its refunds, and messages from c.
    let mut exchange = exchange(&[("b", choosy), ("c", policy())]);
    exchange.collect(name("c"), [message("c", "b", 0, 0)]);
    exchange.collect(name("b"), [message("b", "nowhere", 0, 0)]);
    step(&mut exchange, DELIVERED);
    assert_eq!(events(&step(&mut exchange, DELIVERED)), [Event::Delivered; 2]);
}

#[test]
fn assets_need_both_sides() {
    let policy = MessagePolicy::default;
    let without = MessagePolicy { assets: false, ..policy() };
    for (of_a, of_b) in [(without.clone(), policy()), (policy(), without)] {
        let mut exchange = exchange(&[("a", of_a), ("b", of_b)]);
        exchange
            .collect(name("a"), [Message { value: U256::from(5), ..message("a", "b", 0, 0) }, message("a", "b", 1, 0)]);
        let mut books = no_books(&exchange);
        let holdings = Holdings { native: U256::from(5), locked: U256::from(5), assets: Vec::new() };
        books.insert(name("a"), Books { holdings, supply: None });
        let report = exchange.barrier(&books).expect("the refund is in flight");
        assert_eq!(events(&report), [Event::Failed(Failure::AssetsRefused), Event::Sent]);
    }
}

#[test]
fn messages_wait_in_order_for_inbox_gas_and_time_out() {
    let gas = 100_000;
    let inbox_gas = 2 * (gas + EXCHANGE_DELIVERY);
    let small = MessagePolicy { inbox_gas, ..MessagePolicy::default() };
    let mut exchange = exchange(&[("a", MessagePolicy::default()), ("b", small), ("c", MessagePolicy::default())]);
    let of = |source, nonce, timeout| Message { gas, timeout, ..message(source, "b", nonce, 0) };
    // Handed in in another order than that of delivery.
    exchange.collect(name("c"), [of("c", 0, u64::MAX), of("c", 1, u64::MAX)]);
    exchange.collect(name("a"), [of("a", 0, 1), of("a", 1, u64::MAX), of("a", 2, 1)]);
    step(&mut exchange, DELIVERED);
    let next = |exchange: &Exchange| -> Vec<(String, u64)> {
        let place = |d: &Delivery| (d.message.source.to_string(), d.message.nonce);
        exchange.deliveries(&name("b")).iter().map(place).collect()
    };
    let at = |text: &str, nonce| (text.to_owned(), nonce);
    assert_eq!(next(&exchange), [at("a", 0), at("a", 1)]);
    // A message of a later epoch comes after all that wait, whatever its source.
    exchange.collect(name("a"), [Message { gas, ..message("a", "b", 3, 1) }]);
    let report = step(&mut exchange, DELIVERED);
    let late = Event::Failed(Failure::Timeout);
    assert_eq!(events(&report), [Event::Delivered, Event::Delivered, late, Event::Sent]);
    assert_eq!(report.entries[2].message.nonce, 2);
    assert_eq!(next(&exchange), [at("c", 0), at("c", 1)]);
    assert_eq!(exchange.deliveries(&name("a")).len(), 1, "the refund of what was late");
    step(&mut exchange, DELIVERED);
    assert_eq!(next(&exchange), [at("a", 3)]);
}

#[test]
fn the_inbox_counts_calls_alone() {
    let small = MessagePolicy { inbox: 2, inbox_gas: EXCHANGE_DELIVERY + EXCHANGE_REFUND, ..MessagePolicy::default() };
    let mut exchange = exchange(&[("a", MessagePolicy::default()), ("b", small)]);
    exchange.collect(name("b"), (0..3).map(|nonce| message("b", "nowhere", nonce, 0)));
    let gas = EXCHANGE_REFUND;
    exchange.collect(name("a"), (0..3).map(|nonce| Message { gas, ..message("a", "b", nonce, 0) }));
    let report = step(&mut exchange, DELIVERED);
    let full = Event::Failed(Failure::InboxFull);
    assert_eq!(events(&report)[..3], [Event::Sent, Event::Sent, full]);
    assert_eq!(exchange.waiting(&name("b")), 5);
    for _ in 0..5 {
        assert_eq!(exchange.deliveries(&name("b")).len(), 1);
        step(&mut exchange, DELIVERED);
    }
    assert_eq!(exchange.waiting(&name("b")), 0);
}

#[test]
fn replays_gaps_and_forgeries_breach() {
    let wrong: [(&str, Message); 7] = [
        ("nonce", message("a", "b", 0, 1)),
        ("nonce", message("a", "b", 2, 1)),
        ("source", message("b", "a", 0, 1)),
        ("epoch", message("a", "b", 1, 0)),
        ("epoch", message("a", "b", 1, 2)),
        ("kind", Message { kind: Kind::State, ..message("a", "b", 1, 1) }),
        ("asset", Message { asset: name("x"), value: U256::one(), ..message("a", "b", 1, 1) }),
    ];
    for (expected, message_of_a) in wrong {
        let mut exchange = pair();
        exchange.collect(name("a"), [message("a", "b", 0, 0)]);
        step(&mut exchange, DELIVERED);
        exchange.collect(name("a"), [message_of_a]);
        settle_all(&mut exchange, DELIVERED);
        let books = no_books(&exchange);
        let breach = exchange.barrier(&books).expect_err("a breach");
        assert_eq!((breach.epoch, breach.environment), (1, name("a")));
        let Problem::Message { field, .. } = *breach.problem else { panic!("{breach}") };
        assert_eq!(field, expected);
    }
    let mut exchange = pair();
    exchange.collect(name("x"), [message("x", "b", 0, 0)]);
    let books = no_books(&exchange);
    assert_eq!(problem(&mut exchange, &books), Problem::UnknownEnvironment);
}

#[test]
fn receipts_must_be_those_of_the_deliveries() {
    let ready = || {
        let mut exchange = pair();
        exchange.collect(name("a"), [message("a", "b", 0, 0), message("a", "b", 1, 0)]);
        step(&mut exchange, DELIVERED);
        exchange
    };
    let receipts = |exchange: &Exchange| -> Vec<Receipt> {
        let receipt = |d: &Delivery| Receipt { id: d.id, status: DELIVERED, gas_used: 0 };
        exchange.deliveries(&name("b")).iter().map(receipt).collect()
    };
    let all = receipts(&ready());
    let forged = Receipt { id: H256::zero(), ..all[0] };
    let cases: [(Vec<Receipt>, Option<usize>); 6] = [
        (vec![], None),
        (vec![all[0]], None),
        (vec![all[1], all[0]], Some(0)),
        (vec![all[0], all[0]], Some(1)),
        (vec![all[0], all[1], all[1]], None),
        (vec![all[0], forged], Some(1)),
    ];
    for (receipts, index) in cases {
        let mut exchange = ready();
        let got = receipts.len();
        exchange.settle(name("b"), receipts);
        let books = no_books(&exchange);
        assert_eq!(problem(&mut exchange, &books), Problem::Receipts { expected: 2, got, index });
    }
    let mut exchange = ready();
    exchange.settle(name("a"), vec![all[0]]);
    let books = no_books(&exchange);
    assert_eq!(problem(&mut exchange, &books), Problem::Receipts { expected: 0, got: 1, index: None });
    let mut exchange = ready();
    exchange.settle(name("x"), vec![]);
    assert_eq!(problem(&mut exchange, &books), Problem::UnknownEnvironment);
    let mut exchange = ready();
    exchange.settle(name("b"), all);
    assert!(exchange.barrier(&books).is_ok());
}

#[test]
fn books_that_do_not_close_breach() {
    let five = U256::from(5);
    let holdings = |native, locked, asset, supply, claimable| Holdings {
        native,
        locked,
        assets: vec![(name(asset), Holding { supply, claimable })],
    };
    let (zero, one) = (U256::zero(), U256::one());
    let carry = |exchange: &mut Exchange| {
        exchange.collect(name("a"), [Message { value: five, ..message("a", "b", 0, 0) }]);
    };
    let check = |of_a: Holdings, of_b: Holdings| {
        let mut exchange = pair();
        carry(&mut exchange);
        let books = [("a", of_a), ("b", of_b)].map(|(id, holdings)| (name(id), Books { holdings, supply: None }));
        exchange.barrier(&books.into()).map_err(|breach| breach.problem).map(|report| report.assets)
    };
    assert!(check(holdings(five, five, "a", zero, zero), Holdings::default()).is_ok());
    // Locked and owned by more than is needed: somebody gave it.
    assert!(check(holdings(U256::MAX, five, "a", zero, zero), Holdings::default()).is_ok());
    let uncovered = Err(Box::new(Problem::Uncovered { locked: five, native: five - 1 }));
    assert_eq!(check(holdings(five - 1, five, "a", zero, zero), Holdings::default()), uncovered);
    let breach =
        |locked, abroad, claimable| Err(Box::new(Problem::Conservation { locked, abroad, in_flight: five, claimable }));
    assert_eq!(check(holdings(five, five - 1, "a", zero, zero), Holdings::default()), breach(five - 1, zero, zero));
    assert_eq!(
        check(holdings(five, five, "a", zero, zero), holdings(zero, zero, "a", one, zero)),
        breach(five, one, zero)
    );
    assert_eq!(
        check(holdings(five, five, "a", zero, zero), holdings(zero, zero, "a", zero, one)),
        breach(five, zero, one)
    );
    assert_eq!(
        check(holdings(five, five, "a", zero, zero), holdings(zero, zero, "a", U256::MAX, zero)),
        Err(Box::new(Problem::Overflow))
    );
    assert_eq!(
        check(holdings(five, five, "a", zero, zero), holdings(zero, zero, "x", one, zero)),
        Err(Box::new(Problem::UnknownEnvironment))
    );

    // A sum of balances that changes, and books that are missing.
    let mut exchange = pair();
    let mut books = no_books(&exchange);
    books.insert(name("b"), Books { supply: Some(five), ..Books::default() });
    assert!(exchange.barrier(&books).is_ok());
    let mut restored = Exchange::from_bytes(exchange.config().clone(), &exchange.to_bytes()).expect("an exchange");
    books.insert(name("b"), Books { supply: Some(five + 1), ..Books::default() });
    assert_eq!(problem(&mut restored, &books), Problem::Supply { expected: five, got: five + 1 });
    books.remove(&name("b"));
    assert_eq!(problem(&mut exchange, &books), Problem::Unreported);
}

#[test]
fn breaches_say_what_and_where() {
    let mut exchange = pair();
    let mut books = no_books(&exchange);
    let holdings = Holdings { native: U256::from(9), locked: U256::from(9), assets: Vec::new() };
    books.insert(name("b"), Books { holdings, supply: None });
    let breach = exchange.barrier(&books).expect_err("a breach");
    let expected = "epoch 0: b: its asset is not conserved: 9 locked at home, but 0 abroad + 0 in flight + 0 claimable";
    assert_eq!(breach.to_string(), expected);
}

#[test]
fn impossible_configurations_are_errors() {
    let policy = MessagePolicy::default;
    let least = EXCHANGE_REFUND + EXCHANGE_DELIVERY;
    let of = |inbox_gas| Exchange::new(config(&[("a", MessagePolicy { inbox_gas, ..policy() })])).map(|_| ());
    let environment = name("a");
    assert_eq!(of(least), Ok(()));
    assert_eq!(of(least - 1), Err(ConfigError::InboxGasTooLow { environment, least, got: least - 1 }));
    let unnamed = Config { environments: [(EnvironmentId::default(), policy())].into(), ..Config::default() };
    assert_eq!(Exchange::new(unnamed).map(|_| ()), Err(ConfigError::NoName));
    let subscribe = |subscriber, source, gas| {
        let mut config = config(&[("a", policy()), ("b", policy())]);
        let slot = U256::zero();
        config.subscriptions = vec![Subscription {
            subscriber: name(subscriber),
            to: ACCOUNT,
            gas,
            source: name(source),
            account: ACCOUNT,
            slot,
        }];
        Exchange::new(config).map(|_| ())
    };
    let most = policy().inbox_gas - EXCHANGE_DELIVERY;
    assert_eq!(subscribe("a", "b", most), Ok(()));
    let subscriber = name("a");
    assert_eq!(
        subscribe("a", "b", most + 1),
        Err(ConfigError::SubscriptionGas { index: 0, subscriber, most, got: most + 1 })
    );
    assert_eq!(subscribe("x", "b", 1), Err(ConfigError::UnknownEnvironment { index: 0, name: name("x") }));
    assert_eq!(subscribe("a", "x", 1), Err(ConfigError::UnknownEnvironment { index: 0, name: name("x") }));
}

#[test]
fn damaged_journals_are_errors() {
    let mut exchange = pair();
    exchange.collect(name("a"), (0..3).map(|nonce| message("a", "b", nonce, 0)));
    step(&mut exchange, DELIVERED);
    let bytes = exchange.to_bytes();
    let config = exchange.config().clone();
    let restore = |bytes: &[u8]| Exchange::from_bytes(config.clone(), bytes).map(|exchange| exchange.digest());
    assert_eq!(restore(&bytes), Ok(exchange.digest()));
    for length in 0..bytes.len() {
        let error = restore(&bytes[..length]).expect_err("cut");
        assert!(matches!(error, RestoreError::Damaged { .. } | RestoreError::Short(_)), "{length}: {error}");
    }
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        assert!(matches!(restore(&damaged), Err(RestoreError::Damaged { .. })), "bit 0 of byte {place}");
    }
    let other = Config { manifest: H256::repeat_byte(1), ..config.clone() };
    assert!(matches!(Exchange::from_bytes(other, &bytes), Err(RestoreError::Manifest { .. })));
    let signed = |body: &[u8]| [body, &isolane::cpu::crypto::keccak256(body).0].concat();
    for body in [&[][..], &[0xc0], &[0x80], &[0xff; 40], &bytes[..bytes.len() - 33]] {
        assert!(matches!(restore(&signed(body)), Err(RestoreError::Form(_))), "{}", hex::encode(body));
    }
    let fewer = Config { environments: [(name("a"), MessagePolicy::default())].into(), ..config };
    assert!(matches!(Exchange::from_bytes(fewer, &bytes), Err(RestoreError::Form(_))));
}
