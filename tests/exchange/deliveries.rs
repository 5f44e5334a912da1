//! What arrives, what does not, and what comes back.

use crate::world::{
    ALICE, BOB, Epoch, Mode, PROBE, Place, Plan, Probe, RICH, World, address, assert_reverts, assert_success, name,
    runtime, send, sol, word,
};
use alloy_primitives::B256;
use alloy_sol_types::SolCall;
use isolane::cpu::Machine;
use isolane::cpu::exchange::abi::IExchange;
use isolane::exchange::{Event, Subscription};
use isolane::spec::{
    AccountInfo, Bytes, EXCHANGE_ADDRESS, EnvironmentId, ExecutionError, Failure, Fork, H160, Halt, Kind,
    MessagePolicy, Status, U256,
};

fn only(epoch: &Epoch) -> Vec<Event> {
    epoch.report.entries.iter().map(|entry| entry.event).collect()
}

#[test]
fn an_asset_travels_out_and_on_and_home() {
    let policy = MessagePolicy::default;
    let (a, b, c) = (name("a"), name("b"), name("c"));
    let mut world = World::new(
        &[("a", Fork::Osaka, policy()), ("b", Fork::Berlin, policy()), ("c", Fork::Cancun, policy())],
        vec![],
    );
    world.step(&[Plan::direct(a, 100, &send(b, ALICE, 100))]);
    assert_eq!((world.native(a, ALICE), world.abroad(b, a, ALICE)), (RICH - 100, 0));
    assert_eq!(only(&world.step(&[])), [Event::Delivered]);
    assert_eq!(world.abroad(b, a, ALICE), 100);
    // Given away there, and sent on, part of it home.
    let transfer = IExchange::transferCall { asset: word(a), to: address(BOB), value: sol(40) };
    let on = |to, account, value| IExchange::sendCall { asset: word(a), ..send(to, account, value) };
    world.step(&[
        Plan::direct(b, 0, &transfer),
        Plan::direct(b, 0, &on(c, ALICE, 25)),
        Plan::direct(b, 0, &on(a, BOB, 30)).from(BOB),
    ]);
    let epoch = world.step(&[]);
    assert_eq!(only(&epoch), [Event::Delivered; 2]);
    assert_eq!((world.abroad(b, a, ALICE), world.abroad(b, a, BOB)), (35, 10));
    assert_eq!(world.abroad(c, a, ALICE), 25);
    assert_eq!(world.native(a, BOB), RICH + 30);
    assert_eq!(world.native(a, EXCHANGE_ADDRESS), 70);
    let asset = epoch.report.assets.iter().find(|report| report.asset == a).expect("the asset");
    assert_eq!((asset.locked, asset.abroad), (U256::from(70), U256::from(70)));
    assert_eq!((asset.in_flight, asset.claimable), (U256::zero(), U256::zero()));
    // More than there is goes nowhere.
    let epoch = world.step(&[Plan::direct(c, 0, &on(a, BOB, 26))]);
    let poor = IExchange::InsufficientBalance { asset: word(a), balance: sol(25), required: sol(26) };
    assert_reverts(&epoch.outcomes[0], &poor);
}

#[test]
fn the_callee_can_ask_who_calls() {
    let (a, b) = (name("a"), name("b"));
    let mut world = World::pair();
    let first = world.step(&[Plan::probe(a, 0, &send(b, ALICE, 0)), Plan::probe(a, 5, &send(b, PROBE, 5))]);
    let id = first.events(Event::Sent)[1].id;
    let epoch = world.step(&[]);
    assert_eq!(only(&epoch), [Event::Delivered; 2]);
    let last = world.view(b, PROBE, &Probe::lastCall {});
    assert_eq!((last.kind, last.id, last.source), (2, B256::new(id.0), word(a)));
    assert_eq!((last.sender, last.nonce, last.epoch), (address(PROBE), 1, 0));
    assert_eq!((last.asset, last.value, last.failure), (word(a), sol(5), 0));
    assert_eq!(world.view(b, PROBE, &Probe::lastValueCall {}), sol(0), "what is from abroad is no msg.value");
    assert_eq!(world.abroad(b, a, PROBE), 5);
    // At home it is.
    let home = IExchange::sendCall { asset: word(a), ..send(a, PROBE, 5) };
    world.step(&[Plan::probe(b, 0, &home)]);
    world.step(&[]);
    assert_eq!(world.view(a, PROBE, &Probe::lastValueCall {}), sol(5));
    assert_eq!(world.native(a, PROBE), 5);
}

