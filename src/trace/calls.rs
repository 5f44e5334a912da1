//! The calls of a transaction.

use super::{data, hash, optional_hash, quantity};
use isolane_cpu::Observer;
use isolane_cpu::observer::{CallKind, Enter, Exit};
use isolane_spec::{Bytes, H160, Status, U256};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

/// What a frame of the list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A call or creation.
    Call(CallKind),
    /// A SELFDESTRUCT: `to` is the beneficiary, `value` the balance.
    SelfDestruct,
}

impl FrameKind {
    /// The name of the opcode.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call(kind) => kind.name(),
            Self::SelfDestruct => "SELFDESTRUCT",
        }
    }

    const fn is_create(self) -> bool {
        matches!(self, Self::Call(CallKind::Create | CallKind::Create2))
    }
}

impl Serialize for FrameKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One call, creation or SELFDESTRUCT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallFrame {
    /// Where it is in the tree: the index at each level below the first frame, as in `trace_transaction`.
    pub trace_address: Vec<usize>,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: FrameKind,
    /// The account whose code calls; the sender of a transaction.
    #[serde(serialize_with = "hash")]
    pub from: H160,
    /// The account that is called; of a creation, where the new account would be.
    #[serde(serialize_with = "hash")]
    pub to: H160,
    /// In wei; of a DELEGATECALL what CALLVALUE shows.
    #[serde(serialize_with = "quantity")]
    pub value: U256,
    /// Gas of the frame, with the stipend; of the first, what the intrinsic gas left.
    #[serde(serialize_with = "quantity")]
    pub gas: u64,
    /// Gas that it used, the frames in it included; before refunds.
    #[serde(serialize_with = "quantity")]
    pub gas_used: u64,
    /// The input, or the initcode.
    #[serde(serialize_with = "data")]
    pub input: Bytes,
    /// Return or revert data, or the deployed code.
    #[serde(serialize_with = "data")]
    pub output: Bytes,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The contract that came into being.
    #[serde(serialize_with = "optional_hash", skip_serializing_if = "Option::is_none")]
    pub created: Option<H160>,
    /// Whether a precompile ran.
    pub precompile: bool,
    /// How many frames are right below it.
    pub subtraces: usize,
}

/// Collects the calls of one transaction, each before those in it.
#[derive(Clone, Debug, Default)]
pub struct CallFrames {
    frames: Vec<CallFrame>,
    /// The frames that run, as indices.
    open: Vec<usize>,
}

impl CallFrames {
    /// The frames so far; starts anew.
    #[must_use]
    pub fn take(&mut self) -> Vec<CallFrame> {
        self.open.clear();
        std::mem::take(&mut self.frames)
    }

    fn push(&mut self, mut frame: CallFrame) {
        if let Some(parent) = self.open.last().and_then(|&parent| self.frames.get_mut(parent)) {
            frame.trace_address.clone_from(&parent.trace_address);
            frame.trace_address.push(parent.subtraces);
            parent.subtraces += 1;
        }
        self.frames.push(frame);
    }

    /// The tree that geth's `callTracer` returns: frames in frames.
    #[must_use]
    pub fn to_tree(frames: &[CallFrame]) -> Value {
        let mut open: Vec<(usize, Value)> = Vec::new();
        let close = |open: &mut Vec<(usize, Value)>, depth: usize| -> Option<Value> {
            let mut last = None;
            while open.len() > depth {
                let (_, frame) = open.pop()?;
                match open.last_mut().and_then(|(_, parent)| parent.as_object_mut()) {
                    Some(parent) => {
                        let calls = parent.entry("calls").or_insert_with(|| json!([]));
                        calls.as_array_mut()?.push(frame);
                    }
                    None => last = Some(frame),
                }
            }
            last
        };
        for frame in frames {
            let depth = frame.trace_address.len();
            close(&mut open, depth);
            open.push((depth, tree_node(frame)));
        }
        close(&mut open, 0).unwrap_or(Value::Null)
    }

    /// The objects that `trace_transaction` returns, without what only the block knows.
    #[must_use]
    pub fn to_parity(frames: &[CallFrame]) -> Vec<Value> {
        frames.iter().map(parity_trace).collect()
    }
}

