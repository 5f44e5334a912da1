//! What contracts and transactions can do to the system address, and what it refuses.

use crate::world::{
    ALICE, BOB, NEVER, PROBE, Plan, Probe, RICH, World, address, assert_reverts, assert_success, forward, name, send,
    sol, word,
};
use alloy_primitives::{Address, B256, FixedBytes};
use alloy_sol_types::SolCall;
use isolane::cpu::exchange::abi::IExchange;
use isolane::cpu::{Available, Machine};
use isolane::exchange::Event;
use isolane::spec::gas::{EXCHANGE_REFUND, EXCHANGE_SEND, EXCHANGE_SEND_BYTE};
use isolane::spec::{
    BlockContext, Bytes, EXCHANGE_ADDRESS, Environment, Fork, Halt, Kind, MessagePolicy, Order, Outcome, Peers, Rules,
    Status, Transaction, U256,
};
use std::sync::Arc;

/// One transaction of Alice's in the first epoch of `a`.
fn one(plan: Plan) -> Outcome {
    World::pair().step(&[plan]).outcomes.remove(0)
}

#[test]
fn a_message_has_all_that_was_asked_for() {
    let (a, b) = (name("a"), name("b"));
    let call = IExchange::sendCall {
        gasLimit: 123_456,
        timeout: 9,
        refund: address(BOB),
        data: vec![1, 2, 3].into(),
        ..send(b, BOB, 77)
    };
    for (plan, sender) in [(Plan::direct(a, 77, &call), ALICE), (Plan::probe(a, 77, &call), PROBE)] {
        let mut world = World::pair();
        let epoch = world.step(&[plan]);
        let outcome = &epoch.outcomes[0];
        assert_success(outcome);
        let [message] = &outcome.messages[..] else { panic!("{:?}", outcome.messages) };
        assert_eq!((message.kind, message.source, message.destination), (Kind::Call, a, b));
        assert_eq!((message.nonce, message.epoch, message.timeout), (0, 0, 9));
        assert_eq!((message.sender, message.to, message.refund), (sender, BOB, BOB));
        assert_eq!((message.asset, message.value, message.gas), (a, U256::from(77), 123_456));
        assert_eq!(message.data[..], [1, 2, 3]);
        let sent = epoch.events(Event::Sent);
        assert_eq!(sent.len(), 1);
        // What the contract was told is what the exchange calls it; the probe wraps it in a byte string.
        let told = if sender == ALICE {
            outcome.output.to_vec()
        } else {
            Probe::forwardCall::abi_decode_returns(&outcome.output).expect("bytes").to_vec()
        };
        assert_eq!(told, sent[0].id.0);
        assert_eq!(world.native(a, EXCHANGE_ADDRESS), 77);
    }
}

#[test]
fn sends_are_numbered_by_destination() {
    let (a, b) = (name("a"), name("b"));
    let mut world = World::pair();
    let plans = [b, a, b, b, a].map(|to| Plan::direct(a, 0, &send(to, BOB, 0)));
    let nonces = |outcomes: &[Outcome]| outcomes.iter().map(|o| o.messages[0].nonce).collect::<Vec<_>>();
    assert_eq!(nonces(&world.step(&plans).outcomes), [0, 0, 1, 2, 1]);
    assert_eq!(nonces(&world.step(&plans).outcomes), [3, 2, 4, 5, 3]);
}

#[test]
fn an_undone_frame_sends_nothing() {
    let (a, b) = (name("a"), name("b"));
    let mut world = World::pair();
    let call = Probe::forwardUndoneCall { call: send(b, BOB, 5).abi_encode().into() };
    let epoch = world.step(&[Plan::new(a, PROBE, 5, call.abi_encode())]);
    assert_success(&epoch.outcomes[0]);
    assert_eq!(epoch.outcomes[0].messages.len(), 1, "the message of the frame that was kept");
    assert_eq!(epoch.outcomes[0].messages[0].nonce, 0);
    assert_eq!(world.native(a, EXCHANGE_ADDRESS), 5);
    // A transaction that fails as a whole sends nothing either.
    let plan =
        Plan { gas: 700_000, ..Plan::probe(a, 5, &IExchange::sendCall { gasLimit: 600_000, ..send(b, BOB, 5) }) };
    let epoch = world.step(&[plan]);
    assert!(!epoch.outcomes[0].status.is_success());
    assert!(epoch.outcomes[0].messages.is_empty());
}