#[test]
fn what_fails_comes_back_an_epoch_later() {
    let (a, b) = (name("a"), name("b"));
    for (mode, failure) in [(Mode::Revert, Failure::Reverted), (Mode::Burn, Failure::Halted)] {
        let mut world = World::pair();
        // To write down what comes back takes more gas than a refund has.
        let modest = Plan::set_mode(a, Mode::Return, Bytes::new());
        world.step(&[modest, Plan::set_mode(b, mode, Bytes::new()), Plan::probe(a, 8, &send(b, PROBE, 8))]);
        let epoch = world.step(&[]);
        assert_eq!(only(&epoch), [Event::Failed(failure)]);
        assert_eq!((world.abroad(b, a, PROBE), world.native(a, PROBE)), (0, 0));
        let failed = epoch.report.entries[0].id;
        let epoch = world.step(&[]);
        assert_eq!(only(&epoch), [Event::Delivered]);
        assert_eq!(epoch.report.entries[0].message.kind, Kind::Refund { id: failed, failure });
        assert_eq!(world.native(a, PROBE), 8);
        assert!(world.step(&[]).report.entries.is_empty());
    }
}

#[test]
fn gas_exhaustion_on_delivery_is_a_failure_and_a_plain_account_needs_no_gas() {
    let (a, b) = (name("a"), name("b"));
    let mut world = World::pair();
    let of = |to, gas| IExchange::sendCall { gasLimit: gas, ..send(b, to, 1) };
    world.step(&[Plan::direct(a, 1, &of(PROBE, 1_000)), Plan::direct(a, 1, &of(ALICE, 0))]);
    let epoch = world.step(&[]);
    assert_eq!(only(&epoch), [Event::Failed(Failure::Halted), Event::Delivered]);
    assert_eq!(epoch.delivered[0].1.status, Status::Halt(Halt::OutOfGas));
    assert_eq!((epoch.delivered[0].1.gas_used, epoch.delivered[1].1.gas_used), (1_000, 0));
    world.step(&[]);
    assert_eq!(world.native(a, ALICE), RICH - 1);
}

#[test]
fn the_sender_learns_which_message_failed() {
    let (a, b) = (name("a"), name("b"));
    let mut world = World::pair();
    for id in [a, b] {
        install(&mut world.places, id, H160([0x11; 20]), "PingPong");
    }
    let serve = |value: u64, rounds| {
        let mut input = isolane::cpu::crypto::keccak256(b"serve(bytes32,address,uint256)").0[..4].to_vec();
        input.extend_from_slice(&b.0.0);
        input.extend_from_slice(&[[0; 12].as_slice(), &[if rounds > 0 { 0x11 } else { 0x9b }; 20]].concat());
        input.extend_from_slice(&U256::from(rounds).to_big_endian());
        Plan::new(a, H160([0x11; 20]), value, input)
    };
    world.step(&[Plan::set_mode(b, Mode::Revert, Bytes::new()), serve(6, 0)]);
    let failed = world.step(&[]).report.entries[0].id;
    assert_eq!(only(&world.step(&[])), [Event::Delivered]);
    let slots = &world.places[&a].state.accounts[&H160([0x11; 20])].storage;
    assert!(slots.values().any(|value| *value == isolane::spec::word::from_hash(&failed)), "{slots:?}");
    assert_eq!(world.native(a, H160([0x11; 20])), 6);
    // Four rounds of a ball between the two.
    world.step(&[serve(0, 4)]);
    for _ in 0..5 {
        assert_eq!(world.step(&[]).events(Event::Delivered).len(), 1);
    }
    assert_eq!(world.exchange.waiting(&a) + world.exchange.waiting(&b), 0);
    let hits = |id| world.places[&id].state.accounts[&H160([0x11; 20])].storage.get(&U256::zero()).copied();
    assert_eq!((hits(a), hits(b)), (Some(U256::from(2)), Some(U256::from(3))));
}

