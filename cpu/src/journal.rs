//! The private state of a lane: what it read and wrote, over an immutable base, with an undo log.
//!
//! Accounts and slots get small indices when they are first seen; frames keep the index of their own account. All
//! marks that last for one transaction (warm, created, …) hold the number of that transaction, so that starting the
//! next one clears nothing.

pub(crate) mod finish;
mod index;
mod load;
mod reads;
mod slots;
mod start;
mod transfer;
mod undo;

pub(crate) use undo::Checkpoint;

use crate::mixer::Mixer;
use crate::validation::{minus, plus};
use hashbrown::HashMap;
use index::Index;
use isolane_spec::{AccountInfo, Bytes, Fork, H160, H256, KECCAK_EMPTY, Log, Message, StateError, StateView, U256};

/// The index of an account in its journal.
pub(crate) type AccountIndex = u32;
/// The index of a slot in its journal.
pub(crate) type SlotIndex = u32;

/// Slots that are found without hashing where they are asked for again.
const RECENT_SLOTS: usize = 16;

/// The account whose touch survives a revert (EIP-161's one exception, mainnet block 2,675,119): RIPEMD-160.
const RIPEMD: H160 = H160([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);

/// An account as the lane sees it.
#[derive(Debug)]
pub(crate) struct AccountEntry {
    pub address: H160,
    pub info: AccountInfo,
    /// Whether it is in the state trie. Before Spurious Dragon an empty account can be.
    pub exists: bool,
    /// Code written by this lane; the base has the others.
    new_code: Option<Bytes>,
    /// Where the machine keeps its decoded code; `u32::MAX` = not looked up yet.
    pub program: u32,
    /// What its code delegates to (EIP-7702); the outer `None` = not looked up yet.
    pub delegation: Option<Option<H160>>,
    /// The base's storage is gone.
    wiped: bool,
    /// Rises when storage is wiped: slots of an earlier incarnation are zero.
    incarnation: u32,
    /// The transaction that the fields below are about.
    transaction: u32,
    warm: bool,
    touched: bool,
    created: bool,
    destroyed: bool,
    listed: bool,
    /// Whether the transaction changed its storage. Known at its end.
    stored: bool,
    /// Whether the transaction looked at its code.
    code_read: bool,
    before: Option<AccountInfo>,
}

#[derive(Debug)]
struct SlotEntry {
    account: AccountIndex,
    incarnation: u32,
    key: U256,
    value: U256,
    /// Before the transaction.
    original: U256,
    transaction: u32,
    warm: bool,
    listed: bool,
    /// Whether the transaction ever gave it another value. Kept when that is undone.
    written: bool,
}

impl AccountEntry {
    /// Whether this lane wrote its code.
    pub fn has_new_code(&self) -> bool {
        self.new_code.is_some()
    }

    /// Nothing is left of it.
    fn remove(&mut self) {
        self.info = AccountInfo::default();
        self.exists = false;
        self.new_code = None;
        self.program = u32::MAX;
        self.delegation = None;
        self.wiped = true;
        self.incarnation += 1;
    }
}

/// How to undo one change. Small: what is long and rare lies in [`Journal::undone_codes`] and
/// [`Journal::undone_transient`].
#[derive(Debug)]
enum Undo {
    Balance(AccountIndex, U256),
    Nonce(AccountIndex, u64),
    Code(AccountIndex),
    WarmAccount(AccountIndex),
    Touch(AccountIndex),
    Exists(AccountIndex),
    Created(AccountIndex),
    Destroyed(AccountIndex),
    Slot(SlotIndex, U256),
    WarmSlot(SlotIndex),
    Transient(AccountIndex),
}

/// Code that an account had: its hash, itself where the lane wrote it, and its program.
type OldCode = (H256, Option<Bytes>, u32);

#[derive(Debug)]
pub(crate) struct Journal {
    fork: Fork,
    transaction: u32,
    accounts: Vec<AccountEntry>,
    account_index: Index,
    /// The account that was asked for last: often the next one too.
    recent: AccountIndex,
    slots: Vec<SlotEntry>,
    slot_index: Index,
    /// Where there are many, those that were asked for lately, by the lowest bits of their keys.
    recent_slots: [SlotIndex; RECENT_SLOTS],
    transient: HashMap<(AccountIndex, U256), U256>,
    undo: Vec<Undo>,
    /// Of each [`Undo::Code`], what the code was.
    undone_codes: Vec<OldCode>,
    /// Of each [`Undo::Transient`], the key and what it held.
    undone_transient: Vec<(U256, U256)>,
    pub logs: Vec<Log>,
    pub messages: Vec<Message>,
    pub refund: i64,
    /// What the transaction looked at, in the order of the first access. Kept when it is undone.
    accounts_read: Vec<AccountIndex>,
    slots_read: Vec<SlotIndex>,
    /// Of the last 256 blocks, one bit each: whose hash the transaction read. The lowest is the parent's.
    block_hashes_read: [u64; 4],
    /// What the transaction touched or wrote, each once. Kept when it is undone, and until the next one begins.
    changed: Vec<AccountIndex>,
    changed_slots: Vec<SlotIndex>,
    /// Transactions since the base.
    begun: u32,
    /// Whether an account came into being, went or got other code since the base: then more differs from it than balances, nonces
    /// and slots.
    remade: bool,
    hasher: Mixer,
}

impl Journal {
    pub fn new(fork: Fork) -> Self {
        Self {
            fork,
            transaction: 1,
            accounts: Vec::new(),
            account_index: Index::new(),
            recent: 0,
            slots: Vec::new(),
            slot_index: Index::new(),
            recent_slots: [0; RECENT_SLOTS],
            transient: HashMap::new(),
            undo: Vec::new(),
            undone_codes: Vec::new(),
            undone_transient: Vec::new(),
            logs: Vec::new(),
            messages: Vec::new(),
            refund: 0,
            accounts_read: Vec::new(),
            slots_read: Vec::new(),
            block_hashes_read: [0; 4],
            changed: Vec::new(),
            changed_slots: Vec::new(),
            begun: 0,
            remade: false,
            hasher: Mixer::new(),
        }
    }

    #[inline(always)]
    fn entry(&mut self, account: AccountIndex) -> &mut AccountEntry {
        &mut self.accounts[account as usize]
    }

    /// The account, with marks of the current transaction.
    #[inline(always)]
    fn fresh(&mut self, account: AccountIndex) -> &mut AccountEntry {
        if self.accounts[account as usize].transaction != self.transaction {
            self.renew(account);
        }
        &mut self.accounts[account as usize]
    }

    /// The first time in a transaction that an account of an earlier one is seen.
    #[inline(never)]
    fn renew(&mut self, account: AccountIndex) {
        self.accounts_read.push(account);
        let entry = &mut self.accounts[account as usize];
        entry.transaction = self.transaction;
        entry.warm = false;
        entry.touched = false;
        entry.created = false;
        entry.destroyed = false;
        entry.listed = false;
        entry.stored = false;
        entry.code_read = false;
        entry.before = entry.exists.then_some(entry.info);
    }

    /// Gives an account that was seen before the marks of the current transaction.
    #[inline(always)]
    pub fn enter(&mut self, account: AccountIndex) {
        self.recent = account;
        self.fresh(account);
    }

    #[inline(always)]
    pub fn account(&self, account: AccountIndex) -> &AccountEntry {
        &self.accounts[account as usize]
    }

    /// Whether an access to the account costs the warm price (EIP-2929).
    #[inline(always)]
    pub fn is_warm(&self, account: AccountIndex) -> bool {
        let entry = &self.accounts[account as usize];
        entry.warm && entry.transaction == self.transaction
    }

    /// Makes the account warm.
    #[inline(always)]
    pub fn warm(&mut self, account: AccountIndex) {
        let entry = self.fresh(account);
        if !entry.warm {
            entry.warm = true;
            self.undo.push(Undo::WarmAccount(account));
        }
    }

    /// Nonexistent or empty (EIP-161).
    pub fn is_dead(&self, account: AccountIndex) -> bool {
        let entry = self.account(account);
        !entry.exists || entry.info.is_empty()
    }

    /// Whether it brings costs to send value there: nonexistent, or dead from Spurious Dragon on.
    pub fn is_new(&self, account: AccountIndex) -> bool {
        if self.fork >= Fork::SpuriousDragon { self.is_dead(account) } else { !self.account(account).exists }
    }

    /// Touches an account: it comes into being, and is removed at the end if it is empty (EIP-161).
    #[inline(always)]
    pub fn touch(&mut self, account: AccountIndex) {
        let entry = self.fresh(account);
        if !(entry.exists && entry.touched) {
            self.touch_first(account);
        }
    }

    #[inline(never)]
    fn touch_first(&mut self, account: AccountIndex) {
        self.list(account);
        let entry = self.entry(account);
        let (exists, touched) = (entry.exists, entry.touched);
        entry.exists = true;
        entry.touched = true;
        if !exists {
            self.undo.push(Undo::Exists(account));
        }
        if !touched {
            self.undo.push(Undo::Touch(account));
        }
    }

    /// Remembers that the transaction may have changed the account.
    #[inline(always)]
    fn list(&mut self, account: AccountIndex) {
        let entry = self.entry(account);
        if !entry.listed {
            entry.listed = true;
            self.changed.push(account);
        }
    }

    #[inline(always)]
    pub fn set_balance(&mut self, account: AccountIndex, balance: U256) {
        self.touch(account);
        let old = std::mem::replace(&mut self.entry(account).info.balance, balance);
        if old != balance {
            self.undo.push(Undo::Balance(account, old));
        }
    }

    #[inline(always)]
    pub fn set_nonce(&mut self, account: AccountIndex, nonce: u64) {
        self.touch(account);
        let old = std::mem::replace(&mut self.entry(account).info.nonce, nonce);
        self.undo.push(Undo::Nonce(account, old));
    }

    pub fn set_code(&mut self, account: AccountIndex, code: Bytes, code_hash: H256) {
        self.touch(account);
        self.remade = true;
        let entry = self.entry(account);
        let old_hash = std::mem::replace(&mut entry.info.code_hash, code_hash);
        let old_code = entry.new_code.replace(code);
        let old_program = std::mem::replace(&mut entry.program, u32::MAX);
        entry.delegation = None;
        self.undone_codes.push((old_hash, old_code, old_program));
        self.undo.push(Undo::Code(account));
    }

    /// Remembers where the machine keeps the account's decoded code.
    pub fn set_program(&mut self, account: AccountIndex, program: u32) {
        self.entry(account).program = program;
    }

    /// Forgets where decoded code is kept.
    pub fn forget_programs(&mut self) {
        for entry in &mut self.accounts {
            entry.program = u32::MAX;
        }
    }

    /// Remembers what the account's code delegates to.
    pub fn set_delegation(&mut self, account: AccountIndex, delegation: Option<H160>) {
        self.entry(account).delegation = Some(delegation);
    }

    /// The account's code.
    pub fn code(&self, account: AccountIndex, base: &dyn StateView) -> Result<Bytes, StateError> {
        let entry = self.account(account);
        match &entry.new_code {
            _ if entry.info.code_hash == KECCAK_EMPTY => Ok(Bytes::new()),
            Some(code) => Ok(code.clone()),
            None => base.code(&entry.info.code_hash),
        }
    }

    /// Remembers that the transaction looked at the account's code.
    #[inline(always)]
    pub fn read_code(&mut self, account: AccountIndex) {
        self.entry(account).code_read = true;
    }

    /// Remembers that the transaction read the hash of the block `back` before the current one.
    pub fn read_block_hash(&mut self, back: u64) {
        let bit = back.wrapping_sub(1);
        if let Some(bits) = self.block_hashes_read.get_mut((bit / 64) as usize) {
            *bits |= 1 << (bit % 64);
        }
    }

    /// Code that this lane wrote, by hash.
    pub fn find_new_code(&self, code_hash: &H256) -> Option<Bytes> {
        self.accounts.iter().find(|entry| entry.info.code_hash == *code_hash).and_then(|entry| entry.new_code.clone())
    }

    /// Moves value; `false` (and nothing moved) where the balance does not suffice.
    pub fn transfer(&mut self, from: AccountIndex, to: AccountIndex, value: &U256) -> bool {
        let (rest, too_much) = minus(&self.account(from).info.balance, value);
        if too_much {
            return false;
        }
        if from == to || value.is_zero() {
            self.touch(to);
            return true;
        }
        self.set_balance(from, rest);
        // The sum of all balances is far below 2^256; wrapping is what the specification does with absurd pre-states.
        let sum = plus(&self.account(to).info.balance, value).0;
        self.set_balance(to, sum);
        true
    }

    /// Marks a contract that comes into being in this transaction.
    pub fn mark_created(&mut self, account: AccountIndex) {
        let entry = self.fresh(account);
        if !entry.created {
            entry.created = true;
            self.remade = true;
            self.list(account);
            self.undo.push(Undo::Created(account));
        }
    }

    pub fn is_created(&self, account: AccountIndex) -> bool {
        self.account(account).created && self.account(account).transaction == self.transaction
    }

    /// Whether creating there is a collision (EIP-684, EIP-7610).
    pub fn collides(&self, account: AccountIndex, base: &dyn StateView) -> Result<bool, StateError> {
        let entry = self.account(account);
        if entry.info.nonce != 0 || entry.info.code_hash != KECCAK_EMPTY {
            return Ok(true);
        }
        let written = |slot: &SlotEntry| {
            slot.account == account && slot.incarnation == entry.incarnation && !slot.value.is_zero()
        };
        if !entry.exists {
            return Ok(false);
        }
        let in_base = !entry.wiped && base.has_storage(&entry.address)?;
        Ok(in_base || self.slots.iter().any(written))
    }

    /// Marks an account for removal at the end of the transaction. Returns whether it was not marked before.
    pub fn destroy(&mut self, account: AccountIndex) -> bool {
        self.touch(account);
        let entry = self.entry(account);
        let first = !entry.destroyed;
        if first {
            entry.destroyed = true;
            self.undo.push(Undo::Destroyed(account));
        }
        first
    }

    /// The accounts that the transaction destroys, by address.
    pub fn destroyed(&self) -> Vec<AccountIndex> {
        let destroyed = |undo: &Undo| match undo {
            Undo::Destroyed(account) => Some(*account),
            _ => None,
        };
        let mut accounts: Vec<AccountIndex> = self.undo.iter().filter_map(destroyed).collect();
        accounts.sort_unstable_by_key(|&account| self.account(account).address);
        accounts
    }

    /// How many slots of these accounts the transaction wrote and left at other values than zero.
    pub fn written_slots(&self, accounts: &[AccountIndex]) -> u64 {
        let nonzero = |undo: &Undo| match undo {
            Undo::Slot(slot, _) => {
                let entry = &self.slots[*slot as usize];
                (!entry.value.is_zero() && accounts.contains(&entry.account)).then_some(*slot)
            }
            _ => None,
        };
        let mut slots: Vec<SlotIndex> = self.undo.iter().filter_map(nonzero).collect();
        slots.sort_unstable();
        slots.dedup();
        slots.len() as u64
    }
}
