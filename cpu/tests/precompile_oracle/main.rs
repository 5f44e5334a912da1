//! Our precompiles against those of revm, on random, structured and damaged input.
//!
//! revm is built here on other libraries than ours where it has them (k256, arkworks, aurora's modexp), and the
//! structured input is made with the libraries directly, so that a shared mistake has to be made twice. The seed is
//! fixed: a failure repeats.

mod harness;

use ark_ec::short_weierstrass::Affine;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::UniformRand;
use harness::{FORKS, Random, Tally, encode, field_bytes, point};
use isolane_spec::H160;
use isolane_spec::Precompile;
use revm_precompile::Precompiles;

#[test]
fn the_same_addresses() {
    for (fork, spec) in FORKS {
        let theirs = Precompiles::new(spec);
        assert_eq!(Precompile::active(fork).count(), theirs.len(), "{fork}");
        for (address, precompile) in Precompile::active(fork) {
            assert!(theirs.contains(&address.0.into()), "{} in {fork}", precompile.name());
        }
        for number in 0..0x400 {
            let address = H160::from_low_u64_be(number);
            assert_eq!(
                Precompile::at(address, fork).is_some(),
                theirs.contains(&address.0.into()),
                "{number} in {fork}"
            );
        }
    }
}

#[test]
fn hashes_and_identity() {
    let (random, mut tally) = (&mut Random(1), Tally::default());
    for length in (0..300).chain((0..40).map(|_| random.below(20_000)).collect::<Vec<_>>()) {
        let input = random.bytes(length);
        for precompile in [Precompile::Sha256, Precompile::Ripemd160, Precompile::Identity] {
            tally.compare(precompile, &input, 10_000_000);
        }
    }
    tally.demand(900, 900, 0);
}

#[test]
fn ecrecover() {
    let (random, mut tally) = (&mut Random(2), Tally::default());
    for round in 0..3000 {
        let key =
            secp256k1::SecretKey::from_secret_bytes(random.bytes(32).try_into().expect("32 bytes")).expect("a key");
        let hash: [u8; 32] = random.word().try_into().expect("32 bytes");
        let message = secp256k1::Message::from_digest(hash);
        let (id, signature) =
            secp256k1::ecdsa::RecoverableSignature::sign_ecdsa_recoverable(message, &key).serialize_compact();
        let mut input = hash.to_vec();
        input.resize(64, 0);
        input[63] = 27 + id.to_u8();
        input.extend(signature);
        if round % 3 != 0 {
            input = random.damaged(input);
        }
        if round % 7 == 0 {
            input = [random.word(), random.word(), random.word(), random.word()].concat();
            input[32..64].fill(0);
            input[63] = 27 + random.below(2) as u8;
        }
        tally.compare(Precompile::EcRecover, &input, 100_000);
    }
    tally.demand(3000, 1500, 0);
}

#[test]
fn modexp() {
    let (random, mut tally) = (&mut Random(3), Tally::default());
    const LENGTHS: [usize; 16] = [0, 1, 2, 7, 8, 9, 16, 23, 31, 32, 33, 40, 64, 65, 96, 130];
    for round in 0..6000 {
        let mut lengths: [usize; 3] = std::array::from_fn(|_| LENGTHS[random.below(LENGTHS.len())]);
        if random.one_in(20) {
            lengths = std::array::from_fn(|_| random.below(1030));
            lengths[1] = random.below(60);
        }
        let mut input = Vec::new();
        for length in lengths {
            input.extend(isolane_spec::U256::from(length).to_big_endian());
        }
        for length in lengths {
            let mut operand = random.bytes(length);
            match random.below(8) {
                // Sparse, all ones, leading and trailing zeros: where carries and splits go wrong.
                0 => operand.fill(0),
                1 => operand.fill(0xff),
                2 => operand.iter_mut().for_each(|byte| *byte = [0, 0xff][usize::from(*byte & 1)]),
                3 if length > 0 => {
                    operand.fill(0);
                    operand[random.below(length)] = 1 << random.below(8);
                }
                4 => operand.iter_mut().take(length / 2).for_each(|byte| *byte = 0),
                5 => operand.iter_mut().skip(length / 2).for_each(|byte| *byte = 0),
                6 if length > 0 => operand[length - 1] |= 1,
                _ => {}
            }
            input.extend(operand);
        }
        if round % 5 == 0 {
            input = random.damaged(input);
        }
        tally.compare(Precompile::ModExp, &input, 3_000_000);
    }
    // Lengths that are words.
    for _ in 0..2000 {
        let mut input = vec![0; 96];
        for length in input.chunks_exact_mut(32) {
            match random.below(6) {
                0 => length.copy_from_slice(&random.word()),
                1 => length[24..].copy_from_slice(&random.next().to_be_bytes()),
                2 => length[28..].copy_from_slice(&(random.next() as u32).to_be_bytes()),
                3 => length[30..].copy_from_slice(&(1020 + random.below(10) as u16).to_be_bytes()),
                _ => length[31] = random.below(3) as u8,
            }
        }
        let more = random.below(60);
        input.extend(random.bytes(more));
        // revm refuses a base or modulus of 2^64 bytes before it prices it, with the same effect.
        tally.compare(Precompile::ModExp, &input, 300_000);
    }
    tally.demand(10_000, 8000, 2000);
}

