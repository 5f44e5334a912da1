//! Calls, and what becomes of them.

use super::error::ExecutorError;
use crate::trace::CallFrame;
use alloy_sol_types::{Panic, Revert, SolError};
use isolane_cpu::lockstep::Leave;
use isolane_spec::{
    AccessListItem, AccountDiff, Authorization, Bytes, Fork, H160, H256, Halt, Log, Outcome, Status, Transaction,
    TransactionType, U256, Validation,
};
use std::fmt;

/// A simulated call, with the meaning of `eth_call`.
///
/// The sender need not be able to sign: nonce and code of the sender do not matter, nor what a block or a single transaction may use
/// of gas. Where no price is given, gas is free, and BASEFEE shows 0, as in geth; where one is given, the sender has to be able
/// to pay, and it has to reach the base fee. The value has to be there in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The sender.
    pub from: H160,
    /// The callee; `None` creates a contract.
    pub to: Option<H160>,
    /// The gas limit; the executor's gas cap where there is none, and at most that.
    pub gas: Option<u64>,
    /// The price of gas, or the cap on it with base fee (`maxFeePerGas`), in wei.
    pub max_fee_per_gas: Option<U256>,
    /// `maxPriorityFeePerGas`; as `max_fee_per_gas` for a call with one price ([`Call::gas_price`]).
    pub max_priority_fee_per_gas: Option<U256>,
    /// Wei sent along.
    pub value: U256,
    /// Call data, or initcode.
    pub input: Bytes,
    /// The nonce. Only checked with [`Validation::Full`], where it is the sender's own unless it is given.
    pub nonce: Option<u64>,
    /// EIP-2930 access list.
    pub access_list: Vec<AccessListItem>,
    /// EIP-4844 versioned hashes.
    pub blob_versioned_hashes: Vec<H256>,
    /// The cap on the price of blob gas, in wei. Blobs are free where it is not given.
    pub max_fee_per_blob_gas: Option<U256>,
    /// EIP-7702 delegations.
    pub authorization_list: Vec<Authorization>,
    /// The chain that it is for; any by default.
    pub chain_id: Option<u64>,
    /// The envelope type; by default the one that the fields above ask for.
    pub transaction_type: Option<TransactionType>,
    /// Which rules it has to keep. With [`Validation::Full`] (`eth_simulateV1` with `validation`) it is a transaction in all but
    /// its signature.
    pub validation: Validation,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            from: H160::zero(),
            to: None,
            gas: None,
            max_fee_per_gas: None,
            max_priority_fee_per_gas: None,
            value: U256::zero(),
            input: Bytes::new(),
            nonce: None,
            access_list: Vec::new(),
            blob_versioned_hashes: Vec::new(),
            max_fee_per_blob_gas: None,
            authorization_list: Vec::new(),
            chain_id: None,
            transaction_type: None,
            validation: Validation::Call,
        }
    }
}

/// What of its environment a call decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Terms {
    /// Gas costs nothing, so that the base fee is none either.
    pub free_gas: bool,
    /// Likewise of blob gas.
    pub free_blobs: bool,
    /// Which rules it has to keep.
    pub validation: Validation,
}

impl Terms {
    /// All that there are, in the order of [`Terms::index`].
    pub(crate) const ALL: [Self; 5] = [
        Self { free_gas: false, free_blobs: false, validation: Validation::Call },
        Self { free_gas: true, free_blobs: false, validation: Validation::Call },
        Self { free_gas: false, free_blobs: true, validation: Validation::Call },
        Self { free_gas: true, free_blobs: true, validation: Validation::Call },
        Self { free_gas: false, free_blobs: false, validation: Validation::Full },
    ];

    /// Its place in [`Terms::ALL`].
    pub(crate) fn index(self) -> u32 {
        match self.validation {
            Validation::Call => u32::from(self.free_gas) + 2 * u32::from(self.free_blobs),
            Validation::Full => 4,
        }
    }
}

impl Call {
    /// A call from the zero address.
    #[must_use]
    pub fn new(to: H160, input: impl Into<Bytes>) -> Self {
        Self { to: Some(to), input: input.into(), ..Self::default() }
    }

    /// With another sender.
    #[must_use]
    pub fn sender(mut self, from: H160) -> Self {
        self.from = from;
        self
    }

    /// With one price for gas (`gasPrice`), in wei.
    #[must_use]
    pub fn gas_price(mut self, price: U256) -> Self {
        self.max_fee_per_gas = Some(price);
        self.max_priority_fee_per_gas = Some(price);
        self
    }

    /// With a gas limit.
    #[must_use]
    pub fn gas(mut self, gas: u64) -> Self {
        self.gas = Some(gas);
        self
    }

    /// With wei sent along.
    #[must_use]
    pub fn value(mut self, value: U256) -> Self {
        self.value = value;
        self
    }

