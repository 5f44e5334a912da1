//! What a lockstep backend counts.

use std::fmt;

/// Why a lane, or one of its frames, was executed by the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Nothing of a contract runs, and it is no plain transfer: the transaction creates, calls a precompile, or is not valid.
    NoCode,
    /// Too few transactions of the batch run the same code.
    Few,
    /// It depends on other transactions of its environment.
    Ordered,
    /// Its environment has permissions, messages, or a budget for more than gas and instructions.
    Restricted,
    /// The state could not answer, or a defect was contained.
    Failed,
    /// A frame reached an instruction that halts, or that the lane cannot pay for.
    Halted,
    /// Too few lanes went the same way through a frame.
    Thin,
    /// A frame mostly copies memory, which lanes do better one after another.
    Copies,
    /// Too few lanes called the same code.
    Callee,
    /// Initcode, which is the lane's own.
    Initcode,
}

impl Leave {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::NoCode,
        Self::Few,
        Self::Ordered,
        Self::Restricted,
        Self::Failed,
        Self::Halted,
        Self::Thin,
        Self::Copies,
        Self::Callee,
        Self::Initcode,
    ];

    /// A few words for reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoCode => "run no code",
            Self::Few => "too few alike",
            Self::Ordered => "one after another",
            Self::Restricted => "restricted or messaging",
            Self::Failed => "state failed",
            Self::Halted => "frames that halted",
            Self::Thin => "frames gone apart",
            Self::Copies => "frames that copy",
            Self::Callee => "frames of rare callees",
            Self::Initcode => "frames of initcode",
        }
    }
}

/// What was executed, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Transactions.
    pub transactions: u64,
    /// Transactions that were executed in groups, from their first instruction on.
    pub grouped: u64,
    /// Of these, the ones that had no frame executed by the reference.
    pub whole: u64,
    /// Plain transfers, which run nothing.
    pub transfers: u64,
    /// Groups.
    pub groups: u64,
    /// Instructions that were dispatched to groups.
    pub steps: u64,
    /// Instructions that lanes executed in them.
    pub lane_steps: u64,
    /// By [`Leave`]: transactions, or frames.
    pub left: [u64; Leave::ALL.len()],
}

impl Statistics {
    pub(super) fn leave(&mut self, reason: Leave, count: u64) {
        self.left[reason as usize] += count;
    }

    /// How many left for a reason.
    #[must_use]
    pub fn left(&self, reason: Leave) -> u64 {
        self.left[reason as usize]
    }

    /// Lanes that an instruction was executed for, on average.
    #[must_use]
    pub fn average_lanes(&self) -> f64 {
        if self.steps == 0 { 0.0 } else { self.lane_steps as f64 / self.steps as f64 }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.transactions += other.transactions;
        self.grouped += other.grouped;
        self.whole += other.whole;
        self.transfers += other.transfers;
        self.groups += other.groups;
        self.steps += other.steps;
        self.lane_steps += other.lane_steps;
        for (left, other) in self.left.iter_mut().zip(other.left) {
            *left += other;
        }
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} transactions, {} plain transfers, {} in {} groups, {} of them wholly; {:.1} lanes an instruction",
            self.transactions,
            self.transfers,
            self.grouped,
            self.groups,
            self.whole,
            self.average_lanes()
        )?;
        for reason in Leave::ALL {
            if self.left(reason) > 0 {
                write!(f, "; {}: {}", reason.name(), self.left(reason))?;
            }
        }
        Ok(())
    }
}
