//! Differences from an independent implementation that are known, and whose cause is shown to be there.
//!
//! Each rule names its cause and is as narrow as the cause: it looks at the case and at both results, and holds only
//! where nothing else can be behind the difference.

use super::case::Case;
use super::compare::{Exactness, same};
use super::run::Executed;
use super::trace;
use isolane_cpu::observer::{Enter, Observer, Step, StepEnd};
use isolane_spec::opcode::op;
use isolane_spec::{AccountDiff, AccountInfo, Fork, H160, Halt, KECCAK_EMPTY, Outcome, U256, word};

/// The reason of a difference that is known, in a transaction of a case, by its index.
#[must_use]
pub fn difference(
    backend: &str,
    case: &Case,
    transaction: usize,
    left: &Executed,
    right: &Executed,
) -> Option<&'static str> {
    if backend != "revm" {
        return None;
    }
    if has_storage_alone(case) {
        return Some("a create can meet an account with storage alone, and revm lacks EIP-7610");
    }
    if touches_unpaid(case, transaction, left, right) {
        return Some(
            "revm touches a beneficiary before SELFDESTRUCT is paid for, and the touch of RIPEMD-160 outlives the frame",
        );
    }
    None
}

const RIPEMD: H160 = H160([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);

/// Whether revm deleted an empty account at RIPEMD-160's address, and a SELFDESTRUCT to it was not paid for. revm lets that
/// instruction act before it charges for it. When the frame then ends for lack of gas, all is undone but a touch of this one
/// account (EIP-161's exception); by the rules there was none. On mainnet no such account is left.
fn touches_unpaid(case: &Case, transaction: usize, left: &Executed, right: &Executed) -> bool {
    let empty = AccountInfo { code_hash: KECCAK_EMPTY, ..AccountInfo::default() };
    let (Ok(left), Ok(right)) = (left, right) else { return false };
    let deleted =
        |change: &AccountDiff| change.address == RIPEMD && change.before == Some(empty) && change.after.is_none();
    if case.rules.fork < Fork::SpuriousDragon || left.diff.iter().any(deleted) || !right.diff.iter().any(deleted) {
        return false;
    }
    let without =
        Outcome { diff: right.diff.iter().filter(|change| !deleted(change)).cloned().collect(), ..right.clone() };
    if !same(left, &without, Exactness::Consensus) {
        return false;
    }
    let mut seen = Touches::default();
    let transactions = case.transactions.get(..=transaction).unwrap_or_default();
    trace::observe(&case.environment(), transactions, &mut seen).is_ok() && seen.unpaid && !seen.others
}

/// What names RIPEMD-160 in a transaction.
#[derive(Default)]
struct Touches {
    /// The last instruction is a SELFDESTRUCT to it.
    pending: bool,
    /// A SELFDESTRUCT to it ran out of gas.
    unpaid: bool,
    /// Anything else touched it, or would have: what that comes to has to be the same everywhere.
    others: bool,
}

impl Observer for Touches {
    fn step(&mut self, step: &Step<'_>) {
        let to_it = |top: U256| word::to_address(&top) == RIPEMD;
        self.pending = step.opcode == op::SELFDESTRUCT && step.stack.last().is_some_and(to_it);
    }
    fn step_end(&mut self, end: &StepEnd) {
        self.unpaid |= self.pending && end.halt == Some(Halt::OutOfGas);
    }
    fn enter(&mut self, enter: &Enter<'_>) {
        self.others |= enter.to == RIPEMD;
    }
    fn selfdestruct(&mut self, _contract: H160, beneficiary: H160, _balance: U256) {
        self.others |= beneficiary == RIPEMD;
    }
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
            setting: crate::diff::case::Setting::default(),
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
        let known = |backend, case: &Case, left, right| difference(backend, case, 0, left, right).is_some();
        assert_eq!(left.as_ref().map(|outcome| outcome.status.clone()), Ok(Status::Halt(Halt::OutOfGas)));
        assert!(known("revm", &unpaid, &left, &right), "{left:?} {right:?}");
        assert!(!known("gpu", &unpaid, &left, &right));
        // With anything else beside it, it is a difference.
        let mut more = left.clone();
        more.as_mut().expect("an outcome").gas_used -= 1;
        assert!(!known("revm", &unpaid, &more, &right));
        // The other way round it would be isolane's mistake.
        assert!(!known("revm", &unpaid, &right, &left));
        // Before accounts were cleared there is nothing to know.
        assert!(!known("revm", &case(Fork::Homestead, 1_000_000), &left, &right));
        // With enough gas both delete the contract's beneficiary alike.
        let paid = case(Fork::Prague, 10_000_000);
        let both_delete = both(&paid);
        let outcome = both_delete.0.as_ref().expect("an outcome");
        assert!(outcome.status.is_success(), "{outcome:?}");
        assert!(both_delete.1.is_ok_and(|right| same(outcome, &right, Exactness::Consensus)));
        // So whoever left the account there would be wrong, though revm deletes it.
        assert!(!known("revm", &paid, &left, &right));
    }

    #[test]
    fn a_call_that_was_undone_has_to_touch_it_everywhere() {
        // The contract calls RIPEMD-160, then destroys itself in its favour without the gas for it.
        let mut called = case(Fork::Prague, 1_000_000);
        let mut state = MemoryState::clone(&called.state);
        let address = H160::from_low_u64_be(0x1000);
        let mut code = vec![op::PUSH1, 0, op::PUSH1, 0, op::PUSH1, 0, op::PUSH1, 0, op::PUSH1, 0, op::PUSH1, 3];
        code.extend([op::PUSH1 + 1, 0xff, 0xff, op::CALL, op::POP]);
        code.extend(state.codes.get(&state.accounts[&address].info.code_hash).expect("its code").iter());
        let info = AccountInfo { code_hash: keccak(&code), ..AccountInfo::default() };
        state.insert(address, info, Bytes::from(code), []);
        called.state = Arc::new(state);
        let (left, right) = both(&called);
        let (outcome, other) = (left.as_ref().expect("an outcome"), right.as_ref().expect("an outcome"));
        assert_eq!(outcome.status, Status::Halt(Halt::OutOfGas));
        assert!(same(outcome, other, Exactness::Consensus), "both delete it: {outcome:?} {other:?}");
        // A reference that forgot the touch would be found.
        let mut forgot = left.clone();
        forgot.as_mut().expect("an outcome").diff.retain(|change| change.address != RIPEMD);
        assert_ne!(forgot, left);
        assert_eq!(difference("revm", &called, 0, &forgot, &right), None);
    }
}
