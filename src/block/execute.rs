//! Executes a block: system calls, transactions, withdrawals, rewards, requests.

use super::diff::DiffMerger;
use super::error::{At, BlockError};
use super::header::GAS_PER_BLOB;
use super::receipt::{Bloom, BloomBuilder, PostTransaction, Receipt, receipts_root};
use super::requests::{
    BEACON_ROOTS, CONSOLIDATION_REQUESTS, HISTORY_STORAGE, WITHDRAWAL_REQUESTS, deposits, requests_hash,
};
use super::{BlockInput, BlockResult, MissingPredeploy, StateRoots, dao};
use crate::convert::from_address;
use crate::trie::{transactions_root, withdrawals_root};
use isolane_cpu::{Available, Machine, Observer, Sequence};
use isolane_gpu::transition::Overlay;
use isolane_spec::{
    AccountDiff, Backend, Batch, Bytes, Environment, ExecutionError, Fork, H160, InvalidTransaction, KECCAK_EMPTY,
    Order, Outcome, Status, U256,
};
use std::sync::Arc;

/// Executes a block on a machine whose environment is that of the block: its rules, its context (see
/// [`super::block_context`]) and the state before it.
///
/// Receipts of blocks before Byzantium hold state roots and are left without them: see [`execute_block_with_roots`].
///
/// # Errors
/// When the block is invalid, or when infrastructure failed. What was executed until then stays in the machine.
pub fn execute_block(machine: &mut Machine, block: &BlockInput<'_>) -> Result<BlockResult, BlockError> {
    execute_block_with_roots(machine, block, None)
}

/// As [`execute_block`], with a source of state roots between transactions, which is asked before Byzantium only.
///
/// # Errors
/// When the block is invalid, or when infrastructure failed. What was executed until then stays in the machine.
pub fn execute_block_with_roots(
    machine: &mut Machine,
    block: &BlockInput<'_>,
    roots: Option<&mut dyn StateRoots>,
) -> Result<BlockResult, BlockError> {
    run(machine, block, roots, None, None)
}

/// As [`execute_block_with_roots`], with the same result; the transactions run on a backend. The machine does the rest of
/// the block, and all of a block whose gas is of two kinds (EIP-8037).
///
/// # Errors
/// When the block is invalid, or when infrastructure failed. What was executed until then stays in the machine.
pub fn execute_block_on(
    machine: &mut Machine,
    block: &BlockInput<'_>,
    roots: Option<&mut dyn StateRoots>,
    backend: &dyn Backend,
) -> Result<BlockResult, BlockError> {
    run(machine, block, roots, None, Some(backend))
}

/// Chooses what of a block is observed.
pub trait BlockObserver {
    /// Who watches a transaction, by its index; `None`: nobody.
    fn transaction(&mut self, _index: usize) -> Option<&mut dyn Observer> {
        None
    }
    /// Who watches a call of a system contract; `None`: nobody.
    fn system_call(&mut self, _contract: H160) -> Option<&mut dyn Observer> {
        None
    }
}

/// As [`execute_block_with_roots`], with the same result, and observed.
///
/// # Errors
/// When the block is invalid, or when infrastructure failed. What was executed until then stays in the machine.
pub fn execute_block_observed(
    machine: &mut Machine,
    block: &BlockInput<'_>,
    roots: Option<&mut dyn StateRoots>,
    observer: &mut dyn BlockObserver,
) -> Result<BlockResult, BlockError> {
    run(machine, block, roots, Some(observer), None)
}

fn run(
    machine: &mut Machine,
    block: &BlockInput<'_>,
    roots: Option<&mut dyn StateRoots>,
    observer: Option<&mut dyn BlockObserver>,
    backend: Option<&dyn Backend>,
) -> Result<BlockResult, BlockError> {
    let rules = machine.environment().rules;
    let mut execution = Execution {
        fork: rules.fork,
        // Only receipts before Byzantium hold a root.
        roots: roots.filter(|_| rules.fork < Fork::Byzantium),
        observer,
        backend: backend.filter(|_| rules.fork < Fork::Amsterdam),
        overlay: Overlay::new(machine.environment().state.clone()),
        machine,
        merger: DiffMerger::default(),
        own: DiffMerger::default(),
        steps: 0,
    };
    execution.before(block)?;
    let diff_before = std::mem::take(&mut execution.own).finish();
    let transactions = execution.transactions(block, rules.blob_schedule.max.saturating_mul(GAS_PER_BLOB))?;
    execution.credits(block)?;
    let requests = execution.requests(block, &transactions.outcomes)?;

    let Transactions { receipts, outcomes, gas_used, blob_gas_used, logs_bloom } = transactions;
    let roots_known = !receipts.iter().any(|receipt| receipt.post == PostTransaction::Root(None));
    Ok(BlockResult {
        receipts_root: roots_known.then(|| receipts_root(&receipts, &outcomes)),
        requests_hash: requests.as_deref().map(requests_hash),
        withdrawals_root: block.withdrawals.map(withdrawals_root),
        transactions_root: transactions_root(block.transactions),
        diff: execution.merger.finish(),
        diff_before,
        diff_after: execution.own.finish(),
        steps: execution.steps,
        receipts,
        outcomes,
        gas_used,
        blob_gas_used,
        logs_bloom,
        requests,
    })
}

