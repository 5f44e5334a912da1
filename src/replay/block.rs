//! Replays block packs.

use super::Shared;
use super::verify::{self, Verified};
use crate::block::{
    BlockError, BlockInput, BlockResult, MissingPredeploy, StateRoots, block_context, execute_block_observed,
    execute_block_on, execute_block_with_roots,
};
use crate::chain::ChainSpec;
use crate::load::block_pack::{BlockPack, FORMAT, memory_state};
use crate::load::envelope;
use crate::load::json_rpc::RpcBlock;
use crate::load::transaction::SignedTransaction;
use crate::load::typed::InputError;
use crate::load::witness::WithBlockHashes;
use crate::replay::mismatch::Mismatch;
use crate::report::{InputReport, Kind, ReceiptRecord, StateSource, Times, Verdict};
use crate::tables::{self, BlockRows, Collector, Executed, Selection};
use crate::trie::{StateTrie, WitnessState};
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::B256;
use isolane_cpu::with_machine;
use isolane_spec::{Environment, Fork, H160, H256, MemoryState, Rules, StateView, U256};
use rayon::prelude::*;
use std::sync::Arc;
use std::time::Instant;

/// The lowest difficulty that proof of work allows. Chains of other consensus write 0 to 2, and reward nobody.
const MINIMUM_DIFFICULTY: u64 = 131_072;

/// The contract of EIP-4788.
const BEACON_ROOTS: H160 = H160(alloy_primitives::hex!("000f3df6d732807ef1319fb7b8bb8522d0beac02"));

/// Forks that differ in nothing that a transaction can see go by one name in packs.
const fn family(fork: Fork) -> Fork {
    match fork {
        Fork::Dao => Fork::Homestead,
        Fork::MuirGlacier => Fork::Istanbul,
        Fork::ArrowGlacier | Fork::GrayGlacier => Fork::London,
        Fork::Bpo1 | Fork::Bpo2 | Fork::Bpo3 | Fork::Bpo4 | Fork::Bpo5 => Fork::Osaka,
        other => other,
    }
}

/// The rules of a pack: by the chain's schedule where it is known, which the pack's own fork must not contradict.
fn rules(pack: &BlockPack, chain: Option<&ChainSpec>) -> Result<Rules, InputError> {
    let Some(chain) = chain else {
        let fork = pack.fork().ok_or_else(|| {
            let problem =
                format!("expected the name of a fork: the schedule of chain {} is not known", pack.chain_id.0);
            InputError::at("fork", problem + ": add it to the pack, or use --chain-config")
        })?;
        return Ok(Rules::new(fork, pack.chain_id.0));
    };
    let block = &pack.block;
    let parent_total = block.total_difficulty.and_then(|total| total.0.checked_sub(block.difficulty.0));
    let scheduled = chain.fork_at(block.number.0, block.timestamp.0, parent_total);
    if let Some(named) = pack.fork()
        && family(named) != family(scheduled)
    {
        // Where The Merge came by total difficulty, only a node that still tells it can say when.
        if named == Fork::Paris && family(scheduled) == Fork::London && block.difficulty.0.is_zero() {
            return Ok(chain.rules(Fork::Paris));
        }
        let problem = format!("expected {scheduled} by the schedule of {}, got {named}", chain.name);
        return Err(InputError::at("fork", problem));
    }
    Ok(chain.rules(scheduled))
}

/// The envelopes and senders of a block's transactions.
fn transactions(
    block: &RpcBlock,
    chain_id: u64,
    fork: Fork,
    parallel: bool,
) -> Result<Vec<SignedTransaction>, InputError> {
    let prepare = |(index, rpc)| {
        envelope::prepare(rpc, chain_id, fork).map_err(|error| {
            let place = format!("block.transactions[{index}].{}", error.place);
            InputError::at(place.trim_end_matches('.'), error.problem)
        })
    };
    if parallel {
        block.transactions.par_iter().enumerate().map(prepare).collect()
    } else {
        block.transactions.iter().enumerate().map(prepare).collect()
    }
}

/// The headers of the ommers, which must be those that the block names.
fn ommers(pack: &BlockPack) -> Result<Vec<Header>, InputError> {
    let headers: Vec<Header> = pack.ommers.iter().flatten().map(RpcBlock::header).collect();
    let missing = usize::try_from(pack.ommers_missing).unwrap_or(usize::MAX);
    let (named, there) = (pack.block.uncles.len(), headers.len().saturating_add(missing));
    if named != there {
        let problem = format!("expected the headers of {named} ommers, or ommersMissing, got {there}");
        return Err(InputError::at("ommers", problem));
    }
    for (index, header) in headers.iter().enumerate() {
        let hash = H256(header.hash_slow().0);
        if !pack.block.uncles.iter().any(|uncle| uncle.0 == hash) {
            let problem = format!("expected one of the block's ommers, got a header of hash {hash:?}");
            return Err(InputError::at(format!("ommers[{index}]"), problem));
        }
    }
    let hash = crate::convert::keccak(alloy_rlp::encode(&headers));
    if missing == 0 && hash != pack.block.sha3_uncles.0 {
        let problem = format!("expected ommers of hash {:?}, got {hash:?}", pack.block.sha3_uncles.0);
        return Err(InputError::at("ommers", problem));
    }
    Ok(headers)
}

