//! revm with its own inspectors.

use crate::cases::Case;
use crate::support::convert;
use isolane::cpu::observer::CallKind;
use isolane::spec::{Bytes, H160, StateView, U256};
use isolane::trace::{CallFrame, FrameKind};
use revm::bytecode::Bytecode;
use revm::context::{ContextTr, CreateScheme};
use revm::inspector::inspectors::TracerEip3155;
use revm::interpreter::{CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome};
use revm::primitives::{Address, B256};
use revm::state::AccountInfo;
use revm::{Context, Database, InspectEvm, Inspector, MainBuilder, MainContext};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// The base state, for revm.
#[derive(Debug)]
struct Base(BaseView);

type BaseView = Shown<Arc<dyn StateView>>;

/// Something without a form to print.
struct Shown<T>(T);

impl<T> std::fmt::Debug for Shown<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a state")
    }
}

/// The state could not answer.
#[derive(Debug)]
struct Failed(isolane::spec::StateError);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failed {}
impl revm::database_interface::DBErrorMarker for Failed {}

impl Database for Base {
    type Error = Failed;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Failed> {
        let info = self.0.0.account(&convert::address_back(address)).map_err(Failed)?;
        Ok(info.map(|info| AccountInfo {
            balance: convert::word(info.balance),
            nonce: info.nonce,
            code_hash: convert::hash(info.code_hash),
            account_id: None,
            code: None,
        }))
    }
    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Failed> {
        let code = self.0.0.code(&convert::hash_back(code_hash)).map_err(Failed)?;
        Ok(convert::bytecode(&code))
    }
    fn storage(&mut self, address: Address, key: revm::primitives::U256) -> Result<revm::primitives::U256, Failed> {
        let value = self.0.0.storage(&convert::address_back(address), &convert::word_back(key)).map_err(Failed)?;
        Ok(convert::word(value))
    }
    fn block_hash(&mut self, number: u64) -> Result<B256, Failed> {
        Ok(convert::hash(self.0.0.block_hash(number).map_err(Failed)?))
    }
}

/// Collects calls in isolane's form, in the order of their starts.
#[derive(Debug, Default)]
struct Calls {
    frames: Vec<CallFrame>,
    open: Vec<usize>,
}

impl Calls {
    fn start(
        &mut self,
        kind: CallKind,
        from: Address,
        to: H160,
        value: revm::primitives::U256,
        gas: u64,
        input: Bytes,
    ) {
        let mut trace_address = Vec::new();
        if let Some(&parent) = self.open.last() {
            let parent = &mut self.frames[parent];
            trace_address.clone_from(&parent.trace_address);
            trace_address.push(parent.subtraces);
            parent.subtraces += 1;
        }
        self.open.push(self.frames.len());
        self.frames.push(CallFrame {
            trace_address,
            kind: FrameKind::Call(kind),
            from: convert::address_back(from),
            to,
            value: convert::word_back(value),
            gas,
            gas_used: 0,
            input,
            output: Bytes::new(),
            error: None,
            created: None,
            precompile: false,
            subtraces: 0,
        });
    }

    fn end(&mut self, result: &revm::interpreter::InterpreterResult, created: Option<Address>) -> &mut CallFrame {
        let frame = self.open.pop().expect("a frame is open");
        let frame = &mut self.frames[frame];
        let left = if result.result.is_halt() { 0 } else { result.gas.remaining() };
        frame.gas_used = frame.gas - left;
        frame.output = if result.result.is_halt() { Bytes::new() } else { result.output.0.clone() };
        frame.error = (!result.result.is_ok()).then(|| format!("{:?}", result.result));
        frame.created = created.map(convert::address_back).filter(|_| result.result.is_ok());
        frame
    }
}

impl<CTX: ContextTr> Inspector<CTX> for Calls {
    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let (kind, from) = match inputs.scheme {
            CallScheme::Call => (CallKind::Call, inputs.caller),
            CallScheme::CallCode => (CallKind::CallCode, inputs.caller),
            CallScheme::DelegateCall => (CallKind::DelegateCall, inputs.target_address),
            CallScheme::StaticCall => (CallKind::StaticCall, inputs.caller),
        };
        let to = convert::address_back(inputs.bytecode_address);
        let input = inputs.input.bytes(context).0;
        self.start(kind, from, to, inputs.value.get(), inputs.gas_limit, input);
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, outcome: &mut CallOutcome) {
        self.end(&outcome.result, None);
    }

    fn create(&mut self, _: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        let kind = match inputs.scheme() {
            CreateScheme::Create2 { .. } => CallKind::Create2,
            _ => CallKind::Create,
        };
        let init_code = inputs.init_code().0.clone();
        self.start(kind, inputs.caller(), H160::zero(), inputs.value(), inputs.gas_limit(), init_code);
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, outcome: &mut CreateOutcome) {
        let frame = self.end(&outcome.result, outcome.address);
        if frame.error.is_none() && frame.created.is_none() {
            // revm calls a creation whose creator has no nonce left a success without an account.
            frame.error = Some("NonceOverflow".to_owned());
        }
    }
}

/// A writer that keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What revm tells of a case: its EIP-3155 lines, and its calls; `None` where it has no word for it.
pub fn inspect(case: &Case) -> Option<(String, Vec<CallFrame>)> {
    let (cfg, block) = convert::configuration(&case.environment)?;
    let (transaction, _) = convert::transaction(&case.transaction);
    let lines = Kept::default();
    let tracer = TracerEip3155::new(Box::new(lines.clone())).with_memory();
    let inspectors = (tracer, Calls::default());
    let mut evm = Context::mainnet()
        .with_db(Base(Shown(case.environment.state.clone())))
        .with_block(block)
        .with_cfg(cfg)
        .build_mainnet_with_inspector(inspectors);
    // A rejected transaction has no steps and no calls, which is what is compared.
    let _ = evm.inspect_one_tx(transaction);
    let text = String::from_utf8(lines.0.lock().expect("nobody panicked").clone()).expect("text");
    Some((text, std::mem::take(&mut evm.inspector.1.frames)))
}

/// The number of a hexadecimal quantity.
pub fn number(text: &str) -> U256 {
    U256::from_str_radix(text, 16).expect("a hexadecimal number")
}
