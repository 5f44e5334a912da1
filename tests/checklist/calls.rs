//! Calls, their gas, and what a refused one leaves.

use crate::world::{Asm, Check, MAIN, OTHER, World, asm, numbers, words};
use isolane::spec::opcode::op;
use isolane::spec::{Bytes, Fork, H160, Halt, Status, Transaction, U256};

/// SELFBALANCE (EIP-1884) is the balance of the account that the code works on.
pub fn selfbalance_under_delegatecall() -> Vec<Check> {
    let shows = |fork| asm(fork).ops(&[op::SELFBALANCE]).store(0).give(1);
    let run = |fork: Fork, opcode: u8| -> Bytes {
        let arguments: &[u64] = if opcode == op::CALLCODE { &[32, 0, 0, 0, 0] } else { &[32, 0, 0, 0] };
        asm(fork).push(arguments).address(OTHER).ops(&[op::GAS, opcode, op::POP]).give(1)
    };
    let mut checks = Vec::new();
    for fork in [Fork::Istanbul, Fork::Osaka] {
        for (opcode, balance) in [(op::DELEGATECALL, 5), (op::CALLCODE, 5), (op::STATICCALL, 9), (op::CALL, 9)] {
            let code = match opcode {
                op::CALL => asm(fork).call(OTHER, [0, 0], [0, 32]).ops(&[op::POP]).give(1),
                _ => run(fork, opcode),
            };
            checks.push(
                World::new("SELFBALANCE", fork)
                    .contract(MAIN, 5, code)
                    .contract(OTHER, 9, shows(fork))
                    .call(MAIN, Status::Success)
                    .output(numbers(&[balance]))
                    .done(),
            );
        }
    }
    checks
}

/// Gas of a call that is huge, or negative if it were signed, gives all but a 64th (EIP-150), and before it fails.
pub fn unsigned_call_gas() -> Vec<Check> {
    let amounts =
        [U256::one() << 31, U256::one() << 63, U256::from(u64::MAX), U256::one() << 64, U256::one() << 255, U256::MAX];
    let callee = |fork| asm(fork).ops(&[op::GAS]).push(&[10_000]).ops(&[op::LT]).store(0).give(1);
    let calls = |fork: Fork| {
        let mut code = asm(fork);
        for (index, gas) in amounts.iter().enumerate() {
            code = code.push(&[32, 64 * index as u64 + 32, 0, 0, 0]).address(OTHER).word(*gas).ops(&[op::CALL]);
            code = code.store(2 * index as u64);
        }
        code.give(2 * amounts.len() as u64)
    };
    let mut checks: Vec<Check> = [Fork::TangerineWhistle, Fork::Berlin, Fork::Osaka]
        .into_iter()
        .map(|fork| {
            World::new("gas of a call", fork)
                .contract(MAIN, 0, calls(fork))
                .contract(OTHER, 0, callee(fork))
                .call(MAIN, Status::Success)
                .output(numbers(&[1; 12]))
                .done()
        })
        .collect();
    for gas in amounts {
        let code = asm(Fork::Homestead).push(&[0, 0, 0, 0, 0]).address(OTHER).word(gas).ops(&[op::CALL]).done();
        checks.push(
            World::new("gas of a call", Fork::Homestead)
                .contract(MAIN, 0, code)
                .contract(OTHER, 0, callee(Fork::Homestead))
                .call(MAIN, Status::Halt(Halt::OutOfGas))
                .gas_used(1_000_000)
                .done(),
        );
    }
    checks
}

