//! The transactions of an environment: in the manifest, or in files.

use super::Context;
use super::source::{ManifestError, Result, Value, nearest};
use crate::engine::Submission;
use crate::load::transaction::decode_transaction;
use crate::load::typed::Hex;
use alloy_dyn_abi::{DynSolType, JsonAbiExt as _, Specifier as _};
use alloy_json_abi::Function;
use isolane_spec::{AccessListItem, Bytes, EnvironmentId, Fork, H160, H256, Transaction, TransactionType, U256};
use serde::Deserialize;

/// The most times that one entry is repeated.
const MAX_REPEAT: u64 = 1_000_000;
/// The most transactions of an environment.
const MAX_TRANSACTIONS: usize = 10_000_000;

/// What a call gets that does not say it itself.
pub(super) struct Defaults {
    pub fork: Fork,
    pub gas: u64,
    pub gas_price: U256,
}

/// A call, or a signed transaction, as the keys of JSON-RPC name it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a call object, or a signed transaction in hex")]
struct Call {
    from: Option<Hex<H160>>,
    to: Option<Hex<H160>>,
    value: Option<Hex<U256>>,
    gas: Option<Hex<u64>>,
    #[serde(alias = "input")]
    data: Option<Hex<Bytes>>,
    nonce: Option<Hex<u64>>,
    gas_price: Option<Hex<U256>>,
    max_fee_per_gas: Option<Hex<U256>>,
    max_priority_fee_per_gas: Option<Hex<U256>>,
    access_list: Option<Vec<AccessItem>>,
    function: Option<String>,
    args: Option<Vec<Argument>>,
    raw: Option<Hex<Bytes>>,
    epoch: Option<Hex<u64>>,
    repeat: Option<Hex<u64>>,
}

/// The keys of a call, for proposals.
const KEYS: [&str; 16] = [
    "from",
    "to",
    "value",
    "gas",
    "data",
    "input",
    "nonce",
    "gasPrice",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
    "accessList",
    "function",
    "args",
    "raw",
    "epoch",
    "repeat",
];

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AccessItem {
    address: Hex<H160>,
    storage_keys: Vec<Hex<H256>>,
}

/// An argument of a function, as text.
#[derive(Clone, Debug)]
struct Argument(String);

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self(text)),
            number @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => Ok(Self(number.to_string())),
            other => Err(serde::de::Error::custom(format!("expected an argument as text or a number, got {other}"))),
        }
    }
}

/// The call data of a function with arguments as people write them. A `bytes32` may be the name of an environment.
fn encode(function: &str, arguments: &[Argument]) -> std::result::Result<Bytes, String> {
    let parsed = Function::parse(function).map_err(|error| {
        format!("function: expected a signature such as \"transfer(address,uint256)\", got {function:?}: {error}")
    })?;
    let (expected, got) = (parsed.inputs.len(), arguments.len());
    if expected != got {
        return Err(format!("args: expected {expected} arguments of {function}, got {got}"));
    }
    let mut values = Vec::with_capacity(expected);
    for (index, (input, Argument(text))) in parsed.inputs.iter().zip(arguments).enumerate() {
        let kind = input.resolve().map_err(|error| format!("function: {error}"))?;
        let named = match kind {
            DynSolType::FixedBytes(32) if !text.starts_with("0x") => EnvironmentId::new(text).ok(),
            _ => None,
        };
        let text = named.map_or_else(|| text.clone(), |name| format!("{:?}", name.0));
        let value = kind.coerce_str(&text).map_err(|error| {
            let error = error.to_string().replace('\n', " ");
            format!("args[{index}]: expected {kind}, got {text:?}: {error}")
        })?;
        values.push(value);
    }
    parsed.abi_encode_input(&values).map(Bytes::from).map_err(|error| format!("args: {error}"))
}

/// An entry of a file: a call, or just a signed transaction.
enum Entry {
    Raw(Hex<Bytes>),
    Call(Box<Call>),
}

