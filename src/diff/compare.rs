//! Compares outcomes field by field.

use isolane_spec::{AccountDiff, AccountInfo, H160, Halt, Log, Outcome, Status};
use std::collections::BTreeMap;
use std::fmt::{self, Debug};

/// How much of two outcomes has to be equal, the strictest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exactness {
    /// Every field to the last bit: between isolane's backends.
    Everything,
    /// All but the count of steps, which an independent implementation does not have, and the reason of a rejection.
    /// Of a halt that two checks cause at once, either reason will do.
    Reasons,
    /// Likewise, and any reason of a halt will do: what consensus fixes.
    Consensus,
}

/// A field in which two outcomes differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path of the field, as in `diff[0x…].storage[0x1].after`.
    pub path: String,
    /// The first outcome's value.
    pub left: String,
    /// The second outcome's value.
    pub right: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} against {}", self.path, self.left, self.right)
    }
}

/// Whether two outcomes are equal as far as asked: the quick answer.
#[must_use]
pub fn same(left: &Outcome, right: &Outcome, exactness: Exactness) -> bool {
    if exactness == Exactness::Everything {
        return left == right;
    }
    // All fields by name: a new one has to be compared before this compiles.
    let Outcome {
        status,
        gas_used,
        gas_refunded,
        block_gas_used,
        state_gas_used,
        output,
        created,
        logs,
        messages,
        diff,
        steps: _,
        denial,
    } = left;
    same_status(status, &right.status, exactness)
        && *gas_used == right.gas_used
        && *gas_refunded == right.gas_refunded
        && *block_gas_used == right.block_gas_used
        && *state_gas_used == right.state_gas_used
        && *output == right.output
        && *created == right.created
        && *logs == right.logs
        && *messages == right.messages
        && *denial == right.denial
        && *diff == right.diff
}

fn same_status(left: &Status, right: &Status, exactness: Exactness) -> bool {
    match (left, right, exactness) {
        (Status::Halt(a), Status::Halt(b), Exactness::Reasons) => a == b || either_reason(*a, *b),
        (Status::Halt(_), Status::Halt(_), Exactness::Consensus) => true,
        // The order of the checks is free: a block with the transaction is invalid by any of them.
        (Status::Rejected(_), Status::Rejected(_), Exactness::Reasons | Exactness::Consensus) => true,
        _ => left == right,
    }
}

/// Whether an instruction can halt for both reasons, so that the order of the checks decides, which is free.
fn either_reason(a: Halt, b: Halt) -> bool {
    let pair = [a.min(b), a.max(b)];
    let both = |halts: &[Halt]| pair.iter().all(|halt| halts.contains(halt));
    // What an instruction checks before it does anything.
    let checks = [
        Halt::OutOfGas,
        Halt::StackUnderflow,
        Halt::StackOverflow,
        Halt::StaticViolation,
        Halt::ReturnDataOutOfBounds,
        Halt::InitcodeTooLarge,
    ];
    both(&checks)
        || both(&[Halt::OutOfGas, Halt::InvalidJump])
        // revm charges opcodes of later forks before it finds that they are undefined.
        || both(&[Halt::OutOfGas, Halt::UndefinedOpcode])
        // An input that the precompile refuses, and too little gas for it.
        || both(&[Halt::OutOfGas, Halt::PrecompileFailure])
        // New code that is too large, starts wrong, and costs more than there is.
        || both(&[Halt::OutOfGas, Halt::CodeTooLarge, Halt::CodeStartsWithEf])
}

/// Agreement on the kind of end for another reason; the two reasons.
#[must_use]
pub fn other_reason(left: &Status, right: &Status) -> Option<(String, String)> {
    let kind = |debug: String| debug.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
    match (left, right) {
        (Status::Halt(a), Status::Halt(b)) if a != b => Some((format!("{a:?}"), format!("{b:?}"))),
        (Status::Rejected(a), Status::Rejected(b)) if std::mem::discriminant(a) != std::mem::discriminant(b) => {
            Some((kind(format!("{a:?}")), kind(format!("{b:?}"))))
        }
        _ => None,
    }
}

/// Collects what differs.
#[derive(Default)]
struct Found(Vec<Difference>);

impl Found {
    fn check<T: PartialEq + Debug>(&mut self, path: impl Into<String>, left: &T, right: &T) {
        if left != right {
            self.push(path, format!("{left:?}"), format!("{right:?}"));
        }
    }

