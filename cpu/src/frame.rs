//! Call frames.

use crate::journal::{AccountIndex, Checkpoint};
use crate::memory::Memory;
use crate::program::Program;
use crate::state_gas::FrameStateGas;
use isolane_spec::{H160, U256};

/// Where a frame's input lies.
#[derive(Debug, Default)]
pub(crate) enum Input {
    /// Nowhere.
    #[default]
    None,
    /// Its own: that of the transaction, in a buffer that the next one uses again.
    Owned(Vec<u8>),
    /// In the memory of the frame below.
    Caller { offset: usize, len: usize },
}

/// What happens when a frame ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// Its output goes to the caller's memory, at most `len` bytes at `offset`.
    Call { offset: usize, len: usize },
    /// Its output becomes the code of the account.
    #[default]
    Create,
}

/// Where a frame's code lies.
#[derive(Debug)]
pub(crate) enum Code {
    /// In the machine's cache.
    Cached(u32),
    /// Initcode, which no other frame runs.
    Own(Box<Program>),
}

/// One call frame. Its buffers are reused from call to call.
pub(crate) struct Frame {
    pub kind: FrameKind,
    pub code: Code,
    pub input: Input,
    /// The account whose storage and balance it works on.
    pub address: H160,
    pub account: AccountIndex,
    pub caller: H160,
    pub value: U256,
    pub is_static: bool,
    /// What to undo if it fails.
    pub checkpoint: Checkpoint,
    pub gas: u64,
    pub state_gas: FrameStateGas,
    /// Where it continues: a decoded instruction, or a byte when `checked`.
    pub position: usize,
    /// Whether it is executed byte by byte, each instruction checked.
    pub checked: bool,
    pub stack_len: usize,
    pub memory: Memory,
    /// What the last call returned.
    pub return_data: Vec<u8>,
}

impl Frame {
    pub fn new() -> Self {
        Self {
            kind: FrameKind::Create,
            code: Code::Cached(0),
            input: Input::None,
            address: H160::zero(),
            account: 0,
            caller: H160::zero(),
            value: U256::zero(),
            is_static: false,
            checkpoint: Checkpoint::default(),
            gas: 0,
            state_gas: FrameStateGas::default(),
            position: 0,
            checked: false,
            stack_len: 0,
            memory: Memory::default(),
            return_data: Vec::new(),
        }
    }

    /// Readies the buffers for a new call.
    pub fn clear(&mut self, memory_limit: u64) {
        self.stack_len = 0;
        self.checked = false;
        self.state_gas = FrameStateGas::default();
        self.memory.clear(memory_limit);
        self.return_data.clear();
    }
}
