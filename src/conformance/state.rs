//! State tests.

use super::batch::Pending;
use super::runner::Place;
use super::{Difference, Differences, Verdict, is_expected};
use crate::block::{
    BlockObserver as _, Bloom, GAS_PER_BLOB, PostTransaction, Receipt, logs_hash, transaction_exception_names,
};
use crate::convert::{from_address, keccak, to_address, to_word};
use crate::load::fixtures::state_test::{StateTest, StateTestCase, StateTestView};
use crate::load::fixtures::{ExpectedReceipt, Test};
use crate::load::json::JsonError;
use crate::load::transaction::{SignedTransaction, decode_transaction};
use crate::trace::Tracing;
use crate::trie::state_root;
use alloy_eips::eip7702::{self, SignedAuthorization};
use alloy_primitives::BloomInput;
use isolane_cpu::with_machine;
use isolane_cpu::{Available, Machine};
use isolane_spec::{
    Authorization, Bytes, Environment, ExecutionError, Fork, H160, H256, Log, MemoryAccount, MemoryState, Outcome,
    StateView, Status, Transaction, TransactionType,
};
use rayon::prelude::*;
use secp256k1::{PublicKey, SECP256K1, SecretKey};
use std::sync::Arc;

pub(super) fn run(test: &Test<'_, '_>, place: Place<'_>) {
    let read = match StateTest::read(test.json) {
        Ok(read) => read,
        Err(error) => return place.malformed(&test.name, &error),
    };
    let view: Arc<dyn StateView> = Arc::new(StateTestView(read.pre.clone()));
    let sender = sender(&read);
    let cases: Vec<_> = read.post.iter().flat_map(|(fork, cases)| cases.iter().map(move |case| (fork, case))).collect();
    if cases.is_empty() {
        return place.malformed(&test.name, &JsonError::new("at least one case", "none").at("post"));
    }
    if place.is_batched() {
        return deferred(test, place, read, &view, &sender);
    }
    cases.into_par_iter().for_each(|(fork, case)| {
        let name = format!("{} [{fork} d{} g{} v{}]", test.name, case.data, case.gas, case.value);
        place.case(&name, fork, || {
            let at = |error: JsonError| Verdict::Malformed(error.at(&test.name));
            match (fork.parse::<Fork>(), &sender) {
                (Err(error), _) => at(JsonError::new("a fork", error.to_string()).at("post")),
                (_, Err(error)) => at(error.clone()),
                (Ok(fork), Ok(sender)) => {
                    run_case(&name, &read, fork, case, &view, *sender, place.tracing()).unwrap_or_else(at)
                }
            }
        });
    });
}

/// Hands all cases to the batches of the run.
fn deferred(
    test: &Test<'_, '_>,
    place: Place<'_>,
    read: StateTest,
    view: &Arc<dyn StateView>,
    sender: &Result<H160, JsonError>,
) {
    let read = Arc::new(read);
    for (fork, cases) in &read.post {
        for case in cases {
            let name = format!("{} [{fork} d{} g{} v{}]", test.name, case.data, case.gas, case.value);
            place.deferred(&name, fork, || {
                let at = |error: JsonError| Verdict::Malformed(error.at(&test.name));
                let fork: Fork =
                    fork.parse().map_err(|error| at(JsonError::new("a fork", format!("{error}")).at("post")))?;
                let sender = sender.clone().map_err(at)?;
                let prepared = prepare_case(&name, &read, fork, case, view, sender).map_err(at)?;
                let (read, case) = (Arc::clone(&read), case.clone());
                let PreparedCase { environment, transaction, differences, refused } = prepared;
                let judged = transaction.clone();
                Ok(Pending {
                    environment,
                    transaction,
                    judge: Box::new(move |outcome| {
                        judge_case(&read, fork, &case, &judged, differences, refused, outcome)
                    }),
                })
            });
        }
    }
}

