//! The parts of a manifest that the tenants of a server have too: permissions, and a budget for each call.

use super::source::{Result, Value};
use super::{Context, Files, allow};
use isolane_spec::{Budget, Permissions};
use std::cell::RefCell;
use std::path::PathBuf;

/// Reads a table like `[environment.X.allow]`, without messages: nothing is there to send them to.
pub(crate) fn read_permissions(value: &Value<'_>) -> Result<Permissions> {
    for name in ["send_to", "receive_from", "read_from", "read_by"] {
        if let Some(peers) = value.table()?.get(name) {
            return Err(peers.at.error("a tenant has no other environments to exchange messages with: remove the key"));
        }
    }
    let files = Files { folder: PathBuf::new(), hashes: RefCell::default() };
    let context = Context { files: &files, names: &[] };
    allow::read_allow(&context, value).map(|allow| allow.permissions)
}

/// Reads what each call may use: the keys of `[environment.X.budget]`, all of them about one transaction.
pub(crate) fn read_budget(value: &Value<'_>) -> Result<Budget> {
    let table = value.table()?;
    let mut budget = Budget::default();
    for (name, limit, least) in [
        ("gas", &mut budget.gas, super::environment::LEAST_GAS),
        ("steps", &mut budget.steps, 1),
        ("memory", &mut budget.memory, 0),
        ("slots", &mut budget.slots, 0),
        ("log_bytes", &mut budget.log_bytes, 0),
    ] {
        *limit = table.read(name, |value| value.number(least, u64::MAX))?.unwrap_or(*limit);
    }
    let depth = table.read("call_depth", |value| value.number(0, 1024))?;
    budget.call_depth = depth.map_or(budget.call_depth, |depth| depth as u32);
    table.done()?;
    Ok(budget)
}
