//! The state transition of one transaction: validate, buy gas, run, refund, pay (Yellow Paper 6; execution-specs
//! `process_transaction`).

use crate::execution::{End, Ended, Executor};
use crate::journal::{AccountIndex, Checkpoint};
use crate::lane::{Lane, Programs, TransactionContext};
use crate::machine::Available;
use crate::op::call::CallRequest;
use crate::validation::{
    GAS_PER_BLOB, IntrinsicGas, check_sender, gas_price, intrinsic_gas, minus, plus, price, validate_form,
    validate_in_block,
};
use crate::watch::Hook;
use isolane_spec::{
    Budget, Bytes, ExecutionError, Fork, H160, Halt, InvalidTransaction, KECCAK_EMPTY, Outcome, Rule, StateError,
    Status, Transaction, U256, Validation,
};

/// Who makes system calls (EIP-4788).
pub(crate) const SYSTEM_ADDRESS: H160 = H160([
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xfe,
]);
/// Gas of a system call (EIP-4788).
const SYSTEM_CALL_GAS: u64 = 30_000_000;

/// Gas that the frames of a transaction used (EIP-8037); zero before Amsterdam.
#[derive(Default)]
struct ExecutionGas {
    regular: u64,
    state: u64,
}

/// The gas of an outcome.
#[derive(Default)]
pub(crate) struct GasUsed {
    paid: u64,
    refunded: u64,
    block: u64,
    state: u64,
}

impl GasUsed {
    /// Gas of which nothing is refunded and nothing is state gas.
    pub fn new(gas: u64) -> Self {
        Self { paid: gas, refunded: 0, block: gas, state: 0 }
    }
}

/// What the end of a transaction needs of its start.
pub(crate) struct Opened {
    intrinsic: IntrinsicGas,
    sender: AccountIndex,
    gas_price: U256,
    tip: U256,
    given: u64,
}

/// How a transaction starts.
pub(crate) enum Open {
    /// It is over: rejected, or denied.
    Done(Box<Outcome>),
    /// It needs no frame.
    Ended(Opened, Ended),
    /// Its first frame is to be run.
    Running(Opened),
}

impl Open {
    fn done(outcome: Outcome) -> Self {
        Self::Done(Box::new(outcome))
    }
}

impl Executor {
    /// Validates and executes a transaction; its effects stay in the journal.
    pub fn transact<H: Hook>(
        &mut self,
        programs: &mut Programs,
        transaction: &Transaction,
        available: Available,
        hook: &mut H,
    ) -> Result<Outcome, ExecutionError> {
        hook.transaction(transaction);
        // Handed on as it is: an outcome is large, and is built where the caller wants it.
        let result = self.try_transact(programs, transaction, available, hook);
        match &result {
            Ok(outcome) => {
                hook.catch_up(&self.lane);
                hook.outcome(outcome);
            }
            Err(_) => self.abandon(),
        }
        result
    }

    /// Undoes all that a transaction did until the state could not answer.
    pub fn abandon(&mut self) {
        self.lane.journal.revert(Checkpoint::default());
    }

    /// What a transaction that spends nothing more than it must on regular gas has for state gas; 0 before Amsterdam.
    pub fn most_state_gas(&self, transaction: &Transaction) -> u64 {
        let prices = &self.lane.state_gas;
        if prices.account == 0 {
            return 0;
        }
        transaction.gas_limit.saturating_sub(intrinsic_gas(transaction, self.lane.schedule, prices).regular)
    }

    #[inline(always)]
    fn try_transact<H: Hook>(
        &mut self,
        programs: &mut Programs,
        transaction: &Transaction,
        available: Available,
        hook: &mut H,
    ) -> Result<Outcome, ExecutionError> {
        let (opened, ended) = match self.open(programs, transaction, available, hook)? {
            Open::Done(outcome) => return Ok(*outcome),
            Open::Ended(opened, ended) => (opened, ended),
            Open::Running(opened) => (opened, self.run(programs, 0, hook)?),
        };
        self.close(transaction, &opened, &ended, hook)
    }

