//! Gas and counts by opcode and by contract.

use isolane_cpu::Observer;
use isolane_cpu::observer::{Enter, Exit, StepEnd};
use isolane_spec::opcode::Opcode;
use isolane_spec::{Fork, H160};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How often something ran, and the gas that it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How often.
    pub count: u64,
    /// Its own gas, without that of frames that it started.
    pub gas: u64,
}

impl Counted {
    const fn add(&mut self, count: u64, gas: u64) {
        self.count = self.count.saturating_add(count);
        self.gas = self.gas.saturating_add(gas);
    }
}

/// A frame that runs.
#[derive(Clone, Copy, Debug, Default)]
struct Running {
    code_address: H160,
    /// Gas that frames in it used.
    inner: u64,
}

/// Counts the instructions and gas of any number of transactions, before refunds and without intrinsic gas.
///
/// By contract, the gas is all that its frames used and that frames in them did not: the sum over the contracts is what
/// the frames of the transactions used. By opcode, it lacks what no instruction took: deployed code, precompiles, and
/// what a halt burnt. A stipend is subtracted from the call that gives it.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    opcodes: BTreeMap<u8, Counted>,
    contracts: BTreeMap<H160, Counted>,
    frames: Vec<Running>,
    /// The last instruction, and what it gave a frame that it started.
    last: (u8, u64),
}

impl Profile {
    /// By opcode.
    #[must_use]
    pub const fn opcodes(&self) -> &BTreeMap<u8, Counted> {
        &self.opcodes
    }

    /// By contract whose code ran, precompiles included: frames, and their own gas.
    #[must_use]
    pub const fn contracts(&self) -> &BTreeMap<H160, Counted> {
        &self.contracts
    }

    /// Adds what another counted.
    pub fn merge(&mut self, other: &Self) {
        for (byte, counted) in &other.opcodes {
            self.opcodes.entry(*byte).or_default().add(counted.count, counted.gas);
        }
        for (address, counted) in &other.contracts {
            self.contracts.entry(*address).or_default().add(counted.count, counted.gas);
        }
    }

    /// Both tables, the most gas first.
    #[must_use]
    pub fn to_json(&self, fork: Fork) -> Value {
        let name = |byte: u8| Opcode::of(byte, fork).map_or_else(|| format!("{byte:#04x}"), |row| row.name.to_owned());
        let mut opcodes: Vec<_> = self.opcodes.iter().collect();
        opcodes.sort_by_key(|(byte, counted)| (std::cmp::Reverse(counted.gas), **byte));
        let mut contracts: Vec<_> = self.contracts.iter().collect();
        contracts.sort_by_key(|(address, counted)| (std::cmp::Reverse(counted.gas), **address));
        let row = |key: Value, counted: &Counted| json!({"of": key, "count": counted.count, "gas": counted.gas});
        json!({
            "opcodes": opcodes.iter().map(|(byte, counted)| row(json!(name(**byte)), counted)).collect::<Vec<_>>(),
            "contracts": contracts.iter().map(|(address, counted)| row(json!(format!("{address:?}")), counted)).collect::<Vec<_>>(),
        })
    }
}

impl Observer for Profile {
    fn step_end(&mut self, end: &StepEnd) {
        self.last = (end.opcode, end.given);
        self.opcodes.entry(end.opcode).or_default().add(1, end.cost - end.given);
    }

    fn enter(&mut self, enter: &Enter<'_>) {
        if !self.frames.is_empty() {
            let (opcode, given) = self.last;
            let stipend = enter.gas.saturating_sub(given);
            let counted = self.opcodes.entry(opcode).or_default();
            counted.gas = counted.gas.saturating_sub(stipend);
        }
        self.frames.push(Running { code_address: enter.code_address, inner: 0 });
    }

    fn exit(&mut self, exit: &Exit<'_>) {
        let Some(frame) = self.frames.pop() else { return };
        self.contracts.entry(frame.code_address).or_default().add(1, exit.gas_used.saturating_sub(frame.inner));
        if let Some(caller) = self.frames.last_mut() {
            caller.inner = caller.inner.saturating_add(exit.gas_used);
        }
    }
}
