//! The accounts that a transaction works on before any code runs.

use super::authorization::{delegation, designator};
use super::{Seed, Standing, keccak256};
use crate::services::Services;
use hashbrown::HashMap;
use isolane_spec::{AccountInfo, Authorization, Bytes, Fork, H160, H256, KECCAK_EMPTY, StateError, StateView, U256};

/// Accounts over a state, by the order in which they were loaded.
pub(super) struct Accounts<'a> {
    fork: Fork,
    state: &'a dyn StateView,
    seeds: Vec<Seed>,
    places: HashMap<H160, usize>,
}

impl<'a> Accounts<'a> {
    pub fn new(fork: Fork, state: &'a dyn StateView) -> Self {
        Self { fork, state, seeds: Vec::new(), places: HashMap::new() }
    }

    /// The place of an account, which is read from the state where it was not loaded before.
    pub fn load(&mut self, address: &H160) -> Result<usize, StateError> {
        if let Some(place) = self.places.get(address) {
            return Ok(*place);
        }
        let before = self.state.account(address)?;
        let now = Standing { info: before.unwrap_or_default(), exists: before.is_some(), ..Standing::default() };
        let place = self.seeds.len();
        self.seeds.push(Seed { address: *address, before, now, undone: now, code: None, warm: false });
        self.places.insert(*address, place);
        Ok(place)
    }

    pub fn address(&self, place: usize) -> H160 {
        self.seeds[place].address
    }

    pub fn info(&self, place: usize) -> AccountInfo {
        self.seeds[place].now.info
    }

    /// All accounts. Each can still go back to the checkpoint.
    pub fn into_seeds(self) -> Vec<Seed> {
        self.seeds
    }

    /// What the outermost frame undoes where it fails comes after this.
    pub fn checkpoint(&mut self) {
        for seed in &mut self.seeds {
            seed.undone = seed.now;
        }
    }

    pub fn warm(&mut self, place: usize) {
        self.seeds[place].warm = true;
    }

    /// An account that is touched comes into being; it is removed at the end if it is empty (EIP-161).
    fn touch(&mut self, place: usize) -> &mut AccountInfo {
        let now = &mut self.seeds[place].now;
        now.exists = true;
        now.touched = true;
        &mut now.info
    }

    pub fn set_balance(&mut self, place: usize, balance: U256) {
        self.touch(place).balance = balance;
    }

    pub fn set_nonce(&mut self, place: usize, nonce: u64) {
        self.touch(place).nonce = nonce;
    }

    pub fn mark_created(&mut self, place: usize) {
        self.seeds[place].now.created = true;
    }

    fn set_code(&mut self, place: usize, code: Bytes, code_hash: H256) {
        self.touch(place).code_hash = code_hash;
        self.seeds[place].code = Some(code);
    }

    /// The account's code.
    pub fn code(&self, place: usize) -> Result<Bytes, StateError> {
        let seed = &self.seeds[place];
        match &seed.code {
            _ if seed.now.info.code_hash == KECCAK_EMPTY => Ok(Bytes::new()),
            Some(code) => Ok(code.clone()),
            None => self.state.code(&seed.now.info.code_hash),
        }
    }

    /// What the account's code delegates to (EIP-7702).
    pub fn delegation(&self, place: usize) -> Result<Option<H160>, StateError> {
        if self.fork < Fork::Prague { Ok(None) } else { Ok(delegation(&self.code(place)?)) }
    }

    /// Moves value, were it nothing: both accounts are touched. The sender has it: its maximum cost was validated.
    pub fn transfer(&mut self, from: usize, to: usize, value: U256) {
        self.set_balance(from, self.info(from).balance.saturating_sub(value));
        // The sum of all balances is far below 2^256; wrapping is what the specification does with absurd pre-states.
        self.set_balance(to, self.info(to).balance.overflowing_add(value).0);
    }

    /// Whether creating there is a collision (EIP-684, EIP-7610).
    pub fn collides(&self, place: usize) -> Result<bool, StateError> {
        let Seed { address, now, .. } = &self.seeds[place];
        let used = now.info.nonce != 0 || now.info.code_hash != KECCAK_EMPTY;
        Ok(used || now.exists && self.state.has_storage(address)?)
    }

    /// Sets one delegation (EIP-7702), unless a check fails. Returns whether its account existed: that is refunded.
    pub fn delegate(
        &mut self,
        authorization: &Authorization,
        chain_id: u64,
        services: &dyn Services,
    ) -> Result<bool, StateError> {
        let here = authorization.chain_id.is_zero() || authorization.chain_id == U256::from(chain_id);
        if !here || authorization.nonce == u64::MAX {
            return Ok(false);
        }
        let Some(authority) = services.authority(authorization) else { return Ok(false) };
        let place = self.load(&authority)?;
        self.warm(place);
        let info = self.info(place);
        if info.code_hash != KECCAK_EMPTY && self.delegation(place)?.is_none() || info.nonce != authorization.nonce {
            return Ok(false);
        }
        let existed = self.seeds[place].now.exists;
        if authorization.address.is_zero() {
            self.set_code(place, Bytes::new(), KECCAK_EMPTY);
        } else {
            let code = designator(&authorization.address);
            let code_hash = keccak256(&code);
            self.set_code(place, code, code_hash);
        }
        self.set_nonce(place, authorization.nonce + 1);
        Ok(existed)
    }
}
