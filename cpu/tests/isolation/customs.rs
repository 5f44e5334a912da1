//! Opcodes and precompiles that a fork does not have, and without those that it has.

use crate::world::*;
use isolane_spec::opcode::op;
use isolane_spec::{
    Environment, ExtraPrecompiles, Fork, H160, Halt, OpcodeSet, Precompile, PrecompileSet, Rules, Status, U256,
};

fn with(fork: Fork, code: &[u8], change: impl FnOnce(&mut Rules)) -> Environment {
    let mut environment = environment(fork, state(code));
    change(&mut environment.rules);
    environment
}

#[test]
fn an_opcode_of_a_later_fork() {
    let mut code = vec![op::PUSH0, op::PUSH1, 5, op::ADD];
    code.extend(return_top());
    let plain = run(with(Fork::London, &code, |_| ()), &transaction());
    assert_eq!(plain.status, Status::Halt(Halt::UndefinedOpcode));
    let early = with(Fork::London, &code, |rules| rules.extra_opcodes = OpcodeSet::EMPTY.with(op::PUSH0));
    assert!(early.is_restricted());
    let early = run(early, &transaction());
    assert_eq!((early.status.clone(), returned(&early)), (Status::Success, 5));
    let shanghai = run(with(Fork::Shanghai, &code, |_| ()), &transaction());
    assert_eq!(early.gas_used, shanghai.gas_used, "its price comes with it");
    let transient = [op::PUSH1, 9, op::PUSH1, 1, op::TSTORE, op::PUSH1, 1, op::TLOAD];
    let code = [&transient[..], &return_top()].concat();
    let both = OpcodeSet::EMPTY.with(op::TLOAD).with(op::TSTORE);
    let early = run(with(Fork::Berlin, &code, |rules| rules.extra_opcodes = both), &transaction());
    assert_eq!((early.status.clone(), returned(&early)), (Status::Success, 9));
}

#[test]
fn an_opcode_less() {
    let mut code = Vec::new();
    push(&mut code, &TARGET.0);
    code.push(op::SELFDESTRUCT);
    assert_eq!(run(with(Fork::London, &code, |_| ()), &transaction()).status, Status::Success);
    let without = |rules: &mut Rules| rules.removed_opcodes = OpcodeSet::EMPTY.with(op::SELFDESTRUCT);
    let outcome = run(with(Fork::London, &code, without), &transaction());
    assert_eq!(outcome.status, Status::Halt(Halt::UndefinedOpcode));
    assert_eq!(outcome.denial, None, "no permission is missing: there is no such opcode");
    // Without PUSH2 its two bytes are code, and one may be jumped to.
    let code = [op::PUSH1, 4, op::JUMP, op::PUSH2, op::JUMPDEST, op::STOP];
    let outcome = |rules: fn(&mut Rules)| run(with(Fork::London, &code, rules), &transaction()).status;
    assert_eq!(outcome(|_| ()), Status::Halt(Halt::InvalidJump));
    assert_eq!(outcome(|rules| rules.removed_opcodes = OpcodeSet::EMPTY.with(op::PUSH2)), Status::Success);
}

/// Calls with one word and returns the word that came back, or how much came back.
fn ask(target: H160) -> Vec<u8> {
    let mut code = vec![op::PUSH1, 0xab, op::PUSH1, 0, op::MSTORE];
    for byte in [32, 32, 32, 0] {
        push(&mut code, &[byte]);
    }
    push(&mut code, &target.0);
    code.extend([op::GAS, op::STATICCALL, op::POP, op::RETURNDATASIZE, op::PUSH1, 64, op::MSTORE]);
    code.extend([op::PUSH1, 64, op::PUSH1, 32, op::RETURN]);
    code
}

fn answer(environment: Environment) -> (U256, u64) {
    let outcome = run(environment, &transaction());
    assert_eq!(outcome.status, Status::Success);
    (U256::from_big_endian(&outcome.output[..32]), U256::from_big_endian(&outcome.output[32..]).low_u64())
}

#[test]
fn precompiles_at_other_places() {
    let place = H160::repeat_byte(0x77);
    assert_eq!(answer(with(Fork::Cancun, &ask(place), |_| ())), (U256::zero(), 0));
    let extra =
        |precompile| move |rules: &mut Rules| rules.extra_precompiles = ExtraPrecompiles::NONE.with(precompile, place);
    let identity = answer(with(Fork::Cancun, &ask(place), extra(Precompile::Identity)));
    assert_eq!(identity, (U256::from(0xab), 32));
    let hash = answer(with(Fork::Cancun, &ask(place), extra(Precompile::Sha256)));
    assert_eq!(hash, answer(with(Fork::Cancun, &ask(Precompile::Sha256.address()), |_| ())));
    // P256VERIFY at its own address, a fork early: an invalid signature costs 6,900 gas and returns nothing.
    let early = Precompile::P256Verify;
    let at_home = |rules: &mut Rules| {
        rules.extra_precompiles = ExtraPrecompiles::NONE.with(Precompile::P256Verify, Precompile::P256Verify.address());
    };
    let gas = |environment| run(environment, &transaction()).gas_used;
    let (before, after) =
        (with(Fork::Prague, &ask(early.address()), |_| ()), with(Fork::Prague, &ask(early.address()), at_home));
    // It is warm as precompiles are: 100 instead of 2,600.
    assert_eq!(gas(after), gas(before) - 2_500 + 6_900);
    let removed = |rules: &mut Rules| rules.removed_precompiles = PrecompileSet::EMPTY.with(Precompile::Sha256);
    assert_eq!(answer(with(Fork::Cancun, &ask(Precompile::Sha256.address()), removed)), (U256::zero(), 0));
}
