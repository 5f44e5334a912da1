//! `eth_estimateGas` and `eth_createAccessList`.

use super::calls::{self, Sent};
use super::jsonrpc::Failure;
use super::sequence::{Sequence, Stop};
use crate::executor::Call;
use crate::trace::AccessList;
use isolane_spec::{AccessListItem, Halt, Outcome, Status, U256, word};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How much of an estimate the search may be too high, in thousandths: as in geth.
const ERROR_RATIO: u64 = 15;
/// The gas of a plain transfer.
const TRANSFER: u64 = 21_000;
/// What a call with value gets on top, which the caller has to have before.
const STIPEND: u64 = 2_300;
/// Rounds of an access list; each adds something, or is the last.
const ROUNDS: usize = 64;

/// A gas limit with which a call succeeds: the least one, or one that is at most 1.5% above it.
///
/// # Errors
/// When it fails with all the gas that it may have.
pub fn gas(sequence: &mut Sequence<'_>, mut call: Call) -> Result<u64, Stop> {
    let mut high = call.gas.filter(|gas| *gas >= TRANSFER).unwrap_or(u64::MAX).min(sequence.gas_cap());
    let price = call.max_fee_per_gas.unwrap_or_default();
    if !price.is_zero() {
        let account = sequence.state().account(&call.from);
        let account = account.map_err(|error| Failure::server(format!("state not available: {error}")))?;
        let balance = account.unwrap_or_default().balance;
        let Some(left) = balance.checked_sub(call.value) else {
            return Err(Stop::Failed(Failure::server("insufficient funds for transfer")));
        };
        let affordable = left / price;
        if affordable < U256::from(high) {
            high = affordable.low_u64();
        }
    }
    let mut run = |sequence: &mut Sequence<'_>, gas: u64| {
        call.gas = Some(gas);
        sequence.look(&call, None).map(|outcome| (outcome, Sent { from: call.from, gas }))
    };
    let (first, sent) = run(sequence, high)?;
    if let Some(failure) = calls::failure(&first.status, &first.output, &sent) {
        return Err(Stop::Failed(refused(&first, failure, high)));
    }
    // Before refunds, which are only granted at the end. Nearly always that is enough.
    let needed = first.gas_used.saturating_add(first.gas_refunded);
    let mut low = needed.max(TRANSFER).saturating_sub(1);
    let exact = needed.max(TRANSFER).min(high);
    if run(sequence, exact)?.0.status.is_success() {
        return Ok(exact);
    }
    low = low.max(exact);
    let optimistic = needed.saturating_add(STIPEND).saturating_mul(64) / 63;
    if optimistic > low && optimistic < high {
        if run(sequence, optimistic)?.0.status.is_success() { high = optimistic } else { low = optimistic }
    }
    while low + 1 < high && (high - low).saturating_mul(1000) >= high.saturating_mul(ERROR_RATIO) {
        // Most calls need little more than they use: the lower half is where to look.
        let middle = (low + (high - low) / 2).min(low.saturating_mul(2));
        if run(sequence, middle)?.0.status.is_success() { high = middle } else { low = middle }
    }
    Ok(high)
}

fn refused(outcome: &Outcome, failure: Failure, gas: u64) -> Failure {
    match outcome.status {
        Status::Halt(Halt::OutOfGas) => Failure::server(format!("gas required exceeds allowance ({gas})")),
        _ => failure,
    }
}

/// The access list that makes every access of a call warm, and the gas that the call uses with it.
///
/// # Errors
/// When there is no outcome, or the call is no valid one.
pub fn access_list(sequence: &mut Sequence<'_>, mut call: Call) -> Result<Value, Stop> {
    let mut all: BTreeMap<_, BTreeSet<U256>> = BTreeMap::new();
    for item in &call.access_list {
        all.entry(item.address).or_default().extend(item.storage_keys.iter().copied());
    }
    for _ in 0..ROUNDS {
        let snapshot = sequence.snapshot();
        let mut watch = AccessList::new(snapshot.rules().fork, snapshot.block().coinbase);
        let outcome = sequence.look(&call, Some(&mut watch))?;
        let gas = call.gas.unwrap_or_else(|| sequence.gas_cap());
        if let Status::Rejected(reason) = &outcome.status {
            let text = calls::rejection(reason, &Sent { from: call.from, gas });
            return Err(Stop::Failed(Failure::server(format!("failed to apply transaction: err: {text}"))));
        }
        let before = all.clone();
        for item in watch.take() {
            all.entry(item.address).or_default().extend(item.storage_keys);
        }
        let item = |(address, keys): (&_, &BTreeSet<U256>)| AccessListItem {
            address: *address,
            storage_keys: keys.iter().copied().collect(),
        };
        call.access_list = all.iter().map(item).collect();
        if all == before {
            return Ok(answer(&call.access_list, &outcome, &Sent { from: call.from, gas }));
        }
    }
    Err(Stop::Failed(Failure::server("the access list grows without end")))
}

fn answer(list: &[AccessListItem], outcome: &Outcome, sent: &Sent) -> Value {
    let item = |item: &AccessListItem| {
        let keys: Vec<String> = item.storage_keys.iter().map(|key| format!("{:?}", word::to_hash(key))).collect();
        json!({"address": format!("{:?}", item.address), "storageKeys": keys})
    };
    let list: Vec<Value> = list.iter().map(item).collect();
    let mut answer = json!({"accessList": list, "gasUsed": format!("{:#x}", outcome.gas_used)});
    // A call that fails accesses something too.
    if let Some(failure) = calls::failure(&outcome.status, &outcome.output, sent) {
        answer["error"] = json!(failure.message);
    }
    answer
}
