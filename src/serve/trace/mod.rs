//! Traces in the forms of geth's `debug` methods.

mod call_tracer;
mod prestate;
mod struct_log;

use super::calls::{self, Sent};
use super::jsonrpc::Failure;
use super::params::TraceArgs;
use super::sequence::{Sequence, Stop, is_cut};
use crate::executor::Call;
use call_tracer::CallTracer;
use isolane_cpu::Observer;
use isolane_cpu::observer::{Enter, Exit, Step, StepEnd};
use isolane_spec::{AccountRead, Bytes, Fork, H160, H256, Log, Outcome, SlotRead, Status, Transaction, U256};
use prestate::Prestate;
use serde_json::{Value, json};
use struct_log::{Details, StructLogs};

/// The longest trace of one request, in bytes.
pub const LONGEST: usize = 128 << 20;

/// Bytes as JSON-RPC writes them.
fn data(bytes: &[u8]) -> Value {
    json!(format!("0x{}", hex::encode(bytes)))
}

/// A number as JSON-RPC writes it.
fn number(number: &impl std::fmt::LowerHex) -> Value {
    json!(format!("{number:#x}"))
}

/// An address or a hash as JSON-RPC writes it.
fn text(hash: impl std::fmt::Debug) -> String {
    format!("{hash:?}")
}

/// A tracer that isolane has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracer {
    /// Every instruction.
    StructLogs,
    /// The calls.
    Calls,
    /// What was looked at, or changed.
    Prestate,
    /// Nothing.
    Noop,
}

impl Tracer {
    /// The tracer of that name.
    ///
    /// # Errors
    /// When isolane does not have it.
    pub fn named(name: Option<&str>) -> Result<Self, Failure> {
        match name {
            None | Some("") => Ok(Self::StructLogs),
            Some("callTracer") => Ok(Self::Calls),
            Some("prestateTracer") => Ok(Self::Prestate),
            Some("noopTracer") => Ok(Self::Noop),
            Some(other) => {
                let other: String = other.chars().take(60).collect();
                let text = "expected callTracer, prestateTracer, noopTracer, or none for struct logs";
                Err(Failure::params(format!("tracer not found: {text}, got {other:?}")))
            }
        }
    }
}

/// What watches an execution, and keeps its outcome.
pub struct Watch {
    kind: Kind,
    outcome: Option<Outcome>,
}

enum Kind {
    StructLogs(StructLogs),
    Calls(CallTracer),
    Prestate(Prestate),
    Noop(()),
}

impl Watch {
    /// For one execution, whose trace may have so many bytes.
    ///
    /// # Errors
    /// When there is no such tracer.
    pub fn new(args: &TraceArgs, fork: Fork, most: usize) -> Result<Self, Failure> {
        let config = args.tracer_config.unwrap_or_default();
        let kind = match Tracer::named(args.tracer.as_deref())? {
            Tracer::StructLogs => {
                let details = Details {
                    memory: args.enable_memory,
                    stack: !args.disable_stack,
                    storage: !args.disable_storage,
                    return_data: args.enable_return_data,
                    limit: args.limit,
                };
                Kind::StructLogs(StructLogs::new(fork, details, most))
            }
            Tracer::Calls => Kind::Calls(CallTracer::new(config.only_top_call, config.with_log, most)),
            Tracer::Prestate => Kind::Prestate(Prestate::default()),
            Tracer::Noop => Kind::Noop(()),
        };
        Ok(Self { kind, outcome: None })
    }

    fn observer(&mut self) -> &mut dyn Observer {
        match &mut self.kind {
            Kind::StructLogs(logs) => logs,
            Kind::Calls(calls) => calls,
            Kind::Prestate(prestate) => prestate,
            Kind::Noop(nothing) => nothing,
        }
    }

    /// Whether the execution was cut after so many instructions.
    #[must_use]
    pub fn is_cut(&self, allowance: u64) -> bool {
        let most = (allowance < u64::MAX).then_some(allowance);
        self.outcome.as_ref().is_some_and(|outcome| is_cut(&outcome.status, most))
    }

    /// The trace as JSON text. `gas` is what the transaction bought; `code` finds codes.
    ///
    /// # Errors
    /// When it is too long, or there is no code where there should be one.
    pub fn finish(
        self,
        args: &TraceArgs,
        gas: u64,
        code: impl FnMut(&H256) -> Result<Bytes, Failure>,
    ) -> Result<String, Failure> {
        let long = || {
            let hint = "ask for less of it (limit, onlyTopCall, disableStack)";
            Failure::limit(format!("the trace is longer than {LONGEST} bytes: {hint}"))
        };
        let config = args.tracer_config.unwrap_or_default();
        let Some(outcome) = self.outcome else { return Err(Failure::internal("an execution had no outcome")) };
        Ok(match self.kind {
            Kind::StructLogs(logs) => {
                let logs = logs.finish().ok_or_else(long)?;
                let failed = !matches!(outcome.status, Status::Success);
                let returned = hex::encode(&outcome.output);
                format!(
                    "{{\"failed\":{failed},\"gas\":{},\"returnValue\":\"0x{returned}\",\"structLogs\":{logs}}}",
                    outcome.gas_used
                )
            }
            Kind::Calls(calls) => calls.finish(gas, outcome.gas_used).ok_or_else(long)?.to_string(),
            Kind::Prestate(_) if config.diff_mode => prestate::difference(&outcome.diff, config, code)?.to_string(),
            Kind::Prestate(prestate) => prestate.before(&outcome, config, code)?.to_string(),
            Kind::Noop(()) => "{}".to_owned(),
        })
    }
}

impl Observer for Watch {
    fn transaction(&mut self, transaction: &Transaction) {
        self.observer().transaction(transaction);
    }
    fn step(&mut self, step: &Step<'_>) {
        self.observer().step(step);
    }
    fn step_end(&mut self, end: &StepEnd) {
        self.observer().step_end(end);
    }
    fn enter(&mut self, enter: &Enter<'_>) {
        self.observer().enter(enter);
    }
    fn exit(&mut self, exit: &Exit<'_>) {
        self.observer().exit(exit);
    }
    fn log(&mut self, log: &Log) {
        self.observer().log(log);
    }
    fn selfdestruct(&mut self, contract: H160, beneficiary: H160, balance: U256) {
        self.observer().selfdestruct(contract, beneficiary, balance);
    }
    fn account_read(&mut self, read: &AccountRead) {
        self.observer().account_read(read);
    }
    fn slot_read(&mut self, read: &SlotRead) {
        self.observer().slot_read(read);
    }
    fn outcome(&mut self, outcome: &Outcome) {
        self.outcome = Some(outcome.clone());
    }
}

/// Traces a call and keeps what it changed; the trace as JSON text.
///
/// # Errors
/// When there is no outcome, or the call was no valid one.
pub fn trace(sequence: &mut Sequence<'_>, call: &Call, args: &TraceArgs, most: usize) -> Result<String, Stop> {
    let mut watch = Watch::new(args, sequence.snapshot().rules().fork, most)?;
    let state = sequence.state();
    let outcome = sequence.go(call, Some(&mut watch))?;
    let gas = call.gas.unwrap_or_else(|| sequence.gas_cap()).min(sequence.gas_cap());
    if let Status::Rejected(reason) = &outcome.status {
        let text = calls::rejection(reason, &Sent { from: call.from, gas });
        return Err(Stop::Failed(Failure::server(format!("tracing failed: {text}"))));
    }
    let code = |hash: &H256| state.code(hash).map_err(|error| Failure::server(format!("state not available: {error}")));
    Ok(watch.finish(args, gas, code)?)
}