fn install(places: &mut std::collections::BTreeMap<EnvironmentId, Place>, id: EnvironmentId, at: H160, contract: &str) {
    let code = runtime(contract);
    let info = AccountInfo { nonce: 1, code_hash: isolane::cpu::crypto::keccak256(&code), ..AccountInfo::default() };
    places.get_mut(&id).expect("an environment").state.insert(at, info, code, []);
}

#[test]
fn a_token_travels_and_comes_back_when_it_cannot_arrive() {
    let (a, b) = (name("a"), name("b"));
    let token = H160([0x70; 20]);
    let mut world = World::pair();
    install(&mut world.places, a, token, "TravellingToken");
    alloy_sol_types::sol! {
        interface Token {
            function mint(address to, uint256 amount) external;
            function travel(bytes32 destination, address to, uint256 amount, uint64 timeout) external returns (bytes32);
            function balanceOf(address account) external view returns (uint256);
            function totalSupply() external view returns (uint256);
        }
    }
    let travel = |amount: u64| {
        let call = Token::travelCall { destination: word(b), to: address(BOB), amount: sol(amount), timeout: u64::MAX };
        Plan::new(a, token, 0, call.abi_encode())
    };
    let mint = Token::mintCall { to: address(ALICE), amount: sol(100) };
    // At first nothing is there, and a call to an account without code succeeds: so put a contract there that refuses.
    install(&mut world.places, b, token, "Probe");
    world.step(&[
        Plan::new(a, token, 0, mint.abi_encode()),
        Plan { to: token, ..Plan::set_mode(b, Mode::Revert, Bytes::new()) },
        travel(30),
    ]);
    let supply = |world: &World, id| world.view(id, token, &Token::totalSupplyCall {});
    assert_eq!(supply(&world, a), sol(70));
    assert_eq!(only(&world.step(&[])), [Event::Failed(Failure::Reverted)]);
    assert_eq!(only(&world.step(&[])), [Event::Delivered]);
    assert_eq!(supply(&world, a), sol(100));
    assert_eq!(world.view(a, token, &Token::balanceOfCall { account: address(ALICE) }), sol(100));
    // Now with the token on the other side.
    world.places.get_mut(&b).expect("b").state.accounts.remove(&token);
    install(&mut world.places, b, token, "TravellingToken");
    assert_success(&world.step(&[travel(30)]).outcomes[0]);
    assert_eq!(only(&world.step(&[])), [Event::Delivered]);
    assert_eq!((supply(&world, a), supply(&world, b)), (sol(70), sol(30)));
    assert_eq!(world.view(b, token, &Token::balanceOfCall { account: address(BOB) }), sol(30));
}

#[test]
fn a_refund_that_fails_can_be_claimed() {
    let (a, b) = (name("a"), name("b"));
    let mut world = World::pair();
    let refuse = |id| Plan::set_mode(id, Mode::Revert, Bytes::new());
    world.step(&[refuse(a), refuse(b), Plan::probe(a, 8, &send(b, PROBE, 8))]);
    assert_eq!(only(&world.step(&[])), [Event::Failed(Failure::Reverted)]);
    let epoch = world.step(&[]);
    assert_eq!(only(&epoch), [Event::Claimable]);
    assert_eq!((world.native(a, PROBE), world.claimable(a, a, PROBE)), (0, 8));
    let asset = epoch.report.assets.iter().find(|report| report.asset == a).expect("the asset");
    assert_eq!((asset.locked, asset.claimable), (U256::from(8), U256::from(8)));
    // Its owner fetches it, once.
    let claim = IExchange::claimCall { asset: B256::ZERO, to: address(BOB) };
    let epoch = world.step(&[Plan::probe(a, 0, &claim), Plan::probe(a, 0, &claim)]);
    assert_success(&epoch.outcomes[0]);
    let none = IExchange::NothingClaimable { asset: word(a), account: address(PROBE) };
    assert_reverts(&epoch.outcomes[1], &none);
    assert_eq!((world.native(a, BOB), world.claimable(a, a, PROBE)), (RICH + 8, 0));
    assert_eq!(world.native(a, EXCHANGE_ADDRESS), 0);

    // The same with an asset from abroad: it is claimed into the ledger.
    world.step(&[Plan::direct(b, 6, &send(a, PROBE, 6))]);
    world.step(&[]);
    // Mode Revert took nothing in: send it to Alice instead, who gives it to the probe.
    world.step(&[Plan::direct(b, 6, &send(a, ALICE, 6))]);
    let give = IExchange::transferCall { asset: word(b), to: address(PROBE), value: sol(6) };
    world.step(&[Plan::direct(a, 0, &give)]);
    let back = IExchange::sendCall { asset: word(b), ..send(b, PROBE, 6) };
    assert_success(&world.step(&[Plan::probe(a, 0, &back)]).outcomes[0]);
    world.step(&[]);
    assert_eq!(only(&world.step(&[])), [Event::Claimable]);
    assert_eq!(world.claimable(a, b, PROBE), 6);
    let claim = IExchange::claimCall { asset: word(b), to: address(BOB) };
    assert_success(&world.step(&[Plan::probe(a, 0, &claim)]).outcomes[0]);
    assert_eq!(world.abroad(a, b, BOB), 6);
}

