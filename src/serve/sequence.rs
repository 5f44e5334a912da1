//! Calls one after another, each on what the one before it left, watched by whoever asks: everything but plain `eth_call`.

use super::calls::{self, GAS_CAP};
use super::jsonrpc::Failure;
use super::tenants::Tenant;
use crate::executor::{Call, Key, Snapshot};
use isolane_cpu::{Available, Machine, Observer, with_machine};
use isolane_spec::{
    AccountInfo, BudgetKind, Bytes, Environment, ExecutionError, H160, H256, Halt, Order, Outcome, StateError,
    StateView, Status, Transaction, U256, Validation,
};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Why there is no outcome.
#[derive(Clone, Debug)]
pub enum Stop {
    /// The instructions that were allowed are used up: it has to begin again where more are allowed.
    TooLong,
    /// It cannot be answered.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The executions of one request.
pub struct Sequence<'a> {
    tenant: &'a Tenant,
    snapshot: Snapshot,
    /// Instructions that are left of those allowed.
    left: u64,
    used: u64,
}

impl<'a> Sequence<'a> {
    /// Begins at a snapshot, with so many instructions allowed.
    #[must_use]
    pub fn new(tenant: &'a Tenant, snapshot: Snapshot, allowance: u64) -> Self {
        Self { tenant, snapshot, left: allowance, used: 0 }
    }

    /// Where it stands.
    #[must_use]
    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Goes on elsewhere.
    pub fn set_snapshot(&mut self, snapshot: Snapshot) {
        self.snapshot = snapshot;
    }

    /// Instructions executed so far.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// The gas of a call that names none, and the most of any.
    #[must_use]
    pub fn gas_cap(&self) -> u64 {
        GAS_CAP.min(self.tenant.budget.gas)
    }

    /// Executes a call where it stands, and leaves everything as it is.
    ///
    /// # Errors
    /// When there is no outcome.
    pub fn look(&mut self, call: &Call, observer: Option<&mut dyn Observer>) -> Result<Outcome, Stop> {
        let view = Arc::new(Fetching::new(self.snapshot.clone()));
        let environment = self.snapshot.environment(Arc::clone(&view) as _, call.terms(), true);
        let nonce = match (call.validation, call.nonce) {
            (Validation::Full, None) => view.account(&call.from).map_err(unanswered)?.unwrap_or_default().nonce,
            _ => 0,
        };
        let transaction = call.transaction(self.gas_cap(), environment.rules.fork, nonce);
        self.execute(&view, environment, &transaction, observer)
    }

    /// Executes a call and keeps what it changed.
    ///
    /// # Errors
    /// When there is no outcome; then nothing changed.
    pub fn go(&mut self, call: &Call, observer: Option<&mut dyn Observer>) -> Result<Outcome, Stop> {
        let outcome = self.look(call, observer)?;
        self.keep(&outcome);
        Ok(outcome)
    }

    /// Goes on from what an outcome changed.
    pub fn keep(&mut self, outcome: &Outcome) {
        if !outcome.diff.is_empty() {
            self.snapshot = self.snapshot.with_changes(&outcome.diff);
        }
    }

    /// The state where it stands, which fetches what it lacks.
    #[must_use]
    pub fn state(&self) -> Arc<dyn StateView> {
        Arc::new(Fetching::new(self.snapshot.clone()))
    }

    fn execute(
        &mut self,
        view: &Arc<Fetching>,
        mut environment: Environment,
        transaction: &Transaction,
        observer: Option<&mut dyn Observer>,
    ) -> Result<Outcome, Stop> {
        let most = restrict(&mut environment, self.tenant, self.left);
        environment.order = Order::Sequential;
        // One request for what is needed in any case.
        view.prepare(transaction);
        let available = Available::of(&environment);
        let result = match observer {
            Some(observer) => Machine::new(environment).transact_observed(transaction, available, observer),
            None => with_machine(environment, |machine| machine.transact(transaction, available)),
        };
        let outcome = result.map_err(|error| match (view.failure(), error) {
            (Some(failure), _) => Stop::Failed(failure),
            (None, error) => Stop::Failed(Failure::server(format!("state not available: {error}"))),
        })?;
        self.used += outcome.steps;
        self.left = self.left.saturating_sub(outcome.steps);
        if is_cut(&outcome.status, most) { Err(Stop::TooLong) } else { Ok(outcome) }
    }
}

