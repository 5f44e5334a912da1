//! JSON Lines of a run, and the state of an environment as a genesis `alloc`.

use super::{RunReport, SCHEMA};
use crate::engine::space::Export;
use crate::engine::{EnvironmentReport, EpochReport, Execution};
use crate::exchange::{Entry, Event};
use isolane_spec::{Kind, Outcome, Status};
use serde_json::{Map, Value, json};

/// One line about an epoch.
#[must_use]
pub fn epoch_line(report: &EpochReport) -> String {
    let environments: Vec<Value> = report
        .environments
        .iter()
        .map(|environment| {
            json!({
                "name": environment.name,
                "block": environment.block,
                "transactions": environment.executions.len(),
                "deliveries": environment.deliveries.len(),
                "gasUsed": gas(environment),
                "rolledBack": environment.rolled_back.as_ref().map(ToString::to_string),
                "halted": environment.halted,
                "restricted": environment.restricted,
                "stateRoot": environment.state_root.map(|root| format!("{root:?}")),
            })
        })
        .collect();
    json!({
        "schema": SCHEMA,
        "type": "epoch",
        "epoch": report.epoch,
        "rounds": report.rounds,
        "messages": report.exchange.entries.len(),
        "environments": environments,
        "digest": format!("{:?}", report.digest),
    })
    .to_string()
}

fn gas(environment: &EnvironmentReport) -> u64 {
    let outcomes = environment.executions.iter().filter_map(|execution| execution.result.as_ref().ok());
    outcomes.map(|outcome| outcome.gas_used).sum()
}

/// All outcomes and messages of an epoch, one a line, each line ended.
#[must_use]
pub fn outcome_lines(report: &EpochReport) -> String {
    let mut lines = String::new();
    for environment in &report.environments {
        for execution in &environment.executions {
            lines.push_str(&transaction(report.epoch, environment, execution).to_string());
            lines.push('\n');
        }
    }
    for entry in &report.exchange.entries {
        lines.push_str(&message(report.epoch, entry).to_string());
        lines.push('\n');
    }
    lines
}

fn hex(bytes: &[u8]) -> String {
    alloy_primitives::hex::encode_prefixed(bytes)
}

fn transaction(epoch: u64, environment: &EnvironmentReport, execution: &Execution) -> Value {
    let mut line = json!({
        "schema": SCHEMA,
        "type": "transaction",
        "epoch": epoch,
        "environment": environment.name,
        "index": execution.index,
        "from": format!("{:?}", execution.sender),
        "to": execution.to.map(|to| format!("{to:?}")),
        "waited": execution.waited,
        "restricted": environment.restricted,
        "rolledBack": environment.rolled_back.is_some(),
    });
    if let Some(line) = line.as_object_mut() {
        match &execution.result {
            Ok(outcome) => self::outcome(outcome, line),
            Err(error) => {
                line.insert("status".into(), json!("error"));
                line.insert("reason".into(), json!(error.to_string()));
            }
        }
    }
    line
}

fn outcome(outcome: &Outcome, line: &mut Map<String, Value>) {
    let (status, reason) = match &outcome.status {
        Status::Success => ("success", None),
        Status::Revert => ("revert", None),
        Status::Halt(halt) => ("halt", Some(halt.to_string())),
        Status::Rejected(reason) => ("rejected", Some(reason.to_string())),
    };
    let logs: Vec<Value> = outcome
        .logs
        .iter()
        .map(|log| {
            let topics: Vec<_> = log.topics.iter().map(|topic| format!("{topic:?}")).collect();
            json!({"address": format!("{:?}", log.address), "topics": topics, "data": hex(&log.data)})
        })
        .collect();
    let denial = outcome.denial.map(|denial| {
        json!({"rule": format!("{:?}", denial.rule), "address": format!("{:?}", denial.address), "pc": denial.pc})
    });
    for (name, value) in [
        ("status", json!(status)),
        ("reason", json!(reason)),
        ("gasUsed", json!(outcome.gas_used)),
        ("steps", json!(outcome.steps)),
        ("output", json!(hex(&outcome.output))),
        ("created", json!(outcome.created.map(|address| format!("{address:?}")))),
        ("logs", json!(logs)),
        ("messages", json!(outcome.messages.len())),
        ("denial", json!(denial)),
    ] {
        line.insert(name.to_owned(), value);
    }
}

