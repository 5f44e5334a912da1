//! The state before a block, put together from what a node tells about each of its transactions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// One account as `prestateTracer` reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Hex; absent = 0.
    pub balance: Option<String>,
    /// Absent = 0.
    pub nonce: Option<u64>,
    /// Hex; absent = none.
    pub code: Option<String>,
    /// Slots and values, 32 bytes each.
    pub storage: BTreeMap<String, String>,
}

impl Account {
    /// True without balance, nonce, code and storage.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.balance.as_deref().is_none_or(is_zero)
            && self.nonce.unwrap_or_default() == 0
            && self.code.as_deref().is_none_or(|code| code == "0x")
            && self.storage.values().all(|value| is_zero(value))
    }

    /// The account as the packs and `prestateTracer` write it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut map = Map::new();
        map.insert("balance".into(), json!(self.balance.as_deref().unwrap_or("0x0")));
        if let Some(nonce) = self.nonce.filter(|nonce| *nonce != 0) {
            map.insert("nonce".into(), json!(nonce));
        }
        if let Some(code) = self.code.as_deref().filter(|code| *code != "0x") {
            map.insert("code".into(), json!(code));
        }
        if !self.storage.is_empty() {
            map.insert("storage".into(), json!(self.storage));
        }
        Value::Object(map)
    }
}

/// Collects the state before a block. The first report of an account or slot is the state before the block, unless an
/// earlier transaction of the block made it: then the state before is empty, and later reports must not fill it.
#[derive(Debug, Default)]
pub struct PreState {
    accounts: BTreeMap<String, Account>,
    /// Accounts that a transaction of the block brought into being.
    made: BTreeSet<String>,
    /// Slots that were zero before the block.
    zero: BTreeSet<(String, String)>,
}

impl PreState {
    /// True if anything is known of the account.
    #[must_use]
    pub fn knows(&self, address: &str) -> bool {
        self.accounts.contains_key(address) || self.made.contains(address)
    }

    /// The codes seen so far.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.accounts.values().filter_map(|account| account.code.as_deref())
    }

    /// Adds an account whose state before the block is known; it wins over all that comes later.
    pub fn insert(&mut self, address: &str, account: Account) {
        self.accounts.entry(address.to_ascii_lowercase()).or_insert(account);
    }

    /// Adds one transaction's `prestateTracer` result. Transactions must come in block order.
    ///
    /// # Errors
    /// A text that says where the result is not what that tracer gives.
    pub fn merge(&mut self, result: &Value) -> Result<(), String> {
        for (address, value) in object(result, "result")? {
            let address = address.to_ascii_lowercase();
            if self.made.contains(&address) {
                continue;
            }
            let report = parse_account(&address, value)?;
            let known = self
                .accounts
                .entry(address.clone())
                .or_insert_with(|| Account { storage: BTreeMap::new(), ..report.clone() });
            for (slot, value) in report.storage {
                if !self.zero.contains(&(address.clone(), slot.clone())) {
                    known.storage.entry(slot).or_insert(value);
                }
            }
        }
        Ok(())
    }

    /// Adds one transaction's result in `diffMode`, after [`Self::merge`] of the same transaction: what it made is
    /// known to have been empty before.
    ///
    /// # Errors
    /// A text that says where the result is not what that tracer gives.
    pub fn merge_made(&mut self, diff: &Value) -> Result<(), String> {
        let part = |name: &str| diff.get(name).ok_or_else(|| format!("no `{name}` in a diffMode result"));
        let (pre, post) = (object(part("pre")?, "pre")?, object(part("post")?, "post")?);
        for (address, value) in post {
            let lower = address.to_ascii_lowercase();
            let before = pre.get(address);
            if before.is_none() && !self.accounts.contains_key(&lower) {
                self.made.insert(lower);
                continue;
            }
            let slots_before = before.and_then(|account| account.get("storage"));
            for slot in value.get("storage").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
                let reported = slots_before.is_some_and(|slots| slots.get(slot).is_some());
                let known = self.accounts.get(&lower).is_some_and(|account| account.storage.contains_key(slot));
                if !reported && !known {
                    self.zero.insert((lower.clone(), slot.to_ascii_lowercase()));
                }
            }
        }
        Ok(())
    }

    /// True if an account holds nothing: whether it exists cannot be told from what the tracer reports.
    #[must_use]
    pub fn has_empty_accounts(&self) -> bool {
        self.accounts.values().any(Account::is_empty)
    }

    /// The merged state as the packs write it. Accounts that the block made and zero slots are left out. With
    /// `no_empty_accounts` (EIP-161) an account that holds nothing does not exist, and is written as `absent`: the
    /// refund of EIP-7702, for one, depends on it.
    #[must_use]
    pub fn to_json(&self, no_empty_accounts: bool) -> Value {
        let accounts = self.accounts.iter().map(|(address, account)| {
            let mut account = account.clone();
            account.storage.retain(|_, value| !is_zero(value));
            let mut json = account.to_json();
            if no_empty_accounts && account.is_empty() {
                json["absent"] = json!(true);
            }
            (address.clone(), json)
        });
        Value::Object(accounts.collect())
    }
}

