//! A small world, and sources that count, fail, panic and lie.

use isolane::convert::keccak;
use isolane::executor::{Account, Call, StateSource};
use isolane::spec::opcode::op;
use isolane::spec::{
    AccountInfo, BlockContext, Bytes, Fork, H160, H256, MemoryState, Rules, StateError, StateView, U256,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

pub const TOKEN: H160 = H160([0x70; 20]);
pub const PROXY: H160 = H160([0x71; 20]);
pub const COUNTER: H160 = H160([0x72; 20]);
pub const REVERTER: H160 = H160([0x73; 20]);

pub fn holder(index: u64) -> H160 {
    H160::from_low_u64_be(0x10_0000 + index)
}

/// The slot of a holder's balance: a mapping at position 0.
pub fn balance_slot(holder: H160) -> U256 {
    let mut preimage = [0; 64];
    preimage[12..32].copy_from_slice(&holder.0);
    U256::from_big_endian(&keccak(preimage).0)
}

pub fn balance_of(holder: H160) -> Bytes {
    let mut input = vec![0x70, 0xa0, 0x82, 0x31];
    input.extend([0; 12]);
    input.extend(holder.0);
    input.into()
}

/// Returns the slot of the mapping at position 0 for the address in the call data: `balanceOf(address)` and nothing else.
pub fn token_code() -> Vec<u8> {
    vec![
        op::PUSH1,
        4,
        op::CALLDATALOAD,
        op::PUSH1,
        0,
        op::MSTORE, // the holder
        op::PUSH1,
        0,
        op::PUSH1,
        32,
        op::MSTORE, // the position
        op::PUSH1,
        64,
        op::PUSH1,
        0,
        op::KECCAK256,
        op::SLOAD, //
        op::PUSH1,
        0,
        op::MSTORE,
        op::PUSH1,
        32,
        op::PUSH1,
        0,
        op::RETURN,
    ]
}

/// Delegates to the account in slot 0, and returns what that returns.
fn proxy_code() -> Vec<u8> {
    vec![
        op::CALLDATASIZE,
        op::PUSH1,
        0,
        op::PUSH1,
        0,
        op::CALLDATACOPY, //
        op::PUSH1,
        0,
        op::PUSH1,
        0,
        op::CALLDATASIZE,
        op::PUSH1,
        0,
        op::PUSH1,
        0,
        op::SLOAD,
        op::GAS,
        op::DELEGATECALL,
        op::POP,
        op::RETURNDATASIZE,
        op::PUSH1,
        0,
        op::PUSH1,
        0,
        op::RETURNDATACOPY, //
        op::RETURNDATASIZE,
        op::PUSH1,
        0,
        op::RETURN,
    ]
}

/// Adds one to slot 0, logs and returns what it then is.
fn counter_code() -> Vec<u8> {
    vec![
        op::PUSH1,
        0,
        op::SLOAD,
        op::PUSH1,
        1,
        op::ADD,
        op::DUP1,
        op::PUSH1,
        0,
        op::SSTORE, //
        op::PUSH1,
        0,
        op::MSTORE,
        op::PUSH1,
        32,
        op::PUSH1,
        0,
        op::LOG0,
        op::PUSH1,
        32,
        op::PUSH1,
        0,
        op::RETURN,
    ]
}

/// Reverts with what it was called with.
fn reverter_code() -> Vec<u8> {
    vec![op::CALLDATASIZE, op::PUSH1, 0, op::PUSH1, 0, op::CALLDATACOPY, op::CALLDATASIZE, op::PUSH1, 0, op::REVERT]
}

pub fn put(state: &mut MemoryState, address: H160, code: Vec<u8>, storage: impl IntoIterator<Item = (U256, U256)>) {
    let info = AccountInfo { nonce: 1, code_hash: keccak(&code), ..AccountInfo::default() };
    state.insert(address, info, code.into(), storage);
}

/// A token, a proxy of it, a counter and a reverter; holders have ten times their number, and that in ether as well.
pub fn world(holders: u64) -> MemoryState {
    let mut state = MemoryState::default();
    let balances: Vec<_> = (1..holders).map(|index| (balance_slot(holder(index)), U256::from(10 * index))).collect();
    put(&mut state, TOKEN, token_code(), balances.iter().copied());
    let target = (U256::zero(), U256::from_big_endian(&TOKEN.0));
    put(&mut state, PROXY, proxy_code(), balances.into_iter().chain([target]));
    put(&mut state, COUNTER, counter_code(), []);
    put(&mut state, REVERTER, reverter_code(), []);
    for index in 1..holders {
        let rich = AccountInfo { balance: U256::from(10 * index) * U256::exp10(18), ..AccountInfo::default() };
        state.insert(holder(index), rich, Bytes::new(), []);
    }
    state.block_hashes = (0..256).map(|number| (number, H256::from_low_u64_be(number))).collect();
    state
}

pub fn block() -> BlockContext {
    BlockContext {
        number: 256,
        timestamp: 1_800_000_000,
        gas_limit: 30_000_000,
        base_fee: U256::from(7),
        coinbase: H160([0xc0; 20]),
        ..BlockContext::default()
    }
}

pub fn rules() -> Rules {
    Rules::new(Fork::Prague, 1)
}

pub fn balance_calls(to: H160, holders: u64) -> Vec<Call> {
    (0..holders).map(|index| Call::new(to, balance_of(holder(index)))).collect()
}

/// A source over a state, which is only asked key by key, and counts how often.
pub struct Counting {
    pub state: Arc<dyn StateView>,
    /// Requests for accounts, slots, codes, hashes, storages.
    pub requests: [AtomicUsize; 5],
    /// Keys in them.
    pub keys: AtomicUsize,
    /// Fails for slots of this account.
    pub fails: Mutex<Option<H160>>,
    /// Panics for slots of this account.
    pub panics: Option<H160>,
    /// Answers with too few slots.
    pub short: bool,
    /// Answers with another code.
    pub lies: bool,
    /// Is out of reach.
    pub down: bool,
}

impl Counting {
    pub fn new(state: MemoryState) -> Self {
        Self::over(Arc::new(state))
    }

    pub fn over(state: Arc<dyn StateView>) -> Self {
        Self {
            state,
            requests: Default::default(),
            keys: AtomicUsize::new(0),
            fails: Mutex::new(None),
            panics: None,
            short: false,
            lies: false,
            down: false,
        }
    }

    pub fn requests(&self) -> [usize; 5] {
        std::array::from_fn(|kind| self.requests[kind].load(Ordering::Relaxed))
    }

    pub fn total(&self) -> usize {
        self.requests().iter().sum()
    }

    fn count(&self, kind: usize, keys: usize) -> Result<(), StateError> {
        assert!(keys > 0, "nothing was asked");
        self.requests[kind].fetch_add(1, Ordering::Relaxed);
        self.keys.fetch_add(keys, Ordering::Relaxed);
        if self.down { Err(StateError::Source("out of reach".to_owned())) } else { Ok(()) }
    }
}

impl StateSource for Counting {
    type Error = StateError;

    fn accounts(&self, addresses: &[H160]) -> Result<Vec<Option<Account>>, StateError> {
        self.count(0, addresses.len())?;
        addresses.iter().map(|address| self.state.account(address)).collect()
    }

    fn slots(&self, keys: &[(H160, H256)]) -> Result<Vec<U256>, StateError> {
        self.count(1, keys.len())?;
        let fails = *self.fails.lock().expect("a lock");
        if let Some((address, _)) = keys.iter().find(|(address, _)| Some(*address) == fails) {
            return Err(StateError::AccountMissing(*address));
        }
        assert!(!keys.iter().any(|(address, _)| Some(*address) == self.panics), "a source with a defect");
        let keys = if self.short { &keys[1..] } else { keys };
        keys.iter().map(|(address, key)| self.state.storage(address, &U256::from_big_endian(&key.0))).collect()
    }

    fn codes(&self, hashes: &[H256]) -> Result<Vec<Bytes>, StateError> {
        self.count(2, hashes.len())?;
        if self.lies {
            return Ok(vec![Bytes::from_static(&[op::STOP]); hashes.len()]);
        }
        hashes.iter().map(|hash| self.state.code(hash)).collect()
    }

    fn block_hashes(&self, numbers: &[u64]) -> Result<Vec<H256>, StateError> {
        self.count(3, numbers.len())?;
        numbers.iter().map(|number| self.state.block_hash(*number)).collect()
    }

    fn has_storage(&self, addresses: &[H160]) -> Result<Vec<bool>, StateError> {
        self.count(4, addresses.len())?;
        addresses.iter().map(|address| self.state.has_storage(address)).collect()
    }

    fn concerns_keys(&self, _: &StateError) -> bool {
        !self.down
    }
}
