//! Records one block of a node.

use super::merge::{PreState, quantity};
use super::{FetchError, ForkSchedule, malformed, proof, system};
use crate::chain::ChainSpec;
use crate::load::block_pack::BlockPack;
use crate::load::json_rpc::RpcBlock;
use crate::load::rpc::{Rpc, RpcError};
use crate::load::witness::PROOFS;
use crate::load::{envelope, typed};
use alloy_primitives::B256;
use isolane_gpu::transition::recover_authority;
use isolane_spec::fork::Fork;
use isolane_spec::{H160, H256};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Where the state before a block comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StateMethod {
    /// `debug_executionWitness`: proven down from the parent's state root.
    Witness,
    /// `debug_traceBlockByNumber` with the prestate tracer: taken on trust.
    Tracer,
    /// `eth_getProof` of what the block reads: proven down from the parent's state root.
    Proof,
}

impl StateMethod {
    /// The node's method.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Witness => "debug_executionWitness",
            Self::Tracer => "debug_traceBlockByNumber",
            Self::Proof => PROOFS,
        }
    }

    /// Whether what it gives is proven, and kept as a witness.
    #[must_use]
    pub const fn is_proven(self) -> bool {
        matches!(self, Self::Witness | Self::Proof)
    }
}

/// A recorded block.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The pack.
    pub pack: Value,
    /// The witness, where the state comes from one.
    pub witness: Option<Value>,
    /// Transactions in the block.
    pub transactions: u64,
    /// What a reader of the pack should know.
    pub notes: BTreeSet<String>,
}

/// The hash that the node gave, and what else is learnt of a chain on the way. Several threads may record at once.
pub struct Recorder<'a> {
    rpc: Rpc,
    chain_id: u64,
    latest: u64,
    client: Value,
    schedule: ForkSchedule<'a>,
    fork: Option<Fork>,
    /// The chain's schedule, where it is not built in.
    chain: Option<ChainSpec>,
    method: StateMethod,
    /// Hashes of blocks seen.
    hashes: Mutex<BTreeMap<u64, String>>,
    /// What the method answered for the block that it was tried on, until that block is recorded.
    probed: Mutex<Option<(u64, Value)>>,
}

