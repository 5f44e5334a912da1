//! The named numbers that lanes and host exchange.

/// Named numbers.
macro_rules! numbers {
    ($(#[$doc:meta])* $module:ident $prefix:literal { $($(#[$number_doc:meta])* $name:ident = $value:expr,)* }) => {
        $(#[$doc])*
        pub mod $module {
            $($(#[$number_doc])* pub const $name: u32 = $value;)*
            /// Prefix, names and values.
            pub const NUMBERS: (&str, &[(&str, u32)]) = ($prefix, &[$((stringify!($name), $value)),*]);
        }
    };
}

numbers! {
    /// What a lane is doing.
    status "LANE_" {
        /// Nothing.
        FREE = 0,
        /// It stands in a queue.
        RUNNING = 1,
        /// It waits for the host.
        WAITING = 2,
        /// Its transaction has ended.
        ENDED = 3,
        /// It cannot go on here.
        ESCAPED = 4,
    }
}

numbers! {
    /// The queues, one for each kernel that executes, in the order in which a round runs them. An instruction word names
    /// its queue in its highest bits.
    queue "QUEUE_" {
        /// The step kernel.
        STEP = 0,
        /// Division, exponentiation.
        ARITHMETIC = 1,
        /// Accounts, storage, block hashes.
        STATE = 2,
        /// Copies and logs.
        COPY = 3,
        /// KECCAK256, and the hashes of creations.
        KECCAK = 4,
        /// Precompiles that run on the device.
        PRECOMPILE = 5,
        /// Calls, creations, ends of frames.
        FRAME = 6,
        /// No queue: the opcode is not defined.
        UNDEFINED = 7,
        /// Number of queues.
        COUNT = 7,
    }
}

numbers! {
    /// Steps of an opcode that takes several kernels, or of a transaction, in place of an opcode.
    pseudo "DO_" {
        /// The first frame starts.
        START = 0x100,
        /// The frame ends as the exit register says.
        EXIT = 0x101,
        /// The address of a creation is to be hashed.
        CREATE_ADDRESS = 0x102,
        /// The creation starts.
        CREATE_START = 0x103,
        /// The created code is to be hashed.
        DEPOSIT_HASH = 0x104,
        /// The created code is stored.
        DEPOSIT = 0x105,
        /// A precompile is due.
        PRECOMPILE = 0x106,
        /// A precompile is done: the return data is there.
        PRECOMPILE_DONE = 0x107,
    }
}

numbers! {
    /// What a lane asks the host for.
    request "NEED_" {
        /// An account.
        ACCOUNT = 1,
        /// A storage slot.
        SLOT = 2,
        /// The hash of a block.
        BLOCK_HASH = 3,
        /// A code, by the account that has it.
        CODE = 4,
        /// Whether an account has storage.
        HAS_STORAGE = 5,
        /// A precompile.
        PRECOMPILE = 6,
    }
}

numbers! {
    /// Why a lane must run elsewhere.
    escape "ESCAPE_" {
        /// More stack slots than its class has.
        STACK = 1,
        /// More memory.
        MEMORY = 2,
        /// More nested calls.
        DEPTH = 3,
        /// More accounts.
        ACCOUNTS = 4,
        /// More storage slots.
        SLOTS = 5,
        /// More changes.
        UNDO = 6,
        /// More words of logs.
        LOGS = 7,
        /// More created code.
        CODE = 8,
        /// More return data.
        RETURN_DATA = 9,
        /// A report longer than the mailbox.
        REPORT = 10,
        /// A fork that lanes do not run.
        FORK = 11,
        /// A place outside of the lane's memory: a defect.
        OUT_OF_LANE = 12,
        /// A limit or a rule of its environment: the reference decides.
        RESTRICTED = 13,
        /// The last lanes of a batch that go on and on.
        LONG = 14,
        /// A cost that 32 bits do not hold, beside gas that they do not hold either.
        GAS = 15,
    }
}

numbers! {
    /// Bits of an account's flags.
    account_flag "FLAG_" {
        /// In the state.
        EXISTS = 1,
        /// Accessed in this transaction (EIP-2929).
        WARM = 2,
        /// Touched (EIP-161).
        TOUCHED = 4,
        /// Created in this transaction.
        CREATED = 8,
        /// Marked for removal.
        DESTROYED = 16,
        /// `HAS_STORAGE` is known.
        STORAGE_KNOWN = 32,
        /// Its base storage is not empty (EIP-7610).
        HAS_STORAGE = 64,
    }
}

numbers! {
    /// Bits of a frame's flags.
    frame_flag "FRAME_" {
        /// Inside a static call.
        STATIC = 1,
        /// Its output becomes code.
        CREATES = 2,
    }
}

numbers! {
    /// What a lane watches for in a restricted environment.
    restriction "RESTRICT_" {
        /// Anything at all.
        ANY = 1,
        /// Value that is sent.
        VALUE = 2,
        /// Calls of accounts.
        CALLS = 4,
        /// Calls of precompiles.
        PRECOMPILES = 8,
        /// Calls through a delegation (EIP-7702).
        DELEGATIONS = 16,
        /// Calls of the exchange.
        EXCHANGE = 32,
    }
}

numbers! {
    /// Kinds of undo entries.
    undo_kind "UNDO_" {
        /// A balance.
        BALANCE = 1,
        /// A nonce.
        NONCE = 2,
        /// A code and its hash.
        CODE = 3,
        /// An account's flags.
        FLAGS = 4,
        /// A slot's value.
        SLOT = 5,
        /// A slot's warmth.
        SLOT_WARM = 6,
    }
}

numbers! {
    /// Where bytes lie.
    source "SOURCE_" {
        /// In the pool.
        POOL = 0,
        /// In the codes.
        CODES = 1,
        /// In the lane.
        LANE = 2,
    }
}

numbers! {
    /// What a message to a lane says, in its first word.
    message "MAIL_" {
        /// Start this transaction: its record follows.
        START = 1,
        /// What was missing is in the tables now.
        RETRY = 2,
        /// A precompile succeeded: gas that is left (two words), output length, output.
        OUTPUT = 3,
        /// A precompile failed: the status word.
        FAILURE = 4,
        /// Forget the transaction.
        FREE = 5,
    }
}

numbers! {
    /// Words of the control buffer. Each queue has two counters: of this round and of the next.
    control "CONTROL_" {
        /// Which side of the counters and queues is this round's.
        SIDE = 16,
        /// Words of the outbox in use.
        OUTBOX = 17,
        /// Reports in the outbox.
        REPORTS = 18,
        /// Lanes that the step kernel ran in the last round.
        ACTIVE = 19,
        /// Where the queues start: counters and `lanes` words each.
        QUEUES = 32,
    }
}
