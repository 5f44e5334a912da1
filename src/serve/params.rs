//! The parameters of the methods that isolane answers.

use super::jsonrpc::Failure;
use crate::load::json_rpc::{RpcAccessListItem, RpcAuthorization};
use crate::load::typed::{self, Entries, FromHex, Hex};
use isolane_spec::{Bytes, H160, H256, U256};
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

/// Reads parameters.
///
/// # Errors
/// What is wrong, with its place.
pub fn read<'a, T: Deserialize<'a>>(params: &'a str) -> Result<T, Failure> {
    typed::parse(params.as_bytes()).map_err(|error| {
        let place = if error.place.is_empty() { String::new() } else { format!(" at {}", error.place) };
        Failure::params(format!("invalid params{place}: {}", error.problem))
    })
}

/// An array of parameters, of which only the first has to be there; null stands for an absent one.
#[derive(Clone, Debug)]
pub struct Positional<A, B, C = Nothing, D = Nothing>(pub A, pub Option<B>, pub Option<C>, pub Option<D>);

/// A parameter that a method does not have.
#[derive(Clone, Copy, Debug)]
pub enum Nothing {}

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Err(D::Error::custom("too many parameters"))
    }
}

impl<'de, A, B, C, D> Deserialize<'de> for Positional<A, B, C, D>
where
    A: Deserialize<'de>,
    B: Deserialize<'de>,
    C: Deserialize<'de>,
    D: Deserialize<'de>,
{
    fn deserialize<De: Deserializer<'de>>(deserializer: De) -> Result<Self, De::Error> {
        struct List<T>(PhantomData<T>);
        impl<'de, A, B, C, D> Visitor<'de> for List<(A, B, C, D)>
        where
            A: Deserialize<'de>,
            B: Deserialize<'de>,
            C: Deserialize<'de>,
            D: Deserialize<'de>,
        {
            type Value = Positional<A, B, C, D>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of parameters")
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
                let missing = || S::Error::custom("missing value for required argument 0");
                let first = list.next_element()?.ok_or_else(missing)?;
                let second = list.next_element::<Option<B>>()?.flatten();
                let third = list.next_element::<Option<C>>()?.flatten();
                let fourth = list.next_element::<Option<D>>()?.flatten();
                if list.next_element::<IgnoredAny>()?.is_some() {
                    return Err(S::Error::custom("too many parameters: at most 4"));
                }
                Ok(Positional(first, second, third, fourth))
            }
        }
        deserializer.deserialize_seq(List(PhantomData))
    }
}

/// The arguments of a call.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a transaction object")]
pub struct CallArgs {
    /// The sender; absent = the zero address.
    pub from: Option<Hex<H160>>,
    /// The callee; absent = a creation.
    pub to: Option<Hex<H160>>,
    /// The gas limit.
    pub gas: Option<Hex<u64>>,
    /// One price for all gas.
    pub gas_price: Option<Hex<U256>>,
    /// EIP-1559.
    pub max_fee_per_gas: Option<Hex<U256>>,
    /// EIP-1559.
    pub max_priority_fee_per_gas: Option<Hex<U256>>,
    /// In wei.
    pub value: Option<Hex<U256>>,
    /// The sender's nonce; absent = whatever it is.
    pub nonce: Option<Hex<u64>>,
    /// Call data or initcode.
    pub input: Option<Hex<Bytes>>,
    /// The older name of `input`.
    pub data: Option<Hex<Bytes>>,
    /// EIP-2930.
    pub access_list: Option<Vec<RpcAccessListItem>>,
    /// The chain.
    pub chain_id: Option<Hex<u64>>,
    /// EIP-4844.
    pub max_fee_per_blob_gas: Option<Hex<U256>>,
    /// EIP-4844.
    pub blob_versioned_hashes: Option<Vec<Hex<H256>>>,
    /// EIP-7702.
    pub authorization_list: Option<Vec<RpcAuthorization>>,
}

