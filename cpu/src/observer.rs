//! [`Observer`]: watches an execution of the reference.
//!
//! An observed transaction runs in the checked form of the same interpreter, instruction by instruction, with the same
//! outcome to the last bit. An unobserved one does not know of observers: the interpreter is compiled once with and
//! once without them.

pub use crate::stack::Items;
use isolane_spec::{AccountRead, Halt, Log, Outcome, SlotRead, Status, Transaction};
use isolane_spec::{H160, U256, opcode::op};

/// How a frame came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CallKind {
    /// CALL, and the frame of a transaction or system call that calls.
    Call,
    /// CALLCODE.
    CallCode,
    /// DELEGATECALL.
    DelegateCall,
    /// STATICCALL.
    StaticCall,
    /// CREATE, and the frame of a transaction that creates.
    Create,
    /// CREATE2.
    Create2,
}

impl CallKind {
    /// The name of the opcode.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "CALL",
            Self::CallCode => "CALLCODE",
            Self::DelegateCall => "DELEGATECALL",
            Self::StaticCall => "STATICCALL",
            Self::Create => "CREATE",
            Self::Create2 => "CREATE2",
        }
    }

    /// Whether it creates a contract.
    #[must_use]
    pub const fn is_create(self) -> bool {
        matches!(self, Self::Create | Self::Create2)
    }

    pub(crate) const fn of(opcode: u8) -> Self {
        match opcode {
            op::CALLCODE => Self::CallCode,
            op::DELEGATECALL => Self::DelegateCall,
            op::STATICCALL => Self::StaticCall,
            op::CREATE => Self::Create,
            op::CREATE2 => Self::Create2,
            _ => Self::Call,
        }
    }
}

/// The machine before an instruction.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Where the instruction is in the code. Beyond the code's end it is STOP.
    pub pc: u64,
    /// Its byte, which may be no opcode of the fork.
    pub opcode: u8,
    /// Gas that is left before it.
    pub gas: u64,
    /// 1 in the transaction's own frame.
    pub depth: usize,
    /// The stack, its top last.
    pub stack: Items<'a>,
    /// The memory, a multiple of 32 bytes.
    pub memory: &'a [u8],
    /// What the last call of this frame returned.
    pub return_data: &'a [u8],
    /// The refund counter of the transaction.
    pub refund: i64,
    /// The account that it works on (ADDRESS).
    pub address: H160,
    /// The account whose code it is.
    pub code_address: H160,
    /// Whether the state must not change (EIP-214).
    pub is_static: bool,
    /// State gas that is left (EIP-8037); 0 before Amsterdam.
    pub state_gas: u64,
}

/// What an instruction did to the gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepEnd {
    /// Its byte.
    pub opcode: u8,
    /// 1 in the transaction's own frame.
    pub depth: usize,
    /// What it took from the frame's gas; where it halts, what it took until then.
    pub cost: u64,
    /// The part of the cost that a frame which it starts gets, without the stipend.
    pub given: u64,
    /// Why it halts, if it does.
    pub halt: Option<Halt>,
}

/// The start of a frame, or of a call that needs none: to a precompile or an account without code, or refused.
#[derive(Clone, Copy, Debug)]
pub struct Enter<'a> {
    /// What calls or creates.
    pub kind: CallKind,
    /// 1 for the transaction's own frame.
    pub depth: usize,
    /// The account whose code calls; the sender of a transaction.
    pub from: H160,
    /// The account that is called; of a creation, the new account.
    pub to: H160,
    /// The account that is worked on: `to`, but `from` for CALLCODE and DELEGATECALL.
    pub address: H160,
    /// Whose code runs: `to`, or the target of its delegation (EIP-7702).
    pub code_address: H160,
    /// What CALLER shows.
    pub caller: H160,
    /// What CALLVALUE shows; a DELEGATECALL moves none of it.
    pub value: U256,
    /// Gas of the frame, with the stipend.
    pub gas: u64,
    /// The input; the initcode of a creation.
    pub input: &'a [u8],
    /// Whether the state must not change (EIP-214).
    pub is_static: bool,
    /// Whether a precompile runs.
    pub precompile: bool,
}

