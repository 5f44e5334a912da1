//! Precompiled contracts.

use crate::world::{Check, MAIN, World, asm, numbers, words};
use isolane::spec::opcode::op;
use isolane::spec::{Bytes, Fork, H160, Status, U256};

/// Code that calls a precompile with an input and so much gas, and returns the flag, the size of the return data, and the
/// return data.
fn calls(fork: Fork, precompile: u64, input: &[u8], gas: u64) -> Bytes {
    let address = H160::from_low_u64_be(precompile);
    let len = input.len() as u64;
    asm(fork)
        .memory(0, input)
        .push(&[0, 0, len, 0, 0])
        .address(address)
        .push(&[gas])
        .ops(&[op::CALL])
        .store(0)
        .ops(&[op::RETURNDATASIZE])
        .store(1)
        .ops(&[op::RETURNDATASIZE])
        .push(&[0, 64])
        .ops(&[op::RETURNDATACOPY, op::RETURNDATASIZE])
        .push(&[64])
        .ops(&[op::ADD])
        .push(&[0])
        .ops(&[op::RETURN])
        .done()
}

fn check(name: &'static str, fork: Fork, precompile: u64, input: &[u8], gas: u64, output: Option<&[u8]>) -> Check {
    let expected = match output {
        Some(output) => [&numbers(&[1, output.len() as u64])[..], output].concat(),
        None => numbers(&[0, 0]),
    };
    World::new(name, fork)
        .contract(MAIN, 0, calls(fork, precompile, input, gas))
        .call(MAIN, Status::Success)
        .output(expected)
        .done()
}

/// EIP-198, EIP-2565: an exponent of any stated length costs nothing where base and modulus are empty; a base of 2^64
/// bytes costs more than there is. Nothing is allocated for either.
pub fn modexp() -> Vec<Check> {
    let lengths = |base: U256, exponent: U256, modulus: U256| words(&[base, exponent, modulus]);
    let none = U256::zero();
    let huge = [U256::from(u32::MAX), U256::from(u64::MAX), U256::one() << 64, U256::one() << 255, U256::MAX];
    let mut checks = Vec::new();
    for length in huge {
        let free = lengths(none, length, none);
        // EIP-2565 asks for 200 at least.
        checks.push(check("MODEXP of nothing", Fork::Berlin, 5, &free, 200, Some(&[])));
        checks.push(check("MODEXP of nothing", Fork::Berlin, 5, &free, 199, None));
        checks.push(check("MODEXP of nothing", Fork::Byzantium, 5, &free, 0, Some(&[])));
        checks.push(check("MODEXP of a long base", Fork::Berlin, 5, &lengths(length, none, none), 500_000, None));
        checks.push(check("MODEXP of a long modulus", Fork::Byzantium, 5, &lengths(none, none, length), 500_000, None));
        // EIP-7823.
        checks.push(check("MODEXP of a long exponent", Fork::Osaka, 5, &free, 500_000, None));
    }
    // 3 ^ (2^256 - 2^32 - 978) mod (2^256 - 2^32 - 977) = 1, for 1,360 gas in Berlin and 4,080 in Osaka: EIP-198's own
    // example, the prices by EIP-2565 and EIP-7883.
    let prime = U256::MAX - (U256::one() << 32) - 976;
    let fermat = [&lengths(1.into(), 32.into(), 32.into())[..], &[3], &words(&[prime - 1, prime])].concat();
    let one = words(&[U256::one()]);
    for (fork, gas) in [(Fork::Byzantium, 13_056), (Fork::Berlin, 1360), (Fork::Osaka, 4080)] {
        checks.push(check("MODEXP of Fermat", fork, 5, &fermat, gas, Some(&one)));
        checks.push(check("MODEXP of Fermat, one gas short", fork, 5, &fermat, gas - 1, None));
    }
    checks
}

/// A modulus of zero, or none, is no failure: zeros as long as the modulus.
pub fn modexp_succeeds() -> Vec<Check> {
    let input = |lengths: [u64; 3], data: &[u8]| [&numbers(&lengths)[..], data].concat();
    vec![
        check("MODEXP by zero", Fork::Osaka, 5, &input([1, 1, 2], &[3, 2, 0, 0]), 500, Some(&[0, 0])),
        check("MODEXP by nothing", Fork::Osaka, 5, &input([1, 1, 0], &[3, 2]), 500, Some(&[])),
        check("MODEXP by one", Fork::Osaka, 5, &input([1, 1, 1], &[3, 2, 1]), 500, Some(&[0])),
        check("MODEXP of missing bytes", Fork::Osaka, 5, &input([1, 1, 3], &[3, 2]), 500, Some(&[0, 0, 0])),
        check("MODEXP: 0^0", Fork::Berlin, 5, &input([0, 0, 1], &[7]), 200, Some(&[1])),
    ]
}

