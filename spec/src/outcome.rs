//! What an execution shows outside. Equality of outcomes is *the* correctness criterion between backends.

use crate::message::Message;
use crate::transaction::InvalidTransaction;
use crate::{Bytes, H160, H256, U256};
use std::fmt;

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// STOP, RETURN, SELFDESTRUCT, or a call to an account without code.
    Success,
    /// REVERT: state undone, unspent gas returned.
    Revert,
    /// An exceptional halt: state undone, all gas spent.
    Halt(Halt),
    /// The transaction was invalid and had no effect.
    Rejected(InvalidTransaction),
}

impl Status {
    /// Whether the receipt's status field is 1.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Success)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => f.write_str("success"),
            Self::Revert => f.write_str("revert"),
            Self::Halt(halt) => write!(f, "halt: {halt}"),
            Self::Rejected(reason) => write!(f, "rejected: {reason}"),
        }
    }
}

/// The reasons of an exceptional halt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Halt {
    /// Less gas than the next operation costs.
    OutOfGas = 1,
    /// Fewer stack items than the operation pops.
    StackUnderflow,
    /// More than 1,024 stack items.
    StackOverflow,
    /// A jump to a place that is no JUMPDEST.
    InvalidJump,
    /// The designated INVALID opcode 0xfe.
    InvalidOpcode,
    /// A byte that is no opcode of this fork, or an opcode with an immediate that EIP-8024 forbids.
    UndefinedOpcode,
    /// A state change inside a static call (EIP-214).
    StaticViolation,
    /// RETURNDATACOPY beyond the return data (EIP-211).
    ReturnDataOutOfBounds,
    /// A create onto an account that has code, a nonce or storage (EIP-684, EIP-7610).
    CreateCollision,
    /// Created code longer than EIP-170 allows.
    CodeTooLarge,
    /// Created code that starts with 0xef (EIP-3541).
    CodeStartsWithEf,
    /// Initcode longer than EIP-3860 allows.
    InitcodeTooLarge,
    /// A precompile refused its input.
    PrecompileFailure,
    /// A create whose sender's nonce is 2^64 - 1 (EIP-2681), or a nested call with too little balance or too deep: only
    /// ever the end of a nested frame.
    CallRefused,
    /// A budget of the environment ran out (see [`crate::environment::Budget`]): the end of the whole transaction.
    BudgetExceeded {
        /// Which one.
        kind: BudgetKind,
        /// How many instructions the transaction had begun by then.
        at: u64,
    },
    /// A permission of the environment forbade the operation (see [`crate::permission::Permissions`]).
    Denied {
        /// Which one.
        rule: Rule,
        /// Where in the code the operation is; 0 where the transaction itself asked for it.
        pc: u32,
    },
}

/// Which budget ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum BudgetKind {
    /// Executed instructions.
    Steps,
    /// Memory bytes of all running frames.
    Memory,
    /// Nested calls.
    CallDepth,
    /// Written storage slots.
    Slots,
    /// Bytes of log data.
    LogBytes,
    /// Messages sent.
    Messages,
}

/// Which permission forbade the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rule {
    /// A denied opcode.
    Opcode,
    /// A denied precompile.
    Precompile,
    /// A denied creation.
    Create,
    /// A denied callee.
    Callee,
    /// A denied sender.
    Sender,
    /// Logs are denied.
    Logs,
    /// Calls between accounts are denied.
    Call,
    /// A denied transfer of value.
    Value,
    /// Delegations (EIP-7702) are denied.
    Delegation,
    /// Messages are denied.
    Message,
    /// Changes of state are denied.
    State,
}

/// The first operation of a transaction that a permission forbade, which may have been in a frame whose caller went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The permission.
    pub rule: Rule,
    /// The account that the operation was done for: whose frame it was, or the sender.
    pub address: H160,
    /// Where in the code of the frame the operation is; 0 where the transaction itself asked for it.
    pub pc: u32,
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::OutOfGas => "out of gas",
            Self::StackUnderflow => "stack underflow",
            Self::StackOverflow => "stack overflow",
            Self::InvalidJump => "invalid jump destination",
            Self::InvalidOpcode => "invalid opcode",
            Self::UndefinedOpcode => "undefined opcode",
            Self::StaticViolation => "state change in a static call",
            Self::ReturnDataOutOfBounds => "return data out of bounds",
            Self::CreateCollision => "create collision",
            Self::CodeTooLarge => "created code too large",
            Self::CodeStartsWithEf => "created code starts with 0xef",
            Self::InitcodeTooLarge => "initcode too large",
            Self::PrecompileFailure => "precompile failure",
            Self::CallRefused => "call refused",
            Self::BudgetExceeded { kind, at } => return write!(f, "budget exceeded: {kind:?} at step {at}"),
            Self::Denied { rule, pc } => return write!(f, "denied: {rule:?} at pc {pc}"),
        };
        f.write_str(text)
    }
}

