//! Every transaction of recorded blocks, in sequence, with the system calls before and after.

use crate::tally::Tally;
use isolane::block::{block_context, dao};
use isolane::chain::ChainSpec;
use isolane::cpu::{Available, Machine};
use isolane::diff::compare::Exactness;
use isolane::diff::oracle::Oracle;
use isolane::load::block_pack::{BlockPack, FORMAT, memory_state};
use isolane::load::code_cache::CodeCache;
use isolane::load::envelope;
use isolane::load::typed;
use isolane::replay::find;
use isolane::spec::{Bytes, Environment, Fork, H160, KECCAK_EMPTY, Rules, U256};
use rayon::prelude::*;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

/// EIP-4788, EIP-2935: called before the transactions.
const BEACON_ROOTS: &str = "000f3df6d732807ef1319fb7b8bb8522d0beac02";
const HISTORY_STORAGE: &str = "0000f90827f1c53a10cb7a02335b175320002935";
/// EIP-7002, EIP-7251: called after them.
const REQUESTS: [&str; 2] = ["00000961ef480eb55e80d19ad83579a64c007002", "0000bbddc7ce488642fb579f8b00f3a590007251"];

/// Compares all block packs under a folder.
pub fn compare(folder: &Path) -> Tally {
    let inputs = find(&[folder.to_owned()]).unwrap_or_else(|error| panic!("{error}"));
    let tallies = inputs.packs.par_iter().map(|path| {
        let mut tally = Tally::default();
        if let Err(error) = compare_pack(path, &mut tally) {
            tally.differ(&path.display().to_string(), vec![error.to_string()]);
        }
        tally
    });
    tallies.reduce(Tally::default, |mut all, one| {
        all.add(one);
        all
    })
}

fn compare_pack(path: &Path, tally: &mut Tally) -> Result<(), Box<dyn Error>> {
    let document = typed::read(path)?;
    if !document.get(..256).unwrap_or(&document).windows(FORMAT.len()).any(|window| window == FORMAT.as_bytes()) {
        // A pack of a single transaction: those are compared by their own records.
        return Ok(());
    }
    let mut pack: BlockPack = typed::parse(&document)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let rules = rules(&pack)?;
    let header = pack.block.header();
    let prestate = pack.prestate.take().ok_or("a pack without prestate")?;
    let state = memory_state(prestate.0, &pack.block_hashes.0, &CodeCache::default())?;
    let environment = Environment::new(name.clone(), rules, block_context(&header, &rules), Arc::new(state));
    let mut block =
        Walk { name, machine: Machine::new(environment.clone()), oracle: Oracle::new(&environment)?, tally };
    if rules.fork == Fork::Dao && header.number == 1_920_000 {
        let diff = block.machine.drain(&dao::DRAINED, dao::REFUND_CONTRACT)?;
        block.oracle.apply(&diff);
    }
    if let Some(root) = header.parent_beacon_block_root {
        block.system_call(BEACON_ROOTS, &root.0)?;
    }
    if rules.fork >= Fork::Prague {
        block.system_call(HISTORY_STORAGE, &header.parent_hash.0)?;
    }
    let mut available = Available { gas: header.gas_limit, blob_gas: rules.blob_schedule.max << 17 };
    for (index, rpc) in pack.block.transactions.iter().enumerate() {
        let signed = envelope::prepare(rpc, rules.chain_id, rules.fork)?;
        let outcome = block.machine.transact(&signed.transaction, available);
        let judged = block.oracle.transact(&signed.transaction, available);
        available.gas = available.gas.saturating_sub(outcome.as_ref().map_or(0, |outcome| outcome.gas_used));
        let blobs = signed.transaction.blob_versioned_hashes.len() as u64;
        available.blob_gas = available.blob_gas.saturating_sub(blobs << 17);
        block.tally.compare(&format!("{}: transaction {index}", block.name), outcome, judged, Exactness::Reasons);
    }
    let gwei = U256::exp10(9);
    let credits: Vec<(H160, U256)> = pack
        .block
        .withdrawals
        .iter()
        .flatten()
        .map(|withdrawal| (withdrawal.address.0, gwei * U256::from(withdrawal.amount.0)))
        .collect();
    let diff = block.machine.credit(&credits)?;
    block.oracle.apply(&diff);
    if rules.fork >= Fork::Prague {
        for contract in REQUESTS {
            block.system_call(contract, &[])?;
        }
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

/// A block on its way through both executors.
struct Walk<'a> {
    name: String,
    machine: Machine,
    oracle: Oracle,
    tally: &'a mut Tally,
}

impl Walk<'_> {
    /// A system call, if the contract is there. Its gas is nobody's and is not compared.
    fn system_call(&mut self, contract: &str, input: &[u8]) -> Result<(), Box<dyn Error>> {
        let address: H160 = contract.parse()?;
        if self.machine.account(address)?.is_none_or(|account| account.code_hash == KECCAK_EMPTY) {
            return Ok(());
        }
        let input = Bytes::copy_from_slice(input);
        let place = format!("{}: system call to {contract}", self.name);
        let mut outcome = self.machine.system_call(address, input.clone());
        let judged = self.oracle.system_call(address, input);
        if let (Ok(ours), Ok(revm)) = (&mut outcome, &judged) {
            ours.gas_used = revm.gas_used;
            ours.gas_refunded = revm.gas_refunded;
            ours.block_gas_used = revm.block_gas_used;
        }
        self.tally.compare(&place, outcome, judged, Exactness::Reasons);
        Ok(())
    }
}