/// The end of a frame, or of a call that needed none.
#[derive(Clone, Debug)]
pub struct Exit<'a> {
    /// 1 for the transaction's own frame.
    pub depth: usize,
    /// How it ended, [`Halt::CallRefused`] for one that never started.
    pub status: Status,
    /// Gas that goes back to the caller.
    pub gas: u64,
    /// Gas that it used.
    pub gas_used: u64,
    /// Return or revert data; the deployed code of a successful creation.
    pub output: &'a [u8],
    /// The account that a successful creation created.
    pub created: Option<H160>,
}

/// Watches an execution. All methods do nothing unless they are written.
///
/// Frames nest: each `enter` has its `exit`, and what lies between happened inside. Each `step` has its `step_end` right
/// after it; the frame that an instruction starts is entered after its `step_end`. Where the base state cannot answer,
/// the execution ends without any more calls. `log`, `selfdestruct` and reads tell what happened, also in frames that
/// are undone later.
pub trait Observer {
    /// A transaction is about to be validated and executed. System calls have none.
    fn transaction(&mut self, _transaction: &Transaction) {}
    /// Before each instruction.
    fn step(&mut self, _step: &Step<'_>) {}
    /// After each instruction.
    fn step_end(&mut self, _end: &StepEnd) {}
    /// A call or creation starts, the transaction's own included.
    fn enter(&mut self, _enter: &Enter<'_>) {}
    /// A call or creation ended.
    fn exit(&mut self, _exit: &Exit<'_>) {}
    /// A log was written.
    fn log(&mut self, _log: &Log) {}
    /// SELFDESTRUCT: the contract, who gets its balance, and the balance.
    fn selfdestruct(&mut self, _contract: H160, _beneficiary: H160, _balance: U256) {}
    /// The first look at an account in this transaction. `code` and `warm` are only final at the end.
    fn account_read(&mut self, _read: &AccountRead) {}
    /// The first look at a slot in this transaction. `warm` is only final at the end.
    fn slot_read(&mut self, _read: &SlotRead) {}
    /// The transaction or system call is over.
    fn outcome(&mut self, _outcome: &Outcome) {}
}

/// Observes nothing.
impl Observer for () {}

/// The methods of an observer that hands everything to others.
macro_rules! forward {
    ($self:ident => $each:expr) => {
        fn transaction(&mut $self, transaction: &Transaction) {
            $each.for_each(|observer| observer.transaction(transaction));
        }
        fn step(&mut $self, step: &Step<'_>) {
            $each.for_each(|observer| observer.step(step));
        }
        fn step_end(&mut $self, end: &StepEnd) {
            $each.for_each(|observer| observer.step_end(end));
        }
        fn enter(&mut $self, enter: &Enter<'_>) {
            $each.for_each(|observer| observer.enter(enter));
        }
        fn exit(&mut $self, exit: &Exit<'_>) {
            $each.for_each(|observer| observer.exit(exit));
        }
        fn log(&mut $self, log: &Log) {
            $each.for_each(|observer| observer.log(log));
        }
        fn selfdestruct(&mut $self, contract: H160, beneficiary: H160, balance: U256) {
            $each.for_each(|observer| observer.selfdestruct(contract, beneficiary, balance));
        }
        fn account_read(&mut $self, read: &AccountRead) {
            $each.for_each(|observer| observer.account_read(read));
        }
        fn slot_read(&mut $self, read: &SlotRead) {
            $each.for_each(|observer| observer.slot_read(read));
        }
        fn outcome(&mut $self, outcome: &Outcome) {
            $each.for_each(|observer| observer.outcome(outcome));
        }
    };
}

impl<O: Observer + ?Sized> Observer for &mut O {
    forward!(self => std::iter::once(&mut **self));
}

impl<O: Observer + ?Sized> Observer for Box<O> {
    forward!(self => std::iter::once(&mut **self));
}

/// Only if there is one.
impl<O: Observer> Observer for Option<O> {
    forward!(self => self.iter_mut());
}

/// All, in order.
impl<O: Observer> Observer for Vec<O> {
    forward!(self => self.iter_mut());
}

/// Both, in order. Tuples nest.
impl<A: Observer, B: Observer> Observer for (A, B) {
    forward!(self => [&mut self.0 as &mut dyn Observer, &mut self.1].into_iter());
}
