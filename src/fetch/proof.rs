//! The state that a block reads, key by key from `eth_getProof`, each proven down from the root of the state before it.
//!
//! Which keys those are shows when the block is executed: what is not known yet is taken for nothing and written down, asked for,
//! and the block is executed again, until nothing is missing. What was executed on guesses has no other use.

use super::system::{HISTORY_BUFFER_LENGTH, SYSTEM_CONTRACTS};
use super::{FetchError, malformed};
use crate::chain::ChainSpec;
use crate::convert::keccak;
use crate::load::block_pack::BlockPack;
use crate::load::json_rpc::RpcBlock;
use crate::load::rpc::Rpc;
use crate::load::typed::{self, Hex};
use crate::load::witness::PROOFS;
use crate::replay::prepare::Trial;
use crate::trie::{Witness, WitnessState};
use isolane_spec::{AccountDiff, AccountInfo, Bytes, H160, H256, KECCAK_EMPTY, StateError, StateView, U256};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

const METHOD: &str = PROOFS;
const BLOCK: &str = "eth_getBlockByNumber";
/// Slots that one request asks for: nodes refuse more than about a thousand.
const SLOTS: usize = 256;
/// How often a block is executed at most. A block needs as many rounds as its longest chain of reads, each of which decides on the
/// next one.
const ROUNDS: usize = 10_000;

/// What the executions so far asked for in vain.
#[derive(Debug, Default)]
struct Missing {
    accounts: BTreeSet<H160>,
    slots: BTreeSet<(H160, U256)>,
    /// With an account that has the code.
    codes: BTreeMap<H256, H160>,
    block_hashes: BTreeSet<u64>,
}

impl Missing {
    fn is_empty(&self) -> bool {
        let Self { accounts, slots, codes, block_hashes } = self;
        accounts.is_empty() && slots.is_empty() && codes.is_empty() && block_hashes.is_empty()
    }
}

/// What is proven so far. What is not is nothing, and written down.
struct Learned {
    state: RwLock<WitnessState>,
    block_hashes: RwLock<BTreeMap<u64, H256>>,
    /// Accounts that have a code, by its hash.
    owners: Mutex<BTreeMap<H256, H160>>,
    missing: Mutex<Missing>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

impl Learned {
    /// Takes nothing for an answer that is not there.
    fn answer<T: Default>(&self, result: Result<T, StateError>) -> Result<T, StateError> {
        let Err(error) = result else { return result };
        let mut missing = lock(&self.missing);
        match error {
            // An account's proof also says whether it has storage.
            StateError::AccountMissing(address) | StateError::StorageMissing(address) => {
                _ = missing.accounts.insert(address);
            }
            StateError::SlotMissing(address, key) => _ = missing.slots.insert((address, key)),
            StateError::BlockHashMissing(number) => _ = missing.block_hashes.insert(number),
            // Code is told by its hash, and kept by it: other code for it is no guess but a lie.
            StateError::CodeMissing(hash) => {
                if let Some(owner) = lock(&self.owners).get(&hash) {
                    missing.codes.insert(hash, *owner);
                }
                return Err(error);
            }
            StateError::Source(_) => return Err(error),
        }
        Ok(T::default())
    }
}

impl StateView for Learned {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        let account = self.answer(read(&self.state).account(address))?;
        if let Some(info) = account.filter(|info| info.code_hash != KECCAK_EMPTY) {
            lock(&self.owners).entry(info.code_hash).or_insert(*address);
        }
        Ok(account)
    }

    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        let value = read(&self.state).storage(address, key);
        if matches!(value, Err(StateError::AccountMissing(_))) {
            lock(&self.missing).slots.insert((*address, *key));
        }
        self.answer(value)
    }

    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        self.answer(read(&self.state).has_storage(address))
    }

    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        self.answer(read(&self.state).code(code_hash))
    }

    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        let known = read(&self.block_hashes).get(&number).copied();
        self.answer(known.ok_or(StateError::BlockHashMissing(number)))
    }
}

