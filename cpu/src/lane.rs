//! [`Lane`]: what one transaction's execution shares between its frames.

use crate::exchange::Origin;
use crate::hash_cache::HashCache;
use crate::journal::{AccountIndex, Journal};
use crate::op::call::CallRequest;
use crate::op::create::CreateRequest;
use crate::op::reducer::Reducer;
use crate::program::{Program, Rows, TableKey, rows};
use crate::restriction::Used;
use crate::state_gas::StateGas;
use hashbrown::{HashMap, HashSet};
use isolane_spec::gas::{GasSchedule, SCHEDULES};
use isolane_spec::{
    Budget, Bytes, Denial, EXCHANGE_ADDRESS, Environment, Fork, H160, H256, KECCAK_EMPTY, StateError, U256,
};

/// What the opcodes show of the transaction.
#[derive(Debug, Default)]
pub(crate) struct TransactionContext {
    /// ORIGIN.
    pub origin: H160,
    /// GASPRICE.
    pub gas_price: U256,
    /// BLOBHASH.
    pub blob_versioned_hashes: Vec<H256>,
    /// Warm from the start, though nothing has read it (EIP-2930).
    pub warm_addresses: HashSet<H160>,
    /// Likewise.
    pub warm_slots: HashSet<(H160, U256)>,
}

/// The context of the running transaction.
pub(crate) struct Lane {
    pub environment: Environment,
    pub fork: Fork,
    pub schedule: &'static GasSchedule,
    pub rows: Box<Rows>,
    pub table: TableKey,
    pub transaction: TransactionContext,
    pub journal: Journal,
    pub hashes: HashCache,
    pub reducer: Reducer,
    pub state_gas: StateGas,
    /// EVM instructions executed.
    pub steps: u64,
    /// The call that the running frame makes.
    pub call: CallRequest,
    /// The creation that the running frame makes.
    pub creation: CreateRequest,
    /// Who is behind the running call, where it came from outside the environment.
    pub origin: Option<Origin>,
    /// What is left to the transactions of the environment's own budget, as the host says.
    pub allowance: Budget,
    /// What the running transaction may use.
    pub limits: Budget,
    pub used: Used,
    /// What the transaction paid to the beneficiary, if it did not look at its account otherwise.
    pub unseen_fee: Option<U256>,
    /// The first time that the running transaction lacked a permission.
    pub denial: Option<Denial>,
    /// Whether any permission is about calls.
    pub restricts_calls: bool,
    pub has_custom_precompiles: bool,
    /// The generation of decoded code that the journal's accounts refer to.
    generation: u32,
    /// What the code of some hash of this environment's state delegates to: calls of one contract by many ask for its code once.
    known_delegation: (H256, Option<H160>),
    /// Code that this environment's state has. Decoded code is kept from environment to environment, but one whose state lacks it
    /// fails for that whatever ran before it.
    known_codes: HashSet<H256>,
}

/// Where an account is.
pub(crate) struct Located {
    known: Option<AccountIndex>,
    /// Whether an access costs the cold price.
    pub cold: bool,
}

/// Delegation designators start with this (EIP-7702).
const DELEGATION_PREFIX: [u8; 3] = [0xef, 0x01, 0x00];

/// The account that a delegation points to.
fn delegation(code: &[u8]) -> Option<H160> {
    (code.len() == 23 && code.starts_with(&DELEGATION_PREFIX)).then(|| H160::from_slice(&code[3..]))
}

/// The delegation designator of an account.
pub(crate) fn designator(target: &H160) -> Bytes {
    [&DELEGATION_PREFIX[..], &target.0].concat().into()
}

