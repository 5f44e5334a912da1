//! The tables: names, types and order of their columns, and what they mean. `docs/tables.md` is written from this file.

use super::column::{Cell, Cells, Column, Row};
use isolane_spec::{Bytes, H160, H256, U256};

macro_rules! tables {
    ($($(#[doc = $doc:literal])* $table:ident($row:ident) $name:literal {
        $($(#[doc = $field_doc:literal])* $field:ident: $type:ty,)*
    })*) => {
        /// A table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Table {
            $($(#[doc = $doc])* $table,)*
        }

        impl Table {
            /// All tables.
            pub const ALL: &'static [Self] = &[$(Self::$table),*];

            /// The name, as it stands in the names of files.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$table => $name,)* }
            }

            /// What a row of it is.
            #[must_use]
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$table => concat!($($doc),*),)* }
            }

            /// The columns, in order.
            #[must_use]
            pub const fn columns(self) -> &'static [Column] {
                match self { $(Self::$table => $row::COLUMNS,)* }
            }
        }

        $(
            $(#[doc = $doc])*
            #[derive(Clone, Debug)]
            pub struct $row {
                $($(#[doc = $field_doc])* pub $field: $type,)*
            }

            impl Row for $row {
                const TABLE: Table = Table::$table;
                const COLUMNS: &'static [Column] = &[$(Column {
                    name: stringify!($field),
                    kind: <$type as Cell>::KIND,
                    nullable: <$type as Cell>::NULLABLE,
                    doc: concat!($($field_doc),*),
                },)*];
                fn push(&self, cells: &mut [Cells]) {
                    let mut cells = cells.iter_mut();
                    $(
                        if let Some(cells) = cells.next() {
                            self.$field.push(cells);
                        }
                    )*
                }
            }
        )*
    };
}