#[test]
fn a_static_call_cannot_send_but_can_look() {
    let (a, b) = (name("a"), name("b"));
    let through = |call: Vec<u8>| Plan::new(a, PROBE, 0, Probe::forwardStaticCall { call: call.into() }.abi_encode());
    for call in [
        send(b, BOB, 0).abi_encode(),
        IExchange::claimCall { asset: word(a), to: address(BOB) }.abi_encode(),
        IExchange::transferCall { asset: word(b), to: address(BOB), value: sol(0) }.abi_encode(),
    ] {
        let outcome = one(through(call));
        // The halt takes the gas of the call and says nothing.
        assert_eq!((outcome.status, outcome.output), (Status::Revert, Bytes::new()));
        assert!(outcome.gas_used > 2_000_000, "{}", outcome.gas_used);
    }
    let outcome = one(through(IExchange::environmentCall {}.abi_encode()));
    assert_success(&outcome);
    let output = Probe::forwardStaticCall::abi_decode_returns(&outcome.output).expect("bytes");
    assert_eq!(output[..], a.0.0);
}

#[test]
fn what_cannot_be_sent_reverts_by_name() {
    let (a, b, c) = (name("a"), name("b"), name("c"));
    let direct = |value, call: IExchange::sendCall| one(Plan::direct(a, value, &call));
    assert_reverts(&direct(0, send(c, BOB, 0)), &IExchange::UnknownEnvironment { environment: word(c) });
    let exchange = address(EXCHANGE_ADDRESS);
    assert_reverts(&direct(0, send(b, EXCHANGE_ADDRESS, 0)), &IExchange::InvalidRecipient { account: exchange });
    let refund = IExchange::sendCall { refund: exchange, ..send(b, BOB, 0) };
    assert_reverts(&direct(0, refund), &IExchange::InvalidRecipient { account: exchange });
    assert_reverts(&direct(3, send(b, BOB, 4)), &IExchange::ValueMismatch { expected: sol(4), got: sol(3) });
    let abroad = IExchange::sendCall { asset: word(b), ..send(b, BOB, 4) };
    assert_reverts(&direct(4, abroad.clone()), &IExchange::ValueMismatch { expected: sol(0), got: sol(4) });
    let poor = IExchange::InsufficientBalance { asset: word(b), balance: sol(0), required: sol(4) };
    assert_reverts(&direct(0, abroad), &poor);
    let late = IExchange::sendCall { timeout: 0, ..send(b, BOB, 0) };
    assert_reverts(&direct(0, late), &IExchange::TimeoutPassed { timeout: 0, earliest: 1 });
    // One native asset by its two names.
    assert_success(&direct(4, IExchange::sendCall { asset: word(a), ..send(b, BOB, 4) }));
    assert_success(&direct(4, send(b, BOB, 4)));
}

#[test]
fn a_wrong_call_reverts_by_name() {
    let (a, b) = (name("a"), name("b"));
    let raw = |value, input: Vec<u8>| one(Plan::new(a, EXCHANGE_ADDRESS, value, input));
    let unknown = |selector| IExchange::UnknownFunction { selector: FixedBytes::new(selector) };
    assert_reverts(&raw(0, vec![]), &unknown([0; 4]));
    assert_reverts(&raw(0, vec![0xde, 0xad]), &unknown([0xde, 0xad, 0, 0]));
    assert_reverts(&raw(5, vec![]), &IExchange::NotPayable { value: sol(5) });
    assert_reverts(&raw(5, IExchange::epochCall {}.abi_encode()), &IExchange::NotPayable { value: sol(5) });
    let good = send(b, BOB, 0).abi_encode();
    for length in [4, 5, 36, good.len() - 33] {
        assert_reverts(&raw(0, good[..length].to_vec()), &IExchange::MalformedCall {});
    }
    // An address with dirty high bytes, an offset far outside, a number above 64 bits.
    for (place, byte) in [(4 + 32, 1), (4 + 7 * 32, 0xff), (4 + 4 * 32, 1)] {
        let mut bad = good.clone();
        bad[place] = byte;
        assert_reverts(&raw(0, bad), &IExchange::MalformedCall {});
    }
    let delegate = Probe::forwardDelegateCall { call: good.into() };
    assert_reverts(&one(Plan::new(a, PROBE, 0, delegate.abi_encode())), &IExchange::DirectCallOnly {});
    assert_reverts(&one(Plan::direct(a, 0, &IExchange::currentCall {})), &IExchange::NoOrigin {});
    let claim = IExchange::claimCall { asset: B256::ZERO, to: address(BOB) };
    let nothing = IExchange::NothingClaimable { asset: word(a), account: address(ALICE) };
    assert_reverts(&one(Plan::direct(a, 0, &claim)), &nothing);
    let to = Address::new(EXCHANGE_ADDRESS.0);
    let claim = IExchange::claimCall { asset: B256::ZERO, to };
    assert_reverts(&one(Plan::direct(a, 0, &claim)), &IExchange::InvalidRecipient { account: to });
    let transfer = IExchange::transferCall { asset: word(b), to, value: sol(0) };
    assert_reverts(&one(Plan::direct(a, 0, &transfer)), &IExchange::InvalidRecipient { account: to });
}

