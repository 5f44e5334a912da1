//! revm as its competent user runs it: one `Evm` per thread, reused; a read-only database in memory with analysed code
//! and revm's own hash maps; transactions prepared outside the measured time.

use super::Totals;
use crate::diff::oracle::convert;
use crate::load::workload::Workload;
use crate::spec::{Environment, Fork};
use revm::bytecode::Bytecode;
use revm::context::TxEnv;
use revm::context::result::ExecutionResult;
use revm::database_interface::{DatabaseRef, WrapDatabaseRef};
use revm::handler::{MainnetContext, MainnetEvm};
use revm::primitives::{Address, AddressMap, B256, B256Map, StorageKeyMap, U256};
use revm::state::AccountInfo;
use revm::{Context, ExecuteEvm, MainBuilder, MainContext};
use std::convert::Infallible;
use std::hint::black_box;

struct PeerAccount {
    info: AccountInfo,
    storage: StorageKeyMap<U256>,
}

/// The pre-state of a workload.
pub struct PeerState {
    accounts: AddressMap<PeerAccount>,
    codes: B256Map<Bytecode>,
}

impl PeerState {
    /// Converts it.
    #[must_use]
    pub fn new(workload: &Workload) -> Self {
        let codes: B256Map<Bytecode> = workload
            .state
            .codes
            .iter()
            .map(|(hash, code)| (convert::hash(*hash), convert::bytecode(code, Fork::Cancun)))
            .collect();
        let accounts = workload
            .state
            .accounts
            .iter()
            .map(|(address, account)| {
                let code_hash = convert::hash(account.info.code_hash);
                let info = AccountInfo {
                    balance: convert::word(account.info.balance),
                    nonce: account.info.nonce,
                    code_hash,
                    account_id: None,
                    code: Some(codes.get(&code_hash).cloned().unwrap_or_default()),
                };
                let storage =
                    account.storage.iter().map(|(key, value)| (convert::word(*key), convert::word(*value))).collect();
                (convert::address(*address), PeerAccount { info, storage })
            })
            .collect();
        Self { accounts, codes }
    }
}

impl DatabaseRef for PeerState {
    type Error = Infallible;

    #[inline]
    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.accounts.get(&address).map(|account| account.info.clone()))
    }

    #[inline]
    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.codes.get(&code_hash).cloned().unwrap_or_default())
    }

    #[inline]
    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, Infallible> {
        Ok(self.accounts.get(&address).and_then(|account| account.storage.get(&index)).copied().unwrap_or_default())
    }

    #[inline]
    fn block_hash_ref(&self, _number: u64) -> Result<B256, Infallible> {
        Ok(B256::ZERO)
    }
}

/// A reusable `Evm` over a workload's pre-state.
pub struct Peer<'a> {
    evm: MainnetEvm<MainnetContext<WrapDatabaseRef<&'a PeerState>>>,
}

impl<'a> Peer<'a> {
    /// An executor; `None` where revm does not have the rules.
    #[must_use]
    pub fn new(environment: &Environment, state: &'a PeerState) -> Option<Self> {
        let (cfg, block) = convert::configuration(environment)?;
        let evm = Context::mainnet().with_ref_db(state).with_block(block).with_cfg(cfg).build_mainnet();
        Some(Self { evm })
    }

    /// Runs every transaction from the same pre-state: nothing is committed.
    pub fn run(&mut self, transactions: impl IntoIterator<Item = TxEnv>) -> Totals {
        let mut totals = Totals::default();
        for transaction in transactions {
            // One that is not valid does nothing, as on the other side.
            let Ok(done) = self.evm.transact(transaction) else { continue };
            let logs = match &done.result {
                ExecutionResult::Success { logs, .. } => logs.len() as u64,
                _ => 0,
            };
            totals += Totals {
                gas: done.result.tx_gas_used(),
                logs,
                output_bytes: done.result.output().map_or(0, |output| output.len() as u64),
                successes: u64::from(done.result.is_success()),
            };
            black_box(done);
        }
        totals
    }
}

/// revm's transactions of a workload.
#[must_use]
pub fn transactions(workload: &Workload) -> Vec<TxEnv> {
    workload.transactions.iter().map(|transaction| convert::transaction(transaction).0).collect()
}
