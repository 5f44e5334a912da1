//! KECCAK256 of many inputs at once: eight states in AVX-512 registers, or four in AVX2's.

use super::column::{Column, LANES, Mask};
use super::{Simd, SimdLevel};
use crate::crypto;
use isolane_spec::{U256, word};

/// Bytes that one permutation absorbs.
const RATE: usize = 136;

impl Simd {
    /// The hashes of the inputs of the lanes of a mask, of which there is one at least. What the other lanes get is of no
    /// account.
    pub fn keccak256(self, inputs: &[&[u8]; LANES], mask: Mask, out: &mut Column) {
        let first = inputs[mask.trailing_zeros() as usize % LANES];
        let is_active = |lane: &usize| mask >> lane & 1 == 1;
        if (0..LANES).filter(is_active).all(|lane| inputs[lane] == first) {
            // All lanes hash the same.
            self.broadcast(&word::from_hash(&crypto::keccak256(first)).0, out);
            return;
        }
        #[cfg(target_arch = "x86_64")]
        match self.0 {
            SimdLevel::Avx512 => {
                // SAFETY: `Simd::new` holds no level that the machine lacks.
                return many::<8>(inputs, mask, out, |states| unsafe { x86::permute_eight(states) });
            }
            SimdLevel::Avx2 => {
                // SAFETY: as above.
                return many::<4>(inputs, mask, out, |states| unsafe { x86::permute_four(states) });
            }
            SimdLevel::Portable => {}
        }
        for lane in (0..LANES).filter(is_active) {
            out.set(lane, &word::from_hash(&crypto::keccak256(inputs[lane])));
        }
    }
}

