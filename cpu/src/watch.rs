//! Where the interpreter meets an [`Observer`].

use crate::create_address::{create_address, create2_address};
use crate::crypto;
use crate::execution::{End, Ended};
use crate::frame::Frame;
use crate::interpreter;
use crate::lane::Lane;
use crate::observer::{CallKind, Enter, Exit, Observer, Step, StepEnd};
use crate::op::Trap;
use crate::op::call::CallRequest;
use crate::stack::Stack;
use isolane_spec::opcode::op;
use isolane_spec::{H160, Outcome, Status, Transaction, U256, word};

/// What the executor tells. Everything is compiled once for [`Watcher`] and once for `()`, where it is nothing.
pub(crate) trait Hook {
    /// Whether anything is told. Each frame is then executed in the checked form from its start.
    const WATCHED: bool;

    fn transaction(&mut self, _transaction: &Transaction) {}
    fn step(&mut self, _lane: &Lane, _frame: &Frame, _stack: &Stack<'_>, _opcode: u8, _pc: usize, _gas: u64) {}
    /// After an instruction; `end` where it left the loop.
    fn step_end(&mut self, _lane: &Lane, _gas: u64, _end: Option<&Result<interpreter::Exit, Trap>>) {}
    /// A call outside all frames.
    fn call(&mut self, _lane: &Lane, _request: &CallRequest, _input: &[u8]) {}
    /// A creation outside all frames.
    fn create(&mut self, _lane: &Lane, _creation: &Creation<'_>) {}
    /// The call that a frame has prepared.
    fn nested_call(&mut self, _lane: &Lane, _frame: &Frame) {}
    /// The creation that a frame has prepared.
    fn nested_create(&mut self, _lane: &Lane, _frame: &Frame) {}
    fn exit(&mut self, _lane: &Lane, _ended: &Ended, _output: &[u8]) {}
    /// Tells of reads and logs that it has not told of.
    fn catch_up(&mut self, _lane: &Lane) {}
    fn outcome(&mut self, _outcome: &Outcome) {}
}

/// A creation, for the observer.
pub(crate) struct Creation<'a> {
    pub kind: CallKind,
    pub caller: H160,
    pub address: H160,
    pub value: U256,
    pub gas: u64,
    pub init_code: &'a [u8],
}

impl Hook for () {
    const WATCHED: bool = false;
}

/// The interpreter takes its hook by value, so that `()` is not even an argument of the fast form.
impl<H: Hook> Hook for &mut H {
    const WATCHED: bool = H::WATCHED;

    fn step(&mut self, lane: &Lane, frame: &Frame, stack: &Stack<'_>, opcode: u8, pc: usize, gas: u64) {
        (**self).step(lane, frame, stack, opcode, pc, gas);
    }
    fn step_end(&mut self, lane: &Lane, gas: u64, end: Option<&Result<interpreter::Exit, Trap>>) {
        (**self).step_end(lane, gas, end);
    }
}

/// A frame that was entered.
struct Entered {
    code_address: H160,
    gas: u64,
}

/// Tells an observer.
pub(crate) struct Watcher<'o> {
    observer: &'o mut dyn Observer,
    frames: Vec<Entered>,
    /// The running instruction, and the gas before it.
    opcode: u8,
    gas: u64,
    /// What a SELFDESTRUCT has before it happens.
    selfdestruct: Option<(H160, H160, U256)>,
    /// Of what it has told.
    accounts: usize,
    slots: usize,
    logs: usize,
}

impl<'o> Watcher<'o> {
    pub fn new(observer: &'o mut dyn Observer) -> Self {
        Self {
            observer,
            frames: Vec::new(),
            opcode: op::STOP,
            gas: 0,
            selfdestruct: None,
            accounts: 0,
            slots: 0,
            logs: 0,
        }
    }

    fn entered(&mut self, lane: &Lane, enter: &Enter<'_>) {
        self.catch_up(lane);
        self.frames.push(Entered { code_address: enter.code_address, gas: enter.gas });
        self.observer.enter(enter);
    }

    fn request(&mut self, lane: &Lane, kind: CallKind, from: H160, request: &CallRequest, input: &[u8]) {
        let enter = Enter {
            kind,
            depth: self.frames.len() + 1,
            from,
            to: request.code_address,
            address: request.target_address,
            code_address: lane.journal.account(request.code_account).address,
            caller: request.caller,
            value: request.value,
            gas: request.gas,
            input,
            is_static: request.is_static,
            precompile: !request.delegated && lane.precompile_at(request.code_address).is_some(),
        };
        self.entered(lane, &enter);
    }
}

