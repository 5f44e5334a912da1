//! Environments and transactions at work: what goes to lanes, and what comes back.

use crate::backend::{EAGER_CODE, Inner, MOST_GAS};
use crate::edition::Edition;
use crate::lanes::{LaneStart, RunEnvironment, Seed};
use crate::options::Statistics;
use crate::report::EndReport;
use crate::split::{self, Footprint};
use crate::state_tables::StateTables;
use crate::transition::{self, Available, Ended, Final, FinalSlot, Kind, Overlay, Reads, Start};
use isolane_spec::lane::status_of;
use isolane_spec::{AccountDiff, Environment, ExecutionError, H160, KECCAK_EMPTY, StateView as _, Transaction};
use std::sync::Arc;

/// A transaction at work.
pub(crate) struct Work<'a> {
    /// Its place in the batch.
    pub index: usize,
    pub transaction: &'a Transaction,
    /// What its lane left, and how many commits its environment had when it ran.
    pub ran: Option<(Box<Start>, Ended, Reads, usize)>,
    /// The fallback has to execute it, for this reason.
    pub escaped: Option<String>,
}

/// An environment at work.
pub(crate) struct Course<'a> {
    pub environment: &'a Environment,
    pub state: Arc<Overlay>,
    pub available: Available,
    /// In order; what is committed has left.
    pub work: std::collections::VecDeque<Work<'a>>,
    /// What was committed.
    pub commits: Vec<Vec<AccountDiff>>,
    pub failed: Option<ExecutionError>,
}

/// Of what ran and is not committed yet, all that read what has changed since runs again, all at once.
pub(crate) fn recall(course: &mut Course<'_>, statistics: &mut Statistics) {
    let Course { work, commits, .. } = course;
    for item in work {
        let Some((_, _, reads, seen)) = &mut item.ran else { continue };
        if commits[*seen..].iter().any(|diff| transition::conflicts(reads, diff)) {
            item.ran = None;
            statistics.reruns += 1;
        } else {
            *seen = commits.len();
        }
    }
}

/// Puts a state into the tables where it says what it holds. Returns whether all of it is there.
pub(crate) fn send_ahead(environment: &Environment, key: u32, inner: &mut Inner, tables: &mut StateTables) -> bool {
    let Some(memory) = environment.state.memory() else { return false };
    let edition = Edition::of(environment);
    let (room, own) = (split::room(inner.limit_words()), Footprint::of(environment));
    if own.tables > room.tables {
        // Lanes ask for what they need.
        return false;
    }
    let slots = memory.accounts.values().map(|account| account.storage.len()).sum();
    tables.reserve(memory.accounts.len(), slots);
    let eager = own.code <= EAGER_CODE && inner.codes.len() + own.code <= room.code;
    for (address, account) in &memory.accounts {
        if eager
            && account.info.code_hash != KECCAK_EMPTY
            && let Some(code) = memory.codes.get(&account.info.code_hash)
        {
            inner.codes.add(account.info.code_hash, edition, code);
        }
        // The store may have it from another environment: one whose state lacks it asks for it, and fails.
        let there = memory.codes.contains_key(&account.info.code_hash);
        let code = if there { inner.codes.find(&account.info.code_hash, edition) } else { None };
        tables.set_state_account(key, address, &account.info, Some(!account.storage.is_empty()), code);
        for (slot, value) in &account.storage {
            tables.set_slot(key, address, slot, value);
        }
    }
    true
}

/// Brings the tables up to what an environment has committed.
pub(crate) fn refresh(run: &mut RunEnvironment, course: &Course<'_>, inner: &mut Inner, tables: &mut StateTables) {
    let edition = run.edition;
    for diff in &course.commits[run.seen..] {
        for change in diff {
            if let (Some(after), Some(code)) = (&change.after, &change.code) {
                inner.codes.add(after.code_hash, edition, code);
            }
            if change.storage_wiped || change.after.is_none() {
                tables.wipe(run.key, &change.address);
            }
            for slot in &change.storage {
                tables.set_slot(run.key, &change.address, &slot.key, &slot.after);
            }
            match &change.after {
                Some(after) => {
                    let code = inner.codes.find(&after.code_hash, edition);
                    let code = code.filter(|_| course.state.code(&after.code_hash).is_ok());
                    let has_storage = course.state.has_storage(&change.address).ok();
                    tables.set_state_account(run.key, &change.address, after, has_storage, code);
                }
                None => tables.remove_account(run.key, &change.address),
            }
        }
    }
    run.seen = course.commits.len();
    run.state = course.state.clone();
}

/// What a lane starts from.
pub(crate) fn lane_start(place: usize, start: &Start) -> LaneStart {
    let target = start.seeds.iter().position(|seed| seed.address == start.target).unwrap_or(0);
    LaneStart {
        environment: place,
        creates: start.kind == Kind::Create,
        // No more than `MOST_GAS`.
        gas: start.gas.min(MOST_GAS),
        refund: start.refund as i32,
        origin: start.sender,
        gas_price: start.gas_price,
        value: start.value,
        input: start.input.clone(),
        blob_hashes: start.blob_versioned_hashes.clone(),
        access_list: start.access_list.clone(),
        seeds: start
            .seeds
            .iter()
            .map(|seed| Seed {
                address: seed.address,
                info: seed.now.info,
                exists: seed.now.exists,
                warm: seed.warm,
                touched: seed.now.touched,
                created: seed.now.created,
                code: seed.code.clone(),
            })
            .collect(),
        target: target as u32,
        code: (start.code_hash, start.code.clone()),
    }
}

/// What a lane left, as the end of a transaction takes it.
pub(crate) fn ended(end: EndReport) -> Option<Ended> {
    let ripemd = H160::from_low_u64_be(3);
    let ripemd_touched = end.accounts.iter().any(|account| account.address == ripemd && account.touched);
    let storage_asked = end
        .accounts
        .iter()
        .filter(|account| account.created || account.info.nonce == 0 && account.info.code_hash == KECCAK_EMPTY)
        .map(|account| account.address)
        .collect();
    let accounts = end
        .accounts
        .into_iter()
        .map(|account| Final {
            address: account.address,
            info: account.info,
            exists: account.exists,
            touched: account.touched,
            destroyed: account.destroyed,
            code: account.code,
            slots: account.slots.into_iter().map(|(key, original, value)| FinalSlot { key, original, value }).collect(),
        })
        .collect();
    Some(Ended {
        status: status_of(end.status)?,
        gas_left: end.gas,
        refund: end.refund.into(),
        output: end.output,
        logs: end.logs,
        accounts,
        ripemd_touched,
        storage_asked,
        steps: end.steps.into(),
    })
}
