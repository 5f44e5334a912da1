//! What fuzzing enters with: each function takes any bytes, must not panic, and says whether it took them for what they
//! are meant to be. The libFuzzer targets under `fuzz/` call them, and `tests/fuzz.rs` over the corpus and mutations of it.

use super::backends::Candidate;
use super::case::{Case, Setting};
use super::run;
use crate::convert::keccak;
use crate::load::block_pack::{BlockPack, memory_state};
use crate::load::code_cache::CodeCache;
use crate::load::fixtures::blockchain_test::BlockchainTest;
use crate::load::fixtures::state_test::StateTest;
use crate::load::fixtures::transaction_test::TransactionTest;
use crate::load::fixtures::{self, Kind};
use crate::load::json::Json;
use crate::load::transaction::decode_transaction;
use crate::load::transaction_pack::TransactionPack;
use crate::load::typed;
use crate::load::witness::WitnessFile;
use crate::load::workload::Workload;
use crate::manifest;
use crate::trie::{Witness, WitnessState};
use isolane_cpu::Reference;
use isolane_spec::opcode::op;
use isolane_spec::{
    AccountInfo, BlockContext, Bytes, Fork, H160, H256, MemoryState, Rules, StateView, Transaction, U256,
};
use std::path::Path;
use std::sync::Arc;

/// A function that fuzzing enters with; whether it took the bytes.
pub type Entry = fn(&[u8]) -> bool;

/// All of them by name, which is also the name of their corpus.
pub const ENTRIES: [(&str, Entry); 8] = [
    ("block_pack", block_pack),
    ("transaction_pack", transaction_pack),
    ("fixtures", fixtures),
    ("manifest", manifest),
    ("workload", workload),
    ("transaction", transaction),
    ("witness", witness),
    ("execution", execution),
];

/// A block pack, and the state in it.
#[must_use]
pub fn block_pack(bytes: &[u8]) -> bool {
    let Ok(pack) = typed::parse::<BlockPack>(bytes) else { return false };
    let Some(prestate) = pack.prestate else { return true };
    memory_state(prestate.0, &pack.block_hashes.0, &CodeCache::default()).is_ok()
}

/// A single-transaction pack, and the state in it.
#[must_use]
pub fn transaction_pack(bytes: &[u8]) -> bool {
    let Ok(pack) = typed::parse::<TransactionPack>(bytes) else { return false };
    memory_state(pack.prestate.0, &pack.block_hashes.0, &CodeCache::default()).is_ok()
}

/// A document of fixtures of any kind; the cases of state tests are made.
#[must_use]
pub fn fixtures(bytes: &[u8]) -> bool {
    let Ok(json) = Json::parse("input", bytes) else { return false };
    let Ok(tests) = fixtures::tests(&json) else { return false };
    let mut good = true;
    for test in tests {
        good &= match test.kind {
            Ok(Kind::State) => state_test(test.json),
            Ok(Kind::Blockchain) => BlockchainTest::read(test.json).is_ok(),
            Ok(Kind::Transaction) => TransactionTest::read(test.json).is_ok(),
            _ => false,
        };
    }
    good
}

fn state_test(json: &Json<'_>) -> bool {
    let Ok(test) = StateTest::read(json) else { return false };
    let mut good = true;
    for (fork, cases) in &test.post {
        let Ok(fork) = fork.parse() else { return false };
        good &= test.environment(fork).is_ok();
        good &= cases.iter().all(|case| test.transaction.choose(case).is_ok());
    }
    good
}

/// A manifest. What it names beside it is not there.
#[must_use]
pub fn manifest(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    manifest::Plan::parse("input", text, Path::new("/nonexistent")).is_ok()
}

/// A workload.
#[must_use]
pub fn workload(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| Workload::parse("input", text).is_ok())
}

/// The consensus bytes of a transaction. One that is taken has these bytes and no others.
///
/// # Panics
/// When it is taken and written with other bytes.
#[must_use]
pub fn transaction(bytes: &[u8]) -> bool {
    let Ok(signed) = decode_transaction(bytes) else { return false };
    assert_eq!(signed.encoded, bytes, "a transaction keeps its bytes");
    assert_eq!(signed.hash, keccak(bytes), "its hash is theirs");
    for fork in Fork::ALL {
        let _ = signed.recover_sender(fork);
    }
    true
}

