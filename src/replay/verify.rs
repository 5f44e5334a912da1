//! Compares what a block yielded with its header, its receipts and its post-state.

use super::block::{Base, Rooted};
use super::expect::{Executed, first_difference, post_state_differences};
use super::mismatch::{Mismatch, show_bytes};
use crate::block::{BlockResult, PostTransaction, Receipt, receipts_root};
use crate::load::block_pack::BlockPack;
use crate::load::transaction::SignedTransaction;
use crate::report::Checks;
use alloy_consensus::Header;
use isolane_spec::{Fork, H160, H256, MemoryState, Rules, Transaction, U256};
use std::collections::HashSet;
use std::fmt;

/// What was compared and what differs, the first difference in the order of execution first.
#[derive(Debug, Default)]
pub struct Verified {
    /// What was compared.
    pub checks: Checks,
    /// What differs.
    pub mismatches: Vec<Mismatch>,
    /// What could not be compared, and why.
    pub notes: Vec<String>,
}

/// What a transaction pays per gas (EIP-1559).
#[must_use]
pub fn effective_gas_price(transaction: &Transaction, base_fee: U256) -> U256 {
    let tip = transaction.max_fee_per_gas.saturating_sub(base_fee).min(transaction.max_priority_fee_per_gas);
    base_fee.saturating_add(tip).min(transaction.max_fee_per_gas)
}

/// The address of the contract that a transaction is to create.
#[must_use]
pub fn contract_address(transaction: &Transaction) -> Option<H160> {
    if transaction.to.is_some() {
        return None;
    }
    let sender = alloy_primitives::Address::new(transaction.sender.0);
    Some(H160(sender.create(transaction.nonce).into_array()))
}

impl Verified {
    fn compare<T: PartialEq + fmt::Debug>(&mut self, field: &str, expected: &T, got: &T) -> Option<bool> {
        let same = expected == got;
        if !same {
            self.mismatches.push(Mismatch::of_block(field, format!("{expected:?}"), format!("{got:?}")));
        }
        Some(same)
    }

    /// As [`Self::compare`] for values that a header may leave out: without one there is nothing to compare.
    fn compare_optional<T: PartialEq + fmt::Debug>(
        &mut self,
        field: &str,
        expected: Option<T>,
        got: Option<T>,
    ) -> Option<bool> {
        let expected = expected?;
        match got {
            Some(got) => self.compare(field, &expected, &got),
            None => {
                self.mismatches.push(Mismatch::of_block(field, format!("{expected:?}"), "nothing"));
                Some(false)
            }
        }
    }
}

