//! State gas (EIP-8037): what grows the state is paid from a reservoir of its own first, and from the regular gas where
//! the reservoir is dry.
//!
//! A frame hands the whole reservoir to the frame that it starts, so that the lane has one for all of them. Before
//! Amsterdam all prices are zero, and nothing here is reached.

use crate::memory::OutOfGas;
use isolane_spec::gas::{GasSchedule, state_gas_per_byte};

/// The prices of a block, and the reservoir of the running transaction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StateGas {
    /// Price of a new account; 0 before Amsterdam.
    pub account: u64,
    /// Price of a new storage slot.
    pub slot: u64,
    /// Price of a delegation, without its account.
    pub delegation: u64,
    /// Price of a byte of deployed code.
    pub code_byte: u64,
    /// State gas that is left.
    pub reservoir: u64,
    /// Credits of frames that failed: gas that nobody gets back, and that counts as neither kind.
    pub lost: u64,
}

/// The state gas of one frame.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FrameStateGas {
    /// Charged by it and by the frames that it started and that succeeded, less what was credited.
    pub used: u64,
    /// Credited so far, in the same frames.
    credited: u64,
    /// Credits beyond what it used: the charge lies in a frame below.
    pending: u64,
}

impl StateGas {
    pub fn new(schedule: &GasSchedule, block_gas_limit: u64) -> Self {
        if schedule.state_bytes_account == 0 {
            return Self::default();
        }
        let price = |bytes: u32| u64::from(bytes).saturating_mul(state_gas_per_byte(block_gas_limit));
        Self {
            account: price(schedule.state_bytes_account),
            slot: price(schedule.state_bytes_slot),
            delegation: price(schedule.state_bytes_delegation),
            code_byte: price(schedule.state_bytes_code),
            reservoir: 0,
            lost: 0,
        }
    }

    /// Starts a transaction with a reservoir.
    pub fn begin(&mut self, reservoir: u64) {
        self.reservoir = reservoir;
        self.lost = 0;
    }

    /// Takes a cost from the reservoir, and what it lacks from the gas. Changes nothing where both do not suffice.
    pub fn charge(&mut self, frame: &mut FrameStateGas, cost: u64, gas: &mut u64) -> Result<(), OutOfGas> {
        let stored = cost.min(self.reservoir);
        crate::op::charge(gas, cost - stored)?;
        self.reservoir -= stored;
        frame.used += cost;
        Ok(())
    }

    /// Gives a cost back to the reservoir: as much as the frame used, and the rest when a frame below gets its turn.
    pub fn credit(&mut self, frame: &mut FrameStateGas, cost: u64) {
        let applied = cost.min(frame.used);
        self.reservoir += applied;
        frame.used -= applied;
        frame.credited += applied;
        frame.pending += cost - applied;
    }

    /// A nested frame succeeded: what it used counts for its caller.
    pub fn succeed(&mut self, caller: &mut FrameStateGas, callee: &FrameStateGas) {
        caller.used += callee.used;
        caller.credited += callee.credited;
        self.credit(caller, callee.pending);
    }

    /// A nested frame failed: the state did not grow, and what it used goes back to the reservoir. The specification
    /// subtracts what was credited from that, though the credits changed the sum of used and left by nothing.
    pub fn fail(&mut self, callee: &FrameStateGas) {
        let back = self.reservoir + callee.used;
        self.reservoir = back.saturating_sub(callee.credited);
        self.lost += back - self.reservoir;
    }

    /// The outermost frame failed: all of what it used goes back.
    pub fn fail_outermost(&mut self, outermost: &mut FrameStateGas) {
        self.reservoir += std::mem::take(&mut outermost.used);
    }
}
