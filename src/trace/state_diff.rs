//! What a transaction changed.

use isolane_cpu::Observer;
use isolane_spec::{AccountDiff, Outcome};
use serde_json::{Map, Value, json};

/// Keeps what a transaction changed, its fees included.
#[derive(Clone, Debug, Default)]
pub struct StateDiff(Vec<AccountDiff>);

impl Observer for StateDiff {
    fn outcome(&mut self, outcome: &Outcome) {
        self.0.clone_from(&outcome.diff);
    }
}

fn change(from: Option<Value>, to: Option<Value>) -> Option<Value> {
    (from != to).then(|| json!({"from": from, "to": to}))
}

impl StateDiff {
    /// The changes by account, each as `{from, to}`, where `null` stands for an account that does not exist; starts anew.
    #[must_use]
    pub fn take(&mut self) -> Value {
        let accounts = std::mem::take(&mut self.0).into_iter().filter_map(|diff| {
            let mut fields = Map::new();
            let mut add = |name: &str, changed: Option<Value>| {
                if let Some(changed) = changed {
                    fields.insert(name.to_owned(), changed);
                }
            };
            let (before, after) = (diff.before, diff.after);
            let balance = |info: isolane_spec::AccountInfo| json!(format!("{:#x}", info.balance));
            add("balance", change(before.map(balance), after.map(balance)));
            add("nonce", change(before.map(|info| json!(info.nonce)), after.map(|info| json!(info.nonce))));
            let code_hash = |info: isolane_spec::AccountInfo| json!(format!("{:?}", info.code_hash));
            add("codeHash", change(before.map(code_hash), after.map(code_hash)));
            let changed = diff.storage.iter().filter(|slot| slot.before != slot.after);
            let slots: Map<String, Value> = changed
                .map(|slot| {
                    let [from, to] = [slot.before, slot.after].map(|value| format!("{value:#066x}"));
                    (format!("{:#066x}", slot.key), json!({"from": from, "to": to}))
                })
                .collect();
            add("storage", (!slots.is_empty()).then_some(Value::Object(slots)));
            (!fields.is_empty()).then(|| (format!("{:?}", diff.address), Value::Object(fields)))
        });
        Value::Object(accounts.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_spec::{AccountInfo, H160, SlotDiff};

    #[test]
    fn only_what_changed_is_told() {
        let info = |nonce: u64| AccountInfo { nonce, balance: 7.into(), ..AccountInfo::default() };
        let slot = |key: u64, after: u64| SlotDiff { key: key.into(), before: 1.into(), after: after.into() };
        let diff = |address, before, after, storage| AccountDiff {
            address: H160::repeat_byte(address),
            before,
            after,
            code: None,
            storage_wiped: false,
            storage,
        };
        let mut kept = StateDiff(vec![
            diff(1, Some(info(1)), Some(info(2)), vec![slot(5, 0), slot(6, 1)]),
            diff(2, Some(info(1)), Some(info(1)), vec![]),
            diff(3, None, Some(info(0)), vec![]),
        ]);
        let told = kept.take();
        assert_eq!(told.as_object().map(Map::len), Some(2));
        let (first, new) = (&told[format!("{:?}", H160::repeat_byte(1))], &told[format!("{:?}", H160::repeat_byte(3))]);
        assert_eq!(first["nonce"], json!({"from": 1, "to": 2}));
        assert!(first.get("balance").is_none() && first.get("codeHash").is_none());
        let slots = first["storage"].as_object().expect("slots");
        assert_eq!(slots.len(), 1);
        assert!(slots.iter().all(|(key, slot)| key.ends_with('5') && slot["to"] == format!("0x{}", "0".repeat(64))));
        assert_eq!(new["balance"], json!({"from": null, "to": "0x7"}));
        assert_eq!(kept.take(), json!({}));
    }
}
