//! Execution environments: rules, block context, permissions and budget.

use crate::fork::Fork;
use crate::message::Messaging;
use crate::permission::Permissions;
use crate::rules::Rules;
use crate::state::StateView;
use crate::{H160, H256, U256};
use std::sync::Arc;

/// Blob parameters of a fork (EIP-4844, EIP-7840).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobSchedule {
    /// Blobs a block aims at.
    pub target: u64,
    /// Blobs a block may hold.
    pub max: u64,
    /// How slowly the price of blob gas moves.
    pub base_fee_update_fraction: u64,
}

impl BlobSchedule {
    /// The parameters that mainnet gives the fork; `None` before Cancun.
    #[must_use]
    pub fn of(fork: Fork) -> Option<Self> {
        let (target, max, base_fee_update_fraction) = match fork {
            _ if fork < Fork::Cancun => return None,
            Fork::Cancun => (3, 6, 3_338_477),
            Fork::Prague | Fork::Osaka => (6, 9, 5_007_716),
            Fork::Bpo1 => (10, 15, 8_346_193),
            _ => (14, 21, 11_684_671),
        };
        Some(Self { target, max, base_fee_update_fraction })
    }
}

/// The block that a transaction runs in, as the EVM sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockContext {
    /// NUMBER.
    pub number: u64,
    /// TIMESTAMP, in seconds.
    pub timestamp: u64,
    /// COINBASE: gets the priority fees.
    pub coinbase: H160,
    /// GASLIMIT.
    pub gas_limit: u64,
    /// BASEFEE in wei; zero before London.
    pub base_fee: U256,
    /// DIFFICULTY before Paris.
    pub difficulty: U256,
    /// PREVRANDAO from Paris on.
    pub prev_randao: H256,
    /// BLOBBASEFEE in wei; see [`blob_base_fee`].
    pub blob_base_fee: U256,
    /// SLOTNUM (EIP-7843, Amsterdam).
    pub slot_number: u64,
    /// Gas that transactions of the block used before those of the batch.
    pub gas_used: u64,
    /// Their blob gas (EIP-4844).
    pub blob_gas_used: u64,
}

/// The price of blob gas, in wei (EIP-4844 `fake_exponential` with a minimum of 1).
///
/// Saturates at 2^256 - 1, a price that no transaction can pay.
#[must_use]
pub fn blob_base_fee(excess_blob_gas: u64, update_fraction: u64) -> U256 {
    let denominator = U256::from(update_fraction.max(1));
    let numerator = U256::from(excess_blob_gas);
    let mut sum = U256::zero();
    let mut term = denominator;
    let mut i = 1u64;
    while !term.is_zero() {
        let (next, overflow) = sum.overflowing_add(term);
        if overflow {
            return U256::MAX;
        }
        sum = next;
        let Some(product) = term.checked_mul(numerator) else { return U256::MAX };
        term = product / (denominator * U256::from(i));
        i += 1;
    }
    sum / denominator
}

/// Counted limits per transaction. Wall clock never decides a result. The default limits nothing that the protocol
/// does not limit.
///
/// What exceeds one ends the whole transaction, so that no contract can catch it and go on. What frames that were undone
/// used counts: it was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The gas limit of a transaction: one that asks for more is rejected.
    pub gas: u64,
    /// EVM instructions.
    pub steps: u64,
    /// Bytes of memory of all frames that run at the same time.
    pub memory: u64,
    /// Nested calls.
    pub call_depth: u32,
    /// Storage slots written: each that SSTORE gives another value once.
    pub slots: u64,
    /// Bytes of log data. Not of the logs that the protocol emits itself (EIP-7708).
    pub log_bytes: u64,
    /// Messages sent.
    pub messages: u64,
}

impl Budget {
    /// What the protocol limits, and nothing else.
    pub const UNLIMITED: Self = Self {
        gas: u64::MAX,
        steps: u64::MAX,
        memory: u64::MAX,
        call_depth: 1024,
        slots: u64::MAX,
        log_bytes: u64::MAX,
        messages: u64::MAX,
    };

    /// The lower of both limits, each.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self {
            gas: self.gas.min(other.gas),
            steps: self.steps.min(other.steps),
            memory: self.memory.min(other.memory),
            call_depth: self.call_depth.min(other.call_depth),
            slots: self.slots.min(other.slots),
            log_bytes: self.log_bytes.min(other.log_bytes),
            messages: self.messages.min(other.messages),
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::UNLIMITED
    }
}

/// How the transactions of an environment relate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Each starts from the state that the one before it left.
    #[default]
    Sequential,
    /// Each starts from the base state.
    Independent,
}

/// Which rules a transaction has to keep so that it is executed at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Validation {
    /// All of the protocol.
    #[default]
    Full,
    /// Those of a simulated call (`eth_call`): the sender's nonce and code (EIP-3607), what is left in the block, and the cap on
    /// the gas of one transaction (EIP-7825) do not matter.
    Call,
}

/// An isolated execution environment.
#[derive(Clone)]
pub struct Environment {
    /// Names it in reports and errors.
    pub id: String,
    /// Fork, chain, blob parameters.
    pub rules: Rules,
    /// The block that its transactions run in.
    pub block: BlockContext,
    /// Its base state: read, never written.
    pub state: Arc<dyn StateView>,
    /// How its transactions relate.
    pub order: Order,
    /// What it may do.
    pub permissions: Permissions,
    /// What it may spend.
    pub budget: Budget,
    /// Messages to and from other environments; `None` = plain Ethereum, without the system address.
    pub messaging: Option<Messaging>,
    /// Which rules its transactions have to keep.
    pub validation: Validation,
    /// Whether somebody reads [`crate::Outcome::diff`]. Where nobody does, and no transaction starts from what another left,
    /// backends may leave it empty, and not look at the beneficiary either.
    pub diffs: bool,
}

impl Environment {
    /// An environment with every permission and no extra limit.
    #[must_use]
    pub fn new(id: impl Into<String>, rules: Rules, block: BlockContext, state: Arc<dyn StateView>) -> Self {
        Self {
            id: id.into(),
            rules,
            block,
            state,
            order: Order::Sequential,
            permissions: Permissions::default(),
            budget: Budget::default(),
            messaging: None,
            validation: Validation::Full,
            diffs: true,
        }
    }

    /// Whether what a transaction changed matters after it.
    #[must_use]
    pub fn keeps_changes(&self) -> bool {
        self.diffs || self.order == Order::Sequential
    }

    /// Whether any opcode, precompile, permission or budget differs from the protocol's, or messages add to it: such
    /// outcomes never pass for a faithful replay.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        self.rules.is_custom()
            || self.permissions != Permissions::default()
            || self.budget != Budget::default()
            || self.messaging.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blob_base_fee_matches_eip_4844() {
        // Values that the EIP's own formula gives.
        assert_eq!(blob_base_fee(0, 3_338_477), U256::one());
        assert_eq!(blob_base_fee(2_314_057, 3_338_477), U256::one());
        assert_eq!(blob_base_fee(2_314_058, 3_338_477), U256::from(2));
        assert_eq!(blob_base_fee(10 * 1024 * 1024, 3_338_477), U256::from(23));
        assert_eq!(blob_base_fee(u64::MAX, 1), U256::MAX);
    }
}
