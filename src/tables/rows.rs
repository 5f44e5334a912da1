//! An executed block as rows.

use super::collect::Collected;
use super::column::Batch;
use super::diffs::state_diffs;
use super::{
    BlockRow, ContractRow, GasByContractRow, GasByOpcodeRow, LogRow, NativeTransferRow, ReceiptRow, Selection, Table,
    TraceRow, TransactionRow,
};
use crate::block::{BlockInput, BlockResult, GAS_PER_BLOB, PostTransaction, Reward};
use crate::convert::keccak;
use crate::load::json_rpc::RpcBlock;
use crate::load::transaction::SignedTransaction;
use crate::load::typed::InputError;
use crate::replay::{contract_address, effective_gas_price};
use crate::trace::{CallFrame, FrameKind};
use alloy_eips::eip4895::Withdrawal;
use alloy_rlp::Encodable as _;
use isolane_cpu::observer::CallKind;
use isolane_spec::opcode::Opcode;
use isolane_spec::{Fork, H160, H256, StateView, TransactionType, U256, word};
use std::fmt::Display;

/// A block that was executed and verified.
pub struct Executed<'a> {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// Its fork.
    pub fork: Fork,
    /// The block as its source has it.
    pub block: &'a RpcBlock,
    /// What was executed.
    pub input: &'a BlockInput<'a>,
    /// Price of a blob's gas in wei.
    pub blob_base_fee: U256,
    /// Its transactions.
    pub signed: &'a [SignedTransaction],
    /// What they came to.
    pub result: &'a BlockResult,
    /// The state before.
    pub state: &'a dyn StateView,
}

/// A number in the type that its column has.
fn narrow<T: TryFrom<V>, V: Display + Copy>(column: &str, value: V) -> Result<T, InputError> {
    T::try_from(value).map_err(|_| {
        let bits = 8 * size_of::<T>();
        InputError::at(column, format!("expected a number of {bits} bits, got {value}: leave out that table"))
    })
}

/// The rows of a block in the tables that are asked for.
///
/// # Errors
/// When a number does not fit its column.
pub fn rows(selection: Selection, executed: &Executed<'_>, collected: &Collected) -> Result<Vec<Batch>, InputError> {
    let block_number: u32 = narrow("block_number", executed.block.number.0)?;
    let mut batches = Vec::new();
    if selection.has(Table::Blocks) {
        batches.push(Batch::of([block(executed, block_number)?]));
    }
    if selection.has(Table::Transactions) {
        batches.push(Batch::of(transactions(executed, block_number)?));
    }
    if selection.has(Table::Receipts) {
        batches.push(Batch::of(receipts(executed, block_number)?));
    }
    if selection.has(Table::Logs) {
        batches.push(Batch::of(logs(executed, block_number)));
    }
    let calls = Calls { executed, block_number, calls: &collected.calls, rewards: &executed.input.rewards() };
    if selection.has(Table::Traces) {
        batches.push(Batch::of(calls.traces()?));
    }
    if selection.has(Table::NativeTransfers) {
        batches.push(Batch::of(calls.transfers()));
    }
    if selection.has(Table::Contracts) {
        batches.push(Batch::of(calls.contracts()));
    }
    if selection.has_any(&[Table::BalanceDiffs, Table::NonceDiffs, Table::CodeDiffs, Table::StorageDiffs]) {
        batches.extend(state_diffs(selection, executed, block_number));
    }
    let profile = collected.profile.as_ref();
    if let Some(profile) = profile.filter(|_| selection.has(Table::GasByOpcode)) {
        batches.push(Batch::of(profile.opcodes().iter().map(|(byte, counted)| GasByOpcodeRow {
            block_number,
            opcode: u32::from(*byte),
            opcode_name: opcode_name(*byte, executed.fork),
            n_calls: counted.count,
            gas: counted.gas,
            chain_id: executed.chain_id,
        })));
    }
    if let Some(profile) = profile.filter(|_| selection.has(Table::GasByContract)) {
        batches.push(Batch::of(profile.contracts().iter().map(|(address, counted)| GasByContractRow {
            block_number,
            contract_address: *address,
            n_calls: counted.count,
            gas: counted.gas,
            chain_id: executed.chain_id,
        })));
    }
    Ok(batches)
}

/// The name of an opcode, or its byte.
pub(super) fn opcode_name(byte: u8, fork: Fork) -> String {
    Opcode::of(byte, fork).map_or_else(|| format!("{byte:#04x}"), |row| row.name.to_owned())
}

/// The length of a byte string or list of that many bytes in RLP, if it is not one small byte.
const fn item(payload: usize) -> usize {
    payload + alloy_rlp::length_of_length(payload)
}

