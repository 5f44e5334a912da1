//! What executing blocks yields, and their bytes.

use super::super::*;
use super::pair;
use crate::convert::{from_b256, from_word, keccak, to_address, to_b256};
use isolane_cpu::Machine;
use isolane_spec::{
    AccountInfo, Environment, InvalidTransaction, Log, MemoryState, Status, Transaction, TransactionType,
};
use std::sync::Arc;

fn ether(count: u64) -> U256 {
    U256::from(count) * U256::exp10(18)
}

#[test]
fn receipts_agree_with_alloy() {
    let log = |seed: u8, topics: usize, data: usize| Log {
        address: H160::repeat_byte(seed),
        topics: (0..topics).map(|i| H256::repeat_byte(i as u8)).collect(),
        data: Bytes::from(vec![seed; data]),
    };
    let all_logs = [vec![], vec![log(1, 0, 0)], vec![log(2, 4, 1), log(200, 1, 500)], vec![log(3, 2, 32); 9]];
    let mut outcomes = vec![];
    let mut receipts = vec![];
    let mut theirs = vec![];
    let mut blooms = receipt::BloomBuilder::default();
    for index in 0..140u64 {
        let logs = all_logs[index as usize % 4].clone();
        let success = !index.is_multiple_of(5);
        let kind = [
            TransactionType::Legacy,
            TransactionType::AccessList,
            TransactionType::DynamicFee,
            TransactionType::Blob,
            TransactionType::SetCode,
        ][index as usize % 5];
        let cumulative_gas_used = 21_000 * (index + 1);
        let bloom = blooms.bloom(&logs);
        let their_logs = logs.iter().map(|log| {
            let topics = log.topics.iter().map(|topic| to_b256(*topic)).collect();
            let data = log.data.to_vec().into();
            alloy_primitives::Log::new_unchecked(to_address(log.address), topics, data)
        });
        let receipt =
            alloy_consensus::Receipt { status: success.into(), cumulative_gas_used, logs: their_logs.collect() };
        let receipt = receipt.with_bloom();
        assert_eq!(receipt.logs_bloom.0.0, bloom.0);
        theirs.push(match kind {
            TransactionType::Legacy => alloy_consensus::ReceiptEnvelope::Legacy(receipt),
            TransactionType::AccessList => alloy_consensus::ReceiptEnvelope::Eip2930(receipt),
            TransactionType::DynamicFee => alloy_consensus::ReceiptEnvelope::Eip1559(receipt),
            TransactionType::Blob => alloy_consensus::ReceiptEnvelope::Eip4844(receipt),
            TransactionType::SetCode => alloy_consensus::ReceiptEnvelope::Eip7702(receipt),
        });
        let post = PostTransaction::Success(success);
        receipts.push(Receipt { transaction_type: kind, post, cumulative_gas_used, bloom });
        let mut outcome = Outcome::rejected(InvalidTransaction::CostOverflow);
        outcome.logs = logs;
        outcomes.push(outcome);
    }
    for count in [0, 1, 2, 127, 128, 129, 140] {
        let root = receipts_root(&receipts[..count], &outcomes);
        assert_eq!(to_b256(root), alloy_consensus::proofs::calculate_receipt_root(&theirs[..count]), "{count}");
    }
    let none = "1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347";
    assert_eq!(hex::encode(logs_hash(&[])), none);
}

// Execution.

const SENDER: H160 = H160([0xaa; 20]);
const MINER: H160 = H160([0xcc; 20]);

fn account(nonce: u64, balance: U256) -> AccountInfo {
    AccountInfo { nonce, balance, ..AccountInfo::default() }
}

fn with_code(state: &mut MemoryState, address: H160, code: &'static [u8]) {
    let info = AccountInfo { nonce: 1, code_hash: keccak(code), ..AccountInfo::default() };
    state.insert(address, info, Bytes::from_static(code), []);
}

fn rich() -> MemoryState {
    let mut state = MemoryState::default();
    state.insert(SENDER, account(0, ether(100)), Bytes::new(), []);
    state
}

fn header(fork: Fork) -> Header {
    Header { beneficiary: to_address(MINER), gas_limit: 1_000_000, ..pair(fork).1 }
}

