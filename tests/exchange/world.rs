//! Environments with real machines, stepped from epoch to epoch.

use alloy_primitives::{Address, B256};
use alloy_sol_types::{SolCall, SolError};
use isolane::cpu::exchange::abi::IExchange;
use isolane::cpu::{Available, Machine, exchange as ledger};
use isolane::exchange::{Books, Breach, Config, Entry, Event, Exchange, Report, Snapshots, Subscription};
use isolane::spec::{
    AccountInfo, BlockContext, Bytes, EXCHANGE_ADDRESS, Environment, EnvironmentId, Fork, H160, H256, MemoryState,
    MessagePolicy, Messaging, Outcome, Receipt, Rules, Status, Transaction, U256,
};
use std::collections::BTreeMap;
use std::sync::Arc;

alloy_sol_types::sol! {
    interface Probe {
        function setMode(uint8 newMode, bytes calldata call) external;
        function forward(bytes calldata call) external payable returns (bytes memory);
        function forwardStatic(bytes calldata call) external view returns (bytes memory);
        function forwardDelegate(bytes calldata call) external returns (bytes memory);
        function forwardMany(bytes calldata call, uint256 count) external;
        function forwardUndone(bytes calldata call) external payable;
        function mode() external view returns (uint8);
        function calls() external view returns (uint256);
        function lastValue() external view returns (uint256);
        function reentrySucceeded() external view returns (bool);
        function last() external view returns (
            uint8 kind, bytes32 id, bytes32 source, address sender, uint64 nonce, uint64 epoch, bytes32 asset,
            uint256 value, bytes32 failedId, uint8 failure
        );
        function stateValue() external view returns (bytes32);
        function stateEpoch() external view returns (uint64);
    }
}

/// What a probe does with a delivery, as `contracts/test/Probe.sol` numbers it.
#[derive(Clone, Copy)]
pub enum Mode {
    Accept = 0,
    Revert = 1,
    Burn = 2,
    Reenter = 3,
    Return = 4,
}

pub const ALICE: H160 = H160([0xa1; 20]);
pub const BOB: H160 = H160([0xb0; 20]);
pub const PROBE: H160 = H160([0x9b; 20]);
pub const MANIFEST: H256 = H256([0x3a; 32]);
/// What Alice and Bob have at the start, in each environment.
pub const RICH: u64 = 1_000_000_000;
pub const NEVER: u64 = u64::MAX;

pub fn name(text: &str) -> EnvironmentId {
    EnvironmentId::new(text).expect("a name")
}

pub fn word(environment: EnvironmentId) -> B256 {
    B256::new(environment.0.0)
}

pub fn address(account: H160) -> Address {
    Address::new(account.0)
}

pub fn sol(number: u64) -> alloy_primitives::U256 {
    alloy_primitives::U256::from(number)
}