/// The length of the block in RLP.
fn size(executed: &Executed<'_>) -> Option<u64> {
    let input = executed.input;
    if input.missing_ommers > 0 {
        return None;
    }
    let transaction = |signed: &SignedTransaction| match signed.transaction.transaction_type {
        TransactionType::Legacy => signed.encoded.len(),
        _ => item(signed.encoded.len()),
    };
    let transactions: usize = executed.signed.iter().map(transaction).sum();
    let ommers: usize = input.ommers.iter().map(alloy_rlp::Encodable::length).sum();
    let withdrawals = input.withdrawals.map_or(0, |list| item(list.iter().map(Withdrawal::length).sum()));
    let header = executed.block.header().length();
    u64::try_from(item(header + item(transactions) + item(ommers) + withdrawals)).ok()
}

fn block(executed: &Executed<'_>, block_number: u32) -> Result<BlockRow, InputError> {
    let block = executed.block;
    Ok(BlockRow {
        block_hash: block.hash.0,
        parent_hash: block.parent_hash.0,
        uncles_hash: block.sha3_uncles.0,
        author: block.miner.0,
        state_root: block.state_root.0,
        transactions_root: block.transactions_root.0,
        receipts_root: block.receipts_root.0,
        block_number,
        gas_used: block.gas_used.0,
        gas_limit: block.gas_limit.0,
        extra_data: block.extra_data.0.clone(),
        logs_bloom: block.logs_bloom.0.to_vec(),
        timestamp: narrow("timestamp", block.timestamp.0)?,
        difficulty: narrow("difficulty", block.difficulty.0)?,
        total_difficulty: block.total_difficulty.map(|total| total.0),
        size: size(executed),
        mix_hash: block.mix_hash.0,
        nonce: block.nonce.0.to_vec(),
        base_fee_per_gas: block.base_fee_per_gas.map(|fee| fee.0),
        withdrawals_root: block.withdrawals_root.map(|root| root.0),
        chain_id: executed.chain_id,
    })
}

fn base_fee(executed: &Executed<'_>) -> U256 {
    U256::from(executed.block.base_fee_per_gas.map_or(0, |fee| fee.0))
}

fn transactions(executed: &Executed<'_>, block_number: u32) -> Result<Vec<TransactionRow>, InputError> {
    let base_fee = base_fee(executed);
    let timestamp = narrow("timestamp", executed.block.timestamp.0)?;
    let both = executed.signed.iter().zip(&executed.result.outcomes);
    let row = |(index, (signed, outcome)): (u64, (&SignedTransaction, &isolane_spec::Outcome))| {
        let transaction = &signed.transaction;
        let input = &transaction.input;
        let zeros = input.iter().filter(|byte| **byte == 0).count();
        let capped = transaction.transaction_type >= TransactionType::DynamicFee;
        let (tip, cap) = (transaction.max_priority_fee_per_gas, transaction.max_fee_per_gas);
        Ok(TransactionRow {
            block_number,
            transaction_index: index,
            transaction_hash: signed.hash,
            nonce: transaction.nonce,
            from_address: transaction.sender,
            to_address: transaction.to,
            value: transaction.value,
            input: input.clone(),
            gas_limit: transaction.gas_limit,
            gas_used: outcome.gas_used,
            gas_price: narrow("gas_price", effective_gas_price(transaction, base_fee))?,
            transaction_type: transaction.transaction_type as u32,
            max_priority_fee_per_gas: capped.then(|| narrow("max_priority_fee_per_gas", tip)).transpose()?,
            max_fee_per_gas: capped.then(|| narrow("max_fee_per_gas", cap)).transpose()?,
            success: outcome.status.is_success(),
            n_input_bytes: narrow("n_input_bytes", input.len())?,
            n_input_zero_bytes: narrow("n_input_zero_bytes", zeros)?,
            n_input_nonzero_bytes: narrow("n_input_nonzero_bytes", input.len() - zeros)?,
            n_rlp_bytes: narrow("n_rlp_bytes", signed.encoded.len())?,
            block_hash: executed.block.hash.0,
            chain_id: executed.chain_id,
            timestamp,
            r: word::to_hash(&signed.signature.r),
            s: word::to_hash(&signed.signature.s),
            v: signed.signature.odd_y,
        })
    };
    (0u64..).zip(both).map(row).collect()
}

