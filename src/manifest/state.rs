//! Where an environment's state comes from: `state` and `accounts`.

use super::Context;
use super::environment::Part;
use super::source::{ManifestError, Result, Table, Value};
use crate::engine::StartState;
use crate::load::block_pack::{self, BlockPack, memory_state};
use crate::load::code_cache::CodeCache;
use crate::load::json_rpc::RpcAccount;
use crate::load::typed::{Entries, FromHex, Hex, InputError, parse};
use crate::load::witness::WitnessFile;
use crate::trie::{Witness, WitnessState};
use isolane_cpu::crypto::keccak256;
use isolane_spec::{AccountInfo, BlockContext, Bytes, H160, H256, KECCAK_EMPTY, MemoryState, U256, blob_base_fee};
use serde::Deserialize;
use std::fmt;
use std::sync::Arc;

/// What a manifest says about a state.
pub(super) struct StateSource<'a> {
    base: Base<'a>,
    root: Option<(Value<'a>, H256)>,
    accounts: Vec<(H160, Value<'a>)>,
}

enum Base<'a> {
    Empty,
    File(Value<'a>),
    Environment(Value<'a>, usize),
}

/// Reads `state` and `accounts`; files are read later.
pub(super) fn read<'a>(context: &Context<'_>, table: &Table<'a>) -> Result<StateSource<'a>> {
    let mut source = StateSource { base: Base::Empty, root: None, accounts: Vec::new() };
    if let Some(state) = table.get("state") {
        if state.as_text().is_some() {
            source.base = Base::File(state);
        } else {
            let inner = state.table().map_err(|_| state.wrong("a file, or a table with base and root"))?;
            let base = inner.need("base", "a file, or { environment = \"NAME\" }")?;
            source.base = match base.as_table() {
                None => Base::File(base),
                Some(other) => {
                    let name = other.need("environment", "the name of another environment")?;
                    other.done()?;
                    let index = context.environment(&name)?;
                    Base::Environment(name, index)
                }
            };
            source.root = inner.read("root", |value| Ok((value.clone(), value.hash()?)))?;
            inner.done()?;
        }
    }
    if let Some(accounts) = table.get("accounts") {
        for (key, value) in accounts.table()?.entries() {
            let address = crate::load::hex::address(key).map_err(|expected| {
                value.at.error(format!("expected an address ({expected}) as the key, got {key:?}"))
            })?;
            if source.accounts.iter().any(|(known, _)| *known == address) {
                return Err(value.at.error("this account is there twice, in other letters: every account once"));
            }
            source.accounts.push((address, value));
        }
    }
    Ok(source)
}

/// A state, and the block that it was recorded for.
type Start = (StartState, Option<BlockContext>);

/// Loads the states of all environments, those that others start from first.
pub(super) fn resolve(context: &Context<'_>, parts: &[Part<'_>]) -> Result<Vec<Start>> {
    let mut done: Vec<Option<Start>> = vec![None; parts.len()];
    for first in 0..parts.len() {
        // From the environment to what it starts from, to what that starts from, …
        let mut chain = Vec::new();
        let mut next = Some(first);
        while let Some(index) = next {
            if done.get(index).is_some_and(Option::is_some) {
                break;
            }
            if let Some(from) = chain.iter().position(|seen| *seen == index) {
                return Err(cycle(context, parts, chain.get(from..).unwrap_or_default()));
            }
            chain.push(index);
            next = match parts.get(index).map(|part| &part.state.base) {
                Some(Base::Environment(_, base)) => Some(*base),
                _ => None,
            };
        }
        for index in chain.into_iter().rev() {
            let Some(part) = parts.get(index) else { continue };
            let start = match &part.state.base {
                Base::Environment(_, base) => done.get(*base).cloned().flatten(),
                _ => None,
            };
            let loaded = load(context, part, start)?;
            if let Some(place) = done.get_mut(index) {
                *place = Some(loaded);
            }
        }
    }
    Ok(done.into_iter().flatten().collect())
}

fn cycle(context: &Context<'_>, parts: &[Part<'_>], chain: &[usize]) -> ManifestError {
    let name = |index: &usize| context.names.get(*index).copied().unwrap_or_default();
    let path: Vec<&str> = chain.iter().chain(chain.first()).map(name).collect();
    let problem = format!("these environments start from each other: {}", path.join(" -> "));
    let at = chain.first().and_then(|index| parts.get(*index));
    let error = match at.map(|part| &part.state.base) {
        Some(Base::Environment(value, _)) => value.at.error(problem),
        _ => match at {
            Some(part) => part.at().error(problem),
            None => ManifestError { file: String::new(), line: 0, key: String::new(), problem, nearest: None },
        },
    };
    error.nearest(Some("a file for one of them".to_owned()))
}

