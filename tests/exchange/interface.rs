//! The Solidity interface, its ABI that is checked in, and the code agree.

use alloy_sol_types::{SolCall, SolError, SolInterface};
use isolane::cpu::crypto::keccak256;
use isolane::cpu::exchange::abi::{IExchange, IStateReceiver};
use isolane::spec::EXCHANGE_ADDRESS;
use std::collections::BTreeMap;
use std::path::Path;

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The type of a parameter in a signature.
fn canonical(parameter: &serde_json::Value) -> String {
    let kind = parameter["type"].as_str().expect("a type");
    match kind.strip_prefix("tuple") {
        None => kind.to_owned(),
        Some(array) => format!("({}){array}", signature_of(&parameter["components"])),
    }
}

fn signature_of(parameters: &serde_json::Value) -> String {
    parameters.as_array().expect("a list").iter().map(canonical).collect::<Vec<_>>().join(",")
}

/// Selector and signature of everything of a kind in an ABI, and its outputs.
fn of_kind(file: &str, kind: &str) -> BTreeMap<[u8; 4], (String, String)> {
    let artifact: serde_json::Value = serde_json::from_str(&read(file)).expect("JSON");
    let entries = artifact["abi"].as_array().expect("an ABI");
    let of = |entry: &serde_json::Value| {
        let signature = format!("{}({})", entry["name"].as_str().expect("a name"), signature_of(&entry["inputs"]));
        let hash = keccak256(signature.as_bytes()).0;
        let outputs = if kind == "function" { signature_of(&entry["outputs"]) } else { String::new() };
        ([hash[0], hash[1], hash[2], hash[3]], (signature, outputs))
    };
    entries.iter().filter(|entry| entry["type"] == kind).map(of).collect()
}

#[test]
fn the_abi_has_the_functions_and_errors_of_the_code() {
    let functions = of_kind("out/IExchange.json", "function");
    let selectors: Vec<_> = functions.keys().copied().collect();
    let mut code: Vec<_> = IExchange::IExchangeCalls::selectors().collect();
    code.sort_unstable();
    assert_eq!(selectors, code, "{functions:?}");
    assert_eq!(functions[&IExchange::sendCall::SELECTOR].0, IExchange::sendCall::SIGNATURE);
    let outputs = |selector| functions[&selector].1.as_str();
    assert_eq!(outputs(IExchange::sendCall::SELECTOR), "bytes32");
    assert_eq!(outputs(IExchange::readCall::SELECTOR), "bytes");
    assert_eq!(
        outputs(IExchange::currentCall::SELECTOR),
        "(uint8,bytes32,bytes32,address,uint64,uint64,bytes32,uint256,bytes32,uint8)"
    );

    let errors = of_kind("out/IExchange.json", "error");
    let selectors: Vec<_> = errors.keys().copied().collect();
    let mut code: Vec<_> = IExchange::IExchangeErrors::selectors().collect();
    code.sort_unstable();
    assert_eq!(selectors, code, "{errors:?}");
    assert_eq!(errors[&IExchange::OutboxFull::SELECTOR].0, IExchange::OutboxFull::SIGNATURE);

    let receiver = of_kind("out/IStateReceiver.json", "function");
    assert_eq!(receiver.len(), 1);
    assert_eq!(receiver[&IStateReceiver::onStateCall::SELECTOR].0, IStateReceiver::onStateCall::SIGNATURE);
}

#[test]
fn the_source_names_the_address() {
    assert!(read("IExchange.sol").contains(&format!("address(0x{})", hex::encode(b"isolane"))));
    assert_eq!(EXCHANGE_ADDRESS.0[13..], *b"isolane");
    assert_eq!(EXCHANGE_ADDRESS.0[..13], [0; 13]);
}
