//! What a call would need: gas, and an access list.

use super::call::{Call, CallOutcome, Want};
use super::error::ExecutorError;
use super::inner::Executor;
use super::run::lost;
use super::snapshot::Snapshot;
use isolane_spec::{AccessListItem, H160, Halt, Status, U256};
use std::collections::{BTreeMap, BTreeSet};

/// How much of the estimate the search may be too high, as in geth.
const ERROR_RATIO: f64 = 0.015;
/// Gas of a call to an account without code.
const TRANSFER: u64 = 21_000;
/// The stipend of a call that sends value: geth adds it before it makes room for the 64th that calls keep back (EIP-150).
const CALL_STIPEND: u64 = 2_300;
/// Rounds of an access list. Each adds something, or is the last.
const LIST_ROUNDS: usize = 64;

/// An access list and what the call costs with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedAccessList {
    /// The list.
    pub access_list: Vec<AccessListItem>,
    /// What became of the call with that list.
    pub outcome: CallOutcome,
}

impl Executor {
    /// The least gas limit with which a call succeeds, as geth searches for it: `eth_estimateGas`.
    ///
    /// The call runs with all the gas that it may have: its own limit or the gas cap, and no more than its sender can pay for at its price.
    /// It must succeed then. A plain transfer is 21,000. Else the least limit is searched between the gas that this run used, less one, and
    /// what it had, first at the gas used before refunds with a 64th more and a stipend, then at twice the lower bound where the
    /// middle is above that, then in the middle; until the bounds are closer than 1.5% of the upper one, which is the estimate.
    ///
    /// # Errors
    /// When the call fails with all the gas it may have ([`ExecutorError::NoEstimate`]), or the source fails.
    pub fn estimate_gas(&self, snapshot: &Snapshot, call: &Call) -> Result<u64, ExecutorError> {
        let mut call = call.clone();
        let mut high = call.gas.filter(|gas| *gas >= TRANSFER).unwrap_or(self.gas_cap()).min(self.gas_cap());
        let price = call.max_fee_per_gas.unwrap_or_default();
        if !price.is_zero() {
            let balance = self.balance(snapshot, call.from)?;
            let Some(left) = balance.checked_sub(call.value) else {
                return Err(refused(&self.attempt(snapshot, &mut call, high)?));
            };
            let affordable = left / price;
            if affordable < U256::from(high) {
                high = affordable.low_u64();
            }
        }
        if call.input.is_empty()
            && call.to.is_some()
            && call.access_list.is_empty()
            && call.authorization_list.is_empty()
            && call.blob_versioned_hashes.is_empty()
            && high >= TRANSFER
            && self.attempt(snapshot, &mut call, TRANSFER)?.is_success()
        {
            return Ok(TRANSFER);
        }
        let most = self.attempt(snapshot, &mut call, high)?;
        if !most.is_success() {
            return Err(refused(&most));
        }
        let mut low = most.gas_used.saturating_sub(1);
        let optimistic = (most.gas_used + most.gas_refunded + CALL_STIPEND).saturating_mul(64) / 63;
        if optimistic < high {
            if self.suffices(snapshot, &mut call, optimistic)? {
                high = optimistic;
            } else {
                low = optimistic;
            }
        }
        while low + 1 < high {
            if (high - low) as f64 / (high as f64) < ERROR_RATIO {
                break;
            }
            // Most calls need little more than they use.
            let middle = (low + (high - low) / 2).min(low.saturating_mul(2));
            if self.suffices(snapshot, &mut call, middle)? {
                high = middle;
            } else {
                low = middle;
            }
        }
        Ok(high)
    }

    /// The access list with which a call costs least: `eth_createAccessList`. With the list the call may take another way, so
    /// that it is made again with what it then accesses, until nothing is new.
    ///
    /// # Errors
    /// When the source fails.
    pub fn create_access_list(
        &self,
        snapshot: &Snapshot,
        call: &Call,
        want: Want,
    ) -> Result<CreatedAccessList, ExecutorError> {
        let mut call = call.clone();
        for _ in 0..LIST_ROUNDS {
            let outcome = self.one(snapshot, &call, want | Want::ACCESS_LIST)?;
            let merged = merge(&call.access_list, outcome.access_list());
            if merged == merge(&call.access_list, &[]) {
                return Ok(CreatedAccessList { access_list: call.access_list, outcome });
            }
            call.access_list = merged;
        }
        Err(ExecutorError::TooManyRounds { rounds: LIST_ROUNDS })
    }

    fn one(&self, snapshot: &Snapshot, call: &Call, want: Want) -> Result<CallOutcome, ExecutorError> {
        self.run(snapshot, std::slice::from_ref(call), want).pop().unwrap_or_else(|| Err(lost()))
    }

    fn attempt(&self, snapshot: &Snapshot, call: &mut Call, gas: u64) -> Result<CallOutcome, ExecutorError> {
        call.gas = Some(gas);
        self.one(snapshot, call, Want::OUTPUT)
    }

    /// Whether a call succeeds with so much gas. Where it fails for another reason than gas, it does so here as well.
    fn suffices(&self, snapshot: &Snapshot, call: &mut Call, gas: u64) -> Result<bool, ExecutorError> {
        self.attempt(snapshot, call, gas).map(|outcome| outcome.is_success())
    }

    /// What an account has.
    ///
    /// # Errors
    /// When the source fails.
    pub fn balance(&self, snapshot: &Snapshot, address: H160) -> Result<U256, ExecutorError> {
        self.account(snapshot, address).map(|account| account.map_or_else(U256::zero, |account| account.balance))
    }
}

fn refused(outcome: &CallOutcome) -> ExecutorError {
    let status = match (&outcome.status, outcome.revert_reason()) {
        (_, Some(reason)) => reason.to_string(),
        (Status::Halt(Halt::OutOfGas), _) => "out of gas".to_owned(),
        (status, _) => status.to_string(),
    };
    ExecutorError::NoEstimate { status, output: outcome.output.clone() }
}

/// Both lists as one, sorted, each account and slot once.
fn merge(one: &[AccessListItem], other: &[AccessListItem]) -> Vec<AccessListItem> {
    let mut all: BTreeMap<H160, BTreeSet<U256>> = BTreeMap::new();
    for item in one.iter().chain(other) {
        all.entry(item.address).or_default().extend(item.storage_keys.iter().copied());
    }
    let item =
        |(address, keys): (H160, BTreeSet<U256>)| AccessListItem { address, storage_keys: keys.into_iter().collect() };
    all.into_iter().map(item).collect()
}
