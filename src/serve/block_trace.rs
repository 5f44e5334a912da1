//! `debug_traceBlockByNumber` and `debug_traceBlockByHash`: the transactions of a block executed again, and traced.

use super::blocks::{Blocks, Pinned, Schedule};
use super::jsonrpc::Failure;
use super::params::{BlockId, ContextArgs, TraceArgs};
use super::sequence::{Fetching, Sequence, Stop};
use super::trace::{LONGEST, Watch};
use crate::block::{BlockInput, BlockObserver, MissingPredeploy, block_context, execute_block_observed};
use crate::chain::ChainSpec;
use crate::convert::from_b256;
use crate::executor::Snapshot;
use crate::load::envelope;
use crate::load::transaction::SignedTransaction;
use alloy_eips::eip4895::Withdrawal;
use isolane_cpu::{Machine, Observer};
use isolane_spec::{Budget, Environment, StateView};
use serde_json::json;
use std::sync::Arc;

/// Goes to where the bundles of a request begin.
///
/// # Errors
/// When that is within a block.
pub fn enter(sequence: &mut Sequence<'_>, block: &Pinned, context: &ContextArgs) -> Result<(), Failure> {
    match context.transaction_index {
        None | Some(-1) => {
            sequence.set_snapshot(Snapshot::clone(&block.snapshot));
            Ok(())
        }
        Some(index) => Err(Failure::params(format!(
            "transactionIndex: expected -1 (behind the block's transactions) or nothing, got {index}: name the parent \
             block, and the transactions before that one in a bundle"
        ))),
    }
}

/// Traces the transactions of a block; the answer as JSON text.
///
/// # Errors
/// When the block is none that could be executed, or its traces are too long.
pub fn trace_block(
    blocks: &Blocks,
    block: &Pinned,
    allowance: u64,
    args: &TraceArgs,
    used: &mut u64,
) -> Result<String, Stop> {
    if block.header.number == 0 {
        return Err(Stop::Failed(Failure::server("genesis is not traceable")));
    }
    let parent = blocks.find(&BlockId::Hash(from_b256(block.header.parent_hash), false))?;
    let whole = blocks.whole(block)?;
    let rules = blocks.rules(&block.header);
    let transactions: Vec<SignedTransaction> = whole
        .transactions
        .iter()
        .map(|transaction| envelope::prepare(transaction, blocks.chain_id(), rules.fork))
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::server(format!("the node's block: {}: {}", error.place, error.problem)))?;
    let chain = match blocks.schedule() {
        Schedule::Chain(chain) => ChainSpec::clone(chain),
        Schedule::Constant(_) | Schedule::Headers => ChainSpec::constant(rules.fork, blocks.chain_id()),
    };
    let withdrawals: Option<Vec<Withdrawal>> = whole.withdrawals.as_ref().map(|list| {
        let one = |one: &crate::load::json_rpc::RpcWithdrawal| Withdrawal {
            index: one.index.0,
            validator_index: one.validator_index.0,
            address: crate::convert::to_address(one.address.0),
            amount: one.amount.0,
        };
        list.iter().map(one).collect()
    });
    let state = Arc::new(Fetching::new(Snapshot::clone(&parent.snapshot)));
    let view: Arc<dyn StateView> = Arc::clone(&state) as _;
    let environment = Environment::new("a block", rules, block_context(&block.header, &rules), view);
    let mut machine = Machine::new(environment);
    machine.set_allowance(Budget { steps: allowance, ..Budget::UNLIMITED });
    let input = BlockInput {
        withdrawals: withdrawals.as_deref(),
        // What a test node lacks of them, its transactions do without.
        missing_predeploy: MissingPredeploy::Skip,
        ..BlockInput::new(&block.header, &transactions, &chain, &rules)
    };
    let mut traces = Traces { args, fork: rules.fork, watches: Vec::with_capacity(transactions.len()) };
    let result = execute_block_observed(&mut machine, &input, None, &mut traces);
    if traces.watches.iter().any(|watch| watch.is_cut(allowance)) {
        return Err(Stop::TooLong);
    }
    let result =
        result.map_err(|error| state.failure().unwrap_or_else(|| Failure::server(format!("the block: {error}"))))?;
    *used = result.steps;
    if result.gas_used != block.header.gas_used {
        let (number, expected, got) = (block.header.number, block.header.gas_used, result.gas_used);
        tracing::warn!(number, expected, got, "a traced block used other gas than its header says");
    }
    let (mut out, mut left) = (Vec::with_capacity(transactions.len()), LONGEST);
    for (watch, signed) in traces.watches.into_iter().zip(&transactions) {
        let code =
            |hash: &_| machine.code(*hash).map_err(|error| Failure::server(format!("state not available: {error}")));
        let trace = watch.finish(args, signed.transaction.gas_limit, code)?;
        if trace.len() > left {
            return Err(Stop::Failed(Failure::limit(format!("the traces are longer than {LONGEST} bytes"))));
        }
        left -= trace.len();
        out.push(format!("{{\"txHash\":{},\"result\":{trace}}}", json!(format!("{:?}", signed.hash))));
    }
    Ok(format!("[{}]", out.join(",")))
}

/// One tracer for each transaction.
struct Traces<'a> {
    args: &'a TraceArgs,
    fork: isolane_spec::Fork,
    watches: Vec<Watch>,
}

impl BlockObserver for Traces<'_> {
    fn transaction(&mut self, _: usize) -> Option<&mut dyn Observer> {
        // The name of the tracer was checked before.
        self.watches.push(Watch::new(self.args, self.fork, LONGEST).ok()?);
        self.watches.last_mut().map(|watch| watch as _)
    }
}
