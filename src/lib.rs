//! isolane executes many isolated EVM transactions at once.
//!
//! As a library: an [`Executor`] runs calls against a [`Snapshot`], the state after a block as a [`StateSource`] tells it. Calls are
//! independent lanes; those that run the same code advance together. [`engine`] runs environments with rules, permissions and
//! messages of their own; [`replay`] whole blocks; [`spec`] has the words that all of it is written in.
//!
//! # Balances of 100,000 holders at a block
//!
//! ```
//! use isolane::executor::{Call, Executor, MemorySource, Want};
//! use isolane::spec::{AccountInfo, BlockContext, Bytes, Fork, H160, MemoryState, Rules, U256};
//! use std::sync::Arc;
//!
//! # fn balance_of(holder: H160) -> Bytes {
//! #     [&[0x70, 0xa0, 0x82, 0x31][..], &[0; 12], &holder.0].concat().into()
//! # }
//! # // A token whose balances lie at the holder's own slot: CALLDATALOAD(4); SLOAD; MSTORE(0); RETURN(0, 32).
//! # let token = H160::repeat_byte(0x70);
//! # let code = Bytes::from_static(&[0x60, 4, 0x35, 0x54, 0x60, 0, 0x52, 0x60, 32, 0x60, 0, 0xf3]);
//! # let holders: Vec<H160> = (1..=100_000).map(H160::from_low_u64_be).collect();
//! # let mut state = MemoryState::default();
//! # let slots = holders.iter().map(|holder| (U256::from_big_endian(&holder.0), U256::from(5)));
//! # let info = AccountInfo { code_hash: isolane::convert::keccak(&code), ..Default::default() };
//! # state.insert(token, info, code, slots);
//! # let source = Arc::new(MemorySource::new(state));
//! # let block = BlockContext { number: 20_000_000, gas_limit: 30_000_000, ..Default::default() };
//! // `source` is the state; from a node it is `RpcSource::open(rpc, BlockTag::Number(20_000_000), None)?`.
//! let executor = Executor::builder().memory_limit(2 << 30).build()?;
//! let snapshot = executor.snapshot(&source, block, Rules::new(Fork::Prague, 1));
//! let calls: Vec<Call> = holders.iter().map(|holder| Call::new(token, balance_of(*holder))).collect();
//! let mut total = U256::zero();
//! for outcome in executor.run(&snapshot, &calls, Want::OUTPUT) {
//!     total += U256::from_big_endian(&outcome?.output);
//! }
//! assert_eq!(total, U256::from(500_000));
//! # Ok::<(), isolane::ExecutorError>(())
//! ```
//!
//! # Simulating a bundle
//!
//! Each call sees what the ones before it wrote, on a state that has been changed for the purpose:
//!
//! ```
//! use isolane::executor::{AccountOverride, Call, Executor, MemorySource, StateOverrides, Want};
//! use isolane::spec::{BlockContext, Fork, H160, MemoryState, Rules, U256};
//! use std::sync::Arc;
//!
//! let (alice, bob) = (H160::repeat_byte(0xaa), H160::repeat_byte(0xbb));
//! let executor = Executor::builder().build()?;
//! let source = Arc::new(MemorySource::new(MemoryState::default()));
//! let block = BlockContext { gas_limit: 30_000_000, ..Default::default() };
//! let rich = AccountOverride { balance: Some(U256::from(10)), ..Default::default() };
//! let snapshot = executor
//!     .snapshot(&source, block, Rules::new(Fork::Prague, 1))
//!     .with_overrides(&StateOverrides::new().with(alice, rich))?;
//!
//! let send = |from, to, wei: u64| Call::new(to, vec![]).sender(from).value(wei.into());
//! let bundle = [send(alice, bob, 7), send(bob, alice, 5), send(bob, alice, 5)];
//! let outcomes = executor.run_bundle(&snapshot, &bundle, Want::OUTPUT | Want::DIFF)?;
//! assert!(outcomes[0].is_success() && outcomes[1].is_success());
//! assert!(!outcomes[2].is_success(), "bob has 2 left: {}", outcomes[2].status);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Replaying a block from a pack
//!
//! [`replay`] does all that belongs to a block, and verifies it; [`executor::OpenedPack`] opens one for calls:
//!
//! ```
//! use isolane::executor::{Executor, OpenedPack, Want};
//! use isolane::replay::{Options, find, replay};
//! use isolane::report::Verdict;
//!
//! let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/blocks/anvil/prague/31337-8.json.zst");
//! replay(&find(&[path.into()])?, &Options::default(), |report| {
//!     assert!(matches!(report.verdict, Verdict::Match), "gas, receipts, logs and roots are the header's");
//! })?;
//!
//! // What would the block's transactions do, one after another, with their calls?
//! let pack = OpenedPack::read(path.as_ref())?;
//! let executor = Executor::builder().build()?;
//! let snapshot = executor.snapshot(&pack.source, pack.block, pack.rules);
//! for outcome in executor.run_bundle(&snapshot, &pack.calls, Want::LOGS | Want::CALLS)? {
//!     println!("{}: {} gas, {} calls, {} logs", outcome.status, outcome.gas_used, outcome.calls().len(), outcome.logs.len());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Choosing backends
//!
//! ```
//! use isolane::executor::{BackendKind, Executor};
//!
//! let reference = Executor::builder().backend(BackendKind::Cpu).threads(2).build()?;
//! // The default: calls that run the same code advance together, with vector instructions.
//! let lockstep = Executor::builder().backend(BackendKind::Lockstep).build()?;
//! // A hardware device, if there is one that passes its self-test, for large batches; else as above.
//! let best = Executor::builder().backend(BackendKind::Auto).build()?;
//! # Ok::<(), isolane::ExecutorError>(())
//! ```
//!
//! Outcomes are the same to the last bit; each says where it ran ([`executor::CallOutcome::ran_on`]).
//!
//! # A source of your own
//!
//! A source answers many questions at once. What thousands of calls lack is one request:
//!
//! ```
//! use isolane::executor::{Account, Call, Executor, StateSource, Want};
//! use isolane::spec::{BlockContext, Bytes, Fork, H160, H256, Rules, U256};
//! use std::sync::Arc;
//!
//! /// Everybody has one wei, and there are no contracts.
//! struct Equal;
//!
//! impl StateSource for Equal {
//!     type Error = std::io::Error;
//!     fn accounts(&self, addresses: &[H160]) -> Result<Vec<Option<Account>>, Self::Error> {
//!         // Here a database is read, or a node is asked: once for all addresses.
//!         Ok(addresses.iter().map(|_| Some(Account { balance: U256::one(), ..Default::default() })).collect())
//!     }
//!     fn slots(&self, keys: &[(H160, H256)]) -> Result<Vec<U256>, Self::Error> {
//!         Ok(vec![U256::zero(); keys.len()])
//!     }
//!     fn codes(&self, hashes: &[H256]) -> Result<Vec<Bytes>, Self::Error> {
//!         Ok(vec![Bytes::new(); hashes.len()])
//!     }
//!     fn block_hashes(&self, numbers: &[u64]) -> Result<Vec<H256>, Self::Error> {
//!         Ok(vec![H256::zero(); numbers.len()])
//!     }
//! }
//!
//! let executor = Executor::builder().build()?;
//! let block = BlockContext { gas_limit: 30_000_000, ..Default::default() };
//! let snapshot = executor.snapshot(&Arc::new(Equal), block, Rules::new(Fork::Prague, 1));
//! let call = Call::new(H160::repeat_byte(2), vec![]).sender(H160::repeat_byte(1)).value(U256::one());
//! let ticket = executor.submit(&snapshot, vec![call], Want::empty())?;
//! assert!(ticket.wait().remove(0)?.is_success());
//! # Ok::<(), isolane::ExecutorError>(())
//! ```
//!
//! # Features
//!
//! | feature | default | what |
//! | --- | --- | --- |
//! | `alloy` | yes | conversions to and from alloy's types ([`executor::ToAlloy`], [`executor::FromAlloy`]) |
//! | `mimalloc` | yes | the allocator of the tool `isolane`; the library uses whichever its program has |
//! | `revm` | yes | any revm `DatabaseRef` as a source, snapshots as databases, conversions; the independent judge of `isolane diff` |
//!
//! [docs/embedding.md](https://docs.rs/crate/isolane/latest/source/docs/embedding.md) is the guide.

pub mod backend;
pub mod bench;
pub mod block;
pub mod chain;
pub mod cli;
pub mod conformance;
pub mod convert;
pub mod diff;
pub mod engine;
pub mod exchange;
pub mod executor;
pub mod fetch;
pub mod gather;
pub mod gpu;
pub mod load;
pub mod manifest;
pub mod replay;
pub mod report;
pub mod schedule;
pub mod serve;
pub mod source;
pub mod tables;
pub mod trace;
pub mod trie;

pub use executor::{
    BlockOverrides, Call, CallOutcome, Executor, ExecutorBuilder, ExecutorError, Snapshot, StateOverrides, StateSource,
    Ticket, Want,
};
pub use isolane_cpu as cpu;
pub use isolane_spec as spec;

/// The example of the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So is the one of the traces.
#[cfg(doctest)]
#[doc = include_str!("../docs/traces.md")]
struct Traces;

/// So are those of the guide for programs.
#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
struct Embedding;

/// So is that of the exchange's page.
#[cfg(doctest)]
#[doc = include_str!("../docs/exchange.md")]
struct ExchangePage;