/// What `eth_getProof` answers, as far as it is needed; what it claims is compared with what it proves.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "the result of eth_getProof")]
struct Proof {
    balance: Hex<U256>,
    nonce: Hex<u64>,
    code_hash: Hex<H256>,
    account_proof: Vec<Hex<Bytes>>,
    #[serde(default)]
    storage_proof: Vec<SlotProof>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a storage proof")]
struct SlotProof {
    value: Hex<U256>,
    proof: Vec<Hex<Bytes>>,
}

/// Finds the hashes of ancestors, each of which it asks for once.
pub(super) type Ancestors<'a> = &'a dyn Fn(&[u64]) -> Result<Vec<H256>, FetchError>;

/// An account, and the slots of it that are asked for.
type Asked = (H160, Vec<U256>);

/// A block whose state is being collected.
pub(super) struct Collector<'a> {
    rpc: &'a Rpc,
    number: u64,
    learned: Arc<Learned>,
    /// The parent's header, encoded.
    parent: Bytes,
    ancestors: Ancestors<'a>,
}

impl<'a> Collector<'a> {
    /// For a block with this parent, whose header is read and checked.
    pub(super) fn new(
        rpc: &'a Rpc,
        number: u64,
        parent_hash: &str,
        ancestors: Ancestors<'a>,
    ) -> Result<Self, FetchError> {
        let before = number.saturating_sub(1);
        let mut header = rpc.call(BLOCK, json!([format!("{before:#x}"), false]))?;
        if let Some(header) = header.as_object_mut() {
            // Their hashes, where a header is all that is wanted.
            header.insert("transactions".into(), json!([]));
        }
        let header: RpcBlock = typed::parse(header.to_string().as_bytes())
            .map_err(|error| malformed(number, BLOCK, &format!("the parent: {error}")))?;
        let header = header.header();
        let parent = Bytes::from(alloy_rlp::encode(&header));
        let hash = keccak(&parent);
        if format!("{hash:?}") != parent_hash {
            let what = "hash of the parent's header";
            return Err(FetchError::Inconsistent {
                number,
                what,
                expected: parent_hash.into(),
                got: format!("{hash:?}"),
            });
        }
        let learned = Learned {
            state: RwLock::new(WitnessState::empty(H256(header.state_root.0))),
            block_hashes: RwLock::new(BTreeMap::from([(before, hash)])),
            owners: Mutex::default(),
            missing: Mutex::default(),
        };
        Ok(Self { rpc, number, learned: Arc::new(learned), parent, ancestors })
    }

    /// Collects all that the block of a pack reads, and with luck what its state root needs besides; as a witness, and the numbers
    /// of the ancestors whose hashes it asks for.
    pub(super) fn collect(
        self,
        pack: &BlockPack,
        chain: Option<&ChainSpec>,
    ) -> Result<(Value, BTreeSet<u64>), FetchError> {
        let trial = Trial::new(pack, chain).map_err(|error| malformed(self.number, BLOCK, &error.to_string()))?;
        let mut missing = Missing { accounts: trial.named(), ..Missing::default() };
        missing.accounts.extend(SYSTEM_CONTRACTS);
        for item in trial.transactions().iter().flat_map(|signed| &signed.transaction.access_list) {
            missing.slots.extend(item.storage_keys.iter().map(|key| (item.address, *key)));
        }
        // The slots that the system calls at the block's beginning write.
        let (time, before) = (pack.block.timestamp.0, self.number.saturating_sub(1));
        let index = time % HISTORY_BUFFER_LENGTH;
        let [beacon_roots, history, ..] = SYSTEM_CONTRACTS;
        for slot in [index, index + HISTORY_BUFFER_LENGTH] {
            missing.slots.insert((beacon_roots, slot.into()));
        }
        missing.slots.insert((history, (before % HISTORY_BUFFER_LENGTH).into()));

        let mut result = None;
        for round in 0.. {
            self.prove(&missing)?;
            // Most accounts are read because they are called.
            let read = missing.accounts.iter().chain(missing.slots.iter().map(|(address, _)| address));
            missing.codes.extend(read.filter_map(|address| self.code_of(address)));
            self.codes(&missing.codes)?;
            self.block_hashes(&missing.block_hashes)?;
            result = trial.run(Arc::<Learned>::clone(&self.learned) as Arc<dyn StateView>);
            missing = std::mem::take(&mut *lock(&self.learned.missing));
            tracing::debug!(self.number, round, ?missing, "executed to learn what it reads");
            if missing.is_empty() {
                break;
            }
            if round >= ROUNDS {
                let reason = format!("the block still reads other keys after {ROUNDS} executions");
                return Err(malformed(self.number, METHOD, &reason));
            }
        }
        if let Some(result) = result {
            self.siblings(&result.diff)?;
        }
        let Witness { state, codes, .. } = read(&self.learned.state).parts();
        let list = |items: &[Bytes]| items.iter().map(alloy_primitives::hex::encode_prefixed).collect::<Vec<_>>();
        let witness = json!({
            "state": list(&state),
            "codes": list(&codes),
            "keys": [],
            "headers": list(&[self.parent]),
            "method": METHOD,
        });
        Ok((witness, read(&self.learned.block_hashes).keys().copied().collect()))
    }

