//! Replays single-transaction packs.

use super::Shared;
use super::expect::{first_log_difference, post_state_differences};
use super::mismatch::{Mismatch, show_bytes};
use crate::block::BlockObserver as _;
use crate::load::block_pack::memory_state;
use crate::load::envelope;
use crate::load::transaction_pack::{FORMAT, TransactionPack};
use crate::load::typed::InputError;
use crate::report::{Checks, InputReport, Kind, StateSource, Times, Verdict};
use isolane_cpu::{Available, Machine};
use isolane_spec::{
    Backend as _, Batch, BlobSchedule, BlockContext, Environment, ExecutionError, Halt, Outcome, Rules, StateView,
    Status, U256, blob_base_fee,
};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

/// The rules that a pack names, with the blob parameters of its chain.
fn rules(pack: &TransactionPack) -> Rules {
    let fork = pack.fork.0;
    let mut rules = Rules::new(fork, pack.chain_id.0);
    let name = fork.name();
    if let Some((_, own)) = pack.chain_config.blob_schedule.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)) {
        rules.blob_schedule =
            BlobSchedule { target: own.target, max: own.max, base_fee_update_fraction: own.base_fee_update_fraction };
    }
    rules
}

fn context(pack: &TransactionPack, rules: &Rules) -> BlockContext {
    let block = &pack.block;
    let fraction = rules.blob_schedule.base_fee_update_fraction;
    BlockContext {
        number: block.number.0,
        timestamp: block.timestamp.0,
        coinbase: block.miner.0,
        gas_limit: block.gas_limit.0,
        base_fee: block.base_fee_per_gas.map_or_else(U256::zero, |fee| fee.0),
        difficulty: block.difficulty.0,
        prev_randao: block.mix_hash.map_or_else(Default::default, |hash| hash.0),
        blob_base_fee: blob_base_fee(block.excess_blob_gas.map_or(0, |gas| gas.0), fraction),
        ..BlockContext::default()
    }
}

/// Executes a pack and compares.
///
/// # Errors
/// When the pack contradicts itself or cannot be executed.
pub fn replay(
    file: &str,
    mut pack: TransactionPack,
    mut times: Times,
    shared: &Shared<'_>,
) -> Result<InputReport, InputError> {
    if pack.format != FORMAT {
        return Err(InputError::at("format", format!("expected {FORMAT:?}, got {:?}", pack.format)));
    }
    let start = Instant::now();
    let prepared = envelope::prepare(&pack.transaction, pack.chain_id.0, pack.fork.0)
        .map_err(|error| InputError::at(format!("transaction.{}", error.place), error.problem))?;
    if let Some(raw) = &pack.raw_transaction
        && raw.0 != prepared.encoded
    {
        let problem =
            format!("expected the signed transaction {}, got {}", show_bytes(&prepared.encoded), show_bytes(&raw.0));
        return Err(InputError::at("rawTransaction", problem));
    }
    times.recover = start.elapsed();

    let start = Instant::now();
    let state = Arc::new(memory_state(std::mem::take(&mut pack.prestate.0), &pack.block_hashes.0, &shared.codes)?);
    let rules = rules(&pack);
    let environment =
        Environment::new(file, rules, context(&pack, &rules), Arc::<isolane_spec::MemoryState>::clone(&state));
    let available =
        Available { gas: pack.block.gas_limit.0, blob_gas: rules.blob_schedule.max * crate::block::GAS_PER_BLOB };
    let mut machine = Machine::new(environment);
    let mut trace =
        shared.options.tracing.as_ref().map(|tracing| tracing.block(file, machine.environment(), vec![prepared.hash]));
    let observer = trace.as_mut().and_then(|trace| trace.transaction(0));
    let outcome = match (observer, shared.backend) {
        (Some(observer), _) => machine.transact_observed(&prepared.transaction, available, observer),
        (None, None) => machine.transact(&prepared.transaction, available),
        (None, Some(backend)) => {
            let environment = machine.environment().clone();
            let transactions = vec![(0, prepared.transaction.clone())];
            let mut outcomes = backend.execute(&Batch { environments: vec![environment], transactions });
            outcomes.pop().unwrap_or(Err(ExecutionError::NoEnvironment(0)))
        }
    };
    drop(trace);
    let outcome = outcome.map_err(|error| InputError::at("transaction", error.to_string()))?;
    times.execute = start.elapsed();

    let start = Instant::now();
    let (checks, mismatches) = compare(&pack, &outcome, &*state, (0, prepared.hash));
    times.verify = start.elapsed();
    Ok(InputReport {
        kind: Kind::Transaction,
        chain_id: Some(pack.chain_id.0),
        number: Some(pack.block.number.0),
        hash: Some(prepared.hash),
        fork: Some(pack.fork.0),
        transactions: 1,
        gas_used: outcome.gas_used,
        steps: outcome.steps,
        state: StateSource::Partial,
        checks,
        verdict: if mismatches.is_empty() { Verdict::Match } else { Verdict::Mismatch(mismatches) },
        times,
        ..InputReport::failed(file, InputError::at("", ""))
    })
}

