//! The methods that isolane answers itself, but for `eth_call`.

use super::blocks::{Blocks, Pinned};
use super::calls::{self, Sent, call_answer, overridden};
use super::jsonrpc::Failure;
use super::params::{
    self, BlockId, BlockOverrideArgs, BundleArgs, CallArgs, ContextArgs, Nothing, Positional, SimulateArgs,
    StateOverrideArgs, TraceArgs,
};
use super::sequence::{Sequence, Stop};
use super::tenants::Tenant;
use super::{block_trace, estimate, simulate, trace};
use crate::executor::Snapshot;
use serde_json::{Value, json};

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `eth_call`.
    Call,
    /// `eth_callMany`.
    CallMany,
    /// `eth_estimateGas`.
    EstimateGas,
    /// `eth_createAccessList`.
    CreateAccessList,
    /// `eth_simulateV1`.
    SimulateV1,
    /// `debug_traceCall`.
    TraceCall,
    /// `debug_traceCallMany`.
    TraceCallMany,
    /// `debug_traceBlockByNumber`.
    TraceBlockByNumber,
    /// `debug_traceBlockByHash`.
    TraceBlockByHash,
}

impl Method {
    /// The method of that name, if isolane answers it itself.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "eth_call" => Self::Call,
            "eth_callMany" => Self::CallMany,
            "eth_estimateGas" => Self::EstimateGas,
            "eth_createAccessList" => Self::CreateAccessList,
            "eth_simulateV1" => Self::SimulateV1,
            "debug_traceCall" => Self::TraceCall,
            "debug_traceCallMany" => Self::TraceCallMany,
            "debug_traceBlockByNumber" => Self::TraceBlockByNumber,
            "debug_traceBlockByHash" => Self::TraceBlockByHash,
            _ => return None,
        })
    }
}

/// Whether a method of the node executes transactions or changes what they do, beyond a tenant's permissions and budget.
#[must_use]
pub fn executes(method: &str) -> bool {
    let starts = ["eth_", "net_", "web3_"];
    let named = ["eth_fillTransaction", "eth_bundle", "eth_multicall", "eth_simulate"];
    !starts.iter().any(|start| method.starts_with(start)) || named.iter().any(|name| method.starts_with(name))
}

/// A request that was understood.
pub enum Work {
    /// Calls in order, in bundles.
    CallMany(Vec<BundleArgs>, ContextArgs, Option<StateOverrideArgs>),
    /// How much gas a call needs.
    EstimateGas(CallArgs, BlockId, Option<StateOverrideArgs>, Option<BlockOverrideArgs>),
    /// What a call accesses.
    CreateAccessList(CallArgs, BlockId, Option<StateOverrideArgs>),
    /// Blocks of calls.
    SimulateV1(SimulateArgs, BlockId),
    /// One call, traced.
    TraceCall(CallArgs, BlockId, TraceArgs),
    /// Calls in order, in bundles, traced.
    TraceCallMany(Vec<BundleArgs>, ContextArgs, TraceArgs),
    /// The transactions of a block, traced.
    TraceBlock(BlockId, TraceArgs),
}

