//! Where a GPU lane keeps what: word offsets that the host and the shaders share. [`crate::wgsl`] writes them as WGSL
//! constants; nobody writes an offset twice.
//!
//! All lane data is *interleaved*: word `i` of lane `l` lies at `i * lanes + l`, so that neighbouring lanes touch
//! neighbouring words. Addresses are five and words eight 32-bit limbs, the least significant first. Bytes (code, input,
//! memory) are packed four to a word, the first in the highest bits, so that an aligned MLOAD needs no byte swap.

use crate::fork::Fork;
use crate::gas::GasSchedule;
use crate::message::EXCHANGE_ADDRESS;
use crate::opcode::{BY_BYTE, Family, op};
use primitive_types::H160;

mod numbers;
mod params;

pub use numbers::*;
pub use params::Params;

/// Named word offsets of one record.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Prefix of its WGSL constants.
    pub prefix: &'static str,
    /// Name, offset and size of each field, in words.
    pub fields: &'static [(&'static str, u32, u32)],
    /// Words in all.
    pub size: u32,
}

macro_rules! layout {
    ($(#[$doc:meta])* $module:ident $prefix:literal { $($(#[$field_doc:meta])* $name:ident: $size:expr,)* }) => {
        $(#[$doc])*
        pub mod $module {
            #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
            #[repr(usize)]
            enum Place { $($name),* }
            const SIZES: &[u32] = &[$($size),*];
            const fn offset(place: usize) -> u32 {
                let (mut i, mut sum) = (0, 0);
                while i < place {
                    sum += SIZES[i];
                    i += 1;
                }
                sum
            }
            $($(#[$field_doc])* pub const $name: u32 = offset(Place::$name as usize);)*
            /// Words of the record.
            pub const SIZE: u32 = offset(SIZES.len());
            /// The record's fields.
            pub const LAYOUT: super::Layout = super::Layout {
                prefix: $prefix,
                fields: &[$((stringify!($name), $name, $size)),*],
                size: SIZE,
            };
        }
    };
}

layout! {
    /// The header of a lane. From `PC` to the end of `SP` lies what a nested call saves.
    register "R_" {
        /// One of [`super::status`].
        STATUS: 1,
        /// The opcode, or one of [`super::pseudo`], whose body is due.
        OP: 1,
        /// What the host is asked for: one of [`super::request`].
        REQUEST: 1,
        /// Account of the request; or the precompile's.
        REQUEST_ADDRESS: 5,
        /// Slot or block number of the request.
        REQUEST_KEY: 8,
        /// Not zero once the host has been told what the lane waits for, or how it ended.
        PACKED: 1,
        /// Why the lane cannot go on: one of [`super::escape`].
        ESCAPE: 1,
        /// Instructions executed.
        STEPS: 1,
        /// Frames below the running one.
        DEPTH: 1,
        /// Refund counter, two's complement.
        REFUND: 1,
        /// Accounts in the journal.
        ACCOUNTS: 1,
        /// Slots in the journal, transient ones included.
        SLOTS: 1,
        /// Entries of the undo log.
        UNDOS: 1,
        /// Words of the log area in use.
        LOG_CURSOR: 1,
        /// Logs.
        LOGS: 1,
        /// Words of the code area in use.
        CODE_CURSOR: 1,
        /// Times that SSTORE changed a slot, undone or not.
        CHANGES: 1,
        /// Bytes of log data, undone or not.
        LOG_BYTES: 1,
        /// Bytes of return data.
        RETURN_LEN: 1,
        /// How the frame ends: a status word.
        EXIT: 1,
        /// Its output's place in the frame's memory, in bytes.
        EXIT_OFFSET: 1,
        /// Its output's length in bytes.
        EXIT_LEN: 1,
        /// The environment's record, as a place in the pool.
        ENVIRONMENT: 1,
        /// The transaction's record, as a place in the pool.
        TRANSACTION: 1,
        /// The fork.
        FORK: 1,
        /// The gas schedule, as a place in the pool.
        SCHEDULE: 1,
        /// Account of the contract that is being created, or of the call's callee.
        TARGET: 1,
        /// Its address.
        TARGET_ADDRESS: 5,
        /// Gas that the call or creation is given: the low word, then the high one.
        GIVEN: 2,
        /// Value of the call or creation.
        SENT: 8,
        /// What else an opcode that is done in several kernels must remember.
        SCRATCH: 9,

        /// Where the frame is in its code.
        PC: 1,
        /// Gas that is left, but for what is parked.
        GAS: 1,
        /// Gas that is left besides, in units of 2^31: the step loop counts in 32 bits, and takes from here when it runs short.
        PARKED: 1,
        /// First stack slot of the frame.
        BASE: 1,
        /// First word of its memory in the memory area.
        MEMORY: 1,
        /// Bytes of its memory, a multiple of 32.
        MEMORY_LEN: 1,
        /// Its code: header in the codes, or [`super::LANE_CODE`] and a place in the code area.
        CODE: 1,
        /// Bytes of its code.
        CODE_LEN: 1,
        /// Its decoded code; of lane code its bytes.
        STREAM: 1,
        /// Its jump destinations, one bit a byte.
        BITMAP: 1,
        /// The account whose storage and balance it works on.
        ACCOUNT: 1,
        /// That account's address.
        ADDRESS: 5,
        /// CALLER.
        CALLER: 5,
        /// CALLVALUE.
        VALUE: 8,
        /// Where its input lies: one of [`super::source`].
        INPUT_KIND: 1,
        /// First word of what holds the input, then the byte in it.
        INPUT_BASE: 1,
        /// The byte where its input starts.
        INPUT_OFFSET: 1,
        /// Bytes of its input.
        INPUT_LEN: 1,
        /// Bits of [`super::frame_flag`].
        FLAGS: 1,
        /// Where the caller wants its output.
        OUTPUT_OFFSET: 1,
        /// How much of it.
        OUTPUT_LEN: 1,
        /// Undo log when it started.
        UNDO_MARK: 1,
        /// Log area when it started.
        LOG_MARK: 1,
        /// Logs when it started.
        LOGS_MARK: 1,
        /// Refund counter when it started.
        REFUND_MARK: 1,
        /// The first free stack slot.
        SP: 1,
    }
}

layout! {
    /// An account of a lane's journal.
    account "A_" {
        /// The address.
        ADDRESS: 5,
        /// Bits of [`super::account_flag`].
        FLAGS: 1,
        /// The nonce.
        NONCE: 2,
        /// The balance.
        BALANCE: 8,
        /// Keccak-256 of the code, as a big-endian number.
        CODE_HASH: 8,
        /// The code's header in the codes; [`super::NO_CODE`] for none, [`super::UNKNOWN_CODE`] where the host must be
        /// asked, or [`super::LANE_CODE`] and a place in the code area.
        CODE: 1,
    }
}

layout! {
    /// A slot of a lane's journal.
    slot "S_" {
        /// Hash of account, kind and key.
        TAG: 1,
        /// The account's index, with [`super::TRANSIENT`] for transient storage.
        ACCOUNT: 1,
        /// Not zero: warm.
        WARM: 1,
        /// The key.
        KEY: 8,
        /// The value now.
        VALUE: 8,
        /// The value before the transaction.
        ORIGINAL: 8,
    }
}

layout! {
    /// An entry of the undo log.
    undo "U_" {
        /// One of [`super::undo_kind`] in the low byte, the index of the account or slot above it.
        KIND: 1,
        /// The old value.
        OLD: 9,
    }
}

layout! {
    /// An environment in the pool.
    environment "E_" {
        /// The number that its state has in the tables.
        STATE: 1,
        /// Not zero where the tables hold all of its state: what they lack is empty.
        COMPLETE: 1,
        /// The fork.
        FORK: 1,
        /// The gas schedule, as a place in the pool.
        SCHEDULE: 1,
        /// Decoded instruction words by byte, as a place in the pool.
        ROWS: 1,
        /// Precompiles at addresses below 32, one bit each.
        PRECOMPILES: 1,
        /// Not zero where P256VERIFY is at 0x100.
        P256: 1,
        /// Bits of [`super::restriction`].
        RESTRICTIONS: 1,
        /// Most instructions of a transaction.
        MOST_STEPS: 1,
        /// Most words of memory of all its frames.
        MOST_MEMORY: 1,
        /// Frames below one that may not call or create.
        MOST_DEPTH: 1,
        /// Most changes of slots.
        MOST_CHANGES: 1,
        /// Most bytes of log data.
        MOST_LOG_BYTES: 1,
        /// COINBASE.
        COINBASE: 8,
        /// TIMESTAMP.
        TIMESTAMP: 8,
        /// NUMBER.
        NUMBER: 8,
        /// PREVRANDAO or DIFFICULTY.
        PREVRANDAO: 8,
        /// GASLIMIT.
        GASLIMIT: 8,
        /// CHAINID.
        CHAINID: 8,
        /// BASEFEE.
        BASEFEE: 8,
        /// BLOBBASEFEE.
        BLOBBASEFEE: 8,
        /// SLOTNUM.
        SLOTNUM: 8,
    }
}

layout! {
    /// A transaction in the pool: what a lane starts from.
    transaction "T_" {
        /// The environment's record.
        ENVIRONMENT: 1,
        /// Not zero: creates.
        CREATES: 1,
        /// Gas of the first frame: the low word, then the high one.
        GAS: 2,
        /// Refund counter at the start.
        REFUND: 1,
        /// ORIGIN.
        ORIGIN: 8,
        /// GASPRICE.
        GASPRICE: 8,
        /// The value.
        VALUE: 8,
        /// The input's place in the pool.
        INPUT: 1,
        /// Its bytes.
        INPUT_LEN: 1,
        /// Blob hashes, eight words each.
        BLOBS: 1,
        /// Their number.
        BLOB_COUNT: 1,
        /// Addresses of the access list, five words each.
        LIST_ADDRESSES: 1,
        /// Their number.
        LIST_ADDRESS_COUNT: 1,
        /// Slots of the access list, address and key, thirteen words each.
        LIST_SLOTS: 1,
        /// Their number.
        LIST_SLOT_COUNT: 1,
        /// Accounts that the journal starts with.
        SEEDS: 1,
        /// Their number. The first is the sender.
        SEED_COUNT: 1,
        /// Which of them the first frame works on.
        TARGET: 1,
        /// The code that runs first: of the callee, or the initcode.
        CODE: 1,
    }
}

layout! {
    /// An account of the state tables. A key of zero is a free place.
    base_account "B_" {
        /// The state's number plus one.
        STATE: 1,
        /// As [`super::account`], without the marks of a transaction; with [`super::account_flag::STORAGE_KNOWN`].
        ENTRY: super::account::SIZE,
    }
}

layout! {
    /// A slot of the state tables, or a block hash (address all ones, key the number).
    base_slot "D_" {
        /// The state's number plus one.
        STATE: 1,
        /// The account.
        ADDRESS: 5,
        /// The slot.
        KEY: 8,
        /// The value.
        VALUE: 8,
    }
}

layout! {
    /// The header of a code.
    code "C_" {
        /// Its bytes.
        LEN: 1,
        /// One instruction word a byte, and zeros: see [`super::instruction`].
        STREAM: 1,
        /// Its bytes, four to a word.
        BYTES: 1,
        /// Its jump destinations, one bit a byte.
        BITMAP: 1,
        /// Not zero for a delegation designator (EIP-7702).
        DELEGATES: 1,
        /// What it delegates to.
        DELEGATE: 5,
    }
}

layout! {
    /// What the host reads of each lane that waits or has ended: this header, then what its kind needs.
    report "O_" {
        /// Words of this report, the header included.
        SIZE_WORDS: 1,
        /// The lane.
        LANE: 1,
        /// The exchange's epoch.
        EPOCH: 1,
        /// The lane's status.
        STATUS: 1,
        /// The request, or the reason of an escape, or how the transaction ended (a status word).
        DETAIL: 1,
        /// Gas that is left, or that a precompile is given: the low word, then the high one.
        GAS: 2,
        /// Refund counter.
        REFUND: 1,
        /// Instructions executed.
        STEPS: 1,
        /// Accounts, [`super::account::SIZE`] words each; first of all.
        ACCOUNTS: 1,
        /// Slots, [`super::slot::SIZE`] words each.
        SLOTS: 1,
        /// Logs.
        LOGS: 1,
        /// Words of the logs.
        LOG_WORDS: 1,
        /// Bytes of the output, or of a precompile's input.
        OUTPUT_LEN: 1,
        /// Words of the code area.
        CODE_WORDS: 1,
        /// Account of the request; or the created one.
        ADDRESS: 5,
        /// Slot or block number of the request.
        KEY: 8,
    }
}

/// An account has no code.
pub const NO_CODE: u32 = 0;
/// An account's code is not on the device yet.
pub const UNKNOWN_CODE: u32 = 1;
/// Marks code in a lane's own code area.
pub const LANE_CODE: u32 = 0x8000_0000;
/// Marks transient storage in a slot's account word.
pub const TRANSIENT: u32 = 0x8000_0000;
/// The address that stands for block hashes in the tables of slots.
pub const BLOCK_HASHES: [u32; 5] = [u32::MAX; 5];
/// Instruction words of STOP after a decoded code: PUSH32 as its last byte reads and skips beyond the end.
pub const STREAM_PADDING: usize = 34;

/// All layouts.
pub const LAYOUTS: &[Layout] = &[
    register::LAYOUT,
    account::LAYOUT,
    slot::LAYOUT,
    undo::LAYOUT,
    environment::LAYOUT,
    transaction::LAYOUT,
    base_account::LAYOUT,
    base_slot::LAYOUT,
    code::LAYOUT,
    report::LAYOUT,
];

/// All named numbers.
pub const NUMBERS: &[(&str, &[(&str, u32)])] = &[
    status::NUMBERS,
    queue::NUMBERS,
    pseudo::NUMBERS,
    request::NUMBERS,
    escape::NUMBERS,
    account_flag::NUMBERS,
    frame_flag::NUMBERS,
    restriction::NUMBERS,
    undo_kind::NUMBERS,
    source::NUMBERS,
    message::NUMBERS,
    control::NUMBERS,
];

/// Single numbers.
pub const CONSTANTS: &[(&str, u32)] = &[
    ("NO_CODE", NO_CODE),
    ("UNKNOWN_CODE", UNKNOWN_CODE),
    ("LANE_CODE", LANE_CODE),
    ("TRANSIENT", TRANSIENT),
    ("DENIED", DENIED),
    ("EXCHANGE_LOW", address_limb(&EXCHANGE_ADDRESS, 0)),
    ("EXCHANGE_HIGH", address_limb(&EXCHANGE_ADDRESS, 1)),
    ("STREAM_PADDING", STREAM_PADDING as u32),
    ("FRAME_FIRST", register::PC),
    ("FRAME_SIZE", register::SIZE - register::PC),
];

/// A limb of an address, the least significant counted as 0.
const fn address_limb(address: &H160, limb: usize) -> u32 {
    let end = 20 - 4 * limb;
    u32::from_be_bytes([address.0[end - 4], address.0[end - 3], address.0[end - 2], address.0[end - 1]])
}

/// What an instruction word has above its byte where the environment's permissions deny the opcode: no fork has an undefined
/// opcode that leaves an item more than it takes.
pub const DENIED: u32 = queue::UNDEFINED << 29 | 1 << 28;

/// Words that a nested call saves.
pub const FRAME_SIZE: u32 = register::SIZE - register::PC;

/// The kernel that executes an opcode.
#[must_use]
pub const fn queue_of(byte: u8) -> u32 {
    let Some(row) = BY_BYTE[byte as usize] else { return queue::UNDEFINED };
    match row.family {
        Family::Arithmetic => match byte {
            op::ADD | op::SUB | op::MUL | op::SIGNEXTEND => queue::STEP,
            _ => queue::ARITHMETIC,
        },
        Family::Comparison | Family::Bitwise | Family::Stack => queue::STEP,
        Family::Keccak => queue::KECCAK,
        Family::Environment => match byte {
            op::BALANCE | op::EXTCODESIZE | op::EXTCODECOPY | op::EXTCODEHASH => queue::STATE,
            op::CALLDATACOPY | op::CODECOPY | op::RETURNDATACOPY => queue::COPY,
            _ => queue::STEP,
        },
        Family::Block => match byte {
            op::BLOCKHASH | op::SELFBALANCE => queue::STATE,
            _ => queue::STEP,
        },
        Family::Memory => match byte {
            op::MCOPY => queue::COPY,
            _ => queue::STEP,
        },
        Family::Storage => queue::STATE,
        Family::Control => match byte {
            op::JUMP | op::JUMPI | op::JUMPDEST | op::PC | op::GAS => queue::STEP,
            _ => queue::FRAME,
        },
        Family::Log => queue::COPY,
        Family::Call | Family::Create => queue::FRAME,
    }
}

/// The instruction word of a byte in a fork: opcode (8 bits), static gas (15), stack items that it needs (5), whether it
/// leaves one more than it takes (1), its queue (3).
#[must_use]
pub fn instruction(byte: u8, fork: Fork, schedule: &GasSchedule) -> u32 {
    let Some(row) = BY_BYTE[usize::from(byte)].filter(|row| row.since <= fork) else {
        return u32::from(byte) | queue::UNDEFINED << 29;
    };
    let (gas, grows) = (schedule.class(row.gas), u32::from(row.pushes > row.pops));
    debug_assert!(gas < 1 << 15 && row.pops < 32 && row.pushes <= row.pops + 1);
    u32::from(byte) | gas << 8 | u32::from(row.pops) << 23 | grows << 28 | queue_of(byte) << 29
}

/// Mixes one more word into a hash of the state tables.
#[must_use]
pub const fn mix(hash: u32, word: u32) -> u32 {
    let mixed = (hash ^ word).wrapping_mul(0x9e37_79b1);
    mixed ^ mixed >> 15
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gas::SCHEDULES;

    #[test]
    fn layouts_have_no_gap() {
        for layout in LAYOUTS {
            let mut next = 0;
            for &(name, offset, size) in layout.fields {
                assert_eq!(offset, next, "{}{name}", layout.prefix);
                next += size;
            }
            assert_eq!(next, layout.size);
        }
    }

    #[test]
    fn instruction_words_hold_the_table() {
        for fork in Fork::ALL {
            let schedule = &SCHEDULES[fork as usize];
            let gas = schedule.static_gas();
            for byte in 0..=255u8 {
                let word = instruction(byte, fork, schedule);
                assert_eq!(word & 0xff, u32::from(byte));
                match crate::Opcode::of(byte, fork) {
                    None => assert_eq!(word >> 29, queue::UNDEFINED),
                    Some(row) => {
                        assert_eq!(word >> 8 & 0x7fff, gas[usize::from(byte)], "{} in {fork}", row.name);
                        assert_eq!(word >> 23 & 31, u32::from(row.pops));
                        assert_eq!(word >> 29, queue_of(byte));
                    }
                }
            }
        }
    }
}
