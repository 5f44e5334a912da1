//! Struct logs: every instruction with the machine before it, as geth's default tracer writes them.

use crate::serve::calls::halt_text;
use isolane_cpu::Observer;
use isolane_cpu::observer::{Enter, Exit, Step, StepEnd};
use isolane_spec::opcode::{Opcode, op};
use isolane_spec::{Fork, H160, Halt, U256, word};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

/// What the logs hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The memory.
    pub memory: bool,
    /// The stack.
    pub stack: bool,
    /// The slots that were accessed.
    pub storage: bool,
    /// What the last call returned.
    pub return_data: bool,
    /// At most so many instructions; 0 = all.
    pub limit: usize,
}

/// An instruction whose end is not known yet.
#[derive(Debug)]
struct Open {
    pc: u64,
    opcode: u8,
    gas: u64,
    depth: usize,
    refund: i64,
    stack: Vec<U256>,
    memory: Option<String>,
    return_data: Option<String>,
    address: H160,
    end: Option<(u64, Option<Halt>)>,
}

/// Writes struct logs as JSON.
#[derive(Debug)]
pub struct StructLogs {
    details: Details,
    fork: Fork,
    out: String,
    /// The most bytes that are written.
    most: usize,
    count: usize,
    open: Option<Open>,
    /// Accessed slots by account, of the whole transaction.
    storage: HashMap<H160, BTreeMap<U256, U256>>,
}

impl StructLogs {
    /// Logs of at most so many bytes.
    #[must_use]
    pub fn new(fork: Fork, details: Details, most: usize) -> Self {
        let (out, storage) = (String::from("["), HashMap::new());
        Self { details, fork, out, most, count: 0, open: None, storage }
    }

    /// The logs; `None` where they are longer than they may be.
    #[must_use]
    pub fn finish(mut self) -> Option<String> {
        self.close(None);
        self.out.push(']');
        (self.out.len() <= self.most).then_some(self.out)
    }

    /// Whether nothing more is written.
    fn is_full(&self) -> bool {
        self.out.len() > self.most || self.details.limit > 0 && self.count >= self.details.limit
    }

    /// Writes the instruction that ended. `next` is the stack before the next one of the same frame.
    fn close(&mut self, next: Option<U256>) {
        let Some(open) = self.open.take() else { return };
        if self.is_full() {
            return;
        }
        let Open { pc, opcode, gas, depth, refund, stack, address, .. } = &open;
        let (cost, halt) = open.end.unwrap_or_default();
        let top = |depth: usize| stack.len().checked_sub(depth + 1).and_then(|index| stack.get(index)).copied();
        let slot = match *opcode {
            op::SLOAD if halt.is_none() => top(0).zip(next),
            op::SSTORE if halt.is_none() => top(0).zip(top(1)),
            _ => None,
        };
        let accessed = slot.filter(|_| self.details.storage).map(|(key, value)| {
            let slots = self.storage.entry(*address).or_default();
            slots.insert(key, value);
            &*slots
        });
        let out = &mut self.out;
        let comma = if self.count > 0 { "," } else { "" };
        // Writing to a String cannot fail, here and below.
        let _ = write!(out, "{comma}{{\"pc\":{pc},\"op\":\"");
        let _ = match Opcode::of(*opcode, self.fork) {
            Some(row) => write!(out, "{}", row.name),
            None => write!(out, "opcode {opcode:#x} not defined"),
        };
        let _ = write!(out, "\",\"gas\":{gas},\"gasCost\":{cost},\"depth\":{depth}");
        if let Some(halt) = halt {
            let _ = write!(out, ",\"error\":\"{}\"", halt_text(halt));
        }
        if self.details.stack {
            out.push_str(",\"stack\":[");
            for (index, word) in stack.iter().enumerate() {
                let _ = write!(out, "{}\"{word:#x}\"", if index > 0 { "," } else { "" });
            }
            out.push(']');
        }
        for (name, text) in [("returnData", &open.return_data), ("memory", &open.memory)] {
            if let Some(text) = text {
                let _ = write!(out, ",\"{name}\":{text}");
            }
        }
        if let Some(slots) = accessed {
            out.push_str(",\"storage\":{");
            for (index, (key, value)) in slots.iter().enumerate() {
                let comma = if index > 0 { "," } else { "" };
                let _ = write!(out, "{comma}\"{:?}\":\"{:?}\"", word::to_hash(key), word::to_hash(value));
            }
            out.push('}');
        }
        let _ = write!(out, ",\"refund\":{refund}}}");
        self.count += 1;
    }
}

fn memory(bytes: &[u8]) -> String {
    let words: Vec<String> = bytes.chunks(32).map(|word| format!("\"0x{}\"", hex::encode(word))).collect();
    format!("[{}]", words.join(","))
}

impl Observer for StructLogs {
    fn step(&mut self, step: &Step<'_>) {
        let same = self.open.as_ref().is_some_and(|open| open.depth == step.depth);
        self.close(step.stack.last().filter(|_| same));
        if self.is_full() {
            return;
        }
        // Only what is shown is copied; a slot is known by the stack.
        let needed = self.details.stack || matches!(step.opcode, op::SLOAD | op::SSTORE);
        self.open = Some(Open {
            pc: step.pc,
            opcode: step.opcode,
            gas: step.gas,
            depth: step.depth,
            refund: step.refund,
            stack: if needed { step.stack.to_vec() } else { Vec::new() },
            memory: self.details.memory.then(|| memory(step.memory)),
            return_data: self.details.return_data.then(|| format!("\"0x{}\"", hex::encode(step.return_data))),
            address: step.address,
            end: None,
        });
    }

    fn step_end(&mut self, end: &StepEnd) {
        // geth counts the gas that a new contract's frame gets to that frame, but that of a call to the call.
        let given = if matches!(end.opcode, op::CREATE | op::CREATE2) { end.given } else { 0 };
        if let Some(open) = &mut self.open {
            open.end = Some((end.cost - given, end.halt));
        }
    }

    fn enter(&mut self, _: &Enter<'_>) {
        self.close(None);
    }

    fn exit(&mut self, _: &Exit<'_>) {
        self.close(None);
    }
}
