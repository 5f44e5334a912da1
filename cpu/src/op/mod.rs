//! The bodies of the opcodes, one file a family. Stack bounds and static gas are checked before a body runs, in
//! [`crate::interpreter`]; a body is its arithmetic. A body that can fail changes nothing before it has charged and
//! checked everything, so that it can be run again from the same place.

pub(crate) mod arithmetic;
pub(crate) mod bitwise;
pub(crate) mod block;
pub(crate) mod call;
pub(crate) mod comparison;
pub(crate) mod control;
pub(crate) mod create;
pub(crate) mod environment;
pub(crate) mod keccak;
pub(crate) mod log;
pub(crate) mod memory;
pub(crate) mod reducer;
pub(crate) mod storage;

use crate::memory::{MemoryError, OutOfGas};
use crate::restriction::exceeded;
use isolane_spec::{BudgetKind, Halt, StateError, U256, word};

/// Why a body did not finish.
#[derive(Debug)]
pub(crate) enum Trap {
    /// The frame halts.
    Halt(Halt),
    /// The base state could not answer: the lane ends without an outcome.
    State(Box<StateError>),
}

impl From<OutOfGas> for Trap {
    fn from(_: OutOfGas) -> Self {
        Self::Halt(Halt::OutOfGas)
    }
}

impl From<MemoryError> for Trap {
    fn from(error: MemoryError) -> Self {
        Self::Halt(match error {
            MemoryError::OutOfGas => Halt::OutOfGas,
            MemoryError::Budget => exceeded(BudgetKind::Memory),
        })
    }
}

impl From<Halt> for Trap {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl From<StateError> for Trap {
    fn from(error: StateError) -> Self {
        Self::State(Box::new(error))
    }
}

/// Takes a cost from the gas.
#[inline(always)]
pub(crate) fn charge(gas: &mut u64, cost: u64) -> Result<(), OutOfGas> {
    *gas = gas.checked_sub(cost).ok_or(OutOfGas)?;
    Ok(())
}

/// A length that memory could hold; anything longer costs more gas than there is.
#[inline(always)]
pub(crate) fn length(length: &U256) -> Result<u64, OutOfGas> {
    word::to_u64(length).filter(|&length| length < 1 << 37).ok_or(OutOfGas)
}
