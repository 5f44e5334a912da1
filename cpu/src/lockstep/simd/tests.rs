//! Every function at every level against 256-bit arithmetic, on edge and random words.

use super::*;
use crate::crypto;
use isolane_spec::{U256, word};

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

    fn limb(&mut self) -> u64 {
        match self.next() % 6 {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << (self.next() % 64),
            3 => u64::MAX << (self.next() % 64),
            _ => self.next(),
        }
    }

    fn column(&mut self) -> Box<Column> {
        let mut column = Column::zeros();
        for lane in 0..LANES {
            let limbs = std::array::from_fn(|_| self.limb());
            column.set(lane, &U256(limbs));
        }
        column
    }
}

fn levels() -> impl Iterator<Item = Simd> {
    SimdLevel::ALL.into_iter().filter(|level| *level <= SimdLevel::highest()).map(Simd::new)
}

fn negative(word: &U256) -> bool {
    word.bit(255)
}

fn truth(value: bool) -> U256 {
    U256::from(u64::from(value))
}

type Kernel = fn(Simd, &Column, &Column, &mut Column);
type Twin = fn(&U256, &U256) -> U256;

const BINARY: [(&str, Kernel, Twin); 8] = [
    ("add", Simd::add, |a, b| a.overflowing_add(*b).0),
    ("sub", Simd::sub, |a, b| a.overflowing_sub(*b).0),
    ("and", Simd::and, |a, b| *a & *b),
    ("or", Simd::or, |a, b| *a | *b),
    ("xor", Simd::xor, |a, b| *a ^ *b),
    ("lt", Simd::lt, |a, b| truth(a < b)),
    ("slt", Simd::slt, |a, b| truth(if negative(a) == negative(b) { a < b } else { negative(a) })),
    ("eq", Simd::eq, |a, b| truth(a == b)),
];

#[test]
fn functions_of_two_columns() {
    let mut random = Random(1);
    let mut out = Column::zeros();
    for simd in levels() {
        for round in 0..40 {
            let a = random.column();
            let mut b = random.column();
            for lane in (0..LANES).filter(|lane| (lane + round) % 3 == 0) {
                // Equal, or different in one limb only.
                let mut word = a.get(lane);
                word.0[round % 4] ^= random.limb() & (round as u64 % 2).wrapping_neg();
                b.set(lane, &word);
            }
            for (name, kernel, twin) in BINARY {
                kernel(simd, &a, &b, &mut out);
                for lane in 0..LANES {
                    let (a, b) = (a.get(lane), b.get(lane));
                    assert_eq!(out.get(lane), twin(&a, &b), "{simd:?} {name} {a:x} {b:x}");
                }
            }
        }
    }
}

#[test]
fn functions_of_one_column() {
    let mut random = Random(2);
    let mut out = Column::zeros();
    for simd in levels() {
        for _ in 0..20 {
            let mut a = random.column();
            for lane in (0..LANES).step_by(5) {
                a.set(lane, &U256::zero());
            }
            simd.not(&a, &mut out);
            assert!((0..LANES).all(|lane| out.get(lane) == !a.get(lane)), "{simd:?} not");
            simd.iszero(&a, &mut out);
            assert!((0..LANES).all(|lane| out.get(lane) == truth(a.get(lane).is_zero())), "{simd:?} iszero");
            let nonzero = simd.nonzero(&a);
            assert!((0..LANES).all(|lane| (nonzero >> lane & 1 == 1) != a.get(lane).is_zero()), "{simd:?} nonzero");
        }
    }
}

#[test]
fn shifts_by_every_count() {
    let mut random = Random(3);
    let mut out = Column::zeros();
    for simd in levels() {
        for count in 0..256 {
            let a = random.column();
            simd.shift_left(&a, count, &mut out);
            assert!((0..LANES).all(|lane| out.get(lane) == a.get(lane) << count), "{simd:?} left by {count}");
            simd.shift_right(&a, count, &mut out);
            assert!((0..LANES).all(|lane| out.get(lane) == a.get(lane) >> count), "{simd:?} right by {count}");
            simd.shift_right_signed(&a, count, &mut out);
            for lane in 0..LANES {
                let word = a.get(lane);
                let fill = if negative(&word) { !(U256::MAX >> count) } else { U256::zero() };
                assert_eq!(out.get(lane), word >> count | fill, "{simd:?} {word:x} right by {count}, signed");
            }
        }
    }
}

