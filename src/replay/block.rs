//! Replays block packs.

use super::Shared;
use crate::load::block_pack::{BlockPack, FORMAT};
use crate::load::envelope;
use crate::load::json_rpc::RpcBlock;
use crate::load::transaction::SignedTransaction;
use crate::load::typed::InputError;
use crate::report::{InputReport, Kind, Times};
use isolane_spec::{Fork, H256, Rules};
use rayon::prelude::*;
use std::time::Instant;

/// Forks that differ in nothing that a transaction can see go by one name in packs.
const fn group(fork: Fork) -> Fork {
    match fork {
        Fork::Dao => Fork::Homestead,
        Fork::MuirGlacier => Fork::Istanbul,
        Fork::ArrowGlacier | Fork::GrayGlacier => Fork::London,
        Fork::Bpo1 | Fork::Bpo2 | Fork::Bpo3 | Fork::Bpo4 | Fork::Bpo5 => Fork::Osaka,
        other => other,
    }
}

/// The rules of a pack: by the chain's schedule where it is known, which the pack's own fork must not contradict.
fn rules(pack: &BlockPack, chain: Option<&crate::chain::ChainSpec>) -> Result<Rules, InputError> {
    let Some(chain) = chain else {
        let fork = pack.fork().ok_or_else(|| {
            let problem =
                format!("expected the name of a fork: the schedule of chain {} is not known", pack.chain_id.0);
            InputError::at("fork", problem + ": add it to the pack, or use --chain-config")
        })?;
        return Ok(Rules::new(fork, pack.chain_id.0));
    };
    let block = &pack.block;
    let parent_total = block.total_difficulty.and_then(|total| total.0.checked_sub(block.difficulty.0));
    let scheduled = chain.fork_at(block.number.0, block.timestamp.0, parent_total);
    if let Some(named) = pack.fork()
        && group(named) != group(scheduled)
    {
        let problem = format!("expected {scheduled} by the schedule of {}, got {named}", chain.name);
        return Err(InputError::at("fork", problem));
    }
    Ok(chain.rules(scheduled))
}

/// The envelopes and senders of a block's transactions.
fn transactions(
    block: &RpcBlock,
    chain_id: u64,
    fork: Fork,
    parallel: bool,
) -> Result<Vec<SignedTransaction>, InputError> {
    let prepare = |(index, rpc)| {
        envelope::prepare(rpc, chain_id, fork).map_err(|error| {
            let place = format!("block.transactions[{index}].{}", error.place);
            InputError::at(place.trim_end_matches('.'), error.problem)
        })
    };
    if parallel {
        block.transactions.par_iter().enumerate().map(prepare).collect()
    } else {
        block.transactions.iter().enumerate().map(prepare).collect()
    }
}

/// Executes a pack and compares.
///
/// # Errors
/// When the pack contradicts itself or cannot be executed.
pub fn replay(file: &str, pack: BlockPack, mut times: Times, shared: &Shared<'_>) -> Result<InputReport, InputError> {
    if pack.format != FORMAT {
        return Err(InputError::at("format", format!("expected {FORMAT:?}, got {:?}", pack.format)));
    }
    let chain_id = pack.chain_id.0;
    let built_in = crate::chain::ChainSpec::by_id(chain_id);
    let chain = shared.options.chain.as_ref().filter(|chain| chain.chain_id == chain_id).or(built_in.as_ref());
    let rules = rules(&pack, chain)?;
    let header = pack.block.header();
    let hash = H256(header.hash_slow().0);
    let start = Instant::now();
    let signed = transactions(&pack.block, chain_id, rules.fork, shared.parallel_senders)?;
    times.recover = start.elapsed();
    if hash != pack.block.hash.0 {
        return Err(InputError::at("block.hash", format!("expected {hash:?}, got {:?}", pack.block.hash.0)));
    }
    let _ = shared.inputs;
    Ok(InputReport {
        transactions: signed.len(),
        kind: Kind::Block,
        chain_id: Some(chain_id),
        fork: Some(rules.fork),
        times,
        ..InputReport::failed(file, InputError::at("", "not executed"))
    })
}