    /// An account's code by hash, if it has one that is not known yet.
    fn code_of(&self, address: &H160) -> Option<(H256, H160)> {
        let state = read(&self.learned.state);
        let info = state.account(address).ok().flatten()?;
        (!state.has_code(&info.code_hash)).then_some((info.code_hash, *address))
    }

    fn add(&self, nodes: Vec<Bytes>, codes: Vec<Bytes>) {
        self.learned.state.write().unwrap_or_else(PoisonError::into_inner).add(nodes, codes);
    }

    /// Asks for accounts and slots after block `number`.
    fn proofs(&self, missing: &Missing, number: u64) -> Result<Vec<(Asked, Proof)>, FetchError> {
        let mut keys: BTreeMap<H160, Vec<U256>> =
            missing.accounts.iter().map(|address| (*address, Vec::new())).collect();
        for (address, key) in &missing.slots {
            keys.entry(*address).or_default().push(*key);
        }
        let mut asked = Vec::new();
        for (address, keys) in keys {
            if keys.is_empty() {
                asked.push((address, keys));
            } else {
                asked.extend(keys.chunks(SLOTS).map(|keys| (address, keys.to_vec())));
            }
        }
        let params: Vec<Value> = asked
            .iter()
            .map(|(address, keys)| {
                let keys: Vec<String> = keys.iter().map(|key| format!("{key:#066x}")).collect();
                json!([format!("{address:?}"), keys, format!("{number:#x}")])
            })
            .collect();
        let replies = self.rpc.call_many(METHOD, &params)?;
        let parse = |((address, keys), reply): (Asked, Value)| {
            let proof: Proof = typed::parse(reply.to_string().as_bytes())
                .map_err(|error| malformed(self.number, METHOD, &format!("{address:?}: {error}")))?;
            if proof.storage_proof.len() != keys.len() {
                let reason = format!("{address:?}: {} proofs for {} slots", proof.storage_proof.len(), keys.len());
                return Err(malformed(self.number, METHOD, &reason));
            }
            Ok(((address, keys), proof))
        };
        asked.into_iter().zip(replies).map(parse).collect()
    }

