//! What works on whole columns: one function for all lanes of a group.
//!
//! Every function is written once, in safe Rust, as a loop over lanes that the compiler vectorises. It is compiled for what
//! every machine of the architecture has, and on x86-64 again for AVX2 and for AVX-512; which one runs is chosen once, at
//! run time. This module is the only one of the crate that may say `unsafe`: a function that is compiled for an instruction
//! set may only be called where the machine has it, which [`Simd`] knows.

#![allow(unsafe_code)]

mod column;
mod keccak;

pub(crate) use column::{Column, LANES, Limb, Mask};
pub(crate) use keccak::Part;

use std::sync::OnceLock;

/// Instruction sets, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SimdLevel {
    /// What every machine of the architecture has.
    Portable,
    /// AVX2.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
}

impl SimdLevel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// Its name, as `ISOLANE_SIMD` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// The highest level of this machine, unless the environment variable `ISOLANE_SIMD` names a lower one.
    #[must_use]
    pub fn chosen() -> Self {
        static CHOSEN: OnceLock<SimdLevel> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let wanted = std::env::var("ISOLANE_SIMD").ok();
            let wanted = Self::ALL.into_iter().find(|level| Some(level.name()) == wanted.as_deref());
            wanted.map_or_else(Self::highest, |wanted| wanted.min(Self::highest()))
        })
    }

    /// The highest level of this machine.
    #[must_use]
    pub fn highest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let has_512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if has_512 && is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("lzcnt") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }
}

/// A level that this machine has: the functions of the columns are its methods.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Simd(SimdLevel);

impl Simd {
    /// A level, or the highest below it that this machine has.
    pub fn new(level: SimdLevel) -> Self {
        Self(level.min(SimdLevel::highest()))
    }
}

/// Compiles each function for every level, and makes it a method of [`Simd`].
macro_rules! levels {
    ($(
        $(#[$attribute:meta])*
        fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;
    )*) => {
        #[cfg(target_arch = "x86_64")]
        mod avx2 {
            use super::*;
            use super::column as portable;
            $(
                #[target_feature(enable = "avx2")]
                pub fn $name($($argument: $type),*) $(-> $result)? {
                    portable::$name($($argument),*)
                }
            )*
        }

        #[cfg(target_arch = "x86_64")]
        mod avx512 {
            use super::*;
            use super::column as portable;
            $(
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi2,lzcnt")]
                pub fn $name($($argument: $type),*) $(-> $result)? {
                    portable::$name($($argument),*)
                }
            )*
        }

        impl Simd {
            $(
                $(#[$attribute])*
                pub fn $name(self, $($argument: $type),*) $(-> $result)? {
                    match self.0 {
                        // SAFETY: `Simd::new` holds no level that the machine lacks.
                        #[cfg(target_arch = "x86_64")]
                        SimdLevel::Avx512 => unsafe { avx512::$name($($argument),*) },
                        // SAFETY: as above.
                        #[cfg(target_arch = "x86_64")]
                        SimdLevel::Avx2 => unsafe { avx2::$name($($argument),*) },
                        _ => column::$name($($argument),*),
                    }
                }
            )*
        }
    };
}

levels! {
    /// All lanes the same word.
    fn broadcast(word: &[u64; 4], out: &mut Column);
    /// Sum modulo 2^256.
    fn add(a: &Column, b: &Column, out: &mut Column);
    /// Difference modulo 2^256.
    fn sub(a: &Column, b: &Column, out: &mut Column);
    /// Bitwise and.
    fn and(a: &Column, b: &Column, out: &mut Column);
    /// Bitwise or.
    fn or(a: &Column, b: &Column, out: &mut Column);
    /// Bitwise exclusive or.
    fn xor(a: &Column, b: &Column, out: &mut Column);
    /// Complement.
    fn not(a: &Column, out: &mut Column);
    /// 1 where a < b, else 0.
    fn lt(a: &Column, b: &Column, out: &mut Column);
    /// 1 where a < b as two's complements, else 0.
    fn slt(a: &Column, b: &Column, out: &mut Column);
    /// 1 where both are equal, else 0.
    fn eq(a: &Column, b: &Column, out: &mut Column);
    /// 1 where it is zero, else 0.
    fn iszero(a: &Column, out: &mut Column);
    /// Shifts all lanes to the left by the same count, below 256.
    fn shift_left(a: &Column, count: usize, out: &mut Column);
    /// Shifts all lanes to the right by the same count, below 256.
    fn shift_right(a: &Column, count: usize, out: &mut Column);
    /// Shifts all lanes to the right as two's complements by the same count, below 256.
    fn shift_right_signed(a: &Column, count: usize, out: &mut Column);
    /// The lanes that are not zero.
    fn nonzero(a: &Column) -> Mask;
    /// Whether the lanes of the mask, which has some, all hold this word.
    fn is_uniform(a: &Column, word: &[u64; 4], mask: Mask) -> bool;
    /// Whether two columns are equal in the lanes of the mask.
    fn is_equal(a: &Column, b: &Column, mask: Mask) -> bool;
    /// Lanes of the mask from `a`, the others from `b`.
    fn blend(mask: Mask, a: &Column, b: &Column, out: &mut Column);
    /// Takes an amount from the lanes of the mask.
    fn spend(gas: &mut Limb, amount: u64, mask: Mask);
    /// The least of the lanes of the mask; all ones where there are none.
    fn least(gas: &Limb, mask: Mask) -> u64;
}

#[cfg(test)]
mod tests;
