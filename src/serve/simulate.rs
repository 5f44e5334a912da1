//! `eth_simulateV1`: blocks on top of a block, with calls in them.

use super::blocks::{Blocks, Pinned};
use super::calls::{self, GAS_CAP, Sent, block_overrides, failure, rejection};
use super::jsonrpc::{Failure, INVALID_PARAMS, REVERTED};
use super::params::{CallArgs, SimulateArgs, SimulatedBlockArgs};
use super::sequence::{Sequence, Stop};
use super::transfers::Transfers;
use crate::block::{
    PostTransaction, Receipt, block_context, expected_base_fee, expected_excess_blob_gas, receipts_root,
};
use crate::convert::{from_b256, to_address, to_b256};
use crate::executor::{BlockOverrides, Call};
use crate::load::transaction::{Signature, SignedTransaction};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bloom as Filter, BloomInput};
use isolane_cpu::Observer;
use isolane_spec::{Fork, H256, InvalidTransaction, Log, Outcome, Status, Transaction, U256, Validation};
use serde_json::{Map, Value, json};

/// The most blocks of a simulation, those between the ones that are named included.
const MOST_BLOCKS: u64 = 256;
/// Seconds between blocks that say nothing about it.
const INTERVAL: u64 = 12;

/// Errors that `eth_simulateV1` has codes for.
mod code {
    pub const NONCE_TOO_HIGH: i64 = -38011;
    pub const NONCE_TOO_LOW: i64 = -38010;
    pub const INTRINSIC_GAS: i64 = -38013;
    pub const INSUFFICIENT_FUNDS: i64 = -38014;
    pub const BLOCK_GAS_LIMIT: i64 = -38015;
    pub const BLOCK_NUMBER: i64 = -38020;
    pub const BLOCK_TIME: i64 = -38021;
    pub const SENDER_NOT_EOA: i64 = -38024;
    pub const INITCODE_SIZE: i64 = -38025;
    pub const TOO_MANY: i64 = -38026;
    pub const FEE_CAP: i64 = -32005;
    pub const VM: i64 = -32015;
}

/// A call that was executed.
struct Done {
    signed: SignedTransaction,
    outcome: Outcome,
    logs: Vec<Log>,
}

/// Simulates blocks; the answer as JSON.
///
/// # Errors
/// When the blocks are in no order, or a transaction is none that a block could hold.
pub fn simulate(
    blocks: &Blocks,
    base: &Pinned,
    sequence: &mut Sequence<'_>,
    args: &SimulateArgs,
) -> Result<Value, Stop> {
    if args.block_state_calls.is_empty() {
        return Err(Stop::Failed(Failure::params("empty input")));
    }
    let list = in_order(base, &args.block_state_calls)?;
    let mut parent = base.header.clone();
    let mut parent_hash = base.hash;
    let mut gas_left = GAS_CAP.min(sequence.gas_cap());
    let mut results = Vec::with_capacity(list.len());
    for block in &list {
        let simulation = Simulation { args, chain_id: blocks.chain_id(), block };
        let mut header = simulation.header(blocks, sequence, &parent, parent_hash)?;
        simulation.enter(blocks, sequence, &header)?;
        let done = simulation.execute(sequence, &mut header, &mut gas_left)?;
        let (hash, result) = simulation.result(&mut header, done);
        let known = BlockOverrides { block_hashes: vec![(header.number, hash)], ..BlockOverrides::default() };
        let next = sequence.snapshot().with_block_overrides(&known);
        sequence.set_snapshot(next);
        results.push(result);
        (parent, parent_hash) = (header, hash);
    }
    Ok(Value::Array(results))
}

/// The blocks with those between them, each with its number and time.
fn in_order(base: &Pinned, named: &[SimulatedBlockArgs]) -> Result<Vec<SimulatedBlockArgs>, Failure> {
    let (mut number, mut time) = (base.header.number, base.header.timestamp);
    let mut list = Vec::with_capacity(named.len());
    for block in named {
        let overrides = block.block_overrides.clone().unwrap_or_default();
        if overrides.withdrawals.as_ref().is_some_and(|list| !list.is_empty()) {
            return Err(Failure::params("withdrawals of simulated blocks are not supported: leave them out"));
        }
        let wanted = overrides.number.map_or(number.saturating_add(1), |number| number.0);
        if wanted <= number {
            return Err(Failure::new(
                code::BLOCK_NUMBER,
                format!("block numbers must be in order: {wanted} <= {number}"),
            ));
        }
        if wanted - base.header.number > MOST_BLOCKS {
            return Err(Failure::new(code::TOO_MANY, format!("too many blocks: at most {MOST_BLOCKS}")));
        }
        while number + 1 < wanted {
            (number, time) = (number + 1, time.saturating_add(INTERVAL));
            list.push(at(SimulatedBlockArgs::default(), number, time));
        }
        let wanted_time = overrides.time.map_or(time.saturating_add(INTERVAL), |time| time.0);
        if wanted_time <= time {
            let text = format!("block timestamps must be in order: {wanted_time} <= {time}");
            return Err(Failure::new(code::BLOCK_TIME, text));
        }
        (number, time) = (wanted, wanted_time);
        list.push(at(block.clone(), number, time));
    }
    Ok(list)
}

