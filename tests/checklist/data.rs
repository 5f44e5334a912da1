//! Results of opcodes, memory and return data.

use crate::world::{Check, MAIN, World, asm, numbers, words};
use isolane::spec::opcode::op;
use isolane::spec::{Fork, H160, Status, U256};

const IDENTITY: u64 = 4;

fn identity() -> H160 {
    H160::from_low_u64_be(IDENTITY)
}

/// The return data of IDENTITY stays what it was when the memory that was its input changes.
pub fn identity_aliasing() -> Vec<Check> {
    let code = |fork| {
        asm(fork)
            .word(U256::MAX)
            .store(0)
            .call(identity(), [0, 32], [0, 0])
            .ops(&[op::POP])
            .push(&[7])
            .store(0)
            .push(&[32, 0, 0])
            .ops(&[op::RETURNDATACOPY])
            .give(1)
    };
    [Fork::Byzantium, Fork::Osaka]
        .map(|fork| {
            World::new("identity aliasing", fork)
                .contract(MAIN, 0, code(fork))
                .call(MAIN, Status::Success)
                .output(words(&[U256::MAX]))
                .done()
        })
        .into()
}

/// IDENTITY with an output that overlaps its input: the return data is the input as it was.
pub fn overlapping_copy() -> Vec<Check> {
    let text = U256::from_big_endian(&std::array::from_fn::<u8, 32, _>(|i| i as u8 + 1));
    let code = |fork| {
        asm(fork)
            .word(text)
            .store(0)
            .call(identity(), [0, 32], [7, 32])
            .ops(&[op::POP])
            .push(&[7])
            .ops(&[op::MLOAD])
            .store(3)
            .push(&[32, 0, 128])
            .ops(&[op::RETURNDATACOPY])
            .push(&[64, 96])
            .ops(&[op::RETURN])
            .done()
    };
    [Fork::Byzantium, Fork::London, Fork::Osaka]
        .map(|fork| {
            World::new("overlapping copy", fork)
                .contract(MAIN, 0, code(fork))
                .call(MAIN, Status::Success)
                .output(words(&[text, text]))
                .done()
        })
        .into()
}

/// EIP-145: a shift by 256 and more leaves nothing, or the sign; also by amounts that are small modulo 2^32.
pub fn wide_shifts() -> Vec<Check> {
    let amounts: Vec<U256> = [31u32, 32, 33, 63, 64, 128, 255]
        .into_iter()
        .flat_map(|power| [0u64, 1, 4].map(|low| (U256::one() << power) + low))
        .collect();
    let negative = U256::MAX - 5;
    let mut code = asm(Fork::Osaka);
    let mut expected = Vec::new();
    for (index, amount) in amounts.iter().enumerate() {
        for (place, (opcode, result)) in
            [(op::SHL, U256::zero()), (op::SHR, U256::zero()), (op::SAR, U256::MAX)].into_iter().enumerate()
        {
            code = code.word(negative).word(*amount).ops(&[opcode]).store((index * 3 + place) as u64);
            expected.push(result);
        }
    }
    let code = code.give(expected.len() as u64);
    [Fork::Constantinople, Fork::Petersburg, Fork::Osaka]
        .into_iter()
        // revm left out Constantinople.
        .filter(|fork| *fork != Fork::Constantinople)
        .map(|fork| {
            let code = if fork < Fork::Shanghai { replace_push0(&code) } else { code.clone() };
            World::new("wide shifts", fork)
                .contract(MAIN, 0, code)
                .call(MAIN, Status::Success)
                .output(words(&expected))
                .done()
        })
        .collect()
}

/// The same code for forks without PUSH0, which reads the size of the return data before any call instead.
fn replace_push0(code: &[u8]) -> isolane::spec::Bytes {
    let mut code = code.to_vec();
    for instruction in isolane::diff::code::instructions(&code.clone()) {
        if instruction.byte == op::PUSH0 {
            code[instruction.at] = op::RETURNDATASIZE;
        }
    }
    code.into()
}

/// A revert whose text claims to be 2^256 - 1 bytes long is a revert with these bytes.
pub fn revert_text() -> Vec<Check> {
    let mut data = vec![0x08, 0xc3, 0x79, 0xa0];
    data.extend(words(&[32.into(), U256::MAX, U256::from(0x41) << 248]));
    let code = |fork| asm(fork).memory(0, &data).push(&[data.len() as u64, 0]).ops(&[op::REVERT]).done();
    let mut far = data.clone();
    far[4..36].copy_from_slice(&(U256::MAX - 31).to_big_endian());
    let far_code = asm(Fork::Osaka).memory(0, &far).push(&[far.len() as u64, 0]).ops(&[op::REVERT]).done();
    vec![
        World::new("revert text", Fork::Byzantium)
            .contract(MAIN, 0, code(Fork::Byzantium))
            .call(MAIN, Status::Revert)
            .output(data.clone())
            .done(),
        World::new("revert text", Fork::Shanghai)
            .contract(MAIN, 0, code(Fork::Shanghai))
            .call(MAIN, Status::Revert)
            .output(data.clone())
            .done(),
        World::new("revert text, far away", Fork::Osaka)
            .contract(MAIN, 0, far_code)
            .call(MAIN, Status::Revert)
            .output(far)
            .done(),
    ]
}

/// The sign of SMOD's result is the dividend's; a divisor of zero gives zero.
pub fn smod() -> Vec<Check> {
    let negative = |number: u64| U256::zero().overflowing_sub(number.into()).0;
    let min = U256::one() << 255;
    let vectors = [
        (negative(8), 3.into(), negative(2)),
        (8.into(), negative(3), 2.into()),
        (negative(8), negative(3), negative(2)),
        (min, U256::MAX, 0.into()),
        (min, 3.into(), negative(2)),
        (7.into(), min, 7.into()),
        (negative(7), 0.into(), 0.into()),
    ];
    let mut code = asm(Fork::Osaka);
    for (index, (dividend, divisor, _)) in vectors.iter().enumerate() {
        code = code.word(*divisor).word(*dividend).ops(&[op::SMOD]).store(index as u64);
    }
    vec![
        World::new("SMOD", Fork::Osaka)
            .contract(MAIN, 0, code.give(vectors.len() as u64))
            .call(MAIN, Status::Success)
            .output(words(&vectors.map(|(_, _, result)| result)))
            .done(),
    ]
}

/// BYTE with an index of 32 and more is zero, also where its low bits are small.
pub fn byte_index() -> Vec<Check> {
    let one = U256::one();
    let indices = [
        31.into(),
        32.into(),
        256.into(),
        one << 32,
        (one << 32) + 31,
        one << 63,
        one << 64,
        (one << 64) + 31,
        one << 255,
        U256::MAX,
    ];
    let mut code = asm(Fork::Osaka);
    for (index, byte) in indices.iter().enumerate() {
        code = code.word(U256::MAX).word(*byte).ops(&[op::BYTE]).store(index as u64);
    }
    vec![
        World::new("BYTE", Fork::Osaka)
            .contract(MAIN, 0, code.give(indices.len() as u64))
            .call(MAIN, Status::Success)
            .output(numbers(&[0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
            .done(),
    ]
}