    fn push(&mut self, path: impl Into<String>, left: String, right: String) {
        self.0.push(Difference { path: path.into(), left, right });
    }
}

/// All fields that differ, the most telling first; empty exactly where [`same`] is true.
#[must_use]
pub fn differences(left: &Outcome, right: &Outcome, exactness: Exactness) -> Vec<Difference> {
    let mut found = Found::default();
    if !same_status(&left.status, &right.status, exactness) {
        found.push("status", left.status.to_string(), right.status.to_string());
    }
    found.check("gas_used", &left.gas_used, &right.gas_used);
    found.check("gas_refunded", &left.gas_refunded, &right.gas_refunded);
    found.check("block_gas_used", &left.block_gas_used, &right.block_gas_used);
    found.check("state_gas_used", &left.state_gas_used, &right.state_gas_used);
    bytes(&mut found, "output", &left.output, &right.output);
    found.check("created", &left.created, &right.created);
    logs(&mut found, &left.logs, &right.logs);
    found.check("messages", &left.messages, &right.messages);
    found.check("denial", &left.denial, &right.denial);
    diffs(&mut found, &left.diff, &right.diff);
    if exactness == Exactness::Everything {
        found.check("steps", &left.steps, &right.steps);
    }
    found.0
}

/// Bytes of the two sides that a report shows.
const SHOWN: usize = 64;

/// Long data from the word in which it first differs.
fn bytes(found: &mut Found, path: &str, left: &[u8], right: &[u8]) {
    if left == right {
        return;
    }
    found.check(format!("{path}.len"), &left.len(), &right.len());
    let common = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let start = common / 32 * 32;
    let show = |data: &[u8]| {
        let part: Vec<u8> = data.iter().skip(start).take(SHOWN).copied().collect();
        format!("0x{}", hex::encode(part))
    };
    found.push(format!("{path}[{start}..]"), show(left), show(right));
}

fn logs(found: &mut Found, left: &[Log], right: &[Log]) {
    found.check("logs.len", &left.len(), &right.len());
    for (index, (a, b)) in left.iter().zip(right).enumerate() {
        found.check(format!("logs[{index}].address"), &a.address, &b.address);
        found.check(format!("logs[{index}].topics"), &a.topics, &b.topics);
        bytes(found, &format!("logs[{index}].data"), &a.data, &b.data);
    }
}

fn diffs(found: &mut Found, left: &[AccountDiff], right: &[AccountDiff]) {
    let mut accounts: BTreeMap<H160, [Option<&AccountDiff>; 2]> = BTreeMap::new();
    for (side, diff) in [left, right].into_iter().enumerate() {
        for change in diff {
            accounts.entry(change.address).or_default()[side] = Some(change);
        }
    }
    let before = found.0.len();
    for (address, sides) in &accounts {
        let path = format!("diff[{address:?}]");
        match sides {
            [Some(a), Some(b)] => account(found, &path, a, b),
            [a, b] => {
                let show =
                    |side: &Option<&AccountDiff>| side.map_or("unchanged".into(), |change| format!("{change:?}"));
                found.push(path, show(a), show(b));
            }
        }
    }
    if found.0.len() == before && left != right {
        let order =
            |diff: &[AccountDiff]| format!("{:?}", diff.iter().map(|change| change.address).collect::<Vec<_>>());
        found.push("diff (its order)", order(left), order(right));
    }
}

fn account(found: &mut Found, path: &str, a: &AccountDiff, b: &AccountDiff) {
    info(found, &format!("{path}.before"), &a.before, &b.before);
    info(found, &format!("{path}.after"), &a.after, &b.after);
    found.check(format!("{path}.code"), &a.code, &b.code);
    found.check(format!("{path}.storage_wiped"), &a.storage_wiped, &b.storage_wiped);
    let mut slots: BTreeMap<_, [Option<(_, _)>; 2]> = BTreeMap::new();
    for (side, change) in [a, b].into_iter().enumerate() {
        for slot in &change.storage {
            slots.entry(slot.key).or_default()[side] = Some((slot.before, slot.after));
        }
    }
    let before = found.0.len();
    for (key, [left, right]) in slots {
        found.check(format!("{path}.storage[{key:#x}] (before, after)"), &left, &right);
    }
    if found.0.len() == before && a.storage != b.storage {
        found.push(format!("{path}.storage (its order)"), format!("{:?}", a.storage), format!("{:?}", b.storage));
    }
}

