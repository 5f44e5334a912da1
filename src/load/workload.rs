//! Reads benchmark workloads: a pre-state and transactions as lines of text, each transaction isolated.
//!
//! | line | meaning |
//! | --- | --- |
//! | `W name` | the workload's name, first |
//! | `A address balance nonce code` | an account; `-` for no code |
//! | `S address slot value` | a storage slot |
//! | `T caller to value gas nonce data` | a legacy transaction; `-` for no data |
//!
//! Words, addresses, code and data are hex without 0x; gas and nonces are decimal. The block is a fixed one: Cancun,
//! chain 1, base fee 7, gas price 10.

use crate::spec::{
    AccountInfo, BlockContext, Bytes, Environment, Fork, H160, H256, KECCAK_EMPTY, MemoryState, Order, Rules,
    Transaction, U256,
};
use alloy_primitives::keccak256;
use std::collections::HashSet;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// The text of a workload may not be longer than this.
const MAX_TEXT: u64 = 256 << 20;
/// The storage positions below which a mapping keyed by an account is looked for when a batch is widened.
const MAPPING_POSITIONS: u64 = 32;

/// Why a workload cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// The file cannot be read or decompressed.
    #[error("workload {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is longer than any workload.
    #[error("workload {path}: more than {MAX_TEXT} bytes of text: not a workload file")]
    TooLong {
        /// The file.
        path: String,
    },
    /// A line does not follow the format.
    #[error("workload {path}, line {line}: {field}: expected {expected}, got {got:?}")]
    Line {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// The field of the line.
        field: &'static str,
        /// What the format asks for.
        expected: &'static str,
        /// What is there, cut to 80 characters.
        got: String,
    },
    /// The file has no transaction.
    #[error("workload {path}: no transaction: expected at least one line `T caller to value gas nonce data`")]
    Empty {
        /// The file.
        path: String,
    },
}

/// A pre-state and transactions that all start from it.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// The state that every transaction starts from.
    pub state: Arc<MemoryState>,
    /// The transactions, independent of each other.
    pub transactions: Vec<Transaction>,
}

impl Workload {
    /// Reads a workload file, zstd-compressed if its name ends in `.zst`.
    ///
    /// # Errors
    /// When the file cannot be read or does not follow the format.
    pub fn read(path: &Path) -> Result<Self, WorkloadError> {
        let shown = path.display().to_string();
        let io = |source| WorkloadError::Io { path: shown.clone(), source };
        let file = std::fs::File::open(path).map_err(io)?;
        let mut text = String::new();
        let compressed = path.extension().is_some_and(|extension| extension == "zst");
        if compressed {
            let decoder = zstd::stream::read::Decoder::new(file).map_err(io)?;
            decoder.take(MAX_TEXT + 1).read_to_string(&mut text).map_err(io)?;
        } else {
            file.take(MAX_TEXT + 1).read_to_string(&mut text).map_err(io)?;
        }
        if text.len() as u64 > MAX_TEXT {
            return Err(WorkloadError::TooLong { path: shown });
        }
        Self::parse(&shown, &text)
    }

    /// Reads the text of a workload; `path` names it in errors.
    ///
    /// # Errors
    /// When the text does not follow the format.
    pub fn parse(path: &str, text: &str) -> Result<Self, WorkloadError> {
        let mut name = String::new();
        let mut state = MemoryState::default();
        let mut transactions = Vec::new();
        for (index, text) in text.lines().enumerate() {
            let mut line = Line { path, line: index + 1, fields: text.split_ascii_whitespace() };
            match line.fields.next() {
                None => continue,
                Some("W") => name = line.text("name")?.to_owned(),
                Some("A") => {
                    let address = line.address("address")?;
                    let balance = line.word("balance")?;
                    let nonce = line.number("nonce")?;
                    let code = line.bytes("code")?;
                    let code_hash = if code.is_empty() { KECCAK_EMPTY } else { H256(keccak256(&code).0) };
                    let storage = std::mem::take(&mut state.accounts.entry(address).or_default().storage);
                    state.insert(address, AccountInfo { nonce, balance, code_hash }, code, storage);
                }
                Some("S") => {
                    let address = line.address("address")?;
                    let slot = line.word("slot")?;
                    let value = line.word("value")?;
                    let storage = &mut state.accounts.entry(address).or_default().storage;
                    if value.is_zero() {
                        storage.remove(&slot);
                    } else {
                        storage.insert(slot, value);
                    }
                }
                Some("T") => transactions.push(line.transaction()?),
                Some(other) => return Err(line.error("kind", "W, A, S or T", other)),
            }
            if let Some(extra) = line.fields.next() {
                return Err(line.error("end of line", "nothing more", extra));
            }
        }
        if transactions.is_empty() {
            return Err(WorkloadError::Empty { path: path.to_owned() });
        }
        Ok(Self { name, state: Arc::new(state), transactions })
    }