fn hex_data(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn hex_number(number: &impl std::fmt::LowerHex) -> String {
    format!("{number:#x}")
}

fn hex_address(address: H160) -> String {
    format!("{address:?}")
}

fn tree_node(frame: &CallFrame) -> Value {
    let mut node = Map::new();
    node.insert("from".into(), json!(hex_address(frame.from)));
    node.insert("gas".into(), json!(hex_number(&frame.gas)));
    node.insert("gasUsed".into(), json!(hex_number(&frame.gas_used)));
    if !frame.kind.is_create() || frame.created.is_some() {
        node.insert("to".into(), json!(hex_address(frame.to)));
    }
    node.insert("input".into(), json!(hex_data(&frame.input)));
    if !frame.output.is_empty() {
        node.insert("output".into(), json!(hex_data(&frame.output)));
    }
    if let Some(error) = &frame.error {
        node.insert("error".into(), json!(error));
    }
    if frame.kind != FrameKind::Call(CallKind::StaticCall) {
        node.insert("value".into(), json!(hex_number(&frame.value)));
    }
    node.insert("type".into(), json!(frame.kind.name()));
    Value::Object(node)
}

fn parity_trace(frame: &CallFrame) -> Value {
    let gas = hex_number(&frame.gas);
    let action = match frame.kind {
        FrameKind::Call(kind) if kind.is_create() => json!({
            "from": hex_address(frame.from), "gas": gas, "init": hex_data(&frame.input), "value": hex_number(&frame.value),
            "creationMethod": kind.name().to_lowercase(),
        }),
        FrameKind::Call(kind) => json!({
            "callType": kind.name().to_lowercase(), "from": hex_address(frame.from), "gas": gas, "input": hex_data(&frame.input),
            "to": hex_address(frame.to), "value": hex_number(&frame.value),
        }),
        FrameKind::SelfDestruct => json!({
            "address": hex_address(frame.from), "refundAddress": hex_address(frame.to),
            "balance": hex_number(&frame.value),
        }),
    };
    let gas_used = hex_number(&frame.gas_used);
    let (kind, result) = match frame.kind {
        FrameKind::Call(kind) if kind.is_create() => (
            "create",
            json!({"address": frame.created.map(hex_address), "code": hex_data(&frame.output), "gasUsed": gas_used}),
        ),
        FrameKind::Call(_) => ("call", json!({"gasUsed": gas_used, "output": hex_data(&frame.output)})),
        FrameKind::SelfDestruct => ("suicide", Value::Null),
    };
    let mut trace = json!({
        "action": action, "subtraces": frame.subtraces, "traceAddress": frame.trace_address, "type": kind,
    });
    if let Some(trace) = trace.as_object_mut() {
        match &frame.error {
            Some(error) => trace.insert("error".into(), json!(error)),
            None => trace.insert("result".into(), result),
        };
    }
    trace
}

impl Observer for CallFrames {
    fn enter(&mut self, enter: &Enter<'_>) {
        let frame = CallFrame {
            trace_address: Vec::new(),
            kind: FrameKind::Call(enter.kind),
            from: enter.from,
            to: enter.to,
            value: enter.value,
            gas: enter.gas,
            gas_used: 0,
            input: Bytes::copy_from_slice(enter.input),
            output: Bytes::new(),
            error: None,
            created: None,
            precompile: enter.precompile,
            subtraces: 0,
        };
        self.push(frame);
        self.open.push(self.frames.len() - 1);
    }

    fn exit(&mut self, exit: &Exit<'_>) {
        let Some(frame) = self.open.pop().and_then(|index| self.frames.get_mut(index)) else { return };
        frame.gas_used = exit.gas_used;
        frame.output = Bytes::copy_from_slice(exit.output);
        frame.created = exit.created;
        frame.error = match &exit.status {
            Status::Success => None,
            Status::Revert => Some("execution reverted".to_owned()),
            status => Some(status.to_string().trim_start_matches("halt: ").to_owned()),
        };
    }

    fn selfdestruct(&mut self, contract: H160, beneficiary: H160, balance: U256) {
        self.push(CallFrame {
            trace_address: Vec::new(),
            kind: FrameKind::SelfDestruct,
            from: contract,
            to: beneficiary,
            value: balance,
            gas: 0,
            gas_used: 0,
            input: Bytes::new(),
            output: Bytes::new(),
            error: None,
            created: None,
            precompile: false,
            subtraces: 0,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_spec::Halt;

    const A: H160 = H160([0xaa; 20]);
    const B: H160 = H160([0xbb; 20]);

    fn enter(calls: &mut CallFrames, kind: CallKind, from: H160, to: H160, depth: usize) {
        calls.enter(&Enter {
            kind,
            depth,
            from,
            to,
            address: to,
            code_address: to,
            caller: from,
            value: U256::from(5),
            gas: 100,
            input: &[1, 2],
            is_static: false,
            precompile: false,
        });
    }

    fn exit(calls: &mut CallFrames, depth: usize, status: Status, created: Option<H160>) {
        calls.exit(&Exit { depth, status, gas: 60, gas_used: 40, output: &[9], created });
    }

    /// A call that creates, calls itself in vain, and destroys itself.
    fn example() -> Vec<CallFrame> {
        let mut calls = CallFrames::default();
        enter(&mut calls, CallKind::Call, A, B, 1);
        enter(&mut calls, CallKind::Create2, B, A, 2);
        enter(&mut calls, CallKind::StaticCall, A, B, 3);
        exit(&mut calls, 3, Status::Revert, None);
        exit(&mut calls, 2, Status::Success, Some(A));
        enter(&mut calls, CallKind::DelegateCall, B, B, 2);
        exit(&mut calls, 2, Status::Halt(Halt::OutOfGas), None);
        calls.selfdestruct(B, A, U256::from(7));
        exit(&mut calls, 1, Status::Success, None);
        let frames = calls.take();
        assert!(calls.take().is_empty(), "it starts anew");
        frames
    }

    #[test]
    fn trace_addresses_are_paths() {
        let frames = example();
        let shape: Vec<_> =
            frames.iter().map(|frame| (frame.kind.name(), &frame.trace_address[..], frame.subtraces)).collect();
        assert_eq!(
            shape,
            [
                ("CALL", &[][..], 3),
                ("CREATE2", &[0], 1),
                ("STATICCALL", &[0, 0], 0),
                ("DELEGATECALL", &[1], 0),
                ("SELFDESTRUCT", &[2], 0),
            ]
        );
        let errors: Vec<_> = frames.iter().map(|frame| frame.error.as_deref()).collect();
        assert_eq!(errors, [None, None, Some("execution reverted"), Some("out of gas"), None]);
    }

    #[test]
    fn a_tree_nests_what_the_list_numbers() {
        let tree = CallFrames::to_tree(&example());
        assert_eq!((&tree["type"], tree["calls"].as_array().map(Vec::len)), (&json!("CALL"), Some(3)));
        let created = &tree["calls"][0];
        assert_eq!((&created["to"], &created["output"]), (&json!(hex_address(A)), &json!("0x09")));
        let inner = &created["calls"][0];
        assert_eq!((&inner["type"], &inner["error"]), (&json!("STATICCALL"), &json!("execution reverted")));
        assert!(inner.get("value").is_none() && inner.get("calls").is_none(), "{inner}");
        assert_eq!(tree["calls"][2]["type"], "SELFDESTRUCT");
        assert_eq!(CallFrames::to_tree(&[]), Value::Null, "a rejected transaction has no calls");
    }

    #[test]
    fn parity_traces_have_actions_and_results() {
        let traces = CallFrames::to_parity(&example());
        assert_eq!(traces[0]["action"]["callType"], "call");
        assert_eq!(traces[0]["result"], json!({"gasUsed": "0x28", "output": "0x09"}));
        assert_eq!(traces[1]["action"]["creationMethod"], "create2");
        assert_eq!((&traces[1]["type"], &traces[1]["result"]["code"]), (&json!("create"), &json!("0x09")));
        assert_eq!((&traces[3]["error"], traces[3].get("result")), (&json!("out of gas"), None));
        assert_eq!((&traces[4]["type"], &traces[4]["action"]["balance"]), (&json!("suicide"), &json!("0x7")));
        assert_eq!(traces[2]["traceAddress"], json!([0, 0]));
    }
}
