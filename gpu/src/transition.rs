//! The state transition of one transaction, as far as it is no EVM code: [`prepare`] validates it, buys its gas and says
//! what a lane starts from; [`finish`] turns what the lane left into the [`Outcome`] (Yellow Paper 6; execution-specs
//! `process_transaction`). Written without the reference interpreter's, so that each can judge the other.

mod accounts;
mod authorization;
mod finish;
mod overlay;
mod reads;
mod validation;

pub use authorization::recover_authority;
pub use finish::finish;
pub use overlay::Overlay;
pub use reads::{Reads, conflicts};
pub use validation::{GAS_PER_BLOB, IntrinsicGas, validate};

use crate::edition;
use crate::services::Services;
use accounts::Accounts;
use isolane_spec::gas::SCHEDULES;
use isolane_spec::{
    AccessListItem, AccountInfo, Bytes, EXCHANGE_ADDRESS, Environment, Fork, H160, H256, Halt, KECCAK_EMPTY, Log,
    Outcome, StateError, StateView, Status, Transaction, U256,
};
use sha3::{Digest, Keccak256};

/// Gas that is left in the block; a transaction that asks for more is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Available {
    /// Execution gas.
    pub gas: u64,
    /// Blob gas (EIP-4844).
    pub blob_gas: u64,
}

/// What a transaction needs after its preparation.
#[derive(Clone, Debug)]
pub enum Prepared {
    /// Nothing: it was rejected, or no code runs.
    Done(Box<Outcome>),
    /// A lane.
    Run(Box<Start>),
    /// Another backend.
    Unsupported(Unsupported),
}

/// Why a transaction is for another backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// Amsterdam and what follows it: gas of two kinds, logs of transfers.
    Fork(Fork),
    /// It asks for what its environment forbids, or what lanes do not decide.
    Restricted,
}

/// What the outermost frame does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It runs the code of an account.
    Call,
    /// It runs initcode.
    Create,
}

/// An account as it stands in the middle of a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Nonce, balance, code hash; the default where it does not exist.
    pub info: AccountInfo,
    /// Whether it is in the state trie. Before Spurious Dragon an empty account can be.
    pub exists: bool,
    /// Whether it is removed at the end if it is empty then (EIP-161).
    pub touched: bool,
    /// Whether this transaction created it as a contract (EIP-6780).
    pub created: bool,
}

/// An account that the transaction has loaded or changed before any code runs. The lane's journal starts with these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The account.
    pub address: H160,
    /// Before the transaction; `None`: it did not exist.
    pub before: Option<AccountInfo>,
    /// As the outermost frame finds it: its value has arrived, its account is created.
    pub now: Standing,
    /// What it goes back to where the outermost frame fails.
    pub undone: Standing,
    /// The code that an authorization gave it (EIP-7702).
    pub code: Option<Bytes>,
    /// Whether an access costs the warm price (EIP-2929).
    pub warm: bool,
}

/// What a lane starts from.
#[derive(Clone, Debug)]
pub struct Start {
    /// What the outermost frame does.
    pub kind: Kind,
    /// Gas of the outermost frame.
    pub gas: u64,
    /// ORIGIN, and CALLER of the outermost frame.
    pub sender: H160,
    /// GASPRICE, in wei.
    pub gas_price: U256,
    /// CALLVALUE of the outermost frame, in wei. The seeds have moved it.
    pub value: U256,
    /// ADDRESS of the outermost frame: the callee, or the account that is created.
    pub target: H160,
    /// Whose code runs: the target, or what it delegates to (EIP-7702).
    pub code_account: H160,
    /// The code that runs: never empty in a call, any initcode in a creation.
    pub code: Bytes,
    /// Its hash; `None` for initcode.
    pub code_hash: Option<H256>,
    /// Call data; empty in a creation.
    pub input: Bytes,
    /// The refund counter that the lane starts with.
    pub refund: i64,
    /// The accounts that the lane's journal starts with. The first is the sender.
    pub seeds: Vec<Seed>,
    /// What is warm from the start besides warm seeds, precompiles and, from Shanghai on, the coinbase; empty before
    /// Berlin.
    pub access_list: Vec<AccessListItem>,
    /// BLOBHASH.
    pub blob_versioned_hashes: Vec<H256>,
    /// What was paid before the outermost frame, and what is paid at least.
    pub intrinsic: IntrinsicGas,
    terms: Terms,
}

/// What the end of a transaction depends on besides its lane.
#[derive(Clone, Copy, Debug)]
struct Terms {
    fork: Fork,
    gas_limit: u64,
    gas_price: U256,
    /// What the coinbase gets of the gas price.
    tip: U256,
    coinbase: H160,
}