impl Lane {
    pub fn new(environment: Environment) -> Self {
        let fork = environment.rules.fork;
        Self {
            fork,
            schedule: &SCHEDULES[fork as usize],
            rows: Box::new(rows(&environment)),
            table: TableKey::of(&environment),
            transaction: TransactionContext::default(),
            journal: Journal::new(fork),
            hashes: HashCache::default(),
            reducer: Reducer::default(),
            state_gas: StateGas::new(&SCHEDULES[fork as usize], environment.block.gas_limit),
            steps: 0,
            call: CallRequest::default(),
            creation: CreateRequest::default(),
            origin: None,
            allowance: Budget::UNLIMITED,
            limits: Budget::UNLIMITED,
            used: Used::default(),
            unseen_fee: None,
            denial: None,
            restricts_calls: environment.permissions.restricts_calls(),
            has_custom_precompiles: environment.rules.has_custom_precompiles(),
            generation: 0,
            known_delegation: (KECCAK_EMPTY, None),
            known_codes: HashSet::new(),
            environment,
        }
    }

    /// Back to the base state of an environment.
    pub fn reset(&mut self, environment: Environment) {
        let fork = environment.rules.fork;
        let table = TableKey::of(&environment);
        if table != self.table {
            self.fork = fork;
            self.schedule = &SCHEDULES[fork as usize];
            self.table = table;
            *self.rows = rows(&environment);
        }
        self.allowance = Budget::UNLIMITED;
        self.known_delegation = (KECCAK_EMPTY, None);
        self.known_codes.clear();
        self.restricts_calls = environment.permissions.restricts_calls();
        self.has_custom_precompiles = environment.rules.has_custom_precompiles();
        self.journal.reset(fork);
        self.state_gas = StateGas::new(self.schedule, environment.block.gas_limit);
        self.environment = environment;
    }

    /// Back to the base state of the same environment, which has not changed.
    pub fn rewind(&mut self) {
        self.journal.rewind();
    }

    /// Back to the base state of the same environment, of which nothing is known any more.
    pub fn forget(&mut self) {
        self.journal.reset(self.fork);
    }

    /// The index of an account, read from the base if need be.
    #[inline]
    pub fn load(&mut self, address: &H160) -> Result<AccountIndex, StateError> {
        self.journal.load(address, &*self.environment.state)
    }

    /// Where an account is, if it was seen before, and whether an access to it is cold (EIP-2929).
    #[inline]
    pub fn locate(&self, address: &H160) -> Located {
        let known = self.journal.find(address);
        let cold = self.fork >= Fork::Berlin
            && !known.is_some_and(|account| self.journal.is_warm(account))
            && !self.is_warm_from_the_start(address);
        Located { known, cold }
    }

    /// Precompiles (EIP-2929), the coinbase (EIP-3651), the access list (EIP-2930) and, like a precompile, the exchange.
    fn is_warm_from_the_start(&self, address: &H160) -> bool {
        self.precompile_at(*address).is_some()
            || self.environment.messaging.is_some() && *address == EXCHANGE_ADDRESS
            || self.fork >= Fork::Shanghai && *address == self.environment.block.coinbase
            || self.transaction.warm_addresses.contains(address)
    }

    /// The index of an account that was located.
    #[inline]
    pub fn load_located(&mut self, address: &H160, located: &Located) -> Result<AccountIndex, StateError> {
        match located.known {
            Some(account) => {
                self.journal.enter(account);
                Ok(account)
            }
            None => self.load(address),
        }
    }

    /// Whether an access to a slot that is not marked warm is cold: it may be on the access list.
    #[inline]
    pub fn slot_is_unlisted(&self, account: AccountIndex, key: &U256) -> bool {
        let listed = &self.transaction.warm_slots;
        listed.is_empty() || !listed.contains(&(self.journal.account(account).address, *key))
    }

    /// Charges for an access to an account and makes it warm. Nothing is read where the gas does not suffice, so that
    /// a witness need not hold what a node never read.
    #[inline]
    pub fn access(&mut self, address: &H160, gas: &mut u64) -> Result<AccountIndex, crate::op::Trap> {
        let located = self.locate(address);
        if located.cold {
            crate::op::charge(gas, u64::from(self.schedule.cold_account))?;
        }
        let account = self.load_located(address, &located)?;
        self.journal.warm(account);
        Ok(account)
    }