#[test]
fn lanes_of_a_mask() {
    let mut random = Random(4);
    let mut out = Column::zeros();
    for simd in levels() {
        for _ in 0..50 {
            let (a, b, mask) = (random.column(), random.column(), random.next() | 1);
            let is_set = |lane: usize| mask >> lane & 1 == 1;
            simd.blend(mask, &a, &b, &mut out);
            for lane in 0..LANES {
                assert_eq!(out.get(lane), if is_set(lane) { a.get(lane) } else { b.get(lane) }, "{simd:?} blend");
            }

            let word = U256(std::array::from_fn(|_| random.limb()));
            simd.broadcast(&word.0, &mut out);
            assert!((0..LANES).all(|lane| out.get(lane) == word), "{simd:?} broadcast");
            for lane in (0..LANES).filter(|&lane| !is_set(lane)) {
                out.set(lane, &a.get(lane));
            }
            assert!(simd.is_uniform(&out, &word.0, mask), "{simd:?} uniform");
            let odd = (0..LANES).filter(|&lane| is_set(lane)).nth((random.next() % 8) as usize).unwrap_or(0);
            let mut other = word;
            other.0[(random.next() % 4) as usize] ^= 1 << (random.next() % 64);
            out.set(odd, &other);
            assert!(!simd.is_uniform(&out, &word.0, mask), "{simd:?} not uniform");
            assert!(simd.is_equal(&out, &out.clone(), mask), "{simd:?} equal");
            let mut other = out.clone();
            other.0[3][odd] ^= 1;
            assert!(!simd.is_equal(&out, &other, mask), "{simd:?} not equal");
            assert!(simd.is_equal(&out, &other, mask & !(1 << odd)), "{simd:?} equal but for one");

            let gas: Limb = std::array::from_fn(|_| random.next() | 1 << 40);
            let least = (0..LANES).filter(|&lane| is_set(lane)).map(|lane| gas[lane]).min();
            assert_eq!(Some(simd.least(&gas, mask)), least, "{simd:?} least");
            let mut rest = gas;
            simd.spend(&mut rest, 12_345, mask);
            for lane in 0..LANES {
                assert_eq!(rest[lane], gas[lane] - if is_set(lane) { 12_345 } else { 0 }, "{simd:?} spend");
            }
        }
        assert_eq!(simd.least(&[0; LANES], 0), u64::MAX);
    }
}

#[test]
fn hashes_of_every_length() {
    let mut random = Random(5);
    let bytes: Vec<u8> = (0..2_000).map(|_| random.next() as u8).collect();
    let mut out = Column::zeros();
    for simd in levels() {
        for round in 0..300 {
            // Equal lengths, lengths of as many blocks, any lengths; all lanes, or some.
            let base = round * 2;
            let inputs: [&[u8]; LANES] = std::array::from_fn(|lane| {
                let len = match round % 3 {
                    0 => base,
                    1 => base / 136 * 136 + (random.next() % 136) as usize,
                    _ => (random.next() % 600) as usize,
                };
                &bytes[lane * 7..lane * 7 + len]
            });
            let mask = if round % 2 == 0 { u64::MAX } else { random.next() | 2 };
            simd.keccak256(&inputs, mask, &mut out);
            for lane in (0..LANES).filter(|lane| mask >> lane & 1 == 1) {
                let expected = word::from_hash(&crypto::keccak256(inputs[lane]));
                assert_eq!(out.get(lane), expected, "{simd:?} lane {lane}, {} bytes", inputs[lane].len());
            }
        }
        let same: [&[u8]; LANES] = [&bytes[..77]; LANES];
        simd.keccak256(&same, 3, &mut out);
        assert_eq!(out.get(1), word::from_hash(&crypto::keccak256(&bytes[..77])));
    }
}

#[test]
fn hashes_of_words() {
    let mut random = Random(6);
    let mut out = Column::zeros();
    for simd in levels() {
        for count in 1..=4 {
            let columns: Vec<Box<Column>> = (0..count).map(|_| random.column()).collect();
            let word = U256(std::array::from_fn(|_| random.limb()));
            for fixed in 0..=count {
                // One of the words is the same in all lanes, or none is.
                let part = |at: usize| if at == fixed { Part::Word(&word) } else { Part::Column(&columns[at]) };
                let parts: Vec<Part<'_>> = (0..count).map(part).collect();
                let mask = random.next() | 1;
                simd.keccak256_words(&parts, mask, &mut out);
                for lane in (0..LANES).filter(|lane| mask >> lane & 1 == 1) {
                    let words = (0..count).map(|at| if at == fixed { word } else { columns[at].get(lane) });
                    let bytes: Vec<u8> = words.flat_map(|word| word::to_be(&word)).collect();
                    assert_eq!(out.get(lane), word::from_hash(&crypto::keccak256(&bytes)), "{simd:?} {count} {fixed}");
                }
            }
        }
    }
}