/// How a lane ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Success, revert or halt of the outermost frame.
    pub status: Status,
    /// Gas that is left; what a halt leaves is not asked for.
    pub gas_left: u64,
    /// The refund counter, which started at [`Start::refund`]; not asked for after a failure.
    pub refund: i64,
    /// Return or revert data; the deployed code of a creation.
    pub output: Bytes,
    /// In order; not asked for after a failure.
    pub logs: Vec<Log>,
    /// All accounts that the lane loaded, changed or not. After a failure only what they are, not what they hold,
    /// matters.
    pub accounts: Vec<Final>,
    /// Whether the lane touched the RIPEMD-160 precompile, in a frame that failed or not (EIP-161's one exception, mainnet
    /// block 2,675,119).
    pub ripemd_touched: bool,
    /// Accounts that the lane asked for storage to find collisions (EIP-7610).
    pub storage_asked: Vec<H160>,
    /// EVM instructions executed, all frames counted.
    pub steps: u64,
}

/// An account as a lane's journal holds it at its end, before fees and removals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Final {
    /// The account.
    pub address: H160,
    /// Nonce, balance, code hash.
    pub info: AccountInfo,
    /// Whether it is in the state trie.
    pub exists: bool,
    /// Whether it is removed if it is empty (EIP-161).
    pub touched: bool,
    /// Whether SELFDESTRUCT removes it.
    pub destroyed: bool,
    /// Code that the lane gave it.
    pub code: Option<Bytes>,
    /// All slots that the lane loaded, in any order.
    pub slots: Vec<FinalSlot>,
}

/// A slot as a lane's journal holds it at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalSlot {
    /// The slot.
    pub key: U256,
    /// Before the transaction.
    pub original: U256,
    /// Now.
    pub value: U256,
}

/// Why a transaction is for another backend, as far as it can be told before it is prepared.
fn unsupported(environment: &Environment, transaction: &Transaction, services: &dyn Services) -> Option<Unsupported> {
    let fork = environment.rules.fork;
    if fork >= Fork::Amsterdam {
        return Some(Unsupported::Fork(fork));
    }
    if !environment.is_restricted() {
        return None;
    }
    let is_precompile = transaction.to.is_some_and(|to| services.is_precompile(to, fork));
    edition::asks_too_much(environment, transaction, is_precompile).then_some(Unsupported::Restricted)
}

/// Validates a transaction and does all that comes before its code: buys gas, sets delegations, moves the value. A
/// transaction that runs no code is finished at once: a rejected one, a call to an account without code or to a
/// precompile, a creation that collides.
///
/// # Errors
/// When the state cannot answer.
pub fn prepare(
    environment: &Environment,
    state: &dyn StateView,
    transaction: &Transaction,
    available: Available,
    services: &dyn Services,
) -> Result<Prepared, StateError> {
    if let Some(reason) = unsupported(environment, transaction, services) {
        return Ok(Prepared::Unsupported(reason));
    }
    let rejected = |reason| Ok(Prepared::Done(Box::new(Outcome::rejected(reason))));
    let intrinsic = match validate(environment, transaction, available) {
        Ok(intrinsic) => intrinsic,
        Err(reason) => return rejected(reason),
    };
    let fork = environment.rules.fork;
    let block = &environment.block;
    let mut accounts = Accounts::new(fork, state);
    let sender = accounts.load(&transaction.sender)?;
    if let Err(reason) = validation::validate_sender(transaction, &accounts, sender, environment.validation)? {
        return rejected(reason);
    }

    // Validation says that nothing overflows and that the sender can pay it all.
    let headroom = transaction.max_fee_per_gas.saturating_sub(block.base_fee);
    let tip = transaction.max_priority_fee_per_gas.min(headroom);
    let gas_price = block.base_fee.saturating_add(tip);
    let blob_gas = transaction.blob_versioned_hashes.len() as u64 * GAS_PER_BLOB;
    let gas_fee = finish::wei(gas_price, transaction.gas_limit);
    let prepaid = gas_fee.saturating_add(finish::wei(block.blob_base_fee, blob_gas));
    let nonce = accounts.info(sender).nonce;
    accounts.set_balance(sender, accounts.info(sender).balance.saturating_sub(prepaid));
    accounts.set_nonce(sender, nonce.saturating_add(1));
    if fork >= Fork::Berlin {
        accounts.warm(sender);
    }
    let mut refund = 0;
    let mut target = None;
    if let Some(to) = &transaction.to {
        let to = accounts.load(to)?;
        if fork >= Fork::Berlin {
            accounts.warm(to);
        }
        target = Some(to);
    }
    for authorization in &transaction.authorization_list {
        if accounts.delegate(authorization, environment.rules.chain_id, services)? {
            refund += i64::from(SCHEDULES[fork as usize].authorization_refund);
        }
    }

    // Delegations have rules of their own.
    if let Some(target) = target
        && environment.is_restricted()
        && accounts.delegation(target)?.is_some()
    {
        return Ok(Prepared::Unsupported(Unsupported::Restricted));
    }

    let gas = transaction.gas_limit.saturating_sub(intrinsic.gas);
    let mut start = Start {
        kind: Kind::Call,
        gas,
        sender: transaction.sender,
        gas_price,
        value: transaction.value,
        target: H160::zero(),
        code_account: H160::zero(),
        code: Bytes::new(),
        code_hash: None,
        input: Bytes::new(),
        refund,
        seeds: Vec::new(),
        access_list: warm_from_the_start(environment, transaction),
        blob_versioned_hashes: transaction.blob_versioned_hashes.clone(),
        intrinsic,
        terms: Terms { fork, gas_limit: transaction.gas_limit, gas_price, tip, coinbase: block.coinbase },
    };
    let ended = match target {
        Some(target) => call(&mut start, &mut accounts, sender, target, transaction, services)?,
        None => create(&mut start, &mut accounts, sender, nonce, transaction)?,
    };
    start.seeds = accounts.into_seeds();
    match ended {
        Some(ended) => Ok(Prepared::Done(Box::new(finish(&start, ended, state)?))),
        None => Ok(Prepared::Run(Box::new(start))),
    }
}

