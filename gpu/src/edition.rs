//! What an environment's permissions and budgets mean on lanes.
//!
//! Lanes count what budgets limit and see what permissions forbid, but they do not decide what follows: a lane that meets a
//! limit or a rule escapes, and the reference executes its transaction from the start, to the exact step and rule. Lanes may
//! therefore take a rule too widely, never too narrowly. A transaction that keeps to its limits never leaves the device.

use isolane_spec::gas::SCHEDULES;
use isolane_spec::layout::{self, queue, restriction};
use isolane_spec::opcode::op;
use isolane_spec::{EXCHANGE_ADDRESS, Environment, Fork, OpcodeSet, PrecompileSet, Transaction};

/// What code is decoded to: the instruction words of a fork, without the opcodes that an environment removed or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Edition {
    fork: Fork,
    removed: OpcodeSet,
    denied: OpcodeSet,
}

impl Edition {
    /// All of a fork.
    #[cfg(test)]
    pub const fn fork(fork: Fork) -> Self {
        Self { fork, removed: OpcodeSet::EMPTY, denied: OpcodeSet::EMPTY }
    }

    /// That of an environment.
    pub fn of(environment: &Environment) -> Self {
        let permissions = &environment.permissions;
        Self {
            fork: environment.rules.fork,
            removed: environment.rules.removed_opcodes,
            denied: (0..=255).filter(|byte| permissions.denied_opcode(*byte).is_some()).collect(),
        }
    }

    /// The instruction word of a byte.
    pub fn instruction(&self, byte: u8) -> u32 {
        if self.removed.contains(byte) {
            return u32::from(byte) | queue::UNDEFINED << 29;
        }
        let word = layout::instruction(byte, self.fork, &SCHEDULES[self.fork as usize]);
        if self.denied.contains(byte) && word >> 29 != queue::UNDEFINED {
            return u32::from(byte) | layout::DENIED;
        }
        word
    }
}

/// Why lanes do not run an environment at all.
pub(crate) fn unfit(environment: &Environment) -> Option<&'static str> {
    let rules = &environment.rules;
    // How code is decoded depends on these.
    let shapes = |byte: u8| matches!(byte, op::STOP | op::JUMPDEST) || (op::PUSH1..=op::PUSH32).contains(&byte);
    let reshaped = (0..=255).any(|byte| rules.removed_opcodes.contains(byte) && shapes(byte));
    let custom = reshaped || !rules.extra_opcodes.is_empty() || rules.has_custom_precompiles();
    // What lies behind the end of a code is STOP, whoever may use it.
    (custom || environment.permissions.denied_opcodes.contains(op::STOP)).then_some("own opcodes or precompiles")
}

/// Whether a transaction asks by itself for what its environment forbids, or for the exchange.
pub(crate) fn asks_too_much(environment: &Environment, transaction: &Transaction, is_precompile: bool) -> bool {
    let permissions = &environment.permissions;
    let denied = match &transaction.to {
        Some(to) => {
            environment.messaging.is_some() && *to == EXCHANGE_ADDRESS
                || !permissions.callees.allows(to)
                || is_precompile && permissions.denied_precompiles != PrecompileSet::EMPTY
        }
        None => !permissions.create,
    };
    denied
        || !permissions.senders.allows(&transaction.sender)
        || !permissions.value && !transaction.value.is_zero()
        || !permissions.delegations && !transaction.authorization_list.is_empty()
        || transaction.gas_limit > environment.budget.gas
}

/// The rules of calls that lanes watch for, as bits of [`restriction`].
pub(crate) fn restrictions(environment: &Environment) -> u32 {
    let permissions = &environment.permissions;
    let bit = |is_set: bool, bit: u32| if is_set { bit } else { 0 };
    bit(environment.is_restricted(), restriction::ANY)
        | bit(!permissions.value, restriction::VALUE)
        | bit(!permissions.calls || !permissions.callees.allows_all(), restriction::CALLS)
        | bit(permissions.denied_precompiles != PrecompileSet::EMPTY, restriction::PRECOMPILES)
        | bit(permissions.restricts_calls() || environment.messaging.is_some(), restriction::DELEGATIONS)
        | bit(environment.messaging.is_some(), restriction::EXCHANGE)
}

/// A limit as lanes count it; what no lane can reach is no limit.
pub(crate) fn limit(limit: u64) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

/// The limit of nested calls. That of the protocol refuses, and does not end, what is deeper.
pub(crate) fn depth_limit(environment: &Environment) -> u32 {
    if environment.budget.call_depth < 1024 { environment.budget.call_depth } else { u32::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_spec::{BlockContext, Level, MemoryState, Permissions, Rules};
    use std::sync::Arc;

    fn environment(fork: Fork) -> Environment {
        Environment::new("test", Rules::new(fork, 1), BlockContext::default(), Arc::new(MemoryState::default()))
    }

    #[test]
    fn an_open_environment_has_the_words_of_its_fork() {
        for fork in Fork::ALL {
            let edition = Edition::of(&environment(fork));
            assert_eq!(edition, Edition::fork(fork));
            for byte in 0..=255 {
                assert_eq!(edition.instruction(byte), layout::instruction(byte, fork, &SCHEDULES[fork as usize]));
            }
            assert_eq!(restrictions(&environment(fork)), 0);
        }
    }

    #[test]
    fn denied_opcodes_are_told_from_undefined_ones() {
        let mut restricted = environment(Fork::Prague);
        restricted.permissions = Permissions::level(Level::ReadOnly);
        restricted.rules.removed_opcodes = OpcodeSet::EMPTY.with(op::SELFBALANCE);
        let edition = Edition::of(&restricted);
        assert_eq!(edition.instruction(op::SSTORE), u32::from(op::SSTORE) | layout::DENIED);
        assert_eq!(edition.instruction(op::SELFBALANCE), u32::from(op::SELFBALANCE) | queue::UNDEFINED << 29);
        assert_eq!(edition.instruction(op::SLOAD), Edition::fork(Fork::Prague).instruction(op::SLOAD));
        assert_eq!(unfit(&restricted), None);
        restricted.rules.removed_opcodes = OpcodeSet::EMPTY.with(op::PUSH1);
        assert!(unfit(&restricted).is_some());
        let early = Edition { fork: Fork::Frontier, ..edition };
        assert_eq!(early.instruction(op::TSTORE) >> 28, queue::UNDEFINED << 1, "undefined before it is denied");
    }
}
