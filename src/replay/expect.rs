//! Compares executions with the receipts and the post-state that a pack records, field by field, to name the first
//! difference.

use super::mismatch::{Mismatch, show_bytes};
use crate::load::json_rpc::{RpcAccount, RpcLog, RpcReceipt};
use isolane_spec::{AccountDiff, AccountInfo, Bytes, H160, H256, Log, StateView, U256};
use std::collections::{HashMap, HashSet};

/// What a receipt is compared with.
#[derive(Clone, Debug)]
pub struct Executed<'a> {
    /// Index and hash of the transaction.
    pub transaction: (usize, H256),
    /// Hash of the block.
    pub block_hash: H256,
    /// Number of the block.
    pub block_number: u64,
    /// Who sent it.
    pub sender: H160,
    /// Whom it called.
    pub to: Option<H160>,
    /// Whether it succeeded; unknown before Byzantium, where receipts do not say.
    pub success: Option<bool>,
    /// The envelope type.
    pub transaction_type: u8,
    /// Gas of this transaction.
    pub gas_used: u64,
    /// Gas of the block so far.
    pub cumulative_gas_used: u64,
    /// Its logs.
    pub logs: &'a [Log],
    /// Bloom filter of its logs.
    pub logs_bloom: &'a [u8; 256],
    /// The address that a creation is made at, whether it succeeds or not.
    pub contract_address: Option<H160>,
    /// What it paid per gas.
    pub effective_gas_price: U256,
    /// The state root after it, where it was computed.
    pub state_root: Option<H256>,
}

fn hex(value: u64) -> String {
    format!("{value:#x} ({value})")
}

/// The first field in which a receipt differs.
#[must_use]
pub fn first_difference(expected: &RpcReceipt, executed: &Executed<'_>) -> Option<Mismatch> {
    let differ = |field: &str, expected: String, got: String| {
        Some(Mismatch::of_transaction(executed.transaction, field, expected, got))
    };
    if let Some(hash) = expected.transaction_hash
        && hash.0 != executed.transaction.1
    {
        return differ("transactionHash", format!("{:?}", hash.0), format!("{:?}", executed.transaction.1));
    }
    if let (Some(status), Some(success)) = (expected.status, executed.success)
        && (status.0 == 1) != success
    {
        return differ("status", status.0.to_string(), u8::from(success).to_string());
    }
    if let Some(gas) = expected.gas_used
        && gas.0 != executed.gas_used
    {
        return differ("gasUsed", hex(gas.0), hex(executed.gas_used));
    }
    if expected.cumulative_gas_used.0 != executed.cumulative_gas_used {
        return differ("cumulativeGasUsed", hex(expected.cumulative_gas_used.0), hex(executed.cumulative_gas_used));
    }
    if let Some(mut mismatch) = first_log_difference(&expected.logs, executed.logs) {
        mismatch.transaction = Some(executed.transaction);
        return Some(mismatch);
    }
    if let Some(bloom) = &expected.logs_bloom
        && bloom.0 != *executed.logs_bloom
    {
        return differ("logsBloom", show_bytes(&bloom.0), show_bytes(executed.logs_bloom));
    }
    let kind = expected.transaction_type.map_or(0, |value| value.0);
    if kind != u64::from(executed.transaction_type) {
        return differ("type", kind.to_string(), executed.transaction_type.to_string());
    }
    if let Some(address) = expected.contract_address
        && Some(address.0) != executed.contract_address
    {
        return differ("contractAddress", format!("{:?}", address.0), format!("{:?}", executed.contract_address));
    }
    if let Some(price) = expected.effective_gas_price
        && price.0 != executed.effective_gas_price
    {
        return differ("effectiveGasPrice", price.0.to_string(), executed.effective_gas_price.to_string());
    }
    if let Some(address) = expected.from
        && address.0 != executed.sender
    {
        return differ("from", format!("{:?}", address.0), format!("{:?}", executed.sender));
    }
    if let Some(address) = expected.to
        && Some(address.0) != executed.to
    {
        return differ("to", format!("{:?}", address.0), format!("{:?}", executed.to));
    }
    if let Some(index) = expected.transaction_index
        && usize::try_from(index.0) != Ok(executed.transaction.0)
    {
        return differ("transactionIndex", index.0.to_string(), executed.transaction.0.to_string());
    }
    if let Some(number) = expected.block_number
        && number.0 != executed.block_number
    {
        return differ("blockNumber", number.0.to_string(), executed.block_number.to_string());
    }
    if let Some(hash) = expected.block_hash
        && hash.0 != executed.block_hash
    {
        return differ("blockHash", format!("{:?}", hash.0), format!("{:?}", executed.block_hash));
    }
    if let (Some(root), Some(computed)) = (expected.root, executed.state_root)
        && root.0 != computed
    {
        return differ("root", format!("{:?}", root.0), format!("{computed:?}"));
    }
    None
}