/// A witness file; or, where it is no JSON, the nodes of a trie, each behind a byte with its length, of which the first
/// is the root. Accounts and slots are looked up in it.
#[must_use]
pub fn witness(bytes: &[u8]) -> bool {
    let state = match typed::parse::<WitnessFile>(bytes) {
        Ok(file) => file.into_state(H256::zero(), &[]).ok(),
        Err(_) => {
            let mut nodes = Vec::new();
            let mut rest = bytes;
            while let Some((length, tail)) = rest.split_first() {
                let (node, tail) = tail.split_at(usize::from(*length).min(tail.len()));
                nodes.push(Bytes::copy_from_slice(node));
                rest = tail;
            }
            let Some(root) = nodes.first().map(keccak) else { return false };
            let witness = Witness { state: nodes, codes: Vec::new(), headers: Vec::new() };
            WitnessState::with_root(&witness, root, []).ok()
        }
    };
    let Some(state) = state else { return false };
    for seed in 0..16 {
        let address = H160::repeat_byte(seed);
        if let Ok(Some(account)) = state.account(&address) {
            let _ = state.code(&account.code_hash);
        }
        let _ = state.storage(&address, &U256::from(seed));
        let _ = state.has_storage(&address);
    }
    true
}

const SENDER: H160 = H160([0x5e; 20]);
const CONTRACTS: [H160; 2] = [H160([0xa1; 20]), H160([0xb2; 20])];

/// Executes bytes as code, on the reference and on revm: the first says the fork, the second where the code of one
/// contract ends and that of the other, which the first one calls or copies, begins; the third, how much gas there is.
/// The other contract's code is the call data too.
///
/// # Panics
/// When the outcomes differ.
#[must_use]
pub fn execution(bytes: &[u8]) -> bool {
    let [fork, cut, gas, code @ ..] = bytes else { return false };
    let fork = Fork::ALL[usize::from(*fork) % Fork::ALL.len()];
    let (first, second) = code.split_at(code.len() * usize::from(*cut) / 256);
    let mut state = MemoryState::default();
    let rich = AccountInfo { balance: U256::exp10(20), ..AccountInfo::default() };
    state.insert(SENDER, rich, Bytes::new(), []);
    for (address, code) in CONTRACTS.into_iter().zip([first, second]) {
        let info = AccountInfo { nonce: 1, balance: U256::from(1000), code_hash: keccak(code) };
        state.insert(address, info, Bytes::copy_from_slice(code), [(U256::one(), U256::from(7))]);
    }
    let block = BlockContext { number: 300, timestamp: 1000, gas_limit: 30_000_000, ..BlockContext::default() };
    let mut case = Case {
        name: "fuzzed".to_owned(),
        rules: Rules::new(fork, 1),
        block,
        excess_blob_gas: 0,
        state: Arc::new(state),
        formula: true,
        setting: Setting::default(),
        transactions: vec![Transaction {
            sender: SENDER,
            to: Some(CONTRACTS[0]),
            gas_limit: 21_000 + 68 * second.len() as u64 + (u64::from(*gas) << 11),
            max_fee_per_gas: 10.into(),
            max_priority_fee_per_gas: 10.into(),
            input: Bytes::copy_from_slice(second),
            chain_id: Some(1),
            ..Transaction::default()
        }],
    };
    case.set_fork(fork);
    compare(&case);
    first.iter().any(|byte| *byte != op::STOP)
}

/// Both judges where there are two, and in any case the reference watched and not watched.
fn compare(case: &Case) {
    let reference = Candidate::exact(Reference);
    #[cfg(feature = "revm")]
    if let Some((_, differences)) = run::differs(&reference, &Candidate::oracle(super::oracle::Revm), case) {
        panic!("{}: the reference and revm differ: {differences:?}", case.rules.fork);
    }
    let (_, _, plain) = run::compare(std::slice::from_ref(&reference), std::slice::from_ref(case));
    let watched = super::coverage::Coverage::default().run(case);
    assert_eq!(plain, watched, "{}: watching changes the outcome", case.rules.fork);
}