fn load(context: &Context<'_>, part: &Part<'_>, base: Option<Start>) -> Result<Start> {
    let source = &part.state;
    let (mut start, block) = match (&source.base, base) {
        (Base::Environment(..), Some(base)) => base,
        (Base::File(file), _) => read_file(context, file, source.root.as_ref().map(|(_, root)| *root))?,
        _ => (complete(MemoryState::default(), part)?, None),
    };
    if !source.accounts.is_empty() {
        start = with_accounts(context, part, start)?;
    }
    if let Some((value, root)) = &source.root {
        match start.root() {
            Some(got) if got != *root => {
                let error = value.at.error(format!("expected the root of the state that is loaded, got {root:?}"));
                return Err(error.nearest(Some(format!("\"{got:?}\""))));
            }
            Some(_) => {}
            None => {
                return Err(value.at.error("the state is a recorded part of one, of which no root follows: remove it"));
            }
        }
    }
    Ok((start, block))
}

fn complete(state: MemoryState, part: &Part<'_>) -> Result<StartState> {
    StartState::complete(state).map_err(|error| part.at().error(error))
}

/// An account key of a genesis file, with or without `0x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key(H160);

impl FromHex for Key {
    const EXPECTED: &'static str = "an address (40 hex digits)";
    fn from_hex(text: &str) -> std::result::Result<Self, &'static str> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        H160::from_hex(&format!("0x{digits}")).map(Self).map_err(|_| Self::EXPECTED)
    }
}

impl fmt::LowerHex for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A genesis file of geth; other keys are about consensus.
#[derive(Deserialize)]
struct Genesis {
    alloc: Entries<Key, RpcAccount>,
}

/// What kind of file it is.
#[derive(Deserialize)]
struct Probe {
    format: Option<serde_json::Value>,
    alloc: Option<serde::de::IgnoredAny>,
    state: Option<serde::de::IgnoredAny>,
    codes: Option<serde::de::IgnoredAny>,
}

fn read_file(context: &Context<'_>, file: &Value<'_>, root: Option<H256>) -> Result<Start> {
    let name = file.text()?;
    let document = context.files.read(name, &file.at)?;
    let fail = |error: InputError| file.at.error(error.in_file(name));
    let probe: Probe = parse(&document).map_err(fail)?;
    if probe.format.is_some() {
        return read_pack(&document).map_err(fail);
    }
    if probe.state.is_some() && probe.codes.is_some() {
        let Some(root) = root else {
            return Err(file.at.error("a witness needs the root that it proves: state = { base = …, root = \"0x…\" }"));
        };
        let witness: WitnessFile = parse(&document).map_err(fail)?;
        let unwrap = |list: Vec<Hex<Bytes>>| list.into_iter().map(|bytes| bytes.0).collect();
        let witness =
            Witness { state: unwrap(witness.state), codes: unwrap(witness.codes), headers: unwrap(witness.headers) };
        let state = WitnessState::with_root(&witness, root, []).map_err(|error| file.at.error(error))?;
        return Ok((StartState::witness(Arc::new(state)), None));
    }
    let accounts = match probe.alloc {
        Some(_) => parse::<Genesis>(&document).map_err(fail)?.alloc,
        None => parse(&document).map_err(fail)?,
    };
    let accounts = accounts.0.into_iter().map(|(key, account): (Key, RpcAccount)| (key.0, account)).collect();
    let state = memory_state(accounts, &[], &CodeCache::default()).map_err(fail)?;
    Ok((StartState::complete(state).map_err(|error| file.at.error(error))?, None))
}

