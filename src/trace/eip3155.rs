//! EIP-3155: one JSON line an instruction and one a transaction, with the fields, order and number formats of geth's
//! `evm --json`.

use super::{data, optional_data, optional_hash, quantity};
use isolane_cpu::Observer;
use isolane_cpu::observer::{Step, StepEnd};
use isolane_spec::opcode::{Opcode, op};
use isolane_spec::{Fork, H256, Outcome, Status, U256};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::io::{self, Write};

/// What the lines hold besides what they must.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// `memory`, the whole of it on every line.
    pub memory: bool,
    /// `returnData`, on every line where there is some.
    pub return_data: bool,
}

/// What a transaction is called on its last line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// The test or block.
    pub name: String,
    /// Its index in the block.
    pub index: usize,
    /// Its hash, where it has one.
    pub hash: Option<H256>,
}

/// Writes EIP-3155 lines: of each instruction as it ends, and of the transaction when [`Eip3155::finish`] is called. The
/// first failure of writing ends the trace and is told by [`Eip3155::take_failure`].
#[derive(Debug)]
pub struct Eip3155<W> {
    out: W,
    details: Details,
    fork: Fork,
    /// The instruction that runs.
    pc: u64,
    gas: u64,
    refund: i64,
    memory_size: usize,
    memory: Option<Vec<u8>>,
    return_data: Option<Vec<u8>>,
    stack: Vec<U256>,
    end: Option<End>,
    failure: Option<io::Error>,
}

/// What the last line needs of an outcome.
#[derive(Debug)]
struct End {
    output: Vec<u8>,
    gas_used: u64,
    status: Status,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    pc: u64,
    op: u8,
    #[serde(serialize_with = "quantity")]
    gas: u64,
    #[serde(serialize_with = "quantity")]
    gas_cost: u64,
    #[serde(serialize_with = "optional_data", skip_serializing_if = "Option::is_none")]
    memory: Option<&'a [u8]>,
    mem_size: usize,
    #[serde(serialize_with = "words")]
    stack: &'a [U256],
    #[serde(serialize_with = "optional_data", skip_serializing_if = "Option::is_none")]
    return_data: Option<&'a [u8]>,
    depth: usize,
    refund: i64,
    op_name: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    #[serde(serialize_with = "optional_hash", skip_serializing_if = "Option::is_none")]
    state_root: Option<H256>,
    #[serde(serialize_with = "data")]
    output: &'a [u8],
    #[serde(serialize_with = "quantity")]
    gas_used: u64,
    pass: bool,
    fork: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    name: &'a str,
    transaction: usize,
    #[serde(serialize_with = "optional_hash", skip_serializing_if = "Option::is_none")]
    hash: Option<H256>,
}

fn words<S: Serializer>(words: &&[U256], serializer: S) -> Result<S::Ok, S::Error> {
    struct Word<'a>(&'a U256);
    impl Serialize for Word<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            quantity(self.0, serializer)
        }
    }
    serializer.collect_seq(words.iter().map(Word))
}

impl<W: Write> Eip3155<W> {
    /// Writes to `out`, in the words of a fork.
    pub const fn new(out: W, fork: Fork, details: Details) -> Self {
        Self {
            out,
            details,
            fork,
            pc: 0,
            gas: 0,
            refund: 0,
            memory_size: 0,
            memory: None,
            return_data: None,
            stack: Vec::new(),
            end: None,
            failure: None,
        }
    }

    /// The fork of what comes next.
    pub const fn set_fork(&mut self, fork: Fork) {
        self.fork = fork;
    }

    /// Writes the last line of a transaction whose outcome came; with the state root after it, where that is known.
    pub fn finish(&mut self, label: &Label, state_root: Option<H256>) {
        let Some(End { output, gas_used, status }) = self.end.take() else { return };
        let summary = Summary {
            state_root,
            output: &output,
            gas_used,
            pass: status.is_success(),
            fork: self.fork.name(),
            error: (!status.is_success()).then(|| status.to_string()),
            name: &label.name,
            transaction: label.index,
            hash: label.hash,
        };
        write(&mut self.out, &mut self.failure, &summary);
    }

    /// Writes a line of any kind.
    pub(super) fn write(&mut self, line: &impl Serialize) {
        write(&mut self.out, &mut self.failure, line);
    }

    /// Hands everything to what is written to.
    pub fn flush(&mut self) {
        if self.failure.is_none()
            && let Err(error) = self.out.flush()
        {
            self.failure = Some(error);
        }
    }

    /// The first failure of writing.
    pub const fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// What is written to.
    pub fn into_inner(self) -> W {
        self.out
    }
}

/// Writes a line, if none has failed.
fn write(out: &mut impl Write, failure: &mut Option<io::Error>, line: &impl Serialize) {
    if failure.is_none() {
        let written = serde_json::to_writer(&mut *out, line).map_err(io::Error::from);
        *failure = written.and_then(|()| out.write_all(b"\n")).err();
    }
}