fn is_zero(hex: &str) -> bool {
    hex.trim_start_matches("0x").bytes().all(|b| b == b'0')
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("`{what}` is not an object"))
}

fn parse_account(address: &str, value: &Value) -> Result<Account, String> {
    let text = |name: &str| match value.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(format!("{address}.{name}: expected a string, got {other}")),
    };
    let nonce = match value.get("nonce") {
        None => None,
        Some(nonce) => Some(quantity(nonce).ok_or_else(|| format!("{address}.nonce: expected a number, got {nonce}"))?),
    };
    let mut storage = BTreeMap::new();
    if let Some(slots) = value.get("storage") {
        for (slot, value) in object(slots, "storage")? {
            let value =
                value.as_str().ok_or_else(|| format!("{address}.storage.{slot}: expected a string, got {value}"))?;
            storage.insert(slot.to_ascii_lowercase(), value.to_owned());
        }
    }
    Ok(Account { balance: text("balance")?, nonce, code: text("code")?, storage })
}

/// A JSON number or a hex quantity.
#[must_use]
pub fn quantity(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => u64::from_str_radix(text.strip_prefix("0x")?, 16).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_report_wins_and_slots_are_added() {
        let mut state = PreState::default();
        state.merge(&json!({"0xAA": {"balance": "0x5", "nonce": 1, "storage": {"0x01": "0x0a"}}})).unwrap();
        state
            .merge(&json!({"0xaa": {"balance": "0x4", "nonce": 2, "storage": {"0x01": "0x0b", "0x02": "0x0c"}}}))
            .unwrap();
        let expected = json!({"0xaa": {"balance": "0x5", "nonce": 1, "storage": {"0x01": "0x0a", "0x02": "0x0c"}}});
        assert_eq!(state.to_json(true), expected);
    }

    #[test]
    fn what_the_block_made_stays_empty() {
        let mut state = PreState::default();
        // Transaction 0 creates 0xcc and writes slot 1 of 0xaa, neither of which its own report shows.
        state.merge(&json!({"0xaa": {"balance": "0x5"}})).unwrap();
        let post = json!({"0xcc": {"code": "0x00", "nonce": 1}, "0xaa": {"storage": {"0x01": "0x09"}}});
        state.merge_made(&json!({"pre": {"0xaa": {"balance": "0x5"}}, "post": post})).unwrap();
        // Transaction 1 sees both.
        state
            .merge(
                &json!({"0xcc": {"code": "0x00", "nonce": 1}, "0xaa": {"balance": "0x5", "storage": {"0x01": "0x09"}}}),
            )
            .unwrap();
        assert_eq!(state.to_json(true), json!({"0xaa": {"balance": "0x5"}}));
        assert!(state.knows("0xcc"));
    }

    #[test]
    fn an_account_that_holds_nothing_is_absent_where_empty_accounts_are_none() {
        let mut state = PreState::default();
        state.merge(&json!({"0xaa": {"balance": "0x0", "storage": {"0x01": "0x00"}}, "0xbb": {"balance": "0x0", "nonce": 1}})).unwrap();
        assert!(state.has_empty_accounts());
        let old = json!({"0xaa": {"balance": "0x0"}, "0xbb": {"balance": "0x0", "nonce": 1}});
        assert_eq!(state.to_json(false), old);
        let new = json!({"0xaa": {"balance": "0x0", "absent": true}, "0xbb": {"balance": "0x0", "nonce": 1}});
        assert_eq!(state.to_json(true), new);
    }

    #[test]
    fn malformed_results_are_errors() {
        let mut state = PreState::default();
        for bad in [
            json!([]),
            json!({"0xaa": {"balance": 5}}),
            json!({"0xaa": {"nonce": "5"}}),
            json!({"0xaa": {"storage": {"0x1": 1}}}),
        ] {
            assert!(state.merge(&bad).is_err(), "{bad}");
        }
        assert!(state.merge_made(&json!({"pre": {}})).is_err());
    }
}