#[test]
fn bn254() {
    let (random, mut tally) = (&mut Random(4), Tally::default());
    let (mut last_g1, mut last_g2) = (ark_bn254::G1Affine::generator(), ark_bn254::G2Affine::generator());
    for round in 0..3000 {
        let mut points: Vec<u8> = (0..2).flat_map(|_| encode(&point(random, &mut last_g1), 32, false)).collect();
        let mut product = [encode(&point(random, &mut last_g1), 32, false), random.word()].concat();
        if round % 2 == 0 {
            points = random.damaged(points);
            product = random.damaged(product);
        }
        tally.compare(Precompile::Bn254Add, &points, 100_000);
        if round % 3 == 0 {
            tally.compare(Precompile::Bn254Mul, &product, 100_000);
        }
    }
    for round in 0..250 {
        let mut input = Vec::new();
        for _ in 0..random.below(4) {
            input.extend(encode(&point(random, &mut last_g1), 32, false));
            input.extend(encode(&point(random, &mut last_g2), 32, true));
        }
        if round % 5 == 0 {
            // e(aP, bQ) * e(-abP, Q) = 1.
            let (a, b) = (ark_bn254::Fr::rand(random), ark_bn254::Fr::rand(random));
            let (p, q) = (ark_bn254::G1Affine::generator(), ark_bn254::G2Affine::generator());
            input = encode(&(p * a).into_affine(), 32, false);
            input.extend(encode(&(q * b).into_affine(), 32, true));
            input.extend(encode(&(-(p * (a * b))).into_affine(), 32, false));
            input.extend(encode(&q, 32, true));
        }
        if round % 4 == 1 {
            input = random.damaged(input);
        }
        tally.compare(Precompile::Bn254Pairing, &input, 10_000_000);
    }
    tally.demand(3000, 2000, 500);
}

#[test]
fn blake2f() {
    let (random, mut tally) = (&mut Random(5), Tally::default());
    for round in 0..3000 {
        let mut input = random.bytes(213);
        input[..4].copy_from_slice(&(if round < 64 { round } else { random.below(2000) as u32 }).to_be_bytes());
        input[212] = random.below(2) as u8;
        if round % 4 == 3 {
            input = random.damaged(input);
        }
        tally.compare(Precompile::Blake2F, &input, 20_000);
    }
    tally.demand(2000, 2000, 100);
}

#[test]
fn kzg_point_evaluation() {
    let (random, mut tally) = (&mut Random(6), Tally::default());
    let settings = c_kzg::ethereum_kzg_settings(0);
    for round in 0..80 {
        if round % 20 == 0 {
            tally.compare(Precompile::KzgPointEvaluation, &random.bytes(192), 100_000);
        }
        // The polynomial c, or c at one root of unity and zero at all others.
        let mut blob = vec![0; c_kzg::BYTES_PER_BLOB];
        let value = field_bytes(ark_bls12_381::Fr::rand(random), 32);
        let fields = if round % 2 == 0 { c_kzg::FIELD_ELEMENTS_PER_BLOB } else { 1 };
        for element in blob.chunks_exact_mut(32).take(fields) {
            element.copy_from_slice(&value);
        }
        let blob = c_kzg::Blob::from_bytes(&blob).expect("a blob");
        let z = field_bytes(ark_bls12_381::Fr::rand(random), 32);
        let commitment = settings.blob_to_kzg_commitment(&blob).expect("a commitment").to_bytes();
        let (proof, y) =
            settings.compute_kzg_proof(&blob, &c_kzg::Bytes32::from_bytes(&z).expect("a word")).expect("a proof");
        let mut hash = <sha2::Sha256 as sha2::Digest>::digest(commitment.as_slice()).to_vec();
        hash[0] = 1;
        let valid = [&hash[..], &z, y.as_slice(), commitment.as_slice(), proof.to_bytes().as_slice()].concat();
        tally.compare(Precompile::KzgPointEvaluation, &valid, 100_000);
        for _ in 0..4 {
            let mut damaged = random.damaged(valid.clone());
            // Damage to the commitment must get past the hash.
            if damaged.len() == 192 && random.one_in(2) {
                let hash = <sha2::Sha256 as sha2::Digest>::digest(&damaged[96..144]);
                damaged[1..32].copy_from_slice(&hash[1..]);
            }
            tally.compare(Precompile::KzgPointEvaluation, &damaged, 100_000);
        }
    }
    tally.demand(80, 80, 200);
}

