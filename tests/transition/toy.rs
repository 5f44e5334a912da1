//! A lane for the few opcodes that random transactions are made of: PUSH1, PUSH20, SSTORE, STOP, REVERT, INVALID and
//! SELFDESTRUCT. It works on nothing but what a [`Start`] and the state say.

use crate::Host;
use isolane::spec::gas::{GasSchedule, SCHEDULES, sstore_case};
use isolane::spec::opcode::op;
use isolane::spec::{AccountInfo, Bytes, Environment, Fork, H160, Halt, StateError, StateView, Status, U256, word};
use isolane_gpu::services::Services;
use isolane_gpu::transition::{Ended, Final, FinalSlot, Seed, Start};

struct Slot {
    key: U256,
    original: U256,
    value: U256,
    warm: bool,
}

struct Account {
    address: H160,
    info: AccountInfo,
    exists: bool,
    touched: bool,
    created: bool,
    destroyed: bool,
    warm: bool,
    slots: Vec<Slot>,
}

struct Toy<'a> {
    start: &'a Start,
    environment: &'a Environment,
    state: &'a dyn StateView,
    schedule: &'static GasSchedule,
    fork: Fork,
    accounts: Vec<Account>,
    gas: u64,
    refund: i64,
    steps: u64,
}

/// Runs the lane of a start.
pub fn run(start: &Start, environment: &Environment, state: &dyn StateView) -> Result<Ended, StateError> {
    let fork = environment.rules.fork;
    let seed = |seed: &Seed| Account {
        address: seed.address,
        info: seed.now.info,
        exists: seed.now.exists,
        touched: seed.now.touched,
        created: seed.now.created,
        destroyed: false,
        warm: seed.warm,
        slots: Vec::new(),
    };
    let mut toy = Toy {
        start,
        environment,
        state,
        schedule: &SCHEDULES[fork as usize],
        fork,
        accounts: start.seeds.iter().map(seed).collect(),
        gas: start.gas,
        refund: start.refund,
        steps: 0,
    };
    let status = match toy.execute()? {
        Ok(status) => status,
        Err(halt) => Status::Halt(halt),
    };
    let last = |account: Account| Final {
        address: account.address,
        info: account.info,
        exists: account.exists,
        touched: account.touched,
        destroyed: account.destroyed,
        code: None,
        slots: account
            .slots
            .iter()
            .map(|slot| FinalSlot { key: slot.key, original: slot.original, value: slot.value })
            .collect(),
    };
    Ok(Ended {
        status,
        gas_left: toy.gas,
        refund: toy.refund,
        output: Bytes::new(),
        logs: Vec::new(),
        accounts: toy.accounts.into_iter().map(last).collect(),
        ripemd_touched: false,
        storage_asked: Vec::new(),
        steps: toy.steps,
    })
}

/// The outer error is the state's.
type Execution<T> = Result<Result<T, Halt>, StateError>;