    /// The first part of a transaction: validates it, buys its gas and starts its first frame. Where that fails,
    /// [`Self::abandon`] undoes it.
    #[inline(always)]
    pub fn open<H: Hook>(
        &mut self,
        programs: &mut Programs,
        transaction: &Transaction,
        available: Available,
        hook: &mut H,
    ) -> Result<Open, StateError> {
        self.lane.journal.begin();
        let schedule = self.lane.schedule;
        let environment = &self.lane.environment;
        let validity = validate_form(transaction, environment, schedule, &self.lane.state_gas).and_then(|intrinsic| {
            validate_in_block(transaction, environment, schedule, &intrinsic, available).map(|()| intrinsic)
        });
        let intrinsic = match validity {
            Ok(intrinsic) => intrinsic,
            Err(reason) => return Ok(Open::done(Outcome::rejected(reason))),
        };
        let limits = self.lane.transaction_limits();
        if transaction.gas_limit > limits.gas {
            let reason = InvalidTransaction::GasLimitAboveCap { cap: limits.gas, got: transaction.gas_limit };
            return Ok(Open::done(Outcome::rejected(reason)));
        }
        let base_fee = environment.block.base_fee;
        let blob_base_fee = environment.block.blob_base_fee;
        self.lane.begin(limits);
        if !self.lane.environment.permissions.senders.allows(&transaction.sender) {
            // Whoever may not send must not be able to change anything, not even what they own.
            let halt = self.lane.deny(Rule::Sender, transaction.sender, 0);
            self.output.clear();
            return Ok(Open::done(self.outcome(&Ended::halt(halt), GasUsed::default())));
        }
        let sender = self.lane.load(&transaction.sender)?;
        if let Err(reason) = self.validate_sender(transaction, sender)? {
            return Ok(Open::done(Outcome::rejected(reason)));
        }

        // Buy the gas and the blobs. Nothing overflows: it costs no more than the maximum cost.
        let (tip, gas_price) = gas_price(transaction, &base_fee);
        let blob_gas = transaction.blob_versioned_hashes.len() as u64 * GAS_PER_BLOB;
        let wei = |per_gas: &U256, gas: u64| price(per_gas, gas).unwrap_or(U256::MAX);
        let mut prepaid = wei(&gas_price, transaction.gas_limit);
        if blob_gas != 0 {
            prepaid = prepaid.saturating_add(wei(&blob_base_fee, blob_gas));
        }
        let info = &self.lane.journal.account(sender).info;
        let (nonce, (rest, too_much)) = (info.nonce, minus(&info.balance, &prepaid));
        self.lane.journal.set_balance(sender, if too_much { U256::zero() } else { rest });
        self.lane.journal.set_nonce(sender, nonce + 1);

        let callee = self.prepare_lane(transaction, gas_price, sender)?;
        let mut gas = transaction.gas_limit - intrinsic.regular - intrinsic.state;
        let mut reservoir = 0;
        if self.lane.fork >= Fork::Amsterdam {
            // What the cap leaves no room for can only be state gas (EIP-8037).
            let most = u64::from(schedule.transaction_gas_cap) - intrinsic.regular;
            reservoir = gas.saturating_sub(most);
            gas -= reservoir;
        }
        self.lane.state_gas.begin(reservoir);
        let denied = self.denied_from_outside(transaction);
        if denied.is_none() {
            self.set_delegations(&transaction.authorization_list)?;
        }
        let given = gas + self.lane.state_gas.reservoir;

        let ended = match transaction.to {
            _ if let Some(rule) = denied => {
                self.output.clear();
                Some(Ended::halt(self.lane.deny(rule, transaction.sender, 0)))
            }
            None => self.open_create(sender, nonce, transaction.value, transaction.input.clone(), gas, hook)?,
            Some(to) => {
                let callee = match callee {
                    Some(callee) => callee,
                    None => self.lane.load(&to)?,
                };
                self.call_from_outside(programs, sender, (to, callee), transaction, gas, hook)?
            }
        };
        let opened = Opened { intrinsic, sender, gas_price, tip, given };
        Ok(match ended {
            Some(ended) => Open::Ended(opened, ended),
            None => Open::Running(opened),
        })
    }

