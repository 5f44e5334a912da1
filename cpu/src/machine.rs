//! [`Machine`]: executes the transactions of one environment.

use crate::execution::Executor;
use crate::lane::Programs;
use crate::observer::Observer;
use crate::overlay::Overlay;
use crate::validation::GAS_PER_BLOB;
use crate::watch::Watcher;
use isolane_spec::{
    AccountDiff, AccountInfo, Answer, Budget, Bytes, Delivery, Environment, ExecutionError, H160, H256, KECCAK_EMPTY,
    Outcome, Query, Reads, StateView, Status, Transaction, U256, Validation,
};
use std::sync::Arc;

/// Gas that is left in the block; a transaction that asks for more is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Available {
    /// Execution gas.
    pub gas: u64,
    /// Blob gas (EIP-4844).
    pub blob_gas: u64,
}

impl Available {
    /// All that the environment's block still has.
    #[must_use]
    pub fn of(environment: &Environment) -> Self {
        Self {
            gas: environment.block.gas_limit.saturating_sub(environment.block.gas_used),
            blob_gas: (environment.rules.blob_schedule.max.saturating_mul(GAS_PER_BLOB))
                .saturating_sub(environment.block.blob_gas_used),
        }
    }

    /// What a transaction that came to this leaves.
    #[must_use]
    pub fn after(self, result: &Result<Outcome, ExecutionError>, transaction: &Transaction) -> Self {
        let Ok(outcome) = result else { return self };
        let blobs = match outcome.status {
            Status::Rejected(_) => 0,
            _ => transaction.blob_versioned_hashes.len() as u64,
        };
        Self {
            gas: self.gas.saturating_sub(outcome.gas_used),
            blob_gas: self.blob_gas.saturating_sub(blobs * GAS_PER_BLOB),
        }
    }
}

/// Executes the transactions of one environment one after another. Each call sees what the calls before it wrote; the
/// environment's base state is never written.
pub struct Machine {
    executor: Executor,
    programs: Programs,
}