#[test]
fn the_outbox_has_two_caps_for_each_epoch() {
    let (a, b) = (name("a"), name("b"));
    let policy = MessagePolicy { outbox: 3, outbox_bytes: 100, ..MessagePolicy::default() };
    let mut world =
        World::new(&[("a", Fork::Cancun, policy), ("b", Fork::Cancun, MessagePolicy::default())], Vec::new());
    let of = |bytes: usize| IExchange::sendCall { data: vec![7; bytes].into(), ..send(b, BOB, 0) };
    let direct = |bytes| Plan::direct(a, 0, &of(bytes));
    let epoch = world.step(&[direct(0), direct(0), direct(0), direct(0)]);
    assert_reverts(&epoch.outcomes[3], &IExchange::OutboxFull { limit: 3 });
    assert_eq!(epoch.events(Event::Sent).len(), 3);
    // A new epoch, a new outbox; a send that fails takes nothing of it.
    let epoch = world.step(&[direct(99), direct(2), direct(1)]);
    assert_reverts(&epoch.outcomes[1], &IExchange::OutboxBytesExceeded { limit: 100 });
    assert_success(&epoch.outcomes[2]);
    // Within one transaction as well, and then none of it is sent.
    let many = Probe::forwardManyCall { call: of(0).abi_encode().into(), count: sol(4) };
    let epoch = world.step(&[Plan::new(a, PROBE, 0, many.abi_encode()), direct(0)]);
    assert_reverts(&epoch.outcomes[0], &IExchange::OutboxFull { limit: 3 });
    assert_success(&epoch.outcomes[1]);
}

#[test]
fn the_source_may_not_send_everywhere() {
    let (a, b, c) = (name("a"), name("b"), name("c"));
    let policy = MessagePolicy { send_to: Peers::Only(vec![b]), ..MessagePolicy::default() };
    let no_assets = MessagePolicy { assets: false, ..MessagePolicy::default() };
    let places =
        [("a", Fork::Cancun, policy), ("b", Fork::Cancun, no_assets), ("c", Fork::Cancun, MessagePolicy::default())];
    let mut world = World::new(&places, Vec::new());
    let epoch = world.step(&[
        Plan::direct(a, 0, &send(b, BOB, 0)),
        Plan::direct(a, 0, &send(c, BOB, 0)),
        Plan::direct(b, 1, &send(c, BOB, 1)),
        Plan::direct(b, 0, &send(c, BOB, 0)),
    ]);
    assert_success(&epoch.outcomes[0]);
    assert_reverts(&epoch.outcomes[1], &IExchange::DestinationDenied { destination: word(c) });
    assert_reverts(&epoch.outcomes[2], &IExchange::AssetsRefused {});
    assert_success(&epoch.outcomes[3]);
}

