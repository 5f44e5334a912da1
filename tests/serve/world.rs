//! The accounts that tests call.

use crate::node::{Account, Node};
use std::sync::Arc;

/// Returns the slot that the call data names.
pub const GETTER: u64 = 0x1001;
/// Reverts with 0xdeadbeef.
pub const REVERTS: u64 = 0x1002;
/// Never ends.
pub const LOOPS: u64 = 0x1003;
/// Adds one to slot 0 and returns it.
pub const COUNTER: u64 = 0x1004;
/// Sends one wei to [`POOR`], logs, and returns what CALL said.
pub const SENDER: u64 = 0x1005;
/// Has nothing.
pub const POOR: u64 = 0x1006;
/// Has much.
pub const RICH: u64 = 0x1007;
/// Returns what GAS says.
pub const GAS: u64 = 0x1008;

/// A code.
pub fn code(text: &str) -> Vec<u8> {
    alloy_primitives::hex::decode(text).expect("hex")
}

/// The code of [`GETTER`].
pub const GETTER_CODE: &str = "5f35545f5260205ff3";

/// The getter, with these slots.
pub fn getter(slots: impl IntoIterator<Item = (u64, u64)>) -> Account {
    Account { nonce: 1, code: code(GETTER_CODE), storage: slots.into_iter().collect(), ..Account::default() }
}

fn contract(text: &str) -> Account {
    Account { nonce: 1, code: code(text), ..Account::default() }
}

/// A node with all of them. Slot `n` of the getter is `n * n`.
pub fn node() -> Arc<Node> {
    let sender = Account { balance: 5, ..contract("5f5f5f5f60016110065af15f5fa05f5260205ff3") };
    Node::start([
        (GETTER, getter((0..2000).map(|slot| (slot, slot * slot)))),
        (REVERTS, contract("63deadbeef60e01b5f5260045ffd")),
        (LOOPS, contract("5b5f56")),
        (COUNTER, contract("5f54600101805f555f5260205ff3")),
        (SENDER, sender),
        (RICH, Account { balance: 1_000_000_000_000_000_000_000, ..Account::default() }),
        (GAS, contract("5a5f5260205ff3")),
    ])
}
