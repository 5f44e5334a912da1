//! What a competent user of revm and alloy writes to replay block packs: typed JSON, libsecp256k1 for the senders, one
//! `CacheDB` and one `Evm` per block, system calls, and gas used, receipts root and bloom against the header.

use alloy_consensus::proofs::calculate_receipt_root;
use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{Receipt, ReceiptEnvelope, ReceiptWithBloom, Transaction as _, TxEnvelope, TxType};
use alloy_primitives::{Address, B256, Bloom, Bytes, TxKind, U64, U256, address};
use isolane::block::dao;
use isolane::chain::ChainSpec;
use revm::bytecode::Bytecode;
use revm::context::either::Either;
use revm::context::result::ExecutionResult;
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::handler::{MainnetContext, MainnetEvm, SystemCallCommitEvm};
use revm::primitives::hardfork::SpecId;
use revm::state::AccountInfo;
use revm::{Context, Database, ExecuteCommitEvm, MainBuilder, MainContext};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

const BEACON_ROOTS: Address = address!("000f3df6d732807ef1319fb7b8bb8522d0beac02");
const HISTORY_STORAGE: Address = address!("0000f90827f1c53a10cb7a02335b175320002935");
const REQUESTS: [Address; 2] =
    [address!("00000961ef480eb55e80d19ad83579a64c007002"), address!("0000bbddc7ce488642fb579f8b00f3a590007251")];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pack {
    chain_id: u64,
    fork: String,
    block: Block,
    prestate: HashMap<Address, Account>,
    #[serde(default)]
    block_hashes: HashMap<U256, B256>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    number: U64,
    timestamp: U64,
    miner: Address,
    gas_limit: U64,
    gas_used: U64,
    difficulty: U256,
    mix_hash: B256,
    parent_hash: B256,
    base_fee_per_gas: Option<U64>,
    excess_blob_gas: Option<U64>,
    parent_beacon_block_root: Option<B256>,
    receipts_root: B256,
    logs_bloom: Bloom,
    transactions: Vec<Transaction>,
}

#[derive(Deserialize)]
struct Transaction {
    from: Address,
    #[serde(flatten)]
    envelope: TxEnvelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    #[serde(default)]
    balance: U256,
    #[serde(default)]
    nonce: u64,
    code: Option<Bytes>,
    code_hash: Option<B256>,
    #[serde(default)]
    storage: HashMap<U256, U256>,
    #[serde(default)]
    absent: bool,
}

/// Time by stage, and what was executed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Replayed {
    pub load: Duration,
    pub recover: Duration,
    pub execute: Duration,
    pub verify: Duration,
    pub gas: u64,
    pub transactions: usize,
}

impl Replayed {
    pub fn add(mut self, other: Self) -> Self {
        self.load += other.load;
        self.recover += other.recover;
        self.execute += other.execute;
        self.verify += other.verify;
        self.gas += other.gas;
        self.transactions += other.transactions;
        self
    }
}

/// Replays one pack from its bytes to the verdict.
pub fn replay(path: &Path) -> Result<Replayed, String> {
    let failed = |what: String| format!("{}: {what}", path.display());
    let start = Instant::now();
    let packed = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let text = zstd::decode_all(packed.as_slice()).map_err(|error| failed(error.to_string()))?;
    let pack: Pack = serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
    let spec = spec(&pack.fork).ok_or_else(|| failed(format!("fork {}", pack.fork)))?;
    let database = database(&pack);
    let mut done =
        Replayed { load: start.elapsed(), transactions: pack.block.transactions.len(), ..Replayed::default() };

    let start = Instant::now();
    for (index, transaction) in pack.block.transactions.iter().enumerate() {
        // Signatures from before EIP-2 may have a high s.
        let sender = transaction.envelope.recover_signer_unchecked().map_err(|error| failed(error.to_string()))?;
        if sender != transaction.from {
            return Err(failed(format!("transaction {index}: sender {sender}, expected {}", transaction.from)));
        }
    }
    done.recover = start.elapsed();

    let start = Instant::now();
    let results = execute(&pack, spec, database).map_err(failed)?;
    done.execute = start.elapsed();

    let start = Instant::now();
    done.gas = verify(&pack, spec, results).map_err(failed)?;
    done.verify = start.elapsed();
    Ok(done)
}

