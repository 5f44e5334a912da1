//! Random input, and the comparison.

use ark_ec::short_weierstrass::{Affine, SWCurveConfig};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, Field, PrimeField, UniformRand};
use isolane_cpu::precompile::{Precompile, PrecompileError, Run};
use isolane_spec::Fork;
use revm_precompile::{PrecompileSpecId, Precompiles};

/// The forks at which a precompile appears or changes, each with revm's name.
pub const FORKS: [(Fork, PrecompileSpecId); 7] = [
    (Fork::Frontier, PrecompileSpecId::HOMESTEAD),
    (Fork::Byzantium, PrecompileSpecId::BYZANTIUM),
    (Fork::Istanbul, PrecompileSpecId::ISTANBUL),
    (Fork::Berlin, PrecompileSpecId::BERLIN),
    (Fork::Cancun, PrecompileSpecId::CANCUN),
    (Fork::Prague, PrecompileSpecId::PRAGUE),
    (Fork::Osaka, PrecompileSpecId::OSAKA),
];

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// A word, often one of those where bounds lie.
    pub fn word(&mut self) -> Vec<u8> {
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
    pub fn damaged(&mut self, mut input: Vec<u8>) -> Vec<u8> {
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
pub struct Tally {
    successes: usize,
    failures: usize,
    /// Successes with other output than none or zeros.
    outputs: usize,
}

impl Tally {
    /// Runs both at a gas limit that suffices, and ours at its exact cost and one below.
    pub fn compare(&mut self, precompile: Precompile, input: &[u8], gas_limit: u64) {
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
    pub fn demand(&self, successes: usize, outputs: usize, failures: usize) {
        assert!(
            self.successes >= successes && self.outputs >= outputs && self.failures >= failures,
            "too few of a kind: {} successes, {} with output, {} failures",
            self.successes,
            self.outputs,
            self.failures
        );
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A prime field element, big-endian, in `length` bytes.
pub fn field_bytes<F: PrimeField>(element: F, length: usize) -> Vec<u8> {
    let limbs = element.into_bigint();
    let mut bytes: Vec<u8> = limbs.as_ref().iter().flat_map(|limb| limb.to_le_bytes()).collect();
    bytes.resize(length, 0);
    bytes.reverse();
    bytes
}

/// A point: in the subgroup mostly, else on the curve, infinity or a repetition's opposite.
pub fn point<C: SWCurveConfig>(random: &mut Random, last: &mut Affine<C>) -> Affine<C> {
    let fresh = match random.below(12) {
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
        // A zero abscissa, at once or as the next sum: on BLS12-381 G1, a point of order three.
        5 => match Affine::get_point_from_x_unchecked(C::BaseField::ZERO, random.one_in(2)) {
            Some(point) if random.one_in(2) => point,
            Some(point) => (point - *last).into_affine(),
            None => C::GENERATOR,
        },
        _ => (C::GENERATOR * C::ScalarField::rand(random)).into_affine(),
    };
    *last = fresh;
    fresh
}

pub fn encode<C: SWCurveConfig>(point: &Affine<C>, length: usize, imaginary_first: bool) -> Vec<u8> {
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
