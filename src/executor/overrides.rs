//! States and blocks that are other than they are: `eth_call`'s overrides.

use crate::convert::keccak;
use hashbrown::HashMap;
use isolane_spec::{
    AccountDiff, AccountInfo, BlockContext, Bytes, H160, H256, KECCAK_EMPTY, Rules, StateError, StateView, U256,
};
use std::sync::Arc;

/// What is other about one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountOverride {
    /// In wei.
    pub balance: Option<U256>,
    /// Nonce.
    pub nonce: Option<u64>,
    /// Code.
    pub code: Option<Bytes>,
    /// All of the account's storage: what is not listed is zero. Not together with `state_diff`.
    pub state: Option<Vec<(U256, U256)>>,
    /// Some of the account's storage: what is not listed is as it was.
    pub state_diff: Vec<(U256, U256)>,
    /// Where the precompile of this address is instead. Any override of a precompile's address takes the precompile away from
    /// there, as in geth.
    pub move_precompile_to: Option<H160>,
}

/// What is other about a state, account by account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateOverrides(pub Vec<(H160, AccountOverride)>);

impl StateOverrides {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With an account.
    #[must_use]
    pub fn with(mut self, address: H160, account: AccountOverride) -> Self {
        self.0.push((address, account));
        self
    }
}

impl FromIterator<(H160, AccountOverride)> for StateOverrides {
    fn from_iter<T: IntoIterator<Item = (H160, AccountOverride)>>(accounts: T) -> Self {
        Self(accounts.into_iter().collect())
    }
}

/// What is other about a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockOverrides {
    /// NUMBER.
    pub number: Option<u64>,
    /// TIMESTAMP, in seconds.
    pub time: Option<u64>,
    /// GASLIMIT.
    pub gas_limit: Option<u64>,
    /// COINBASE (`feeRecipient`).
    pub coinbase: Option<H160>,
    /// DIFFICULTY, before Paris.
    pub difficulty: Option<U256>,
    /// PREVRANDAO.
    pub prev_randao: Option<H256>,
    /// BASEFEE in wei (`baseFeePerGas`). Calls without a price see 0 all the same.
    pub base_fee: Option<U256>,
    /// BLOBBASEFEE in wei.
    pub blob_base_fee: Option<U256>,
    /// Hashes of ancestors by number (`blockHash` of `eth_callMany`).
    pub block_hashes: Vec<(u64, H256)>,
}

impl BlockOverrides {
    pub(super) fn apply(&self, block: &mut BlockContext) {
        fn set<T: Clone>(field: &mut T, value: &Option<T>) {
            if let Some(value) = value {
                *field = value.clone();
            }
        }
        set(&mut block.number, &self.number);
        set(&mut block.timestamp, &self.time);
        set(&mut block.gas_limit, &self.gas_limit);
        set(&mut block.coinbase, &self.coinbase);
        set(&mut block.difficulty, &self.difficulty);
        set(&mut block.prev_randao, &self.prev_randao);
        set(&mut block.base_fee, &self.base_fee);
        set(&mut block.blob_base_fee, &self.blob_base_fee);
    }
}

/// Overrides that contradict themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverrideError {
    /// Both `state` and `stateDiff`.
    #[error("account {0:?} has both state and stateDiff: expected one of them")]
    StateTwice(H160),
    /// There is no precompile to move.
    #[error("account {0:?} cannot be moved: expected the address of a precompile")]
    NoPrecompile(H160),
    /// Something is there already.
    #[error("a precompile cannot be moved to {0:?}: that address is overridden as well")]
    Occupied(H160),
    /// It was moved before.
    #[error("the precompile at {0:?} was moved there: it cannot be overridden again")]
    Moved(H160),
}

/// One account of an overlay.
#[derive(Clone, Debug, Default)]
struct Overlaid {
    /// What the account is, whatever it was.
    whole: Option<Option<AccountInfo>>,
    balance: Option<U256>,
    nonce: Option<u64>,
    code_hash: Option<H256>,
    /// Nothing of the storage below is left.
    wiped: bool,
    slots: HashMap<U256, U256>,
}

/// What lies over a state.
#[derive(Clone, Debug, Default)]
pub(super) struct Overlay {
    accounts: HashMap<H160, Overlaid>,
    codes: HashMap<H256, Bytes>,
    block_hashes: HashMap<u64, H256>,
}