fn spec(fork: &str) -> Option<SpecId> {
    Some(match fork {
        "Frontier" => SpecId::FRONTIER,
        "Homestead" | "DAO" => SpecId::HOMESTEAD,
        "Tangerine" | "TangerineWhistle" => SpecId::TANGERINE,
        "Spurious" | "SpuriousDragon" => SpecId::SPURIOUS_DRAGON,
        "Byzantium" => SpecId::BYZANTIUM,
        "Petersburg" => SpecId::PETERSBURG,
        "Istanbul" => SpecId::ISTANBUL,
        "Berlin" => SpecId::BERLIN,
        "London" => SpecId::LONDON,
        "Paris" => SpecId::MERGE,
        "Shanghai" => SpecId::SHANGHAI,
        "Cancun" => SpecId::CANCUN,
        "Prague" => SpecId::PRAGUE,
        "Osaka" => SpecId::OSAKA,
        _ => return None,
    })
}

fn database(pack: &Pack) -> CacheDB<EmptyDB> {
    let mut database = CacheDB::new(EmptyDB::new());
    for (address, account) in &pack.prestate {
        if account.absent {
            continue;
        }
        let mut info = AccountInfo { balance: account.balance, nonce: account.nonce, ..AccountInfo::default() };
        if let Some(code) = account.code.clone().filter(|code| !code.is_empty()) {
            let code = Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code));
            info.code_hash = code.hash_slow();
            info.code = Some(code);
        } else if let Some(hash) = account.code_hash {
            info.code_hash = hash;
        }
        database.insert_account_info(*address, info);
        if let Some(entry) = database.cache.accounts.get_mut(address) {
            entry.storage.extend(account.storage.iter().map(|(key, value)| (*key, *value)));
        }
    }
    database.cache.block_hashes.extend(pack.block_hashes.iter().map(|(number, hash)| (*number, *hash)));
    database
}

/// EIP-4844's update fraction, which the blob-parameter forks inside "Osaka" change by the chain's schedule.
fn blob_fraction(pack: &Pack, spec: SpecId) -> u64 {
    let (number, timestamp) = (pack.block.number.to(), pack.block.timestamp.to());
    match ChainSpec::by_id(pack.chain_id) {
        Some(chain) => chain.rules(chain.fork_at(number, timestamp, None)).blob_schedule.base_fee_update_fraction,
        None if spec < SpecId::PRAGUE => 3_338_477,
        None => 5_007_716,
    }
}

fn execute(pack: &Pack, spec: SpecId, database: CacheDB<EmptyDB>) -> Result<Vec<ExecutionResult>, String> {
    let block = &pack.block;
    let mut cfg = CfgEnv::new_with_spec(spec).with_chain_id(pack.chain_id);
    let fraction = if spec >= SpecId::CANCUN { blob_fraction(pack, spec) } else { 0 };
    cfg.blob_base_fee_update_fraction = (fraction > 0).then_some(fraction);
    let mut env = BlockEnv {
        number: U256::from(block.number),
        beneficiary: block.miner,
        timestamp: U256::from(block.timestamp),
        gas_limit: block.gas_limit.to(),
        basefee: block.base_fee_per_gas.map_or(0, |fee| fee.to()),
        difficulty: block.difficulty,
        prevrandao: (spec >= SpecId::MERGE).then_some(block.mix_hash),
        blob_excess_gas_and_price: None,
        slot_num: 0,
    };
    if spec >= SpecId::CANCUN {
        env.set_blob_excess_gas_and_price(block.excess_blob_gas.map_or(0, |gas| gas.to()), fraction);
    }
    let mut evm = Context::mainnet().with_db(database).with_block(env).with_cfg(cfg).build_mainnet();
    if pack.chain_id == 1 && block.number == U64::from(1_920_000) {
        drain_dao(&mut evm);
    }
    if let Some(root) = block.parent_beacon_block_root.filter(|_| spec >= SpecId::CANCUN) {
        system_call(&mut evm, BEACON_ROOTS, Bytes::from(root.0))?;
    }
    if spec >= SpecId::PRAGUE {
        system_call(&mut evm, HISTORY_STORAGE, Bytes::from(block.parent_hash.0))?;
    }
    let mut results = Vec::with_capacity(block.transactions.len());
    for (index, transaction) in block.transactions.iter().enumerate() {
        let result = evm.transact_commit(transaction_env(transaction));
        results.push(result.map_err(|error| format!("transaction {index}: {error}"))?);
    }
    if spec >= SpecId::PRAGUE {
        for contract in REQUESTS {
            system_call(&mut evm, contract, Bytes::new())?;
        }
    }
    Ok(results)
}

