//! Runs call frames on top of each other until the first one ends.

use crate::creation::{Deposit, deposit};
use crate::frame::{Code, Frame, FrameKind, Input};
use crate::interpreter::{self, Exit};
use crate::lane::{Lane, Programs};
use crate::op::call::CallRequest;
use crate::precompile::{Precompile, PrecompileError, Run};
use crate::stack::{Slots, slots};
use crate::watch::Hook;
use isolane_spec::{BudgetKind, Environment, Fork, H160, Halt, StateError, U256, word};
use std::ops::Range;

/// Frames may be nested this deep below the first one.
pub(crate) const DEPTH_LIMIT: usize = 1_024;
/// A buffer for input is kept up to so many bytes.
const INPUT_KEPT: usize = 1 << 16;

/// How a frame ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Success,
    Revert,
    Halt(Halt),
}

/// What the caller of a frame gets.
#[derive(Debug)]
pub(crate) struct Ended {
    pub end: End,
    pub gas: u64,
    /// State gas that the outermost frame used (EIP-8037).
    pub state_gas_used: u64,
    /// The account that was created.
    pub created: Option<H160>,
}

impl Ended {
    pub const fn new(end: End, gas: u64) -> Self {
        Self { end, gas, state_gas_used: 0, created: None }
    }

    pub const fn halt(halt: Halt) -> Self {
        Self::new(End::Halt(halt), 0)
    }

    /// The halt that no caller can catch: that of a budget.
    pub const fn ends_transaction(&self) -> Option<Halt> {
        match self.end {
            End::Halt(halt @ Halt::BudgetExceeded { .. }) => Some(halt),
            _ => None,
        }
    }
}

/// Executes messages in a lane, with buffers that outlive it. Decoded code is the caller's, so that lanes can share it.
pub(crate) struct Executor {
    pub lane: Lane,
    pub frames: Vec<Frame>,
    pub stacks: Vec<Box<Slots>>,
    /// Return data of the first frame, or of a call that ran no frame.
    pub output: Vec<u8>,
}

impl Executor {
    pub fn new(environment: Environment) -> Self {
        Self { lane: Lane::new(environment), frames: Vec::new(), stacks: Vec::new(), output: Vec::new() }
    }

    /// Calls from outside: the first frame of a transaction, or a system call.
    pub fn call<H: Hook>(
        &mut self,
        programs: &mut Programs,
        request: CallRequest,
        input: &[u8],
        hook: &mut H,
    ) -> Result<Ended, StateError> {
        match self.open_call(programs, request, input, hook)? {
            Some(ended) => Ok(ended),
            None => self.run(programs, 0, hook),
        }
    }

    /// The start of [`Self::call`]. `None`: the first frame was started, and is to be run.
    pub fn open_call<H: Hook>(
        &mut self,
        programs: &mut Programs,
        request: CallRequest,
        input: &[u8],
        hook: &mut H,
    ) -> Result<Option<Ended>, StateError> {
        self.output.clear();
        hook.call(&self.lane, &request, input);
        let mut owned = match self.frames.first_mut().map(|frame| std::mem::take(&mut frame.input)) {
            Some(Input::Owned(buffer)) if buffer.capacity() <= INPUT_KEPT => buffer,
            _ => Vec::new(),
        };
        owned.clear();
        owned.extend_from_slice(input);
        let ended = self.start_call(programs, 0, &request, Input::Owned(owned))?;
        if let Some(ended) = &ended {
            hook.exit(&self.lane, ended, &self.output);
        }
        Ok(ended)
    }

    /// Gives back the buffers of all but the first frames. None of the others may be in use.
    pub fn trim(&mut self, frames: usize) {
        self.frames.truncate(frames);
        self.stacks.truncate(frames);
    }

