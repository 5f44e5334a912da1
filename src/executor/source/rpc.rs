//! The state of a block, from a node.

use super::{Account, StateSource};
use crate::block::block_context;
use crate::chain::ChainSpec;
use crate::load::json_rpc::RpcBlock;
use crate::load::rpc::{Rpc, RpcError};
use crate::load::typed::{Hex, InputError, parse};
use crate::trie::EMPTY_ROOT;
use hashbrown::HashMap;
use isolane_spec::{BlockContext, Bytes, Fork, H160, H256, KECCAK_EMPTY, Rules, U256};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// Requests that are made at the same time.
const AT_A_TIME: usize = 8;
/// Questions in one request, as [`Rpc::call_many`] makes them.
const IN_ONE: usize = 64;

/// Why a node cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpcSourceError {
    /// It cannot be reached, or refuses.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// It answers with something else than it should.
    #[error("{method}: {error}")]
    Answer {
        /// The method that was called.
        method: &'static str,
        /// What is wrong, and where.
        error: InputError,
    },
    /// It has no such block.
    #[error("no block {0}: the node does not have it")]
    NoBlock(String),
    /// The chain's forks are not known.
    #[error("the forks of chain {0} are not known: name the fork")]
    UnknownChain(u64),
    /// A code was asked for of which no account is known.
    #[error("no account of this block is known to have the code of hash {0:?}")]
    UnknownCode(H256),
    /// An ancestor's hash cannot be told.
    #[error("block {number}: expected a block of the chain of {block:?}, got another one: the chain was reorganised")]
    Reorganised {
        /// The ancestor.
        number: u64,
        /// The block that the source is of.
        block: H256,
    },
}

impl RpcSourceError {
    /// Whether the node understood and said no: it does not have the method, or no longer has the state.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Rpc(RpcError::Refused { .. }))
    }

    /// Whether the node no longer has the state of the block, or does not have the block.
    #[must_use]
    pub fn is_pruned(&self) -> bool {
        let Self::Rpc(RpcError::Refused { message, .. }) = self else { return false };
        let message = message.to_ascii_lowercase();
        ["missing trie node", "pruned", "not available", "header not found", "unknown block", "block not found"]
            .iter()
            .any(|text| message.contains(text))
    }
}

/// Which block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockTag {
    /// The newest.
    Latest,
    /// The newest that will not change.
    Finalized,
    /// By number.
    Number(u64),
    /// By hash.
    Hash(H256),
}

/// The state after a block, from a node's JSON-RPC. All questions name the block by its hash (EIP-1898), so that answers belong
/// together though the chain goes on. Accounts come from `eth_getProof`, slots from `eth_getStorageAt`, codes from `eth_getCode`, many to a
/// request. The answers are taken on trust.
pub struct RpcSource {
    rpc: Arc<Rpc>,
    block: H256,
    generation: u64,
    /// Accounts with these codes: nodes have no other way to ask for them.
    owners: Mutex<HashMap<H256, H160>>,
    /// Hashes of the block and of ancestors that are known to be its own.
    ancestors: Mutex<HashMap<u64, H256>>,
}

/// An opened block: its state, the context that calls see in it, and its rules.
pub struct OpenedBlock {
    /// The state after the block.
    pub source: Arc<RpcSource>,
    /// The block.
    pub block: BlockContext,
    /// Its rules.
    pub rules: Rules,
    /// Its hash.
    pub hash: H256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an account with its proof")]
struct Proof {
    balance: Hex<U256>,
    nonce: Hex<u64>,
    code_hash: Hex<H256>,
    storage_hash: Hex<H256>,
}

fn answer<'a, T: Deserialize<'a>>(method: &'static str, text: &'a str) -> Result<T, RpcSourceError> {
    parse(text.as_bytes()).map_err(|error| RpcSourceError::Answer { method, error })
}

impl RpcSource {
    /// The state after the block of that hash.
    #[must_use]
    pub fn at(rpc: Arc<Rpc>, block: H256) -> Self {
        Self { rpc, block, generation: 0, owners: Mutex::default(), ancestors: Mutex::default() }
    }

    /// With another generation: test nodes can change the state of a block, after which what was read of an earlier generation
    /// is out of date. 0 by default.
    #[must_use]
    pub fn with_generation(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
    }