impl CallArgs {
    /// Takes call data or initcode, under whichever name.
    ///
    /// # Errors
    /// When both names are there and differ.
    pub fn take_input(&mut self) -> Result<Bytes, Failure> {
        match (self.input.take(), self.data.take()) {
            (Some(input), Some(data)) if input != data => Err(Failure::params(
                "both \"data\" and \"input\" are set and not equal. Please use \"input\" to pass transaction call data",
            )),
            (Some(bytes), _) | (None, Some(bytes)) => Ok(bytes.0),
            (None, None) => Ok(Bytes::new()),
        }
    }

    /// That the fees belong together.
    ///
    /// # Errors
    /// When they do not.
    pub fn check(&self) -> Result<(), Failure> {
        let dynamic = self.max_fee_per_gas.or(self.max_priority_fee_per_gas);
        if self.gas_price.is_some() && dynamic.is_some() {
            let text = "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified";
            return Err(Failure::params(text));
        }
        if let (Some(fee), Some(tip)) = (self.max_fee_per_gas, self.max_priority_fee_per_gas)
            && fee.0 < tip.0
        {
            let text = format!("maxFeePerGas ({:#x}) < maxPriorityFeePerGas ({:#x})", fee.0, tip.0);
            return Err(Failure::params(text));
        }
        if self.blob_versioned_hashes.as_ref().is_some_and(Vec::is_empty) {
            return Err(Failure::params("need at least 1 blob for a blob transaction"));
        }
        Ok(())
    }
}

/// A block, as callers name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockId {
    /// The newest one; `pending` as well, as isolane holds no transactions of its own.
    Latest,
    /// The newest one that the consensus takes for safe.
    Safe,
    /// The newest one that cannot change any more.
    Finalized,
    /// The first one.
    Earliest,
    /// By number.
    Number(u64),
    /// By hash (EIP-1898); whether it must be in the canonical chain.
    Hash(H256, bool),
}

impl BlockId {
    /// The tag or number as JSON-RPC writes it; `None` for a hash.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        Some(match self {
            Self::Latest => "latest".to_owned(),
            Self::Safe => "safe".to_owned(),
            Self::Finalized => "finalized".to_owned(),
            Self::Earliest => "earliest".to_owned(),
            Self::Number(number) => format!("{number:#x}"),
            Self::Hash(..) => return None,
        })
    }

    fn of_text(text: &str) -> Option<Self> {
        Some(match text {
            "latest" | "pending" => Self::Latest,
            "safe" => Self::Safe,
            "finalized" => Self::Finalized,
            "earliest" => Self::Earliest,
            _ if text.len() == 66 => Self::Hash(H256::from_hex(text).ok()?, false),
            _ => Self::Number(text.starts_with("0x").then(|| u64::from_hex(text).ok())??),
        })
    }
}