/// The runtime bytecode of a contract that is checked in.
pub fn runtime(contract: &str) -> Bytes {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("contracts/out/{contract}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let artifact: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let code = artifact["deployedBytecode"].as_str().expect("bytecode");
    hex::decode(code.trim_start_matches("0x")).expect("hexadecimal").into()
}

/// A send of the native asset, with the usual gas and without an end.
pub fn send(destination: EnvironmentId, to: H160, value: u64) -> IExchange::sendCall {
    IExchange::sendCall {
        destination: word(destination),
        to: address(to),
        asset: B256::ZERO,
        value: sol(value),
        gasLimit: 400_000,
        timeout: NEVER,
        refund: Address::ZERO,
        data: Default::default(),
    }
}

pub fn forward(call: &impl SolCall) -> Bytes {
    Probe::forwardCall { call: call.abi_encode().into() }.abi_encode().into()
}

/// Asserts that an execution reverted with that error.
#[track_caller]
pub fn assert_reverts(outcome: &Outcome, error: &impl SolError) {
    assert_eq!(outcome.status, Status::Revert, "{outcome:?}");
    let (expected, got) = (hex::encode(error.abi_encode()), hex::encode(&outcome.output));
    assert_eq!(got, expected, "another error");
}

#[track_caller]
pub fn assert_success(outcome: &Outcome) {
    assert_eq!(outcome.status, Status::Success, "{}", hex::encode(&outcome.output));
}

#[derive(Clone)]
pub struct Place {
    pub fork: Fork,
    pub state: MemoryState,
    nonces: BTreeMap<H160, u64>,
}

/// Environments and the exchange between them.
#[derive(Clone)]
pub struct World {
    pub exchange: Exchange,
    pub places: BTreeMap<EnvironmentId, Place>,
    /// Deliveries that are reported as rolled back, though they ran: their effects are dropped.
    pub roll_back: Vec<EnvironmentId>,
}

/// A transaction of the next epoch.
#[derive(Clone)]
pub struct Plan {
    pub environment: EnvironmentId,
    pub sender: H160,
    pub to: H160,
    pub value: u64,
    pub input: Bytes,
    pub gas: u64,
}

impl Plan {
    pub fn new(environment: EnvironmentId, to: H160, value: u64, input: impl Into<Bytes>) -> Self {
        Self { environment, sender: ALICE, to, value, input: input.into(), gas: 5_000_000 }
    }

    /// Alice calls the exchange itself.
    pub fn direct(environment: EnvironmentId, value: u64, call: &impl SolCall) -> Self {
        Self::new(environment, EXCHANGE_ADDRESS, value, call.abi_encode())
    }

    /// Alice has the probe call the exchange.
    pub fn probe(environment: EnvironmentId, value: u64, call: &impl SolCall) -> Self {
        Self::new(environment, PROBE, value, forward(call))
    }

    pub fn set_mode(environment: EnvironmentId, mode: Mode, reentry: Bytes) -> Self {
        let call = Probe::setModeCall { newMode: mode as u8, call: reentry.into() };
        Self::new(environment, PROBE, 0, call.abi_encode())
    }

    pub fn from(self, sender: H160) -> Self {
        Self { sender, ..self }
    }
}

/// What an epoch showed.
pub struct Epoch {
    pub report: Report,
    pub outcomes: Vec<Outcome>,
    pub delivered: Vec<(EnvironmentId, Outcome)>,
}

impl Epoch {
    pub fn events(&self, event: Event) -> Vec<&Entry> {
        self.report.entries.iter().filter(|entry| entry.event == event).collect()
    }
}

impl World {
    /// Environments of these names, forks and policies, each with Alice, Bob and a probe.
    pub fn new(places: &[(&str, Fork, MessagePolicy)], subscriptions: Vec<Subscription>) -> Self {
        let environments = places.iter().map(|(text, _, policy)| (name(text), policy.clone())).collect();
        let config = Config { manifest: MANIFEST, environments, subscriptions };
        let code = runtime("Probe");
        let code_hash = isolane::cpu::crypto::keccak256(&code);
        let place = |fork: Fork| {
            let mut state = MemoryState::default();
            let rich = AccountInfo { balance: U256::from(RICH), ..AccountInfo::default() };
            state.insert(ALICE, rich, Bytes::new(), []);
            state.insert(BOB, rich, Bytes::new(), []);
            state.insert(PROBE, AccountInfo { nonce: 1, code_hash, ..AccountInfo::default() }, code.clone(), []);
            Place { fork, state, nonces: BTreeMap::new() }
        };
        Self {
            exchange: Exchange::new(config).expect("a configuration"),
            places: places.iter().map(|(text, fork, _)| (name(text), place(*fork))).collect(),
            roll_back: Vec::new(),
        }
    }

    /// Two environments, `a` and `b`, without limits of their own.
    pub fn pair() -> Self {
        let policy = MessagePolicy::default;
        Self::new(&[("a", Fork::Prague, policy()), ("b", Fork::Istanbul, policy())], Vec::new())
    }

    /// An environment at its current state.
    pub fn environment(&self, id: EnvironmentId, snapshots: Option<Arc<Snapshots>>) -> Environment {
        let place = &self.places[&id];
        let block = BlockContext { gas_limit: u64::MAX, number: self.exchange.epoch(), ..BlockContext::default() };
        let state = Arc::new(place.state.clone());
        let config = self.exchange.config();
        Environment {
            messaging: Some(Messaging {
                environment: id,
                environments: config.environments.keys().copied().collect(),
                manifest: config.manifest,
                epoch: self.exchange.epoch(),
                policy: Arc::new(config.environments[&id].clone()),
                reader: snapshots.map(|snapshots| snapshots as _),
            }),
            ..Environment::new(id.to_string(), Rules::new(place.fork, 1), block, state)
        }
    }

    /// Runs an epoch that must not breach.
    pub fn step(&mut self, plans: &[Plan]) -> Epoch {
        self.try_step(plans).unwrap_or_else(|breach| panic!("{breach}"))
    }

    pub fn try_step(&mut self, plans: &[Plan]) -> Result<Epoch, Breach> {
        let (outcomes, delivered) = self.run(plans);
        let books = self.books();
        let report = self.exchange.barrier(&books)?;
        Ok(Epoch { report, outcomes, delivered })
    }

    /// Everything of an epoch but its barrier.
    pub fn run(&mut self, plans: &[Plan]) -> (Vec<Outcome>, Vec<(EnvironmentId, Outcome)>) {
        let ids: Vec<_> = self.places.keys().copied().collect();
        let snapshots = Arc::new(Snapshots::new(ids.iter().map(|id| self.environment(*id, None))));
        let mut outcomes = vec![None; plans.len()];
        let mut all_delivered = Vec::new();
        for id in ids {
            let mut machine = Machine::new(self.environment(id, Some(snapshots.clone())));
            let mut kept = Vec::new();
            let mut receipts: Vec<Receipt> = Vec::new();
            let rolled_back = self.roll_back.contains(&id);
            for delivery in self.exchange.deliveries(&id) {
                if rolled_back {
                    receipts.push(isolane::exchange::rolled_back(&delivery));
                    continue;
                }
                let outcome = machine.deliver(&delivery).unwrap_or_else(|error| panic!("{id}: {error}"));
                receipts.push(isolane::exchange::receipt(&delivery, &outcome));
                all_delivered.push((id, outcome.clone()));
                kept.push(outcome);
            }
            self.exchange.settle(id, receipts);
            for (index, plan) in plans.iter().enumerate().filter(|(_, plan)| plan.environment == id) {
                let nonces = &mut self.places.get_mut(&id).expect("an environment").nonces;
                let nonce = nonces.entry(plan.sender).or_default();
                let transaction = Transaction {
                    sender: plan.sender,
                    nonce: *nonce,
                    gas_limit: plan.gas,
                    to: Some(plan.to),
                    value: U256::from(plan.value),
                    input: plan.input.clone(),
                    ..Transaction::default()
                };
                let available = Available { gas: u64::MAX, blob_gas: 0 };
                let outcome = machine.transact(&transaction, available).expect("the state answers");
                assert!(!matches!(outcome.status, Status::Rejected(_)), "{:?}", outcome.status);
                *nonce += 1;
                outcomes[index] = Some(outcome.clone());
                kept.push(outcome);
            }
            for outcome in kept {
                self.exchange.collect(id, outcome.messages);
                self.exchange.publish(&id, &outcome.diff);
                self.places.get_mut(&id).expect("an environment").state.apply(&outcome.diff);
            }
        }
        let outcomes = outcomes.into_iter().map(|outcome| outcome.expect("its environment exists")).collect();
        (outcomes, all_delivered)
    }

    /// An epoch in which Alice sends one message and nothing is checked but that it closes.
    pub fn step_only_send(&mut self, environment: EnvironmentId, call: &impl SolCall) {
        let (outcomes, _) = self.run(&[Plan::direct(environment, 0, call)]);
        assert_success(&outcomes[0]);
        let mut books = self.books();
        for books in books.values_mut() {
            books.supply = None;
        }
        self.exchange.barrier(&books).expect("the books close");
    }

    pub fn books(&self) -> BTreeMap<EnvironmentId, Books> {
        let books = |(id, place): (&EnvironmentId, &Place)| {
            let mut books = self.exchange.books(&place.state).expect("the state answers");
            // Gas costs nothing here: native balances never change in sum.
            let balances = place.state.accounts.values().map(|account| account.info.balance);
            books.supply = Some(balances.fold(U256::zero(), |sum, balance| sum.overflowing_add(balance).0));
            (*id, books)
        };
        self.places.iter().map(books).collect()
    }

    pub fn native(&self, environment: EnvironmentId, account: H160) -> u64 {
        self.places[&environment].state.accounts.get(&account).map_or(0, |account| account.info.balance.low_u64())
    }

    pub fn abroad(&self, environment: EnvironmentId, asset: EnvironmentId, account: H160) -> u64 {
        ledger::balance(&self.places[&environment].state, &asset, &account).expect("the state answers").low_u64()
    }

    pub fn claimable(&self, environment: EnvironmentId, asset: EnvironmentId, account: H160) -> u64 {
        ledger::claimable(&self.places[&environment].state, &asset, &account).expect("the state answers").low_u64()
    }

    /// What a view function of an account returns.
    pub fn view<C: SolCall>(&self, environment: EnvironmentId, to: H160, call: &C) -> C::Return {
        let mut machine = Machine::new(self.environment(environment, None));
        let input = call.abi_encode().into();
        let sender = H160([0xee; 20]);
        let transaction = Transaction { sender, gas_limit: 5_000_000, to: Some(to), input, ..Transaction::default() };
        let outcome = machine.transact(&transaction, Available { gas: u64::MAX, blob_gas: 0 }).expect("an answer");
        assert_success(&outcome);
        C::abi_decode_returns(&outcome.output).expect("an output")
    }

    /// One hash over the exchange and all states.
    pub fn digest(&self) -> H256 {
        let mut bytes = self.exchange.to_bytes();
        for (id, place) in &self.places {
            bytes.extend_from_slice(&id.0.0);
            let accounts: BTreeMap<_, _> = place.state.accounts.iter().collect();
            for (address, account) in accounts {
                bytes.extend_from_slice(&address.0);
                let storage: BTreeMap<_, _> = account.storage.iter().collect();
                bytes.extend_from_slice(format!("{:?}{storage:?}", account.info).as_bytes());
            }
        }
        isolane::cpu::crypto::keccak256(&bytes)
    }
}
