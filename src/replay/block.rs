//! Replays block packs.

use super::Shared;
use super::prepare::{Checked, Prepared};
use super::verify::{self, Verified};
use crate::block::{
    BlockError, BlockResult, MissingPredeploy, StateRoots, block_context, block_reward, execute_block_observed,
    execute_block_on, execute_block_with_roots,
};
use crate::load::block_pack::{BlockPack, FORMAT, memory_state};
use crate::load::transaction::SignedTransaction;
use crate::load::typed::InputError;
use crate::load::witness::WithBlockHashes;
use crate::replay::mismatch::Mismatch;
use crate::report::{InputReport, Kind, ReceiptRecord, StateSource, Times, Verdict};
use crate::tables::{self, BlockRows, Collector, Executed, Selection};
use crate::trie::{StateTrie, WitnessState};
use alloy_consensus::Header;
use alloy_primitives::B256;
use isolane_cpu::with_machine;
use isolane_spec::{Environment, Fork, H160, MemoryState, StateView, U256};
use std::sync::Arc;
use std::time::Instant;

/// The contract of EIP-4788.
const BEACON_ROOTS: H160 = H160(alloy_primitives::hex!("000f3df6d732807ef1319fb7b8bb8522d0beac02"));

/// The state that a block starts from.
pub struct Base {
    /// What executions read.
    pub view: Arc<dyn StateView>,
    /// What the state root after the block is computed from.
    pub root: Rooted,
}

/// What a state root can be computed from.
pub enum Rooted {
    /// The whole pre-state.
    Complete(Arc<MemoryState>),
    /// A witness.
    Witness(Arc<WitnessState>),
    /// Proofs of what the block reads. What lies beside a deleted key may be missing.
    Proofs(Arc<WitnessState>),
    /// Nothing.
    Unknown,
}

impl Base {
    const fn source(&self) -> StateSource {
        match self.root {
            Rooted::Complete(_) => StateSource::Complete,
            Rooted::Witness(_) => StateSource::Witness,
            Rooted::Proofs(_) => StateSource::Proofs,
            Rooted::Unknown => StateSource::Partial,
        }
    }

    /// The tries between transactions: receipts before Byzantium hold their roots.
    fn trie(&self) -> Result<Option<StateTrie>, InputError> {
        Ok(match &self.root {
            Rooted::Complete(state) => {
                Some(StateTrie::from_memory(state).map_err(|error| InputError::at("prestate", error.to_string()))?)
            }
            Rooted::Witness(state) => Some(state.trie()),
            // What a transaction deletes may need nodes that only the whole block's proofs were looked through for.
            Rooted::Proofs(_) | Rooted::Unknown => None,
        })
    }
}

fn base(index: usize, pack: &mut BlockPack, shared: &Shared<'_>) -> Result<Base, InputError> {
    if let Some((name, witness)) = shared.source.witness(index, pack.chain_id.0, pack.block.number.0)? {
        let proofs = witness.is_of_proofs();
        let state =
            witness.into_state(pack.block.parent_hash.0, &pack.block_hashes.0).map_err(|error| error.in_file(&name))?;
        let state = Arc::new(state);
        let block_hashes = pack.block_hashes.0.iter().map(|(number, hash)| (*number, hash.0)).collect();
        let view: Arc<dyn StateView> = Arc::new(WithBlockHashes { state: Arc::clone(&state), block_hashes });
        let root = if proofs { Rooted::Proofs(state) } else { Rooted::Witness(state) };
        return Ok(Base { view, root });
    }
    let Some(prestate) = pack.prestate.take() else {
        let problem = "expected an object of accounts, or a witness file beside the pack, got neither";
        return Err(InputError::at("prestate", problem));
    };
    let state = Arc::new(memory_state(prestate.0, &pack.block_hashes.0, &shared.codes)?);
    let view: Arc<dyn StateView> = Arc::<MemoryState>::clone(&state);
    let root = if pack.prestate_complete { Rooted::Complete(state) } else { Rooted::Unknown };
    Ok(Base { view, root })
}

