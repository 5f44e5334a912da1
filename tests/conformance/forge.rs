//! Builds a complete state test and a complete blockchain test, with every field that the official ones have.

use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use isolane::block::{BlockInput, block_context, execute_block};
use isolane::chain::ChainSpec;
use isolane::convert::{keccak, to_address, to_b256};
use isolane::cpu::{Available, Machine};
use isolane::load::transaction::{Signature, SignedTransaction, recover_into};
use isolane::spec::{
    AccountInfo, BlockContext, Bytes, Environment, Fork, H160, H256, KECCAK_EMPTY, Log, MemoryState, Rules,
    Transaction, TransactionType, U256,
};
use isolane::trie::{ordered_root, state_root, withdrawals_root};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const KEY: [u8; 32] = [0x45; 32];
const CONTRACT: H160 = H160([0xc0; 20]);
/// SSTORE(0, 7), LOG1(topic 5, 32 bytes of memory), SSTORE(1, 0).
const CODE: [u8; 18] = [0x60, 7, 0x60, 0, 0x55, 0x60, 5, 0x60, 32, 0x60, 0, 0xa1, 0x60, 0, 0x60, 1, 0x55, 0x00];
const GAS_LIMIT: u64 = 10_000_000;

fn sender() -> H160 {
    let key = SecretKey::from_byte_array(KEY).expect("a key");
    let public = PublicKey::from_secret_key(SECP256K1, &key).serialize_uncompressed();
    H160::from_slice(&keccak(&public[1..]).0[12..])
}

fn pre() -> MemoryState {
    let mut state = MemoryState::default();
    let balance = U256::exp10(20);
    state.insert(sender(), AccountInfo { balance, ..AccountInfo::default() }, Bytes::new(), []);
    let contract = AccountInfo { nonce: 1, balance: U256::one(), code_hash: keccak(CODE) };
    state.insert(CONTRACT, contract, Bytes::from_static(&CODE), [(U256::one(), U256::from(9))]);
    state
}

