//! Basic tests: RLP, tries, difficulty, keys, old transactions, hex prefixes.

use super::runner::Place;
use super::state::address_of;
use super::{Differences, Verdict};
use crate::block::{decode_block, expected_difficulty};
use crate::chain::{Activation, ChainSpec, mainnet};
use crate::convert::{from_b256, keccak, to_address, to_b256, to_word};
use crate::load::fixtures::basic_test::{
    DifficultyTest, GenesisHashTest, HexPrefixTest, KeyAddressTest, RlpInput, RlpTest, RlpValue, SignedTransactionTest,
    TrieTest,
};
use crate::load::fixtures::{Kind, Test};
use crate::load::json::{Json, JsonError, Result};
use crate::load::transaction::decode_transaction;
use crate::trie::secure_root;
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_rlp::Encodable;
use alloy_trie::{Nibbles, nodes::encode_path_leaf};
use isolane_spec::Fork;

pub(super) fn run(test: &Test<'_, '_>, kind: Kind, place: Place<'_>) {
    let file = place.file();
    place.case(&test.name, "-", || {
        let verdict = match kind {
            Kind::Rlp => RlpTest::read(test.json).map(|test| rlp(&test)),
            Kind::Trie => TrieTest::read(test.json).map(|test| trie(&test, file)),
            Kind::Difficulty => difficulty(test.json, file),
            Kind::GenesisHash => GenesisHashTest::read(test.json).map(|test| genesis_hash(&test)),
            Kind::SignedTransaction => SignedTransactionTest::read(test.json).map(|test| signed_transaction(&test)),
            Kind::KeyAddress => KeyAddressTest::read(test.json).map(|test| key_address(&test)),
            Kind::HexPrefix => HexPrefixTest::read(test.json).map(|test| hex_prefix(&test)),
            other => Ok(Verdict::Unchecked(format!("tests of kind {other}"))),
        };
        verdict.unwrap_or_else(|error| Verdict::Malformed(error.at(&test.name)))
    });
}

/// The stem of the document's name: a few old tests say only there which chain or trie they mean.
fn stem(file: &str) -> &str {
    let name = file.rsplit(['/', ':']).next().unwrap_or_default();
    name.split('.').next().unwrap_or_default()
}

fn rlp(test: &RlpTest) -> Verdict {
    let mut differences = Differences::default();
    let decoded = check_rlp(&test.out);
    match (&test.input, &decoded) {
        (RlpInput::Invalid, Ok(())) => differences.push("decoding", "an error", "a value"),
        (RlpInput::Valid | RlpInput::Value(_), Err(error)) => differences.push("decoding", "a value", error),
        _ => {}
    }
    if let RlpInput::Value(value) = &test.input {
        let mut encoded = Vec::new();
        encode(value, &mut encoded);
        differences.check("encoding", hex::encode(&test.out), hex::encode(encoded));
    }
    differences.verdict()
}

fn encode(value: &RlpValue, out: &mut Vec<u8>) {
    match value {
        RlpValue::String(bytes) => bytes.as_slice().encode(out),
        RlpValue::List(items) => {
            let mut payload = Vec::new();
            items.iter().for_each(|item| encode(item, &mut payload));
            alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(out);
            out.extend_from_slice(&payload);
        }
    }
}

/// Whether the bytes are the canonical encoding of exactly one value. Nesting costs memory, not stack.
fn check_rlp(bytes: &[u8]) -> std::result::Result<(), alloy_rlp::Error> {
    fn item<'a>(input: &mut &'a [u8], open: &mut Vec<&'a [u8]>) -> std::result::Result<(), alloy_rlp::Error> {
        let header = alloy_rlp::Header::decode(input)?;
        let (payload, rest) = input.split_at_checked(header.payload_length).ok_or(alloy_rlp::Error::InputTooShort)?;
        if header.list {
            open.push(payload);
        }
        *input = rest;
        Ok(())
    }
    let mut open = Vec::new();
    let mut input = bytes;
    item(&mut input, &mut open)?;
    if !input.is_empty() {
        return Err(alloy_rlp::Error::UnexpectedLength);
    }
    while let Some(mut list) = open.pop() {
        while !list.is_empty() {
            item(&mut list, &mut open)?;
        }
    }
    Ok(())
}

fn trie(test: &TrieTest, file: &str) -> Verdict {
    if !stem(file).to_ascii_lowercase().contains("secure") {
        return Verdict::Unchecked(
            "a trie whose keys are not hashed and differ in length, which no trie of a state or block is".into(),
        );
    }
    let operations = test.operations.iter().map(|(key, value)| (key.as_ref(), value.as_deref()));
    let mut differences = Differences::default();
    match secure_root(operations) {
        Ok(root) => differences.check("root", test.root, root),
        Err(error) => differences.push("root", format!("{:?}", test.root), error),
    }
    differences.verdict()
}