/// Reads `[[environment.X.transaction]]`.
pub(super) fn read_inline(value: &Value<'_>, defaults: &Defaults) -> Result<Vec<Submission>> {
    let table = value.table()?;
    let word = |value: &Value<'_>| Ok(Hex(value.word()?));
    let number = |value: &Value<'_>| Ok(Hex(value.number(0, u64::MAX)?));
    let bytes = |value: &Value<'_>| Ok(Hex(Bytes::from(value.bytes()?)));
    let address = |value: &Value<'_>| Ok(Hex(value.address()?));
    let access_item = |value: &Value<'_>| {
        let item = value.table()?;
        let keys = item.need("storage_keys", "slots")?.items()?;
        let key = |key: &Value<'_>| Ok(Hex(H256(key.word()?.to_big_endian())));
        let entry = AccessItem {
            address: Hex(item.need("address", "an address")?.address()?),
            storage_keys: keys.iter().map(key).collect::<Result<_>>()?,
        };
        item.done()?;
        Ok(entry)
    };
    let call = Call {
        from: table.read("from", address)?,
        to: table.read("to", address)?,
        value: table.read("value", word)?,
        gas: table.read("gas", number)?,
        data: table.read("data", bytes)?,
        nonce: table.read("nonce", number)?,
        gas_price: table.read("gas_price", word)?,
        max_fee_per_gas: table.read("max_fee_per_gas", word)?,
        max_priority_fee_per_gas: table.read("max_priority_fee_per_gas", word)?,
        access_list: table.read("access_list", |value| value.items()?.iter().map(access_item).collect())?,
        function: table.read("function", |value| value.text().map(str::to_owned))?,
        args: table.read("args", |value| value.items()?.iter().map(|item| item.plain().map(Argument)).collect())?,
        raw: table.read("raw", bytes)?,
        epoch: table.read("epoch", number)?,
        repeat: table.read("repeat", number)?,
    };
    table.done()?;
    call.submissions(defaults).map_err(|problem| value.at.error(problem))
}

/// Reads a file of transactions: a JSON array, or JSON Lines.
pub(super) fn read_file(context: &Context<'_>, value: &Value<'_>, defaults: &Defaults) -> Result<Vec<Submission>> {
    let name = value.text()?;
    let document = context.files.read(name, &value.at)?;
    let file = context.files.folder.join(name).display().to_string();
    let fail = |line: usize, key: String, problem: String| {
        let near = unknown_key(&problem).and_then(|key| nearest(key, KEYS)).map(|key| format!("{key:?}"));
        ManifestError { file: file.clone(), line, key, problem, nearest: near }
    };
    let mut submissions = Vec::new();
    let mut add = |entry: Entry, line: usize, key: String| -> Result<()> {
        let call = match entry {
            Entry::Raw(raw) => Call { raw: Some(raw), ..Call::default() },
            Entry::Call(call) => *call,
        };
        submissions.extend(call.submissions(defaults).map_err(|problem| fail(line, key.clone(), problem))?);
        if submissions.len() > MAX_TRANSACTIONS {
            return Err(fail(line, key, format!("expected at most {MAX_TRANSACTIONS} transactions, got more")));
        }
        Ok(())
    };
    let start = document.iter().find(|byte| !byte.is_ascii_whitespace());
    if start == Some(&b'[') {
        let raw: Vec<&serde_json::value::RawValue> =
            serde_json::from_slice(&document).map_err(|error| fail(error.line(), String::new(), plain(&error)))?;
        for (index, item) in raw.into_iter().enumerate() {
            let offset = item.get().as_ptr() as usize - document.as_ptr() as usize;
            let line = 1 + document.iter().take(offset).filter(|byte| **byte == b'\n').count();
            let key = format!("[{index}]");
            let entry = parse_entry(item.get()).map_err(|error| fail(line + error.0, key.clone(), error.1))?;
            add(entry, line, key)?;
        }
        return Ok(submissions);
    }
    let text =
        std::str::from_utf8(&document).map_err(|error| fail(0, String::new(), format!("expected UTF-8: {error}")))?;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let entry = parse_entry(line).map_err(|error| fail(index + 1, String::new(), error.1))?;
        add(entry, index + 1, String::new())?;
    }
    Ok(submissions)
}

/// Parses one entry; an error says on which of its lines.
fn parse_entry(text: &str) -> std::result::Result<Entry, (usize, String)> {
    let fail = |error: &serde_json::Error| (error.line().saturating_sub(1), plain(error));
    if text.trim_start().starts_with('"') {
        return serde_json::from_str(text).map(Entry::Raw).map_err(|error| fail(&error));
    }
    serde_json::from_str(text).map(|call| Entry::Call(Box::new(call))).map_err(|error| fail(&error))
}

