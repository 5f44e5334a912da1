//! Inputs of precompiles: right ones, and right ones that went wrong.

use super::random::Random;
use crate::convert::keccak;
use isolane_spec::{H160, U256};
use secp256k1::{Message, SECP256K1, SecretKey};
use std::sync::OnceLock;

/// Order of the base field of bn254.
const BN254_P: &str = "30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47";
/// The generator of G2 of bn254 (EIP-197).
const BN254_G2: &str = "198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2\
                        1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed\
                        090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b\
                        12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa";
/// A point of the twist of bn254, for x = 1, that is not in the subgroup.
const BN254_G2_OUTSIDE: &str = "0000000000000000000000000000000000000000000000000000000000000000\
                                0000000000000000000000000000000000000000000000000000000000000001\
                                0d1271953ed9ea0836846e70a1934187998c7f790cb4d7511b7f8da82de048a4\
                                2869111d5381f072f8e2728fdb825a51aadd70e52c9830e9ab4b871c0531f1bb";
/// The y coordinate of the point of BLS12-381 with x = 4, which is not in the subgroup.
const BLS_G1_OUTSIDE: (u8, &str) =
    (4, "0a989badd40d6212b33cffc3f3763e9bc760f988c9926b26da9dd85e928483446346b8ed00e1de5d5ea93e354abe706c");
/// The generators of BLS12-381 (EIP-2537), padded to 64 bytes a coordinate.
const BLS_G1: [&str; 2] = [
    "17f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb",
    "08b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1",
];
const BLS_G2: [&str; 4] = [
    "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8",
    "13e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e",
    "0ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801",
    "0606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be",
];
/// The y coordinate of the negative of the generator of G1.
const BLS_G1_NEGATIVE_Y: &str =
    "114d1d6855d545a8aa7d76c8cf2e21f267816aef1db507c96655b9d5caac42364e6f38ba0ecb751bad54dcd6b939c2ca";
/// A signature over secp256r1 with its hash and key: a vector of RIP-7212.
const P256: &str = "4cee90eb86eaa050036147a12d49004b6b9c72bd725d39d4785011fe190f0b4d\
                    a73bd4903f0ce3b639bbbf6e8e80d16931ff4bcf5993d58468e8fb19086e8cac\
                    36dbcd03009df8c59286b162af3bd7fcc0450c9aa81be5d10d312af6c66b1d60\
                    4aebd3099c618202fcfe16ae7770b0c49ab5eadf74b754204a3bb6060e44eff3\
                    7618b065f9832de4ca6ca971a7a1adc826d0f7c00181a5fb2ddf79ae00b4e10e";

/// How many in a thousand calls of a precompile stay one. Multiplications and signatures take longer than everything else
/// in a program, pairings and proofs many times as long.
pub(crate) fn share(address: H160) -> u32 {
    match address.to_low_u64_be() {
        7 | 12 | 14 | 16 | 17 | 0x100 => 60,
        8 | 10 | 15 => 25,
        _ => 1000,
    }
}

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap_or_default()
}

/// Padded coordinates of a BLS12-381 point.
fn bls_point(coordinates: &[&str]) -> Vec<u8> {
    coordinates.iter().flat_map(|coordinate| [vec![0; 16], hex(coordinate)].concat()).collect()
}

/// Valid inputs that are costly to make.
struct Vectors {
    ecrecover: Vec<u8>,
    bn254_g2: Vec<u8>,
    bls_g1: Vec<u8>,
    bls_g1_negative: Vec<u8>,
    bls_g2: Vec<u8>,
    p256: Vec<u8>,
}

fn vectors() -> &'static Vectors {
    static VECTORS: OnceLock<Vectors> = OnceLock::new();
    VECTORS.get_or_init(|| {
        let hash = keccak(b"a message");
        let mut ecrecover = hash.0.to_vec();
        if let Ok(key) = SecretKey::from_byte_array([7; 32]) {
            let (recovery, signature) =
                SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), &key).serialize_compact();
            ecrecover.extend(U256::from(27 + i32::from(recovery)).to_big_endian());
            ecrecover.extend(signature);
        }
        Vectors {
            ecrecover,
            bn254_g2: hex(BN254_G2),
            bls_g1: bls_point(&BLS_G1),
            bls_g1_negative: bls_point(&[BLS_G1[0], BLS_G1_NEGATIVE_Y]),
            bls_g2: bls_point(&BLS_G2),
            p256: hex(P256),
        }
    })
}