fn compare(
    pack: &TransactionPack,
    outcome: &Outcome,
    base: &dyn StateView,
    transaction: (usize, isolane_spec::H256),
) -> (Checks, Vec<Mismatch>) {
    let expected = &pack.expected;
    let mut checks = Checks::default();
    let mut list = Vec::new();
    let differ =
        |field: &str, expected: String, got: String| Mismatch::of_transaction(transaction, field, expected, got);
    let status_matches = (expected.status.0 == 1) == outcome.status.is_success();
    if !status_matches {
        list.push(differ("status", expected.status.0.to_string(), outcome.status.to_string()));
    }
    let gas = expected.gas_used.0;
    checks.gas_used = Some(gas == outcome.gas_used);
    if gas != outcome.gas_used {
        list.push(differ("gasUsed", gas.to_string(), outcome.gas_used.to_string()));
    }
    let mut receipts = status_matches;
    if expected.return_data.0 != outcome.output {
        receipts = false;
        list.push(differ("returnData", show_bytes(&expected.return_data.0), show_bytes(&outcome.output)));
    }
    if !same_halt(expected.halt.as_deref(), &outcome.status) {
        receipts = false;
        list.push(differ("halt", expected.halt.clone().unwrap_or_else(|| "none".into()), outcome.status.to_string()));
    }
    if let Some(mut mismatch) = first_log_difference(&expected.logs, &outcome.logs) {
        receipts = false;
        mismatch.transaction = Some(transaction);
        list.push(mismatch);
    }
    checks.receipts = Some(receipts);
    if let Some(post) = &pack.poststate {
        let differences = post_state_differences(&post.0, &outcome.diff, base, &HashSet::new());
        checks.post_state = Some(differences.is_empty());
        list.extend(differences);
    }
    (checks, list)
}

/// Whether an execution ended as its source says: `revert`, or the name of an exceptional halt (revm's `HaltReason`,
/// whose sub-reasons stand in brackets).
fn same_halt(expected: Option<&str>, status: &Status) -> bool {
    let Some(name) = expected else { return status.is_success() };
    let name = name.split('(').next().unwrap_or(name);
    match status {
        Status::Success | Status::Rejected(_) => false,
        Status::Revert => name.eq_ignore_ascii_case("revert"),
        Status::Halt(halt) => match halt {
            Halt::OutOfGas => name == "OutOfGas",
            Halt::StackUnderflow => name == "StackUnderflow",
            Halt::StackOverflow => name == "StackOverflow",
            Halt::InvalidJump => name == "InvalidJump",
            Halt::InvalidOpcode => name == "InvalidFEOpcode",
            Halt::UndefinedOpcode => matches!(name, "OpcodeNotFound" | "NotActivated"),
            Halt::StaticViolation => matches!(name, "StateChangeDuringStaticCall" | "CallNotAllowedInsideStatic"),
            Halt::ReturnDataOutOfBounds => name == "OutOfOffset",
            Halt::CreateCollision => name == "CreateCollision",
            Halt::CodeTooLarge => name == "CreateContractSizeLimit",
            Halt::CodeStartsWithEf => name == "CreateContractStartingWithEF",
            Halt::InitcodeTooLarge => name == "CreateInitCodeSizeLimit",
            Halt::PrecompileFailure => matches!(name, "PrecompileError" | "PrecompileErrorWithContext"),
            Halt::CallRefused => matches!(name, "CallTooDeep" | "OutOfFunds" | "NonceOverflow"),
            Halt::BudgetExceeded { .. } | Halt::Denied { .. } => false,
        },
    }
}