#[test]
fn gas_is_as_documented() {
    let (a, b) = (name("a"), name("b"));
    let call =
        |gas, bytes: usize| IExchange::sendCall { gasLimit: gas, data: vec![0; bytes].into(), ..send(b, BOB, 0) };
    let used = |gas, bytes| {
        let outcome = one(Plan::direct(a, 0, &call(gas, bytes)));
        assert_success(&outcome);
        outcome.gas_used
    };
    // 21,000, the input's own price, its 3 gas a word, and the function's price.
    let input = call(50_000, 0).abi_encode();
    let zeros = input.iter().filter(|byte| **byte == 0).count() as u64;
    let intrinsic = 21_000 + zeros * 4 + (input.len() as u64 - zeros) * 16;
    let words = 3 * input.len().div_ceil(32) as u64;
    assert_eq!(used(50_000, 0), intrinsic + words + EXCHANGE_SEND + EXCHANGE_REFUND + 50_000);
    // 64 zero bytes more: 4 + 16 gas each, 3 gas for each of two words; the length has as many bytes that are not zero
    // as 0 has zeros more.
    assert_eq!(used(50_000, 64) - used(50_000, 32), 32 * (4 + EXCHANGE_SEND_BYTE) + 3);
    assert_eq!(used(0x5150, 32) - used(0x5050, 32), 0x100);
    // One gas less than it costs is too little.
    let exact = intrinsic + words + EXCHANGE_SEND + EXCHANGE_REFUND + 50_000;
    let plan = Plan::direct(a, 0, &call(50_000, 0));
    assert_success(&one(Plan { gas: exact, ..plan.clone() }));
    assert_eq!(one(Plan { gas: exact - 1, ..plan }).status, Status::Halt(Halt::OutOfGas));
}

#[test]
fn without_messaging_the_address_is_like_any_other() {
    let (a, b) = (name("a"), name("b"));
    let world = World::pair();
    let environment = Environment { messaging: None, ..world.environment(a, None) };
    assert!(!environment.is_restricted());
    assert!(world.environment(a, None).is_restricted());
    let transaction = Transaction {
        sender: ALICE,
        gas_limit: 1_000_000,
        to: Some(EXCHANGE_ADDRESS),
        value: U256::from(3),
        input: send(b, BOB, 3).abi_encode().into(),
        ..Transaction::default()
    };
    let available = Available { gas: u64::MAX, blob_gas: 0 };
    let outcome = Machine::new(environment).transact(&transaction, available).expect("an outcome");
    assert_success(&outcome);
    assert!(outcome.messages.is_empty() && outcome.output.is_empty());
    assert_eq!(outcome.diff.iter().find(|d| d.address == EXCHANGE_ADDRESS).map(|d| d.storage.len()), Some(0));
}

#[test]
fn independent_transactions_cannot_send() {
    let (a, b) = (name("a"), name("b"));
    let environment = Environment { order: Order::Independent, ..World::pair().environment(a, None) };
    let input = send(b, BOB, 0).abi_encode().into();
    let transaction =
        Transaction { sender: ALICE, gas_limit: 1_000_000, to: Some(EXCHANGE_ADDRESS), input, ..Default::default() };
    let available = Available { gas: u64::MAX, blob_gas: 0 };
    let outcome = Machine::new(environment).transact(&transaction, available).expect("an outcome");
    assert_reverts(&outcome, &IExchange::IndependentOrder {});
}

#[test]
fn the_address_is_warm_and_comes_into_being_with_a_nonce_and_code() {
    let (a, b) = (name("a"), name("b"));
    let mut world = World::pair();
    let epoch = world.step(&[Plan::direct(a, 0, &send(b, BOB, 0))]);
    let diff = epoch.outcomes[0].diff.iter().find(|diff| diff.address == EXCHANGE_ADDRESS).expect("a change");
    let (address, info, code) = isolane::cpu::exchange::account();
    assert_eq!((diff.address, diff.before, diff.after), (address, None, Some(info)));
    assert_eq!(diff.code.as_ref(), Some(&code));
    // Nothing is left of it if it only looked.
    let outcome = one(Plan::direct(a, 0, &IExchange::balanceOfCall { asset: word(b), account: address_of_bob() }));
    assert!(outcome.diff.iter().all(|diff| diff.address != EXCHANGE_ADDRESS));
    assert_eq!(outcome.output[..], [0; 32]);
}

fn address_of_bob() -> Address {
    address(BOB)
}

