//! Records that the host and the GPU exchange, each declared once: [`crate::wgsl`] writes the WGSL of the same layout
//! from here. Plain words only, so that both sides agree on every offset.

use crate::{BudgetKind, Halt, Rule, Status};
use bytemuck::{Pod, Zeroable};

/// A type with the same size and stride in Rust and in a WGSL storage buffer.
pub trait WgslType {
    /// Its name in WGSL.
    fn wgsl() -> String;
}

impl WgslType for u32 {
    fn wgsl() -> String {
        "u32".to_owned()
    }
}

impl WgslType for i32 {
    fn wgsl() -> String {
        "i32".to_owned()
    }
}

impl<T: WgslType, const N: usize> WgslType for [T; N] {
    fn wgsl() -> String {
        format!("array<{}, {N}>", T::wgsl())
    }
}

/// One field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name on both sides.
    pub name: &'static str,
    /// Its type in WGSL.
    pub wgsl: String,
    /// Its offset in Rust, in bytes.
    pub offset: usize,
    /// Its size in Rust, in bytes.
    pub size: usize,
}

/// A plain record with a WGSL twin.
pub trait Record: Pod {
    /// Its name on both sides.
    const NAME: &'static str;
    /// Its fields in the order of declaration.
    fn fields() -> Vec<Field>;
}

/// Lists the fields of a record that is declared elsewhere. The type comes from the field itself.
macro_rules! record {
    ($record:ident { $($field:ident),* $(,)? }) => {
        impl $crate::lane::Record for $record {
            const NAME: &'static str = stringify!($record);

            fn fields() -> Vec<$crate::lane::Field> {
                fn field<R, T: $crate::lane::WgslType>(
                    name: &'static str,
                    offset: usize,
                    _: fn(&R) -> &T,
                ) -> $crate::lane::Field {
                    $crate::lane::Field { name, wgsl: T::wgsl(), offset, size: size_of::<T>() }
                }
                vec![$(field(
                    stringify!($field),
                    core::mem::offset_of!($record, $field),
                    |record: &$record| &record.$field,
                )),*]
            }
        }
    };
}
pub(crate) use record;

/// Number of lanes of the self-test kernel: one per opcode byte.
pub const PROBE_LANES: u32 = 256;

/// What the host asks of the self-test kernel (`shaders/probe.wgsl`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ProbeRequest {
    /// Stamped on every lane's report; differs from run to run.
    pub epoch: u32,
    /// Iterations of the counting loop.
    pub iterations: u32,
    /// The gas schedule that lanes read, by fork.
    pub fork: u32,
    /// Unused: keeps the record a multiple of 16 bytes.
    pub reserved: u32,
    /// First summand; the least significant limb first.
    pub a: [u32; 8],
    /// Second summand.
    pub b: [u32; 8],
}
record!(ProbeRequest { epoch, iterations, fork, reserved, a, b });

/// What one lane of the self-test kernel reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ProbeReport {
    /// The request's epoch xor the lane: proves that this lane ran in this dispatch. Written last.
    pub epoch: u32,
    /// Iterations that the loop made.
    pub iterations: u32,
    /// The loop's pseudo-random state after them.
    pub noise: u32,
    /// The row of the opcode table at the lane's byte.
    pub opcode_row: u32,
    /// The static gas of the opcode at the lane's byte.
    pub static_gas: u32,
    /// What a read outside the binding returned.
    pub out_of_range: u32,
    /// Unused: keeps the record a multiple of 16 bytes.
    pub reserved: [u32; 2],
    /// `a + b + lane` modulo 2^256.
    pub sum: [u32; 8],
}
record!(ProbeReport { epoch, iterations, noise, opcode_row, static_gas, out_of_range, reserved, sum });

/// Status word of a lane that has not ended.
pub const RUNNING: u32 = 0;
/// Status word of a success.
pub const SUCCESS: u32 = 1;
/// Status word of a revert.
pub const REVERT: u32 = 2;
/// Low byte of the status word of an exceptional halt; the halt's code is in the second byte, its detail in the third.
pub const HALT: u32 = 3;

/// Every exceptional halt, one of each kind.
pub const HALTS: [Halt; 16] = [
    Halt::OutOfGas,
    Halt::StackUnderflow,
    Halt::StackOverflow,
    Halt::InvalidJump,
    Halt::InvalidOpcode,
    Halt::UndefinedOpcode,
    Halt::StaticViolation,
    Halt::ReturnDataOutOfBounds,
    Halt::CreateCollision,
    Halt::CodeTooLarge,
    Halt::CodeStartsWithEf,
    Halt::InitcodeTooLarge,
    Halt::PrecompileFailure,
    Halt::CallRefused,
    Halt::BudgetExceeded { kind: BudgetKind::Steps, at: 0 },
    Halt::Denied { rule: Rule::Opcode, pc: 0 },
];

/// Every budget that can run out. A halt's detail is its place here.
pub const BUDGETS: [BudgetKind; 6] = [
    BudgetKind::Steps,
    BudgetKind::Memory,
    BudgetKind::CallDepth,
    BudgetKind::Slots,
    BudgetKind::LogBytes,
    BudgetKind::Messages,
];
/// Every rule that can deny. A halt's detail is its place here.
pub const RULES: [Rule; 11] = [
    Rule::Opcode,
    Rule::Precompile,
    Rule::Create,
    Rule::Callee,
    Rule::Sender,
    Rule::Logs,
    Rule::Call,
    Rule::Value,
    Rule::Delegation,
    Rule::Message,
    Rule::State,
];

