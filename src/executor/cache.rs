//! The state that was read of one block, shared by all snapshots of it.

use super::error::ExecutorError;
use super::keys::Key;
use super::source::{Answer, AnySource};
use hashbrown::{HashMap, HashSet};
use isolane_spec::{AccountInfo, Bytes, H160, H256, KECCAK_EMPTY, StateError, StateView, U256};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// Bytes that an account, a slot or a hash takes, its share of the table included.
const ENTRY: usize = 160;

/// Answers of a source.
#[derive(Clone, Debug, Default)]
struct Tables {
    accounts: HashMap<H160, Option<AccountInfo>>,
    slots: HashMap<H160, HashMap<U256, U256>>,
    slot_count: usize,
    codes: HashMap<H256, Bytes>,
    block_hashes: HashMap<u64, H256>,
    storages: HashMap<H160, bool>,
}

impl Tables {
    fn len(&self) -> usize {
        self.accounts.len() + self.slot_count + self.codes.len() + self.block_hashes.len() + self.storages.len()
    }

    fn holds(&self, key: &Key) -> bool {
        match key {
            Key::Account(address) => self.accounts.contains_key(address),
            Key::Slot(address, key) => self.slots.get(address).is_some_and(|slots| slots.contains_key(key)),
            Key::Code(hash) => self.codes.contains_key(hash),
            Key::BlockHash(number) => self.block_hashes.contains_key(number),
            Key::Storage(address) => self.storages.contains_key(address),
        }
    }

    fn insert(&mut self, key: Key, answer: Answer) {
        match (key, answer) {
            (Key::Account(address), Answer::Account(account)) => _ = self.accounts.insert(address, account),
            (Key::Slot(address, key), Answer::Slot(value)) => {
                self.slot_count += usize::from(self.slots.entry(address).or_default().insert(key, value).is_none());
            }
            (Key::Code(hash), Answer::Code(code)) => _ = self.codes.insert(hash, code),
            (Key::BlockHash(number), Answer::BlockHash(hash)) => _ = self.block_hashes.insert(number, hash),
            (Key::Storage(address), Answer::Storage(has)) => _ = self.storages.insert(address, has),
            // A source answers each key by its kind.
            _ => {}
        }
    }

    fn extend(&mut self, other: &Self) {
        self.accounts.extend(other.accounts.iter().map(|(key, value)| (*key, *value)));
        for (address, slots) in &other.slots {
            let all = self.slots.entry(*address).or_default();
            let before = all.len();
            all.extend(slots.iter().map(|(key, value)| (*key, *value)));
            self.slot_count += all.len() - before;
        }
        self.codes.extend(other.codes.iter().map(|(key, value)| (*key, value.clone())));
        self.block_hashes.extend(other.block_hashes.iter().map(|(key, value)| (*key, *value)));
        self.storages.extend(other.storages.iter().map(|(key, value)| (*key, *value)));
    }
}

/// The bytes of all caches of an executor, and what may be.
#[derive(Debug)]
pub struct Meter {
    bytes: AtomicUsize,
    /// The most that should be.
    pub limit: usize,
}

impl Meter {
    pub const fn new(limit: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), limit }
    }

    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether so many more keys would be too many.
    pub fn is_full(&self, more: usize) -> bool {
        self.bytes().saturating_add(more.saturating_mul(ENTRY)) > self.limit
    }
}

/// What reading came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatistics {
    /// Rounds in which something was asked for.
    pub rounds: u64,
    /// Keys that were asked for.
    pub keys: u64,
    /// Bytes that are held, by estimate.
    pub bytes: u64,
}

/// Codes by hash, which are the same at every block.
#[derive(Debug)]
pub struct Codes {
    codes: Mutex<(HashMap<H256, Bytes>, usize)>,
    limit: usize,
}

impl Codes {
    /// So many bytes, at most.
    pub fn new(limit: usize) -> Self {
        Self { codes: Mutex::default(), limit }
    }

    fn get(&self, hash: &H256) -> Option<Bytes> {
        lock(&self.codes).0.get(hash).cloned()
    }

    fn put(&self, hash: H256, code: &Bytes) {
        let mut guard = lock(&self.codes);
        let (codes, bytes) = &mut *guard;
        let more = code.len() + ENTRY;
        if bytes.saturating_add(more) > self.limit {
            codes.clear();
            *bytes = 0;
        }
        if more <= self.limit && codes.insert(hash, code.clone()).is_none() {
            *bytes += more;
        }
    }
}