impl Toy<'_> {
    fn charge(&mut self, gas: u32) -> Result<(), Halt> {
        self.gas = self.gas.checked_sub(u64::from(gas)).ok_or(Halt::OutOfGas)?;
        Ok(())
    }

    fn load(&mut self, address: &H160) -> Result<usize, StateError> {
        if let Some(place) = self.accounts.iter().position(|account| account.address == *address) {
            return Ok(place);
        }
        let found = self.state.account(address)?;
        self.accounts.push(Account {
            address: *address,
            info: found.unwrap_or_default(),
            exists: found.is_some(),
            touched: false,
            created: false,
            destroyed: false,
            warm: false,
            slots: Vec::new(),
        });
        Ok(self.accounts.len() - 1)
    }

    fn execute(&mut self) -> Execution<Status> {
        let target = self.load(&self.start.target)?;
        let code = self.start.code.clone();
        let mut stack = Vec::new();
        let mut pc = 0;
        loop {
            let byte = code.get(pc).copied().unwrap_or(op::STOP);
            self.steps += 1;
            pc += 1;
            match byte {
                op::PUSH1 | op::PUSH20 => {
                    if let Err(halt) = self.charge(3) {
                        return Ok(Err(halt));
                    }
                    let size = usize::from(byte - op::PUSH1) + 1;
                    stack.push(word::from_be_slice(&code[pc..pc + size]));
                    pc += size;
                }
                op::SSTORE => {
                    let (Some(key), Some(value)) = (stack.pop(), stack.pop()) else {
                        return Ok(Err(Halt::StackUnderflow));
                    };
                    if let Err(halt) = self.sstore(target, key, value)? {
                        return Ok(Err(halt));
                    }
                }
                op::STOP => return Ok(Ok(Status::Success)),
                op::REVERT if self.fork >= Fork::Byzantium => return Ok(Ok(Status::Revert)),
                op::INVALID => return Ok(Err(Halt::InvalidOpcode)),
                op::SELFDESTRUCT => {
                    let Some(beneficiary) = stack.pop() else { return Ok(Err(Halt::StackUnderflow)) };
                    let done = self.selfdestruct(target, &word::to_address(&beneficiary))?;
                    return Ok(done.map(|()| Status::Success));
                }
                _ => return Ok(Err(Halt::UndefinedOpcode)),
            }
        }
    }

    fn sstore(&mut self, target: usize, key: U256, value: U256) -> Execution<()> {
        let sentry = self.schedule.sstore_sentry;
        if sentry > 0 && self.gas <= u64::from(sentry) {
            return Ok(Err(Halt::OutOfGas));
        }
        let address = self.start.target;
        let listed =
            self.start.access_list.iter().any(|item| item.address == address && item.storage_keys.contains(&key));
        let account = &self.accounts[target];
        let place = account.slots.iter().position(|slot| slot.key == key);
        let warm = listed || place.is_some_and(|place| account.slots[place].warm);
        if self.fork >= Fork::Berlin
            && !warm
            && let Err(halt) = self.charge(self.schedule.cold_slot + self.schedule.sload)
        {
            return Ok(Err(halt));
        }
        let account = &mut self.accounts[target];
        let place = match place {
            Some(place) => place,
            None => {
                let fresh = account.created || !account.exists;
                let original = if fresh { U256::zero() } else { self.state.storage(&address, &key)? };
                account.slots.push(Slot { key, original, value: original, warm: false });
                account.slots.len() - 1
            }
        };
        let slot = &account.slots[place];
        let case = sstore_case(&slot.original, &slot.value, &value);
        if let Err(halt) = self.charge(self.schedule.sstore[case]) {
            return Ok(Err(halt));
        }
        self.refund += i64::from(self.schedule.sstore_refund[case]);
        let slot = &mut self.accounts[target].slots[place];
        slot.warm = true;
        slot.value = value;
        Ok(Ok(()))
    }

    /// EIP-2929, EIP-2930, EIP-3651.
    fn is_warm(&self, address: &H160) -> bool {
        self.accounts.iter().any(|account| account.address == *address && account.warm)
            || Host.is_precompile(*address, self.fork)
            || self.fork >= Fork::Shanghai && *address == self.environment.block.coinbase
            || self.start.access_list.iter().any(|item| item.address == *address)
    }

    fn selfdestruct(&mut self, target: usize, beneficiary: &H160) -> Execution<()> {
        let cold = self.fork >= Fork::Berlin && !self.is_warm(beneficiary);
        let base = self.schedule.self_destruct + if cold { self.schedule.cold_beneficiary } else { 0 };
        if let Err(halt) = self.charge(base) {
            return Ok(Err(halt));
        }
        let heir = self.load(beneficiary)?;
        let (exists, info) = (self.accounts[heir].exists, self.accounts[heir].info);
        let balance = self.accounts[target].info.balance;
        let is_new = if self.fork >= Fork::SpuriousDragon {
            !balance.is_zero() && (!exists || info.is_empty())
        } else {
            !exists
        };
        if is_new && let Err(halt) = self.charge(self.schedule.self_destruct_new_account) {
            return Ok(Err(halt));
        }
        let removed = self.fork < Fork::Cancun || self.accounts[target].created;
        if heir != target {
            let heir = &mut self.accounts[heir];
            heir.info.balance += balance;
            (heir.exists, heir.touched) = (true, true);
        }
        let account = &mut self.accounts[target];
        if heir != target || removed {
            account.info.balance = U256::zero();
            account.touched = true;
        }
        if removed {
            account.destroyed = true;
            self.refund += i64::from(self.schedule.self_destruct_refund);
        }
        Ok(Ok(()))
    }
}