    /// The last part of a transaction, after its first frame: settles, refunds and pays.
    #[inline(always)]
    pub fn close<H: Hook>(
        &mut self,
        transaction: &Transaction,
        opened: &Opened,
        ended: &Ended,
        hook: &mut H,
    ) -> Result<Outcome, ExecutionError> {
        let &Opened { ref intrinsic, sender, gas_price, tip, given } = opened;
        let schedule = self.lane.schedule;
        let coinbase = self.lane.environment.block.coinbase;
        let wei = |per_gas: &U256, gas: u64| price(per_gas, gas).unwrap_or(U256::MAX);

        // Refund (EIP-3529), floor (EIP-7623), pay.
        let execution = self.settle_state_gas(ended, given)?;
        let spent = transaction.gas_limit - ended.gas - self.lane.state_gas.reservoir;
        let counter = u64::try_from(self.lane.journal.refund).unwrap_or(0);
        let refund = counter.min(spent / u64::from(schedule.refund_quotient));
        let gas_used = (spent - refund).max(intrinsic.floor);
        let journal = &mut self.lane.journal;
        let unspent = wei(&gas_price, transaction.gas_limit - gas_used);
        journal.set_balance(sender, plus(&journal.account(sender).info.balance, &unspent).0);
        let fee = wei(&tip, gas_used);
        if self.lane.environment.keeps_changes() {
            let Lane { journal, environment, .. } = &mut self.lane;
            let (coinbase, seen) = journal.load_told(&coinbase, &*environment.state)?;
            journal.set_balance(coinbase, plus(&journal.account(coinbase).info.balance, &fee).0);
            self.lane.unseen_fee = (!seen).then_some(fee);
        }
        self.lane.log_final_burns();
        hook.catch_up(&self.lane);
        let mut counted = GasUsed { refunded: refund, ..GasUsed::new(gas_used) };
        if self.lane.fork >= Fork::Amsterdam {
            counted.block = (intrinsic.regular + execution.regular).max(intrinsic.floor);
            counted.state = intrinsic.state + execution.state;
        }
        Ok(self.outcome(ended, counted))
    }

    /// After the outermost frame: what it used of either kind, and what goes back to the reservoir for accounts that
    /// the transaction both created and destroyed (EIP-8037).
    #[inline(always)]
    fn settle_state_gas(&mut self, ended: &Ended, given: u64) -> Result<ExecutionGas, StateError> {
        let lane = &mut self.lane;
        if lane.state_gas.account == 0 {
            return Ok(ExecutionGas::default());
        }
        if ended.end == End::Halt(Halt::CreateCollision) {
            // The sender pays for all gas, of which the block counts none.
            lane.state_gas.reservoir = 0;
            return Ok(ExecutionGas::default());
        }
        let mut state = ended.state_gas_used;
        let regular = given - ended.gas - lane.state_gas.reservoir - state - lane.state_gas.lost;
        let destroyed = lane.journal.destroyed();
        if !destroyed.is_empty() {
            let mut back = lane.journal.written_slots(&destroyed) * lane.state_gas.slot;
            for account in destroyed {
                back += lane.state_gas.account + lane.code(account)?.len() as u64 * lane.state_gas.code_byte;
            }
            let back = back.min(state);
            state -= back;
            lane.state_gas.reservoir += back;
        }
        Ok(ExecutionGas { regular, state })
    }

    /// The rules that depend on the sender's account.
    #[inline(always)]
    fn validate_sender(
        &mut self,
        transaction: &Transaction,
        sender: AccountIndex,
    ) -> Result<Result<(), InvalidTransaction>, StateError> {
        let info = &self.lane.journal.account(sender).info;
        let validation = self.lane.environment.validation;
        if let Err(reason) = check_sender(transaction, info, validation) {
            return Ok(Err(reason));
        }
        if info.code_hash != KECCAK_EMPTY && validation == Validation::Full {
            // EIP-3607 holds for all blocks: none before it broke it.
            if self.lane.delegation(sender)?.is_none() {
                return Ok(Err(InvalidTransaction::SenderHasCode));
            }
        }
        Ok(Ok(()))
    }

    /// What the opcodes show of the transaction, and what is warm from its start (EIP-2929, EIP-2930, EIP-3651). Returns the
    /// callee, if it had to be read for that.
    #[inline(always)]
    fn prepare_lane(
        &mut self,
        transaction: &Transaction,
        gas_price: U256,
        sender: AccountIndex,
    ) -> Result<Option<AccountIndex>, StateError> {
        let lane = &mut self.lane;
        let context = &mut lane.transaction;
        context.origin = transaction.sender;
        context.gas_price = gas_price;
        context.blob_versioned_hashes.clone_from(&transaction.blob_versioned_hashes);
        context.warm_addresses.clear();
        context.warm_slots.clear();
        if lane.fork < Fork::Berlin {
            return Ok(None);
        }
        for item in &transaction.access_list {
            context.warm_addresses.insert(item.address);
            context.warm_slots.extend(item.storage_keys.iter().map(|key| (item.address, *key)));
        }
        lane.journal.warm(sender);
        let Some(to) = &transaction.to else { return Ok(None) };
        let to = lane.load(to)?;
        lane.journal.warm(to);
        Ok(Some(to))
    }