impl Hook for Watcher<'_> {
    const WATCHED: bool = true;

    fn transaction(&mut self, transaction: &Transaction) {
        self.observer.transaction(transaction);
    }

    fn step(&mut self, lane: &Lane, frame: &Frame, stack: &Stack<'_>, opcode: u8, pc: usize, gas: u64) {
        (self.opcode, self.gas) = (opcode, gas);
        let stack = stack.items();
        self.selfdestruct = match stack.last() {
            Some(beneficiary) if opcode == op::SELFDESTRUCT => {
                let balance = lane.journal.account(frame.account).info.balance;
                Some((frame.address, word::to_address(&beneficiary), balance))
            }
            _ => None,
        };
        self.observer.step(&Step {
            pc: pc as u64,
            opcode,
            gas,
            depth: self.frames.len(),
            stack,
            memory: frame.memory.bytes(),
            return_data: &frame.return_data,
            refund: lane.journal.refund,
            address: frame.address,
            code_address: self.frames.last().map_or(frame.address, |entered| entered.code_address),
            is_static: frame.is_static,
            state_gas: lane.state_gas.reservoir,
        });
    }

    fn step_end(&mut self, lane: &Lane, gas: u64, end: Option<&Result<interpreter::Exit, Trap>>) {
        let (mut given, mut halt) = (0, None);
        match end {
            None => {}
            Some(Ok(interpreter::Exit::Call)) => {
                let pays = matches!(self.opcode, op::CALL | op::CALLCODE) && !lane.call.value.is_zero();
                let stipend = if pays { u64::from(lane.schedule.call_stipend) } else { 0 };
                given = lane.call.gas - stipend;
            }
            Some(Ok(interpreter::Exit::Create)) => given = lane.creation.gas,
            Some(Ok(_)) => {}
            Some(Err(Trap::Halt(reason))) => halt = Some(*reason),
            // No outcome, and nobody to tell.
            Some(Err(Trap::State(_))) => return,
        }
        self.catch_up(lane);
        let depth = self.frames.len();
        self.observer.step_end(&StepEnd { opcode: self.opcode, depth, cost: self.gas - gas, given, halt });
        if let Some((contract, beneficiary, balance)) = self.selfdestruct.take()
            && halt.is_none()
        {
            self.observer.selfdestruct(contract, beneficiary, balance);
        }
    }

    fn create(&mut self, lane: &Lane, creation: &Creation<'_>) {
        let Creation { kind, caller, address, value, gas, init_code } = *creation;
        let enter = Enter {
            kind,
            depth: self.frames.len() + 1,
            from: caller,
            to: address,
            address,
            code_address: address,
            caller,
            value,
            gas,
            input: init_code,
            is_static: false,
            precompile: false,
        };
        self.entered(lane, &enter);
    }

    fn call(&mut self, lane: &Lane, request: &CallRequest, input: &[u8]) {
        self.request(lane, CallKind::Call, request.caller, request, input);
    }

    fn nested_call(&mut self, lane: &Lane, frame: &Frame) {
        let (offset, len) = lane.call.input;
        self.request(lane, CallKind::of(self.opcode), frame.address, &lane.call, frame.memory.slice(offset, len));
    }

    fn nested_create(&mut self, lane: &Lane, frame: &Frame) {
        let request = &lane.creation;
        let (offset, len) = request.init_code;
        let input = frame.memory.slice(offset, len);
        let address = match &request.salt {
            None => create_address(&frame.address, lane.journal.account(frame.account).info.nonce),
            Some(salt) => create2_address(&frame.address, salt, &crypto::keccak256(input)),
        };
        let (kind, caller) = (CallKind::of(self.opcode), frame.address);
        let (value, gas) = (request.value, request.gas);
        self.create(lane, &Creation { kind, caller, address, value, gas, init_code: input });
    }

    fn exit(&mut self, lane: &Lane, ended: &Ended, output: &[u8]) {
        self.catch_up(lane);
        let depth = self.frames.len();
        let given = self.frames.pop().map_or(0, |entered| entered.gas);
        self.observer.exit(&Exit {
            depth,
            status: match ended.end {
                End::Success => Status::Success,
                End::Revert => Status::Revert,
                End::Halt(halt) => Status::Halt(halt),
            },
            gas: ended.gas,
            gas_used: given.saturating_sub(ended.gas),
            output,
            created: ended.created,
        });
    }

    fn catch_up(&mut self, lane: &Lane) {
        let journal = &lane.journal;
        while let Some(read) = journal.account_read(self.accounts) {
            self.accounts += 1;
            self.observer.account_read(&read);
        }
        while let Some(read) = journal.slot_read(self.slots) {
            self.slots += 1;
            self.observer.slot_read(&read);
        }
        // A frame that was undone took its logs with it.
        self.logs = self.logs.min(journal.logs.len());
        for log in journal.logs.get(self.logs..).unwrap_or_default() {
            self.observer.log(log);
        }
        self.logs = journal.logs.len();
    }

    fn outcome(&mut self, outcome: &Outcome) {
        self.observer.outcome(outcome);
    }
}
