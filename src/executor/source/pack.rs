//! Block packs and witnesses as sources.

use super::ViewSource;
use crate::block::block_context;
use crate::chain::ChainSpec;
use crate::executor::Call;
use crate::load::block_pack::{BlockPack, FORMAT, memory_state};
use crate::load::code_cache::CodeCache;
use crate::load::envelope;
use crate::load::typed::{InputError, parse, read};
use crate::load::witness::{WithBlockHashes, WitnessFile};
use isolane_spec::{BlockContext, Rules, StateView};
use std::path::Path;
use std::sync::Arc;

/// A block pack, opened: the state before the block, the block, and its transactions as calls.
///
/// The state is what the pack recorded; what it did not record does not exist, or, with a witness, is an error. System calls of the block
/// are not made: [`crate::replay`] does all that belongs to a block, and verifies it.
pub struct OpenedPack {
    /// The state before the block.
    pub source: Arc<ViewSource>,
    /// The block.
    pub block: BlockContext,
    /// Its rules.
    pub rules: Rules,
    /// Its transactions, as calls that keep all the rules of transactions.
    pub calls: Vec<Call>,
}

impl OpenedPack {
    /// Opens a block pack, `.json` or `.json.zst`.
    ///
    /// # Errors
    /// When it cannot be read or is no pack, or its fork is not known.
    pub fn read(pack: &Path) -> Result<Self, InputError> {
        Self::open(&read(pack)?, None).map_err(|error| error.in_file(&pack.display().to_string()))
    }

    /// Opens a block pack whose state is the one that a witness (`debug_executionWitness`) proves.
    ///
    /// # Errors
    /// When one of them cannot be read, or they do not belong together.
    pub fn read_with_witness(pack: &Path, witness: &Path) -> Result<Self, InputError> {
        let witness = WitnessFile::read(witness)?;
        Self::open(&read(pack)?, Some(witness)).map_err(|error| error.in_file(&pack.display().to_string()))
    }

    fn open(document: &[u8], witness: Option<WitnessFile>) -> Result<Self, InputError> {
        let pack: BlockPack = parse(document)?;
        if pack.format != FORMAT {
            return Err(InputError::at("format", format!("expected {FORMAT:?}, got {:?}", pack.format)));
        }
        let header = pack.block.header();
        let chain_id = pack.chain_id.0;
        let parent = pack.block.total_difficulty.and_then(|total| total.0.checked_sub(pack.block.difficulty.0));
        let rules = match (pack.fork(), ChainSpec::by_id(chain_id)) {
            (Some(named), Some(chain)) => {
                let scheduled = chain.fork_at(header.number, header.timestamp, parent);
                // Packs call the forks that only change blobs by the fork before them.
                chain.rules(scheduled.max(named))
            }
            (Some(named), None) => Rules::new(named, chain_id),
            (None, Some(chain)) => chain.rules_at(header.number, header.timestamp, parent),
            (None, None) => {
                let problem = format!("expected the name of a fork: the schedule of chain {chain_id} is not known");
                return Err(InputError::at("fork", problem));
            }
        };
        let prepare = |(index, rpc)| {
            let signed = envelope::prepare(rpc, chain_id, rules.fork).map_err(|error| {
                let place = format!("block.transactions[{index}].{}", error.place);
                InputError::at(place.trim_end_matches('.'), error.problem)
            })?;
            Ok(Call::from(signed.transaction))
        };
        let calls = pack.block.transactions.iter().enumerate().map(prepare).collect::<Result<_, InputError>>()?;
        let view: Arc<dyn StateView> = match (witness, pack.prestate) {
            (Some(witness), _) => {
                let state = Arc::new(witness.into_state(pack.block.parent_hash.0, &pack.block_hashes.0)?);
                let block_hashes = pack.block_hashes.0.iter().map(|(number, hash)| (*number, hash.0)).collect();
                Arc::new(WithBlockHashes { state, block_hashes })
            }
            (None, Some(prestate)) => Arc::new(memory_state(prestate.0, &pack.block_hashes.0, &CodeCache::default())?),
            (None, None) => {
                return Err(InputError::at(
                    "prestate",
                    "expected an object of accounts, got nothing: open it with its witness",
                ));
            }
        };
        Ok(Self { source: Arc::new(ViewSource::new(view)), block: block_context(&header, &rules), rules, calls })
    }
}