#[test]
fn reentering_the_exchange_moves_nothing_twice() {
    let (a, b) = (name("a"), name("b"));
    let mut world = World::pair();
    // Twelve of b's asset go to a and come home to the probe, which sends the same home again from within.
    world.step(&[Plan::direct(b, 12, &send(a, ALICE, 12))]);
    world.step(&[]);
    let give = IExchange::transferCall { asset: word(b), to: address(PROBE), value: sol(12) };
    world.step(&[Plan::direct(a, 0, &give)]);
    let little = |to, value| IExchange::sendCall { gasLimit: 20_000, ..send(a, to, value) };
    let home = IExchange::sendCall { asset: word(b), gasLimit: 1_200_000, ..send(b, PROBE, 12) };
    for reentry in [
        little(ALICE, 12).abi_encode(),
        IExchange::sendCall { asset: word(b), ..little(ALICE, 12) }.abi_encode(),
        IExchange::claimCall { asset: word(b), to: address(BOB) }.abi_encode(),
        IExchange::transferCall { asset: word(b), to: address(BOB), value: sol(1) }.abi_encode(),
    ] {
        let mut world = world.clone();
        world.step(&[Plan::set_mode(b, Mode::Reenter, reentry.into())]);
        world.step(&[Plan::probe(a, 0, &home)]);
        assert_eq!(only(&world.step(&[])), [Event::Delivered]);
        assert!(!world.view(b, PROBE, &Probe::reentrySucceededCall {}), "it has nothing of that");
        assert_eq!((world.native(b, PROBE), world.native(b, EXCHANGE_ADDRESS)), (12, 0));
    }
    // A message without value goes out from within, and arrives.
    world.step(&[Plan::set_mode(b, Mode::Reenter, little(BOB, 0).abi_encode().into())]);
    world.step(&[Plan::probe(a, 0, &home)]);
    assert_eq!(only(&world.step(&[])), [Event::Delivered, Event::Sent]);
    assert!(world.view(b, PROBE, &Probe::reentrySucceededCall {}));
    assert_eq!(only(&world.step(&[])), [Event::Delivered]);
}

#[test]
fn a_delivery_that_overflows_a_balance_fails() {
    let (a, b) = (name("a"), name("b"));
    let mut world = World::pair();
    world.step(&[Plan::direct(a, 5, &send(b, ALICE, 5))]);
    world.step(&[]);
    let mut machine = Machine::new({
        let account = world.places.get_mut(&a).expect("a").state.accounts.get_mut(&BOB).expect("Bob");
        account.info.balance = U256::MAX - 4;
        world.environment(a, None)
    });
    world.step_only_send(b, &IExchange::sendCall { asset: word(a), ..send(a, BOB, 5) });
    let [delivery] = &world.exchange.deliveries(&a)[..] else { panic!("one delivery") };
    let outcome = machine.deliver(delivery).expect("an outcome");
    assert_eq!(outcome.status, Status::Halt(Halt::CallRefused));
    assert!(outcome.diff.iter().all(|diff| diff.address == EXCHANGE_ADDRESS), "only that it was received");
}