fn at(mut block: SimulatedBlockArgs, number: u64, time: u64) -> SimulatedBlockArgs {
    let overrides = block.block_overrides.get_or_insert_default();
    overrides.number = Some(crate::load::typed::Hex(number));
    overrides.time = Some(crate::load::typed::Hex(time));
    block
}

/// One block of a simulation.
struct Simulation<'a> {
    args: &'a SimulateArgs,
    chain_id: u64,
    block: &'a SimulatedBlockArgs,
}

impl Simulation<'_> {
    /// The header, without what the execution decides.
    fn header(
        &self,
        blocks: &Blocks,
        sequence: &Sequence<'_>,
        parent: &Header,
        parent_hash: H256,
    ) -> Result<Header, Failure> {
        let overrides = block_overrides(self.block.block_overrides.as_ref().unwrap_or(&Default::default()));
        let fork = sequence.snapshot().rules().fork;
        let narrow =
            |fee: U256| u64::try_from(fee).map_err(|_| Failure::params("baseFeePerGas: expected less than 2^64"));
        let base_fee = match overrides.base_fee {
            Some(fee) => Some(narrow(fee)?),
            None if fork < Fork::London => None,
            None if self.args.validation => Some(u64::try_from(expected_base_fee(parent)).unwrap_or(u64::MAX)),
            None => Some(0),
        };
        let since = |from: Fork, value: B256| (fork >= from).then_some(value);
        let empty_root = alloy_trie::EMPTY_ROOT_HASH;
        Ok(Header {
            parent_hash: to_b256(parent_hash),
            ommers_hash: alloy_consensus::EMPTY_OMMER_ROOT_HASH,
            beneficiary: overrides.coinbase.map_or(parent.beneficiary, to_address),
            // Only a node that has the whole state could tell.
            state_root: B256::ZERO,
            transactions_root: empty_root,
            receipts_root: empty_root,
            difficulty: overrides.difficulty.map_or(parent.difficulty, crate::convert::to_word),
            number: overrides.number.unwrap_or_default(),
            gas_limit: overrides.gas_limit.unwrap_or(parent.gas_limit),
            timestamp: overrides.time.unwrap_or_default(),
            mix_hash: overrides.prev_randao.map_or(B256::ZERO, to_b256),
            base_fee_per_gas: base_fee,
            withdrawals_root: since(Fork::Shanghai, empty_root),
            blob_gas_used: (fork >= Fork::Cancun).then_some(0),
            excess_blob_gas: (fork >= Fork::Cancun).then(|| expected_excess_blob_gas(parent, &blocks.rules(parent))),
            parent_beacon_block_root: since(Fork::Cancun, B256::ZERO),
            requests_hash: since(Fork::Prague, alloy_eips::eip7685::EMPTY_REQUESTS_HASH),
            ..Header::default()
        })
    }

    /// Makes the block the one that calls see, in its state.
    fn enter(&self, blocks: &Blocks, sequence: &mut Sequence<'_>, header: &Header) -> Result<(), Failure> {
        let context = block_context(header, &blocks.rules(header));
        let given = self.block.block_overrides.as_ref().map(block_overrides).unwrap_or_default();
        let overrides = BlockOverrides {
            number: Some(context.number),
            time: Some(context.timestamp),
            gas_limit: Some(context.gas_limit),
            coinbase: Some(context.coinbase),
            difficulty: Some(context.difficulty),
            prev_randao: Some(context.prev_randao),
            base_fee: Some(given.base_fee.unwrap_or(context.base_fee)),
            blob_base_fee: Some(given.blob_base_fee.unwrap_or(context.blob_base_fee)),
            block_hashes: given.block_hashes,
        };
        let snapshot = sequence.snapshot().with_block_overrides(&overrides);
        sequence.set_snapshot(calls::overridden(snapshot, self.block.state_overrides.clone(), None)?);
        Ok(())
    }

    fn execute(&self, sequence: &mut Sequence<'_>, header: &mut Header, gas_left: &mut u64) -> Result<Vec<Done>, Stop> {
        let mut list = Vec::with_capacity(self.block.calls.len());
        for args in &self.block.calls {
            let call = self.call(sequence, args, header, *gas_left)?;
            let transaction = self.transaction(sequence, &call)?;
            let mut transfers = self.args.trace_transfers.then(Transfers::default);
            let observer = transfers.as_mut().map(|transfers| transfers as &mut dyn Observer);
            let outcome = sequence.go(&call, observer)?;
            if let Status::Rejected(reason) = &outcome.status {
                return Err(Stop::Failed(invalid(reason, &call)));
            }
            header.gas_used = header.gas_used.saturating_add(outcome.gas_used);
            *gas_left = gas_left.saturating_sub(outcome.gas_used);
            let logs = match transfers {
                Some(transfers) if outcome.status.is_success() => transfers.take(),
                Some(_) => Vec::new(),
                None => outcome.logs.clone(),
            };
            let signed = SignedTransaction::new(transaction, Signature::default());
            list.push(Done { signed, outcome, logs });
        }
        Ok(list)
    }

    fn call(&self, sequence: &Sequence<'_>, args: &CallArgs, header: &Header, gas_left: u64) -> Result<Call, Failure> {
        let mut call = calls::call(args.clone(), self.chain_id)?;
        let room = header.gas_limit.saturating_sub(header.gas_used);
        if let Some(gas) = call.gas
            && gas > room
        {
            let text =
                format!("block gas limit reached: {} >= {}", header.gas_used.saturating_add(gas), header.gas_limit);
            return Err(Failure::new(code::BLOCK_GAS_LIMIT, text));
        }
        call.gas = Some(call.gas.unwrap_or(room).min(gas_left));
        if self.args.validation {
            call.validation = Validation::Full;
            call.max_fee_per_gas = call.max_fee_per_gas.or(Some(U256::zero()));
            call.max_priority_fee_per_gas = call.max_priority_fee_per_gas.or(Some(U256::zero()));
        }
        if call.nonce.is_none() {
            let known = sequence.state().account(&call.from);
            let known = known.map_err(|error| Failure::server(format!("state not available: {error}")))?;
            call.nonce = Some(known.unwrap_or_default().nonce);
        }
        Ok(call)
    }

    /// The transaction that the block shows.
    fn transaction(&self, sequence: &Sequence<'_>, call: &Call) -> Result<Transaction, Failure> {
        let rules = sequence.snapshot().rules();
        let mut transaction = call.transaction(sequence.gas_cap(), rules.fork, call.nonce.unwrap_or_default());
        let plain = transaction.transaction_type == isolane_spec::TransactionType::Legacy;
        if plain && call.max_fee_per_gas.is_none() && rules.fork >= Fork::London {
            transaction.transaction_type = isolane_spec::TransactionType::DynamicFee;
        }
        transaction.chain_id = Some(self.chain_id);
        Ok(transaction)
    }

    /// The block's hash, and the block as JSON.
    fn result(&self, header: &mut Header, done: Vec<Done>) -> (H256, Value) {
        let (mut used, mut receipts, mut outcomes) = (0, Vec::new(), Vec::new());
        let mut filter = Filter::ZERO;
        for one in &done {
            used += one.outcome.gas_used;
            let bloom = filter_of(&one.logs);
            filter.accrue_bloom(&bloom);
            receipts.push(Receipt {
                transaction_type: one.signed.transaction.transaction_type,
                post: PostTransaction::Success(one.outcome.status.is_success()),
                cumulative_gas_used: used,
                bloom: crate::block::Bloom(bloom.0.0),
            });
            outcomes.push(Outcome { logs: one.logs.clone(), ..one.outcome.clone() });
        }
        let encoded: Vec<&[u8]> = done.iter().map(|one| &one.signed.encoded[..]).collect();
        header.transactions_root = to_b256(crate::trie::ordered_root(&encoded));
        header.receipts_root = to_b256(receipts_root(&receipts, &outcomes));
        header.logs_bloom = filter;
        let hash = from_b256(header.hash_slow());
        let mut block = header_json(header, hash);
        let (mut calls, mut transactions, mut logged) = (Vec::new(), Vec::new(), 0);
        for (index, one) in done.iter().enumerate() {
            calls.push(call_json(one, header, hash, index, &mut logged));
            transactions.push(if self.args.return_full_transactions {
                super::transaction_json::transaction(&one.signed, header, hash, index)
            } else {
                json!(format!("{:?}", one.signed.hash))
            });
        }
        block.insert("transactions".into(), Value::Array(transactions));
        block.insert("calls".into(), Value::Array(calls));
        (hash, Value::Object(block))
    }
}

