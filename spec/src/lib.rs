//! The shared vocabulary of isolane. No IO, no GPU, no threads: only the facts and the types that every backend reads.

pub mod batch;
pub mod environment;
pub mod fork;
pub mod gas;
pub mod lane;
pub mod layout;
pub mod message;
pub mod opcode;
pub mod outcome;
pub mod permission;
pub mod precompile;
pub mod reads;
pub mod rules;
pub mod state;
pub mod transaction;
pub mod wgsl;
pub mod word;

pub use batch::{Backend, Batch, ExecutionError};
pub use bytes::Bytes;
pub use environment::{BlobSchedule, BlockContext, Budget, Environment, Order, Validation, blob_base_fee};
pub use fork::{Fork, UnsupportedFork};
pub use gas::GasSchedule;
pub use message::{
    Answer, AnswerStatus, Delivery, EXCHANGE_ADDRESS, EnvironmentId, Failure, Kind, Message, MessagePolicy, Messaging,
    Peers, Query, Reader, Receipt, ReceiptStatus,
};
pub use opcode::{Opcode, OpcodeSet};
pub use outcome::{
    AccountDiff, AccountInfo, BudgetKind, Denial, Halt, KECCAK_EMPTY, Log, Outcome, Rule, SlotDiff, Status,
};
pub use permission::{AddressRule, Level, Permissions};
pub use precompile::{Precompile, PrecompileSet};
pub use primitive_types::{H160, H256, U256};
pub use reads::{AccountRead, Reads, SlotRead};
pub use rules::{ExtraPrecompiles, Rules};
pub use state::{MemoryAccount, MemoryState, StateError, StateView};
pub use transaction::{AccessListItem, Authorization, InvalidTransaction, Transaction, TransactionType};
