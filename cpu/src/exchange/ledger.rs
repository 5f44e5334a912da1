//! What the exchange keeps in the storage of its account, and where.

use crate::crypto::keccak256;
use crate::journal::AccountIndex;
use crate::lane::Lane;
use isolane_spec::{EXCHANGE_ADDRESS, EnvironmentId, H160, KECCAK_EMPTY, StateError, StateView, U256, word};

/// What a slot holds. Its key is the Keccak-256 hash of this number and of what identifies the slot, one word each.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Tag {
    /// The native asset that is locked: on its way, or held abroad, or claimable.
    Locked = 1,
    /// By destination: the nonce of the next message.
    NextNonce,
    /// Epoch (64 bits), messages (64) and bytes (128) of the outbox, the epoch highest.
    Outbox,
    /// By asset and account: a balance of an asset from abroad.
    Balance,
    /// By asset: the sum of these balances.
    Supply,
    /// By asset and account: what failed refunds left.
    Claimable,
    /// By asset: the sum of it.
    ClaimableTotal,
    /// By source and kind: the lowest nonce that is still taken.
    Received,
}

fn key(tag: Tag, parts: [U256; 2]) -> U256 {
    let mut bytes = [0; 96];
    bytes[31] = tag as u8;
    bytes[32..64].copy_from_slice(&word::to_be(&parts[0]));
    bytes[64..].copy_from_slice(&word::to_be(&parts[1]));
    word::from_hash(&keccak256(&bytes))
}

fn word_of(environment: &EnvironmentId) -> U256 {
    word::from_hash(&environment.0)
}

/// A slot of the exchange's account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(U256);

impl Place {
    pub fn locked() -> Self {
        Self(key(Tag::Locked, [U256::zero(); 2]))
    }

    pub fn next_nonce(destination: &EnvironmentId) -> Self {
        Self(key(Tag::NextNonce, [word_of(destination), U256::zero()]))
    }

    pub fn outbox() -> Self {
        Self(key(Tag::Outbox, [U256::zero(); 2]))
    }

    pub fn balance(asset: &EnvironmentId, account: &H160) -> Self {
        Self(key(Tag::Balance, [word_of(asset), word::from_address(account)]))
    }

    pub fn supply(asset: &EnvironmentId) -> Self {
        Self(key(Tag::Supply, [word_of(asset), U256::zero()]))
    }

    pub fn claimable(asset: &EnvironmentId, account: &H160) -> Self {
        Self(key(Tag::Claimable, [word_of(asset), word::from_address(account)]))
    }

    pub fn claimable_total(asset: &EnvironmentId) -> Self {
        Self(key(Tag::ClaimableTotal, [word_of(asset), U256::zero()]))
    }

    pub fn received(source: &EnvironmentId, kind: u8) -> Self {
        Self(key(Tag::Received, [word_of(source), U256::from(kind)]))
    }
}

/// A sum that does not fit, or a balance that does not suffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfRange;

/// The exchange's account in a lane, as it is written and read.
pub(super) struct Ledger<'a> {
    pub lane: &'a mut Lane,
    pub account: AccountIndex,
}

impl<'a> Ledger<'a> {
    pub fn open(lane: &'a mut Lane) -> Result<Self, StateError> {
        let account = lane.load(&EXCHANGE_ADDRESS)?;
        Ok(Self { lane, account })
    }

    pub fn get(&mut self, place: Place) -> Result<U256, StateError> {
        let Lane { journal, environment, .. } = &mut *self.lane;
        let slot = journal.load_slot(self.account, &place.0, &*environment.state)?;
        Ok(*journal.slot_value(slot))
    }

    pub fn set(&mut self, place: Place, value: U256) -> Result<(), StateError> {
        let Lane { journal, environment, .. } = &mut *self.lane;
        let info = journal.account(self.account).info;
        if info.code_hash == KECCAK_EMPTY {
            // An account without nonce and code would not outlive the transaction (EIP-161).
            let (_, new, code) = super::account();
            journal.set_code(self.account, code, new.code_hash);
            journal.set_nonce(self.account, info.nonce.max(new.nonce));
        }
        let slot = journal.load_slot(self.account, &place.0, &*environment.state)?;
        journal.touch(self.account);
        journal.set_slot(slot, value);
        Ok(())
    }

    /// Adds to a slot.
    pub fn add(&mut self, place: Place, value: &U256) -> Result<Result<(), OutOfRange>, StateError> {
        match self.get(place)?.checked_add(*value) {
            Some(sum) => self.set(place, sum).map(Ok),
            None => Ok(Err(OutOfRange)),
        }
    }

    /// Takes from a slot.
    pub fn sub(&mut self, place: Place, value: &U256) -> Result<Result<(), OutOfRange>, StateError> {
        match self.get(place)?.checked_sub(*value) {
            Some(rest) => self.set(place, rest).map(Ok),
            None => Ok(Err(OutOfRange)),
        }
    }

    /// The native asset that the account holds.
    pub fn native(&self) -> U256 {
        self.lane.journal.account(self.account).info.balance
    }
}

/// What the exchange's account of one environment says about one asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// The sum of all balances here; zero for the environment's own asset, whose balances are those of the accounts.
    pub supply: U256,
    /// The sum of what can be claimed here.
    pub claimable: U256,
}

/// What the exchange's account of one environment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// The native asset that the account owns. More than `locked` only where somebody forced it in (SELFDESTRUCT).
    pub native: U256,
    /// The native asset that is locked because it is on its way, held abroad, or claimable.
    pub locked: U256,
    /// By asset, as asked.
    pub assets: Vec<(EnvironmentId, Holding)>,
}

/// Reads what the exchange's account of a state holds of these assets.
///
/// # Errors
/// When the state cannot answer.
pub fn holdings(state: &dyn StateView, assets: &[EnvironmentId]) -> Result<Holdings, StateError> {
    let Some(info) = state.account(&EXCHANGE_ADDRESS)? else {
        let nothing = assets.iter().map(|asset| (*asset, Holding::default())).collect();
        return Ok(Holdings { assets: nothing, ..Holdings::default() });
    };
    let slot = |place: Place| state.storage(&EXCHANGE_ADDRESS, &place.0);
    let of = |asset: &EnvironmentId| {
        let supply = slot(Place::supply(asset))?;
        let claimable = slot(Place::claimable_total(asset))?;
        Ok((*asset, Holding { supply, claimable }))
    };
    Ok(Holdings {
        native: info.balance,
        locked: slot(Place::locked())?,
        assets: assets.iter().map(of).collect::<Result<_, StateError>>()?,
    })
}

/// What an account holds of an asset from abroad.
///
/// # Errors
/// When the state cannot answer.
pub fn balance(state: &dyn StateView, asset: &EnvironmentId, account: &H160) -> Result<U256, StateError> {
    state.storage(&EXCHANGE_ADDRESS, &Place::balance(asset, account).0)
}

/// What an account can claim of an asset.
///
/// # Errors
/// When the state cannot answer.
pub fn claimable(state: &dyn StateView, asset: &EnvironmentId, account: &H160) -> Result<U256, StateError> {
    state.storage(&EXCHANGE_ADDRESS, &Place::claimable(asset, account).0)
}