    /// Adds what is missing to the state, which has to prove it then.
    fn prove(&self, missing: &Missing) -> Result<(), FetchError> {
        if missing.accounts.is_empty() && missing.slots.is_empty() {
            return Ok(());
        }
        let proofs = self.proofs(missing, self.number.saturating_sub(1))?;
        self.add(proofs.iter().flat_map(|(_, proof)| proof.nodes()).collect(), Vec::new());
        let state = read(&self.learned.state);
        let unproven = |error: StateError| {
            let reason = format!("it does not lead to the state root of the parent block, {:?}: {error}", state.root());
            malformed(self.number, METHOD, &reason)
        };
        let differs = |what: String, proven: String, claimed: String| {
            malformed(self.number, METHOD, &format!("{what}: proves {proven}, claims {claimed}"))
        };
        for ((address, keys), proof) in &proofs {
            let account = state.account(address).map_err(unproven)?;
            let claimed = AccountInfo { nonce: proof.nonce.0, balance: proof.balance.0, code_hash: proof.code_hash.0 };
            // Nodes say different things of accounts that do not exist.
            if let Some(account) = account.filter(|account| *account != claimed) {
                return Err(differs(format!("{address:?}"), format!("{account:?}"), format!("{claimed:?}")));
            }
            for (key, claimed) in keys.iter().zip(&proof.storage_proof) {
                let value = state.storage(address, key).map_err(unproven)?;
                if value != claimed.value.0 {
                    let what = format!("slot {key:#x} of {address:?}");
                    return Err(differs(what, format!("{value:#x}"), format!("{:#x}", claimed.value.0)));
                }
            }
        }
        Ok(())
    }

    fn codes(&self, codes: &BTreeMap<H256, H160>) -> Result<(), FetchError> {
        const METHOD: &str = "eth_getCode";
        let before = format!("{:#x}", self.number.saturating_sub(1));
        let params: Vec<Value> = codes.values().map(|owner| json!([format!("{owner:?}"), before])).collect();
        let mut got = Vec::with_capacity(codes.len());
        for ((hash, owner), reply) in codes.iter().zip(self.rpc.call_many(METHOD, &params)?) {
            let code: Hex<Bytes> = typed::parse(reply.to_string().as_bytes())
                .map_err(|error| malformed(self.number, METHOD, &format!("{owner:?}: {error}")))?;
            let is = keccak(&code.0);
            if is != *hash {
                let reason = format!("{owner:?}: expected code of hash {hash:?}, got {is:?}");
                return Err(malformed(self.number, METHOD, &reason));
            }
            got.push(code.0);
        }
        self.add(Vec::new(), got);
        Ok(())
    }

    fn block_hashes(&self, numbers: &BTreeSet<u64>) -> Result<(), FetchError> {
        let numbers: Vec<u64> = numbers.iter().copied().collect();
        let hashes = (self.ancestors)(&numbers)?;
        let mut known = self.learned.block_hashes.write().unwrap_or_else(PoisonError::into_inner);
        known.extend(numbers.into_iter().zip(hashes));
        Ok(())
    }

    /// Adds nodes beside those that the block deletes, as far as proofs of the state after the block show what they were. Where they
    /// do not, the state root is not verified, and the replay says so.
    fn siblings(&self, diff: &[AccountDiff]) -> Result<(), FetchError> {
        let mut after: Option<Vec<Bytes>> = None;
        loop {
            let root = read(&self.learned.state).post_root(diff);
            let Some(hash) = root.err().and_then(|error| error.missing_sibling()) else { return Ok(()) };
            let nodes = match &mut after {
                Some(nodes) => nodes,
                None => after.insert(self.deleted(diff)?),
            };
            let mut state = self.learned.state.write().unwrap_or_else(PoisonError::into_inner);
            if !state.add_sibling(hash, nodes) {
                return Ok(());
            }
        }
    }

    /// The nodes on the ways to deleted keys, after the block; none where the node does not have that state.
    fn deleted(&self, diff: &[AccountDiff]) -> Result<Vec<Bytes>, FetchError> {
        let mut gone = Missing::default();
        for change in diff {
            if change.after.is_none() {
                gone.accounts.insert(change.address);
            }
            let slots = change.storage.iter().filter(|slot| slot.after.is_zero());
            gone.slots.extend(slots.map(|slot| (change.address, slot.key)));
        }
        match self.proofs(&gone, self.number) {
            Ok(proofs) => Ok(proofs.iter().flat_map(|(_, proof)| proof.nodes()).collect()),
            Err(FetchError::Rpc(error)) if error.is_refusal() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

impl Proof {
    fn nodes(&self) -> impl Iterator<Item = Bytes> {
        let slots = self.storage_proof.iter().flat_map(|slot| &slot.proof);
        self.account_proof.iter().chain(slots).map(|node| node.0.clone())
    }
}
