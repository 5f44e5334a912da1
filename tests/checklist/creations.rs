//! Creations that fail, repeat themselves or follow a destruction.

use crate::change;
use crate::world::{Asm, Check, HEIR, MAIN, OTHER, World, asm, create2_address, deploys, numbers, words};
use isolane::spec::opcode::op;
use isolane::spec::{Bytes, Fork, H160, Halt, Status, Transaction, U256};

/// CREATE2 of initcode in the call's own code, with a salt of 0; the address is on the stack then.
fn create2(code: Asm, init_code: &[u8], value: u64) -> Asm {
    code.memory(0, init_code).push(&[0, init_code.len() as u64, 0, value]).ops(&[op::CREATE2])
}

/// What is sent to an account in the transaction that destroys it is lost with it; afterwards it starts from nothing.
pub fn funds_after_destruction() -> Vec<Check> {
    let dies = asm(Fork::Shanghai).address(HEIR).ops(&[op::SELFDESTRUCT]).done();
    let kills = asm(Fork::Shanghai)
        .call(OTHER, [0, 0], [0, 0])
        .ops(&[op::POP])
        .push(&[0, 0, 0, 0, 3])
        .address(OTHER)
        .ops(&[op::GAS, op::CALL])
        .store(0)
        .give(1);
    vec![
        World::new("funds after destruction", Fork::Shanghai)
            .contract(MAIN, 10, kills)
            .contract(OTHER, 4, dies)
            .call(MAIN, Status::Success)
            .output(numbers(&[1]))
            .and(|outcome| {
                let dead = change(outcome, OTHER).expect("the account goes");
                assert_eq!(dead.after, None);
                // The 4 it had, and the 3 that its code passed on when it was called again.
                let heir = change(outcome, HEIR).and_then(|heir| heir.after).expect("an heir");
                assert_eq!(heir.balance, U256::from(7));
            })
            .transaction(Transaction { to: Some(OTHER), value: 7.into(), ..Transaction::default() }, Status::Success)
            .gas_used(21_000)
            .and(|outcome| {
                let again = change(outcome, OTHER).expect("it comes into being again");
                assert_eq!(again.before, None);
                let info = again.after.expect("it exists");
                assert_eq!((info.balance, info.nonce), (U256::from(7), 0));
                assert_eq!(info.code_hash, isolane::spec::KECCAK_EMPTY);
            })
            .done(),
    ]
}

/// A contract is created, destroyed and created again at the same address: its storage is empty each time.
pub fn created_again() -> Vec<Check> {
    // The initcode counts what it finds: slot 1 becomes slot 0 plus one, and slot 0 becomes 7.
    let init_code = |fork: Fork| {
        let before = asm(fork).push(&[0]).ops(&[op::SLOAD]).push(&[1]).ops(&[op::ADD]).push(&[1]).ops(&[op::SSTORE]);
        deploys(before.push(&[7, 0]).ops(&[op::SSTORE]), &[op::CALLER, op::SELFDESTRUCT])
    };
    // With input it calls the created contract, without it creates it.
    let factory = |fork: Fork| create2(asm(fork), &init_code(fork), 0).store(0).give(1);
    let fork = Fork::Shanghai;
    let address = create2_address(MAIN, 0, &init_code(fork));
    let word = |address: H160| words(&[U256::from_big_endian(&address.0)]);
    let shanghai = World::new("created again", fork)
        .contract(MAIN, 0, factory(fork))
        .call(MAIN, Status::Success)
        .output(word(address))
        .and(fresh)
        .call(MAIN, Status::Success)
        // It is there: a collision.
        .output(numbers(&[0]))
        .call(address, Status::Success)
        .call(MAIN, Status::Success)
        .output(word(address))
        .and(fresh)
        .done();

    // From Cancun on only within one transaction (EIP-6780): created and destroyed there, created again in the next.
    let fork = Fork::Osaka;
    let address = create2_address(MAIN, 0, &init_code(fork));
    let both = create2(asm(fork), &init_code(fork), 0).store(0).call(address, [0, 0], [0, 0]).store(1).give(2);
    let osaka = World::new("created again", fork)
        .contract(MAIN, 0, both)
        .call(MAIN, Status::Success)
        .output([word(address), numbers(&[1])].concat())
        .and(|outcome| assert!(outcome.diff.iter().all(|change| change.storage.is_empty())))
        .call(MAIN, Status::Success)
        .output([word(address), numbers(&[1])].concat())
        .and(|outcome| assert!(outcome.diff.iter().all(|change| change.storage.is_empty())))
        .done();
    vec![shanghai, osaka]
}

