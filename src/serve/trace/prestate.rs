//! geth's `prestateTracer`: the accounts and slots that a transaction looked at, as they were before it, or what it changed.

use super::{number, text};
use crate::serve::jsonrpc::Failure;
use crate::serve::params::TracerConfigArgs;
use isolane_cpu::Observer;
use isolane_spec::{
    AccountDiff, AccountInfo, AccountRead, Bytes, H160, H256, KECCAK_EMPTY, Outcome, SlotRead, U256, word,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Collects what one transaction looked at.
#[derive(Debug, Default)]
pub struct Prestate {
    accounts: BTreeMap<H160, Option<AccountInfo>>,
    slots: BTreeMap<H160, BTreeMap<U256, U256>>,
}

impl Prestate {
    /// The accounts as they were before. `created` are those that the transaction made.
    ///
    /// # Errors
    /// When the state has not the code of an account.
    pub fn before(
        mut self,
        outcome: &Outcome,
        config: TracerConfigArgs,
        mut code: impl FnMut(&H256) -> Result<Bytes, Failure>,
    ) -> Result<Value, Failure> {
        let created = |address: &H160| {
            outcome.diff.iter().any(|diff| diff.address == *address && diff.before.is_none() && diff.code.is_some())
        };
        let accounts = std::mem::take(&mut self.accounts);
        let mut all = Map::new();
        for (address, info) in accounts.into_iter().filter(|(address, info)| info.is_some() || !created(address)) {
            let mut fields = fields(&info.unwrap_or_default(), config, &mut code)?;
            let slots = self.slots.remove(&address).unwrap_or_default();
            if !config.disable_storage && !slots.is_empty() {
                fields.insert("storage".into(), storage(slots.iter().map(|(key, value)| (*key, *value))));
            }
            all.insert(text(address), Value::Object(fields));
        }
        Ok(Value::Object(all))
    }
}

impl Observer for Prestate {
    fn account_read(&mut self, read: &AccountRead) {
        self.accounts.entry(read.address).or_insert(read.before);
    }

    fn slot_read(&mut self, read: &SlotRead) {
        self.slots.entry(read.address).or_default().entry(read.key).or_insert(read.before);
    }
}

/// What a transaction changed: the accounts concerned as they were, and what is new about them.
///
/// # Errors
/// When the state has not the code of an account.
pub fn difference(
    diff: &[AccountDiff],
    config: TracerConfigArgs,
    mut code: impl FnMut(&H256) -> Result<Bytes, Failure>,
) -> Result<Value, Failure> {
    let (mut pre, mut post) = (Map::new(), Map::new());
    for change in diff {
        let address = text(change.address);
        let slots = || change.storage.iter().filter(|_| !config.disable_storage);
        if let Some(before) = &change.before {
            let mut fields = fields(before, config, &mut code)?;
            let old: Vec<(U256, U256)> =
                slots().filter(|slot| !slot.before.is_zero()).map(|slot| (slot.key, slot.before)).collect();
            if !old.is_empty() {
                fields.insert("storage".into(), storage(old.into_iter()));
            }
            pre.insert(address.clone(), Value::Object(fields));
        }
        let Some(after) = &change.after else { continue };
        let before = change.before.unwrap_or_default();
        let mut fields = Map::new();
        if after.balance != before.balance {
            fields.insert("balance".into(), number(&after.balance));
        }
        if after.nonce != before.nonce {
            fields.insert("nonce".into(), json!(after.nonce));
        }
        if let (Some(code), false) = (&change.code, config.disable_code) {
            fields.insert("code".into(), super::data(code));
        }
        let new: Vec<(U256, U256)> =
            slots().filter(|slot| !slot.after.is_zero()).map(|slot| (slot.key, slot.after)).collect();
        if !new.is_empty() {
            fields.insert("storage".into(), storage(new.into_iter()));
        }
        post.insert(address, Value::Object(fields));
    }
    Ok(json!({"post": post, "pre": pre}))
}

fn fields(
    info: &AccountInfo,
    config: TracerConfigArgs,
    code: &mut impl FnMut(&H256) -> Result<Bytes, Failure>,
) -> Result<Map<String, Value>, Failure> {
    let mut fields = Map::new();
    fields.insert("balance".into(), number(&info.balance));
    if info.nonce > 0 {
        fields.insert("nonce".into(), json!(info.nonce));
    }
    if info.code_hash != KECCAK_EMPTY && !config.disable_code {
        fields.insert("code".into(), super::data(&code(&info.code_hash)?));
    }
    Ok(fields)
}

fn storage(slots: impl Iterator<Item = (U256, U256)>) -> Value {
    slots
        .map(|(key, value)| (text(word::to_hash(&key)), json!(text(word::to_hash(&value)))))
        .collect::<Map<_, _>>()
        .into()
}
