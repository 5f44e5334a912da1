//! The parameters of the kernels.

use bytemuck::{Pod, Zeroable};

/// What the kernels are told about the lanes: how many, and where each area of a lane lies, in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    /// Lanes.
    pub lanes: u32,
    /// Most instructions of a lane in one dispatch.
    pub steps: u32,
    /// Words of a lane.
    pub lane_words: u32,
    /// Stack slots of a lane.
    pub stack_slots: u32,
    /// Saved frames.
    pub frames: u32,
    /// How many fit.
    pub frames_limit: u32,
    /// Accounts of the journal.
    pub accounts: u32,
    /// How many fit.
    pub accounts_limit: u32,
    /// Slots of the journal.
    pub slots: u32,
    /// How many fit.
    pub slots_limit: u32,
    /// The undo log.
    pub undos: u32,
    /// How many entries fit.
    pub undos_limit: u32,
    /// Logs.
    pub logs: u32,
    /// Words of them.
    pub logs_limit: u32,
    /// Created code.
    pub code: u32,
    /// Words of it.
    pub code_limit: u32,
    /// Memory of all frames.
    pub memory: u32,
    /// Words of it.
    pub memory_limit: u32,
    /// Return data.
    pub return_data: u32,
    /// Words of it.
    pub return_limit: u32,
    /// Messages to the lanes, as a place in the pool: one word a lane, the place of its message or 0.
    pub mail: u32,
    /// The table of accounts, as a place in the tables.
    pub account_table: u32,
    /// Its places less one; a power of two less one.
    pub account_mask: u32,
    /// The table of slots.
    pub slot_table: u32,
    /// Its places less one.
    pub slot_mask: u32,
    /// Words of the outbox.
    pub outbox_words: u32,
    /// Stamped on reports: differs from one exchange to the next.
    pub epoch: u32,
    /// Limbs of a word, 8: a bound that compilers do not see, where a loop must not be unrolled.
    pub limbs: u32,
}
crate::lane::record!(Params {
    lanes,
    steps,
    lane_words,
    stack_slots,
    frames,
    frames_limit,
    accounts,
    accounts_limit,
    slots,
    slots_limit,
    undos,
    undos_limit,
    logs,
    logs_limit,
    code,
    code_limit,
    memory,
    memory_limit,
    return_data,
    return_limit,
    mail,
    account_table,
    account_mask,
    slot_table,
    slot_mask,
    outbox_words,
    epoch,
    limbs,
});