impl Overlay {
    /// Adds overrides, which count more than what is there.
    pub fn override_state(&mut self, overrides: &StateOverrides, rules: &mut Rules) -> Result<(), OverrideError> {
        let mut moved = Vec::new();
        let before = *rules;
        for (address, account) in &overrides.0 {
            if account.state.is_some() && !account.state_diff.is_empty() {
                return Err(OverrideError::StateTwice(*address));
            }
            match before.precompile(*address) {
                Some((precompile, _)) => {
                    if before.extra_precompiles.at(*address).is_some() {
                        return Err(OverrideError::Moved(*address));
                    }
                    rules.removed_precompiles = rules.removed_precompiles.with(precompile);
                    if let Some(to) = account.move_precompile_to {
                        rules.extra_precompiles = rules.extra_precompiles.with(precompile, to);
                        moved.push(to);
                    }
                }
                None if account.move_precompile_to.is_some() => return Err(OverrideError::NoPrecompile(*address)),
                None => {}
            }
            self.override_account(*address, account);
        }
        let occupied = moved.iter().find(|to| {
            overrides.0.iter().any(|(address, _)| address == *to)
                || moved.iter().filter(|other| other == to).count() > 1
        });
        occupied.map_or(Ok(()), |to| Err(OverrideError::Occupied(*to)))
    }

    fn override_account(&mut self, address: H160, account: &AccountOverride) {
        let overlaid = self.accounts.entry(address).or_default();
        let code_hash = account.code.as_ref().map(|code| {
            let hash = if code.is_empty() { KECCAK_EMPTY } else { keccak(code) };
            self.codes.insert(hash, code.clone());
            hash
        });
        match &mut overlaid.whole {
            Some(whole) => {
                let info = whole.get_or_insert_default();
                info.balance = account.balance.unwrap_or(info.balance);
                info.nonce = account.nonce.unwrap_or(info.nonce);
                info.code_hash = code_hash.unwrap_or(info.code_hash);
            }
            None => {
                overlaid.balance = account.balance.or(overlaid.balance);
                overlaid.nonce = account.nonce.or(overlaid.nonce);
                overlaid.code_hash = code_hash.or(overlaid.code_hash);
            }
        }
        if let Some(state) = &account.state {
            overlaid.wiped = true;
            overlaid.slots = state.iter().copied().collect();
        }
        overlaid.slots.extend(account.state_diff.iter().copied());
    }

    pub fn override_block_hashes(&mut self, hashes: &[(u64, H256)]) {
        self.block_hashes.extend(hashes.iter().copied());
    }

    /// Adds what transactions changed.
    pub fn apply(&mut self, diff: &[AccountDiff]) {
        for change in diff {
            let overlaid = self.accounts.entry(change.address).or_default();
            overlaid.whole = Some(change.after);
            if change.storage_wiped || change.after.is_none() {
                overlaid.wiped = true;
                overlaid.slots.clear();
            }
            overlaid.slots.extend(change.storage.iter().map(|slot| (slot.key, slot.after)));
            if let (Some(code), Some(after)) = (&change.code, change.after) {
                self.codes.insert(after.code_hash, code.clone());
            }
        }
    }
}

/// A state with an overlay, at a block of some number.
pub(super) struct OverlaidView {
    pub base: Arc<dyn StateView>,
    pub overlay: Arc<Overlay>,
    /// The block that the state belongs to: later ones have no hash.
    pub latest: u64,
}

impl StateView for OverlaidView {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        let Some(overlaid) = self.overlay.accounts.get(address) else { return self.base.account(address) };
        if let Some(whole) = overlaid.whole {
            return Ok(whole);
        }
        if let (Some(nonce), Some(balance), Some(code_hash)) = (overlaid.nonce, overlaid.balance, overlaid.code_hash) {
            return Ok(Some(AccountInfo { nonce, balance, code_hash }));
        }
        let info = self.base.account(address)?.unwrap_or_default();
        Ok(Some(AccountInfo {
            nonce: overlaid.nonce.unwrap_or(info.nonce),
            balance: overlaid.balance.unwrap_or(info.balance),
            code_hash: overlaid.code_hash.unwrap_or(info.code_hash),
        }))
    }

    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        match self.overlay.accounts.get(address) {
            Some(overlaid) => match overlaid.slots.get(key) {
                Some(value) => Ok(*value),
                None if overlaid.wiped => Ok(U256::zero()),
                None => self.base.storage(address, key),
            },
            None => self.base.storage(address, key),
        }
    }

    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        match self.overlay.accounts.get(address) {
            Some(overlaid) if overlaid.slots.values().any(|value| !value.is_zero()) => Ok(true),
            Some(overlaid) if overlaid.wiped => Ok(false),
            _ => self.base.has_storage(address),
        }
    }

    fn is_near(&self) -> bool {
        self.base.is_near()
    }

    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        match self.overlay.codes.get(code_hash) {
            Some(code) => Ok(code.clone()),
            None if *code_hash == KECCAK_EMPTY => Ok(Bytes::new()),
            None => self.base.code(code_hash),
        }
    }

    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        match self.overlay.block_hashes.get(&number) {
            Some(hash) => Ok(*hash),
            None if number > self.latest => Ok(H256::zero()),
            None => self.base.block_hash(number),
        }
    }
}