/// Executes a pack and compares.
///
/// # Errors
/// When the pack contradicts itself or cannot be executed.
pub fn replay(
    index: usize,
    file: &str,
    mut pack: BlockPack,
    mut times: Times,
    shared: &Shared<'_>,
) -> Result<InputReport, InputError> {
    if pack.format != FORMAT {
        return Err(InputError::at("format", format!("expected {FORMAT:?}, got {:?}", pack.format)));
    }
    let start = Instant::now();
    let checked = Checked::new(&pack, shared.options.chain.as_ref())?;
    let base = base(index, &mut pack, shared)?;
    let source = base.source();
    times.load += start.elapsed();

    let start = Instant::now();
    let prepared = Prepared::new(&pack, checked, shared.parallel_senders)?;
    times.recover = start.elapsed();

    let start = Instant::now();
    let Prepared { checked: Checked { chain_id, rules, ref header, hash, .. }, ref signed, .. } = prepared;
    let mut context_header = header.clone();
    if source == StateSource::Partial && header.parent_beacon_block_root.is_none() {
        // Some chains took over Cancun without EIP-4788. Where its contract is, its absence is an error.
        let contract = base.view.account(&BEACON_ROOTS).ok().flatten();
        if contract.is_none_or(|account| account.code_hash == isolane_spec::KECCAK_EMPTY) {
            context_header.parent_beacon_block_root = Some(B256::ZERO);
        }
    }
    let mut input = prepared.input(&context_header);
    input.parallel_transactions = shared.parallel_transactions;
    // A complete pre-state is made for the execution specs, which reward by the fork alone.
    if source == StateSource::Complete {
        input.reward = block_reward(rules.fork);
    }
    if source == StateSource::Partial {
        input.missing_predeploy = MissingPredeploy::Skip;
    }
    let context = block_context(header, &rules);
    let environment = Environment::new(file, rules, context, Arc::clone(&base.view));
    let mut tries = if rules.fork < Fork::Byzantium { base.trie()? } else { None };
    let roots = tries.as_mut().map(|tries| tries as &mut dyn StateRoots);
    let blob_base_fee = environment.block.blob_base_fee;
    let mut collector = Collector::new(shared.options.tables);
    let result = with_machine(environment, |machine| match (&shared.options.tracing, &mut collector, shared.backend) {
        (Some(tracing), ..) => {
            let hashes = signed.iter().map(|signed| signed.hash).collect();
            let mut trace = tracing.block(file, machine.environment(), hashes);
            execute_block_observed(machine, &input, roots, &mut trace)
        }
        (None, Some(collector), _) => execute_block_observed(machine, &input, roots, collector),
        (None, None, Some(backend)) => execute_block_on(machine, &input, roots, backend),
        (None, None, None) => execute_block_with_roots(machine, &input, roots),
    });
    times.execute = start.elapsed();

    let mut report = InputReport {
        kind: Kind::Block,
        chain_id: Some(chain_id),
        number: Some(header.number),
        hash: Some(hash),
        fork: Some(rules.fork),
        state: source,
        times,
        ..InputReport::failed(file, InputError::at("", ""))
    };
    let result = match result {
        Ok(result) => result,
        Err(error) => {
            report.verdict = refused(file, &error, signed);
            return Ok(report);
        }
    };
    let start = Instant::now();
    let Verified { checks, mismatches, notes } = verify::block(&pack, header, &rules, signed, &result, &base);
    report.times.verify = start.elapsed();
    report.transactions = signed.len();
    report.gas_used = result.gas_used;
    report.steps = result.steps;
    report.checks = checks;
    report.notes = notes;
    report.verdict = if mismatches.is_empty() { Verdict::Match } else { Verdict::Mismatch(mismatches) };
    let tables = shared.options.tables;
    // Rows that are known to be wrong would do harm.
    if tables != Selection::default() && matches!(report.verdict, Verdict::Match) {
        let (fork, state, collected) = (rules.fork, &*base.view, collector.map(Collector::finish).unwrap_or_default());
        let (block, input, signed, result) = (&pack.block, &input, &signed[..], &result);
        let executed = Executed { chain_id, fork, block, input, blob_base_fee, signed, result, state };
        let batches = tables::rows(tables, &executed, &collected)?;
        report.rows = Some(Box::new(BlockRows { batches, profile: collected.profile, fork, made: Instant::now() }));
    }
    if shared.options.keep_receipts {
        report.receipts = receipts(signed, header, result);
    }
    Ok(report)
}

/// What an error of the execution says about the pack: either the block is not valid, which is a difference from what
/// its chain says, or the state did not suffice.
fn refused(file: &str, error: &BlockError, signed: &[SignedTransaction]) -> Verdict {
    match error {
        BlockError::Transaction { index, reason } => {
            let hash = signed.get(*index).map(|transaction| transaction.hash).unwrap_or_default();
            let got = format!("rejected: {reason}");
            Verdict::Mismatch(vec![Mismatch::of_transaction((*index, hash), "validity", "a valid transaction", got)])
        }
        BlockError::Execution { at, error } => {
            let advice = match error {
                isolane_spec::ExecutionError::State(_) => ": the recorded state is incomplete, record it again",
                _ => "",
            };
            Verdict::Failed(InputError::new(file, at.to_string(), format!("{error}{advice}")))
        }
        other => Verdict::Mismatch(vec![Mismatch::of_block("validity", "a valid block", other)]),
    }
}

fn receipts(signed: &[SignedTransaction], header: &Header, result: BlockResult) -> Vec<ReceiptRecord> {
    let base_fee = U256::from(header.base_fee_per_gas.unwrap_or_default());
    let executed = signed.iter().zip(result.receipts).zip(result.outcomes);
    executed
        .map(|((signed, receipt), outcome)| ReceiptRecord {
            transaction_hash: signed.hash,
            transaction_type: signed.transaction.transaction_type as u8,
            success: outcome.status.is_success(),
            gas_used: outcome.gas_used,
            cumulative_gas_used: receipt.cumulative_gas_used,
            effective_gas_price: verify::effective_gas_price(&signed.transaction, base_fee),
            contract_address: verify::contract_address(&signed.transaction),
            logs: outcome.logs,
        })
        .collect()
}
