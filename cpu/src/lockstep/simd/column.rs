//! A column: one 256-bit word for each lane of a group, limb by limb; and the loops over columns.

use isolane_spec::U256;

/// Lanes of a group.
pub(crate) const LANES: usize = 64;
/// One limb of each lane.
pub(crate) type Limb = [u64; LANES];
/// Lanes, one bit each.
pub(crate) type Mask = u64;

/// A word of each lane, the least limb first.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct Column(pub [Limb; 4]);

impl Column {
    /// A column on the heap, all zeros.
    pub fn zeros() -> Box<Self> {
        Box::new(Self([[0; LANES]; 4]))
    }

    /// The word of a lane.
    #[inline(always)]
    pub fn get(&self, lane: usize) -> U256 {
        let lane = lane & (LANES - 1);
        U256([self.0[0][lane], self.0[1][lane], self.0[2][lane], self.0[3][lane]])
    }

    /// Sets the word of a lane.
    #[inline(always)]
    pub fn set(&mut self, lane: usize, word: &U256) {
        let lane = lane & (LANES - 1);
        for (limbs, limb) in self.0.iter_mut().zip(word.0) {
            limbs[lane] = limb;
        }
    }
}

/// All ones for a lane of the mask, else zero.
#[inline(always)]
fn ones(mask: Mask, lane: usize) -> u64 {
    (mask >> lane & 1).wrapping_neg()
}

#[inline(always)]
pub(super) fn broadcast(word: &[u64; 4], out: &mut Column) {
    for (limbs, limb) in out.0.iter_mut().zip(word) {
        *limbs = [*limb; LANES];
    }
}

#[inline(always)]
pub(super) fn add(a: &Column, b: &Column, out: &mut Column) {
    for i in 0..LANES {
        let mut carry = 0;
        for j in 0..4 {
            let sum = a.0[j][i].wrapping_add(b.0[j][i]);
            let over = u64::from(sum < a.0[j][i]);
            let all = sum.wrapping_add(carry);
            carry = over | u64::from(all < carry);
            out.0[j][i] = all;
        }
    }
}

#[inline(always)]
pub(super) fn sub(a: &Column, b: &Column, out: &mut Column) {
    for i in 0..LANES {
        let mut borrow = 0;
        for j in 0..4 {
            let difference = a.0[j][i].wrapping_sub(b.0[j][i]);
            let under = u64::from(a.0[j][i] < b.0[j][i]);
            let all = difference.wrapping_sub(borrow);
            borrow = under | u64::from(difference < borrow);
            out.0[j][i] = all;
        }
    }
}

#[inline(always)]
fn bitwise(a: &Column, b: &Column, out: &mut Column, f: impl Fn(u64, u64) -> u64) {
    for j in 0..4 {
        for i in 0..LANES {
            out.0[j][i] = f(a.0[j][i], b.0[j][i]);
        }
    }
}

#[inline(always)]
pub(super) fn and(a: &Column, b: &Column, out: &mut Column) {
    bitwise(a, b, out, |a, b| a & b);
}

#[inline(always)]
pub(super) fn or(a: &Column, b: &Column, out: &mut Column) {
    bitwise(a, b, out, |a, b| a | b);
}

#[inline(always)]
pub(super) fn xor(a: &Column, b: &Column, out: &mut Column) {
    bitwise(a, b, out, |a, b| a ^ b);
}

#[inline(always)]
pub(super) fn not(a: &Column, out: &mut Column) {
    for j in 0..4 {
        for i in 0..LANES {
            out.0[j][i] = !a.0[j][i];
        }
    }
}

/// Booleans as words.
#[inline(always)]
fn truth(out: &mut Column, f: impl Fn(usize) -> bool) {
    for i in 0..LANES {
        out.0[0][i] = u64::from(f(i));
    }
    for limbs in &mut out.0[1..] {
        *limbs = [0; LANES];
    }
}

#[inline(always)]
fn less(a: &Column, b: &Column, i: usize, flip: u64) -> bool {
    let mut less = false;
    for j in 0..4 {
        let flip = if j == 3 { flip } else { 0 };
        let (a, b) = (a.0[j][i] ^ flip, b.0[j][i] ^ flip);
        less = (a < b) | ((a == b) & less);
    }
    less
}

#[inline(always)]
pub(super) fn lt(a: &Column, b: &Column, out: &mut Column) {
    truth(out, |i| less(a, b, i, 0));
}

