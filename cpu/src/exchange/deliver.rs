//! Messages on their way in: deliveries, and data calls from other environments.

use super::call::{self, Origin, Stop};
use super::ledger::{Ledger, Place};
use crate::execution::{End, Ended, Executor};
use crate::frame::Input;
use crate::journal::Checkpoint;
use crate::lane::{Programs, TransactionContext};
use crate::op::call::CallRequest;
use crate::transition::GasUsed;
use isolane_spec::{
    Answer, AnswerStatus, Bytes, Delivery, EXCHANGE_ADDRESS, ExecutionError, Fork, H160, Halt, Kind, Message,
    Messaging, Outcome, Query, Rule, StateError, U256,
};

impl Executor {
    /// Whether a call goes to the system address, in an environment that has one.
    #[inline]
    pub fn is_exchange(&self, request: &CallRequest) -> bool {
        self.lane.environment.messaging.is_some() && !request.delegated && request.code_address == EXCHANGE_ADDRESS
    }

    /// Calls the system address; its output goes where the caller's return data lies.
    pub fn run_exchange(&mut self, depth: usize, request: &CallRequest, input: &Input) -> Result<Ended, StateError> {
        let Some(messaging) = self.lane.environment.messaging.clone() else {
            return Ok(Ended::new(End::Success, request.gas));
        };
        let bytes = match input {
            Input::None => &[],
            Input::Owned(bytes) => &bytes[..],
            Input::Caller { offset, len } => self.frames[depth - 1].memory.slice(*offset, *len),
        };
        let mut gas = request.gas;
        let (end, output) = match call::call(&mut self.lane, &messaging, request, bytes, &mut gas) {
            Ok(output) => (End::Success, output),
            Err(Stop::Revert(output)) => (End::Revert, output),
            Err(Stop::Halt(halt)) => return Ok(Ended::halt(halt)),
            Err(Stop::State(error)) => return Err(error),
        };
        if depth == 0 {
            self.output = output;
        } else {
            let caller = &mut self.frames[depth - 1];
            let (offset, len) = request.output;
            caller.memory.write(offset, &output[..len.min(output.len())]);
            caller.return_data = output;
        }
        Ok(Ended::new(end, gas))
    }

    /// Executes a delivery; its effects stay in the journal.
    pub fn deliver_message(&mut self, programs: &mut Programs, delivery: &Delivery) -> Result<Outcome, ExecutionError> {
        self.lane.journal.begin();
        self.lane.origin = Some(Origin::Delivery(Box::new(delivery.clone())));
        let result = self.try_deliver(programs, delivery);
        self.lane.origin = None;
        if result.is_err() {
            self.lane.journal.revert(Checkpoint::default());
        }
        result
    }

    fn try_deliver(&mut self, programs: &mut Programs, delivery: &Delivery) -> Result<Outcome, ExecutionError> {
        let message = &delivery.message;
        let Some(messaging) = self.lane.environment.messaging.clone() else {
            let id = &self.lane.environment.id;
            return Err(ExecutionError::Undeliverable(format!("environment {id} has no messaging")));
        };
        if message.destination != messaging.environment {
            let (expected, got) = (messaging.environment, message.destination);
            return Err(ExecutionError::Undeliverable(format!("it is for {got}, and this is {expected}")));
        }
        self.begin_outside_call();
        let mut ledger = Ledger::open(&mut self.lane)?;
        let received = Place::received(&message.source, message.kind.number());
        let next = ledger.get(received)?.low_u64();
        if message.nonce < next {
            return Err(ExecutionError::Replayed { source: message.source, nonce: message.nonce, next });
        }
        ledger.set(received, U256::from(message.nonce) + 1)?;

        let checkpoint = self.lane.journal.checkpoint();
        let ended = if delivery.ledger_only {
            Ended::new(End::Halt(Halt::CallRefused), 0)
        } else {
            self.call_recipient(programs, message, &messaging)?
        };
        let gas_used = if delivery.ledger_only { 0 } else { message.gas - ended.gas };
        if ended.end != End::Success {
            self.lane.journal.revert(checkpoint);
            if matches!(message.kind, Kind::Refund { .. }) && !message.value.is_zero() {
                let mut ledger = Ledger::open(&mut self.lane)?;
                let total = ledger.add(Place::claimable_total(&message.asset), &message.value)?;
                let one = ledger.add(Place::claimable(&message.asset, &message.to), &message.value)?;
                if total.is_err() || one.is_err() {
                    let why = format!("what can be claimed of asset {} exceeds 256 bits", message.asset);
                    return Err(ExecutionError::Undeliverable(why));
                }
            }
        }
        Ok(self.outcome(&ended, GasUsed::new(gas_used)))
    }