fn transfer(nonce: u64, wei: U256) -> SignedTransaction {
    let transaction = Transaction {
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: U256::from(10),
        max_priority_fee_per_gas: U256::from(10),
        to: Some(H160::repeat_byte(0xbb)),
        value: wei,
        ..Transaction::default()
    };
    let mut signed = SignedTransaction::new(transaction, crate::load::transaction::Signature::default());
    signed.transaction.sender = SENDER;
    signed
}

fn execute(
    fork: Fork,
    state: &MemoryState,
    change: impl FnOnce(&mut BlockInput<'_>),
    header: &Header,
    transactions: &[SignedTransaction],
) -> Result<(BlockResult, MemoryState), BlockError> {
    let rules = Rules::new(fork, 1);
    let context = block_context(header, &rules);
    let mut machine = Machine::new(Environment::new("block", rules, context, Arc::new(state.clone())));
    let mut input = BlockInput::new(header, transactions, &ChainSpec::constant(fork, 1), &rules);
    change(&mut input);
    let mut roots = crate::trie::StateTrie::from_memory(state).expect("a state in memory");
    let result = execute_block_with_roots(&mut machine, &input, Some(&mut roots))?;
    let mut after = state.clone();
    after.apply(&result.diff);
    Ok((result, after))
}

#[test]
fn rewards_of_miner_and_ommers() {
    for (fork, reward) in [(Fork::Frontier, 5), (Fork::Byzantium, 3), (Fork::Petersburg, 2)] {
        let header = header(fork);
        let ommer =
            Header { number: header.number - 2, beneficiary: to_address(H160::repeat_byte(9)), ..header.clone() };
        let change = |input: &mut BlockInput<'_>| {
            input.ommers = Box::leak(Box::new([ommer]));
            input.missing_ommers = 1;
        };
        let (result, after) = execute(fork, &rich(), change, &header, &[]).expect("a valid block");
        let balance = |address: H160| after.accounts.get(&address).map(|account| account.info.balance);
        assert_eq!(balance(MINER), Some(ether(reward) + ether(reward) / 32 * 2), "{fork}");
        assert_eq!(balance(H160::repeat_byte(9)), Some(ether(reward) * 6 / 8), "{fork}");
        assert_eq!(result.receipts_root, Some(crate::trie::EMPTY_ROOT));
    }
}

#[test]
fn transactions_change_the_state_and_are_counted() {
    let header = header(Fork::Homestead);
    let transactions = [transfer(0, ether(1)), transfer(1, ether(2))];
    let (result, after) = execute(Fork::Homestead, &rich(), |_| {}, &header, &transactions).expect("a valid block");
    assert_eq!(result.gas_used, 42_000);
    assert_eq!(result.receipts.iter().map(|receipt| receipt.cumulative_gas_used).collect::<Vec<_>>(), [21_000, 42_000]);
    // Before Byzantium the last receipt holds the state root before the rewards.
    let mut without_reward = after.clone();
    without_reward.insert(MINER, account(0, U256::from(420_000)), Bytes::new(), []);
    assert_eq!(result.receipts[1].post, PostTransaction::Root(Some(crate::trie::state_root(&without_reward))));
    let sender = after.accounts.get(&SENDER).expect("the sender").info;
    assert_eq!(sender, account(2, ether(97) - U256::from(420_000)));
    assert_eq!(result.diff.len(), 3);
    assert!(result.diff.is_sorted_by_key(|change| change.address));
    let root = alloy_trie::root::ordered_trie_root_encoded(&transactions.each_ref().map(|one| &one.encoded[..]));
    assert_eq!(to_b256(result.transactions_root), root);
}

#[test]
fn an_invalid_transaction_is_named() {
    let header = header(Fork::Berlin);
    let wrong = [transfer(0, U256::one()), transfer(5, U256::one())];
    let reason = InvalidTransaction::NonceTooHigh { expected: 1, got: 5 };
    let error = execute(Fork::Berlin, &rich(), |_| {}, &header, &wrong).map(drop);
    assert_eq!(error, Err(BlockError::Transaction { index: 1, reason }));
    // Both fit the block's gas one by one but not together.
    let small = Header { gas_limit: 41_999, ..header };
    let both = [transfer(0, U256::one()), transfer(1, U256::one())];
    let reason = InvalidTransaction::BlockGasLimitExceeded { available: 20_999, got: 21_000 };
    let error = execute(Fork::Berlin, &rich(), |_| {}, &small, &both).map(drop);
    assert_eq!(error, Err(BlockError::Transaction { index: 1, reason }));
}