/// Compares everything that the pack's data permits.
#[must_use]
pub fn block(
    pack: &BlockPack,
    header: &Header,
    rules: &Rules,
    signed: &[SignedTransaction],
    result: &BlockResult,
    base: &Base,
) -> Verified {
    let mut verified = Verified::default();
    verified.checks.header_hash = Some(true);
    recorded_receipts(&mut verified, pack, header, rules, signed, result);
    verified.checks.gas_used = verified.compare("gasUsed", &header.gas_used, &result.gas_used);
    let root = result.receipts_root.or_else(|| with_recorded_roots(pack, result));
    if let Some(root) = root {
        verified.checks.receipts_root = verified.compare("receiptsRoot", &H256(header.receipts_root.0), &root);
    }
    let bloom = &result.logs_bloom.0;
    verified.checks.logs_bloom = Some(header.logs_bloom.0.0 == *bloom);
    if header.logs_bloom.0.0 != *bloom {
        let (expected, got) = (show_bytes(&header.logs_bloom.0.0), show_bytes(bloom));
        verified.mismatches.push(Mismatch::of_block("logsBloom", expected, got));
    }
    let transactions_root = H256(header.transactions_root.0);
    verified.checks.transactions_root =
        verified.compare("transactionsRoot", &transactions_root, &result.transactions_root);
    let hash = |hash: alloy_primitives::B256| H256(hash.0);
    verified.checks.withdrawals_root =
        verified.compare_optional("withdrawalsRoot", header.withdrawals_root.map(hash), result.withdrawals_root);
    verified.checks.blob_gas_used =
        verified.compare_optional("blobGasUsed", header.blob_gas_used, Some(result.blob_gas_used));
    verified.checks.requests_hash =
        verified.compare_optional("requestsHash", header.requests_hash.map(hash), result.requests_hash);
    if let Some(post) = &pack.poststate {
        let unknown: HashSet<H160> = pack.prestate_unknown.iter().map(|address| address.0).collect();
        let differences = post_state_differences(&post.0, &result.diff, &*base.view, &unknown);
        verified.checks.post_state = Some(differences.is_empty());
        verified.mismatches.extend(differences);
    }
    let expected = H256(header.state_root.0);
    match &base.root {
        Rooted::Unknown => {}
        // Whom the missing ommers reward is not known.
        _ if pack.ommers_missing > 0 => {}
        Rooted::Complete(state) => {
            let mut state = MemoryState::clone(state);
            state.apply(&result.diff);
            verified.checks.state_root = verified.compare("stateRoot", &expected, &crate::trie::state_root(&state));
        }
        Rooted::Witness(state) | Rooted::Proofs(state) => match state.post_root(&result.diff) {
            Ok(root) => verified.checks.state_root = verified.compare("stateRoot", &expected, &root),
            Err(error) if matches!(base.root, Rooted::Proofs(_)) && error.is_of_a_sibling() => {
                verified.notes.push(format!("stateRoot: not verified: eth_getProof does not show all of it: {error}"));
            }
            Err(error) => {
                verified.checks.state_root = Some(false);
                verified.mismatches.push(Mismatch::of_block("stateRoot", format!("{expected:?}"), error));
            }
        },
    }
    verified
}

/// Before Byzantium receipts hold the state root after each transaction. Where the pack records them, the root of the
/// receipts verifies them together with all that the execution yielded.
fn with_recorded_roots(pack: &BlockPack, result: &BlockResult) -> Option<H256> {
    let recorded = pack.receipts.as_ref().filter(|recorded| recorded.len() == result.receipts.len())?;
    let receipts: Vec<Receipt> = result
        .receipts
        .iter()
        .zip(recorded)
        .map(|(receipt, recorded)| {
            let root = recorded.root?.0;
            Some(Receipt { post: PostTransaction::Root(Some(root)), ..*receipt })
        })
        .collect::<Option<_>>()?;
    Some(receipts_root(&receipts, &result.outcomes))
}

fn recorded_receipts(
    verified: &mut Verified,
    pack: &BlockPack,
    header: &Header,
    rules: &Rules,
    signed: &[SignedTransaction],
    result: &BlockResult,
) {
    let Some(recorded) = &pack.receipts else { return };
    if recorded.len() != signed.len() {
        let (expected, got) = (format!("{} transactions", recorded.len()), format!("{} transactions", signed.len()));
        verified.mismatches.push(Mismatch::of_block("receipts", expected, got));
        verified.checks.receipts = Some(false);
        return;
    }
    let base_fee = U256::from(header.base_fee_per_gas.unwrap_or_default());
    let executed = signed.iter().zip(&result.receipts).zip(&result.outcomes).zip(recorded);
    let first = executed.enumerate().find_map(|(index, (((signed, receipt), outcome), recorded))| {
        let executed = Executed {
            transaction: (index, signed.hash),
            block_hash: pack.block.hash.0,
            block_number: header.number,
            sender: signed.transaction.sender,
            to: signed.transaction.to,
            success: (rules.fork >= Fork::Byzantium).then(|| outcome.status.is_success()),
            transaction_type: signed.transaction.transaction_type as u8,
            gas_used: outcome.gas_used,
            cumulative_gas_used: receipt.cumulative_gas_used,
            logs: &outcome.logs,
            logs_bloom: &receipt.bloom.0,
            contract_address: contract_address(&signed.transaction),
            effective_gas_price: effective_gas_price(&signed.transaction, base_fee),
            state_root: match receipt.post {
                PostTransaction::Root(root) => root,
                PostTransaction::Success(_) => None,
            },
        };
        first_difference(recorded, &executed)
    });
    verified.checks.receipts = Some(first.is_none());
    verified.mismatches.extend(first);
}