impl<W: Write> Observer for Eip3155<W> {
    fn step(&mut self, step: &Step<'_>) {
        self.pc = step.pc;
        self.gas = step.gas;
        self.refund = step.refund;
        self.memory_size = step.memory.len();
        self.memory = self.details.memory.then(|| step.memory.to_vec());
        let returned = self.details.return_data && !step.return_data.is_empty();
        self.return_data = returned.then(|| step.return_data.to_vec());
        self.stack.clear();
        self.stack.extend(step.stack.iter());
    }

    fn step_end(&mut self, end: &StepEnd) {
        let name = match Opcode::of(end.opcode, self.fork) {
            Some(opcode) => Cow::Borrowed(opcode.name),
            None => Cow::Owned(format!("opcode {:#x} not defined", end.opcode)),
        };
        let error = match end.halt {
            Some(halt) => Some(halt.to_string()),
            None => (end.opcode == op::REVERT).then(|| "execution reverted".to_owned()),
        };
        // geth counts the gas that a new contract's frame gets to that frame, but that of a call to the call.
        let frame = if matches!(end.opcode, op::CREATE | op::CREATE2) { end.given } else { 0 };
        let line = Line {
            pc: self.pc,
            op: end.opcode,
            gas: self.gas,
            gas_cost: end.cost - frame,
            memory: self.memory.as_deref(),
            mem_size: self.memory_size,
            stack: &self.stack,
            return_data: self.return_data.as_deref(),
            depth: end.depth,
            refund: self.refund,
            op_name: name,
            error,
        };
        write(&mut self.out, &mut self.failure, &line);
    }

    fn outcome(&mut self, outcome: &Outcome) {
        let Outcome { output, gas_used, status, .. } = outcome;
        self.end = Some(End { output: output.to_vec(), gas_used: *gas_used, status: status.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_spec::Halt;

    #[test]
    fn a_line_is_as_geth_writes_it() {
        let mut trace = Eip3155::new(Vec::new(), Fork::Prague, Details { memory: true, return_data: true });
        let words = [U256::from(1), U256::MAX];
        let step = Step {
            pc: 4,
            opcode: op::ADD,
            gas: 0x2540,
            depth: 1,
            stack: words[..].into(),
            memory: &[0; 32],
            return_data: &[],
            refund: 0,
            address: Default::default(),
            code_address: Default::default(),
            is_static: false,
            state_gas: 0,
        };
        trace.step(&step);
        trace.step_end(&StepEnd { opcode: op::ADD, depth: 1, cost: 3, given: 0, halt: None });
        trace.step(&Step { opcode: 0x0c, pc: 5, stack: [][..].into(), memory: &[], return_data: &[7], ..step });
        let halt = Some(Halt::UndefinedOpcode);
        trace.step_end(&StepEnd { opcode: 0x0c, depth: 1, cost: 0, given: 0, halt });
        let text = String::from_utf8(trace.into_inner()).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        let memory = "00".repeat(32);
        let max = "f".repeat(64);
        assert_eq!(
            lines[0],
            format!(
                r#"{{"pc":4,"op":1,"gas":"0x2540","gasCost":"0x3","memory":"0x{memory}","memSize":32,"stack":["0x1","0x{max}"],"depth":1,"refund":0,"opName":"ADD"}}"#
            )
        );
        assert_eq!(
            lines[1],
            r#"{"pc":5,"op":12,"gas":"0x2540","gasCost":"0x0","memory":"0x","memSize":0,"stack":[],"returnData":"0x07","depth":1,"refund":0,"opName":"opcode 0xc not defined","error":"undefined opcode"}"#
        );
    }

    #[test]
    fn the_last_line_tells_how_it_ended() {
        let mut trace = Eip3155::new(Vec::new(), Fork::Osaka, Details::default());
        let label = Label { name: "a test".into(), index: 3, hash: None };
        trace.finish(&label, None);
        let reason = isolane_spec::InvalidTransaction::NonceOverflow;
        trace.outcome(&Outcome { status: Status::Revert, gas_used: 21_016, ..Outcome::rejected(reason) });
        trace.finish(&label, Some(H256::repeat_byte(1)));
        let text = String::from_utf8(trace.into_inner()).expect("text");
        let root = "01".repeat(32);
        assert_eq!(
            text,
            format!(
                "{{\"stateRoot\":\"0x{root}\",\"output\":\"0x\",\"gasUsed\":\"0x5218\",\"pass\":false,\"fork\":\"Osaka\",\
                 \"error\":\"revert\",\"name\":\"a test\",\"transaction\":3}}\n"
            )
        );
    }

    #[test]
    fn a_failure_of_writing_is_told_once() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::other("full"))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut trace = Eip3155::new(Full, Fork::Osaka, Details::default());
        trace.step_end(&StepEnd { opcode: op::ADD, depth: 1, cost: 3, given: 0, halt: None });
        assert_eq!(trace.take_failure().expect("a failure").to_string(), "full");
    }
}