fn receipts(executed: &Executed<'_>, block_number: u32) -> Result<Vec<ReceiptRow>, InputError> {
    let base_fee = base_fee(executed);
    let all = executed.signed.iter().zip(&executed.result.receipts).zip(&executed.result.outcomes);
    let row = |(transaction_index, ((signed, receipt), outcome)): (
        u32,
        ((&SignedTransaction, &crate::block::Receipt), &isolane_spec::Outcome),
    )| {
        let transaction = &signed.transaction;
        let blobs = transaction.blob_versioned_hashes.len() as u64;
        let has_blobs = transaction.transaction_type == TransactionType::Blob;
        Ok(ReceiptRow {
            block_number,
            block_hash: executed.block.hash.0,
            transaction_index,
            transaction_hash: signed.hash,
            transaction_type: transaction.transaction_type as u32,
            from_address: transaction.sender,
            to_address: transaction.to,
            contract_address: contract_address(transaction),
            success: outcome.status.is_success(),
            state_root: match receipt.post {
                PostTransaction::Root(root) => root,
                PostTransaction::Success(_) => None,
            },
            gas_used: outcome.gas_used,
            cumulative_gas_used: receipt.cumulative_gas_used,
            effective_gas_price: narrow("effective_gas_price", effective_gas_price(transaction, base_fee))?,
            blob_gas_used: has_blobs.then(|| blobs.saturating_mul(GAS_PER_BLOB)),
            blob_gas_price: has_blobs.then(|| narrow("blob_gas_price", executed.blob_base_fee)).transpose()?,
            logs_bloom: receipt.bloom.0.to_vec(),
            n_logs: narrow("n_logs", outcome.logs.len())?,
            chain_id: executed.chain_id,
        })
    };
    (0u32..).zip(all).map(row).collect()
}

fn logs<'a>(executed: &'a Executed<'_>, block_number: u32) -> impl Iterator<Item = LogRow> + 'a {
    let both = (0u32..).zip(executed.signed.iter().zip(&executed.result.outcomes));
    let all = both.flat_map(|(index, (signed, outcome))| outcome.logs.iter().map(move |log| (index, signed.hash, log)));
    (0u32..).zip(all).map(move |(log_index, (transaction_index, transaction_hash, log))| LogRow {
        block_number,
        block_hash: executed.block.hash.0,
        transaction_index,
        log_index,
        transaction_hash,
        address: log.address,
        topic0: log.topics.first().copied(),
        topic1: log.topics.get(1).copied(),
        topic2: log.topics.get(2).copied(),
        topic3: log.topics.get(3).copied(),
        data: log.data.clone(),
        // Gas bounds it far below 32 bits.
        n_data_bytes: u32::try_from(log.data.len()).unwrap_or(u32::MAX),
        chain_id: executed.chain_id,
    })
}

/// The calls of a block.
struct Calls<'a> {
    executed: &'a Executed<'a>,
    block_number: u32,
    calls: &'a [Vec<CallFrame>],
    rewards: &'a [Reward],
}

/// The frames of one transaction, each with whether it was undone: it failed, or a frame around it did.
fn with_fate(frames: &[CallFrame]) -> impl Iterator<Item = (&CallFrame, bool)> {
    let mut fates: Vec<bool> = Vec::new();
    frames.iter().map(move |frame| {
        fates.truncate(frame.trace_address.len());
        let undone = fates.last().copied().unwrap_or_default() || frame.error.is_some();
        fates.push(undone);
        (frame, undone)
    })
}

impl<'a> Calls<'a> {
    fn transactions(&self) -> impl Iterator<Item = (u32, H256, &'a [CallFrame])> {
        let both = self.calls.iter().zip(self.executed.signed);
        (0u32..).zip(both).map(|(index, (frames, signed))| (index, signed.hash, &frames[..]))
    }

    fn traces(&self) -> Result<Vec<TraceRow>, InputError> {
        let mut rows: Vec<TraceRow> = Vec::new();
        for (index, hash, frames) in self.transactions() {
            // By depth: the place of the row in the list, which counts the frames below it.
            let mut open: Vec<usize> = Vec::new();
            let mut address: Vec<u32> = Vec::new();
            for frame in frames {
                let depth = frame.trace_address.len();
                if frame.precompile && depth > 0 {
                    continue;
                }
                open.truncate(depth);
                address.truncate(depth.saturating_sub(1));
                if let Some(parent) = open.last().and_then(|place| rows.get_mut::<usize>(*place)) {
                    address.push(parent.subtraces);
                    parent.subtraces += 1;
                }
                open.push(rows.len());
                rows.push(self.trace(Some((index, hash)), frame, &address)?);
            }
        }
        rows.extend(self.rewards.iter().map(|reward| self.reward(reward)));
        Ok(rows)
    }

