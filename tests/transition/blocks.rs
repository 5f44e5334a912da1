//! Every transaction of recorded blocks, each from an overlay of what those before it changed.

use crate::recorded::Ways;
use isolane::block::{block_context, dao};
use isolane::chain::ChainSpec;
use isolane::cpu::{Available, Machine};
use isolane::load::block_pack::{BlockPack, FORMAT, memory_state};
use isolane::load::code_cache::CodeCache;
use isolane::load::{envelope, typed};
use isolane::replay::find;
use isolane::spec::{Bytes, Environment, Fork, H160, KECCAK_EMPTY, Rules};
use isolane_gpu::transition::Overlay;
use rayon::prelude::*;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

/// EIP-4788, EIP-2935: called before the transactions.
const BEACON_ROOTS: &str = "000f3df6d732807ef1319fb7b8bb8522d0beac02";
const HISTORY_STORAGE: &str = "0000f90827f1c53a10cb7a02335b175320002935";

#[test]
fn bundled_blocks() {
    compare(&crate::bundled("blocks")).assert_all_equal("bundled blocks");
}

#[test]
fn blocks_of_the_named_folder() {
    if let Some(folder) = crate::named("ISOLANE_BLOCKS") {
        compare(&folder).assert_all_equal("blocks");
    }
}

fn compare(folder: &Path) -> Ways {
    let inputs = find(&[folder.to_owned()]).unwrap_or_else(|error| panic!("{error}"));
    let all = inputs.packs.par_iter().map(|path| {
        let mut ways = Ways::default();
        if let Err(error) = compare_pack(path, &mut ways) {
            ways.differences.push(format!("{}: {error}", path.display()));
        }
        ways
    });
    all.reduce(Ways::default, Ways::add)
}

fn compare_pack(path: &Path, ways: &mut Ways) -> Result<(), Box<dyn Error>> {
    let document = typed::read(path)?;
    if !document.get(..256).unwrap_or(&document).windows(FORMAT.len()).any(|window| window == FORMAT.as_bytes()) {
        // A pack of a single transaction has no order to keep.
        return Ok(());
    }
    let mut pack: BlockPack = typed::parse(&document)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let rules = rules(&pack)?;
    let header = pack.block.header();
    let prestate = pack.prestate.take().ok_or("a pack without prestate")?;
    let state = Arc::new(memory_state(prestate.0, &pack.block_hashes.0, &CodeCache::default())?);
    let environment = Environment::new(name.clone(), rules, block_context(&header, &rules), state.clone());
    let mut overlay = Overlay::new(state);
    let mut machine = Machine::new(environment.clone());
    if rules.fork == Fork::Dao && header.number == 1_920_000 {
        overlay.apply(&machine.drain(&dao::DRAINED, dao::REFUND_CONTRACT)?);
    }
    let mut system_call = |machine: &mut Machine, contract: &str, input: &[u8]| -> Result<(), Box<dyn Error>> {
        let address: H160 = contract.parse()?;
        if machine.account(address)?.is_some_and(|account| account.code_hash != KECCAK_EMPTY) {
            overlay.apply(&machine.system_call(address, Bytes::copy_from_slice(input))?.diff);
        }
        Ok(())
    };
    if let Some(root) = header.parent_beacon_block_root {
        system_call(&mut machine, BEACON_ROOTS, &root.0)?;
    }
    if rules.fork >= Fork::Prague {
        system_call(&mut machine, HISTORY_STORAGE, &header.parent_hash.0)?;
    }
    let mut available = Available { gas: header.gas_limit, blob_gas: rules.blob_schedule.max << 17 };
    for (index, rpc) in pack.block.transactions.iter().enumerate() {
        let transaction = envelope::prepare(rpc, rules.chain_id, rules.fork)?.transaction;
        let outcome = machine.transact(&transaction, available)?;
        let place = format!("{name}: transaction {index}");
        ways.compare(&place, &environment, &overlay, &transaction, available, &outcome);
        overlay.apply(&outcome.diff);
        available.gas = available.gas.saturating_sub(outcome.gas_used);
        let blobs = transaction.blob_versioned_hashes.len() as u64;
        available.blob_gas = available.blob_gas.saturating_sub(blobs << 17);
    }
    Ok(())
}

/// The rules by the chain's schedule, or by the pack where the chain is not known.
fn rules(pack: &BlockPack) -> Result<Rules, Box<dyn Error>> {
    let block = &pack.block;
    match ChainSpec::by_id(pack.chain_id.0) {
        Some(chain) => {
            let parent_total = block.total_difficulty.and_then(|total| total.0.checked_sub(block.difficulty.0));
            Ok(chain.rules(chain.fork_at(block.number.0, block.timestamp.0, parent_total)))
        }
        None => Ok(Rules::new(pack.fork().ok_or("a pack of an unknown chain without a fork")?, pack.chain_id.0)),
    }
}
