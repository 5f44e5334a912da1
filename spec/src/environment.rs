//! Execution environments: rules, block context, permissions and budget.

use crate::fork::Fork;
use crate::message::Messaging;
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

/// What the EVM's rules depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The fork.
    pub fork: Fork,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Blob parameters; unused before Cancun.
    pub blob_schedule: BlobSchedule,
}

impl Rules {
    /// The rules of a fork with mainnet's blob parameters.
    #[must_use]
    pub fn new(fork: Fork, chain_id: u64) -> Self {
        let unused = BlobSchedule { target: 0, max: 0, base_fee_update_fraction: 1 };
        Self { fork, chain_id, blob_schedule: BlobSchedule::of(fork).unwrap_or(unused) }
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

/// What an environment may do. The default allows everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// One bit per opcode: set = denied.
    pub denied_opcodes: [u64; 4],
    /// One bit per precompile address below 64: set = denied.
    pub denied_precompiles: u64,
    /// Whether contracts may be created.
    pub create: bool,
    /// Whether logs may be emitted.
    pub logs: bool,
    /// Accounts that may send transactions; `None` = all.
    pub senders: Option<Vec<H160>>,
    /// Accounts that may be called; `None` = all.
    pub callees: Option<Vec<H160>>,
}

impl Default for Permissions {
    fn default() -> Self {
        Self { denied_opcodes: [0; 4], denied_precompiles: 0, create: true, logs: true, senders: None, callees: None }
    }
}

/// Counted limits per transaction. Wall clock never decides a result. The default limits nothing that the protocol
/// does not limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// EVM instructions.
    pub steps: u64,
    /// Bytes of memory of one frame.
    pub memory: u64,
    /// Nested calls.
    pub call_depth: u32,
    /// Storage slots written.
    pub slots: u64,
    /// Bytes of log data.
    pub log_bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { steps: u64::MAX, memory: u64::MAX, call_depth: 1024, slots: u64::MAX, log_bytes: u64::MAX }
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
        }
    }

    /// Whether any permission or budget differs from the protocol's, or messages add to it: such outcomes never pass
    /// for a faithful replay.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        self.permissions != Permissions::default() || self.budget != Budget::default() || self.messaging.is_some()
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