    /// The frame at a depth, with buffers of an earlier call at that depth.
    pub fn frame(&mut self, depth: usize) -> &mut Frame {
        if self.frames.len() <= depth {
            self.frames.push(Frame::new());
            self.stacks.push(slots());
        }
        let memory = match depth.checked_sub(1) {
            Some(caller) => self.frames[caller].memory.left(),
            None => self.lane.limits.memory,
        };
        let frame = &mut self.frames[depth];
        frame.clear(memory);
        frame
    }

    /// Runs the frame at depth `first`, which is the highest, until it ends.
    pub fn run<H: Hook>(&mut self, programs: &mut Programs, first: usize, hook: &mut H) -> Result<Ended, StateError> {
        let mut depth = first;
        loop {
            let ended = match self.run_frame(programs, depth, hook) {
                Exit::Call => {
                    hook.nested_call(&self.lane, &self.frames[depth]);
                    match self.nested_call(programs, depth)? {
                        Some(ended) => {
                            hook.exit(&self.lane, &ended, &self.frames[depth].return_data);
                            if let Some(halt) = ended.ends_transaction() {
                                return Ok(self.unwind(first..depth + 1, halt, hook));
                            }
                            self.deliver(depth, ended, FrameKind::Call { offset: 0, len: 0 });
                        }
                        None => depth += 1,
                    }
                    continue;
                }
                Exit::Create => {
                    hook.nested_create(&self.lane, &self.frames[depth]);
                    match self.nested_create(depth)? {
                        Some(ended) => {
                            hook.exit(&self.lane, &ended, &[]);
                            if let Some(halt) = ended.ends_transaction() {
                                return Ok(self.unwind(first..depth + 1, halt, hook));
                            }
                            self.deliver(depth, ended, FrameKind::Create);
                        }
                        None => depth += 1,
                    }
                    continue;
                }
                Exit::State(error) => return Err(*error),
                exit => {
                    let ended = self.end_frame(depth, &exit);
                    if H::WATCHED {
                        let memory = &self.frames[depth].memory;
                        let output = match exit {
                            Exit::Return(offset, len) | Exit::Revert(offset, len)
                                if !matches!(ended.end, End::Halt(_)) =>
                            {
                                memory.slice(offset, len)
                            }
                            _ => &[],
                        };
                        hook.exit(&self.lane, &ended, output);
                    }
                    ended
                }
            };
            if depth == first {
                return Ok(ended);
            }
            if let Some(halt) = ended.ends_transaction() {
                return Ok(self.unwind(first..depth, halt, hook));
            }
            depth -= 1;
            let kind = self.frames[depth + 1].kind;
            self.deliver(depth, ended, kind);
        }
    }

    /// Ends the frames at some depths, the first one last.
    fn unwind<H: Hook>(&mut self, depths: Range<usize>, halt: Halt, hook: &mut H) -> Ended {
        let mut ended = Ended::halt(halt);
        for depth in depths.rev() {
            ended = self.end_frame(depth, &Exit::Halt(halt));
            hook.exit(&self.lane, &ended, &[]);
        }
        ended
    }

    fn run_frame<H: Hook>(&mut self, programs: &mut Programs, depth: usize, hook: &mut H) -> Exit {
        let Self { lane, frames, stacks, .. } = self;
        let (below, rest) = frames.split_at_mut(depth);
        let frame = &mut rest[0];
        if H::WATCHED && !frame.checked {
            // From its start: a frame that is watched never runs in the fast form.
            frame.checked = true;
            frame.position = 0;
        }
        let held = std::mem::take(&mut frame.input);
        let input = match &held {
            Input::None => &[],
            Input::Owned(bytes) => &bytes[..],
            Input::Caller { offset, len } => below[depth - 1].memory.slice(*offset, *len),
        };
        let exit = match std::mem::replace(&mut frame.code, Code::Cached(0)) {
            Code::Own(mut own) => {
                let exit = interpreter::run(lane, frame, &mut stacks[depth], &mut own, input, hook);
                frame.code = Code::Own(own);
                exit
            }
            Code::Cached(program) => {
                let exit = interpreter::run(lane, frame, &mut stacks[depth], programs.get(program), input, hook);
                frame.code = Code::Cached(program);
                exit
            }
        };
        frame.input = held;
        exit
    }

