//! What each transaction changed, and the block itself.

use super::column::Batch;
use super::rows::Executed;
use super::{BalanceDiffRow, CodeDiffRow, NonceDiffRow, Selection, StorageDiffRow, Table};
use isolane_spec::{AccountDiff, Bytes, H256, KECCAK_EMPTY, U256, word};
use std::collections::HashMap;

/// Who changed something: a transaction, or the block itself.
#[derive(Clone, Copy)]
struct Author {
    index: Option<u32>,
    hash: Option<H256>,
}

#[derive(Default)]
struct Lists {
    balances: Vec<BalanceDiffRow>,
    nonces: Vec<NonceDiffRow>,
    codes: Vec<CodeDiffRow>,
    storage: Vec<StorageDiffRow>,
}

/// The codes that the block itself brought, for those that change again in it.
struct Codes<'a> {
    executed: &'a Executed<'a>,
    new: HashMap<H256, Bytes>,
}

impl Codes<'_> {
    fn get(&self, hash: H256) -> Option<Bytes> {
        if hash == KECCAK_EMPTY {
            return Some(Bytes::new());
        }
        self.new.get(&hash).cloned().or_else(|| self.executed.state.code(&hash).ok())
    }
}

/// The tables of state diffs that are asked for.
pub(super) fn state_diffs(selection: Selection, executed: &Executed<'_>, block_number: u32) -> Vec<Batch> {
    let mut lists = Lists::default();
    let mut codes = Codes { executed, new: HashMap::new() };
    let itself = Author { index: None, hash: None };
    let mut add = |author: Author, diff: &[AccountDiff]| {
        let mut accounts: Vec<&AccountDiff> = diff.iter().collect();
        accounts.sort_by_key(|account| account.address);
        for account in accounts {
            one(&mut lists, &mut codes, (block_number, executed.chain_id), author, account);
        }
    };
    add(itself, &executed.result.diff_before);
    let transactions = executed.signed.iter().zip(&executed.result.outcomes);
    for (index, (signed, outcome)) in (0u32..).zip(transactions) {
        add(Author { index: Some(index), hash: Some(signed.hash) }, &outcome.diff);
    }
    add(itself, &executed.result.diff_after);
    let mut batches = Vec::new();
    if selection.has(Table::BalanceDiffs) {
        batches.push(Batch::of(lists.balances));
    }
    if selection.has(Table::NonceDiffs) {
        batches.push(Batch::of(lists.nonces));
    }
    if selection.has(Table::CodeDiffs) {
        batches.push(Batch::of(lists.codes));
    }
    if selection.has(Table::StorageDiffs) {
        batches.push(Batch::of(lists.storage));
    }
    batches
}

fn one(lists: &mut Lists, codes: &mut Codes<'_>, place: (u32, u64), author: Author, account: &AccountDiff) {
    let (block_number, chain_id) = place;
    let Author { index: transaction_index, hash: transaction_hash } = author;
    let address = account.address;
    let (before, after) = (account.before.unwrap_or_default(), account.after.unwrap_or_default());
    if before.balance != after.balance {
        let (from_value, to_value) = (before.balance, after.balance);
        lists.balances.push(BalanceDiffRow {
            block_number,
            transaction_index,
            transaction_hash,
            address,
            from_value,
            to_value,
            chain_id,
        });
    }
    if before.nonce != after.nonce {
        let (from_value, to_value) = (before.nonce, after.nonce);
        lists.nonces.push(NonceDiffRow {
            block_number,
            transaction_index,
            transaction_hash,
            address,
            from_value,
            to_value,
            chain_id,
        });
    }
    if before.code_hash != after.code_hash {
        let to_value = account.code.clone().unwrap_or_default();
        let from_value = codes.get(before.code_hash);
        codes.new.insert(after.code_hash, to_value.clone());
        lists.codes.push(CodeDiffRow {
            block_number,
            transaction_index,
            transaction_hash,
            address,
            from_value,
            to_value,
            chain_id,
        });
    }
    let value = |number: &U256| word::to_hash(number);
    lists.storage.extend(account.storage.iter().filter(|slot| slot.before != slot.after).map(|slot| StorageDiffRow {
        block_number,
        transaction_index,
        transaction_hash,
        address,
        slot: value(&slot.key),
        from_value: value(&slot.before),
        to_value: value(&slot.after),
        chain_id,
    }));
}