/// The address of a secret key; `None` where it is zero or not below the curve's order.
pub fn address_of(secret_key: H256) -> Option<H160> {
    let key = SecretKey::from_byte_array(secret_key.0).ok()?;
    let public = PublicKey::from_secret_key(SECP256K1, &key).serialize_uncompressed();
    let hash = keccak(public.get(1..)?);
    Some(H160::from_slice(hash.0.get(12..)?))
}

/// The sender that the fixture names, which must be the one that its key belongs to.
fn sender(test: &StateTest) -> Result<H160, JsonError> {
    let missing = || JsonError::new("field \"sender\" or a valid \"secretKey\"", "neither").at("transaction");
    let from_key = test.transaction.secret_key.and_then(address_of);
    match (test.transaction.sender, from_key) {
        (Some(given), Some(derived)) if given != derived => {
            Err(JsonError::new(format!("the address of secretKey, {derived:?}"), format!("{given:?}")).at("sender"))
        }
        (given, derived) => given.or(derived).ok_or_else(missing),
    }
}

fn run_case(
    name: &str,
    test: &StateTest,
    fork: Fork,
    case: &StateTestCase,
    view: &Arc<dyn StateView>,
    sender: H160,
    tracing: Option<&Tracing>,
) -> Result<Verdict, JsonError> {
    let PreparedCase { environment, transaction, differences, refused } =
        prepare_case(name, test, fork, case, view, sender)?;
    let available =
        Available { gas: environment.block.gas_limit, blob_gas: environment.rules.blob_schedule.max * GAS_PER_BLOB };
    let outcome = with_machine(environment, |machine| match tracing {
        Some(tracing) => traced(machine, test, &transaction, available, tracing),
        None => machine.transact(&transaction, available),
    });
    Ok(judge_case(test, fork, case, &transaction, differences, refused, outcome))
}

/// A case before its transaction runs.
struct PreparedCase {
    environment: Environment,
    transaction: Transaction,
    differences: Differences,
    refused: Option<Refusal>,
}

fn prepare_case(
    name: &str,
    test: &StateTest,
    fork: Fork,
    case: &StateTestCase,
    view: &Arc<dyn StateView>,
    sender: H160,
) -> Result<PreparedCase, JsonError> {
    let (rules, block) = test.environment(fork)?;
    let mut transaction = test.transaction.choose(case)?;
    transaction.sender = sender;
    if transaction.transaction_type != TransactionType::Legacy {
        transaction.chain_id = Some(rules.chain_id);
    }
    let mut differences = Differences::default();
    let mut refused = None;
    if let Some(bytes) = &case.txbytes {
        match decode_transaction(bytes) {
            Ok(signed) => match check_signed(&signed, &mut transaction, fork, case, &mut differences) {
                Ok(()) => {}
                Err((names, problem)) => refused = Some((names, problem)),
            },
            Err(error) => refused = Some((error.exception_names(), error.to_string())),
        }
    }
    check_authorities(test, &mut differences);

    let environment = Environment::new(name, rules, block, view.clone());
    Ok(PreparedCase { environment, transaction, differences, refused })
}

/// Judges what came of the transaction.
fn judge_case(
    test: &StateTest,
    fork: Fork,
    case: &StateTestCase,
    transaction: &Transaction,
    mut differences: Differences,
    refused: Option<Refusal>,
    outcome: Result<Outcome, ExecutionError>,
) -> Verdict {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => return Verdict::Failed(vec![Difference::new("execution", "an outcome", error)]),
    };
    let reason = match (&outcome.status, refused) {
        (Status::Rejected(reason), _) => Some((transaction_exception_names(reason), reason.to_string())),
        (_, refused) => refused,
    };
    let outcome = if reason.is_some() { Outcome { diff: Vec::new(), logs: Vec::new(), ..outcome } } else { outcome };
    match (&case.expect_exception, &reason) {
        (None, None) => {}
        (None, Some((_, problem))) => differences.push("status", "execution", format!("rejected: {problem}")),
        (Some(expected), None) => differences.push("status", format!("rejected: {expected}"), &outcome.status),
        (Some(expected), Some((names, _))) if is_expected(expected, names) => {}
        (Some(expected), Some((_, problem))) => differences.push("exception", expected, problem),
    }
    check_post(test, case, &outcome, &mut differences);
    if let Some(receipt) = &case.receipt {
        check_receipt(receipt, transaction, &outcome, fork, case, &mut differences);
    }
    differences.verdict()
}