    /// The halt of a frame at `depth` that calls or creates deeper than the budget goes.
    pub fn too_deep(&self, depth: usize) -> Option<Halt> {
        let exceeded = Halt::BudgetExceeded { kind: BudgetKind::CallDepth, at: self.lane.steps };
        (depth >= self.lane.limits.call_depth as usize).then_some(exceeded)
    }

    /// A call by the frame at `depth`. `None`: a frame was started. Inlined, like [`Self::end_frame`], though `run` exists
    /// once with and once without an observer.
    #[inline(always)]
    pub fn nested_call(&mut self, programs: &mut Programs, depth: usize) -> Result<Option<Ended>, StateError> {
        let lane = &self.lane;
        let request = lane.call;
        let caller = &mut self.frames[depth];
        caller.return_data.clear();
        let poor = request.needs_balance && lane.journal.account(caller.account).info.balance < request.value;
        if poor || depth == DEPTH_LIMIT {
            return Ok(Some(Ended::new(End::Halt(Halt::CallRefused), request.gas)));
        }
        if let Some(halt) = self.too_deep(depth) {
            return Ok(Some(Ended::halt(halt)));
        }
        let (offset, len) = request.input;
        self.start_call(programs, depth + 1, &request, Input::Caller { offset, len })
    }

    /// Starts a call whose frame would be at `depth`. Returns how it ended where no frame is needed.
    fn start_call(
        &mut self,
        programs: &mut Programs,
        depth: usize,
        request: &CallRequest,
        input: Input,
    ) -> Result<Option<Ended>, StateError> {
        let checkpoint = self.lane.journal.checkpoint();
        if request.transfers {
            self.lane.journal.transfer(request.payer, request.target, &request.value);
            self.lane.log_transfer(request.payer, request.target, &request.value);
        } else {
            self.lane.journal.touch(request.target);
        }
        if !request.delegated
            && let Some((precompile, priced)) = self.lane.precompile_at(request.code_address)
        {
            let ended = self.run_precompile(depth, (precompile, priced), request, &input);
            if ended.end != End::Success {
                self.lane.journal.revert(checkpoint);
            }
            return Ok(Some(ended));
        }
        if self.is_exchange(request) {
            let ended = self.run_exchange(depth, request, &input)?;
            if ended.end != End::Success {
                self.lane.journal.revert(checkpoint);
            }
            return Ok(Some(ended));
        }
        let Some(program) = programs.of_account(&mut self.lane, request.code_account)? else {
            return Ok(Some(Ended::new(End::Success, request.gas)));
        };
        let (offset, len) = request.output;
        let frame = self.frame(depth);
        frame.kind = FrameKind::Call { offset, len };
        frame.code = Code::Cached(program);
        frame.input = input;
        frame.address = request.target_address;
        frame.account = request.target;
        frame.caller = request.caller;
        frame.value = request.value;
        frame.is_static = request.is_static;
        frame.checkpoint = checkpoint;
        frame.gas = request.gas;
        interpreter::enter(&self.lane, &mut self.frames[depth], programs.get(program));
        Ok(None)
    }

    /// Runs a precompile; its output goes where the caller's return data lies.
    fn run_precompile(
        &mut self,
        depth: usize,
        (precompile, priced): (Precompile, Fork),
        request: &CallRequest,
        input: &Input,
    ) -> Ended {
        let bytes = match input {
            Input::None => &[],
            Input::Owned(bytes) => &bytes[..],
            Input::Caller { offset, len } => self.frames[depth - 1].memory.slice(*offset, *len),
        };
        match precompile.run(bytes, request.gas, priced) {
            Ok(done) => {
                if depth == 0 {
                    self.output = done.output;
                } else {
                    let caller = &mut self.frames[depth - 1];
                    let (offset, len) = request.output;
                    caller.memory.write(offset, &done.output[..len.min(done.output.len())]);
                    caller.return_data = done.output;
                }
                Ended::new(End::Success, request.gas - done.gas_used)
            }
            Err(PrecompileError::OutOfGas) => Ended::halt(Halt::OutOfGas),
            Err(PrecompileError::InvalidInput(_)) => Ended::halt(Halt::PrecompileFailure),
        }
    }