#[test]
fn data_calls_see_the_start_of_the_epoch() {
    let (a, b) = (name("a"), name("b"));
    let mut world = World::pair();
    let get =
        IExchange::readCall { environment: word(a), to: address(PROBE), data: Probe::modeCall {}.abi_encode().into() };
    let set = Plan::set_mode(a, crate::world::Mode::Return, Bytes::new());
    // `a` runs before `b`, and still `b` sees how `a` was.
    let epoch = world.step(&[set, Plan::direct(b, 0, &get)]);
    let answer = |outcome: &Outcome| {
        assert_success(outcome);
        IExchange::readCall::abi_decode_returns(&outcome.output).expect("bytes")[31]
    };
    assert_eq!(answer(&epoch.outcomes[1]), 0);
    let epoch = world.step(&[Plan::direct(b, 0, &get)]);
    assert_eq!(answer(&epoch.outcomes[0]), crate::world::Mode::Return as u8);
    // The ledger abroad can be looked at like any contract; it does not read on from there.
    let ledger =
        |call: Vec<u8>| IExchange::readCall { environment: word(a), to: address(EXCHANGE_ADDRESS), data: call.into() };
    let looked = world.step(&[
        Plan::direct(b, 0, &ledger(IExchange::environmentCall {}.abi_encode())),
        Plan::direct(b, 0, &ledger(get.abi_encode())),
        Plan::direct(b, 0, &ledger(send(b, BOB, 0).abi_encode())),
    ]);
    assert_eq!(IExchange::readCall::abi_decode_returns(&looked.outcomes[0].output).expect("bytes")[..], a.0.0);
    let nested = alloy_sol_types::SolError::abi_encode(&IExchange::ReadUnavailable {});
    assert_reverts(&looked.outcomes[1], &IExchange::ReadReverted { output: nested.into() });
    assert_reverts(&looked.outcomes[2], &IExchange::ReadHalted {});
}

#[test]
fn data_calls_need_both_sides_and_have_a_cap() {
    let (a, b, c, d) = (name("a"), name("b"), name("c"), name("d"));
    let policy = MessagePolicy::default;
    let mut world = World::new(
        &[
            ("a", Fork::Cancun, MessagePolicy { read_from: Peers::Only(vec![b, c]), read_gas: 50_000, ..policy() }),
            ("b", Fork::Cancun, MessagePolicy { read_by: Peers::NONE, ..policy() }),
            ("c", Fork::Cancun, policy()),
            ("d", Fork::Cancun, policy()),
        ],
        Vec::new(),
    );
    let read = |environment, call: Vec<u8>| {
        let data = call.into();
        Plan::direct(a, 0, &IExchange::readCall { environment: word(environment), to: address(PROBE), data })
    };
    let mode = || Probe::modeCall {}.abi_encode();
    world.step(&[Plan::set_mode(c, crate::world::Mode::Burn, Bytes::new())]);
    // The probe burns only when the exchange calls it: that is who a data call comes from.
    let epoch = world.step(&[
        read(c, mode()),
        read(b, mode()),
        read(d, mode()),
        read(name("e"), mode()),
        read(c, vec![1, 2, 3, 4]),
    ]);
    assert_success(&epoch.outcomes[0]);
    assert_reverts(&epoch.outcomes[1], &IExchange::ReadDenied { environment: word(b) });
    assert_reverts(&epoch.outcomes[2], &IExchange::ReadDenied { environment: word(d) });
    assert_reverts(&epoch.outcomes[3], &IExchange::UnknownEnvironment { environment: word(name("e")) });
    assert_reverts(&epoch.outcomes[4], &IExchange::ReadHalted {});
    let burned = epoch.outcomes[4].gas_used - 21_000;
    assert!((50_000..60_000).contains(&burned), "the cap is all that it burns: {burned}");
    // Without a reader there is no data call.
    let mut machine = Machine::new(world.environment(a, None));
    let input = forward(&IExchange::readCall { environment: word(c), to: address(PROBE), data: mode().into() });
    let transaction =
        Transaction { sender: BOB, gas_limit: 1_000_000, to: Some(PROBE), input, ..Transaction::default() };
    let outcome = machine.transact(&transaction, Available { gas: u64::MAX, blob_gas: 0 }).expect("an outcome");
    assert_reverts(&outcome, &IExchange::ReadUnavailable {});
}