/// EIP-152 with `abc` as its last block: its own vector of 12 rounds, and more rounds, which an implementation of RFC
/// 7693 written for this list gave.
pub fn blake2f() -> Vec<Check> {
    let h: [u64; 8] = [
        // The initialisation vector of BLAKE2b, with the parameters of a hash of 64 bytes in the first word.
        0x6a09_e667_f3bc_c908 ^ 0x0101_0040,
        0xbb67_ae85_84ca_a73b,
        0x3c6e_f372_fe94_f82b,
        0xa54f_f53a_5f1d_36f1,
        0x510e_527f_ade6_82d1,
        0x9b05_688c_2b3e_6c1f,
        0x1f83_d9ab_fb41_bd6b,
        0x5be0_cd19_137e_2179,
    ];
    let rounds = [
        (
            12u32,
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
        ),
        (
            13,
            "5e6563daea76f0766a4c70cd34bf3edf59ce91ee7e2eb668feb2b60f1c687d7438e1c2c29a5a5dcd3da4ca87a92209e4708731396fcc440a5a1e62787f7c8b9a",
        ),
        (
            21,
            "3bec7c26dbf9fb0ccefb0c3cfc38f65118f29c1538f6cd9969857d6cd9802ca7da729afd9688fcd82c85ad1913fe48c0db42a951a72e4aed80db00571923afbe",
        ),
        (
            100,
            "8136972eb0cc05f3df5ec98ac64b7e9557bad14711f15fde8f42834cf6bbab481b81b1b3c0bd703f65694e763975d05c55c731bfa1afdd3a118dcbf4ef7c2845",
        ),
    ];
    let mut checks = Vec::new();
    for fork in [Fork::Istanbul, Fork::Osaka] {
        for (rounds, expected) in rounds {
            let mut input = rounds.to_be_bytes().to_vec();
            input.extend(h.iter().flat_map(|word| word.to_le_bytes()));
            input.extend(b"abc");
            input.resize(196, 0);
            input.extend([3u64, 0].iter().flat_map(|word| word.to_le_bytes()));
            input.push(1);
            let expected = hex::decode(expected).expect("hexadecimal");
            checks.push(check("BLAKE2F", fork, 9, &input, rounds.into(), Some(&expected)));
            checks.push(check("BLAKE2F, one gas short", fork, 9, &input, u64::from(rounds) - 1, None));
        }
    }
    checks
}

/// EIP-2537: every point is on its curve; multiplications and pairings also want it in the subgroup.
pub fn bls_on_curve() -> Vec<Check> {
    let point = |x: u64, y: u64| [vec![0; 32], numbers(&[x]), vec![0; 32], numbers(&[y])].concat();
    let infinity = vec![0; 128];
    // y^2 = x^3 + 4: (0, 2) is on the curve, and of order three; (1, 1) is not on it.
    let (on, off) = (point(0, 2), point(1, 1));
    let scalar = numbers(&[1]);
    let fork = Fork::Prague;
    let g2_off = [point(1, 1), point(1, 1)].concat();
    vec![
        check("BLS12_G1ADD on the curve", fork, 0x0b, &[&on[..], &infinity].concat(), 375, Some(&on)),
        check("BLS12_G1ADD off the curve", fork, 0x0b, &[&off[..], &infinity].concat(), 375, None),
        check("BLS12_G1ADD off the curve", fork, 0x0b, &[&infinity[..], &off].concat(), 375, None),
        check("BLS12_G1MSM off the curve", fork, 0x0c, &[&off[..], &scalar].concat(), 12_000, None),
        check("BLS12_G1MSM out of the subgroup", fork, 0x0c, &[&on[..], &scalar].concat(), 12_000, None),
        check("BLS12_G2ADD off the curve", fork, 0x0d, &[&g2_off[..], &[0; 256]].concat(), 600, None),
        check("BLS12_G2MSM off the curve", fork, 0x0e, &[&g2_off[..], &scalar].concat(), 22_500, None),
        check("BLS12_PAIRING_CHECK off the curve", fork, 0x0f, &[&off[..], &[0; 256]].concat(), 70_300, None),
        check("BLS12_PAIRING_CHECK out of the subgroup", fork, 0x0f, &[&on[..], &[0; 256]].concat(), 70_300, None),
    ]
}
