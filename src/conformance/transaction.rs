//! Transaction tests: bytes to a transaction, its signature, and the rules that need no state.

use super::runner::Place;
use super::{Differences, Verdict, is_expected};
use crate::block::{GAS_PER_BLOB, transaction_exception_names};
use crate::load::fixtures::Test;
use crate::load::fixtures::transaction_test::{TransactionTest, TransactionTestResult};
use crate::load::json::JsonError;
use crate::load::transaction::{RlpError, RlpProblem, TransactionDecodeError, decode_transaction};
use isolane_cpu::Available;
use isolane_cpu::with_machine;
use isolane_spec::{
    AccountInfo, BlockContext, Bytes, Environment, Fork, H256, InvalidTransaction, MemoryState, Rules, Status,
    Transaction, TransactionType, U256,
};
use std::sync::Arc;

/// Transaction tests are for mainnet.
const CHAIN_ID: u64 = 1;

pub(super) fn run(test: &Test<'_, '_>, place: Place<'_>) {
    let read = match TransactionTest::read(test.json) {
        Ok(read) => read,
        Err(error) => return place.malformed(&test.name, &error),
    };
    for (fork, result) in &read.results {
        place.case(&format!("{} [{fork}]", test.name), fork, || match fork.parse::<Fork>() {
            Err(error) => Verdict::Malformed(JsonError::new("a fork", error.to_string()).at("result").at(&test.name)),
            Ok(fork) => run_case(&read.txbytes, fork, result),
        });
    }
}

struct Valid {
    hash: H256,
    transaction: Transaction,
    intrinsic_gas: u64,
}

type Refusal = (Vec<&'static str>, String);

fn run_case(bytes: &Bytes, fork: Fork, expected: &TransactionTestResult) -> Verdict {
    let mut differences = Differences::default();
    match (&expected.verdict, check(bytes, fork)) {
        (Ok(expected_transaction), Ok(valid)) => {
            differences.check("hash", expected_transaction.hash, valid.hash);
            differences.check("sender", expected_transaction.sender, valid.transaction.sender);
            differences.check("intrinsicGas", expected.intrinsic_gas, valid.intrinsic_gas);
        }
        (Ok(_), Err((_, problem))) => differences.push("result", "a valid transaction", problem),
        (Err(exception), Ok(_)) => differences.push("result", exception, "a valid transaction"),
        (Err(exception), Err((names, problem))) if !is_expected(exception, &names) => {
            differences.push("exception", exception, problem);
        }
        (Err(_), Err(_)) => {}
    }
    differences.verdict()
}

fn check(bytes: &Bytes, fork: Fork) -> Result<Valid, Refusal> {
    let unsupported = unsupported_type(bytes, fork);
    let signed = decode_transaction(bytes).map_err(|error| {
        // Bytes can be malformed and of a type that does not exist yet; fixtures may mean either.
        let mut names = decode_names(&error, bytes);
        names.extend(unsupported.iter().flat_map(transaction_exception_names));
        (names, error.to_string())
    })?;
    if let Some(reason) = unsupported {
        return Err((transaction_exception_names(&reason).to_vec(), reason.to_string()));
    }
    let sender = signed.recover_sender(fork).map_err(|error| {
        let mut names = error.exception_names().to_vec();
        if signed.transaction.chain_id.is_some_and(|chain_id| chain_id != CHAIN_ID) {
            names.push("TransactionException.INVALID_CHAINID");
        }
        (names, error.to_string())
    })?;
    let transaction = Transaction { sender, ..signed.transaction.clone() };
    match transact(&transaction, fork) {
        Some(reason) => Err((transaction_exception_names(&reason).to_vec(), reason.to_string())),
        None => Ok(Valid { hash: signed.hash, intrinsic_gas: intrinsic_gas(&transaction, fork), transaction }),
    }
}

/// An envelope type that the fork does not have.
fn unsupported_type(bytes: &Bytes, fork: Fork) -> Option<InvalidTransaction> {
    let (kind, since) = match bytes.first()? {
        1 => (TransactionType::AccessList, Fork::Berlin),
        2 => (TransactionType::DynamicFee, Fork::London),
        3 => (TransactionType::Blob, Fork::Cancun),
        4 => (TransactionType::SetCode, Fork::Prague),
        _ => return None,
    };
    (fork < since).then_some(InvalidTransaction::UnsupportedType(kind))
}

/// The names of transaction tests, which say more of malformed bytes than those of blocks do: the field, and what is
/// wrong with it.
fn decode_names(error: &TransactionDecodeError, bytes: &Bytes) -> Vec<&'static str> {
    let mut names = error.exception_names().to_vec();
    let precise = match error {
        // A string where the list of the fields belongs: whole, or cut off.
        TransactionDecodeError::UnknownType(0x80..) => match alloy_rlp::Header::decode(&mut bytes.as_ref()) {
            Err(alloy_rlp::Error::InputTooShort) => "TransactionException.RLP_ERROR_EOF",
            _ => "TransactionException.RLP_INVALID_HEADER",
        },
        TransactionDecodeError::TrailingBytes { .. } => "TransactionException.RLP_ERROR_SIZE",
        TransactionDecodeError::InvalidV(_) => "TransactionException.INVALID_CHAINID",
        TransactionDecodeError::Rlp(error) => field_name(error),
        _ => return names,
    };
    names.push(precise);
    names
}