/// What is warm besides the accounts that were loaded: the access list, and the exchange, as if it were a precompile.
fn warm_from_the_start(environment: &Environment, transaction: &Transaction) -> Vec<AccessListItem> {
    if environment.rules.fork < Fork::Berlin {
        return Vec::new();
    }
    let exchange =
        environment.messaging.as_ref().map(|_| AccessListItem { address: EXCHANGE_ADDRESS, storage_keys: Vec::new() });
    transaction.access_list.iter().cloned().chain(exchange).collect()
}

/// Starts the outermost call. Returns how it ended where it runs no code.
fn call(
    start: &mut Start,
    accounts: &mut Accounts<'_>,
    sender: usize,
    target: usize,
    transaction: &Transaction,
    services: &dyn Services,
) -> Result<Option<Ended>, StateError> {
    let address = accounts.address(target);
    let fork = start.terms.fork;
    let mut code_account = target;
    let delegation = accounts.delegation(target)?;
    if let Some(delegate) = &delegation {
        // The target of the callee's delegation is warm (EIP-7702).
        code_account = accounts.load(delegate)?;
        accounts.warm(code_account);
    }
    accounts.checkpoint();
    accounts.transfer(sender, target, transaction.value);
    // Precompiles do not run through a delegation.
    if delegation.is_none() && services.is_precompile(address, fork) {
        let result = services.precompile(address, fork, &transaction.input, start.gas);
        return Ok(Some(match result {
            Ok((gas_left, output)) => Ended::without_code(Status::Success, gas_left, output.into(), start.refund),
            Err(halt) => Ended::without_code(Status::Halt(halt), 0, Bytes::new(), start.refund),
        }));
    }
    let code_hash = accounts.info(code_account).code_hash;
    if code_hash == KECCAK_EMPTY {
        return Ok(Some(Ended::without_code(Status::Success, start.gas, Bytes::new(), start.refund)));
    }
    start.target = address;
    start.code_account = accounts.address(code_account);
    start.code = accounts.code(code_account)?;
    start.code_hash = Some(code_hash);
    start.input = transaction.input.clone();
    Ok(None)
}

/// Starts the outermost creation. Returns how it ended where it runs no initcode.
fn create(
    start: &mut Start,
    accounts: &mut Accounts<'_>,
    sender: usize,
    nonce: u64,
    transaction: &Transaction,
) -> Result<Option<Ended>, StateError> {
    let address = create_address(&transaction.sender, nonce);
    let account = accounts.load(&address)?;
    let fork = start.terms.fork;
    if fork >= Fork::Berlin {
        accounts.warm(account);
    }
    accounts.checkpoint();
    if accounts.collides(account)? {
        let collision = Status::Halt(Halt::CreateCollision);
        return Ok(Some(Ended::without_code(collision, 0, Bytes::new(), start.refund)));
    }
    accounts.mark_created(account);
    if fork >= Fork::SpuriousDragon {
        accounts.set_nonce(account, 1);
    }
    accounts.transfer(sender, account, transaction.value);
    start.kind = Kind::Create;
    start.target = address;
    start.code_account = address;
    start.code = transaction.input.clone();
    Ok(None)
}

/// The address that a creation by a transaction gives (Yellow Paper 7).
fn create_address(sender: &H160, nonce: u64) -> H160 {
    use alloy_rlp::Encodable;
    let mut rlp = Vec::with_capacity(32);
    alloy_rlp::Header { list: true, payload_length: sender.0.length() + nonce.length() }.encode(&mut rlp);
    sender.0.encode(&mut rlp);
    nonce.encode(&mut rlp);
    address_of(&rlp)
}

/// The last 20 bytes of the Keccak-256 of some bytes.
fn address_of(bytes: &[u8]) -> H160 {
    let mut address = H160::zero();
    address.0.copy_from_slice(&keccak256(bytes).0[12..]);
    address
}

fn keccak256(bytes: &[u8]) -> H256 {
    H256(Keccak256::digest(bytes).into())
}

impl Ended {
    /// The end of a transaction whose outermost frame ran no code.
    fn without_code(status: Status, gas_left: u64, output: Bytes, refund: i64) -> Self {
        Self {
            status,
            gas_left,
            refund,
            output,
            logs: Vec::new(),
            accounts: Vec::new(),
            ripemd_touched: false,
            storage_asked: Vec::new(),
            steps: 0,
        }
    }
}
