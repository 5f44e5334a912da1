//! BLAKE2F (0x09, EIP-152): the compression function F of BLAKE2b (RFC 7693, section 3.2) with a chosen number of rounds.
//!
//! No crate exposes the number of rounds, so the function is here. The ten permutations are unrolled: message words are
//! then read from fixed places, which is what makes it quick.

use super::{PrecompileError, PrecompileOutput, PrecompileResult, charge};

const INPUT_LENGTH: usize = 213;

/// The initialisation vector of BLAKE2b, which is that of SHA-512.
const IV: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// The message schedule: round `i` uses row `i % 10`.
const SIGMA: [[usize; 16]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

/// `input` is rounds (4 bytes, big-endian), h (8 words), m (16 words), t (2 words; all little-endian) and the flag.
pub(super) fn run(input: &[u8], gas_limit: u64) -> PrecompileResult {
    let input: &[u8; INPUT_LENGTH] = input.try_into().map_err(|_| PrecompileError::InvalidInput("213 bytes"))?;
    let rounds = u32::from_be_bytes([input[0], input[1], input[2], input[3]]);
    let gas_used = charge(u64::from(rounds), gas_limit)?;
    let last_block = match input[212] {
        0 => false,
        1 => true,
        _ => return Err(PrecompileError::InvalidInput("a final block flag of 0 or 1")),
    };
    let mut h = words::<8>(&input[4..68]);
    let m = words::<16>(&input[68..196]);
    let t = words::<2>(&input[196..212]);
    compress(rounds, &mut h, &m, t, last_block);
    Ok(PrecompileOutput { gas_used, output: h.iter().flat_map(|word| word.to_le_bytes()).collect() })
}

fn words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let (chunks, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|i| chunks.get(i).map_or(0, |chunk| u64::from_le_bytes(*chunk)))
}

/// The function G of RFC 7693, section 3.1.
#[inline(always)]
fn mix(v: &mut [u64; 16], [a, b, c, d]: [usize; 4], x: u64, y: u64) {
    v[a] = v[a].wrapping_add(v[b]).wrapping_add(x);
    v[d] = (v[d] ^ v[a]).rotate_right(32);
    v[c] = v[c].wrapping_add(v[d]);
    v[b] = (v[b] ^ v[c]).rotate_right(24);
    v[a] = v[a].wrapping_add(v[b]).wrapping_add(y);
    v[d] = (v[d] ^ v[a]).rotate_right(16);
    v[c] = v[c].wrapping_add(v[d]);
    v[b] = (v[b] ^ v[c]).rotate_right(63);
}

#[inline(always)]
fn round<const ROW: usize>(v: &mut [u64; 16], m: &[u64; 16]) {
    let s = const { SIGMA[ROW] };
    mix(v, [0, 4, 8, 12], m[s[0]], m[s[1]]);
    mix(v, [1, 5, 9, 13], m[s[2]], m[s[3]]);
    mix(v, [2, 6, 10, 14], m[s[4]], m[s[5]]);
    mix(v, [3, 7, 11, 15], m[s[6]], m[s[7]]);
    mix(v, [0, 5, 10, 15], m[s[8]], m[s[9]]);
    mix(v, [1, 6, 11, 12], m[s[10]], m[s[11]]);
    mix(v, [2, 7, 8, 13], m[s[12]], m[s[13]]);
    mix(v, [3, 4, 9, 14], m[s[14]], m[s[15]]);
}

fn compress(rounds: u32, h: &mut [u64; 8], m: &[u64; 16], t: [u64; 2], last_block: bool) {
    let mut v = [0; 16];
    v[..8].copy_from_slice(h);
    v[8..].copy_from_slice(&IV);
    v[12] ^= t[0];
    v[13] ^= t[1];
    if last_block {
        v[14] = !v[14];
    }
    for _ in 0..rounds / 10 {
        round::<0>(&mut v, m);
        round::<1>(&mut v, m);
        round::<2>(&mut v, m);
        round::<3>(&mut v, m);
        round::<4>(&mut v, m);
        round::<5>(&mut v, m);
        round::<6>(&mut v, m);
        round::<7>(&mut v, m);
        round::<8>(&mut v, m);
        round::<9>(&mut v, m);
    }
    for row in 0..rounds % 10 {
        match row {
            0 => round::<0>(&mut v, m),
            1 => round::<1>(&mut v, m),
            2 => round::<2>(&mut v, m),
            3 => round::<3>(&mut v, m),
            4 => round::<4>(&mut v, m),
            5 => round::<5>(&mut v, m),
            6 => round::<6>(&mut v, m),
            7 => round::<7>(&mut v, m),
            _ => round::<8>(&mut v, m),
        }
    }
    for (i, word) in h.iter_mut().enumerate() {
        *word ^= v[i] ^ v[i + 8];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The single block of BLAKE2b-512("abc"), RFC 7693, appendix A.
    fn abc(rounds: u32) -> Vec<u8> {
        let mut h = IV;
        h[0] ^= 0x0101_0000 ^ 64;
        let mut input = rounds.to_be_bytes().to_vec();
        input.extend(h.iter().flat_map(|word| word.to_le_bytes()));
        input.extend(b"abc");
        input.resize(196, 0);
        input.extend(3_u128.to_le_bytes());
        input.push(1);
        input
    }

    #[test]
    fn twelve_rounds_are_blake2b() {
        let output = run(&abc(12), 12).expect("enough gas");
        assert_eq!(output.gas_used, 12);
        assert_eq!(output.output.len(), 64);
        assert_eq!(output.output[..8], [0xba, 0x80, 0xa5, 0x3f, 0x98, 0x1c, 0x4d, 0x0d]);
        assert_eq!(output.output[56..], [0xb9, 0x23, 0x86, 0xed, 0xd4, 0x00, 0x99, 0x23]);
        assert_eq!(run(&abc(12), 11), Err(PrecompileError::OutOfGas));
    }

    #[test]
    fn refuses_other_lengths_and_flags() {
        let input = abc(0);
        assert!(run(&input, 0).is_ok());
        assert!(run(&input[..212], 0).is_err());
        assert!(run(&[&input[..], &[0]].concat(), 0).is_err());
        let mut flag = input;
        flag[212] = 2;
        assert!(matches!(run(&flag, 0), Err(PrecompileError::InvalidInput(_))));
    }
}