    /// Credits what the message carries and calls its recipient.
    fn call_recipient(
        &mut self,
        programs: &mut Programs,
        message: &Message,
        messaging: &Messaging,
    ) -> Result<Ended, ExecutionError> {
        let refused = Ended::new(End::Halt(Halt::CallRefused), message.gas);
        if message.to == EXCHANGE_ADDRESS {
            return Ok(refused);
        }
        let native = message.asset == messaging.environment;
        let mut ledger = Ledger::open(&mut self.lane)?;
        let exchange = ledger.account;
        if message.value.is_zero() {
            // Nothing to credit.
        } else if native {
            let locked = ledger.sub(Place::locked(), &message.value)?;
            if locked.is_err() || ledger.native() < message.value {
                let why = format!("it carries {} of the native asset, and less is locked", message.value);
                return Err(ExecutionError::Undeliverable(why));
            }
            let target = self.lane.load(&message.to)?;
            if self.lane.journal.account(target).info.balance.checked_add(message.value).is_none() {
                return Ok(refused);
            }
        } else {
            let supply = ledger.add(Place::supply(&message.asset), &message.value)?;
            let balance = ledger.add(Place::balance(&message.asset, &message.to), &message.value)?;
            if supply.is_err() || balance.is_err() {
                return Ok(refused);
            }
        }
        let value = if native { message.value } else { U256::zero() };
        if let Some(rule) = self.denied_delivery(&message.to, !message.value.is_zero())? {
            let halt = self.lane.deny(rule, message.to, 0);
            return Ok(Ended::new(End::Halt(halt), message.gas));
        }
        let mut request = self.request_from_exchange(message.to, message.gas)?;
        request.payer = exchange;
        request.value = value;
        request.transfers = true;
        Ok(self.call(programs, request, &message.data, &mut ())?)
    }

    /// What the opcodes show of a call that no transaction made.
    fn begin_outside_call(&mut self) {
        let lane = &mut self.lane;
        lane.begin(lane.transaction_limits());
        lane.state_gas.begin(0);
        lane.transaction = TransactionContext { origin: EXCHANGE_ADDRESS, ..TransactionContext::default() };
    }

    /// The rule that denies a call from the exchange.
    fn denied_delivery(&mut self, to: &H160, sends_value: bool) -> Result<Option<Rule>, StateError> {
        if !self.lane.environment.permissions.messages {
            return Ok(Some(Rule::Message));
        }
        if let Some(rule) = self.lane.denied_call(to, false, sends_value) {
            return Ok(Some(rule));
        }
        let account = self.lane.load(to)?;
        let delegation = self.lane.delegation(account)?;
        Ok(delegation.and_then(|target| self.lane.denied_delegation(&target)))
    }

    /// A call from the exchange, through the callee's delegation if it has one (EIP-7702).
    fn request_from_exchange(&mut self, to: H160, gas: u64) -> Result<CallRequest, StateError> {
        let target = self.lane.load(&to)?;
        let mut code_account = target;
        let mut delegated = false;
        if let Some(address) = self.lane.delegation(target)? {
            code_account = self.lane.load(&address)?;
            delegated = true;
        }
        if self.lane.fork >= Fork::Berlin {
            self.lane.journal.warm(target);
            self.lane.journal.warm(code_account);
        }
        Ok(CallRequest {
            code_address: to,
            code_account,
            delegated,
            target,
            target_address: to,
            caller: EXCHANGE_ADDRESS,
            payer: target,
            value: U256::zero(),
            transfers: false,
            needs_balance: false,
            is_static: false,
            gas,
            input: (0, 0),
            output: (0, 0),
        })
    }

    /// Answers a data call. Nothing of it is kept.
    pub fn answer(&mut self, programs: &mut Programs, query: &Query) -> Result<Answer, ExecutionError> {
        let denied = Answer { status: AnswerStatus::Denied, gas_used: 0, output: Bytes::new() };
        let Some(messaging) = &self.lane.environment.messaging else { return Ok(denied) };
        if !messaging.policy.read_by.allows(&query.source) {
            return Ok(denied);
        }
        self.lane.journal.begin();
        self.lane.origin = Some(Origin::Query(Box::new(query.clone())));
        let result = self.try_answer(programs, query);
        self.lane.origin = None;
        self.lane.journal.revert(Checkpoint::default());
        Ok(result?)
    }

    fn try_answer(&mut self, programs: &mut Programs, query: &Query) -> Result<Answer, StateError> {
        self.begin_outside_call();
        if self.denied_delivery(&query.to, false)?.is_some() {
            return Ok(Answer { status: AnswerStatus::Denied, gas_used: 0, output: Bytes::new() });
        }
        let mut request = self.request_from_exchange(query.to, query.gas)?;
        request.is_static = true;
        let ended = self.call(programs, request, &query.data, &mut ())?;
        Ok(Answer {
            status: match ended.end {
                End::Success => AnswerStatus::Success,
                End::Revert => AnswerStatus::Revert,
                End::Halt(_) => AnswerStatus::Halt,
            },
            gas_used: query.gas - ended.gas,
            output: Bytes::copy_from_slice(&self.output),
        })
    }
}