/// A word of the input of all lanes.
pub(crate) enum Part<'a> {
    /// The same in all lanes.
    Word(&'a U256),
    /// One a lane.
    Column(&'a Column),
}

impl Simd {
    /// The hashes of at most four words a lane, for the lanes of a mask. What the other lanes get is of no account.
    pub fn keccak256_words(self, parts: &[Part<'_>], mask: Mask, out: &mut Column) {
        #[cfg(target_arch = "x86_64")]
        match self.0 {
            SimdLevel::Avx512 => {
                // SAFETY: `Simd::new` holds no level that the machine lacks.
                return words::<8>(parts, mask, out, |states| unsafe { x86::permute_eight(states) });
            }
            SimdLevel::Avx2 => {
                // SAFETY: as above.
                return words::<4>(parts, mask, out, |states| unsafe { x86::permute_four(states) });
            }
            SimdLevel::Portable => {}
        }
        let mut bytes = [0; 128];
        for lane in (0..LANES).filter(|lane| mask >> lane & 1 == 1) {
            for (place, part) in bytes.as_chunks_mut::<32>().0.iter_mut().zip(parts) {
                *place = word::to_be(&match part {
                    Part::Word(word) => **word,
                    Part::Column(column) => column.get(lane),
                });
            }
            out.set(lane, &word::from_hash(&crypto::keccak256(&bytes[..32 * parts.len().min(4)])));
        }
    }
}

/// Hashes words of `N` neighbouring lanes at a time.
#[cfg(target_arch = "x86_64")]
fn words<const N: usize>(parts: &[Part<'_>], mask: Mask, out: &mut Column, permute: impl Fn(&mut [[u64; N]; 25])) {
    let parts = &parts[..parts.len().min(4)];
    for first in (0..LANES).step_by(N) {
        if mask >> first & ((1 << N) - 1) == 0 {
            continue;
        }
        let mut states = [[0u64; N]; 25];
        for (place, part) in states.as_chunks_mut::<4>().0.iter_mut().zip(parts) {
            for (limb, state) in place.iter_mut().rev().enumerate() {
                match part {
                    Part::Word(word) => *state = [word.0[limb].swap_bytes(); N],
                    Part::Column(column) => {
                        for (state, limb) in state.iter_mut().zip(&column.0[limb][first..]) {
                            *state = limb.swap_bytes();
                        }
                    }
                }
            }
        }
        states[4 * parts.len()] = [0x01; N];
        for state in &mut states[RATE / 8 - 1] {
            *state ^= 0x80 << 56;
        }
        permute(&mut states);
        for (limbs, state) in out.0.iter_mut().rev().zip(&states) {
            for (limb, state) in limbs[first..].iter_mut().zip(state) {
                *limb = state.swap_bytes();
            }
        }
    }
}

/// Hashes `N` inputs at a time.
#[cfg(target_arch = "x86_64")]
fn many<const N: usize>(
    inputs: &[&[u8]; LANES],
    mut mask: Mask,
    out: &mut Column,
    permute: impl Fn(&mut [[u64; N]; 25]),
) {
    while mask != 0 {
        let mut lanes = [0; N];
        let mut count = 0;
        while mask != 0 && count < N {
            lanes[count] = mask.trailing_zeros() as usize % LANES;
            mask &= mask - 1;
            count += 1;
        }
        let lanes = &lanes[..count];
        let blocks = lanes.iter().map(|&lane| inputs[lane].len() / RATE + 1).max().unwrap_or(0);
        let mut states = [[0u64; N]; 25];
        for block in 0..blocks {
            for (place, &lane) in lanes.iter().enumerate() {
                if let Some(rest) = inputs[lane].get(block * RATE..) {
                    absorb(&mut states, place, rest);
                }
            }
            permute(&mut states);
            for (place, &lane) in lanes.iter().enumerate() {
                if inputs[lane].len() / RATE == block {
                    let limb = |limb: usize| states[3 - limb][place].swap_bytes();
                    out.set(lane, &U256([limb(0), limb(1), limb(2), limb(3)]));
                }
            }
        }
    }
}

/// Mixes in the next block of an input; its padding too, where it ends in it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn absorb<const N: usize>(states: &mut [[u64; N]; 25], place: usize, rest: &[u8]) {
    let place = place % N;
    if let Some(block) = rest.first_chunk::<RATE>() {
        for (state, bytes) in states.iter_mut().zip(block.as_chunks::<8>().0) {
            state[place] ^= u64::from_le_bytes(*bytes);
        }
        return;
    }
    let (words, tail) = rest.as_chunks::<8>();
    for (state, bytes) in states.iter_mut().zip(words) {
        state[place] ^= u64::from_le_bytes(*bytes);
    }
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    last[tail.len()] = 0x01;
    states[words.len()][place] ^= u64::from_le_bytes(last);
    states[RATE / 8 - 1][place] ^= 0x80 << 56;
}

/// The 24 rounds of Keccak-f[1600] (FIPS 202, 3.2 and 3.3) on vectors, each of which holds one word of several states.
#[cfg(target_arch = "x86_64")]
macro_rules! rounds {
    ($a:ident, $xor:ident, $xor5:ident, $chi:ident, $rotate:ident, $constant:ident) => {
        for constant in ROUND_CONSTANTS {
            // Theta.
            let c = [
                $xor5!($a[0], $a[5], $a[10], $a[15], $a[20]),
                $xor5!($a[1], $a[6], $a[11], $a[16], $a[21]),
                $xor5!($a[2], $a[7], $a[12], $a[17], $a[22]),
                $xor5!($a[3], $a[8], $a[13], $a[18], $a[23]),
                $xor5!($a[4], $a[9], $a[14], $a[19], $a[24]),
            ];
            let d = [
                $xor!(c[4], $rotate!(c[1], 1)),
                $xor!(c[0], $rotate!(c[2], 1)),
                $xor!(c[1], $rotate!(c[3], 1)),
                $xor!(c[2], $rotate!(c[4], 1)),
                $xor!(c[3], $rotate!(c[0], 1)),
            ];
            // Rho and pi.
            let b = [
                $xor!($a[0], d[0]),
                $rotate!($xor!($a[6], d[1]), 44),
                $rotate!($xor!($a[12], d[2]), 43),
                $rotate!($xor!($a[18], d[3]), 21),
                $rotate!($xor!($a[24], d[4]), 14),
                $rotate!($xor!($a[3], d[3]), 28),
                $rotate!($xor!($a[9], d[4]), 20),
                $rotate!($xor!($a[10], d[0]), 3),
                $rotate!($xor!($a[16], d[1]), 45),
                $rotate!($xor!($a[22], d[2]), 61),
                $rotate!($xor!($a[1], d[1]), 1),
                $rotate!($xor!($a[7], d[2]), 6),
                $rotate!($xor!($a[13], d[3]), 25),
                $rotate!($xor!($a[19], d[4]), 8),
                $rotate!($xor!($a[20], d[0]), 18),
                $rotate!($xor!($a[4], d[4]), 27),
                $rotate!($xor!($a[5], d[0]), 36),
                $rotate!($xor!($a[11], d[1]), 10),
                $rotate!($xor!($a[17], d[2]), 15),
                $rotate!($xor!($a[23], d[3]), 56),
                $rotate!($xor!($a[2], d[2]), 62),
                $rotate!($xor!($a[8], d[3]), 55),
                $rotate!($xor!($a[14], d[4]), 39),
                $rotate!($xor!($a[15], d[0]), 41),
                $rotate!($xor!($a[21], d[1]), 2),
            ];
            // Chi.
            for y in [0, 5, 10, 15, 20] {
                for x in 0..5 {
                    $a[y + x] = $chi!(b[y + x], b[y + (x + 1) % 5], b[y + (x + 2) % 5]);
                }
            }
            // Iota.
            $a[0] = $xor!($a[0], $constant!(constant));
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_andnot_si256, _mm256_loadu_si256, _mm256_or_si256, _mm256_set1_epi64x,
        _mm256_setzero_si256, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_storeu_si256, _mm256_xor_si256,
        _mm512_loadu_si512, _mm512_rol_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_storeu_si512,
        _mm512_ternarylogic_epi64, _mm512_xor_si512,
    };

    const ROUND_CONSTANTS: [u64; 24] = [
        0x0000_0000_0000_0001,
        0x0000_0000_0000_8082,
        0x8000_0000_0000_808a,
        0x8000_0000_8000_8000,
        0x0000_0000_0000_808b,
        0x0000_0000_8000_0001,
        0x8000_0000_8000_8081,
        0x8000_0000_0000_8009,
        0x0000_0000_0000_008a,
        0x0000_0000_0000_0088,
        0x0000_0000_8000_8009,
        0x0000_0000_8000_000a,
        0x0000_0000_8000_808b,
        0x8000_0000_0000_008b,
        0x8000_0000_0000_8089,
        0x8000_0000_0000_8003,
        0x8000_0000_0000_8002,
        0x8000_0000_0000_0080,
        0x0000_0000_0000_800a,
        0x8000_0000_8000_000a,
        0x8000_0000_8000_8081,
        0x8000_0000_0000_8080,
        0x0000_0000_8000_0001,
        0x8000_0000_8000_8008,
    ];

    /// Keccak-f on eight states.
    #[target_feature(enable = "avx512f")]
    pub(super) fn permute_eight(states: &mut [[u64; 8]; 25]) {
        macro_rules! xor {
            ($a:expr, $b:expr) => {
                _mm512_xor_si512($a, $b)
            };
        }
        macro_rules! xor5 {
            ($a:expr, $b:expr, $c:expr, $d:expr, $e:expr) => {
                _mm512_ternarylogic_epi64::<0x96>(_mm512_ternarylogic_epi64::<0x96>($a, $b, $c), $d, $e)
            };
        }
        macro_rules! chi {
            ($a:expr, $b:expr, $c:expr) => {
                _mm512_ternarylogic_epi64::<0xd2>($a, $b, $c)
            };
        }
        macro_rules! rotate {
            ($a:expr, $count:literal) => {
                _mm512_rol_epi64::<$count>($a)
            };
        }
        macro_rules! constant {
            ($a:expr) => {
                _mm512_set1_epi64($a.cast_signed())
            };
        }
        let mut a: [__m512i; 25] = [_mm512_setzero_si512(); 25];
        for (vector, words) in a.iter_mut().zip(states.iter()) {
            // SAFETY: 64 bytes are read where 64 are.
            *vector = unsafe { _mm512_loadu_si512(words.as_ptr().cast()) };
        }
        rounds!(a, xor, xor5, chi, rotate, constant);
        for (vector, words) in a.iter().zip(states) {
            // SAFETY: 64 bytes are written where 64 are.
            unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), *vector) };
        }
    }

    /// Keccak-f on four states.
    #[target_feature(enable = "avx2")]
    pub(super) fn permute_four(states: &mut [[u64; 4]; 25]) {
        macro_rules! xor {
            ($a:expr, $b:expr) => {
                _mm256_xor_si256($a, $b)
            };
        }
        macro_rules! xor5 {
            ($a:expr, $b:expr, $c:expr, $d:expr, $e:expr) => {
                xor!(xor!(xor!($a, $b), xor!($c, $d)), $e)
            };
        }
        macro_rules! chi {
            ($a:expr, $b:expr, $c:expr) => {
                xor!($a, _mm256_andnot_si256($b, $c))
            };
        }
        macro_rules! rotate {
            ($a:expr, $count:literal) => {{
                let word = $a;
                _mm256_or_si256(_mm256_slli_epi64::<$count>(word), _mm256_srli_epi64::<{ 64 - $count }>(word))
            }};
        }
        macro_rules! constant {
            ($a:expr) => {
                _mm256_set1_epi64x($a.cast_signed())
            };
        }
        let mut a: [__m256i; 25] = [_mm256_setzero_si256(); 25];
        for (vector, words) in a.iter_mut().zip(states.iter()) {
            // SAFETY: 32 bytes are read where 32 are.
            *vector = unsafe { _mm256_loadu_si256(words.as_ptr().cast()) };
        }
        rounds!(a, xor, xor5, chi, rotate, constant);
        for (vector, words) in a.iter().zip(states) {
            // SAFETY: 32 bytes are written where 32 are.
            unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), *vector) };
        }
    }
}