/// The created contract has found nothing in its storage.
fn fresh(outcome: &isolane::spec::Outcome) {
    let created = outcome.diff.iter().find(|change| change.before.is_none()).expect("a new account");
    let slots: Vec<(U256, U256, U256)> =
        created.storage.iter().map(|slot| (slot.key, slot.before, slot.after)).collect();
    assert_eq!(slots, [(0.into(), 0.into(), 7.into()), (1.into(), 0.into(), 1.into())]);
}

/// EIP-3860: initcode that is too long halts the creator, whether or not it could pay the value.
pub fn initcode_before_balance() -> Vec<Check> {
    let mut checks = Vec::new();
    for fork in [Fork::Shanghai, Fork::Osaka] {
        for opcode in [op::CREATE, op::CREATE2] {
            let code = |size: u64| asm(fork).push(&[0, size, 0, 6]).ops(&[opcode]).store(0).give(1);
            // Too long and too poor: a halt. Just short enough and too poor: a zero, and the creator goes on.
            checks.push(
                World::new("initcode before balance", fork)
                    .contract(MAIN, 5, code(49_153))
                    .contract(OTHER, 5, code(49_152))
                    .call(MAIN, Status::Halt(Halt::InitcodeTooLarge))
                    .gas_used(1_000_000)
                    .call(OTHER, Status::Success)
                    .output(numbers(&[0]))
                    .done(),
            );
        }
    }
    checks
}

/// A slot that was read stays warm when a creation fails after it: SLOAD costs 100, and 106 with what surrounds it.
pub fn slots_stay_warm() -> Vec<Check> {
    let measure = |code: Asm| code.ops(&[op::GAS]).push(&[0]).ops(&[op::SLOAD, op::POP, op::GAS, op::SWAP1, op::SUB]);
    let reverts = asm(Fork::Osaka).push(&[0, 0]).ops(&[op::REVERT]).done();
    let halts = Bytes::from_static(&[op::INVALID]);
    let mut checks = Vec::new();
    for init_code in [reverts, halts] {
        let code = asm(Fork::Osaka).push(&[0]).ops(&[op::SLOAD, op::POP]);
        let code = create2(code, &init_code, 0).store(0);
        checks.push(
            World::new("slots stay warm", Fork::Osaka)
                .contract(MAIN, 0, measure(code).store(1).give(2))
                .call(MAIN, Status::Success)
                .output(numbers(&[0, 106]))
                .done(),
        );
    }
    // A collision: the second of two equal creations.
    let init_code = deploys(asm(Fork::Osaka), &[op::STOP]);
    let code = create2(asm(Fork::Osaka).push(&[0]).ops(&[op::SLOAD, op::POP]), &init_code, 0).ops(&[op::POP]);
    let code = create2(code, &init_code, 0).store(0);
    checks.push(
        World::new("slots stay warm, collision", Fork::Osaka)
            .contract(MAIN, 0, measure(code).store(1).give(2))
            .call(MAIN, Status::Success)
            .output(numbers(&[0, 106]))
            .done(),
    );
    checks
}

/// CREATE2 without funds changes nothing, not even a nonce or a warm account; one whose initcode reverts leaves neither
/// account nor storage, but the nonce counts.
pub fn failed_create2() -> Vec<Check> {
    let fork = Fork::Osaka;
    let init_code = deploys(asm(fork).push(&[7, 0]).ops(&[op::SSTORE]), &[op::STOP]);
    let address = create2_address(MAIN, 0, &init_code);
    let cost = |code: Asm, address| {
        code.ops(&[op::GAS]).address(address).ops(&[op::BALANCE, op::POP, op::GAS, op::SWAP1, op::SUB])
    };
    // PUSH20 3, BALANCE 2600, POP 2, GAS 2.
    let poor = cost(create2(asm(fork), &init_code, 6).store(0), address).store(1).give(2);
    let writes = asm(fork).push(&[7, 0]).ops(&[op::SSTORE]).push(&[0, 0]).ops(&[op::REVERT]).done();
    let reverted = create2_address(OTHER, 0, &writes);
    let fails = cost(create2(asm(fork), &writes, 0).store(0), reverted).store(1).give(2);
    vec![
        World::new("failed CREATE2", fork)
            .contract(MAIN, 5, poor)
            .contract(OTHER, 5, fails)
            .call(MAIN, Status::Success)
            .output(numbers(&[0, 2607]))
            .and(|outcome| assert!(change(outcome, MAIN).is_none()))
            .call(OTHER, Status::Success)
            // Warm now: 100 in place of 2,600.
            .output(numbers(&[0, 107]))
            .and(|outcome| {
                let creator = change(outcome, OTHER).expect("its nonce rises");
                assert_eq!(creator.after.map(|info| info.nonce), Some(2));
                assert!(outcome.diff.iter().all(|change| change.storage.is_empty()));
                // The sender, the creator; the coinbase gets nothing.
                assert_eq!(outcome.diff.len(), 2, "{:?}", outcome.diff);
            })
            .done(),
    ]
}