    /// The account that this account delegates to (EIP-7702).
    #[inline]
    pub fn delegation(&mut self, account: AccountIndex) -> Result<Option<H160>, StateError> {
        if self.fork < Fork::Prague {
            return Ok(None);
        }
        self.journal.read_code(account);
        let entry = self.journal.account(account);
        if let Some(known) = entry.delegation {
            return Ok(known);
        }
        let code_hash = entry.info.code_hash;
        let found = if entry.has_new_code() {
            delegation(&self.code(account)?)
        } else {
            if code_hash != self.known_delegation.0 {
                self.known_delegation = (code_hash, delegation(&self.code(account)?));
            }
            self.known_delegation.1
        };
        self.journal.set_delegation(account, found);
        Ok(found)
    }

    /// Makes sure that the account's code is there, without looking at it.
    fn require_code(&mut self, account: AccountIndex) -> Result<(), StateError> {
        let entry = self.journal.account(account);
        let code_hash = entry.info.code_hash;
        if !entry.has_new_code() && !self.known_codes.contains(&code_hash) {
            self.environment.state.code(&code_hash)?;
            self.known_codes.insert(code_hash);
        }
        Ok(())
    }

    /// The account's code.
    pub fn code(&mut self, account: AccountIndex) -> Result<Bytes, StateError> {
        self.journal.read_code(account);
        self.journal.code(account, &*self.environment.state)
    }
}

/// Decoded code by hash. Kept from lane to lane and from environment to environment.
#[derive(Default)]
pub(crate) struct Programs {
    list: Vec<Program>,
    by_hash: HashMap<(H256, u32), u32>,
    /// The opcode tables that code was decoded by.
    tables: HashMap<TableKey, u32>,
    size: usize,
    /// How often all of it was dropped: lanes that remember programs of before forget them.
    generation: u32,
    /// How often code was there already.
    met_again: usize,
}

/// Bytes of decoded code that a machine keeps.
const MAX_SIZE: usize = 48 << 20;
/// Bytes that it keeps of many codes that it mostly does not meet again: what is decoded next should find its memory in the processor's
/// caches.
const MAX_UNUSED_SIZE: usize = 1 << 20;
/// So many are many: more than a block calls.
const MANY: usize = 256;

impl Programs {
    /// The decoded code of an account; `None` if it has no code.
    pub fn of_account(&mut self, lane: &mut Lane, account: AccountIndex) -> Result<Option<u32>, StateError> {
        lane.journal.read_code(account);
        if lane.generation != self.generation {
            lane.generation = self.generation;
            lane.journal.forget_programs();
        }
        let entry = lane.journal.account(account);
        let code_hash = entry.info.code_hash;
        if code_hash == KECCAK_EMPTY {
            return Ok(None);
        }
        if entry.program != u32::MAX {
            return Ok(Some(entry.program));
        }
        let tables = self.tables.len() as u32;
        let table = *self.tables.entry(lane.table).or_insert(tables);
        let program = match self.by_hash.get(&(code_hash, table)) {
            Some(&program) => {
                lane.require_code(account)?;
                self.met_again += 1;
                program
            }
            None => {
                let program = Program::new(lane.code(account)?, &lane.rows);
                self.size += program.size();
                self.list.push(program);
                let program = self.list.len() as u32 - 1;
                self.by_hash.insert((code_hash, table), program);
                program
            }
        };
        lane.journal.set_program(account, program);
        Ok(Some(program))
    }

    pub fn get(&mut self, program: u32) -> &mut Program {
        &mut self.list[program as usize]
    }

    /// Bounds the memory. Only while no frame runs.
    pub fn trim(&mut self) {
        let unused = self.list.len() > MANY && self.met_again < self.list.len();
        let limit = if unused { MAX_UNUSED_SIZE } else { MAX_SIZE };
        if self.size > limit {
            *self = Self { generation: self.generation + 1, ..Self::default() };
        }
    }
}
