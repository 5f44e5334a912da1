//! revm as an independent oracle: executes isolane's environments and transactions and shows isolane's outcomes.
//!
//! revm shares no code with the reference interpreter. What it cannot judge (Constantinople, Amsterdam, fees wider than
//! its types) is [`ExecutionError::Unsupported`], never a guess.

pub mod convert;
mod tracer;

pub use tracer::trace;

use hashbrown::HashMap;
use isolane_cpu::Available;
use isolane_spec::{
    AccountDiff, AccountInfo, Authorization, Backend, Batch, Environment, ExecutionError, Fork, H160, H256,
    InvalidTransaction, KECCAK_EMPTY, Log, Order, Outcome, SlotDiff, StateError, StateView, Status, Transaction, U256,
    Validation,
};
use rayon::prelude::*;
use revm::bytecode::Bytecode;
use revm::context::either::Either;
use revm::context::result::{EVMError, ExecutionResult, Output};
use revm::context::transaction::RecoveredAuthorization;
use revm::database_interface::DBErrorMarker;
use revm::handler::{MainnetContext, MainnetEvm, SystemCallEvm};
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, B256, Bytes};
use revm::state::{AccountInfo as RevmInfo, EvmState};
use revm::{Context, Database, ExecuteEvm, MainBuilder, MainContext};
use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The state could not answer revm.
#[derive(Debug)]
pub struct DatabaseError(StateError);

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for DatabaseError {}
impl DBErrorMarker for DatabaseError {}

impl From<StateError> for DatabaseError {
    fn from(error: StateError) -> Self {
        Self(error)
    }
}

/// An account that was written.
#[derive(Default)]
struct Written {
    info: Option<AccountInfo>,
    wiped: bool,
    storage: HashMap<U256, U256>,
}

/// isolane's base state below what revm has written so far.
struct OracleState {
    base: Arc<dyn StateView>,
    fork: Fork,
    written: HashMap<H160, Written>,
    codes: HashMap<H256, Bytecode>,
}

impl OracleState {
    fn info(&self, address: H160) -> Result<Option<AccountInfo>, StateError> {
        match self.written.get(&address) {
            Some(written) => Ok(written.info),
            None => self.base.account(&address),
        }
    }

    fn slot(&self, address: H160, key: U256) -> Result<U256, StateError> {
        if let Some(written) = self.written.get(&address) {
            match written.storage.get(&key) {
                Some(value) => return Ok(*value),
                None if written.wiped => return Ok(U256::zero()),
                None => {}
            }
        }
        self.base.storage(&address, &key)
    }

    fn has_storage(&self, address: H160) -> Result<bool, StateError> {
        match self.written.get(&address) {
            Some(written) if written.storage.values().any(|value| !value.is_zero()) => Ok(true),
            // A base slot that was overwritten by zero still counts: the base has no way to list its slots. Only the
            // flag `storage_wiped` depends on this, in a direction that is then compared.
            Some(written) if written.wiped => Ok(false),
            _ => self.base.has_storage(&address),
        }
    }

    /// Writes changes of any origin.
    fn apply(&mut self, diff: &[AccountDiff]) {
        for change in diff {
            let written = self.written.entry(change.address).or_default();
            written.info = change.after;
            if change.storage_wiped || change.after.is_none() {
                written.wiped = true;
                written.storage.clear();
            }
            written.storage.extend(change.storage.iter().map(|slot| (slot.key, slot.after)));
            if let (Some(code), Some(after)) = (&change.code, change.after) {
                self.codes.insert(after.code_hash, convert::bytecode(code, self.fork));
            }
        }
    }
}

impl Database for OracleState {
    type Error = DatabaseError;

