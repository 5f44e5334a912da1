//! Transactions to execute: the bundled state tests and workloads.

use isolane::convert::keccak;
use isolane::cpu::Available;
use isolane::load::archive;
use isolane::load::fixtures::state_test::StateTest;
use isolane::load::fixtures::{self, Kind};
use isolane::load::json::Json;
use isolane::load::workload::{self, Workload};
use isolane::spec::{
    AccountInfo, Bytes, Environment, Fork, H160, H256, KECCAK_EMPTY, MemoryState, StateError, StateView, Transaction,
    TransactionType, U256,
};
use secp256k1::{PublicKey, SECP256K1, SecretKey};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// One transaction and what it runs in.
pub struct Case {
    pub place: String,
    pub environment: Environment,
    pub transaction: Transaction,
    pub available: Available,
    /// Whether a creation may meet an account with storage alone, which revm has no rule for.
    pub collision: bool,
}

/// All that is bundled.
pub fn bundled() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut cases = Vec::new();
    archive::walk(&[folder.join("state")], |document| {
        let document = document.unwrap_or_else(|error| panic!("{error}"));
        let json = Json::parse(&document.name, &document.bytes).unwrap_or_else(|error| panic!("{error}"));
        let tests = fixtures::tests(&json).unwrap_or_else(|error| panic!("{error}"));
        for test in tests.iter().filter(|test| test.kind == Ok(Kind::State)) {
            let read = StateTest::read(test.json).unwrap_or_else(|error| panic!("{error}"));
            state_test(&test.name, &read, &mut cases);
        }
        ControlFlow::Continue(())
    });
    for file in workload::files_in(&folder.join("workloads")).unwrap_or_else(|error| panic!("{error}")) {
        let workload = Workload::read(&file).unwrap_or_else(|error| panic!("{error}"));
        let environment = workload.environment();
        // The transactions of a workload are alike.
        cases.extend(workload.transactions.iter().enumerate().take(2).map(|(index, transaction)| Case {
            place: format!("{}: transaction {index}", workload.name),
            environment: environment.clone(),
            transaction: transaction.clone(),
            available: Available { gas: u64::MAX, blob_gas: u64::MAX },
            collision: false,
        }));
    }
    cases
}

fn state_test(name: &str, test: &StateTest, cases: &mut Vec<Case>) {
    let view: Arc<dyn StateView> = Arc::new(Formula(test.pre.clone()));
    let sender = test.transaction.sender.or_else(|| test.transaction.secret_key.map(address_of)).expect("a sender");
    let bare = |info: &AccountInfo| info.nonce == 0 && info.code_hash == KECCAK_EMPTY;
    let collision = test.pre.accounts.values().any(|account| bare(&account.info) && !account.storage.is_empty());
    for (fork, posts) in &test.post {
        let fork: Fork = fork.parse().expect("a fork");
        for post in posts {
            let (rules, block) = test.environment(fork).expect("an environment");
            let mut transaction = test.transaction.choose(post).expect("a transaction");
            transaction.sender = sender;
            if transaction.transaction_type != TransactionType::Legacy {
                transaction.chain_id = Some(rules.chain_id);
            }
            let place = format!("{name} [{fork} d{} g{} v{}]", post.data, post.gas, post.value);
            cases.push(Case {
                available: Available { gas: block.gas_limit, blob_gas: rules.blob_schedule.max << 17 },
                environment: Environment::new(&place, rules, block, view.clone()),
                transaction,
                collision,
                place,
            });
        }
    }
}

fn address_of(secret_key: H256) -> H160 {
    let key = SecretKey::from_byte_array(secret_key.0).expect("a key");
    let public = PublicKey::from_secret_key(SECP256K1, &key).serialize_uncompressed();
    H160::from_slice(&keccak(&public[1..]).0[12..])
}

/// The pre-state; BLOCKHASH is a formula in state tests.
struct Formula(Arc<MemoryState>);

impl StateView for Formula {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        self.0.account(address)
    }
    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        self.0.storage(address, key)
    }
    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        self.0.has_storage(address)
    }
    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        self.0.code(code_hash)
    }
    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        Ok(keccak(number.to_string()))
    }
}

/// What a state was asked.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub accounts: BTreeSet<H160>,
    pub slots: BTreeSet<(H160, U256)>,
    pub codes: BTreeSet<H256>,
    pub block_hashes: BTreeSet<u64>,
}

/// A state that remembers what it was asked.
pub struct Recorder {
    state: Arc<dyn StateView>,
    asked: Mutex<Asked>,
}

impl Recorder {
    pub fn new(state: Arc<dyn StateView>) -> Self {
        Self { state, asked: Mutex::default() }
    }

    pub fn asked(&self) -> Asked {
        self.asked.lock().expect("nobody panicked").clone()
    }
}

impl StateView for Recorder {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        self.asked.lock().expect("nobody panicked").accounts.insert(*address);
        self.state.account(address)
    }
    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        self.asked.lock().expect("nobody panicked").slots.insert((*address, *key));
        self.state.storage(address, key)
    }
    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        self.state.has_storage(address)
    }
    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        self.asked.lock().expect("nobody panicked").codes.insert(*code_hash);
        self.state.code(code_hash)
    }
    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        self.asked.lock().expect("nobody panicked").block_hashes.insert(number);
        self.state.block_hash(number)
    }
}