    /// Finds a block, and opens the state after it. `fork` is needed on chains that are not built in.
    ///
    /// # Errors
    /// When the node fails, or has no such block, or the chain's forks are not known.
    pub fn open(rpc: Arc<Rpc>, tag: BlockTag, fork: Option<Fork>) -> Result<OpenedBlock, RpcSourceError> {
        let chain_id: Hex<u64> = answer("eth_chainId", &rpc.call("eth_chainId", json!([]))?.to_string())?;
        let (method, name) = match tag {
            BlockTag::Latest => ("eth_getBlockByNumber", "latest".to_owned()),
            BlockTag::Finalized => ("eth_getBlockByNumber", "finalized".to_owned()),
            BlockTag::Number(number) => ("eth_getBlockByNumber", format!("{number:#x}")),
            BlockTag::Hash(hash) => ("eth_getBlockByHash", format!("{hash:?}")),
        };
        let block = rpc.call(method, json!([name, false]))?;
        if block.is_null() {
            return Err(RpcSourceError::NoBlock(name));
        }
        let block = Self::header(method, block)?;
        let header = block.header();
        let rules = match (fork, ChainSpec::by_id(chain_id.0)) {
            (Some(fork), Some(chain)) => chain.rules(fork),
            (Some(fork), None) => Rules::new(fork, chain_id.0),
            (None, Some(chain)) => {
                let parent = block.total_difficulty.and_then(|total| total.0.checked_sub(block.difficulty.0));
                chain.rules_at(header.number, header.timestamp, parent)
            }
            (None, None) => return Err(RpcSourceError::UnknownChain(chain_id.0)),
        };
        let hash = block.hash.0;
        let source = Self::at(rpc, hash);
        let parent = header.number.checked_sub(1).map(|number| (number, block.parent_hash.0));
        lock(&source.ancestors).extend([(header.number, hash)].into_iter().chain(parent));
        Ok(OpenedBlock { source: Arc::new(source), block: block_context(&header, &rules), rules, hash })
    }

    /// The hash of the block.
    #[must_use]
    pub const fn block_hash(&self) -> H256 {
        self.block
    }

    fn block(&self) -> Value {
        json!({ "blockHash": format!("{:?}", self.block) })
    }

    /// Asks one method many things, some requests at a time.
    fn ask<T: Send>(
        &self,
        method: &'static str,
        params: &[Value],
        read: impl Fn(&str) -> Result<T, RpcSourceError> + Sync,
    ) -> Result<Vec<T>, RpcSourceError> {
        let part = |params: &[Value]| -> Result<Vec<T>, RpcSourceError> {
            self.rpc.call_many(method, params)?.iter().map(|value| read(&value.to_string())).collect()
        };
        let requests = params.len().div_ceil(IN_ONE);
        if requests < 2 {
            return part(params);
        }
        let share = requests.div_ceil(AT_A_TIME) * IN_ONE;
        let parts: Vec<Result<Vec<T>, RpcSourceError>> = std::thread::scope(|scope| {
            let part = &part;
            let threads: Vec<_> = params.chunks(share).map(|params| scope.spawn(move || part(params))).collect();
            let panicked = |_| {
                let error = InputError::at("", "internal error (please report it): reading an answer panicked");
                Err(RpcSourceError::Answer { method, error })
            };
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
        });
        let mut all = Vec::with_capacity(params.len());
        for part in parts {
            all.extend(part?);
        }
        Ok(all)
    }

    fn proofs(&self, addresses: &[H160]) -> Result<Vec<Proof>, RpcSourceError> {
        let method = "eth_getProof";
        let block = self.block();
        let params: Vec<Value> = addresses.iter().map(|address| json!([format!("{address:?}"), [], block])).collect();
        self.ask(method, &params, |text| answer(method, text))
    }

    /// A header. Transactions may be there by hash only, and nobody reads them.
    fn header(method: &'static str, mut block: Value) -> Result<RpcBlock, RpcSourceError> {
        let Some(fields) = block.as_object_mut() else {
            return Err(RpcSourceError::NoBlock("of an ancestor".to_owned()));
        };
        fields.remove("transactions");
        answer(method, &block.to_string())
    }

