//! The private state of a lane: what it read and wrote, over an immutable base, with an undo log.
//!
//! Accounts and slots get small indices when they are first seen; frames keep the index of their own account. All
//! marks that last for one transaction (warm, created, …) hold the number of that transaction, so that starting the
//! next one clears nothing.

mod reads;
mod transfer;

use crate::mixer::{Mixer, same};
use crate::validation::{minus, plus};
use hashbrown::{HashMap, HashTable};
use isolane_spec::{
    AccountDiff, AccountInfo, Bytes, Fork, H160, H256, KECCAK_EMPTY, Log, Message, SlotDiff, StateError, StateView,
    U256,
};

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

/// A point to go back to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checkpoint {
    undo: usize,
    logs: usize,
    messages: usize,
    refund: i64,
}

#[derive(Debug)]
pub(crate) struct Journal {
    fork: Fork,
    transaction: u32,
    accounts: Vec<AccountEntry>,
    account_table: HashTable<AccountIndex>,
    /// The account that was asked for last: often the next one too.
    recent: AccountIndex,
    slots: Vec<SlotEntry>,
    slot_table: HashTable<SlotIndex>,
    /// Slots that were asked for lately, by the lowest bits of their keys.
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
    /// What the transaction touched or wrote, each once. Kept when it is undone.
    changed: Vec<AccountIndex>,
    changed_slots: Vec<SlotIndex>,
    hasher: Mixer,
}

/// An address as numbers that compare as it does.
#[inline(always)]
fn in_order(address: &H160) -> (u128, u32) {
    let (high, low) = address.0.split_at(16);
    let mut numbers = ([0; 16], [0; 4]);
    numbers.0.copy_from_slice(high);
    numbers.1.copy_from_slice(low);
    (u128::from_be_bytes(numbers.0), u32::from_be_bytes(numbers.1))
}

/// Sorts by a key. Mostly there are three or four of them.
#[inline(always)]
fn sort_few<T: Copy, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    if items.len() > 8 {
        items.sort_unstable_by_key(key);
        return;
    }
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && key(&items[at]) < key(&items[at - 1]) {
            items.swap(at, at - 1);
            at -= 1;
        }
    }
}

impl Journal {
    pub fn new(fork: Fork) -> Self {
        Self {
            fork,
            transaction: 1,
            accounts: Vec::new(),
            account_table: HashTable::new(),
            recent: 0,
            slots: Vec::new(),
            slot_table: HashTable::new(),
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
            hasher: Mixer::new(),
        }
    }

    /// Forgets everything: back to the base.
    pub fn reset(&mut self, fork: Fork) {
        self.fork = fork;
        self.transaction = 1;
        self.accounts.clear();
        self.account_table.clear();
        self.slots.clear();
        self.slot_table.clear();
        self.begin();
    }

    /// Starts a transaction: nothing is warm, nothing can be undone.
    pub fn begin(&mut self) {
        self.transaction += 1;
        if !self.transient.is_empty() {
            self.transient.clear();
        }
        self.forget_undo();
        self.changed.clear();
        self.changed_slots.clear();
        self.logs.clear();
        self.messages.clear();
        self.refund = 0;
        self.accounts_read.clear();
        self.slots_read.clear();
        self.block_hashes_read = [0; 4];
    }