fn info(found: &mut Found, path: &str, left: &Option<AccountInfo>, right: &Option<AccountInfo>) {
    match (left, right) {
        (Some(a), Some(b)) => {
            found.check(format!("{path}.nonce"), &a.nonce, &b.nonce);
            found.check(format!("{path}.balance"), &a.balance, &b.balance);
            found.check(format!("{path}.code_hash"), &a.code_hash, &b.code_hash);
        }
        _ => found.check(path, left, right),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isolane_spec::{Bytes, Denial, InvalidTransaction, Message, Rule, SlotDiff, U256};

    fn outcome() -> Outcome {
        let slot = |key: u64| SlotDiff { key: key.into(), before: U256::zero(), after: U256::one() };
        let change = |byte| AccountDiff {
            address: H160([byte; 20]),
            before: Some(AccountInfo::default()),
            after: Some(AccountInfo { nonce: 1, ..AccountInfo::default() }),
            code: None,
            storage_wiped: false,
            storage: vec![slot(1), slot(2)],
        };
        let log = Log { address: H160([1; 20]), topics: Vec::new(), data: Bytes::from_static(&[1, 2]) };
        let base = Outcome::rejected(InvalidTransaction::NoBlobs);
        Outcome { status: Status::Success, logs: vec![log], diff: vec![change(1), change(2)], ..base }
    }

    #[test]
    fn every_field_is_compared() {
        type Change = (&'static str, fn(&mut Outcome));
        let changes: [Change; 15] = [
            ("status", |o| o.status = Status::Revert),
            ("gas_used", |o| o.gas_used += 1),
            ("gas_refunded", |o| o.gas_refunded += 1),
            ("block_gas_used", |o| o.block_gas_used += 1),
            ("state_gas_used", |o| o.state_gas_used += 1),
            ("output.len", |o| o.output = Bytes::from_static(&[1])),
            ("created", |o| o.created = Some(H160::zero())),
            ("logs[0].data.len", |o| o.logs[0].data = Bytes::new()),
            ("messages", |o| o.messages.push(Message::default())),
            ("denial", |o| o.denial = Some(Denial { rule: Rule::Create, address: H160::zero(), pc: 7 })),
            ("diff[0x0101010101010101010101010101010101010101].after.nonce", |o| {
                o.diff[0].after = Some(AccountInfo { nonce: 2, ..AccountInfo::default() });
            }),
            ("diff[0x0202020202020202020202020202020202020202].storage[0x1] (before, after)", |o| {
                o.diff[1].storage.remove(0);
            }),
            ("diff[0x0202020202020202020202020202020202020202].storage (its order)", |o| o.diff[1].storage.reverse()),
            ("diff (its order)", |o| o.diff.reverse()),
            ("steps", |o| o.steps += 1),
        ];
        for (path, change) in changes {
            let mut other = outcome();
            change(&mut other);
            let found = differences(&outcome(), &other, Exactness::Everything);
            assert_eq!(found.first().map(|difference| difference.path.as_str()), Some(path), "{found:?}");
            for exactness in [Exactness::Everything, Exactness::Reasons, Exactness::Consensus] {
                let found = differences(&outcome(), &other, exactness);
                assert_eq!(same(&outcome(), &other, exactness), found.is_empty(), "{path}, {exactness:?}: {found:?}");
                assert_eq!(found.is_empty(), path == "steps" && exactness != Exactness::Everything, "{path}");
            }
        }
    }

    #[test]
    fn reasons_count_as_far_as_asked() {
        let with = |status| Outcome { status, ..outcome() };
        let (a, b) = (with(Status::Halt(Halt::CreateCollision)), with(Status::Halt(Halt::InvalidJump)));
        assert!(!same(&a, &b, Exactness::Reasons) && same(&a, &b, Exactness::Consensus));
        let (c, d) = (with(Status::Halt(Halt::OutOfGas)), with(Status::Halt(Halt::StackOverflow)));
        assert!(!same(&c, &d, Exactness::Everything) && same(&c, &d, Exactness::Reasons));
        assert!(!same(&a, &with(Status::Revert), Exactness::Consensus));
        assert_eq!(other_reason(&a.status, &b.status), Some(("CreateCollision".into(), "InvalidJump".into())));
    }
}
