//! Differences from an independent implementation that are known, and whose cause is shown to be there.
//!
//! Each rule names its cause and is as narrow as the cause: it looks at the case and at both results, and holds only
//! where nothing else can be behind the difference.

use super::case::Case;
use super::compare::{Exactness, same};
use super::run::Executed;
use isolane_spec::opcode::op;
use isolane_spec::{AccountDiff, AccountInfo, Fork, H160, KECCAK_EMPTY, Outcome};

/// The reason of a difference that is known.
#[must_use]
pub fn difference(backend: &str, case: &Case, left: &Executed, right: &Executed) -> Option<&'static str> {
    if backend != "revm" {
        return None;
    }
    if has_storage_alone(case) {
        return Some("a create can meet an account with storage alone, and revm lacks EIP-7610");
    }
    if touches_unpaid(case, left, right) {
        return Some(
            "revm touches a beneficiary before SELFDESTRUCT is paid for, and the touch of RIPEMD-160 outlives the frame",
        );
    }
    None
}

/// Whether revm deleted an empty account at RIPEMD-160's address that nothing but a SELFDESTRUCT without enough gas named. revm lets
/// that instruction act before it charges for it. When the frame then ends for lack of gas, all is undone but a touch of this one
/// account (EIP-161's exception); by the rules there was none. On mainnet no such account is left.
fn touches_unpaid(case: &Case, left: &Executed, right: &Executed) -> bool {
    let ripemd = H160::from_low_u64_be(3);
    let empty = AccountInfo { code_hash: KECCAK_EMPTY, ..AccountInfo::default() };
    let (Ok(left), Ok(right)) = (left, right) else { return false };
    let destroys = case.state.codes.values().any(|code| code.contains(&op::SELFDESTRUCT))
        || case.transactions.iter().any(|transaction| transaction.input.contains(&op::SELFDESTRUCT));
    let deleted =
        |change: &AccountDiff| change.address == ripemd && change.before == Some(empty) && change.after.is_none();
    if case.rules.fork < Fork::SpuriousDragon || !destroys || left.diff.iter().any(deleted) {
        return false;
    }
    let without =
        Outcome { diff: right.diff.iter().filter(|change| !deleted(change)).cloned().collect(), ..right.clone() };
    without.diff.len() < right.diff.len() && same(left, &without, Exactness::Consensus)
}

/// Whether a create can meet an account that has storage and neither code nor nonce.
fn has_storage_alone(case: &Case) -> bool {
    case.state
        .accounts
        .values()
        .any(|account| account.info.nonce == 0 && account.info.code_hash == KECCAK_EMPTY && !account.storage.is_empty())
}

#[cfg(all(test, feature = "revm"))]
mod tests {
    use super::*;
    use crate::convert::keccak;
    use crate::diff::case::batch;
    use crate::diff::oracle::Revm;
    use isolane_cpu::Reference;
    use isolane_spec::{Backend, BlockContext, Bytes, Halt, MemoryState, Rules, Status, Transaction, U256};
    use std::sync::Arc;

    /// A contract burns gas in a failing precompile, then sends its wei to RIPEMD-160 and is gone.
    fn case(fork: Fork, gas_limit: u64) -> Case {
        let account = H160::from_low_u64_be;
        let code = Bytes::from_static(&[
            op::PUSH1,
            0,
            op::PUSH1,
            0,
            op::PUSH1,
            0,
            op::PUSH1,
            0,
            op::PUSH1,
            0,
            op::PUSH1,
            9,
            op::GAS,
            op::CALL,
            op::PUSH1,
            3,
            op::SELFDESTRUCT,
        ]);
        let mut state = MemoryState::default();
        let mut put = |address: H160, balance: u64, code: &Bytes| {
            let code_hash = if code.is_empty() { KECCAK_EMPTY } else { keccak(code) };
            state.insert(address, AccountInfo { balance: balance.into(), nonce: 0, code_hash }, code.clone(), []);
        };
        put(account(3), 0, &Bytes::new());
        put(account(0x1000), 0, &code);
        put(account(0x2000), u64::MAX, &Bytes::new());
        Case {
            name: "unpaid".into(),
            rules: Rules::new(fork, 1),
            block: BlockContext { gas_limit: 30_000_000, ..BlockContext::default() },
            excess_blob_gas: 0,
            state: Arc::new(state),
            formula: false,
            transactions: vec![Transaction {
                sender: account(0x2000),
                to: Some(account(0x1000)),
                value: U256::from(2),
                gas_limit,
                ..Transaction::default()
            }],
        }
    }

    fn both(case: &Case) -> (Executed, Executed) {
        let batch = batch(std::slice::from_ref(case));
        let one = |backend: &dyn Backend| backend.execute(&batch).remove(0);
        (one(&Reference), one(&Revm))
    }

    #[test]
    fn a_touch_that_was_not_paid_for_is_known_and_nothing_else() {
        let unpaid = case(Fork::Prague, 1_000_000);
        let (left, right) = both(&unpaid);
        assert_eq!(left.as_ref().map(|outcome| outcome.status.clone()), Ok(Status::Halt(Halt::OutOfGas)));
        assert!(difference("revm", &unpaid, &left, &right).is_some(), "{left:?} {right:?}");
        assert_eq!(difference("gpu", &unpaid, &left, &right), None);
        // With anything else beside it, it is a difference.
        let mut more = left.clone();
        more.as_mut().expect("an outcome").gas_used -= 1;
        assert_eq!(difference("revm", &unpaid, &more, &right), None);
        // The other way round it would be isolane's mistake.
        assert_eq!(difference("revm", &unpaid, &right, &left), None);
        // Before accounts were cleared there is nothing to know.
        assert_eq!(difference("revm", &case(Fork::Homestead, 1_000_000), &left, &right), None);
        // With enough gas both delete the contract's beneficiary alike.
        let (left, right) = both(&case(Fork::Prague, 10_000_000));
        let outcome = left.as_ref().expect("an outcome");
        assert!(outcome.status.is_success(), "{outcome:?}");
        assert!(right.is_ok_and(|right| same(outcome, &right, Exactness::Consensus)));
    }
}
