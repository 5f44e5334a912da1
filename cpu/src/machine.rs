//! [`Machine`]: executes the transactions of one environment.

use isolane_spec::{
    AccountDiff, AccountInfo, Bytes, Environment, ExecutionError, H160, H256, Outcome, Transaction, U256,
};

/// Gas that is left in the block; a transaction that asks for more is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Available {
    /// Execution gas.
    pub gas: u64,
    /// Blob gas (EIP-4844).
    pub blob_gas: u64,
}

/// Executes the transactions of one environment one after another. Each call sees what the calls before it wrote; the
/// environment's base state is never written.
pub struct Machine {
    environment: Environment,
}

impl Machine {
    /// A machine at the environment's base state.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self { environment }
    }

    /// The environment.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Forgets all that was written: back to the base state of a (possibly other) environment. Keeps buffers.
    pub fn reset(&mut self, environment: Environment) {
        self.environment = environment;
    }

    /// Validates and executes a transaction, and keeps its effects. A rejected transaction has none.
    ///
    /// # Errors
    /// When the state cannot answer; the machine is then as before the call.
    pub fn transact(&mut self, transaction: &Transaction, available: Available) -> Result<Outcome, ExecutionError> {
        let _ = (transaction, available);
        Err(ExecutionError::Panic("the interpreter is being written".into()))
    }

    /// Calls a system contract from `0xff…fe` with 30 million gas that nobody pays for (EIP-4788), and keeps its
    /// effects. The outcome's `output` holds the return data (EIP-7002 and EIP-7251 requests).
    ///
    /// # Errors
    /// When the state cannot answer.
    pub fn system_call(&mut self, to: H160, input: Bytes) -> Result<Outcome, ExecutionError> {
        let _ = (to, input);
        Err(ExecutionError::Panic("the interpreter is being written".into()))
    }

    /// Adds to balances outside any transaction: withdrawals and rewards. An account that is empty afterwards and
    /// touched does not exist from Spurious Dragon on.
    ///
    /// # Errors
    /// When the state cannot answer.
    pub fn credit(&mut self, credits: &[(H160, U256)]) -> Result<Vec<AccountDiff>, ExecutionError> {
        let _ = credits;
        Err(ExecutionError::Panic("the interpreter is being written".into()))
    }

    /// Moves the whole balance of `from` to `to` outside any transaction (the DAO's irregular state change, EIP-779).
    ///
    /// # Errors
    /// When the state cannot answer.
    pub fn drain(&mut self, from: &[H160], to: H160) -> Result<Vec<AccountDiff>, ExecutionError> {
        let _ = (from, to);
        Err(ExecutionError::Panic("the interpreter is being written".into()))
    }

    /// The account as it stands now.
    ///
    /// # Errors
    /// When the state cannot answer.
    pub fn account(&mut self, address: H160) -> Result<Option<AccountInfo>, ExecutionError> {
        let _ = address;
        Err(ExecutionError::Panic("the interpreter is being written".into()))
    }

    /// The code of a hash, from this machine's writes or from the base state.
    ///
    /// # Errors
    /// When neither has it.
    pub fn code(&mut self, code_hash: H256) -> Result<Bytes, ExecutionError> {
        let _ = code_hash;
        Err(ExecutionError::Panic("the interpreter is being written".into()))
    }
}