/// Reads the parameters of a method.
///
/// # Errors
/// What is wrong with them.
pub fn prepare(method: Method, params: &str) -> Result<Work, Failure> {
    let latest = |block: Option<BlockId>| block.unwrap_or(BlockId::Latest);
    Ok(match method {
        Method::Call => return Err(Failure::internal("a plain call belongs into a batch")),
        Method::CallMany => {
            let Positional(bundles, context, state, _): Positional<
                Vec<BundleArgs>,
                ContextArgs,
                StateOverrideArgs,
                u64,
            > = params::read(params)?;
            Work::CallMany(bundles, context.unwrap_or_default(), state)
        }
        Method::EstimateGas => {
            let Positional(args, block, state, overrides): Positional<_, _, _, _> = params::read(params)?;
            Work::EstimateGas(args, latest(block), state, overrides)
        }
        Method::CreateAccessList => {
            let Positional(args, block, state, _): Positional<_, _, _, Nothing> = params::read(params)?;
            Work::CreateAccessList(args, latest(block), state)
        }
        Method::SimulateV1 => {
            let Positional(args, block, ..): Positional<_, _> = params::read(params)?;
            Work::SimulateV1(args, latest(block))
        }
        Method::TraceCall => {
            let Positional(args, block, config, _): Positional<_, _, TraceArgs> = params::read(params)?;
            Work::TraceCall(args, latest(block), checked(config)?)
        }
        Method::TraceCallMany => {
            let Positional(bundles, context, config, _): Positional<_, ContextArgs, TraceArgs> = params::read(params)?;
            Work::TraceCallMany(bundles, context.unwrap_or_default(), checked(config)?)
        }
        Method::TraceBlockByNumber | Method::TraceBlockByHash => {
            let Positional(block, config, ..): Positional<BlockId, TraceArgs> = params::read(params)?;
            if method == Method::TraceBlockByHash && !matches!(block, BlockId::Hash(..)) {
                return Err(Failure::params("expected the hash of a block (0x and 64 hex digits)"));
            }
            Work::TraceBlock(block, checked(config)?)
        }
    })
}

fn checked(config: Option<TraceArgs>) -> Result<TraceArgs, Failure> {
    let config = config.unwrap_or_default();
    trace::Tracer::named(config.tracer.as_deref()).map(|_| config)
}

impl Work {
    /// Does it, within so many instructions; the answer as JSON text. `used` is how many it took.
    ///
    /// # Errors
    /// When it takes longer, or there is no answer.
    pub fn execute(&self, blocks: &Blocks, tenant: &Tenant, allowance: u64, used: &mut u64) -> Result<String, Stop> {
        let start = |block: &Pinned| Sequence::new(tenant, Snapshot::clone(&block.snapshot), allowance);
        let (answer, sequence) = match self {
            Self::CallMany(bundles, context, state) => {
                let block = blocks.find(&context.block_number.unwrap_or(BlockId::Latest))?;
                let mut sequence = start(&block);
                block_trace::enter(&mut sequence, &block, context)?;
                (call_many(blocks, &mut sequence, bundles, state.clone()), sequence)
            }
            Self::EstimateGas(args, block, state, overrides) => {
                let mut sequence = start(&*blocks.find(block)?);
                let snapshot = overridden(sequence.snapshot().clone(), state.clone(), overrides.as_ref())?;
                sequence.set_snapshot(snapshot);
                let call = calls::call(args.clone(), blocks.chain_id())?;
                let answer = estimate::gas(&mut sequence, call).map(|gas| format!("\"{gas:#x}\""));
                (answer, sequence)
            }
            Self::CreateAccessList(args, block, state) => {
                let mut sequence = start(&*blocks.find(block)?);
                let snapshot = overridden(sequence.snapshot().clone(), state.clone(), None)?;
                sequence.set_snapshot(snapshot);
                let call = calls::call(args.clone(), blocks.chain_id())?;
                (estimate::access_list(&mut sequence, call).map(|list| list.to_string()), sequence)
            }
            Self::SimulateV1(args, block) => {
                let block = blocks.find(block)?;
                let mut sequence = start(&block);
                let answer = simulate::simulate(blocks, &block, &mut sequence, args).map(|blocks| blocks.to_string());
                (answer, sequence)
            }
            Self::TraceCall(args, block, config) => {
                let mut sequence = start(&*blocks.find(block)?);
                let state = config.state_overrides.clone();
                let snapshot = overridden(sequence.snapshot().clone(), state, config.block_overrides.as_ref())?;
                sequence.set_snapshot(snapshot);
                let call = calls::call(args.clone(), blocks.chain_id())?;
                (trace::trace(&mut sequence, &call, config, trace::LONGEST), sequence)
            }
            Self::TraceCallMany(bundles, context, config) => {
                let block = blocks.find(&context.block_number.unwrap_or(BlockId::Latest))?;
                let mut sequence = start(&block);
                block_trace::enter(&mut sequence, &block, context)?;
                let snapshot = overridden(sequence.snapshot().clone(), config.state_overrides.clone(), None)?;
                sequence.set_snapshot(snapshot);
                (trace_many(blocks, &mut sequence, bundles, config), sequence)
            }
            Self::TraceBlock(block, config) => {
                let block = blocks.find(block)?;
                return block_trace::trace_block(blocks, &block, allowance, config, used);
            }
        };
        *used = sequence.used();
        answer
    }
}

