//! JSON Lines.

use super::{Checks, Group, InputReport, Kind, ReceiptRecord, SCHEMA, Summary, Times, Verdict};
use serde::Serialize;
use serde_json::{Value, json};

fn seconds(times: &Times) -> Value {
    json!({
        "load": times.load.as_secs_f64(),
        "recover": times.recover.as_secs_f64(),
        "execute": times.execute.as_secs_f64(),
        "verify": times.verify.as_secs_f64(),
    })
}

fn checks(checks: &Checks) -> Value {
    json!({
        "headerHash": checks.header_hash,
        "gasUsed": checks.gas_used,
        "receiptsRoot": checks.receipts_root,
        "logsBloom": checks.logs_bloom,
        "stateRoot": checks.state_root,
        "transactionsRoot": checks.transactions_root,
        "withdrawalsRoot": checks.withdrawals_root,
        "blobGasUsed": checks.blob_gas_used,
        "requestsHash": checks.requests_hash,
        "receipts": checks.receipts,
        "poststate": checks.post_state,
    })
}

/// One line about one input, without the line break.
#[must_use]
pub fn block_line(report: &InputReport) -> String {
    let (result, mismatches, error) = match &report.verdict {
        Verdict::Match => ("match", Vec::new(), None),
        Verdict::Mismatch(list) => (
            "mismatch",
            list.iter()
                .map(|mismatch| {
                    json!({
                        "transactionIndex": mismatch.transaction.map(|(index, _)| index),
                        "transactionHash": mismatch.transaction.map(|(_, hash)| format!("{hash:?}")),
                        "field": mismatch.field,
                        "expected": mismatch.expected,
                        "got": mismatch.got,
                    })
                })
                .collect(),
            None,
        ),
        Verdict::Failed(error) => {
            ("error", Vec::new(), Some(json!({"file": error.file, "place": error.place, "problem": error.problem})))
        }
    };
    json!({
        "schema": SCHEMA,
        "type": match report.kind { Kind::Block => "block", Kind::Transaction => "transaction" },
        "file": report.file,
        "chainId": report.chain_id,
        "number": report.number,
        "hash": report.hash.map(|hash| format!("{hash:?}")),
        "fork": report.fork.map(|fork| fork.name()),
        "transactions": report.transactions,
        "gasUsed": report.gas_used,
        "steps": report.steps,
        "state": report.state.name(),
        "origin": report.origin,
        "result": result,
        "verified": checks(&report.checks),
        "notes": report.notes,
        "mismatches": mismatches,
        "error": error,
        "seconds": seconds(&report.times),
    })
    .to_string()
}

fn group(group: &Group) -> Value {
    json!({
        "blocks": group.blocks,
        "singleTransactions": group.singles,
        "transactions": group.transactions,
        "gasUsed": group.gas,
        "mgasPerSecond": group.mgas_per_second(),
        "verified": {
            "gasUsed": group.gas_used,
            "receiptsRoot": group.receipts_root,
            "logsBloom": group.logs_bloom,
            "stateRootByWitness": group.state_by_witness,
            "stateRootByProofs": group.state_by_proofs,
            "stateRootByCompletePrestate": group.state_by_complete,
            "stateRootUnverified": group.state_unverified,
            "receipts": group.receipts,
            "poststate": group.post_state,
        },
        "mismatches": group.mismatches,
        "errors": group.failed,
    })
}

/// The last line, without the line break.
#[must_use]
pub fn summary_line(summary: &Summary) -> String {
    let groups: Vec<Value> = summary
        .groups
        .iter()
        .map(|((chain, fork), sum)| json!({"chainId": chain, "fork": fork.map(|fork| fork.name()), "sum": group(sum)}))
        .collect();
    json!({
        "schema": SCHEMA,
        "type": "summary",
        "backend": summary.backend,
        "threads": summary.threads,
        "total": group(&summary.total),
        "groups": groups,
        "seconds": seconds(&summary.times),
        "wallSeconds": summary.wall.as_secs_f64(),
        "peakMemoryBytes": summary.peak_memory,
        "notReplayed": summary.not_replayed,
        "exitCode": summary.exit_code(),
    })
    .to_string()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptLine {
    chain_id: Option<u64>,
    block_number: Option<String>,
    block_hash: Option<String>,
    transaction_index: String,
    transaction_hash: String,
    r#type: String,
    status: &'static str,
    gas_used: String,
    cumulative_gas_used: String,
    effective_gas_price: String,
    contract_address: Option<String>,
    logs: Vec<LogLine>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogLine {
    address: String,
    topics: Vec<String>,
    data: String,
    log_index: String,
}

/// The receipts of a report, one JSON object a line, each with its line break.
///
/// # Errors
/// When the text cannot be put together.
pub fn receipts_lines(report: &InputReport) -> serde_json::Result<String> {
    let mut text = String::new();
    let mut first_log = 0;
    for (index, receipt) in report.receipts.iter().enumerate() {
        text.push_str(&serde_json::to_string(&line(report, index, receipt, first_log))?);
        text.push('\n');
        first_log += receipt.logs.len();
    }
    Ok(text)
}

fn line(report: &InputReport, index: usize, receipt: &ReceiptRecord, first_log: usize) -> ReceiptLine {
    let logs = receipt.logs.iter().enumerate().map(|(place, log)| LogLine {
        address: format!("{:?}", log.address),
        topics: log.topics.iter().map(|topic| format!("{topic:?}")).collect(),
        data: alloy_primitives::hex::encode_prefixed(&log.data),
        log_index: format!("{:#x}", first_log + place),
    });
    ReceiptLine {
        chain_id: report.chain_id,
        block_number: report.number.map(|number| format!("{number:#x}")),
        block_hash: report.hash.filter(|_| report.kind == Kind::Block).map(|hash| format!("{hash:?}")),
        transaction_index: format!("{index:#x}"),
        transaction_hash: format!("{:?}", receipt.transaction_hash),
        r#type: format!("{:#x}", receipt.transaction_type),
        status: if receipt.success { "0x1" } else { "0x0" },
        gas_used: format!("{:#x}", receipt.gas_used),
        cumulative_gas_used: format!("{:#x}", receipt.cumulative_gas_used),
        effective_gas_price: format!("{:#x}", receipt.effective_gas_price),
        contract_address: receipt.contract_address.map(|address| format!("{address:?}")),
        logs: logs.collect(),
    }
}
