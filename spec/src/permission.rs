//! What an environment may do.

use crate::H160;
use crate::opcode::{OpcodeSet, op};
use crate::outcome::Rule;
use crate::precompile::PrecompileSet;
use std::collections::BTreeSet;

/// A rule about addresses. The default allows all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressRule {
    /// Only these are allowed; `None` = all.
    pub only: Option<BTreeSet<H160>>,
    /// These are not, whatever `only` says.
    pub except: BTreeSet<H160>,
}

impl AddressRule {
    /// Only these.
    #[must_use]
    pub fn only(addresses: impl IntoIterator<Item = H160>) -> Self {
        Self { only: Some(addresses.into_iter().collect()), except: BTreeSet::new() }
    }

    /// All but these.
    #[must_use]
    pub fn except(addresses: impl IntoIterator<Item = H160>) -> Self {
        Self { only: None, except: addresses.into_iter().collect() }
    }

    /// Whether an address is allowed.
    #[must_use]
    pub fn allows(&self, address: &H160) -> bool {
        !self.except.contains(address) && self.only.as_ref().is_none_or(|only| only.contains(address))
    }

    /// Whether all addresses are.
    #[must_use]
    pub fn allows_all(&self) -> bool {
        self.only.is_none() && self.except.is_empty()
    }
}

/// Named sets of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Everything.
    #[default]
    Open,
    /// All of Ethereum, but no messages to other environments.
    Standard,
    /// What a contract computes and keeps for itself: no value, no creation, no calls but of precompiles, no delegations,
    /// no messages.
    ComputeOnly,
    /// What a static call may do (EIP-214): nothing changes but the sender's nonce and the fees.
    ReadOnly,
}

impl Level {
    /// All levels, the widest first.
    pub const ALL: [Self; 4] = [Self::Open, Self::Standard, Self::ComputeOnly, Self::ReadOnly];

    /// The name in manifests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Standard => "standard",
            Self::ComputeOnly => "compute-only",
            Self::ReadOnly => "read-only",
        }
    }

    /// The level of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// What an environment may do. The default allows everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Who may send transactions. A transaction of another sender has no effect at all.
    pub senders: AddressRule,
    /// Who may be called, from outside or by a contract, through a delegation (EIP-7702) too: then both its addresses must
    /// be allowed. Precompiles and the exchange have rules of their own.
    pub callees: AddressRule,
    /// Whether contracts may call accounts. Precompiles and the exchange have rules of their own.
    pub calls: bool,
    /// Whether contracts may be created.
    pub create: bool,
    /// Whether logs may be emitted. Not about the logs that the protocol emits itself (EIP-7708).
    pub logs: bool,
    /// Whether value may be sent: with a call, a creation, a SELFDESTRUCT, or the transaction. Not about fees.
    pub value: bool,
    /// Whether delegations may be set and called through (EIP-7702).
    pub delegations: bool,
    /// Whether the exchange may be called, and messages delivered.
    pub messages: bool,
    /// Whether state may change: SSTORE, TSTORE, SELFDESTRUCT.
    pub state: bool,
    /// Opcodes that halt the frame that meets them.
    pub denied_opcodes: OpcodeSet,
    /// Precompiles that halt the frame that calls them.
    pub denied_precompiles: PrecompileSet,
}

impl Default for Permissions {
    fn default() -> Self {
        Self {
            senders: AddressRule::default(),
            callees: AddressRule::default(),
            calls: true,
            create: true,
            logs: true,
            value: true,
            delegations: true,
            messages: true,
            state: true,
            denied_opcodes: OpcodeSet::EMPTY,
            denied_precompiles: PrecompileSet::EMPTY,
        }
    }
}

impl Permissions {
    /// The permissions of a level.
    #[must_use]
    pub fn level(level: Level) -> Self {
        let open = Self::default();
        match level {
            Level::Open => open,
            Level::Standard => Self { messages: false, ..open },
            Level::ComputeOnly => {
                Self { calls: false, create: false, value: false, delegations: false, messages: false, ..open }
            }
            Level::ReadOnly => Self {
                create: false,
                logs: false,
                value: false,
                delegations: false,
                messages: false,
                state: false,
                ..open
            },
        }
    }

    /// The rule that denies an opcode as such, whatever it works on.
    #[must_use]
    pub const fn denied_opcode(&self, byte: u8) -> Option<Rule> {
        match byte {
            _ if self.denied_opcodes.contains(byte) => Some(Rule::Opcode),
            op::CREATE | op::CREATE2 if !self.create => Some(Rule::Create),
            op::LOG0..=op::LOG4 if !self.logs => Some(Rule::Logs),
            op::SSTORE | op::TSTORE | op::SELFDESTRUCT if !self.state => Some(Rule::State),
            _ => None,
        }
    }

    /// Whether any rule is about calls, and not about opcodes as such.
    #[must_use]
    pub fn restricts_calls(&self) -> bool {
        !(self.callees.allows_all() && self.calls && self.value && self.delegations && self.messages)
            || self.denied_precompiles != PrecompileSet::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_rules() {
        let [a, b, c] = [1, 2, 3].map(H160::repeat_byte);
        let allowed = |rule: &AddressRule| [a, b, c].map(|address| rule.allows(&address));
        assert_eq!(allowed(&AddressRule::default()), [true; 3]);
        assert_eq!(allowed(&AddressRule::only([a, b])), [true, true, false]);
        assert_eq!(allowed(&AddressRule::except([a, b])), [false, false, true]);
        let both = AddressRule { except: [b].into(), ..AddressRule::only([a, b]) };
        assert_eq!(allowed(&both), [true, false, false]);
        assert!(!AddressRule::only([]).allows_all() && !AddressRule::only([]).allows(&a));
    }

    #[test]
    fn levels_are_named_and_differ() {
        assert_eq!(Permissions::level(Level::Open), Permissions::default());
        for level in Level::ALL {
            assert_eq!(Level::named(level.name()), Some(level));
            let same = Level::ALL.into_iter().filter(|other| Permissions::level(*other) == Permissions::level(level));
            assert_eq!(same.count(), 1, "{}", level.name());
        }
        assert_eq!(Level::named("Open"), None);
    }

    #[test]
    fn opcodes_are_denied_by_the_narrowest_rule() {
        let level = Permissions::level(Level::ReadOnly);
        assert_eq!(level.denied_opcode(op::SSTORE), Some(Rule::State));
        assert_eq!(level.denied_opcode(op::LOG3), Some(Rule::Logs));
        assert_eq!(level.denied_opcode(op::CREATE2), Some(Rule::Create));
        assert_eq!(level.denied_opcode(op::SLOAD), None);
        let named = Permissions { denied_opcodes: OpcodeSet::EMPTY.with(op::LOG3), ..level };
        assert_eq!(named.denied_opcode(op::LOG3), Some(Rule::Opcode));
        assert!((0..=255).all(|byte| Permissions::default().denied_opcode(byte).is_none()));
    }
}