    /// The rule that denies what the transaction itself asks for, as far as that needs no state.
    #[inline(always)]
    fn denied_from_outside(&self, transaction: &Transaction) -> Option<Rule> {
        let permissions = &self.lane.environment.permissions;
        if !permissions.delegations && !transaction.authorization_list.is_empty() {
            return Some(Rule::Delegation);
        }
        let sends_value = !transaction.value.is_zero();
        match &transaction.to {
            Some(to) => self.lane.denied_call(to, false, sends_value),
            None if !permissions.create => Some(Rule::Create),
            None => (sends_value && self.lane.denies_value()).then_some(Rule::Value),
        }
    }

    #[inline(always)]
    fn call_from_outside<H: Hook>(
        &mut self,
        programs: &mut Programs,
        sender: AccountIndex,
        (to, target): (H160, AccountIndex),
        transaction: &Transaction,
        gas: u64,
        hook: &mut H,
    ) -> Result<Option<Ended>, StateError> {
        let mut code_account = target;
        let mut delegated = false;
        if let Some(address) = self.lane.delegation(target)? {
            if let Some(rule) = self.lane.denied_delegation(&address) {
                self.output.clear();
                return Ok(Some(Ended::halt(self.lane.deny(rule, transaction.sender, 0))));
            }
            // The target of the callee's delegation is warm (EIP-7702).
            code_account = self.lane.load(&address)?;
            self.lane.journal.warm(code_account);
            delegated = true;
        }
        let request = CallRequest {
            code_address: to,
            code_account,
            delegated,
            target,
            target_address: to,
            caller: transaction.sender,
            payer: sender,
            value: transaction.value,
            transfers: true,
            needs_balance: true,
            is_static: false,
            gas,
            input: (0, 0),
            output: (0, 0),
        };
        self.open_call(programs, request, &transaction.input, hook)
    }

    /// Calls a system contract (EIP-4788).
    pub fn system_call<H: Hook>(
        &mut self,
        programs: &mut Programs,
        to: H160,
        input: Bytes,
        hook: &mut H,
    ) -> Result<Outcome, ExecutionError> {
        let lane = &mut self.lane;
        lane.journal.begin();
        // The block's own: no transaction's budget.
        lane.begin(Budget::UNLIMITED);
        lane.state_gas.begin(0);
        lane.transaction = TransactionContext { origin: SYSTEM_ADDRESS, ..Default::default() };
        let target = lane.load(&to)?;
        let request = CallRequest {
            code_address: to,
            code_account: target,
            delegated: false,
            target,
            target_address: to,
            caller: SYSTEM_ADDRESS,
            payer: target,
            value: U256::zero(),
            // The caller is no account: nothing of it is read or written.
            transfers: false,
            needs_balance: false,
            is_static: false,
            gas: SYSTEM_CALL_GAS,
            input: (0, 0),
            output: (0, 0),
        };
        match self.call(programs, request, &input, hook) {
            Ok(ended) => {
                let outcome = self.outcome(&ended, GasUsed::new(SYSTEM_CALL_GAS - ended.gas));
                hook.outcome(&outcome);
                Ok(outcome)
            }
            Err(error) => {
                self.lane.journal.revert(Checkpoint::default());
                Err(error.into())
            }
        }
    }

    #[inline(always)]
    pub fn outcome(&mut self, ended: &Ended, gas: GasUsed) -> Outcome {
        let journal = &mut self.lane.journal;
        Outcome {
            status: match ended.end {
                End::Success => Status::Success,
                End::Revert => Status::Revert,
                End::Halt(halt) => Status::Halt(halt),
            },
            gas_used: gas.paid,
            gas_refunded: gas.refunded,
            block_gas_used: gas.block,
            state_gas_used: gas.state,
            output: if self.output.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(&self.output) },
            created: ended.created,
            logs: take_all(&mut journal.logs),
            messages: take_all(&mut journal.messages),
            diff: if self.lane.environment.keeps_changes() { journal.finish() } else { Vec::new() },
            steps: self.lane.steps,
            denial: self.lane.denial,
        }
    }
}

/// What is in a buffer, which is kept.
#[inline(always)]
#[expect(clippy::drain_collect, reason = "what is taken has no room to spare, and the buffer keeps its own")]
fn take_all<T>(buffer: &mut Vec<T>) -> Vec<T> {
    if buffer.is_empty() { Vec::new() } else { buffer.drain(..).collect() }
}