    /// What it is executed under.
    pub(crate) fn terms(&self) -> Terms {
        let none = |fee: &Option<U256>| fee.is_none_or(|fee| fee.is_zero());
        let call = self.validation == Validation::Call;
        Terms {
            free_gas: call && none(&self.max_fee_per_gas) && none(&self.max_priority_fee_per_gas),
            free_blobs: call && !self.blob_versioned_hashes.is_empty() && none(&self.max_fee_per_blob_gas),
            validation: self.validation,
        }
    }

    /// The selector, or what there is of it.
    pub(super) fn selector(&self) -> u32 {
        self.input.first_chunk().map_or(0, |selector| u32::from_be_bytes(*selector))
    }

    /// The transaction. `nonce` is the sender's.
    pub(crate) fn transaction(&self, gas_cap: u64, fork: Fork, nonce: u64) -> Transaction {
        self.clone().into_transaction(gas_cap, fork, nonce)
    }

    /// The transaction. `nonce` is the sender's.
    #[inline(always)]
    pub(crate) fn into_transaction(self, gas_cap: u64, fork: Fork, nonce: u64) -> Transaction {
        let one_price = self.max_fee_per_gas == self.max_priority_fee_per_gas;
        let transaction_type = if let Some(transaction_type) = self.transaction_type {
            transaction_type
        } else if !self.authorization_list.is_empty() {
            TransactionType::SetCode
        } else if !self.blob_versioned_hashes.is_empty() {
            TransactionType::Blob
        } else if !one_price && fork >= Fork::London {
            TransactionType::DynamicFee
        } else if !self.access_list.is_empty() {
            TransactionType::AccessList
        } else {
            TransactionType::Legacy
        };
        let max_fee_per_gas = self.max_fee_per_gas.unwrap_or_default();
        let max_priority_fee_per_gas = match (transaction_type, self.max_priority_fee_per_gas) {
            (TransactionType::Legacy | TransactionType::AccessList, None) => max_fee_per_gas,
            (_, tip) => tip.unwrap_or_default(),
        };
        Transaction {
            transaction_type,
            sender: self.from,
            nonce: self.nonce.unwrap_or(nonce),
            gas_limit: self.gas.unwrap_or(gas_cap).min(gas_cap),
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to: self.to,
            value: self.value,
            input: self.input,
            chain_id: self.chain_id,
            access_list: self.access_list,
            blob_versioned_hashes: self.blob_versioned_hashes,
            max_fee_per_blob_gas: self.max_fee_per_blob_gas.unwrap_or_default(),
            authorization_list: self.authorization_list,
        }
    }
}

impl From<Transaction> for Call {
    /// The transaction as a call that keeps all of its rules.
    fn from(transaction: Transaction) -> Self {
        Self {
            from: transaction.sender,
            to: transaction.to,
            gas: Some(transaction.gas_limit),
            max_fee_per_gas: Some(transaction.max_fee_per_gas),
            max_priority_fee_per_gas: Some(transaction.max_priority_fee_per_gas),
            value: transaction.value,
            input: transaction.input,
            nonce: Some(transaction.nonce),
            access_list: transaction.access_list,
            blob_versioned_hashes: transaction.blob_versioned_hashes,
            max_fee_per_blob_gas: Some(transaction.max_fee_per_blob_gas),
            authorization_list: transaction.authorization_list,
            chain_id: transaction.chain_id,
            transaction_type: Some(transaction.transaction_type),
            validation: Validation::Full,
        }
    }
}

bitflags::bitflags! {
    /// What is wanted of the outcomes. Status and gas are always there.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Want: u32 {
        /// What calls return.
        const OUTPUT = 1;
        /// Logs.
        const LOGS = 1 << 1;
        /// What calls change.
        const DIFF = 1 << 2;
        /// The accounts and slots that calls access, as an access list. Such calls run on the reference, watched.
        const ACCESS_LIST = 1 << 3;
        /// All calls between accounts. Such calls run on the reference, watched.
        const CALLS = 1 << 4;
    }
}

impl Default for Want {
    fn default() -> Self {
        Self::OUTPUT
    }
}

impl Want {
    /// What only an observer of the execution can tell.
    pub(super) const WATCHED: Self = Self::ACCESS_LIST.union(Self::CALLS);
}

/// Where a call ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RanOn {
    /// On the reference.
    Cpu,
    /// In a group of lanes on the CPU.
    Lockstep,
    /// On a device.
    Gpu,
}

/// Why a call did not run where the executor's calls run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Escape {
    /// Its calls or its access list are wanted, which takes an observer.
    Watched,
    /// It starts from what the call before it left.
    Ordered,
    /// Too few calls run the same code.
    Few,
    /// It runs no code.
    NoCode,
    /// Precompiles are not where they usually are.
    Rules,
    /// A defect: the group that it was in failed.
    Failed,
    /// The device could not execute it.
    Device,
}

