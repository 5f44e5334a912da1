//! Blockchain tests: blocks arrive in the fixture's order and are decoded, validated and executed on the state of their
//! parent, whichever branch that is on.

use super::runner::Place;
use super::state::{compare_receipt, compare_states};
use super::{Differences, Verdict, is_expected};
use crate::block::{
    Ancestor, BlockError, BlockInput, BlockResult, DecodedBlock, InvalidHeader, Mismatch, Parent, StateRoots,
    block_context, decode_block, execute_block_observed, execute_block_on, execute_block_with_roots,
    transaction_exception_names, validate_header, validate_ommers, verify_length, verify_ommers_hash, verify_result,
};
use crate::chain::ChainSpec;
use crate::convert::{from_b256, from_word};
use crate::load::fixtures::Test;
use crate::load::fixtures::blockchain_test::{BlockContent, BlockchainTest, PostState, TestBlock};
use crate::load::json::JsonError;
use crate::load::transaction::recover_into;
use crate::trace::Tracing;
use crate::trie::state_root;
use alloy_consensus::Header;
use isolane_cpu::with_machine;
use isolane_spec::{AccountDiff, Backend, Environment, H256, InvalidTransaction, MemoryState, Rules, U256};
use std::collections::HashMap;
use std::sync::Arc;

/// BLOCKHASH reaches this far back.
const BLOCK_HASHES: u64 = 256;
/// Ancestors whose ommers count: see [`validate_ommers`].
const ANCESTORS: usize = 7;

/// The reason of blocks whose only flaw is their proof of work.
const BAD_PROOF: &str = "InvalidBlockNonce";

pub(super) fn run(test: &Test<'_, '_>, place: Place<'_>) {
    let read = match BlockchainTest::read(test.json) {
        Ok(read) => read,
        Err(error) => return place.malformed(&test.name, &error),
    };
    let name = format!("{} [{}]", test.name, read.network);
    if place.is_batched() {
        let (network, id, test_name) = (read.network.clone(), name.clone(), test.name.clone());
        let chain = move |backend: &dyn Backend| match chain_of(&read) {
            Err(error) => Verdict::Malformed(error.at(&test_name)),
            Ok(chain) => run_case(&id, &read, chain, Executor::Backend(backend)),
        };
        return place.chained(&name, &network, Box::new(chain));
    }
    let executor = place.tracing().map_or(Executor::Reference, Executor::Traced);
    place.case(&name, &read.network, || match chain_of(&read) {
        Err(error) => Verdict::Malformed(error.at(&test.name)),
        Ok(chain) => run_case(&name, &read, chain, executor),
    });
}

fn chain_of(test: &BlockchainTest) -> Result<ChainSpec, JsonError> {
    let mut chain = ChainSpec::from_network(&test.network)
        .map_err(|error| JsonError::new("a network", error.to_string()).at("network"))?;
    chain.chain_id = test.config.chain_id.unwrap_or(1);
    for (name, schedule) in &test.config.blob_schedule {
        let fork = name.parse().map_err(|_| JsonError::new("a fork", name.clone()).at("blobSchedule").at("config"))?;
        chain.blob_schedules.insert(fork, *schedule);
    }
    Ok(chain)
}

/// A block that was found valid.
struct Imported {
    header: Header,
    hash: H256,
    ommers: Vec<H256>,
    total_difficulty: U256,
    /// The state after it, with the hashes that BLOCKHASH in its children can ask for.
    state: Arc<MemoryState>,
}

/// Why a block was refused.
struct Refusal {
    /// The names that fixtures have for the reason; none where it is no rule of the protocol.
    names: Vec<&'static str>,
    problem: String,
}