fn words(words: &[U256]) -> Vec<u8> {
    words.iter().flat_map(U256::to_big_endian).collect()
}

/// A point of G1 of bn254: nothing, the generator, its double or its negative.
fn bn254_g1(random: &mut Random) -> Vec<u8> {
    let one = || U256::from(1);
    match random.below(4) {
        0 => vec![0; 64],
        1 => words(&[one(), U256::from_big_endian(&hex(BN254_P)) - 2]),
        2 => hex("030644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd3\
                  15ed738c0e0a7c92e7845f96b2ae9c0a68a6a449e3538fc7ff3ebf7a5a18a2c4"),
        _ => words(&[one(), 2.into()]),
    }
}

/// A scalar, often a small one.
fn scalar(random: &mut Random) -> [u8; 32] {
    random.word().to_big_endian()
}

/// An input that the precompile accepts. Those that take long are small.
pub(crate) fn valid(random: &mut Random, address: H160) -> Vec<u8> {
    let v = vectors();
    let len = random.below(100);
    match address.to_low_u64_be() {
        1 => v.ecrecover.clone(),
        5 => modexp(random),
        6 => [bn254_g1(random), bn254_g1(random)].concat(),
        7 => [bn254_g1(random), scalar(random).to_vec()].concat(),
        8 => match random.below(4) {
            0 => Vec::new(),
            1 => [words(&[1.into(), 2.into()]), v.bn254_g2.clone()].concat(),
            2 => [vec![0; 64], v.bn254_g2.clone()].concat(),
            _ => [
                words(&[1.into(), 2.into()]),
                v.bn254_g2.clone(),
                words(&[1.into(), U256::from_big_endian(&hex(BN254_P)) - 2]),
                v.bn254_g2.clone(),
            ]
            .concat(),
        },
        9 => {
            let rounds = random.below(40) as u32;
            [rounds.to_be_bytes().to_vec(), random.bytes(208), vec![random.below(2) as u8]].concat()
        }
        10 => point_evaluation(random),
        11 => [bls_g1(random), bls_g1(random)].concat(),
        12 => (0..=random.below(2)).flat_map(|_| [bls_g1(random), scalar(random).to_vec()].concat()).collect(),
        13 => [bls_g2(random), bls_g2(random)].concat(),
        14 => [bls_g2(random), scalar(random).to_vec()].concat(),
        15 => match random.below(3) {
            0 => [v.bls_g1.clone(), v.bls_g2.clone(), v.bls_g1_negative.clone(), v.bls_g2.clone()].concat(),
            1 => [v.bls_g1.clone(), v.bls_g2.clone()].concat(),
            _ => [vec![0; 128], v.bls_g2.clone()].concat(),
        },
        16 => [vec![0; 32], scalar(random).to_vec()].concat(),
        17 => [vec![0; 32], scalar(random).to_vec(), vec![0; 32], scalar(random).to_vec()].concat(),
        0x100 => v.p256.clone(),
        _ => random.bytes(len),
    }
}

fn bls_g1(random: &mut Random) -> Vec<u8> {
    match random.below(3) {
        0 => vec![0; 128],
        1 => vectors().bls_g1_negative.clone(),
        _ => vectors().bls_g1.clone(),
    }
}

fn bls_g2(random: &mut Random) -> Vec<u8> {
    if random.below(3) == 0 { vec![0; 256] } else { vectors().bls_g2.clone() }
}