/// The message without its position, which the error names itself.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(text, _)| text.to_owned())
}

fn unknown_key(problem: &str) -> Option<&str> {
    problem.strip_prefix("unknown field `")?.split('`').next()
}

impl Call {
    fn submissions(self, defaults: &Defaults) -> std::result::Result<Vec<Submission>, String> {
        let epoch = self.epoch.map_or(0, |epoch| epoch.0);
        let repeat = self.repeat.map_or(1, |repeat| repeat.0);
        if !(1..=MAX_REPEAT).contains(&repeat) {
            return Err(format!("repeat: expected a number from 1 to {MAX_REPEAT}, got {repeat}"));
        }
        if let Some(raw) = &self.raw {
            let others = [
                ("from", self.from.is_some()),
                ("to", self.to.is_some()),
                ("value", self.value.is_some()),
                ("gas", self.gas.is_some()),
                ("data", self.data.is_some()),
                ("function", self.function.is_some()),
                ("nonce", self.nonce.is_some()),
                ("repeat", self.repeat.is_some()),
            ];
            if let Some((name, _)) = others.iter().find(|(_, there)| *there) {
                return Err(format!("{name}: a signed transaction (raw) says it itself: remove it"));
            }
            let signed = decode_transaction(&raw.0).map_err(|error| format!("raw: {error}"))?;
            let transaction = signed.to_transaction(defaults.fork).map_err(|error| format!("raw: {error}"))?;
            return Ok(vec![Submission { transaction, auto_nonce: false, epoch }]);
        }
        if repeat > 1 && self.nonce.is_some() {
            return Err("repeat: a nonce holds once: leave it out, and each gets the next one".to_owned());
        }
        let auto_nonce = self.nonce.is_none();
        let transaction = self.transaction(defaults)?;
        Ok((0..repeat).map(|_| Submission { transaction: transaction.clone(), auto_nonce, epoch }).collect())
    }

    fn transaction(mut self, defaults: &Defaults) -> std::result::Result<Transaction, String> {
        match (&self.function, &self.args, &self.data) {
            (Some(_), _, Some(_)) => return Err("expected `data`, or `function` and `args`, got both".to_owned()),
            (Some(function), args, None) => {
                self.data = Some(Hex(encode(function, args.as_deref().unwrap_or_default())?));
            }
            (None, Some(_), _) => return Err("args: expected `function` with them, got nothing".to_owned()),
            (None, None, _) => {}
        }
        let dynamic = self.max_fee_per_gas.is_some() || self.max_priority_fee_per_gas.is_some();
        if dynamic && self.gas_price.is_some() {
            return Err("expected a gas price, or a fee cap and a priority fee, got both".to_owned());
        }
        let transaction_type = match (dynamic, &self.access_list) {
            (true, _) => TransactionType::DynamicFee,
            (false, Some(_)) => TransactionType::AccessList,
            (false, None) => TransactionType::Legacy,
        };
        let price = self.gas_price.map_or(defaults.gas_price, |price| price.0);
        let cap = self.max_fee_per_gas.map_or(price, |cap| cap.0);
        let tip = if dynamic { self.max_priority_fee_per_gas.map_or(U256::zero(), |tip| tip.0) } else { cap };
        let items = self.access_list.unwrap_or_default().into_iter();
        Ok(Transaction {
            transaction_type,
            sender: self.from.ok_or("expected `from`, the sender, or `raw`, got neither")?.0,
            nonce: self.nonce.map_or(0, |nonce| nonce.0),
            gas_limit: self.gas.map_or(defaults.gas, |gas| gas.0),
            max_fee_per_gas: cap,
            max_priority_fee_per_gas: tip,
            to: self.to.map(|to| to.0),
            value: self.value.map_or_else(U256::zero, |value| value.0),
            input: self.data.map(|data| data.0).unwrap_or_default(),
            access_list: items
                .map(|item| AccessListItem {
                    address: item.address.0,
                    storage_keys: item.storage_keys.iter().map(|key| U256::from_big_endian(&key.0.0)).collect(),
                })
                .collect(),
            ..Transaction::default()
        })
    }
}