fn withdrawals(block: &RpcBlock) -> Option<Vec<Withdrawal>> {
    let list = block.withdrawals.as_ref()?;
    Some(
        list.iter()
            .map(|one| Withdrawal {
                index: one.index.0,
                validator_index: one.validator_index.0,
                address: one.address.0.0.into(),
                amount: one.amount.0,
            })
            .collect(),
    )
}

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
    /// Nothing.
    Unknown,
}

impl Base {
    const fn source(&self) -> StateSource {
        match self.root {
            Rooted::Complete(_) => StateSource::Complete,
            Rooted::Witness(_) => StateSource::Witness,
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
            Rooted::Unknown => None,
        })
    }
}

fn base(index: usize, pack: &mut BlockPack, shared: &Shared<'_>) -> Result<Base, InputError> {
    if let Some((name, witness)) = shared.source.witness(index, pack.chain_id.0, pack.block.number.0)? {
        let state =
            witness.into_state(pack.block.parent_hash.0, &pack.block_hashes.0).map_err(|error| error.in_file(&name))?;
        let state = Arc::new(state);
        let block_hashes = pack.block_hashes.0.iter().map(|(number, hash)| (*number, hash.0)).collect();
        let view: Arc<dyn StateView> = Arc::new(WithBlockHashes { state: Arc::clone(&state), block_hashes });
        return Ok(Base { view, root: Rooted::Witness(state) });
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
    let chain_id = pack.chain_id.0;
    let built_in = ChainSpec::by_id(chain_id);
    let chain = shared.options.chain.as_ref().filter(|chain| chain.chain_id == chain_id).or(built_in.as_ref());
    let rules = rules(&pack, chain)?;
    let header = pack.block.header();
    let hash = H256(header.hash_slow().0);
    if hash != pack.block.hash.0 {
        let problem = format!("expected the hash of the header, {hash:?}, got {:?}", pack.block.hash.0);
        return Err(InputError::at("block.hash", problem + ": a field of the header is wrong"));
    }
    let parent = pack.block_hashes.0.iter().find(|(number, _)| number.checked_add(1) == Some(header.number));
    if let Some((_, given)) = parent
        && given.0 != pack.block.parent_hash.0
    {
        let problem = format!("expected the parent's hash {:?}, got {:?}", pack.block.parent_hash.0, given.0);
        return Err(InputError::at("blockHashes", problem));
    }
    let base = base(index, &mut pack, shared)?;
    let source = base.source();
    times.load += start.elapsed();

    let start = Instant::now();
    let signed = transactions(&pack.block, chain_id, rules.fork, shared.parallel_senders)?;
    times.recover = start.elapsed();

    let start = Instant::now();
    let (ommers, withdrawals) = (ommers(&pack)?, withdrawals(&pack.block));
    let default_chain;
    let chain = match chain {
        Some(chain) => chain,
        None => {
            default_chain = ChainSpec::constant(rules.fork, chain_id);
            &default_chain
        }
    };
    let mut context_header = header.clone();
    if source == StateSource::Partial && header.parent_beacon_block_root.is_none() {
        // Some chains took over Cancun without EIP-4788. Where its contract is, its absence is an error.
        let contract = base.view.account(&BEACON_ROOTS).ok().flatten();
        if contract.is_none_or(|account| account.code_hash == isolane_spec::KECCAK_EMPTY) {
            context_header.parent_beacon_block_root = Some(B256::ZERO);
        }
    }
    let mut input = BlockInput::new(&context_header, &signed, chain, &rules);
    input.ommers = &ommers;
    input.parallel_transactions = shared.parallel_transactions;
    input.missing_ommers = usize::try_from(pack.ommers_missing).unwrap_or(usize::MAX);
    input.withdrawals = withdrawals.as_deref();
    // A complete pre-state is made for the execution specs, which reward by the fork alone.
    if source != StateSource::Complete && pack.block.difficulty.0 < U256::from(MINIMUM_DIFFICULTY) {
        input.reward = U256::zero();
    }
    if source == StateSource::Partial {
        input.missing_predeploy = MissingPredeploy::Skip;
    }
    let context = block_context(&header, &rules);
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
            report.verdict = refused(file, &error, &signed);
            return Ok(report);
        }
    };
    let start = Instant::now();
    let Verified { checks, mismatches } = verify::block(&pack, &header, &rules, &signed, &result, &base);
    report.times.verify = start.elapsed();
    report.transactions = signed.len();
    report.gas_used = result.gas_used;
    report.steps = result.steps;
    report.checks = checks;
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
        report.receipts = receipts(&signed, &header, result);
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
