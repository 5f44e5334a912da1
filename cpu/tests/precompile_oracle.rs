//! Our precompiles against those of revm, on random, structured and damaged input.
//!
//! revm is built here on other libraries than ours where it has them (k256, arkworks, aurora's modexp), and the
//! structured input is made with the libraries directly, so that a shared mistake has to be made twice. The seed is
//! fixed: a failure repeats.

use ark_ec::short_weierstrass::{Affine, SWCurveConfig};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{Field, PrimeField, UniformRand};
use isolane_cpu::precompile::{Precompile, PrecompileError};
use isolane_spec::{Fork, H160};
use revm_precompile::{PrecompileSpecId, Precompiles};

/// The forks at which a precompile appears or changes, each with revm's name.
const FORKS: [(Fork, PrecompileSpecId); 7] = [
    (Fork::Frontier, PrecompileSpecId::HOMESTEAD),
    (Fork::Byzantium, PrecompileSpecId::BYZANTIUM),
    (Fork::Istanbul, PrecompileSpecId::ISTANBUL),
    (Fork::Berlin, PrecompileSpecId::BERLIN),
    (Fork::Cancun, PrecompileSpecId::CANCUN),
    (Fork::Prague, PrecompileSpecId::PRAGUE),
    (Fork::Osaka, PrecompileSpecId::OSAKA),
];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// A word, often one of those where bounds lie.
    fn word(&mut self) -> Vec<u8> {
        const EDGES: [&str; 12] = [
            "0",
            "1",
            "2",
            "1b",
            "1c",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            // The orders and moduli of secp256k1, secp256r1, BN254 (field, then group) and BLS12-381 (group).
            "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
            "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
            "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
            "30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47",
            "30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001",
            "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001",
        ];
        if self.one_in(2) {
            return self.bytes(32);
        }
        let edge = isolane_spec::U256::from_str_radix(self.pick(&EDGES), 16).expect("a hexadecimal word");
        let (one, zero) = (1.into(), 0.into());
        let (up, down) = [(zero, zero), (one, zero), (zero, one)][self.below(3)];
        edge.overflowing_add(up).0.overflowing_sub(down).0.to_big_endian().to_vec()
    }

    /// `input`, damaged in one of the usual ways.
    fn damaged(&mut self, mut input: Vec<u8>) -> Vec<u8> {
        let length = input.len();
        match self.below(6) {
            0 => input.truncate(self.below(length + 1)),
            1 => {
                let more = 1 + self.below(40);
                input.extend(self.bytes(more));
            }
            2 if length > 0 => input[self.below(length)] ^= 1 << self.below(8),
            3 if length > 0 => input[self.below(length)] = self.next() as u8,
            4 if length >= 32 => {
                let at = self.below(length / 32) * 32;
                let word = self.word();
                input[at..at + 32].copy_from_slice(&word);
            }
            5 if length >= 64 => {
                let at = self.below(length / 64) * 64;
                input[at..at + 64].fill(0);
            }
            _ => input.clear(),
        }
        input
    }
}

impl ark_std::rand::RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        self.next() as u32
    }
    fn next_u64(&mut self) -> u64 {
        self.next()
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next() as u8);
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), ark_std::rand::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// How often each outcome occurred, so that a test can demand both.
#[derive(Default)]
struct Tally {
    successes: usize,
    failures: usize,
    /// Successes with other output than none or zeros.
    outputs: usize,
}

impl Tally {
    /// Runs both at a gas limit that suffices, and ours at its exact cost and one below.
    fn compare(&mut self, precompile: Precompile, input: &[u8], gas_limit: u64) {
        for (fork, spec) in FORKS {
            if fork < precompile.since() {
                continue;
            }
            // The forks between change nothing but for these.
            let changes = match precompile {
                Precompile::ModExp => &[Fork::Byzantium, Fork::Berlin, Fork::Osaka][..],
                Precompile::Bn254Add | Precompile::Bn254Mul | Precompile::Bn254Pairing => {
                    &[Fork::Byzantium, Fork::Istanbul]
                }
                _ => &[precompile.since()],
            };
            if changes.contains(&fork) {
                self.compare_at(precompile, input, gas_limit, fork, spec);
            }
        }
    }

    fn compare_at(&mut self, precompile: Precompile, input: &[u8], gas_limit: u64, fork: Fork, spec: PrecompileSpecId) {
        let context = || format!("{} in {fork}, gas limit {gas_limit}, input {}", precompile.name(), hex(input));
        let oracle = Precompiles::new(spec).get(&precompile.address().0.into()).expect("revm has the precompile");
        let expected = oracle.execute(input, gas_limit, 0).expect("no fatal error");
        let got = precompile.run(input, gas_limit, fork);
        match &got {
            Ok(output) => {
                assert!(expected.is_success(), "ours succeeds, revm's halts: {:?}; {}", expected.status, context());
                assert_eq!(output.gas_used, expected.gas_used, "gas of {}", context());
                assert_eq!(hex(&output.output), hex(&expected.bytes), "output of {}", context());
                self.successes += 1;
                self.outputs += usize::from(output.output.iter().any(|byte| *byte != 0));
                if output.gas_used > 0 {
                    let short = precompile.run(input, output.gas_used - 1, fork);
                    assert_eq!(short, Err(PrecompileError::OutOfGas), "one gas short: {}", context());
                }
                if self.successes.is_multiple_of(8) {
                    assert_eq!(precompile.run(input, output.gas_used, fork), got, "at its cost: {}", context());
                }
            }
            Err(error) => {
                assert!(expected.is_halt(), "ours fails with {error}, revm's succeeds; {}", context());
                self.failures += 1;
            }
        }
    }

    /// Both outcomes must have been met, each at least so often.
    fn demand(&self, successes: usize, outputs: usize, failures: usize) {
        assert!(
            self.successes >= successes && self.outputs >= outputs && self.failures >= failures,
            "too few of a kind: {} successes, {} with output, {} failures",
            self.successes,
            self.outputs,
            self.failures
        );
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A prime field element, big-endian, in `length` bytes.
fn field_bytes<F: PrimeField>(element: F, length: usize) -> Vec<u8> {
    let limbs = element.into_bigint();
    let mut bytes: Vec<u8> = limbs.as_ref().iter().flat_map(|limb| limb.to_le_bytes()).collect();
    bytes.resize(length, 0);
    bytes.reverse();
    bytes
}

/// A point: in the subgroup mostly, else on the curve, infinity or a repetition's opposite.
fn point<C: SWCurveConfig>(random: &mut Random, last: &mut Affine<C>) -> Affine<C> {
    let fresh = match random.below(10) {
        0 => Affine::identity(),
        1 => loop {
            let x = C::BaseField::rand(random);
            if let Some(point) = Affine::get_point_from_x_unchecked(x, random.one_in(2)) {
                break point;
            }
        },
        2 => -*last,
        3 => *last,
        4 => C::GENERATOR,
        _ => (C::GENERATOR * C::ScalarField::rand(random)).into_affine(),
    };
    *last = fresh;
    fresh
}

fn encode<C: SWCurveConfig>(point: &Affine<C>, length: usize, imaginary_first: bool) -> Vec<u8> {
    let degree = C::BaseField::extension_degree() as usize;
    let (x, y) = point.xy().unwrap_or_default();
    [x, y]
        .iter()
        .flat_map(|coordinate| {
            let mut parts: Vec<_> = coordinate.to_base_prime_field_elements().collect();
            if imaginary_first {
                parts.reverse();
            }
            parts
        })
        .take(2 * degree)
        .flat_map(|part| field_bytes(part, length))
        .collect()
}

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
