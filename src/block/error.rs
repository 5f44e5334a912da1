//! Why a block cannot be executed.

use super::requests::DepositLayout;
use isolane_spec::{ExecutionError, H160, InvalidTransaction, Status};
use std::fmt;

/// Why executing a block ended without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// A transaction is invalid, and with it the block.
    Transaction {
        /// Its index in the block.
        index: usize,
        /// The rule that it breaks.
        reason: InvalidTransaction,
    },
    /// A log of the deposit contract has another layout than EIP-6110 asks for.
    Deposit {
        /// The index of the transaction that logged.
        index: usize,
        /// What is wrong.
        layout: DepositLayout,
    },
    /// The account of a system contract has no code (EIP-7002, EIP-7251).
    SystemContractMissing(H160),
    /// A system contract that must not fail failed (EIP-7002, EIP-7251).
    SystemCallFailed {
        /// The contract.
        contract: H160,
        /// How the call ended.
        status: Status,
    },
    /// The header lacks a field that the fork's execution reads.
    HeaderFieldMissing(&'static str),
    /// No state root between transactions, which the receipts hold before Byzantium.
    StateRoot {
        /// The index of the transaction.
        index: usize,
        /// Why.
        problem: String,
    },
    /// Infrastructure failed: this says nothing about the block.
    Execution {
        /// What was being executed.
        at: At,
        /// Why it failed.
        error: ExecutionError,
    },
}

/// A part of a block's execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The DAO's irregular state change.
    Dao,
    /// A call to this system contract.
    System(H160),
    /// The transaction of this index.
    Transaction(usize),
    /// Withdrawals and rewards.
    Credits,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dao => f.write_str("the DAO fork"),
            Self::System(contract) => write!(f, "the system call to {contract:?}"),
            Self::Transaction(index) => write!(f, "transaction {index}"),
            Self::Credits => f.write_str("withdrawals and rewards"),
        }
    }
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transaction { index, reason } => write!(f, "transaction {index}: {reason}"),
            Self::Deposit { index, layout } => write!(f, "transaction {index}: {layout}"),
            Self::SystemContractMissing(contract) => write!(f, "system contract {contract:?}: expected code, got none"),
            Self::SystemCallFailed { contract, status } => {
                write!(f, "system contract {contract:?}: expected success, got {status}")
            }
            Self::HeaderFieldMissing(field) => write!(f, "header: expected {field}, got none"),
            Self::StateRoot { index, problem } => write!(f, "state root after transaction {index}: {problem}"),
            Self::Execution { at, error } => write!(f, "{at}: {error}"),
        }
    }
}

impl std::error::Error for BlockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Transaction { reason, .. } => Some(reason),
            Self::Execution { error, .. } => Some(error),
            _ => None,
        }
    }
}