    /// The environment of all transactions; its order is [`Order::Independent`].
    #[must_use]
    pub fn environment(&self) -> Environment {
        let block = BlockContext {
            number: 20_000_000,
            timestamp: 1_718_000_000,
            coinbase: H160::from_low_u64_be(0xc01b_ace0),
            // Above the gas limit of the longest transaction, so that none is rejected.
            gas_limit: 2_000_000_000,
            base_fee: U256::from(7),
            blob_base_fee: U256::one(),
            ..BlockContext::default()
        };
        let mut environment =
            Environment::new(self.name.clone(), Rules::new(Fork::Cancun, 1), block, self.state.clone());
        environment.order = Order::Independent;
        environment
    }

    /// The same workload with exactly `size` transactions. Beyond the file's own, each copy has senders and receivers
    /// of its own, with accounts and token balances like the originals', and other amounts where the file varies them;
    /// the contracts stay.
    #[must_use]
    pub fn widen(&self, size: usize) -> Self {
        let mut transactions = self.transactions.clone();
        transactions.truncate(size);
        if size <= self.transactions.len() || self.transactions.is_empty() {
            return Self { name: self.name.clone(), state: self.state.clone(), transactions };
        }
        let pattern = Pattern::of(self);
        let owned = pattern.owned_slots(self);
        let mut state = (*self.state).clone();
        let mut copy = 0u64;
        while transactions.len() < size {
            copy += 1;
            for &actor in &pattern.actors {
                if let Some(account) = self.state.accounts.get(&actor) {
                    let mut account = account.clone();
                    account.storage.clear();
                    state.accounts.insert(rename(actor, copy), account);
                }
            }
            for slot in &owned {
                let key = slot.key(rename(slot.owner, copy));
                state.accounts.entry(slot.contract).or_default().storage.insert(key, slot.value);
            }
            let room = size - transactions.len();
            let step = U256::from(copy) * U256::from(self.transactions.len());
            transactions.extend(self.transactions.iter().take(room).map(|original| pattern.copy(original, copy, step)));
        }
        Self { name: self.name.clone(), state: Arc::new(state), transactions }
    }
}

/// One line that is being read.
struct Line<'a> {
    path: &'a str,
    line: usize,
    fields: std::str::SplitAsciiWhitespace<'a>,
}

impl<'a> Line<'a> {
    fn error(&self, field: &'static str, expected: &'static str, got: &str) -> WorkloadError {
        let got = got.chars().take(80).collect();
        WorkloadError::Line { path: self.path.to_owned(), line: self.line, field, expected, got }
    }