#[test]
fn withdrawals_are_in_gwei() {
    let header = header(Fork::Shanghai);
    let withdrawal =
        |amount, byte| Withdrawal { amount, address: to_address(H160::repeat_byte(byte)), ..Withdrawal::default() };
    let withdrawals = [withdrawal(3, 1), withdrawal(0, 2), withdrawal(4, 1)];
    let leaked: &'static [Withdrawal] = Box::leak(Box::new(withdrawals));
    let change = |input: &mut BlockInput<'_>| input.withdrawals = Some(leaked);
    let (result, after) = execute(Fork::Shanghai, &rich(), change, &header, &[]).expect("a valid block");
    let first = after.accounts.get(&H160::repeat_byte(1)).expect("a recipient").info.balance;
    assert_eq!(first, U256::from(7_000_000_000u64));
    assert!(!after.accounts.contains_key(&H160::repeat_byte(2)), "nothing creates no account");
    let root = alloy_consensus::proofs::calculate_withdrawals_root(&withdrawals);
    assert_eq!(result.withdrawals_root.map(to_b256), Some(root));
}

#[test]
fn the_dao_is_drained() {
    let mut state = rich();
    for address in [dao::DRAINED[0], dao::DRAINED[115]] {
        state.insert(address, account(0, ether(7)), Bytes::new(), []);
    }
    let header = header(Fork::Homestead);
    let change = |input: &mut BlockInput<'_>| input.dao_fork = true;
    let (_, after) = execute(Fork::Dao, &state, change, &header, &[transfer(0, ether(1))]).expect("a valid block");
    let balance = |address: &H160| after.accounts.get(address).map_or(U256::zero(), |account| account.info.balance);
    assert_eq!(balance(&dao::REFUND_CONTRACT), ether(14));
    assert_eq!(balance(&dao::DRAINED[0]), U256::zero());
}

#[test]
fn system_calls_of_prague() {
    let header = header(Fork::Prague);
    // Stores the first word of its input at slot 0.
    const STORE: &[u8] = &[0x5f, 0x35, 0x5f, 0x55, 0x00];
    // Returns one byte, 0x07.
    const REQUEST: &[u8] = &[0x60, 0x07, 0x5f, 0x53, 0x60, 0x01, 0x5f, 0xf3];
    let mut state = rich();
    with_code(&mut state, requests::BEACON_ROOTS, STORE);
    with_code(&mut state, requests::HISTORY_STORAGE, STORE);

    let error = execute(Fork::Prague, &state, |_| {}, &header, &[]).map(drop);
    assert_eq!(error, Err(BlockError::SystemContractMissing(requests::WITHDRAWAL_REQUESTS)));
    let skip = |input: &mut BlockInput<'_>| input.missing_predeploy = MissingPredeploy::Skip;
    let (result, _) = execute(Fork::Prague, &state, skip, &header, &[]).expect("a valid block");
    assert_eq!(result.requests, Some(vec![]));

    with_code(&mut state, requests::WITHDRAWAL_REQUESTS, REQUEST);
    with_code(&mut state, requests::CONSOLIDATION_REQUESTS, &[0x00]);
    let (result, after) = execute(Fork::Prague, &state, |_| {}, &header, &[]).expect("a valid block");
    let slot =
        |address: H160| after.accounts.get(&address).and_then(|account| account.storage.get(&U256::zero()).copied());
    assert_eq!(slot(requests::BEACON_ROOTS), Some(U256::from_big_endian(&[3; 32])));
    assert_eq!(slot(requests::HISTORY_STORAGE), Some(U256::from_big_endian(&header.parent_hash.0)));
    let requests = vec![Bytes::from_static(&[1, 7])];
    assert_eq!(result.requests_hash, Some(requests_hash(&requests)));
    assert_eq!(result.requests, Some(requests));
    assert!(result.steps > 0);

    with_code(&mut state, requests::CONSOLIDATION_REQUESTS, &[0xfe]);
    let error = execute(Fork::Prague, &state, |_| {}, &header, &[]).map(drop);
    let contract = requests::CONSOLIDATION_REQUESTS;
    assert!(
        matches!(error, Err(BlockError::SystemCallFailed { contract: got, status: Status::Halt(_) }) if got == contract)
    );
}