fn filter_of(logs: &[Log]) -> Filter {
    let mut filter = Filter::ZERO;
    for log in logs {
        filter.accrue(BloomInput::Raw(&log.address.0));
        log.topics.iter().for_each(|topic| filter.accrue(BloomInput::Raw(&topic.0)));
    }
    filter
}

fn number(number: impl std::fmt::LowerHex) -> Value {
    json!(format!("{number:#x}"))
}

fn header_json(header: &Header, hash: H256) -> Map<String, Value> {
    let mut block = Map::new();
    let mut put = |name: &str, value: Value| _ = block.insert(name.to_owned(), value);
    put("hash", json!(format!("{hash:?}")));
    put("parentHash", json!(header.parent_hash.to_string()));
    put("sha3Uncles", json!(header.ommers_hash.to_string()));
    put("miner", json!(format!("{:#x}", header.beneficiary)));
    put("stateRoot", json!(header.state_root.to_string()));
    put("transactionsRoot", json!(header.transactions_root.to_string()));
    put("receiptsRoot", json!(header.receipts_root.to_string()));
    put("logsBloom", json!(header.logs_bloom.to_string()));
    put("difficulty", number(header.difficulty));
    put("number", number(header.number));
    put("gasLimit", number(header.gas_limit));
    put("gasUsed", number(header.gas_used));
    put("timestamp", number(header.timestamp));
    put("extraData", json!("0x"));
    put("mixHash", json!(header.mix_hash.to_string()));
    put("nonce", json!(header.nonce.to_string()));
    for (name, value) in [
        ("baseFeePerGas", header.base_fee_per_gas),
        ("blobGasUsed", header.blob_gas_used),
        ("excessBlobGas", header.excess_blob_gas),
    ] {
        if let Some(value) = value {
            put(name, number(value));
        }
    }
    for (name, value) in [
        ("withdrawalsRoot", header.withdrawals_root),
        ("parentBeaconBlockRoot", header.parent_beacon_block_root),
        ("requestsHash", header.requests_hash),
    ] {
        if let Some(value) = value {
            put(name, json!(value.to_string()));
        }
    }
    if header.withdrawals_root.is_some() {
        put("withdrawals", json!([]));
    }
    put("size", number(alloy_rlp::Encodable::length(header)));
    put("uncles", json!([]));
    block
}

