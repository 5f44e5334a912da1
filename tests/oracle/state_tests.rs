//! Every case of every state test: one transaction on a state.

use crate::tally::Tally;
use isolane::conformance::address_of;
use isolane::cpu::{Available, Machine};
use isolane::diff::compare::{Exactness, same};
use isolane::diff::oracle::Oracle;
use isolane::load::archive::{self, Document};
use isolane::load::fixtures::state_test::{StateTest, StateTestCase, StateTestView};
use isolane::load::fixtures::{self, Kind};
use isolane::load::json::Json;
use isolane::spec::{Environment, Fork, H160, KECCAK_EMPTY, MemoryState, StateView, TransactionType};
use rayon::prelude::*;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

/// Documents that wait for a worker: they are large.
const WAITING: usize = 4;

/// Compares all state tests under a folder; other kinds of fixture are passed over. So are packs with `slow` in their
/// name, whose tests take seconds to minutes each on either side, unless `ISOLANE_SLOW` is set: `cargo xtask test --slow`
/// sets it.
pub fn compare(folder: &Path) -> Tally {
    let slow = std::env::var_os("ISOLANE_SLOW").is_some();
    let passed_over = AtomicUsize::new(0);
    let tally = compare_but(folder, |document| {
        let leave = !slow && document.name.contains("slow");
        passed_over.fetch_add(usize::from(leave), Ordering::Relaxed);
        leave
    });
    match passed_over.into_inner() {
        0 => {}
        count => println!("passed over: {count} documents of slow packs (ISOLANE_SLOW=1 runs them)"),
    }
    tally
}

fn compare_but(folder: &Path, leave: impl Fn(&Document) -> bool + Sync) -> Tally {
    let (send, receive) = sync_channel(WAITING);
    std::thread::scope(|scope| {
        let paths = [folder.to_owned()];
        scope.spawn(move || {
            archive::walk(&paths, |document| match send.send(document) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            })
        });
        receive
            .into_iter()
            .par_bridge()
            .map(|document| match document {
                Ok(document) if leave(&document) => Tally::default(),
                Ok(document) => compare_document(&document),
                Err(error) => failed(&error.file, &error),
            })
            .reduce(Tally::default, |mut all, one| {
                all.add(one);
                all
            })
    })
}

fn failed(place: &str, error: &dyn std::fmt::Display) -> Tally {
    let mut tally = Tally::default();
    tally.differ(place, vec![error.to_string()]);
    tally
}

fn compare_document(document: &Document) -> Tally {
    let mut tally = Tally::default();
    let tests = match Json::parse(&document.name, &document.bytes) {
        Ok(json) => fixtures::tests(&json).map(|tests| {
            for test in tests.iter().filter(|test| test.kind == Ok(Kind::State)) {
                let place = format!("{}: {}", document.name, test.name);
                if let Err(error) = compare_test(&place, test.json, &mut tally) {
                    tally.differ(&place, vec![error.to_string()]);
                }
            }
        }),
        Err(error) => Err(error),
    };
    if let Err(error) = tests {
        tally.add(failed(&document.name, &error));
    }
    tally
}

fn compare_test(place: &str, json: &Json<'_>, tally: &mut Tally) -> Result<(), Box<dyn std::error::Error>> {
    let test = StateTest::read(json)?;
    let sender = test.transaction.sender.or_else(|| test.transaction.secret_key.and_then(address_of));
    let sender = sender.ok_or("expected a sender or a valid secretKey")?;
    let view: Arc<dyn StateView> = Arc::new(StateTestView(test.pre.clone()));
    for (name, cases) in &test.post {
        let fork: Fork = name.parse()?;
        for case in cases {
            let place = format!("{place} [{fork} d{} g{} v{}]", case.data, case.gas, case.value);
            compare_case(&place, &test, fork, case, &view, sender, tally)?;
        }
    }
    Ok(())
}

fn compare_case(
    place: &str,
    test: &StateTest,
    fork: Fork,
    case: &StateTestCase,
    view: &Arc<dyn StateView>,
    sender: H160,
    tally: &mut Tally,
) -> Result<(), Box<dyn std::error::Error>> {
    let (rules, block) = test.environment(fork)?;
    let mut transaction = test.transaction.choose(case)?;
    transaction.sender = sender;
    if transaction.transaction_type != TransactionType::Legacy {
        transaction.chain_id = Some(rules.chain_id);
    }
    let available = Available { gas: block.gas_limit, blob_gas: rules.blob_schedule.max << 17 };
    let environment = Environment::new(place, rules, block, view.clone());
    let judged = Oracle::new(&environment).and_then(|mut oracle| oracle.transact(&transaction, available));
    let outcome = Machine::new(environment).transact(&transaction, available);
    if let (Ok(ours), Ok(revm)) = (&outcome, &judged)
        && has_collision(&test.pre)
        && !same(ours, revm, Exactness::Consensus)
    {
        tally.cannot_judge("a create onto an account with storage alone: revm lacks EIP-7610");
        return Ok(());
    }
    tally.compare(place, outcome, judged, Exactness::Consensus);
    Ok(())
}

/// Whether a create can meet an account that has storage and neither code nor nonce.
fn has_collision(state: &MemoryState) -> bool {
    state
        .accounts
        .values()
        .any(|account| account.info.nonce == 0 && account.info.code_hash == KECCAK_EMPTY && !account.storage.is_empty())
}