impl<'de> Deserialize<'de> for BlockId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = BlockId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a block: a number (0x hex), a hash, a tag such as \"latest\", or an object (EIP-1898)")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<BlockId, E> {
                BlockId::of_text(text).ok_or_else(|| {
                    E::custom(format!(
                        "expected a block: 0x and hex digits, or latest, safe, finalized, earliest or pending, got {}",
                        typed::quote(text)
                    ))
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BlockId, A::Error> {
                let (mut number, mut hash, mut canonical) = (None, None, false);
                while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    match &*key {
                        "blockNumber" => {
                            let id: Option<BlockId> = map.next_value()?;
                            number = id.filter(|id| !matches!(id, BlockId::Hash(..)));
                        }
                        "blockHash" => hash = map.next_value::<Option<Hex<H256>>>()?,
                        "requireCanonical" => canonical = map.next_value::<Option<bool>>()?.unwrap_or_default(),
                        _ => _ = map.next_value::<IgnoredAny>()?,
                    }
                }
                match (number, hash) {
                    (Some(number), None) => Ok(number),
                    (None, Some(Hex(hash))) => Ok(BlockId::Hash(hash, canonical)),
                    _ => Err(A::Error::custom("expected one of blockNumber and blockHash")),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// What is otherwise in one account.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object of overrides")]
pub struct AccountOverrideArgs {
    /// In wei.
    pub balance: Option<Hex<U256>>,
    /// Its nonce.
    pub nonce: Option<Hex<u64>>,
    /// Its code.
    pub code: Option<Hex<Bytes>>,
    /// All of its storage: what is not named is zero.
    pub state: Option<Entries<U256, Hex<U256>>>,
    /// Some of its storage.
    pub state_diff: Option<Entries<U256, Hex<U256>>>,
    /// Where the precompile of this address is instead.
    #[serde(alias = "MovePrecompileToAddress")]
    pub move_precompile_to_address: Option<Hex<H160>>,
}

/// What is otherwise in the state.
pub type StateOverrideArgs = Entries<H160, AccountOverrideArgs>;

/// What is otherwise in the block.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object of block overrides")]
pub struct BlockOverrideArgs {
    /// NUMBER.
    #[serde(alias = "blockNumber")]
    pub number: Option<Hex<u64>>,
    /// DIFFICULTY before Paris.
    pub difficulty: Option<Hex<U256>>,
    /// TIMESTAMP.
    #[serde(alias = "timestamp")]
    pub time: Option<Hex<u64>>,
    /// GASLIMIT.
    pub gas_limit: Option<Hex<u64>>,
    /// COINBASE.
    #[serde(alias = "coinbase")]
    pub fee_recipient: Option<Hex<H160>>,
    /// PREVRANDAO from Paris on.
    #[serde(alias = "random")]
    pub prev_randao: Option<Hex<U256>>,
    /// BASEFEE.
    #[serde(alias = "baseFee")]
    pub base_fee_per_gas: Option<Hex<U256>>,
    /// BLOBBASEFEE.
    pub blob_base_fee: Option<Hex<U256>>,
    /// BLOCKHASH, by number.
    pub block_hash: Option<Entries<u64, Hex<H256>>>,
    /// Withdrawals of a simulated block.
    pub withdrawals: Option<Vec<IgnoredAny>>,
}

/// Calls that run one after another on one block.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a bundle: {transactions, blockOverride}")]
pub struct BundleArgs {
    /// In order.
    pub transactions: Vec<CallArgs>,
    /// The block that they run on.
    #[serde(alias = "blockOverrides")]
    pub block_override: Option<BlockOverrideArgs>,
}

/// Where the bundles of `eth_callMany` and `debug_traceCallMany` begin.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a context: {blockNumber, transactionIndex}")]
pub struct ContextArgs {
    /// The block, by whatever names it.
    #[serde(alias = "block")]
    pub block_number: Option<BlockId>,
    /// Behind which transaction of the block; -1 or absent: behind all.
    pub transaction_index: Option<i64>,
}

/// A simulation.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a simulation: {blockStateCalls, …}")]
pub struct SimulateArgs {
    /// The blocks, in order.
    pub block_state_calls: Vec<SimulatedBlockArgs>,
    /// Whether value that moves is told as logs.
    #[serde(default)]
    pub trace_transfers: bool,
    /// Whether transactions must be valid.
    #[serde(default)]
    pub validation: bool,
    /// Whether the blocks hold transactions or only their hashes.
    #[serde(default)]
    pub return_full_transactions: bool,
}

/// A block of a simulation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a block: {blockOverrides, stateOverrides, calls}")]
pub struct SimulatedBlockArgs {
    /// What is otherwise in the block.
    pub block_overrides: Option<BlockOverrideArgs>,
    /// What is otherwise in the state before it.
    pub state_overrides: Option<StateOverrideArgs>,
    /// Its transactions.
    #[serde(default)]
    pub calls: Vec<CallArgs>,
}

/// What a trace tells.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object of trace options")]
pub struct TraceArgs {
    /// Which tracer; absent = struct logs.
    pub tracer: Option<String>,
    /// Its options.
    pub tracer_config: Option<TracerConfigArgs>,
    /// Struct logs: with the memory.
    #[serde(default)]
    pub enable_memory: bool,
    /// Struct logs: without the stack.
    #[serde(default)]
    pub disable_stack: bool,
    /// Struct logs: without the storage.
    #[serde(default)]
    pub disable_storage: bool,
    /// Struct logs: with the return data.
    #[serde(default)]
    pub enable_return_data: bool,
    /// Struct logs: at most so many; 0 = all.
    #[serde(default)]
    pub limit: usize,
    /// `debug_traceCall`: what is otherwise in the state.
    pub state_overrides: Option<StateOverrideArgs>,
    /// `debug_traceCall`: what is otherwise in the block.
    pub block_overrides: Option<BlockOverrideArgs>,
}

/// The options of tracers.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, expecting = "an object of tracer options")]
pub struct TracerConfigArgs {
    /// callTracer: only the first call.
    pub only_top_call: bool,
    /// callTracer: with logs.
    pub with_log: bool,
    /// prestateTracer: what changed, instead of what was there.
    pub diff_mode: bool,
    /// prestateTracer: without codes.
    pub disable_code: bool,
    /// prestateTracer: without storage.
    pub disable_storage: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    type CallParams = Positional<CallArgs, BlockId, StateOverrideArgs, BlockOverrideArgs>;

    #[test]
    fn blocks_by_whatever_names_them() {
        let block = |text: &str| serde_json::from_str::<BlockId>(text).ok();
        assert_eq!(block("\"latest\""), Some(BlockId::Latest));
        assert_eq!(block("\"pending\""), Some(BlockId::Latest));
        assert_eq!(block("\"0x10\""), Some(BlockId::Number(16)));
        assert_eq!(block("{\"blockNumber\":\"0x10\"}"), Some(BlockId::Number(16)));
        let hash = format!("\"{:?}\"", H256::repeat_byte(7));
        assert_eq!(block(&hash), Some(BlockId::Hash(H256::repeat_byte(7), false)));
        let object = format!("{{\"blockHash\":{hash},\"requireCanonical\":true}}");
        assert_eq!(block(&object), Some(BlockId::Hash(H256::repeat_byte(7), true)));
        for wrong in ["\"newest\"", "\"16\"", "16", "{}", "\"0x\"", "\"0x1ffffffffffffffff\"", "[]"] {
            assert_eq!(block(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn parameters_are_positional_and_their_mistakes_named() {
        let to = "0x00000000000000000000000000000000000000cc";
        let text = format!(
            "[{{\"to\":\"{to}\",\"gas\":\"0x5208\",\"data\":\"0x01\"}},null,{{\"{to}\":{{\"code\":\"0xfe\"}}}}]"
        );
        let CallParams { 0: mut call, 1: block, 2: state, 3: overrides } = read(&text).expect("parameters");
        assert_eq!((call.gas, block, overrides.is_some()), (Some(Hex(21_000)), None, false));
        assert_eq!(state.expect("overrides").0.len(), 1);
        assert_eq!(call.take_input().expect("one"), Bytes::from_static(&[1]));
        for (text, expected) in [
            ("[]", "missing value for required argument 0"),
            ("{}", "an array of parameters"),
            ("[{},\"latest\",{},{},7]", "too many parameters"),
            ("[{\"to\":\"0x1\"}]", "an address"),
            ("[{\"gas\":\"lots\"}]", "gas"),
            ("[{},\"latest\",{\"0x1\":{}}]", "an address"),
            ("[{},\"latest\",{\"0x00000000000000000000000000000000000000cc\":{\"cod\":\"0x\"}}]", "unknown field"),
        ] {
            let failure = read::<CallParams>(text).expect_err(text);
            assert_eq!(failure.code, super::super::jsonrpc::INVALID_PARAMS);
            assert!(failure.message.contains(expected), "{text}: {}", failure.message);
        }
    }

    #[test]
    fn arguments_that_contradict_each_other() {
        let check = |text: &str| serde_json::from_str::<CallArgs>(text).expect("arguments");
        assert!(check("{\"data\":\"0x01\",\"input\":\"0x02\"}").take_input().is_err());
        assert!(check("{\"data\":\"0x01\",\"input\":\"0x01\"}").take_input().is_ok());
        assert!(check("{\"gasPrice\":\"0x1\",\"maxFeePerGas\":\"0x1\"}").check().is_err());
        assert!(check("{\"maxFeePerGas\":\"0x1\",\"maxPriorityFeePerGas\":\"0x2\"}").check().is_err());
        assert!(check("{\"maxFeePerGas\":\"0x2\",\"maxPriorityFeePerGas\":\"0x2\"}").check().is_ok());
    }
}