    fn text(&mut self, field: &'static str) -> Result<&'a str, WorkloadError> {
        self.fields.next().ok_or_else(|| self.error(field, "a field", ""))
    }

    fn number(&mut self, field: &'static str) -> Result<u64, WorkloadError> {
        let text = self.text(field)?;
        text.parse().map_err(|_| self.error(field, "a decimal number below 2^64", text))
    }

    fn word(&mut self, field: &'static str) -> Result<U256, WorkloadError> {
        let text = self.text(field)?;
        U256::from_str_radix(text, 16).map_err(|_| self.error(field, "at most 64 hex digits", text))
    }

    fn address(&mut self, field: &'static str) -> Result<H160, WorkloadError> {
        let text = self.text(field)?;
        let mut address = H160::zero();
        hex::decode_to_slice(text, &mut address.0).map_err(|_| self.error(field, "40 hex digits", text))?;
        Ok(address)
    }

    fn bytes(&mut self, field: &'static str) -> Result<Bytes, WorkloadError> {
        match self.text(field)? {
            "-" => Ok(Bytes::new()),
            text => hex::decode(text)
                .map(Bytes::from)
                .map_err(|_| self.error(field, "an even number of hex digits, or -", text)),
        }
    }

    fn transaction(&mut self) -> Result<Transaction, WorkloadError> {
        let price = U256::from(10);
        Ok(Transaction {
            sender: self.address("caller")?,
            to: Some(self.address("to")?),
            value: self.word("value")?,
            gas_limit: self.number("gas")?,
            nonce: self.number("nonce")?,
            input: self.bytes("data")?,
            max_fee_per_gas: price,
            max_priority_fee_per_gas: price,
            chain_id: Some(1),
            ..Transaction::default()
        })
    }
}

/// What of a workload varies from transaction to transaction.
struct Pattern {
    /// Accounts without code that send or receive, sorted.
    actors: Vec<H160>,
    is_actor: HashSet<H160>,
    /// Indices of the words of the call data that hold amounts.
    amounts: HashSet<usize>,
    varies_value: bool,
}

/// A slot of a mapping that belongs to an account: `keccak(owner . position)`, or below it
/// `keccak(inner . keccak(owner . position))`, as Solidity lays mappings out.
struct OwnedSlot {
    contract: H160,
    owner: H160,
    position: U256,
    inner: Option<H160>,
    value: U256,
}

impl OwnedSlot {
    fn key(&self, owner: H160) -> U256 {
        let outer = mapping_slot(owner, self.position);
        self.inner.map_or(outer, |inner| mapping_slot(inner, outer))
    }
}

impl Pattern {
    fn of(workload: &Workload) -> Self {
        let has_code =
            |address: &H160| workload.state.accounts.get(address).is_some_and(|a| a.info.code_hash != KECCAK_EMPTY);
        let first = &workload.transactions[0];
        let (mut actors, mut amounts, mut varies_value) = (HashSet::new(), HashSet::new(), false);
        for transaction in &workload.transactions {
            actors.insert(transaction.sender);
            actors.extend(transaction.to.filter(|to| !has_code(to)));
            varies_value |= transaction.value != first.value;
            for (index, (offset, word)) in words(&transaction.input).enumerate() {
                let varies = first.input.get(offset..offset + 32) != transaction.input.get(offset..offset + 32);
                match as_address(word) {
                    Some(address) if varies && !has_code(&address) => {
                        actors.insert(address);
                    }
                    None if varies && word < U256::one() << 96 => {
                        amounts.insert(index);
                    }
                    _ => {}
                }
            }
        }
        let mut sorted: Vec<H160> = actors.iter().copied().collect();
        sorted.sort_unstable();
        Self { actors: sorted, is_actor: actors, amounts, varies_value }
    }

    /// The slots of all contracts that belong to an actor.
    fn owned_slots(&self, workload: &Workload) -> Vec<OwnedSlot> {
        let with_storage: Vec<_> =
            workload.state.accounts.iter().filter(|(_, account)| !account.storage.is_empty()).collect();
        let contracts: Vec<H160> = workload
            .state
            .accounts
            .iter()
            .filter(|(_, account)| account.info.code_hash != KECCAK_EMPTY)
            .map(|(address, _)| *address)
            .collect();
        let mut found = Vec::new();
        for &owner in &self.actors {
            for position in (0..MAPPING_POSITIONS).map(U256::from) {
                let outer = mapping_slot(owner, position);
                let inners = contracts.iter().map(|inner| (Some(*inner), mapping_slot(*inner, outer)));
                for (inner, key) in std::iter::once((None, outer)).chain(inners) {
                    for (contract, account) in &with_storage {
                        if let Some(&value) = account.storage.get(&key) {
                            found.push(OwnedSlot { contract: **contract, owner, position, inner, value });
                        }
                    }
                }
            }
        }
        found
    }

    fn copy(&self, original: &Transaction, copy: u64, step: U256) -> Transaction {
        let renamed = |address: H160| if self.is_actor.contains(&address) { rename(address, copy) } else { address };
        let mut input = original.input.to_vec();
        for (index, (offset, word)) in words(&original.input).enumerate() {
            let new = match as_address(word) {
                Some(address) => U256::from_big_endian(&renamed(address).0),
                None if self.amounts.contains(&index) => word + step,
                None => continue,
            };
            input[offset..offset + 32].copy_from_slice(&new.to_big_endian());
        }
        Transaction {
            sender: renamed(original.sender),
            to: original.to.map(renamed),
            value: if self.varies_value { original.value + step } else { original.value },
            input: input.into(),
            ..original.clone()
        }
    }
}

/// The whole words of call data with their offsets, after the selector where there is one.
fn words(input: &[u8]) -> impl Iterator<Item = (usize, U256)> + '_ {
    let start = if input.len() % 32 == 4 { 4 } else { 0 };
    input
        .get(start..)
        .unwrap_or_default()
        .chunks_exact(32)
        .enumerate()
        .map(move |(index, chunk)| (start + 32 * index, U256::from_big_endian(chunk)))
}

