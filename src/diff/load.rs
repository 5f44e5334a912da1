//! Cases from fixtures, block packs and workloads.

use super::case::{Case, Setting};
use crate::block::block_context;
use crate::chain::ChainSpec;
use crate::conformance::address_of;
use crate::load::archive::{self, Document};
use crate::load::block_pack::{BlockPack, FORMAT, memory_state};
use crate::load::code_cache::CodeCache;
use crate::load::fixtures::state_test::{StateTest, StateTestCase};
use crate::load::fixtures::{self, Kind};
use crate::load::json::{Json, JsonError};
use crate::load::typed::InputError;
use crate::load::workload::{self, Workload};
use crate::load::{envelope, typed};
use crate::replay::find;
use isolane_spec::{Fork, H160, Rules, TransactionType};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What cannot be used: `place: problem`.
pub type Problem = String;

/// Calls `each` with the cases of every state test under the paths; other kinds of fixture are passed over. The
/// number of tests that were passed over.
///
/// # Errors
/// The first file or test that cannot be read.
pub fn state_tests(paths: &[PathBuf], mut each: impl FnMut(Vec<Case>)) -> Result<u64, Problem> {
    let (mut problem, mut passed_over) = (None, 0);
    archive::walk(paths, |document| {
        let read = document.map_err(|error| error.to_string()).and_then(|document| document_cases(&document));
        match read {
            Ok((cases, others)) => {
                passed_over += others;
                each(cases);
                ControlFlow::Continue(())
            }
            Err(error) => {
                problem = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    match problem {
        Some(problem) => Err(problem),
        None => Ok(passed_over),
    }
}

fn document_cases(document: &Document) -> Result<(Vec<Case>, u64), Problem> {
    let json = Json::parse(&document.name, &document.bytes).map_err(|error| error.to_string())?;
    let tests = fixtures::tests(&json).map_err(|error| error.at(&document.name).to_string())?;
    let (mut cases, mut others) = (Vec::new(), 0);
    for test in &tests {
        if test.kind != Ok(Kind::State) {
            others += 1;
            continue;
        }
        let read = test_cases(&document.name, &test.name, test.json);
        cases.extend(read.map_err(|error| error.at(&test.name).at(&document.name).to_string())?);
    }
    Ok((cases, others))
}

fn test_cases(file: &str, name: &str, json: &Json<'_>) -> Result<Vec<Case>, JsonError> {
    let test = StateTest::read(json)?;
    let sender = test.transaction.sender.or_else(|| test.transaction.secret_key.and_then(address_of));
    let sender = sender.ok_or_else(|| JsonError::new("a sender or a valid secretKey", "neither").at("transaction"))?;
    let mut cases = Vec::new();
    for (fork_name, entries) in &test.post {
        let fork: Fork = fork_name.parse().map_err(|_| JsonError::new("a fork", fork_name.clone()).at("post"))?;
        for entry in entries {
            cases.push(case(file, name, &test, fork, entry, sender)?);
        }
    }
    Ok(cases)
}

fn case(
    file: &str,
    name: &str,
    test: &StateTest,
    fork: Fork,
    entry: &StateTestCase,
    sender: H160,
) -> Result<Case, JsonError> {
    let (rules, block) = test.environment(fork)?;
    let mut transaction = test.transaction.choose(entry)?;
    transaction.sender = sender;
    if transaction.transaction_type != TransactionType::Legacy {
        transaction.chain_id = Some(rules.chain_id);
    }
    Ok(Case {
        name: format!("{file}::{name} [{fork} d{} g{} v{}]", entry.data, entry.gas, entry.value),
        rules,
        block,
        excess_blob_gas: test.block.excess_blob_gas(),
        state: test.pre.clone(),
        formula: true,
        setting: Setting::default(),
        transactions: vec![transaction],
    })
}

/// The blocks of every pack under the paths, each one case with all its transactions, on the state that the pack
/// recorded. What happens around the transactions (system calls, withdrawals) is left out: it is no part of a lane.
///
/// # Errors
/// The first pack that cannot be read.
pub fn blocks(paths: &[PathBuf], mut each: impl FnMut(Case)) -> Result<(), Problem> {
    let inputs = find(paths).map_err(|error| error.to_string())?;
    for path in &inputs.packs {
        let read = block(path).map_err(|error| format!("{}: {error}", path.display()))?;
        if let Some(case) = read {
            each(case);
        }
    }
    Ok(())
}

/// A block pack as a case; `None` for a pack of a single transaction or one without state.
fn block(path: &Path) -> Result<Option<Case>, InputError> {
    let document = typed::read(path)?;
    if !document.get(..256).unwrap_or(&document).windows(FORMAT.len()).any(|window| window == FORMAT.as_bytes()) {
        return Ok(None);
    }
    let mut pack: BlockPack = typed::parse(&document)?;
    let header = pack.block.header();
    let Some(prestate) = pack.prestate.take() else { return Ok(None) };
    let rules = match ChainSpec::by_id(pack.chain_id.0) {
        Some(chain) => {
            let parent = pack.block.total_difficulty.and_then(|total| total.0.checked_sub(pack.block.difficulty.0));
            chain.rules(chain.fork_at(pack.block.number.0, pack.block.timestamp.0, parent))
        }
        None => {
            let unknown = || InputError::at("fork", "expected a fork: the chain is not built in");
            Rules::new(pack.fork().ok_or_else(unknown)?, pack.chain_id.0)
        }
    };
    let state = memory_state(prestate.0, &pack.block_hashes.0, &CodeCache::default())?;
    let mut transactions = Vec::with_capacity(pack.block.transactions.len());
    for rpc in &pack.block.transactions {
        transactions.push(envelope::prepare(rpc, rules.chain_id, rules.fork)?.transaction);
    }
    Ok(Some(Case {
        name: path.display().to_string(),
        rules,
        block: block_context(&header, &rules),
        excess_blob_gas: header.excess_blob_gas.unwrap_or_default(),
        state: Arc::new(state),
        formula: false,
        setting: Setting::default(),
        transactions,
    }))
}

/// The workloads of a folder, each transaction a case.
///
/// # Errors
/// The first file that cannot be read.
pub fn workloads(folder: &Path) -> Result<Vec<Case>, Problem> {
    let mut cases = Vec::new();
    for file in workload::files_in(folder).map_err(|error| error.to_string())? {
        let workload = Workload::read(&file).map_err(|error| error.to_string())?;
        let environment = workload.environment();
        for (index, transaction) in workload.transactions.iter().enumerate() {
            cases.push(Case {
                name: format!("{}: transaction {index}", file.display()),
                rules: environment.rules,
                block: environment.block.clone(),
                excess_blob_gas: 0,
                state: workload.state.clone(),
                formula: false,
                setting: Setting::default(),
                transactions: vec![transaction.clone()],
            });
        }
    }
    Ok(cases)
}