impl Escape {
    pub(super) const fn of(leave: Leave) -> Self {
        match leave {
            Leave::Few => Self::Few,
            Leave::NoCode => Self::NoCode,
            Leave::Ordered => Self::Ordered,
            Leave::Restricted => Self::Rules,
            _ => Self::Failed,
        }
    }
}

impl fmt::Display for Escape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Watched => "watched",
            Self::Ordered => "depends on the call before it",
            Self::Few => "too few calls alike",
            Self::NoCode => "no code",
            Self::Rules => "precompiles of its own",
            Self::Failed => "its group failed",
            Self::Device => "the device cannot execute it",
        })
    }
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallOutcome {
    /// How it ended. A call that was invalid is [`Status::Rejected`].
    pub status: Status,
    /// Gas used, after refunds.
    pub gas_used: u64,
    /// The refund that was granted.
    pub gas_refunded: u64,
    /// Return or revert data; the deployed code of a successful creation. With [`Want::OUTPUT`].
    pub output: Bytes,
    /// Logs of a call that succeeded, in order. With [`Want::LOGS`].
    pub logs: Vec<Log>,
    /// Changed accounts, sorted by address. With [`Want::DIFF`].
    pub diff: Vec<AccountDiff>,
    /// The contract that it created.
    pub created: Option<H160>,
    /// Where it ran.
    pub ran_on: RanOn,
    /// Why not where the others run.
    pub escape: Option<Escape>,
    /// What a watched execution told.
    pub watched: Option<Box<Watched>>,
}

/// What only a watched execution tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Accounts and slots whose access the list makes cheaper. With [`Want::ACCESS_LIST`].
    pub access_list: Vec<AccessListItem>,
    /// The calls, each before those in it. With [`Want::CALLS`].
    pub calls: Vec<CallFrame>,
}

impl CallOutcome {
    #[inline(always)]
    pub(super) fn new(outcome: Outcome, want: Want, ran_on: RanOn, escape: Option<Escape>) -> Self {
        let wanted = |flag| want.contains(flag);
        Self {
            status: outcome.status,
            gas_used: outcome.gas_used,
            gas_refunded: outcome.gas_refunded,
            output: if wanted(Want::OUTPUT) { outcome.output } else { Bytes::new() },
            logs: if wanted(Want::LOGS) { outcome.logs } else { Vec::new() },
            diff: if wanted(Want::DIFF) { outcome.diff } else { Vec::new() },
            created: outcome.created,
            ran_on,
            escape,
            watched: None,
        }
    }

    /// Whether it succeeded.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// Why it halted, if it did.
    #[must_use]
    pub const fn halt(&self) -> Option<Halt> {
        match self.status {
            Status::Halt(halt) => Some(halt),
            _ => None,
        }
    }

    /// What it said when it reverted, if it did.
    #[must_use]
    pub fn revert_reason(&self) -> Option<RevertReason> {
        (self.status == Status::Revert).then(|| RevertReason::decode(&self.output))
    }

    /// The access list. Empty without [`Want::ACCESS_LIST`].
    #[must_use]
    pub fn access_list(&self) -> &[AccessListItem] {
        self.watched.as_ref().map_or(&[], |watched| &watched.access_list)
    }

    /// The calls, each before those in it. Empty without [`Want::CALLS`].
    #[must_use]
    pub fn calls(&self) -> &[CallFrame] {
        self.watched.as_ref().map_or(&[], |watched| &watched.calls)
    }
}

/// What a contract says when it reverts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevertReason {
    /// Nothing.
    Empty,
    /// `Error(string)`: `require` and `revert` with a message.
    Error(String),
    /// `Panic(uint256)`: what the compiler checks.
    Panic(U256),
    /// An error of the contract's own: its selector and its arguments, or any other bytes.
    Custom(Bytes),
}

impl RevertReason {
    /// Reads revert data. What is not well-formed is [`RevertReason::Custom`].
    #[must_use]
    pub fn decode(data: &Bytes) -> Self {
        if data.is_empty() {
            return Self::Empty;
        }
        if let Ok(Revert { reason }) = Revert::abi_decode(data) {
            return Self::Error(reason);
        }
        if let Ok(Panic { code }) = Panic::abi_decode(data) {
            return Self::Panic(crate::convert::from_word(code));
        }
        Self::Custom(data.clone())
    }
}

impl fmt::Display for RevertReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("execution reverted"),
            Self::Error(text) => write!(f, "execution reverted: {text}"),
            Self::Panic(code) => write!(f, "execution reverted: panic {code:#x}"),
            Self::Custom(data) => write!(f, "execution reverted: 0x{}", hex::encode(data)),
        }
    }
}

/// What one call came to: its outcome, or why there is none.
pub type CallResult = Result<CallOutcome, ExecutorError>;