/// The state that was read of one block.
pub struct Cache {
    source: Arc<dyn AnySource>,
    /// The larger first: most answers are in the first table that is looked into. No table is written to once others may
    /// see it.
    levels: RwLock<Vec<Arc<Tables>>>,
    /// Held by whoever needs what is there to stay.
    in_use: RwLock<()>,
    /// Keys that somebody is asking for.
    asked: Mutex<HashSet<Key>>,
    answered: Condvar,
    bytes: AtomicUsize,
    meter: Arc<Meter>,
    codes: Arc<Codes>,
    rounds: AtomicU64,
    keys: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cache {
    pub fn new(source: Arc<dyn AnySource>, meter: Arc<Meter>, codes: Arc<Codes>) -> Self {
        Self {
            source,
            levels: RwLock::default(),
            in_use: RwLock::default(),
            asked: Mutex::default(),
            answered: Condvar::new(),
            bytes: AtomicUsize::new(0),
            meter,
            codes,
            rounds: AtomicU64::new(0),
            keys: AtomicU64::new(0),
        }
    }

    /// All that is known now.
    pub fn view(&self) -> CacheView {
        CacheView { levels: self.levels.read().unwrap_or_else(PoisonError::into_inner).clone() }
    }

    pub fn statistics(&self) -> CacheStatistics {
        CacheStatistics {
            rounds: self.rounds.load(Ordering::Relaxed),
            keys: self.keys.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed) as u64,
        }
    }

    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// While the guard lives nothing is forgotten. Before that, everything is if there is too much.
    pub fn enter(&self) -> RwLockReadGuard<'_, ()> {
        if self.meter.is_full(0) {
            let alone = self.in_use.write().unwrap_or_else(PoisonError::into_inner);
            if self.meter.is_full(0) {
                self.clear();
            }
            drop(alone);
        }
        self.in_use.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn clear(&self) {
        let levels = std::mem::take(&mut *self.levels.write().unwrap_or_else(PoisonError::into_inner));
        drop(levels);
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        self.meter.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Asks for what is not known and not asked for by others, in one request a kind, and waits for what others ask for.
    /// Returns the keys that there is no answer to.
    pub fn fetch(&self, wanted: impl IntoIterator<Item = Key>) -> Vec<(Key, ExecutorError)> {
        let (mut mine, mut others) = (Vec::new(), Vec::new());
        {
            // Answers are there before their keys leave `asked`: what is in neither is not known.
            let mut asked = lock(&self.asked);
            let view = self.view();
            for key in wanted {
                if view.holds(&key) {
                    continue;
                }
                if asked.insert(key) { mine.push(key) } else { others.push(key) }
            }
        }
        let failed = if mine.is_empty() { Vec::new() } else { self.ask(mine) };
        if !others.is_empty() {
            let mut asked = lock(&self.asked);
            while others.iter().any(|key| asked.contains(key)) {
                asked = self.answered.wait(asked).unwrap_or_else(PoisonError::into_inner);
            }
        }
        failed
    }

    /// Asks the source; the keys are in `asked` and leave it, however that ends.
    fn ask(&self, mut keys: Vec<Key>) -> Vec<(Key, ExecutorError)> {
        struct Landing<'a>(&'a Cache, Vec<Key>);
        impl Drop for Landing<'_> {
            fn drop(&mut self) {
                let mut asked = lock(&self.0.asked);
                self.1.iter().for_each(|key| _ = asked.remove(key));
                drop(asked);
                self.0.answered.notify_all();
            }
        }
        // Neighbours are often stored together.
        keys.sort_unstable();
        let landing = Landing(self, keys);
        let keys = &landing.1;
        self.rounds.fetch_add(1, Ordering::Relaxed);
        self.keys.fetch_add(keys.len() as u64, Ordering::Relaxed);
        let mut tables = Tables::default();
        let (mut bytes, mut failed) = (0, Vec::new());
        for (key, answer) in keys.iter().zip(self.source.answers(keys)) {
            match answer {
                Ok(answer) => {
                    match &answer {
                        Answer::Account(Some(info)) if info.code_hash != KECCAK_EMPTY => {
                            if let Some(code) = self.codes.get(&info.code_hash) {
                                bytes += ENTRY + code.len();
                                tables.insert(Key::Code(info.code_hash), Answer::Code(code));
                            }
                        }
                        Answer::Code(code) => {
                            if let Key::Code(hash) = key {
                                self.codes.put(*hash, code);
                            }
                        }
                        _ => {}
                    }
                    bytes += ENTRY + if let Answer::Code(code) = &answer { code.len() } else { 0 };
                    tables.insert(*key, answer);
                }
                Err(error) => failed.push((*key, error)),
            }
        }
        self.add(tables, bytes);
        failed
    }

    fn add(&self, tables: Tables, bytes: usize) {
        if tables.len() == 0 {
            return;
        }
        let mut levels = self.levels.write().unwrap_or_else(PoisonError::into_inner);
        levels.push(Arc::new(tables));
        // Each level is at least four times as large as the next, so that there are few of them and each answer is moved few
        // times.
        while let [.., large, small] = &mut levels[..]
            && large.len() < 4 * small.len()
        {
            if large.len() < small.len() {
                std::mem::swap(large, small);
            }
            Arc::make_mut(large).extend(small);
            levels.pop();
        }
        drop(levels);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.meter.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What was known at some time, as a state. What was not known then is an error that names it.
#[derive(Clone)]
pub struct CacheView {
    levels: Vec<Arc<Tables>>,
}

impl CacheView {
    fn find<'a, T>(&'a self, look: impl Fn(&'a Tables) -> Option<T>) -> Option<T> {
        self.levels.iter().find_map(|tables| look(tables))
    }

    pub fn holds(&self, key: &Key) -> bool {
        self.levels.iter().any(|tables| tables.holds(key))
    }
}

impl StateView for CacheView {
    fn is_near(&self) -> bool {
        true
    }

    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        self.find(|tables| tables.accounts.get(address)).copied().ok_or(StateError::AccountMissing(*address))
    }

    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        self.find(|tables| tables.slots.get(address)?.get(key)).copied().ok_or(StateError::SlotMissing(*address, *key))
    }

    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        self.find(|tables| tables.storages.get(address)).copied().ok_or(StateError::StorageMissing(*address))
    }

    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        if *code_hash == KECCAK_EMPTY {
            return Ok(Bytes::new());
        }
        self.find(|tables| tables.codes.get(code_hash)).cloned().ok_or(StateError::CodeMissing(*code_hash))
    }

    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        self.find(|tables| tables.block_hashes.get(&number)).copied().ok_or(StateError::BlockHashMissing(number))
    }
}