#[test]
fn a_machine_takes_a_delivery_once_and_only_its_own() {
    let (a, b) = (name("a"), name("b"));
    let mut world = World::pair();
    world.step(&[Plan::direct(a, 5, &send(b, ALICE, 5)), Plan::direct(a, 5, &send(b, ALICE, 5))]);
    let deliveries = world.exchange.deliveries(&b);
    let mut machine = Machine::new(world.environment(b, None));
    assert!(machine.deliver(&deliveries[0]).is_ok());
    let again = machine.deliver(&deliveries[0]);
    assert_eq!(again, Err(ExecutionError::Replayed { source: a, nonce: 0, next: 1 }));
    assert!(machine.deliver(&deliveries[1]).is_ok());
    assert!(machine.deliver(&deliveries[0]).is_err());
    let mut machine = Machine::new(world.environment(a, None));
    assert!(matches!(machine.deliver(&deliveries[0]), Err(ExecutionError::Undeliverable(_))));
    let mut plain = world.environment(b, None);
    plain.messaging = None;
    assert!(matches!(Machine::new(plain).deliver(&deliveries[0]), Err(ExecutionError::Undeliverable(_))));
    // A message home that carries more than is locked there.
    let mut forged = deliveries[0].clone();
    forged.message.asset = b;
    let mut machine = Machine::new(world.environment(b, None));
    assert!(matches!(machine.deliver(&forged), Err(ExecutionError::Undeliverable(_))));
    assert!(machine.deliver(&deliveries[0]).is_ok(), "the machine is as before");
}

#[test]
fn what_is_rolled_back_is_refunded_and_a_refund_then_goes_to_the_ledger() {
    let (a, b) = (name("a"), name("b"));
    let mut world = World::pair();
    world.step(&[Plan::direct(a, 5, &send(b, ALICE, 5))]);
    world.roll_back = vec![b];
    assert_eq!(only(&world.step(&[])), [Event::Failed(Failure::RolledBack)]);
    world.roll_back = vec![a];
    assert_eq!(only(&world.step(&[])), [Event::Deferred]);
    assert_eq!(only(&world.step(&[])), [Event::Deferred]);
    world.roll_back.clear();
    assert_eq!(only(&world.step(&[])), [Event::Claimable]);
    assert_eq!(world.claimable(a, a, ALICE), 5);
    assert_eq!(world.abroad(b, a, ALICE), 0);
}

#[test]
fn subscribers_get_slots_that_change() {
    let (a, b) = (name("a"), name("b"));
    let policy = MessagePolicy::default;
    let subscription =
        Subscription { subscriber: b, to: PROBE, gas: 200_000, source: a, account: PROBE, slot: U256::zero() };
    let places = [("a", Fork::Prague, policy()), ("b", Fork::Prague, policy())];
    let mut world = World::new(&places, vec![subscription]);
    let set = |mode| Plan::set_mode(a, mode, Bytes::new());
    let epoch = world.step(&[set(Mode::Revert), set(Mode::Burn)]);
    assert_eq!(only(&epoch), [Event::Sent], "the last value of the epoch alone");
    assert_eq!(epoch.report.entries[0].message.kind, Kind::State);
    assert_eq!(only(&world.step(&[])), [Event::Delivered]);
    let seen = |world: &World| {
        let value = world.view(b, PROBE, &Probe::stateValueCall {});
        (value.0[31], world.view(b, PROBE, &Probe::stateEpochCall {}))
    };
    assert_eq!(seen(&world), (Mode::Burn as u8, 0));
    // There and back again within an epoch is no change.
    assert!(world.step(&[set(Mode::Revert), set(Mode::Burn)]).report.entries.is_empty());
    // Zero is a value, and the epoch is that of the change.
    world.step(&[set(Mode::Accept)]);
    world.step(&[]);
    assert_eq!(seen(&world), (0, 3));
    // Who cannot take it does not get it, and nobody gets anything back.
    world.places.get_mut(&b).expect("b").state.accounts.remove(&PROBE);
    install(&mut world.places, b, PROBE, "PingPong");
    world.step(&[set(Mode::Burn)]);
    assert_eq!(only(&world.step(&[])), [Event::Failed(Failure::Reverted)]);
    assert!(world.step(&[]).report.entries.is_empty());
}