/// An instruction runs with exactly its gas, and halts with one less: never on borrowed gas.
pub fn one_gas_short() -> Vec<Check> {
    // Each with the gas of the whole code, by the Yellow Paper and EIP-2929, EIP-5656, EIP-3855.
    let codes: [(Asm, u64); 10] = [
        (asm(Fork::Osaka).ops(&[op::PUSH1, 1, op::PUSH1, 2, op::ADD]), 9),
        (asm(Fork::Osaka).ops(&[op::PUSH1, 0, op::MLOAD]), 3 + 3 + 3),
        // 1024 words: 3 * 1024 + 1024^2 / 512.
        (asm(Fork::Osaka).ops(&[op::PUSH2, 0x7f, 0xe0, op::MLOAD]), 3 + 3 + 3072 + 2048),
        (asm(Fork::Osaka).ops(&[op::PUSH1, 33, op::PUSH0, op::KECCAK256]), 3 + 2 + 30 + 2 * 6 + 2 * 3),
        (asm(Fork::Osaka).ops(&[op::PUSH1, 1, op::PUSH0, op::PUSH0, op::CALLDATACOPY]), 3 + 2 + 2 + 3 + 3 + 3),
        (asm(Fork::Osaka).ops(&[op::PUSH2, 1, 0, op::PUSH1, 2, op::EXP]), 3 + 3 + 10 + 2 * 50),
        (asm(Fork::Osaka).ops(&[op::PUSH0, op::SLOAD]), 2 + 2100),
        (asm(Fork::Osaka).ops(&[op::PUSH1, 5, op::PUSH0, op::LOG0]), 3 + 2 + 375 + 5 * 8 + 3),
        (asm(Fork::Osaka).address(H160([0x33; 20])).ops(&[op::BALANCE]), 3 + 2600),
        (asm(Fork::Osaka).ops(&[op::PUSH1, 1, op::PUSH0, op::PUSH0, op::MCOPY]), 3 + 2 + 2 + 3 + 3 + 3),
    ];
    let mut checks = Vec::new();
    for (code, gas) in codes {
        let code = code.done();
        let with = |gas_limit| Transaction { to: Some(MAIN), gas_limit, ..Transaction::default() };
        checks.push(
            World::new("one gas short", Fork::Osaka)
                .contract(MAIN, 0, code)
                .transaction(with(21_000 + gas), Status::Success)
                .gas_used(21_000 + gas)
                .transaction(with(21_000 + gas - 1), Status::Halt(Halt::OutOfGas))
                .gas_used(21_000 + gas - 1)
                .done(),
        );
    }
    checks
}

/// EIP-2200: SSTORE halts with 2,300 gas left or less, whatever it writes.
pub fn sstore_sentry() -> Vec<Check> {
    // PUSH1 PUSH1 SSTORE: a slot keeps its value, for 800 in Istanbul.
    let callee = Bytes::from_static(&[op::PUSH1, 0, op::PUSH1, 0, op::SSTORE]);
    let call = |code: Asm, gas: u64, place: u64| {
        code.push(&[0, 0, 0, 0, 0]).address(OTHER).push(&[gas]).ops(&[op::CALL]).store(place)
    };
    let code = call(call(asm(Fork::Istanbul), 2306, 0), 2307, 1).give(2);
    // Before EIP-2200 there is no such rule: 5,000 suffice, 4,999 do not.
    let before = call(call(asm(Fork::Petersburg), 5005, 0), 5006, 1).give(2);
    // In Berlin, with the slot cold: 2,100 + 100 is less than the rule asks for.
    let berlin = call(call(asm(Fork::Berlin), 2306, 0), 2307, 1).give(2);
    [(Fork::Istanbul, code), (Fork::Petersburg, before), (Fork::Berlin, berlin)]
        .into_iter()
        .map(|(fork, code)| {
            World::new("sentry of SSTORE", fork)
                .contract(MAIN, 0, code)
                .contract(OTHER, 0, callee.clone())
                .call(MAIN, Status::Success)
                .output(numbers(&[0, 1]))
                .done()
        })
        .collect()
}

/// EIP-211: a call or creation that is refused for lack of funds leaves empty return data.
pub fn return_data_after_refusal() -> Vec<Check> {
    let identity = H160::from_low_u64_be(4);
    let fill = |code: Asm| code.call(identity, [0, 32], [0, 0]).ops(&[op::POP, op::RETURNDATASIZE]);
    let code = |fork| {
        let code = fill(asm(fork)).store(1);
        let code = code.push(&[0, 0, 0, 0, 6]).address(OTHER).ops(&[op::GAS, op::CALL]).store(2);
        let code = fill(code.ops(&[op::RETURNDATASIZE]).store(3)).store(4);
        let code = code.push(&[0, 0, 6]).ops(&[op::CREATE]).store(5);
        code.ops(&[op::RETURNDATASIZE]).store(6).push(&[192, 32]).ops(&[op::RETURN]).done()
    };
    [Fork::Byzantium, Fork::Osaka]
        .map(|fork| {
            World::new("return data after a refusal", fork)
                .contract(MAIN, 5, code(fork))
                .contract(OTHER, 0, Bytes::from_static(&[op::STOP]))
                .call(MAIN, Status::Success)
                .output(words(&[32, 0, 0, 32, 0, 0].map(U256::from)))
                .done()
        })
        .into()
}