/// The first difference between logs.
#[must_use]
pub fn first_log_difference(expected: &[RpcLog], got: &[Log]) -> Option<Mismatch> {
    if expected.len() != got.len() {
        return Some(Mismatch::of_block("logs", format!("{} logs", expected.len()), format!("{} logs", got.len())));
    }
    for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
        let field = |name: &str| format!("logs[{index}].{name}");
        if expected.address.0 != got.address {
            let (expected, got) = (format!("{:?}", expected.address.0), format!("{:?}", got.address));
            return Some(Mismatch::of_block(field("address"), expected, got));
        }
        if !expected.topics.iter().map(|topic| topic.0).eq(got.topics.iter().copied()) {
            let topics: Vec<H256> = expected.topics.iter().map(|topic| topic.0).collect();
            return Some(Mismatch::of_block(field("topics"), format!("{topics:?}"), format!("{:?}", got.topics)));
        }
        if expected.data.0 != got.data {
            return Some(Mismatch::of_block(field("data"), show_bytes(&expected.data.0), show_bytes(&got.data)));
        }
    }
    None
}

/// Compares net changes with the recorded post-state, both ways. `unknown` are accounts that the record leaves out.
#[must_use]
pub fn post_state_differences(
    expected: &[(H160, RpcAccount)],
    changes: &[AccountDiff],
    base: &dyn StateView,
    unknown: &HashSet<H160>,
) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    let by_address: HashMap<H160, &AccountDiff> = changes.iter().map(|change| (change.address, change)).collect();
    for (address, account) in expected {
        compare_account(*address, Some(account), by_address.get(address).copied(), base, &mut mismatches);
    }
    let named: HashSet<H160> = expected.iter().map(|(address, _)| *address).collect();
    for change in changes {
        if !named.contains(&change.address) && !unknown.contains(&change.address) {
            compare_account(change.address, None, Some(change), base, &mut mismatches);
        }
    }
    mismatches
}

fn compare_account(
    address: H160,
    expected: Option<&RpcAccount>,
    change: Option<&AccountDiff>,
    base: &dyn StateView,
    mismatches: &mut Vec<Mismatch>,
) {
    let field = |name: &str| format!("poststate.{address:?}.{name}");
    let unchanged = RpcAccount::default();
    let expected = expected.unwrap_or(&unchanged);
    let before = change.map_or_else(|| base.account(&address).ok().flatten(), |change| change.before);
    let after = change.map_or(before, |change| change.after);
    if expected.deleted {
        if after.is_some() {
            mismatches.push(Mismatch::of_block(field("deleted"), "no account", "an account"));
        }
        return;
    }
    let exists_before = before.is_some();
    let (before, now) = (before.unwrap_or_default(), after.unwrap_or_default());
    let balance = expected.balance.map_or(before.balance, |balance| balance.0);
    if balance != now.balance {
        mismatches.push(Mismatch::of_block(field("balance"), format!("{balance:#x}"), format!("{:#x}", now.balance)));
    }
    let nonce = expected.nonce.map_or(before.nonce, |nonce| nonce.0);
    if nonce != now.nonce {
        mismatches.push(Mismatch::of_block(field("nonce"), nonce, now.nonce));
    }
    compare_code(&field("code"), expected.code.as_ref().map(|code| &code.0), &before, &now, change, mismatches);
    if exists_before && after.is_none() && !before.is_empty() && mismatches.is_empty() {
        mismatches.push(Mismatch::of_block(field("deleted"), "an account", "no account"));
    }
    compare_storage(&address, expected, change, base, mismatches);
}

fn compare_code(
    field: &str,
    expected: Option<&Bytes>,
    before: &AccountInfo,
    now: &AccountInfo,
    change: Option<&AccountDiff>,
    mismatches: &mut Vec<Mismatch>,
) {
    match expected {
        None if before.code_hash != now.code_hash => {
            mismatches.push(Mismatch::of_block(field, "no change", format!("code of hash {:?}", now.code_hash)));
        }
        Some(code) => {
            let hash = crate::convert::keccak(code);
            if hash != now.code_hash {
                let got = change.and_then(|change| change.code.as_ref());
                let got = got.map_or_else(|| format!("code of hash {:?}", now.code_hash), |code| show_bytes(code));
                mismatches.push(Mismatch::of_block(field, show_bytes(code), got));
            }
        }
        None => {}
    }
}

fn compare_storage(
    address: &H160,
    expected: &RpcAccount,
    change: Option<&AccountDiff>,
    base: &dyn StateView,
    mismatches: &mut Vec<Mismatch>,
) {
    let field = |key: &U256| format!("poststate.{address:?}.storage[{key:#x}]");
    let changed: HashMap<U256, U256> =
        change.iter().flat_map(|change| &change.storage).map(|slot| (slot.key, slot.after)).collect();
    let wiped = change.is_some_and(|change| change.storage_wiped);
    for (key, value) in &expected.storage.0 {
        let got = match changed.get(key) {
            Some(value) => *value,
            None if wiped => U256::zero(),
            None => base.storage(address, key).unwrap_or_default(),
        };
        if value.0 != got {
            mismatches.push(Mismatch::of_block(field(key), format!("{:#x}", value.0), format!("{got:#x}")));
        }
    }
    let named: HashSet<&U256> = expected.storage.0.iter().map(|(key, _)| key).collect();
    for slot in change.iter().flat_map(|change| &change.storage) {
        // A wiped account lists all that is there now, changed or not.
        let before = if wiped { base.storage(address, &slot.key).unwrap_or_default() } else { slot.before };
        if before != slot.after && !named.contains(&slot.key) {
            let expected = format!("{before:#x} as before");
            mismatches.push(Mismatch::of_block(field(&slot.key), expected, format!("{:#x}", slot.after)));
        }
    }
}
