//! The functions of the system address.

use super::abi::IExchange;
use super::ledger::{Ledger, Place};
use crate::lane::Lane;
use crate::op::call::CallRequest;
use alloy_primitives::{Address, B256, FixedBytes};
use alloy_sol_types::{SolCall, SolError};
use isolane_spec::gas::{
    EXCHANGE_CONTEXT, EXCHANGE_INPUT_WORD, EXCHANGE_LOOKUP, EXCHANGE_READ, EXCHANGE_REFUND, EXCHANGE_SEND,
    EXCHANGE_SEND_BYTE, EXCHANGE_TRANSFER,
};
use isolane_spec::{
    AnswerStatus, BudgetKind, Bytes, Delivery, EXCHANGE_ADDRESS, EnvironmentId, H160, H256, Halt, Kind, Message,
    Messaging, Order, Query, StateError, U256, word,
};

/// Who is behind the running call, where it came from outside the environment.
pub(crate) enum Origin {
    Delivery(Box<Delivery>),
    Query(Box<Query>),
}

/// Why a function did not return.
pub(crate) enum Stop {
    Revert(Vec<u8>),
    Halt(Halt),
    State(StateError),
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

fn revert(error: impl SolError) -> Stop {
    Stop::Revert(error.abi_encode())
}

fn charge(gas: &mut u64, cost: u64) -> Result<(), Stop> {
    *gas = gas.checked_sub(cost).ok_or(Stop::Halt(Halt::OutOfGas))?;
    Ok(())
}

fn b256(environment: &EnvironmentId) -> B256 {
    B256::new(environment.0.0)
}

fn environment_id(word: B256) -> EnvironmentId {
    EnvironmentId(H256(word.0))
}

fn h160(address: Address) -> H160 {
    H160(address.into_array())
}

fn sol(number: &U256) -> alloy_primitives::U256 {
    alloy_primitives::U256::from_limbs(number.0)
}

fn u256(number: alloy_primitives::U256) -> U256 {
    U256(number.into_limbs())
}

fn decode<C: SolCall>(arguments: &[u8]) -> Result<C, Stop> {
    C::abi_decode_raw_validate(arguments).map_err(|_| revert(IExchange::MalformedCall {}))
}

/// Calls the system address. Its changes are the caller's to undo where it does not return.
pub(crate) fn call(
    lane: &mut Lane,
    messaging: &Messaging,
    request: &CallRequest,
    input: &[u8],
    gas: &mut u64,
) -> Result<Vec<u8>, Stop> {
    charge(gas, EXCHANGE_INPUT_WORD * input.len().div_ceil(32) as u64)?;
    if request.target_address != EXCHANGE_ADDRESS {
        return Err(revert(IExchange::DirectCallOnly {}));
    }
    let selector: [u8; 4] = std::array::from_fn(|i| input.get(i).copied().unwrap_or_default());
    let arguments = input.get(4..).unwrap_or_default();
    let mut function = Function { lane, messaging, request, gas };
    if selector == IExchange::sendCall::SELECTOR {
        return function.send(arguments);
    }
    if !request.value.is_zero() {
        return Err(revert(IExchange::NotPayable { value: sol(&request.value) }));
    }
    match selector {
        IExchange::readCall::SELECTOR => function.read(arguments),
        IExchange::currentCall::SELECTOR => function.current(),
        IExchange::environmentCall::SELECTOR => {
            function.charge(EXCHANGE_CONTEXT)?;
            Ok(IExchange::environmentCall::abi_encode_returns(&b256(&messaging.environment)))
        }
        IExchange::epochCall::SELECTOR => {
            function.charge(EXCHANGE_CONTEXT)?;
            Ok(IExchange::epochCall::abi_encode_returns(&messaging.epoch))
        }
        IExchange::balanceOfCall::SELECTOR => {
            function.charge(EXCHANGE_LOOKUP)?;
            let call: IExchange::balanceOfCall = decode(arguments)?;
            function.lookup(Place::balance(&environment_id(call.asset), &h160(call.account)))
        }
        IExchange::totalSupplyCall::SELECTOR => {
            function.charge(EXCHANGE_LOOKUP)?;
            let call: IExchange::totalSupplyCall = decode(arguments)?;
            function.lookup(Place::supply(&environment_id(call.asset)))
        }
        IExchange::claimableCall::SELECTOR => {
            function.charge(EXCHANGE_LOOKUP)?;
            let call: IExchange::claimableCall = decode(arguments)?;
            let asset = function.asset(call.asset);
            function.lookup(Place::claimable(&asset, &h160(call.account)))
        }
        IExchange::transferCall::SELECTOR => function.transfer(arguments),
        IExchange::claimCall::SELECTOR => function.claim(arguments),
        _ => Err(revert(IExchange::UnknownFunction { selector: FixedBytes::new(selector) })),
    }
}

/// A call of one function.
struct Function<'a> {
    lane: &'a mut Lane,
    messaging: &'a Messaging,
    request: &'a CallRequest,
    gas: &'a mut u64,
}

