//! What is done about lanes that compute wrongly, beyond the self-test: a share of them is executed on the host too.

use crate::adapter::AdapterInfo;
use crate::options::Refusal;
use isolane_shaders::Kernel;
use isolane_spec::{
    AccountInfo, Bytes, Environment, ExecutionError, H160, H256, KECCAK_EMPTY, MemoryAccount, MemoryState, Outcome,
    StateError, StateView, Transaction, U256,
};
use sha3::{Digest, Keccak256};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Whether the transaction with this number is executed on the host too: about one in `every`, spread so that no place in a batch
/// is always among them or never. The first one is.
pub(crate) fn is_chosen(number: u64, every: u32) -> bool {
    // Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, 6.4).
    every > 0 && (number == 1 || (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).is_multiple_of(u64::from(every)))
}

/// A transaction that came to something else on a lane than on the host.
#[derive(Clone)]
pub struct Mismatch {
    /// Its environment. The state is what the transaction read of it.
    pub environment: Environment,
    /// The transaction.
    pub transaction: Transaction,
    /// What the fallback came to.
    pub expected: Result<Outcome, ExecutionError>,
    /// What the lane came to.
    pub got: Result<Outcome, ExecutionError>,
}

/// A state that remembers what was read of it.
pub(crate) struct Witness {
    base: Arc<dyn StateView>,
    read: Mutex<MemoryState>,
}

impl Witness {
    pub fn of(base: Arc<dyn StateView>) -> Self {
        Self { base, read: Mutex::default() }
    }

    /// What was read so far.
    pub fn read(&self) -> MemoryState {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, keep: impl FnOnce(&mut MemoryState)) {
        keep(&mut self.read.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn keep_account(&self, address: &H160, info: AccountInfo) {
        self.remember(|read| read.accounts.entry(*address).or_insert_with(MemoryAccount::default).info = info);
        if info.code_hash != KECCAK_EMPTY {
            // Its code may be known from elsewhere and not be asked for.
            let _ = self.code(&info.code_hash);
        }
    }
}

impl StateView for Witness {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        let account = self.base.account(address)?;
        if let Some(info) = account {
            self.keep_account(address, info);
        }
        Ok(account)
    }

    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        let value = self.base.storage(address, key)?;
        if !value.is_zero()
            && let Some(info) = self.base.account(address)?
        {
            self.keep_account(address, info);
            self.remember(|read| {
                read.accounts.entry(*address).or_default().storage.insert(*key, value);
            });
        }
        Ok(value)
    }

    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        self.base.has_storage(address)
    }

    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        let code = self.base.code(code_hash)?;
        self.remember(|read| {
            read.codes.insert(*code_hash, code.clone());
        });
        Ok(code)
    }

    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        let hash = self.base.block_hash(number)?;
        self.remember(|read| {
            read.block_hashes.insert(number, hash);
        });
        Ok(hash)
    }
}

/// The note that an adapter computed wrongly: it holds for the adapter with this driver and these kernels, until it is deleted.
pub(crate) struct Quarantine {
    file: Option<PathBuf>,
}

impl Quarantine {
    /// Where the note of an adapter is, in the folder of the compiled kernels.
    pub fn of(info: &AdapterInfo, folder: Option<&Path>) -> Self {
        let kernels = Kernel::ALL.map(Kernel::source).concat();
        let text = format!("{}\n{}\n{}\n{}\n{kernels}", info.name, info.backend, info.driver, info.driver_info);
        let name = format!("refused-{}.txt", hex::encode(&Keccak256::digest(text.as_bytes())[..8]));
        Self { file: folder.map(|folder| folder.join(name)) }
    }

    /// Whether the adapter may be used.
    pub fn check(&self) -> Result<(), Refusal> {
        match self.file.as_deref().map(|file| (file, std::fs::read_to_string(file))) {
            Some((file, Ok(reason))) => Err(Refusal { reason: reason.trim_end().to_owned(), file: file.to_owned() }),
            _ => Ok(()),
        }
    }

    /// Notes that it may not. Where that cannot be written, it holds for this process only.
    pub fn close(&self, mismatch: &Mismatch) {
        let Some(file) = &self.file else { return };
        let status = |result: &Result<Outcome, ExecutionError>| match result {
            Ok(outcome) => format!("{}, {} gas", outcome.status, outcome.gas_used),
            Err(error) => error.to_string(),
        };
        let note = format!(
            "a transaction of environment {:?} came to {} on a lane, and to {} on the CPU\n",
            mismatch.environment.id,
            status(&mismatch.got),
            status(&mismatch.expected)
        );
        if let Some(folder) = file.parent() {
            let _ = std::fs::create_dir_all(folder);
        }
        let _ = std::fs::write(file, note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_one_in_so_many_is_chosen() {
        for every in [1, 7, 64, 256] {
            let chosen: Vec<u64> = (1..=100_000).filter(|number| is_chosen(*number, every)).collect();
            let expected = 100_000 / u64::from(every);
            assert!(chosen.len().abs_diff(expected as usize) <= expected as usize / 5, "{every}: {}", chosen.len());
            assert_eq!(chosen[0], 1);
            // Batches have round sizes: every place in one must have its turn.
            let places: std::collections::BTreeSet<u64> = chosen.iter().map(|number| number % 64).collect();
            assert!(places.len() > 48, "{every}: {}", places.len());
        }
        assert_eq!((1..=1000).filter(|number| is_chosen(*number, 0)).count(), 0);
    }

    #[test]
    fn a_witness_holds_what_was_read() {
        let mut state = MemoryState::default();
        let (known, other) = (H160::repeat_byte(1), H160::repeat_byte(2));
        let hash = H256::repeat_byte(7);
        let info = AccountInfo { nonce: 3, code_hash: hash, ..AccountInfo::default() };
        state.insert(known, info, Bytes::from_static(&[0x5b]), [(1.into(), 5.into()), (2.into(), 6.into())]);
        state.insert(other, AccountInfo::default(), Bytes::new(), []);
        let witness = Witness::of(Arc::new(state));
        assert_eq!(witness.storage(&known, &1.into()), Ok(5.into()));
        assert_eq!(witness.storage(&known, &3.into()), Ok(U256::zero()));
        assert_eq!(witness.account(&H160::repeat_byte(9)), Ok(None));
        let read = witness.read();
        assert_eq!(read.accounts.len(), 1, "{read:?}");
        assert_eq!(read.accounts[&known].info, info);
        assert_eq!(read.accounts[&known].storage.len(), 1);
        assert_eq!(read.codes[&hash], Bytes::from_static(&[0x5b]));
    }
}