/// Executes and traces, with the state root after the transaction.
fn traced(
    machine: &mut Machine,
    test: &StateTest,
    transaction: &Transaction,
    available: Available,
    tracing: &Tracing,
) -> Result<Outcome, ExecutionError> {
    let environment = machine.environment().clone();
    let mut trace = tracing.block(environment.id.to_string(), &environment, Vec::new());
    let Some(observer) = trace.transaction(0) else { return machine.transact(transaction, available) };
    let outcome = machine.transact_observed(transaction, available, observer)?;
    let mut post = test.pre.as_ref().clone();
    post.apply(&outcome.diff);
    trace.end(Some(state_root(&post)));
    Ok(outcome)
}

type Refusal = (&'static [&'static str], String);

/// Compares the signed bytes with the fields, and takes from them what only they say: the chain id of the signature.
fn check_signed(
    signed: &SignedTransaction,
    transaction: &mut Transaction,
    fork: Fork,
    case: &StateTestCase,
    differences: &mut Differences,
) -> Result<(), Refusal> {
    transaction.chain_id = signed.transaction.chain_id;
    let sender = signed.recover_sender(fork).map_err(|error| (error.exception_names(), error.to_string()))?;
    differences.check("sender of txbytes", transaction.sender, sender);
    let decoded = Transaction { sender, ..signed.transaction.clone() };
    if decoded.sender == transaction.sender && decoded != *transaction {
        differences.push("txbytes", format!("{transaction:?}"), format!("{decoded:?}"));
    }
    if let Some(receipt) = &case.receipt {
        differences.check("receipt.transactionHash", receipt.transaction_hash, signed.hash);
    }
    Ok(())
}

/// The signers that the fixture names for its authorizations.
fn check_authorities(test: &StateTest, differences: &mut Differences) {
    let authorizations = test.transaction.authorizations.iter().flatten();
    for (index, item) in authorizations.enumerate() {
        let Some(signer) = item.signer else { continue };
        let got = authority(&item.authorization);
        if got.is_some_and(|got| got != signer) {
            differences.push(format!("authorizationList[{index}].signer"), format!("{signer:?}"), format!("{got:?}"));
        }
    }
}

/// Who signed an authorization (EIP-7702).
fn authority(authorization: &Authorization) -> Option<H160> {
    let unsigned = eip7702::Authorization {
        chain_id: to_word(authorization.chain_id),
        address: to_address(authorization.address),
        nonce: authorization.nonce,
    };
    let y_parity = u8::try_from(authorization.y_parity).ok()?;
    let signed =
        SignedAuthorization::new_unchecked(unsigned, y_parity, to_word(authorization.r), to_word(authorization.s));
    signed.recover_authority().ok().map(from_address)
}

fn check_post(test: &StateTest, case: &StateTestCase, outcome: &Outcome, differences: &mut Differences) {
    let mut post;
    let post = if outcome.diff.is_empty() {
        test.pre.as_ref()
    } else {
        post = test.pre.as_ref().clone();
        post.apply(&outcome.diff);
        &post
    };
    differences.check("logs", case.logs, logs_hash(&outcome.logs));
    let before = differences.0.len();
    differences.check("state root", case.hash, state_root(post));
    if let Some(expected) = &case.state {
        compare_states(expected, post, differences);
    }
    if differences.0.len() > before {
        differences.push("(how it ended)", "-", format!("{}, gas used {}", outcome.status, outcome.gas_used));
    }
}

/// The most accounts and slots that a report lists.
const LISTED: usize = 12;