    /// Ancestors down to a number, each the parent of the one above it: they cannot be of another chain.
    fn walk(&self, wanted: u64) -> Result<H256, RpcSourceError> {
        let mut ancestors = lock(&self.ancestors);
        if let Some(hash) = ancestors.get(&wanted) {
            return Ok(*hash);
        }
        if ancestors.is_empty() {
            let method = "eth_getBlockByHash";
            let block = Self::header(method, self.rpc.call(method, json!([format!("{:?}", self.block), false]))?)?;
            ancestors.insert(block.number.0, self.block);
            // The block after it asks for its own hash.
            if block.number.0 == wanted {
                return Ok(self.block);
            }
        }
        let method = "eth_getBlockByNumber";
        let reorganised = |number| RpcSourceError::Reorganised { number, block: self.block };
        let lowest =
            ancestors.iter().map(|(number, hash)| (*number, *hash)).filter(|(number, _)| *number > wanted).min();
        let Some((above, mut expected)) = lowest else { return Err(RpcSourceError::NoBlock(wanted.to_string())) };
        let params: Vec<Value> =
            (wanted..=above).rev().take(257).map(|number| json!([format!("{number:#x}"), false])).collect();
        for block in self.rpc.call_many(method, &params)? {
            let block = Self::header(method, block)?;
            if block.hash.0 != expected {
                return Err(reorganised(block.number.0));
            }
            ancestors.insert(block.number.0, expected);
            expected = block.parent_hash.0;
        }
        ancestors.get(&wanted).copied().ok_or_else(|| reorganised(wanted))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StateSource for RpcSource {
    type Error = RpcSourceError;

    fn accounts(&self, addresses: &[H160]) -> Result<Vec<Option<Account>>, RpcSourceError> {
        let proofs = self.proofs(addresses)?;
        let mut owners = lock(&self.owners);
        let account = |(address, proof): (&H160, Proof)| {
            // Some nodes write zero where there is no account.
            let none = proof.code_hash.0.is_zero();
            let code_hash = if none { KECCAK_EMPTY } else { proof.code_hash.0 };
            let account = Account { nonce: proof.nonce.0, balance: proof.balance.0, code_hash };
            if code_hash != KECCAK_EMPTY {
                owners.insert(code_hash, *address);
            }
            let stored = !proof.storage_hash.0.is_zero() && proof.storage_hash.0 != EMPTY_ROOT;
            (!account.is_empty() || stored).then_some(account)
        };
        Ok(addresses.iter().zip(proofs).map(account).collect())
    }

    fn slots(&self, keys: &[(H160, H256)]) -> Result<Vec<U256>, RpcSourceError> {
        let method = "eth_getStorageAt";
        let block = self.block();
        let params: Vec<Value> =
            keys.iter().map(|(address, key)| json!([format!("{address:?}"), format!("{key:?}"), block])).collect();
        self.ask(method, &params, |text| answer::<Hex<U256>>(method, text).map(|value| value.0))
    }

    fn codes(&self, hashes: &[H256]) -> Result<Vec<Bytes>, RpcSourceError> {
        let method = "eth_getCode";
        let block = self.block();
        let owners = lock(&self.owners);
        let params = hashes.iter().map(|hash| {
            let owner = owners.get(hash).ok_or(RpcSourceError::UnknownCode(*hash))?;
            Ok(json!([format!("{owner:?}"), block]))
        });
        let params = params.collect::<Result<Vec<Value>, RpcSourceError>>()?;
        drop(owners);
        self.ask(method, &params, |text| answer::<Hex<Bytes>>(method, text).map(|code| code.0))
    }

    fn block_hashes(&self, numbers: &[u64]) -> Result<Vec<H256>, RpcSourceError> {
        numbers.iter().map(|number| self.walk(*number)).collect()
    }

    fn has_storage(&self, addresses: &[H160]) -> Result<Vec<bool>, RpcSourceError> {
        let stored = |proof: &Proof| !proof.storage_hash.0.is_zero() && proof.storage_hash.0 != EMPTY_ROOT;
        Ok(self.proofs(addresses)?.iter().map(stored).collect())
    }

    fn state_id(&self) -> Option<H256> {
        let mut id = self.block;
        for (byte, other) in id.0.iter_mut().zip(self.generation.to_le_bytes()) {
            *byte ^= other;
        }
        Some(id)
    }

    fn concerns_keys(&self, error: &RpcSourceError) -> bool {
        match error {
            RpcSourceError::Rpc(RpcError::Refused { .. }) => !error.is_pruned(),
            RpcSourceError::Rpc(_) => false,
            _ => true,
        }
    }
}