#[test]
fn bls12_381_g1() {
    let (random, mut tally) = (&mut Random(7), Tally::default());
    let mut last = ark_bls12_381::G1Affine::generator();
    for round in 0..1500 {
        let mut sum: Vec<u8> = (0..2).flat_map(|_| encode(&point(random, &mut last), 64, false)).collect();
        let mut element = field_bytes(ark_bls12_381::Fq::rand(random), 64);
        if round % 2 == 0 {
            sum = random.damaged(sum);
            element = random.damaged(element);
        }
        tally.compare(Precompile::Bls12G1Add, &sum, 1_000_000);
        if round % 4 < 2 {
            tally.compare(Precompile::Bls12MapFpToG1, &element, 1_000_000);
        }
    }
    for round in 0..200 {
        let count = if round < 140 { random.below(5) } else { 20 + random.below(20) };
        let mut terms = Vec::new();
        for _ in 0..count {
            let mut term = point(random, &mut last);
            // Many terms would nearly always have one outside of the subgroup.
            if count > 5 && !term.is_in_correct_subgroup_assuming_on_curve() {
                term = Affine::generator();
            }
            terms.extend(encode(&term, 64, false));
            terms.extend(random.word());
        }
        if round % 4 == 3 {
            terms = random.damaged(terms);
        }
        tally.compare(Precompile::Bls12G1Msm, &terms, 10_000_000);
    }
    tally.demand(1000, 800, 500);
}

#[test]
fn bls12_381_g2() {
    let (random, mut tally) = (&mut Random(8), Tally::default());
    let mut last = ark_bls12_381::G2Affine::generator();
    for round in 0..600 {
        let mut sum: Vec<u8> = (0..2).flat_map(|_| encode(&point(random, &mut last), 64, false)).collect();
        let mut element: Vec<u8> = (0..2).flat_map(|_| field_bytes(ark_bls12_381::Fq::rand(random), 64)).collect();
        if round % 2 == 0 {
            sum = random.damaged(sum);
            element = random.damaged(element);
        }
        tally.compare(Precompile::Bls12G2Add, &sum, 1_000_000);
        if round % 4 < 2 {
            tally.compare(Precompile::Bls12MapFp2ToG2, &element, 1_000_000);
        }
    }
    for round in 0..100 {
        let count = if round < 80 { random.below(4) } else { 33 };
        let mut terms = Vec::new();
        for _ in 0..count {
            let mut term = point(random, &mut last);
            if count > 5 && !term.is_in_correct_subgroup_assuming_on_curve() {
                term = Affine::generator();
            }
            terms.extend(encode(&term, 64, false));
            terms.extend(random.word());
        }
        if round % 4 == 3 {
            terms = random.damaged(terms);
        }
        tally.compare(Precompile::Bls12G2Msm, &terms, 10_000_000);
    }
    tally.demand(500, 400, 200);
}

#[test]
fn bls12_381_pairing() {
    let (random, mut tally) = (&mut Random(9), Tally::default());
    let (p, q) = (ark_bls12_381::G1Affine::generator(), ark_bls12_381::G2Affine::generator());
    let (mut last_g1, mut last_g2) = (p, q);
    for round in 0..250 {
        let mut input = Vec::new();
        for _ in 0..random.below(4) {
            input.extend(encode(&point(random, &mut last_g1), 64, false));
            input.extend(encode(&point(random, &mut last_g2), 64, false));
        }
        if round % 5 == 0 {
            let (a, b) = (ark_bls12_381::Fr::rand(random), ark_bls12_381::Fr::rand(random));
            input = encode(&(p * a).into_affine(), 64, false);
            input.extend(encode(&(q * b).into_affine(), 64, false));
            input.extend(encode(&(-(p * (a * b))).into_affine(), 64, false));
            input.extend(encode(&q, 64, false));
        }
        if round % 4 == 1 {
            input = random.damaged(input);
        }
        tally.compare(Precompile::Bls12PairingCheck, &input, 10_000_000);
    }
    tally.demand(100, 40, 80);
}

#[test]
fn p256verify() {
    use p256::ecdsa::signature::hazmat::PrehashSigner;
    let (random, mut tally) = (&mut Random(10), Tally::default());
    for round in 0..1200 {
        let key = p256::ecdsa::SigningKey::from_slice(&random.bytes(32)).expect("a key");
        let hash = random.word();
        let signature: p256::ecdsa::Signature = key.sign_prehash(&hash).expect("a signature");
        let public_key = key.verifying_key().to_sec1_point(false);
        let mut input = [&hash[..], &signature.to_bytes(), &public_key.as_bytes()[1..]].concat();
        if round % 2 == 0 {
            input = random.damaged(input);
        }
        tally.compare(Precompile::P256Verify, &input, 100_000);
    }
    tally.demand(1200, 500, 0);
}