    fn basic(&mut self, address: Address) -> Result<Option<RevmInfo>, DatabaseError> {
        let info = self.info(convert::address_back(address))?;
        Ok(info.map(|info| RevmInfo {
            balance: convert::word(info.balance),
            nonce: info.nonce,
            code_hash: convert::hash(info.code_hash),
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, DatabaseError> {
        let key = convert::hash_back(code_hash);
        if key == KECCAK_EMPTY {
            return Ok(Bytecode::default());
        }
        if let Some(code) = self.codes.get(&key) {
            return Ok(code.clone());
        }
        let code = convert::bytecode(&self.base.code(&key)?, self.fork);
        self.codes.insert(key, code.clone());
        Ok(code)
    }

    fn storage(
        &mut self,
        address: Address,
        index: revm::primitives::U256,
    ) -> Result<revm::primitives::U256, DatabaseError> {
        Ok(convert::word(self.slot(convert::address_back(address), convert::word_back(index))?))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, DatabaseError> {
        Ok(convert::hash(self.base.block_hash(number)?))
    }
}

type Evm<I> = MainnetEvm<MainnetContext<OracleState>, I>;

/// Executes the transactions of one environment on revm, one after another. `I` is revm's inspector, if there is one.
pub struct Oracle<I = ()> {
    evm: Evm<I>,
    spec: SpecId,
    fork: Fork,
}

fn unsupported(what: impl Into<String>) -> ExecutionError {
    ExecutionError::Unsupported(what.into())
}

/// An internal failure of revm: neither the state's nor the transaction's.
fn failed(error: impl fmt::Display) -> ExecutionError {
    ExecutionError::Panic(format!("revm: {error}"))
}

/// Analysed code that an oracle keeps between environments: little, since generated code is seldom met again.
const MAX_CODES: usize = 128;
/// Recovered authorizations that a thread keeps.
const MAX_RECOVERED: usize = 4096;

impl Oracle {
    /// An oracle at the environment's base state.
    ///
    /// # Errors
    /// [`ExecutionError::Unsupported`] where revm does not have the fork or its types are too narrow.
    pub fn new(environment: &Environment) -> Result<Self, ExecutionError> {
        Self::build(environment, |context| context.build_mainnet())
    }

    /// Back to the base state of an environment of a fork that revm executes alike; `false` where it does not.
    fn reset(&mut self, environment: &Environment) -> Result<bool, ExecutionError> {
        let (cfg, block) = configuration(environment)?;
        if cfg.spec != self.spec {
            return Ok(false);
        }
        self.fork = environment.rules.fork;
        self.evm.ctx.cfg = cfg;
        self.evm.ctx.block = block;
        let state = &mut self.evm.ctx.journaled_state.database;
        state.base = environment.state.clone();
        state.fork = self.fork;
        state.written.clear();
        if state.codes.len() > MAX_CODES {
            state.codes.clear();
        }
        Ok(true)
    }

    /// Validates and executes a transaction and keeps its effects, as [`isolane_cpu::Machine::transact`] does.
    ///
    /// # Errors
    /// When the state cannot answer, or revm cannot judge the transaction.
    pub fn transact(&mut self, transaction: &Transaction, available: Available) -> Result<Outcome, ExecutionError> {
        self.transact_by(transaction, available, |evm, transaction| {
            evm.transact(transaction).map(|done| (done.result, done.state))
        })
    }

    /// Calls a system contract and keeps its effects.
    ///
    /// # Errors
    /// When the state cannot answer.
    pub fn system_call(&mut self, to: H160, input: isolane_spec::Bytes) -> Result<Outcome, ExecutionError> {
        match self.evm.system_call(convert::address(to), Bytes(input)) {
            Ok(done) => self.judge(done.result, done.state),
            Err(error) => Err(error_of(error)),
        }
    }
}

/// Whether anything forbids something that the protocol allows: revm knows no such limits.
fn configuration(
    environment: &Environment,
) -> Result<(revm::context::CfgEnv, revm::context::BlockEnv), ExecutionError> {
    let fork = environment.rules.fork;
    if environment.is_restricted() {
        return Err(unsupported("revm has no permissions and budgets"));
    }
    if environment.validation != Validation::Full {
        return Err(unsupported("a simulated call"));
    }
    convert::configuration(environment).ok_or_else(|| match convert::spec_id(fork) {
        None => unsupported(format!("revm does not have {fork} as isolane has it")),
        Some(_) => unsupported("a base fee or blob base fee wider than revm's"),
    })
}

fn error_of(error: EVMError<DatabaseError>) -> ExecutionError {
    match error {
        EVMError::Database(DatabaseError(error)) => ExecutionError::State(error),
        error => failed(error),
    }
}

impl<I> Oracle<I> {
    fn build(
        environment: &Environment,
        build: impl FnOnce(MainnetContext<OracleState>) -> Evm<I>,
    ) -> Result<Self, ExecutionError> {
        let (cfg, block) = configuration(environment)?;
        let (spec, fork) = (cfg.spec, environment.rules.fork);
        let base = environment.state.clone();
        let state = OracleState { base, fork, written: HashMap::new(), codes: HashMap::new() };
        let evm = build(Context::mainnet().with_db(state).with_block(block).with_cfg(cfg));
        Ok(Self { evm, spec, fork })
    }

    fn transact_by(
        &mut self,
        transaction: &Transaction,
        available: Available,
        run: impl FnOnce(&mut Evm<I>, revm::context::TxEnv) -> Result<(ExecutionResult, EvmState), EVMError<DatabaseError>>,
    ) -> Result<Outcome, ExecutionError> {
        // What is left in the block is the block executor's to check; revm knows the whole block's limit only.
        if transaction.gas_limit > available.gas {
            return Ok(Outcome::rejected(InvalidTransaction::BlockGasLimitExceeded {
                available: available.gas,
                got: transaction.gas_limit,
            }));
        }
        if let Some(reason) = convert::refused_by_its_form(transaction) {
            return Ok(Outcome::rejected(reason));
        }
        let blob_gas = (transaction.blob_versioned_hashes.len() as u64).saturating_mul(1 << 17);
        let (mut env, cut) = convert::transaction(transaction);
        env.authorization_list =
            transaction.authorization_list.iter().map(|signed| Either::Right(recovered(signed))).collect();
        match run(&mut self.evm, env) {
            Ok(_) if blob_gas > available.blob_gas => Ok(Outcome::rejected(InvalidTransaction::BlobGasLimitExceeded {
                available: available.blob_gas,
                got: blob_gas,
            })),
            Ok(_) if cut => Err(unsupported("a fee above 2^128 that revm would accept cut")),
            Ok((result, state)) => self.judge(result, state),
            Err(EVMError::Transaction(reason)) => match convert::rejection(&reason, transaction) {
                Some(reason) => Ok(Outcome::rejected(reason)),
                None => Err(unsupported(format!("revm rejects: {reason}"))),
            },
            Err(error) => Err(error_of(error)),
        }
    }

    /// Writes changes that no transaction made: withdrawals, rewards, the DAO's.
    pub fn apply(&mut self, diff: &[AccountDiff]) {
        self.evm.ctx.journaled_state.database.apply(diff);
    }

    fn judge(&mut self, result: ExecutionResult, state: EvmState) -> Result<Outcome, ExecutionError> {
        let database = &mut self.evm.ctx.journaled_state.database;
        let mut diff = Vec::new();
        for (address, account) in &state {
            let address = convert::address_back(*address);
            if !account.is_touched() && !account.is_selfdestructed() {
                continue;
            }
            let before = database.info(address)?;
            let gone = account.is_selfdestructed()
                || (account.info.is_empty() && (self.fork >= Fork::SpuriousDragon || !account.is_created()));
            let after = (!gone).then(|| AccountInfo {
                nonce: account.info.nonce,
                balance: convert::word_back(account.info.balance),
                code_hash: convert::hash_back(account.info.code_hash),
            });
            if before.is_none() && after.is_none() {
                continue;
            }
            // A creation onto storage would wipe it too: it cannot happen (EIP-7610), and where revm lets it, it shows.
            let wiped = gone || account.is_created() && database.has_storage(address)?;
            let mut storage = Vec::new();
            for (key, slot) in account.storage.iter().filter(|_| !gone) {
                let key = convert::word_back(*key);
                let slot_before = database.slot(address, key)?;
                let slot_after = convert::word_back(slot.present_value);
                if slot_before != slot_after {
                    storage.push(SlotDiff { key, before: slot_before, after: slot_after });
                }
            }
            storage.sort_unstable_by_key(|slot| slot.key);
            if before == after && storage.is_empty() && !wiped {
                continue;
            }
            let hash_before = before.map_or(KECCAK_EMPTY, |info| info.code_hash);
            let code = match (&account.info.code, after) {
                (Some(code), Some(info)) if info.code_hash != hash_before && !code.is_empty() => {
                    Some(code.original_bytes().0)
                }
                _ => None,
            };
            diff.push(AccountDiff { address, before, after, code, storage_wiped: wiped, storage });
        }
        diff.sort_unstable_by_key(|change| change.address);
        database.apply(&diff);
        let gas = *result.gas();
        let (status, output, created, logs) = match result {
            ExecutionResult::Success { output, logs, .. } => {
                let created = output.address().copied().map(convert::address_back);
                let output = match output {
                    Output::Call(data) | Output::Create(data, _) => data,
                };
                (Status::Success, output, created, logs)
            }
            ExecutionResult::Revert { output, .. } => (Status::Revert, output, None, Vec::new()),
            ExecutionResult::Halt { reason, .. } => {
                (Status::Halt(convert::halt(&reason)), Bytes::new(), None, Vec::new())
            }
        };
        let logs = logs
            .into_iter()
            .map(|log| Log {
                address: convert::address_back(log.address),
                topics: log.data.topics().iter().map(|topic| H256(topic.0)).collect(),
                data: log.data.data.0,
            })
            .collect();
        Ok(Outcome {
            status,
            gas_used: gas.tx_gas_used(),
            // As capped by EIP-3529, whether or not the floor of EIP-7623 then takes it back.
            gas_refunded: gas.inner_refunded(),
            block_gas_used: gas.tx_gas_used(),
            state_gas_used: 0,
            output: output.0,
            created,
            logs,
            messages: Vec::new(),
            diff,
            // revm does not count them.
            steps: 0,
            denial: None,
        })
    }
}

/// An authorization with its authority, recovered by revm's own library. That takes longer than most transactions, and generated programs
/// sign few different ones: each thread keeps some.
fn recovered(authorization: &Authorization) -> RecoveredAuthorization {
    thread_local! {
        static RECOVERED: RefCell<HashMap<Authorization, RecoveredAuthorization>> = RefCell::new(HashMap::new());
    }
    RECOVERED.with_borrow_mut(|known| {
        if known.len() > MAX_RECOVERED {
            known.clear();
        }
        let recover = || match convert::authorization(authorization) {
            Either::Left(signed) => signed.into_recovered(),
            Either::Right(recovered) => recovered,
        };
        known.entry(authorization.clone()).or_insert_with(recover).clone()
    })
}

thread_local! {
    /// This thread's oracles by revm's fork. Taken out while in use, so that none survives a panic.
    static KEPT: RefCell<HashMap<SpecId, Oracle>> = RefCell::new(HashMap::new());
}

/// revm as a [`Backend`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Revm;

type Results = Vec<(usize, Result<Outcome, ExecutionError>)>;

impl Backend for Revm {
    fn name(&self) -> &'static str {
        "revm"
    }

    fn execute(&self, batch: &Batch) -> Vec<Result<Outcome, ExecutionError>> {
        let mut lanes: Vec<Vec<(usize, &Transaction)>> = vec![Vec::new(); batch.environments.len()];
        let mut results = Vec::with_capacity(batch.transactions.len());
        for (index, (environment, transaction)) in batch.transactions.iter().enumerate() {
            results.push(Err(ExecutionError::NoEnvironment(*environment)));
            if let Some(lanes) = lanes.get_mut(*environment as usize) {
                lanes.push((index, transaction));
            }
        }
        let done: Vec<Results> =
            batch.environments.par_iter().zip(&lanes).map(|(environment, lanes)| run(environment, lanes)).collect();
        for (index, result) in done.into_iter().flatten() {
            results[index] = result;
        }
        results
    }
}

/// Runs the transactions of one environment on this thread's oracle.
fn run(environment: &Environment, lanes: &[(usize, &Transaction)]) -> Results {
    let all = |error: ExecutionError| lanes.iter().map(|(index, _)| (*index, Err(error.clone()))).collect();
    let Some(spec) = convert::spec_id(environment.rules.fork) else {
        return all(unsupported(format!("revm does not have {} as isolane has it", environment.rules.fork)));
    };
    let kept = KEPT.with_borrow_mut(|kept| kept.remove(&spec));
    let ready = match kept {
        Some(mut oracle) => oracle.reset(environment).map(|same| same.then_some(oracle)),
        None => Ok(None),
    };
    let mut oracle = match ready.and_then(|kept| kept.map_or_else(|| Oracle::new(environment), Ok)) {
        Ok(oracle) => oracle,
        Err(error) => return all(error),
    };
    let mut available = Available::of(environment);
    let mut results = Vec::with_capacity(lanes.len());
    let mut broken = None;
    for &(index, transaction) in lanes {
        if environment.order == Order::Independent {
            available = Available::of(environment);
            oracle.evm.ctx.journaled_state.database.written.clear();
        } else if let Some(error) = &broken {
            results.push((index, Err(ExecutionError::clone(error))));
            continue;
        }
        let result = catch_unwind(AssertUnwindSafe(|| oracle.transact(transaction, available)))
            .unwrap_or_else(|_| Err(failed("a panic")));
        available = available.after(&result, transaction);
        if let Err(error) = &result {
            broken = Some(error.clone());
            if matches!(error, ExecutionError::Panic(_)) {
                // What the panic left behind is not to be trusted.
                match Oracle::new(environment) {
                    Ok(fresh) => oracle = fresh,
                    Err(error) => broken = Some(error),
                }
            }
        }
        results.push((index, result));
    }
    KEPT.with_borrow_mut(|kept| kept.insert(spec, oracle));
    results
}