/// The code of a halt, from 1 on.
#[must_use]
pub const fn halt_code(halt: Halt) -> u32 {
    match halt {
        Halt::OutOfGas => 1,
        Halt::StackUnderflow => 2,
        Halt::StackOverflow => 3,
        Halt::InvalidJump => 4,
        Halt::InvalidOpcode => 5,
        Halt::UndefinedOpcode => 6,
        Halt::StaticViolation => 7,
        Halt::ReturnDataOutOfBounds => 8,
        Halt::CreateCollision => 9,
        Halt::CodeTooLarge => 10,
        Halt::CodeStartsWithEf => 11,
        Halt::InitcodeTooLarge => 12,
        Halt::PrecompileFailure => 13,
        Halt::CallRefused => 14,
        Halt::BudgetExceeded { .. } => 15,
        Halt::Denied { .. } => 16,
    }
}

/// A status as one word; `None` for a rejected transaction, which no lane ever runs.
#[must_use]
pub const fn status_word(status: &Status) -> Option<u32> {
    match status {
        Status::Success => Some(SUCCESS),
        Status::Revert => Some(REVERT),
        Status::Rejected(_) => None,
        Status::Halt(halt) => {
            let detail = match halt {
                Halt::BudgetExceeded { kind, .. } => *kind as u32,
                Halt::Denied { rule, .. } => *rule as u32,
                _ => 0,
            };
            Some(HALT | halt_code(*halt) << 8 | detail << 16)
        }
    }
}

/// Where a lane was cut: the `at` of a budget or the `pc` of a permission, which a status word has no room for; 0 of any
/// other status.
#[must_use]
pub const fn place_of(status: &Status) -> u64 {
    match status {
        Status::Halt(Halt::BudgetExceeded { at, .. }) => *at,
        Status::Halt(Halt::Denied { pc, .. }) => *pc as u64,
        _ => 0,
    }
}

/// The status of a word, with the place of [`place_of`]; `None` for [`RUNNING`] and for what no status has.
#[must_use]
pub fn status_at(word: u32, place: u64) -> Option<Status> {
    match status_of(word)? {
        Status::Halt(Halt::BudgetExceeded { kind, .. }) => Some(Status::Halt(Halt::BudgetExceeded { kind, at: place })),
        Status::Halt(Halt::Denied { rule, .. }) => {
            Some(Status::Halt(Halt::Denied { rule, pc: u32::try_from(place).ok()? }))
        }
        status => (place == 0).then_some(status),
    }
}

/// The status of a word, places left at 0; `None` for [`RUNNING`] and for words that no status has.
#[must_use]
pub fn status_of(word: u32) -> Option<Status> {
    let [kind, code, detail, rest] = word.to_le_bytes();
    let status = match u32::from(kind) {
        SUCCESS => Status::Success,
        REVERT => Status::Revert,
        HALT => Status::Halt(match *HALTS.get(usize::from(code).checked_sub(1)?)? {
            Halt::BudgetExceeded { at, .. } => Halt::BudgetExceeded { kind: *BUDGETS.get(usize::from(detail))?, at },
            Halt::Denied { pc, .. } => Halt::Denied { rule: *RULES.get(usize::from(detail))?, pc },
            halt => halt,
        }),
        _ => return None,
    };
    (rest == 0 && status_word(&status) == Some(word)).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_words_round_trip() {
        for (i, halt) in HALTS.into_iter().enumerate() {
            assert_eq!(halt_code(halt), i as u32 + 1, "{halt:?}");
        }
        let budgets = BUDGETS.map(|kind| Halt::BudgetExceeded { kind, at: 0 });
        let details = budgets.into_iter().chain(RULES.map(|rule| Halt::Denied { rule, pc: 0 }));
        let halts = HALTS.into_iter().chain(details).map(Status::Halt);
        for status in halts.chain([Status::Success, Status::Revert]) {
            let word = status_word(&status).expect("a lane can end so");
            assert_eq!(status_of(word), Some(status.clone()));
            assert_eq!(status_at(word, place_of(&status)), Some(status));
        }
    }

    #[test]
    fn places_round_trip() {
        let cut = Status::Halt(Halt::BudgetExceeded { kind: BudgetKind::Slots, at: 1 << 40 });
        let denied = Status::Halt(Halt::Denied { rule: Rule::State, pc: u32::MAX });
        for status in [cut, denied] {
            let word = status_word(&status).expect("a lane can end so");
            assert_eq!(status_at(word, place_of(&status)), Some(status.clone()));
            assert_ne!(status_at(word, 3), Some(status));
        }
        assert_eq!(status_at(SUCCESS, 1), None);
        assert_eq!(status_at(HALT | 16 << 8, 1 << 32), None);
    }

    #[test]
    fn other_words_have_no_status() {
        for word in
            [RUNNING, 4, SUCCESS | 1 << 8, HALT, HALT | 17 << 8, HALT | 1 << 8 | 1 << 16, HALT | 15 << 8 | 6 << 16]
        {
            assert_eq!(status_of(word), None, "{word:#x}");
        }
    }
}