impl<'a> Recorder<'a> {
    /// A recorder of a node's chain. Where no method is named, the first that the node serves for the block `probe`: it is
    /// that for all blocks.
    ///
    /// # Errors
    /// When the node cannot be reached, or serves no method.
    pub fn new(
        rpc: Rpc,
        schedule: ForkSchedule<'a>,
        fork: Option<Fork>,
        method: Option<StateMethod>,
        probe: impl FnOnce(u64) -> Option<u64>,
    ) -> Result<Self, FetchError> {
        let hex = |method: &'static str| -> Result<u64, FetchError> {
            let value = rpc.call(method, json!([]))?;
            quantity(&value).ok_or_else(|| malformed(0, method, &format!("expected a quantity, got {value}")))
        };
        let (chain_id, latest) = (hex("eth_chainId")?, hex("eth_blockNumber")?);
        let client = rpc.call("web3_clientVersion", json!([])).unwrap_or(Value::Null);
        let (method, probed) = match (method, probe(latest)) {
            (Some(method), _) => (method, None),
            (None, None) => (StateMethod::Tracer, None),
            (None, Some(number)) => {
                let (method, answer) = first_served(&rpc, number)?;
                (method, Some((number, answer)))
            }
        };
        let (hashes, probed) = (Mutex::default(), Mutex::new(probed));
        Ok(Self { rpc, chain_id, latest, client, schedule, fork, chain: None, method, hashes, probed })
    }

    /// With a schedule that is not built in, which decides on what blocks read.
    #[must_use]
    pub fn with_chain(mut self, chain: Option<ChainSpec>) -> Self {
        self.chain = chain;
        self
    }

    /// EIP-155 chain id.
    #[must_use]
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The node's latest block at the start.
    #[must_use]
    pub const fn latest(&self) -> u64 {
        self.latest
    }

    /// Where states come from.
    #[must_use]
    pub const fn method(&self) -> StateMethod {
        self.method
    }

    /// The node.
    pub(crate) const fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// Remembers a block's hash; a block that had another one before shows that the chain was reorganised.
    pub(crate) fn learn(&self, number: u64, what: &'static str, hash: &str) -> Result<(), FetchError> {
        let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = hashes.entry(number).or_insert_with(|| hash.to_owned());
        if known == hash {
            return Ok(());
        }
        Err(FetchError::Inconsistent { number, what, expected: known.clone(), got: hash.to_owned() })
    }

    /// Records a block.
    ///
    /// # Errors
    /// When the node fails, or its answers do not belong together.
    pub fn record(&self, number: u64) -> Result<Recorded, FetchError> {
        let mut notes = BTreeSet::new();
        let tag = format!("{number:#x}");
        let block = self.rpc.call("eth_getBlockByNumber", json!([tag, true]))?;
        if block.is_null() {
            return Err(FetchError::NoBlock { number, latest: self.latest });
        }
        if block.get("number").and_then(quantity) != Some(number) {
            let got = block.get("number").map_or_else(|| "nothing".to_owned(), Value::to_string);
            return Err(FetchError::Inconsistent { number, what: "number", expected: tag, got });
        }
        let field = |name: &str| {
            let text = block.get(name).and_then(Value::as_str).map(str::to_ascii_lowercase);
            text.ok_or_else(|| malformed(number, "eth_getBlockByNumber", &format!("no `{name}`")))
        };
        let (hash, parent_hash, miner) = (field("hash")?, field("parentHash")?, field("miner")?);
        let timestamp = block.get("timestamp").and_then(quantity);
        let timestamp = timestamp.ok_or_else(|| malformed(number, "eth_getBlockByNumber", "no `timestamp`"))?;
        let same = |what, expected: &str, got: &str| {
            if expected.eq_ignore_ascii_case(got) {
                return Ok(());
            }
            Err(FetchError::Inconsistent { number, what, expected: expected.to_owned(), got: got.to_owned() })
        };
        self.learn(number, "hash", &hash)?;
        if let Some(parent) = number.checked_sub(1) {
            // Said of this block, whose parent it is.
            self.learn(parent, "parent hash", &parent_hash).map_err(|error| match error {
                FetchError::Inconsistent { what, expected, got, .. } => {
                    FetchError::Inconsistent { number, what, expected, got }
                }
                other => other,
            })?;
        }
        let fork = self.fork.or_else(|| (self.schedule)(self.chain_id, number, timestamp));
        let fork = fork.ok_or(FetchError::UnknownFork { number, chain_id: self.chain_id })?;

        let transactions = block.get("transactions").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut transaction_hashes = Vec::with_capacity(transactions.len());
        for transaction in &transactions {
            let hash = transaction.get("hash").and_then(Value::as_str);
            transaction_hashes
                .push(hash.ok_or_else(|| malformed(number, "eth_getBlockByNumber", "a transaction without `hash`"))?);
        }
        let receipts = self.receipts(number, &tag, &transaction_hashes)?;
        for (receipt, transaction) in receipts.iter().zip(&transaction_hashes) {
            let text = |name: &str| receipt.get(name).and_then(Value::as_str).unwrap_or("nothing");
            same("transaction of a receipt", transaction, text("transactionHash"))?;
            same("block of a receipt", &hash, text("blockHash"))?;
        }

        let mut state = PreState::default();
        let mut unknown = BTreeSet::new();
        let witness = match self.method {
            StateMethod::Witness if number > 0 => Some(self.witness(number, &tag)?),
            _ => None,
        };
        if number > 0 && self.method == StateMethod::Tracer {
            // Before the traces: those show system contracts as the system calls at the block's beginning left them.
            system::read_system_contracts(&self.rpc, &mut state, fork, number, timestamp)?;
            self.trace(number, &tag, &transaction_hashes, &mut state, &mut notes)?;
            let withdrawals = block.get("withdrawals").and_then(Value::as_array).into_iter().flatten();
            let recipients = withdrawals.filter_map(|w| w.get("address")).filter_map(Value::as_str);
            let authorities = self.authorities(&block, fork);
            let authorities = authorities.iter().map(String::as_str);
            for address in recipients.chain([miner.as_str()]).chain(authorities) {
                let address = address.to_ascii_lowercase();
                if state.knows(&address) || unknown.contains(&address) {
                    continue;
                }
                match system::read_account(&self.rpc, &address, number - 1, &[]) {
                    Ok(account) => state.insert(&address, account),
                    Err(error) if error.is_refusal() => {
                        notes.insert(format!("state at the parent block refused ({error}): see prestateUnknown"));
                        unknown.insert(address);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let block_hashes = self.ancestors(number, &state, &transactions)?;
        let ommers = self.ommers(number, &tag, &block)?;
        if fork < Fork::SpuriousDragon && state.has_empty_accounts() {
            notes.insert("before Spurious Dragon the tracer does not tell empty accounts from missing ones".into());
        }

        let mut pack = json!({
            "format": "evm-block-replay/1",
            "chainId": self.chain_id,
            "fork": fork.name(),
            "block": block,
            "prestate": if self.method.is_proven() && number > 0 { Value::Null } else { state.to_json(fork >= Fork::SpuriousDragon) },
            "receipts": receipts,
            "blockHashes": block_hashes,
            "validated": {"gasUsed": null, "logsBloom": null, "receiptsRoot": null, "stateRoot": null},
            "source": {"client": self.client, "method": match self.method {
                StateMethod::Witness => "isolane fetch: debug_executionWitness",
                StateMethod::Tracer => "isolane fetch: prestateTracer, merged by first occurrence",
                StateMethod::Proof => "isolane fetch: eth_getProof, proven against the parent's state root",
            }},
        });
        if !ommers.is_empty() {
            pack["ommers"] = Value::Array(ommers);
        }
        if !unknown.is_empty() {
            pack["prestateUnknown"] = json!(unknown);
        }
        let witness = match self.method {
            StateMethod::Proof if number > 0 => Some(self.prove(number, &parent_hash, &mut pack)?),
            _ => witness,
        };
        Ok(Recorded { pack, witness, transactions: transactions.len() as u64, notes })
    }

    /// Who signed delegations (EIP-7702): whether their accounts exist decides on a refund, but tracers leave them out where the
    /// delegation is not set.
    fn authorities(&self, block: &Value, fork: Fork) -> Vec<String> {
        // What cannot be read here is an error of the replay.
        let Ok(block) = typed::parse::<RpcBlock>(block.to_string().as_bytes()) else { return Vec::new() };
        let signed = block.transactions.iter().filter_map(|rpc| envelope::prepare(rpc, self.chain_id, fork).ok());
        let lists = signed.flat_map(|signed| signed.transaction.authorization_list);
        lists.filter_map(|one| recover_authority(&one)).map(|authority| format!("{authority:#x}")).collect()
    }

    /// What the method answered for this block, if it was tried on it: asked for once.
    fn probed(&self, number: u64) -> Option<Value> {
        let mut probed = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        probed.take_if(|(tried, _)| *tried == number).map(|(_, answer)| answer)
    }

    fn witness(&self, number: u64, tag: &str) -> Result<Value, FetchError> {
        let method = StateMethod::Witness.method();
        let witness = match self.probed(number) {
            Some(witness) => witness,
            None => self.rpc.call(method, json!([tag]))?,
        };
        if !witness.is_object() {
            return Err(malformed(number, method, &format!("expected an object, got {witness}")));
        }
        let headers = witness.get("headers").and_then(Value::as_array);
        if headers.is_none_or(|headers| !headers.first().is_some_and(Value::is_string)) {
            let reason = "expected RLP of the parent's header in `headers`: without it nothing proves the state root";
            return Err(malformed(number, method, reason));
        }
        Ok(witness)
    }

    /// Proves what the block of a pack reads; the ancestors' hashes that it asks for go into the pack.
    fn prove(&self, number: u64, parent_hash: &str, pack: &mut Value) -> Result<Value, FetchError> {
        let ancestors = |numbers: &[u64]| {
            let parse = |hash: &String| hash.parse::<B256>().map(|hash| H256(hash.0));
            let hashes = self.hashes_of(numbers)?;
            hashes.iter().map(parse).collect::<Result<Vec<H256>, _>>().map_err(|error| {
                malformed(number, "eth_getBlockByNumber", &format!("the hash of an ancestor: {error}"))
            })
        };
        let typed: BlockPack = typed::parse(pack.to_string().as_bytes())
            .map_err(|error| malformed(number, "eth_getBlockByNumber", &error.to_string()))?;
        let collector = proof::Collector::new(&self.rpc, number, parent_hash, &ancestors)?;
        let (witness, asked) = collector.collect(&typed, self.chain.as_ref())?;
        let asked: Vec<u64> = asked.into_iter().collect();
        let hashes = self.hashes_of(&asked)?;
        let hashes: BTreeMap<String, String> = asked.iter().map(|n| format!("{n:#x}")).zip(hashes).collect();
        pack["blockHashes"] = json!(hashes);
        Ok(witness)
    }

    /// The hashes of blocks, in order; each is asked for once.
    fn hashes_of(&self, numbers: &[u64]) -> Result<Vec<String>, FetchError> {
        let missing: Vec<u64> = {
            let hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
            numbers.iter().copied().filter(|n| !hashes.contains_key(n)).collect()
        };
        let params: Vec<Value> = missing.iter().map(|n| json!([format!("{n:#x}"), false])).collect();
        for (n, header) in missing.iter().zip(self.rpc.call_many("eth_getBlockByNumber", &params)?) {
            let hash = header.get("hash").and_then(Value::as_str);
            let hash = hash.ok_or_else(|| malformed(*n, "eth_getBlockByNumber", "no `hash`"))?;
            self.learn(*n, "hash", &hash.to_ascii_lowercase())?;
        }
        let hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(numbers.iter().filter_map(|n| hashes.get(n).cloned()).collect())
    }

    /// All receipts of the block; nodes without `eth_getBlockReceipts` are asked for each. Receipts that are not there
    /// yet (some nodes index them late) are waited for.
    fn receipts(&self, number: u64, tag: &str, hashes: &[&str]) -> Result<Vec<Value>, FetchError> {
        const WAITS: u32 = 20;
        for wait in 0..WAITS {
            let receipts = match self.rpc.call("eth_getBlockReceipts", json!([tag])) {
                Ok(Value::Array(receipts)) => receipts,
                Ok(_) => Vec::new(),
                Err(error) if error.is_refusal() => {
                    let params: Vec<Value> = hashes.iter().map(|hash| json!([hash])).collect();
                    let mut receipts = self.rpc.call_many("eth_getTransactionReceipt", &params)?;
                    receipts.retain(|receipt| !receipt.is_null());
                    receipts
                }
                Err(error) => return Err(error.into()),
            };
            if receipts.len() == hashes.len() {
                return Ok(receipts);
            }
            std::thread::sleep(Duration::from_millis(25 * u64::from(wait + 1)));
        }
        let reason = format!("the node does not give all {} receipts", hashes.len());
        Err(malformed(number, "eth_getBlockReceipts", &reason))
    }

    fn trace(
        &self,
        number: u64,
        tag: &str,
        hashes: &[&str],
        state: &mut PreState,
        notes: &mut BTreeSet<String>,
    ) -> Result<(), FetchError> {
        const METHOD: &str = "debug_traceBlockByNumber";
        if hashes.is_empty() {
            return Ok(());
        }
        let results = |value: Value| -> Result<Vec<Value>, FetchError> {
            let Value::Array(list) = value else {
                return Err(malformed(number, METHOD, "expected an array"));
            };
            if list.len() != hashes.len() {
                let reason = format!("{} results for {} transactions", list.len(), hashes.len());
                return Err(malformed(number, METHOD, &reason));
            }
            let one = |(mut entry, hash): (Value, &&str)| {
                if let Some(traced) = entry.get("txHash").and_then(Value::as_str)
                    && !traced.eq_ignore_ascii_case(hash)
                {
                    return Err(malformed(number, METHOD, &format!("the result of {traced} where {hash} should be")));
                }
                match entry.get_mut("result") {
                    Some(result) => Ok(result.take()),
                    None => Err(malformed(number, METHOD, &format!("no result for {hash}: {entry}"))),
                }
            };
            list.into_iter().zip(hashes).map(one).collect()
        };
        let plain = match self.probed(number) {
            Some(plain) => plain,
            None => self.rpc.call(METHOD, json!([tag, {"tracer": "prestateTracer"}]))?,
        };
        let plain = results(plain)?;
        let diff_config = json!({"tracer": "prestateTracer", "tracerConfig": {"diffMode": true}});
        let diffs = match self.rpc.call(METHOD, json!([tag, diff_config])) {
            Ok(value) => Some(results(value)?),
            Err(error) if error.is_refusal() => {
                let text = "the node has no diffMode: accounts made in a block may be reported as older than it";
                notes.insert(format!("{text} ({error})"));
                None
            }
            Err(error) => return Err(error.into()),
        };
        for (index, result) in plain.iter().enumerate() {
            state
                .merge(result)
                .map_err(|reason| malformed(number, METHOD, &format!("transaction {index}: {reason}")))?;
            if let Some(diff) = diffs.as_ref().and_then(|diffs| diffs.get(index)) {
                state
                    .merge_made(diff)
                    .map_err(|reason| malformed(number, METHOD, &format!("transaction {index}: {reason}")))?;
            }
        }
        Ok(())
    }

    /// The parent's hash, and the other 255 if any code of the block can ask for them. Whatever is proven has the hashes of those that
    /// the block asks for.
    fn ancestors(
        &self,
        number: u64,
        state: &PreState,
        transactions: &[Value],
    ) -> Result<BTreeMap<String, String>, FetchError> {
        let Some(parent) = number.checked_sub(1) else {
            return Ok(BTreeMap::new());
        };
        let mut first = parent;
        let inputs = transactions.iter().filter(|t| t.get("to").is_none_or(Value::is_null));
        let init_codes = inputs.filter_map(|t| t.get("input")).filter_map(Value::as_str);
        // A byte that is data of a PUSH counts too: that asks for too much, never for too little.
        if !self.method.is_proven() && state.codes().chain(init_codes).any(may_ask_for_block_hash) {
            first = number.saturating_sub(256);
            self.hashes_of(&(first..parent).collect::<Vec<_>>())?;
        }
        let hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(hashes.range(first..=parent).map(|(n, hash)| (format!("{n:#x}"), hash.clone())).collect())
    }

    fn ommers(&self, number: u64, tag: &str, block: &Value) -> Result<Vec<Value>, FetchError> {
        let count = block.get("uncles").and_then(Value::as_array).map_or(0, Vec::len);
        let params: Vec<Value> = (0..count).map(|index| json!([tag, format!("{index:#x}")])).collect();
        let ommers = self.rpc.call_many("eth_getUncleByBlockNumberAndIndex", &params)?;
        if ommers.iter().any(Value::is_null) {
            return Err(malformed(number, "eth_getUncleByBlockNumberAndIndex", "an uncle is not there"));
        }
        Ok(ommers)
    }
}

/// The first method of state that a node serves for a block, and what it answers: a witness, the tracer, proofs.
fn first_served(rpc: &Rpc, number: u64) -> Result<(StateMethod, Value), FetchError> {
    let tag = format!("{number:#x}");
    // The answer, or how the node refused.
    let ask = |method: StateMethod, params: Value| match rpc.call(method.method(), params) {
        // Some nodes answer with nothing where they have nothing.
        Ok(Value::Null) => {
            let message = "it answered with null".to_owned();
            Ok(Err(RpcError::Refused { method: method.method().to_owned(), code: 0, message }))
        }
        Ok(answer) => Ok(Ok(answer)),
        Err(error) if error.is_refusal() => Ok(Err(error)),
        Err(error) => Err(error),
    };
    let witness = match ask(StateMethod::Witness, json!([tag]))? {
        Ok(answer) => return Ok((StateMethod::Witness, answer)),
        Err(refused) => refused,
    };
    let tracer = match ask(StateMethod::Tracer, json!([tag, {"tracer": "prestateTracer"}]))? {
        Ok(answer) => return Ok((StateMethod::Tracer, answer)),
        // Before the first block there is nothing to prove, or to trace.
        Err(_) if number == 0 => return Ok((StateMethod::Tracer, Value::Null)),
        Err(refused) => refused,
    };
    let nobody = format!("{:?}", H160::zero());
    match ask(StateMethod::Proof, json!([nobody, [], format!("{:#x}", number - 1)]))? {
        Ok(answer) => Ok((StateMethod::Proof, answer)),
        Err(proof) => {
            let [witness, tracer, proof] = [witness, tracer, proof].map(Box::new);
            Err(FetchError::NoState { witness, tracer, proof })
        }
    }
}

fn may_ask_for_block_hash(code: &str) -> bool {
    const BLOCKHASH: &[u8] = b"40";
    code.as_bytes().get(2..).unwrap_or_default().chunks_exact(2).any(|byte| byte == BLOCKHASH)
}