struct Execution<'a, 'r, 'o, 'b> {
    machine: &'a mut Machine,
    fork: Fork,
    roots: Option<&'r mut (dyn StateRoots + 'r)>,
    observer: Option<&'o mut (dyn BlockObserver + 'o)>,
    /// What executes the transactions, if it is not the machine; and the state for it.
    backend: Option<&'b dyn Backend>,
    overlay: Overlay,
    merger: DiffMerger,
    /// What changed outside the transactions.
    own: DiffMerger,
    steps: u64,
}

struct Transactions {
    receipts: Vec<Receipt>,
    outcomes: Vec<Outcome>,
    gas_used: u64,
    blob_gas_used: u64,
    logs_bloom: Bloom,
}

fn failed(at: At) -> impl FnOnce(ExecutionError) -> BlockError {
    move |error| BlockError::Execution { at, error }
}

impl Execution<'_, '_, '_, '_> {
    /// What happens before the first transaction.
    fn before(&mut self, block: &BlockInput<'_>) -> Result<(), BlockError> {
        if block.dao_fork {
            let diff = self.machine.drain(&dao::DRAINED, dao::REFUND_CONTRACT).map_err(failed(At::Dao))?;
            if let Some(roots) = &mut self.roots {
                roots.apply(&diff).map_err(|problem| BlockError::StateRoot { index: 0, problem })?;
            }
            self.add(&diff);
            self.own.add(&diff);
        }
        if self.fork >= Fork::Cancun {
            let Some(root) = block.header.parent_beacon_block_root else {
                return Err(BlockError::HeaderFieldMissing("parentBeaconBlockRoot"));
            };
            self.unchecked_system_call(BEACON_ROOTS, &root.0)?;
        }
        if self.fork >= Fork::Prague {
            self.unchecked_system_call(HISTORY_STORAGE, &block.header.parent_hash.0)?;
        }
        Ok(())
    }

    /// Notes a change of the state.
    fn add(&mut self, diff: &[AccountDiff]) {
        self.merger.add(diff);
        if self.backend.is_some() {
            self.overlay.apply(diff);
        }
    }

    /// The outcomes of the transactions on the backend, which the machine then goes on from.
    fn executed(&mut self, block: &BlockInput<'_>) -> Option<std::vec::IntoIter<Result<Outcome, ExecutionError>>> {
        let backend = self.backend?;
        let state = Arc::new(self.overlay.clone());
        let environment = Environment { state, order: Order::Sequential, ..self.machine.environment().clone() };
        let transactions = block.transactions.iter().map(|signed| (0, signed.transaction.clone())).collect();
        Some(backend.execute(&Batch { environments: vec![environment], transactions }).into_iter())
    }

    fn has_code(&mut self, contract: H160) -> Result<bool, BlockError> {
        let account = self.machine.account(contract).map_err(failed(At::System(contract)))?;
        Ok(account.is_some_and(|account| account.code_hash != KECCAK_EMPTY))
    }

    fn system_call(&mut self, contract: H160, input: &[u8]) -> Result<Outcome, BlockError> {
        let input = Bytes::copy_from_slice(input);
        let outcome = match self.observer.as_mut().and_then(|observer| observer.system_call(contract)) {
            Some(observer) => self.machine.system_call_observed(contract, input, observer),
            None => self.machine.system_call(contract, input),
        };
        let outcome = outcome.map_err(failed(At::System(contract)))?;
        self.add(&outcome.diff);
        self.own.add(&outcome.diff);
        self.steps = self.steps.saturating_add(outcome.steps);
        Ok(outcome)
    }

    /// A call that may fail, and that is left out where there is no code (EIP-4788, EIP-2935).
    fn unchecked_system_call(&mut self, contract: H160, input: &[u8; 32]) -> Result<(), BlockError> {
        if self.has_code(contract)? {
            self.system_call(contract, input)?;
        }
        Ok(())
    }

    /// A call that makes the block invalid if it fails (EIP-7002, EIP-7251).
    fn checked_system_call(&mut self, contract: H160, missing: MissingPredeploy) -> Result<Bytes, BlockError> {
        if !self.has_code(contract)? {
            return match missing {
                MissingPredeploy::Invalid => Err(BlockError::SystemContractMissing(contract)),
                MissingPredeploy::Skip => Ok(Bytes::new()),
            };
        }
        let outcome = self.system_call(contract, &[])?;
        match outcome.status {
            Status::Success => Ok(outcome.output),
            status => Err(BlockError::SystemCallFailed { contract, status }),
        }
    }

