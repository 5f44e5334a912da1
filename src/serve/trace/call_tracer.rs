//! geth's `callTracer`: calls in calls.

use super::{data, number, text};
use crate::executor::RevertReason;
use crate::serve::calls::halt_text;
use isolane_cpu::Observer;
use isolane_cpu::observer::{CallKind, Enter, Exit};
use isolane_spec::{Bytes, H160, Log, Status, U256};
use serde_json::{Map, Value, json};

/// A call that runs.
#[derive(Debug)]
struct Frame {
    fields: Map<String, Value>,
    calls: Vec<Value>,
    logs: Vec<Value>,
    is_create: bool,
}

/// Collects the calls of one transaction.
#[derive(Debug)]
pub struct CallTracer {
    only_top: bool,
    with_logs: bool,
    open: Vec<Frame>,
    /// The frame of the transaction, when it is over.
    done: Option<Value>,
    logs: usize,
    /// Bytes so far, and the most.
    bytes: usize,
    most: usize,
}

impl CallTracer {
    /// For one transaction; at most so many bytes.
    #[must_use]
    pub const fn new(only_top: bool, with_logs: bool, most: usize) -> Self {
        Self { only_top, with_logs, open: Vec::new(), done: None, logs: 0, bytes: 0, most }
    }

    /// The call of the transaction, with what the transaction bought and used; `None` where there is more than there may be.
    #[must_use]
    pub fn finish(self, gas: u64, gas_used: u64) -> Option<Value> {
        if self.bytes > self.most {
            return None;
        }
        let mut call = self.done.unwrap_or_else(|| json!({}));
        call["gas"] = number(&gas);
        call["gasUsed"] = number(&gas_used);
        Some(call)
    }

    fn is_shown(&self, depth: usize) -> bool {
        self.bytes <= self.most && (!self.only_top || depth == 1)
    }

    fn close(&mut self, frame: Frame) {
        let Frame { mut fields, calls, logs, .. } = frame;
        if !calls.is_empty() {
            fields.insert("calls".into(), Value::Array(calls));
        }
        if !logs.is_empty() {
            fields.insert("logs".into(), Value::Array(logs));
        }
        match self.open.last_mut() {
            Some(parent) => parent.calls.push(Value::Object(fields)),
            None => self.done = Some(Value::Object(fields)),
        }
    }
}

/// Takes the logs out of a call that failed, and out of all below it: they were undone.
fn drop_logs(calls: &mut [Value]) {
    for call in calls {
        if let Some(fields) = call.as_object_mut() {
            fields.remove("logs");
            if let Some(Value::Array(inner)) = fields.get_mut("calls") {
                drop_logs(inner);
            }
        }
    }
}

impl Observer for CallTracer {
    fn enter(&mut self, enter: &Enter<'_>) {
        if !self.is_shown(enter.depth) {
            return;
        }
        self.bytes += 300 + 2 * enter.input.len();
        let mut fields = Map::new();
        fields.insert("from".into(), Value::String(text(enter.from)));
        fields.insert("gas".into(), number(&enter.gas));
        fields.insert("gasUsed".into(), json!("0x0"));
        fields.insert("to".into(), Value::String(text(enter.to)));
        fields.insert("input".into(), data(enter.input));
        if enter.kind != CallKind::StaticCall {
            fields.insert("value".into(), number(&enter.value));
        }
        fields.insert("type".into(), json!(enter.kind.name()));
        self.open.push(Frame { fields, calls: Vec::new(), logs: Vec::new(), is_create: enter.kind.is_create() });
    }

    fn exit(&mut self, exit: &Exit<'_>) {
        if self.open.len() != exit.depth {
            return;
        }
        let Some(mut frame) = self.open.pop() else { return };
        self.bytes += 2 * exit.output.len();
        frame.fields.insert("gasUsed".into(), number(&exit.gas_used));
        if !exit.output.is_empty() {
            frame.fields.insert("output".into(), data(exit.output));
        }
        let error = match &exit.status {
            Status::Success => None,
            Status::Revert => Some("execution reverted".to_owned()),
            Status::Halt(halt) => Some(halt_text(*halt)),
            Status::Rejected(reason) => Some(reason.to_string()),
        };
        if let Some(error) = error {
            frame.fields.insert("error".into(), json!(error));
            if exit.status == Status::Revert
                && let RevertReason::Error(reason) = RevertReason::decode(&Bytes::copy_from_slice(exit.output))
            {
                frame.fields.insert("revertReason".into(), json!(reason));
            }
            // No account came to be there.
            if frame.is_create {
                frame.fields.remove("to");
            }
            frame.logs.clear();
            drop_logs(&mut frame.calls);
        }
        self.close(frame);
    }

    fn log(&mut self, log: &Log) {
        if !self.with_logs || self.bytes > self.most || self.only_top && self.open.len() != 1 {
            return;
        }
        let index = self.logs;
        self.logs += 1;
        self.bytes += 300 + 2 * log.data.len();
        let Some(frame) = self.open.last_mut() else { return };
        frame.logs.push(json!({
            "address": text(log.address),
            "topics": log.topics.iter().map(text).collect::<Vec<_>>(),
            "data": data(&log.data),
            "position": number(&frame.calls.len()),
            "index": number(&index),
        }));
    }

    fn selfdestruct(&mut self, contract: H160, beneficiary: H160, balance: U256) {
        if self.only_top || self.bytes > self.most {
            return;
        }
        self.bytes += 300;
        if let Some(frame) = self.open.last_mut() {
            frame.calls.push(json!({
                "from": text(contract),
                "gas": "0x0",
                "gasUsed": "0x0",
                "to": text(beneficiary),
                "input": "0x",
                "value": number(&balance),
                "type": "SELFDESTRUCT",
            }));
        }
    }
}