/// The address in a word that is too large for an amount and no wider than an address.
fn as_address(word: U256) -> Option<H160> {
    let range = (U256::one() << 96)..(U256::one() << 160);
    range.contains(&word).then(|| H160::from_slice(&word.to_big_endian()[12..]))
}

fn mapping_slot(key: H160, position: U256) -> U256 {
    let mut preimage = [0; 64];
    preimage[12..32].copy_from_slice(&key.0);
    preimage[32..].copy_from_slice(&position.to_big_endian());
    U256::from_big_endian(keccak256(preimage).as_slice())
}

fn rename(address: H160, copy: u64) -> H160 {
    let mut preimage = [0; 28];
    preimage[..20].copy_from_slice(&address.0);
    preimage[20..].copy_from_slice(&copy.to_be_bytes());
    H160::from_slice(&keccak256(preimage)[12..])
}

/// The workload files of a folder, sorted by name.
///
/// # Errors
/// When the folder cannot be listed.
pub fn files_in(folder: &Path) -> Result<Vec<std::path::PathBuf>, WorkloadError> {
    let io = |source| WorkloadError::Io { path: folder.display().to_string(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.ends_with(".txt.zst") || name.ends_with(".txt") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0648b76379f1164699c7e117b8ab4c64c6b25dbf";

    fn sample() -> Workload {
        let sender = H160::repeat_byte(0x1a);
        let slot = mapping_slot(sender, U256::from(2));
        let text = format!(
            "W sample\nA {TOKEN} 00 1 6001\nA {s} 3635c9adc5dea00000 0 -\nA {t} 01 0 -\nS {TOKEN} {slot:064x} 2a\n\
             T {s} {TOKEN} 0 100000 0 a9059cbb{r1}{a1}\nT {t} {TOKEN} 0 100000 0 a9059cbb{r2}{a2}\n",
            s = hex::encode(sender),
            t = "1b".repeat(20),
            r1 = format_args!("{}{}", "00".repeat(12), "c6".repeat(20)),
            a1 = format_args!("{:064x}", 1000),
            r2 = format_args!("{}{}", "00".repeat(12), "c7".repeat(20)),
            a2 = format_args!("{:064x}", 1001),
        );
        Workload::parse("sample", &text).expect("the sample follows the format")
    }

    #[test]
    fn widening_gives_every_copy_its_own_accounts_and_balances() {
        let sample = sample();
        let wide = sample.widen(5);
        assert_eq!(wide.transactions.len(), 5);
        let senders: HashSet<_> = wide.transactions.iter().map(|t| t.sender).collect();
        assert_eq!(senders.len(), 5);
        let token = H160::from_slice(&hex::decode(TOKEN).expect("hex"));
        for transaction in wide.transactions.iter().step_by(2) {
            assert_eq!(transaction.to, Some(token));
            assert!(wide.state.accounts[&transaction.sender].info.balance > U256::zero());
            let slot = mapping_slot(transaction.sender, U256::from(2));
            assert_eq!(wide.state.accounts[&token].storage[&slot], U256::from(0x2a));
        }
        let amount = |t: &Transaction| U256::from_big_endian(&t.input[36..68]);
        // Copies of the second transaction's pattern move on by the number of transactions in the file.
        assert_eq!(amount(&wide.transactions[3]), U256::from(1003));
        assert_eq!(wide.widen(2).transactions, sample.transactions);
    }

    #[test]
    fn errors_say_where_and_what() {
        let cases = [
            ("W x\nA 12 0 0 -", "line 2: address: expected 40 hex digits"),
            ("W x\nQ", "line 2: kind: expected W, A, S or T"),
            ("W x", "no transaction"),
            ("W x y", "line 1: end of line: expected nothing more"),
            (&format!("T {TOKEN} {TOKEN} 0 zz 0 -"), "line 1: gas: expected a decimal number"),
            (&format!("T {TOKEN} {TOKEN} 0 1 0 abc"), "line 1: data: expected an even number of hex digits"),
        ];
        for (text, expected) in cases {
            let error = Workload::parse("file", text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
