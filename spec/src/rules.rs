//! What the EVM of an environment is: its fork, and what it has besides or lacks.

use crate::H160;
use crate::environment::BlobSchedule;
use crate::fork::Fork;
use crate::opcode::{BY_BYTE, Opcode, OpcodeSet};
use crate::precompile::{Precompile, PrecompileSet};

/// Precompiles at addresses of an environment's own choice; each of the catalogue at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtraPrecompiles([Option<H160>; Precompile::ALL.len()]);

impl ExtraPrecompiles {
    /// No precompile.
    pub const NONE: Self = Self([None; Precompile::ALL.len()]);

    /// With a precompile at an address, in the place of the one that it had.
    #[must_use]
    pub fn with(mut self, precompile: Precompile, address: H160) -> Self {
        if let Some(place) = self.0.get_mut(precompile.index()) {
            *place = Some(address);
        }
        self
    }

    /// Where a precompile is.
    #[must_use]
    pub fn address(&self, precompile: Precompile) -> Option<H160> {
        self.0.get(precompile.index()).copied().flatten()
    }

    /// The precompile at an address; of several there, the first of the catalogue.
    #[must_use]
    pub fn at(&self, address: H160) -> Option<Precompile> {
        Precompile::ALL.into_iter().find(|precompile| self.address(*precompile) == Some(address))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

/// What the EVM's rules depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The fork.
    pub fork: Fork,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Blob parameters; unused before Cancun.
    pub blob_schedule: BlobSchedule,
    /// Opcodes of later forks that this environment has already. Their static gas is that of the fork that brought them.
    pub extra_opcodes: OpcodeSet,
    /// Opcodes of the fork that this environment does not have: their bytes are undefined.
    pub removed_opcodes: OpcodeSet,
    /// Precompiles besides those of the fork. Where the fork has one at the address, the extra one takes its place. Its gas
    /// is that of the environment's fork, or, if that did not have it, of the fork that brought it.
    pub extra_precompiles: ExtraPrecompiles,
    /// Precompiles of the fork that this environment does not have: accounts like others are at their addresses.
    pub removed_precompiles: PrecompileSet,
}

impl Rules {
    /// The rules of a fork with mainnet's blob parameters.
    #[must_use]
    pub fn new(fork: Fork, chain_id: u64) -> Self {
        let unused = BlobSchedule { target: 0, max: 0, base_fee_update_fraction: 1 };
        Self {
            fork,
            chain_id,
            blob_schedule: BlobSchedule::of(fork).unwrap_or(unused),
            extra_opcodes: OpcodeSet::EMPTY,
            removed_opcodes: OpcodeSet::EMPTY,
            extra_precompiles: ExtraPrecompiles::NONE,
            removed_precompiles: PrecompileSet::EMPTY,
        }
    }

    /// Whether opcodes or precompiles are other than the fork's.
    #[must_use]
    pub fn is_custom(&self) -> bool {
        !self.extra_opcodes.is_empty() || !self.removed_opcodes.is_empty() || self.has_custom_precompiles()
    }

    /// Whether precompiles are other than the fork's.
    #[must_use]
    pub fn has_custom_precompiles(&self) -> bool {
        !self.extra_precompiles.is_empty() || self.removed_precompiles != PrecompileSet::EMPTY
    }

    /// The row of an opcode's byte and the fork that prices it; `None` where the byte is undefined.
    #[must_use]
    pub fn opcode(&self, byte: u8) -> Option<(Opcode, Fork)> {
        if self.removed_opcodes.contains(byte) {
            return None;
        }
        if self.extra_opcodes.contains(byte) {
            let row = BY_BYTE[usize::from(byte)]?;
            return Some((row, row.since.max(self.fork)));
        }
        Opcode::of(byte, self.fork).map(|row| (row, self.fork))
    }

    /// The precompile at an address and the fork that prices it.
    #[must_use]
    pub fn precompile(&self, address: H160) -> Option<(Precompile, Fork)> {
        if let Some(precompile) = self.extra_precompiles.at(address) {
            return Some((precompile, self.fork.max(precompile.since())));
        }
        Precompile::at(address, self.fork)
            .filter(|precompile| !self.removed_precompiles.contains(*precompile))
            .map(|precompile| (precompile, self.fork))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opcode::op;

    #[test]
    fn opcodes_come_and_go() {
        let plain = Rules::new(Fork::London, 1);
        assert!(!plain.is_custom());
        assert_eq!(plain.opcode(op::PUSH0), None);
        let custom = Rules {
            extra_opcodes: OpcodeSet::EMPTY.with(op::PUSH0).with(0x0c),
            removed_opcodes: OpcodeSet::EMPTY.with(op::SELFDESTRUCT),
            ..plain
        };
        assert!(custom.is_custom());
        assert_eq!(custom.opcode(op::PUSH0).map(|(row, fork)| (row.name, fork)), Some(("PUSH0", Fork::Shanghai)));
        assert_eq!(custom.opcode(op::SELFDESTRUCT), None);
        assert_eq!(custom.opcode(0x0c), None, "no fork has that byte");
        for byte in (0..=255).filter(|byte| ![op::PUSH0, op::SELFDESTRUCT].contains(byte)) {
            assert_eq!(custom.opcode(byte), plain.opcode(byte), "{byte:#x}");
        }
    }

    #[test]
    fn precompiles_come_and_go() {
        let (chosen, ecrecover) = (H160::repeat_byte(9), Precompile::EcRecover.address());
        let plain = Rules::new(Fork::Cancun, 1);
        let custom = Rules {
            extra_precompiles: ExtraPrecompiles::NONE.with(Precompile::P256Verify, chosen),
            removed_precompiles: PrecompileSet::EMPTY.with(Precompile::EcRecover),
            ..plain
        };
        assert!(custom.is_custom());
        assert_eq!(custom.precompile(chosen), Some((Precompile::P256Verify, Fork::Osaka)));
        assert_eq!((custom.precompile(ecrecover), plain.precompile(chosen)), (None, None));
        assert_eq!(plain.precompile(ecrecover), Some((Precompile::EcRecover, Fork::Cancun)));
        let in_place = ExtraPrecompiles::NONE.with(Precompile::Sha256, ecrecover);
        let replaced = Rules { extra_precompiles: in_place, ..plain };
        assert_eq!(replaced.precompile(ecrecover), Some((Precompile::Sha256, Fork::Cancun)));
    }
}
