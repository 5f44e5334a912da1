//! Block packs (`evm-block-replay/1`): a block, the state it starts from and what it should come to.

use super::json_rpc::{ForkName, RpcAccount, RpcBlock, RpcPrestate, RpcReceipt};
use super::typed::{Entries, Hex, InputError};
use isolane_spec::{AccountInfo, Bytes, Fork, H160, H256, KECCAK_EMPTY, MemoryState};
use serde::Deserialize;

/// The value of `format`.
pub const FORMAT: &str = "evm-block-replay/1";

/// A block pack as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a block pack object")]
pub struct BlockPack {
    /// [`FORMAT`].
    pub format: String,
    /// EIP-155 chain id.
    pub chain_id: Hex<u64>,
    /// The fork to execute with; absent = by the chain's schedule.
    pub fork: Option<ForkName>,
    /// The block.
    pub block: RpcBlock,
    /// The ommers' headers.
    pub ommers: Option<Vec<RpcBlock>>,
    /// The state before the block; not needed where there is a witness.
    pub prestate: Option<RpcPrestate>,
    /// What the block changed.
    pub poststate: Option<Entries<H160, RpcAccount>>,
    /// The receipts.
    pub receipts: Option<Vec<RpcReceipt>>,
    /// Ancestors' hashes by number.
    #[serde(default)]
    pub block_hashes: Entries<u64, Hex<H256>>,
    /// Recipients whose balance the source did not record.
    #[serde(default)]
    pub prestate_unknown: Vec<Hex<H160>>,
    /// Ommers of the block that are not in [`BlockPack::ommers`].
    #[serde(default)]
    pub ommers_missing: u64,
    /// The pre-state is the whole state, so that a state root can be computed from it.
    #[serde(default)]
    pub prestate_complete: bool,
}

impl BlockPack {
    /// The fork that the pack names; mainnet's blob-parameter forks are inside its "Osaka".
    #[must_use]
    pub fn fork(&self) -> Option<Fork> {
        self.fork.map(|fork| fork.0)
    }
}

/// Turns recorded accounts into a state.
///
/// # Errors
/// When an account contradicts itself.
pub fn memory_state(
    accounts: Vec<(H160, RpcAccount)>,
    block_hashes: &[(u64, Hex<H256>)],
    codes: &super::code_cache::CodeCache,
) -> Result<MemoryState, InputError> {
    let mut state = MemoryState::default();
    state.accounts.reserve(accounts.len());
    for (address, account) in accounts {
        let fail = |field: &str, problem: String| InputError::at(format!("prestate.{address:?}.{field}"), problem);
        let code = account.code.map(|code| code.0).unwrap_or_default();
        if account.absent {
            let holds = account.balance.is_some_and(|balance| !balance.0.is_zero())
                || account.nonce.is_some_and(|nonce| nonce.0 != 0)
                || !code.is_empty()
                || account.storage.0.iter().any(|(_, value)| !value.0.is_zero());
            if holds {
                return Err(fail("absent", "expected an account that holds nothing, got one that does".into()));
            }
            continue;
        }
        let (code, code_hash) = if code.is_empty() { (Bytes::new(), KECCAK_EMPTY) } else { codes.intern(code) };
        let code_hash = match account.code_hash {
            Some(Hex(given)) if !code.is_empty() && given != code_hash => {
                return Err(fail("codeHash", format!("expected the hash of `code`, {code_hash:?}, got {given:?}")));
            }
            Some(Hex(given)) => given,
            None => code_hash,
        };
        let info = AccountInfo {
            nonce: account.nonce.map_or(0, |nonce| nonce.0),
            balance: account.balance.map_or_else(Default::default, |balance| balance.0),
            code_hash,
        };
        state.insert(address, info, code, account.storage.0.into_iter().map(|(key, value)| (key, value.0)));
    }
    state.block_hashes = block_hashes.iter().map(|(number, hash)| (*number, hash.0)).collect();
    Ok(state)
}