/// Restricts an environment to what a tenant may, and to so many instructions; `Some` where those are fewer than the
/// tenant may have.
pub fn restrict(environment: &mut Environment, tenant: &Tenant, allowance: u64) -> Option<u64> {
    environment.permissions.clone_from(&tenant.permissions);
    environment.budget = tenant.budget;
    if tenant.budget.steps <= allowance {
        return None;
    }
    environment.budget.steps = allowance;
    Some(allowance)
}

/// Whether an execution ended only because it was allowed fewer instructions than the tenant may have.
#[must_use]
pub const fn is_cut(status: &Status, most: Option<u64>) -> bool {
    most.is_some() && matches!(status, Status::Halt(Halt::BudgetExceeded { kind: BudgetKind::Steps, .. }))
}

fn unanswered(error: StateError) -> Stop {
    Stop::Failed(Failure::server(format!("state not available: {error}")))
}

/// A snapshot's state that asks for what it lacks, one question at a time, and waits for the answer.
pub struct Fetching {
    snapshot: Snapshot,
    known: RwLock<Arc<dyn StateView>>,
    /// The first failure, with all that the source says about it.
    failure: Mutex<Option<Failure>>,
}

impl Fetching {
    /// The state of a snapshot.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        let known = RwLock::new(snapshot.view());
        Self { snapshot, known, failure: Mutex::default() }
    }

    /// The first failure of the source.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn known(&self) -> Arc<dyn StateView> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn fetch(&self, keys: impl IntoIterator<Item = Key>) -> Result<(), StateError> {
        let failed = self.snapshot.fetch(keys);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = self.snapshot.view();
        let Some((_, error)) = failed.first() else { return Ok(()) };
        let text = error.to_string();
        let failure = calls::unanswered(error);
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        Err(StateError::Source(text))
    }

    /// Asks for what a transaction needs in any case, all at once.
    fn prepare(&self, transaction: &Transaction) {
        let known = self.known();
        let mut addresses = vec![transaction.sender, self.snapshot.block().coinbase];
        addresses.extend(transaction.to);
        addresses.extend(transaction.access_list.iter().map(|item| item.address));
        let mut lacking: Vec<Key> = addresses.iter().filter_map(|it| Key::of(&known.account(it).err()?)).collect();
        for item in &transaction.access_list {
            let keys = item.storage_keys.iter();
            lacking.extend(keys.filter_map(|key| Key::of(&known.storage(&item.address, key).err()?)));
        }
        if !lacking.is_empty() {
            // A failure shows when the execution asks for it.
            let _ = self.fetch(lacking);
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn ask<T>(&self, question: impl Fn(&dyn StateView) -> Result<T, StateError>) -> Result<T, StateError> {
        let answer = question(&*self.known());
        let Err(lacking) = answer else { return answer };
        let Some(key) = Key::of(&lacking) else { return Err(lacking) };
        self.fetch([key])?;
        question(&*self.known())
    }
}

impl StateView for Fetching {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        self.ask(|state| state.account(address))
    }

    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        self.ask(|state| state.storage(address, key))
    }

    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        self.ask(|state| state.has_storage(address))
    }

    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        self.ask(|state| state.code(code_hash))
    }

    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        self.ask(|state| state.block_hash(number))
    }
}

impl From<ExecutionError> for Stop {
    fn from(error: ExecutionError) -> Self {
        match error {
            ExecutionError::Panic(text) => Self::Failed(Failure::internal(text)),
            other => Self::Failed(Failure::server(format!("state not available: {other}"))),
        }
    }
}