    fn trace(
        &self,
        transaction: Option<(u32, H256)>,
        frame: &CallFrame,
        address: &[u32],
    ) -> Result<TraceRow, InputError> {
        let path: Vec<String> = address.iter().map(u32::to_string).collect();
        let mut row = TraceRow {
            action_from: frame.from,
            action_to: None,
            action_value: frame.value.to_string(),
            action_gas: None,
            action_input: None,
            action_call_type: None,
            action_init: None,
            action_reward_type: None,
            action_type: "suicide",
            result_gas_used: None,
            result_output: None,
            result_code: None,
            result_address: None,
            trace_address: path.join("_"),
            subtraces: 0,
            transaction_index: transaction.map(|(index, _)| index),
            transaction_hash: transaction.map(|(_, hash)| hash),
            block_number: self.block_number,
            block_hash: self.executed.block.hash.0,
            error: frame.error.clone(),
            chain_id: self.executed.chain_id,
        };
        let FrameKind::Call(kind) = frame.kind else {
            row.action_to = Some(frame.to);
            return Ok(row);
        };
        row.action_gas = Some(narrow("action_gas", frame.gas)?);
        let succeeded = frame.error.is_none();
        if succeeded {
            row.result_gas_used = Some(narrow("result_gas_used", frame.gas_used)?);
        }
        if kind.is_create() {
            row.action_type = "create";
            row.action_init = Some(frame.input.clone());
            if succeeded {
                row.result_code = Some(frame.output.clone());
                row.result_address = frame.created;
            }
            return Ok(row);
        }
        row.action_type = "call";
        row.action_to = Some(frame.to);
        row.action_input = Some(frame.input.clone());
        row.action_call_type = Some(match kind {
            CallKind::CallCode => "call_code",
            CallKind::DelegateCall => "delegate_call",
            CallKind::StaticCall => "static_call",
            _ => "call",
        });
        if succeeded {
            row.result_output = Some(frame.output.clone());
        }
        Ok(row)
    }

    fn reward(&self, reward: &Reward) -> TraceRow {
        TraceRow {
            action_from: reward.beneficiary,
            action_to: None,
            action_value: reward.amount.to_string(),
            action_gas: None,
            action_input: None,
            action_call_type: None,
            action_init: None,
            action_reward_type: Some(if reward.ommer { "uncle" } else { "reward" }),
            action_type: "reward",
            result_gas_used: None,
            result_output: None,
            result_code: None,
            result_address: None,
            trace_address: String::new(),
            subtraces: 0,
            transaction_index: None,
            transaction_hash: None,
            block_number: self.block_number,
            block_hash: self.executed.block.hash.0,
            error: None,
            chain_id: self.executed.chain_id,
        }
    }

    fn transfers(&self) -> Vec<NativeTransferRow> {
        let mut rows: Vec<NativeTransferRow> = Vec::new();
        let mut add = |transaction: Option<(u32, H256)>, from_address, to_address, value| {
            rows.push(NativeTransferRow {
                block_number: self.block_number,
                block_hash: self.executed.block.hash.0,
                transaction_index: transaction.map(|(index, _)| index),
                transfer_index: u32::try_from(rows.len()).unwrap_or(u32::MAX),
                transaction_hash: transaction.map(|(_, hash)| hash),
                from_address,
                to_address,
                value,
                chain_id: self.executed.chain_id,
            });
        };
        for (index, hash, frames) in self.transactions() {
            for (frame, undone) in with_fate(frames) {
                let moves = match frame.kind {
                    FrameKind::Call(kind) => matches!(kind, CallKind::Call | CallKind::Create | CallKind::Create2),
                    // In favour of itself it burns the balance, or does nothing.
                    FrameKind::SelfDestruct => frame.from != frame.to,
                };
                if moves && !undone && !frame.value.is_zero() {
                    add(Some((index, hash)), frame.from, frame.to, frame.value);
                }
            }
        }
        for reward in self.rewards {
            add(None, H160::zero(), reward.beneficiary, reward.amount);
        }
        rows
    }

    fn contracts(&self) -> Vec<ContractRow> {
        let mut rows: Vec<ContractRow> = Vec::new();
        let senders = self.executed.signed.iter().map(|signed| signed.transaction.sender);
        for ((_, hash, frames), deployer) in self.transactions().zip(senders) {
            for (frame, undone) in with_fate(frames) {
                let Some(contract_address) = frame.created.filter(|_| !undone) else { continue };
                let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                rows.push(ContractRow {
                    block_number: self.block_number,
                    block_hash: self.executed.block.hash.0,
                    create_index: u32::try_from(rows.len()).unwrap_or(u32::MAX),
                    transaction_hash: Some(hash),
                    contract_address,
                    deployer,
                    factory: frame.from,
                    init_code_hash: keccak(&frame.input),
                    n_init_code_bytes: length(&frame.input),
                    code_hash: keccak(&frame.output),
                    n_code_bytes: length(&frame.output),
                    init_code: frame.input.clone(),
                    code: frame.output.clone(),
                    chain_id: self.executed.chain_id,
                });
            }
        }
        rows
    }
}