/// Lengths, base, exponent, modulus (EIP-198), with a leading zero byte here and there.
fn modexp(random: &mut Random) -> Vec<u8> {
    let mut lengths = [0usize; 3];
    for len in &mut lengths {
        *len = match random.below(6) {
            0 => 0,
            1 => random.below(70),
            _ => 1 + random.below(33),
        };
    }
    let mut input = words(&lengths.map(U256::from));
    for len in lengths {
        let mut part = random.bytes(len);
        if random.chance(300) {
            part.fill(0);
            if let (Some(last), true) = (part.last_mut(), random.chance(700)) {
                *last = random.below(4) as u8;
            }
        }
        input.extend(part);
    }
    input
}

/// The commitment to the polynomial 0, which is 0 everywhere, proven by the point at infinity (EIP-4844).
fn point_evaluation(random: &mut Random) -> Vec<u8> {
    use sha2::Digest;
    let mut infinity = vec![0; 48];
    infinity[0] = 0xc0;
    let mut versioned = sha2::Sha256::digest(&infinity).to_vec();
    versioned[0] = 1;
    let z = U256::from(random.number()).to_big_endian().to_vec();
    [versioned, z, vec![0; 32], infinity.clone(), infinity].concat()
}

/// An input with a point that is on its curve, but not in the subgroup.
fn outside_subgroup(address: H160) -> Option<Vec<u8>> {
    // (0, 2) has order three on the curve of BLS12-381.
    let two = || [vec![0; 127], vec![2]].concat();
    let outside = || [vec![0; 63], vec![BLS_G1_OUTSIDE.0], bls_point(&[BLS_G1_OUTSIDE.1])].concat();
    match address.to_low_u64_be() {
        8 => Some([words(&[1.into(), 2.into()]), hex(BN254_G2_OUTSIDE)].concat()),
        11 => Some([two(), two()].concat()),
        12 => Some([outside(), words(&[3.into()])].concat()),
        15 => Some([outside(), vectors().bls_g2.clone()].concat()),
        _ => None,
    }
}

/// An input for the precompile: mostly valid, else with a byte changed, cut, longer, or not an input at all.
pub(crate) fn input(random: &mut Random, address: H160) -> Vec<u8> {
    let mut input = valid(random, address);
    if random.chance(100)
        && let Some(outside) = outside_subgroup(address)
    {
        return outside;
    }
    match random.below(12) {
        0 => {
            let at = random.below(input.len());
            let bit = 1 << random.below(8);
            // The rounds of BLAKE2F in its highest bytes would only run out of gas.
            let slow = address.to_low_u64_be() == 9 && at < 2;
            if let (Some(byte), false) = (input.get_mut(at), slow) {
                *byte ^= bit;
            }
        }
        1 => {
            let len = random.below(input.len() + 1);
            input.truncate(len);
        }
        2 => {
            let len = random.below(40);
            input.extend(random.bytes(len));
        }
        3 => {
            // A word of an edge value somewhere.
            let at = 32 * random.below(input.len() / 32 + 1);
            let word = random.word().to_big_endian();
            if address.to_low_u64_be() != 9 {
                for (byte, new) in input.iter_mut().skip(at).zip(word) {
                    *byte = new;
                }
            }
        }
        _ => {}
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_cpu::precompile::Run as _;
    use isolane_spec::Fork;
    use isolane_spec::Precompile;

    /// What is called valid is accepted by every precompile; otherwise most calls would only test refusals.
    #[test]
    fn valid_inputs_are_accepted() {
        for address in (1..=17).chain([0x100]) {
            let precompile = Precompile::at(H160::from_low_u64_be(address), Fork::Osaka).expect("a precompile");
            for index in 0..40 {
                let mut random = Random::new(1, index);
                let input = valid(&mut random, H160::from_low_u64_be(address));
                let result = run(precompile, &input);
                assert!(result.is_some(), "{address:#x}: {}", hex::encode(&input));
                if [1, 0x100].contains(&address) {
                    assert_eq!(result.map(|output| output.len()), Some(32), "{address:#x}");
                }
            }
        }
    }

    fn run(precompile: Precompile, input: &[u8]) -> Option<Vec<u8>> {
        let result = precompile.run(input, 100_000_000, Fork::Osaka);
        result.ok().map(|done| done.output.to_vec())
    }
}
