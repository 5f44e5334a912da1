//! Blocks: their bytes, their rules, and what executing one yields.

pub mod dao;
mod decode;
mod diff;
mod difficulty;
mod error;
mod exception;
mod execute;
mod header;
mod ommers;
mod receipt;
mod requests;
mod verify;

pub use decode::{BlockDecodeError, DecodedBlock, decode_block};
pub use diff::DiffMerger;
pub use difficulty::expected_difficulty;
pub use error::{At, BlockError};
pub use exception::transaction_exception_names;
pub use execute::{BlockObserver, execute_block, execute_block_observed, execute_block_on, execute_block_with_roots};
pub use header::{
    GAS_PER_BLOB, InvalidHeader, Parent, block_context, expected_base_fee, expected_excess_blob_gas, validate_header,
};
pub use ommers::{Ancestor, InvalidOmmer, validate_ommers};
pub use receipt::{Bloom, PostTransaction, Receipt, logs_hash, receipts_root};
pub use requests::{DepositLayout, requests_hash};
pub use verify::{HeaderField, Mismatch, verify_body, verify_length, verify_ommers_hash, verify_result};

use crate::chain::ChainSpec;
use crate::convert::from_address;
use crate::load::transaction::SignedTransaction;
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use isolane_cpu::InParallel;
use isolane_spec::{AccountDiff, Bytes, Fork, H160, H256, Outcome, Rules, U256};

/// What to do when a block needs the system contract of EIP-7002 or EIP-7251 and its account has no code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingPredeploy {
    /// The block is invalid, as the EIPs say.
    #[default]
    Invalid,
    /// The call is left out: for states that record only a part of the accounts.
    Skip,
}

/// A block to execute.
#[derive(Clone, Copy, Debug)]
pub struct BlockInput<'a> {
    /// Its header. Only its context is used: what execution yields is compared by [`verify_result`].
    pub header: &'a Header,
    /// Its transactions with their senders: see [`crate::load::transaction::recover_into`].
    pub transactions: &'a [SignedTransaction],
    /// Its ommers.
    pub ommers: &'a [Header],
    /// How many ommers there are besides whose headers are not at hand: the miner is rewarded for them, their own
    /// beneficiaries are not known.
    pub missing_ommers: usize,
    /// Its withdrawals, from Shanghai on.
    pub withdrawals: Option<&'a [Withdrawal]>,
    /// Whether transactions are executed ahead of their turn, in parallel. The results are the same.
    pub parallel_transactions: InParallel,
    /// Whether the DAO's balances move before its transactions (EIP-779).
    pub dao_fork: bool,
    /// The contract whose logs are deposit requests (EIP-6110).
    pub deposit_contract: H160,
    /// The miner's reward in wei; zero from Paris on and on chains without rewards.
    pub reward: U256,
    /// What to do about missing system contracts.
    pub missing_predeploy: MissingPredeploy,
}

impl<'a> BlockInput<'a> {
    /// A block of a chain, by its rules, without ommers and withdrawals.
    #[must_use]
    pub fn new(header: &'a Header, transactions: &'a [SignedTransaction], chain: &ChainSpec, rules: &Rules) -> Self {
        Self {
            header,
            transactions,
            ommers: &[],
            missing_ommers: 0,
            withdrawals: None,
            parallel_transactions: InParallel::Never,
            dao_fork: rules.fork == Fork::Dao && chain.dao_block() == Some(header.number),
            deposit_contract: chain.deposit_contract,
            reward: block_reward(rules.fork),
            missing_predeploy: MissingPredeploy::Invalid,
        }
    }

    /// A decoded block of a chain, by its rules.
    #[must_use]
    pub fn of(block: &'a DecodedBlock, chain: &ChainSpec, rules: &Rules) -> Self {
        Self {
            ommers: &block.ommers,
            withdrawals: block.withdrawals.as_deref(),
            ..Self::new(&block.header, &block.transactions, chain, rules)
        }
    }
}

/// What somebody gets for a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reward {
    /// Who gets it.
    pub beneficiary: H160,
    /// In wei.
    pub amount: U256,
    /// Whether it is for an ommer, and not for the block.
    pub ommer: bool,
}

impl BlockInput<'_> {
    /// The rewards of the miner and of the ommers, in this order; none where the block's reward is zero.
    #[must_use]
    pub fn rewards(&self) -> Vec<Reward> {
        if self.reward.is_zero() {
            return Vec::new();
        }
        let ommers = self.ommers.len() + self.missing_ommers;
        let miner = Reward {
            beneficiary: from_address(self.header.beneficiary),
            amount: self.reward + self.reward / 32 * U256::from(ommers),
            ommer: false,
        };
        let of_ommer = |ommer: &Header| {
            let age = self.header.number.saturating_sub(ommer.number);
            let amount = self.reward / 8 * U256::from(8u64.saturating_sub(age));
            Reward { beneficiary: from_address(ommer.beneficiary), amount, ommer: true }
        };
        std::iter::once(miner).chain(self.ommers.iter().map(of_ommer)).collect()
    }
}

/// The reward of a block in wei (EIP-649, EIP-1234, EIP-3675).
#[must_use]
pub fn block_reward(fork: Fork) -> U256 {
    let ether = match fork {
        _ if fork < Fork::Byzantium => 5,
        _ if fork < Fork::Constantinople => 3,
        _ if fork < Fork::Paris => 2,
        _ => 0,
    };
    U256::from(ether) * U256::exp10(18)
}

/// The state root between transactions, which receipts hold before Byzantium.
pub trait StateRoots {
    /// Applies what changed.
    ///
    /// # Errors
    /// When the state cannot follow.
    fn apply(&mut self, diff: &[AccountDiff]) -> Result<(), String>;
    /// The root of the state now.
    ///
    /// # Errors
    /// When the root cannot be known.
    fn root(&mut self) -> Result<H256, String>;
}

/// What executing a block yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockResult {
    /// One receipt per transaction. Its logs are those of the outcome of the same index.
    pub receipts: Vec<Receipt>,
    /// One outcome per transaction.
    pub outcomes: Vec<Outcome>,
    /// What the whole block changed, sorted by address.
    pub diff: Vec<AccountDiff>,
    /// The part of it that came before the first transaction: system calls, the DAO's balances.
    pub diff_before: Vec<AccountDiff>,
    /// The part of it that came after the last transaction: rewards, withdrawals, system calls.
    pub diff_after: Vec<AccountDiff>,
    /// Gas of all transactions that counts against the block's limit: from Amsterdam on the larger of regular gas and
    /// state gas (EIP-8037), before that what they paid for.
    pub gas_used: u64,
    /// Blob gas used by all transactions; zero before Cancun.
    pub blob_gas_used: u64,
    /// Bloom filter over all logs.
    pub logs_bloom: Bloom,
    /// Root of the receipts; `None` before Byzantium if no state roots were at hand.
    pub receipts_root: Option<H256>,
    /// Execution requests that are not empty, each with its type byte (EIP-7685); `None` before Prague.
    pub requests: Option<Vec<Bytes>>,
    /// Their hash.
    pub requests_hash: Option<H256>,
    /// Root of the withdrawals, if the block has any list of them.
    pub withdrawals_root: Option<H256>,
    /// Root of the transactions.
    pub transactions_root: H256,
    /// EVM instructions executed by transactions and system calls.
    pub steps: u64,
}

#[cfg(test)]
mod tests;