/// Whether there is an error that belongs to one call, and not to the request: then it is told in the call's place.
fn told(stop: Stop) -> Result<Failure, Stop> {
    match stop {
        Stop::Failed(failure) => Ok(failure),
        Stop::TooLong => Err(Stop::TooLong),
    }
}

fn call_many(
    blocks: &Blocks,
    sequence: &mut Sequence<'_>,
    bundles: &[BundleArgs],
    state: Option<StateOverrideArgs>,
) -> Result<String, Stop> {
    if bundles.iter().all(|bundle| bundle.transactions.is_empty()) {
        return Err(Stop::Failed(Failure::params("empty bundles")));
    }
    sequence.set_snapshot(overridden(sequence.snapshot().clone(), state, None)?);
    let mut out = Vec::with_capacity(bundles.len());
    for bundle in bundles {
        let snapshot = overridden(sequence.snapshot().clone(), None, bundle.block_override.as_ref())?;
        sequence.set_snapshot(snapshot);
        let mut results = Vec::with_capacity(bundle.transactions.len());
        for args in &bundle.transactions {
            let call = calls::call(args.clone(), blocks.chain_id())?;
            let sent = Sent { from: call.from, gas: call.gas.unwrap_or_else(|| sequence.gas_cap()) };
            let outcome = sequence.go(&call, None)?;
            results.push(match call_answer(&outcome.status, &outcome.output, &sent) {
                Ok(value) => format!("{{\"value\":{value}}}"),
                Err(failure) => error_entry(&failure),
            });
        }
        out.push(format!("[{}]", results.join(",")));
    }
    Ok(format!("[{}]", out.join(",")))
}

/// A call that failed, in the place of its result.
fn error_entry(failure: &Failure) -> String {
    let mut entry = json!({"error": failure.message, "code": failure.code});
    if let Some(data) = &failure.data {
        entry["data"] = serde_json::from_str(data).unwrap_or(Value::Null);
    }
    entry.to_string()
}

fn trace_many(
    blocks: &Blocks,
    sequence: &mut Sequence<'_>,
    bundles: &[BundleArgs],
    config: &TraceArgs,
) -> Result<String, Stop> {
    if bundles.iter().all(|bundle| bundle.transactions.is_empty()) {
        return Err(Stop::Failed(Failure::params("empty bundles")));
    }
    let (mut out, mut left) = (Vec::with_capacity(bundles.len()), trace::LONGEST);
    for bundle in bundles {
        let snapshot = overridden(sequence.snapshot().clone(), None, bundle.block_override.as_ref())?;
        sequence.set_snapshot(snapshot);
        let mut traces = Vec::with_capacity(bundle.transactions.len());
        for args in &bundle.transactions {
            let call = calls::call(args.clone(), blocks.chain_id())?;
            let traced = trace::trace(sequence, &call, config, left);
            let text = match traced {
                Ok(text) => text,
                Err(stop) => {
                    let failure = told(stop)?;
                    format!("{{\"error\":{}}}", json!(failure.message))
                }
            };
            left = left.saturating_sub(text.len());
            traces.push(text);
        }
        out.push(format!("[{}]", traces.join(",")));
    }
    Ok(format!("[{}]", out.join(",")))
}