#[test]
fn a_sum_that_overflows_reverts() {
    // Locked so far plus the value exceeds 256 bits: only in a state where the exchange's account was given its slots.
    let (a, b) = (name("a"), name("b"));
    let mut world = World::pair();
    world.step(&[Plan::direct(a, 1, &send(b, BOB, 1))]);
    let place = world.places.get_mut(&a).expect("a");
    let account = place.state.accounts.get_mut(&EXCHANGE_ADDRESS).expect("the exchange");
    let locked = account.storage.iter().find(|(_, value)| **value == U256::one()).map(|(key, _)| *key);
    let candidates: Vec<U256> =
        account.storage.iter().filter(|(_, value)| **value == U256::one()).map(|(key, _)| *key).collect();
    assert!(locked.is_some());
    for key in candidates {
        account.storage.insert(key, U256::MAX);
    }
    let mut machine = Machine::new(world.environment(a, None));
    let input = send(b, BOB, RICH / 2);
    let transaction = Transaction {
        sender: BOB,
        gas_limit: 1_000_000,
        to: Some(EXCHANGE_ADDRESS),
        value: U256::from(RICH / 2),
        input: input.abi_encode().into(),
        ..Transaction::default()
    };
    let outcome = machine.transact(&transaction, Available { gas: u64::MAX, blob_gas: 0 }).expect("an outcome");
    assert_reverts(&outcome, &IExchange::ValueOverflow {});
}

#[test]
fn every_fork_has_messages() {
    for fork in Fork::ALL {
        let mut world =
            World::new(&[("a", fork, MessagePolicy::default()), ("b", fork, MessagePolicy::default())], Vec::new());
        let (a, b) = (name("a"), name("b"));
        let call = IExchange::sendCall { timeout: NEVER, ..send(b, BOB, 9) };
        let epoch = world.step(&[Plan::direct(a, 9, &call)]);
        assert_success(&epoch.outcomes[0]);
        let epoch = world.step(&[]);
        assert_eq!(epoch.events(Event::Delivered).len(), 1, "{fork}");
        assert_eq!(world.abroad(b, a, BOB), 9, "{fork}");
    }
    let block = BlockContext::default();
    let state = Arc::new(isolane::spec::MemoryState::default());
    assert!(Environment::new("plain", Rules::new(Fork::Prague, 1), block, state).messaging.is_none());
}

#[test]
fn random_call_data_never_breaks_the_machine() {
    use alloy_sol_types::SolInterface;
    let (a, b) = (name("a"), name("b"));
    let world = World::pair();
    let mut machine = Machine::new(world.environment(a, None));
    let mut rng = crate::rng::Rng::new(11);
    let selectors: Vec<_> = IExchange::IExchangeCalls::selectors().collect();
    let good = send(b, BOB, 0).abi_encode();
    let mut reverted = 0;
    for nonce in 0..20_000 {
        let mut input = if rng.once_in(2) {
            let mut input = selectors[rng.index(selectors.len())].to_vec();
            for _ in 0..rng.below(12) {
                // Small numbers, offsets near the end of 64 and 256 bits, and anything.
                let word = match rng.below(4) {
                    0 => U256::from(rng.below(300)),
                    1 => U256::from(u64::MAX - rng.below(40)),
                    2 => U256::MAX - rng.below(40),
                    _ => U256([rng.next(), rng.next(), rng.next(), rng.next()]),
                };
                input.extend_from_slice(&word.to_big_endian());
            }
            input
        } else {
            good.clone()
        };
        for _ in 0..rng.below(3) {
            if !input.is_empty() {
                let place = rng.index(input.len());
                input[place] ^= 1 << rng.below(8);
            }
        }
        input.truncate(input.len() - rng.index(input.len().min(40)));
        let transaction = Transaction {
            sender: ALICE,
            nonce,
            gas_limit: 700_000,
            to: Some(EXCHANGE_ADDRESS),
            input: input.into(),
            ..Transaction::default()
        };
        let available = Available { gas: u64::MAX, blob_gas: 0 };
        let outcome = machine.transact(&transaction, available).expect("the state answers");
        assert!(outcome.status.is_success() || outcome.messages.is_empty());
        reverted += u64::from(outcome.status == Status::Revert);
    }
    assert!((5_000..19_500).contains(&reverted), "both kinds: {reverted}");
}