impl Function<'_> {
    fn charge(&mut self, cost: u64) -> Result<(), Stop> {
        charge(self.gas, cost)
    }

    /// EIP-214: a static call changes nothing.
    fn not_static(&self) -> Result<(), Stop> {
        if self.request.is_static { Err(Stop::Halt(Halt::StaticViolation)) } else { Ok(()) }
    }

    /// The asset of an argument: zero is the native one.
    fn asset(&self, word: B256) -> EnvironmentId {
        if word.is_zero() { self.messaging.environment } else { environment_id(word) }
    }

    fn lookup(&mut self, place: Place) -> Result<Vec<u8>, Stop> {
        let value = Ledger::open(self.lane)?.get(place)?;
        Ok(word::to_be(&value).to_vec())
    }

    fn send(&mut self, arguments: &[u8]) -> Result<Vec<u8>, Stop> {
        self.not_static()?;
        self.charge(EXCHANGE_SEND + EXCHANGE_REFUND)?;
        let call: IExchange::sendCall = decode(arguments)?;
        self.charge(EXCHANGE_SEND_BYTE.saturating_mul(call.data.len() as u64))?;
        self.charge(call.gasLimit)?;

        // Nothing lasts of a transaction that the next one does not see: no nonce, and nothing locked.
        if self.lane.environment.order == Order::Independent {
            return Err(revert(IExchange::IndependentOrder {}));
        }
        let Messaging { environment, policy, epoch, .. } = self.messaging;
        let destination = environment_id(call.destination);
        if !self.messaging.environments.contains(&destination) {
            return Err(revert(IExchange::UnknownEnvironment { environment: call.destination }));
        }
        if !policy.send_to.allows(&destination) {
            return Err(revert(IExchange::DestinationDenied { destination: call.destination }));
        }
        for account in [call.to, call.refund] {
            if h160(account) == EXCHANGE_ADDRESS {
                return Err(revert(IExchange::InvalidRecipient { account }));
            }
        }
        let earliest = epoch.saturating_add(1);
        if call.timeout < earliest {
            return Err(revert(IExchange::TimeoutPassed { timeout: call.timeout, earliest }));
        }
        if self.lane.used.messages >= self.lane.limits.messages {
            let at = self.lane.steps;
            return Err(Stop::Halt(Halt::BudgetExceeded { kind: BudgetKind::Messages, at }));
        }
        let asset = self.asset(call.asset);
        let value = u256(call.value);
        self.lock(&asset, &value)?;

        let data = Bytes::from(call.data);
        self.fill_outbox(data.len() as u64)?;
        let mut ledger = Ledger::open(self.lane)?;
        let place = Place::next_nonce(&destination);
        let nonce = ledger.get(place)?.low_u64();
        ledger.set(place, U256::from(nonce) + 1)?;
        let message = Message {
            kind: Kind::Call,
            source: *environment,
            destination,
            nonce,
            epoch: *epoch,
            sender: self.request.caller,
            to: h160(call.to),
            asset,
            value,
            gas: call.gasLimit,
            timeout: call.timeout,
            refund: if call.refund.is_zero() { self.request.caller } else { h160(call.refund) },
            data,
        };
        let id = super::id(&message, &self.messaging.manifest);
        self.lane.used.messages += 1;
        self.lane.journal.messages.push(message);
        Ok(id.0.to_vec())
    }

    /// Takes what a message carries: the native asset came with the call, others go from the caller's balance.
    fn lock(&mut self, asset: &EnvironmentId, value: &U256) -> Result<(), Stop> {
        let native = *asset == self.messaging.environment;
        let expected = if native { *value } else { U256::zero() };
        if self.request.value != expected {
            let (expected, got) = (sol(&expected), sol(&self.request.value));
            return Err(revert(IExchange::ValueMismatch { expected, got }));
        }
        if value.is_zero() {
            return Ok(());
        }
        if !self.messaging.policy.assets {
            return Err(revert(IExchange::AssetsRefused {}));
        }
        let caller = self.request.caller;
        let mut ledger = Ledger::open(self.lane)?;
        if native {
            return ledger.add(Place::locked(), value)?.map_err(|_| revert(IExchange::ValueOverflow {}));
        }
        take(&mut ledger, asset, &caller, value)?;
        // The supply is the sum of the balances: it has what one of them had.
        ledger.sub(Place::supply(asset), value)?.map_err(|_| revert(IExchange::ValueOverflow {}))
    }

    /// Counts a message against the outbox of the epoch.
    fn fill_outbox(&mut self, bytes: u64) -> Result<(), Stop> {
        let (epoch, policy) = (self.messaging.epoch, &self.messaging.policy);
        let mut ledger = Ledger::open(self.lane)?;
        let U256([low, high, sent, counted]) = ledger.get(Place::outbox())?;
        let (sent, sent_bytes) =
            if counted == epoch { (sent, u128::from(high) << 64 | u128::from(low)) } else { (0, 0) };
        if sent >= policy.outbox {
            return Err(revert(IExchange::OutboxFull { limit: policy.outbox }));
        }
        let sent_bytes = sent_bytes.saturating_add(u128::from(bytes));
        if sent_bytes > u128::from(policy.outbox_bytes) {
            return Err(revert(IExchange::OutboxBytesExceeded { limit: policy.outbox_bytes }));
        }
        let word = U256([sent_bytes as u64, (sent_bytes >> 64) as u64, sent + 1, epoch]);
        Ok(ledger.set(Place::outbox(), word)?)
    }

    fn read(&mut self, arguments: &[u8]) -> Result<Vec<u8>, Stop> {
        self.charge(EXCHANGE_READ)?;
        let call: IExchange::readCall = decode(arguments)?;
        let environment = environment_id(call.environment);
        let denied = || revert(IExchange::ReadDenied { environment: call.environment });
        if !self.messaging.environments.contains(&environment) {
            return Err(revert(IExchange::UnknownEnvironment { environment: call.environment }));
        }
        if !self.messaging.policy.read_from.allows(&environment) {
            return Err(denied());
        }
        // A data call does not make data calls: they would nest machines without end.
        let reading = matches!(self.lane.origin, Some(Origin::Query(_)));
        let Some(reader) = self.messaging.reader.as_ref().filter(|_| !reading) else {
            return Err(revert(IExchange::ReadUnavailable {}));
        };
        let query = Query {
            source: self.messaging.environment,
            sender: self.request.caller,
            epoch: self.messaging.epoch,
            environment,
            to: h160(call.to),
            data: Bytes::from(call.data),
            gas: (*self.gas).min(self.messaging.policy.read_gas),
        };
        let answer = reader.read(&query)?;
        self.charge(answer.gas_used)?;
        match answer.status {
            AnswerStatus::Success => Ok(IExchange::readCall::abi_encode_returns(&answer.output.into())),
            AnswerStatus::Revert => Err(revert(IExchange::ReadReverted { output: answer.output.into() })),
            AnswerStatus::Halt => Err(revert(IExchange::ReadHalted {})),
            AnswerStatus::Denied => Err(denied()),
        }
    }

    fn current(&mut self) -> Result<Vec<u8>, Stop> {
        self.charge(EXCHANGE_CONTEXT)?;
        let origin = match &self.lane.origin {
            None => return Err(revert(IExchange::NoOrigin {})),
            Some(Origin::Query(query)) => IExchange::Origin {
                kind: QUERY_KIND,
                id: B256::ZERO,
                source: b256(&query.source),
                sender: Address::new(query.sender.0),
                nonce: 0,
                epoch: query.epoch,
                asset: B256::ZERO,
                value: alloy_primitives::U256::ZERO,
                failedId: B256::ZERO,
                failure: 0,
            },
            Some(Origin::Delivery(delivery)) => {
                let message = &delivery.message;
                let (failed, failure) = match message.kind {
                    Kind::Refund { id, failure } => (B256::new(id.0), failure as u8),
                    Kind::State | Kind::Call => (B256::ZERO, 0),
                };
                IExchange::Origin {
                    kind: message.kind.number(),
                    id: B256::new(delivery.id.0),
                    source: b256(&message.source),
                    sender: Address::new(message.sender.0),
                    nonce: message.nonce,
                    epoch: message.epoch,
                    asset: b256(&message.asset),
                    value: sol(&message.value),
                    failedId: failed,
                    failure,
                }
            }
        };
        Ok(IExchange::currentCall::abi_encode_returns(&origin))
    }

    fn transfer(&mut self, arguments: &[u8]) -> Result<Vec<u8>, Stop> {
        self.not_static()?;
        self.charge(EXCHANGE_TRANSFER)?;
        let call: IExchange::transferCall = decode(arguments)?;
        if h160(call.to) == EXCHANGE_ADDRESS {
            return Err(revert(IExchange::InvalidRecipient { account: call.to }));
        }
        let (asset, value, caller) = (environment_id(call.asset), u256(call.value), self.request.caller);
        let mut ledger = Ledger::open(self.lane)?;
        take(&mut ledger, &asset, &caller, &value)?;
        let to = Place::balance(&asset, &h160(call.to));
        ledger.add(to, &value)?.map_err(|_| revert(IExchange::ValueOverflow {}))?;
        Ok(IExchange::transferCall::abi_encode_returns(&true))
    }

    fn claim(&mut self, arguments: &[u8]) -> Result<Vec<u8>, Stop> {
        self.not_static()?;
        self.charge(EXCHANGE_TRANSFER)?;
        let call: IExchange::claimCall = decode(arguments)?;
        let to = h160(call.to);
        if to == EXCHANGE_ADDRESS {
            return Err(revert(IExchange::InvalidRecipient { account: call.to }));
        }
        let asset = self.asset(call.asset);
        let caller = self.request.caller;
        let overflow = |_| revert(IExchange::ValueOverflow {});
        let mut ledger = Ledger::open(self.lane)?;
        let value = ledger.get(Place::claimable(&asset, &caller))?;
        if value.is_zero() {
            let account = Address::new(caller.0);
            return Err(revert(IExchange::NothingClaimable { asset: b256(&asset), account }));
        }
        ledger.set(Place::claimable(&asset, &caller), U256::zero())?;
        ledger.sub(Place::claimable_total(&asset), &value)?.map_err(overflow)?;
        if asset == self.messaging.environment {
            ledger.sub(Place::locked(), &value)?.map_err(overflow)?;
            let from = ledger.account;
            let target = self.lane.load(&to)?;
            if self.lane.journal.account(target).info.balance.checked_add(value).is_none()
                || !self.lane.journal.transfer(from, target, &value)
            {
                return Err(revert(IExchange::ValueOverflow {}));
            }
            self.lane.log_transfer(from, target, &value);
        } else {
            ledger.add(Place::supply(&asset), &value)?.map_err(overflow)?;
            ledger.add(Place::balance(&asset, &to), &value)?.map_err(overflow)?;
        }
        Ok(word::to_be(&value).to_vec())
    }
}

/// What `current` shows as the kind of a data call, after the kinds of messages.
const QUERY_KIND: u8 = 3;

/// Takes from a balance of an asset from abroad.
fn take(ledger: &mut Ledger<'_>, asset: &EnvironmentId, account: &H160, value: &U256) -> Result<(), Stop> {
    let place = Place::balance(asset, account);
    let balance = ledger.get(place)?;
    ledger.sub(place, value)?.map_err(|_| {
        revert(IExchange::InsufficientBalance { asset: b256(asset), balance: sol(&balance), required: sol(value) })
    })
}