fn difficulty(json: &Json<'_>, file: &str) -> Result<Verdict> {
    let test = DifficultyTest::read(json)?;
    let chain = match stem(file) {
        "difficulty" | "difficultyMainNetwork" | "difficultyCustomMainNetwork" => mainnet(),
        "difficultyRopsten" => ropsten(),
        "difficultyCustomHomestead" => ChainSpec::constant(Fork::Homestead, 1),
        other => return Err(JsonError::new("a file of a known network, such as difficultyMainNetwork.json", other)),
    };
    // Only proof of work has a difficulty: no fork that begins by time.
    let fork = chain.fork_at(test.number, 0, None);
    let parent = Header {
        timestamp: test.parent_timestamp,
        difficulty: to_word(test.parent_difficulty),
        ommers_hash: test.parent_ommers.map_or(EMPTY_OMMER_ROOT_HASH, to_b256),
        ..Header::default()
    };
    let got = expected_difficulty(fork, test.number, test.timestamp, &parent);
    let mut differences = Differences::default();
    differences.check(&format!("difficulty in {fork}"), test.difficulty, got);
    Ok(differences.verdict())
}

/// The test network of 2016 to 2022, as far as its difficulty tests reach.
fn ropsten() -> ChainSpec {
    let mut chain = ChainSpec::new("ropsten", 3);
    chain
        .activate(Fork::Homestead, Activation::Block(0))
        .activate(Fork::SpuriousDragon, Activation::Block(10))
        .activate(Fork::Byzantium, Activation::Block(1_700_000))
        .activate(Fork::Constantinople, Activation::Block(4_230_000))
        .activate(Fork::Petersburg, Activation::Block(4_939_394));
    chain
}

fn genesis_hash(test: &GenesisHashTest) -> Verdict {
    let mut differences = Differences::default();
    match decode_block(&test.rlp) {
        Err(error) => differences.push("genesis_rlp_hex", "a block", error),
        Ok(block) => {
            differences.check("genesis_hash", test.hash, block.hash);
            differences.check("genesis_state_root", test.state_root, from_b256(block.header.state_root));
        }
    }
    differences.verdict()
}

fn signed_transaction(test: &SignedTransactionTest) -> Verdict {
    let mut differences = Differences::default();
    let signed = match decode_transaction(&test.signed) {
        Ok(signed) => signed,
        Err(error) => {
            differences.push("signed", "a transaction", error);
            return differences.verdict();
        }
    };
    let got = &signed.transaction;
    differences.check("nonce", test.nonce, got.nonce);
    differences.check("gasprice", test.gas_price, got.max_fee_per_gas);
    differences.check("startgas", test.gas_limit, got.gas_limit);
    differences.check("to", test.to, got.to);
    differences.check("value", test.value, got.value);
    differences.check("data", &test.data, &got.input);
    differences.check("sender", address_of(test.key), signed.recover_sender(Fork::Frontier).ok());
    let mut fields = Vec::new();
    test.nonce.encode(&mut fields);
    to_word(test.gas_price).encode(&mut fields);
    test.gas_limit.encode(&mut fields);
    match test.to {
        Some(to) => to_address(to).encode(&mut fields),
        None => [].as_slice().encode(&mut fields),
    }
    to_word(test.value).encode(&mut fields);
    test.data.as_ref().encode(&mut fields);
    // In 2014 an unsigned transaction had an empty v, r and s.
    fields.extend([alloy_rlp::EMPTY_STRING_CODE; 3]);
    let mut unsigned = Vec::new();
    alloy_rlp::Header { list: true, payload_length: fields.len() }.encode(&mut unsigned);
    unsigned.extend(fields);
    differences.check("unsigned", hex::encode(&test.unsigned), hex::encode(unsigned));
    differences.verdict()
}

fn key_address(test: &KeyAddressTest) -> Verdict {
    let mut differences = Differences::default();
    differences.check("key", test.key, keccak(&test.seed));
    differences.check("addr", Some(test.address), address_of(test.key));
    match differences.verdict() {
        Verdict::Passed => Verdict::Unchecked(
            "a signature of 2014 of a message that the test does not give (key and address hold)".into(),
        ),
        verdict => verdict,
    }
}

fn hex_prefix(test: &HexPrefixTest) -> Verdict {
    let encoded = encode_path_leaf(&Nibbles::from_nibbles(&test.nibbles), test.leaf);
    let mut differences = Differences::default();
    differences.check("out", hex::encode(&test.out), hex::encode(&encoded[..]));
    differences.verdict()
}
