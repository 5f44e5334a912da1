//! revm as the second oracle: executes isolane's environments and transactions and shows isolane's outcomes.

use super::convert;
use isolane::cpu::Available;
use isolane::spec::{
    AccountDiff, AccountInfo, Environment, Fork, H160, H256, InvalidTransaction, KECCAK_EMPTY, Log, Outcome, SlotDiff,
    StateError, StateView, Status, Transaction, U256,
};
use revm::bytecode::Bytecode;
use revm::context::result::{EVMError, ExecutionResult, Output};
use revm::database_interface::DBErrorMarker;
use revm::handler::{MainnetContext, MainnetEvm, SystemCallEvm};
use revm::primitives::{Address, B256, Bytes};
use revm::state::{AccountInfo as RevmInfo, EvmState};
use revm::{Context, Database, ExecuteEvm, MainBuilder, MainContext};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// Why revm cannot say what is right.
#[derive(Clone, Debug)]
pub enum OracleError {
    /// revm does not have the fork, or its types are too narrow for the values.
    Unsupported(String),
    /// The state could not answer, or revm itself failed.
    Failed(String),
}

impl fmt::Display for OracleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(text) => write!(f, "revm cannot judge: {text}"),
            Self::Failed(text) => write!(f, "revm failed: {text}"),
        }
    }
}

impl std::error::Error for OracleError {}

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
pub struct OracleState {
    base: Arc<dyn StateView>,
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
                self.codes.insert(after.code_hash, convert::bytecode(code));
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
        let code = convert::bytecode(&self.base.code(&key)?);
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

/// What revm says a transaction does.
#[derive(Debug)]
pub struct Judgement {
    /// In isolane's words; `steps` is 0, revm does not count them.
    pub outcome: Outcome,
    /// Changed accounts that had storage before.
    had_storage: HashSet<H160>,
}

/// How much of an outcome is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reasons {
    /// Success, revert, halt or rejection, without the reason of a halt or rejection: what consensus fixes. Where two
    /// checks fail at once, implementations may name either.
    Ignored,
    /// The reasons too.
    Compared,
}

impl Judgement {
    /// All that differs, one line each; empty when isolane and revm agree.
    pub fn differences(&self, isolane: &Outcome, reasons: Reasons) -> Vec<String> {
        let revm = &self.outcome;
        let mut found = Vec::new();
        let mut check = |field: &str, same: bool, isolane: &dyn fmt::Debug, revm: &dyn fmt::Debug| {
            if !same {
                found.push(format!("{field}: isolane {isolane:?}, revm {revm:?}"));
            }
        };
        let same_status = match (&isolane.status, &revm.status) {
            (Status::Halt(a), Status::Halt(b)) => reasons == Reasons::Ignored || a == b,
            (Status::Rejected(a), Status::Rejected(b)) => {
                reasons == Reasons::Ignored || std::mem::discriminant(a) == std::mem::discriminant(b)
            }
            (a, b) => a == b,
        };
        check("status", same_status, &isolane.status, &revm.status);
        check("gas used", isolane.gas_used == revm.gas_used, &isolane.gas_used, &revm.gas_used);
        check("refund", isolane.gas_refunded == revm.gas_refunded, &isolane.gas_refunded, &revm.gas_refunded);
        check("output", isolane.output == revm.output, &isolane.output, &revm.output);
        check("created", isolane.created == revm.created, &isolane.created, &revm.created);
        check("logs", isolane.logs == revm.logs, &isolane.logs, &revm.logs);
        let ours: HashMap<H160, &AccountDiff> = isolane.diff.iter().map(|change| (change.address, change)).collect();
        let theirs: HashMap<H160, &AccountDiff> = revm.diff.iter().map(|change| (change.address, change)).collect();
        for change in &revm.diff {
            let wiped = self.had_storage.contains(&change.address);
            match ours.get(&change.address) {
                Some(other) => {
                    let (a, b) = (normal(other, wiped), normal(change, wiped));
                    check(&format!("account {:?}", change.address), a == b, &a, &b);
                }
                None => check(&format!("account {:?}", change.address), false, &"unchanged", change),
            }
        }
        for change in &isolane.diff {
            if !theirs.contains_key(&change.address) {
                check(&format!("account {:?}", change.address), false, change, &"unchanged");
            }
        }
        let sorted = isolane.diff.windows(2).all(|pair| pair[0].address < pair[1].address)
            && isolane.diff.iter().all(|change| change.storage.windows(2).all(|pair| pair[0].key < pair[1].key));
        check("order of the diff", sorted, &"unsorted", &"sorted");
        found
    }
}