type Evm = MainnetEvm<MainnetContext<CacheDB<EmptyDB>>>;

fn system_call(evm: &mut Evm, contract: Address, input: Bytes) -> Result<(), String> {
    let account = evm.ctx.journaled_state.database.basic(contract).map_err(|error| error.to_string())?;
    if account.is_some_and(|account| !account.is_empty_code_hash()) {
        evm.system_call_commit(contract, input).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn drain_dao(evm: &mut Evm) {
    let accounts = &mut evm.ctx.journaled_state.database.cache.accounts;
    let mut total = U256::ZERO;
    for address in dao::DRAINED {
        if let Some(account) = accounts.get_mut(&Address::from(address.0)) {
            total += std::mem::take(&mut account.info.balance);
        }
    }
    if let Some(account) = accounts.get_mut(&Address::from(dao::REFUND_CONTRACT.0)) {
        account.info.balance += total;
    }
}

fn transaction_env(transaction: &Transaction) -> TxEnv {
    let envelope = &transaction.envelope;
    TxEnv {
        tx_type: envelope.tx_type() as u8,
        caller: transaction.from,
        gas_limit: envelope.gas_limit(),
        gas_price: envelope.max_fee_per_gas(),
        kind: envelope.to().map_or(TxKind::Create, TxKind::Call),
        value: envelope.value(),
        data: envelope.input().clone(),
        nonce: envelope.nonce(),
        chain_id: envelope.chain_id(),
        access_list: envelope.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: envelope.max_priority_fee_per_gas(),
        blob_hashes: envelope.blob_versioned_hashes().unwrap_or_default().to_vec(),
        max_fee_per_blob_gas: envelope.max_fee_per_blob_gas().unwrap_or_default(),
        authorization_list: envelope
            .authorization_list()
            .iter()
            .flat_map(|list| list.iter().cloned())
            .map(Either::Left)
            .collect(),
    }
}

/// Gas used and bloom; from Byzantium on the receipts root too. Returns the gas.
fn verify(pack: &Pack, spec: SpecId, results: Vec<ExecutionResult>) -> Result<u64, String> {
    let mut gas = 0;
    let mut bloom = Bloom::ZERO;
    let mut receipts = Vec::with_capacity(results.len());
    for (transaction, result) in pack.block.transactions.iter().zip(results) {
        gas += result.tx_gas_used();
        let success = result.is_success();
        let logs = match result {
            ExecutionResult::Success { logs, .. } => logs,
            _ => Vec::new(),
        };
        let receipt: ReceiptWithBloom<_> =
            Receipt { status: success.into(), cumulative_gas_used: gas, logs }.with_bloom();
        bloom |= receipt.logs_bloom;
        receipts.push(match transaction.envelope.tx_type() {
            TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
            TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
            TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
            TxType::Eip4844 => ReceiptEnvelope::Eip4844(receipt),
            TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
        });
    }
    if U64::from(gas) != pack.block.gas_used {
        return Err(format!("gas used {gas}, expected {}", pack.block.gas_used));
    }
    if bloom != pack.block.logs_bloom {
        return Err("the bloom differs".into());
    }
    if spec >= SpecId::BYZANTIUM && calculate_receipt_root(&receipts) != pack.block.receipts_root {
        return Err("the receipts root differs".into());
    }
    Ok(gas)
}
