//! The end of a transaction: refund, fees, removals, and what changed.

use super::{Ended, Final, FinalSlot, Seed, Standing, Start};
use hashbrown::HashMap;
use isolane_spec::gas::SCHEDULES;
use isolane_spec::{
    AccountDiff, AccountInfo, Bytes, Fork, H160, KECCAK_EMPTY, Outcome, SlotDiff, StateError, StateView, Status, U256,
};

/// The account whose touch survives a frame that is undone (EIP-161's one exception): RIPEMD-160.
const RIPEMD: H160 = H160([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);

/// What gas costs, in wei. Validation leaves nothing that overflows.
pub(super) fn wei(per_gas: U256, gas: u64) -> U256 {
    per_gas.saturating_mul(gas.into())
}

/// An account at the end of a transaction.
struct Settled {
    address: H160,
    before: Option<AccountInfo>,
    now: Standing,
    destroyed: bool,
    code: Option<Bytes>,
    slots: Vec<FinalSlot>,
}

/// The accounts at the end of a transaction, over the state before it.
struct Ledger<'a> {
    state: &'a dyn StateView,
    accounts: Vec<Settled>,
    places: HashMap<H160, usize>,
}

impl Ledger<'_> {
    fn add(&mut self, account: Settled) -> usize {
        let place = self.accounts.len();
        self.places.insert(account.address, place);
        self.accounts.push(account);
        place
    }

    fn add_seed(&mut self, seed: &Seed, success: bool) {
        let mut now = if success { seed.now } else { seed.undone };
        now.touched |= seed.address == RIPEMD && seed.now.touched;
        let Seed { address, before, .. } = *seed;
        self.add(Settled { address, before, now, destroyed: false, code: seed.code.clone(), slots: Vec::new() });
    }

    /// The account, read from the state where nobody loaded it yet.
    fn load(&mut self, address: &H160) -> Result<&mut Settled, StateError> {
        let place = match self.places.get(address) {
            Some(place) => *place,
            None => {
                let before = self.state.account(address)?;
                let now = Standing { info: before.unwrap_or_default(), exists: before.is_some(), ..Default::default() };
                self.add(Settled { address: *address, before, now, destroyed: false, code: None, slots: Vec::new() })
            }
        };
        Ok(&mut self.accounts[place])
    }

    /// Takes over what a lane that succeeded left of an account.
    fn take(&mut self, account: Final) -> Result<(), StateError> {
        let settled = self.load(&account.address)?;
        let Final { info, exists, touched, destroyed, .. } = account;
        settled.now = Standing { info, exists, touched, created: settled.now.created };
        settled.destroyed = destroyed;
        settled.slots = account.slots;
        if account.code.is_some() {
            settled.code = account.code;
        }
        Ok(())
    }

    /// Adds to a balance, were it nothing: the account is touched.
    fn credit(&mut self, address: &H160, amount: U256) -> Result<(), StateError> {
        let now = &mut self.load(address)?.now;
        now.exists = true;
        now.touched = true;
        now.info.balance = now.info.balance.overflowing_add(amount).0;
        Ok(())
    }

    /// What changed, by address.
    fn diff(mut self, fork: Fork) -> Vec<AccountDiff> {
        self.accounts.sort_unstable_by_key(|account| account.address);
        self.accounts.into_iter().filter_map(|account| account.diff(fork)).collect()
    }
}

impl Settled {
    fn diff(self, fork: Fork) -> Option<AccountDiff> {
        let Self { address, before, now, destroyed, code, mut slots } = self;
        let cleared = fork >= Fork::SpuriousDragon && now.touched && now.info.is_empty();
        if destroyed || cleared {
            // What this transaction brought into being leaves no trace.
            let before = Some(before?);
            return Some(AccountDiff {
                address,
                before,
                after: None,
                code: None,
                storage_wiped: true,
                storage: vec![],
            });
        }
        slots.retain(|slot| slot.value != slot.original);
        slots.sort_unstable_by_key(|slot| slot.key);
        let change = |slot: FinalSlot| SlotDiff { key: slot.key, before: slot.original, after: slot.value };
        let storage: Vec<SlotDiff> = slots.into_iter().map(change).collect();
        let after = now.exists.then_some(now.info);
        if after == before && storage.is_empty() {
            return None;
        }
        let code_hash = now.info.code_hash;
        let same_code = before.is_some_and(|before| before.code_hash == code_hash);
        let code = if same_code || code_hash == KECCAK_EMPTY { None } else { code };
        Some(AccountDiff { address, before, after, code, storage_wiped: false, storage })
    }
}

/// The outcome of a transaction whose lane has ended: refund (EIP-3529), floor (EIP-7623), what the sender gets back and
/// the coinbase gets, removals (EIP-161).
///
/// `state` is the state before the transaction, as it is *now*: where transactions before it were committed since
/// [`super::prepare`], and [`super::conflicts`] found nothing that this one read, the outcome is the one that it has
/// after them. The coinbase, whose balance each of them changed, only counts as read where a frame loaded it.
///
/// # Errors
/// When the state cannot answer.
pub fn finish(start: &Start, ended: Ended, state: &dyn StateView) -> Result<Outcome, StateError> {
    let terms = &start.terms;
    let success = ended.status == Status::Success;
    let mut ledger = Ledger { state, accounts: Vec::new(), places: HashMap::new() };
    for seed in &start.seeds {
        ledger.add_seed(seed, success);
    }
    if success {
        for account in ended.accounts {
            ledger.take(account)?;
        }
    }
    if ended.ripemd_touched {
        ledger.load(&RIPEMD)?.now.touched = true;
    }

    let gas_left = if let Status::Halt(_) = ended.status { 0 } else { ended.gas_left };
    let spent = terms.gas_limit.saturating_sub(gas_left);
    let counter = u64::try_from(if success { ended.refund } else { start.refund }).unwrap_or(0);
    let gas_refunded = counter.min(spent / u64::from(SCHEDULES[terms.fork as usize].refund_quotient));
    let gas_used = (spent - gas_refunded).max(start.intrinsic.floor);
    ledger.credit(&start.sender, wei(terms.gas_price, terms.gas_limit.saturating_sub(gas_used)))?;
    ledger.credit(&terms.coinbase, wei(terms.tip, gas_used))?;

    let created = success && start.kind == super::Kind::Create;
    Ok(Outcome {
        status: ended.status,
        gas_used,
        gas_refunded,
        block_gas_used: gas_used,
        state_gas_used: 0,
        output: ended.output,
        created: created.then_some(start.target),
        logs: if success { ended.logs } else { Vec::new() },
        diff: ledger.diff(terms.fork),
        messages: Vec::new(),
        steps: ended.steps,
        denial: None,
    })
}