fn signed() -> SignedTransaction {
    let transaction = Transaction {
        transaction_type: TransactionType::DynamicFee,
        gas_limit: 100_000,
        max_fee_per_gas: U256::from(1_000),
        max_priority_fee_per_gas: U256::from(3),
        to: Some(CONTRACT),
        value: U256::from(5),
        input: Bytes::from_static(&[1, 2, 3]),
        chain_id: Some(1),
        ..Transaction::default()
    };
    let unsigned = SignedTransaction::new(transaction.clone(), Signature::default());
    let key = SecretKey::from_byte_array(KEY).expect("a key");
    let message = Message::from_digest(unsigned.signing_hash().0);
    let (id, compact) = SECP256K1.sign_ecdsa_recoverable(message, &key).serialize_compact();
    let signature = Signature {
        r: U256::from_big_endian(&compact[..32]),
        s: U256::from_big_endian(&compact[32..]),
        odd_y: i32::from(id) == 1,
    };
    SignedTransaction::new(transaction, signature)
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn number(value: impl Into<U256>) -> String {
    format!("{:#x}", value.into())
}

fn accounts(state: &MemoryState) -> Value {
    let account = |(address, account): (&H160, &isolane::spec::MemoryAccount)| {
        let hash = account.info.code_hash;
        let code = if hash == KECCAK_EMPTY { Bytes::new() } else { state.codes[&hash].clone() };
        let storage: Map<_, _> =
            account.storage.iter().map(|(key, value)| (number(*key), Value::from(number(*value)))).collect();
        let json = json!({
            "balance": number(account.info.balance), "nonce": number(account.info.nonce), "code": hex(code), "storage": storage,
        });
        (hex(address), json)
    };
    Value::Object(state.accounts.iter().map(account).collect())
}

fn bloom(logs: &[Log]) -> alloy_primitives::Bloom {
    let mut bloom = alloy_primitives::Bloom::ZERO;
    for log in logs {
        bloom.accrue(alloy_primitives::BloomInput::Raw(log.address.as_bytes()));
        log.topics.iter().for_each(|topic| bloom.accrue(alloy_primitives::BloomInput::Raw(topic.as_bytes())));
    }
    bloom
}

fn receipt(gas_used: u64, logs: &[Log], hash: H256) -> (Value, Vec<u8>) {
    let receipt = isolane::block::Receipt {
        transaction_type: TransactionType::DynamicFee,
        post: isolane::block::PostTransaction::Success(true),
        cumulative_gas_used: gas_used,
        bloom: isolane::block::Bloom(bloom(logs).0.0),
    };
    let mut encoded = Vec::new();
    receipt.encode(logs, &mut encoded);
    let log = |log: &Log| {
        let topics: Vec<_> = log.topics.iter().map(hex).collect();
        json!({"address": hex(log.address), "topics": topics, "data": hex(&log.data)})
    };
    let json = json!({
        "type": "0x2", "status": true, "cumulativeGasUsed": number(gas_used), "bloom": hex(bloom(logs)),
        "logs": logs.iter().map(log).collect::<Vec<_>>(), "transactionHash": hex(hash), "rlp": hex(&encoded),
    });
    (json, encoded)
}

/// A document with one state test, which passes.
pub fn state_test() -> Value {
    let rules = Rules::new(Fork::Shanghai, 1);
    let block = BlockContext {
        number: 10,
        timestamp: 1000,
        coinbase: H160([0xbb; 20]),
        gas_limit: GAS_LIMIT,
        base_fee: U256::from(10),
        prev_randao: H256([3; 32]),
        ..BlockContext::default()
    };
    let signed = signed();
    let mut machine = Machine::new(Environment::new("forge", rules, block, Arc::new(pre())));
    let transaction = signed.to_transaction(rules.fork).expect("a signature");
    let outcome = machine.transact(&transaction, Available { gas: GAS_LIMIT, blob_gas: 0 }).expect("an outcome");
    assert!(outcome.status.is_success() && outcome.logs.len() == 1);
    let mut post = pre();
    post.apply(&outcome.diff);
    let (receipt, _) = receipt(outcome.gas_used, &outcome.logs, signed.hash);
    json!({"forged": {
        "_info": {"comment": "made by tests/conformance/forge.rs"},
        "env": {
            "currentCoinbase": hex([0xbb; 20]), "currentGasLimit": number(GAS_LIMIT), "currentNumber": "0x0a",
            "currentTimestamp": "0x3e8", "currentDifficulty": "0x0", "currentRandom": hex([3; 32]), "currentBaseFee": "0xa",
        },
        "pre": accounts(&pre()),
        "transaction": {
            "nonce": "0x00", "maxFeePerGas": number(1_000), "maxPriorityFeePerGas": "0x3", "gasLimit": [number(100_000)],
            "to": hex(CONTRACT), "value": ["0x5"], "data": ["0x010203"], "sender": hex(sender()), "secretKey": hex(KEY),
            "accessLists": [[]],
        },
        "post": {"Shanghai": [{
            "indexes": {"data": 0, "gas": 0, "value": 0}, "hash": hex(state_root(&post)),
            "logs": hex(isolane::block::logs_hash(&outcome.logs)), "txbytes": hex(&signed.encoded),
            "state": accounts(&post), "receipt": receipt,
        }]},
        "config": {"chainid": "0x01"},
    }})
}

fn header_json(header: &Header) -> Value {
    json!({
        "parentHash": hex(header.parent_hash), "uncleHash": hex(header.ommers_hash), "coinbase": hex(header.beneficiary),
        "stateRoot": hex(header.state_root), "transactionsTrie": hex(header.transactions_root),
        "receiptTrie": hex(header.receipts_root), "bloom": hex(header.logs_bloom), "difficulty": "0x00",
        "number": number(header.number), "gasLimit": number(header.gas_limit), "gasUsed": number(header.gas_used),
        "timestamp": number(header.timestamp), "extraData": hex(&header.extra_data), "mixHash": hex(header.mix_hash),
        "nonce": hex(header.nonce), "baseFeePerGas": number(header.base_fee_per_gas.unwrap_or_default()),
        "withdrawalsRoot": hex(header.withdrawals_root.unwrap_or_default()), "hash": hex(header.hash_slow()),
    })
}

/// The bytes of a block whose transactions are typed.
fn block_rlp(header: &Header, transactions: &[SignedTransaction], withdrawals: &Vec<Withdrawal>) -> Vec<u8> {
    let list = |items: Vec<u8>| {
        let mut out = Vec::new();
        alloy_rlp::Header { list: true, payload_length: items.len() }.encode(&mut out);
        out.extend(items);
        out
    };
    let encoded = transactions.iter().flat_map(|signed| alloy_rlp::encode(signed.encoded.as_ref())).collect();
    list([alloy_rlp::encode(header), list(encoded), list(Vec::new()), alloy_rlp::encode(withdrawals)].concat())
}

/// A document with one blockchain test, which passes: a genesis and a block with a transaction and a withdrawal.
pub fn blockchain_test() -> Value {
    let genesis = Header {
        state_root: to_b256(state_root(&pre())),
        gas_limit: GAS_LIMIT,
        base_fee_per_gas: Some(1_000),
        withdrawals_root: Some(to_b256(withdrawals_root(&[]))),
        ..Header::default()
    };
    let withdrawals =
        vec![Withdrawal { index: 1, validator_index: 2, address: to_address(H160([0xdd; 20])), amount: 3 }];
    let mut transactions = vec![signed()];
    recover_into(&mut transactions, Fork::Shanghai).expect("signatures");
    let mut header = Header {
        parent_hash: genesis.hash_slow(),
        beneficiary: to_address(H160([0xbb; 20])),
        number: 1,
        gas_limit: GAS_LIMIT,
        timestamp: 12,
        mix_hash: to_b256(H256([3; 32])),
        base_fee_per_gas: Some(875),
        withdrawals_root: Some(to_b256(withdrawals_root(&withdrawals))),
        transactions_root: to_b256(ordered_root(&[transactions[0].encoded.clone()])),
        ..Header::default()
    };
    let chain = ChainSpec::constant(Fork::Shanghai, 1);
    let rules = chain.rules(Fork::Shanghai);
    let environment = Environment::new("forge", rules, block_context(&header, &rules), Arc::new(pre()));
    let input =
        BlockInput { withdrawals: Some(&withdrawals), ..BlockInput::new(&header, &transactions, &chain, &rules) };
    let result = execute_block(&mut Machine::new(environment), &input).expect("a valid block");
    let mut post = pre();
    post.apply(&result.diff);
    let logs = &result.outcomes[0].logs;
    let (receipt, encoded) = receipt(result.gas_used, logs, transactions[0].hash);
    header.gas_used = result.gas_used;
    header.logs_bloom = bloom(logs);
    header.receipts_root = to_b256(ordered_root(&[encoded]));
    header.state_root = to_b256(state_root(&post));
    let signature = transactions[0].signature;
    json!({"forged": {
        "network": "Shanghai",
        "sealEngine": "NoProof",
        "config": {"chainid": "0x01", "network": "Shanghai"},
        "pre": accounts(&pre()),
        "genesisBlockHeader": header_json(&genesis),
        "genesisRLP": hex(block_rlp(&genesis, &[], &Vec::new())),
        "blocks": [{
            "rlp": hex(block_rlp(&header, &transactions, &withdrawals)),
            "blocknumber": "1",
            "blockHeader": header_json(&header),
            "transactions": [{
                "type": "0x02", "chainId": "0x01", "nonce": "0x00", "maxFeePerGas": number(1_000),
                "maxPriorityFeePerGas": "0x3", "gasLimit": number(100_000), "to": hex(CONTRACT), "value": "0x5",
                "data": "0x010203", "accessList": [], "v": number(u64::from(signature.odd_y)), "r": number(signature.r),
                "s": number(signature.s), "sender": hex(sender()),
            }],
            "uncleHeaders": [],
            "withdrawals": [{"index": "0x1", "validatorIndex": "0x2", "address": hex([0xdd; 20]), "amount": "0x3"}],
            "receipts": [receipt],
        }],
        "lastblockhash": hex(header.hash_slow()),
        "postState": accounts(&post),
    }})
}