impl Machine {
    /// A machine at the environment's base state.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self { executor: Executor::new(environment), programs: Programs::default() }
    }

    /// The environment.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.executor.lane.environment
    }

    /// Forgets all that was written: back to the base state of a (possibly other) environment. Keeps buffers and
    /// decoded code.
    pub fn reset(&mut self, environment: Environment) {
        self.programs.trim();
        self.executor.lane.reset(environment);
    }

    /// Forgets all that was written: back to the base state. Some of what was read of it is kept: it must not have changed.
    pub fn rewind(&mut self) {
        self.programs.trim();
        self.executor.lane.rewind();
    }

    /// Forgets all that was written and read: back to the base state, which may have changed.
    pub(crate) fn forget(&mut self) {
        self.programs.trim();
        self.executor.lane.forget();
    }

    /// Limits what each of the following transactions may use to what is left, where that is less than the environment's
    /// own budget, until the next allowance or [`Self::reset`].
    pub fn set_allowance(&mut self, left: Budget) {
        self.executor.lane.allowance = left;
    }

    /// What gas and blob gas cost in the following transactions, until the next [`Self::reset`]: simulated calls pay nothing where
    /// they name no price.
    pub fn set_base_fees(&mut self, base_fee: U256, blob_base_fee: U256) {
        let block = &mut self.executor.lane.environment.block;
        block.base_fee = base_fee;
        block.blob_base_fee = blob_base_fee;
    }

    /// Which rules the following transactions have to keep, until the next [`Self::reset`].
    pub fn set_validation(&mut self, validation: Validation) {
        self.executor.lane.environment.validation = validation;
    }

    /// The most state gas that a transaction may use (EIP-8037), which a block has to have left besides what
    /// [`Available`] holds; 0 before Amsterdam.
    #[must_use]
    pub fn most_state_gas(&self, transaction: &Transaction) -> u64 {
        self.executor.most_state_gas(transaction)
    }

    /// Validates and executes a transaction, and keeps its effects. A rejected transaction has none.
    ///
    /// # Errors
    /// When the state cannot answer; the machine is then as before the call.
    pub fn transact(&mut self, transaction: &Transaction, available: Available) -> Result<Outcome, ExecutionError> {
        self.executor.transact(&mut self.programs, transaction, available, &mut ())
    }

    /// Does what [`Self::transact`] does, with the same outcome, and tells an observer what happens. Slower.
    ///
    /// # Errors
    /// When the state cannot answer; the machine is then as before the call.
    pub fn transact_observed(
        &mut self,
        transaction: &Transaction,
        available: Available,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, ExecutionError> {
        self.executor.transact(&mut self.programs, transaction, available, &mut Watcher::new(observer))
    }

    /// Calls a system contract from `0xff…fe` with 30 million gas that nobody pays for (EIP-4788), and keeps its
    /// effects. The outcome's `output` holds the return data (EIP-7002 and EIP-7251 requests).
    ///
    /// # Errors
    /// When the state cannot answer; the machine is then as before the call.
    pub fn system_call(&mut self, to: H160, input: Bytes) -> Result<Outcome, ExecutionError> {
        self.executor.system_call(&mut self.programs, to, input, &mut ())
    }

    /// Does what [`Self::system_call`] does, with the same outcome, and tells an observer what happens. Slower.
    ///
    /// # Errors
    /// When the state cannot answer; the machine is then as before the call.
    pub fn system_call_observed(
        &mut self,
        to: H160,
        input: Bytes,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, ExecutionError> {
        self.executor.system_call(&mut self.programs, to, input, &mut Watcher::new(observer))
    }

    /// What the last transaction or system call looked at, the state before it included; of one that failed for lack of
    /// state, what it looked at until then. To be asked before anything else is done with the machine. The execution
    /// itself is not slower for it.
    #[must_use]
    pub fn reads(&self) -> Reads {
        self.executor.lane.journal.reads(self.executor.lane.environment.block.number)
    }

    /// Executes a message from another environment as a call from the exchange, with the message's gas, which nobody
    /// here pays for, and keeps its effects. What the message carries is credited to its recipient; a recipient without
    /// code just gets it. Where the call fails nothing is credited; of a refund, it is then claimable.
    ///
    /// # Errors
    /// When the state cannot answer, the environment had the message before, or it cannot be for this environment; the
    /// machine is then as before the call.
    pub fn deliver(&mut self, delivery: &Delivery) -> Result<Outcome, ExecutionError> {
        self.executor.deliver_message(&mut self.programs, delivery)
    }

    /// Answers a data call of another environment by a static call from the exchange, if this environment allows it.
    /// The machine is afterwards as before.
    ///
    /// # Errors
    /// When the state cannot answer.
    pub fn answer(&mut self, query: &Query) -> Result<Answer, ExecutionError> {
        self.executor.answer(&mut self.programs, query)
    }

    /// Adds to balances outside any transaction: withdrawals and rewards. An account that is empty afterwards and
    /// touched does not exist from Spurious Dragon on.
    ///
    /// # Errors
    /// When the state cannot answer.
    pub fn credit(&mut self, credits: &[(H160, U256)]) -> Result<Vec<AccountDiff>, ExecutionError> {
        let lane = &mut self.executor.lane;
        lane.journal.begin();
        for (address, amount) in credits {
            let account = lane.load(address)?;
            let balance = lane.journal.account(account).info.balance;
            lane.journal.set_balance(account, balance.overflowing_add(*amount).0);
        }
        Ok(lane.journal.finish())
    }

    /// Moves the whole balance of each of `from` to `to` outside any transaction (the DAO's irregular state change,
    /// EIP-779).
    ///
    /// # Errors
    /// When the state cannot answer.
    pub fn drain(&mut self, from: &[H160], to: H160) -> Result<Vec<AccountDiff>, ExecutionError> {
        let lane = &mut self.executor.lane;
        lane.journal.begin();
        let target = lane.load(&to)?;
        for address in from {
            let account = lane.load(address)?;
            let balance = lane.journal.account(account).info.balance;
            lane.journal.transfer(account, target, &balance);
        }
        Ok(lane.journal.finish())
    }

    /// Takes over what a transaction changed that another machine executed on the same state.
    pub(crate) fn apply(&mut self, diff: &[AccountDiff]) -> Result<(), ExecutionError> {
        let lane = &mut self.executor.lane;
        Ok(lane.journal.apply(diff, &*lane.environment.state)?)
    }

    /// The base state with all that was written.
    pub(crate) fn overlay(&self) -> Overlay {
        let lane = &self.executor.lane;
        Overlay::new(Arc::clone(&lane.environment.state), lane.journal.export())
    }

    pub(crate) fn allowance(&self) -> Budget {
        self.executor.lane.allowance
    }

    /// What the last transaction paid to a beneficiary at whose account it did not look otherwise.
    pub(crate) fn unseen_fee(&self) -> Option<U256> {
        self.executor.lane.unseen_fee
    }

    /// What a fee changes in the account that it is paid to.
    pub(crate) fn fee_diff(&self, address: H160, now: Option<AccountInfo>, fee: U256) -> Option<AccountDiff> {
        self.executor.lane.journal.fee_diff(address, now, fee)
    }

    /// Lets go of the base state.
    pub(crate) fn forget_state(&mut self, empty: Arc<dyn StateView>) {
        self.executor.lane.environment.state = empty;
    }

    /// The account as it stands now.
    ///
    /// # Errors
    /// When the state cannot answer.
    pub fn account(&mut self, address: H160) -> Result<Option<AccountInfo>, ExecutionError> {
        let lane = &mut self.executor.lane;
        let account = lane.load(&address)?;
        let entry = lane.journal.account(account);
        Ok(entry.exists.then_some(entry.info))
    }

    /// The code of a hash, from this machine's writes or from the base state.
    ///
    /// # Errors
    /// When neither has it.
    pub fn code(&mut self, code_hash: H256) -> Result<Bytes, ExecutionError> {
        let lane = &self.executor.lane;
        if code_hash == KECCAK_EMPTY {
            return Ok(Bytes::new());
        }
        match lane.journal.find_new_code(&code_hash) {
            Some(code) => Ok(code),
            None => Ok(lane.environment.state.code(&code_hash)?),
        }
    }
}