tables! {
    /// A block.
    Blocks(BlockRow) "blocks" {
        /// Hash of the header.
        block_hash: H256,
        /// Hash of the parent's header.
        parent_hash: H256,
        /// Hash of the list of ommers, as the header has it.
        uncles_hash: H256,
        /// Who gets the fees: the header's beneficiary.
        author: H160,
        /// State root after the block.
        state_root: H256,
        /// Root of the transactions.
        transactions_root: H256,
        /// Root of the receipts.
        receipts_root: H256,
        /// Number.
        block_number: u32,
        /// Gas of all transactions.
        gas_used: u64,
        /// Most gas.
        gas_limit: u64,
        /// Extra data.
        extra_data: Bytes,
        /// Bloom filter of all logs.
        logs_bloom: Vec<u8>,
        /// Unix time in seconds.
        timestamp: u32,
        /// Difficulty; 0 from Paris on.
        difficulty: u64,
        /// Difficulty of the chain up to here, where the source tells.
        total_difficulty: Option<U256>,
        /// Bytes of the block in RLP; not known where headers of ommers are missing.
        size: Option<u64>,
        /// Mix hash; from Paris on the random value of the beacon chain.
        mix_hash: H256,
        /// Nonce of the seal.
        nonce: Vec<u8>,
        /// Base fee per gas in wei, from London on.
        base_fee_per_gas: Option<u64>,
        /// Root of the withdrawals, from Shanghai on.
        withdrawals_root: Option<H256>,
        /// EIP-155 id of the chain.
        chain_id: u64,
    }
    /// A transaction, with what its receipt tells of gas and success.
    Transactions(TransactionRow) "transactions" {
        /// Number of the block.
        block_number: u32,
        /// Index in the block.
        transaction_index: u64,
        /// Hash.
        transaction_hash: H256,
        /// Nonce of the sender.
        nonce: u64,
        /// Sender, recovered from the signature.
        from_address: H160,
        /// Callee; null where a contract is created.
        to_address: Option<H160>,
        /// Wei sent along.
        value: U256,
        /// Call data or initcode.
        input: Bytes,
        /// Gas bought.
        gas_limit: u64,
        /// Gas paid for.
        gas_used: u64,
        /// What it paid per gas in wei.
        gas_price: u64,
        /// Envelope type (EIP-2718).
        transaction_type: u32,
        /// Cap on the priority fee per gas, from type 2 on.
        max_priority_fee_per_gas: Option<u64>,
        /// Cap on the fee per gas, from type 2 on.
        max_fee_per_gas: Option<u64>,
        /// Whether it succeeded; told by the execution, also before Byzantium.
        success: bool,
        /// Bytes of the input.
        n_input_bytes: u32,
        /// Zero bytes of the input.
        n_input_zero_bytes: u32,
        /// Other bytes of the input.
        n_input_nonzero_bytes: u32,
        /// Bytes of the signed transaction (EIP-2718).
        n_rlp_bytes: u32,
        /// Hash of the block.
        block_hash: H256,
        /// EIP-155 id of the chain.
        chain_id: u64,
        /// Time of the block.
        timestamp: u32,
        /// Signature, 32 bytes.
        r: H256,
        /// Signature, 32 bytes.
        s: H256,
        /// Signature: whether y is odd.
        v: bool,
    }
    /// A receipt.
    Receipts(ReceiptRow) "receipts" {
        /// Number of the block.
        block_number: u32,
        /// Hash of the block.
        block_hash: H256,
        /// Index of the transaction in the block.
        transaction_index: u32,
        /// Hash of the transaction.
        transaction_hash: H256,
        /// Envelope type (EIP-2718).
        transaction_type: u32,
        /// Sender.
        from_address: H160,
        /// Callee; null where a contract is created.
        to_address: Option<H160>,
        /// The contract that it was to create.
        contract_address: Option<H160>,
        /// Whether it succeeded; told by the execution, also before Byzantium.
        success: bool,
        /// State root after the transaction, before Byzantium where it is known.
        state_root: Option<H256>,
        /// Gas paid for.
        gas_used: u64,
        /// Gas of the block so far.
        cumulative_gas_used: u64,
        /// What it paid per gas in wei.
        effective_gas_price: u64,
        /// Blob gas, in type 3.
        blob_gas_used: Option<u64>,
        /// What it paid per blob gas in wei, in type 3.
        blob_gas_price: Option<u64>,
        /// Bloom filter of its logs.
        logs_bloom: Vec<u8>,
        /// How many logs it has.
        n_logs: u32,
        /// EIP-155 id of the chain.
        chain_id: u64,
    }
    /// A log.
    Logs(LogRow) "logs" {
        /// Number of the block.
        block_number: u32,
        /// Hash of the block.
        block_hash: H256,
        /// Index of the transaction in the block.
        transaction_index: u32,
        /// Index in the block.
        log_index: u32,
        /// Hash of the transaction.
        transaction_hash: H256,
        /// The account that logged.
        address: H160,
        /// First topic: mostly the hash of the event's signature.
        topic0: Option<H256>,
        /// Second topic.
        topic1: Option<H256>,
        /// Third topic.
        topic2: Option<H256>,
        /// Fourth topic.
        topic3: Option<H256>,
        /// Data.
        data: Bytes,
        /// Bytes of the data.
        n_data_bytes: u32,
        /// EIP-155 id of the chain.
        chain_id: u64,
    }
    /// A call, creation, SELFDESTRUCT or reward, as `trace_block` lists them: each frame before those in it, without calls of precompiles below the first frame.
    Traces(TraceRow) "traces" {
        /// Caller or creator; of a SELFDESTRUCT the contract, of a reward who gets it.
        action_from: H160,
        /// Callee; of a SELFDESTRUCT who gets the balance; null for creations and rewards.
        action_to: Option<H160>,
        /// Wei, in decimal digits; of a delegate call what its caller got.
        action_value: String,
        /// Gas of the frame; of the first, what the intrinsic gas left.
        action_gas: Option<u32>,
        /// Input of a call.
        action_input: Option<Bytes>,
        /// `call`, `call_code`, `delegate_call` or `static_call`, for calls.
        action_call_type: Option<&'static str>,
        /// Initcode of a creation.
        action_init: Option<Bytes>,
        /// `reward` or `uncle`, for rewards.
        action_reward_type: Option<&'static str>,
        /// `call`, `create`, `suicide` or `reward`.
        action_type: &'static str,
        /// Gas used, frames in it included, before refunds; null where it failed.
        result_gas_used: Option<u32>,
        /// Return data of a call; null where it failed.
        result_output: Option<Bytes>,
        /// Deployed code of a creation.
        result_code: Option<Bytes>,
        /// The new contract of a creation.
        result_address: Option<H160>,
        /// The index at each level below the first frame, joined by `_`; empty for the first.
        trace_address: String,
        /// Frames right below it.
        subtraces: u32,
        /// Index of the transaction in the block; null for rewards.
        transaction_index: Option<u32>,
        /// Hash of the transaction; null for rewards.
        transaction_hash: Option<H256>,
        /// Number of the block.
        block_number: u32,
        /// Hash of the block.
        block_hash: H256,
        /// Why it failed.
        error: Option<String>,
        /// EIP-155 id of the chain.
        chain_id: u64,
    }
    /// Ether that moved: by a call, a creation, a SELFDESTRUCT or a reward. Fees and withdrawals are none.
    NativeTransfers(NativeTransferRow) "native_transfers" {
        /// Number of the block.
        block_number: u32,
        /// Hash of the block.
        block_hash: H256,
        /// Index of the transaction in the block; null for rewards.
        transaction_index: Option<u32>,
        /// Index in the block.
        transfer_index: u32,
        /// Hash of the transaction; null for rewards.
        transaction_hash: Option<H256>,
        /// Who gave it; the zero address for rewards.
        from_address: H160,
        /// Who got it.
        to_address: H160,
        /// In wei; never 0.
        value: U256,
        /// EIP-155 id of the chain.
        chain_id: u64,
    }
    /// A contract that came into being.
    Contracts(ContractRow) "contracts" {
        /// Number of the block.
        block_number: u32,
        /// Hash of the block.
        block_hash: H256,
        /// Index in the block.
        create_index: u32,
        /// Hash of the transaction.
        transaction_hash: Option<H256>,
        /// Its address.
        contract_address: H160,
        /// Sender of the transaction.
        deployer: H160,
        /// Who created it: the sender, or a contract.
        factory: H160,
        /// Initcode.
        init_code: Bytes,
        /// Code.
        code: Bytes,
        /// Keccak-256 of the initcode.
        init_code_hash: H256,
        /// Bytes of the initcode.
        n_init_code_bytes: u32,
        /// Bytes of the code.
        n_code_bytes: u32,
        /// Keccak-256 of the code.
        code_hash: H256,
        /// EIP-155 id of the chain.
        chain_id: u64,
    }
    /// A balance that a transaction, or the block itself, changed.
    BalanceDiffs(BalanceDiffRow) "balance_diffs" {
        /// Number of the block.
        block_number: u32,
        /// Index of the transaction in the block; null for what the block itself changed: system calls, rewards, withdrawals.
        transaction_index: Option<u32>,
        /// Hash of the transaction; null as above.
        transaction_hash: Option<H256>,
        /// The account.
        address: H160,
        /// Before, in wei.
        from_value: U256,
        /// After, in wei.
        to_value: U256,
        /// EIP-155 id of the chain.
        chain_id: u64,
    }
    /// A nonce that a transaction, or the block itself, changed.
    NonceDiffs(NonceDiffRow) "nonce_diffs" {
        /// Number of the block.
        block_number: u32,
        /// Index of the transaction in the block; null for what the block itself changed.
        transaction_index: Option<u32>,
        /// Hash of the transaction; null as above.
        transaction_hash: Option<H256>,
        /// The account.
        address: H160,
        /// Before.
        from_value: u64,
        /// After.
        to_value: u64,
        /// EIP-155 id of the chain.
        chain_id: u64,
    }
    /// A code that a transaction changed: creations, delegations (EIP-7702), destructions.
    CodeDiffs(CodeDiffRow) "code_diffs" {
        /// Number of the block.
        block_number: u32,
        /// Index of the transaction in the block; null for what the block itself changed.
        transaction_index: Option<u32>,
        /// Hash of the transaction; null as above.
        transaction_hash: Option<H256>,
        /// The account.
        address: H160,
        /// Before; null where the source has only its hash.
        from_value: Option<Bytes>,
        /// After.
        to_value: Bytes,
        /// EIP-155 id of the chain.
        chain_id: u64,
    }
    /// A storage slot that a transaction, or the block itself, changed. Slots that went with a destroyed account are not listed.
    StorageDiffs(StorageDiffRow) "storage_diffs" {
        /// Number of the block.
        block_number: u32,
        /// Index of the transaction in the block; null for what the block itself changed.
        transaction_index: Option<u32>,
        /// Hash of the transaction; null as above.
        transaction_hash: Option<H256>,
        /// The account.
        address: H160,
        /// The slot.
        slot: H256,
        /// Before.
        from_value: H256,
        /// After.
        to_value: H256,
        /// EIP-155 id of the chain.
        chain_id: u64,
    }
    /// What an opcode took in a block, in its transactions.
    GasByOpcode(GasByOpcodeRow) "gas_by_opcode" {
        /// Number of the block.
        block_number: u32,
        /// Its byte.
        opcode: u32,
        /// Its name; the byte in hexadecimal where the fork has none.
        opcode_name: String,
        /// How often it ran.
        n_calls: u64,
        /// Gas that it took itself, without that of the frames that it started and before refunds.
        gas: u64,
        /// EIP-155 id of the chain.
        chain_id: u64,
    }
    /// What a contract took in a block, in its transactions.
    GasByContract(GasByContractRow) "gas_by_contract" {
        /// Number of the block.
        block_number: u32,
        /// Whose code ran: a contract, a precompile, or an account without code that was called.
        contract_address: H160,
        /// How many frames ran it.
        n_calls: u64,
        /// Gas that they took themselves, without that of the frames in them and before refunds.
        gas: u64,
        /// EIP-155 id of the chain.
        chain_id: u64,
    }
}