/// A diff without what two right implementations may write differently: whether storage that never was counts as
/// wiped, and what a slot held before it was wiped.
fn normal(change: &AccountDiff, had_storage: bool) -> AccountDiff {
    let mut change = change.clone();
    change.storage_wiped &= had_storage;
    if change.storage_wiped {
        change.storage.retain(|slot| !slot.after.is_zero());
        change.storage.iter_mut().for_each(|slot| slot.before = U256::zero());
    }
    change
}

/// Executes the transactions of one environment on revm, one after another.
pub struct RevmOracle {
    evm: MainnetEvm<MainnetContext<OracleState>>,
    fork: Fork,
}

impl RevmOracle {
    /// An oracle at the environment's base state.
    pub fn new(environment: &Environment) -> Result<Self, OracleError> {
        let Some((cfg, block)) = convert::configuration(environment) else {
            return Err(OracleError::Unsupported(format!(
                "{} with base fee {}, blob base fee {}",
                environment.rules.fork, environment.block.base_fee, environment.block.blob_base_fee
            )));
        };
        let base = environment.state.clone();
        let state = OracleState { base, written: HashMap::new(), codes: HashMap::new() };
        let evm = Context::mainnet().with_db(state).with_block(block).with_cfg(cfg).build_mainnet();
        Ok(Self { evm, fork: environment.rules.fork })
    }

    /// Validates and executes a transaction and keeps its effects, as [`isolane::cpu::Machine::transact`] does.
    pub fn transact(&mut self, transaction: &Transaction, available: Available) -> Result<Judgement, OracleError> {
        // What is left in the block is the block executor's to check; revm knows the whole block's limit only.
        if transaction.gas_limit > available.gas {
            let reason =
                InvalidTransaction::BlockGasLimitExceeded { available: available.gas, got: transaction.gas_limit };
            return Ok(Judgement { outcome: Outcome::rejected(reason), had_storage: HashSet::new() });
        }
        let blob_gas = (transaction.blob_versioned_hashes.len() as u64).saturating_mul(1 << 17);
        let (env, cut) = convert::transaction(transaction);
        match self.evm.transact(env) {
            Ok(_) if blob_gas > available.blob_gas => {
                let reason = InvalidTransaction::BlobGasLimitExceeded { available: available.blob_gas, got: blob_gas };
                Ok(Judgement { outcome: Outcome::rejected(reason), had_storage: HashSet::new() })
            }
            Ok(_) if cut => Err(OracleError::Unsupported("a fee above 2^128 that revm would accept cut".into())),
            Ok(done) => self.judge(done.result, done.state),
            Err(EVMError::Transaction(reason)) => {
                let reason = convert::rejection(&reason, transaction)
                    .ok_or_else(|| OracleError::Unsupported(format!("rejected: {reason}")))?;
                Ok(Judgement { outcome: Outcome::rejected(reason), had_storage: HashSet::new() })
            }
            Err(error) => Err(OracleError::Failed(error.to_string())),
        }
    }

    /// Calls a system contract and keeps its effects.
    pub fn system_call(&mut self, to: H160, input: isolane::spec::Bytes) -> Result<Judgement, OracleError> {
        match self.evm.system_call(convert::address(to), Bytes(input)) {
            Ok(done) => self.judge(done.result, done.state),
            Err(error) => Err(OracleError::Failed(error.to_string())),
        }
    }

    /// Writes changes that no transaction made: withdrawals, rewards, the DAO's.
    pub fn apply(&mut self, diff: &[AccountDiff]) {
        self.evm.ctx.journaled_state.database.apply(diff);
    }

    fn judge(&mut self, result: ExecutionResult, state: EvmState) -> Result<Judgement, OracleError> {
        let failed = |error: StateError| OracleError::Failed(error.to_string());
        let database = &mut self.evm.ctx.journaled_state.database;
        let mut diff = Vec::new();
        let mut had_storage = HashSet::new();
        for (address, account) in &state {
            let address = convert::address_back(*address);
            if !account.is_touched() && !account.is_selfdestructed() {
                continue;
            }
            let before = database.info(address).map_err(failed)?;
            let gone = account.is_selfdestructed()
                || (account.info.is_empty() && (self.fork >= Fork::SpuriousDragon || !account.is_created()));
            let after = (!gone).then(|| AccountInfo {
                nonce: account.info.nonce,
                balance: convert::word_back(account.info.balance),
                code_hash: convert::hash_back(account.info.code_hash),
            });
            let had = database.has_storage(address).map_err(failed)?;
            if had {
                had_storage.insert(address);
            }
            let wiped = had && (gone || account.is_created());
            let mut storage = Vec::new();
            for (key, slot) in account.storage.iter().filter(|_| !gone) {
                let key = convert::word_back(*key);
                let slot_before = database.slot(address, key).map_err(failed)?;
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
        let outcome = Outcome {
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
            steps: 0,
            denial: None,
        };
        Ok(Judgement { outcome, had_storage })
    }
}
