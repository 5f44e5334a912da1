//! Every case of every state test.

use crate::recorded::Ways;
use isolane::convert::keccak;
use isolane::cpu::{Available, Machine};
use isolane::load::archive::{self, Document};
use isolane::load::fixtures::state_test::StateTest;
use isolane::load::fixtures::{self, Kind};
use isolane::load::json::Json;
use isolane::spec::{
    AccountInfo, Bytes, Environment, Fork, H160, H256, MemoryState, StateError, StateView, TransactionType, U256,
};
use rayon::prelude::*;
use secp256k1::{PublicKey, SECP256K1, SecretKey};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

/// Documents that wait for a worker: they are large.
const WAITING: usize = 4;

#[test]
fn bundled_state_tests() {
    let ways = compare(&crate::bundled("state"));
    ways.assert_all_equal("bundled state tests");
    assert!(ways.rejected > 0 && ways.without_code > 0 && ways.failures > 0 && ways.successes > 0);
}

/// Packs with `slow` in their name are passed over: it is not their transaction level that is slow.
#[test]
fn state_tests_of_the_named_folder() {
    if let Some(folder) = crate::named("ISOLANE_FIXTURES") {
        compare(&folder).assert_all_equal("state tests");
    }
}

fn compare(folder: &Path) -> Ways {
    let (send, receive) = sync_channel(WAITING);
    std::thread::scope(|scope| {
        let paths = [folder.to_owned()];
        scope.spawn(move || {
            archive::walk(&paths, |document| match send.send(document) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            })
        });
        let documents = receive.into_iter().par_bridge();
        documents
            .map(|document| {
                let document = document.unwrap_or_else(|error| panic!("{error}"));
                if document.name.contains("slow") { Ways::default() } else { compare_document(&document) }
            })
            .reduce(Ways::default, Ways::add)
    })
}

fn compare_document(document: &Document) -> Ways {
    let mut ways = Ways::default();
    let json = Json::parse(&document.name, &document.bytes).unwrap_or_else(|error| panic!("{error}"));
    let tests = fixtures::tests(&json).unwrap_or_else(|error| panic!("{}: {error}", document.name));
    for test in tests.iter().filter(|test| test.kind == Ok(Kind::State)) {
        let place = format!("{}: {}", document.name, test.name);
        if let Err(error) = compare_test(&place, test.json, &mut ways) {
            ways.differences.push(format!("{place}: {error}"));
        }
    }
    ways
}

fn compare_test(place: &str, json: &Json<'_>, ways: &mut Ways) -> Result<(), Box<dyn std::error::Error>> {
    let test = StateTest::read(json)?;
    let sender = test.transaction.sender.or_else(|| test.transaction.secret_key.and_then(address_of));
    let sender = sender.ok_or("expected a sender or a valid secretKey")?;
    let view: Arc<dyn StateView> = Arc::new(Formula(test.pre.clone()));
    for (name, cases) in &test.post {
        let fork: Fork = name.parse()?;
        for case in cases {
            let place = format!("{place} [{fork} d{} g{} v{}]", case.data, case.gas, case.value);
            let (rules, block) = test.environment(fork)?;
            let mut transaction = test.transaction.choose(case)?;
            transaction.sender = sender;
            if transaction.transaction_type != TransactionType::Legacy {
                transaction.chain_id = Some(rules.chain_id);
            }
            let available = Available { gas: block.gas_limit, blob_gas: rules.blob_schedule.max << 17 };
            let environment = Environment::new(&place, rules, block, view.clone());
            let outcome = Machine::new(environment.clone()).transact(&transaction, available)?;
            ways.compare(&place, &environment, &*view, &transaction, available, &outcome);
        }
    }
    Ok(())
}

pub fn address_of(secret_key: H256) -> Option<H160> {
    let key = SecretKey::from_byte_array(secret_key.0).ok()?;
    let public = PublicKey::from_secret_key(SECP256K1, &key).serialize_uncompressed();
    Some(H160::from_slice(&keccak(&public[1..]).0[12..]))
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