impl Refusal {
    fn new(names: &[&'static str], problem: impl ToString) -> Self {
        Self { names: names.to_vec(), problem: problem.to_string() }
    }
}

/// What executes the transactions of blocks.
#[derive(Clone, Copy)]
enum Executor<'a> {
    /// The reference.
    Reference,
    /// The reference, watched.
    Traced(&'a Tracing),
    /// A backend.
    Backend(&'a dyn Backend),
}

struct Chain<'a> {
    name: &'a str,
    executor: Executor<'a>,
    chain: ChainSpec,
    blocks: HashMap<H256, Imported>,
    head: H256,
}

fn run_case(name: &str, test: &BlockchainTest, chain: ChainSpec, executor: Executor<'_>) -> Verdict {
    let mut differences = Differences::default();
    let (genesis, hash) = &test.genesis;
    check_genesis(test, &mut differences);
    let mut state = test.pre.clone();
    state.block_hashes.insert(genesis.number, *hash);
    let root = Imported {
        header: genesis.clone(),
        hash: *hash,
        ommers: Vec::new(),
        total_difficulty: from_word(genesis.difficulty),
        state: Arc::new(state),
    };
    let mut chain = Chain { name, executor, chain, blocks: HashMap::from([(*hash, root)]), head: *hash };
    let mut unchecked = Vec::new();
    if test.proof_of_work {
        unchecked.push("the proof of work of blocks, which isolane does not verify");
    }
    if genesis.block_access_list_hash.is_some() {
        unchecked.push("the block access lists of EIP-7928, which isolane does not compute");
    }
    let mut contradiction = false;
    for (index, block) in test.blocks.iter().enumerate() {
        if test.proof_of_work && block.exceptions.iter().any(|(_, reason)| reason == BAD_PROOF) {
            continue;
        }
        if !block.invalid && block.content.iter().flatten().any(BlockContent::receipts_contradict_header) {
            contradiction = true;
        }
        let problem = check_block(&mut chain, index, block, &mut differences);
        if problem.is_err() {
            break;
        }
    }
    if contradiction {
        unchecked.push("receipts that contradict the receipts root of their own header, as some benchmarks have them");
    }
    differences.check("lastblockhash", test.last_block_hash, chain.head);
    if let Some(head) = chain.blocks.get(&test.last_block_hash) {
        match &test.post {
            PostState::Root(root) => differences.check("postStateHash", *root, state_root(&head.state)),
            PostState::Accounts(accounts) => compare_states(accounts, &head.state, &mut differences),
        }
    }
    match differences.verdict() {
        Verdict::Passed if !unchecked.is_empty() => Verdict::Unchecked(unchecked.join("; ")),
        verdict => verdict,
    }
}

fn check_genesis(test: &BlockchainTest, differences: &mut Differences) {
    let (header, hash) = &test.genesis;
    differences.check("genesis hash", *hash, from_b256(header.hash_slow()));
    differences.check("genesis state root", from_b256(header.state_root), state_root(&test.pre));
    let Some(rlp) = &test.genesis_rlp else { return };
    match decode_block(rlp) {
        Err(error) => differences.push("genesisRLP", "a block", error),
        Ok(block) if block.header != *header => {
            differences.push("genesisRLP header", format!("{header:?}"), format!("{:?}", block.header));
        }
        Ok(block) => {
            differences.check("genesisRLP transactions", 0, block.transactions.len());
            differences.check("genesisRLP ommers", 0, block.ommers.len());
        }
    }
}

/// `Err` where what follows would only repeat the difference.
fn check_block(
    chain: &mut Chain<'_>,
    index: usize,
    block: &TestBlock,
    differences: &mut Differences,
) -> Result<(), ()> {
    let at = format!("blocks[{index}]");
    let decoded = decode_block(&block.rlp);
    match (&decoded, &block.content) {
        (Ok(decoded), Some(Ok(content))) => check_content(&at, content, decoded, block.invalid, differences),
        (Ok(_), Some(Err(error))) => differences.push(format!("{at}{}", error.path), &error.expected, &error.got),
        _ => {}
    }
    let content = block.content.as_ref().and_then(|content| content.as_ref().ok());
    let imported = decoded
        .map_err(|error| Refusal::new(error.exception_names(), error))
        .and_then(|decoded| import(chain, decoded, content, &at, differences));
    let reasons: Vec<_> = block.exceptions.iter().map(|(_, reason)| reason.as_str()).collect();
    match imported {
        Ok(()) if !block.invalid => Ok(()),
        Ok(()) => {
            let expected = if reasons.is_empty() { "an invalid block".to_owned() } else { reasons.join(", ") };
            differences.push(at, expected, "a valid block");
            Err(())
        }
        Err(refusal) if !block.invalid => {
            differences.push(at, "a valid block", refusal.problem);
            Err(())
        }
        // The fixture says only that the block is invalid, or says why: any of its names must be ours.
        Err(refusal) => {
            let known = !refusal.names.is_empty();
            let as_expected = reasons.iter().any(|reason| is_expected(reason, &refusal.names));
            if !known || !(reasons.is_empty() || as_expected) {
                differences.push(at, reasons.join(", "), refusal.problem);
            }
            Ok(())
        }
    }
}

/// Compares the decoded block with what the fixture says it holds.
fn check_content(
    at: &str,
    content: &BlockContent,
    decoded: &DecodedBlock,
    invalid: bool,
    differences: &mut Differences,
) {
    let (header, _) = &content.header;
    if invalid {
        // A header that lacks a field but has a later one reads otherwise from its bytes: compare these.
        differences.check(&format!("{at} header bytes"), from_b256(header.hash_slow()), decoded.hash);
    } else {
        differences.check(&format!("{at} header"), header, &decoded.header);
    }
    differences.check(&format!("{at} hash"), content.header.1, decoded.hash);
    differences.check(&format!("{at} transactions"), content.transactions.len(), decoded.transactions.len());
    for (index, ((expected, _), got)) in content.transactions.iter().zip(&decoded.transactions).enumerate() {
        let at = format!("{at} transaction {index}");
        differences.check(&format!("{at} bytes"), hex::encode(&expected.encoded), hex::encode(&got.encoded));
        differences.check(&format!("{at} fields"), &expected.transaction, &got.transaction);
    }
    let ommers: Vec<_> = content.ommers.iter().map(|(header, _)| header).collect();
    differences.check(&format!("{at} ommers"), ommers, decoded.ommers.iter().collect());
    let hashes: Vec<_> = content.ommers.iter().map(|(_, hash)| *hash).collect();
    let got: Vec<_> = decoded.ommers.iter().map(|ommer| from_b256(ommer.hash_slow())).collect();
    differences.check(&format!("{at} ommer hashes"), hashes, got);
    // Old fixtures leave empty lists out, and write them for blocks that have none.
    let list = |withdrawals: &Option<Vec<_>>| withdrawals.clone().unwrap_or_default();
    differences.check(&format!("{at} withdrawals"), list(&content.withdrawals), list(&decoded.withdrawals));
}

/// Validates and executes a block and adds it to the chain.
fn import(
    chain: &mut Chain<'_>,
    mut block: DecodedBlock,
    content: Option<&BlockContent>,
    at: &str,
    differences: &mut Differences,
) -> Result<(), Refusal> {
    let parent_hash = from_b256(block.header.parent_hash);
    let parent = chain.blocks.get(&parent_hash).ok_or_else(|| {
        let unknown = InvalidHeader::ParentHash { expected: chain.head, got: parent_hash };
        Refusal::new(unknown.exception_names(), format!("unknown parent {parent_hash:?}"))
    })?;
    let invalid_header = |error: InvalidHeader| Refusal::new(error.exception_names(), error);
    let mismatch = |error: Mismatch| Refusal::new(error.exception_names(), error);
    let of_parent =
        Parent { header: &parent.header, hash: parent.hash, total_difficulty: Some(parent.total_difficulty) };
    let rules = validate_header(&block.header, &of_parent, &chain.chain).map_err(invalid_header)?;
    verify_length(block.length, &rules).map_err(invalid_header)?;
    verify_ommers_hash(&block.header, &block.ommers).map_err(mismatch)?;
    check_ommers(chain, parent, &block)?;
    recover_into(&mut block.transactions, rules.fork)
        .map_err(|(index, error)| Refusal::new(error.exception_names(), format!("transaction {index}: {error}")))?;
    let (result, state) = execute(chain, parent, &block, rules)?;
    verify_result(&block.header, &result).map_err(mismatch)?;
    Mismatch::check_state_root(&block.header, state_root(&state)).map_err(mismatch)?;
    if let Some(content) = content {
        check_execution(at, content, &block, &result, differences);
    }
    let total_difficulty = parent.total_difficulty.saturating_add(from_word(block.header.difficulty));
    chain.add(block, total_difficulty, state);
    Ok(())
}

fn check_ommers(chain: &Chain<'_>, parent: &Imported, block: &DecodedBlock) -> Result<(), Refusal> {
    if block.ommers.is_empty() {
        return Ok(());
    }
    let mut ancestors = Vec::with_capacity(ANCESTORS);
    let mut next = Some(parent);
    while let Some(ancestor) = next.filter(|_| ancestors.len() < ANCESTORS) {
        ancestors.push(Ancestor {
            header: &ancestor.header,
            hash: ancestor.hash,
            ommers: &ancestor.ommers,
            total_difficulty: Some(ancestor.total_difficulty),
        });
        next = chain.blocks.get(&from_b256(ancestor.header.parent_hash));
    }
    validate_ommers(&block.header, &block.ommers, &ancestors, &chain.chain)
        .map_err(|error| Refusal::new(error.exception_names(), error))
}

fn execute(
    chain: &Chain<'_>,
    parent: &Imported,
    block: &DecodedBlock,
    rules: Rules,
) -> Result<(BlockResult, MemoryState), Refusal> {
    let id = format!("{} block {}", chain.name, block.header.number);
    let environment = Environment::new(id, rules, block_context(&block.header, &rules), parent.state.clone());
    let input = BlockInput::of(block, &chain.chain, &rules);
    let mut roots = Roots(parent.state.as_ref().clone());
    let base_fee = U256::from(block.header.base_fee_per_gas.unwrap_or_default());
    let result = with_machine(environment, |machine| match chain.executor {
        Executor::Traced(tracing) => {
            let hashes = block.transactions.iter().map(|signed| signed.hash).collect();
            let mut trace = tracing.block(machine.environment().id.to_string(), machine.environment(), hashes);
            execute_block_observed(machine, &input, Some(&mut roots), &mut trace)
        }
        Executor::Backend(backend) => execute_block_on(machine, &input, Some(&mut roots), backend),
        Executor::Reference => execute_block_with_roots(machine, &input, Some(&mut roots)),
    })
    .map_err(|error| {
        let mut names = error.exception_names().to_vec();
        // Too little gas is found before the fees are looked at; fixtures may mean a fee that is also too low.
        if let BlockError::Transaction { index, reason: InvalidTransaction::IntrinsicGasTooLow { .. } } = &error
            && let Some(signed) = block.transactions.get(*index)
            && signed.transaction.max_fee_per_gas < base_fee
        {
            let got = signed.transaction.max_fee_per_gas;
            let fee = InvalidTransaction::FeeCapBelowBaseFee { base_fee, got };
            names.extend(transaction_exception_names(&fee));
        }
        Refusal::new(&names, error)
    })?;
    let mut state = parent.state.as_ref().clone();
    state.apply(&result.diff);
    state.block_hashes.insert(block.header.number, block.hash);
    if let Some(old) = block.header.number.checked_sub(BLOCK_HASHES) {
        state.block_hashes.remove(&old);
    }
    Ok((result, state))
}

/// What only the execution shows.
fn check_execution(
    at: &str,
    content: &BlockContent,
    block: &DecodedBlock,
    result: &BlockResult,
    differences: &mut Differences,
) {
    for (index, ((_, sender), got)) in content.transactions.iter().zip(&block.transactions).enumerate() {
        if let Some(sender) = sender {
            differences.check(&format!("{at} transaction {index} sender"), *sender, got.transaction.sender);
        }
    }
    let Some(receipts) = content.receipts.as_ref().filter(|_| !content.receipts_contradict_header()) else { return };
    differences.check(&format!("{at} receipts"), receipts.len(), result.receipts.len());
    let computed = result.receipts.iter().zip(&result.outcomes).zip(&block.transactions);
    for (index, (expected, ((receipt, outcome), transaction))) in receipts.iter().zip(computed).enumerate() {
        let name = format!("{at} receipt {index}");
        compare_receipt(&name, expected, receipt, &outcome.logs, differences);
        differences.check(&format!("{name}.transactionHash"), expected.transaction_hash, transaction.hash);
    }
}

impl Chain<'_> {
    /// Adds a valid block. The head is the block of the greatest total difficulty, first come first; blocks of proof of
    /// stake add none, and the last of them leads.
    fn add(&mut self, block: DecodedBlock, total_difficulty: U256, state: MemoryState) {
        let leads = self.blocks.get(&self.head).is_none_or(|head| {
            total_difficulty > head.total_difficulty
                || (block.header.difficulty.is_zero() && total_difficulty == head.total_difficulty)
        });
        if leads {
            self.head = block.hash;
        }
        let imported = Imported {
            ommers: block.ommers.iter().map(|ommer| from_b256(ommer.hash_slow())).collect(),
            header: block.header,
            hash: block.hash,
            total_difficulty,
            state: Arc::new(state),
        };
        self.blocks.insert(imported.hash, imported);
    }
}

/// State roots between transactions, for receipts before Byzantium.
struct Roots(MemoryState);

impl StateRoots for Roots {
    fn apply(&mut self, diff: &[AccountDiff]) -> Result<(), String> {
        self.0.apply(diff);
        Ok(())
    }

    fn root(&mut self) -> Result<H256, String> {
        Ok(state_root(&self.0))
    }
}