fn call_json(one: &Done, header: &Header, hash: H256, index: usize, logged: &mut usize) -> Value {
    let mut logs = Vec::with_capacity(one.logs.len());
    for log in &one.logs {
        logs.push(json!({
            "address": format!("{:?}", log.address),
            "topics": log.topics.iter().map(|topic| format!("{topic:?}")).collect::<Vec<_>>(),
            "data": format!("0x{}", hex::encode(&log.data)),
            "blockNumber": number(header.number),
            "blockHash": format!("{hash:?}"),
            "blockTimestamp": number(header.timestamp),
            "transactionHash": format!("{:?}", one.signed.hash),
            "transactionIndex": number(index),
            "logIndex": number(*logged),
            "removed": false,
        }));
        *logged += 1;
    }
    let Outcome { status, output, gas_used, .. } = &one.outcome;
    let mut call = json!({
        "returnData": format!("0x{}", hex::encode(output)),
        "logs": logs,
        "gasUsed": number(gas_used),
        "status": if status.is_success() { "0x1" } else { "0x0" },
    });
    let sent = Sent { from: one.signed.transaction.sender, gas: one.signed.transaction.gas_limit };
    if let Some(failed) = failure(status, output, &sent) {
        let code = if *status == Status::Revert { REVERTED } else { code::VM };
        call["error"] = json!({"code": code, "message": failed.message});
        if *status == Status::Revert {
            call["error"]["data"] = json!(format!("0x{}", hex::encode(output)));
        }
    }
    call
}

/// The error of a transaction that no block could hold.
fn invalid(reason: &InvalidTransaction, call: &Call) -> Failure {
    use InvalidTransaction as Invalid;
    let code = match reason {
        Invalid::NonceTooLow { .. } => code::NONCE_TOO_LOW,
        Invalid::NonceTooHigh { .. } => code::NONCE_TOO_HIGH,
        Invalid::IntrinsicGasTooLow { .. } | Invalid::FloorGasTooLow { .. } => code::INTRINSIC_GAS,
        Invalid::InsufficientFunds { .. } => code::INSUFFICIENT_FUNDS,
        Invalid::BlockGasLimitExceeded { .. } => code::BLOCK_GAS_LIMIT,
        Invalid::SenderHasCode => code::SENDER_NOT_EOA,
        Invalid::InitcodeTooLarge { .. } => code::INITCODE_SIZE,
        Invalid::FeeCapBelowBaseFee { .. } => code::FEE_CAP,
        _ => INVALID_PARAMS,
    };
    let sent = Sent { from: call.from, gas: call.gas.unwrap_or_default() };
    Failure::new(code, format!("err: {}", rejection(reason, &sent)))
}