/// Compares two states account by account and slot by slot.
pub(super) fn compare_states(expected: &MemoryState, got: &MemoryState, differences: &mut Differences) {
    let mut found = Vec::new();
    let mut addresses: Vec<_> = expected.accounts.keys().chain(got.accounts.keys()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    for address in addresses {
        let (expected, got) = match (expected.accounts.get(address), got.accounts.get(address)) {
            (Some(expected), Some(got)) if expected == got => continue,
            (Some(expected), Some(got)) => (expected, got),
            (expected, got) => {
                let show = |there: bool| if there { "an account" } else { "none" };
                found.push(Difference::new(format!("{address:?}"), show(expected.is_some()), show(got.is_some())));
                continue;
            }
        };
        let mut field = |name: &str, expected: String, got: String| {
            if expected != got {
                found.push(Difference::new(format!("{address:?} {name}"), expected, got));
            }
        };
        field("nonce", expected.info.nonce.to_string(), got.info.nonce.to_string());
        field("balance", expected.info.balance.to_string(), got.info.balance.to_string());
        field("code hash", format!("{:?}", expected.info.code_hash), format!("{:?}", got.info.code_hash));
        let mut keys: Vec<_> = expected.storage.keys().chain(got.storage.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let value =
                |account: &MemoryAccount| format!("{:#x}", account.storage.get(key).copied().unwrap_or_default());
            field(&format!("slot {key:#x}"), value(expected), value(got));
        }
    }
    let more = found.len().saturating_sub(LISTED);
    differences.0.extend(found.into_iter().take(LISTED));
    if more > 0 {
        differences.push("state", "no difference", format!("{more} more differences"));
    }
}

fn check_receipt(
    expected: &ExpectedReceipt,
    transaction: &Transaction,
    outcome: &Outcome,
    fork: Fork,
    case: &StateTestCase,
    differences: &mut Differences,
) {
    let post = if fork >= Fork::Byzantium {
        PostTransaction::Success(outcome.status.is_success())
    } else {
        PostTransaction::Root(Some(case.hash))
    };
    let receipt = Receipt {
        transaction_type: transaction.transaction_type,
        post,
        cumulative_gas_used: outcome.gas_used,
        bloom: bloom(&outcome.logs),
    };
    compare_receipt("receipt", expected, &receipt, &outcome.logs, differences);
}

fn bloom(logs: &[Log]) -> Bloom {
    let mut bloom = alloy_primitives::Bloom::ZERO;
    for log in logs {
        bloom.accrue(BloomInput::Raw(log.address.as_bytes()));
        for topic in &log.topics {
            bloom.accrue(BloomInput::Raw(topic.as_bytes()));
        }
    }
    Bloom(bloom.0.0)
}

/// Compares a receipt field by field and as bytes.
pub(super) fn compare_receipt(
    name: &str,
    expected: &ExpectedReceipt,
    got: &Receipt,
    logs: &[Log],
    differences: &mut Differences,
) {
    let mut encoded = Vec::new();
    got.encode(logs, &mut encoded);
    let (status, post_state) = match got.post {
        PostTransaction::Success(success) => (Some(success), None),
        PostTransaction::Root(root) => (None, root.map(|root| Bytes::copy_from_slice(root.as_bytes()))),
    };
    let at = |field: &str| format!("{name}.{field}");
    differences.check(&at("type"), expected.transaction_type, got.transaction_type as u64);
    differences.check(&at("status"), expected.status, status);
    if expected.post_state.is_some() {
        differences.check(&at("postState"), expected.post_state.clone(), post_state);
    }
    differences.check(&at("cumulativeGasUsed"), expected.cumulative_gas_used, got.cumulative_gas_used);
    differences.check(&at("logs"), expected.logs.as_slice(), logs);
    if expected.bloom.as_ref() != got.bloom.0.as_slice() {
        differences.push(at("bloom"), hex::encode(&expected.bloom), hex::encode(got.bloom.0));
    }
    if expected.rlp.as_ref() != encoded.as_slice() {
        differences.push(at("rlp"), hex::encode(&expected.rlp), hex::encode(&encoded));
    }
}
