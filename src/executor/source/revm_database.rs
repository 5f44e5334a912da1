//! revm's databases as sources, and snapshots as revm's databases.

use super::{Account, StateSource};
use crate::diff::oracle::convert;
use crate::executor::{Executor, ExecutorError, Snapshot};
use hashbrown::HashMap;
use isolane_spec::{Bytes, H160, H256, KECCAK_EMPTY, U256};
use revm::bytecode::Bytecode;
use revm::database_interface::{DBErrorMarker, DatabaseRef};
use revm::primitives::{Address, B256, U256 as Word};
use revm::state::AccountInfo as RevmInfo;
use std::sync::{Mutex, PoisonError};

/// Any [`DatabaseRef`] as a source. It is asked key by key, as it wants it.
pub struct DatabaseSource<D> {
    database: D,
    /// Codes that came with accounts: some databases only answer so.
    codes: Mutex<HashMap<H256, Bytes>>,
}

impl<D> DatabaseSource<D> {
    /// A source of that database.
    pub fn new(database: D) -> Self {
        Self { database, codes: Mutex::default() }
    }
}

impl<D: DatabaseRef + Send + Sync> StateSource for DatabaseSource<D> {
    type Error = D::Error;

    fn accounts(&self, addresses: &[H160]) -> Result<Vec<Option<Account>>, D::Error> {
        let account = |address: &H160| {
            let info = self.database.basic_ref(convert::address(*address))?;
            Ok(info.map(|info| {
                let code_hash = convert::hash_back(info.code_hash);
                // Old databases write zero for no code.
                let code_hash = if code_hash.is_zero() { KECCAK_EMPTY } else { code_hash };
                if let Some(code) = info.code.filter(|_| code_hash != KECCAK_EMPTY) {
                    let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
                    codes.entry(code_hash).or_insert_with(|| code.original_bytes().0);
                }
                Account { nonce: info.nonce, balance: convert::word_back(info.balance), code_hash }
            }))
        };
        addresses.iter().map(account).collect()
    }

    fn slots(&self, keys: &[(H160, H256)]) -> Result<Vec<U256>, D::Error> {
        let slot = |(address, key): &(H160, H256)| {
            let value = self.database.storage_ref(convert::address(*address), Word::from_be_bytes(key.0))?;
            Ok(convert::word_back(value))
        };
        keys.iter().map(slot).collect()
    }

    fn codes(&self, hashes: &[H256]) -> Result<Vec<Bytes>, D::Error> {
        let code = |hash: &H256| {
            if let Some(code) = self.codes.lock().unwrap_or_else(PoisonError::into_inner).remove(hash) {
                return Ok(code);
            }
            Ok(self.database.code_by_hash_ref(convert::hash(*hash))?.original_bytes().0)
        };
        hashes.iter().map(code).collect()
    }

    fn block_hashes(&self, numbers: &[u64]) -> Result<Vec<H256>, D::Error> {
        numbers.iter().map(|number| self.database.block_hash_ref(*number).map(convert::hash_back)).collect()
    }
}

/// A snapshot failed to answer revm.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct DatabaseFailed(#[from] ExecutorError);

impl DBErrorMarker for DatabaseFailed {}

/// A snapshot as a [`DatabaseRef`], so that revm and its inspectors run on the state and the cache of an executor.
#[derive(Clone, Debug)]
pub struct SnapshotDatabase {
    /// Reads through its cache.
    pub executor: Executor,
    /// The state.
    pub snapshot: Snapshot,
}

impl DatabaseRef for SnapshotDatabase {
    type Error = DatabaseFailed;

    fn basic_ref(&self, address: Address) -> Result<Option<RevmInfo>, DatabaseFailed> {
        let account = self.executor.account(&self.snapshot, convert::address_back(address))?;
        Ok(account.map(|account| RevmInfo {
            balance: convert::word(account.balance),
            nonce: account.nonce,
            code_hash: convert::hash(account.code_hash),
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, DatabaseFailed> {
        let code = self.executor.code_by_hash(&self.snapshot, convert::hash_back(code_hash))?;
        Ok(convert::bytecode(&code, self.snapshot.rules().fork))
    }

    fn storage_ref(&self, address: Address, index: Word) -> Result<Word, DatabaseFailed> {
        let value = self.executor.storage(&self.snapshot, convert::address_back(address), convert::word_back(index))?;
        Ok(convert::word(value))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, DatabaseFailed> {
        Ok(convert::hash(self.executor.block_hash(&self.snapshot, number)?))
    }
}