#[test]
fn a_result_is_compared_with_its_header() {
    let fork = Fork::Shanghai;
    let mut header = header(fork);
    let transactions: [SignedTransaction; 1] = [transfer(0, ether(1))];
    let leaked: &'static [Withdrawal] = &[];
    let change = |input: &mut BlockInput<'_>| input.withdrawals = Some(leaked);
    let (result, after) = execute(fork, &rich(), change, &header, &transactions).expect("a valid block");
    header.gas_used = result.gas_used;
    header.transactions_root = to_b256(result.transactions_root);
    header.receipts_root = to_b256(result.receipts_root.expect("known from Byzantium on"));
    assert_eq!(verify_result(&header, &result), Ok(()));
    let field = |change: fn(&mut Header)| {
        let mut header = header.clone();
        change(&mut header);
        verify_result(&header, &result).expect_err("a wrong field").field
    };
    assert_eq!(field(|header| header.gas_used += 1), HeaderField::GasUsed);
    assert_eq!(field(|header| header.transactions_root.0[0] ^= 1), HeaderField::TransactionsRoot);
    assert_eq!(field(|header| header.receipts_root.0[0] ^= 1), HeaderField::ReceiptsRoot);
    assert_eq!(field(|header| header.logs_bloom.0.0[9] ^= 1), HeaderField::LogsBloom);
    assert_eq!(field(|header| header.withdrawals_root = None), HeaderField::WithdrawalsRoot);
    assert_eq!(field(|header| header.requests_hash = Some(header.state_root)), HeaderField::RequestsHash);
    assert_eq!(field(|header| header.blob_gas_used = Some(1)), HeaderField::BlobGasUsed);
    let root = crate::trie::state_root(&after);
    assert!(Mismatch::check_state_root(&header, root).is_err());
    header.state_root = to_b256(root);
    assert_eq!(Mismatch::check_state_root(&header, root), Ok(()));
    assert!(verify_ommers_hash(&header, &[]).is_ok());
    assert!(verify_ommers_hash(&header, std::slice::from_ref(&header)).is_err());
}

// Bytes.

#[test]
fn blocks_are_decoded_strictly() {
    let header = header(Fork::Shanghai);
    let mut typed = transfer(1, U256::one()).transaction;
    typed.transaction_type = TransactionType::DynamicFee;
    typed.chain_id = Some(1);
    let typed =
        SignedTransaction::new(typed, crate::load::transaction::Signature { r: 1.into(), s: 1.into(), odd_y: true });
    let legacy = transfer(0, ether(1));
    let encode = |parts: &[Vec<u8>]| {
        let payload = parts.concat();
        let mut out = vec![];
        alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
        [out, payload].concat()
    };
    let wrapped = alloy_rlp::encode(&typed.encoded[..]);
    let transactions = encode(&[legacy.encoded.to_vec(), wrapped]);
    let parts = [alloy_rlp::encode(&header), transactions, vec![0xc0], vec![0xc0]];
    let bytes = encode(&parts);
    let block = decode_block(&bytes).expect("a block");
    assert_eq!(block.hash, from_b256(header.hash_slow()));
    assert_eq!(block.header, header);
    assert_eq!(block.transactions.iter().map(|one| one.hash).collect::<Vec<_>>(), [legacy.hash, typed.hash]);
    assert_eq!(block.withdrawals, Some(vec![]));
    assert_eq!(from_word(block.header.difficulty), U256::zero());
    assert_eq!(decode_block(&encode(&parts[..3])).expect("a block").withdrawals, None);

    assert!(decode_block(&[bytes.clone(), vec![0]].concat()).is_err());
    assert!(decode_block(&encode(&[&parts[..], &[vec![0xc0]]].concat())).is_err());
    // A legacy transaction in a string, and a typed one bare, are other encodings of the same.
    let wrapped_legacy = encode(&[alloy_rlp::encode(&legacy.encoded[..])]);
    assert!(decode_block(&encode(&[parts[0].clone(), wrapped_legacy, vec![0xc0]])).is_err());
    assert!(decode_block(&encode(&[parts[0].clone(), encode(&[typed.encoded.to_vec()]), vec![0xc0]])).is_err());
    for length in 0..bytes.len() {
        assert!(decode_block(&bytes[..length]).is_err());
    }
    for index in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[index] ^= 0x55;
        let _ = decode_block(&damaged);
    }
}