#[inline(always)]
pub(super) fn slt(a: &Column, b: &Column, out: &mut Column) {
    truth(out, |i| less(a, b, i, 1 << 63));
}

#[inline(always)]
pub(super) fn eq(a: &Column, b: &Column, out: &mut Column) {
    truth(out, |i| (0..4).fold(0, |all, j| all | (a.0[j][i] ^ b.0[j][i])) == 0);
}

#[inline(always)]
pub(super) fn iszero(a: &Column, out: &mut Column) {
    truth(out, |i| (0..4).fold(0, |all, j| all | a.0[j][i]) == 0);
}

#[inline(always)]
pub(super) fn shift_left(a: &Column, count: usize, out: &mut Column) {
    let (limbs, bits) = (count / 64 % 4, (count % 64) as u32);
    for j in 0..4 {
        if j < limbs {
            out.0[j] = [0; LANES];
        } else if j == limbs {
            for i in 0..LANES {
                out.0[j][i] = a.0[0][i] << bits;
            }
        } else {
            for i in 0..LANES {
                out.0[j][i] = a.0[j - limbs][i] << bits | a.0[j - limbs - 1][i] >> 1 >> (63 - bits);
            }
        }
    }
}

#[inline(always)]
fn right(a: &Column, count: usize, out: &mut Column, fill: impl Fn(usize) -> u64) {
    let (limbs, bits) = (count / 64 % 4, (count % 64) as u32);
    for j in 0..4 {
        if j + limbs > 3 {
            for i in 0..LANES {
                out.0[j][i] = fill(i);
            }
        } else if j + limbs == 3 {
            for i in 0..LANES {
                out.0[j][i] = a.0[3][i] >> bits | fill(i) << 1 << (63 - bits);
            }
        } else {
            for i in 0..LANES {
                out.0[j][i] = a.0[j + limbs][i] >> bits | a.0[j + limbs + 1][i] << 1 << (63 - bits);
            }
        }
    }
}

#[inline(always)]
pub(super) fn shift_right(a: &Column, count: usize, out: &mut Column) {
    right(a, count, out, |_| 0);
}

#[inline(always)]
pub(super) fn shift_right_signed(a: &Column, count: usize, out: &mut Column) {
    right(a, count, out, |i| (a.0[3][i] >> 63).wrapping_neg());
}

#[inline(always)]
pub(super) fn nonzero(a: &Column) -> Mask {
    let mut mask = 0;
    for i in 0..LANES {
        let any = a.0[0][i] | a.0[1][i] | a.0[2][i] | a.0[3][i];
        mask |= u64::from(any != 0) << i;
    }
    mask
}

#[inline(always)]
pub(super) fn is_uniform(a: &Column, word: &[u64; 4], mask: Mask) -> bool {
    let mut differs = 0;
    for i in 0..LANES {
        let any = (a.0[0][i] ^ word[0]) | (a.0[1][i] ^ word[1]) | (a.0[2][i] ^ word[2]) | (a.0[3][i] ^ word[3]);
        differs |= any & ones(mask, i);
    }
    differs == 0
}

#[inline(always)]
pub(super) fn is_equal(a: &Column, b: &Column, mask: Mask) -> bool {
    let mut differs = 0;
    for i in 0..LANES {
        let any = (a.0[0][i] ^ b.0[0][i]) | (a.0[1][i] ^ b.0[1][i]) | (a.0[2][i] ^ b.0[2][i]) | (a.0[3][i] ^ b.0[3][i]);
        differs |= any & ones(mask, i);
    }
    differs == 0
}

#[inline(always)]
pub(super) fn blend(mask: Mask, a: &Column, b: &Column, out: &mut Column) {
    for j in 0..4 {
        for i in 0..LANES {
            let from_a = ones(mask, i);
            out.0[j][i] = a.0[j][i] & from_a | b.0[j][i] & !from_a;
        }
    }
}

#[inline(always)]
pub(super) fn spend(gas: &mut Limb, amount: u64, mask: Mask) {
    for (i, gas) in gas.iter_mut().enumerate() {
        *gas = gas.wrapping_sub(amount & ones(mask, i));
    }
}

#[inline(always)]
pub(super) fn least(gas: &Limb, mask: Mask) -> u64 {
    let mut least = u64::MAX;
    for (i, gas) in gas.iter().enumerate() {
        least = least.min(gas | !ones(mask, i));
    }
    least
}