/// One log record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The account that logged.
    pub address: H160,
    /// Up to four topics.
    pub topics: Vec<H256>,
    /// The data.
    pub data: Bytes,
}

/// Nonce, balance and code of an account. An account that does not exist is `None` where it matters (EIP-161).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountInfo {
    /// Transactions sent, or contracts created.
    pub nonce: u64,
    /// In wei.
    pub balance: U256,
    /// Keccak-256 of the code; [`KECCAK_EMPTY`] for none.
    pub code_hash: H256,
}

impl Default for AccountInfo {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::zero(), code_hash: KECCAK_EMPTY }
    }
}

impl AccountInfo {
    /// Empty as EIP-161 defines it: no nonce, no balance, no code.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero() && self.code_hash == KECCAK_EMPTY
    }
}

/// Keccak-256 of no bytes.
pub const KECCAK_EMPTY: H256 = H256([
    0xc5, 0xd2, 0x46, 0x01, 0x86, 0xf7, 0x23, 0x3c, 0x92, 0x7e, 0x7d, 0xb2, 0xdc, 0xc7, 0x03, 0xc0, 0xe5, 0x00, 0xb6,
    0x53, 0xca, 0x82, 0x27, 0x3b, 0x7b, 0xfa, 0xd8, 0x04, 0x5d, 0x85, 0xa4, 0x70,
]);

/// What an execution changed in one account. Only accounts that changed are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountDiff {
    /// The account.
    pub address: H160,
    /// Before the transaction; `None`: it did not exist.
    pub before: Option<AccountInfo>,
    /// After the transaction; `None`: it does not exist.
    pub after: Option<AccountInfo>,
    /// The new code, where the code changed and is not empty.
    pub code: Option<Bytes>,
    /// All storage from before the transaction is gone (destroyed or created anew); `storage` lists what is there
    /// now.
    pub storage_wiped: bool,
    /// Changed slots, sorted by key.
    pub storage: Vec<SlotDiff>,
}

/// One changed storage slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotDiff {
    /// The slot.
    pub key: U256,
    /// Before the transaction.
    pub before: U256,
    /// After the transaction.
    pub after: U256,
}

/// All that an execution shows outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// Gas paid for, after refunds.
    pub gas_used: u64,
    /// Refund that was granted.
    pub gas_refunded: u64,
    /// Gas that counts against the block's limit: `gas_used`, but from Amsterdam on the regular gas before refunds
    /// (EIP-7778, EIP-8037).
    pub block_gas_used: u64,
    /// State gas that counts against the block's limit in its own right (EIP-8037); 0 before Amsterdam.
    pub state_gas_used: u64,
    /// Return or revert data; the deployed code of a successful creation.
    pub output: Bytes,
    /// The address of the contract that the transaction created, if it succeeded in creating one.
    pub created: Option<H160>,
    /// In order. Empty unless the transaction succeeded.
    pub logs: Vec<Log>,
    /// Messages to other environments, in order. Empty unless the transaction succeeded.
    pub messages: Vec<Message>,
    /// Changed accounts, sorted by address.
    pub diff: Vec<AccountDiff>,
    /// EVM instructions executed, all frames counted.
    pub steps: u64,
    /// The first operation that a permission forbade.
    pub denial: Option<Denial>,
}

impl Outcome {
    /// The outcome of a transaction that had no effect.
    #[must_use]
    pub const fn rejected(reason: InvalidTransaction) -> Self {
        Self {
            status: Status::Rejected(reason),
            gas_used: 0,
            gas_refunded: 0,
            block_gas_used: 0,
            state_gas_used: 0,
            output: Bytes::new(),
            created: None,
            logs: Vec::new(),
            messages: Vec::new(),
            diff: Vec::new(),
            steps: 0,
            denial: None,
        }
    }
}
