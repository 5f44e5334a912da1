//! Random worlds as manifests, and what the tests share.

use isolane::engine::{Engine, EpochReport};
use isolane::manifest::Plan;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A generator of numbers that needs no crate (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn example(name: &str) -> PathBuf {
    root().join("examples").join(name).join("manifest.toml")
}

/// A manifest whose files are looked for at the root of the repository.
#[track_caller]
pub fn plan(text: &str) -> Plan {
    Plan::parse("test.toml", text, &root()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[track_caller]
pub fn engine(text: &str) -> Engine {
    plan(text).engine().expect("an engine")
}

#[track_caller]
pub fn read(path: &Path) -> Plan {
    Plan::read(path).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs until nothing waits, or for that many epochs.
#[track_caller]
pub fn run(engine: &mut Engine, epochs: u64) -> Vec<EpochReport> {
    let mut reports = Vec::new();
    while !engine.is_idle() && engine.epoch() < epochs {
        reports.push(engine.step().expect("an epoch"));
    }
    reports
}

pub const FORKS: [&str; 7] = ["constantinople", "istanbul", "berlin", "london", "shanghai", "cancun", "prague"];
pub const EXCHANGE: &str = "0x0000000000000000000000000069736f6c616e65";
pub const SEND: &str = "send(bytes32,address,bytes32,uint256,uint64,uint64,address,bytes)";
const NATIVE: &str = "0x0000000000000000000000000000000000000000000000000000000000000000";
const NOBODY: &str = "0x0000000000000000000000000000000000000000";

/// An account of a world: the same numbers in every environment.
pub fn account(number: u64) -> String {
    format!("0x{:040x}", 0xacc0_0000 + number)
}

/// Contracts of a world, the same in every environment: a counter, one that only reverts, one that never ends, one that
/// only logs, the travelling token.
pub const COUNTER: &str = "0x0000000000000000000000000000000000c00001";
pub const REVERTER: &str = "0x0000000000000000000000000000000000c00002";
pub const LOOPER: &str = "0x0000000000000000000000000000000000c00003";
pub const LOGGER: &str = "0x0000000000000000000000000000000000c00004";
pub const TOKEN: &str = "0x0000000000000000000000000000000000c00005";

fn accounts(text: &mut String, name: &str) {
    let _ = writeln!(text, "[environment.{name}.accounts]");
    for number in 0..4 {
        let _ = writeln!(text, "{} = {{ balance = \"1000 ether\" }}", account(number));
    }
    // PUSH1 0 SLOAD PUSH1 1 ADD PUSH1 0 SSTORE; REVERT; JUMPDEST PUSH1 0 JUMP; LOG0 of 64 bytes.
    for (address, code) in [
        (COUNTER, "0x600054600101600055"),
        (REVERTER, "0x60006000fd"),
        (LOOPER, "0x5b600056"),
        (LOGGER, "0x60406000a0"),
        (TOKEN, "contracts/out/TravellingToken.json"),
    ] {
        let _ = writeln!(text, "{address} = {{ code = \"{code}\" }}");
    }
}

pub fn transaction(text: &mut String, name: &str, lines: &[(&str, String)]) {
    let _ = writeln!(text, "[[environment.{name}.transaction]]");
    for (key, value) in lines {
        let _ = writeln!(text, "{key} = {value}");
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// A world of several environments with random forks, rules, budgets and traffic.
pub fn random_world(seed: u64, epochs: u64) -> String {
    let mut numbers = Numbers(seed);
    let count = numbers.range(3, 8);
    let names: Vec<String> = (0..count).map(|index| format!("e{index}")).collect();
    let mut text = format!("[run]\nquantum = {}\nlanes = {}\n", numbers.range(50_000, 900_000), numbers.range(1, 64));
    if numbers.below(3) == 0 {
        let _ = writeln!(text, "epoch_gas = {}", numbers.range(500_000, 5_000_000));
    }
    for name in &names {
        let _ = writeln!(text, "[environment.{name}]\nfork = \"{}\"", numbers.pick(&FORKS));
        let _ = writeln!(text, "[environment.{name}.allow]\nreceive_from = \"all\"");
        if numbers.below(5) == 0 {
            let allowed: Vec<String> = names.iter().filter(|_| numbers.below(2) == 0).map(|n| quoted(n)).collect();
            let _ = writeln!(text, "send_to = [{}]", allowed.join(", "));
        } else {
            text.push_str("send_to = \"all\"\n");
        }
        let _ = writeln!(text, "[environment.{name}.budget]\ngas = {}", numbers.range(2_000_000, 9_000_000));
        let _ = writeln!(text, "outbox = {}\ninbox = {}", numbers.range(1, 12), numbers.range(2, 40));
        let _ = writeln!(text, "inbox_gas = {}", numbers.range(150_000, 2_000_000));
        if numbers.below(2) == 0 {
            let _ = writeln!(text, "log_bytes = {}", numbers.range(64, 1000));
        }
        let _ = writeln!(text, "transaction = {{ gas = 2_000_000, steps = {} }}", numbers.range(2_000, 60_000));
        let violation = if numbers.below(4) == 0 { "fail-environment" } else { "fail-transaction" };
        let _ = writeln!(text, "[environment.{name}.schedule]\nweight = {}", numbers.range(1, 9));
        let _ = writeln!(text, "max_lanes = {}\non_violation = \"{violation}\"", numbers.range(1, 20));
        accounts(&mut text, name);
        if numbers.below(3) == 0 {
            let source = names.iter().find(|other| *other != name).expect("several");
            let _ =
                writeln!(text, "[[environment.{name}.subscribe]]\nenvironment = \"{source}\"\naccount = \"{COUNTER}\"");
            let _ = writeln!(text, "slot = 0\nto = \"{LOGGER}\"\ngas = 90_000");
        }
        for _ in 0..numbers.range(5, 40) {
            random_transaction(&mut text, name, &names, &mut numbers, epochs);
        }
    }
    text
}

fn random_transaction(text: &mut String, name: &str, names: &[String], numbers: &mut Numbers, epochs: u64) {
    let mut lines =
        vec![("from", quoted(&account(numbers.below(4)))), ("gas", numbers.range(300_000, 1_200_000).to_string())];
    if numbers.below(2) == 0 {
        lines.push(("epoch", numbers.below(epochs).to_string()));
    }
    match numbers.below(10) {
        0 => lines.push(("to", quoted(COUNTER))),
        1 => lines.push(("to", quoted(REVERTER))),
        2 => lines.push(("to", quoted(LOOPER))),
        3 => lines.push(("to", quoted(LOGGER))),
        4 => {
            lines.push(("to", quoted(TOKEN)));
            lines.push(("function", quoted("mint(address,uint256)")));
            lines.push(("args", format!("[\"{}\", {}]", account(numbers.below(4)), numbers.below(1000))));
        }
        5 => {
            let arguments = format!(
                "[\"{}\", \"{}\", {}, {}]",
                numbers.pick(names),
                account(numbers.below(4)),
                numbers.below(100),
                numbers.range(1, epochs + 3)
            );
            lines.push(("to", quoted(TOKEN)));
            lines.push(("function", quoted("travel(bytes32,address,uint256,uint64)")));
            lines.push(("args", arguments));
        }
        _ => {
            // An asset, its own or one from abroad, to an account or to a contract that may not take it.
            let native = numbers.below(3) > 0;
            let value = numbers.below(5_000_000_000);
            let asset = if native { NATIVE.to_owned() } else { numbers.pick(names).clone() };
            let to = match numbers.below(4) {
                0 => (*numbers.pick(&[COUNTER, REVERTER, LOOPER, TOKEN])).to_owned(),
                _ => account(numbers.below(4)),
            };
            let refund = *numbers.pick(&[NOBODY, REVERTER, COUNTER]);
            let arguments = format!(
                "[\"{}\", \"{to}\", \"{asset}\", \"{value}\", {}, {}, \"{refund}\", \"0x\"]",
                numbers.pick(names),
                numbers.range(0, 200_000),
                numbers.range(1, epochs + 3),
            );
            lines.push(("to", quoted(EXCHANGE)));
            lines.push(("function", quoted(SEND)));
            lines.push(("args", arguments));
            if native {
                lines.push(("value", quoted(&value.to_string())));
            }
        }
    }
    transaction(text, name, &lines);
}