    /// Ends the frame at `depth`: its output goes to its caller, and its changes stay or are undone.
    #[inline(always)]
    pub fn end_frame(&mut self, depth: usize, exit: &Exit) -> Ended {
        let (below, rest) = self.frames.split_at_mut(depth);
        let frame = &mut rest[0];
        let (end, output) = match *exit {
            Exit::Stop => (End::Success, &[][..]),
            Exit::Return(offset, len) => (End::Success, frame.memory.slice(offset, len)),
            Exit::Revert(offset, len) => (End::Revert, frame.memory.slice(offset, len)),
            Exit::Halt(halt) => (End::Halt(halt), &[][..]),
            Exit::Call | Exit::Create | Exit::Checked | Exit::State(_) => {
                unreachable!("the frame goes on")
            }
        };
        let mut ended = Ended::new(end, if matches!(end, End::Halt(_)) { 0 } else { frame.gas });
        let target = match below.last_mut() {
            Some(caller) => &mut caller.return_data,
            None => &mut self.output,
        };
        target.clear();
        match frame.kind {
            FrameKind::Create if end == End::Success => {
                match deposit(&mut self.lane, frame.account, &mut frame.state_gas, output, frame.gas) {
                    Ok(Deposit { gas, stored }) => {
                        ended.gas = gas;
                        ended.created = Some(frame.address);
                        // Only the transaction itself shows the code that it deployed.
                        if depth == 0 && stored {
                            target.extend_from_slice(output);
                        }
                    }
                    Err(halt) => ended = Ended::halt(halt),
                }
            }
            _ => target.extend_from_slice(output),
        }
        if ended.end != End::Success {
            self.lane.journal.revert(frame.checkpoint);
        }
        if self.lane.state_gas.account > 0 {
            let state_gas = &mut self.lane.state_gas;
            match (below.last_mut(), ended.end) {
                (Some(caller), End::Success) => state_gas.succeed(&mut caller.state_gas, &frame.state_gas),
                (Some(_), _) => state_gas.fail(&frame.state_gas),
                (None, End::Success) => {}
                (None, _) => state_gas.fail_outermost(&mut frame.state_gas),
            }
            ended.state_gas_used = frame.state_gas.used;
        }
        ended
    }

    /// Hands the result of a call or creation to the frame at `depth`, whose return data is already set.
    fn deliver(&mut self, depth: usize, ended: Ended, kind: FrameKind) {
        let result = self.accept(depth, &ended, kind);
        let frame = &mut self.frames[depth];
        self.stacks[depth].set(frame.stack_len, &result);
        frame.stack_len += 1;
    }

    /// All of [`Self::deliver`] but the stack: returns what belongs there.
    #[inline(always)]
    pub fn accept(&mut self, depth: usize, ended: &Ended, kind: FrameKind) -> U256 {
        let frame = &mut self.frames[depth];
        frame.gas += ended.gas;
        match kind {
            FrameKind::Call { offset, len } => {
                let len = len.min(frame.return_data.len());
                frame.memory.write(offset, &frame.return_data[..len]);
                U256::from(u8::from(ended.end == End::Success))
            }
            FrameKind::Create => match &ended.created {
                Some(address) => word::from_address(address),
                None => {
                    // No account came into being (EIP-8037).
                    self.lane.state_gas.credit(&mut frame.state_gas, self.lane.state_gas.account);
                    U256::zero()
                }
            },
        }
    }
}