    fn transactions(&mut self, block: &BlockInput<'_>, blob_gas_limit: u64) -> Result<Transactions, BlockError> {
        let mut blooms = BloomBuilder::default();
        let mut done = Transactions {
            receipts: Vec::with_capacity(block.transactions.len()),
            outcomes: Vec::with_capacity(block.transactions.len()),
            gas_used: 0,
            blob_gas_used: 0,
            logs_bloom: Bloom::default(),
        };
        let mut executed = self.executed(block);
        let transactions: Vec<_> = block.transactions.iter().map(|signed| &signed.transaction).collect();
        let mut sequence = Sequence::new(&transactions, block.parallel_transactions);
        let (mut paid_gas, mut regular_gas, mut state_gas) = (0u64, 0u64, 0u64);
        for (index, signed) in block.transactions.iter().enumerate() {
            let transaction = &signed.transaction;
            let available = Available {
                gas: block.header.gas_limit.saturating_sub(regular_gas),
                blob_gas: blob_gas_limit.saturating_sub(done.blob_gas_used),
            };
            let (state_gas_left, most) =
                (block.header.gas_limit.saturating_sub(state_gas), self.machine.most_state_gas(transaction));
            if most > state_gas_left {
                let reason = InvalidTransaction::BlockGasLimitExceeded { available: state_gas_left, got: most };
                return Err(BlockError::Transaction { index, reason });
            }
            let watched = self.observer.is_some();
            let observer = self.observer.as_mut().and_then(|observer| observer.transaction(index));
            let outcome = match (executed.as_mut().and_then(Iterator::next), observer) {
                (Some(outcome), _) => outcome,
                (None, Some(observer)) => self.machine.transact_observed(transaction, available, observer),
                (None, None) if watched => self.machine.transact(transaction, available),
                (None, None) => match sequence.next(self.machine, available) {
                    Some(outcome) => outcome,
                    None => break,
                },
            };
            let outcome = outcome.map_err(failed(At::Transaction(index)))?;
            if let Status::Rejected(reason) = outcome.status {
                return Err(BlockError::Transaction { index, reason });
            }
            // What is paid for and what counts against the block's limit differ from Amsterdam on (EIP-7778, EIP-8037).
            paid_gas = paid_gas.saturating_add(outcome.gas_used);
            regular_gas = regular_gas.saturating_add(outcome.block_gas_used);
            state_gas = state_gas.saturating_add(outcome.state_gas_used);
            done.gas_used = regular_gas.max(state_gas);
            done.blob_gas_used += transaction.blob_versioned_hashes.len() as u64 * GAS_PER_BLOB;
            let bloom = blooms.bloom(&outcome.logs);
            done.logs_bloom.merge(&bloom);
            self.add(&outcome.diff);
            self.steps = self.steps.saturating_add(outcome.steps);
            done.receipts.push(Receipt {
                transaction_type: transaction.transaction_type,
                post: self.post(index, &outcome)?,
                cumulative_gas_used: paid_gas,
                bloom,
            });
            done.outcomes.push(outcome);
        }
        if executed.is_some() {
            let state = Arc::new(self.overlay.clone());
            let environment = Environment { state, ..self.machine.environment().clone() };
            self.machine.reset(environment);
        }
        Ok(done)
    }

    fn post(&mut self, index: usize, outcome: &Outcome) -> Result<PostTransaction, BlockError> {
        if self.fork >= Fork::Byzantium {
            return Ok(PostTransaction::Success(outcome.status.is_success()));
        }
        let Some(roots) = &mut self.roots else { return Ok(PostTransaction::Root(None)) };
        roots
            .apply(&outcome.diff)
            .and_then(|()| roots.root())
            .map(|root| PostTransaction::Root(Some(root)))
            .map_err(|problem| BlockError::StateRoot { index, problem })
    }

    /// Withdrawals (EIP-4895) and the rewards of miner and ommers.
    fn credits(&mut self, block: &BlockInput<'_>) -> Result<(), BlockError> {
        let mut credits = Vec::new();
        if self.fork >= Fork::Shanghai {
            let gwei = U256::exp10(9);
            let withdrawals = block.withdrawals.unwrap_or_default();
            credits.extend(withdrawals.iter().map(|one| (from_address(one.address), gwei * U256::from(one.amount))));
        }
        credits.extend(block.rewards().iter().map(|reward| (reward.beneficiary, reward.amount)));
        if !credits.is_empty() {
            let diff = self.machine.credit(&credits).map_err(failed(At::Credits))?;
            self.merger.add(&diff);
            self.own.add(&diff);
        }
        Ok(())
    }

    /// Execution requests (EIP-7685) from Prague on.
    fn requests(&mut self, block: &BlockInput<'_>, outcomes: &[Outcome]) -> Result<Option<Vec<Bytes>>, BlockError> {
        if self.fork < Fork::Prague {
            return Ok(None);
        }
        let deposits = deposits(outcomes, block.deposit_contract)
            .map_err(|(index, layout)| BlockError::Deposit { index, layout })?;
        let withdrawals = self.checked_system_call(WITHDRAWAL_REQUESTS, block.missing_predeploy)?;
        let consolidations = self.checked_system_call(CONSOLIDATION_REQUESTS, block.missing_predeploy)?;
        let requests = [&deposits[..], &withdrawals, &consolidations];
        let typed =
            |(kind, data): (u8, &&[u8])| (!data.is_empty()).then(|| [&[kind][..], data].concat()).map(Bytes::from);
        Ok(Some((0u8..).zip(&requests).filter_map(typed).collect()))
    }
}