    /// What was done until now stays.
    fn forget_undo(&mut self) {
        self.undo.clear();
        self.undone_codes.clear();
        self.undone_transient.clear();
    }

    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { undo: self.undo.len(), logs: self.logs.len(), messages: self.messages.len(), refund: self.refund }
    }

    /// Undoes everything since the checkpoint.
    pub fn revert(&mut self, to: Checkpoint) {
        self.logs.truncate(to.logs);
        self.messages.truncate(to.messages);
        self.refund = to.refund;
        // EIP-161's one exception: the touch of RIPEMD-160 outlives the frame that is undone.
        let mut kept = None;
        while self.undo.len() > to.undo {
            let Some(undo) = self.undo.pop() else { break };
            match undo {
                Undo::Balance(account, old) => self.entry(account).info.balance = old,
                Undo::Nonce(account, old) => self.entry(account).info.nonce = old,
                Undo::Code(account) => {
                    let Some((hash, code, program)) = self.undone_codes.pop() else { continue };
                    let entry = self.entry(account);
                    entry.info.code_hash = hash;
                    entry.new_code = code;
                    entry.program = program;
                    entry.delegation = None;
                }
                Undo::WarmAccount(account) => self.entry(account).warm = false,
                Undo::Touch(account) => {
                    let entry = self.entry(account);
                    entry.touched = entry.address == RIPEMD;
                    if entry.touched {
                        kept = Some(Undo::Touch(account));
                    }
                }
                Undo::Exists(account) => self.entry(account).exists = false,
                Undo::Created(account) => self.entry(account).created = false,
                Undo::Destroyed(account) => self.entry(account).destroyed = false,
                Undo::Slot(slot, old) => self.slots[slot as usize].value = old,
                Undo::WarmSlot(slot) => self.slots[slot as usize].warm = false,
                Undo::Transient(account) => {
                    let Some((key, old)) = self.undone_transient.pop() else { continue };
                    self.transient.insert((account, key), old);
                }
            }
        }
        self.undo.extend(kept);
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

    /// The first accounts, for whoever wants to have them at hand.
    pub fn first_accounts(&self) -> &[AccountEntry] {
        self.accounts.get(..4).unwrap_or(&self.accounts)
    }

    /// The index of an account that was seen before; or the hash of its address.
    #[inline(always)]
    fn look_up(&self, address: &H160) -> Result<AccountIndex, u64> {
        if let Some(entry) = self.accounts.get(self.recent as usize)
            && same(&entry.address, address)
        {
            return Ok(self.recent);
        }
        let hash = self.hasher.address(address);
        self.account_table.find(hash, |&i| same(&self.accounts[i as usize].address, address)).copied().ok_or(hash)
    }

    /// The index of an account that was seen before.
    #[inline(always)]
    pub fn find(&self, address: &H160) -> Option<AccountIndex> {
        self.look_up(address).ok()
    }

    /// The index of an account; reads the base where it was not seen before.
    #[inline]
    pub fn load(&mut self, address: &H160, base: &dyn StateView) -> Result<AccountIndex, StateError> {
        Ok(self.load_told(address, base)?.0)
    }

    /// The index of an account as [`Self::load`] returns it, and whether the transaction had looked at it before.
    #[inline]
    pub fn load_told(&mut self, address: &H160, base: &dyn StateView) -> Result<(AccountIndex, bool), StateError> {
        match self.look_up(address) {
            Ok(account) => {
                let seen = self.account(account).transaction == self.transaction;
                self.enter(account);
                Ok((account, seen))
            }
            Err(hash) => Ok((self.read(address, hash, base)?, false)),
        }
    }

    /// Reads an account from the base.
    #[inline(never)]
    fn read(&mut self, address: &H160, hash: u64, base: &dyn StateView) -> Result<AccountIndex, StateError> {
        let told;
        let found = match base.memory() {
            // Copied from where it lies.
            Some(state) => state.accounts.get(address).map(|account| &account.info),
            None => {
                told = base.account(address)?;
                told.as_ref()
            }
        };
        let account = self.accounts.len() as AccountIndex;
        // Built in its place, where `push` would build it on the stack first.
        let transaction = self.transaction;
        self.accounts.resize_with(account as usize + 1, || AccountEntry {
            address: *address,
            info: AccountInfo::default(),
            exists: false,
            new_code: None,
            program: u32::MAX,
            delegation: None,
            wiped: false,
            incarnation: 0,
            transaction,
            warm: false,
            touched: false,
            created: false,
            destroyed: false,
            listed: false,
            stored: false,
            code_read: false,
            before: None,
        });
        if let (Some(entry), Some(info)) = (self.accounts.last_mut(), found) {
            entry.exists = true;
            entry.info = *info;
            entry.before = Some(*info);
        }
        self.accounts_read.push(account);
        let Self { account_table, accounts, hasher, .. } = self;
        account_table.insert_unique(hash, account, |&i| hasher.address(&accounts[i as usize].address));
        self.recent = account;
        Ok(account)
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

    /// The index of a slot that was seen before.
    #[inline(always)]
    pub fn find_slot(&mut self, account: AccountIndex, key: &U256) -> Option<SlotIndex> {
        let is_it = |slot: &SlotEntry| slot.key == *key && slot.account == account;
        let recent = &mut self.recent_slots[key.0[0] as usize % RECENT_SLOTS];
        let index = if self.slots.get(*recent as usize).is_some_and(is_it) {
            *recent
        } else {
            let hash = self.hasher.slot(account, key);
            let found = *self.slot_table.find(hash, |&i| is_it(&self.slots[i as usize]))?;
            *recent = found;
            found
        };
        let incarnation = self.accounts[account as usize].incarnation;
        let slot = &mut self.slots[index as usize];
        if slot.incarnation != incarnation {
            slot.incarnation = incarnation;
            slot.value = U256::zero();
        }
        if slot.transaction != self.transaction {
            self.renew_slot(index);
        }
        Some(index)
    }

    /// The first time in a transaction that a slot of an earlier one is seen.
    #[inline(never)]
    fn renew_slot(&mut self, index: SlotIndex) {
        self.slots_read.push(index);
        let slot = &mut self.slots[index as usize];
        slot.transaction = self.transaction;
        slot.original = slot.value;
        slot.warm = false;
        slot.listed = false;
        slot.written = false;
    }

    /// The index of a slot; reads the base where it was not seen before.
    pub fn load_slot(
        &mut self,
        account: AccountIndex,
        key: &U256,
        base: &dyn StateView,
    ) -> Result<SlotIndex, StateError> {
        if let Some(slot) = self.find_slot(account, key) {
            return Ok(slot);
        }
        let entry = &self.accounts[account as usize];
        // What is created in this transaction has no storage in the base, and a witness need not prove that.
        let value = if entry.wiped || entry.created && entry.transaction == self.transaction || !entry.exists {
            U256::zero()
        } else {
            base.storage(&entry.address, key)?
        };
        let index = self.slots.len() as SlotIndex;
        self.slots.push(SlotEntry {
            account,
            incarnation: entry.incarnation,
            key: *key,
            value,
            original: value,
            transaction: self.transaction,
            warm: false,
            listed: false,
            written: false,
        });
        self.slots_read.push(index);
        let Self { slot_table, slots, hasher, .. } = self;
        slot_table.insert_unique(hasher.slot(account, key), index, |&i| {
            let slot = &slots[i as usize];
            hasher.slot(slot.account, &slot.key)
        });
        Ok(index)
    }

    #[inline(always)]
    pub fn slot_is_warm(&self, slot: SlotIndex) -> bool {
        self.slots[slot as usize].warm
    }

    #[inline(always)]
    pub fn warm_slot(&mut self, slot: SlotIndex) {
        let entry = &mut self.slots[slot as usize];
        if !entry.warm {
            entry.warm = true;
            self.undo.push(Undo::WarmSlot(slot));
        }
    }

    #[inline(always)]
    pub fn slot_value(&self, slot: SlotIndex) -> &U256 {
        &self.slots[slot as usize].value
    }

    /// The value before the transaction.
    #[inline(always)]
    pub fn slot_original(&self, slot: SlotIndex) -> &U256 {
        &self.slots[slot as usize].original
    }

    /// Whether the transaction ever gave the slot another value, undone or not.
    #[inline(always)]
    pub fn slot_is_written(&self, slot: SlotIndex) -> bool {
        self.slots[slot as usize].written
    }

    #[inline(always)]
    pub fn mark_written(&mut self, slot: SlotIndex) {
        self.slots[slot as usize].written = true;
    }

    #[inline(always)]
    pub fn set_slot(&mut self, slot: SlotIndex, value: U256) {
        let entry = &mut self.slots[slot as usize];
        let old = std::mem::replace(&mut entry.value, value);
        if old != value {
            if !entry.listed {
                entry.listed = true;
                let account = entry.account;
                self.changed_slots.push(slot);
                self.list(account);
            }
            self.undo.push(Undo::Slot(slot, old));
        }
    }

    /// TLOAD.
    pub fn transient(&self, account: AccountIndex, key: &U256) -> U256 {
        self.transient.get(&(account, *key)).copied().unwrap_or_default()
    }

    /// TSTORE.
    pub fn set_transient(&mut self, account: AccountIndex, key: U256, value: U256) {
        let old = self.transient.insert((account, key), value).unwrap_or_default();
        if old != value {
            self.undone_transient.push((key, old));
            self.undo.push(Undo::Transient(account));
        }
    }

    /// Ends the transaction: removes what was destroyed and what is touched and empty, and returns what changed.
    pub fn finish(&mut self) -> Vec<AccountDiff> {
        let (mut changed, mut slots) = (std::mem::take(&mut self.changed), std::mem::take(&mut self.changed_slots));
        self.forget_undo();
        let Self { slots: entries, accounts, .. } = self;
        let place = |slot: &SlotIndex| &entries[*slot as usize];
        slots.retain(|slot| place(slot).value != place(slot).original);
        for slot in &slots {
            accounts[place(slot).account as usize].stored = true;
        }
        let clears_empty = self.fork >= Fork::SpuriousDragon;
        let mut removed = false;
        changed.retain(|&account| {
            let entry = &mut accounts[account as usize];
            if entry.destroyed || clears_empty && entry.touched && entry.info.is_empty() {
                removed = true;
                entry.remove();
                return entry.before.is_some();
            }
            match &entry.before {
                Some(before) => entry.stored || !entry.exists || *before != entry.info,
                None => entry.stored || entry.exists,
            }
        });
        if removed {
            slots.retain(|slot| accounts[place(slot).account as usize].exists);
        }
        let order = |account: AccountIndex| in_order(&accounts[account as usize].address);
        sort_few(&mut changed, |&account| order(account));
        if slots.len() > 1 {
            slots.sort_unstable_by(|a, b| {
                let (a, b) = (place(a), place(b));
                if a.account == b.account { a.key.cmp(&b.key) } else { order(a.account).cmp(&order(b.account)) }
            });
        }
        let mut each_slot = slots.iter().map(place).peekable();
        let diff = changed.iter().map(|&account| {
            let entry = &accounts[account as usize];
            let mut storage = Vec::new();
            while let Some(slot) = each_slot.next_if(|slot| slot.account == account) {
                storage.push(SlotDiff { key: slot.key, before: slot.original, after: slot.value });
            }
            let code = match &entry.before {
                Some(before) if before.code_hash == entry.info.code_hash => None,
                _ if entry.info.code_hash == KECCAK_EMPTY => None,
                _ => entry.new_code.clone(),
            };
            AccountDiff {
                address: entry.address,
                before: entry.before,
                after: entry.exists.then_some(entry.info),
                code,
                // Only what is removed does not exist afterwards.
                storage_wiped: !entry.exists,
                storage,
            }
        });
        let diff = diff.collect();
        changed.clear();
        slots.clear();
        (self.changed, self.changed_slots) = (changed, slots);
        diff
    }
}
