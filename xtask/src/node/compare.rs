//! What isolane and the node say of one transaction, field by field.

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A transaction of a block.
pub struct Place<'a> {
    pub number: u64,
    pub transaction: &'a Value,
    pub miner: &'a Value,
}

impl Place<'_> {
    fn name(&self) -> String {
        format!("block {}, {}", self.number, self.transaction["hash"])
    }

    fn delegates(&self) -> bool {
        self.transaction["authorizationList"].is_array()
    }
}

fn number(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => number.as_i64().map(i128::from),
        Value::String(text) => i128::from_str_radix(text.strip_prefix("0x")?, 16).ok(),
        _ => None,
    }
}

/// What kinds of transactions there were: a chain that lacks one proves less than it should.
#[derive(Default)]
pub struct Kinds(BTreeSet<&'static str>);

/// What a chain has to have.
const KINDS: [&str; 9] =
    ["blob", "call", "create", "delegation", "failure", "inner creation", "inner revert", "log", "transfer"];

impl Kinds {
    pub fn see(&mut self, transaction: &Value, receipt: &Value, traced: &Value) {
        let mut add = |kind, is: bool| {
            if is {
                self.0.insert(kind);
            }
        };
        let trace = &traced["result"];
        let (inner, input) = (trace["calls"].as_array(), &transaction["input"]);
        let mut below: Vec<&Value> = inner.into_iter().flatten().collect();
        let mut next = 0;
        while let Some(call) = below.get(next).copied() {
            below.extend(call["calls"].as_array().into_iter().flatten());
            next += 1;
        }
        add("blob", transaction["type"] == "0x3");
        add("delegation", transaction["type"] == "0x4");
        add("create", transaction["to"].is_null());
        add("transfer", *input == "0x" && transaction["value"] != "0x0" && inner.is_none());
        add("call", inner.is_some());
        add("failure", receipt["status"] == "0x0");
        add("log", receipt["logs"].as_array().is_some_and(|logs| !logs.is_empty()));
        add("inner creation", below.iter().any(|call| call["type"] == "CREATE" || call["type"] == "CREATE2"));
        add("inner revert", receipt["status"] == "0x1" && below.iter().any(|call| !call["error"].is_null()));
    }

    pub fn are_all_there(&self) -> Result<()> {
        let missing: Vec<&str> = KINDS.into_iter().filter(|kind| !self.0.contains(kind)).collect();
        ensure!(missing.is_empty(), "the chain has no {}: see testdata/make/record.mjs", missing.join(", no "));
        Ok(())
    }
}

/// A line of `--out` with a receipt of the node; and what anvil refunded that the specs do not, which only a delegation may explain.
/// `refunded`: the same of the transactions before it in the block.
pub fn receipt(place: &Place<'_>, ours: &Value, theirs: &Value, refunded: i128) -> (Option<String>, i128) {
    let gas = |value: &Value| number(&value["gasUsed"]);
    let more = match (gas(ours), gas(theirs)) {
        (Some(ours), Some(theirs)) if place.delegates() => ours - theirs,
        _ => 0,
    };
    let differs = |field: &str, a: &Value, b: &Value| Some(format!("{}: {field}: {a} here, {b} there", place.name()));
    if ours["transactionHash"] != place.transaction["hash"] {
        return (differs("transactionHash", &ours["transactionHash"], &place.transaction["hash"]), more);
    }
    let fields =
        ["blockNumber", "blockHash", "transactionIndex", "transactionHash", "type", "status", "effectiveGasPrice"];
    for field in fields {
        if ours[field] != theirs[field] {
            return (differs(field, &ours[field], &theirs[field]), more);
        }
    }
    // The specs give a contract's address to creations alone; so does anvil.
    if ours["contractAddress"] != theirs["contractAddress"] {
        return (differs("contractAddress", &ours["contractAddress"], &theirs["contractAddress"]), more);
    }
    for (field, more) in [("gasUsed", more), ("cumulativeGasUsed", refunded + more)] {
        let (a, b) = (number(&ours[field]), number(&theirs[field]));
        if a.is_none() || a != b.map(|b| b + more) {
            return (differs(field, &ours[field], &theirs[field]), more);
        }
    }
    let none = Vec::new();
    let logs = |value: &Value| value["logs"].as_array().unwrap_or(&none).clone();
    let (a, b) = (logs(ours), logs(theirs));
    let same_log = |(a, b): (&Value, &Value)| {
        ["address", "topics", "data", "logIndex"].into_iter().all(|field| a[field] == b[field])
    };
    if a.len() != b.len() || !a.iter().zip(&b).all(same_log) {
        return (differs("logs", &ours["logs"], &theirs["logs"]), more);
    }
    (None, more)
}

/// A line of a trace of calls with what the node's callTracer says.
pub fn calls(place: &Place<'_>, ours: &Value, theirs: &Value) -> Option<String> {
    let mut name = place.name();
    if ours["hash"] != theirs["txHash"] {
        return Some(format!("{name}: the calls of {}", ours["hash"]));
    }
    // anvil says of the first call how much gas the block had used, and gas of the transaction where isolane has that of the call.
    let mut ours = ours["callTree"].clone();
    for field in ["gas", "gasUsed"] {
        ours[field] = theirs["result"][field].clone();
    }
    (!same(&ours, &theirs["result"], &mut name)).then(|| format!("the calls differ: {name}"))
}

/// Whether two calls and all below them are equal; else `place` says where they are not.
fn same(ours: &Value, theirs: &Value, place: &mut String) -> bool {
    let empty = |value: &Value| value.is_null() || *value == "0x";
    for field in ["type", "from", "to", "value", "gas", "gasUsed", "input", "output"] {
        let (a, b) = (&ours[field], &theirs[field]);
        if a != b && !(empty(a) && empty(b)) {
            *place += &format!(": {field}: {a} here, {b} there");
            return false;
        }
    }
    // Each has words of its own for what went wrong.
    if ours["error"].is_null() != theirs["error"].is_null() {
        *place += &format!(": error: {} here, {} there", ours["error"], theirs["error"]);
        return false;
    }
    let none = Vec::new();
    let calls = |value: &Value| value["calls"].as_array().cloned().unwrap_or_else(|| none.clone());
    let (a, b) = (calls(ours), calls(theirs));
    if a.len() != b.len() {
        *place += &format!(": {} calls here, {} there", a.len(), b.len());
        return false;
    }
    a.iter().zip(&b).enumerate().all(|(index, (a, b))| {
        let before = place.len();
        *place += &format!("/{index}");
        let equal = same(a, b, place);
        if equal {
            place.truncate(before);
        }
        equal
    })
}

/// What changed, by account and field: before and after, numbers without leading zeros.
type Changes = BTreeMap<(String, String), (String, String)>;

fn plain(value: &Value, empty: &str) -> String {
    match value {
        Value::Null => empty.to_owned(),
        Value::Number(number) => format!("{:x}", number.as_u64().unwrap_or_default()),
        Value::String(text) => {
            let digits = text.trim_start_matches("0x").trim_start_matches('0');
            if digits.is_empty() { "0".to_owned() } else { digits.to_ascii_lowercase() }
        }
        other => other.to_string(),
    }
}

/// A line of a trace of changes with what the node's prestateTracer says in diffMode. `refunded`: whether anvil refunded what the specs
/// do not, so that the sender paid less and the block's miner got less. `since`: whether that was so for this transaction or one before it in
/// the block: then balances are compared by how much they changed.
pub fn changes(place: &Place<'_>, ours: &Value, theirs: &Value, refunded: bool, since: bool) -> Result<Option<String>> {
    let name = place.name();
    if ours["hash"] != theirs["txHash"] {
        return Ok(Some(format!("{name}: the changes of {}", ours["hash"])));
    }
    let cleared = delegations(&theirs["result"]["pre"])?;
    let (mut ours, mut theirs) = (of_isolane(&ours["stateDiff"])?, of_the_node(&theirs["result"])?);
    // diffMode leaves out code that became none as it does code that stayed. Only a delegation's does.
    for (key, code) in cleared {
        let change = (code, "none".to_owned());
        if ours.get(&key) == Some(&change) && !theirs.contains_key(&key) {
            theirs.insert(key, change);
        }
    }
    if refunded {
        for address in [&place.transaction["from"], place.miner] {
            let key = (address.as_str().unwrap_or_default().to_ascii_lowercase(), "balance".to_owned());
            ours.remove(&key);
            theirs.remove(&key);
        }
    }
    if since {
        for changes in [&mut ours, &mut theirs] {
            for ((_, field), change) in changes.iter_mut().filter(|((_, field), _)| field == "balance") {
                let number = |digits: &str| {
                    i128::from_str_radix(digits, 16)
                        .with_context(|| format!("{field} {digits}: expected less than 2^127"))
                };
                *change = ("0".to_owned(), (number(&change.1)? - number(&change.0)?).to_string());
            }
        }
    }
    let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let differs = keys.into_iter().find(|key| ours.get(*key) != theirs.get(*key));
    Ok(differs.map(|key| {
        let show = |changes: &Changes| format!("{:?}", changes.get(key));
        format!("the changes differ: {name}: {} of {}: {} here, {} there", key.1, key.0, show(&ours), show(&theirs))
    }))
}

/// The delegations (EIP-7702) that accounts had, as the code field of their changes and its hash.
fn delegations(pre: &Value) -> Result<Vec<((String, String), String)>> {
    let mut found = Vec::new();
    for (address, account) in pre.as_object().into_iter().flatten() {
        let Some(code) = account["code"].as_str().filter(|code| code.starts_with("0xef0100")) else { continue };
        let code = isolane::load::hex::bytes(code)
            .map_err(|expected| anyhow::anyhow!("code of {address}: expected {expected}"))?;
        found.push(((address.to_ascii_lowercase(), "code".to_owned()), hash(&code)));
    }
    Ok(found)
}

fn of_isolane(diff: &Value) -> Result<Changes> {
    let mut changes = Changes::new();
    for (address, account) in diff.as_object().context("isolane traced no stateDiff")? {
        let mut add = |field: String, change: &Value| {
            let [from, to] = ["from", "to"].map(|side| plain(&change[side], "0"));
            if from != to {
                changes.insert((address.to_ascii_lowercase(), field), (from, to));
            }
        };
        for field in ["balance", "nonce"] {
            if !account[field].is_null() {
                add(field.to_owned(), &account[field]);
            }
        }
        if !account["codeHash"].is_null() {
            let [from, to] = ["from", "to"].map(|side| hash_of_code(&account["codeHash"][side]));
            if from != to {
                changes.insert((address.to_ascii_lowercase(), "code".to_owned()), (from, to));
            }
        }
        for (slot, change) in account["storage"].as_object().into_iter().flatten() {
            let [from, to] = ["from", "to"].map(|side| plain(&change[side], "0"));
            let slot = format!("slot {}", plain(&Value::String(slot.clone()), "0"));
            changes.insert((address.to_ascii_lowercase(), slot), (from, to));
        }
    }
    Ok(changes)
}

/// The hash of no code is that of an account that has none.
fn hash_of_code(hash: &Value) -> String {
    const NONE: &str = "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
    match hash.as_str() {
        None | Some(NONE) => "none".to_owned(),
        Some(hash) => hash.to_owned(),
    }
}

/// `pre` has all that the changed accounts were, and the changed slots that held something; `post` what they became, without what did
/// not change and without slots that hold nothing any more. An account that is only in `pre` is gone.
fn of_the_node(result: &Value) -> Result<Changes> {
    let part = |name: &str| result[name].as_object().with_context(|| format!("the node's diffMode has no {name}"));
    let (pre, post) = (part("pre")?, part("post")?);
    let mut changes = Changes::new();
    let addresses: BTreeSet<&String> = pre.keys().chain(post.keys()).collect();
    for address in addresses {
        let (before, after) = (pre.get(address), post.get(address));
        let mut add = |field: String, from: String, to: String| {
            if from != to {
                changes.insert((address.to_ascii_lowercase(), field), (from, to));
            }
        };
        let field =
            |account: Option<&Value>, field: &str| account.map_or(Value::Null, |account| account[field].clone());
        for name in ["balance", "nonce"] {
            let from = plain(&field(before, name), "0");
            let to = match (after, field(after, name)) {
                (Some(_), Value::Null) => from.clone(),
                (_, value) => plain(&value, "0"),
            };
            add(name.to_owned(), from, to);
        }
        let code = |value: &Value| match value.as_str() {
            None | Some("0x") => Ok("none".to_owned()),
            Some(code) => isolane::load::hex::bytes(code).map(|code| hash(&code)),
        };
        let read =
            |value: Value| code(&value).map_err(|expected| anyhow::anyhow!("code of {address}: expected {expected}"));
        let from = read(field(before, "code"))?;
        let to = match (after, field(after, "code")) {
            (Some(_), Value::Null) => from.clone(),
            (_, value) => read(value)?,
        };
        add("code".to_owned(), from, to);
        let slots = |account: Option<&Value>| account.and_then(|account| account["storage"].as_object()).cloned();
        let (before, after) = (slots(before).unwrap_or_default(), slots(after).unwrap_or_default());
        let value = |slots: &Map<String, Value>, slot: &str| plain(slots.get(slot).unwrap_or(&Value::Null), "0");
        for slot in before.keys().chain(after.keys()) {
            let name = format!("slot {}", plain(&Value::String(slot.clone()), "0"));
            add(name, value(&before, slot), value(&after, slot));
        }
    }
    Ok(changes)
}

fn hash(code: &[u8]) -> String {
    format!("{:?}", isolane::convert::keccak(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn changes_are_told_apart() {
        let transaction = json!({"hash": "0x1", "from": "0xaa"});
        let place = Place { number: 1, transaction: &transaction, miner: &json!("0xcc") };
        let ours = json!({"hash": "0x1", "stateDiff": {
            "0xaa": {"nonce": {"from": 1, "to": 2}, "balance": {"from": "0x10", "to": "0xf"}},
            "0xbb": {"storage": {"0x01": {"from": "0x0", "to": "0x05"}, "0x02": {"from": "0x07", "to": "0x00"}}},
        }});
        let theirs = json!({"txHash": "0x1", "result": {
            "pre": {"0xaa": {"balance": "0x10", "nonce": 1}, "0xbb": {"balance": "0x3", "storage": {"0x02": "0x7"}}},
            "post": {"0xaa": {"balance": "0xf", "nonce": 2}, "0xbb": {"storage": {"0x01": "0x5"}}},
        }});
        assert_eq!(changes(&place, &ours, &theirs, false, false).expect("both are well-formed"), None);
        for (path, wrong) in [
            ("/result/post/0xaa/nonce", json!(3)),
            ("/result/post/0xaa/balance", json!("0xe")),
            ("/result/post/0xbb/storage/0x01", json!("0x6")),
            ("/result/pre/0xbb/storage/0x02", json!("0x8")),
            ("/result/post/0xbb/storage", json!({"0x01": "0x5", "0x02": "0x1"})),
        ] {
            let mut other = theirs.clone();
            *other.pointer_mut(path).expect(path) = wrong;
            for since in [false, true] {
                let problem = changes(&place, &ours, &other, false, since).expect("both are well-formed");
                assert!(problem.is_some(), "{path}");
            }
        }
    }

    #[test]
    fn a_delegation_may_be_cleared_without_a_word() {
        let transaction = json!({"hash": "0x1", "from": "0xaa"});
        let place = Place { number: 1, transaction: &transaction, miner: &Value::Null };
        let code = format!("0xef0100{}", "11".repeat(20));
        let cleared = |code: &str| {
            let from = hash(&isolane::load::hex::bytes(code).expect("hex"));
            json!({"hash": "0x1", "stateDiff": {"0xbb": {"nonce": {"from": 1, "to": 2}, "codeHash": {"from": from, "to": null}}}})
        };
        let theirs = |code: &str| {
            let pre = json!({"0xbb": {"nonce": 1, "code": code}});
            json!({"txHash": "0x1", "result": {"pre": pre, "post": {"0xbb": {"nonce": 2}}}})
        };
        assert_eq!(changes(&place, &cleared(&code), &theirs(&code), false, false).expect("well-formed"), None);
        let other = code.replace("11", "22");
        assert!(changes(&place, &cleared(&code), &theirs(&other), false, false).expect("well-formed").is_some());
        assert!(changes(&place, &cleared("0x6001"), &theirs("0x6001"), false, false).expect("well-formed").is_some());
    }

    #[test]
    fn receipts_are_told_apart() {
        let transaction = json!({"hash": "0x1", "from": "0xaa"});
        let place = Place { number: 1, transaction: &transaction, miner: &Value::Null };
        let receipt_of = |gas: &str| json!({"transactionHash": "0x1", "status": "0x1", "gasUsed": gas, "cumulativeGasUsed": gas, "logs": [{"address": "0x5"}]});
        assert_eq!(receipt(&place, &receipt_of("0x5"), &receipt_of("0x5"), 0), (None, 0));
        assert!(receipt(&place, &receipt_of("0x5"), &receipt_of("0x6"), 0).0.is_some());
        assert!(receipt(&place, &receipt_of("0x5"), &receipt_of("0x5"), 1).0.is_some());
        let mut other = receipt_of("0x5");
        other["logs"][0]["address"] = json!("0x6");
        assert!(receipt(&place, &receipt_of("0x5"), &other, 0).0.is_some());
    }
}