/// The state before a recorded block, and that block.
fn read_pack(document: &[u8]) -> std::result::Result<Start, InputError> {
    let pack: BlockPack = parse(document)?;
    if pack.format != block_pack::FORMAT {
        let problem = format!("expected {:?}, got {:?}", block_pack::FORMAT, pack.format);
        return Err(InputError::at("format", problem));
    }
    let header = &pack.block;
    let number = |value: Option<Hex<u64>>| value.map_or(0, |value| value.0);
    let fraction = pack.fork().and_then(isolane_spec::BlobSchedule::of).map_or(1, |s| s.base_fee_update_fraction);
    let block = BlockContext {
        number: header.number.0,
        timestamp: header.timestamp.0,
        coinbase: header.miner.0,
        gas_limit: header.gas_limit.0,
        base_fee: number(header.base_fee_per_gas).into(),
        difficulty: header.difficulty.0,
        prev_randao: header.mix_hash.0,
        blob_base_fee: blob_base_fee(number(header.excess_blob_gas), fraction),
        ..BlockContext::default()
    };
    let prestate =
        pack.prestate.ok_or_else(|| InputError::at("prestate", "expected the state before the block, got nothing"))?;
    let state = memory_state(prestate.0, &pack.block_hashes.0, &CodeCache::default())?;
    let start = if pack.prestate_complete {
        StartState::complete(state).map_err(|error| InputError::at("prestate", error.to_string()))?
    } else {
        StartState::recorded(state)
    };
    Ok((start, Some(block)))
}

/// Adds the accounts that the manifest itself holds.
fn with_accounts(context: &Context<'_>, part: &Part<'_>, start: StartState) -> Result<StartState> {
    let mut state = start
        .space()
        .to_memory()
        .ok_or_else(|| part.at().error("accounts can only be added to a complete state: an alloc file, or none"))?;
    for (address, value) in &part.state.accounts {
        let table = value.table()?;
        let code = table.read("code", |value| read_code(context, value))?.unwrap_or_default();
        let info = AccountInfo {
            nonce: table.read("nonce", |value| value.number(0, u64::MAX - 1))?.unwrap_or(u64::from(!code.is_empty())),
            balance: table.read("balance", Value::word)?.unwrap_or_default(),
            code_hash: if code.is_empty() { KECCAK_EMPTY } else { keccak256(&code) },
        };
        let mut slots: Vec<(U256, U256)> = Vec::new();
        if let Some(storage) = table.get("storage") {
            for (key, slot) in storage.table()?.entries() {
                let number = super::source::quantity(key)
                    .ok_or_else(|| slot.at.error(format!("expected a slot (a number) as the key, got {key:?}")))?;
                slots.push((number, slot.word()?));
            }
        }
        table.done()?;
        state.insert(*address, info, code, slots);
    }
    complete(state, part)
}

/// Code: hex, or a file with hex or with a compiler's JSON.
fn read_code(context: &Context<'_>, value: &Value<'_>) -> Result<Bytes> {
    let text = value.text()?;
    if text.starts_with("0x") {
        return Ok(value.bytes()?.into());
    }
    let document = context.files.read(text, &value.at)?;
    let fail = || value.at.error(format!("{text}: expected hex, or JSON with `deployedBytecode` in hex"));
    let content = String::from_utf8(document).map_err(|_| fail())?;
    let mut hex = content.trim().to_owned();
    if hex.starts_with('{') {
        let json: serde_json::Value = serde_json::from_str(&hex).map_err(|_| fail())?;
        let code = json.get("deployedBytecode").ok_or_else(fail)?;
        // Foundry and Hardhat wrap it in an object.
        let code = code.get("object").unwrap_or(code);
        hex = code.as_str().ok_or_else(fail)?.to_owned();
    }
    let digits = hex.strip_prefix("0x").unwrap_or(&hex);
    hex::decode(digits).map(Bytes::from).map_err(|_| fail())
}
