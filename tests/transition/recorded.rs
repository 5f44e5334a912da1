//! Transactions whose outcome the reference has recorded. Where code runs, the lane's end is read off that outcome: of a
//! failure nothing but gas, steps and output, of a success the accounts before the fees.

use crate::Host;
use isolane::cpu::Available;
use isolane::spec::{AccountDiff, Environment, Fork, H160, Outcome, StateView, Status, Transaction, U256};
use isolane_gpu::transition::{self, Ended, Final, FinalSlot, Kind, Prepared, Start, Unsupported, finish, prepare};

/// How often which way through the transaction level was taken.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    pub rejected: usize,
    pub without_code: usize,
    pub failures: usize,
    pub successes: usize,
    pub unsupported: usize,
    /// What differs.
    pub differences: Vec<String>,
}

impl Ways {
    pub fn add(mut self, other: Self) -> Self {
        self.rejected += other.rejected;
        self.without_code += other.without_code;
        self.failures += other.failures;
        self.successes += other.successes;
        self.unsupported += other.unsupported;
        self.differences.extend(other.differences);
        self
    }

    pub fn assert_all_equal(&self, what: &str) {
        let Self { rejected, without_code, failures, successes, unsupported, differences } = self;
        println!(
            "{what}: {rejected} rejected, {without_code} without code, {failures} failures, {successes} successes, \
             {unsupported} for other backends"
        );
        assert!(rejected + without_code + failures + successes > 0, "{what}: nothing was compared");
        let shown: String = differences.iter().take(5).map(|text| format!("{text}\n")).collect();
        assert!(differences.is_empty(), "{what}: {} differences\n{shown}", differences.len());
    }

    /// Compares one transaction from this state.
    pub fn compare(
        &mut self,
        place: &str,
        environment: &Environment,
        state: &dyn StateView,
        transaction: &Transaction,
        available: Available,
        expected: &Outcome,
    ) {
        let available = transition::Available { gas: available.gas, blob_gas: available.blob_gas };
        let got = match prepare(environment, state, transaction, available, &Host) {
            Err(error) => return self.differences.push(format!("{place}: {error}")),
            Ok(Prepared::Unsupported(reason)) => {
                let fork = environment.rules.fork;
                if reason != Unsupported::Fork(fork) || fork < Fork::Amsterdam {
                    self.differences.push(format!("{place}: unsupported: {reason:?}"));
                }
                self.unsupported += 1;
                return;
            }
            Ok(Prepared::Done(outcome)) => {
                match outcome.status {
                    Status::Rejected(_) => self.rejected += 1,
                    _ => self.without_code += 1,
                }
                // An account without code cannot have run any.
                *outcome
            }
            Ok(Prepared::Run(start)) => {
                if expected.status.is_success() {
                    self.successes += 1;
                } else {
                    self.failures += 1;
                }
                if let Some(problem) = problem(&start, expected) {
                    return self.differences.push(format!("{place}: {problem}"));
                }
                match finish(&start, ended(&start, environment, expected), state) {
                    Ok(outcome) => outcome,
                    Err(error) => return self.differences.push(format!("{place}: {error}")),
                }
            }
        };
        if got != *expected {
            self.differences.push(format!("{place}: expected {expected:#?}, got {got:#?}"));
        }
    }
}

/// What the start says that the outcome refutes.
fn problem(start: &Start, expected: &Outcome) -> Option<String> {
    if let Status::Rejected(reason) = &expected.status {
        return Some(format!("runs, but is rejected: {reason}"));
    }
    match (start.kind, expected.created) {
        (Kind::Create, Some(address)) if address != start.target => {
            Some(format!("created {address:?}, prepared {:?}", start.target))
        }
        (Kind::Call, Some(address)) => Some(format!("a call created {address:?}")),
        (Kind::Create, None) if expected.status.is_success() => Some("a creation created nothing".to_owned()),
        (Kind::Call, _) if start.code.is_empty() => Some("a call without code".to_owned()),
        _ => None,
    }
}

const RIPEMD: H160 = H160([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);

/// The lane's end, as far as the outcome shows it.
fn ended(start: &Start, environment: &Environment, outcome: &Outcome) -> Ended {
    let gas_limit = start.gas + start.intrinsic.gas;
    let quotient = if environment.rules.fork >= Fork::London { 5 } else { 2 };
    let spent = if outcome.gas_used > start.intrinsic.floor {
        outcome.gas_used + outcome.gas_refunded
    } else {
        // The floor hides what was spent: any amount that allows the refund and stays below it is as good.
        outcome.gas_refunded * quotient
    };
    let success = outcome.status.is_success();
    let mut accounts: Vec<Final> = Vec::new();
    if success {
        accounts.extend(outcome.diff.iter().map(|change| before_fees(start, environment, outcome, gas_limit, change)));
        // What comes first in a journal is not what has the smallest address.
        accounts.reverse();
        for seed in &start.seeds {
            if !outcome.diff.iter().any(|change| change.address == seed.address) {
                // All in all nothing changed.
                let (info, exists) = (seed.before.unwrap_or_default(), seed.before.is_some());
                let nothing = Final { address: seed.address, info, exists, ..nothing() };
                accounts.push(nothing);
            }
        }
    }
    Ended {
        status: outcome.status.clone(),
        gas_left: gas_limit - spent,
        // A failure leaves the refunds of authorizations, which are not the lane's.
        refund: if success { outcome.gas_refunded as i64 } else { i64::MAX },
        output: outcome.output.clone(),
        logs: outcome.logs.clone(),
        accounts,
        ripemd_touched: outcome.diff.iter().any(|change| change.address == RIPEMD && change.after.is_none()),
        storage_asked: Vec::new(),
        steps: outcome.steps,
    }
}

fn nothing() -> Final {
    Final {
        address: H160::zero(),
        info: Default::default(),
        exists: false,
        touched: false,
        destroyed: false,
        code: None,
        slots: Vec::new(),
    }
}

fn before_fees(
    start: &Start,
    environment: &Environment,
    outcome: &Outcome,
    gas_limit: u64,
    change: &AccountDiff,
) -> Final {
    let block = &environment.block;
    let mut info = change.after.unwrap_or_default();
    let mut exists = change.after.is_some();
    let mut touched = exists;
    if exists {
        let wei = |price: U256, gas: u64| price * U256::from(gas);
        if change.address == start.sender {
            let back = wei(start.gas_price, gas_limit - outcome.gas_used);
            info.balance = info.balance.overflowing_sub(back).0;
        }
        if change.address == block.coinbase {
            let fee = wei(start.gas_price - block.base_fee, outcome.gas_used);
            info.balance = info.balance.overflowing_sub(fee).0;
            if change.before.is_none() && info.is_empty() {
                // The fee alone brought it into being.
                (exists, touched) = (false, false);
            }
        }
    }
    Final {
        address: change.address,
        info,
        exists,
        touched,
        destroyed: change.after.is_none(),
        code: change.code.clone(),
        slots: change
            .storage
            .iter()
            .rev()
            .map(|slot| FinalSlot { key: slot.key, original: slot.before, value: slot.after })
            .collect(),
    }
}