fn field_name(error: &RlpError) -> &'static str {
    use RlpProblem as P;
    match (error.field, &error.problem) {
        ("transaction", P::Malformed(alloy_rlp::Error::LeadingZero)) => {
            "TransactionException.RLP_ERROR_SIZE_LEADING_ZEROS"
        }
        ("transaction", P::TooManyItems { .. }) => "TransactionException.RLP_TOO_MANY_ELEMENTS",
        (_, P::Malformed(alloy_rlp::Error::InputTooShort)) => "TransactionException.RLP_ERROR_SIZE",
        ("nonce", P::LeadingZero) => "TransactionException.RLP_LEADING_ZEROS_NONCE",
        ("nonce", P::Malformed(_)) => "TransactionException.RLP_LEADING_ZEROS_NONCE_SIZE",
        ("nonce", P::NotAString) => "TransactionException.RLP_INVALID_NONCE",
        ("nonce", P::TooLarge { .. }) => "TransactionException.NONCE_TOO_BIG",
        ("gasPrice", P::LeadingZero) => "TransactionException.RLP_LEADING_ZEROS_GASPRICE",
        ("maxFeePerGas", P::LeadingZero) => "TransactionException.RLP_LEADING_ZEROS_BASEFEE",
        ("maxPriorityFeePerGas", P::LeadingZero) => "TransactionException.RLP_LEADING_ZEROS_PRIORITY_FEE",
        ("gasPrice" | "maxFeePerGas", P::TooLarge { .. }) => "TransactionException.GASPRICE_OVERFLOW",
        ("gas", P::LeadingZero) => "TransactionException.RLP_LEADING_ZEROS_GASLIMIT",
        ("gas", P::NotAString) => "TransactionException.RLP_INVALID_GASLIMIT",
        ("gas", P::TooLarge { .. }) => "TransactionException.GASLIMIT_OVERFLOW",
        ("to", P::Length { got: ..20, .. }) => "TransactionException.ADDRESS_TOO_SHORT",
        ("to", P::Length { .. }) => "TransactionException.ADDRESS_TOO_LONG",
        ("to", P::NotAString) => "TransactionException.RLP_INVALID_TO",
        ("input", P::NotAString) => "TransactionException.RLP_INVALID_DATA",
        ("accessList.address", P::Length { got: 20.., .. }) => {
            "TransactionException.RLP_INVALID_ACCESS_LIST_ADDRESS_TOO_LONG"
        }
        ("accessList.storageKeys", P::Length { got: 32.., .. }) => {
            "TransactionException.RLP_INVALID_ACCESS_LIST_STORAGE_TOO_LONG"
        }
        ("v", P::LeadingZero) => "TransactionException.RLP_LEADING_ZEROS_V",
        ("r", P::LeadingZero) => "TransactionException.RLP_LEADING_ZEROS_R",
        ("r", P::NotAString) => "TransactionException.RLP_INVALID_SIGNATURE_R",
        ("s", P::LeadingZero) => "TransactionException.RLP_LEADING_ZEROS_S",
        ("v" | "r" | "s", P::TooLarge { .. }) => "TransactionException.INVALID_SIGNATURE_VRS",
        _ => "TransactionException.RLP_INVALID",
    }
}

/// Runs the transaction where every rule that depends on state holds: the sender can pay, its nonce fits, the block has
/// room and no base fee.
fn transact(transaction: &Transaction, fork: Fork) -> Option<InvalidTransaction> {
    let mut state = MemoryState::default();
    let info = AccountInfo { nonce: transaction.nonce, balance: U256::MAX, ..AccountInfo::default() };
    state.insert(transaction.sender, info, Bytes::new(), []);
    let rules = Rules::new(fork, CHAIN_ID);
    let block = BlockContext { gas_limit: u64::MAX, blob_base_fee: U256::one(), ..BlockContext::default() };
    let available = Available { gas: u64::MAX, blob_gas: rules.blob_schedule.max * GAS_PER_BLOB };
    let environment = Environment::new("transaction test", rules, block, Arc::new(state));
    // Only the validation is of interest: with no gas beyond the intrinsic, nothing runs for long.
    match with_machine(environment, |machine| machine.transact(transaction, available)) {
        Ok(outcome) => match outcome.status {
            Status::Rejected(reason) => Some(reason),
            _ => None,
        },
        Err(_) => None,
    }
}

/// The intrinsic gas is what a transaction without any gas is told to be short of.
fn intrinsic_gas(transaction: &Transaction, fork: Fork) -> u64 {
    match transact(&Transaction { gas_limit: 0, ..transaction.clone() }, fork) {
        Some(InvalidTransaction::IntrinsicGasTooLow { required, .. }) => required,
        _ => 0,
    }
}