fn message(epoch: u64, entry: &Entry) -> Value {
    let (event, failure) = match entry.event {
        Event::Sent => ("sent", None),
        Event::Delivered => ("delivered", None),
        Event::Failed(failure) => ("failed", Some(failure.name())),
        Event::Claimable => ("claimable", None),
        Event::Deferred => ("deferred", None),
    };
    let message = &entry.message;
    json!({
        "schema": SCHEMA,
        "type": "message",
        "epoch": epoch,
        "id": format!("{:?}", entry.id),
        "event": event,
        "failure": failure,
        "kind": match message.kind { Kind::Refund { .. } => "refund", Kind::State => "state", Kind::Call => "call" },
        "source": message.source.to_string(),
        "destination": message.destination.to_string(),
        "nonce": message.nonce,
        "sent": message.epoch,
        "sender": format!("{:?}", message.sender),
        "to": format!("{:?}", message.to),
        "asset": message.asset.to_string(),
        "value": message.value.to_string(),
        "gas": message.gas,
        "gasUsed": entry.gas_used,
        "data": hex(&message.data),
    })
}

/// The line that closes a run.
#[must_use]
pub fn summary_line(report: &RunReport) -> String {
    let environments: Vec<Value> = report
        .environments
        .iter()
        .map(|environment| {
            let stats = &environment.stats;
            json!({
                "name": environment.name,
                "fork": environment.fork.name(),
                "chainId": environment.chain_id,
                "status": environment.status(),
                "halted": environment.halted,
                "restricted": environment.restricted,
                "weight": environment.weight,
                "transactions": stats.executed(),
                "succeeded": stats.succeeded,
                "reverted": stats.reverted,
                "exceptionalHalts": stats.halted,
                "rejected": stats.rejected,
                "failed": stats.failed,
                "denied": stats.denied,
                "exceeded": stats.exceeded,
                "rolledBackEpochs": stats.rolled_back_epochs,
                "rolledBack": stats.rolled_back,
                "deferred": stats.deferred,
                "pending": environment.pending,
                "waiting": environment.waiting,
                "gasUsed": stats.usage.gas,
                "steps": stats.usage.steps,
                "slots": stats.usage.slots,
                "logBytes": stats.usage.log_bytes,
                "messagesIn": stats.delivered + stats.undelivered,
                "messagesOut": stats.sent,
                "shareOfDue": stats.fairness(),
                "waitMean": stats.waiting.mean(),
                "waitLongest": stats.waiting.longest,
                "busyRounds": stats.busy_rounds,
                "busyBound": stats.busy_bound,
                "lateEpochs": stats.late_epochs,
                "stateRoot": environment.state_root.map(|root| format!("{root:?}")),
            })
        })
        .collect();
    let assets: Vec<Value> = report
        .assets
        .iter()
        .map(|asset| {
            json!({
                "asset": asset.asset.to_string(),
                "locked": asset.locked.to_string(),
                "abroad": asset.abroad.to_string(),
                "inFlight": asset.in_flight.to_string(),
                "claimable": asset.claimable.to_string(),
            })
        })
        .collect();
    json!({
        "schema": SCHEMA,
        "type": "summary",
        "manifest": report.name,
        "identity": format!("{:?}", report.identity),
        "epochs": report.epochs,
        "resumed": report.resumed,
        "backend": report.backend,
        "threads": report.threads,
        "wallSeconds": report.wall.as_secs_f64(),
        "environments": environments,
        "flows": report.flows,
        "assets": assets,
        "digest": format!("{:?}", report.digest),
    })
    .to_string()
}

/// A state as the `alloc` of a genesis file, which a manifest can start from.
#[must_use]
pub fn state_file(export: &Export) -> String {
    let mut alloc = Map::new();
    for (address, account) in &export.accounts {
        let mut entry = Map::new();
        entry.insert("balance".into(), json!(format!("{:#x}", account.info.balance)));
        if account.info.nonce > 0 {
            entry.insert("nonce".into(), json!(format!("{:#x}", account.info.nonce)));
        }
        if !account.code.is_empty() {
            entry.insert("code".into(), json!(hex(&account.code)));
        }
        if !account.storage.is_empty() {
            let slot = |word: &isolane_spec::U256| hex(&word.to_big_endian());
            let storage: Map<_, _> =
                account.storage.iter().map(|(key, value)| (slot(key), json!(slot(value)))).collect();
            entry.insert("storage".into(), Value::Object(storage));
        }
        alloc.insert(format!("{address:?}"), Value::Object(entry));
    }
    let mut text = serde_json::to_string_pretty(&Value::Object(alloc)).unwrap_or_default();
    text.push('\n');
    text
}
